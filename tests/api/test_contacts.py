"""Contacts over HTTP: each is kept with its decision, and no timely request is lost."""

import pytest

from tests.api.conftest import IN_TIME, LATE, places, slug


def open_ids(desk, order_id):
    """The ids of the open contacts of an order."""
    return [item["contact_id"] for item in desk.get(f"/v1/contacts?order_id={order_id}&open=true").json["items"]]


def test_a_call_is_recorded_with_its_decision(agent, billing):
    order_id = agent.register()
    answer = agent.record(order_id, from_detail="089 123456", note="wants out", ticket_ref="T-1")
    contact = answer.json
    assert answer.status_code == 201
    assert agent.get(answer.headers["Location"]).json == contact
    assert (contact["from_detail"], contact["note"], contact["ticket_ref"]) == ("+4989123456", "wants out", "T-1")
    assert contact["received_at"] == contact["recorded_at"] == IN_TIME
    assert contact["recorded_by"].startswith("cli_")
    assert (contact["decision"]["reason"], contact["open"]) == ("within_window", True)
    assert [event["type"] for event in billing.feed(order_id)] == [
        "order.registered",
        "order.promised",
        "contact.recorded",
    ]


def test_a_late_request_is_kept_with_its_decision(agent, now):
    order_id = agent.register()
    now.move_to(LATE)
    contact = agent.record(order_id).json
    assert (contact["decision"]["eligible"], contact["decision"]["reason"]) == (False, "window_elapsed")
    assert contact["open"] is True


def test_a_contact_is_judged_by_its_own_time_and_not_that_of_its_entry(agent, now):
    order_id = agent.register()
    now.move_to("2026-04-10T08:00:00Z")
    contact = agent.record(order_id, received_at=IN_TIME, ticket_ref="T-7").json
    assert (contact["decision"]["reason"], contact["backdated"]) == ("within_window", True)
    assert contact["recorded_at"] == "2026-04-10T08:00:00Z"
    listed = agent.get(f"/v1/contacts?backdated=true&order_id={order_id}").json["items"]
    assert [item["contact_id"] for item in listed] == [contact["contact_id"]]


def test_a_late_entry_of_a_timely_request_needs_evidence(agent, billing, now):
    order_id = agent.register()
    now.move_to(LATE)
    answer = agent.record(order_id, received_at=IN_TIME)
    assert (answer.status_code, slug(answer), places(answer)) == (422, "evidence-required", ["/ticket_ref"])
    assert [event["type"] for event in billing.feed(order_id)] == ["order.registered", "order.promised"]
    assert agent.record(order_id, received_at=IN_TIME, intent="question").status_code == 201


def test_a_very_late_entry_needs_a_supervisor(agent, supervisor, now):
    order_id = agent.register()
    now.move_to("2026-04-16T00:00:00+02:00")  # the sixth business day after the 8th is the 16th
    contact = {"received_at": IN_TIME, "ticket_ref": "T-9"}
    assert agent.record(order_id, **contact).json["decision"]["reason"] == "late_entry_needs_supervisor"
    assert supervisor.record(order_id, **contact).json["decision"]["reason"] == "within_window"


def test_dating_a_contact_before_the_service_does_not_bypass_the_rules_for_late_entries(agent, supervisor, now):
    """The service was not yet provided at the time of the contact, but long ago when it is entered."""
    early = {"received_at": "2026-04-02T10:00:00Z"}
    at_once, soon, order_id = (agent.register(ordered_at="2026-04-01T09:00:00Z") for _ in range(3))
    assert agent.record(at_once, **early).json["decision"]["reason"] == "service_not_yet_provided"
    now.move_to("2026-04-09T10:00:00Z")
    assert slug(agent.record(soon, **early)) == "evidence-required"
    timely = agent.record(soon, **early, ticket_ref="T-3").json
    assert (timely["decision"]["reason"], timely["backdated"]) == ("service_not_yet_provided", True)
    now.move_to("2026-11-22T10:00:00Z")
    contact = early | {"ticket_ref": "T-4"}
    assert agent.record(order_id, **contact).json["decision"]["reason"] == "late_entry_needs_supervisor"
    assert agent.issue(order_id, contact={"channel": "phone"} | contact).status_code == 409
    assert supervisor.record(order_id, **contact).json["decision"]["reason"] == "service_not_yet_provided"


def test_a_contact_cannot_be_earlier_than_its_order(agent):
    order_id = agent.register(ordered_at="2026-04-02T09:00:00Z")
    assert agent.record(order_id, received_at="2026-04-01T09:00:00Z").status_code == 201
    answer = agent.record(order_id, received_at="2026-04-01T08:59:59Z")
    assert (answer.status_code, places(answer)) == (422, ["/received_at"])
    ancient = agent.register(ordered_at="0001-01-01T00:00:00Z")
    assert agent.record(ancient, received_at="0001-01-01T00:00:00Z").status_code in {201, 422}
    assert agent.record(ancient).status_code == 201


@pytest.mark.parametrize("ticket", [".", "-", "  ", "\u200b"])
def test_an_empty_ticket_is_no_evidence(agent, ticket):
    assert places(agent.record(agent.register(), ticket_ref=ticket)) == ["/ticket_ref"]


def test_a_question_does_not_take_a_request_off_the_open_list(agent):
    order_id = agent.register()
    contact_id = agent.record(order_id).json["contact_id"]
    answer = agent.record(order_id, intent="question", supersedes=contact_id)
    assert (answer.status_code, slug(answer)) == (409, "contact-state-conflict")
    assert open_ids(agent, order_id) == [contact_id]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"received_at": "2026-04-08T21:06:01Z"}, "/received_at"),
        ({"received_at": "2025-04-01T00:00:00Z"}, "/received_at"),
        ({"received_at": "0001-01-01T00:00:00Z"}, "/received_at"),
        ({"received_at": "2026-04-08T20:00:00Z", "sent_at": "2026-04-08T20:00:01Z"}, "/sent_at"),
        ({"sent_at": "2024-01-01T00:00:00Z"}, "/sent_at"),
        ({"sent_at": "2026-04-08T21:06:01Z"}, "/sent_at"),
        ({"from_detail": "somebody"}, "/from_detail"),
        ({"from_detail": "me@"}, "/from_detail"),
        ({"contact_point": "the shop"}, "/contact_point"),
        ({"channel": "fax"}, "/channel"),
        ({"channel": "рhone"}, "/channel"),
        ({"intent": "refund"}, "/intent"),
        ({"recorded_at": IN_TIME}, "/recorded_at"),
        ({"recorded_by": "somebody else"}, "/recorded_by"),
        ({"decision": {}}, "/decision"),
        ({"supersedes": "con_1"}, "/supersedes"),
        ({"supersedes": "con_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"}, "/supersedes"),
        ({"note": "\u0000"}, "/note"),
        ({"note": "x" * 2001}, "/note"),
    ],
)
def test_an_invalid_contact_is_refused_and_nothing_is_stored(agent, billing, fields, place):
    order_id = agent.register()
    answer = agent.record(order_id, **fields)
    assert (answer.status_code, places(answer)) == (422, [place])
    assert [event["type"] for event in billing.feed(order_id)] == ["order.registered", "order.promised"]


def test_a_contact_may_be_a_minute_ahead_of_the_clock(agent):
    assert agent.record(agent.register(), received_at="2026-04-08T21:06:00Z").status_code == 201


def test_a_contact_about_an_unknown_order_is_not_found(agent):
    answer = agent.record("unknown")
    assert (answer.status_code, slug(answer)) == (404, "order-not-found")


@pytest.mark.parametrize("field", ["note", "ticket_ref", "from_detail"])
@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "5555-5555-5555-4444"])
def test_payment_data_is_refused_and_never_repeated(agent, billing, field, number):
    order_id = agent.register()
    answer = agent.record(order_id, **{field: f"{number}"})
    assert (answer.status_code, slug(answer), places(answer)) == (422, "payment-data-refused", [f"/{field}"])
    assert number not in answer.text
    assert [event["type"] for event in billing.feed(order_id)] == ["order.registered", "order.promised"]


def test_a_mistake_is_corrected_by_a_contact_that_supersedes_it(agent, billing):
    order_id = agent.register()
    first = agent.record(order_id, channel="email").json["contact_id"]
    second = agent.record(order_id, channel="phone", supersedes=first).json["contact_id"]
    assert agent.get(f"/v1/contacts/{first}").json["superseded_by"] == second
    assert open_ids(agent, order_id) == [second]
    again = agent.record(order_id, supersedes=first)
    assert (again.status_code, slug(again)) == (409, "contact-state-conflict")
    assert slug(agent.issue(order_id, contact_id=first)) == "contact-state-conflict"
    assert [event["type"] for event in billing.feed(order_id)][2:] == [
        "contact.recorded",
        "contact.superseded",
        "contact.recorded",
    ]


def test_a_contact_cannot_supersede_one_of_another_order(agent):
    other = agent.record(agent.register()).json["contact_id"]
    assert places(agent.record(agent.register(), supersedes=other)) == ["/supersedes"]


def test_a_contact_with_a_cancellation_cannot_be_superseded(agent):
    cancellation = agent.cancelled()
    answer = agent.record(cancellation["order_id"], supersedes=cancellation["contact_id"])
    assert (answer.status_code, slug(answer)) == (409, "contact-state-conflict")


def test_a_request_stays_open_until_it_is_cancelled(agent):
    order_id = agent.register()
    contact_id = agent.record(order_id).json["contact_id"]
    assert open_ids(agent, order_id) == [contact_id]
    agent.cancelled(order_id, contact_id=contact_id)
    assert open_ids(agent, order_id) == []


def test_a_question_is_kept_but_never_open(agent):
    order_id = agent.register()
    contact = agent.record(order_id, intent="question").json
    assert (contact["intent"], contact["open"]) == ("question", False)
    assert (
        agent.put(
            f"/v1/contacts/{contact['contact_id']}/resolution", json={"reason_code": "entered_in_error"}
        ).status_code
        == 409
    )
    assert slug(agent.issue(order_id, contact_id=contact["contact_id"])) == "contact-state-conflict"


def test_a_contact_about_a_cancelled_order_is_kept_too(agent):
    order_id = agent.cancelled()["order_id"]
    contact = agent.record(order_id).json
    assert (contact["decision"]["reason"], contact["open"]) == ("order_already_cancelled", False)


def test_an_order_cannot_be_cancelled_on_a_resolved_contact(agent):
    order_id = agent.register()
    contact_id = agent.record(order_id).json["contact_id"]
    agent.put(f"/v1/contacts/{contact_id}/resolution", json={"reason_code": "customer_kept_order"})
    assert slug(agent.issue(order_id, contact_id=contact_id)) == "contact-state-conflict"


def test_contacts_are_listed_page_by_page_in_order_of_entry(agent):
    order_id = agent.register()
    ids = sorted(agent.record(order_id).json["contact_id"] for _ in range(5))
    url, found = f"/v1/contacts?order_id={order_id}&limit=2", []
    after = ""
    while after is not None:
        page = agent.get(url + (after and f"&after={after}")).json
        found += [item["contact_id"] for item in page["items"]]
        after = page["next"]
    assert found == ids


def test_personal_data_is_hidden_from_an_auditor(agent, auditor):
    contact_id = agent.record(agent.register(), note="a note", from_detail="a@example.com", ticket_ref="T-1").json[
        "contact_id"
    ]
    shown = auditor.get(f"/v1/contacts/{contact_id}").json
    assert (shown["note"], shown["from_detail"], shown["ticket_ref"]) == (None, None, None)
    assert shown["decision"]["reason"] == "within_window"


def test_a_decision_is_explained_in_the_readers_language(agent):
    contact_id = agent.record(agent.register()).json["contact_id"]
    german = agent.get(f"/v1/contacts/{contact_id}", headers={"Accept-Language": "de"}).json["decision"]
    assert (
        german["reason_text"]
        == "Die Bestellung kann bis Mittwoch, 8. April 2026, 24 Uhr (Ortszeit Berlin) storniert werden."
    )
    assert german["days"][1]["name"] == "Karfreitag"


@pytest.mark.parametrize("sent_at", ["2026-04-08T21:05:00.000001Z", "2026-04-08T21:06:00Z"])
def test_what_a_clock_that_is_ahead_calls_sent_later_was_sent_now(agent, sent_at):
    """The clocks of two machines never agree; within a minute, that loses no contact."""
    order_id = agent.register()
    contact = agent.record(order_id, channel="email", sent_at=sent_at)
    assert (contact.status_code, contact.json["sent_at"], contact.json["received_at"]) == (201, IN_TIME, IN_TIME)
    kept = agent.post("/v1/contacts", {"order_hint": "4711", "channel": "email", "sent_at": sent_at})
    assert (kept.status_code, kept.json["sent_at"]) == (201, IN_TIME)
    issued = agent.issue(agent.register(), contact={"channel": "email", "sent_at": sent_at})
    assert issued.status_code == 201
