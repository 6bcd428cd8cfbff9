"""What becomes of a contact over HTTP: its number, its acknowledgement and completion, its resolution and reopening."""

import re
from types import SimpleNamespace

import pytest

from refunds.storage import contacts as stored_contacts
from tests.api.conftest import IN_TIME, LATE, places, slug

SOON = "2026-04-08T21:04:00Z"
NOBODY = "con_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"
KEPT = {"reason_code": "customer_kept_order"}
TOLD = {"reason_code": "other", "reason": "She was told that it is too late."}


def contact(desk, **fields):
    """A new contact about a new order, as it was answered."""
    return desk.record(desk.register(), **fields).json


def acknowledge(desk, contact_id, **fields):
    return desk.put(f"/v1/contacts/{contact_id}/acknowledgement", json={"channel": "phone"} | fields)


def complete(desk, contact_id, **fields):
    return desk.client.patch(f"/v1/contacts/{contact_id}", json=fields)


def resolve(desk, contact_id, **fields):
    return desk.put(f"/v1/contacts/{contact_id}/resolution", json=fields)


def reopen(desk, contact_id, reason="entered_in_error"):
    return desk.delete(f"/v1/contacts/{contact_id}/resolution?reason_code={reason}")


def refused(answer):
    """The status and the kind of problem of a response."""
    return answer.status_code, slug(answer)


def events(desk, one):
    """The type and the data of the events about a contact."""
    found = desk.feed(one["order_id"])
    return [(event["type"], event["data"]) for event in found if event["subject"] == one["contact_id"]]


def test_every_contact_has_a_request_number_of_its_own_by_which_it_is_found(agent):
    found = [contact(agent), contact(agent, intent="question"), agent.cancelled()]
    first, question = found[:2]
    assert re.fullmatch(r"\d{4}-\d{4}", first["request_number"])
    assert first["request_number"] != question["request_number"]
    digits = first["request_number"].replace("-", "")
    for spelt in (first["request_number"], digits, f"{digits[:4]}%20{digits[4:]}"):
        assert agent.get(f"/v1/contacts?request_number={spelt}").json["items"] == [first]


def test_a_request_number_that_is_taken_is_not_given_again(agent, monkeypatch):
    taken = contact(agent)["request_number"].replace("-", "")
    drawn = iter([taken, taken, "00000000"])
    monkeypatch.setattr(stored_contacts, "REQUEST_NUMBER", SimpleNamespace(new=lambda: next(drawn)))
    assert contact(agent)["request_number"] == "0000-0000"


def test_a_request_number_and_a_reference_are_told_apart(agent):
    number, reference = contact(agent)["request_number"], agent.cancelled()["reference"]
    for url, detail in (
        (f"/v1/cancellations?reference={number}", "is the number of a request"),
        (f"/v1/contacts?request_number={reference}", "is the reference of a cancellation"),
    ):
        answer = agent.get(url)
        assert answer.status_code == 422
        assert detail in answer.json["errors"][0]["detail"]


def test_the_customer_was_answered_and_the_record_says_how_by_whom_and_when(agent, admin, billing):
    one = contact(agent, from_detail="a@example.com", channel="email")
    answer = acknowledge(agent, one["contact_id"], channel="email", to="Kim@Example.org", given_at=IN_TIME)
    given = answer.json["acknowledgement"]
    assert answer.status_code == 200
    assert given == {"given_at": IN_TIME, "given_by": one["recorded_by"], "channel": "email", "to": "kim@example.org"}
    assert answer.json == one | {"acknowledgement": given}
    assert events(billing, one)[1:] == [("contact.acknowledged", {"channel": "email"})]
    assert admin.get(f"/v1/orders/{one['order_id']}/evidence").json["contacts"] == [answer.json]


def test_the_same_acknowledgement_again_changes_nothing_and_another_is_refused(agent, supervisor, billing):
    one = contact(agent)
    given = acknowledge(agent, one["contact_id"]).json
    assert acknowledge(supervisor, one["contact_id"]).json == given
    assert acknowledge(agent, one["contact_id"], given_at=given["acknowledgement"]["given_at"], to=None).json == given
    for other in ({"channel": "email"}, {"to": "+49891234567"}, {"given_at": "2026-04-08T21:05:30Z"}):
        assert refused(acknowledge(agent, one["contact_id"], **other)) == (409, "contact-state-conflict")
    assert len(events(billing, one)) == 2


def test_the_customers_own_detail_is_not_stored_again(agent):
    one = contact(agent, from_detail="089 123456")
    assert acknowledge(agent, one["contact_id"], to="+49 (89) 123456").json["acknowledgement"]["to"] is None
    assert acknowledge(agent, one["contact_id"]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"given_at": SOON}, "/given_at"),
        ({"given_at": "2026-04-08T21:06:01Z"}, "/given_at"),
        ({"channel": "fax"}, "/channel"),
        ({"channel": None}, "/channel"),
        ({"to": "somebody"}, "/to"),
        ({"to": "a@example.com"}, "/to"),
        ({"channel": "email", "to": "+4989123456"}, "/to"),
        ({"to": "4111 1111 1111 1111"}, "/to"),
        ({"given_by": "me"}, "/given_by"),
    ],
)
def test_an_impossible_acknowledgement_is_refused(agent, billing, fields, place):
    one = contact(agent)
    answer = acknowledge(agent, one["contact_id"], **fields)
    assert (answer.status_code, places(answer)) == (422, [place])
    assert len(events(billing, one)) == 1


def test_a_contact_whose_clock_is_ahead_can_be_acknowledged_at_once(agent):
    one = contact(agent, received_at="2026-04-08T21:06:00Z")
    assert acknowledge(agent, one["contact_id"]).json["acknowledgement"]["given_at"] == "2026-04-08T21:06:00Z"


def test_a_superseded_contact_is_neither_acknowledged_nor_completed_nor_reopened(agent):
    one = contact(agent)
    newer = agent.record(one["order_id"], supersedes=one["contact_id"]).json["contact_id"]
    for answer in (
        acknowledge(agent, one["contact_id"]),
        complete(agent, one["contact_id"], note="Late."),
        reopen(agent, one["contact_id"]),
    ):
        assert refused(answer) == (409, "contact-state-conflict")
        assert newer in answer.json["detail"]


def test_a_contact_is_completed_later_and_only_with_what_it_lacks(agent, billing):
    for fields in ({}, {"intent": "question"}):
        one = contact(agent, **fields)
        filled = complete(agent, one["contact_id"], ticket_ref="T-1", note=None).json
        assert filled == one | {"ticket_ref": "T-1"}
        assert complete(agent, one["contact_id"], ticket_ref="T-1").json == filled
        assert complete(agent, one["contact_id"], ticket_ref="T-1", note="Angry.").json["note"] == "Angry."
        for other in ({"ticket_ref": "T-2"}, {"note": "Calm."}):
            answer = complete(agent, one["contact_id"], **other)
            assert refused(answer) == (409, "contact-state-conflict")
        assert agent.get(f"/v1/contacts/{one['contact_id']}").json == filled | {"note": "Angry."}
        assert events(billing, one)[1:] == [
            ("contact.completed", {"fields": ["ticket_ref"]}),
            ("contact.completed", {"fields": ["note"]}),
        ]


def test_a_cancelled_orders_contact_can_be_completed_and_acknowledged(agent):
    contact_id = agent.cancelled()["contact_id"]
    assert complete(agent, contact_id, ticket_ref="T-1").status_code == 200
    assert acknowledge(agent, contact_id).status_code == 200


def test_a_resolution_says_why_and_the_same_again_changes_nothing(agent, billing):
    one = contact(agent)
    resolved = resolve(agent, one["contact_id"], **KEPT, reason="Stays with us.").json
    assert resolved["resolution"] == {
        "reason_code": "customer_kept_order",
        "reason": "Stays with us.",
        "duplicate_of": None,
        "resolved_at": IN_TIME,
        "resolved_by": one["recorded_by"],
    }
    assert resolve(agent, one["contact_id"], **KEPT, reason="Stays with us.").json == resolved
    for other in (KEPT, {"reason_code": "entered_in_error", "reason": "Stays with us."}):
        assert refused(resolve(agent, one["contact_id"], **other)) == (409, "contact-state-conflict")
    assert events(billing, one)[1:] == [("contact.resolved", {"duplicate_of": None, **KEPT})]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["/reason_code"]),
        ({"reason": "Stays."}, ["/reason_code"]),
        ({"reason_code": "bored"}, ["/reason_code"]),
        ({"reason_code": "answered_in_writing"}, ["/reason_code"]),
        ({"reason_code": "other"}, ["/reason"]),
        ({"reason_code": "other", "reason": "..."}, ["/reason"]),
        ({"reason_code": "other", "reason": "4111 1111 1111 1111"}, ["/reason"]),
        ({"reason_code": "duplicate"}, ["/duplicate_of"]),
        ({"reason_code": "duplicate", "duplicate_of": NOBODY}, ["/duplicate_of"]),
        ({"reason_code": "duplicate", "duplicate_of": "con_1"}, ["/duplicate_of"]),
        (KEPT | {"duplicate_of": NOBODY}, ["/duplicate_of"]),
    ],
)
def test_a_resolution_that_does_not_fit_is_refused(supervisor, billing, fields, expected):
    one = contact(supervisor)
    answer = resolve(supervisor, one["contact_id"], **fields)
    assert (answer.status_code, places(answer)) == (422, expected)
    assert len(events(billing, one)) == 1


def test_a_duplicate_names_the_other_contact_which_stays_open(agent, billing):
    one = contact(agent)
    other = agent.record(one["order_id"], channel="email").json
    resolved = resolve(agent, one["contact_id"], reason_code="duplicate", duplicate_of=other["contact_id"]).json
    assert (resolved["open"], resolved["resolution"]["duplicate_of"]) == (False, other["contact_id"])
    assert agent.get(f"/v1/contacts/{other['contact_id']}").json["open"] is True
    assert events(billing, one)[-1] == (
        "contact.resolved",
        {"reason_code": "duplicate", "duplicate_of": other["contact_id"]},
    )
    # Each of the two as the other's duplicate would lose the request.
    assert places(resolve(agent, other["contact_id"], reason_code="duplicate", duplicate_of=one["contact_id"])) == [
        "/duplicate_of"
    ]


def test_a_contact_is_a_duplicate_only_of_one_that_stands_for_it(agent, now):
    one = contact(agent)
    order_id, contact_id = one["order_id"], one["contact_id"]
    superseded = agent.record(order_id).json["contact_id"]
    agent.record(order_id, supersedes=superseded)
    question = agent.record(order_id, intent="question").json["contact_id"]
    elsewhere = contact(agent)["contact_id"]
    now.move_to(LATE)
    late = agent.record(order_id).json["contact_id"]
    for other in (contact_id, superseded, question, elsewhere, late):
        answer = resolve(agent, contact_id, reason_code="duplicate", duplicate_of=other)
        assert (answer.status_code, places(answer)) == (422, ["/duplicate_of"])
    assert resolve(agent, late, reason_code="duplicate", duplicate_of=contact_id).status_code == 200


@pytest.mark.parametrize("code", ["customer_kept_order", "entered_in_error"])
def test_an_agent_ends_a_timely_request_only_for_its_own_reasons(agent, supervisor, billing, code):
    one = contact(agent)
    answer = resolve(agent, one["contact_id"], **TOLD)
    assert refused(answer) == (403, "forbidden")
    assert "supervisor" in answer.json["detail"]
    assert refused(resolve(billing, one["contact_id"], **TOLD)) == (403, "forbidden")
    assert resolve(agent, one["contact_id"], reason_code=code).status_code == 200
    assert resolve(supervisor, contact(agent)["contact_id"], **TOLD).status_code == 200


def test_an_agent_cannot_end_a_request_that_needs_a_supervisor_or_together_with_one_that_was_in_time(agent, now):
    one = contact(agent)
    order_id = agent.register()
    now.move_to("2026-04-16T00:00:00+02:00")
    needs = agent.record(order_id, received_at=IN_TIME, ticket_ref="T-9").json
    assert needs["decision"]["verdict"] == "needs_supervisor"
    late = agent.record(one["order_id"]).json["contact_id"]
    for contact_id in (needs["contact_id"], late):
        assert refused(resolve(agent, contact_id, **TOLD)) == (403, "forbidden")


def test_an_agent_ends_a_late_request_for_any_reason(agent, now):
    order_id = agent.register()
    now.move_to(LATE)
    assert resolve(agent, agent.record(order_id).json["contact_id"], **TOLD).json["open"] is False


def test_a_request_that_was_told_it_is_in_time_is_not_ended_by_a_correction_of_the_order(agent, billing):
    one = contact(agent)
    etag = agent.get(f"/v1/orders/{one['order_id']}").headers["ETag"]
    facts = {"customer_ref": "K-20391", "service_provided_at": "2026-03-02T16:20:00+01:00", "region": "DE-BY"}
    corrected = billing.put(
        f"/v1/orders/{one['order_id']}", json=facts | {"correction_reason": "A slip."}, headers={"If-Match": etag}
    )
    assert corrected.status_code == 200
    assert refused(resolve(agent, one["contact_id"], **TOLD)) == (403, "forbidden")


def test_a_resolved_request_is_reopened_with_those_that_were_resolved_with_it(agent, billing, now):
    one = contact(agent)
    earlier = agent.record(one["order_id"], received_at=SOON).json
    alone = agent.record(one["order_id"]).json["contact_id"]
    resolve(agent, alone, reason_code="duplicate", duplicate_of=one["contact_id"])
    now.shift(60)
    resolve(agent, one["contact_id"], **KEPT)
    assert reopen(agent, one["contact_id"], "customer_asked_again").json == one
    assert agent.get(f"/v1/contacts/{earlier['contact_id']}").json == earlier
    assert agent.get(f"/v1/contacts/{alone}").json["open"] is False
    assert events(billing, one)[-1] == ("contact.reopened", {"reason_code": "customer_asked_again"})
    assert reopen(agent, one["contact_id"]).json == one, "sent again"
    assert [kind for kind, _ in events(billing, one)].count("contact.reopened") == 1
    assert resolve(agent, one["contact_id"], **KEPT).json["open"] is False


def test_what_is_not_resolved_or_whose_order_is_cancelled_is_not_reopened(agent):
    one = contact(agent)
    resolve(agent, one["contact_id"], **KEPT)
    cancellation = agent.cancelled(one["order_id"])
    answer = reopen(agent, one["contact_id"])
    assert refused(answer) == (409, "contact-state-conflict")
    assert cancellation["cancellation_id"] in answer.json["detail"]
    for other in (contact(agent, intent="question")["contact_id"], cancellation["contact_id"]):
        assert refused(reopen(agent, other)) == (409, "contact-state-conflict")
    assert places(reopen(agent, one["contact_id"], "bored")) == ["/reason_code"]
    assert agent.delete(f"/v1/contacts/{one['contact_id']}/resolution").status_code == 422


def test_nothing_of_it_is_for_those_who_only_read(auditor, agent):
    one = contact(agent, from_detail="a@example.com")
    acknowledge(agent, one["contact_id"], channel="email", to="b@example.com")
    resolve(agent, one["contact_id"], **KEPT, reason="Personal.")
    shown = auditor.get(f"/v1/contacts/{one['contact_id']}").json
    assert (shown["acknowledgement"]["to"], shown["resolution"]["reason"]) == (None, None)
    for do in (acknowledge, complete, reopen):
        assert refused(do(auditor, one["contact_id"])) == (403, "forbidden")
    assert refused(resolve(auditor, one["contact_id"], **KEPT)) == (403, "forbidden")


def test_the_table_of_contacts_has_the_number_the_answer_and_the_reason(agent):
    one = contact(agent)
    acknowledge(agent, one["contact_id"])
    resolve(agent, one["contact_id"], **KEPT)
    answer = agent.client.get(f"/v1/contacts?order_id={one['order_id']}", headers={"Accept": "text/csv"})
    header, row = (line.split(",") for line in answer.text.splitlines())
    shown = dict(zip(header, row, strict=False))
    assert shown["request_number"] == one["request_number"]
    assert (shown["acknowledged_through"], shown["resolution_code"]) == ("phone", "customer_kept_order")
