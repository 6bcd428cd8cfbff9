"""Row 6: a simulation over many stored orders on each engine, against only reading the same rows."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from bench import stored
from bench.carried import carried
from bench.installed import Engine, Installed, installed, postgresql
from bench.measure import Comparison, at_most, best_seconds
from refunds.domain.policy import PolicyVersion
from refunds.service.simulation import simulate
from refunds.storage.unit_of_work import UnitOfWork

ORDERS, QUICK = 1_000_000, 50_000
YEAR = 365 * 86_400
ROUNDS = 3


def simulations(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 6: a simulation against reading the same rows, on each engine; `quick` with fewer orders."""
    many = QUICK if quick else ORDERS
    with installed() as home, postgresql() as server:
        _store(home, many)
        for engine, there in ((Engine.SQLITE, home), (Engine.POSTGRESQL, carried(home, server))):
            with there.store() as store, store.read(there.principal(store)) as uow:
                yield _compared(engine, uow, many, ROUNDS)


def _store(home: Installed, many: int) -> None:
    """Store this many orders, whose services were provided throughout a year.

    These times are changed afterwards, without events in the journal.
    """
    with home.store() as store:
        principal = home.principal(store)
        stored.fill(store, principal, range(many))
        with store.write(principal) as uow:
            seconds = f"abs(random() % {YEAR})"
            uow.tx.run(f"UPDATE orders SET service_provided_at = service_provided_at - {seconds} * 1000000")  # noqa: S608


def _compared(engine: Engine, uow: UnitOfWork, many: int, rounds: int) -> Comparison:
    draft = _draft(uow)
    best = best_seconds({"simulation": lambda: simulate(uow, draft), "rows": lambda: _read(uow)}, rounds, 0)
    figures = {"ours_s": best["simulation"], "control_s": best["rows"]}
    ratio = best["simulation"] / best["rows"]
    what, control = f"{engine}: simulation, {many:,} orders", "reading the same rows"
    return Comparison(6, what, control, ratio, at_most(2), figures=figures)


def _draft(uow: UnitOfWork) -> PolicyVersion:
    """The version in force, with a window that is one business day longer."""
    present = uow.policies[uow.policies.default].current(uow.now)
    terms = replace(present.terms, window_business_days=present.terms.window_business_days + 1)
    return replace(present, version=present.version + 1, terms=terms)


def _read(uow: UnitOfWork) -> None:
    """Read the rows that a simulation reads, and drop them."""
    for rows in (uow.orders.facts_for_simulation, uow.contacts.judged_by):
        deque(rows(uow.policies.default), maxlen=0)
