"""Who may state and correct the facts of an order, and how it shows."""

import pytest

from tests.api.conftest import LATE, PROVIDED, slug

EARLIER = "2026-03-02T10:00:00Z"


def put(desk, order_id, tag=None, **facts):
    body = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"} | facts
    return desk.put(f"/v1/orders/{order_id}", json=body, headers={"If-Match": tag} if tag else {})


def marked(desk, order_id):
    order = desk.get(f"/v1/orders/{order_id}").json
    return order["facts_entered_by_agent"], order["facts_corrected_after_refusal"]


def test_an_agent_cannot_turn_a_refusal_into_a_right_by_another_date(agent, billing):
    order_id = billing.register(service_provided_at=EARLIER)
    assert slug(agent.issue(order_id)) == "not-refundable"
    corrected = put(agent, order_id, '"1"', correction_reason="typo")
    assert (corrected.status_code, slug(corrected)) == (403, "forbidden")
    assert slug(agent.issue(order_id)) == "not-refundable"


@pytest.mark.parametrize("role", ["billing", "supervisor"])
def test_billing_and_supervisors_correct_on_a_state_that_they_have_read(request, role):
    desk = request.getfixturevalue(role)
    order_id = desk.register(service_provided_at=EARLIER)
    for tag in ("*", None):
        answer = put(desk, order_id, tag, correction_reason="typo")
        assert (answer.status_code, slug(answer)) == (428, "precondition-required")
    assert put(desk, order_id, '"1"', correction_reason="typo").json["service_provided_at"] == "2026-04-02T14:20:00Z"


def test_a_decision_says_that_the_facts_were_corrected_after_a_refusal(agent, billing, admin):
    refused, fine = billing.register(service_provided_at=EARLIER), billing.register(service_provided_at=EARLIER)
    contact = agent.record(refused).json
    assert contact["decision"]["eligible"] is False
    for order_id in (refused, fine):
        put(billing, order_id, '"1"', correction_reason="typo")
    assert (marked(billing, refused), marked(billing, fine)) == ((False, True), (False, False))
    notices = {one: agent.cancelled(one)["decision"]["notices"] for one in (refused, fine)}
    assert "facts_corrected_after_refusal" in notices[refused]
    assert "facts_corrected_after_refusal" not in notices[fine]
    assert (
        "corrected after a request was refused"
        in admin.get(f"/v1/orders/{refused}/evidence", headers={"Accept": "text/html"}).text
    )


def test_facts_of_an_agent_are_marked_until_billing_states_the_same(agent, billing):
    order_id = agent.register()
    assert marked(agent, order_id) == (True, False)
    assert put(agent, order_id).json["facts_entered_by_agent"] is True
    other = put(billing, order_id, service_provided_at=EARLIER)
    assert (other.status_code, slug(other)) == (409, "order-facts-conflict")
    assert marked(billing, order_id) == (True, False)
    confirmed = put(billing, order_id)
    assert (confirmed.status_code, confirmed.json["facts_entered_by_agent"]) == (200, False)
    assert confirmed.json["asserted_by"] == billing.get("/v1/me").json["client_id"]
    types = [event["type"] for event in billing.feed(order_id)]
    assert types == ["order.registered", "order.promised", "order.confirmed"]
    assert put(billing, order_id).json == confirmed.json


def test_a_date_that_an_agent_fills_in_is_marked(agent, billing):
    order_id = billing.register(service_provided_at=None)
    assert marked(billing, order_id) == (False, False)
    assert put(agent, order_id).status_code == 200
    assert marked(billing, order_id) == (True, False)
    put(billing, order_id)
    assert marked(billing, order_id) == (False, False)


def listed_orders(desk, flag):
    """The ids of all orders that are listed with this `facts_entered_by_agent`."""
    path, found, after = f"/v1/orders?limit=200&facts_entered_by_agent={flag}", [], ""
    while after is not None:
        page = desk.get(path + (f"&after={after}" if after else "")).json
        found, after = found + [one["order_id"] for one in page["items"]], page["next"]
    return found


def test_a_supervisor_lists_the_orders_whose_facts_billing_has_not_stated(agent, billing, supervisor):
    by_agent, by_billing = agent.register(policy=None), billing.register()
    listed = {flag: listed_orders(supervisor, flag) for flag in ("true", "false")}
    assert (by_agent in listed["true"], by_agent in listed["false"]) == (True, False)
    assert (by_billing in listed["true"], by_billing in listed["false"]) == (False, True)
    put(billing, by_agent)
    assert by_agent not in listed_orders(supervisor, "true")


def test_the_evidence_names_facts_that_billing_has_not_confirmed(agent, admin):
    order_id = agent.cancelled()["order_id"]
    evidence = admin.get(f"/v1/orders/{order_id}/evidence")
    assert evidence.json["order"]["facts_entered_by_agent"] is True
    page = admin.get(f"/v1/orders/{order_id}/evidence", headers={"Accept": "text/html"}).text
    assert "entered by an agent, not confirmed by billing" in page


def test_an_order_that_an_agent_sends_with_its_cancellation_is_marked(agent, billing, now):
    now.move_to(LATE)
    order = {"order_id": "inline-by-agent", "customer_ref": "K-1", "service_provided_at": LATE, "region": "DE"}
    agent.post("/v1/cancellations", {"order": order, "contact": {"channel": "phone"}})
    assert marked(billing, "inline-by-agent") == (True, False)
