"""Withdrawals at the console: recorded from a refusal, receipted in words, and cancelled by a supervisor."""

import re
from datetime import timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.records import Basis, Intent, OverrideKind
from tests.console.conftest import TOO_LONG_AGO
from tests.console.test_requests import answer

RECENTLY, LONG_AGO = "2026-03-26T12:00:00+01:00", "2026-03-01T12:00:00+01:00"
RECORD, CANCEL = "Record as a withdrawal", "Cancel because of the withdrawal"
FORBIDDEN = re.compile(r"kulanz|goodwill|gesture|nicht erstattbar|not refundable|kein\w* recht|no right", re.IGNORECASE)


def late(site, ordered_at=RECENTLY, **facts):
    """An order whose contractual window has ended."""
    return site.register(ordered_at=ordered_at, service_provided_at=TOO_LONG_AGO, **facts)


def buttons(page):
    """The labels of the buttons of an answer, in order."""
    return [button.label for button in next(page.main.every("div", class_="actions")).every("button")]


def primary(page):
    """The label of the button that stands out."""
    return page.main.one("button", class_="primary").label


def declared(browser, order, query="?channel=post", **typed):
    """The page of a withdrawal that was recorded from the answer about an order."""
    page = browser.press(answer(browser, order, query), RECORD)
    return browser.press(page, "Record", **typed)


def test_when_a_written_withdrawal_was_sent_is_asked_where_it_is_recorded(site, agent):
    """It counts, and may make the difference; on the telephone nothing is sent."""
    order = late(site)
    page = agent.press(answer(agent, order, "?channel=phone"), RECORD)
    assert "sent_at" not in page.form("Record").fields
    wrong = declared(agent, order, sent_at="tomorrow")
    assert wrong.errors.keys() == {"sent_at"}
    page = agent.press(wrong, "Record", sent_at="yesterday 18:40")
    contact = site.contact(order)
    assert contact.sent_at.isoformat() == "2026-04-07T16:40:00+00:00"
    assert page.facts["Sent"].startswith("Tuesday, 7 April 2026, 18:40")
    page = agent.press(answer(agent, late(site), "?channel=email&sent_at=yesterday+18:40"), RECORD)
    assert page.form("Record").fields["sent_at"] == "2026-04-07T16:40:00Z", "as it was typed before"
    page = agent.press(answer(agent, site.register(), "?channel=email"), "Cancel this order")
    assert "sent_at" not in page.form("Cancel the order now").fields


def test_a_withdrawal_is_recorded_from_a_refusal_and_cancelled_by_a_supervisor(site, agent, supervisor):
    order = late(site)
    page = declared(agent, order, note="A letter.")
    contact = site.contact(order)
    assert (contact.intent, contact.channel, contact.is_open) == (Intent.WITHDRAWAL, Channel.POST, True)
    assert page.h1 == "An open withdrawal"
    assert "A withdrawal: a supervisor must decide" in page.text
    assert CANCEL not in buttons(page)
    page = supervisor.press(supervisor.opens(order), CANCEL)
    assert page.h1 == f"Cancel {order} because of the withdrawal?"
    page = supervisor.press(page, CANCEL)
    assert page.errors == {"reason": "Fill this in."}
    page = supervisor.press(page, CANCEL, reason="A consumer, within 14 days.")
    done = site.active(order)
    assert (done.basis, done.override_kind, done.contact_id) == (
        Basis.STATUTORY,
        OverrideKind.STATUTORY,
        contact.contact_id,
    )
    assert page.facts["Basis"] == "statutory withdrawal, approved by you: A consumer, within 14 days."
    assert f"The order {order} has ended as a result." in page.text
    assert f"Die Bestellung {order} ist damit beendet." in page.text
    assert not FORBIDDEN.search(page.text)
    site.verify()


@pytest.mark.parametrize(("ordered_at", "first"), [(RECENTLY, True), (LONG_AGO, False), (None, False)])
def test_recording_a_withdrawal_comes_first_while_the_information_period_runs(
    site, agent, supervisor, ordered_at, first
):
    order = late(site, ordered_at)
    for browser in (agent, supervisor):
        page = answer(browser, order, "?channel=phone")
        assert (buttons(page)[0] == RECORD) == first
        assert ("For information only: 14 calendar days" in page.text) == (ordered_at is not None)
        assert "Was a withdrawal declared?" in page.text
    assert "Was a withdrawal declared?" not in answer(agent, site.register()).text
    assert primary(answer(supervisor, order)) == (RECORD if first else "Cancel as goodwill")
    agent.press(answer(agent, order), "Record the request")
    page = supervisor.opens(order)
    assert (buttons(page)[0] == RECORD) == first
    assert primary(page) == (RECORD if first else "Cancel as goodwill")


def test_a_refused_request_becomes_a_withdrawal_with_its_own_times(site, agent, now):
    order = late(site)
    agent.press(answer(agent, order, "?channel=email&received_at=2026-04-08T09:00:00%2B02:00"), "Record the request")
    refused = site.contact(order)
    now.shift(timedelta(minutes=5))
    page = agent.press(agent.press(agent.opens(order), RECORD), "Record")
    earlier, contact = site.contacts(order)
    assert (contact.supersedes, earlier.superseded_by) == (refused.contact_id, contact.contact_id)
    assert (contact.intent, contact.channel, contact.received_at) == (
        Intent.WITHDRAWAL,
        Channel.EMAIL,
        refused.received_at,
    )
    assert page.h1 == "An open withdrawal"


@pytest.mark.parametrize(
    ("language", "receipt"),
    [
        ("de", "Eingangsbestätigung: Ihr Widerruf ist am 8. April 2026, 10:20 Uhr (Ortszeit Berlin) per Post"),
        ("en", "Confirmation of receipt: we received your withdrawal on 8 April 2026, 10:20 (Berlin time), by post."),
    ],
)
def test_a_withdrawal_has_a_confirmation_of_receipt_in_each_language(site, agent, language, receipt):
    order = late(site)
    page = declared(agent, order)
    words = page.main.one("section", class_="words", lang=language).text.replace("\u00a0", " ")
    assert receipt in words
    assert order in words
    assert not FORBIDDEN.search(words)


def test_a_withdrawal_within_the_window_is_cancelled_by_anybody(site, agent):
    order = site.register()
    page = declared(agent, order)
    agent.press(agent.press(page, "Cancel this order"), "Cancel the order now")
    assert site.active(order).basis is Basis.POLICY


def test_a_withdrawal_from_a_cancelled_order_is_recorded(site, agent):
    order = site.register()
    site.cancel(order)
    page = declared(agent, order)
    assert page.h1 == "A withdrawal, on record"
    assert "Cancelled on Wednesday, 8 April 2026" in page.text.replace("\xa0", " ")
    assert not site.contacts(order)[-1].is_open


def test_only_a_supervisor_takes_a_withdrawal_off_the_open_list(site, agent, supervisor):
    order = late(site)
    declared(agent, order)
    assert "off the Open list" not in agent.opens(order).text
    page = supervisor.press(supervisor.opens(order), "Resolve the request", reason_code="answered_in_writing")
    assert page.h1 == "A resolved withdrawal"
    assert not site.contact(order).is_open


def test_the_open_list_names_the_withdrawal_of_an_order_with_a_late_request(site, agent):
    order = late(site)
    agent.press(answer(agent, order), "Record the request")
    declared(agent, order)
    page = next(page for page in agent.queue() if order in page.links)
    row = next(row for row in page.main.every("tr") if order in row.text)
    assert page.title.startswith("Open requests: Withdrawals")
    assert "2 requests" in row.text


def test_whoever_looks_at_the_order_is_led_to_the_open_withdrawal(site, agent, supervisor):
    order = late(site)
    agent.press(answer(agent, order), "Record the request")
    request = site.contact(order).contact_id
    declared(agent, order)
    address = f"/console/contacts/{site.contacts(order)[-1].contact_id}"
    for path in (f"/console/orders/{order}?channel=phone", f"/console/contacts/{request}"):
        page = supervisor.get(path)
        assert "A withdrawal: a supervisor must decide" in page.text
        assert "The contractual window ended" not in page.main.one("div", class_="verdict").text
        assert "Cancel as goodwill" not in buttons(page)
        assert primary(page) == "To the open withdrawal of 8 April 2026, 10:20"
        assert supervisor.press(page, primary(page)).path == address
