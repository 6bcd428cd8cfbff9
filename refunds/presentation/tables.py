"""Records as tables in CSV (RFC 4180): one table of columns for each kind of record."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from io import StringIO
from operator import attrgetter
from typing import Any, NamedTuple

from refunds.domain.instants import format_instant
from refunds.domain.permissions import Principal
from refunds.domain.records import Cancellation, Contact, Order
from refunds.domain.unmatched import UnmatchedContact
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork

PAGE = 500
"""Records read at once."""


class CancelledOrder(NamedTuple):
    """A row of the table of cancellations: a cancellation, and its order for the customer."""

    cancellation: Cancellation
    order: Order


class Table(NamedTuple):
    """The columns of a table, each with the attribute of a row that it shows, and how records become rows."""

    columns: Mapping[str, str]
    rows: Callable[[UnitOfWork, Sequence[Any]], Iterable[Any]] = lambda _, records: records


def _named(*names: str, of: str = "") -> dict[str, str]:
    """Return column names with the attributes that fill them: the same names, with `of`, such as `order.`, in front."""
    return {name: of + name for name in names}


def _with_orders(uow: UnitOfWork, found: Sequence[Cancellation]) -> Iterator[CancelledOrder]:
    """Return the cancellations as an iterator, each with its order; all orders are loaded at once."""
    orders = uow.orders.with_ids({cancellation.order_id for cancellation in found})
    return (CancelledOrder(cancellation, orders[cancellation.order_id]) for cancellation in found)


_DECISION = {"eligible": "outcome.eligible", "reason": "outcome.reason", "deadline": "outcome.deadline"}

TABLES = {
    Order: Table(
        _named("order_id", "customer_id", "customer_ref", "policy", "region", "ordered_at", of="order.")
        | _named("service_provided_at", "registered_at", "asserted_by", "revision", "correction_reason", of="order.")
        | _named("facts_entered_by_agent", "state", "last_day", "deadline")
    ),
    Contact: Table(
        _named("contact_id", "order_id", "intent", "channel", "sent_at", "received_at", "recorded_at", "recorded_by")
        | _named("contact_point", "from_detail", "ticket_ref", "note", "supersedes", "superseded_by")
        | {"open": "is_open", "backdated": "backdated"}
        | _named("resolution_reason", "resolved_at", "resolved_by")
        | _DECISION
        | {"request_number": "number_aloud", "resolution_code": "resolution_code", "duplicate_of": "duplicate_of"}
        | _named("acknowledged_at", "acknowledged_by", "acknowledged_through", "acknowledged_to", "taken_by")
    ),
    UnmatchedContact: Table(
        _named("unmatched_id", "request_number", "order_hint", "intent", "channel", "sent_at", "received_at")
        | _named("recorded_at", "recorded_by", "contact_point", "from_detail", "ticket_ref", "note")
        | {"open": "is_open", "contact_id": "contact_id"}
        | {"resolution_reason": "closed_reason", "resolved_at": "closed_at", "resolved_by": "closed_by"}
        | _named("taken_by", "supersedes", "superseded_by")
        | _named("acknowledged_at", "acknowledged_by", "acknowledged_through", "acknowledged_to")
    ),
    Cancellation: Table(
        {"cancellation_id": "cancellation.cancellation_id", "reference": "cancellation.reference_aloud"}
        | {"order_id": "cancellation.order_id", "customer_ref": "order.customer_ref"}
        | _named("state", "basis", of="cancellation.")
        | {"reason": "cancellation.outcome.reason"}
        | _named("issued_at", "issued_by", "refund_due_by", "settled_at", of="cancellation.")
        | _named("billing_ref", "revoked_at", of="cancellation.")
        | {"revocation_reason_code": "cancellation.revocation_code"},
        _with_orders,
    ),
}
"""The table of each kind of record."""


def header(kind: type) -> str:
    """Return the line of CSV with the names of the columns; `kind` is the class of the records in the table."""
    return line(TABLES[kind].columns)


def lines(uow: UnitOfWork, kind: type, records: Sequence[Any]) -> Iterator[str]:
    """Yield a line of CSV for each record, without the header; `kind` is the class of the records."""
    table = TABLES[kind]
    shown = [attrgetter(attribute) for attribute in table.columns.values()]
    for row in table.rows(uow, records):
        yield line(cell(value(row)) for value in shown)


def lines_by_page(store: Store, principal: Principal, kind: str, **filters: Any) -> Iterator[str]:
    """Yield the header, and a line of CSV for each record that fits the filters; each page has its own unit of work.

    `kind` is the name of a repository in a unit of work, such as `contacts`; the filters are those of its `paginate`.
    """
    after: tuple[Any, ...] | None = ()
    while after is not None:
        with store.read(principal) as uow:
            repository = getattr(uow, kind)
            found = repository.paginate(*after, limit=PAGE, **filters)
            if not after:
                yield header(repository.mapper.record)
            yield from lines(uow, repository.mapper.record, found)
            after = repository.place_of(found[-1]) if len(found) == PAGE else None


def line(cells: Iterable[str]) -> str:
    """Return a line of CSV with these cells, with its line end."""
    written = StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()


def cell(value: Any) -> str:
    """Return a value as text for a cell: empty for None, instants in UTC, `true` or `false`, `'` before formulas."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_CALCULATED) else text


_CALCULATED = ("=", "+", "-", "@", "\t", "\r", "\n")
"""The beginnings of a cell that a spreadsheet may take for a formula."""
