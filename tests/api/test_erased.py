"""What the API still does about the order of an erased customer, operation by operation."""

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason
from refunds.service import findings, privacy
from tests.api.conftest import IN_TIME, PROVIDED, slug

CALL = {"channel": "phone", "from_detail": "+498912345678"}
ASKED = {"channel": "phone", "intent": "question"}
PAGE = {"Accept": "text/html"}


@pytest.fixture
def erased(admin, app):
    """The order of an erased customer, with a question and a cancellation about it."""
    order_id = admin.register()
    asked = admin.record(order_id, intent="question", received_at=IN_TIME).json["contact_id"]
    issued = admin.cancelled(order_id, contact=CALL, key=f"key-of-{order_id}")
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        privacy.erase(uow, uow.customers.find("K-20391"), ErasureReason.CHILD)
    return order_id, asked, issued["cancellation_id"]


def test_the_order_of_an_erased_customer_is_read_settled_and_revoked(admin, erased):
    order_id, asked, name = erased
    assert admin.get(f"/v1/orders/{order_id}").json["customer_ref"] == "[erased]"
    assert admin.get(f"/v1/contacts/{asked}").json["from_detail"] is None
    items = admin.get(f"/v1/contacts?order_id={order_id}").json["items"]
    assert [one["from_detail"] for one in items] == [None, "[erased]"]
    evidence = f"/v1/orders/{order_id}/evidence"
    assert admin.get(evidence).json["proof"]["sound"]
    assert "[gelöscht]" in admin.client.get(f"{evidence}?lang=de", headers=PAGE).text
    path = f"/v1/cancellations/{name}"
    assert admin.client.get(f"{path}/confirmation", headers=PAGE).status_code == 200
    for _ in "ab":
        settled = admin.put(f"{path}/settlement", json={"billing_ref": "R-1"})
        assert (settled.status_code, settled.json["settlement"]["billing_ref"]) == (200, "[erased]")
    assert admin.delete(f"{path}/settlement?reason_code=entered_in_error").json["state"] == "issued"
    assert admin.put(f"{path}/refund", json={}).json["state"] == "refunding"
    assert admin.delete(f"{path}/refund?reason_code=refund_failed").json["state"] == "issued"
    revoked = admin.put(f"{path}/revocation", json={"reason_code": "entered_in_error", "reason": "Frau Muster"})
    assert revoked.json["revocation"]["reason"] == "[erased]"
    closed = {"reason_code": "customer_kept_order", "reason": "Frau Muster"}
    resolved = admin.put(f"/v1/contacts/{items[1]['contact_id']}/resolution", json=closed)
    assert resolved.json["resolution"]["reason"] == "[erased]"
    assert "customer.erased" in {event["type"] for event in admin.get("/v1/events?types=customer.erased").json["items"]}


def test_what_would_store_something_personal_is_refused(admin, erased):
    order_id, asked, name = erased
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"}
    correction, seen = facts | {"customer_ref": "K-2", "correction_reason": "Frau Muster"}, {"If-Match": '"1"'}
    refused = [
        admin.record(order_id, **CALL),
        admin.client.patch(f"/v1/contacts/{asked}", json={"note": "Frau Muster"}),
        admin.put(f"/v1/contacts/{asked}/acknowledgement", json={"channel": "email", "to": "kim@example.org"}),
        admin.put(f"/v1/orders/{order_id}", json=facts),
        admin.put(f"/v1/cancellations/{name}/refund", json={"billing_ref": "R-1"}),
        admin.issue(order_id, contact=CALL),
        admin.issue(order_id, contact=CALL, key=f"key-of-{order_id}"),  # its stored reply is gone
    ]
    assert [(answer.status_code, slug(answer)) for answer in refused] == [(409, "customer-erased")] * len(refused)
    name = f"/v1/cancellations/{name}/revocation"
    assert admin.put(name, json={"reason_code": "entered_in_error"}).status_code == 200
    corrected = admin.client.put(f"/v1/orders/{order_id}", json=correction, headers=seen)
    assert (corrected.status_code, slug(corrected)) == (409, "customer-erased")
    kept = [admin.post(f"/v1/orders/{order_id}/contacts", ASKED, key="asked") for _ in "ab"]
    assert [one.status_code for one in kept] == [201, 201]
    assert kept[0].data == kept[1].data


def test_a_new_order_with_the_same_reference_is_of_a_new_customer(admin, erased):
    before = admin.get(f"/v1/orders/{erased[0]}").json["customer_id"]
    after = admin.get(f"/v1/orders/{admin.register()}").json
    assert after["customer_ref"] == "K-20391"
    assert after["customer_id"] != before


def test_no_stored_reply_has_what_a_contact_lost(admin, app):
    store, order_id = app.extensions["refunds.store"], admin.register()
    matched = admin.record(order_id, **CALL).json["contact_id"]
    unmatched = admin.post("/v1/contacts", {"order_hint": "ends in 77"} | CALL).json["unmatched_id"]
    stored = "SELECT count(*) AS kept FROM idempotency WHERE order_id = :order_id OR unmatched_id = :unmatched_id"
    for kept, emptied in ((2, matched), (1, unmatched), (0, None)):
        with store.write(COMMAND_LINE) as uow:
            assert uow.tx.one(stored, order_id=order_id, unmatched_id=unmatched)["kept"] == kept
            if emptied:
                findings.empty(uow, emptied, ErasureReason.REQUEST)
    assert admin.get(f"/v1/contacts/{matched}").json["from_detail"] == "[erased]"
