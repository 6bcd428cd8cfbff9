"""The audit: whether journal and records are what they were when they were written.

The chain shows an edited, removed, swapped or inserted event; the digest in the last event about a record shows an
edited record; the seal shows an edited personal field; and the anchors outside show a journal cut short.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from refunds.errors import RefundsError
from refunds.journal import GENESIS, Event, is_sound
from refunds.records import Intent
from refunds.secrecy import Tampered, keyed_digest
from refunds.service.books import Work
from refunds.storage import Row, cancellations, clients, contacts, events, keys, orders
from refunds.storage.anchors import Anchor
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.clients import CLIENTS, TOKENS
from refunds.storage.contacts import CONTACTS
from refunds.storage.events import EVENTS
from refunds.storage.orders import ORDERS
from refunds.storage.table import Table


class Broken(RefundsError):
    """Journal or records are not what was written; the message names the first place."""

    exit_code = 20


class Shortened(Broken):
    """The journal is sound but ends before its last anchor."""

    exit_code: ClassVar[int] = 21


@dataclass(slots=True)
class Report:
    """What was found sound."""

    events: int = 0
    records: int = 0
    anchored: int = 0
    """The position of the last anchor."""


@dataclass(slots=True)
class _Vouched:
    """What the journal vouches for: the last digest of each record by table and id, and the customers."""

    digests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)

    def hear(self, event: Event) -> None:
        """Take in what an event says."""
        table = next(table for prefix, table in _TABLES.items() if event.type.startswith(prefix))
        self.digests[table, event.subject] = event.digest
        if event.type == "order.registered":
            self.customers.add(orjson.loads(event.data)["customer_id"])
        elif event.type == "order.corrected":
            self.customers.update(orjson.loads(event.data)["changed"].get("customer_id", ()))


def verify(work: Work, anchors: Iterable[Anchor]) -> Report:
    """What was found sound, if all was; raises `Broken` or `Shortened`, naming the first place that is not."""
    report, vouched = Report(), _Vouched()
    anchored = {anchor.position: anchor.hash for anchor in anchors}
    report.anchored = max(anchored, default=0)
    last_hash = GENESIS
    for event in _read_events(work):
        position = report.events + 1
        if not is_sound(event, work.keys.audit, position, last_hash):
            raise Broken(f"position {position}: the journal is broken here")
        if anchored.get(position, event.hash) != event.hash:
            raise Broken(f"position {position}: this is not the event that was anchored")
        vouched.hear(event)
        report.events, last_hash = position, event.hash
    if report.events < report.anchored:
        raise Shortened(f"position {report.events}: the journal ends here, but was anchored at {report.anchored}")
    if events.head(work.tx) != (report.events, last_hash):
        raise Broken(f"position {report.events + 1}: the journal does not end where its head says")
    for name, row_id in _sound_records(work, vouched):
        report.records += 1
        vouched.digests.pop((name, row_id))
    for name, row_id in vouched.digests:
        raise Broken(f"{name} {row_id}: the record is missing")
    return report


def _read_events(work: Work) -> Iterator[Event]:
    for position, row in enumerate(events.every(work.tx), 1):
        try:
            event = EVENTS.read(row, clients.NOBODYS)
        except (ValueError, TypeError, OverflowError):
            raise Broken(f"position {position}: the journal is broken here") from None
        yield event


def _sound_records(work: Work, vouched: _Vouched) -> Iterator[tuple[str, str]]:
    """Table and id of every record that is as the journal says; raises `Broken`."""
    for customer_id in keys.customer_ids(work.tx):
        if customer_id not in vouched.customers:
            raise Broken(f"customers {customer_id}: the journal knows no such customer")
    checks: tuple[tuple[Table[Any], Iterable[Row], Callable[[Work, Row], None]], ...] = (
        (CLIENTS, clients.every_client(work.tx), _nothing_more),
        (TOKENS, clients.every_token(work.tx), _nothing_more),
        (ORDERS, orders.every(work.tx), _check_order),
        (CONTACTS, contacts.every(work.tx), _check_contact),
        (CANCELLATIONS, cancellations.every(work.tx), _check_cancellation),
    )
    for table, rows, check in checks:
        for row in rows:
            row_id = row[table.key]
            if vouched.digests.get((table.name, row_id)) != table.digest(row):
                raise Broken(f"{table.name} {row_id}: not what the journal says it is")
            try:
                check(work, row)
            except Tampered as error:
                raise Broken(f"{table.name} {row_id}: {error}") from None
            yield table.name, row_id


def _nothing_more(_: Work, __: Row) -> None:
    pass


def _check_order(work: Work, row: Row) -> None:
    order = ORDERS.read(row, keys.vault(work.keys, row))
    if order.customer_ref and keyed_digest(work.keys.lookup, order.customer_ref.encode()) != row["customer_digest"]:
        raise Tampered("its customer cannot be found by his reference")


def _check_contact(work: Work, row: Row) -> None:
    contact = CONTACTS.read(row, keys.vault(work.keys, row))
    asks = contact.intent is Intent.CANCEL and contact.resolved_at is None and contact.superseded_by is None
    if contact.superseded_by != row["successor"]:
        raise Tampered("it does not name the contact that supersedes it")
    if contact.is_open != (asks and not row["order_cancelled"]):
        raise Tampered("it is on the open list and should not be, or is not and should be")


def _check_cancellation(work: Work, row: Row) -> None:
    CANCELLATIONS.read(row, keys.vault(work.keys, row))


_TABLES = {
    "order.": "orders",
    "contact.": "contacts",
    "cancellation.": "cancellations",
    "access.client": "clients",
    "access.token": "tokens",
}
