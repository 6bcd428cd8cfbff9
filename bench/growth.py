"""Row 7: what the service does with stored orders on each engine, with few and with many of them stored.

Everything goes through the real server over one connection, to orders and places that are drawn from all of them.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import NamedTuple
from uuid import uuid4

from bench import stored
from bench.carried import carried
from bench.installed import Engine, Installed, installed, postgresql
from bench.measure import Comparison, at_most, in_turn, seconds
from bench.server import SERVICE, Running, running
from bench.writes import CALL
from refunds.storage import events
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.cursors import cursor
from tests.postgres import Cluster

FEW, *MANY = 1_000, 100_000, 1_000_000
PAGE = 50
READS, ROUNDS_OF_READS = 25, 40
"""Requests in one measurement, and measurements: short and many, as quiet moments on a busy machine are."""
ISSUES, ROUNDS_OF_ISSUES = 100, 7
"""Long enough for some checkpoints, whose pages lie far apart in a large file; there are no more orders among few."""
ISSUE = "issue"

Drawn = Callable[[], bytes]


class Size(NamedTuple):
    """As many orders stored on an engine."""

    engine: Engine
    orders: int


@dataclass(slots=True)
class Grown:
    """An installation of a size, and what is asked of it."""

    size: Size
    home: Installed
    asked: Mapping[str, Drawn]


def growth(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 7; `quick` leaves out the most orders, as they take minutes to store."""
    many = MANY[:-1] if quick else MANY
    with installed() as home, postgresql() as server, ExitStack() as servers:
        every = list(_grown(home, server, many))
        running_of = {grown.size: servers.enter_context(_running(grown)) for grown in every}
        best = _best(every, running_of, quick=quick)
    for engine in Engine:
        for what in every[0].asked:
            control = best[what, Size(engine, FEW)]
            for orders in many:
                ours = best[what, Size(engine, orders)]
                figures = {"ours_us": ours * 1e6, "control_us": control * 1e6}
                line = f"{engine}: {what}, {orders:,} orders"
                yield Comparison(7, line, f"itself, {FEW:,} orders", ours / control, at_most(1.3), figures=figures)


def _best(every: Sequence[Grown], running_of: Mapping[Size, Running], *, quick: bool) -> dict[tuple[str, Size], float]:
    """Send all requests; the shortest mean time of a request of each kind to each size, in seconds."""
    asked = {(what, grown.size): draw for grown in every for what, draw in grown.asked.items()}
    best = dict.fromkeys(asked, inf)
    reads, issues = [one for one in asked if one[0] != ISSUE], [one for one in asked if one[0] == ISSUE]
    turns = in_turn(reads, 4 if quick else ROUNDS_OF_READS) + in_turn(issues, 2 if quick else ROUNDS_OF_ISSUES)
    for what, size in turns:
        requests = [asked[what, size]() for _ in range(ISSUES if what == ISSUE else READS)]
        took = seconds(partial(running_of[size].load, requests, 1))
        best[what, size] = min(best[what, size], took / len(requests))
    return best


def _grown(home: Installed, server: Cluster, many: Sequence[int]) -> Iterator[Grown]:
    """An installation of each size on each engine: the last one's records, copied, added to, and carried over."""
    stored_already = 0
    for orders in (FEW, *many):
        if stored_already:
            home = home.copied(f"{orders}")
        with home.store() as store:
            stored.fill(store, home.principal(store), range(stored_already, orders))
        yield _ready(home, Size(Engine.SQLITE, orders))
        yield _ready(carried(home, server), Size(Engine.POSTGRESQL, orders))
        stored_already = orders


def _ready(home: Installed, size: Size) -> Grown:
    """An installation of a size with what is asked of it; raises `Broken` if its few records are not sound."""
    with home.store() as store, store.read(home.principal(store)) as uow:
        if size.orders == FEW:
            uow.verify(store.checkpoints)  # rows as the service writes them, or it would not be passed
        return Grown(size, home, _asked(uow, home, size.orders))


def _asked(uow: UnitOfWork, home: Installed, orders: int) -> dict[str, Drawn]:
    """Functions that draw a request of each kind: for another order each time, or for a page from another place on."""
    chance = random.Random(orders)
    free = [number for number in range(orders) if not stored.is_cancelled(number)]
    to_cancel = iter(chance.sample(free, min(len(free), ISSUES * ROUNDS_OF_ISSUES)))
    head = events.head(uow.tx).position
    issued = _places(uow, "cancellations", {}, "SELECT cancellation_id AS id FROM cancellations ORDER BY id", [0])
    is_open = "SELECT contact_id AS id FROM contacts WHERE is_open = 1 ORDER BY id"
    waiting = _places(uow, "contacts", {"open": True}, is_open, [])

    def issue() -> bytes:
        order = {"order_id": stored.order_id(next(to_cancel))}
        return home.post("/v1/cancellations", order | {"contact": CALL}, str(uuid4()))

    return {
        "eligibility": lambda: home.get(f"/v1/orders/{stored.order_id(chance.randrange(orders))}/eligibility"),
        ISSUE: issue,
        "page of the feed": lambda: home.get(f"/v1/events?after={chance.randrange(head - PAGE)}&limit={PAGE}"),
        "page of cancellations": lambda: home.get(f"/v1/cancellations?after={issued()}&limit={PAGE}"),
        "overdue cancellations, none": lambda: home.get("/v1/cancellations?overdue=true"),
        "page of open contacts": lambda: home.get(f"/v1/contacts?open=true&after={waiting()}&limit={PAGE}"),
    }


def _places(uow: UnitOfWork, listing: str, filters: object, sql: str, before: list[int]) -> Callable[[], str]:
    """A function that draws a cursor of a list, from all places that a whole page follows."""
    ids = [row["id"] for row in uow.tx.all(sql)][: -PAGE - 1]
    chance = random.Random(len(ids))
    drawn = chance.choices(ids, k=1000)
    cursors = [cursor(uow, listing, filters, [*before, row_id]) for row_id in drawn]
    return lambda: chance.choice(cursors)


def _running(grown: Grown) -> AbstractContextManager[Running]:
    """The service on an installation, started with its first eligibility."""
    return running(SERVICE, grown.asked["eligibility"](), grown.home.environment)
