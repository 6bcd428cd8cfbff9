"""The channel and time of a request stay in the address of every page that follows, even after a refusal."""

from datetime import timedelta
from unittest import mock

import pytest

from refunds.domain.permissions import Role
from refunds.errors import Message, StorageUnavailable
from refunds.service import cancellations
from tests.console.conftest import TOO_LONG_AGO

ASKED = {"channel": "email", "received_at": "8.4.2026 09:00"}
EXACT = "channel=email&received_at=2026-04-08T07:00:00Z"
STAYS = {"channel": "email", "received_at": "2026-04-08T07:00:00Z"}


def test_the_order_list_of_a_customer_keeps_channel_and_time(site, now):
    first, _ = (site.register(customer_ref="K-asked") for _ in range(2))
    now.shift(timedelta(days=1))
    agent = site.browser(Role.AGENT)
    page = agent.press(agent.get("/console/"), "Check", q="K-asked", **ASKED)
    page = agent.follow(page, first)
    assert (page.path, page.query) == (f"/console/orders/{first}", STAYS)
    assert page.h1.startswith("Can be cancelled: the request was in time")


def test_an_invalid_time_is_reported_for_a_customer_number_too(site, agent):
    site.register(customer_ref="K-rubbish"), site.register(customer_ref="K-rubbish")
    page = agent.press(agent.get("/console/"), "Check", q="K-rubbish", received_at="rubbish")
    assert (page.status, list(page.errors)) == (422, ["received_at"])


def test_the_address_of_a_refused_form_has_channel_and_time(site, agent):
    order = site.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    page = agent.press(page, "Cancel the order now", note="4111 1111 1111 1111")
    assert (page.status, page.query) == (422, STAYS)
    german = agent.follow(page, "Deutsch")
    assert german.facts["Eingegangen"].startswith("Mittwoch, 8. April 2026, 09:00 Uhr")


def test_goodwill_on_a_contact_is_still_goodwill_after_a_refusal(site, supervisor):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    contact_id = site.record(order)
    page = supervisor.press(supervisor.get(f"/console/contacts/{contact_id}"), "Cancel as goodwill")
    page = supervisor.press(page, "Cancel as goodwill", reason="4111 1111 1111 1111")
    assert (page.status, page.h1) == (422, f"Cancel {order} as goodwill?")
    supervisor.press(page, "Cancel as goodwill", reason="Our line was down.")
    done = site.active(order)
    assert (done.contact_id, done.override_reason) == (contact_id, "Our line was down.")


def test_back_leads_to_the_answer_with_channel_and_time(site, agent):
    order = site.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    assert agent.follow(page, "Back").query == STAYS


def test_a_relative_time_is_exact_in_the_address(site, agent):
    """So that it is still the same time tomorrow."""
    order = site.register()
    assert agent.get(f"/console/orders/{order}?channel=email&received_at=today+09:00").query == STAYS
    page = agent.get("/console/days?provided_on=2.4.2026&channel=email&received_at=today+09:00")
    assert page.query.items() >= STAYS.items()


def test_an_unknown_number_is_ignored_once_a_date_is_given(agent):
    page = agent.press(agent.get("/console/"), "Check", q="A-unknown")
    for button in ("Check", "Check by date"):
        assert agent.press(page, button, provided_on="2.4.2026").path == "/console/days"


def test_a_subdivision_is_not_taken_for_a_country(agent):
    """BY is Belarus, but an agent who types it means Bavaria."""
    page = agent.press(agent.get("/console/"), "Check by date", provided_on="2.4.2026", region="BY")
    assert (page.status, list(page.errors)) == (422, ["region"])


def test_an_order_number_is_found_regardless_of_case(site, agent):
    site.register("AB-9")
    assert agent.press(agent.get("/console/"), "Check", q="ab-9").path == "/console/orders/AB-9"


def test_a_request_in_time_is_still_called_so_once_the_window_has_ended(site, now):
    order = site.register()
    now.shift(timedelta(days=3))
    page = site.browser(Role.AGENT).get(f"/console/orders/{order}?{EXACT}")
    assert "Your request was made in time" in page.text
    assert "too late" not in page.text


def test_a_form_is_kept_while_storage_is_unavailable_and_sent_once(site, agent):
    """It keeps its one-time id, because it is unknown whether it was recorded."""
    order = site.register()
    page = agent.get(f"/console/orders/{order}/cancel?{EXACT}")
    once = page.form("Cancel the order now").fields["idempotency_key"]
    with mock.patch.object(cancellations, "issue", side_effect=StorageUnavailable(Message("away"))):
        page = agent.press(page, "Cancel the order now", note="Moves house.")
    assert page.status == 503
    fields = page.form("Cancel the order now").fields
    assert (fields["idempotency_key"], fields["note"]) == (once, "Moves house.")
    assert agent.press(page, "Cancel the order now").path.startswith("/console/cancellations/")


@pytest.mark.parametrize("path", ["/console/", "/console/?lang=de", "/console/sign-out"])
def test_a_form_from_another_site_does_not_change_the_session(site, path):
    """The browser sends no cookie with it, so a new one would replace the session."""
    response = site.browser().send("POST", path, headers={"Sec-Fetch-Site": "cross-site"}, data="x=1")
    assert (response.status_code, response.headers.get("Set-Cookie")) == (403, None)


def test_signing_out_keeps_the_language_and_the_channel(site):
    browser = site.browser(Role.AGENT)
    page = browser.get("/console/?lang=de")
    browser.press(page, "Prüfen", q=site.register(), channel="email")
    page = browser.post("/console/sign-out", {"csrf_token": browser.token})
    assert (page.lang, page.h1) == ("de", "Anmelden")
    page = browser.press(page, "Anmelden", name="agent-1", password=site.passwords[Role.AGENT])
    assert page.forms[0].fields["channel"] == "email"


@pytest.mark.parametrize("rest", ["sign-out", "demonstration", "sign-in/", "sign-in/sign-in/x"])
def test_the_sign_in_leads_to_the_start_page_where_there_is_only_a_form(site, rest):
    browser = site.browser()
    page = browser.press(
        browser.get(f"/console/{rest}"), "Sign in", name="agent-1", password=site.passwords[Role.AGENT]
    )
    assert (page.status, page.path) == (200, "/console/")
