"""Many at once on real servers: each order is cancelled once, each key leaves one record, the feed misses nothing.

And no cancellation rests on facts that were corrected at the same moment.
"""

import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, cycle, pairwise
from operator import itemgetter
from statistics import quantiles
from typing import NamedTuple

import pytest
from sqlite_utils.utils import sqlite3

from refunds.domain.contact_points import Channel
from refunds.domain.journal import GENESIS, Entry, EventType, chained, is_sound
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Intent, OverrideKind
from refunds.errors import Conflict, OrderFrozen, PreconditionFailed
from refunds.service import cancellations, clients, contacts, orders
from refunds.service.cancellations import Override, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.storage import customers, events
from refunds.storage import idempotency as stored_replies
from refunds.storage import orders as stored_orders
from refunds.storage.clients import Tokens
from refunds.storage.orders import LockedOrder
from refunds.storage.postgres import PostgreSQL
from refunds.storage.sqlite import SQLite
from tests import scaled
from tests.faults.harness import Client, Installation, Reply, cancellation_of, until
from tests.postgres import shared
from tests.storage.engines import migrate

pytestmark = pytest.mark.proof

THREADS = 8
WRITERS = 2 * THREADS
MOMENT = datetime(2026, 4, 8, tzinfo=UTC)
RACED = [f"race-{number}" for number in range(scaled(16, 60))]
REPEATED = [f"repeated-{number}" for number in range(scaled(80, 250))]

CONSTELLATIONS = {
    "one process": ("sqlite", 1),
    "two processes": ("sqlite", 2),
    "three instances": ("postgresql", 3),
}

REFUSED_ONE_IN = 20
"""How many of a writer's requests there are to one that is refused only when it has already written."""

IMPOSSIBLE = (
    {"received_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    {"supersedes": "con_01KAN3Y7KZ8Q4T8Z2B6C9D1EFG"},
)
"""Of a contact: what is refused when its order is already inserted."""


@dataclass
class Aftermath:
    """What was answered, what was read meanwhile, and what there is in the end."""

    installation: Installation
    writers: list["Writer"]
    raced: dict[str, list[Reply]]
    repeated: dict[str, list[Reply]]
    left: dict[str, Reply]
    followed: dict[str, list[dict]]
    early: dict[str, int]
    cancellations: list[dict]
    contacts: list[dict]

    @property
    def refused(self) -> dict[str, Reply]:
        """The replies to what had to be rolled back, by order."""
        return {order_id: reply for writer in self.writers for order_id, reply in writer.refused.items()}

    @property
    def mended(self) -> dict[str, Reply]:
        """The replies to those of them that were sent again, sound."""
        return {order_id: reply for writer in self.writers for order_id, reply in writer.mended.items()}

    @property
    def once(self) -> list[str]:
        """The orders that are cancelled with one contact."""
        return REPEATED + list(self.mended)


class Writer(Client):
    """A client that notes how long it waits, and one in so many of whose requests has to be rolled back."""

    def __init__(self, port: int, token: str, name: str) -> None:
        super().__init__(port, token)
        self.name = name
        self.seconds: list[float] = []
        self.refused: dict[str, Reply] = {}
        self.mended: dict[str, Reply] = {}

    def cancel(self, body: object, key: str) -> Reply:
        """The reply to a cancellation, before which another one may have been refused."""
        if len(self.seconds) % REFUSED_ONE_IN == 0:
            self.be_refused(f"refused-{self.name}-{len(self.refused)}")
        return self.timed(body, key)

    def be_refused(self, order_id: str) -> None:
        """Send what writes an order and is then refused; every other time, with the same key, what is not."""
        body = cancellation_of(order_id)
        impossible = body["contact"] | IMPOSSIBLE[len(self.refused) // 2 % 2]
        self.refused[order_id] = self.timed(body | {"contact": impossible}, order_id)
        if len(self.refused) % 2:
            self.mended[order_id] = self.timed(body, order_id)

    def timed(self, body: object, key: str) -> Reply:
        """The reply to a cancellation."""
        began = time.perf_counter()
        reply = super().cancel(body, key)
        self.seconds.append(time.perf_counter() - began)
        return reply


@pytest.fixture(scope="module", params=CONSTELLATIONS.values(), ids=CONSTELLATIONS)
def aftermath(request, tmp_path_factory):
    """What is left when everybody has done everything at once, with so many servers upon the same records."""
    kept_in, number = request.param
    installation = Installation(tmp_path_factory.mktemp("races"), kept_in)
    with installation.instances(number) as servers:
        return tumult(installation, [server.port for server in servers])


def tumult(installation, ports):
    """Race, repeat and follow, all at the same time."""
    tokens, over, writers = installation.tokens(), threading.Event(), []
    with ThreadPoolExecutor(2) as readers:
        reading = {
            role: readers.submit(follow, [Client(port, tokens[role]) for port in ports], over)
            for role in ("auditor", "billing")
        }
        try:
            raced, repeated = race(ports, tokens, writers), repeat(ports, tokens["supervisor"], writers)
        finally:
            over.set()
        read = {role: following.result(timeout=60) for role, following in reading.items()}
    with Client(ports[0], tokens["auditor"]) as auditor:
        left = {order_id for writer in writers for order_id in writer.refused if order_id not in writer.mended}
        return Aftermath(
            installation=installation,
            writers=writers,
            raced=raced,
            repeated=repeated,
            left={order_id: auditor.send("GET", f"/v1/orders/{order_id}") for order_id in left},
            followed={role: told for role, (told, _) in read.items()},
            early={role: early for role, (_, early) in read.items()},
            cancellations=list(auditor.every("/v1/cancellations")),
            contacts=list(auditor.every("/v1/contacts")),
        )


def follow(clients, over):
    """Every event from the first to the last, and how many were seen before all was over."""
    seen, early, after = [], 0, 0
    for client in cycle(clients):
        ended = over.is_set()  # before the page is read, so that nothing can come after the last one
        page = client.send("GET", f"/v1/events?after={after}&limit=10").json
        seen += page["items"]
        after, early = page["next"], early if ended else len(seen)
        if not page["items"]:
            if ended:
                break
            time.sleep(0.03)
    for client in clients:
        client.wire.close()
    return seen, early


def race(ports, tokens, writers):
    """Two clients cancel each order at the same moment, eight orders at a time: the replies by order."""
    bodies = {order_id: cancellation_of(order_id) for order_id in RACED}
    pairs = WRITERS // 2
    starts = [threading.Barrier(2, timeout=60) for _ in range(pairs)]

    def run(role, side, pair):
        with Writer(ports[(side + pair) % len(ports)], tokens[role], f"{role}-{pair}") as writer:
            writers.append(writer)
            replies = {}
            for order_id in RACED[pair::pairs]:
                starts[pair].wait()
                replies[order_id] = writer.cancel(bodies[order_id], f"{role}-{order_id}")
            return replies

    with ThreadPoolExecutor(WRITERS) as pool:
        sides = enumerate(("billing", "agent"))
        runs = [pool.submit(run, role, side, pair) for side, role in sides for pair in range(pairs)]
        return gathered(runs)


def repeat(ports, token, writers):
    """Eight threads of one client send the same requests with the same keys, twice: the replies by key."""
    bodies = {key: cancellation_of(key) for key in REPEATED}

    def run(thread):
        with Writer(ports[thread % len(ports)], token, f"thread-{thread}") as writer:
            writers.append(writer)
            return {key: writer.cancel(bodies[key], key) for key in REPEATED[thread // THREADS :: WRITERS // THREADS]}

    with ThreadPoolExecutor(WRITERS) as pool:
        return gathered([pool.submit(run, thread) for thread in range(WRITERS)])


def gathered(runs):
    """The replies that several threads got to the same questions."""
    gathered = {}
    for run in runs:
        for question, reply in run.result(timeout=120).items():
            gathered.setdefault(question, []).append(reply)
    return gathered


def test_of_two_that_cancel_one_order_one_does_and_the_other_is_told_so(aftermath):
    for order_id in RACED:
        done, told = sorted(aftermath.raced[order_id])
        assert (done.status, told.status) == (201, 409)
        assert told.json["type"] == "/problems/order-already-cancelled"
        assert told.json["cancellation"]["cancellation_id"] == done.json["cancellation_id"]
        assert not done.replayed
        assert not told.replayed


def test_every_order_has_one_cancellation_and_one_event_of_it(aftermath):
    once = Counter(RACED + aftermath.once)
    assert Counter(each["order_id"] for each in aftermath.cancellations) == once
    assert {each["state"] for each in aftermath.cancellations} == {"issued"}
    issued = [event for event in aftermath.followed["auditor"] if event["type"] == "cancellation.issued"]
    assert Counter(event["order_id"] for event in issued) == once
    assert {event["subject"] for event in issued} == {each["cancellation_id"] for each in aftermath.cancellations}


def test_whoever_was_too_late_has_a_contact_on_record(aftermath):
    asked = Counter(2 * RACED + aftermath.once)
    assert Counter(contact["order_id"] for contact in aftermath.contacts) == asked
    refused = {reply.json["contact_id"] for replies in aftermath.raced.values() for reply in replies}
    assert refused <= {contact["contact_id"] for contact in aftermath.contacts}


def test_the_same_request_gets_the_same_reply_to_the_byte(aftermath):
    assert sum(map(len, aftermath.repeated.values())) == len(REPEATED) * THREADS
    assert {key: len({reply[:2] for reply in replies}) for key, replies in aftermath.repeated.items()} == dict.fromkeys(
        REPEATED, 1
    )
    assert {replies[0].status for replies in aftermath.repeated.values()} == {201}


def test_all_replies_but_the_first_say_that_they_are_replayed(aftermath):
    replayed = {key: sum(reply.replayed for reply in replies) for key, replies in aftermath.repeated.items()}
    assert replayed == dict.fromkeys(REPEATED, THREADS - 1)


def test_an_auditor_who_follows_sees_every_position_once_and_in_order(aftermath):
    seen = aftermath.followed["auditor"]
    assert [event["position"] for event in seen] == list(range(1, len(seen) + 1))
    kinds = Counter(event["type"] for event in seen if not event["type"].startswith(("access.", "policy.")))
    cancelled, again = len(RACED + aftermath.once), len(RACED)
    assert kinds == {
        "order.registered": cancelled,
        "contact.recorded": cancelled + again,
        "cancellation.issued": cancelled,
    }


def test_billing_sees_what_the_auditor_sees_but_for_what_is_about_access(aftermath):
    seen = [event for event in aftermath.followed["auditor"] if not event["type"].startswith("access.")]
    assert aftermath.followed["billing"] == seen


@pytest.mark.parametrize("role", ["auditor", "billing"])
def test_the_feed_was_followed_while_it_grew(aftermath, role):
    assert aftermath.early[role] > len(aftermath.followed[role]) // 2


def test_what_is_refused_after_it_has_written_leaves_nothing(aftermath):
    """Neither order nor event, and its key is free for another request."""
    requests = sum(len(writer.seconds) for writer in aftermath.writers)
    assert len(aftermath.refused) >= requests // REFUSED_ONE_IN
    reasons = Counter((reply.status, reply.json["errors"][0]["code"]) for reply in aftermath.refused.values())
    assert set(reasons) == {(422, "impossible_time"), (422, "unknown_contact")}
    assert {reply.status for reply in aftermath.left.values()} == {404}
    assert not aftermath.left.keys() & {event["order_id"] for event in aftermath.followed["auditor"]}
    assert {(reply.status, reply.replayed) for reply in aftermath.mended.values()} == {(201, False)}
    assert aftermath.left.keys() | aftermath.mended.keys() == aftermath.refused.keys()


def test_nothing_fails_and_nothing_is_locked(aftermath):
    aftermath.installation.require_calm()
    statuses = Counter(line["status"] for line in aftermath.installation.lines() if line["event"] == "request")
    assert statuses[201] == len(RACED) + len(REPEATED) * THREADS + len(aftermath.mended)
    assert statuses[409] == len(RACED)
    assert statuses[422] == len(aftermath.refused)


def test_the_audit_finds_all_of_it_sound(aftermath):
    assert aftermath.installation.require_sound().events == len(aftermath.followed["auditor"])


def test_how_long_the_writers_wait_is_told(aftermath):
    """And not judged: `pytest -rP` shows it."""
    waits = sorted(seconds * 1000 for writer in aftermath.writers for seconds in writer.seconds)
    slowest = max(quantiles(writer.seconds, n=100, method="inclusive")[98] for writer in aftermath.writers) * 1000
    cuts = quantiles(waits, n=100)
    print(  # noqa: T201 - it is what this is for
        f"{len(waits)} requests of {WRITERS} writers: median {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, "
        f"worst p99 of a writer {slowest:.0f} ms, longest {waits[-1]:.0f} ms"
    )


# Corrections and cancellations of the same orders at the same moment, and customers who come and go meanwhile.

EARLIER = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
CORRECTED, SWAPPED, MOVES = 22, 15, 15
"""How many orders of each kind are corrected while they are cancelled, how many pairs swap customers, how often each
wanderer moves."""

OTHERWISE = {
    "elsewhere": ({"region": "DE-BY"}, {"region": "DE-BE"}),
    "anybodys": ({"customer_ref": "customer of one"}, {"customer_ref": "customer of the other"}),
}
"""In what two ways an order is corrected at once."""

TWICE = {f"{kind}-{number}": kind for number in range(scaled(4, 10)) for kind in OTHERWISE}


def facts_of(order_id, customer=None):
    """An order's facts as they are registered first, or with another order's customer."""
    return {
        "customer_ref": f"customer of {customer or order_id}",
        "service_provided_at": EARLIER.isoformat(),
        "region": "DE",
    }


def by_id(order_id):
    """A cancellation of an order as it is registered."""
    return {"order_id": order_id, "contact": {"channel": "phone"}}


def as_it_was(order_id):
    """A cancellation that tells the facts which are being corrected."""
    return {"order": {"order_id": order_id} | facts_of(order_id), "contact": {"channel": "phone"}}


def as_it_will_be(order_id):
    """A cancellation that tells of the customer to whom the order is being moved."""
    return {"order": {"order_id": order_id} | facts_of(order_id, "another"), "contact": {"channel": "phone"}}


FROZEN, DIFFERS, LATE = (f"/problems/{name}" for name in ("order-frozen", "order-facts-conflict", "not-refundable"))
DAY_LATER = (EARLIER + timedelta(days=1)).isoformat()
KINDS = {
    "service": ({"service_provided_at": DAY_LATER}, by_id, {(200, 201), (FROZEN, 201)}),
    "service-long-ago": ({"service_provided_at": MOMENT.isoformat()}, by_id, {(200, LATE), (FROZEN, 201)}),
    "region": ({"region": "DE-BY"}, by_id, {(200, 201), (FROZEN, 201)}),
    "customer-left": ({"customer_ref": "customer of another"}, as_it_was, {(200, DIFFERS), (FROZEN, 201)}),
    "customer-joined": ({"customer_ref": "customer of another"}, as_it_will_be, {(200, 201), (200, DIFFERS)}),
}
"""What of an order is corrected, by what it is cancelled meanwhile, and how the two may end."""


class Corrected(NamedTuple):
    """What was answered, and what there is in the end."""

    installation: Installation
    registered: dict[str, list[Reply]]
    cancelled: dict[str, list[Reply]]
    swapped: dict[str, list[Reply]]
    wandered: dict[str, list[Reply]]
    twice: dict[str, list[Reply]]
    filed: dict[str, LockedOrder]
    forlorn: int
    journal: list[tuple[str, str]]


@pytest.fixture(scope="module", params=[("sqlite", 2), ("postgresql", 3)], ids=["two processes", "three instances"])
def corrected(request, tmp_path_factory):
    """What is left of corrections, with so many servers upon the same records."""
    kept_in, number = request.param
    installation = Installation(tmp_path_factory.mktemp("corrections"), kept_in)
    with installation.instances(number) as servers:
        ports, token = [server.port for server in servers], installation.tokens()["billing"]
        answered = [in_step(ports, token, rounds) for rounds in (*corrections(), swaps(), wanderings(), twice())]
    with installation.store() as store, store.read(COMMAND_LINE) as uow:
        journal = [(event["order_id"], event["type"]) for event in events.iter_all(uow.tx) if event["order_id"]]
        filed = {
            order_id: LockedOrder(uow.orders.get(order_id), uow.cancellations.active(order_id))
            for order_id in dict.fromkeys(map(itemgetter(0), journal))
        }
        forlorn = len({row["customer_id"] for row in customers.iter_all(uow.tx)} - stored_orders.owners(uow.tx))
    return Corrected(installation, *answered, filed, forlorn, journal)


def in_step(ports, token, rounds):
    """The replies to the requests of each round, which are sent at the same moment; some rounds at the same time."""
    width = len(next(iter(rounds.values())))
    lanes = WRITERS // width
    starts = [threading.Barrier(width, timeout=60) for _ in range(lanes)]

    def run(place, lane):
        with Client(ports[(place + lane) % len(ports)], token) as client:
            replies = {}
            for name, requests in list(rounds.items())[lane::lanes]:
                method, path, body, headers = requests[place]
                starts[lane].wait()
                replies[name] = client.send(method, path, body, **headers)
            return replies

    with ThreadPoolExecutor(WRITERS) as pool:
        return gathered([pool.submit(run, place, lane) for place in range(width) for lane in range(lanes)])


def put(order_id, facts, if_match=""):
    """The request that registers an order or, with an If-Match, corrects it."""
    given = ({"correction_reason": "mixed up"}, {"If-Match": if_match}) if if_match else ({}, {})
    return "PUT", f"/v1/orders/{order_id}", facts | given[0], given[1]


def corrections():
    """The requests that register the orders, and those that correct each while it is cancelled."""
    kinds = {f"{kind}-{number}": kind for number in range(CORRECTED) for kind in KINDS}
    registered = [*kinds, *TWICE, *(f"{side}-{number}" for number in range(SWAPPED) for side in ("one", "other"))]
    yield {order_id: [put(order_id, facts_of(order_id))] for order_id in registered}
    rounds = {}
    for order_id, kind in kinds.items():
        changes, cancellation, _ = KINDS[kind]
        cancel = "POST", "/v1/cancellations", cancellation(order_id), {"Idempotency-Key": order_id}
        rounds[order_id] = [put(order_id, facts_of(order_id) | changes, '"1"'), cancel]
    yield rounds


def swaps():
    """The requests that give two orders each the other's customer, while either customer gets one more order."""
    rounds = {}
    for number in range(SWAPPED):
        one, other = f"one-{number}", f"other-{number}"
        rounds[f"swap-{number}"] = [
            put(one, facts_of(one, other), '"1"'),
            put(other, facts_of(other, one), '"1"'),
            put(f"more-of-{one}", facts_of(one)),
            put(f"more-of-{other}", facts_of(other)),
        ]
    return rounds


def wanderings():
    """The requests that move orders between customers, each of whom may lose his last order in any round."""
    chance = random.Random(20260408)  # noqa: S311 - no secret
    rounds = {}
    for number in range(4 * MOVES):
        lane, if_match = number % 4, "*" if number >= 4 else ""
        rounds[f"round-{number}"] = [
            put(f"wanderer-{lane}-{place}", facts_of("", f"host {lane} {chance.randrange(2)}"), if_match)
            for place in range(4)
        ]
    return rounds


def twice():
    """The requests that correct each order in two ways at once."""
    return {
        order_id: [put(order_id, facts_of(order_id) | changes, '"1"') for changes in OTHERWISE[kind]]
        for order_id, kind in TWICE.items()
    }


def told(reply):
    """How a request ended: its status or, where it was refused, why."""
    return reply.json["type"] if reply.status == 409 else reply.status


def test_a_correction_and_a_cancellation_of_one_order_end_as_if_one_had_come_first(corrected):
    assert len(corrected.cancelled) == len(KINDS) * CORRECTED
    for order_id, replies in corrected.cancelled.items():
        ends = tuple(map(told, replies))
        assert ends in KINDS[order_id.rpartition("-")[0]][2], (order_id, ends)


def test_no_cancellation_rests_on_other_facts_than_its_orders(corrected):
    cancelled = {order_id: filed for order_id, filed in corrected.filed.items() if filed.active}
    issued = [order_id for order_id, (_, reply) in corrected.cancelled.items() if reply.status == 201]
    assert sorted(cancelled) == sorted(issued)
    for order, active in cancelled.values():
        facts, outcome = active.decision.facts, active.decision.outcome
        judged = facts.service_provided_at, outcome.region, outcome.policy
        assert judged == (order.service_provided_at, order.region, order.policy)


def test_no_order_is_corrected_after_it_is_cancelled(corrected):
    ends = {}
    for order_id, event in corrected.journal:
        assert ends.get(order_id) != "cancellation.issued", (order_id, event)
        ends[order_id] = event


def test_a_correction_that_is_answered_is_done_once(corrected):
    times = Counter(order_id for order_id, event in corrected.journal if event == "order.corrected")
    assert {order_id: filed.order.revision - 1 for order_id, filed in corrected.filed.items()} == {
        order_id: times[order_id] for order_id in corrected.filed
    }
    for order_id, (correction, _) in corrected.cancelled.items():
        assert times[order_id] == (correction.status == 200)


def test_of_two_corrections_one_is_done_and_the_other_has_seen_another_state(corrected):
    assert {tuple(sorted(map(told, replies))) for replies in corrected.twice.values()} == {(200, 412)}


def test_customers_who_swap_orders_or_lose_their_last_one_are_those_that_were_told(corrected):
    assert {tuple(map(told, replies)) for replies in corrected.swapped.values()} == {(200, 200, 201, 201)}
    assert {told(reply) for replies in corrected.wandered.values() for reply in replies} == {200, 201}
    for number in range(SWAPPED):
        for one, other in ((f"one-{number}", f"other-{number}"), (f"other-{number}", f"one-{number}")):
            order, more = corrected.filed[one].order, corrected.filed[f"more-of-{other}"].order
            assert (order.customer_ref, order.customer_id) == (f"customer of {other}", more.customer_id)
    assert corrected.forlorn == 0


def test_corrections_neither_fail_nor_shut_each_other_out(corrected):
    corrected.installation.require_calm()
    corrected.installation.require_sound()


# The naive ways, which fail where the service does not: what shows that the tests above could.


@pytest.fixture
def small(tmp_path):
    """An engine whose database has a feed, a chain and a number."""
    engine = SQLite(str(tmp_path / "small.db"))
    with engine.write() as tx:
        tx.run("CREATE TABLE feed (number INTEGER PRIMARY KEY)")
        tx.run("CREATE TABLE chain (id INTEGER PRIMARY KEY, position INTEGER, previous BLOB, hash BLOB)")
        tx.run("CREATE TABLE tally (number INTEGER)")
        tx.run("INSERT INTO tally (number) VALUES (0)")
    yield engine
    engine.close()


def announce(engine, number):
    """Commit an event with a number."""
    with engine.write() as tx:
        tx.run("INSERT INTO feed (number) VALUES (:number)", number=number)


def announced(engine, after):
    """The events after a number."""
    with engine.read() as tx:
        rows = tx.all("SELECT number FROM feed WHERE number > :after ORDER BY number", after=after)
    return [row["number"] for row in rows]


@pytest.mark.parametrize("now", [count(1).__next__, time.monotonic_ns], ids=["counter", "clock"])
def test_a_feed_by_what_was_drawn_at_the_beginning_would_lose_whoever_commits_late(small, now):
    drawn, overtaken = threading.Event(), threading.Event()
    slow = []

    def begin_and_dawdle():
        slow.append(now())
        drawn.set()
        overtaken.wait(10)
        announce(small, slow[0])

    thread = threading.Thread(target=begin_and_dawdle)
    thread.start()
    drawn.wait(10)
    quick = now()
    announce(small, quick)
    seen = announced(small, after=0)
    overtaken.set()
    thread.join(10)
    seen += announced(small, after=seen[-1])
    assert seen == [quick]
    assert announced(small, after=0) == [slow[0], quick]


def chain_head(tx):
    """The position and the hash of the last link."""
    row = tx.one("SELECT position, hash FROM chain ORDER BY id DESC LIMIT 1")
    return (row["position"], row["hash"]) if row else (0, GENESIS)


def chain_on(tx, head, actor):
    """Append a link to a head."""
    position, previous = head
    entry = Entry(type=EventType.ORDER_REGISTERED, subject=actor, order_id=None, digest=b"", data={})
    link = chained(entry, b"key", MOMENT, actor, position=position + 1, previous=previous)
    tx.run(
        "INSERT INTO chain (position, previous, hash) VALUES (:position, :previous, :hash)",
        position=link.position,
        previous=link.previous,
        hash=link.hash,
    )
    return link


def test_a_chain_whose_head_is_read_before_the_write_would_fork(small):
    heads = []
    for _ in range(2):
        with small.read() as tx:
            heads.append(chain_head(tx))
    links = []
    for head, actor in zip(heads, ("one", "other"), strict=True):
        with small.write() as tx:
            links.append(chain_on(tx, head, actor))
    assert [link.previous for link in links] == [GENESIS, GENESIS]
    assert not is_sound(links[1], b"key", 2, links[0].hash)


def test_a_chain_whose_head_is_read_within_the_write_does_not_fork(small):
    def run(own, actor):
        for _ in range(20):
            with own.write() as tx:
                chain_on(tx, chain_head(tx), actor)

    at_once(small, run)
    with small.read() as tx:
        links = tx.all("SELECT position, previous, hash FROM chain ORDER BY id")
    assert [link["position"] for link in links] == list(range(1, 20 * THREADS + 1))
    assert all(link["previous"] == before["hash"] for before, link in pairwise(links))


def test_a_write_that_begins_as_a_read_would_find_the_database_locked(small):
    """At once, however long it would wait: what it has read is out of date."""
    all_have_read = threading.Barrier(THREADS, timeout=10)

    def add(_):
        with closing(sqlite3.connect(small.name, isolation_level=None, timeout=60)) as connection:
            connection.execute("BEGIN")
            number = connection.execute("SELECT number FROM tally").fetchone()[0]
            all_have_read.wait()
            try:
                connection.execute("UPDATE tally SET number = ?", [number + 1])
                connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                return str(error)
            return "added"

    with ThreadPoolExecutor(THREADS) as pool:
        ends = Counter(pool.map(add, range(THREADS)))
    assert ends == {"added": 1, "database is locked": THREADS - 1}


def test_a_write_with_a_ticket_never_finds_the_database_locked(small):
    def run(own, _):
        for _ in range(20):
            with own.write() as tx:
                number = tx.one("SELECT number FROM tally")["number"]
                tx.run("UPDATE tally SET number = :number", number=number + 1)

    at_once(small, run)
    with small.read() as tx:
        assert tx.one("SELECT number FROM tally")["number"] == 20 * THREADS


def at_once(engine, run):
    """Run something in several threads, half of them with an engine of their own, as another process has."""
    others = SQLite(engine.name)
    with closing(others), ThreadPoolExecutor(THREADS) as pool:
        ends = [pool.submit(run, (engine, others)[thread % 2], f"actor {thread}") for thread in range(THREADS)]
        for end in ends:
            end.result(timeout=60)


# And those on PostgreSQL, where nobody waits for a ticket.


@pytest.fixture
def servers_own():
    """Two engines on one database, as two instances have."""
    url = shared().create()
    with closing(PostgreSQL(url)) as one, closing(PostgreSQL(url)) as other:
        yield one, other


def is_waiting(engine):
    """Whether somebody waits for what another transaction holds."""
    with engine.read() as tx:
        sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(tx.all(sql))


def test_a_feed_by_a_sequence_would_lose_all_but_the_last_who_has_drawn(servers_own):
    engine, seen = servers_own[0], []
    with engine.write() as tx:
        tx.run("CREATE TABLE feed (number {bigint} GENERATED ALWAYS AS IDENTITY)")
    with ExitStack() as ending:  # the last to begin is the first to commit, and the follower reads after each
        for number in range(WRITERS):
            ending.callback(lambda: seen.extend(announced(engine, after=seen[-1] if seen else 0)))
            tx = ending.enter_context(servers_own[number % 2].write())
            tx.run("INSERT INTO feed DEFAULT VALUES")
    assert seen == [WRITERS]
    assert announced(engine, after=0) == list(range(1, WRITERS + 1))


@pytest.fixture
def journals(servers_own):
    """Two engines on one journal, whose positions may stand twice: that would be refused, but not prevented."""
    migrate(servers_own[0])
    with servers_own[0].write() as tx:
        tx.run("ALTER TABLE events DROP CONSTRAINT events_pkey")
    return servers_own


def enter(tx, head, actor):
    """Enter an event after a head of the journal."""
    entry = Entry(type=EventType.ORDER_REGISTERED, subject=actor, order_id=None, digest=b"", data={})
    event = chained(entry, b"key", MOMENT, actor, position=head.position + 1, previous=head.hash)
    events.append(tx, [event], head)


def entered(engine):
    """The positions of the journal, and whether each event follows the one before."""
    with engine.read() as tx:
        rows = list(events.iter_all(tx))
    return [row["position"] for row in rows], all(row["previous"] == before["hash"] for before, row in pairwise(rows))


def test_a_journal_whose_head_nobody_holds_would_fork(journals):
    with journals[0].write() as one:
        head = events.head(one)
        with journals[1].write() as other:
            enter(other, events.head(other), "other")
        enter(one, head, "one")
    assert entered(journals[0]) == ([1, 1], False)


def test_a_journal_whose_head_is_held_does_not_fork(journals):
    def second():
        with journals[1].write() as other:
            enter(other, events.lock_head(other), "other")

    with ThreadPoolExecutor(1) as pool:
        with journals[0].write() as one:
            head = events.lock_head(one)
            waiting = pool.submit(second)
            until(lambda: is_waiting(journals[0]), 60)
            enter(one, head, "one")
        waiting.result(timeout=60)
    assert entered(journals[0]) == ([1, 2], True)


FACTS = OrderFacts(order_id="A-1", customer_ref="K-1", service_provided_at=EARLIER, region="DE")


@pytest.fixture
def both_stores(tmp_path):
    """The books of two instances, in which there is one order."""
    installation = Installation(tmp_path, "postgresql")
    with installation.store() as one, installation.store() as other:
        with one.write(COMMAND_LINE) as uow:
            orders.register(uow, FACTS)
        yield one, other


def cancel(store):
    """Cancel the order by its id."""
    with store.write(COMMAND_LINE) as uow:
        cancellations.issue(uow, Request(order=FACTS.order_id, contact=NewContact(channel=Channel.PHONE)))


def correct(store):
    """Correct the order, unless it is already cancelled."""
    with suppress(OrderFrozen), store.write(COMMAND_LINE) as uow:
        orders.correct(uow, replace(FACTS, region="DE-BY"), "the wrong place", {1})


@pytest.mark.parametrize("held", [True, False], ids=["held", "not held"])
@pytest.mark.parametrize(
    ("first", "second", "module", "write"),
    [(cancel, correct, cancellations, "_free_reference"), (correct, cancel, orders, "_change")],
    ids=["the cancellation", "the correction"],
)
def test_only_where_the_order_is_held_does_its_cancellation_rest_on_its_facts(
    both_stores, monkeypatch, first, second, module, write, held
):
    """The first has read and is about to write when the second begins, and goes on when that is done or waits."""
    one, other = both_stores
    go_on = getattr(module, write)

    with ThreadPoolExecutor(1) as pool:
        seconds = []

        def overtaken(*given, **named):
            seconds.append(pool.submit(second, other))
            until(lambda: seconds[0].done() or is_waiting(other.open()[0]), 60)
            return go_on(*given, **named)

        monkeypatch.setattr(module, write, overtaken)
        if not held:
            monkeypatch.setattr(stored_orders.Orders, "lock", lambda *_: None)
        first(one)
        seconds[0].result(timeout=60)
    with one.read(COMMAND_LINE) as uow:
        order, active = uow.orders.get(FACTS.order_id), uow.cancellations.active(FACTS.order_id)
    assert (active.outcome.region == order.region) == held


# And those who move an order meanwhile, or are at the same customer, key or token.


def move(store, customer_ref, revisions=None, **changes):
    """Correct an order to be another customer's."""
    with store.write(COMMAND_LINE) as uow:
        orders.correct(uow, replace(FACTS, customer_ref=customer_ref, **changes), "mixed up", revisions)


def register(store, order_id, customer_ref):
    """Register an order of a customer."""
    with store.write(COMMAND_LINE) as uow:
        orders.register(uow, replace(FACTS, order_id=order_id, customer_ref=customer_ref))


def customer_of(store, order_id=FACTS.order_id):
    """Whose an order is."""
    with store.read(COMMAND_LINE) as uow:
        return uow.orders.get(order_id).customer_ref


def another(store, *, lower):
    """A customer whose digest is lower than that of the order's, or higher; others find no two in another order."""
    keyring = store.open()[1]
    known = customers.digest_of(keyring, FACTS.customer_ref)
    refs = (f"K-{number}" for number in count(2))
    return next(ref for ref in refs if (customers.digest_of(keyring, ref) < known) == lower)


@contextmanager
def begun(do, store, *given, **named):
    """Something that others do, from when it is done or waits; what came of it is told in the end."""
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(do, store, *given, **named)
        until(lambda: doing.done() or is_waiting(store.open()[0]), 60)
        yield doing


class Watched:
    """A transaction that tells of each statement when it is done."""

    def __init__(self, tx, told):
        self._tx, self._told = tx, told

    def __getattr__(self, name):
        do = getattr(self._tx, name)

        def tell(sql, *given, **named):
            done = do(sql, *given, **named)
            self._told(sql)
            return done

        return tell


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "higher"])
def test_of_two_who_move_an_order_to_different_customers_the_second_has_seen_another_state(both_stores, lower):
    one, other = both_stores
    with ExitStack() as waiting:
        with one.write(COMMAND_LINE) as uow:
            orders.correct(uow, replace(FACTS, customer_ref="K-one"), "mixed up", {1})
            second = waiting.enter_context(begun(move, other, another(other, lower=lower), {1}))
            assert not second.done()
        with pytest.raises(PreconditionFailed):
            second.result(timeout=60)
    assert customer_of(one) == "K-one"


def test_a_customer_whom_others_make_and_forget_meanwhile_is_made_anew(both_stores):
    """They make him when he was not found here, and forget him when he was not made here for that."""
    one, other = both_stores
    overtaking = iter([partial(register, other, "A-2", "K-2"), partial(move, other, "K-9", order_id="A-2")])
    looks = []

    def meanwhile(sql):
        if "customers" in sql:
            looks.append(sql.split()[0])
            next(overtaking, lambda: None)()

    with one.write(COMMAND_LINE) as uow:
        uow._context.tx = Watched(uow.tx, meanwhile)
        orders.register(uow, replace(FACTS, order_id="A-3", customer_ref="K-2"))
    assert looks == ["SELECT", "INSERT"] * 2
    assert [customer_of(one, order_id) for order_id in ("A-1", "A-2", "A-3")] == ["K-1", "K-9", "K-2"]


@pytest.mark.parametrize(
    ("revisions", "end"), [({1}, PreconditionFailed), (None, Conflict)], ids=["a state", "any state"]
)
def test_a_correction_whose_order_is_moved_and_cancelled_meanwhile_has_to_be_tried_again(
    both_stores, monkeypatch, revisions, end
):
    """And is then refused, as is due; nothing that was sealed for somebody else is opened for whom it was before."""
    one, other = both_stores
    by_id = stored_orders.by_id

    def overtaken(tx, order_id):
        monkeypatch.setattr(stored_orders, "by_id", by_id)
        found = by_id(tx, order_id)
        move(other, "K-2", service_provided_at=EARLIER - timedelta(days=365))
        override = Override(OverrideKind.GOODWILL, "because")
        with other.write(COMMAND_LINE) as uow:
            contact = NewContact(channel=Channel.PHONE)
            cancellations.issue(uow, Request(order=order_id, contact=contact, override=override))
        return found

    def corrected():
        with one.write(COMMAND_LINE) as uow:
            orders.correct(uow, replace(FACTS, region="DE-BY"), "the wrong place", revisions)

    monkeypatch.setattr(stored_orders, "by_id", overtaken)
    with pytest.raises(end):
        corrected()
    with pytest.raises(OrderFrozen if revisions is None else PreconditionFailed):
        corrected()
    with one.read(COMMAND_LINE) as uow:
        order, active = uow.orders.get(FACTS.order_id), uow.cancellations.active(FACTS.order_id)
    assert (order.customer_ref, order.region, active.override_reason) == ("K-2", "DE", "because")


@pytest.mark.parametrize("known", [True, False], ids=["known", "made meanwhile"])
@pytest.mark.parametrize("lower", [True, False], ids=["lower digest", "higher digest"])
@pytest.mark.parametrize("customer_id", ["0" * 26, "Z" * 26], ids=["lower id", "higher id"])
def test_two_orders_that_swap_customers_do_not_wait_for_each_other(both_stores, monkeypatch, known, lower, customer_id):
    """The second begins when the first holds one customer, and goes as far as it can."""
    one, other = both_stores
    customer_ref = another(one, lower=lower)

    def make():
        with monkeypatch.context() as patched:
            patched.setattr(customers, "ULID", lambda: customer_id)
            register(other, "A-2", customer_ref)

    if known:
        make()
    with ExitStack() as waiting:
        seconds = []

        def meanwhile(sql):
            if not seconds and "customers" in sql and re.search(r"\{for_update\}|INSERT", sql):
                if not known:
                    make()
                seconds.append(waiting.enter_context(begun(move, other, "K-1", order_id="A-2")))

        with one.write(COMMAND_LINE) as uow:
            uow._context.tx = Watched(uow.tx, meanwhile)
            orders.correct(uow, replace(FACTS, customer_ref=customer_ref), "mixed up", {1})
        seconds[0].result(timeout=60)
    assert (customer_of(one, "A-1"), customer_of(one, "A-2")) == (customer_ref, "K-1")


def ask(store, told, ago=timedelta()):
    """Record a contact, by a request with a key that may have expired."""
    with store.write(COMMAND_LINE) as uow:
        now, uow._context.now = uow.now, uow.now - ago
        assert uow.replies.claim("key", told) is None
        uow._context.now = now
        contacts.record(uow, FACTS.order_id, NewContact(channel=Channel.PHONE, intent=Intent.QUESTION))
        uow.replies.keep("key", told.decode())


def test_a_key_that_is_used_again_while_its_old_reply_is_moved_is_waited_for(both_stores, monkeypatch):
    one, other = both_stores
    ask(one, b"old", timedelta(days=31))
    go_on, seconds = stored_replies.move, []
    with ExitStack() as waiting:

        def overtaken(*given):
            seconds.append(waiting.enter_context(begun(ask, other, b"new")))
            go_on(*given)

        monkeypatch.setattr(stored_replies, "move", overtaken)
        move(one, "K-2")
        seconds[0].result(timeout=60)
    assert customer_of(one) == "K-2"
    with one.write(COMMAND_LINE) as uow:
        assert uow.replies.claim("key", b"new") == "new"
        assert len(uow.tx.all("SELECT contact_id FROM contacts")) == 2


def test_a_token_may_be_revoked_twice_at_the_same_moment(both_stores, monkeypatch):
    one, other = both_stores
    with one.write(COMMAND_LINE) as uow:
        token_id = clients.create_token(uow, Role.AGENT, "twice revoked", 1).split("_")[1]
    holder, seconds = Tokens.holder, []

    def revoke(store):
        with store.write(COMMAND_LINE) as uow:
            clients.revoke_token(uow, token_id)

    with ExitStack() as waiting:

        def overtaken(tokens, given):
            monkeypatch.setattr(Tokens, "holder", holder)
            found = holder(tokens, given)
            seconds.append(waiting.enter_context(begun(revoke, other)))
            return found

        monkeypatch.setattr(Tokens, "holder", overtaken)
        revoke(one)
        seconds[0].result(timeout=60)
    with one.read(COMMAND_LINE) as uow:
        assert [event["type"] for event in events.iter_all(uow.tx) if event["subject"] == token_id] == [
            EventType.TOKEN_CREATED,
            EventType.TOKEN_REVOKED,
        ]
