"""Row 10: the watch over many open windows on each engine, against only reading the same rows.

And the seconds in which orders from before promises get theirs.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count, product
from time import perf_counter
from typing import Any
from unittest import mock

from bench import stored
from bench.carried import carried
from bench.installed import Engine, Installed, installed, postgresql
from bench.measure import Comparison, at_most, best_seconds
from refunds.domain import judging
from refunds.domain.outcomes import Facts, ToldWindow
from refunds.domain.regions import subdivisions
from refunds.service import watch
from refunds.service.store import Store
from refunds.storage.decisions import dump_told
from refunds.storage.mapper import micros
from refunds.storage.unit_of_work import UnitOfWork

ORDERS, QUICK = 100_000, 10_000
REGIONS = [f"DE-{subdivision}" for subdivision in subdivisions("DE")]
DAYS = 3
"""Days on which the services were provided, the last one now; all their windows are open."""
ROUNDS = 3

_numbers = count(1)


def watches(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 10 on each engine; `quick` with fewer orders."""
    many = QUICK if quick else ORDERS
    with installed() as home, postgresql() as server:
        _store(home, many)
        for engine, there in ((Engine.SQLITE, home), (Engine.POSTGRESQL, carried(home, server))):
            with there.store() as store:
                yield _compared(engine, store, many)
                yield _filled(engine, store, many)


def _store(home: Installed, many: int) -> None:
    """Store this many orders of all regions of Germany, whose services were provided on the last days.

    What differs from the order that the service has stored is changed afterwards, without events in the journal.
    """
    with home.store() as store:
        principal = home.principal(store)
        stored.fill(store, principal, range(many))
        kinds = list(product(REGIONS, range(DAYS)))
        with store.write(principal) as uow:
            for number, (region, ago) in enumerate(kinds):
                _provide(
                    uow, region, timedelta(days=ago), f"CAST(substr(order_id, 3) AS integer) % {len(kinds)} = {number}"
                )


def _provide(uow: UnitOfWork, region: str, ago: timedelta, which: str) -> None:
    """Let the services of stored orders have been provided in a region some time ago, and be promised so."""
    provided = uow.now - ago - timedelta(minutes=5)
    policy = uow.policies[uow.policies.default]
    told = judging.judge(policy, Facts(service_provided_at=provided, received_at=provided), None, region).told
    assert isinstance(told, ToldWindow)
    given: dict[str, Any] = {"region": region, "provided": micros(provided)}
    facts = "region = :region, service_provided_at = :provided"
    uow.tx.run(f"UPDATE orders SET {facts} WHERE {which}", **given)  # noqa: S608
    given |= {"deadline": micros(told.deadline), "told": dump_told(told)}
    uow.tx.run(f"UPDATE promises SET {facts}, deadline = :deadline, told = :told WHERE {which}", **given)  # noqa: S608


def _compared(engine: Engine, store: Store, many: int) -> Comparison:
    """Measure a watch in which no window changes against reading all that it compares."""
    best = best_seconds({"watch": lambda: _watch(store), "rows": lambda: _read(store)}, ROUNDS, 0)
    figures = {"ours_s": best["watch"], "control_s": best["rows"]}
    what, control = f"{engine}: watch, {many:,} open windows", "reading the same rows"
    return Comparison(10, what, control, best["watch"] / best["rows"], at_most(3), figures=figures)


def _watch(store: Store) -> None:
    """Watch as if the data had changed."""
    data = f"holidays 999.{next(_numbers)}, tzdata 9999a, rules 1"
    with mock.patch.object(watch, "data_now", lambda: data):  # noqa: PT008 - a mock takes half a millisecond
        watched = watch.watch(store)
    assert (watched.older, watched.longer, watched.kept) == (False, 0, 0)


def _read(store: Store) -> None:
    """Read the rows that a watch reads, and drop them."""
    place: list[Any] = []
    while True:
        with store.read(watch.COMMAND_LINE) as uow:
            rows = uow.promises.open_after(uow.now - watch.ENDED, *place, limit=watch.STEP)
        if len(rows) < watch.STEP:
            return
        place = [rows[-1]["deadline"], rows[-1]["order_id"]]


def _filled(engine: Engine, store: Store, many: int) -> Comparison:
    """Measure the watch that gives promises to orders that have none, in seconds."""
    with store.write(watch.COMMAND_LINE) as uow:
        uow.tx.run("DELETE FROM promises" if engine is Engine.SQLITE else "TRUNCATE promises")
    began = perf_counter()
    watched = watch.watch(store)
    took = perf_counter() - began
    assert watched.filled >= many
    return Comparison(10, f"{engine}: promises for {many:,} orders that have none", "the clock", took, unit="s")
