"""A request that is sent again gets the same answer and leaves no second record."""

from datetime import timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service.clients import create_token
from tests.api.conftest import LATE, slug
from tests.conftest import client_of


@pytest.mark.parametrize("path", ["/v1/cancellations", "/v1/orders/A/contacts"])
def test_a_key_is_required(billing, path):
    answer = billing.client.post(path, json={})
    assert (answer.status_code, slug(answer)) == (400, "idempotency-key-missing")


@pytest.mark.parametrize("key", ["", '"', '"x', "a b", "a,b", "x" * 129, "ключ", '"a"b"', "a\tb"])
def test_a_malformed_key_is_refused(billing, key):
    answer = billing.post(
        "/v1/cancellations", {"order_id": "A", "contact": {"channel": "phone"}}, key.encode().decode("latin-1") or " "
    )
    assert (answer.status_code, slug(answer)) == (400, "idempotency-key-invalid")


def test_a_replay_gives_the_same_answer_byte_for_byte(agent, billing):
    order_id = agent.register()
    first = agent.issue(order_id, key="again")
    replayed = agent.client.post(
        "/v1/cancellations",
        data=f'{{ "contact":{{"channel":"phone"}}, "order_id":"{order_id}" }}',
        headers={"Idempotency-Key": '"again"', "Content-Type": "application/json", "Accept-Language": "de"},
    )
    assert (replayed.status_code, replayed.data) == (first.status_code, first.data)
    assert replayed.headers["Location"] == first.headers["Location"]
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert [event["type"] for event in billing.feed(order_id)].count("cancellation.issued") == 1


def test_a_refusal_that_recorded_a_contact_is_replayed_too(agent, billing, now):
    order_id = agent.register()
    now.move_to(LATE)
    first = agent.issue(order_id, key="late")
    assert slug(first) == "not-refundable"
    now.shift(timedelta(hours=1))
    replayed = agent.issue(order_id, key="late")
    assert (replayed.status_code, replayed.data, replayed.headers["Idempotent-Replayed"]) == (409, first.data, "true")
    assert [event["type"] for event in billing.feed(order_id)].count("contact.recorded") == 1


def test_a_key_can_be_used_again_after_a_request_that_recorded_nothing(agent):
    order_id, key = agent.register(), "kept-not"
    assert agent.issue("unknown", key=key).status_code == 404
    assert agent.issue(order_id, key=key, contact={"channel": "fax"}).status_code == 422
    assert agent.issue(order_id, key=key, contact={"channel": "phone", "received_at": LATE}).status_code == 422
    contact_id = agent.record(order_id).json["contact_id"]
    agent.cancelled(order_id, contact_id=contact_id)
    assert slug(agent.issue(order_id, key=key, contact_id=contact_id)) == "order-already-cancelled"
    assert agent.issue(agent.register(), key=key).status_code == 201


@pytest.mark.parametrize("changed", [{"contact": {"channel": "email"}}, {"order_id": "other"}])
def test_another_request_with_the_same_key_is_refused(agent, changed):
    body = {"order_id": agent.register(), "contact": {"channel": "phone"}}
    key = agent.post("/v1/cancellations", body).request.headers["Idempotency-Key"]
    answer = agent.post("/v1/cancellations", body | changed, key)
    assert (answer.status_code, slug(answer)) == (422, "idempotency-key-reused")


def test_another_route_with_the_same_key_is_refused(agent):
    order_id = agent.register()
    agent.post(f"/v1/orders/{order_id}/contacts", {"channel": "phone"}, "route")
    other = agent.register()
    assert slug(agent.post(f"/v1/orders/{other}/contacts", {"channel": "phone"}, "route")) == "idempotency-key-reused"


def test_a_key_of_another_request_replays_nothing(agent):
    order_id = agent.register()
    agent.issue(order_id, key="reused")
    answer = agent.issue(order_id, key="reused", contact={"channel": "phone", "note": "more"})
    assert slug(answer) == "idempotency-key-reused"
    assert "reference" not in answer.json


def test_each_client_has_its_own_keys(agent, billing):
    order_id = agent.register()
    agent.issue(order_id, key="shared")
    assert slug(billing.issue(order_id, key="shared")) == "order-already-cancelled"


def test_a_key_is_kept_for_thirty_days(agent, now):
    order_id = agent.register()
    first = agent.issue(order_id, key="month")
    now.shift(timedelta(days=30) - timedelta(seconds=1))
    assert agent.issue(order_id, key="month").data == first.data
    now.shift(timedelta(seconds=1))
    assert slug(agent.issue(order_id, key="month")) == "order-already-cancelled", "the index still allows only one"


def test_a_key_that_has_expired_can_be_used_again(agent, now):
    first = agent.issue(agent.register(), key="once-more")
    now.shift(timedelta(days=30))
    again, order_id = {}, agent.register()
    for attempt in ("new", "replayed"):
        again[attempt] = agent.issue(order_id, key="once-more", contact={"channel": "email"})
    assert (first.status_code, again["new"].status_code) == (201, 409)
    assert "Idempotent-Replayed" not in again["new"].headers
    assert again["replayed"].data == again["new"].data
    assert again["replayed"].headers["Idempotent-Replayed"] == "true"


def test_a_client_with_a_new_token_is_still_the_same_client(app, agent):
    """Keys belong to the client, which may change its token between two attempts."""
    order_id = agent.register()
    first = agent.issue(order_id, key="rotated")
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        token = create_token(uow, Role.AGENT, "agent of the tests", 1)
    other = client_of(app, "agent")
    other.environ_base = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    body = {"order_id": order_id, "contact": {"channel": "phone"}}
    assert other.post("/v1/cancellations", json=body, headers={"Idempotency-Key": "rotated"}).data == first.data
