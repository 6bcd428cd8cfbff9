"""Several people at the queue at once: each request is taken by one of them, and resolved once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import ContactStateConflict
from refunds.service import assignments, contacts, orders, queue, resolutions, unmatched
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.queue import Tab
from refunds.service.resolutions import Resolution
from tests import ENGINES, scaled
from tests.faults.harness import Installation

pytestmark = pytest.mark.proof

ROUNDS = scaled(10, 60)
AT_ONCE = 4
CALL = NewContact(channel=Channel.PHONE)
KEPT = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER)
AGENTS = [Principal(f"usr_{n}", f"agent {n}", Role.AGENT) for n in range(AT_ONCE)]


@pytest.fixture(params=ENGINES)
def both_stores(request, tmp_path):
    """The stores of two instances."""
    installation = Installation(tmp_path, request.param)
    with installation.store() as one, installation.store() as other:
        yield one, other


def ask(store, order_id):
    """The id of a contact about a new order."""
    with store.write(COMMAND_LINE) as uow:
        provided = uow.now - timedelta(hours=1)
        orders.register(uow, OrderFacts(order_id=order_id, customer_ref=order_id, service_provided_at=provided))
        return contacts.record(uow, order_id, CALL).contact_id


def keep(store, hint):
    with store.write(COMMAND_LINE) as uow:
        return unmatched.record(uow, hint, CALL).unmatched_id


def at_once(both_stores, act):
    """What each agent gets who does the same at the same moment, half of them at either instance."""
    together = Barrier(AT_ONCE)

    def one(number):
        together.wait()
        with both_stores[number % 2].write(AGENTS[number]) as uow:
            return act(uow)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


@pytest.mark.parametrize("make", [ask, keep])
def test_of_those_who_take_at_the_same_moment_one_wins_and_the_others_are_told_who(both_stores, make):
    for number in range(ROUNDS):
        name = make(both_stores[0], f"{make.__name__}-{number}")

        def take(uow, name=name):
            try:
                return assignments.assign(uow, name).taken_by
            except ContactStateConflict as error:
                return error.detail.values["holder"]

        (holder,) = set(at_once(both_stores, take))
        with both_stores[1].read(COMMAND_LINE) as uow:
            kept = uow.contacts if make is ask else uow.unmatched
            assert kept.get(name).taken_by == holder
            events = uow.tx.all("SELECT type FROM events WHERE subject = :name", name=name)
            assert [row["type"].endswith("assigned") for row in events].count(True) == 1


def test_several_that_are_resolved_by_everybody_at_once_are_resolved_once_each(both_stores):
    """In whatever order they were ticked: nobody waits for another in a circle."""
    for number in range(scaled(3, 20)):
        names = [ask(both_stores[0], f"several-{number}-{one}") for one in range(20)]
        with both_stores[0].read(COMMAND_LINE) as uow:
            seen = {entry.record_id: entry.seen for tab in Tab for entry in queue.entries(uow, tab, 100)}

        def resolve(uow, names=names, seen=seen):
            ticked = names if uow.principal is AGENTS[0] else names[::-1]
            left = queue.for_each(
                uow, {one: seen[one] for one in ticked}, lambda one: resolutions.resolve(uow, one, KEPT)
            )
            return {one for one, why in left.items() if why is None}

        done = at_once(both_stores, resolve)
        assert sorted(one for each in done for one in each) == sorted(names)
    with both_stores[0].read(COMMAND_LINE) as uow:
        uow.verify(both_stores[0].checkpoints)
