"""Row 4: cancellations issued on SQLite, against commits of one row each; and eight processes that write at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from time import perf_counter
from typing import Any
from uuid import uuid4

from bench.apps import COMMIT
from bench.commits import Commits
from bench.installed import Installed, installed
from bench.measure import Comparison, at_least, at_most, in_turn, seconds
from bench.over_http import serving
from bench.server import Running
from refunds.contact_points import Channel
from refunds.instants import format_instant
from refunds.service import cancellations
from refunds.service.cancellations import Issued, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts

CLIENTS = (1, 8)
WRITERS = 8
CONTROL = "one-row commits"
COMMITS = 2000
"""In one measurement of the control: it takes about as long as one of the service."""
AGO = timedelta(minutes=5)
"""How long ago the service was provided: the order can be cancelled whenever the benchmark runs."""
CALL = {"channel": "phone", "from_detail": "+4989123456"}

_NUMBERS = count(1)
_all_ready: Barrier


def issues(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 4; an answer that is no cancellation ends the benchmark."""
    per_second = _issued_a_second(200 if quick else 400, 2 if quick else 12)
    control = per_second[CONTROL]
    for clients in CLIENTS:
        name = _clients(clients)
        ours, same_app = per_second[f"issue, {name}"], per_second[f"one row, {name}"]
        for against, other, goal in (
            (CONTROL, control, at_least(0.4)),
            ("a route that commits one row", same_app, None),
        ):
            figures = {"ours_per_second": ours, "control_per_second": other}
            yield Comparison(4, f"cancellations a second, {name}", against, ours / other, goal, figures=figures)
    yield _worst_of_many_writers(100 if quick else 400, 1 if quick else 3)


def _issued_a_second(each: int, rounds: int) -> dict[str, float]:
    """The most cancellations, one-row commits through the server, and one-row commits alone, a second."""
    with serving() as (service, home), closing(Commits(home.directory / "control.db")) as control:

        def issue(clients: int) -> float:
            return _per_second(service, _requests(home, each), clients)

        def commit(clients: int) -> float:
            return _per_second(service, [home.post(COMMIT, {"one": 1})] * each, clients)

        def alone() -> float:
            return COMMITS / seconds(lambda: control.many(COMMITS))

        runs: dict[str, Callable[[], float]] = {CONTROL: alone}
        for clients in CLIENTS:
            runs[f"issue, {_clients(clients)}"] = lambda clients=clients: issue(clients)
            runs[f"one row, {_clients(clients)}"] = lambda clients=clients: commit(clients)
        best = dict.fromkeys(runs, 0.0)
        for name in in_turn(runs, rounds):
            best[name] = max(best[name], runs[name]())
    return best


def _per_second(service: Running, requests: Sequence[bytes], clients: int) -> float:
    return len(requests) / seconds(lambda: service.load(requests, clients))


def _requests(home: Installed, number: int) -> list[bytes]:
    """Cancellations of new orders, each told with its order and its contact, and with a key of its own."""
    provided_at = format_instant(datetime.now(UTC) - AGO)
    return [home.post("/v1/cancellations", _told(n, provided_at), str(uuid4())) for n in _next(number)]


def _told(number: int, provided_at: str) -> dict[str, Any]:
    facts = {"customer_ref": f"K-{number}", "service_provided_at": provided_at, "region": "DE-BY"}
    return {"order": {"order_id": f"W-{number:07}"} | facts, "contact": CALL}


def _next(number: int) -> list[int]:
    return [next(_NUMBERS) for _ in range(number)]


def _clients(number: int) -> str:
    return f"{number} client{'s' if number > 1 else ''}"


def _worst_of_many_writers(each: int, rounds: int) -> Comparison:
    """The p99 of the process that waited longest, in the best of some rounds.

    Each process issues through the records themselves, with nothing between, so that the queue of writers is as full
    as it can be.
    """
    best, figures = inf, {}
    spawning = get_context("spawn")
    for _ in range(rounds):
        ready = spawning.Barrier(WRITERS)
        with installed() as home, ProcessPoolExecutor(WRITERS, spawning, _wait_for, (ready,)) as pool:
            slowest = sorted(pool.map(_write, [home] * WRITERS, range(WRITERS), [each] * WRITERS))
        if slowest[-1] < best:
            best, figures = slowest[-1], {"worst_ms": slowest[-1] * 1e3, "least_ms": slowest[0] * 1e3}
    what = f"worst p99 of {WRITERS} writing processes"
    return Comparison(4, what, "the clock", best * 1e3, at_most(250), "ms", figures)


def _wait_for(ready: Barrier) -> None:
    """Let a new process know what all of them wait for before they write."""
    global _all_ready  # noqa: PLW0603 - the only way into a process of a pool
    _all_ready = ready


def _write(home: Installed, writer: int, each: int) -> float:
    """The p99 of the seconds that one process waits for its cancellations."""
    took = []
    with home.books() as books:
        principal = home.principal(books)
        _all_ready.wait()
        for number in range(each):
            began = perf_counter()
            with books.write(principal) as work:
                issued = cancellations.issue(work, _request(f"{writer}-{number}"))
            took.append(perf_counter() - began)
            assert isinstance(issued, Issued)
    return sorted(took)[len(took) * 99 // 100]


def _request(name: str) -> Request:
    order = OrderFacts(
        order_id=f"W-{name}", customer_ref=f"K-{name}", service_provided_at=datetime.now(UTC) - AGO, region="DE-BY"
    )
    return Request(order=order, contact=NewContact(channel=Channel.PHONE, from_detail=CALL["from_detail"]))
