"""Simultaneous matches, resolutions and cancellations: an unmatched contact becomes one contact, or none."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ContactStateConflict
from refunds.service import cancellations, orders, unmatched
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests import ENGINES, scaled
from tests.faults.harness import Installation, until

pytestmark = pytest.mark.proof

ROUNDS = scaled(12, 60)
CALL = NewContact(channel=Channel.PHONE, note="a note", from_detail="+493012345678")


@pytest.fixture(params=ENGINES)
def both_stores(request, tmp_path):
    """The stores of two instances."""
    installation = Installation(tmp_path, request.param)
    with installation.store() as one, installation.store() as other:
        yield one, other


def register(store, order_id):
    provided = datetime.now(UTC) - timedelta(hours=1)
    with store.write(COMMAND_LINE) as uow:
        orders.register(uow, OrderFacts(order_id=order_id, customer_ref=order_id, service_provided_at=provided))
    return order_id


def keep(store):
    """Record a contact without its order, with a key whose reply is kept."""
    with store.write(COMMAND_LINE) as uow:
        kept = unmatched.record(uow, "the blue one", CALL)
        assert uow.replies.claim(kept.unmatched_id, b"request") is None
        uow.replies.keep(kept.unmatched_id, "personal")
    return kept


def repeat(store, unmatched_id):
    """The kept reply to the request that recorded the contact."""
    with store.write(COMMAND_LINE) as uow:
        return uow.replies.claim(unmatched_id, b"request")


def match(store, unmatched_id, order_id):
    with store.write(COMMAND_LINE) as uow:
        return unmatched.match(uow, unmatched_id, order_id)[0].order_id


def resolve(store, unmatched_id):
    with store.write(COMMAND_LINE) as uow:
        unmatched.resolve(uow, unmatched_id, "nobody's")
    return "resolved"


def cancel(store, order_id):
    with store.write(COMMAND_LINE) as uow:
        cancellations.issue(uow, order=order_id, contact=NewContact(channel=Channel.PHONE))
    return "cancelled"


def became(store, kept):
    """The contacts that have the number of an unmatched one."""
    with store.read(COMMAND_LINE) as uow:
        return uow.contacts.paginate(limit=9, request_number=kept.request_number)


def test_one_contact_results_from_everything_at_once(both_stores):
    """Two matches to different orders, the first of them twice, a resolution, a cancellation and a repeated request."""
    one, other = both_stores
    results = Counter()
    for number in range(ROUNDS):
        first, second = (register(one, f"A-{number}-{name}") for name in "ab")
        kept, start = keep(one), threading.Barrier(6, timeout=60)
        acts = [
            (match, kept.unmatched_id, first),
            (match, kept.unmatched_id, second),
            (match, kept.unmatched_id, first),
        ]
        acts += [(resolve, kept.unmatched_id), (cancel, first), (repeat, kept.unmatched_id)]

        def run(act, store, start=start):
            start.wait()
            try:
                return act[0](store, *act[1:])
            except ContactStateConflict:
                return "conflict"

        with ThreadPoolExecutor(len(acts)) as pool:
            ends = list(pool.map(run, acts, [one, other] * 3))
        assert ends[-2:] == ["cancelled", "personal"]
        found = became(one, kept)
        decided = {end for end in ends[:4] if end != "conflict"}
        assert len(decided) == 1, ends
        assert {contact.order_id for contact in found} == decided - {"resolved"}
        assert len(found) == len(decided - {"resolved"})
        assert repeat(other, kept.unmatched_id) == "personal"
        assert all(not contact.is_open for contact in found if contact.order_id == first)
        results += Counter(decided)
    with one.read(COMMAND_LINE) as uow:
        uow.verify(one.checkpoints)
    assert results.total() == ROUNDS


@pytest.mark.parametrize("both_stores", ["postgresql"], indirect=True)
def test_a_second_match_waits_for_the_first_and_is_refused(both_stores):
    one, other = both_stores
    first, second, kept = register(one, "A-1"), register(one, "A-2"), keep(one)

    def is_waiting():
        with one.open()[0].read() as tx:
            sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            return bool(tx.all(sql))

    with ThreadPoolExecutor(1) as pool:
        with one.write(COMMAND_LINE) as uow:
            unmatched.match(uow, kept.unmatched_id, first)
            waiting = pool.submit(match, other, kept.unmatched_id, second)
            until(is_waiting, 60)
        with pytest.raises(ContactStateConflict):
            waiting.result(timeout=60)
    assert [contact.order_id for contact in became(one, kept)] == ["A-1"]
