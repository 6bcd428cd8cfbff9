"""A request that was in time is never answered "too late" because the customer asks again."""

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.service.replay import Replayed, replay
from refunds.web import create_app
from tests.api.conftest import IN_TIME, LATE, Desk, slug
from tests.api.test_contacts import open_ids
from tests.conftest import client_of, settings, with_policies

LATER = "2026-04-10T08:00:00Z"
"""A day after the window of the orders here has ended."""

UNOFFICIAL = {"channel": "phone", "contact_point": "030 999999"}


def asked_in_time(desk, now, **contact):
    """An order with an open request that was in time, and the id of the request; its window has ended since."""
    order_id = desk.register()
    contact_id = desk.record(order_id, **contact).json["contact_id"]
    now.move_to(LATER)
    return order_id, contact_id


def eligibility(desk, order_id, query=""):
    """The decision on an order, if the customer asks again."""
    return desk.get(f"/v1/orders/{order_id}/eligibility{query}").json


def said(decision):
    """What a decision comes to, and the contact on record by which it was judged."""
    return decision["verdict"], decision["reason"], decision["judged_by_contact"]


@pytest.fixture
def official(now):
    """The desks of a vendor that has an official telephone number."""
    file = 'policy = "official"\nversion = 1\n[phone]\npoints = ["+493012345678"]\n'
    app = with_policies(create_app(settings(policy="official")), file)
    return [Desk(client_of(app, role), now) for role in ("agent", "supervisor")]


def test_who_asks_again_is_answered_by_the_request_that_was_in_time(agent, now):
    order_id, contact_id = asked_in_time(agent, now)
    decision = eligibility(agent, order_id)
    assert said(decision) == ("cancellable", "within_window", contact_id)
    assert (decision["eligible"], decision["requested_at"]) == (True, IN_TIME)


def test_a_question_that_is_in_time_itself_is_judged_by_itself(agent):
    order_id = agent.register()
    agent.record(order_id)
    assert said(eligibility(agent, order_id)) == ("cancellable", "within_window", None)


def test_without_an_open_request_it_is_too_late(agent, now):
    order_id = agent.register()
    agent.record(order_id, intent="question")
    resolved = agent.record(order_id).json["contact_id"]
    agent.put(f"/v1/contacts/{resolved}/resolution", json={"reason_code": "customer_kept_order"})
    now.move_to(LATER)
    agent.record(order_id)
    assert said(eligibility(agent, order_id)) == ("refused", "window_elapsed", None)


def test_a_request_counts_only_from_its_receipt_on(agent, now):
    order_id = agent.register()
    now.move_to(LATER)
    assert agent.record(order_id, received_at=IN_TIME, ticket_ref="T-1").status_code == 201
    before, at = (f"?channel=phone&requested_at=2026-04-08T21:0{minute}:00Z" for minute in (4, 5))
    assert eligibility(agent, order_id, before)["judged_by_contact"] is None
    assert eligibility(agent, order_id, at)["judged_by_contact"] is None, "in time itself"
    assert said(eligibility(agent, order_id, f"?requested_at={LATE}"))[0] == "cancellable"


def test_the_oldest_request_that_was_in_time_counts(agent, now):
    order_id = agent.register()
    second = agent.record(order_id).json["contact_id"]
    first = agent.record(order_id, received_at="2026-04-07T09:00:00Z").json["contact_id"]
    now.move_to(LATER)
    assert eligibility(agent, order_id)["judged_by_contact"] == first != second


def test_a_request_that_was_late_itself_does_not_hide_one_that_was_in_time(official, now):
    agent, _ = official
    order_id = agent.register()
    agent.record(order_id, **UNOFFICIAL)
    in_time = agent.record(order_id, received_at=IN_TIME).json["contact_id"]
    now.move_to(LATER)
    assert said(eligibility(agent, order_id)) == ("cancellable", "within_window", in_time)


def test_what_needs_a_supervisor_is_not_taken_for_a_refusal(official, now):
    agent, _ = official
    order_id = agent.register()
    assert said(agent.record(order_id, **UNOFFICIAL).json["decision"])[0] == "needs_supervisor"
    now.move_to("2026-04-20T08:00:00Z")
    late_entry = agent.record(order_id, received_at=IN_TIME, ticket_ref="T-1").json["decision"]
    assert said(late_entry) == ("needs_supervisor", "late_entry_needs_supervisor", None)


def test_a_request_that_waits_for_a_supervisor_answers_if_the_customer_asks_again(official, billing, now):
    agent, supervisor = official
    order_id = agent.register()
    waits = agent.record(order_id, **UNOFFICIAL).json["contact_id"]
    now.move_to(LATER)
    assert said(eligibility(agent, order_id)) == ("needs_supervisor", "unofficial_contact_point", waits)
    again = agent.record(order_id).json
    assert (said(again["decision"])[2], again["open"]) == (waits, True)
    override = {"kind": "contact_point_accepted", "reason": "An old letter names it."}
    issued = supervisor.issue(order_id, contact_id=again["contact_id"], override=override).json
    assert (issued["contact_id"], issued["basis"]) == (waits, "policy")


def test_a_contact_is_stored_with_the_decision_by_the_request_and_its_own_times(agent, billing, now):
    order_id, contact_id = asked_in_time(agent, now)
    again = agent.record(order_id, channel="email", sent_at="2026-04-10T07:59:00Z").json
    assert said(again["decision"]) == ("cancellable", "within_window", contact_id)
    assert (again["received_at"], again["sent_at"], again["channel"]) == (LATER, "2026-04-10T07:59:00Z", "email")
    assert (again["backdated"], again["open"], again["contact_point"]) == (False, True, None)
    assert agent.get(f"/v1/contacts/{again['contact_id']}").json == again
    event = billing.feed(order_id)[-1]
    assert (event["data"]["eligible"], event["data"]["reason"]) == (True, "within_window")


def test_a_contact_needs_evidence_by_its_own_times(agent, now):
    order_id, contact_id = asked_in_time(agent, now)
    assert slug(agent.record(order_id, received_at=IN_TIME)) == "evidence-required"
    contact = agent.record(order_id, received_at=IN_TIME, ticket_ref="T-1").json
    assert (contact["backdated"], contact["decision"]["judged_by_contact"]) == (True, None)
    now.move_to("2026-04-20T08:00:00Z")
    late_entry = agent.record(order_id, received_at=IN_TIME, ticket_ref="T-1").json
    assert said(late_entry["decision"]) == ("cancellable", "within_window", contact_id)
    assert late_entry["backdated"] is True


def test_an_order_is_cancelled_by_the_request_that_was_in_time(agent, billing, now):
    order_id, contact_id = asked_in_time(agent, now)
    issued = agent.cancelled(order_id, contact={"channel": "email"})
    assert (issued["basis"], issued["contact_id"], issued["override"]) == ("policy", contact_id, None)
    assert said(issued["decision"]) == ("cancellable", "within_window", contact_id)
    types = [event["type"] for event in billing.feed(order_id)]
    assert types == [
        "order.registered", "order.promised", "contact.recorded", "contact.recorded", "cancellation.issued",
    ]  # fmt: skip
    assert open_ids(agent, order_id) == []


def test_an_order_is_cancelled_on_a_late_contact_by_the_request_that_was_in_time(agent, supervisor, now):
    order_id, contact_id = asked_in_time(agent, now)
    late = agent.record(order_id).json["contact_id"]
    override = {"kind": "goodwill", "reason": "our line was down"}
    issued = supervisor.cancelled(order_id, contact_id=late, override=override)
    assert (issued["basis"], issued["contact_id"], issued["override"]) == ("policy", contact_id, None)


def test_a_request_that_a_supervisor_corrects_does_not_count_any_more(agent, supervisor, now):
    """The call was in fact a day later: the contact that says so is not judged by the one that it supersedes."""
    order_id, contact_id = asked_in_time(agent, now)
    wrong = {"received_at": "2026-04-09T21:05:00Z", "supersedes": contact_id}
    refused = agent.record(order_id, **wrong)
    assert (refused.status_code, slug(refused), open_ids(agent, order_id)) == (403, "forbidden", [contact_id])
    corrected = supervisor.record(order_id, **wrong).json
    assert said(corrected["decision"]) == ("refused", "window_elapsed", None)
    assert said(eligibility(agent, order_id)) == ("refused", "window_elapsed", None)
    assert agent.issue(order_id).status_code == 409


def test_a_request_is_as_old_as_the_one_that_it_corrects(agent, now):
    """Entered in time, it needs no ticket and no supervisor because its channel is corrected weeks later."""
    order_id, contact_id = asked_in_time(agent, now)
    now.move_to("2026-04-28T08:00:00Z")
    corrected = agent.record(order_id, channel="email", received_at=IN_TIME, supersedes=contact_id).json
    assert said(corrected["decision"]) == ("cancellable", "within_window", None)
    assert (corrected["recorded_at"], corrected["backdated"]) == ("2026-04-28T08:00:00Z", False)
    assert said(eligibility(agent, order_id)) == ("cancellable", "within_window", corrected["contact_id"])
    assert agent.issue(order_id, contact_id=corrected["contact_id"]).status_code == 201


def test_a_request_is_judged_on_the_present_facts(agent, billing, now):
    order_id = agent.register(service_provided_at=None)
    agent.record(order_id)
    now.move_to(LATER)
    facts = {"customer_ref": "K-20391", "service_provided_at": "2026-03-02T09:00:00Z", "region": "DE-BY"}
    billing.put(f"/v1/orders/{order_id}", json=facts)
    other = eligibility(agent, agent.register(service_provided_at=facts["service_provided_at"]))
    assert said(other) == ("refused", "window_elapsed", None)
    told = eligibility(agent, order_id)
    assert told["verdict"] == "needs_supervisor", "the customer was told that the request was in time"
    assert (told["reason"], "told_before_correction" in told["notices"]) == ("window_elapsed", True)


@pytest.mark.parametrize("told_for", [None, "2026-04-20T09:00:00Z"])
def test_who_was_told_to_be_in_time_before_a_date_was_known_is_not_refused_by_it(
    agent, billing, supervisor, now, told_for
):
    order_id = agent.register(service_provided_at=told_for)
    contact_id = agent.record(order_id).json["contact_id"]
    facts = {"customer_ref": "K-20391", "service_provided_at": "2026-03-02T09:00:00Z", "region": "DE-BY"}
    tag = billing.get(f"/v1/orders/{order_id}").headers["ETag"]
    billing.put(f"/v1/orders/{order_id}", json=facts | {"correction_reason": "a slip"}, headers={"If-Match": tag})
    refused = agent.issue(order_id, contact_id=contact_id)
    assert refused.json["decision"]["verdict"] == "needs_supervisor"
    override = {"kind": "deadline_accepted", "reason": "We told them so."}
    issued = supervisor.issue(order_id, contact_id=contact_id, override=override)
    assert (issued.status_code, issued.json["basis"]) == (201, "policy")
    now.move_to(LATER)
    other = billing.register(service_provided_at=facts["service_provided_at"])
    assert eligibility(agent, other)["verdict"] == "refused"


def test_a_cancelled_order_stays_cancelled(agent, now):
    order_id, _ = asked_in_time(agent, now)
    agent.cancelled(order_id)
    assert said(eligibility(agent, order_id)) == ("refused", "order_already_cancelled", None)


def test_who_entered_another_request_late_does_not_count(agent, supervisor, now):
    """A supervisor's late entry is in time; a contact judged by it is not a supervisor's own once it is corrected."""
    order_id = agent.register()
    now.move_to("2026-04-20T08:00:00Z")
    entered = supervisor.record(order_id, received_at=IN_TIME, ticket_ref="T-1").json["contact_id"]
    again = agent.record(order_id, received_at="2026-04-08T21:30:00Z", ticket_ref="T-2").json
    assert said(again["decision"]) == ("cancellable", "within_window", entered)
    supervisor.record(order_id, supersedes=entered)
    refused = agent.issue(order_id, contact_id=again["contact_id"])
    assert refused.json["decision"]["reason"] == "late_entry_needs_supervisor"


def test_a_decision_by_a_request_is_made_again_without_a_difference(app, agent, now):
    order_id, _ = asked_in_time(agent, now)
    agent.cancelled(order_id)
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        assert [one for one in replay(uow, Replayed()) if order_id in str(one)] == []


def test_the_open_requests_of_an_order_are_resolved_together(agent, billing, now):
    order_id = agent.register()
    ids = [agent.record(order_id).json["contact_id"] for _ in range(3)]
    other = agent.record(agent.register()).json["contact_id"]
    url = f"/v1/contacts/{ids[1]}/resolution"
    resolved = agent.put(url, json={"reason_code": "customer_kept_order"}).json
    assert resolved["contact_id"] == ids[1]
    assert open_ids(agent, order_id) == []
    assert {agent.get(f"/v1/contacts/{one}").json["resolution"]["reason_code"] for one in ids} == {
        "customer_kept_order"
    }
    assert sorted(e["subject"] for e in billing.feed(order_id) if e["type"] == "contact.resolved") == sorted(ids)
    assert agent.put(url, json={"reason_code": "customer_kept_order"}).json == resolved
    assert agent.get(f"/v1/contacts/{other}").json["open"] is True


def test_a_check_without_an_order_has_a_verdict_too(agent):
    check = {"service_provided_at": "2026-03-02T09:00:00Z"}
    assert said(agent.client.post("/v1/eligibility-checks", json=check).json) == ("refused", "window_elapsed", None)
