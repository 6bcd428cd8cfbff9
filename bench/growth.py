"""Row 7: what the service does with stored orders, with few and with many of them stored.

Everything goes through the real server over one connection, to orders and places that are drawn from all of them.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from math import inf
from uuid import uuid4

from bench import stored
from bench.installed import Installed, installed
from bench.measure import Comparison, at_most, in_turn, seconds
from bench.server import SERVICE, Running, running
from bench.writes import CALL
from refunds.service import audit
from refunds.service.books import Work
from refunds.storage import events
from refunds.web.cursors import cursor

FEW, *MANY = 1_000, 100_000, 1_000_000
PAGE = 50
READS, ROUNDS_OF_READS = 25, 40
"""Requests in one measurement, and measurements: short and many, as quiet moments on a busy machine are."""
ISSUES, ROUNDS_OF_ISSUES = 100, 7
"""Long enough for some checkpoints, whose pages lie far apart in a large file; there are no more orders among few."""
ISSUE = "issue"

Drawn = Callable[[], bytes]


@dataclass(slots=True)
class Size:
    """An installation with as many orders stored, and what is asked of it."""

    orders: int
    home: Installed
    asked: Mapping[str, Drawn]


def growth(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 7; `quick` leaves out the most orders, as they take minutes to store."""
    with installed() as home, ExitStack() as servers:
        sizes = list(_grown(home, MANY[:-1] if quick else MANY))
        running_of = {size.orders: servers.enter_context(_running(size)) for size in sizes}
        best = _best(sizes, running_of, quick=quick)
    few, *many = sizes
    for what in few.asked:
        for size in many:
            ours, control = best[what, size.orders], best[what, FEW]
            figures = {"ours_us": ours * 1e6, "control_us": control * 1e6}
            line = f"{what}, {size.orders:,} orders"
            yield Comparison(7, line, f"itself, {FEW:,} orders", ours / control, at_most(1.3), figures=figures)


def _best(sizes: Sequence[Size], running_of: Mapping[int, Running], *, quick: bool) -> dict[tuple[str, int], float]:
    """The shortest mean time of a request of each kind to each size, in seconds."""
    asked = {(what, size.orders): draw for size in sizes for what, draw in size.asked.items()}
    best = dict.fromkeys(asked, inf)
    reads, issues = [one for one in asked if one[0] != ISSUE], [one for one in asked if one[0] == ISSUE]
    turns = in_turn(reads, 4 if quick else ROUNDS_OF_READS) + in_turn(issues, 2 if quick else ROUNDS_OF_ISSUES)
    for what, orders in turns:
        requests = [asked[what, orders]() for _ in range(ISSUES if what == ISSUE else READS)]
        took = seconds(partial(running_of[orders].load, requests, 1))
        best[what, orders] = min(best[what, orders], took / len(requests))
    return best


def _grown(home: Installed, many: list[int]) -> Iterator[Size]:
    """An installation of each size: the last one's records, copied and added to."""
    stored_already = 0
    for orders in (FEW, *many):
        if stored_already:
            home = home.copied(f"{orders}")
        with home.books() as books:
            principal = home.principal(books)
            stored.store(books, principal, range(stored_already, orders))
            with books.read(principal) as work:
                if orders == FEW:
                    audit.verify(work, books.anchors)  # rows as the service writes them, or it would not be passed
                yield Size(orders, home, _asked(work, home, orders))
        stored_already = orders


def _asked(work: Work, home: Installed, orders: int) -> dict[str, Drawn]:
    """What is asked, each time of another order, or of a page from another place on."""
    chance = random.Random(orders)
    free = [number for number in range(orders) if not stored.is_cancelled(number)]
    to_cancel = iter(chance.sample(free, min(len(free), ISSUES * ROUNDS_OF_ISSUES)))
    head, _ = events.head(work.tx)
    issued = _places(work, "cancellations", {}, "SELECT cancellation_id AS id FROM cancellations ORDER BY id", [0])
    is_open = "SELECT contact_id AS id FROM contacts WHERE is_open = 1 ORDER BY id"
    waiting = _places(work, "contacts", {"open": True}, is_open, [])

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


def _places(work: Work, listing: str, filters: object, sql: str, before: list[int]) -> Callable[[], str]:
    """Cursors of a list, drawn from all places that a whole page follows."""
    ids = [row["id"] for row in work.tx.all(sql)][: -PAGE - 1]
    chance = random.Random(len(ids))
    drawn = chance.choices(ids, k=1000)
    cursors = [cursor(work, listing, filters, [*before, row_id]) for row_id in drawn]
    return lambda: chance.choice(cursors)


def _running(size: Size) -> AbstractContextManager[Running]:
    """The service on an installation, started with its first eligibility."""
    return running(SERVICE, size.asked["eligibility"](), size.home.environment)
