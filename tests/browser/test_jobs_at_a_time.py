"""Jobs that need a certain time or very many records: at the end of the last day, and with full lists.

As in `test_jobs`, the actions are bounded, and how long it takes is only measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple

import pytest
import time_machine
from playwright.sync_api import expect

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.service import contacts, orders
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests import scaled
from tests.browser.conftest import visits
from tests.browser.story import NOW, Scene, scene
from tests.browser.test_jobs import DONE, cancels, checks, measured

pytestmark = pytest.mark.proof

OPEN, OWN = scaled(40, 1000), scaled(30, 200)
EARLY = "A-1008"
"""The order of the request in time with the earliest deadline."""
PROVIDED = datetime(2026, 4, 2, 10, 0, tzinfo=UTC)
LAST_MINUTE = datetime(2026, 4, 8, 21, 58, tzinfo=UTC)
"""23:58 in Berlin on the last day to cancel what was provided at `PROVIDED`, because of Easter."""

_numbers = count(1)


class Case(NamedTuple):
    """What a job is done with: the service with its records, and the browser."""

    shown: Scene
    running: object

    @contextmanager
    def visit(self, name: str, *, after: timedelta = timedelta()) -> Iterator:
        """A user who has signed in, some time after the stopped clock of the service."""
        with (
            time_machine.travel(NOW + after, tick=False),
            visits(self.running, self.shown.url, self.shown.passwords, {}) as create,
        ):
            person = create(name)
            person.opens()
            yield person

    def order(self) -> str:
        """A new order that can be cancelled until the end of that Wednesday."""
        number = f"E-{next(_numbers):04}"
        with self.store.write(COMMAND_LINE) as uow:
            orders.register(uow, OrderFacts(order_id=number, customer_ref=f"K-{number}", service_provided_at=PROVIDED))
        return number

    @property
    def store(self):
        """Where the service keeps its records."""
        return self.shown.app.extensions["refunds.store"]


@pytest.fixture(scope="module")
def case(running):
    """The service with many open requests, and a customer with many orders."""
    with scene() as shown:
        full = Case(shown, running)
        with full.store.read(COMMAND_LINE) as uow:
            agent = uow.users.by_name("anna")
        with full.store.write(COMMAND_LINE) as uow:
            for number in range(OPEN):
                provided = PROVIDED + timedelta(seconds=number)
                orders.register(
                    uow,
                    OrderFacts(order_id=f"B-{number + 1}", customer_ref=f"K-B{number}", service_provided_at=provided),
                )
            for number in range(1, OWN + 1):
                orders.register(
                    uow, OrderFacts(order_id=f"D-{number:04}", customer_ref="K-4242", service_provided_at=PROVIDED)
                )
        with full.store.write(Principal(agent.user_id, agent.name, Role.AGENT)) as uow:
            for number in range(OPEN):
                new = NewContact(channel=Channel.EMAIL, ticket_ref=f"T-{number}")
                contacts.record(uow, f"B-{number + 1}", new)
        yield full


def most_urgent(case):
    """Of many open requests, the one with the earliest deadline."""
    with case.visit("anna") as agent:
        yield agent
        agent.clicks(agent.link("Open"))
        agent.clicks(agent.page.locator("main tbody a").first)
        expect(agent.page.locator("main .kicker").first).to_contain_text(EARLY)
        agent.reads("An open request")
        yield


def next_of_many(case):
    """The next of many open requests."""
    with case.visit("anna") as agent:
        agent.link("Open").click()
        agent.page.locator("main tbody a").first.click()
        expect(agent.page.locator("main .kicker").first).to_contain_text(EARLY)
        yield agent
        agent.clicks(agent.link("Next open request"))
        expect(agent.page.locator("main .kicker").first).not_to_contain_text(EARLY)
        agent.reads("An open request")
        yield


def one_of_a_customer(case):
    """One of a customer's many orders, of which the caller knows the last digits."""
    with case.visit("anna") as agent:
        agent.opens_at("recent")
        yield agent
        agent.presses("/")
        agent.pastes(f"{OWN - 1:04}")
        agent.presses("Enter")
        expect(agent.page.locator(".kicker").first).to_contain_text(f"D-{OWN - 1:04}")
        yield


def last_of_a_customer(case):
    """The last of a customer's many orders, by the customer number alone."""
    with case.visit("anna") as agent:
        yield agent
        agent.pastes("K-4242")
        agent.presses("Enter")
        agent.clicks(agent.link(f"D-{OWN:04}"))
        agent.page.locator(".verdict h1").wait_for()
        yield


def any_of_a_customer(case):
    """One of a customer's many orders, by the customer number and the last digits of the order."""
    with case.visit("anna") as agent:
        yield agent
        agent.pastes("K-4242")
        agent.presses("Enter")
        agent.is_at(agent.field("Narrow down to"))
        agent.pastes("0001")
        agent.presses("Enter")
        expect(agent.page.locator(".kicker").first).to_contain_text("D-0001")
        yield


def two_minutes_before_the_end(case):
    """On the last day at 23:58: number to cancelled."""
    number = case.order()
    with case.visit("anna", after=LAST_MINUTE - NOW) as agent:
        yield agent
        checks(agent, number)
        expect(agent.page.locator("main h1")).to_contain_text("Can be cancelled until the end of Wednesday, 8 April")
        expect(agent.page.locator(".verdict")).to_contain_text("Today is the last day")
        cancels(agent)
        yield
        expect(agent.page.locator("main h1")).to_have_text(DONE)


def two_minutes_after_the_end(case):
    """At 00:02 after the last day: number to recorded request."""
    number = case.order()
    with case.visit("anna", after=LAST_MINUTE - NOW + timedelta(minutes=4)) as agent:
        yield agent
        checks(agent, number)
        expect(agent.page.locator("main h1")).to_contain_text("The contractual window ended at the end of Wednesday, 8")
        agent.clicks(agent.button("Record the request"))
        agent.reads("An open request")
        yield
        expect(agent.page.locator(".verdict.neutral")).to_be_visible()


JOBS = {
    most_urgent: 2,
    next_of_many: 1,
    one_of_a_customer: 3,
    last_of_a_customer: 3,
    any_of_a_customer: 4,
    two_minutes_before_the_end: 4,
    two_minutes_after_the_end: 3,
}
"""Each job, with the actions that it takes at most; those at a later time come last."""


@pytest.mark.parametrize("do", scaled([*JOBS][::2], JOBS), ids=lambda do: do.__name__)
def test_no_job_takes_more_actions_than_it_must(do, case, record_property):
    actions, took = measured(do, case)
    record_property("measured", f"{do.__doc__.rstrip('.')} ({OPEN} open, {OWN} own): {actions} actions, {took}")
    assert actions <= JOBS[do]
