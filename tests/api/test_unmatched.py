"""A contact about an order that is not known yet is kept, and becomes an ordinary one once its order is."""

import re
from datetime import timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE
from tests.api.conftest import IN_TIME, LATE, places, slug

CARD = "4111 1111 1111 1111"
PERSONAL = {
    "order_hint": "the blue one, order 4711?",
    "from_detail": "+49 89 123456",
    "note": "furious",
    "ticket_ref": "T-471147",
}


def keep(desk, key=None, **more):
    """Record a call whose order is not known."""
    return desk.post("/v1/contacts", {"order_hint": "4711, or so", "channel": "phone"} | more, key)


def match(desk, unmatched_id, order_id, **more):
    """Name the order of an unmatched contact."""
    return desk.put(f"/v1/contacts/{unmatched_id}/order", json={"order_id": order_id} | more)


def resolve(desk, unmatched_id, reason):
    """Close an unmatched contact without an order."""
    return desk.put(f"/v1/unmatched-contacts/{unmatched_id}/resolution", json={"reason": reason})


def all_events(desk):
    """Every event of the feed."""
    events, page = [], desk.get("/v1/events?limit=200").json
    while page["items"]:
        events += page["items"]
        page = desk.get(f"/v1/events?after={page['next']}&limit=200").json
    return events


def row_of(app, unmatched_id):
    """The stored row of an unmatched contact."""
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return uow.tx.one("SELECT * FROM unmatched_contacts WHERE unmatched_id = :one", one=unmatched_id)


def verify(app):
    """Audit all records; raises if one is not as it was written."""
    store = app.extensions["refunds.store"]
    with store.read(COMMAND_LINE) as uow:
        return uow.verify(store.checkpoints)


def test_a_call_is_kept_and_open_before_its_order_is_known(agent, billing):
    answer = keep(agent, **PERSONAL)
    kept = answer.json
    assert answer.status_code == 201
    assert agent.get(answer.headers["Location"]).json == kept
    assert re.fullmatch("[0-9]{4}-[0-9]{4}", kept["request_number"])
    assert kept["unmatched_id"].startswith("unm_")
    assert {name: kept[name] for name in PERSONAL} == PERSONAL | {"from_detail": "+4989123456"}
    assert (kept["intent"], kept["channel"], kept["open"], kept["contact_id"]) == ("cancel", "phone", True, None)
    assert kept["received_at"] == kept["recorded_at"] == IN_TIME
    event = all_events(billing)[-1]
    assert (event["type"], event["subject"]) == ("contact.unmatched_recorded", kept["unmatched_id"])
    assert (event["order_id"], event["data"]) == (None, {"intent": "cancel", "channel": "phone"})


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"order_hint": "x" * 5000}, "validation-error", "/order_hint"),
        ({"order_hint": None}, "validation-error", "/order_hint"),
        ({"order_hint": "?!"}, "validation-error", "/order_hint"),
        ({"order_hint": f"paid with {CARD}"}, "payment-data-refused", "/order_hint"),
        ({"note": CARD}, "payment-data-refused", "/note"),
        ({"channel": "fax"}, "validation-error", "/channel"),
        ({"from_detail": "somebody"}, "validation-error", "/from_detail"),
        ({"contact_point": "the shop"}, "validation-error", "/contact_point"),
        ({"received_at": "2026-04-08T21:06:01Z"}, "validation-error", "/received_at"),
        ({"received_at": "2025-04-08T00:00:00Z"}, "validation-error", "/received_at"),
        ({"received_at": "0001-01-01T00:00:00Z"}, "validation-error", "/received_at"),
        ({"sent_at": "2026-04-08T21:06:01Z"}, "validation-error", "/sent_at"),
        ({"recorded_at": IN_TIME}, "validation-error", "/recorded_at"),
        ({"order_id": "A-1"}, "validation-error", "/order_id"),
        ({"supersedes": "con_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"}, "validation-error", "/supersedes"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_repeated(agent, fields, kind, place):
    answer = keep(agent, **fields)
    assert (answer.status_code, slug(answer), places(answer)) == (422, kind, [place])
    assert CARD not in answer.text


def test_a_key_is_required_and_a_role(agent, auditor):
    answer = agent.client.post("/v1/contacts", json={"order_hint": "4711", "channel": "phone"})
    assert slug(answer) == "idempotency-key-missing"
    kept = keep(agent, **PERSONAL).json
    path = f"/v1/unmatched-contacts/{kept['unmatched_id']}"
    assert keep(auditor).status_code == match(auditor, kept["unmatched_id"], "A").status_code == 403
    assert resolve(auditor, kept["unmatched_id"], "no").status_code == 403
    assert auditor.get(path).json == kept | dict.fromkeys(PERSONAL)
    assert agent.get("/v1/unmatched-contacts/unm_01KAN3Y7M0V5Q4T8Z2B6C9D1EF").status_code == 404


def test_unmatched_contacts_are_listed(agent, auditor):
    ids = [keep(agent, order_hint=f"list {number}").json["unmatched_id"] for number in range(3)]
    resolve(agent, ids[1], "found by hand")
    found, path = [], "/v1/unmatched-contacts?open=true&limit=1"
    page = agent.get(path).json
    while page["next"]:
        found += page["items"]
        page = agent.get(f"{path}&after={page['next']}").json
    found += page["items"]
    assert [one["unmatched_id"] for one in found if one["unmatched_id"] in ids] == [ids[0], ids[2]]
    assert all(one["open"] for one in found)
    number = agent.get(f"/v1/unmatched-contacts/{ids[0]}").json["request_number"]
    for spelt in (number, number.replace("-", "")):
        named = agent.get(f"/v1/unmatched-contacts?request_number={spelt}").json["items"]
        assert [one["unmatched_id"] for one in named] == [ids[0]]
    closed = agent.get("/v1/unmatched-contacts?open=false&limit=200").json["items"]
    assert ids[1] in [one["unmatched_id"] for one in closed]
    table = agent.get("/v1/unmatched-contacts?open=true&limit=200", headers={"Accept": "text/csv"})
    assert table.text.splitlines()[0].startswith("unmatched_id,request_number,order_hint")
    assert "list 2" in table.text
    assert "list 2" not in auditor.get("/v1/unmatched-contacts?open=true&limit=200").text


def test_matching_makes_it_a_contact_with_its_own_times(agent, supervisor, billing, now):
    kept = keep(agent, received_at="2026-04-08T20:55:00Z", sent_at="2026-04-08T20:50:00Z", **PERSONAL).json
    now.move_to("2026-04-10T09:00:00Z")  # the window has ended, and billing sends the order only now
    order_id = supervisor.register()
    answer = match(supervisor, kept["unmatched_id"], order_id)
    contact = answer.json
    assert answer.status_code == 201
    assert agent.get(answer.headers["Location"]).json == contact
    assert contact["order_id"] == order_id
    same = ("intent", "channel", "sent_at", "received_at", "recorded_at", "recorded_by", "from_detail", "note")
    assert {name: contact[name] for name in same} == {name: kept[name] for name in same}
    assert (contact["decision"]["reason"], contact["open"], contact["backdated"]) == ("within_window", True, False)
    events = [event for event in all_events(billing) if event["order_id"] == order_id]
    assert [event["type"] for event in events][-2:] == ["contact.recorded", "contact.matched"]
    assert (events[-1]["subject"], events[-1]["data"]) == (kept["unmatched_id"], {"contact_id": contact["contact_id"]})
    assert events[-1]["actor"] != kept["recorded_by"] == contact["recorded_by"]
    assert supervisor.issue(order_id, contact_id=contact["contact_id"]).status_code == 201


def test_matching_empties_what_was_kept_and_destroys_its_key(app, agent):
    kept = keep(agent, **PERSONAL).json
    before = row_of(app, kept["unmatched_id"])
    assert before["wrapped_key"]
    assert all(before[name] and PERSONAL[name].encode() not in bytes(before[name]) for name in PERSONAL)
    contact = match(agent, kept["unmatched_id"], agent.register()).json
    after = row_of(app, kept["unmatched_id"])
    assert [after[name] for name in ("wrapped_key", "closed_reason", *PERSONAL)] == [None] * 6
    shown = agent.get(f"/v1/unmatched-contacts/{kept['unmatched_id']}").json
    assert shown == kept | dict.fromkeys(PERSONAL) | {"open": False, "contact_id": contact["contact_id"]}
    verify(app)


def test_the_same_match_again_changes_nothing_and_another_is_refused(agent, billing):
    unmatched_id, order_id, other = keep(agent).json["unmatched_id"], agent.register(), agent.register()
    contact = match(agent, unmatched_id, order_id).json
    answer = match(agent, unmatched_id, order_id)
    assert (answer.status_code, answer.json) == (200, contact)
    answer = match(agent, unmatched_id, other)
    assert (answer.status_code, slug(answer), answer.json["state"]) == (409, "contact-state-conflict", "closed")
    assert contact["contact_id"] in answer.json["detail"]
    assert [event["type"] for event in billing.feed(order_id)].count("contact.recorded") == 1
    assert agent.get(f"/v1/contacts?order_id={other}").json["items"] == []


def test_the_id_of_a_contact_of_the_other_kind_names_nothing(agent, billing):
    contact, unmatched = agent.record(agent.register()).json, keep(agent).json
    named = f"/v1/contacts/{unmatched['unmatched_id']}", f"/v1/unmatched-contacts/{contact['contact_id']}"
    before = all_events(billing)
    for url in named:
        assert slug(agent.client.patch(url, json={"ticket_ref": "T-1"})) == "not-found"
        assert slug(agent.put(f"{url}/acknowledgement", json={"channel": "phone", "to": "+4989123456"})) == "not-found"
    assert all_events(billing) == before


def test_what_does_not_exist_cannot_be_matched(agent):
    unmatched_id, order_id = keep(agent).json["unmatched_id"], agent.register()
    answer = match(agent, unmatched_id, "unknown")
    assert (answer.status_code, slug(answer)) == (404, "order-not-found")
    contact_id = agent.record(order_id).json["contact_id"]
    answer = match(agent, contact_id, order_id)
    assert (answer.status_code, slug(answer)) == (404, "not-found")
    assert agent.get(f"/v1/unmatched-contacts/{unmatched_id}").json["open"]


def test_an_order_that_is_cancelled_already_gets_the_contact_too(agent, app):
    unmatched_id, order_id = keep(agent).json["unmatched_id"], agent.register()
    agent.cancelled(order_id)
    answer = match(agent, unmatched_id, order_id)
    assert (answer.status_code, answer.json["open"]) == (201, False)
    assert answer.json["decision"]["reason"] == "order_already_cancelled"
    verify(app)


def test_an_order_that_was_placed_after_the_contact_is_another_one(agent, now):
    unmatched_id = keep(agent).json["unmatched_id"]
    now.shift(timedelta(days=3))
    order_id = agent.register(ordered_at="2026-04-11T09:00:00Z", service_provided_at=None)
    answer = match(agent, unmatched_id, order_id)
    assert (answer.status_code, slug(answer), places(answer)) == (422, "validation-error", ["/order_id"])


def test_lateness_goes_by_the_first_entry_and_a_ticket_can_be_added(agent, now):
    now.move_to(LATE)
    late = keep(agent, received_at=IN_TIME).json["unmatched_id"]
    now.move_to("2026-05-20T08:00:00Z")
    order_id = agent.register()
    answer = match(agent, late, order_id)
    assert (answer.status_code, slug(answer), places(answer)) == (422, "evidence-required", ["/ticket_ref"])
    contact = match(agent, late, order_id, ticket_ref="T-7").json
    assert (contact["decision"]["reason"], contact["backdated"]) == ("within_window", True)
    assert (contact["ticket_ref"], contact["recorded_at"]) == ("T-7", LATE)
    very_late = keep(agent, received_at=IN_TIME, ticket_ref="T-8").json["unmatched_id"]
    assert match(agent, very_late, agent.register()).json["decision"]["reason"] == "late_entry_needs_supervisor"


def test_it_is_closed_without_an_order_for_a_reason(agent, billing, auditor, app):
    unmatched_id, order_id = keep(agent, **PERSONAL).json["unmatched_id"], agent.register()
    answer = resolve(agent, unmatched_id, "Another shop's order.")
    resolution = answer.json["resolution"]
    assert (answer.status_code, answer.json["open"], answer.json["contact_id"]) == (200, False, None)
    assert (resolution["reason"], resolution["resolved_at"]) == ("Another shop's order.", IN_TIME)
    assert resolve(agent, unmatched_id, "Another shop's order.").json == answer.json
    for refused in (resolve(agent, unmatched_id, "Otherwise."), match(agent, unmatched_id, order_id)):
        assert (refused.status_code, slug(refused), refused.json["state"]) == (
            409,
            "contact-state-conflict",
            "resolved",
        )
    assert auditor.get(f"/v1/unmatched-contacts/{unmatched_id}").json["resolution"]["reason"] is None
    assert [
        (event["type"], event["order_id"]) for event in all_events(billing) if event["subject"] == unmatched_id
    ] == [
        ("contact.unmatched_recorded", None),
        ("contact.unmatched_resolved", None),
    ]
    matched = keep(agent).json["unmatched_id"]
    match(agent, matched, order_id)
    assert resolve(agent, matched, "too late").json["state"] == "closed"
    assert slug(resolve(agent, unmatched_id, CARD)) == "payment-data-refused"
    verify(app)


def test_a_ticket_and_a_note_are_added_before_the_order_is_known(agent, billing, app):
    unmatched_id = keep(agent, note="furious").json["unmatched_id"]

    def complete(**fields):
        return agent.client.patch(f"/v1/unmatched-contacts/{unmatched_id}", json=fields)

    before = agent.get(f"/v1/unmatched-contacts/{unmatched_id}").json
    completed = complete(ticket_ref="T-1", note="furious")
    assert (completed.status_code, completed.json) == (200, before | {"ticket_ref": "T-1"})
    assert complete(ticket_ref="T-1").json == completed.json
    assert slug(complete(note="calm")) == "contact-state-conflict"
    assert slug(complete(ticket_ref=CARD)) == "payment-data-refused"
    events = [(one["type"], one["data"]) for one in all_events(billing) if one["subject"] == unmatched_id]
    assert events[1:] == [("contact.unmatched_completed", {"fields": ["ticket_ref"]})]
    became = match(agent, unmatched_id, agent.register()).json
    assert (became["ticket_ref"], became["note"]) == ("T-1", "furious")
    assert complete(ticket_ref="T-1").status_code == 409
    verify(app)


def test_a_repeated_request_gets_its_answer_also_after_the_match(app, agent):
    first = keep(agent, key="kept-once", **PERSONAL)
    kept = first.json
    assert keep(agent, key="kept-once", **PERSONAL).data == first.data
    match(agent, kept["unmatched_id"], agent.register(customer_ref="K-before"))
    again = keep(agent, key="kept-once", **PERSONAL)
    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        left = uow.tx.all("SELECT * FROM idempotency WHERE unmatched_id = :one", one=kept["unmatched_id"])
    assert left == []
    assert slug(keep(agent, key="kept-once")) == "idempotency-key-reused"


def test_the_reply_goes_with_the_order_to_another_customer(agent, supervisor):
    first = keep(agent, key="moved-on", **PERSONAL)
    order_id = supervisor.register(customer_ref="K-wrong")
    match(agent, first.json["unmatched_id"], order_id)
    facts = {
        "customer_ref": "K-whose-order-it-is",
        "service_provided_at": "2026-04-02T16:20:00+02:00",
        "region": "DE-BY",
    }
    corrected = facts | {"correction_reason": "a slip"}
    assert supervisor.put(f"/v1/orders/{order_id}", json=corrected, headers={"If-Match": '"1"'}).status_code == 200
    assert keep(agent, key="moved-on", **PERSONAL).data == first.data


def test_the_evidence_shows_that_it_was_kept_before(agent, supervisor):
    kept, order_id = keep(agent, **PERSONAL).json, agent.register()
    contact = match(agent, kept["unmatched_id"], order_id).json
    found = supervisor.get(f"/v1/orders/{order_id}/evidence").json
    assert found["proof"]["sound"]
    assert [one["contact_id"] for one in found["unmatched_contacts"]] == [contact["contact_id"]]
    assert found["unmatched_contacts"][0]["request_number"] == kept["request_number"]
    assert "contact.matched" in [event["type"] for event in found["journal"]]
    page = supervisor.get(f"/v1/orders/{order_id}/evidence", headers={"Accept": "text/html"}).text
    assert kept["request_number"] in page


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("is_open = 1", "differs from the journal"),
        ("contact_id = NULL", "differs from the journal"),
        ("recorded_at = recorded_at - 1", "differs from the journal"),
        ("note = NULL", None),
    ],
)
def test_the_evidence_is_compared_with_the_journal(app, agent, admin, change, found):
    kept, order_id = keep(agent).json, agent.register()
    match(agent, kept["unmatched_id"], order_id)
    row = row_of(app, kept["unmatched_id"])
    store = app.extensions["refunds.store"]
    with store.write(COMMAND_LINE) as uow:
        changing = f"UPDATE unmatched_contacts SET {change} WHERE unmatched_id = :one"  # noqa: S608
        uow.tx.run(changing, one=kept["unmatched_id"])
    proof = admin.get(f"/v1/orders/{order_id}/evidence").json["proof"]
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run(
            "UPDATE unmatched_contacts SET is_open = :is_open, contact_id = :contact_id, recorded_at = :recorded_at"
            " WHERE unmatched_id = :unmatched_id",
            **{name: row[name] for name in ("is_open", "contact_id", "recorded_at", "unmatched_id")},
        )
    missing = "the record is missing" if "contact_id" in change else found
    assert proof["broken"] == ([f"unmatched_contacts {kept['unmatched_id']}: {missing}"] if found else [])


def told(desk, unmatched_id, **how):
    """Record that the customer of an unmatched contact was answered."""
    return desk.put(f"/v1/unmatched-contacts/{unmatched_id}/acknowledgement", json={"channel": "phone"} | how)


def test_the_customer_is_answered_before_the_order_is_known_and_the_contact_keeps_that(agent, billing, app):
    unmatched_id = keep(agent, **PERSONAL).json["unmatched_id"]
    answer = told(agent, unmatched_id, channel="email", to="kim@example.org")
    given = answer.json["acknowledgement"]
    assert (answer.status_code, given["channel"], given["to"], given["given_at"]) == (
        *(200, "email"),
        *("kim@example.org", IN_TIME),
    )
    assert told(agent, unmatched_id, channel="email", to="kim@example.org").json == answer.json
    assert slug(told(agent, unmatched_id)) == "contact-state-conflict"
    assert b"kim@" not in bytes(row_of(app, unmatched_id)["acknowledged_to"])
    events = [(one["type"], one["data"]) for one in all_events(billing) if one["subject"] == unmatched_id]
    assert events[1:] == [("contact.unmatched_acknowledged", {"channel": "email"})]
    became = match(agent, unmatched_id, agent.register()).json
    assert became["acknowledgement"] == given
    assert row_of(app, unmatched_id)["acknowledged_to"] is None
    assert told(agent, unmatched_id).status_code == 409
    verify(app)


@pytest.mark.parametrize(
    ("how", "place"),
    [
        ({"to": "089 123456"}, "/to"),
        ({"channel": "email", "to": "+4989123456"}, "/to"),
        ({"given_at": "2026-04-08T20:00:00Z"}, "/given_at"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(agent, how, place):
    answer = told(agent, keep(agent).json["unmatched_id"], **how)
    assert (answer.status_code, places(answer)) == (422, [place])


def test_a_correction_takes_the_place_of_the_wrong_one_and_is_not_late_for_it(agent, supervisor, billing, app, now):
    first = keep(agent, received_at="2026-04-08T20:55:00Z", **PERSONAL).json
    now.move_to("2026-04-20T08:00:00Z")
    right = {"received_at": "2026-04-08T20:50:00Z", "channel": "email", "supersedes": first["unmatched_id"]}
    second = keep(supervisor, **PERSONAL, **right).json
    assert second["supersedes"] == first["unmatched_id"]
    assert (second["recorded_at"], second["recorded_by"]) == (first["recorded_at"], first["recorded_by"])
    assert second["request_number"] != first["request_number"]
    earlier = agent.get(f"/v1/unmatched-contacts/{first['unmatched_id']}").json
    assert earlier == first | {"open": False, "superseded_by": second["unmatched_id"]}
    for refused in (
        keep(agent, **right),
        match(agent, first["unmatched_id"], agent.register()),
        resolve(agent, first["unmatched_id"], "nobody's"),
        told(agent, first["unmatched_id"]),
        agent.delete(f"/v1/unmatched-contacts/{first['unmatched_id']}/resolution?reason_code=entered_in_error"),
    ):
        assert (refused.status_code, refused.json["state"]) == (409, "superseded")
        assert second["unmatched_id"] in refused.json["detail"]
    events = [(one["type"], one["data"]) for one in all_events(billing) if one["subject"] == first["unmatched_id"]]
    assert events[1:] == [("contact.unmatched_superseded", {"superseded_by": second["unmatched_id"]})]
    order_id = agent.register()
    became = match(agent, second["unmatched_id"], order_id).json
    assert (became["decision"]["reason"], became["received_at"]) == ("within_window", "2026-04-08T20:50:00Z")
    both = {first["unmatched_id"], second["unmatched_id"]}
    for one in both:
        row = row_of(app, one)
        assert [row[name] for name in ("wrapped_key", *PERSONAL)] == [None] * 5
    found = supervisor.get(f"/v1/orders/{order_id}/evidence").json
    assert found["proof"]["sound"]
    assert {one["unmatched_id"] for one in found["unmatched_contacts"]} == both
    verify(app)


def test_only_a_supervisor_makes_a_request_a_later_one_and_it_is_entered_now(agent, supervisor, now):
    first = keep(agent).json
    now.move_to(LATE)
    for times in ({"received_at": LATE}, {"received_at": first["received_at"], "sent_at": LATE}):
        refused = keep(agent, supersedes=first["unmatched_id"], **times)
        assert refused.status_code in {403, 422}, "422: sent after it was received"
    assert agent.get(f"/v1/unmatched-contacts/{first['unmatched_id']}").json == first
    later = keep(supervisor, received_at=LATE, supersedes=first["unmatched_id"]).json
    assert later["recorded_at"] == LATE


def test_a_correction_without_a_time_has_that_of_what_it_corrects(agent, now):
    first = keep(agent, sent_at="2026-04-08T20:00:00Z", received_at="2026-04-08T20:50:00Z").json
    now.move_to(LATE)
    second = keep(agent, supersedes=first["unmatched_id"], ticket_ref="T-1").json
    for name in ("sent_at", "received_at", "recorded_at", "recorded_by"):
        assert second[name] == first[name]


def test_only_a_supervisor_ends_a_withdrawal_whose_order_is_not_known(agent, supervisor):
    unmatched_id = keep(agent, intent="withdrawal").json["unmatched_id"]
    assert resolve(agent, unmatched_id, "nobody's").status_code == 403
    assert agent.get(f"/v1/unmatched-contacts/{unmatched_id}").json["open"]
    assert resolve(supervisor, unmatched_id, "nobody's").status_code == 200


def test_what_asks_for_less_corrects_nothing(agent):
    first = keep(agent).json["unmatched_id"]
    answer = keep(agent, intent="question", supersedes=first)
    assert (answer.status_code, answer.json["state"]) == (409, "open")
    unknown = keep(agent, supersedes="unm_01KAN3Y7M0V5Q4T8Z2B6C9D1EF")
    assert (unknown.status_code, places(unknown)) == (422, ["/supersedes"])
