"""What is shown and done about a customer who restricted the use of their data, or objects to it."""

from contextlib import closing

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import LimitKind
from refunds.security.encryption import Hidden
from refunds.service import privacy
from refunds.web import create_app
from tests.api.conftest import IN_TIME, PROVIDED, Desk, slug
from tests.conftest import client_of, settings

CALL = {"channel": "phone", "from_detail": "+498912345678", "note": "Frau Muster", "ticket_ref": "T-Muster"}
PERSONAL = ("K-muster", "498912345678", "Muster", "R-muster")


def limit(app, order_id, kind=LimitKind.RESTRICTION, *, lift=False):
    """Limit the customer of an order, or lift that."""
    with app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
        customer_id = uow.orders.get(order_id).customer_id
        if lift:
            privacy.lift(uow, customer_id, kind)
        else:
            privacy.limit(uow, customer_id, kind, "a dispute")
        return customer_id


def test_a_hidden_text_shows_nothing_and_is_compared_as_what_it_is():
    hidden = Hidden("Muster")
    assert hidden == "Muster" == hidden
    assert hidden != "[restricted]"
    assert (f"{hidden}", str(hidden), repr(hidden)) == ("[restricted]", "[restricted]", "'[restricted]'")
    assert hidden == Hidden("Muster") != Hidden("Frau")
    assert len({hidden, "Muster"}) == 1


def test_only_the_privacy_role_reads_what_is_restricted(agent, supervisor, billing, privacy, admin, app):
    order_id = agent.register(customer_ref="K-muster")
    asked = agent.record(order_id, **CALL, intent="question").json["contact_id"]
    issued = agent.cancelled(order_id, contact=CALL)["cancellation_id"]
    assert billing.put(f"/v1/cancellations/{issued}/refund", json={"billing_ref": "R-muster"}).status_code == 200
    limit(app, order_id)
    paths = [
        f"/v1/orders/{order_id}",
        f"/v1/contacts/{asked}",
        f"/v1/contacts?order_id={order_id}",
        f"/v1/cancellations/{issued}",
        f"/v1/cancellations?order_id={order_id}",
        f"/v1/cancellations/{issued}/confirmation?lang=de",
    ]
    evidence, table = f"/v1/orders/{order_id}/evidence", {"Accept": "text/csv"}
    for desk in (agent, supervisor, billing):
        answers = [
            *map(desk.get, paths),
            desk.client.get(paths[2], headers=table),
            desk.client.get(paths[4], headers=table),
        ]
        if desk is supervisor:
            answers += [desk.get(evidence), desk.client.get(evidence, headers={"Accept": "text/html"})]
        for answer in answers:
            assert answer.status_code == 200
            assert not [text for text in PERSONAL if text in answer.text], answer.text
        assert agent.get(paths[1]).json["note"] == "[restricted]"
    for desk in (privacy, admin):
        assert "K-muster" in desk.get(paths[0]).text
        assert "Frau Muster" in desk.get(paths[1]).text
        assert "Frau Muster" in desk.get(evidence).text
    limit(app, order_id, lift=True)
    assert "Frau Muster" in agent.get(paths[1]).text


def test_the_matters_of_a_restricted_customer_go_on(agent, billing, supervisor, app):
    order_id = agent.register(customer_ref="K-muster")
    facts = {"customer_ref": "K-muster", "service_provided_at": PROVIDED, "region": "DE-BY"}
    limit(app, order_id)
    assert agent.put(f"/v1/orders/{order_id}", json=facts).status_code == 200
    asked = agent.record(order_id, **CALL).json["contact_id"]
    answered = agent.put(f"/v1/contacts/{asked}/acknowledgement", json={"channel": "email", "to": "m@example.org"})
    assert answered.status_code == 200
    issued = agent.cancelled(order_id, contact_id=asked)["cancellation_id"]
    path = f"/v1/cancellations/{issued}"
    for _ in "ab":
        begun = billing.put(f"{path}/refund", json={"billing_ref": "R-muster"})
        assert begun.status_code == 200
    other = billing.put(f"{path}/refund", json={"billing_ref": "R-other"})
    assert (other.status_code, "R-muster" in other.text) == (409, False)
    for _ in "ab":
        settled = billing.put(f"{path}/settlement", json={"billing_ref": "R-muster"})
        assert (settled.status_code, settled.json["state"]) == (200, "settled")
    assert billing.delete(f"{path}/settlement?reason_code=entered_in_error").status_code == 200
    revoked = supervisor.put(f"{path}/revocation", json={"reason_code": "entered_in_error", "reason": "Muster"})
    assert revoked.status_code == 200
    correction = facts | {"customer_ref": "K-other", "correction_reason": "Muster"}
    state = billing.get(f"/v1/orders/{order_id}").headers["ETag"]
    corrected = billing.client.put(f"/v1/orders/{order_id}", json=correction, headers={"If-Match": state})
    assert corrected.status_code == 200
    limit(app, order_id, lift=True)
    shown = agent.get(f"/v1/contacts/{asked}").json
    assert [shown[name] for name in ("from_detail", "note")] == ["+498912345678", "Frau Muster"]
    store = app.extensions["refunds.store"]
    with store.read(COMMAND_LINE) as uow:
        uow.verify(list(store.checkpoints))


@pytest.fixture
def own(now):
    """An installation of its own, whose orders are few."""
    made = create_app(settings())
    with closing(made.extensions["refunds.store"]):
        yield made


@pytest.mark.parametrize("kind", [LimitKind.RESTRICTION, LimitKind.OBJECTION])
def test_who_objects_or_restricts_is_in_no_simulation(own, now, kind):
    admin, agent = (Desk(client_of(own, role), now) for role in ("admin", "agent"))
    draft = {"version": 2, "effective_from": None, "terms": {"window_business_days": 9}}
    agent.record(agent.register(customer_ref="K-another"), received_at=IN_TIME)

    def simulated():
        shown = admin.client.post("/v1/policies/virtual-numbers/simulations", json=draft)
        assert shown.status_code == 200, shown.text
        return shown.json["orders"]["judged"], shown.json["contacts"]["judged"]

    before = simulated()
    order_id = agent.register(customer_ref=f"K-{kind}")
    agent.record(order_id, received_at=IN_TIME)
    more = simulated()
    assert more == (before[0] + 1, before[1] + 1)
    limit(own, order_id, kind)
    assert simulated() == before
    limit(own, order_id, kind, lift=True)
    assert simulated() == more
    assert slug(agent.get("/v1/data-requests")) == "forbidden"


def test_a_correction_keeps_what_the_agent_cannot_see(agent, privacy, app):
    order_id = agent.register(customer_ref="K-muster")
    asked = agent.record(order_id, **CALL).json["contact_id"]
    limit(app, order_id)
    for given in ({}, {"note": "Frau Beispiel"}, {}):
        answer = agent.record(order_id, channel="email", received_at=IN_TIME, supersedes=asked, **given)
        assert (answer.status_code, answer.json["ticket_ref"]) == (201, "[restricted]")
        asked = answer.json["contact_id"]
    seen = privacy.get(f"/v1/contacts/{asked}").json
    assert [seen[name] for name in ("from_detail", "note", "ticket_ref")] == [
        "+498912345678",
        "Frau Beispiel",
        "T-Muster",
    ]


@pytest.mark.parametrize(
    "said",
    [{"received_at": IN_TIME}, {"intent": "withdrawal", "channel": "email", "received_at": "2026-04-09T08:00:00Z"}],
)
def test_a_late_correction_rests_on_the_ticket_that_the_agent_cannot_see(agent, app, now, said):
    order_id = agent.register(customer_ref="K-muster")
    now.move_to("2026-04-14T10:00:00Z")
    asked = agent.record(order_id, **said, ticket_ref="T-Muster").json
    limit(app, order_id)
    corrected = agent.record(order_id, **said, note="Frau Muster", supersedes=asked["contact_id"])
    assert corrected.status_code == 201, corrected.text
    assert corrected.json["decision"]["reason"] == asked["decision"]["reason"]
    assert corrected.json["ticket_ref"] == "[restricted]"
    limit(app, order_id, lift=True)
    assert agent.get(f"/v1/contacts/{corrected.json['contact_id']}").json["ticket_ref"] == "T-Muster"


def test_the_mark_of_a_restricted_text_is_not_taken_for_the_text_itself(agent, billing, privacy, app):
    order_id = agent.register(customer_ref="K-muster")
    asked = agent.record(order_id, **CALL).json["contact_id"]
    customer_id = limit(app, order_id)
    shown = billing.get(f"/v1/orders/{order_id}")
    facts = {name: shown.json[name] for name in ("customer_ref", "service_provided_at")} | {"region": "DE"}
    state = {"If-Match": shown.headers["ETag"]}
    correction = facts | {"correction_reason": "another region"}
    refused = billing.client.put(f"/v1/orders/{order_id}", json=correction, headers=state)
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/customer_ref")
    assert agent.put("/v1/orders/of-nobody", json=facts).status_code == 422
    corrected = billing.client.put(
        f"/v1/orders/{order_id}", json=correction | {"customer_ref": "K-muster"}, headers=state
    )
    assert (corrected.status_code, corrected.json["customer_id"]) == (200, customer_id)
    contact = agent.get(f"/v1/contacts/{asked}").json
    for name in ("from_detail", "note", "ticket_ref"):
        for mark in (contact[name], "[erased]"):
            assert agent.record(order_id, **{name: mark}, supersedes=asked).status_code == 422
    assert privacy.get(f"/v1/orders/{order_id}").json["customer_ref"] == "K-muster"
