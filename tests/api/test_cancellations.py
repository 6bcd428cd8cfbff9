"""Cancellations over HTTP: at most one per order, on a contact that is kept in any case, settled or revoked."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest

from refunds import storage
from refunds.domain.references import REFERENCE
from refunds.errors import Conflict
from refunds.storage.copies import GENERATED
from refunds.web import create_app
from tests.api.conftest import IN_TIME, LATE, PROVIDED, Desk, places, slug
from tests.conftest import client_of, settings, with_policies

INLINE = {"customer_ref": "K-3", "service_provided_at": PROVIDED, "region": "DE-BY"}
GOODWILL = {"kind": "goodwill", "reason": "our line was down"}


def url(cancellation, rest=""):
    """The path of a cancellation."""
    return f"/v1/cancellations/{cancellation['cancellation_id']}{rest}"


def types(desk, order_id):
    """The types of the events of an order."""
    return [event["type"] for event in desk.feed(order_id)]


def settle(desk, cancellation, **fields):
    """Settle a cancellation."""
    return desk.put(url(cancellation, "/settlement"), json={"billing_ref": "RF-1"} | fields)


def revoke(desk, cancellation, code="entered_in_error", **fields):
    """Revoke a cancellation."""
    return desk.put(url(cancellation, "/revocation"), json={"reason_code": code} | fields)


@pytest.mark.parametrize("stored", [False, True], ids=["with a new contact", "on a stored contact"])
def test_a_reference_that_is_taken_is_not_given_again(agent, monkeypatch, stored):
    taken = agent.cancelled()["reference"].replace("-", "")
    order_id = agent.register()
    about = {"contact_id": agent.record(order_id).json["contact_id"]} if stored else {}
    drawn = iter([taken, taken, f"000000000{stored:d}"])
    for module in (storage.contacts, storage.cancellations):
        monkeypatch.setattr(module, "REFERENCE", SimpleNamespace(new=lambda: next(drawn)))
    assert agent.cancelled(order_id, **about)["reference"] == f"000-000-000{stored:d}"


def test_an_order_is_cancelled_on_a_call_that_comes_in_now(agent, billing):
    order_id = agent.register()
    answer = agent.issue(order_id)
    issued = answer.json
    assert answer.status_code == 201
    assert agent.get(answer.headers["Location"]).json == issued
    assert (issued["state"], issued["basis"], issued["issued_at"]) == ("issued", "policy", IN_TIME)
    assert issued["refund_due_by"] == "2026-04-22"
    assert re.fullmatch(r"\d{3}-\d{3}-\d{4}", issued["reference"])
    assert agent.get(f"/v1/contacts/{issued['contact_id']}").json["open"] is False
    assert types(billing, order_id) == ["order.registered", "order.promised", "contact.recorded", "cancellation.issued"]


def test_order_and_contact_may_be_sent_along_and_are_stored_in_one_transaction(billing):
    order = INLINE | {"order_id": "inline-1"}
    answer = billing.post("/v1/cancellations", {"order": order, "contact": {"channel": "email"}})
    assert answer.status_code == 201
    assert types(billing, "inline-1") == [
        "order.registered",
        "order.promised",
        "contact.recorded",
        "cancellation.issued",
    ]
    refused = billing.post("/v1/cancellations", {"order": order | {"region": "DE"}, "contact": {"channel": "email"}})
    assert (refused.status_code, slug(refused), places(refused)) == (409, "order-facts-conflict", ["/order/region"])


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"order_id": "A"}, "/order_id"),
        ({"order": 5}, "/order"),
        ({"contact": {"channel": "fax"}}, "/contact/channel"),
        ({"contact": {"channel": "phone", "received_at": "2026-05-01T00:00:00Z"}}, "/contact/received_at"),
        ({"contact": {"channel": "phone", "intent": "question"}}, "/contact/intent"),
        ({"contact": {"channel": "phone", "from_detail": "x"}}, "/contact/from_detail"),
        ({"order": INLINE | {"order_id": "inline-2", "region": "Bavaria"}}, "/order/region"),
        ({"order": INLINE | {"order_id": "inline-2", "policy": "nobodys"}}, "/order/policy"),
        ({"override": {"kind": "goodwill"}}, "/override/reason"),
        ({"override": {"kind": "bribe", "reason": "x"}}, "/override/kind"),
        ({"issued_by": "me"}, "/issued_by"),
        ({"amount": 9.99}, "/amount"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_is_stored(supervisor, billing, changed, place):
    body = {"order": INLINE | {"order_id": "inline-2"}, "contact": {"channel": "phone"}} | changed
    answer = supervisor.post("/v1/cancellations", body)
    assert (answer.status_code, places(answer)) == (422, [place])
    assert billing.get("/v1/orders/inline-2").status_code == 404


def test_an_order_and_a_contact_are_needed(agent):
    assert places(agent.post("/v1/cancellations", {"order_id": "A"})) == ["/contact_id"]
    assert places(agent.post("/v1/cancellations", {"contact": {"channel": "phone"}})) == ["/order_id"]


def test_an_order_has_at_most_one_cancellation(agent, billing):
    first = agent.cancelled()
    again = agent.issue(first["order_id"])
    assert (again.status_code, slug(again)) == (409, "order-already-cancelled")
    assert again.json["cancellation"] == {key: first[key] for key in ("cancellation_id", "reference")}
    kept = agent.get(f"/v1/contacts/{again.json['contact_id']}").json
    assert kept["decision"]["reason"] == "order_already_cancelled"
    assert types(billing, first["order_id"]).count("cancellation.issued") == 1


def test_the_database_itself_allows_one_cancellation_per_order(app, agent):
    """By a unique index, not only a check in code."""
    order_id = agent.cancelled()["order_id"]
    engine, _ = app.extensions["refunds.store"].open()
    with engine.read() as tx:
        row = dict(tx.one("SELECT * FROM cancellations WHERE order_id = :order_id", order_id=order_id))
    row = {name: row[name] for name in row.keys() - GENERATED} | {"cancellation_id": "can_other", "reference": "0"}
    insert = f"INSERT INTO cancellations ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})"  # noqa: S608
    with pytest.raises(Conflict) as conflict, engine.write() as tx:
        tx.run(insert, **row)
    on_each = {"index 'one_active_cancellation'", "cancellations.order_id, cancellations.case"}
    assert conflict.value.constraint in on_each


@pytest.mark.parametrize("table", ["contacts", "cancellations"])
def test_the_database_knows_the_policy_of_each_decision(app, agent, table):
    order_id = agent.cancelled()["order_id"]
    engine, _ = app.extensions["refunds.store"].open()
    query = f"SELECT judging_policy FROM {table} WHERE order_id = :order_id"  # noqa: S608
    with engine.read() as tx:
        assert [row["judging_policy"] for row in tx.all(query, order_id=order_id)] == ["virtual-numbers"]
    decide = f"UPDATE {table} SET decision = :decision WHERE order_id = :order_id"  # noqa: S608
    with engine.write() as tx:
        before = tx.one(query.replace("judging_policy", "decision"), order_id=order_id)["decision"]
        tx.run(decide, decision="none", order_id=order_id)
        assert [row["judging_policy"] for row in tx.all(query, order_id=order_id)] == [None]
        tx.run(decide, decision=before, order_id=order_id)


def test_a_refused_request_is_kept_and_the_problem_says_where(agent, billing, now):
    order_id = agent.register()
    now.move_to(LATE)
    answer = agent.issue(order_id)
    assert (answer.status_code, slug(answer)) == (409, "not-refundable")
    assert answer.json["decision"]["reason"] == "window_elapsed"
    assert "no right" not in answer.text
    assert "statutory_rights_not_assessed" in answer.json["decision"]["notices"]
    assert agent.get(f"/v1/contacts/{answer.json['contact_id']}").json["decision"] == answer.json["decision"]
    assert types(billing, order_id) == ["order.registered", "order.promised", "contact.recorded"]


def test_a_supervisor_cancels_as_goodwill_on_the_refused_contact(agent, supervisor, now):
    order_id = agent.register()
    now.move_to(LATE)
    contact_id = agent.issue(order_id).json["contact_id"]
    forbidden = agent.issue(order_id, contact_id=contact_id, override=GOODWILL)
    assert (forbidden.status_code, slug(forbidden)) == (403, "forbidden")
    issued = supervisor.cancelled(order_id, contact_id=contact_id, override=GOODWILL)
    assert issued["basis"] == "goodwill"
    assert issued["override"]["reason"] == "our line was down"
    assert issued["override"]["approved_by"] == issued["issued_by"]
    assert issued["decision"]["reason"] == "window_elapsed"


def test_an_override_that_is_not_needed_is_not_used(supervisor):
    issued = supervisor.cancelled(override=GOODWILL)
    assert (issued["basis"], issued["override"]) == ("policy", None)


def test_goodwill_does_not_cancel_twice(supervisor):
    order_id = supervisor.cancelled()["order_id"]
    assert slug(supervisor.issue(order_id, override=GOODWILL)) == "order-already-cancelled"


@pytest.fixture
def official(now):
    """The desks of a vendor that has an official telephone number."""
    file = 'policy = "official"\nversion = 1\n[phone]\npoints = ["+493012345678"]\n'
    app = with_policies(create_app(settings(policy="official")), file)
    return [Desk(client_of(app, role), now) for role in ("agent", "supervisor")]


def test_a_call_to_an_unofficial_number_counts_once_a_supervisor_accepts_it(official):
    agent, supervisor = official
    order_id = agent.register()
    refused = agent.issue(order_id, contact={"channel": "phone", "contact_point": "030 999999"})
    assert refused.json["decision"]["reason"] == "unofficial_contact_point"
    accepted = {"kind": "contact_point_accepted", "reason": "an old letterhead"}
    issued = supervisor.cancelled(order_id, contact_id=refused.json["contact_id"], override=accepted)
    assert (issued["basis"], issued["override"]["kind"]) == ("policy", "contact_point_accepted")
    assert issued["decision"]["reason"] == "within_window"


def test_accepting_a_number_does_not_make_a_late_call_timely(official, now):
    agent, supervisor = official
    order_id = agent.register()
    now.move_to(LATE)
    accepted = {"kind": "contact_point_accepted", "reason": "an old letterhead"}
    for contact in ({"channel": "phone", "contact_point": "030 999999"}, {"channel": "phone"}):
        answer = supervisor.issue(order_id, contact=contact, override=accepted)
        assert (answer.status_code, answer.json["decision"]["reason"]) == (409, "window_elapsed")


def test_a_cancellation_is_decided_on_the_current_facts_and_the_contacts_own_time(agent, now):
    order_id = agent.register(service_provided_at=None)
    contact_id = agent.record(order_id).json["contact_id"]
    now.move_to("2026-04-10T09:00:00Z")
    agent.put(
        f"/v1/orders/{order_id}",
        json={"customer_ref": "K-20391", "service_provided_at": "2026-03-02T09:00:00Z", "region": "DE-BY"},
    )
    answer = agent.issue(order_id, contact_id=contact_id)
    assert (answer.status_code, answer.json["decision"]["reason"]) == (409, "window_elapsed")
    first = agent.get(f"/v1/contacts/{contact_id}").json["decision"]
    assert first["reason"] == "service_not_yet_provided", "a stored decision never changes"


def test_a_contact_about_another_order_does_not_cancel(agent):
    contact_id = agent.record(agent.register()).json["contact_id"]
    assert places(agent.issue(agent.register(), contact_id=contact_id)) == ["/contact_id"]


@pytest.mark.parametrize("order_id", ["unknown"])
def test_an_unknown_order_or_contact_is_not_found(agent, order_id):
    assert slug(agent.issue(order_id)) == "order-not-found"
    assert slug(agent.issue(agent.register(), contact_id="con_01KAN3Y7M0V5Q4T8Z2B6C9D1EF")) == "not-found"
    assert agent.get("/v1/cancellations/can_1").status_code == 404


def test_billing_settles_once_and_may_repeat_it(billing):
    issued = billing.cancelled()
    first = settle(billing, issued)
    assert (first.json["state"], first.json["settlement"]["billing_ref"]) == ("settled", "RF-1")
    assert settle(billing, issued).json == first.json
    assert settle(billing, issued, settled_at=first.json["settlement"]["settled_at"]).status_code == 200
    for other in ({"billing_ref": "RF-2"}, {"settled_at": "2026-04-08T21:05:01Z"}):
        answer = settle(billing, issued, **other)
        assert (answer.status_code, slug(answer)) == (409, "cancellation-state-conflict")
    assert types(billing, issued["order_id"]).count("cancellation.settled") == 1


@pytest.mark.parametrize("at", ["2026-04-08T21:03:59Z", "2026-04-08T21:06:01Z"])
def test_a_settlement_lies_between_the_issue_and_now(billing, at):
    assert places(settle(billing, billing.cancelled(), settled_at=at)) == ["/settled_at"]


def test_billing_undoes_a_settlement_with_a_reason(billing):
    issued = billing.cancelled()
    settle(billing, issued)
    assert places(billing.delete(url(issued, "/settlement"))) == ["/reason_code"]
    undone = billing.delete(url(issued, "/settlement?reason_code=refund_failed"))
    assert undone.json == issued
    assert billing.delete(url(issued, "/settlement?reason_code=refund_failed")).json == issued
    assert settle(billing, issued, billing_ref="RF-2").json["state"] == "settled"
    events = billing.feed(issued["order_id"])
    assert [event["data"] for event in events if event["type"] == "cancellation.unsettled"] == [
        {"reason_code": "refund_failed"}
    ]


def begin(desk, issued, **body):
    return desk.put(url(issued, "/refund"), json=body)


def end(desk, issued):
    return desk.delete(url(issued, "/refund?reason_code=refund_failed"))


def test_a_begun_refund_cannot_be_revoked_and_is_ended_by_its_settlement(billing, supervisor, agent):
    issued = agent.cancelled()
    begun = begin(billing, issued, billing_ref="RF-1").json
    assert (begun["state"], begun["refund"]["billing_ref"]) == ("refunding", "RF-1")
    for desk in (agent, supervisor):
        answer = revoke(desk, issued)
        assert (answer.status_code, slug(answer), answer.json["state"]) == (
            409,
            "cancellation-state-conflict",
            "refunding",
        )
    assert slug(billing.issue(issued["order_id"])) == "order-already-cancelled"
    assert billing.get("/v1/cancellations?state=refunding").json["items"] == [begun]
    settled = settle(billing, issued).json
    assert (settled["state"], settled["refund"]["begun_at"]) == ("settled", begun["refund"]["begun_at"])
    happened = [name for name in types(billing, issued["order_id"]) if name.startswith("cancellation")]
    assert happened == ["cancellation.issued", "cancellation.refund_begun", "cancellation.settled"]


@pytest.mark.parametrize(
    ("held", "others"),
    [({"billing_ref": "RF-1"}, [{"billing_ref": "RF-2"}, {}]), ({}, [{"billing_ref": "RF-1"}])],
)
def test_a_refund_has_one_holder(billing, held, others):
    issued = billing.cancelled()
    begun = begin(billing, issued, **held)
    assert begin(billing, issued, **held).json == begun.json
    for body in others:
        answer = begin(billing, issued, **body)
        assert (answer.status_code, slug(answer)) == (409, "cancellation-state-conflict")
        assert (begun.json["refund"]["billing_ref"] or begun.json["refund"]["begun_by"]) in answer.json["detail"]
    assert types(billing, issued["order_id"]).count("cancellation.refund_begun") == 1


def test_a_refund_without_a_reference_is_held_by_its_client(billing, admin):
    issued = billing.cancelled()
    assert begin(billing, issued).status_code == 200
    assert slug(begin(admin, issued)) == "cancellation-state-conflict"
    assert slug(settle(admin, issued)) == "cancellation-state-conflict"
    assert settle(billing, issued).json["settlement"]["billing_ref"] == "RF-1"


def test_a_refund_is_settled_only_with_the_reference_that_it_was_begun_with(billing):
    issued = billing.cancelled()
    begin(billing, issued, billing_ref="RF-2")
    assert slug(settle(billing, issued)) == "cancellation-state-conflict"
    assert settle(billing, issued, billing_ref="RF-2").json["state"] == "settled"


def test_a_refund_that_failed_leaves_the_cancellation_as_it_was(billing, supervisor):
    issued = billing.cancelled()
    assert end(billing, issued).json == issued
    begin(billing, issued, billing_ref="RF-1")
    assert places(billing.delete(url(issued, "/refund"))) == ["/reason_code"]
    assert end(billing, issued).json == issued
    assert begin(billing, issued, billing_ref="RF-2").json["refund"]["billing_ref"] == "RF-2"
    end(billing, issued)
    assert revoke(supervisor, issued).json["state"] == "revoked"
    for answer in (begin(billing, issued), end(billing, issued)):
        assert (slug(answer), answer.json["state"]) == ("cancellation-state-conflict", "revoked")


def test_a_settled_cancellation_is_not_refunded_again(billing):
    issued = billing.cancelled()
    settle(billing, issued)
    for answer in (begin(billing, issued, billing_ref="RF-1"), end(billing, issued)):
        assert (slug(answer), answer.json["state"]) == ("cancellation-state-conflict", "settled")
    undone = billing.delete(url(issued, "/settlement?reason_code=refund_failed"))
    assert undone.json == issued


def test_an_agent_cannot_begin_a_refund(agent):
    assert slug(begin(agent, agent.cancelled())) == "forbidden"


def test_a_begun_refund_becomes_overdue_too(billing, now):
    issued, begun = billing.cancelled(), billing.cancelled()
    begin(billing, begun)
    now.shift(timedelta(days=30))
    overdue = billing.get("/v1/cancellations?overdue=true").json["items"]
    assert {one["cancellation_id"] for one in overdue} >= {issued["cancellation_id"], begun["cancellation_id"]}


def test_the_facts_of_an_order_are_frozen_while_it_is_refunded(billing):
    issued = billing.cancelled()
    begin(billing, issued)
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE", "correction_reason": "typo"}
    answer = billing.put(f"/v1/orders/{issued['order_id']}", json=facts, headers={"If-Match": '"1"'})
    assert slug(answer) == "order-frozen"


def test_a_revocation_no_longer_speaks_of_a_withdrawal(supervisor):
    """A withdrawal is the statutory act alone."""
    assert places(revoke(supervisor, supervisor.cancelled(), "customer_withdrew")) == ["/reason_code"]


def test_a_revoked_cancellation_cannot_be_settled_nor_a_settled_one_revoked(billing, supervisor):
    issued = billing.cancelled()
    settle(billing, issued)
    assert slug(revoke(supervisor, issued)) == "cancellation-state-conflict"
    billing.delete(url(issued, "/settlement?reason_code=entered_in_error"))
    assert revoke(supervisor, issued).json["state"] == "revoked"
    for answer in (settle(billing, issued), billing.delete(url(issued, "/settlement?reason_code=refund_failed"))):
        assert (answer.status_code, slug(answer)) == (409, "cancellation-state-conflict")


def test_a_revocation_in_error_reopens_the_request_and_the_order_can_be_cancelled_again(supervisor, billing):
    issued = supervisor.cancelled()
    revoked = revoke(supervisor, issued, reason="the wrong order")
    assert revoked.json["revocation"]["reason"] == "the wrong order"
    assert revoke(supervisor, issued, reason="the wrong order").json == revoked.json
    assert slug(revoke(supervisor, issued, "customer_kept_order")) == "cancellation-state-conflict"
    assert supervisor.get(f"/v1/contacts/{issued['contact_id']}").json["open"] is True
    second = supervisor.cancelled(issued["order_id"], contact_id=issued["contact_id"])
    assert second["reference"] != issued["reference"]
    assert types(billing, issued["order_id"])[-2:] == ["cancellation.revoked", "cancellation.issued"]


def test_a_revocation_because_the_customer_keeps_the_order_resolves_the_request(supervisor, billing):
    issued = supervisor.cancelled()
    revoke(supervisor, issued, "customer_kept_order")
    contact = supervisor.get(f"/v1/contacts/{issued['contact_id']}").json
    assert (contact["open"], contact["resolution"]["reason_code"]) == (False, "customer_kept_order")
    assert types(billing, issued["order_id"])[-2:] == ["cancellation.revoked", "contact.resolved"]


def test_a_revocation_because_the_customer_keeps_the_order_resolves_every_request(supervisor):
    order_id = supervisor.register()
    first = supervisor.record(order_id).json["contact_id"]
    revoke(supervisor, supervisor.cancelled(order_id), "customer_kept_order")
    assert supervisor.get(f"/v1/contacts/{first}").json["resolution"]["reason_code"] == "customer_kept_order"
    assert supervisor.get(f"/v1/contacts?order_id={order_id}&open=true").json["items"] == []


def test_repeating_another_users_revocation_requires_the_right_to_revoke(agent, supervisor, billing):
    issued = billing.cancelled()
    revoke(supervisor, issued)
    assert slug(revoke(agent, issued)) == "forbidden"


def test_agents_can_revoke_their_own_for_15_minutes(agent, billing, now):
    mine, kept, billings = agent.cancelled(), agent.cancelled(), billing.cancelled()
    now.shift(timedelta(minutes=15))
    assert revoke(agent, mine).status_code == 200
    assert slug(revoke(agent, billings)) == "forbidden"
    now.shift(timedelta(seconds=1))
    assert slug(revoke(agent, kept)) == "forbidden"


def test_supervisors_can_revoke_at_any_time_before_the_settlement(agent, supervisor, now):
    issued = agent.cancelled()
    now.shift(timedelta(days=200))
    assert revoke(supervisor, issued).status_code == 200


def test_a_cancellation_is_found_by_its_reference_in_any_spelling(agent):
    issued = agent.cancelled()
    spelling = issued["reference"]
    for reference in (spelling, spelling.replace("-", ""), spelling.replace("-", "%20")):
        (found,) = agent.get(f"/v1/cancellations?reference={reference}").json["items"]
        assert found == issued
    mistyped = spelling[:-1] + str((int(spelling[-1]) + 1) % 10)
    assert places(agent.get(f"/v1/cancellations?reference={mistyped}")) == ["/reference"]


@pytest.mark.parametrize(
    ("reference", "detail", "code"),
    [
        ("1" * 21, "must have 1 to 20 characters", "out_of_range"),
        ("", "must have 1 to 20 characters", "out_of_range"),
        ("12345", "must be a reference of ten digits, such as 123-456-7894", "invalid"),
    ],
)
def test_a_malformed_reference_is_refused_with_an_explanation(agent, reference, detail, code):
    answer = agent.get(f"/v1/cancellations?reference={reference}")
    assert answer.json["errors"] == [{"pointer": "/reference", "detail": detail, "code": code}]


def test_the_check_digit_detects_every_mistyped_and_every_swapped_digit():
    for _ in range(50):
        reference = REFERENCE.new()
        assert REFERENCE.parse(REFERENCE.spoken(reference)) == reference
        wrong = {reference[:i] + str(digit) + reference[i + 1 :] for i in range(10) for digit in range(10)}
        wrong |= {reference[:i] + reference[i + 1] + reference[i] + reference[i + 2 :] for i in range(9)}
        for mistake in wrong - {reference}:
            with pytest.raises(ValueError, match="check digit"):
                REFERENCE.parse(mistake)


def test_overdue_lists_unsettled_cancellations_past_their_due_day_oldest_first(official, now):
    agent, _ = official
    later = [agent.cancelled() for _ in range(2)]
    now.move_to("2026-04-08T22:00:00Z")  # the next day in Berlin
    latest = agent.cancelled(agent.register(service_provided_at="2026-04-08T10:00:00Z"))
    due = "/v1/cancellations?overdue=true&limit=1"
    now.move_to("2026-04-22T21:59:59Z")
    assert agent.get(due).json["items"] == []
    now.move_to("2026-04-22T22:00:00Z")
    page = agent.get(due).json
    pages = page["items"] + agent.get(f"{due}&after={page['next']}").json["items"]
    assert {item["cancellation_id"] for item in pages} == {item["cancellation_id"] for item in later}
    now.move_to("2026-04-23T22:00:00Z")
    assert agent.get("/v1/cancellations?overdue=true").json["items"][-1]["cancellation_id"] == latest["cancellation_id"]


def test_cancellations_are_listed_by_order_and_state(agent, supervisor):
    order_id = agent.register()
    first = agent.cancelled(order_id)
    revoke(supervisor, first)
    second = agent.cancelled(order_id)
    listed = agent.get(f"/v1/cancellations?order_id={order_id}").json["items"]
    assert {item["state"] for item in listed} == {"issued", "revoked"}
    (active,) = agent.get(f"/v1/cancellations?order_id={order_id}&state=issued").json["items"]
    assert active == second


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "x",
        lambda cursor: cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB"),
        lambda cursor: cursor + "AAAA",
        lambda _: "A" * 22,
        lambda _: "%00",
        lambda _: "e30",
    ],
)
def test_forged_cursors_are_refused(agent, forge):
    for _ in range(2):
        agent.cancelled()
    cursor = agent.get("/v1/cancellations?limit=1").json["next"]
    answer = agent.get(f"/v1/cancellations?limit=1&after={forge(cursor)}")
    assert answer.status_code in {400, 422}
    assert slug(answer) in {"invalid-cursor", "validation-error"}


def test_a_cursor_of_another_list_or_of_other_filters_is_refused(agent):
    for _ in range(2):
        agent.cancelled()
    cursor = agent.get("/v1/cancellations?limit=1").json["next"]
    for foreign in ("/v1/contacts?after=", "/v1/cancellations?state=issued&after="):
        answer = agent.get(foreign + cursor)
        assert (answer.status_code, slug(answer)) == (400, "invalid-cursor")


@pytest.mark.parametrize("number", ["378282246310005", "GB82 WEST 1234 5698 7654 32"])
def test_payment_data_is_refused_in_reasons_and_references(supervisor, billing, now, number):
    order_id = billing.register()
    issued = billing.cancelled()
    now.move_to(LATE)
    for answer, place in (
        (supervisor.issue(order_id, override=GOODWILL | {"reason": number}), "/override/reason"),
        (settle(billing, issued, billing_ref=number), "/billing_ref"),
        (revoke(supervisor, issued, reason=number), "/reason"),
        (billing.put(f"/v1/orders/{order_id}", json=INLINE | {"customer_ref": number}), "/customer_ref"),
        (
            billing.put(
                f"/v1/orders/{order_id}", json=INLINE | {"correction_reason": number}, headers={"If-Match": '"1"'}
            ),
            "/correction_reason",
        ),
    ):
        assert (answer.status_code, slug(answer), places(answer)) == (422, "payment-data-refused", [place])
        assert number not in answer.text


def test_personal_data_is_hidden_from_an_auditor(billing, supervisor, auditor):
    issued = billing.cancelled()
    settle(billing, issued)
    assert auditor.get(url(issued)).json["settlement"]["billing_ref"] is None
    other = billing.cancelled()
    revoke(supervisor, other, reason="private")
    assert auditor.get(url(other)).json["revocation"]["reason"] is None
