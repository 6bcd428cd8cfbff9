"""A request whose order nobody knows is recorded, matched to its order later, or closed."""

import re
from datetime import UTC, datetime

import pytest

from tests.console.conftest import NOW

CARD = "4111 1111 1111 1111"


def keep(site, hint="the blue one", **contact):
    """Record a contact without its order, and return the path of its page."""
    return f"/console/unmatched/{site.keep(hint, **contact)}"


def begun(browser, number="B-4711?", **typed):
    """The form to record a contact, after nothing had the number."""
    page = browser.press(browser.get("/console/"), "Check", q=number, **typed)
    return browser.press(page, "Record it without its order")


def test_what_nothing_has_is_recorded_with_what_was_typed(site, agent):
    page = begun(agent, channel="email", received_at="yesterday 17:40", sent_at="yesterday 17:39")
    assert page.h1 == "Record without an order"
    fields = page.form("Record").fields
    assert (fields["order_hint"], fields["channel"], fields["intent"]) == ("B-4711?", "email", "cancel")
    page = agent.press(page, "Record", note="Was friendly.", from_detail="a@example.com")
    assert page.h1 == "Not matched to an order yet"
    assert re.search("[0-9]{4}-[0-9]{4}", page.text)
    facts = {"Said of the order": "B-4711?", "Channel": "E-mail", "From": "a@example.com", "Note": "Was friendly."}
    assert page.facts.items() >= facts.items()
    assert page.facts["Received"] == "Tuesday, 7 April 2026, 17:40"
    assert "B-4711" not in "".join(agent.visited)
    site.verify()


def test_a_request_without_a_time_was_received_when_the_form_was_opened(site, agent, now):
    page = begun(agent)
    now.shift(600)
    page = agent.press(page, "Record")
    assert page.facts["Received"] == "Wednesday, 8 April 2026, 10:20 (Berlin time)"
    assert page.facts["Entered"].startswith("Wednesday, 8 April 2026, 10:30")


def test_a_form_that_does_not_fit_keeps_what_was_typed(site, agent):
    page = agent.press(begun(agent, received_at="when?"), "Record", note=CARD, order_hint="")
    assert set(page.errors) == {"order_hint", "note"}
    page = agent.press(page, "Record", note="no card", order_hint="again", received_at="when?")
    assert set(page.errors) == {"received_at"}
    assert page.form("Record").fields["received_at"] == "when?"
    assert page.form("Record").fields["order_hint"] == "again"
    assert agent.press(page, "Record", received_at="8:05").facts["Received"].endswith("08:05 (Berlin time)")


def test_a_number_needs_its_country_code_because_no_order_says_where_the_customer_is(site, agent):
    page = begun(agent)
    assert "with + and its country code" in page.text
    page = agent.press(page, "Record", from_detail="0171 1234567")
    assert page.errors["from_detail"].startswith("Write a telephone number with + and its country code")
    page = agent.press(page, "Record", from_detail="+49 171 1234567")
    assert page.facts["From"] == "+491711234567"


def test_it_is_recorded_once_however_often_the_form_is_sent(agent):
    page = begun(agent)
    first, second = (agent.press(page, "Record", note="once") for _ in range(2))
    assert first.path == second.path


def test_who_may_not_write_contacts_is_offered_nothing(auditor, product):
    assert "Record it without its order" not in auditor.press(auditor.get("/console/"), "Check", q="B-1").source
    assert auditor.get("/console/unmatched/new").status == product.get("/console/unmatched/new").status == 403


def test_by_date_it_is_recorded_too(agent):
    page = agent.press(agent.get("/console/"), "Check by date", provided_on="2.4.2026", region="DE-BY")
    page = agent.press(page, "Record it without its order")
    assert page.form("Record").fields["received_at"] == "8 Apr 2026, 10:20"
    assert agent.press(page, "Record", order_hint="no number").h1 == "Not matched to an order yet"


def test_the_open_requests_list_it_until_it_is_matched(site, agent):
    path = keep(site, "an order of Tuesday", received_at=NOW)
    page = next(one for one in agent.queue() if path in one.links.values())
    assert "an order of Tuesday" in page.text
    order = site.register()
    page = agent.press(agent.get(path), "Match", order_id=order.lower())
    contact = site.contact(order)
    assert page.path == f"/console/contacts/{contact.contact_id}"
    assert contact.received_at == NOW
    assert not any(path in one.links.values() for one in agent.queue())
    page = agent.get(path)
    assert page.h1 == "Matched to its order"
    assert "an order of Tuesday" not in page.source
    assert agent.follow(page, "To the request").path == f"/console/contacts/{contact.contact_id}"
    assert "contact matched to its order" in agent.get(f"/console/orders/{order}/history").text
    site.verify()


def test_its_number_leads_to_it_and_later_to_what_it_became(site, agent):
    page = agent.get(keep(site))
    path, number = page.path, page.main.one("p", class_="reference").text
    assert agent.press(agent.get("/console/"), "Check", q=number).path == path
    became = agent.press(page, "Match", order_id=site.register())
    assert agent.press(agent.get("/console/"), "Check", q=number.replace("-", "")).path == became.path


def test_an_unknown_order_is_asked_for_again(site, agent):
    path = keep(site)
    page = agent.press(agent.get(path), "Match", order_id="B-0000")
    assert set(page.errors) == {"order_id"}
    assert page.form("Match").fields["order_id"] == "B-0000"
    two = [site.register(customer_ref="K-two-orders") for _ in range(2)]
    assert set(agent.press(page, "Match", order_id="K-two-orders").errors) == {"order_id"}
    assert agent.press(page, "Match", order_id=two[0]).path.startswith("/console/contacts/")


def test_a_ticket_is_asked_for_where_it_is_needed(site, now):
    now.move_to(datetime(2026, 4, 9, 8, 0, tzinfo=UTC))
    agent = site.browser("agent")
    path, order = keep(site, received_at=NOW), site.register()
    page = agent.press(agent.get(path), "Match", order_id=order)
    assert set(page.errors) == {"ticket_ref"}
    assert agent.press(page, "Match", ticket_ref="T-9").facts["Ticket"] == "T-9"


def test_a_ticket_and_a_note_are_added_later_once(site, agent):
    page = agent.get(keep(site))
    assert agent.press(page, "Add").errors == {"note": "Fill this in."}
    page = agent.press(page, "Add", ticket_ref="T-1")
    assert page.facts["Ticket"] == "T-1"
    page = agent.press(page, "Add", note="He called again.")
    assert page.facts["Note"] == "He called again."
    assert not [form for form in page.forms if "Add" in form.buttons]
    site.verify()


def test_it_has_words_for_the_customer_and_a_mail_to_them(site, agent):
    page = agent.get(keep(site, received_at=NOW, from_detail="kim@example.org"))
    number = page.main.one("p", class_="reference").text
    words = page.main.one("section", class_="words", lang="en").text.replace("\xa0", " ")
    assert f"Its time counts, also if we find your order only later. Your request number is {number}." in words
    assert "We have recorded your request of 8 April 2026, 10:20; its time counts." in words
    mails = [one["href"] for one in page.main.every("a") if one["href"].startswith("mailto:")]
    assert [one.partition("?")[0] for one in mails] == ["mailto:kim@example.org"] * 2


def test_it_is_closed_for_a_reason(site, agent):
    path = keep(site)
    page = agent.press(agent.get(path), "Close")
    assert set(page.errors) == {"reason"}
    page = agent.press(page, "Close", reason="Another shop's.")
    assert (page.path, page.h1) == (path, "Closed without an order")
    assert page.facts["Resolved"].endswith("you: Another shop's.")
    offered = {button for form in page.forms for button in form.buttons}
    assert offered == {"Said on the telephone", "Record the answer", "Add", "Reopen the request"}


@pytest.mark.parametrize("role", ["auditor"])
def test_an_auditor_sees_it_without_what_is_personal(site, role):
    page = site.browser(role).get(keep(site, "the secret one", note="and a note"))
    assert page.h1 == "Not matched to an order yet"
    assert "secret" not in page.source
    assert "note" not in page.text.lower()
    assert page.forms == []


def test_it_speaks_german(site):
    browser = site.browser("agent", "de")
    page = browser.get(keep(site))
    assert page.h1 == "Noch keiner Bestellung zugeordnet"
    assert "Vorgangsnummer" in page.text


def test_the_answer_to_the_customer_is_noted_and_stays_when_it_is_matched(site, agent):
    path = keep(site, from_detail="kim@example.org")
    page = agent.get(path)
    assert {"Said on the telephone", "E-mail sent to kim@example.org"} <= {
        name for form in page.forms for name in form.buttons
    }
    page = agent.press(page, "Record the answer", channel="email", to="nobody")
    assert set(page.errors) == {"to"}
    page = agent.press(page, "E-mail sent to kim@example.org")
    assert page.facts["Answered"].endswith("you: by e-mail")
    assert "Record the answer" not in page.source
    page = agent.press(page, "Match", order_id=site.register())
    assert page.facts["Answered"].endswith("you: by e-mail")
    site.verify()
