"""Contacts that are corrected: another channel or time by a new entry, decided by that, and nobody is worse off."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.privacy import LimitKind
from refunds.domain.records import Intent
from refunds.service import privacy
from tests.console.conftest import NOW, TOO_LONG_AGO

BUTTON, RECORD = "Correct the channel or the time", "Record the correction"
AFTER = datetime(2026, 4, 20, 8, tzinfo=UTC)
"""More business days after the window has ended than a late entry may have."""


def correcting(browser, contact_id):
    """The form to correct a contact, as its page leads to it."""
    return browser.press(browser.get(f"/console/contacts/{contact_id}"), BUTTON)


@pytest.mark.parametrize("intent", list(Intent))
def test_another_channel_is_recorded_by_a_new_entry_and_the_old_one_stays(site, agent, intent):
    order = site.register()
    first = site.record(order, intent=intent, note="Asked twice.", received_at=NOW - timedelta(seconds=90))
    page = correcting(agent, first)
    assert page.form(RECORD).fields.items() >= {"channel": "phone", "received_at": "8 Apr 2026, 10:18"}.items()
    page = agent.press(page, RECORD, channel="email", sent_at="8.4.2026 10:15")
    earlier, corrected = sorted(site.contacts(order), key=lambda one: one.superseded_by is None)
    assert (corrected.supersedes, earlier.superseded_by) == (first, corrected.contact_id)
    assert (earlier.channel, earlier.received_at) == (Channel.PHONE, NOW - timedelta(seconds=90))
    assert (corrected.intent, corrected.channel, corrected.note) == (intent, Channel.EMAIL, "Asked twice.")
    assert corrected.received_at == NOW - timedelta(seconds=90)
    assert f"Request number, to read aloud: {corrected.number_aloud}" in page.text
    assert BUTTON not in agent.get(f"/console/contacts/{first}").text
    site.verify()


def test_a_correction_is_decided_by_the_corrected_time(site, now):
    order = site.register()
    now.move_to(datetime(2026, 4, 9, 8, tzinfo=UTC))
    agent = site.browser(Role.AGENT)
    late = site.record(order)
    page = agent.press(correcting(agent, late), RECORD, received_at="8.4.2026 23:50")
    assert page.errors.keys() == {"ticket_ref"}
    page = agent.press(page, RECORD, ticket_ref="T-1")
    assert "Can be cancelled: the request was in time" in page.text


def test_a_request_that_was_entered_in_time_is_not_late_because_it_is_corrected_later(site, now):
    order = site.register()
    first = site.record(order)
    now.move_to(AFTER)
    agent = site.browser(Role.AGENT)
    page = agent.press(correcting(agent, first), RECORD, channel="email")
    assert "Can be cancelled: the request was in time" in page.text
    assert site.contacts(order)[-1].recorded_at == AFTER
    agent.press(agent.press(page, "Cancel this order"), "Cancel the order now")
    assert site.active(order)
    site.verify()


def test_a_question_is_not_corrected_to_a_request_of_the_time_at_which_it_was_entered(site, now):
    order = site.register()
    first = site.record(order, intent=Intent.QUESTION)
    now.move_to(AFTER)
    page = site.browser(Role.AGENT).get(f"/console/orders/{order}/record?supersedes={first}&intent=cancel")
    assert "Made in time, but a supervisor must enter it" not in page.text
    assert "a supervisor must enter it" in page.text


def test_an_agent_makes_no_request_that_was_in_time_late_and_a_supervisor_may(site, now):
    order = site.register()
    first = site.record(order)
    now.move_to(AFTER)
    agent, supervisor = site.browser(Role.AGENT), site.browser(Role.SUPERVISOR)
    page = agent.press(correcting(agent, first), RECORD, received_at="9.4.2026 8:00")
    assert (page.status, page.h1) == (403, "This is not for you to do")
    assert site.contact(order).is_open
    page = supervisor.press(correcting(supervisor, first), RECORD, received_at="9.4.2026 8:00")
    assert "The contractual window ended" in page.text
    assert agent.is_open(order)


def test_what_a_cancellation_is_based_on_is_not_offered_for_correction(site, agent):
    order = site.register()
    done = site.cancel(order)
    assert BUTTON not in agent.get(f"/console/contacts/{done.contact_id}").text


def test_a_time_that_cannot_be_is_asked_back_with_what_was_typed(site, agent):
    first = site.record(site.register(service_provided_at=TOO_LONG_AGO))
    page = agent.press(correcting(agent, first), RECORD, received_at="9.4.2026 10:00", channel="email")
    assert page.errors["received_at"].startswith("This time cannot be")
    assert page.form(RECORD).fields.items() >= {"received_at": "9.4.2026 10:00", "channel": "email"}.items()


@pytest.mark.parametrize("intent", list(Intent))
def test_a_correction_that_changes_nothing_is_refused_and_the_number_stays(site, agent, intent):
    order = site.register()
    given = {"note": "\nAsked\r\ntwice. ", "from_detail": "+49891234567", "received_at": NOW - timedelta(seconds=90)}
    first, before = site.record(order, intent=intent, **given), site.position
    page = agent.press(correcting(agent, first), RECORD)
    assert (page.status, page.errors) == (422, {"channel": "Nothing is changed: change what is wrong."})
    assert site.position == before
    page = agent.press(page, RECORD, note="Asked three times.")
    assert (page.status, site.contacts(order)[-1].note) == (200, "Asked three times.")


def test_a_request_without_its_order_is_corrected_in_the_same_way(site, agent):
    first = site.keep("the blue one", received_at=NOW - timedelta(seconds=90), note="Asked twice.")
    page = agent.press(agent.get(f"/console/unmatched/{first}"), BUTTON)
    fields = {"order_hint": "the blue one", "received_at": "8 Apr 2026, 10:18", "note": "Asked twice."}
    assert page.form(RECORD).fields.items() >= fields.items()
    same = agent.press(page, RECORD)
    assert (same.status, same.errors) == (422, {"channel": "Nothing is changed: change what is wrong."})
    page = agent.press(page, RECORD, channel="email", order_hint="the red one")
    assert (page.h1, page.facts["Said of the order"]) == ("Not matched to an order yet", "the red one")
    with site.store.read(COMMAND_LINE) as uow:
        earlier = uow.unmatched.get(first)
        corrected = uow.unmatched.get(earlier.superseded_by)
    assert (corrected.channel, corrected.received_at) == (Channel.EMAIL, NOW - timedelta(seconds=90))
    before = agent.get(f"/console/unmatched/{first}")
    assert before.h1 == "A request that was superseded"
    assert agent.follow(before, "To the entry that replaces it").path == page.path
    assert all(list(form.fields) in ([], ["csrf_token"]) for form in before.forms)
    site.verify()


def found_by(browser, number):
    """Where the number of a request leads, and what the page says of it."""
    page = browser.press(browser.get("/console/"), "Check", q=number)
    return page.path, number in page.text


def test_the_number_that_the_customer_was_told_leads_to_the_correction_and_is_named_there(site, agent):
    first = site.record(site.register())
    number = agent.get(f"/console/contacts/{first}").main.one("strong", class_="reference").text
    page = agent.press(correcting(agent, first), RECORD, channel="email")
    assert found_by(agent, number) == (page.path, True)
    again = agent.press(agent.press(page, BUTTON), RECORD, note="And again.")
    assert found_by(agent, number)[0] == again.path
    kept = agent.get(f"/console/unmatched/{site.keep('the blue one')}")
    number = kept.main.one("p", class_="reference").text
    page = agent.press(agent.press(kept, BUTTON), RECORD, channel="email")
    assert found_by(agent, number) == (page.path, True)
    page = agent.press(page, "Match", order_id=site.register())
    assert found_by(agent, number)[0] == page.path


def test_a_correction_keeps_what_is_restricted_and_says_so(site):
    order = site.register(customer_ref="K-restricted-correction")
    first = site.record(order, note="Frau Muster", ticket_ref="T-Muster", from_detail="+498912345678")
    with site.store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, uow.orders.get(order).customer_id, LimitKind.RESTRICTION, "a dispute")
    agent = site.browser(Role.AGENT)
    page = correcting(agent, first)
    assert page.text.count("On record, but restricted: blank keeps it.") == 3
    assert "Muster" not in page.text
    page = agent.press(page, RECORD, channel="email")
    corrected = site.contacts(order)[-1]
    assert (corrected.supersedes, corrected.channel) == (first, Channel.EMAIL)
    assert (corrected.note, corrected.ticket_ref, corrected.from_detail) == ("Frau Muster", "T-Muster", "+498912345678")
    site.verify()


def test_a_correction_that_keeps_the_time_as_it_is_shown_keeps_its_seconds_in_german_too(site):
    order, browser = site.register(), site.browser(Role.AGENT, "de")
    first = site.record(order, received_at=NOW - timedelta(seconds=90))
    page = browser.press(browser.get(f"/console/contacts/{first}"), "Kontaktart oder Zeitpunkt korrigieren")
    browser.press(page, "Korrektur erfassen", channel="email")
    assert {one.received_at for one in site.contacts(order)} == {NOW - timedelta(seconds=90)}
    assert len(site.contacts(order)) == 2
