"""Many at once on real servers: each order is cancelled once, each key leaves one record, the feed misses nothing."""

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle, pairwise

import pytest
from sqlite_utils.utils import sqlite3

from refunds.journal import GENESIS, Entry, EventType, chained, is_sound
from refunds.storage.sqlite import SQLite
from tests.faults.harness import Client, Installation, Reply, cancellation_of

THREADS = 8
MOMENT = datetime(2026, 4, 8, tzinfo=UTC)
RACED = [f"race-{number}" for number in range(60)]
REPEATED = [f"repeated-{number}" for number in range(250)]
EVENTS = {
    "order.registered": len(RACED) + len(REPEATED),
    "contact.recorded": 2 * len(RACED) + len(REPEATED),
    "cancellation.issued": len(RACED) + len(REPEATED),
}


@dataclass
class Aftermath:
    """What was answered, what was read meanwhile, and what there is in the end."""

    installation: Installation
    raced: dict[str, list[Reply]]
    repeated: dict[str, list[Reply]]
    followed: dict[str, list[dict]]
    early: dict[str, int]
    cancellations: list[dict]
    contacts: list[dict]


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def aftermath(request, tmp_path_factory):
    """What is left when everybody has done everything at once, with so many servers upon the same records."""
    installation = Installation(tmp_path_factory.mktemp("races"))
    with installation.serving() as first:
        if request.param == 1:
            return tumult(installation, [first.port])
        with installation.serving() as second:
            return tumult(installation, [first.port, second.port])


def tumult(installation, ports):
    """Race, repeat and follow, all at the same time."""
    tokens, over = installation.tokens(), threading.Event()
    with ThreadPoolExecutor(2) as readers:
        reading = {
            role: readers.submit(follow, [Client(port, tokens[role]) for port in ports], over)
            for role in ("auditor", "billing")
        }
        try:
            raced, repeated = race(ports, tokens), repeat(ports, tokens["supervisor"])
        finally:
            over.set()
        read = {role: following.result(timeout=30) for role, following in reading.items()}
    with Client(ports[0], tokens["auditor"]) as auditor:
        return Aftermath(
            installation=installation,
            raced=raced,
            repeated=repeated,
            followed={role: events for role, (events, _) in read.items()},
            early={role: early for role, (_, early) in read.items()},
            cancellations=list(auditor.every("/v1/cancellations")),
            contacts=list(auditor.every("/v1/contacts")),
        )


def follow(clients, over):
    """Every event from the first to the last, and how many were seen before all was over."""
    seen, early, after = [], 0, 0
    for client in cycle(clients):
        ended = over.is_set()  # before the page is read, so that nothing can come after the last one
        page = client.send("GET", f"/v1/events?after={after}&limit=3").json
        seen += page["items"]
        after, early = page["next"], early if ended else len(seen)
        if not page["items"]:
            if ended:
                break
            time.sleep(0.005)
    for client in clients:
        client.wire.close()
    return seen, early


def race(ports, tokens):
    """Two clients cancel each order at the same moment, four orders at a time: the replies by order."""
    bodies = {order_id: cancellation_of(order_id) for order_id in RACED}
    pairs = THREADS // 2
    starts = [threading.Barrier(2, timeout=30) for _ in range(pairs)]

    def run(role, side, pair):
        with Client(ports[side % len(ports)], tokens[role]) as client:
            replies = {}
            for order_id in RACED[pair::pairs]:
                starts[pair].wait()
                replies[order_id] = client.cancel(bodies[order_id], f"{role}-{order_id}")
            return replies

    with ThreadPoolExecutor(THREADS) as pool:
        sides = enumerate(("billing", "agent"))
        runs = [pool.submit(run, role, side, pair) for side, role in sides for pair in range(pairs)]
        return gathered(runs)


def repeat(ports, token):
    """Eight threads of one client send the same requests with the same keys: the replies by key."""
    bodies = {key: cancellation_of(key) for key in REPEATED}

    def run(port):
        with Client(port, token) as client:
            return {key: client.cancel(body, key) for key, body in bodies.items()}

    with ThreadPoolExecutor(THREADS) as pool:
        return gathered([pool.submit(run, ports[thread % len(ports)]) for thread in range(THREADS)])


def gathered(runs):
    """The replies that several threads got to the same questions."""
    gathered = {}
    for run in runs:
        for question, reply in run.result(timeout=60).items():
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
    once = Counter(RACED + REPEATED)
    assert Counter(each["order_id"] for each in aftermath.cancellations) == once
    assert {each["state"] for each in aftermath.cancellations} == {"issued"}
    issued = [event for event in aftermath.followed["auditor"] if event["type"] == "cancellation.issued"]
    assert Counter(event["order_id"] for event in issued) == once
    assert {event["subject"] for event in issued} == {each["cancellation_id"] for each in aftermath.cancellations}


def test_whoever_was_too_late_has_a_contact_on_record(aftermath):
    asked = Counter(2 * RACED + REPEATED)
    assert Counter(contact["order_id"] for contact in aftermath.contacts) == asked
    refused = {reply.json["contact_id"] for replies in aftermath.raced.values() for reply in replies}
    assert refused <= {contact["contact_id"] for contact in aftermath.contacts}


def test_the_same_request_gets_the_same_reply_to_the_byte(aftermath):
    assert sum(map(len, aftermath.repeated.values())) == 2000
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
    kinds = Counter(event["type"] for event in seen if not event["type"].startswith("access."))
    assert kinds == EVENTS


def test_billing_sees_what_the_auditor_sees_but_for_what_is_about_access(aftermath):
    seen = [event for event in aftermath.followed["auditor"] if not event["type"].startswith("access.")]
    assert aftermath.followed["billing"] == seen


@pytest.mark.parametrize("role", ["auditor", "billing"])
def test_the_feed_was_followed_while_it_grew(aftermath, role):
    assert aftermath.early[role] > sum(EVENTS.values()) // 2


def test_nothing_fails_and_nothing_is_locked(aftermath):
    log = aftermath.installation.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    statuses = Counter(line["status"] for line in lines if line["event"] == "request")
    assert statuses[201] == len(RACED) + len(REPEATED) * THREADS
    assert statuses[409] == len(RACED)
    assert max(statuses) < 500
    assert {line["level"] for line in lines} == {"info"}
    assert "locked" not in log
    assert "Traceback" not in log


def test_the_audit_finds_all_of_it_sound(aftermath):
    verified = aftermath.installation.flask("audit", "verify")
    assert verified.returncode == 0, verified.stderr
    assert f"Sound: {len(aftermath.followed['auditor'])} events" in verified.stdout


# The naive ways, which fail where the service does not: what shows that the tests above could.


@pytest.fixture
def engine(tmp_path):
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
def test_a_feed_by_what_was_drawn_at_the_beginning_would_lose_whoever_commits_late(engine, now):
    drawn, overtaken = threading.Event(), threading.Event()
    slow = []

    def begin_and_dawdle():
        slow.append(now())
        drawn.set()
        overtaken.wait(10)
        announce(engine, slow[0])

    thread = threading.Thread(target=begin_and_dawdle)
    thread.start()
    drawn.wait(10)
    quick = now()
    announce(engine, quick)
    seen = announced(engine, after=0)
    overtaken.set()
    thread.join(10)
    seen += announced(engine, after=seen[-1])
    assert seen == [quick]
    assert announced(engine, after=0) == [slow[0], quick]


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


def test_a_chain_whose_head_is_read_before_the_write_would_fork(engine):
    heads = []
    for _ in range(2):
        with engine.read() as tx:
            heads.append(chain_head(tx))
    links = []
    for head, actor in zip(heads, ("one", "other"), strict=True):
        with engine.write() as tx:
            links.append(chain_on(tx, head, actor))
    assert [link.previous for link in links] == [GENESIS, GENESIS]
    assert not is_sound(links[1], b"key", 2, links[0].hash)


def test_a_chain_whose_head_is_read_within_the_write_does_not_fork(engine):
    def run(own, actor):
        for _ in range(20):
            with own.write() as tx:
                chain_on(tx, chain_head(tx), actor)

    at_once(engine, run)
    with engine.read() as tx:
        links = tx.all("SELECT position, previous, hash FROM chain ORDER BY id")
    assert [link["position"] for link in links] == list(range(1, 20 * THREADS + 1))
    assert all(link["previous"] == before["hash"] for before, link in pairwise(links))


def test_a_write_that_begins_as_a_read_would_find_the_database_locked(engine):
    """At once, however long it would wait: what it has read is out of date."""
    all_have_read = threading.Barrier(THREADS, timeout=10)

    def add(_):
        with closing(sqlite3.connect(engine.name, isolation_level=None, timeout=60)) as connection:
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


def test_a_write_with_a_ticket_never_finds_the_database_locked(engine):
    def run(own, _):
        for _ in range(20):
            with own.write() as tx:
                number = tx.one("SELECT number FROM tally")["number"]
                tx.run("UPDATE tally SET number = :number", number=number + 1)

    at_once(engine, run)
    with engine.read() as tx:
        assert tx.one("SELECT number FROM tally")["number"] == 20 * THREADS


def at_once(engine, run):
    """Run something in several threads, half of them with an engine of their own, as another process has."""
    others = SQLite(engine.name)
    with closing(others), ThreadPoolExecutor(THREADS) as pool:
        ends = [pool.submit(run, (engine, others)[thread % 2], f"actor {thread}") for thread in range(THREADS)]
        for end in ends:
            end.result(timeout=60)
