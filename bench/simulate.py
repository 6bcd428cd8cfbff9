"""Row 6: a simulation over many stored orders, on each engine, against reading the same rows with the engine alone."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from bench import stored
from bench.carried import carried
from bench.installed import Engine, Installed, installed, postgresql
from bench.measure import Comparison, at_most, best_seconds
from refunds.domain.policy import PolicyVersion
from refunds.service.simulation import simulate
from refunds.service.work import Work
from refunds.storage import contacts, orders

ORDERS, QUICK = 1_000_000, 50_000
YEAR = 365 * 86_400
ROUNDS = 3


def simulations(*, quick: bool) -> Iterator[Comparison]:
    """The lines of row 6; `quick` with fewer orders."""
    many = QUICK if quick else ORDERS
    with installed() as home, postgresql() as server:
        _store(home, many)
        for engine, there in ((Engine.SQLITE, home), (Engine.POSTGRESQL, carried(home, server))):
            with there.books() as books, books.read(there.principal(books)) as work:
                yield _compared(engine, work, many, ROUNDS)


def _store(home: Installed, many: int) -> None:
    """Store orders whose services were provided all over a year."""
    with home.books() as books:
        principal = home.principal(books)
        stored.store(books, principal, range(many))
        with books.write(principal) as work:
            seconds = f"abs(random() % {YEAR})"
            work.tx.run(f"UPDATE orders SET service_provided_at = service_provided_at - {seconds} * 1000000")  # noqa: S608


def _compared(engine: Engine, work: Work, many: int, rounds: int) -> Comparison:
    draft = _draft(work)
    best = best_seconds({"simulation": lambda: simulate(work, draft), "rows": lambda: _read(work)}, rounds, 0)
    figures = {"ours_s": best["simulation"], "control_s": best["rows"]}
    ratio = best["simulation"] / best["rows"]
    what, control = f"{engine}: simulation, {many:,} orders", "reading the same rows"
    return Comparison(6, what, control, ratio, at_most(3), figures=figures)


def _draft(work: Work) -> PolicyVersion:
    present = work.policies[work.policies.default].present(work.now)
    terms = replace(present.terms, window_business_days=present.terms.window_business_days + 1)
    return replace(present, version=present.version + 1, terms=terms)


def _read(work: Work) -> None:
    for rows in (orders.facts_judged_by, contacts.judged_by):
        deque(rows(work.tx, work.policies.default), maxlen=0)
