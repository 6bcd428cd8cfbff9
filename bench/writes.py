"""Rows 4 and 5: cancellations on each engine, against the same statements by the bare driver and the plain service.

And how long the slowest of eight concurrent processes waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import count
from math import inf
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any
from uuid import uuid4

from bench.apps import NO_OP, PLAIN_KEPT
from bench.installed import Engine, Installed, installed
from bench.measure import Comparison, Goal, at_least, at_most, in_turn, seconds
from bench.over_http import Load, plain, serving
from bench.replayed import Transaction, bare, recording
from bench.server import Running
from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant
from refunds.domain.records import Cancellation
from refunds.service import cancellations
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.web import create_app

WRITERS, MANY = 8, 24
AGO = timedelta(minutes=5)
"""How long ago the service was provided: recently, so that the order can be cancelled."""
CALL = {"channel": "phone", "from_detail": "+4989123456"}
FRAME = 4096 + 24
"""Bytes of a page in SQLite's log, with its header."""
COUNTED = 50
"""Cancellations whose pages in the log are counted: few enough to stay before the first checkpoint."""

Transactions = Sequence[Transaction]
Loads = Mapping[Any, Load]

_NUMBERS = count(1)
_all_ready: Barrier


def on_sqlite(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 4; `quick` makes fewer requests and rounds. A failed cancellation ends the benchmark."""
    engine, each, rounds = Engine.SQLITE, 100 if quick else 300, 2 if quick else 8
    with installed() as home:
        replaying, (pages, transactions) = home.copied("replaying"), _recorded(engine, home, each * (rounds + 1))
        with serving(home) as services, plain(PLAIN_KEPT, _requests(home, 1)[0]) as other:
            loads: Loads = {
                ("issue", 1): _load(home, services, each, 1),
                ("issue", WRITERS): _load(home, services, each, WRITERS),
                ("plain", 1): _load(home, [other], each, 1),
                ("plain", WRITERS): _load(home, [other], each, WRITERS),
                "no-op": Load([home.post(NO_OP, CALL)] * each, services, 1),
            }
            replayed = _in_rounds(engine, replaying, loads, transactions, rounds)
    yield _beside_bare(4, engine, loads, replayed, at_least(0.7))
    for clients, goal in ((1, at_least(1)), (WRITERS, at_least(1.2))):
        yield _rates(4, f"{engine}: cancellations a second, {clients} at once", loads, clients, goal)
    ours, control = (loads[what, WRITERS].p99 * 1e3 for what in ("issue", "plain"))
    what, figures = f"{engine}: p99 of a cancellation, {WRITERS} at once", {"ours_ms": ours, "control_ms": control}
    yield Comparison(4, what, "the clock", ours, at_most(20), "ms", figures)
    yield Comparison(4, what, "the plain service", ours / control, figures=figures)
    yield _statements(4, engine, transactions, at_most(13))
    yield Comparison(4, f"{engine}: pages in the log for a cancellation", "a count", pages, at_most(25), "pages")
    yield _worst_of_many_writers(4, engine, 100 if quick else 400, 1 if quick else 3)


def on_postgresql(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 5; `quick` makes fewer requests and rounds. A failed cancellation ends the benchmark."""
    engine, each, rounds = Engine.POSTGRESQL, 120 if quick else 300, 2 if quick else 6
    with installed(engine) as home:
        replaying, (_, transactions) = home.copied("replaying"), _recorded(engine, home, each * (rounds + 1))
        with serving(home, 3) as services:
            loads: Loads = {
                ("issue", 1): _load(home, services[:1], each, 1),
                ("issue", MANY): _load(home, services[:1], each, MANY),
                "instances": _load(home, services, each, MANY),
                "no-op": Load([home.post(NO_OP, CALL)] * each, services[:1], 1),
            }
            replayed = _in_rounds(engine, replaying, loads, transactions, rounds)
    yield _beside_bare(5, engine, loads, replayed, at_least(0.55))
    three, one = loads["instances"].per_second, loads["issue", MANY].per_second
    figures = {"three_per_second": three, "one_per_second": one}
    what = f"{engine}: cancellations a second, 3 instances, {MANY} at once"
    yield Comparison(5, what, "one instance", three / one, at_least(1.5), figures=figures)
    yield _statements(5, engine, transactions)
    yield _worst_of_many_writers(5, engine, 100 if quick else 400, 1 if quick else 3)


def _load(home: Installed, servers: Sequence[Running], each: int, clients: int) -> Load:
    return Load(partial(_requests, home, each), servers, clients)


def _recorded(engine: Engine, home: Installed, number: int) -> tuple[float, Transactions]:
    """The pages that a cancellation writes to SQLite's log, on average, and the transactions of this many of them.

    They are issued by the app in this process. The first one, which also fills caches, is not counted.
    """
    log, sizes, made = Path(f"{home.database.removeprefix('sqlite:///')}-wal"), [], []
    app = create_app(replace(home.settings, log_level="error"))  # its log would bury the table
    client = app.test_client()
    headers = {"Authorization": f"Bearer {home.token}"}
    provided_at = format_instant(datetime.now(UTC) - AGO)
    with recording(engine) as committed:
        for order in _next(number):
            body, key = _cancellation(order, provided_at), {"Idempotency-Key": str(uuid4())}
            answer = client.post("/v1/cancellations", json=body, headers=headers | key)
            assert answer.status_code == HTTPStatus.CREATED, answer.get_data(as_text=True)
            made.append(committed[-1])
            sizes.append(log.stat().st_size if log.exists() else 0)
    app.extensions["refunds.store"].close()
    return (sizes[COUNTED] - sizes[0]) / FRAME / COUNTED, made


def _in_rounds(engine: Engine, home: Installed, loads: Loads, transactions: Transactions, rounds: int) -> float:
    """Measure all loads in rounds; returns the least seconds of a transaction that the bare driver repeats."""
    least, each = inf, len(transactions) // (rounds + 1)
    parts = iter([transactions[start : start + each] for start in range(0, len(transactions), each)])
    with bare(engine, home.database) as driver:
        driver.replay(next(parts))
        for load in in_turn([*loads.values(), None], rounds):
            if load is None:
                least = min(least, seconds(partial(driver.replay, next(parts))) / each)
            else:
                load.measure()
    return least


def _beside_bare(row: int, engine: Engine, loads: Loads, replayed: float, goal: Goal) -> Comparison:
    ours, no_op = 1 / loads["issue", 1].per_second, 1 / loads["no-op"].per_second
    figures = {"ours_us": ours * 1e6, "no_op_us": no_op * 1e6, "statements_us": replayed * 1e6}
    against, ratio = "a no-op and the same statements by the driver", (no_op + replayed) / ours
    return Comparison(row, f"{engine}: cancellations a second, 1 at once", against, ratio, goal, figures=figures)


def _rates(row: int, what: str, loads: Loads, clients: int, goal: Goal) -> Comparison:
    ours, control = (loads[name, clients].per_second for name in ("issue", "plain"))
    figures = {"ours_per_second": ours, "control_per_second": control}
    return Comparison(row, what, "the plain service", ours / control, goal, figures=figures)


def _statements(row: int, engine: Engine, transactions: Transactions, goal: Goal | None = None) -> Comparison:
    number = mean(map(len, transactions))
    return Comparison(row, f"{engine}: statements of a cancellation", "a count", number, goal, "statements")


def _requests(home: Installed, number: int) -> list[bytes]:
    """Requests for cancellations of new orders, each with its order, its contact and a key."""
    provided_at = format_instant(datetime.now(UTC) - AGO)
    return [home.post("/v1/cancellations", _cancellation(n, provided_at), str(uuid4())) for n in _next(number)]


def _cancellation(number: int, provided_at: str) -> dict[str, Any]:
    facts = {"customer_ref": f"K-{number}", "service_provided_at": provided_at, "region": "DE-BY"}
    return {"order": {"order_id": f"W-{number:07}"} | facts, "contact": CALL}


def _next(number: int) -> list[int]:
    return [next(_NUMBERS) for _ in range(number)]


def _worst_of_many_writers(row: int, engine: Engine, each: int, rounds: int) -> Comparison:
    """The p99 of the process that waited longest, in the best of some rounds.

    Each process writes directly to the store, without a server, so that the queue of writers is as full as possible.
    """
    best, figures = inf, {}
    spawning = get_context("spawn")
    for _ in range(rounds):
        ready = spawning.Barrier(WRITERS)
        with installed(engine) as home, ProcessPoolExecutor(WRITERS, spawning, _wait_for, (ready,)) as pool:
            slowest = sorted(pool.map(_write, [home] * WRITERS, range(WRITERS), [each] * WRITERS))
        if slowest[-1] < best:
            best, figures = slowest[-1], {"worst_ms": slowest[-1] * 1e3, "least_ms": slowest[0] * 1e3}
    what = f"{engine}: worst p99 of {WRITERS} writing processes"
    return Comparison(row, what, "the clock", best * 1e3, at_most(250), "ms", figures)


def _wait_for(ready: Barrier) -> None:
    """Set the barrier for which a new process waits before it writes."""
    global _all_ready  # noqa: PLW0603 - the only way into a process of a pool
    _all_ready = ready


def _write(home: Installed, writer: int, each: int) -> float:
    """Issue so many cancellations, one after another, and return the 99th percentile of their seconds.

    It begins when all processes of the pool are ready.
    """
    took = []
    with home.store() as store:
        principal = home.principal(store)
        _all_ready.wait()
        for number in range(each):
            began = perf_counter()
            with store.write(principal) as uow:
                issued = cancellations.issue(uow, **_request(f"{writer}-{number}"))
            took.append(perf_counter() - began)
            assert isinstance(issued, Cancellation)
    return sorted(took)[len(took) * 99 // 100]


def _request(name: str) -> dict[str, Any]:
    order = OrderFacts(
        order_id=f"W-{name}", customer_ref=f"K-{name}", service_provided_at=datetime.now(UTC) - AGO, region="DE-BY"
    )
    return {"order": order, "contact": NewContact(channel=Channel.PHONE, from_detail=CALL["from_detail"])}
