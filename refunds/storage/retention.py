"""Retention: which records of each kind are due to be deleted, and how. One row for each kind."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.privacy import DataRequestOutcome, LimitKind
from refunds.domain.retention import BESIDE, CANCELLED, CONTACTED, DETAILS, ORDERED, REPLIES, Period
from refunds.storage import Row, Transaction, idempotency
from refunds.storage.contacts import CONTACTS
from refunds.storage.customers import Customers
from refunds.storage.mapper import MICROSECOND, micros
from refunds.storage.repository import InTransaction, named_list


class Kind(NamedTuple):
    """Records that have one period: those rows of a table that fit a condition and began before it, in SQL.

    `key` is what they are read and named by, `since` when their period began, `owner` the customer whose hold keeps
    them. `event` is the journal's, None if it has none.
    """

    name: str
    period: Period
    table: str
    key: str
    since: str
    condition: str
    event: EventType | None
    owner: str = "NULL"
    first: str | bytes = ""
    """A value that comes before every key."""


_OF = "WHERE c.order_id = orders.order_id"
_LAST_END = "max(coalesce(revoked_at, CASE WHEN settled_at > issued_at THEN settled_at ELSE issued_at END))"
_LAST = {
    CANCELLED: f"(SELECT {_LAST_END} FROM cancellations AS c {_OF})",  # noqa: S608 - ours, as all here
    CONTACTED: f"(SELECT max(recorded_at) FROM contacts AS c {_OF})",  # noqa: S608
    ORDERED: "coalesce(service_provided_at, registered_at)",
}
_CANCELLED, _CONTACTED = (f"EXISTS (SELECT 1 FROM {table} AS c {_OF})" for table in ("cancellations", "contacts"))  # noqa: S608
_UNSETTLED = f"EXISTS (SELECT 1 FROM cancellations AS c {_OF} AND c.state IN ('issued', 'refunding'))"  # noqa: S608


def _kind_of_orders(name: str, period: Period, condition: str) -> Kind:
    """Return the kind of records that has the orders which fit the SQL `condition`, to be kept for `period`.

    For `CANCELLED`, the period begins at the end of the last cancellation; for `CONTACTED`, at the last entry of a
    contact; for `ORDERED`, when the service was provided or else when the order was registered.
    """
    gone = EventType.ORDER_FORGOTTEN
    return Kind(name, period, "orders", "orders.order_id", _LAST[period], condition, gone, "orders.customer_id")


def _of_customers(table: str, key: str, since: str, condition: str = "TRUE") -> Kind:
    """Return the kind of the records about customers in a table that fit a condition.

    The SQL `since` gives the begin of their period.
    """
    gone, owner = EventType.PRIVACY_FORGOTTEN, f"{table}.customer_id"
    return Kind(table, BESIDE, table, f"{table}.{key}", since, condition, gone, owner)


_ORDERLESS = "NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.customer_id = limits.customer_id)"  # nothing is limited
# What asks for a limit is kept as long as the limit: it is lifted by taking the request back.
_STANDING = (
    f"outcome = '{DataRequestOutcome.FULFILLED}' AND EXISTS (SELECT 1 FROM limits"  # noqa: S608
    " WHERE limits.customer_id = data_requests.customer_id AND limits.kind = data_requests.kind"
    f" AND lifted_at IS NULL AND NOT {_ORDERLESS})"
)

KINDS = (
    Kind(
        *("replies", REPLIES, "idempotency", "key_hash"),
        since=f"(expires_at - {idempotency.KEPT // MICROSECOND})",
        condition="expires_at <= :now",
        event=None,
        first=b"",
    ),
    Kind(
        *("details", DETAILS, "contacts JOIN orders USING (order_id)", "contact_id", "received_at"),
        # As in its index.
        condition="backdated = 0 AND (length(note) > 0 OR length(ticket_ref) > 0)",
        event=EventType.CONTACT_DETAILS_FORGOTTEN,
        owner="orders.customer_id",
    ),
    # What happens to an order comes after its registration, by clocks that may differ; that is quicker to see.
    _kind_of_orders("cancelled_orders", CANCELLED, f"registered_at < :soon AND {_CANCELLED} AND NOT {_UNSETTLED}"),
    _kind_of_orders("orders_with_contacts", CONTACTED, f"registered_at < :soon AND {_CONTACTED} AND NOT {_CANCELLED}"),
    _kind_of_orders("other_orders", ORDERED, f"NOT {_CONTACTED} AND NOT {_CANCELLED}"),
    Kind(
        *("unmatched_contacts", BESIDE, "unmatched_contacts", "unmatched_id"),
        since="coalesce(closed_at, CASE WHEN superseded_by IS NOT NULL THEN recorded_at END)",
        condition="is_open = 0 AND contact_id IS NULL",
        event=EventType.CONTACT_UNMATCHED_FORGOTTEN,
    ),
    _of_customers("data_requests", "request_id", "closed_at", f"NOT ({_STANDING})"),
    _of_customers("disclosures", "disclosure_id", "disclosed_at"),
    _of_customers(
        "limits",
        "limit_id",
        f"coalesce(lifted_at, CASE WHEN kind <> '{LimitKind.HOLD}' AND {_ORDERLESS} THEN set_at END)",
    ),
)
"""Every kind, in the order in which they are deleted."""


_FREE = (
    f"NOT EXISTS (SELECT 1 FROM limits AS held WHERE held.customer_id = {{}} AND held.kind = '{LimitKind.HOLD}'"  # noqa: S608
    " AND held.lifted_at IS NULL)"
)


class Retention(InTransaction):
    """The records whose time is over, as this transaction sees them."""

    def due(self, kind: Kind, before: datetime, after: str | bytes, limit: int) -> list[Row]:
        """Return up to `limit` records of a kind whose period began before an instant, sorted by key, after `after`.

        Records of customers on hold are left out.

        A row has the key as `id`, `since` as it is stored, and the `owner`.
        """
        place = f"{kind.key} > :after ORDER BY {kind.key} LIMIT :limit"
        return self._tx.all(f"{_due_query(kind)} AND {place}", **self._named(before), after=after, limit=limit)

    def lock_due(self, kind: Kind, before: datetime, rows: Collection[Row]) -> list[Row]:
        """Lock the customers and orders of the records in `rows`, read these records again, and return those still due.

        The result has rows as `due` returns them, by key, and leaves out records that were put on hold or are gone.
        """
        listed, named = named_list(row["id"] for row in rows)
        owners, owner_ids = named_list(sorted({row["owner"] for row in rows} - {None}))
        sql = f"SELECT customer_id FROM customers WHERE customer_id IN ({owners}) ORDER BY digest {{for_update}}"  # noqa: S608
        self._tx.all(sql, **owner_ids)
        if "orders" in kind.table:
            of = f"SELECT orders.order_id FROM {kind.table} WHERE {kind.key} IN ({listed})"  # noqa: S608
            sql = f"SELECT order_id FROM orders WHERE order_id IN ({of}) ORDER BY order_id {{for_update}}"  # noqa: S608
            self._tx.all(sql, **named)
        sql = f"{_due_query(kind)} AND {kind.key} IN ({listed}) ORDER BY {kind.key}"
        return self._tx.all(sql, **self._named(before), **named)

    def forget(self, kind: Kind, rows: Collection[Row]) -> None:
        """Delete records, which must be locked, with everything about them; then customers with no record left.

        Each gets an event, except stored replies. The details of contacts are emptied, and the contacts stay.
        """
        ids = [row["id"] for row in rows]
        if kind.event is None:
            idempotency.forget_expired(self._tx, ids, self._context.now)
        elif kind.event is EventType.CONTACT_DETAILS_FORGOTTEN:
            self._empty(ids)
        elif kind.table == "orders":
            self._delete_orders(ids)
        else:
            if kind.table == "unmatched_contacts":
                idempotency.forget_about(self._tx, (), ids)
            _delete(self._tx, kind.table, kind.key, ids)
            for one in ids:
                self._context.note(kind.event, one, {"records": {kind.table: [one]}})
        if kind.event is not None and (owners := {row["owner"] for row in rows} - {None}):
            Customers(self._context).forget_without_records(owners)

    def _named(self, before: datetime) -> dict[str, int]:
        """Return the parameters of `_due_query` in microseconds: `before`, `soon` (a day later) and `now`."""
        soon = before + timedelta(days=1)
        return {"before": micros(before), "soon": micros(soon), "now": micros(self._context.now)}

    def _empty(self, contact_ids: Iterable[str]) -> None:
        """Empty the notes and tickets of contacts, with events, and delete the replies about their orders."""
        listed, named = named_list(contact_ids)
        fields = ("note", "ticket_ref")
        found = self._tx.all(f"{CONTACTS.selection} WHERE contact_id IN ({listed})", **named)
        emptied = ", ".join(f"{name} = CASE WHEN {name} IS NOT NULL THEN :empty END" for name in fields)
        self._tx.run(f"UPDATE contacts SET {emptied} WHERE contact_id IN ({listed})", **named, empty=b"")  # noqa: S608
        idempotency.forget_about(self._tx, {row["order_id"] for row in found}, ())
        for row in found:
            data = {"fields": [name for name in fields if row[name]]}
            event, digest = EventType.CONTACT_DETAILS_FORGOTTEN, CONTACTS.digest(row)
            self._context.note(event, row["contact_id"], data, row["order_id"], digest)

    def _delete_orders(self, order_ids: Collection[str]) -> None:
        """Delete orders with all records and replies about them, each with an event that lists the records."""
        listed, named = named_list(order_ids)
        gone: dict[str, dict[str, list[str]]] = {one: {"orders": [one]} for one in order_ids}
        for table, key, more in _ABOUT_ORDERS:
            sql = f"SELECT order_id, {key} AS id FROM {table}{more} WHERE order_id IN ({listed}) ORDER BY {key}"  # noqa: S608
            found = self._tx.all(sql, **named)
            for row in found:
                gone[row["order_id"]].setdefault(table, []).append(row["id"])
            if table == "unmatched_contacts":
                idempotency.forget_about(self._tx, order_ids, [row["id"] for row in found])
            _delete(self._tx, table, key, [row["id"] for row in found])
        _delete(self._tx, "orders", "order_id", order_ids)
        for order_id, records in gone.items():
            self._context.note(EventType.ORDER_FORGOTTEN, order_id, {"records": records}, order_id)


_ABOUT_ORDERS = (
    ("unmatched_contacts", "unmatched_id", " JOIN contacts USING (contact_id)"),
    ("cancellations", "cancellation_id", ""),
    ("contacts", "contact_id", ""),
    ("promises", "promise_id", ""),
)
"""The records about orders, each before those that it refers to."""


def _due_query(kind: Kind) -> str:
    """Return the SQL that selects the records of a kind whose period is over and on which there is no hold.

    It has the columns `id`, `since` and `owner`, and ends with a condition, to which `AND ...` can be added.
    """
    free = "TRUE" if kind.owner == "NULL" else _FREE.format(kind.owner)
    return (
        f"SELECT {kind.key} AS id, {kind.since} AS since, {kind.owner} AS owner FROM {kind.table}"  # noqa: S608
        f" WHERE {kind.condition} AND {kind.since} < :before AND {free}"
    )


def _delete(tx: Transaction, table: str, key: str, ids: Iterable[str]) -> None:
    """Delete the rows of a table that have one of these ids as their `key`."""
    listed, named = named_list(ids)
    tx.run(f"DELETE FROM {table} WHERE {key} IN ({listed})", **named)  # noqa: S608
