"""How and when a customer asked stays with a page, wherever it leads: in its address, whatever was refused meanwhile."""

from datetime import timedelta
from unittest import mock

import pytest

from refunds.domain.permissions import Role
from refunds.errors import Message, StorageUnavailable
from refunds.service import cancellations
from tests.console.pages import HOST

ASKED = {"channel": "email", "received_at": "8.4.2026 09:00"}
EXACT = "channel=email&received_at=2026-04-08T07:00:00Z"
STAYS = {"channel": "email", "received_at": "2026-04-08T07:00:00Z"}


def test_a_customers_orders_are_answered_as_he_asked(house, now):
    first, _ = (house.register(customer_ref="K-asked") for _ in range(2))
    now.shift(timedelta(days=1))
    agent = house.browser(Role.AGENT)
    page = agent.press(agent.get("/console/"), "Check", q="K-asked", **ASKED)
    page = agent.follow(page, first)
    assert (page.path, page.query) == (f"/console/orders/{first}", STAYS)
    assert page.h1.startswith("Refundable: the request was in time")


def test_a_time_that_cannot_be_is_told_for_a_customer_too(house, agent):
    house.register(customer_ref="K-rubbish"), house.register(customer_ref="K-rubbish")
    page = agent.press(agent.get("/console/"), "Check", q="K-rubbish", received_at="rubbish")
    assert (page.status, list(page.errors)) == (422, ["received_at"])


def test_a_refused_form_is_at_an_address_that_says_all_of_it(house, agent):
    order = house.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    page = agent.press(page, "Cancel the order now", note="4111 1111 1111 1111")
    assert (page.status, page.query) == (422, STAYS)
    german = agent.follow(page, "Deutsch")
    assert german.facts["Eingegangen"].startswith("Mittwoch, 8. April 2026, 09:00 Uhr")


def test_a_supervisors_goodwill_on_a_contact_is_still_that_after_a_refusal(house, supervisor):
    order = house.register()
    address = f"/console/orders/{order}/cancel?override=goodwill&contact_id={house.record(order)}"
    page = supervisor.press(supervisor.get(address), "Cancel as goodwill", reason="4111 1111 1111 1111")
    assert supervisor.get(page.address.removeprefix(HOST)).h1 == f"Cancel {order} as goodwill?"


def test_back_leads_to_the_answer_that_was_asked_for(house, agent):
    order = house.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    assert agent.follow(page, "Back").query == STAYS


def test_a_time_that_was_typed_is_exact_in_the_address(house, agent):
    """So that tomorrow it is not another one."""
    order = house.register()
    assert agent.get(f"/console/orders/{order}?channel=email&received_at=today+09:00").query == STAYS
    page = agent.get("/console/days?provided_on=2.4.2026&channel=email&received_at=today+09:00")
    assert page.query.items() >= STAYS.items()


def test_a_number_that_nothing_has_gives_way_to_the_day_that_is_added(agent):
    page = agent.press(agent.get("/console/"), "Check", q="A-unknown")
    for button in ("Check", "Check by date"):
        assert agent.press(page, button, provided_on="2.4.2026").path == "/console/days"


def test_a_part_of_the_country_is_not_taken_for_another_country(agent):
    """BY is Belarus, and whoever types it means Bavaria."""
    page = agent.press(agent.get("/console/"), "Check by date", provided_on="2.4.2026", region="BY")
    assert (page.status, list(page.errors)) == (422, ["region"])


def test_an_order_is_found_whatever_the_case_of_its_number(house, agent):
    house.register("AB-9")
    assert agent.press(agent.get("/console/"), "Check", q="ab-9").path == "/console/orders/AB-9"


def test_what_was_in_time_is_said_to_have_been_once_the_window_has_ended(house, now):
    order = house.register()
    now.shift(timedelta(days=3))
    page = house.browser(Role.AGENT).get(f"/console/orders/{order}?{EXACT}")
    assert "Your request was made in time" in page.text
    assert "too late" not in page.text


def test_where_the_records_are_away_the_form_stays_and_is_sent_once(house, agent):
    """With the same one-time id, as nobody knows whether it was recorded."""
    order = house.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    once = page.form("Cancel the order now").fields["once"]
    with mock.patch.object(cancellations, "issue", side_effect=StorageUnavailable(Message("away"))):
        page = agent.press(page, "Cancel the order now", note="Moves house.")
    assert page.status == 503
    fields = page.form("Cancel the order now").fields
    assert (fields["once"], fields["note"]) == (once, "Moves house.")
    assert agent.press(page, "Cancel the order now").path.startswith("/console/cancellations/")


@pytest.mark.parametrize("path", ["/console/", "/console/?lang=de", "/console/sign-out"])
def test_a_form_of_another_site_leaves_the_session_alone(house, path):
    """Its cookie is not sent along, so another one would replace it."""
    answer = house.browser().send("POST", path, headers={"Sec-Fetch-Site": "cross-site"}, data="x=1")
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (403, None)


def test_signing_out_leaves_the_language_and_the_channel(house):
    browser = house.browser(Role.AGENT)
    page = browser.get("/console/?lang=de")
    browser.press(page, "Prüfen", q=house.register(), channel="email")
    page = browser.post("/console/sign-out", {"csrf_token": browser.token})
    assert (page.lang, page.h1) == ("de", "Anmelden")


@pytest.mark.parametrize("rest", ["sign-out", "demonstration", "sign-in/", "sign-in/sign-in/x"])
def test_where_there_is_only_a_form_whoever_signs_in_comes_to_the_start(house, rest):
    browser = house.browser()
    page = browser.press(
        browser.get(f"/console/{rest}"), "Sign in", name="agent-1", password=house.passwords[Role.AGENT]
    )
    assert (page.status, page.path) == (200, "/console/")
