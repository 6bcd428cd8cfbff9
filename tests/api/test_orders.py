"""Orders over HTTP: facts are registered once, corrected with care, and frozen while a cancellation rests on them."""

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service.clients import create_token
from refunds.web import create_app
from tests.api.conftest import PROVIDED, Desk, places, slug
from tests.conftest import client_of, settings, with_policies

FACTS = {"customer_ref": "K-1", "service_provided_at": PROVIDED, "region": "DE-BY"}


def test_an_order_is_registered_once_and_the_same_facts_again_change_nothing(billing):
    first = billing.put("/v1/orders/once", json=FACTS)
    again = billing.put("/v1/orders/once", json=FACTS | {"service_provided_at": "2026-04-02T14:20:00Z"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Location"] == "/v1/orders/once"
    assert first.json == again.json == billing.get("/v1/orders/once").json
    assert first.json["asserted_by"].startswith("cli_")
    assert first.json["registered_at"] == "2026-04-08T21:05:00Z"
    assert [event["type"] for event in billing.feed("once")] == ["order.registered", "order.promised"]


@pytest.mark.parametrize(
    ("changed", "place", "detail"),
    [
        ({"customer_ref": "K-2"}, "/customer_ref", "another customer is registered"),
        ({"region": "DE"}, "/region", "registered is DE-BY"),
        ({"region": None}, "/region", "registered is DE-BY"),
        ({"ordered_at": PROVIDED}, "/ordered_at", "registered is nothing"),
        ({"service_provided_at": None}, "/service_provided_at", "registered is 2026-04-02T14:20:00Z"),
    ],
)
def test_other_facts_are_a_conflict_that_names_what_differs(billing, changed, place, detail):
    order_id = billing.register(**FACTS)
    answer = billing.put(f"/v1/orders/{order_id}", json=FACTS | changed)
    assert (answer.status_code, slug(answer)) == (409, "order-facts-conflict")
    assert answer.json["errors"] == [{"pointer": place, "detail": detail, "code": "differs"}]
    assert billing.get(f"/v1/orders/{order_id}").json["revision"] == 1


def test_a_conflict_does_not_reveal_the_customer(billing):
    order_id = billing.register(customer_ref="K-secret")
    answer = billing.put(f"/v1/orders/{order_id}", json=FACTS | {"customer_ref": "K-other"})
    assert "K-" not in answer.text


def test_the_service_can_be_filled_in_once_it_is_provided(billing):
    order_id = billing.register(service_provided_at=None)
    assert billing.get(f"/v1/orders/{order_id}/eligibility").json["reason"] == "service_not_yet_provided"
    answer = billing.put(f"/v1/orders/{order_id}", json=FACTS | {"customer_ref": "K-20391"})
    assert (answer.status_code, answer.json["revision"]) == (200, 2)
    assert billing.get(f"/v1/orders/{order_id}/eligibility").json["reason"] == "within_window"
    types = [event["type"] for event in billing.feed(order_id)]
    assert types == ["order.registered", "order.corrected", "order.promised"]


def test_a_correction_needs_the_current_etag_and_a_reason(billing):
    order_id = billing.register(**FACTS)
    url, right = f"/v1/orders/{order_id}", FACTS | {"region": "DE-BE"}
    etag = billing.get(url).headers["ETag"]
    missing = billing.put(url, json=right | {"correction_reason": "wrong place"})
    assert (missing.status_code, slug(missing)) == (428, "precondition-required")
    silent = billing.put(url, json=right, headers={"If-Match": etag})
    assert (silent.status_code, places(silent)) == (422, ["/correction_reason"])
    corrected = billing.put(url, json=right | {"correction_reason": "wrong place"}, headers={"If-Match": etag})
    assert (corrected.status_code, corrected.json["region"], corrected.json["revision"]) == (200, "DE-BE", 2)
    again = billing.put(url, json=right | {"correction_reason": "wrong place"}, headers={"If-Match": etag})
    assert (again.status_code, again.json) == (200, corrected.json), "its answer may have been lost"
    stale = billing.put(url, json=FACTS | {"correction_reason": "no, right"}, headers={"If-Match": etag})
    assert (stale.status_code, slug(stale)) == (412, "precondition-failed")
    event = billing.feed(order_id)[-2]
    assert (event["type"], event["data"]["changed"]) == ("order.corrected", {"region": ["DE-BY", "DE-BE"]})


@pytest.mark.parametrize("tag", ['"99"', 'W/"1"', "1", "xyz"])
def test_a_wrong_etag_is_refused(billing, tag):
    order_id = billing.register(**FACTS)
    other = FACTS | {"region": "DE", "correction_reason": "x"}
    answer = billing.put(f"/v1/orders/{order_id}", json=other, headers={"If-Match": tag})
    assert answer.status_code == 412


def test_an_unknown_order_cannot_be_corrected(billing):
    answer = billing.put("/v1/orders/unknown", json=FACTS | {"correction_reason": "x"}, headers={"If-Match": '"1"'})
    assert (answer.status_code, slug(answer)) == (404, "order-not-found")


def test_no_fact_changes_while_a_cancellation_rests_on_it(billing, supervisor):
    order_id = billing.register(service_provided_at=None)
    cancellation = billing.cancelled(order_id)
    for attempt in (
        {"json": FACTS | {"customer_ref": "K-20391"}},
        {"json": FACTS | {"correction_reason": "x"}, "headers": {"If-Match": '"1"'}},
    ):
        answer = billing.put(f"/v1/orders/{order_id}", **attempt)
        assert (answer.status_code, slug(answer)) == (409, "order-frozen")
        assert cancellation["cancellation_id"] in answer.json["detail"]
    supervisor.put(
        f"/v1/cancellations/{cancellation['cancellation_id']}/revocation", json={"reason_code": "entered_in_error"}
    )
    assert billing.put(f"/v1/orders/{order_id}", json=FACTS | {"customer_ref": "K-20391"}).status_code == 200


def test_personal_data_moves_with_an_order_to_another_customer(billing):
    order_id = billing.register(customer_ref="K-mistaken")
    recorded = billing.post(f"/v1/orders/{order_id}/contacts", {"channel": "phone", "note": "a kind voice"}, "moved")
    billing.put(
        f"/v1/orders/{order_id}",
        json=FACTS | {"customer_ref": "K-right", "correction_reason": "mixed up"},
        headers={"If-Match": '"1"'},
    )
    assert billing.get(recorded.headers["Location"]).json["note"] == "a kind voice"
    replayed = billing.post(f"/v1/orders/{order_id}/contacts", {"channel": "phone", "note": "a kind voice"}, "moved")
    assert (replayed.headers["Idempotent-Replayed"], replayed.json) == ("true", recorded.json)
    found = billing.client.post("/v1/customers/lookup", json={"customer_ref": "K-right"}).json
    assert [order["order_id"] for order in found["items"]] == [order_id]
    assert billing.client.post("/v1/customers/lookup", json={"customer_ref": "K-mistaken"}).json["customer_id"] is None


def test_the_orders_of_a_customer_reference_are_listed_page_by_page(billing):
    ids = sorted(billing.register(customer_ref="K-many") for _ in range(5))
    query, found = {"customer_ref": "K-many", "limit": 2}, []
    while True:
        page = billing.client.post("/v1/customers/lookup", json=query).json
        found += [order["order_id"] for order in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert found == ids
    assert page["customer_id"].startswith("cus_")


def test_an_auditor_looks_nobody_up_by_anything_personal(billing, auditor):
    """In no list either: a filter that would do it is unknown."""
    billing.register(customer_ref="K-audited")
    for customer_ref in ("K-audited", "K-nobody"):
        answer = auditor.client.post("/v1/customers/lookup", json={"customer_ref": customer_ref})
        assert (answer.status_code, slug(answer)) == (403, "forbidden")
        assert "customer_id" not in answer.json
    for listing in ("orders", "contacts", "unmatched-contacts", "cancellations", "events"):
        for name in ("customer_ref", "customer", "from_detail", "q", "note", "ticket_ref", "order_hint", "billing_ref"):
            answer = auditor.get(f"/v1/{listing}?{name}=K-audited")
            assert (answer.status_code, places(answer)) == (422, [f"/{name}"]), (listing, name)


def test_an_unknown_customer_has_no_orders(billing):
    answer = billing.client.post("/v1/customers/lookup", json={"customer_ref": "K-nobody"})
    assert (answer.status_code, answer.json) == (200, {"customer_id": None, "items": [], "next": None})


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"customer_ref": ""}, "/customer_ref"),
        ({"customer_ref": " K-1"}, "/customer_ref"),
        ({"customer_ref": "K-1\u202e"}, "/customer_ref"),
        ({"customer_ref": "K\u200b-1"}, "/customer_ref"),
        ({"customer_ref": "K\r\nSet-Cookie: x"}, "/customer_ref"),
        ({"amount": 5}, "/amount"),
        ({"region": "Bavaria"}, "/region"),
        ({"policy": "nobodys"}, "/policy"),
        ({"service_provided_at": "2026-04-02"}, "/service_provided_at"),
        ({"asserted_by": "me"}, "/asserted_by"),
        ({"registered_at": PROVIDED}, "/registered_at"),
    ],
)
def test_invalid_facts_are_refused_and_named(billing, changed, place):
    answer = billing.put("/v1/orders/unfit", json=FACTS | changed)
    assert answer.status_code == 422
    assert places(answer) == [place]
    assert billing.get("/v1/orders/unfit").status_code == 404


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1990-12-28T10:00:00Z"])
def test_an_order_whose_window_leaves_the_data_is_registered(billing, at):
    order_id = billing.register(service_provided_at=at)
    assert [event["type"] for event in billing.feed(order_id)] == ["order.registered"]
    assert billing.feed(order_id)[0]["data"]["promise"] is None


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_order_at_an_end_of_the_calendar_is_shown_by_every_reader(admin, at):
    order_id = admin.register(service_provided_at=at, customer_ref=f"K-{at}")
    contact = admin.record(order_id, intent="question")
    assert contact.status_code == 201, contact.text
    asked = {"kind": "access", "customer_ref": f"K-{at}", "channel": "email", "identity_check": "passport"}
    request = admin.post("/v1/data-requests", asked).json["request_id"]
    draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 9}}
    assert admin.client.post("/v1/policies/virtual-numbers/simulations", json=draft).status_code == 200
    for path in (
        f"/v1/orders/{order_id}",
        f"/v1/orders/{order_id}/eligibility",
        f"/v1/orders/{order_id}/evidence",
        f"/v1/data-requests/{request}/export",
        "/v1/orders?limit=200",
        "/v1/statistics?month=2026-03",
    ):
        for form in ("application/json", "text/html", "text/csv"):
            answer = admin.client.get(path, headers={"Accept": form})
            assert answer.status_code in {200, 404, 406}, (path, form, answer.text)


@pytest.mark.parametrize("order_id", ["%20a", "x" * 129, "%2e", "%2e%2e", "-:_", "a%0d%0ab", "a%E2%80%AEb"])
def test_an_order_id_that_cannot_be_read_is_refused(billing, order_id):
    answer = billing.put(f"/v1/orders/{order_id}", json=FACTS)
    assert (answer.status_code, places(answer)) == (422, ["/order_id"])


def test_an_order_is_not_placed_in_the_future(billing):
    answer = billing.put("/v1/orders/future", json=FACTS | {"ordered_at": "2026-04-08T21:06:01Z"})
    assert (answer.status_code, places(answer)) == (422, ["/ordered_at"])


def test_customer_references_are_normalised(billing):
    billing.register("nfc", customer_ref="Jos\u00e9")
    billing.register("nfd", customer_ref="Jose\u0301")
    found = billing.client.post("/v1/customers/lookup", json={"customer_ref": "Jose\u0301"}).json
    assert [order["order_id"] for order in found["items"]] == ["nfc", "nfd"]


def test_a_reader_without_the_personal_scope_sees_no_customer_reference(billing, auditor):
    order_id = billing.register(**FACTS)
    assert auditor.get(f"/v1/orders/{order_id}").json["customer_ref"] is None
    assert auditor.get(f"/v1/orders/{order_id}").json["region"] == "DE-BY"


def test_an_unchanged_order_is_not_sent_again(billing):
    order_id = billing.register(**FACTS)
    etag = billing.get(f"/v1/orders/{order_id}").headers["ETag"]
    answer = billing.get(f"/v1/orders/{order_id}", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert billing.get(f"/v1/orders/{order_id}").headers["Cache-Control"] == "no-store"


def test_eligibility_can_be_checked_for_any_instant_and_channel(billing):
    order_id = billing.register(**FACTS)
    url = f"/v1/orders/{order_id}/eligibility"
    assert billing.get(url).json["eligible"] is True
    assert (
        billing.get(f"{url}?requested_at=2026-04-09T00:00:00%2B02:00&channel=phone").json["reason"] == "window_elapsed"
    )
    billing.cancelled(order_id)
    assert billing.get(url).json["reason"] == "order_already_cancelled"
    assert billing.get("/v1/orders/unknown/eligibility").status_code == 404


def test_an_order_keeps_its_policy_when_another_becomes_the_default(tmp_path, now):
    """A repeated request is compared with the registered order, not with today's default."""
    coming = 'policy = "coming"\nversion = 1\neffective_from = 2027-01-01T00:00:00Z\n'
    before = Desk(client_of(with_policies(create_app(settings(tmp_path)), coming), "billing"), now)
    before.register("stays", **FACTS)
    after = create_app(settings(tmp_path, policy="coming"))
    with after.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        signed_in = {"Authorization": f"Bearer {create_token(uow, Role.BILLING, 'billing of tomorrow', 1)}"}
    answer = after.test_client().put("/v1/orders/stays", json=FACTS, headers=signed_in)
    assert (answer.status_code, answer.json["policy"]) == (200, "virtual-numbers")
