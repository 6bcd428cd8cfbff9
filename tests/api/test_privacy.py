"""Data requests, disclosures and holds over HTTP."""

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.web.schemas.privacy import CertificateSchema
from tests.api.conftest import IN_TIME, places, slug

CARD = "4111 1111 1111 1111"
ASKED = {"kind": "access", "customer_ref": "K-20391", "channel": "email", "identity_check": "called back: Kim"}
DISCLOSED = {"customer_ref": "K-20391", "basis": "authority_request", "recipient": "Polizei", "reference": "BY-114"}


def ask(desk, key=None, **more):
    """Open a data request."""
    return desk.post("/v1/data-requests", ASKED | more, key)


def close(desk, request, outcome="fulfilled", **more):
    """Close a data request."""
    return desk.put(f"/v1/data-requests/{request['request_id']}/outcome", json={"outcome": outcome} | more)


def sound(app):
    """Assert that the audit finds nothing."""
    store = app.extensions["refunds.store"]
    with store.read(COMMAND_LINE) as uow:
        uow.verify(list(store.checkpoints))


def test_a_data_request_is_opened_once_listed_and_read(agent, privacy, auditor, app):
    agent.register()
    request = ask(privacy, "request-of-privacy-1", recipient="another shop")
    assert request.status_code == 201
    shown = request.json
    assert (shown["state"], shown["identity_check"], shown["recipient"]) == ("open", "called back: Kim", "another shop")
    assert (shown["received_at"], shown["due_at"]) == (IN_TIME, "2026-05-08T22:00:00Z")
    again = ask(privacy, "request-of-privacy-1", recipient="another shop")
    assert (again.status_code, again.json, again.headers["Idempotent-Replayed"]) == (201, shown, "true")
    other = ask(privacy, kind="erasure", received_at="2026-03-31T10:00:00+02:00").json
    assert other["due_at"] == "2026-04-30T22:00:00Z"
    path = f"/v1/data-requests/{shown['request_id']}"
    assert privacy.get(path).json == shown
    assert request.headers["Location"] == path
    hidden = auditor.get(path).json
    assert hidden == shown | {"identity_check": None, "recipient": None}
    listed = privacy.get("/v1/data-requests?limit=200").json["items"]
    assert [one for one in listed if one in (shown, other)] == [shown, other]
    assert other in privacy.get("/v1/data-requests?kind=erasure&state=open&limit=200").json["items"]
    assert shown not in privacy.get("/v1/data-requests?state=closed").json["items"]
    all_items, page = privacy.get("/v1/data-requests").json["items"], privacy.get("/v1/data-requests?limit=1").json
    assert page["items"] == all_items[:1]
    assert privacy.get(f"/v1/data-requests?limit=1&after={page['next']}").json["items"] == all_items[1:2]
    sound(app)


def test_of_an_unknown_person_nothing_personal_is_kept_and_nothing_is_held(privacy, app):
    request = ask(privacy, "request-of-privacy-2", customer_ref="K-nobody", recipient="another shop")
    assert [request.json[name] for name in ("customer_id", "identity_check", "recipient")] == [None] * 3
    assert ask(privacy, "request-of-privacy-2", customer_ref="K-nobody", recipient="another shop").json == request.json
    done = close(privacy, request.json, "nothing_held", reason="no Kim here").json
    assert (done["state"], done["outcome"], done["outcome_reason"]) == ("closed", "nothing_held", None)
    assert slug(close(privacy, request.json, "refused", reason="no")) == "data-request-state-conflict"
    sound(app)


def test_an_erasure_is_done_once_and_certified(admin, privacy, app):
    order_id = admin.register(customer_ref="K-erased")
    contact = admin.record(order_id, note="Frau Muster").json["contact_id"]
    unchecked = ask(privacy, customer_ref="K-erased", kind="erasure", identity_check=None).json
    assert slug(close(privacy, unchecked)) == "identity-not-checked"
    path = f"/v1/data-requests/{unchecked['request_id']}"
    for _ in "ab":
        checked = privacy.put(f"{path}/identity-check", json={"identity_check": "passport"})
        assert checked.json == unchecked | {"identity_check": "passport"}
    refused = close(privacy, unchecked)
    assert (slug(refused), contact in refused.json["detail"]) == ("customer-has-open-matters", True)
    hold = f"/v1/customers/{unchecked['customer_id']}/hold"
    assert privacy.put(hold, json={"reason": "Klage"}).json["held"]
    assert slug(close(privacy, unchecked, erasure_reason="child")) == "legal-hold"
    assert privacy.get(path).json == checked.json
    assert not privacy.delete(hold).json["held"]
    done = close(privacy, unchecked, anyway="she insists").json
    assert (done["identity_check"], done["certificate"]["order_ids"]) == ("[erased]", [order_id])
    assert done["certificate"]["fields"]["contacts"] == 1
    example = CertificateSchema.example()
    line = done["certificate"]["lines"][0]
    for name in ("customer_id", "erased_at"):
        line = line.replace(done["certificate"][name], example[name])
    assert [line] == example["lines"]
    assert close(privacy, unchecked, anyway="she insists").json == done
    german = privacy.client.get(path, headers={"Accept-Language": "de"}).json["certificate"]
    assert german["lines"] != done["certificate"]["lines"]
    assert privacy.put(hold, json={"reason": "Klage"}).json["type"].endswith("customer-erased")
    assert ask(privacy, customer_ref="K-erased", kind="erasure").json["customer_id"] is None
    sound(app)


def test_a_request_sent_again_is_answered_with_the_corrected_texts(admin, privacy):
    """What the answer shows else is as it was, also where another field has the same text."""
    order_id = admin.register(customer_ref="K-again")
    contact = {"channel": "phone", "note": 'Frau "Falsch"', "ticket_ref": "T-7", "from_detail": "+49 89 555 111"}
    first = admin.post(f"/v1/orders/{order_id}/contacts", contact, "key-of-the-corrected")
    hinted = {"channel": "phone", "order_hint": "T-7", "ticket_ref": "T-7"}
    unmatched = admin.post("/v1/contacts", hinted, "key-of-the-unmatched")
    asked = privacy.post("/v1/data-requests", ASKED | {"customer_ref": "K-again", "kind": "rectification"}, "key-of-it")
    values = {"note": "Frau Richtig\\1", "ticket_ref": "T-8", "from_detail": "+49 89 555 222"}
    of = {"table": "contacts", "record_id": first.json["contact_id"]}
    identity = {"table": "data_requests", "record_id": asked.json["request_id"], "field": "identity_check"}
    corrections = [of | {"field": field, "value": value} for field, value in values.items()]
    done = close(privacy, asked.json, corrections=[*corrections, identity | {"value": "a letter"}])
    assert done.json["outcome"] == "fulfilled"
    again = admin.post(f"/v1/orders/{order_id}/contacts", contact, "key-of-the-corrected")
    assert again.json == first.json | values | {"from_detail": again.json["from_detail"]}
    assert again.json["from_detail"].endswith("222")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert admin.post("/v1/contacts", hinted, "key-of-the-unmatched").json == unmatched.json
    repeated = privacy.post(
        "/v1/data-requests", ASKED | {"customer_ref": "K-again", "kind": "rectification"}, "key-of-it"
    )
    assert repeated.json == asked.json | {"identity_check": "a letter"}


def test_a_note_and_a_reference_are_corrected_and_the_journal_has_no_value(admin, privacy, app):
    order_id = admin.register(customer_ref="K-falsch")
    issued = admin.cancelled(order_id, contact={"channel": "phone", "note": "Frau Falsch"})
    request = ask(privacy, customer_ref="K-falsch", kind="rectification").json
    fields = {"table": "contacts", "record_id": issued["contact_id"], "field": "note", "value": "Frau Richtig"}
    known = {"table": "customers", "record_id": request["customer_id"], "field": "customer_ref", "value": "K-richtig"}
    for wrong, place in (
        ({"value": f"Karte {CARD}"}, "value"),
        ({"field": "intent"}, "field"),
        ({"field": "ticket_ref"}, "value"),
        ({"table": "clients"}, "table"),
        ({"record_id": "con_x"}, "record_id"),
    ):
        refused = close(privacy, request, corrections=[known, fields | wrong])
        assert (refused.status_code, places(refused)) == (422, [f"/corrections/1/{place}"])
        assert CARD not in refused.text
    assert slug(close(privacy, request, corrections=[fields | {"value": CARD}])) == "payment-data-refused"
    assert slug(close(privacy, request)) == "validation-error"
    for _ in "ab":
        assert close(privacy, request, corrections=[known, fields]).json["outcome"] == "fulfilled"
    assert slug(close(privacy, request, corrections=[fields | {"value": "Nein"}])) == "data-request-state-conflict"
    assert admin.get(f"/v1/contacts/{issued['contact_id']}").json["note"] == "Frau Richtig"
    assert admin.get(f"/v1/orders/{order_id}").json["customer_ref"] == "K-richtig"
    found = admin.client.post("/v1/customers/lookup", json={"customer_ref": "K-richtig"}).json
    assert found["customer_id"] == request["customer_id"]
    events = admin.get("/v1/events?types=customer.rectified&limit=200").json["items"]
    (rectified,) = [event["data"] for event in events if f"contacts/{issued['contact_id']}" in event["data"]["fields"]]
    assert rectified["fields"] == {
        f"customers/{request['customer_id']}": ["customer_ref"],
        f"contacts/{issued['contact_id']}": ["note"],
    }
    assert "ichtig" not in str(events)
    sound(app)


def test_a_disclosure_is_noted_and_journalled(agent, privacy, admin, billing, app):
    agent.register()
    noted = privacy.post("/v1/disclosures", DISCLOSED, "request-of-privacy-3")
    assert noted.status_code == 201
    assert {name: noted.json[name] for name in ("basis", "recipient", "reference")} == {
        name: DISCLOSED[name] for name in ("basis", "recipient", "reference")
    }
    assert privacy.post("/v1/disclosures", DISCLOSED, "request-of-privacy-3").json == noted.json
    event = admin.get("/v1/events?types=privacy.disclosed").json["items"][-1]
    assert event["data"] == {"customer_id": noted.json["customer_id"], "basis": "authority_request"}
    assert not billing.get("/v1/events?types=privacy.disclosed").json["items"]
    assert slug(privacy.post("/v1/disclosures", DISCLOSED | {"customer_ref": "K-of-nobody"})) == "not-found"
    assert places(privacy.post("/v1/disclosures", DISCLOSED | {"basis": None})) == ["/basis"]
    assert places(privacy.post("/v1/disclosures", DISCLOSED | {"basis": "curiosity"})) == ["/basis"]
    sound(app)


@pytest.mark.parametrize("role", ["agent", "supervisor", "billing"])
def test_only_the_privacy_role_works_on_data_requests(request, role):
    desk = request.getfixturevalue(role)
    answers = [
        ask(desk),
        desk.get("/v1/data-requests"),
        desk.get("/v1/data-requests/dsr_x"),
        desk.put("/v1/data-requests/dsr_x/identity-check", json={"identity_check": "passport"}),
        desk.put("/v1/data-requests/dsr_x/outcome", json={"outcome": "taken_back"}),
        desk.put("/v1/customers/cus_x/hold", json={"reason": "Klage"}),
        desk.delete("/v1/customers/cus_x/hold"),
        desk.post("/v1/disclosures", DISCLOSED),
    ]
    assert {slug(answer) for answer in answers} == {"forbidden"}


def test_what_is_not_there_is_not_found(privacy):
    for answer in (
        privacy.get("/v1/data-requests/dsr_x"),
        privacy.put("/v1/data-requests/dsr_x/outcome", json={"outcome": "taken_back"}),
        privacy.put("/v1/customers/cus_x/hold", json={"reason": "Klage"}),
        privacy.delete("/v1/customers/cus_x/hold"),
    ):
        assert slug(answer) == "not-found"


def test_a_request_is_extended_once_and_the_person_told_why(privacy, agent, now, app):
    agent.register(customer_ref="K-extended")
    asked = ask(privacy, customer_ref="K-extended", received_at="2026-03-31T10:00:00+02:00").json
    path = f"/v1/data-requests/{asked['request_id']}"
    assert (asked["due_at"], asked["answer_text"], asked["fee_may_apply"]) == ("2026-04-30T22:00:00Z", None, False)
    assert places(privacy.put(f"{path}/extension", json={})) == ["/reason"]
    assert slug(privacy.put(f"{path}/extension", json={"reason": f"card {CARD}"})) == "payment-data-refused"
    first, again = (privacy.put(f"{path}/extension", json={"reason": "many records"}).json for _ in "ab")
    assert first == again == privacy.get(path).json
    assert (first["due_at"], first["extension_reason"]) == ("2026-06-30T22:00:00Z", "many records")
    assert first["answer_text"] == (
        "We need more time for what you asked for on Tuesday, 31 March 2026. Your request: Access. You will have our "
        "answer by the end of Tuesday, 30 June 2026. The reason: many records"
    )
    assert slug(privacy.put(f"{path}/extension", json={"reason": "more"})) == "cannot-be-extended"
    other = ask(privacy, customer_ref="K-extended", received_at="2026-03-31T10:00:00+02:00").json
    now.shift(86_400 * 25)
    late = privacy.put(f"/v1/data-requests/{other['request_id']}/extension", json={"reason": "many records"})
    assert (late.status_code, slug(late)) == (409, "cannot-be-extended")
    erasure = ask(privacy, customer_ref="K-extended", kind="erasure").json
    refused = privacy.put(f"/v1/data-requests/{erasure['request_id']}/extension", json={"reason": "many records"})
    assert (slug(refused), "answer this request before" in refused.json["detail"]) == ("cannot-be-extended", True)
    overdue = privacy.get("/v1/data-requests?overdue=true&limit=200").json["items"]
    assert other["request_id"] in {one["request_id"] for one in overdue}
    assert not {asked["request_id"], erasure["request_id"]} & {one["request_id"] for one in overdue}
    assert places(privacy.get("/v1/data-requests?overdue=true&state=closed")) == ["/state"]
    sound(app)


def test_a_fee_is_noted_with_its_reason_and_taken_off(privacy, agent, auditor, app):
    agent.register(customer_ref="K-fee")
    path = f"/v1/data-requests/{ask(privacy, customer_ref='K-fee').json['request_id']}"
    for body, place in (
        ({"fee": "further_copy"}, "/reason"),
        ({"reason": "the third one"}, "/fee"),
        ({"fee": "tax", "reason": "the third one"}, "/fee"),
    ):
        assert places(privacy.put(f"{path}/fee", json=body)) == [place]
    noted = {"fee": "further_copy", "reason": "the third one"}
    first, again = (privacy.put(f"{path}/fee", json=noted).json for _ in "ab")
    assert first == again == privacy.get(path).json
    assert (first["fee_may_apply"], first["fee"], first["fee_reason"]) == (True, "further_copy", "the third one")
    german = privacy.client.get(path, headers={"Accept-Language": "de"}).json["answer_text"]
    assert german.endswith("weil Sie um eine weitere Kopie bitten. Der Grund: the third one")
    hidden = auditor.get(path).json
    assert (hidden["fee_may_apply"], hidden["fee_reason"], "the third" in str(hidden)) == (True, None, False)
    assert not privacy.put(f"{path}/fee", json={}).json["fee_may_apply"]
    sound(app)


def test_a_refusal_says_why_and_what_the_person_may_do(privacy, agent):
    agent.register(customer_ref="K-refused")
    asked = ask(privacy, customer_ref="K-refused").json
    first, again = (close(privacy, asked, "refused", reason="It was not the customer.") for _ in "ab")
    assert (first.status_code, again.status_code, first.json) == (200, 200, again.json)
    other = close(privacy, asked, "fulfilled")
    assert (other.status_code, slug(other), other.json["state"]) == (409, "data-request-state-conflict", "refused")
    text = first.json["answer_text"]
    assert "The reason: It was not the customer." in text
    assert "complain" in text
    assert "go to court" in text
    path = f"/v1/data-requests/{asked['request_id']}"
    german = privacy.client.get(path, headers={"Accept-Language": "de"}).json["answer_text"]
    assert "Datenschutzaufsichtsbehörde" in german
    assert "Gericht" in german


def test_an_erasure_names_for_the_last_time_who_got_the_data(privacy, agent, app):
    agent.register(customer_ref="K-recipients")
    noted = privacy.post("/v1/disclosures", DISCLOSED | {"customer_ref": "K-recipients"}).json
    asked = ask(privacy, customer_ref="K-recipients", kind="erasure").json
    assert asked["earlier_recipients"] == [noted]
    assert close(privacy, asked).json["earlier_recipients"] == [noted]
    (left,) = privacy.get(f"/v1/data-requests/{asked['request_id']}").json["earlier_recipients"]
    assert (left["disclosure_id"], left["recipient"]) == (noted["disclosure_id"], "[erased]")
    sound(app)


def test_there_is_no_seventh_kind(privacy):
    assert places(ask(privacy, kind="portrait")) == ["/kind"]
    assert places(privacy.get("/v1/data-requests?kind=portrait")) == ["/kind"]
    assert places(privacy.get("/v1/data-requests?overdue=perhaps")) == ["/overdue"]
