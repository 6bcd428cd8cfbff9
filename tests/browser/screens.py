"""Every screen of the console: who looks at it, and where it is."""

from collections.abc import Callable
from typing import NamedTuple

from tests.browser.story import Scene

DAY = "provided_on=2026-04-02&region=DE-BY&received_at=2026-04-08T10:20:00%2B02:00"


class Screen(NamedTuple):
    """A screen, or a state of one."""

    name: str
    user: str | None
    path: Callable[[Scene], str]


SCREENS = (
    Screen("sign-in", None, lambda _: "/console/"),
    Screen("check", "anna", lambda _: "/console/"),
    Screen("answer", "anna", lambda _: "/console/orders/A-1001?channel=phone"),
    Screen("answer-too-late", "anna", lambda _: "/console/orders/A-1004?channel=email"),
    Screen("answer-goodwill", "samuel", lambda _: "/console/orders/A-1004?channel=phone"),
    Screen("answer-cancelled", "anna", lambda _: "/console/orders/A-1003"),
    Screen("answer-not-provided", "anna", lambda _: "/console/orders/A-1007"),
    Screen("answer-by-date", "petra", lambda _: f"/console/days?{DAY}"),
    Screen("confirm", "anna", lambda _: "/console/orders/A-1001/cancel?channel=phone"),
    Screen(
        "confirm-goodwill",
        "samuel",
        lambda s: f"/console/orders/A-1004/cancel?override=goodwill&contact_id={s.refused_contact}",
    ),
    Screen("record", "anna", lambda _: "/console/orders/A-1001/record?intent=question"),
    Screen("done", "anna", lambda s: f"/console/cancellations/{s.cancellation}"),
    Screen("revoked", "anna", lambda s: f"/console/cancellations/{s.revoked}"),
    Screen("open", "anna", lambda _: "/console/open"),
    Screen("request", "anna", lambda s: f"/console/contacts/{s.open_contact}"),
    Screen("request-refused", "samuel", lambda s: f"/console/contacts/{s.refused_contact}"),
    Screen("history", "anna", lambda _: "/console/orders/A-1005/history"),
    Screen("customer", "anna", lambda s: f"/console/customers/{s.customer}"),
    Screen("recent", "anna", lambda _: "/console/recent"),
    Screen("policies", "petra", lambda _: "/console/policies"),
    Screen("policy", "petra", lambda _: "/console/policies/virtual-numbers"),
    Screen("simulation", "petra", lambda _: "/console/policies/virtual-numbers/simulation?window_business_days=5"),
    Screen("journal", "arno", lambda _: "/console/journal"),
    Screen("not-there", "anna", lambda _: "/console/orders/nothing"),
    Screen("evidence", "anna", lambda _: "/console/orders/A-1003/evidence"),
    Screen("confirmation", "anna", lambda s: f"/console/cancellations/{s.cancellation}/confirmation"),
)
