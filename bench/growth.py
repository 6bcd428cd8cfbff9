"""Row 7: operations of the service on each engine, with few and with many stored orders.

All requests go through the real server over one connection, to random orders and positions.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from math import inf
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import uuid4

from bench import stored
from bench.carried import carried
from bench.installed import Engine, Installed, installed, postgresql
from bench.measure import Comparison, at_most, in_turn, seconds
from bench.server import SERVICE, Running, running
from bench.writes import CALL
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users
from refunds.service.events import place
from refunds.storage import events
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import create_app, sessions
from refunds.web.lists import cursor
from tests.postgres import Cluster

FEW, *MANY = 1_000, 100_000, 1_000_000
PAGE = 50
READS, ROUNDS_OF_READS = 25, 40
"""Requests per measurement, and measurements: many short ones, to find quiet moments on a busy machine."""
ISSUES, ROUNDS_OF_ISSUES = 100, 7
"""Long enough for some checkpoints, whose pages are far apart in a large file; the few orders allow no more."""
ISSUE = "issue"

Drawn = Callable[[], bytes]


class Size(NamedTuple):
    """A number of stored orders on an engine."""

    engine: Engine
    orders: int


@dataclass(slots=True)
class Grown:
    """An installation of a size, and the requests to it."""

    size: Size
    home: Installed
    requests: Mapping[str, Drawn]


def growth(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 7 on both engines, with installations made for it.

    `quick` omits the largest size, which takes minutes to store, and makes fewer rounds.
    """
    many = MANY[:-1] if quick else MANY
    with installed() as home, postgresql() as server, ExitStack() as servers:
        every = list(_grown(home, server, many))
        running_of = {grown.size: servers.enter_context(_running(grown)) for grown in every}
        best = _best(every, running_of, quick=quick)
    for engine in Engine:
        for what in every[0].requests:
            control = best[what, Size(engine, FEW)]
            for orders in many:
                ours = best[what, Size(engine, orders)]
                figures = {"ours_us": ours * 1e6, "control_us": control * 1e6}
                line = f"{engine}: {what}, {orders:,} orders"
                yield Comparison(7, line, f"itself, {FEW:,} orders", ours / control, at_most(1.3), figures=figures)


def _best(every: Sequence[Grown], running_of: Mapping[Size, Running], *, quick: bool) -> dict[tuple[str, Size], float]:
    """The shortest mean time of a request of each kind to each size, in seconds."""
    requests = {(what, grown.size): draw for grown in every for what, draw in grown.requests.items()}
    best = dict.fromkeys(requests, inf)
    reads, issues = [one for one in requests if one[0] != ISSUE], [one for one in requests if one[0] == ISSUE]
    turns = in_turn(reads, 4 if quick else ROUNDS_OF_READS) + in_turn(issues, 2 if quick else ROUNDS_OF_ISSUES)
    for what, size in turns:
        batch = [requests[what, size]() for _ in range(ISSUES if what == ISSUE else READS)]
        took = seconds(partial(running_of[size].load, batch, 1))
        best[what, size] = min(best[what, size], took / len(batch))
    return best


def _grown(home: Installed, server: Cluster, many: Sequence[int]) -> Iterator[Grown]:
    """An installation of each size on each engine. `home` must be empty; it has the fewest orders at the end.

    Each on SQLite is a copy of the last one with more records; that on PostgreSQL has the same records.
    """
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
    with home.store() as store, store.read(home.principal(store)) as uow:
        if size.orders == FEW:
            uow.verify(store.checkpoints)  # the audit passes only if the rows are as the service writes them
        asked = _asked(uow, home, size.orders)
    return Grown(size, home, asked | _looked_at(home, size.orders))


def _asked(uow: UnitOfWork, home: Installed, orders: int) -> dict[str, Drawn]:
    """A function for each kind of request, which returns one for another order or page each time.

    Each order is cancelled only once, so that there are at most 700 requests to cancel.
    """
    chance = random.Random(orders)
    free = [number for number in range(orders) if not stored.is_cancelled(number)]
    to_cancel = iter(chance.sample(free, min(len(free), ISSUES * ROUNDS_OF_ISSUES)))
    last = events.head(uow.tx).position - PAGE
    drawn = [chance.randint(1, last) for _ in range(100)]
    places = [place(position, uow.events.hash_at(position) or b"") for position in drawn]
    issued = _places(uow, "cancellations", {}, "SELECT cancellation_id AS id FROM cancellations ORDER BY id", [0])
    is_open = "SELECT contact_id AS id FROM contacts WHERE is_open = 1 ORDER BY id"
    waiting = _places(uow, "contacts", {"open": True}, is_open, [])

    def issue() -> bytes:
        order = {"order_id": stored.order_id(next(to_cancel))}
        return home.post("/v1/cancellations", order | {"contact": CALL}, str(uuid4()))

    return {
        "eligibility": lambda: home.get(f"/v1/orders/{stored.order_id(chance.randrange(orders))}/eligibility"),
        ISSUE: issue,
        "page of the feed": lambda: home.get(f"/v1/events?after={places[chance.randrange(len(places))]}&limit={PAGE}"),
        "page of cancellations": lambda: home.get(f"/v1/cancellations?after={issued()}&limit={PAGE}"),
        "overdue cancellations, none": lambda: home.get("/v1/cancellations?overdue=true"),
        "page of open contacts": lambda: home.get(f"/v1/contacts?open=true&after={waiting()}&limit={PAGE}"),
    }


def _looked_at(home: Installed, orders: int) -> dict[str, Drawn]:
    """A function for each kind of page of the console, which returns a request of a supervisor who has signed in."""
    app, chance = create_app(home.settings), random.Random(orders)
    store = app.extensions["refunds.store"]
    with store.write(COMMAND_LINE) as uow:
        user = users.add(uow, f"bench-{token_hex(4)}", Role.SUPERVISOR).user
    with app.test_request_context("/console/") as context:
        sessions.begin(users.session_for(store, user))
        token = sessions.token()
        cookie = app.session_interface.get_signing_serializer(app).dumps(dict(context.session))
    store.close()

    def browse(path: str, **form: str) -> bytes:
        body = urlencode(form).encode()
        lines = (
            f"{'POST' if form else 'GET'} /console/{path} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Cookie: __Host-refunds={cookie}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + body

    def search() -> bytes:
        return browse("search", search=stored.order_id(chance.randrange(FEW))[:-1], csrf_token=token)

    return {"page of the queue": lambda: browse("open?tab=in_time&page=2"), "search by a part": search}


def _places(uow: UnitOfWork, listing: str, filters: object, sql: str, before: list[int]) -> Callable[[], str]:
    """A function that returns random cursors of a list, each followed by a full page.

    `sql` gives the ids of the list in its order; `before` are the values that it is sorted by before the id.
    """
    ids = [row["id"] for row in uow.tx.all(sql)][: -PAGE - 1]
    chance = random.Random(len(ids))
    drawn = chance.choices(ids, k=1000)
    cursors = [cursor(uow, listing, filters, [*before, row_id]) for row_id in drawn]
    return lambda: chance.choice(cursors)


def _running(grown: Grown) -> AbstractContextManager[Running]:
    """The service on an installation, started with its first eligibility."""
    return running(SERVICE, grown.requests["eligibility"](), grown.home.environment)
