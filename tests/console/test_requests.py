"""Customers' requests: cancelled, recorded, kept on the Open list, resolved; and what only supervisors may do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_plus

import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Basis, Intent, OverrideKind, RevocationReason
from refunds.domain.references import REFERENCE
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import InvalidInput
from refunds.service import cancellations, publication, resolutions, settlements
from refunds.service.contacts import NewContact
from refunds.service.resolutions import Resolution
from tests.console.conftest import BEFORE, NOW, PROVIDED, TOO_LONG_AGO, opened

CARD, IBAN = "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00"
ENDED = "The contractual window ended at the end of Tuesday, 31 March 2026 (Berlin time)"
LAST_MINUTE = datetime(2026, 4, 8, 21, 58, tzinfo=UTC)
"""Just before the deadline of a service that was provided on 2 April: 23:58 in Berlin."""


def answer(browser, order, query=""):
    """The answer about an order."""
    return browser.get(f"/console/orders/{order}{query}")


def test_an_order_is_cancelled_in_two_steps_and_its_reference_is_shown(site, agent):
    order = site.register()
    page = agent.press(answer(agent, order), "Cancel this order")
    assert page.h1 == f"Cancel {order}?"
    assert page.facts == {
        "Order": order,
        "Channel": "Phone",
        "Received": "Wednesday, 8 April 2026, 10:20",
        "Window ends": "at the end of Wednesday, 8 April 2026 (Berlin time)",
        "Entered by": "agent-1",
    }
    assert site.active(order) is None
    page = agent.press(page, "Cancel the order now", ticket_ref="T-1", note="Was very friendly.\nTwice.")
    done = site.active(order)
    assert (page.h1, page.path) == ("The order is cancelled", f"/console/cancellations/{done.cancellation_id}")
    assert REFERENCE.spoken(done.reference) in page.text
    assert (done.basis, done.issued_by) == (Basis.POLICY, site.user("agent-1").user_id)
    contact = site.contact(order)
    assert (contact.intent, contact.channel, contact.received_at, contact.ticket_ref) == (
        Intent.CANCEL,
        Channel.PHONE,
        NOW,
        "T-1",
    )
    assert contact.note == "Was very friendly.\nTwice."
    site.verify()


def test_an_e_mail_of_yesterday_is_recorded_with_its_own_times(site, agent):
    order = site.register()
    page = answer(agent, order, "?channel=email&received_at=yesterday+17:40&sent_at=yesterday+17:39")
    page = agent.press(agent.press(page, "Cancel this order"), "Cancel the order now", from_detail="a@example.com")
    contact = site.contact(order)
    assert (contact.channel, contact.from_detail) == (Channel.EMAIL, "a@example.com")
    assert contact.received_at == datetime(2026, 4, 7, 15, 40, tzinfo=UTC)
    assert contact.sent_at == contact.received_at - timedelta(minutes=1)
    assert site.active(order) is not None


def test_no_address_contains_personal_data(site, agent):
    order, typed = (
        site.register(customer_ref="K-55501"),
        {"ticket_ref": "T-55501", "note": "N-55501", "from_detail": "p55501@example.com"},
    )
    other = site.register(customer_ref="K-55501")
    page = agent.press(agent.get("/console/"), "Check", q="K-55501")
    page = agent.press(agent.follow(page, order), "Record, cancel later")
    page = agent.press(page, "Cancel this order")
    page = agent.press(page, "Cancel the order now")
    page = agent.press(agent.press(answer(agent, other), "Cancel this order"), "Cancel the order now", **typed)
    assert site.contact(other).note == "N-55501"
    agent.press(page, "Revoke", reason_code="entered_in_error", reason="R-55501")
    agent.get(f"/console/orders/{order}/history")
    assert not any("55501" in unquote_plus(address) for address in agent.visited)


def test_a_question_is_recorded_with_one_press_and_is_not_on_the_open_list(site, agent):
    order = site.register()
    page = agent.press(answer(agent, order), "Only a question")
    contact = site.contact(order)
    assert (page.h1, page.path) == ("A question, on record", f"/console/contacts/{contact.contact_id}")
    assert (contact.intent, contact.is_open) == (Intent.QUESTION, False)
    assert not agent.is_open(order)
    assert site.active(order) is None


def test_who_cancels_on_a_stored_request_is_not_called_who_entered_it(site, supervisor):
    order = site.register()
    page = supervisor.press(supervisor.get(f"/console/contacts/{site.record(order)}"), "Cancel this order")
    assert (page.facts.get("Entered by"), page.facts["Issued by"]) == (None, "supervisor-1")


def test_a_question_is_answered_by_what_is_known_when_its_page_is_read(site, agent, now):
    """The answer is often written later: by then, billing may have sent the date of the service."""
    order = site.register(service_provided_at=None)
    page = agent.get(f"/console/contacts/{site.record(order, intent=Intent.QUESTION)}")
    assert "can be cancelled" in page.text
    site.register(order, service_provided_at=PROVIDED)
    page = agent.get(page.path)
    assert "can be cancelled until the end of Wednesday, 8 April 2026" in page.text
    assert "We have no date of provision" not in page.text
    now.shift(timedelta(days=1))
    page = site.browser(Role.AGENT).get(page.path)
    assert page.h1 == "A question, on record"
    assert "Words for the customer" not in page.text


def test_a_question_about_a_service_that_was_provided_since_is_not_answered_as_if_it_were_not(site, agent, now):
    order = site.register(service_provided_at="2026-04-10T12:00:00+02:00")
    path = f"/console/contacts/{site.record(order, intent=Intent.QUESTION)}"
    assert "The service has not been provided yet" in agent.get(path).text
    now.shift(timedelta(days=20))
    page = site.browser(Role.AGENT).get(path)
    assert page.h1 == "A question, on record"
    assert "Words for the customer" not in page.text


def test_a_request_made_before_the_service_is_shown_alike_by_its_page_and_by_the_answer(site, now):
    order = site.register(service_provided_at="2026-04-10T12:00:00+02:00")
    contact = site.record(order)
    now.shift(timedelta(days=20))
    agent = site.browser(Role.AGENT)
    for page in (agent.get(f"/console/contacts/{contact}"), answer(agent, order)):
        assert "Can be cancelled: the customer asked before the service was provided" in page.text
        assert "has not been provided yet" not in page.text


def test_a_resolved_request_is_shown_by_what_is_known_now(site, supervisor):
    """A customer who calls again names its number, and is told what its page says."""
    order = site.register(service_provided_at=None)
    contact = site.record(order)
    with site.store.write(site.principal(Role.AGENT)) as uow:
        resolutions.resolve(uow, contact, Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER))
    page = supervisor.get(f"/console/contacts/{contact}")
    assert "Can be cancelled: no date of provision is on record" in page.text
    site.register(order, service_provided_at=PROVIDED)
    page = supervisor.get(page.path)
    assert page.h1 == "A resolved request"
    assert "Can be cancelled until the end of Wednesday, 8 April 2026" in page.text
    assert "Can be cancelled: no date of provision is on record" not in page.text


@pytest.mark.parametrize(
    ("contact", "heading"),
    [
        ({"intent": Intent.WITHDRAWAL}, "A resolved withdrawal"),
        ({"received_at": NOW - timedelta(days=10), "ticket_ref": "T-1"}, "A resolved request"),
    ],
)
def test_no_supervisor_has_to_decide_what_is_resolved(site, supervisor, contact, heading):
    """Otherwise, the customer is told that their withdrawal waits for a decision that nobody will make."""
    order = site.register(service_provided_at=TOO_LONG_AGO)
    page = supervisor.get(f"/console/contacts/{site.record(order, **contact)}")
    assert "supervisor" in page.text.partition("What was recorded")[0]
    with site.store.write(site.principal(Role.SUPERVISOR)) as uow:
        resolutions.resolve(
            uow, page.path.rpartition("/")[2], Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER)
        )
    page = supervisor.get(page.path)
    assert page.h1 == heading
    assert "supervisor" not in page.text.partition("What was recorded")[0]


@pytest.mark.parametrize("intent", [Intent.QUESTION, Intent.CANCEL])
def test_a_contact_about_a_cancelled_order_does_not_call_it_cancelled_after_a_revocation(site, supervisor, intent):
    order = site.register()
    issued = site.cancel(order)
    contact = site.record(order, intent=intent)
    with site.store.write(site.principal(Role.SUPERVISOR)) as uow:
        settlements.revoke(uow, issued.cancellation_id, RevocationReason.ENTERED_IN_ERROR, None)
    assert "to read aloud" not in supervisor.get(f"/console/cancellations/{issued.cancellation_id}").text
    text = supervisor.get(f"/console/contacts/{contact}").text.partition("What was recorded")[0]
    assert "already" not in text.lower()
    assert "can be cancelled until the end of Wednesday, 8 April 2026" in text


def test_a_request_stays_on_the_open_list_until_its_order_is_cancelled(site, agent):
    order = site.register()
    page = agent.press(answer(agent, order), "Record, cancel later")
    assert page.h1 == "An open request"
    page = agent.opens(order)
    page = agent.press(page, "Cancel this order")
    assert page.facts["Received"] == "Wednesday, 8 April 2026, 10:20"
    page = agent.press(page, "Cancel the order now")
    assert page.h1 == "The order is cancelled"
    assert not agent.is_open(order)
    assert site.active(order).contact_id == site.contact(order).contact_id


def test_a_request_is_resolved_with_a_reason_and_leaves_the_open_list(site, agent):
    order = site.register()
    page = agent.press(answer(agent, order), "Record, cancel later")
    refused = agent.press(page, "Resolve the request", reason="He keeps it.")
    assert (refused.status, refused.errors) == (422, {"reason_code": "Fill this in."})
    refused = agent.press(page, "Resolve the request", reason_code="customer_kept_order", reason="...")
    assert refused.status == 422
    assert refused.form("Resolve the request").fields["reason"] == "..."
    page = agent.press(refused, "Resolve the request", reason="He keeps it.")
    assert page.h1 == "A resolved request"
    assert page.facts["Resolved"].endswith(", you: The customer keeps the order: He keeps it.")
    assert not agent.is_open(order)


def test_a_call_that_began_before_the_deadline_is_in_time(site, now):
    """The request was received when the check was made; it needs a ticket, like every late entry."""
    agent, order = site.browser(Role.AGENT), site.register()
    now.move_to(LAST_MINUTE)
    agent = site.browser(Role.AGENT)
    page = agent.press(answer(agent, order), "Cancel this order")
    now.move_to(LAST_MINUTE + timedelta(minutes=4))
    before = site.position
    refused = agent.press(page, "Cancel the order now", note="Took his time.")
    assert (refused.status, site.position) == (422, before)
    assert refused.errors.keys() == {"ticket_ref"}
    assert refused.errors["ticket_ref"].startswith("The customer made contact before the deadline")
    assert refused.form().fields["note"] == "Took his time."
    page = agent.press(refused, "Cancel the order now", ticket_ref="T-9")
    assert page.h1 == "The order is cancelled"
    contact = site.contact(order)
    assert (contact.received_at, contact.recorded_at) == (LAST_MINUTE, LAST_MINUTE + timedelta(minutes=4))
    assert contact.backdated


@pytest.mark.parametrize("button", ["Only a question", "Record, cancel later"])
def test_a_contact_is_received_when_its_answer_was_shown(site, now, button):
    order = site.register()
    now.move_to(NOW)
    agent = site.browser(Role.AGENT)
    page = answer(agent, order)
    now.shift(timedelta(minutes=3))
    agent.press(page, button)
    assert (site.contact(order).received_at, site.contact(order).recorded_at) == (NOW, NOW + timedelta(minutes=3))


@pytest.mark.parametrize(("doing", "button"), [("cancel", "Cancel the order now"), ("record", "Record")])
def test_a_contact_is_received_at_the_time_that_the_form_showed(site, agent, now, doing, button):
    """Also where a link led straight to the form."""
    order = site.register()
    page = agent.get(f"/console/orders/{order}/{doing}?channel=phone")
    now.shift(timedelta(minutes=4))
    agent.press(page, button)
    assert page.facts["Received"] == "Wednesday, 8 April 2026, 10:20"
    assert site.contact(order).received_at == NOW


def test_a_question_before_the_deadline_is_recorded_after_it_without_a_ticket(site, now):
    order = site.register()
    now.move_to(LAST_MINUTE)
    agent = site.browser(Role.AGENT)
    page = answer(agent, order)
    now.move_to(LAST_MINUTE + timedelta(minutes=4))
    assert agent.press(page, "Only a question").h1 == "A question, on record"


def test_a_request_before_the_deadline_that_is_recorded_after_it_needs_a_ticket(site, now):
    order = site.register()
    now.move_to(LAST_MINUTE)
    agent = site.browser(Role.AGENT)
    page = answer(agent, order)
    now.move_to(LAST_MINUTE + timedelta(minutes=4))
    page = agent.press(page, "Record, cancel later")
    assert (page.status, page.errors.keys()) == (422, {"ticket_ref"})
    page = agent.press(page, "Record", ticket_ref="T-3")
    assert page.h1 == "An open request"
    assert site.contact(order).received_at == LAST_MINUTE


def test_a_late_request_is_recorded_and_its_page_says_so(site, agent):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    page = agent.press(answer(agent, order), "Record the request")
    assert (page.h1, site.active(order)) == ("An open request", None)
    assert ENDED in page.text
    assert "a supervisor can still decide otherwise" in page.text
    assert not [form for form in page.forms if "cancel" in " ".join(form.buttons).lower()]


def test_a_refused_cancellation_leads_to_the_recorded_contact(site, agent):
    """As when the window ends before the form is sent."""
    order = site.register(service_provided_at=TOO_LONG_AGO)
    page = agent.get(f"/console/orders/{order}/cancel?channel=phone")
    assert "the request is recorded and the order is not cancelled" in page.text
    page = agent.press(page, "Cancel the order now")
    assert page.path == f"/console/contacts/{site.contact(order).contact_id}"
    assert site.active(order) is None


def test_an_order_is_cancelled_once_when_two_users_confirm_it(site, agent, supervisor):
    order = site.register()
    both = [(browser, browser.press(answer(browser, order), "Cancel this order")) for browser in (agent, supervisor)]
    first, second = (browser.press(page, "Cancel the order now") for browser, page in both)
    assert first.h1 == "The order is cancelled"
    assert second.h1 == "A request whose order is cancelled"
    assert site.active(order).issued_by == site.user("agent-1").user_id
    assert len(site.contacts(order)) == 2
    site.verify()


@pytest.mark.parametrize(("field", "most"), [("note", 2001), ("ticket_ref", 101)])
def test_a_text_that_is_too_long_is_kept_and_the_limit_is_shown(site, agent, field, most):
    order, before = site.register(), site.position
    page = agent.press(
        agent.press(answer(agent, order), "Cancel this order"), "Cancel the order now", **{field: "x" * most}
    )
    assert (page.status, page.errors.keys()) == (422, {field})
    assert str(most - 1) in page.errors[field]
    assert page.form().fields[field] == "x" * most
    assert site.position == before
    assert site.active(order) is None


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("from_detail", "nobody", "Write a telephone number with +"),
        ("contact_point", "not a number", "Write a telephone number with +"),
        ("note", "\u200b", "Write at most 2000 characters"),
        ("ticket_ref", "one\ntwo", "Write the ticket in one line"),
    ],
)
def test_an_invalid_detail_is_kept_and_explained(site, agent, field, typed, message):
    order = site.register()
    page = agent.press(agent.press(answer(agent, order), "Cancel this order"), "Cancel the order now", **{field: typed})
    assert (page.status, page.errors.keys()) == (422, {field})
    assert page.errors[field].startswith(message)
    assert page.form().fields[field] == typed
    assert site.active(order) is None


def test_a_number_without_a_country_code_is_one_of_the_orders_country_and_shown_as_it_was_read(site, agent):
    order = site.register(region="AT", service_provided_at=None)
    page = agent.press(answer(agent, order), "Cancel this order")
    agent.press(page, "Cancel the order now", from_detail="0664 1234567")
    assert agent.get(f"/console/contacts/{site.contact(order).contact_id}").facts["From"] == "+436641234567"


@pytest.mark.parametrize(
    ("language", "message"),
    [("en", "one of this country: Austria."), ("de", "Nummer dieses Landes gelesen: Österreich.")],
)
def test_a_number_that_cannot_exist_there_is_explained_with_the_name_of_the_country(site, language, message):
    browser = site.browser(Role.AGENT, language)
    page = browser.get(f"/console/orders/{site.register(region='AT')}/record")
    form = next(one for one in page.forms if "from_detail" in one.names)
    page = browser.submit(form, from_detail="1")
    assert (page.status, page.errors.keys()) == (422, {"from_detail"})
    assert message in page.errors["from_detail"]
    assert "+43 664 1234567" in page.errors["from_detail"]


@pytest.mark.parametrize("number", [CARD, CARD.replace(" ", "-"), "\uff14" + CARD[1:], IBAN])
@pytest.mark.parametrize("language", ["en", "de"])
def test_payment_data_is_refused_with_an_explanation_and_shown_only_in_its_field(site, number, language):
    browser, order = site.browser(Role.SUPERVISOR, language), site.register()
    late = site.register(service_provided_at=TOO_LONG_AGO)
    contact = site.record(site.register(), note="x")
    done = site.cancel(site.register()).cancellation_id
    before = site.position
    forms = [
        (f"/console/orders/{order}/cancel", "note"),
        (f"/console/orders/{order}/cancel", "ticket_ref"),
        (f"/console/orders/{order}/record", "note"),
        (f"/console/orders/{late}", "reason"),
        (f"/console/contacts/{contact}", "reason"),
        (f"/console/cancellations/{done}", "reason"),
    ]
    for path, field in forms:
        opened_page = browser.get(path)
        if path.endswith(late):
            opened_page = browser.submit(next(one for one in opened_page.forms if "override" in one.names))
        form = next(one for one in opened_page.forms if field in one.names and one.method == "POST")
        code = {"reason_code": "entered_in_error"} if "reason_code" in form.names else {}
        page = browser.submit(form, **{field: f"He said {number}."}, **code)
        assert (page.status, page.errors.keys()) == (422, {field}), path
        assert {"en": "number of a card or of a bank account", "de": "Karte"}[language] in page.errors[field]
        assert page.source.count(number) == 1, path
        again = next(one for one in page.forms if field in one.names)
        assert number in again.fields[field]
    assert site.position == before


def test_a_telephone_number_is_not_taken_for_a_card_number(site, agent):
    order = site.register()
    page = agent.press(
        agent.press(answer(agent, order), "Cancel this order"), "Cancel the order now", note="Call +49 1511 2345678"
    )
    assert page.h1 == "The order is cancelled"


def goodwill(browser, order):
    """The page on which goodwill is confirmed."""
    return browser.press(answer(browser, order), "Cancel as goodwill")


def test_a_supervisor_needs_a_reason_to_cancel_as_goodwill(site, supervisor):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    page = goodwill(supervisor, order)
    refused = supervisor.press(page, "Cancel as goodwill", note="A note.")
    assert (refused.status, refused.errors) == (422, {"reason": "Fill this in."})
    assert (refused.h1, refused.form().fields["note"]) == (f"Cancel {order} as goodwill?", "A note.")
    page = supervisor.press(refused, "Cancel as goodwill", reason="Our line was down.")
    done = site.active(order)
    assert (done.basis, done.override_kind, done.override_reason) == (
        Basis.GOODWILL,
        OverrideKind.GOODWILL,
        "Our line was down.",
    )
    assert page.facts["Basis"] == "goodwill, approved by you: Our line was down."


def test_a_supervisor_cancels_an_open_request_as_goodwill(site, agent, supervisor):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    agent.press(answer(agent, order), "Record the request")
    page = supervisor.opens(order)
    page = supervisor.press(page, "Cancel as goodwill")
    page = supervisor.press(page, "Cancel as goodwill", reason="Loyal customer.")
    assert page.h1 == "The order is cancelled"
    assert site.active(order).contact_id == site.contact(order).contact_id


def test_a_question_cancels_nothing(site):
    """A question needs no ticket and is never a late entry, so it must not cancel."""
    question = NewContact(channel=Channel.PHONE, intent=Intent.QUESTION)
    order = site.register()
    with site.store.write(COMMAND_LINE) as uow, pytest.raises(InvalidInput, match="must be cancel"):
        cancellations.issue(uow, order=order, contact=question)
    assert site.active(order) is None


@pytest.mark.parametrize("override", list(OverrideKind))
def test_an_agent_is_offered_no_override_and_a_forged_one_changes_nothing(site, agent, override):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    contact, before = site.record(order), site.position
    for path in (f"/console/orders/{order}", f"/console/contacts/{contact}"):
        assert "goodwill" not in agent.get(path).source
    token = agent.get("/console/").forms[0].fields["csrf_token"]
    before = site.position
    forged = {
        "csrf_token": token,
        "idempotency_key": f"forged-{override}",
        "override": override,
        "reason": "because",
        "channel": "phone",
    }
    for contact_id in ({}, {"contact_id": contact}):
        page = agent.post(f"/console/orders/{order}/cancel", forged | contact_id)
        assert (page.status, page.h1) == (403, "This is not for you to do")
    assert site.position == before
    assert site.active(order) is None


@pytest.mark.parametrize("override", list(OverrideKind))
@pytest.mark.parametrize(
    "path",
    ["/console/orders/{}/cancel", "/console/orders/{}/override", "/console/orders/{}/record", "/console/orders/{}"],
)
def test_a_link_that_chooses_an_override_or_a_reason_is_refused(site, supervisor, override, path):
    """Also if a form is sent to it, which has neither; and nothing is recorded."""
    order = site.register(service_provided_at=TOO_LONG_AGO)
    key = f"linked-{override}-{order}"
    sent = {"csrf_token": supervisor.token, "idempotency_key": key, "channel": "phone", "reason": "a supervisor's own"}
    before = site.position
    for chosen in (f"override={override}&reason=because", f"override={override}", "reason=because"):
        link = f"{path.format(order)}?{chosen}"
        pages = [supervisor.get(link)] + ([] if path.endswith("}") else [supervisor.post(link, sent)])
        for page in pages:
            assert (page.status, page.h1) == (400, "A link cannot choose that")
            assert "because" not in page.source
    assert (site.active(order), site.position) == (None, before)


def test_a_helpdesk_links_to_the_answer_with_the_channel(site, agent):
    order = site.register()
    page = agent.get(f"/console/orders/{order}?channel=email")
    assert "by e-mail" in page.text
    assert page.form("Cancel this order").fields["channel"] == "email"


def test_an_unknown_override_is_refused(site, supervisor):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    page = goodwill(supervisor, order)
    before = site.position
    page = supervisor.post(f"/console/orders/{order}/cancel", page.form().fields | {"override": "mercy", "reason": "x"})
    assert (page.status, site.position) == (422, before)


@pytest.fixture(scope="module")
def official():
    """An installation whose policy has official contact points since before Easter."""
    with time_machine.travel(BEFORE, tick=False), (with_points := opened()).store.write(COMMAND_LINE) as uow:
        first = uow.policies["virtual-numbers"].versions[0]
        terms = replace(
            first.terms,
            phone=replace(first.terms.phone, points=("+493012345678",)),
            email=replace(first.terms.email, points=("cancel@example.com",)),
        )
        publication.publish(uow, replace(first, version=2, effective_from=None, terms=terms))
    yield with_points
    with_points.store.close()


def test_a_contact_by_an_unofficial_number_counts_once_a_supervisor_accepts_it(official):
    order = official.register(service_provided_at="2026-04-07T10:00:00Z")
    agent, supervisor = official.browser(Role.AGENT), official.browser(Role.SUPERVISOR)
    page = agent.press(answer(agent, order), "Cancel this order")
    offered = [one["value"] for one in page.main.one("datalist", id="points").every("option")]
    page = agent.press(page, "Cancel the order now", contact_point="+49 30 999999")
    assert offered == ["+493012345678"]
    assert official.active(order) is None
    assert "The contact counts once a supervisor accepts it." in page.text
    page = supervisor.get(page.path)
    page = supervisor.press(page, "Accept the contact point and cancel")
    page = supervisor.press(page, "Accept and cancel", reason="The old number of our leaflet.")
    assert page.h1 == "The order is cancelled"
    done = official.active(order)
    assert (done.basis, done.override_kind) == (Basis.POLICY, OverrideKind.CONTACT_POINT_ACCEPTED)


def test_a_supervisor_enters_a_late_entry_again(site, now):
    """The agent's contact is copied and superseded; the order is cancelled by the policy."""
    order = site.register()
    now.move_to(datetime(2026, 4, 20, 8, tzinfo=UTC))
    agent, supervisor = site.browser(Role.AGENT), site.browser(Role.SUPERVISOR)
    page = answer(agent, order, "?channel=email&received_at=8.4.2026+09:00&sent_at=8.4.2026+08:59")
    assert page.h1 == "Made in time, but a supervisor must enter it"
    page = agent.press(agent.press(page, "Record the request"), "Record", ticket_ref="T-77", note="Lay in another box.")
    assert page.h1 == "An open request"
    first = site.contact(order)
    page = supervisor.press(supervisor.get(page.path), "Enter it myself and cancel")
    assert (
        page.form().fields.items() >= {"ticket_ref": "T-77", "note": "Lay in another box.", "channel": "email"}.items()
    )
    assert page.facts["Received"] == "Wednesday, 8 April 2026, 09:00"
    page = supervisor.press(page, "Cancel the order now")
    assert page.h1 == "The order is cancelled"
    second = next(one for one in site.contacts(order) if one.supersedes)
    assert (second.supersedes, second.received_at, second.sent_at) == (
        first.contact_id,
        first.received_at,
        first.sent_at,
    )
    assert (second.ticket_ref, second.note) == (first.ticket_ref, first.note)
    assert site.active(order).basis is Basis.POLICY
    assert agent.get(f"/console/contacts/{first.contact_id}").h1 == "A request that was superseded"
    site.verify()


def test_an_agent_cannot_enter_a_late_entry_again(site, now):
    order = site.register()
    now.move_to(datetime(2026, 4, 20, 8, tzinfo=UTC))
    contact = site.record(order, received_at=NOW, ticket_ref="T-1")
    agent = site.browser(Role.AGENT)
    assert "Enter it myself" not in agent.get(f"/console/contacts/{contact}").source
    page = agent.get(f"/console/orders/{order}/cancel?supersedes={contact}")
    page = agent.press(page, "Cancel the order now")
    assert site.active(order) is None
    assert "Made in time, but a supervisor must enter it" in page.text


def test_a_contact_cannot_supersede_one_of_another_order(site, supervisor):
    order, other = site.register(), site.register()
    contact, before = site.record(other, note="of another"), site.position
    page = supervisor.get(f"/console/orders/{order}/cancel?supersedes={contact}")
    page = supervisor.press(page, "Cancel the order now")
    assert page.status == 422
    assert (site.active(order), site.position[0]) == (None, before[0])
    page = supervisor.get(f"/console/orders/{order}/cancel?contact_id={contact}")
    assert (page.status, page.h1) == (409, "The request is no longer what you saw")


def test_a_request_that_was_resolved_meanwhile_is_a_conflict(site, agent, supervisor):
    order = site.register()
    contact = site.record(order)
    page = agent.press(agent.get(f"/console/contacts/{contact}"), "Cancel this order")
    supervisor.press(
        supervisor.get(f"/console/contacts/{contact}"), "Resolve the request", reason_code="customer_kept_order"
    )
    page = agent.press(page, "Cancel the order now")
    assert (page.status, page.h1, site.active(order)) == (409, "The request is no longer what you saw", None)


def test_the_open_list_is_shown_page_by_page(site, agent):
    made = {}
    for _ in range(28):
        order = site.register()
        made[order] = site.record(order)
    assert made.keys() <= {link for page in agent.queue() for link in page.links}


@pytest.mark.parametrize("button", ["Cancel this order", "Record as a withdrawal"])
def test_a_form_that_is_loaded_again_and_sent_again_gives_the_same_record(site, agent, now, button):
    order = site.register()
    page = agent.press(agent.get(f"/console/orders/{order}"), button)
    confirm = page.address
    send = next(name for form in page.forms for name in form.buttons if name in {"Cancel the order now", "Record"})
    done = agent.press(page, send, note="Moves house")
    now.shift(60)
    assert agent.press(agent.get(confirm), send, note="Moves house").path == done.path
    again = agent.press(agent.get(confirm), send, note="Something else")
    assert again.h1 == "This form has been sent before, with other entries"
    assert len(site.contacts(order)) == 1


def test_the_errors_at_the_top_name_their_fields(site, agent):
    page = agent.press(agent.get("/console/unmatched/new"), "Record", order_hint="", channel="fax")
    said = {one["href"]: one.text for one in page.main.one("div", role="alert").every("a")}
    assert said["#order_hint"] == "What the customer says of the order: Fill this in."
    assert said["#channel"] == "The customer asks by: Choose one of the ways."
    page = agent.press(page, "Record", order_hint="A-?", channel="phone", received_at="when?")
    assert page.main.one("div", role="alert").one("a").text.startswith("Received: Write ")
    page = agent.press(agent.get(f"/console/contacts/{site.record(site.register())}"), "Resolve the request")
    assert page.main.one("div", role="alert").one("a").text == "Why? Fill this in."
    german = site.browser("agent", "de")
    page = german.press(german.get("/console/unmatched/new"), "Erfassen", order_hint="")
    assert page.main.one("div", role="alert").one("a").text.startswith("Was der Kunde zur Bestellung sagt: ")


def test_the_time_zone_is_named_once_a_page(site, agent, supervisor):
    order = site.register()
    contact = site.record(order, sent_at=NOW, received_at=NOW)
    question = site.record(order, intent=Intent.QUESTION)
    kept = site.keep("A-?", received_at=NOW)
    done = site.cancel(site.register())
    paths = [
        f"contacts/{contact}",
        f"contacts/{question}",
        f"unmatched/{kept}",
        f"cancellations/{done.cancellation_id}",
        f"orders/{order}?received_at=2026-04-08T08:20:00Z",
        f"orders/{order}/cancel",
        f"orders/{order}/cancel?contact_id={contact}",
        "recent",
        "open",
    ]
    for path in paths:
        page = supervisor.get(f"/console/{path}")
        words = " ".join(one.text for one in page.main.every("section", class_="words"))
        words += " ".join(one.text for one in page.main.every("p", class_="spoken"))
        folded = "Time zone Berlin time" in page.text or "Time zoneBerlin time" in page.text
        assert page.text.count("Berlin time") - words.count("Berlin time") - folded == 1, path
