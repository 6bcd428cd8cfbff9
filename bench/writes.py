"""Rows 4 and 5: cancellations on SQLite and on PostgreSQL, against commits of one row each.

And how long the slowest of eight concurrent processes waits.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from time import perf_counter
from typing import Any, NamedTuple
from uuid import uuid4

from bench.apps import COMMIT
from bench.commits import open_commits
from bench.installed import Engine, Installed, installed
from bench.measure import Comparison, at_least, at_most, in_turn, seconds
from bench.over_http import serving
from bench.server import load
from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant
from refunds.service import cancellations
from refunds.service.cancellations import Issued, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts

WRITERS = 8
AGO = timedelta(minutes=5)
"""How long ago the service was provided: recently, so that the order can be cancelled."""
CALL = {"channel": "phone", "from_detail": "+4989123456"}

_NUMBERS = count(1)
_all_ready: Barrier


class Callers(NamedTuple):
    """A number of clients, distributed over a number of instances."""

    instances: int
    clients: int

    def __str__(self) -> str:
        instances = f" of {self.instances} instances" if self.instances > 1 else ""
        return _counted(self.clients, "client") + instances


class Plan(NamedTuple):
    """What is measured on an engine: with which callers, and against commits of how many connections.

    The commits in one measurement of the control take about as long as one measurement of the service.
    """

    row: int
    engine: Engine
    control: str
    callers: Sequence[Callers]
    connections: Sequence[int]
    commits: int
    rounds: int


ON_SQLITE = Plan(4, Engine.SQLITE, "one-row commits", (Callers(1, 1), Callers(1, 8)), (1,), 2000, 12)
ON_POSTGRESQL = Plan(
    5,
    Engine.POSTGRESQL,
    "commits of a row and the head",
    (Callers(1, 1), Callers(1, 8), Callers(3, 8), Callers(3, 24)),
    (1, 8, 24),
    800,
    8,
)

Run = tuple[str, object]


def on_sqlite(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 4."""
    return _lines(ON_SQLITE, quick=quick)


def on_postgresql(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 5."""
    return _lines(ON_POSTGRESQL, quick=quick)


def _lines(plan: Plan, *, quick: bool) -> Iterator[Comparison]:
    """Measure the lines of an engine; `quick` makes fewer requests and rounds.

    A failed cancellation ends the benchmark.
    """
    per_second = _most_a_second(plan, 200 if quick else 400, 2 if quick else plan.rounds)
    for callers in plan.callers:
        ours = per_second["issue", callers]
        exclusive = [
            (f"{plan.control}, {_counted(number, 'connection')}", per_second["commit", number], at_least(0.4))
            for number in plan.connections
            if number in {1, callers.clients}
        ]
        same_app = ("a route that commits as much", per_second["route", callers], None)
        for against, other, goal in (*exclusive, same_app):
            figures = {"ours_per_second": ours, "control_per_second": other}
            what = f"{plan.engine}: cancellations a second, {callers}"
            yield Comparison(plan.row, what, against, ours / other, goal, figures=figures)
    yield _worst_of_many_writers(plan, 100 if quick else 400, 1 if quick else 3)


def _most_a_second(plan: Plan, each: int, rounds: int) -> dict[Run, float]:
    """The most a second, in the best of the rounds, of cancellations, commits through the server, and commits alone.

    The keys are `issue` and `route` with their callers, and `commit` with its number of connections.
    """
    most_instances = max(callers.instances for callers in plan.callers)
    with (
        serving(plan.engine, most_instances) as (servers, home),
        closing(open_commits(home.control, max(plan.connections))) as control,
    ):

        def measure(what: str, by: Any) -> float:
            if what == "commit":
                return plan.commits / seconds(lambda: control.many(plan.commits, by))
            requests = _requests(home, each) if what == "issue" else [home.post(COMMIT, {"one": 1})] * each
            return each / seconds(lambda: load(servers[: by.instances], requests, by.clients))

        runs: list[Run] = [("commit", number) for number in plan.connections]
        runs += [(what, callers) for callers in plan.callers for what in ("issue", "route")]
        best = dict.fromkeys(runs, 0.0)
        for run in in_turn(runs, rounds):
            best[run] = max(best[run], measure(*run))
    return best


def _requests(home: Installed, number: int) -> list[bytes]:
    """Requests for cancellations of new orders, each with its order, its contact and a key."""
    provided_at = format_instant(datetime.now(UTC) - AGO)
    return [home.post("/v1/cancellations", _cancellation(n, provided_at), str(uuid4())) for n in _next(number)]


def _cancellation(number: int, provided_at: str) -> dict[str, Any]:
    facts = {"customer_ref": f"K-{number}", "service_provided_at": provided_at, "region": "DE-BY"}
    return {"order": {"order_id": f"W-{number:07}"} | facts, "contact": CALL}


def _next(number: int) -> list[int]:
    return [next(_NUMBERS) for _ in range(number)]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}"


def _worst_of_many_writers(plan: Plan, each: int, rounds: int) -> Comparison:
    """The p99 of the process that waited longest, in the best of some rounds.

    Each process writes directly to the store, without a server, so that the queue of writers is as full as possible.
    """
    best, figures = inf, {}
    spawning = get_context("spawn")
    for _ in range(rounds):
        ready = spawning.Barrier(WRITERS)
        with installed(plan.engine) as home, ProcessPoolExecutor(WRITERS, spawning, _wait_for, (ready,)) as pool:
            slowest = sorted(pool.map(_write, [home] * WRITERS, range(WRITERS), [each] * WRITERS))
        if slowest[-1] < best:
            best, figures = slowest[-1], {"worst_ms": slowest[-1] * 1e3, "least_ms": slowest[0] * 1e3}
    what = f"{plan.engine}: worst p99 of {WRITERS} writing processes"
    return Comparison(plan.row, what, "the clock", best * 1e3, at_most(250), "ms", figures)


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
                issued = cancellations.issue(uow, _request(f"{writer}-{number}"))
            took.append(perf_counter() - began)
            assert isinstance(issued, Issued)
    return sorted(took)[len(took) * 99 // 100]


def _request(name: str) -> Request:
    order = OrderFacts(
        order_id=f"W-{name}", customer_ref=f"K-{name}", service_provided_at=datetime.now(UTC) - AGO, region="DE-BY"
    )
    return Request(order=order, contact=NewContact(channel=Channel.PHONE, from_detail=CALL["from_detail"]))
