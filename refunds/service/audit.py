"""The audit: whether journal and records are what they were when they were written.

The chain shows an edited, removed, swapped or inserted event; the digest in the last event about a record shows an
edited record; the seal shows an edited personal field; and the anchors outside show a journal cut short.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from refunds.domain.journal import Event, is_sound
from refunds.domain.records import Intent
from refunds.errors import RefundsError, Unreadable
from refunds.security.encryption import CLOSED, Tampered, Vault
from refunds.service.work import Work
from refunds.storage import Row, Transaction, cancellations, clients, contacts, events, keys, orders, policies, users
from refunds.storage.anchors import Anchor
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.clients import CLIENTS, TOKENS
from refunds.storage.contacts import CONTACTS
from refunds.storage.events import EVENTS
from refunds.storage.orders import ORDERS
from refunds.storage.policies import CLOSURES, POLICY_VERSIONS
from refunds.storage.table import Table
from refunds.storage.users import USERS


class Broken(RefundsError):
    """Journal or records are not what was written; the message names the first place."""

    exit_code = 20


class Shortened(Broken):
    """The journal is sound but ends before its last anchor."""

    exit_code: ClassVar[int] = 21


@dataclass(frozen=True, slots=True)
class Report:
    """How much was found sound; `anchored` is the position of the last anchor."""

    events: int
    records: int
    anchored: int


Digests = dict[tuple[str, str], bytes]
"""What the journal vouches for: the last digest of each record, by table and id."""


def verify(work: Work, anchors: Iterable[Anchor]) -> Report:
    """How much was found sound, if all was; raises `Broken` or `Shortened`, naming the first place that is not."""
    anchored: dict[int, bytes] = {}
    for anchor in anchors:
        if anchored.setdefault(anchor.position, anchor.hash) != anchor.hash:
            raise Broken(f"position {anchor.position}: anchored twice, differently: the journal was cut and grew anew")
    last, digests = _sound_journal(work, anchored)
    # First each record by itself, then what follows from others: so that the one that was touched is named.
    seen = {found for table, rows, _ in _RECORDS for found in _as_vouched_for(table, rows(work.tx), digests)}
    for name, row_id in digests.keys() - seen:
        raise Broken(f"{name} {row_id}: the record is missing")
    _check_customers(work)
    for table, rows, check in _RECORDS:
        for row in rows(work.tx):
            with _named(f"{table.name} {row[table.key]}"):
                check(work, row)
    return Report(last, len(seen), max(anchored, default=0))


def _sound_journal(work: Work, anchored: Mapping[int, bytes]) -> tuple[int, Digests]:
    """The position of the last event, and what the journal vouches for."""
    end, digests = events.NO_EVENT, Digests()
    for event in _read_events(work):
        position = end.position + 1
        if not is_sound(event, work.keys.audit, position, end.hash):
            raise Broken(f"position {position}: the journal is broken here")
        if anchored.get(position, event.hash) != event.hash:
            raise Broken(f"position {position}: this is not the event that was anchored")
        digests[table_of(event.type), event.subject] = event.digest
        end = events.moved(end, [event])
    position = end.position
    if position < max(anchored, default=0):
        raise Shortened(f"position {position}: the journal ends here, but was anchored at {max(anchored)}")
    try:
        head = events.head(work.tx)
    except _NO_VALUE:
        head = None
    if head != end:
        raise Broken(f"position {position + 1}: the journal does not end where its head says")
    return position, digests


def _read_events(work: Work) -> Iterator[Event]:
    position = 1
    try:
        for row in events.every(work.tx):
            if not EVENTS.fits(row):
                raise Broken(f"position {position}: the journal is broken here")
            yield EVENTS.read(row, CLOSED)
            position += 1
    except _NO_VALUE:
        raise Broken(f"position {position}: the journal is broken here") from None


_NO_VALUE = (ValueError, TypeError, OverflowError, MemoryError, Unreadable)
"""What reading something that the service has not written may raise."""


def _as_vouched_for(table: Table[Any], rows: Iterable[Row], digests: Digests) -> Iterator[tuple[str, str]]:
    """Table and id of every record that is as the journal says."""
    try:
        for row in rows:
            found = table.name, row[table.key]
            if not table.fits(row) or digests.get(found) != table.digest(row):
                raise Broken(f"{table.name} {row[table.key]}: not what the journal says it is")
            yield found
    except Unreadable as error:
        raise Broken(f"{table.name}: {error}") from None


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Say where it is that something does not open or does not follow."""
    try:
        yield
    except Tampered as error:
        raise Broken(f"{place}: {error}") from None


def _check_customers(work: Work) -> None:
    """There are the customers of the orders, and no others, and their keys open."""
    owners = orders.owners(work.tx)
    for row in keys.every(work.tx):
        with _named(f"customers {row['customer_id']}"):
            keys.vault(work.keys, row)
            if row["customer_id"] not in owners:
                raise Tampered("no order is this customer's")
        owners.remove(row["customer_id"])
    for customer_id in owners:
        raise Broken(f"customers {customer_id}: the record is missing")


def _check_order(work: Work, row: Row) -> None:
    order = ORDERS.read(row, keys.vault(work.keys, row))
    if order.customer_ref and keys.customer_digest(work.keys, order.customer_ref) != row["customer_digest"]:
        raise Tampered("its customer cannot be found by his reference")


def _check_contact(work: Work, row: Row) -> None:
    contact = CONTACTS.read(row, keys.vault(work.keys, row))
    asks = contact.intent is Intent.CANCEL and contact.resolved_at is None and contact.superseded_by is None
    if contact.superseded_by != row["successor"]:
        raise Tampered("it does not name the contact that supersedes it")
    if row["is_open"] != int(asks and not row["order_cancelled"]):
        raise Tampered("it is on the open list and should not be, or is not and should be")


def _check_closure(work: Work, row: Row) -> None:
    CLOSURES.read(row, Vault(work.keys.notes))


def _check_cancellation(work: Work, row: Row) -> None:
    CANCELLATIONS.read(row, keys.vault(work.keys, row))


def _nothing_more(_: Work, __: Row) -> None:
    pass


_RECORDS: tuple[tuple[Table[Any], Callable[[Transaction], Iterator[Row]], Callable[[Work, Row], None]], ...] = (
    (CLIENTS, clients.every_client, _nothing_more),
    (TOKENS, clients.every_token, _nothing_more),
    (USERS, users.every, _nothing_more),
    (POLICY_VERSIONS, policies.every_version, _nothing_more),
    (CLOSURES, policies.every_closure, _check_closure),
    (ORDERS, orders.every, _check_order),
    (CONTACTS, contacts.every, _check_contact),
    (CANCELLATIONS, cancellations.every, _check_cancellation),
)
_TABLES = {
    "order.": "orders",
    "contact.": "contacts",
    "cancellation.": "cancellations",
    "access.client": "clients",
    "access.token": "tokens",
    "access.user": "users",
    "policy.": "policy_versions",
    "closure.": "closures",
}


def table_of(event: str) -> str:
    """The table of the record that an event of this type is about."""
    return next(table for prefix, table in _TABLES.items() if event.startswith(prefix))
