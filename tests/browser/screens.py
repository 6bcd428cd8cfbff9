"""Every screen of the console: its user, its path, and the actions that lead to it."""

from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from tests.browser.story import Scene

CARD = "4111 1111 1111 1111"
DAY = "provided_on=2026-04-02&region=DE-BY&received_at=2026-04-08T10:20:00%2B02:00"


WARNED = """policy = "virtual-numbers"
version = 3
effective_from = 2027-01-01T00:00:00+01:00
window_business_days = 3
vendor_name = "Example Numbers"
[texts]
de = "Innerhalb von 2 Werktagen nach dem Tag, an dem die Leistung erbracht wurde."
"""
UNFIT = WARNED.replace("= 3\nvendor", "= 0\nvendor").replace("vendor_name", "vendor")
"""Drafts: of one the clause says another number than its terms, the other has two terms that do not fit."""


class Screen(NamedTuple):
    """A screen, or a state of one."""

    name: str
    user: str | None
    path: Callable[[Scene], str]
    then: Callable[[Page], None] = lambda _: None


def sending(button: str, **typed: str) -> Callable[[Page], None]:
    """An action that fills in a form of a screen, even a collapsed one, and sends it."""

    def send(page: Page) -> None:
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        for name, value in typed.items():
            page.locator(f"main [name={name}]").fill(value)
        page.locator(button).click()
        page.wait_for_selector("main [role=alert], main [role=status]")

    return send


def searching(text: str) -> Callable[[Page], None]:
    """An action that searches from the header."""

    def search(page: Page) -> None:
        page.locator("#search").fill(text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/search")

    return search


def pressing(button: str) -> Callable[[Page], None]:
    """An action that presses a button which leads to another page."""

    def press(page: Page) -> None:
        page.locator(button).first.click()
        page.wait_for_selector("main textarea[name=reason]")

    return press


def drafting(text: str) -> Callable[[Page], None]:
    """An action that asks what a draft would change."""

    def send(page: Page) -> None:
        page.locator("main [name=draft]").fill(text)
        page.locator("main button.primary").click()
        page.wait_for_selector("main blockquote")

    return send


def closing_on(day: str) -> Callable[[Page], None]:
    """An action that asks what it would mean to close on a day."""

    def send(page: Page) -> None:
        page.locator("main details").first.evaluate("one => one.open = true")
        page.locator("main [name=date]").fill(day)
        page.locator("form[action$=closures] button").click()
        page.wait_for_selector("main #shown" if day else "main [role=alert]")

    return send


def closing_again(day: str) -> Callable[[Page], None]:
    """An action that enters a closure which is entered already, without its dry run, so that nothing changes."""

    def send(page: Page) -> None:
        page.locator("main details").first.evaluate("one => one.open = true")
        page.locator("main [name=date]").fill(day)
        page.locator("form[action$=closures]").evaluate("one => { one.action += '/entry'; one.submit() }")
        page.wait_for_selector("main [role=status]")

    return send


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in on the current page."""
    page.locator("input[name=name]").fill(name)
    page.locator("input[type=password]").fill(password)
    page.locator("main button.primary").click()
    page.wait_for_selector("header nav")


class Looker:
    """Shows screens on one page, each as its user; each user signs in once."""

    def __init__(self, running: Browser, shown: Scene, **how: object) -> None:
        self._shown = shown
        self.page = running.new_context(reduced_motion="reduce", **how).new_page()
        self._cookies: dict[str | None, list] = {None: []}

    def at(self, screen: Screen, language: str) -> Page:
        """The page with a screen in a language."""
        self.page.set_extra_http_headers({"Accept-Language": language})
        self._become(screen.user)
        self.page.goto(self._shown.url + screen.path(self._shown))
        screen.then(self.page)
        self.page.wait_for_load_state()  # without scripts, a form leads to another page, which is to have its styles
        return self.page

    def _become(self, user: str | None) -> None:
        self.page.context.clear_cookies()
        if user not in self._cookies:
            self.page.goto(f"{self._shown.url}/console/")
            sign_in(self.page, user, self._shown.passwords[user])
            self._cookies[user] = self.page.context.cookies()
        self.page.context.add_cookies(self._cookies[user])


SCREENS = (
    Screen("sign-in", None, lambda _: "/console/"),
    Screen("check", "anna", lambda _: "/console/"),
    Screen("answer", "anna", lambda _: "/console/orders/A-1001?channel=phone"),
    Screen("answer-too-late", "anna", lambda _: "/console/orders/A-1004?channel=email"),
    Screen("answer-goodwill", "samuel", lambda _: "/console/orders/A-1004?channel=phone"),
    Screen("answer-on-record", "samuel", lambda _: "/console/orders/A-1008?channel=phone"),
    Screen("answer-cancelled", "anna", lambda _: "/console/orders/A-1003"),
    Screen("answer-not-provided", "anna", lambda _: "/console/orders/A-1007"),
    Screen("answer-by-date", "petra", lambda _: f"/console/days?{DAY}"),
    Screen("answer-supervisor", "anna", lambda _: "/console/orders/A-3001?channel=phone"),
    Screen("answer-refunding", "anna", lambda _: "/console/orders/A-3002?channel=phone"),
    Screen("answer-settled", "anna", lambda _: "/console/orders/A-3003?channel=email"),
    Screen("answer-revoked", "anna", lambda _: "/console/orders/A-1005?channel=phone"),
    Screen("answer-erased", "anna", lambda _: "/console/orders/A-2002?channel=email"),
    Screen("answer-restricted", "anna", lambda _: "/console/orders/A-3004?channel=email"),
    Screen("answer-provisional", "anna", lambda _: "/console/orders/A-3005?channel=phone"),
    Screen("answer-promise-kept", "anna", lambda _: "/console/orders/A-3006?channel=email"),
    Screen("confirm", "anna", lambda _: "/console/orders/A-1001/cancel?channel=phone"),
    Screen(
        "correct",
        "anna",
        lambda s: f"/console/orders/A-1002/record?supersedes={s.open_contact}&intent=cancel",
    ),
    Screen(
        "confirm-goodwill",
        "samuel",
        lambda s: f"/console/contacts/{s.refused_contact}",
        pressing("form[action$=override] button"),
    ),
    Screen("answer-withdrawal", "anna", lambda _: "/console/orders/A-1011?channel=post"),
    Screen("answer-withdrawal-goodwill", "samuel", lambda _: "/console/orders/A-1011?channel=phone"),
    Screen("answer-withdrawal-open", "samuel", lambda _: "/console/orders/A-1009?channel=phone"),
    Screen("record-withdrawal", "anna", lambda _: "/console/orders/A-1011/record?intent=withdrawal&channel=post"),
    Screen("withdrawal", "anna", lambda s: f"/console/contacts/{s.withdrawal}"),
    Screen("withdrawal-supervisor", "samuel", lambda s: f"/console/contacts/{s.withdrawal}"),
    Screen(
        "confirm-statutory",
        "samuel",
        lambda s: f"/console/contacts/{s.withdrawal}",
        pressing("form[action$=override]:has([value=statutory]) button"),
    ),
    Screen("done-statutory", "samuel", lambda s: f"/console/cancellations/{s.statutory}"),
    Screen("record", "anna", lambda _: "/console/orders/A-1001/record?intent=question"),
    Screen("done", "anna", lambda s: f"/console/cancellations/{s.cancellation}"),
    Screen("revoked", "anna", lambda s: f"/console/cancellations/{s.revoked}"),
    Screen("open", "anna", lambda _: "/console/open"),
    Screen("open-supervisor", "samuel", lambda _: "/console/open"),
    Screen("open-several", "samuel", lambda _: "/console/open?tab=in_time&ticked=all", sending("button[value=take]")),
    Screen("open-unmatched", "anna", lambda _: "/console/open?tab=unmatched"),
    Screen("open-mine", "anna", lambda _: "/console/open?mine=yes"),
    Screen("open-mine-none", "samuel", lambda _: "/console/open?mine=yes&tab=too_late"),
    Screen("cancellations", "samuel", lambda _: "/console/cancellations"),
    Screen("cancellations-wrong", "samuel", lambda _: "/console/cancellations?issued_from=soon"),
    Screen("request", "anna", lambda s: f"/console/contacts/{s.open_contact}"),
    Screen("request-refused", "samuel", lambda s: f"/console/contacts/{s.refused_contact}"),
    Screen("request-superseded", "anna", lambda s: f"/console/contacts/{s.corrected}"),
    Screen("unmatched-new", "anna", lambda _: "/console/unmatched/new"),
    Screen("unmatched", "anna", lambda s: f"/console/unmatched/{s.unmatched}"),
    Screen("unmatched-matched", "anna", lambda s: f"/console/unmatched/{s.matched}"),
    Screen("unmatched-superseded", "anna", lambda s: f"/console/unmatched/{s.superseded}"),
    Screen("unmatched-correct", "anna", lambda s: f"/console/unmatched/new?supersedes={s.unmatched}"),
    Screen(
        "unmatched-correct-failed",
        "anna",
        lambda s: f"/console/unmatched/new?supersedes={s.unmatched}",
        sending(".primary"),
    ),
    Screen("history", "anna", lambda _: "/console/orders/A-1005/history"),
    Screen("customer", "anna", lambda s: f"/console/customers/{s.customer}"),
    Screen("customer-narrowed-failed", "anna", lambda s: f"/console/customers/{s.customer}?narrow=no+such+order"),
    Screen("search", "anna", lambda _: "/console/search"),
    Screen("search-found", "anna", lambda _: "/console/", searching("A-10")),
    Screen("search-failed", "anna", lambda _: "/console/", searching("no such thing")),
    Screen("recent", "anna", lambda _: "/console/recent"),
    Screen("policies", "petra", lambda _: "/console/policies"),
    Screen("policy", "petra", lambda _: "/console/policies/virtual-numbers"),
    Screen("draft", "petra", lambda _: "/console/draft?policy_id=virtual-numbers"),
    Screen("draft-shown", "petra", lambda _: "/console/draft", drafting(WARNED)),
    Screen("draft-failed", "petra", lambda _: "/console/draft", sending(".primary", draft=UNFIT)),
    Screen("policy-withdrawal", "petra", lambda _: "/console/policies/virtual-numbers/versions/2/withdrawal"),
    Screen("policy-closed", "petra", lambda _: "/console/policies/virtual-numbers", closing_again("2026-05-15")),
    Screen("closing", "petra", lambda _: "/console/policies/virtual-numbers", closing_on("2026-12-28")),
    Screen("closing-failed", "petra", lambda _: "/console/policies/virtual-numbers", closing_on("")),
    Screen("simulation", "petra", lambda _: "/console/policies/virtual-numbers/simulation?window_business_days=5"),
    Screen("statistics", "petra", lambda _: "/console/statistics"),
    Screen("statistics-few", "petra", lambda _: "/console/statistics?month=2026-02"),
    Screen("journal", "arno", lambda _: "/console/journal"),
    Screen("journal-filtered", "arno", lambda _: "/console/journal?type=contact.recorded&since=2026-04-01T00:00:00Z"),
    Screen("journal-failed", "arno", lambda _: "/console/journal?since=when%3F&actor=usr_1"),
    Screen("event", "arno", lambda _: "/console/journal/2"),
    Screen("account", "anna", lambda _: "/console/account"),
    Screen("account-failed", "anna", lambda _: "/console/account", sending(".primary", old_password=CARD)),
    Screen("data-requests", "paula", lambda _: "/console/data-requests"),
    Screen("data-requests-closed", "arno", lambda _: "/console/data-requests?show=closed"),
    Screen("data-request-new", "paula", lambda _: "/console/data-requests/new"),
    Screen("data-request-new-failed", "paula", lambda _: "/console/data-requests/new", sending(".primary")),
    Screen("data-request-access", "paula", lambda s: f"/console/data-requests/{s.asked['access']}"),
    Screen("data-request-erasure", "paula", lambda s: f"/console/data-requests/{s.asked['erasure']}"),
    Screen("data-request-rectification", "paula", lambda s: f"/console/data-requests/{s.asked['rectification']}"),
    Screen("data-request-objection", "paula", lambda s: f"/console/data-requests/{s.asked['objection']}"),
    Screen("data-request-late", "paula", lambda s: f"/console/data-requests/{s.asked['late']}"),
    Screen("data-request-refused", "paula", lambda s: f"/console/data-requests/{s.asked['refused']}"),
    Screen("data-request-erased", "paula", lambda s: f"/console/data-requests/{s.asked['erased']}"),
    Screen(
        "data-request-extend-failed",
        "paula",
        lambda s: f"/console/data-requests/{s.asked['portability']}",
        sending("form:has([value=extend]) button"),
    ),
    Screen("data-request-export", "paula", lambda s: f"/console/data-requests/{s.asked['access']}/export"),
    Screen("not-there", "anna", lambda _: "/console/orders/nothing"),
    Screen("sign-in-failed", None, lambda _: "/console/", sending(".primary", name="anna", password=CARD)),
    Screen("check-failed", "anna", lambda _: "/console/", sending(".primary", q="A-0000", received_at="when?")),
    Screen("unmatched-new-failed", "anna", lambda _: "/console/unmatched/new", sending(".primary", note=CARD)),
    Screen(
        "match-failed", "anna", lambda s: f"/console/unmatched/{s.unmatched}", sending(".primary", order_id="A-0000")
    ),
    Screen("confirm-failed", "anna", lambda _: "/console/orders/A-1001/cancel", sending(".primary", note=CARD)),
    Screen(
        "goodwill-failed",
        "samuel",
        lambda _: "/console/orders/A-1004?channel=phone",
        lambda page: (pressing("form[action$=override] button")(page), sending(".primary")(page)),
    ),
    Screen(
        "revoke-failed", "anna", lambda s: f"/console/cancellations/{s.cancellation}", sending(".danger", reason="!")
    ),
    Screen(
        "resolve-failed",
        "anna",
        lambda s: f"/console/contacts/{s.open_contact}",
        sending("form:has([value=resolve]) button"),
    ),
    Screen(
        "acknowledge-failed",
        "samuel",
        lambda s: f"/console/contacts/{s.open_contact}",
        sending("form:has([value=acknowledge]):has([name=to]) button", to="nowhere"),
    ),
    Screen(
        "policy-failed",
        "petra",
        lambda _: "/console/policies/virtual-numbers",
        sending(".primary", window_business_days="many"),
    ),
    Screen("journal-verified", "arno", lambda _: "/console/journal", sending("form[action$=verification] button")),
    Screen("evidence", "samuel", lambda _: "/console/orders/A-1003/evidence"),
    Screen("evidence-statutory", "samuel", lambda _: "/console/orders/A-1010/evidence"),
    Screen("confirmation-statutory", "samuel", lambda s: f"/console/cancellations/{s.statutory}/confirmation"),
    Screen("confirmation", "anna", lambda s: f"/console/cancellations/{s.cancellation}/confirmation"),
)
