"""What the API still does about the order of an erased customer, operation by operation."""

import re

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason
from refunds.service import findings, privacy
from tests.api.conftest import IN_TIME, PROVIDED, slug
from tests.conftest import ROOT, openapi

CALL = {"channel": "phone", "from_detail": "+498912345678"}
ASKED = {"channel": "phone", "intent": "question"}
PAGE = {"Accept": "text/html"}
DATA_REQUEST = {"kind": "access", "customer_ref": "K-20391", "channel": "email", "identity_check": "Frau Muster"}


@pytest.fixture
def erased(admin, app):
    """The order of an erased customer, with a question and a cancellation about it."""
    order_id = admin.register()
    asked = admin.record(order_id, intent="question", received_at=IN_TIME).json["contact_id"]
    issued = admin.cancelled(order_id, contact=CALL, key=f"key-of-{order_id}")
    assert admin.post("/v1/data-requests", DATA_REQUEST, key=f"request-{order_id}").status_code == 201
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


@pytest.mark.parametrize("named", [True, False], ids=["begun before the erasure", "begun after it"])
def test_a_worker_that_starts_again_goes_on_with_the_refund_of_an_erased_customer(admin, billing, app, named):
    """It begins again with its reference, which the service has no longer: its client is the holder."""
    order_id = admin.register()
    path = f"/v1/cancellations/{admin.cancelled(order_id, contact=CALL)['cancellation_id']}"
    customer = {"customer_ref": admin.get(f"/v1/orders/{order_id}").json["customer_ref"]}
    ours = {"billing_ref": "RF-1"}
    if named:
        assert billing.put(f"{path}/refund", json=ours).status_code == 200
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        privacy.erase(uow, uow.customers.find(customer["customer_ref"]), ErasureReason.CHILD)
    if not named:
        assert slug(billing.put(f"{path}/refund", json=ours)) == "customer-erased"
        assert billing.put(f"{path}/refund", json={}).status_code == 200
    for _ in "ab":
        assert (again := billing.put(f"{path}/refund", json=ours)).status_code == 200, again.json
    assert slug(admin.put(f"{path}/refund", json=ours)) == "cancellation-state-conflict"
    assert billing.put(f"{path}/settlement", json=ours).json["state"] == "settled"


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


FACTS = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"}
CANCELLATION, CONTACT, ORDER = "/v1/cancellations/{cancellation}", "/v1/contacts/{asked}", "/v1/orders/{order}"
UNMATCHED = "/v1/unmatched-contacts/{unmatched}"
HOLD, REQUEST = "/v1/customers/{customer}/hold", "/v1/data-requests/{data_request}"
DISCLOSED = {"basis": "processor", "recipient": "Frau Muster", "reference": "D-1"}

# In an order in which each can be done after those before it.
CALLS = {
    "getOrder": ("GET", ORDER),
    "listOrders": ("GET", "/v1/orders?order=newest"),
    "lookUpCustomer": ("POST", "/v1/customers/lookup", {"customer_ref": "K-20391"}),
    "getOrderEligibility": ("GET", f"{ORDER}/eligibility"),
    "getOrderEvidence": ("GET", f"{ORDER}/evidence"),
    "getContact": ("GET", CONTACT),
    "listContacts": ("GET", "/v1/contacts?order_id={order}"),
    "getCancellation": ("GET", CANCELLATION),
    "listCancellations": ("GET", "/v1/cancellations?order_id={order}"),
    "getConfirmation": ("GET", f"{CANCELLATION}/confirmation"),
    "listEvents": ("GET", "/v1/events?limit=200"),
    "registerOrder": ("PUT", ORDER, FACTS),
    "importOrders": ("POST", "/v1/orders/batch", {"items": [FACTS | {"order_id": "{order}"}]}),
    "recordContact": ("POST", f"{ORDER}/contacts", CALL),
    "completeContact": ("PATCH", CONTACT, {"note": "Frau Muster"}),
    "acknowledgeContact": ("PUT", f"{CONTACT}/acknowledgement", {"channel": "email", "to": "kim@example.org"}),
    "matchContact": ("PUT", "/v1/contacts/{unmatched}/order", {"order_id": "{order}"}),
    "issueCancellation": ("POST", "/v1/cancellations", {"order_id": "{order}", "contact": CALL}),
    "beginRefund": ("PUT", f"{CANCELLATION}/refund", {}),
    "endRefund": ("DELETE", f"{CANCELLATION}/refund?reason_code=refund_failed"),
    "settleCancellation": ("PUT", f"{CANCELLATION}/settlement", {"billing_ref": "R-1"}),
    "unsettleCancellation": ("DELETE", f"{CANCELLATION}/settlement?reason_code=entered_in_error"),
    "revokeCancellation": (
        "PUT",
        f"{CANCELLATION}/revocation",
        {"reason_code": "entered_in_error", "reason": "Frau Muster"},
    ),
    "resolveContact": (
        "PUT",
        "/v1/contacts/{request}/resolution",
        {"reason_code": "customer_kept_order", "reason": "Frau Muster"},
    ),
    "reopenContact": ("DELETE", "/v1/contacts/{request}/resolution?reason_code=entered_in_error"),
    "assignContact": ("PUT", "/v1/contacts/{request}/assignment", {}),
    "giveBackContact": ("DELETE", "/v1/contacts/{request}/assignment"),
    "openDataRequest": ("POST", "/v1/data-requests", DATA_REQUEST),
    "listDataRequests": ("GET", "/v1/data-requests"),
    "getDataRequest": ("GET", REQUEST),
    "checkIdentity": ("PUT", f"{REQUEST}/identity-check", {"identity_check": "passport"}),
    "extendRequest": ("PUT", f"{REQUEST}/extension", {"reason": "Frau Muster"}),
    "noteFee": ("PUT", f"{REQUEST}/fee", {"fee": "excessive", "reason": "Frau Muster"}),
    "exportData": ("GET", f"{REQUEST}/export"),
    "fulfilRequest": ("PUT", f"{REQUEST}/outcome", {"outcome": "fulfilled", "reason": "Frau Muster"}),
    "holdCustomer": ("PUT", HOLD, {"reason": "Frau Muster"}),
    "liftHold": ("DELETE", HOLD),
    "recordDisclosure": ("POST", "/v1/disclosures", DISCLOSED | {"customer_ref": "K-20391"}),
}


def filled(part, names):
    """A path or a body with the ids of records in it."""
    if isinstance(part, dict):
        return {name: filled(value, names) for name, value in part.items()}
    if isinstance(part, list):
        return [filled(one, names) for one in part]
    return part.format(**names)


def test_every_operation_answers_as_the_page_says(admin, erased):
    """When this fails for a new operation, call it in `CALLS`, or name it on the page as one that is about no order."""
    order_id, asked, cancellation = erased
    (request,) = (
        one["contact_id"]
        for one in admin.get(f"/v1/contacts?order_id={order_id}").json["items"]
        if one["contact_id"] != asked
    )
    unmatched = admin.post("/v1/contacts", CALL | {"order_hint": "D-?"}).json["unmatched_id"]
    customer = admin.get(f"/v1/orders/{order_id}").json["customer_id"]
    requests = admin.get("/v1/data-requests?limit=200").json["items"]
    (data_request,) = (one["request_id"] for one in requests if one["customer_id"] == customer)
    names = {"order": order_id, "asked": asked, "cancellation": cancellation, "request": request}
    names |= {"customer": customer, "data_request": data_request}
    given = {}
    for name, (method, path, *body) in CALLS.items():
        body = filled(body[0], names | {"unmatched": unmatched}) if body else None  # noqa: PLW2901 - with ids in it
        path = filled(path, names | {"unmatched": unmatched})  # noqa: PLW2901 - the same
        key = {"Idempotency-Key": f"erased-{name}"} if method == "POST" else {}
        answer = admin.client.open(path, method=method, json=body, headers=key)
        item = answer.json["items"][0] if name == "importOrders" else {}
        given[name] = (
            answer.status_code,
            "customer-erased" in str(item) or (answer.status_code == 409 and slug(answer) == "customer-erased"),
        )
    page = (ROOT / "docs/privacy.md").read_text().partition("## What an erased customer's order can still do")[2]
    page, _, others = page.partition("## The list")[0].partition("Operations that are about no order")
    shown = re.findall(r"^\| `(\w+)` \| (\d{3})( `customer-erased`)? \| ", page, re.MULTILINE)
    assert {name: (int(status), bool(refused)) for name, status, refused in shown} == given
    document = openapi()
    every = {one["operationId"] for path in document["paths"].values() for one in path.values() if "operationId" in one}
    assert sorted([*given, *re.findall(r"`(\w+)`", others)]) == sorted(every)


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
