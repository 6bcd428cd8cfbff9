"""Statistics: a month that has ended is counted once, and what may be shown of it is stored."""

from collections import defaultdict
from datetime import timedelta

from refunds.domain.contact_points import Channel
from refunds.domain.instants import local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Intent
from refunds.domain.regions import country_of
from refunds.domain.statistics import Cell, Cells, ClosedMonth, bounds, cells_to_publish, outcome_of
from refunds.domain.terms import Terms
from refunds.errors import InvalidInput, Message
from refunds.service.store import Store
from refunds.storage.decisions import load_outcome
from refunds.storage.unit_of_work import UnitOfWork


def close(store: Store, month: str | None = None) -> tuple[ClosedMonth, bool]:
    """Close a month (`YYYY-MM`; None: the last that ended): store and return its statistics; False if closed before.

    Later records and erasures do not change the statistics. Raises `InvalidInput` if the month has not ended, or if
    there are no records of it because it is before all of them.
    """
    with store.read(COMMAND_LINE) as uow:
        terms = uow.default_terms
        today = local_date(uow.now, zone(terms.time_zone))
        last = f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
        month = month or last
        if month > last:
            detail = Message("%(month)s has not ended: the last month that has is %(last)s", month=month, last=last)
            raise InvalidInput.at("/month", detail)
        if found := uow.statistics.find(month):
            return found, False
        cells = _count(uow, month, terms)
    with store.write(COMMAND_LINE, exclusive=True) as uow:
        if found := uow.statistics.find(month):
            return found, False
        closed = ClosedMonth(month=month, cells=cells, closed_at=uow.now, closed_by=uow.principal.actor)
        uow.statistics.add(closed, EventType.STATISTICS_CLOSED)
    return closed, True


def _count(uow: UnitOfWork, month: str, terms: Terms) -> Cells:
    """Return how many customers made contact in a month, by country, channel and outcome; leave out too small numbers.

    An order without a region counts in the region of `terms`. Raises `InvalidInput` if the month is before all records.
    """
    since, until = bounds(month, zone(terms.time_zone))
    customers: dict[Cell, set[str]] = defaultdict(set)
    for row in uow.statistics.to_count(since, until):
        verdict = load_outcome(row["decision"]).verdict
        outcome = outcome_of(Intent(row["intent"]), verdict, is_cancelled=bool(row["is_cancelled"]))
        cell = Cell(country_of(row["region"] or terms.region), Channel(row["channel"]), outcome)
        customers[cell].add(row["customer_id"])
    begun = uow.statistics.begun_at()
    if not customers and (begun is None or until <= begun):
        raise InvalidInput.at("/month", Message("%(month)s is before the first record", month=month))
    return cells_to_publish({cell: len(found) for cell, found in customers.items()})
