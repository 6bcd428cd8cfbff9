"""What becomes of a contact at the console: its number, its answer, its ticket and note, its resolution and reopening."""

import pytest

from refunds.domain.permissions import Role
from refunds.domain.records import Intent
from refunds.domain.references import REQUEST_NUMBER
from tests.console.conftest import TOO_LONG_AGO

CARD = "4111 1111 1111 1111"


def page_of(browser, contact_id):
    """The page of a contact."""
    return browser.get(f"/console/contacts/{contact_id}")


def reasons(page):
    """The values of the reasons in the form to resolve."""
    form = next(one for one in page.main.every("form") if "Resolve the request" in one.text)
    return [one["value"] for one in form.every("input", name="reason_code")]


def test_the_request_number_is_shown_once_it_is_recorded_and_finds_the_contact(site, agent):
    order = site.register()
    page = agent.press(agent.get(f"/console/orders/{order}"), "Record, cancel later")
    number = REQUEST_NUMBER.spoken(site.contact(order).request_number)
    assert f"Request number, to read aloud: {number}" in page.text
    for spelt in (number, number.replace("-", ""), number.replace("-", " ")):
        assert agent.press(agent.get("/console/"), "Check", q=spelt).path == page.path
    assert number in agent.get(f"/console/orders/{order}/history").text


def test_a_misheard_request_number_is_reported_and_an_unknown_one_too(agent):
    unknown = agent.press(agent.get("/console/"), "Check", q="1234-5671")
    assert (unknown.status, unknown.errors["q"].split(".")[0]) == (422, "Nothing has this number")
    wrong = agent.press(agent.get("/console/"), "Check", q="1234-5672")
    assert wrong.errors["q"].endswith("its check digit does not fit.")


def test_an_order_and_a_customer_are_found_before_a_request_with_the_same_number(site, agent):
    order = site.register()
    site.record(order)
    number = site.contact(order).request_number
    other = site.register(customer_ref=number)
    page = agent.press(agent.get("/console/"), "Check", q=number)
    assert page.path == f"/console/orders/{other}"


def test_an_answer_is_recorded_with_its_channel_and_where_it_went(site, agent):
    contact_id = site.record(site.register(), from_detail="+49891234567")
    page = page_of(agent, contact_id)
    refused = agent.press(page, "Record the answer", channel="email", to="nowhere", given_at="yesterday 17:40")
    assert (refused.status, refused.errors.keys()) == (422, {"to"})
    assert refused.form("Record the answer").fields["given_at"] == "yesterday 17:40"
    refused = agent.press(page, "Record the answer", channel="email", to="kim@example.org", given_at="yesterday 17:40")
    assert refused.errors["given_at"].startswith("This time cannot be: it lies in the future, or before")
    page = agent.press(page, "Record the answer", channel="email", to="kim@example.org")
    assert page.facts["Answered"].endswith(", you: by e-mail, kim@example.org")
    assert not [form for form in page.forms if "Record the answer" in form.buttons]
    site.verify()


def test_a_ticket_and_a_note_are_added_later_once(site, agent):
    contact_id = site.record(site.register(), intent=Intent.QUESTION)
    page = page_of(agent, contact_id)
    assert agent.press(page, "Add").errors == {"note": "Fill this in."}
    assert agent.press(page, "Add", note=CARD).errors["note"].startswith("This looks like the number of a card")
    page = agent.press(page, "Add", ticket_ref="T-1")
    assert page.facts["Ticket"] == "T-1"
    assert "note" in page.form("Add").names
    assert "ticket_ref" not in page.form("Add").names
    page = agent.press(page, "Add", note="Asked twice.")
    assert page.facts["Note"] == "Asked twice."
    assert not [form for form in page.forms if "Add" in form.buttons]


def test_only_a_supervisor_is_offered_other_reasons_for_a_request_that_was_in_time(site, agent, supervisor):
    contact_id, late = site.record(site.register()), site.record(site.register(service_provided_at=TOO_LONG_AGO))
    assert reasons(page_of(agent, contact_id)) == ["customer_kept_order", "entered_in_error"]
    assert reasons(page_of(supervisor, contact_id)) == ["customer_kept_order", "entered_in_error", "other"]
    assert "other" in reasons(page_of(agent, late))
    page = agent.press(page_of(agent, late), "Resolve the request", reason_code="other")
    assert page.errors == {"reason": "Fill this in."}
    page = agent.post(
        f"/console/contacts/{contact_id}",
        {"csrf_token": agent.token, "doing": "resolve", "reason_code": "other", "reason": "No."},
    )
    assert page.status == 403


def test_a_duplicate_is_resolved_with_a_link_to_the_other_which_stays_open(site, agent):
    order = site.register()
    first, second = site.record(order), site.record(order)
    page = agent.press(page_of(agent, second), "Resolve the request", reason_code="duplicate", duplicate_of=first)
    assert page.facts["Resolved"].endswith(", you: A duplicate of another request To the other request")
    assert agent.follow(page, "To the other request").path == f"/console/contacts/{first}"
    assert agent.is_open(order)


def test_the_other_contact_counts_only_for_a_duplicate(site, agent):
    order = site.register()
    contacts = [site.record(order) for _ in range(2)]
    page = agent.press(page_of(agent, contacts[0]), "Resolve the request", reason_code="customer_kept_order")
    assert page.h1 == "A resolved request"
    assert [one.duplicate_of for one in site.contacts(order)] == [None, None]


def test_a_resolved_request_is_reopened_and_the_history_tells_why(site, agent):
    order = site.register()
    page = page_of(agent, site.record(order))
    page = agent.press(page, "Resolve the request", reason_code="customer_kept_order")
    assert agent.press(page, "Reopen the request").errors == {"reason_code": "Fill this in."}
    page = agent.press(page, "Reopen the request", reason_code="customer_asked_again")
    assert page.h1 == "An open request"
    assert agent.is_open(order)
    page = agent.press(page, "Record the answer", channel="email", to="kim@example.org")
    page = agent.press(page, "Add", ticket_ref="T-1", note="Asked twice.")
    number = site.contact(order).number_aloud
    site.record(order, supersedes=site.contact(order).contact_id)
    items = list(agent.get(f"/console/orders/{order}/history").root.one("ol", class_="timeline").every("li"))
    texts = [item.text for item in items]
    assert [item.text.partition(number)[2] for item in items if item.one("h3").text.startswith("contact re")][1:3] == [
        ": The customer keeps the order",
        ": The customer asks for it after all",
    ]
    texts = [item.text for item in items]
    assert any(text.endswith(f"{number}: by e-mail, kim@example.org") for text in texts)
    assert any(text.endswith(f"{number}: Ticket, Note") for text in texts)
    assert any("contact superseded" in text for text in texts)


def test_a_superseded_contact_leads_to_the_one_that_replaces_it_and_has_no_forms(site, agent):
    order = site.register()
    first = site.record(order)
    second = site.record(order, supersedes=first)
    page = page_of(agent, first)
    assert not any({"Add", "Record the answer"} & set(form.buttons) for form in page.forms)
    assert agent.follow(page, "To the entry that replaces it").path == f"/console/contacts/{second}"


@pytest.mark.parametrize("doing", ["", "delete"])
def test_what_no_form_does_is_refused(site, agent, doing):
    contact_id, before = site.record(site.register()), site.position
    fields = {"csrf_token": agent.token, "doing": doing, "reason_code": "entered_in_error"}
    assert agent.post(f"/console/contacts/{contact_id}", fields).status == 422
    assert site.position == before


def test_an_auditor_sees_the_number_and_no_form(site, agent):
    contact_id = site.record(site.register())
    page = page_of(site.browser(Role.AUDITOR), contact_id)
    assert "Request number" in page.text
    assert not any({"Add", "Record the answer", "Resolve the request"} & set(form.buttons) for form in page.forms)
