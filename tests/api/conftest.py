"""A desk for each role, at a time when an order from before Easter 2026 can still be cancelled."""

from itertools import count

import pytest
import time_machine
from flask.testing import FlaskClient

from refunds.domain.permissions import COMMAND_LINE
from refunds.service.events import place
from tests.conftest import client_of

PROVIDED = "2026-04-02T16:20:00+02:00"
IN_TIME = "2026-04-08T21:05:00Z"
LATE = "2026-04-08T22:00:00Z"

_numbers = count(1)


class Desk:
    """A client of a role, with helpers for common requests."""

    def __init__(self, client: FlaskClient, clock: time_machine.Traveller) -> None:
        self.client, self.clock = client, clock
        self.get, self.put, self.delete = client.get, client.put, client.delete

    def post(self, path, body, key=None):
        """Send a request with a new idempotency key."""
        return self.client.post(path, json=body, headers={"Idempotency-Key": key or f"key-{next(_numbers)}"})

    def register(self, order_id=None, **facts):
        """Register an order and return its id."""
        order_id = order_id or f"D-{next(_numbers)}"
        facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"} | facts
        answer = self.put(f"/v1/orders/{order_id}", json=facts)
        assert answer.status_code == 201, answer.text
        return order_id

    def record(self, order_id, **contact):
        """Record a call."""
        return self.post(f"/v1/orders/{order_id}/contacts", {"channel": "phone"} | contact)

    def issue(self, order_id, key=None, **fields):
        """Request a cancellation, by default on a call that comes in now."""
        if "contact_id" not in fields:
            fields.setdefault("contact", {"channel": "phone"})
        return self.post("/v1/cancellations", {"order_id": order_id} | fields, key)

    def cancelled(self, order_id=None, **fields):
        """Cancel an order and return its cancellation."""
        answer = self.issue(order_id or self.register(), **fields)
        assert answer.status_code == 201, answer.text
        return answer.json

    def feed(self, order_id):
        """The events of an order, read from before the first: the journal that all tests share is long."""
        with self.client.application.extensions["refunds.store"].read(COMMAND_LINE) as uow:
            known = uow.events.of_order(order_id)
            before = (known[0] if known else uow.events.head()).position - 1
            begin = place(before, uow.events.hash_at(before))
        events, page = [], self.get(f"/v1/events?after={begin}&limit=200").json
        while page["items"]:
            events += [event for event in page["items"] if event["order_id"] == order_id]
            page = self.get(f"/v1/events?after={page['next']}&limit=200").json
        return events


@pytest.fixture(autouse=True)
def _on_each(engine):
    """Every test of the API runs on each engine."""


@pytest.fixture
def now():
    """The clock, which a test can move."""
    with time_machine.travel(IN_TIME, tick=False) as clock:
        yield clock


def _desk(role):
    """The fixture of the desk of a role."""

    @pytest.fixture(name=role)
    def desk(app, now):
        return Desk(client_of(app, role), now)

    return desk


_ROLES = "billing", "agent", "supervisor", "privacy", "auditor", "admin"
billing, agent, supervisor, privacy, auditor, admin = map(_desk, _ROLES)


def slug(answer):
    """The kind of problem of a response."""
    return answer.json["type"].removeprefix("/problems/")


def places(answer):
    """The pointers of the errors of a response."""
    return [field_error["pointer"] for field_error in answer.json["errors"]]
