"""Everything stored about an order: loaded for the reader, followed in the journal, and compared with it.

Records that cannot be read, differ from the journal, or do not agree with others are named to every reader.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from refunds.domain.instants import zone
from refunds.domain.journal import (
    ABOUT_POLICIES,
    WITHOUT_RECORD,
    Event,
    EventType,
    is_sound,
    records_deleted_by,
    update_emptied,
)
from refunds.domain.records import Cancellation, Closure, Contact, Order, Promise, RegisteredVersion
from refunds.domain.regions import is_lost, known_region_or_country
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import InvalidInput, Message, OrderNotFound
from refunds.security.encryption import NO_ACCESS, CustomerCipher, Tampered
from refunds.storage import Row, Transaction, audit, events, keys, policies
from refunds.storage.cancellations import CANCELLATIONS, Cancellations
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.contacts import CONTACTS, Contacts
from refunds.storage.events import Events
from refunds.storage.lineage import lineage
from refunds.storage.mapper import RecordMapper, number
from refunds.storage.orders import ORDERS, Orders
from refunds.storage.policies import CLOSURES, POLICY_VERSIONS, ClosureRepository, Versions
from refunds.storage.promises import PROMISES, Promises
from refunds.storage.repository import Context, Repository
from refunds.storage.tables import table_of
from refunds.storage.unmatched import UNMATCHED, Unmatched

R = TypeVar("R")


class Link(NamedTuple):
    """An event about the order, and the checkpoint up to which the journal was checked from there; None: its end."""

    event: Event
    checkpoint: Checkpoint | None


class Inspection:
    """The records of an order, as the reader may see them, without those that cannot be read.

    `order` is None if it cannot be read. `faults` names the records that cannot be read or do not agree with others;
    `follow` compares them with the journal, too. Raises `OrderNotFound` if there neither is nor was such an order.
    """

    def __init__(self, context: Context, order_id: str) -> None:
        self._context, self._tx = context, context.tx
        self._tx.read_any_text()
        self.faults: list[Message] = []
        self._events = Events.rows_of_order(self._tx, order_id)
        self._rows = {kind.mapper: kind.rows_of_order(self._tx, order_id) for kind in _ABOUT_ORDERS}
        if not self._rows[ORDERS] and not self._events:
            raise OrderNotFound
        self._erased: set[str] = set()
        for event in filter(None, map(events.readable_event, self._events)):
            update_emptied(self._erased, event)
        self._cipher, self._has_key = NO_ACCESS, True
        for row in self._rows[ORDERS]:
            self._find_key(row)
        self.order: Order | None = next(iter(self._readable(ORDERS)), None)
        self.promises: list[Promise] = self._readable(PROMISES)
        self.unmatched: list[UnmatchedContact] = self._readable(UNMATCHED)  # emptied when they were matched
        self.contacts: list[Contact] = self._readable(CONTACTS)
        self.cancellations: list[Cancellation] = self._readable(CANCELLATIONS)

    def versions_and_closures(self, ids: Collection[str]) -> tuple[list[RegisteredVersion], list[Closure]]:
        """Return the versions and closures with these ids that can be read, even if wrong.

        Those that are wrong or cannot be read are named in `faults`.
        """
        for kind in (Versions, ClosureRepository):
            table = kind.mapper
            self._rows[table] = [row for row in kind.iter_rows(self._tx) if row[table.key] in ids]
        return self._readable(POLICY_VERSIONS), self._readable(CLOSURES)

    def follow(self, checkpoints: Sequence[Checkpoint], ids: Collection[str]) -> tuple[list[Link], list[Message]]:
        """Check the order's journal and records; return all events, each with its next checkpoint, and all faults.

        Call `versions_and_closures` for the `ids` first, and this method once. The events are about the order, and
        about the versions and closures with these `ids`. The journal is checked from each event to the next
        checkpoint, or to its end, and each record is compared with the last event about it. `checkpoints` are in the
        order in which they were written.
        """
        tx = self._tx
        about_policies = events.rare_of_types(tx, ABOUT_POLICIES)
        rows = [*self._events, *(row for row in about_policies if row["subject"] in ids)]
        self.faults += [audit.at(row["position"], audit.BROKEN) for row in rows if events.readable_event(row) is None]
        found = sorted(filter(None, map(events.readable_event, rows)), key=lambda event: event.position)
        try:
            head = events.head(tx)
            of_journal = lineage(tx, head)
            end, own = head.position, sorted(of_journal.own(checkpoints))
            last = about_policies[-1]["position"] if about_policies else 0
            if (head.hash, head.policies_at) != (events.hash_at(tx, end), last):
                self.faults.append(audit.at(end + 1, audit.HEADLESS))
            if checkpoints and not of_journal.includes(checkpoints[-1]):
                self.faults.append(audit.ANOTHER)
        except audit.NO_VALUE:
            end, own = max((event.position for event in found), default=0), []
            self.faults.append(audit.at(end + 1, audit.HEADLESS))
        journal, broken = _followed(tx, self._context.keys.audit, found, end, own)
        return journal, [*broken, *_not_as_journalled(self._rows, found), *self.faults]

    def _find_key(self, row: Row) -> None:
        """Set `_cipher` to the one of an order's customer for the reader, and add the customer to `_erased` if erased.

        A damaged key adds a line to `faults` and leaves the reader without a cipher. `row` has the order and the key.
        """
        try:
            cipher = keys.cipher(self._context.keys, row)
        except Tampered as error:
            self._has_key = False
            self.faults.append(audit.placed(f"customers {row['customer_id']}", error.detail))
        else:
            if cipher.is_erased:
                erased = events.rare_of_types(self._tx, [EventType.CUSTOMER_ERASED], {row["customer_id"]})
                self._erased |= {event["subject"] for event in erased}
            self._cipher = self._context.for_reader(row)

    def _readable(self, table: RecordMapper[R]) -> list[R]:
        """Return a table's records that can be read, even if wrong; add wrong and unreadable ones to `faults`.

        If the customer's key is damaged, only unreadable records are added to `faults`.
        """
        cipher = self._context.notes if table is CLOSURES else self._cipher
        found = []
        for row in self._rows[table]:
            record = _loaded(table, row, cipher)
            fault: str | None = audit.UNREADABLE if record is None else None
            if record is not None and self._has_key:
                fault = audit.checked(self._context, table, row, self._erased)
            if fault is not None:
                self.faults.append(audit.placed(f"{table.name} {row[table.key]}", fault))
            if record is not None:
                found.append(record)
        return found


_ABOUT_ORDERS: tuple[type[Repository[Any]], ...] = (Orders, Promises, Unmatched, Contacts, Cancellations)


def _loaded(table: RecordMapper[R], row: Row, cipher: CustomerCipher) -> R | None:
    """Return the record in a row, without personal fields if they cannot be decrypted; None if it cannot be read.

    A record with an unknown time zone or region counts as unreadable.
    """
    try:
        if not table.fits(row):
            return None
        try:
            record = table.load(row, cipher)
        except Tampered:
            record = table.load(row, NO_ACCESS)
        if isinstance(record, RegisteredVersion):
            policies.version_of(record)
        for counted in (getattr(record, "told", None), getattr(record, "outcome", None)):
            if counted is not None:
                zone(counted.time_zone)
                if not (is_lost(counted.region) or known_region_or_country(counted.region)):
                    return None
    except (*audit.NO_VALUE, AttributeError, InvalidInput):
        return None
    return record


def _followed(
    tx: Transaction, key: bytes, found: list[Event], end: int, checkpoints: Sequence[Checkpoint]
) -> tuple[list[Link], list[Message]]:
    """Return each given event with the next checkpoint, or None, and the faults found in the journal.

    The journal is checked from each event up to its checkpoint or, without one, to `end`, the last position of the
    journal; it is also at fault if events are missing, or if the last checkpoint is after `end`. The events and the
    checkpoints must be sorted by position.
    """
    journal: list[Link] = []
    broken: list[Message] = []
    if checkpoints and checkpoints[-1].position > end:
        broken.append(audit.cut_short_text(end, checkpoints[-1].position))
    followed_to = 0
    if found:
        there = number(tx, "SELECT count(*) FROM events WHERE position >= :first", first=found[0].position)
        if gap := end - found[0].position + 1 - there:
            broken.append(audit.at(found[0].position, audit.missing_text(gap)))
    for event in found:
        checkpoint = next((one for one in checkpoints if event.position <= one.position <= end), None)
        journal.append(Link(event, checkpoint))
        if event.position > followed_to:
            followed_to = checkpoint.position if checkpoint else end
            broken += _first_fault(tx, key, event, followed_to, checkpoint)
    return journal, broken


def _first_fault(
    tx: Transaction, key: bytes, first: Event, end: int, checkpoint: Checkpoint | None
) -> Iterator[Message]:
    """Yield the first fault of the journal from the event `first` to the position `end`; nothing if there is no fault.

    It is also a fault if no event is at `end`, or if that event has another hash than `checkpoint`, if given.
    """
    previous, position = first.previous, first.position
    for row in events.between(tx, first.position, end):
        event = events.readable_event(row)
        if event is None or not is_sound(event, key, position, previous):
            yield audit.at(position, audit.BROKEN)
            return
        previous, position = event.hash, position + 1
    if position != end + 1 or (checkpoint is not None and checkpoint.hash != previous):
        yield audit.at(position - 1, audit.NOT_OF_CHECKPOINT)


def _not_as_journalled(rows: Mapping[RecordMapper[Any], list[Row]], found: list[Event]) -> Iterator[Message]:
    """Yield a fault for each record in which `rows` and the events differ, such as a missing one or one without event.

    Each record must be as its last event in `found` left it; a forgotten one must not be in `rows`.
    """
    digests: dict[tuple[str, str], bytes] = {}
    for event in found:
        if event.type not in WITHOUT_RECORD and (name := table_of(event.type)):
            digests[name, event.subject] = event.digest
        for gone in records_deleted_by(event):
            digests.pop(gone, None)
    there = {(table.name, row[table.key]): table.digest(row) for table, of in rows.items() for row in of}
    for name, record_id in sorted(digests.keys() | there.keys(), key=repr):
        if (name, record_id) not in there:
            yield audit.placed(f"{name} {record_id}", audit.MISSING)
        elif digests.get((name, record_id)) != there[name, record_id]:
            yield audit.placed(f"{name} {record_id}", audit.DIFFERS)
