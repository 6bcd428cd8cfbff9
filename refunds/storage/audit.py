"""The audit: whether the journal and the records are still as they were written.

The chain shows an edited, removed, swapped or inserted event; the digest in the last event about a record shows an
edited record; the encryption shows an edited personal field; and the checkpoints outside show a journal cut short.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from refunds.domain.journal import WITHOUT_RECORD, Event, is_sound
from refunds.errors import RefundsError, Unreadable
from refunds.security.encryption import NO_ACCESS, CustomerCipher, Tampered
from refunds.storage import Row, customers, events, keys, orders, unmatched
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.contacts import CONTACTS
from refunds.storage.events import EVENTS
from refunds.storage.lineage import lineage
from refunds.storage.mapper import RecordMapper, instant
from refunds.storage.orders import ORDERS
from refunds.storage.policies import CLOSURES
from refunds.storage.promises import PROMISES
from refunds.storage.repository import Context
from refunds.storage.tables import records, table_of
from refunds.storage.unmatched import UNMATCHED


class Broken(RefundsError):
    """The journal or a record is not as it was written; the message names the first place."""

    exit_code = 20


class Shortened(Broken):
    """The journal is sound but ends before its last checkpoint."""

    exit_code: ClassVar[int] = 21


@dataclass(frozen=True, slots=True)
class Report:
    """How much was found sound; `checkpointed` is the position of the last checkpoint, 0 if there is none."""

    events: int
    records: int
    checkpointed: int


Digests = dict[tuple[str, str], bytes]
"""What the journal vouches for: the last digest of each record, by table and id."""


def verify(context: Context, checkpoints: Iterable[Checkpoint]) -> Report:
    """Check the journal against itself, the records and the checkpoints; returns how much was checked.

    Raises `Shortened` if the journal is sound but ends before its last checkpoint, and `Broken`, naming the first
    place, if anything else is not sound. Two different checkpoints at one position are `Broken`, too.
    """
    checkpointed = _checkpointed(context, checkpoints)
    last, digests = _sound_journal(context, checkpointed)
    # Each record by itself first, then against others, so that the error names the record that was changed.
    seen = {found for table, rows in records() for found in _as_vouched_for(table, rows(context.tx), digests)}
    for name, row_id in digests.keys() - seen:
        raise Broken(f"{name} {row_id}: the record is missing")
    _check_customers(context)
    for table, rows in records():
        if check := _CHECKS.get(table.name):
            for row in rows(context.tx):
                with _named(f"{table.name} {row[table.key]}"):
                    check(context, row)
    return Report(last, len(seen), max(checkpointed, default=0))


def _checkpointed(context: Context, checkpoints: Iterable[Checkpoint]) -> dict[int, bytes]:
    """The hash of each position of this journal that has a checkpoint.

    Raises `Broken` if two of its checkpoints differ, or if the last of all is of another journal.
    """
    try:
        of_journal = lineage(context.tx, events.head(context.tx))
    except _NO_VALUE:
        raise Broken("position 1: the journal does not end where its head says") from None
    checkpointed: dict[int, bytes] = {}
    written = list(checkpoints)
    if written and not of_journal.includes(written[-1]):
        raise Broken(
            "the journal's head names another journal than the last checkpoint: this is not the database that was used"
        )
    for checkpoint in of_journal.own(written):
        if checkpointed.setdefault(checkpoint.position, checkpoint.hash) != checkpoint.hash:
            raise Broken(
                f"position {checkpoint.position}: two checkpoints differ: the journal was cut short and grew again"
            )
    return checkpointed


def _sound_journal(context: Context, checkpointed: Mapping[int, bytes]) -> tuple[int, Digests]:
    """The position of the last event, and what the journal vouches for.

    Raises `Shortened` if it ends before its last checkpoint, and `Broken` if an event is not sound, or not that of its
    checkpoint, or if the head is not the last event.
    """
    end, digests = events.NO_EVENT, Digests()
    for event in _read_events(context):
        position = end.position + 1
        if not is_sound(event, context.keys.audit, position, end.hash):
            raise Broken(f"position {position}: the journal is broken here")
        if checkpointed.get(position, event.hash) != event.hash:
            raise Broken(f"position {position}: this is not the event of the checkpoint")
        if event.type not in WITHOUT_RECORD:
            digests[table_of(event.type) or event.type, event.subject] = event.digest
        end = events.moved(end, [event])
    position = end.position
    if position < max(checkpointed, default=0):
        raise Shortened(f"position {position}: the journal ends here, but has a checkpoint at {max(checkpointed)}")
    try:
        head = events.head(context.tx)
    except _NO_VALUE:
        head = None
    if head is None or head._replace(journal_id=None) != end:  # the id is not part of the chain
        raise Broken(f"position {position + 1}: the journal does not end where its head says")
    return position, digests


def _read_events(context: Context) -> Iterator[Event]:
    """Every event, from the first; raises `Broken` if the service cannot have written one."""
    position = 1
    try:
        for row in events.iter_all(context.tx):
            if not EVENTS.fits(row):
                raise Broken(f"position {position}: the journal is broken here")
            yield EVENTS.load(row, NO_ACCESS)
            position += 1
    except _NO_VALUE:
        raise Broken(f"position {position}: the journal is broken here") from None


_NO_VALUE = (ValueError, TypeError, OverflowError, MemoryError, Unreadable)
"""The errors of reading a value that the service has not written."""


def _as_vouched_for(table: RecordMapper[Any], rows: Iterable[Row], digests: Digests) -> Iterator[tuple[str, str]]:
    """The table and id of every record; raises `Broken` if one is not what the journal's last event about it says."""
    try:
        for row in rows:
            found = table.name, row[table.key]
            if not table.fits(row) or digests.get(found) != table.digest(row):
                raise Broken(f"{table.name} {row[table.key]}: differs from the journal")
            yield found
    except Unreadable as error:
        raise Broken(f"{table.name}: {error}") from None


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Turn a `Tampered` that leaves the block into a `Broken` that names the place; other errors pass."""
    try:
        yield
    except Tampered as error:
        raise Broken(f"{place}: {error}") from None


def _check_customers(context: Context) -> None:
    """Raise `Broken` unless exactly the customers of the orders exist, and their keys decrypt."""
    owners = orders.owners(context.tx)
    for row in customers.iter_all(context.tx):
        with _named(f"customers {row['customer_id']}"):
            keys.cipher(context.keys, row)
            if row["customer_id"] not in owners:
                raise Tampered("the customer has no order")
        owners.remove(row["customer_id"])
    for customer_id in owners:
        raise Broken(f"customers {customer_id}: the record is missing")


def _check_order(context: Context, row: Row) -> None:
    order = ORDERS.load(row, keys.cipher(context.keys, row))
    if order.customer_ref and customers.digest_of(context.keys, order.customer_ref) != row["customer_digest"]:
        raise Tampered("its reference is not its customer's")


def _check_contact(context: Context, row: Row) -> None:
    contact = CONTACTS.load(row, keys.cipher(context.keys, row))
    asks = contact.intent.asks and contact.resolved_at is None and contact.superseded_by is None
    if contact.superseded_by != row["successor"]:
        raise Tampered("it does not name the contact that supersedes it")
    if row["is_open"] != int(asks and not row["order_cancelled"]):
        raise Tampered("it is wrongly on the open list, or wrongly missing from it")


def _check_unmatched(context: Context, row: Row) -> None:
    found = UNMATCHED.load(row, unmatched.cipher(context, row["unmatched_id"], row["wrapped_key"]))
    if (found.wrapped_key is None) != (found.contact_id is not None):
        raise Tampered("its key is missing, or was not destroyed when it was matched")


def _check_promise(_: Context, row: Row) -> None:
    if row["is_current"] != int(row["best"] == row["promise_id"]):
        raise Tampered("it is wrongly the promise of its order, or wrongly not")
    if PROMISES.load(row, NO_ACCESS).told.deadline != instant(row["deadline"]):
        raise Tampered("its deadline is not that of its window")


def _check_closure(context: Context, row: Row) -> None:
    CLOSURES.load(row, CustomerCipher(context.keys.notes))


def _check_cancellation(context: Context, row: Row) -> None:
    CANCELLATIONS.load(row, keys.cipher(context.keys, row))


_CHECKS: dict[str, Callable[[Context, Row], None]] = {
    "closures": _check_closure,
    "orders": _check_order,
    "promises": _check_promise,
    "contacts": _check_contact,
    "unmatched_contacts": _check_unmatched,
    "cancellations": _check_cancellation,
}
"""Further checks of a record: its personal fields decrypt, and it agrees with other records."""
