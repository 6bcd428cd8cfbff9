"""A desk for each role, at a time when an order of before Easter 2026 can still be cancelled."""

from itertools import count

import pytest
import time_machine
from flask.testing import FlaskClient

from tests.conftest import client_of

PROVIDED = "2026-04-02T16:20:00+02:00"
IN_TIME = "2026-04-08T21:05:00Z"
LATE = "2026-04-08T22:00:00Z"

_numbers = count(1)


class Desk:
    """A client of a role, and what it often does."""

    def __init__(self, client: FlaskClient, clock: time_machine.Traveller) -> None:
        self.client, self.clock = client, clock
        self.get, self.put, self.delete = client.get, client.put, client.delete

    def post(self, path, body, key=None):
        """A request with a key of its own."""
        return self.client.post(path, json=body, headers={"Idempotency-Key": key or f"key-{next(_numbers)}"})

    def register(self, order_id=None, **facts):
        """Register an order; its id."""
        order_id = order_id or f"A-{next(_numbers)}"
        facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"} | facts
        answer = self.put(f"/v1/orders/{order_id}", json=facts)
        assert answer.status_code == 201, answer.text
        return order_id

    def record(self, order_id, **contact):
        """Record a call."""
        return self.post(f"/v1/orders/{order_id}/contacts", {"channel": "phone"} | contact)

    def issue(self, order_id, key=None, **asked):
        """Ask for a cancellation, on a call that comes in now unless said."""
        if "contact_id" not in asked:
            asked.setdefault("contact", {"channel": "phone"})
        return self.post("/v1/cancellations", {"order_id": order_id} | asked, key)

    def cancelled(self, order_id=None, **asked):
        """An order's cancellation."""
        answer = self.issue(order_id or self.register(), **asked)
        assert answer.status_code == 201, answer.text
        return answer.json

    def feed(self, order_id):
        """What happened to an order: types and subjects."""
        events, after = [], 0
        while page := (answer := self.get(f"/v1/events?after={after}&limit=200").json)["items"]:
            events += [event for event in page if event["order_id"] == order_id]
            after = answer["next"]
        return events


@pytest.fixture(autouse=True)
def _on_each(engine):
    """All of it holds on every engine."""


@pytest.fixture
def now():
    """The clock, to be moved."""
    with time_machine.travel(IN_TIME, tick=False) as clock:
        yield clock


def _desk(role):
    """The fixture of a desk."""

    @pytest.fixture(name=role)
    def desk(app, now):
        return Desk(client_of(app, role), now)

    return desk


billing, agent, supervisor, auditor, admin = map(_desk, ("billing", "agent", "supervisor", "auditor", "admin"))


def slug(answer):
    """What kind of problem an answer is."""
    return answer.json["type"].removeprefix("/problems/")


def places(answer):
    """Where an answer finds errors."""
    return [field_error["pointer"] for field_error in answer.json["errors"]]
