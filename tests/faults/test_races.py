"""Concurrent requests on real servers: each order is cancelled once, each key leaves one record, the feed misses nothing.

And no cancellation rests on facts that were corrected at the same time.
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
from itertools import count, cycle, pairwise
from operator import itemgetter
from typing import NamedTuple

import pytest
from sqlite_utils.utils import sqlite3

from refunds.domain.contact_points import Channel
from refunds.domain.journal import GENESIS, Entry, EventType, chained, is_sound
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Intent, OverrideKind
from refunds.errors import Conflict, OrderFrozen, PreconditionFailed
from refunds.service import cancellations, clients, contacts, orders
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.storage import customers, events
from refunds.storage import idempotency as stored_replies
from refunds.storage.events import Events
from refunds.storage.orders import LockedOrder, Orders
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
RACED = [f"race-{number}" for number in range(scaled(10, 60))]
REPEATED = [f"repeated-{number}" for number in range(scaled(24, 250))]

DEPLOYMENTS = {
    "one process": ("sqlite", 1),
    "two processes": ("sqlite", 2),
    "three instances": ("postgresql", 3),
}

REFUSED_ONE_IN = scaled(6, 20)
"""One in this many requests of a writer is refused after it has written."""

IMPOSSIBLE = (
    {"received_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    {"supersedes": "con_01KAN3Y7KZ8Q4T8Z2B6C9D1EFG"},
)
"""Changes of a contact that is refused after its order is inserted."""


@dataclass
class Aftermath:
    """The replies, the events that were read meanwhile, and the records at the end."""

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
        """The replies to the requests that had to be rolled back, by order."""
        return {order_id: reply for writer in self.writers for order_id, reply in writer.refused.items()}

    @property
    def corrected_requests(self) -> dict[str, Reply]:
        """The replies to those of them that were sent again without the error."""
        return {order_id: reply for writer in self.writers for order_id, reply in writer.corrected_requests.items()}

    @property
    def once(self) -> list[str]:
        """The orders that are cancelled with one contact."""
        return REPEATED + list(self.corrected_requests)


class Writer(Client):
    """A client that measures how long it waits, and sends some requests that must be rolled back."""

    def __init__(self, port: int, token: str, name: str) -> None:
        super().__init__(port, token)
        self.name = name
        self.seconds: list[float] = []
        self.refused: dict[str, Reply] = {}
        self.corrected_requests: dict[str, Reply] = {}

    def cancel(self, body: object, key: str) -> Reply:
        """Cancel an order, sometimes after a refused request, and return the reply."""
        if len(self.seconds) % REFUSED_ONE_IN == 0:
            self.send_refused(f"refused-{self.name}-{len(self.refused)}")
        return self.timed(body, key)

    def send_refused(self, order_id: str) -> None:
        """Send a request that writes an order and is then refused; every other time, repeat it without the error."""
        body = cancellation_of(order_id)
        impossible = body["contact"] | IMPOSSIBLE[len(self.refused) // 2 % 2]
        self.refused[order_id] = self.timed(body | {"contact": impossible}, order_id)
        if len(self.refused) % 2:
            self.corrected_requests[order_id] = self.timed(body, order_id)

    def timed(self, body: object, key: str) -> Reply:
        """Cancel an order, measure the time, and return the reply."""
        began = time.perf_counter()
        reply = super().cancel(body, key)
        self.seconds.append(time.perf_counter() - began)
        return reply


@pytest.fixture(scope="module", params=DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def aftermath(request, tmp_path_factory):
    """The result of all concurrent requests, on several servers with the same records."""
    engine, number = request.param
    installation = Installation(tmp_path_factory.mktemp("races"), engine)
    with installation.instances(number) as servers:
        return run_everything(installation, [server.port for server in servers])


def run_everything(installation, ports):
    """Race, repeat and follow, all at the same time."""
    tokens, stopped, writers = installation.tokens(), threading.Event(), []
    with ThreadPoolExecutor(2) as readers:
        reading = {
            role: readers.submit(follow, [Client(port, tokens[role]) for port in ports], stopped)
            for role in ("auditor", "billing")
        }
        try:
            raced, repeated = race(ports, tokens, writers), repeat(ports, tokens["supervisor"], writers)
        finally:
            stopped.set()
        read = {role: following.result(timeout=60) for role, following in reading.items()}
    with Client(ports[0], tokens["auditor"]) as auditor:
        left = {
            order_id for writer in writers for order_id in writer.refused if order_id not in writer.corrected_requests
        }
        return Aftermath(
            installation=installation,
            writers=writers,
            raced=raced,
            repeated=repeated,
            left={order_id: auditor.send("GET", f"/v1/orders/{order_id}") for order_id in left},
            followed={role: outcome_of for role, (outcome_of, _) in read.items()},
            early={role: early for role, (_, early) in read.items()},
            cancellations=list(auditor.every("/v1/cancellations")),
            contacts=list(auditor.every("/v1/contacts")),
        )


def follow(clients, stopped):
    """Every event from the first to the last, and how many were seen before the end of the race."""
    seen, early, after = [], 0, ""
    for client in cycle(clients):
        ended = stopped.is_set()  # before the page is read, so that nothing can follow the last one
        page = client.send("GET", f"/v1/events?limit=10{after}").json
        seen += page["items"]
        after, early = f"&after={page['next']}", early if ended else len(seen)
        if not page["items"]:
            if ended:
                break
            time.sleep(0.03)
    for client in clients:
        client.wire.close()
    return seen, early


def race(ports, tokens, writers):
    """Let two clients cancel each order at the same time, eight orders at a time; the replies by order."""
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
    """Let eight threads of a client send the same requests with the same keys; the replies by key."""
    bodies = {key: cancellation_of(key) for key in REPEATED}

    def run(thread):
        with Writer(ports[thread % len(ports)], token, f"thread-{thread}") as writer:
            writers.append(writer)
            return {key: writer.cancel(bodies[key], key) for key in REPEATED[thread // THREADS :: WRITERS // THREADS]}

    with ThreadPoolExecutor(WRITERS) as pool:
        return gathered([pool.submit(run, thread) for thread in range(WRITERS)])


def gathered(runs):
    """The replies of several threads, by request."""
    gathered = {}
    for run in runs:
        for question, reply in run.result(timeout=120).items():
            gathered.setdefault(question, []).append(reply)
    return gathered


def test_only_one_of_two_clients_cancels_an_order_and_the_other_gets_a_conflict(aftermath):
    for order_id in RACED:
        done, outcome_ofsed = sorted(aftermath.raced[order_id])
        assert (done.status, outcome_ofsed.status) == (201, 409)
        assert outcome_ofsed.json["type"] == "/problems/order-already-cancelled"
        assert outcome_ofsed.json["cancellation"]["cancellation_id"] == done.json["cancellation_id"]
        assert not done.replayed
        assert not outcome_ofsed.replayed


def test_every_order_has_one_cancellation_and_one_event_about_it(aftermath):
    once = Counter(RACED + aftermath.once)
    assert Counter(each["order_id"] for each in aftermath.cancellations) == once
    assert {each["state"] for each in aftermath.cancellations} == {"issued"}
    issued = [event for event in aftermath.followed["auditor"] if event["type"] == "cancellation.issued"]
    assert Counter(event["order_id"] for event in issued) == once
    assert {event["subject"] for event in issued} == {each["cancellation_id"] for each in aftermath.cancellations}


def test_every_refused_client_has_a_contact_on_record(aftermath):
    requested = Counter(2 * RACED + aftermath.once)
    assert Counter(contact["order_id"] for contact in aftermath.contacts) == requested
    refused = {reply.json["contact_id"] for replies in aftermath.raced.values() for reply in replies}
    assert refused <= {contact["contact_id"] for contact in aftermath.contacts}


def test_the_same_request_gets_the_same_reply_byte_for_byte(aftermath):
    assert sum(map(len, aftermath.repeated.values())) == len(REPEATED) * THREADS
    assert {key: len({reply[:2] for reply in replies}) for key, replies in aftermath.repeated.items()} == dict.fromkeys(
        REPEATED, 1
    )
    assert {replies[0].status for replies in aftermath.repeated.values()} == {201}


def test_all_replies_but_the_first_are_marked_as_replayed(aftermath):
    replayed = {key: sum(reply.replayed for reply in replies) for key, replies in aftermath.repeated.items()}
    assert replayed == dict.fromkeys(REPEATED, THREADS - 1)


def test_an_auditor_who_follows_the_feed_sees_every_position_once_and_in_order(aftermath):
    seen = aftermath.followed["auditor"]
    assert [event["position"] for event in seen] == list(range(1, len(seen) + 1))
    kinds = Counter(event["type"] for event in seen if not event["type"].startswith(("access.", "policy.")))
    cancelled, again = len(RACED + aftermath.once), len(RACED)
    assert kinds.pop("order.confirmed", 0) <= len(RACED), "billing may state what the agent was the first to state"
    assert kinds == {
        "calendar.changed": 1,
        "order.registered": cancelled,
        "order.promised": cancelled,
        "contact.recorded": cancelled + again,
        "cancellation.issued": cancelled,
    }


def test_billing_sees_the_same_events_as_the_auditor_except_those_about_access(aftermath):
    seen = [event for event in aftermath.followed["auditor"] if not event["type"].startswith("access.")]
    assert aftermath.followed["billing"] == seen


@pytest.mark.parametrize("role", ["auditor", "billing"])
def test_the_feed_was_followed_while_it_grew(aftermath, role):
    assert aftermath.early[role] > len(aftermath.followed[role]) // 2


def test_a_request_that_is_refused_after_it_has_written_leaves_nothing(aftermath):
    """Neither an order nor an event, and its key can be used again."""
    requests = sum(len(writer.seconds) for writer in aftermath.writers)
    assert len(aftermath.refused) >= requests // REFUSED_ONE_IN
    reasons = Counter((reply.status, reply.json["errors"][0]["code"]) for reply in aftermath.refused.values())
    assert set(reasons) == {(422, "impossible_time"), (422, "unknown_contact")}
    assert {reply.status for reply in aftermath.left.values()} == {404}
    assert not aftermath.left.keys() & {event["order_id"] for event in aftermath.followed["auditor"]}
    assert {(reply.status, reply.replayed) for reply in aftermath.corrected_requests.values()} == {(201, False)}
    assert aftermath.left.keys() | aftermath.corrected_requests.keys() == aftermath.refused.keys()


def test_nothing_fails_and_nothing_is_locked(aftermath):
    aftermath.installation.require_calm()
    statuses = Counter(line["status"] for line in aftermath.installation.lines() if line["event"] == "request")
    assert statuses[201] == len(RACED) + len(REPEATED) * THREADS + len(aftermath.corrected_requests)
    assert statuses[409] == len(RACED)
    assert statuses[422] == len(aftermath.refused)


def test_the_audit_finds_everything_sound(aftermath):
    assert aftermath.installation.require_sound().events == len(aftermath.followed["auditor"])


# Simultaneous corrections and cancellations of the same orders, while customers are created and forgotten.

EARLIER = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
CORRECTED, SWAPPED, MOVES = scaled(8, 22), scaled(5, 15), scaled(5, 15)
"""The number of orders of each kind that are corrected while they are cancelled, of pairs that swap customers, and of
moves of each wandering order."""

OTHERWISE = {
    "elsewhere": ({"region": "DE-BY"}, {"region": "DE-BE"}),
    "anybodys": ({"customer_ref": "customer of one"}, {"customer_ref": "customer of the other"}),
}
"""The two simultaneous corrections of an order."""

TWICE = {f"{kind}-{number}": kind for number in range(scaled(4, 10)) for kind in OTHERWISE}


def facts_of(order_id, customer=None):
    """The first facts of an order, or those with another order's customer."""
    return {
        "customer_ref": f"customer of {customer or order_id}",
        "service_provided_at": EARLIER.isoformat(),
        "region": "DE",
    }


def by_id(order_id):
    """A cancellation of a registered order by its id."""
    return {"order_id": order_id, "contact": {"channel": "phone"}}


def with_old_facts(order_id):
    """A cancellation with the facts that are being corrected."""
    return {"order": {"order_id": order_id} | facts_of(order_id), "contact": {"channel": "phone"}}


def with_new_customer(order_id):
    """A cancellation with the customer to whom the order is being moved."""
    return {"order": {"order_id": order_id} | facts_of(order_id, "another"), "contact": {"channel": "phone"}}


FROZEN, DIFFERS, LATE = (f"/problems/{name}" for name in ("order-frozen", "order-facts-conflict", "not-refundable"))
DAY_LATER = (EARLIER + timedelta(days=1)).isoformat()
KINDS = {
    "service": ({"service_provided_at": DAY_LATER}, by_id, {(200, 201), (FROZEN, 201)}),
    "service-long-ago": ({"service_provided_at": MOMENT.isoformat()}, by_id, {(200, LATE), (FROZEN, 201)}),
    "region": ({"region": "DE-BY"}, by_id, {(200, 201), (FROZEN, 201)}),
    "customer-left": ({"customer_ref": "customer of another"}, with_old_facts, {(200, DIFFERS), (FROZEN, 201)}),
    "customer-joined": ({"customer_ref": "customer of another"}, with_new_customer, {(200, 201), (200, DIFFERS)}),
}
"""The correction of an order, the simultaneous cancellation, and the allowed outcomes of the two."""


class Corrected(NamedTuple):
    """The replies, and the records at the end."""

    installation: Installation
    registered: dict[str, list[Reply]]
    cancelled: dict[str, list[Reply]]
    swapped: dict[str, list[Reply]]
    moved: dict[str, list[Reply]]
    twice: dict[str, list[Reply]]
    filed: dict[str, LockedOrder]
    without_orders: int
    journal: list[tuple[str, str]]


@pytest.fixture(scope="module", params=[("sqlite", 2), ("postgresql", 3)], ids=["two processes", "three instances"])
def corrected(request, tmp_path_factory):
    """The result of all corrections, on several servers with the same records."""
    engine, number = request.param
    installation = Installation(tmp_path_factory.mktemp("corrections"), engine)
    with installation.instances(number) as servers:
        ports, token = [server.port for server in servers], installation.tokens()["billing"]
        replies = [in_step(ports, token, rounds) for rounds in (*corrections(), swaps(), random_moves(), twice())]
    with installation.store() as store, store.read(COMMAND_LINE) as uow:
        journal = [(event["order_id"], event["type"]) for event in Events.iter_rows(uow.tx) if event["order_id"]]
        filed = {
            order_id: LockedOrder(uow.orders.get(order_id), uow.cancellations.active(order_id))
            for order_id in dict.fromkeys(map(itemgetter(0), journal))
        }
        without_orders = len(
            {row["customer_id"] for row in customers.iter_wrapped_keys(uow.tx)} - customers.owners(uow.tx)
        )
    return Corrected(installation, *replies, filed, without_orders, journal)


def in_step(ports, token, rounds):
    """Send the requests of each round at the same time, several rounds in parallel; the replies by round."""
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
    """The requests that swap the customers of two orders, while each customer gets one more order."""
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


ANY_REVISION = ", ".join(f'"{revision}"' for revision in range(1, 100))


def random_moves():
    """The requests that move orders between customers, who may lose their last order in any round."""
    chance = random.Random(20260408)  # noqa: S311 - no secret
    rounds = {}
    for number in range(4 * MOVES):
        lane, if_match = number % 4, ANY_REVISION if number >= 4 else ""
        rounds[f"round-{number}"] = [
            put(f"wanderer-{lane}-{place}", facts_of("", f"host {lane} {chance.randrange(2)}"), if_match)
            for place in range(4)
        ]
    return rounds


def twice():
    """The requests that correct each order in two ways at the same time."""
    return {
        order_id: [put(order_id, facts_of(order_id) | changes, '"1"') for changes in OTHERWISE[kind]]
        for order_id, kind in TWICE.items()
    }


def outcome_of(reply):
    """The outcome of a request: its status or, for a conflict, its type."""
    return reply.json["type"] if reply.status == 409 else reply.status


def test_a_simultaneous_correction_and_cancellation_are_serialised(corrected):
    assert len(corrected.cancelled) == len(KINDS) * CORRECTED
    for order_id, replies in corrected.cancelled.items():
        ends = tuple(map(outcome_of, replies))
        assert ends in KINDS[order_id.rpartition("-")[0]][2], (order_id, ends)


def test_every_cancellation_rests_on_the_facts_of_its_order(corrected):
    cancelled = {order_id: filed for order_id, filed in corrected.filed.items() if filed.active}
    issued = [order_id for order_id, (_, reply) in corrected.cancelled.items() if reply.status == 201]
    assert sorted(cancelled) == sorted(issued)
    for order, active, _ in cancelled.values():
        facts, outcome = active.decision.facts, active.decision.outcome
        judged = facts.service_provided_at, outcome.region, outcome.policy
        assert judged == (order.service_provided_at, order.region, order.policy)


def test_no_order_is_corrected_after_it_is_cancelled(corrected):
    ends = {}
    for order_id, event in corrected.journal:
        assert ends.get(order_id) != "cancellation.issued", (order_id, event)
        ends[order_id] = event


def test_a_confirmed_correction_is_done_once(corrected):
    times = Counter(order_id for order_id, event in corrected.journal if event == "order.corrected")
    assert {order_id: filed.order.revision - 1 for order_id, filed in corrected.filed.items()} == {
        order_id: times[order_id] for order_id in corrected.filed
    }
    for order_id, (correction, _) in corrected.cancelled.items():
        assert times[order_id] == (correction.status == 200)


def test_only_one_of_two_corrections_of_the_same_revision_succeeds(corrected):
    assert {tuple(sorted(map(outcome_of, replies))) for replies in corrected.twice.values()} == {(200, 412)}


def test_orders_belong_to_the_customers_of_the_last_correction(corrected):
    assert {tuple(map(outcome_of, replies)) for replies in corrected.swapped.values()} == {(200, 200, 201, 201)}
    assert {outcome_of(reply) for replies in corrected.moved.values() for reply in replies} == {200, 201}
    for number in range(SWAPPED):
        for one, other in ((f"one-{number}", f"other-{number}"), (f"other-{number}", f"one-{number}")):
            order, more = corrected.filed[one].order, corrected.filed[f"more-of-{other}"].order
            assert (order.customer_ref, order.customer_id) == (f"customer of {other}", more.customer_id)
    assert corrected.without_orders == 0


def test_corrections_neither_fail_nor_deadlock(corrected):
    corrected.installation.require_calm()
    corrected.installation.require_sound()


# Naive implementations, which fail where the service does not: they show that the tests above can fail.


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
def test_control_a_feed_by_numbers_drawn_early_would_lose_late_commits(small, now):
    drawn, overtaken = threading.Event(), threading.Event()
    slow = []

    def commit_late():
        slow.append(now())
        drawn.set()
        overtaken.wait(10)
        announce(small, slow[0])

    thread = threading.Thread(target=commit_late)
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


def append_link(tx, head, actor):
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


def test_control_a_chain_whose_head_is_read_before_the_write_would_fork(small):
    heads = []
    for _ in range(2):
        with small.read() as tx:
            heads.append(chain_head(tx))
    links = []
    for head, actor in zip(heads, ("one", "other"), strict=True):
        with small.write() as tx:
            links.append(append_link(tx, head, actor))
    assert [link.previous for link in links] == [GENESIS, GENESIS]
    assert not is_sound(links[1], b"key", 2, links[0].hash)


def test_a_chain_whose_head_is_read_within_the_write_does_not_fork(small):
    def run(own, actor):
        for _ in range(20):
            with own.write() as tx:
                append_link(tx, chain_head(tx), actor)

    at_once(small, run)
    with small.read() as tx:
        links = tx.all("SELECT position, previous, hash FROM chain ORDER BY id")
    assert [link["position"] for link in links] == list(range(1, 20 * THREADS + 1))
    assert all(link["previous"] == before["hash"] for before, link in pairwise(links))


def test_control_a_write_that_begins_as_a_read_would_find_the_database_locked(small):
    """At once, regardless of its timeout, because what it has read is out of date."""
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
    """Run a function in several threads, half of them with a second engine, as in another process."""
    others = SQLite(engine.name)
    with closing(others), ThreadPoolExecutor(THREADS) as pool:
        ends = [pool.submit(run, (engine, others)[thread % 2], f"actor {thread}") for thread in range(THREADS)]
        for end in ends:
            end.result(timeout=60)


# The same on PostgreSQL, where writers do not queue.


@pytest.fixture
def postgres_engines():
    """Two engines on one database, as in two instances."""
    url = shared().create()
    with closing(PostgreSQL(url)) as one, closing(PostgreSQL(url)) as other:
        yield one, other


def is_waiting(engine):
    """Whether a transaction waits for a lock."""
    with engine.read() as tx:
        sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return bool(tx.all(sql))


def test_control_a_feed_by_a_sequence_would_lose_all_but_the_last_number(postgres_engines):
    engine, seen = postgres_engines[0], []
    with engine.write() as tx:
        tx.run("CREATE TABLE feed (number {bigint} GENERATED ALWAYS AS IDENTITY)")
    with ExitStack() as ending:  # the last to begin commits first, and the follower reads after each commit
        for number in range(WRITERS):
            ending.callback(lambda: seen.extend(announced(engine, after=seen[-1] if seen else 0)))
            tx = ending.enter_context(postgres_engines[number % 2].write())
            tx.run("INSERT INTO feed DEFAULT VALUES")
    assert seen == [WRITERS]
    assert announced(engine, after=0) == list(range(1, WRITERS + 1))


@pytest.fixture
def journals(postgres_engines):
    """Two engines on one journal without its unique constraint, which would refuse a fork but not prevent it."""
    migrate(postgres_engines[0])
    with postgres_engines[0].write() as tx:
        tx.run("ALTER TABLE events DROP CONSTRAINT events_pkey")
    return postgres_engines


def enter(tx, head, actor):
    """Append an event after a head of the journal."""
    entry = Entry(type=EventType.ORDER_REGISTERED, subject=actor, order_id=None, digest=b"", data={})
    event = chained(entry, b"key", MOMENT, actor, position=head.position + 1, previous=head.hash)
    events.append(tx, [event], head)


def entered(engine):
    """The positions of the journal, and whether each event is chained to the one before."""
    with engine.read() as tx:
        rows = list(Events.iter_rows(tx))
    return [row["position"] for row in rows], all(row["previous"] == before["hash"] for before, row in pairwise(rows))


def test_control_a_journal_whose_head_is_not_locked_would_fork(journals):
    with journals[0].write() as one:
        head = events.head(one)
        with journals[1].write() as other:
            enter(other, events.head(other), "other")
        enter(one, head, "one")
    assert entered(journals[0]) == ([1, 1], False)


def test_a_journal_whose_head_is_locked_does_not_fork(journals):
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
    """The stores of two instances, with one order."""
    installation = Installation(tmp_path, "postgresql")
    with installation.store() as one, installation.store() as other:
        with one.write(COMMAND_LINE) as uow:
            orders.register(uow, FACTS)
        yield one, other


def cancel(store):
    """Cancel the order by its id."""
    with store.write(COMMAND_LINE) as uow:
        cancellations.issue(uow, order=FACTS.order_id, contact=NewContact(channel=Channel.PHONE))


def correct(store):
    """Correct the order, unless it is already cancelled."""
    with suppress(OrderFrozen), store.write(COMMAND_LINE) as uow:
        orders.correct(uow, replace(FACTS, region="DE-BY"), "the wrong place", {1})


@pytest.mark.parametrize("held", [True, False], ids=["held", "not held"])
@pytest.mark.parametrize(
    ("first", "second", "module", "write"),
    [(cancel, correct, cancellations, "_issue"), (correct, cancel, orders, "_change")],
    ids=["the cancellation", "the correction"],
)
def test_a_cancellation_rests_on_the_facts_only_if_the_order_is_locked(
    both_stores, monkeypatch, first, second, module, write, held
):
    """The second begins when the first has read and is about to write; the first continues when it is done or waits."""
    one, other = both_stores
    original = getattr(module, write)

    with ThreadPoolExecutor(1) as pool:
        seconds = []

        def overtaken(*given, **named):
            seconds.append(pool.submit(second, other))
            until(lambda: seconds[0].done() or is_waiting(other.open()[0]), 60)
            return original(*given, **named)

        monkeypatch.setattr(module, write, overtaken)
        if not held:
            monkeypatch.setattr(Orders, "lock", lambda *_: None)
        first(one)
        seconds[0].result(timeout=60)
    with one.read(COMMAND_LINE) as uow:
        order, active = uow.orders.get(FACTS.order_id), uow.cancellations.active(FACTS.order_id)
    assert (active.outcome.region == order.region) == held


# The same for simultaneous moves of an order, and for requests about the same customer, key or token.


def move(store, customer_ref, revisions=range(1, 100), **changes):
    """Correct the customer of an order."""
    with store.write(COMMAND_LINE) as uow:
        orders.correct(uow, replace(FACTS, customer_ref=customer_ref, **changes), "mixed up", revisions)


def register(store, order_id, customer_ref):
    """Register an order of a customer."""
    with store.write(COMMAND_LINE) as uow:
        orders.register(uow, replace(FACTS, order_id=order_id, customer_ref=customer_ref))


def customer_of(store, order_id=FACTS.order_id):
    """The customer of an order."""
    with store.read(COMMAND_LINE) as uow:
        return uow.orders.get(order_id).customer_ref


def another(store, *, lower):
    """A customer whose digest is lower, or higher, than that of the order's customer: rows are locked in that order."""
    keyring = store.open()[1]
    known = customers.digest_of(keyring, FACTS.customer_ref)
    refs = (f"K-{number}" for number in count(2))
    return next(ref for ref in refs if (customers.digest_of(keyring, ref) < known) == lower)


@contextmanager
def begun(do, store, *given, **named):
    """Start a function in another thread, and continue when it is done or waits; its future."""
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(do, store, *given, **named)
        until(lambda: doing.done() or is_waiting(store.open()[0]), 60)
        yield doing


class Watched:
    """A transaction that calls a listener after each statement."""

    def __init__(self, tx, listenerome_of):
        self._tx, self._listener = tx, listenerome_of

    def __getattr__(self, name):
        do = getattr(self._tx, name)

        def listened(sql, *given, **named):
            done = do(sql, *given, **named)
            self._listener(sql)
            return done

        return listened


@pytest.mark.parametrize("lower", [True, False], ids=["lower", "higher"])
def test_the_second_of_two_moves_of_an_order_fails_its_precondition(both_stores, lower):
    one, other = both_stores
    with ExitStack() as waiting:
        with one.write(COMMAND_LINE) as uow:
            orders.correct(uow, replace(FACTS, customer_ref="K-one"), "mixed up", {1})
            second = waiting.enter_context(begun(move, other, another(other, lower=lower), {1}))
            assert not second.done()
        with pytest.raises(PreconditionFailed):
            second.result(timeout=60)
    assert customer_of(one) == "K-one"


def test_a_customer_who_is_forgotten_meanwhile_is_created_again(both_stores):
    one, other = both_stores
    register(one, "A-2", "K-2")
    with ExitStack() as waiting:
        with one.write(COMMAND_LINE) as uow:
            orders.correct(uow, replace(FACTS, order_id="A-2", customer_ref="K-9"), "mixed up", {1})
            second = waiting.enter_context(begun(register, other, "A-3", "K-2"))
            assert not second.done()
        second.result(timeout=60)
    assert [customer_of(one, order_id) for order_id in ("A-1", "A-2", "A-3")] == ["K-1", "K-9", "K-2"]


@pytest.mark.parametrize(
    ("revisions", "end"), [({1}, PreconditionFailed), (range(1, 100), Conflict)], ids=["a state", "any state"]
)
def test_a_correction_whose_order_is_moved_and_cancelled_meanwhile_must_be_repeated(
    both_stores, monkeypatch, revisions, end
):
    """It is then refused, and nothing encrypted for the new customer is decrypted for the old one."""
    one, other = both_stores
    find = Orders.find

    def overtaken(own, order_id):
        monkeypatch.setattr(Orders, "find", find)
        found = find(own, order_id)
        move(other, "K-2", service_provided_at=EARLIER - timedelta(days=365))
        override = Override(OverrideKind.GOODWILL, "because")
        with other.write(COMMAND_LINE) as uow:
            contact = NewContact(channel=Channel.PHONE)
            cancellations.issue(uow, order=order_id, contact=contact, override=override)
        return found

    def corrected():
        with one.write(COMMAND_LINE) as uow:
            orders.correct(uow, replace(FACTS, region="DE-BY"), "the wrong place", revisions)

    monkeypatch.setattr(Orders, "find", overtaken)
    with pytest.raises(end):
        corrected()
    with pytest.raises(OrderFrozen if end is Conflict else PreconditionFailed):
        corrected()
    with one.read(COMMAND_LINE) as uow:
        order, active = uow.orders.get(FACTS.order_id), uow.cancellations.active(FACTS.order_id)
    assert (order.customer_ref, order.region, active.override_reason) == ("K-2", "DE", "because")


@pytest.mark.parametrize("known", [True, False], ids=["known", "made meanwhile"])
@pytest.mark.parametrize("lower", [True, False], ids=["lower digest", "higher digest"])
@pytest.mark.parametrize("customer_id", ["0" * 26, "Z" * 26], ids=["lower id", "higher id"])
def test_two_orders_that_swap_customers_do_not_deadlock(both_stores, monkeypatch, known, lower, customer_id):
    """The second begins when the first has locked one customer, and continues as far as it can."""
    one, other = both_stores
    customer_ref = another(one, lower=lower)

    def make():
        with monkeypatch.context() as patched:
            patched.setattr(customers, "ULID", lambda: customer_id)
            register(other, "A-2", customer_ref)

    if known:
        make()
    with ExitStack() as waiting:
        made, seconds = [known], []

        def meanwhile(sql):
            if "customers" in sql and not made[-1]:
                made.append(True)
                make()
            if not seconds and "customers" in sql and re.search(r"\{for_update\}|INSERT", sql):
                seconds.append(waiting.enter_context(begun(move, other, "K-1", order_id="A-2")))

        with one.write(COMMAND_LINE) as uow:
            uow._context.tx = Watched(uow.tx, meanwhile)
            orders.correct(uow, replace(FACTS, customer_ref=customer_ref), "mixed up", {1})
        seconds[0].result(timeout=60)
    assert (customer_of(one, "A-1"), customer_of(one, "A-2")) == (customer_ref, "K-1")


def ask(store, bodyome_of, ago=timedelta()):
    """Record a contact with a key that may have expired."""
    with store.write(COMMAND_LINE) as uow:
        now, uow._context.now = uow.now, uow.now - ago
        assert uow.replies.claim("key", bodyome_of) is None
        uow._context.now = now
        contacts.record(uow, FACTS.order_id, NewContact(channel=Channel.PHONE, intent=Intent.QUESTION))
        uow.replies.keep("key", bodyome_of.decode())


def test_a_key_that_is_reused_while_its_old_reply_is_moved_waits(both_stores, monkeypatch):
    one, other = both_stores
    ask(one, b"old", timedelta(days=31))
    original, seconds = stored_replies.move, []
    with ExitStack() as waiting:

        def overtaken(*given):
            seconds.append(waiting.enter_context(begun(ask, other, b"new")))
            original(*given)

        monkeypatch.setattr(stored_replies, "move", overtaken)
        move(one, "K-2")
        seconds[0].result(timeout=60)
    assert customer_of(one) == "K-2"
    with one.write(COMMAND_LINE) as uow:
        assert uow.replies.claim("key", b"new") == "new"
        assert len(uow.tx.all("SELECT contact_id FROM contacts")) == 2


def test_a_token_may_be_revoked_twice_at_the_same_time(both_stores, monkeypatch):
    one, other = both_stores
    with one.write(COMMAND_LINE) as uow:
        token_id = clients.create_token(uow, Role.AGENT, "twice revoked", 1).split("_")[1]
    holder, seconds = clients.holder, []

    def revoke(store):
        with store.write(COMMAND_LINE) as uow:
            clients.revoke_token(uow, token_id)

    with ExitStack() as waiting:

        def overtaken(by, given):
            monkeypatch.setattr(clients, "holder", holder)
            found = holder(by, given)
            seconds.append(waiting.enter_context(begun(revoke, other)))
            return found

        monkeypatch.setattr(clients, "holder", overtaken)
        revoke(one)
        seconds[0].result(timeout=60)
    with one.read(COMMAND_LINE) as uow:
        assert [event["type"] for event in Events.iter_rows(uow.tx) if event["subject"] == token_id] == [
            EventType.TOKEN_CREATED,
            EventType.TOKEN_REVOKED,
        ]
