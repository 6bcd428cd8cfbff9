"""Users at the console, at a time when an order from before Easter 2026 can still be cancelled."""

from datetime import UTC, datetime
from itertools import count

import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.privacy import DataRequestChannel, DataRequestKind
from refunds.security.limiter import Limiter
from refunds.service import cancellations, contacts, data_requests, orders, unmatched, users
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.storage import events
from refunds.web import create_app, sessions
from refunds.web.console import blueprint
from tests.conftest import settings
from tests.console.pages import HOST, Browser

BEFORE = datetime(2026, 4, 2, 14, 30, tzinfo=UTC)
NOW = datetime(2026, 4, 8, 8, 20, tzinfo=UTC)
"""The last day, in the morning: 10:20 in Berlin."""

PROVIDED = "2026-04-02T16:20:00+02:00"
TOO_LONG_AGO = "2026-03-27T12:00:00+01:00"

_numbers = count(1)


def user_of(app, name):
    """The stored user of this name."""
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return next(user for user in uow.users.iter_all() if user.name == name)


def signed_in(app, user, language=None):
    """The browser of a user who has signed in; it skips the password, whose hash is slow."""
    browser = Browser(app, language)
    with app.test_request_context("/console/", base_url=HOST) as context:
        sessions.begin(users.session_for(app.extensions["refunds.store"], user))
        signed = app.session_interface.get_signing_serializer(app).dumps(dict(context.session))
    browser.client.set_cookie("__Host-refunds", signed, secure=True, path="/", domain="localhost")
    return browser


class Site:
    """An installation with a user of every role, and its records."""

    def __init__(self, app):
        self.app, self.store = app, app.extensions["refunds.store"]
        with self.store.write(COMMAND_LINE) as uow:
            self.passwords = {role: users.add(uow, f"{role}-1", role).password for role in Role}

    def user(self, name):
        """The stored user of this name."""
        return user_of(self.app, name)

    def principal(self, role):
        """The user of a role, as a principal."""
        user = self.user(f"{role}-1")
        return Principal(user.user_id, user.name, user.role)

    def browser(self, role=None, language=None):
        """The browser of a signed-in user of this role, or one that is not signed in."""
        return Browser(self.app, language) if role is None else signed_in(self.app, self.user(f"{role}-1"), language)

    def register(self, order_id=None, **facts):
        """Register an order and return its id."""
        order_id = order_id or f"A-{next(_numbers):04}"
        values = {"customer_ref": "K-20391", "service_provided_at": PROVIDED, "region": "DE-BY"} | facts
        at = {
            name: values[name] and parse_instant(values[name])
            for name in ("service_provided_at", "ordered_at")
            if name in values
        }
        with self.store.write(COMMAND_LINE) as uow:
            orders.register(uow, OrderFacts(order_id=order_id, **values | at))
        return order_id

    def record(self, order_id, role=Role.AGENT, **contact):
        """Record a contact about an order and return its id."""
        with self.store.write(self.principal(role)) as uow:
            return contacts.record(uow, order_id, NewContact(**{"channel": Channel.PHONE} | contact)).contact_id

    def keep(self, order_hint, role=Role.AGENT, **contact):
        """Record a contact without its order and return its id."""
        new = NewContact(**{"channel": Channel.PHONE} | contact)
        with self.store.write(self.principal(role)) as uow:
            return unmatched.record(uow, order_hint, new).unmatched_id

    def cancel(self, order_id, role=Role.AGENT, **contact):
        """Cancel an order and return its cancellation."""
        new = NewContact(**{"channel": Channel.PHONE} | contact)
        with self.store.write(self.principal(role)) as uow:
            return cancellations.issue(uow, order=order_id, contact=new)

    def asks(self, kind, customer_ref, **more):
        """Open a data request about a customer."""
        with self.store.write(self.principal(Role.PRIVACY)) as uow:
            return data_requests.open_request(
                uow, kind, customer_ref, DataRequestChannel.EMAIL, **{"identity_check": "passport"} | more
            )

    def data_request(self, request_id):
        """A data request as it is stored."""
        with self.store.read(COMMAND_LINE) as uow:
            return uow.data_requests.get(request_id)

    def customer(self, order_id):
        """The opaque id of an order's customer."""
        with self.store.read(COMMAND_LINE) as uow:
            return uow.orders.get(order_id).customer_id

    def contacts(self, order_id):
        """The contacts about an order, in the order in which they were recorded."""
        with self.store.read(COMMAND_LINE) as uow:
            found = uow.contacts.paginate(limit=200, order_id=order_id)
            return sorted(found, key=lambda contact: (contact.recorded_at, contact.received_at))

    def contact(self, order_id):
        """The only contact about an order."""
        (found,) = self.contacts(order_id)
        return found

    def active(self, order_id):
        """The active cancellation of an order, if it has one."""
        with self.store.read(COMMAND_LINE) as uow:
            return uow.cancellations.active(order_id)

    @property
    def end(self):
        """The position of the journal's last event."""
        with self.store.read(COMMAND_LINE) as uow:
            return uow.events.head().position

    @property
    def position(self):
        """How many changes of records the journal has, and the session epoch of every user.

        That somebody saw personal data is in the journal too, and changes nothing.
        """
        with self.store.read(COMMAND_LINE) as uow:
            epochs = [(user.user_id, user.epoch) for user in uow.users.iter_all()]
            seen = len(uow.tx.all("SELECT 1 FROM events WHERE type IN ('privacy.evidence_shown', 'privacy.exported')"))
            return events.head(uow.tx).position - seen, epochs

    def verify(self):
        """Check that the journal and the records agree."""
        with self.store.read(COMMAND_LINE) as uow:
            return uow.verify(self.store.checkpoints)


@pytest.fixture(autouse=True)
def unlimited(monkeypatch):
    """As many attempts with names that do not exist as a test makes."""
    monkeypatch.setattr(users, "NOBODYS", Limiter(1_000))


PUBLIC = {"console.sign_in"}
"""The endpoints that need no session."""


def routes(app, records=None):
    """Every rule of the console with each of its methods and its path."""
    records = {"position": 1, "version": 1} | (records or {})
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{blueprint.name}."):
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                values = {name: records.get(name, "x") for name in rule.arguments}
                yield rule, method, rule.build(values, append_unknown=False)[1]


def forms(site, records):
    """The endpoint and path of every form of the console, future ones included, except the sign-in form."""
    found = [
        (rule.endpoint, path)
        for rule, method, path in routes(site.app, records)
        if method == "POST" and rule.endpoint not in PUBLIC
    ]
    assert len(found) >= 8
    return found


def opened(**changed):
    """A separate installation; the caller closes its store."""
    return Site(create_app(settings(**changed)))


@pytest.fixture(scope="session")
def site():
    """The installation that most tests share; each registers its own orders."""
    with time_machine.travel(BEFORE, tick=False):
        found = opened()
    yield found
    found.store.close()


@pytest.fixture(scope="module", autouse=True)
def _time():
    """The time at which the fixtures of a whole module are created."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def now():
    """The clock, which a test can move."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def _someone(role):
    """The fixture of the browser of a user of this role."""

    @pytest.fixture(name=role)
    def browser(site, now):
        return site.browser(role)

    return browser


agent, supervisor, product, auditor, billing, privacy = map(
    _someone, ("agent", "supervisor", "product", "auditor", "billing", "privacy")
)


@pytest.fixture
def stranger(site):
    """A browser that is not signed in."""
    return site.browser()


SECRETS = ("K-7777", "a note about him", "Ticket-7777")
"""The personal data in the records."""


@pytest.fixture(scope="module")
def records(site):
    """A value for every parameter of a route."""
    order = site.register(customer_ref=SECRETS[0])
    contact = site.record(order, note=SECRETS[1], ticket_ref=SECRETS[2])
    done = site.register(customer_ref=SECRETS[0])
    return {
        "order_id": order,
        "contact_id": contact,
        "unmatched_id": site.keep(f"{SECRETS[0]}, he says", note=SECRETS[1], ticket_ref=SECRETS[2]),
        "cancellation_id": site.cancel(done, note=SECRETS[1], ticket_ref=SECRETS[2]).cancellation_id,
        "customer_id": site.customer(order),
        "policy_id": "virtual-numbers",
        "position": "1",
        "version": "1",
        "rest": "elsewhere/1",
        "request_id": site.asks(DataRequestKind.RECTIFICATION, SECRETS[0]).request_id,
    }
