"""The audit: whether the journal and the records are still as they were written.

The chain shows an edited, removed, swapped or inserted event; the digest in the last event about a record shows an
edited record; the encryption shows an edited personal field; and the checkpoints outside show a journal cut short.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, ClassVar

from refunds.domain.journal import (
    ABOUT_POLICIES,
    WITHOUT_RECORD,
    Event,
    EventType,
    is_sound,
    records_deleted_by,
    update_emptied,
)
from refunds.domain.records import Contact, Order, Promise, id_within
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, RefundsError, Unreadable
from refunds.security.encryption import NO_ACCESS, CustomerCipher, Erased, Tampered
from refunds.storage import Row, customers, events, keys, unmatched
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.events import Events
from refunds.storage.lineage import lineage
from refunds.storage.mapper import RecordMapper
from refunds.storage.policies import CLOSURES
from refunds.storage.privacy import DATA_REQUESTS
from refunds.storage.repository import Context, Repository
from refunds.storage.tables import RECORDS, table_of
from refunds.storage.unmatched import UNMATCHED


class Broken(RefundsError):
    """The journal or a record is not as it was written; the message names the place."""

    exit_code = 20


class Shortened(Broken):
    """The journal is sound but ends before its last checkpoint."""

    exit_code: ClassVar[int] = 21


@dataclass(slots=True)
class Report:
    """How much was compared, with the hash of the last event; `checkpointed` is the last checkpoint's position, or 0.

    `accepted` are the events with which operators accepted another state of the records.
    """

    events: int = 0
    hash: bytes = field(default=b"", compare=False)
    records: int = 0
    checkpointed: int = 0
    accepted: Sequence[Event] = ()


Place = tuple[str, str]
"""A record: its table and its id."""


def faults(context: Context, checkpoints: Iterable[Checkpoint], report: Report) -> Iterator[Broken]:
    """Yield a fault for everything in the journal and the records that is not sound, and fill `report` meanwhile.

    Each is a `Broken` that names its place; one is `Shortened` if the journal ends before its last checkpoint. Two
    different checkpoints at one position are a fault, too. A fault in the journal is yielded once, and not again for
    what it makes wrong; but a record differs from the journal if the last event about it is missing or not sound.
    """
    context.tx.read_any_text()
    checkpointed: dict[int, bytes] = {}
    yield from _collect(context, checkpoints, checkpointed)
    report.checkpointed = max(checkpointed, default=0)
    journal = _Journal(context, checkpointed)
    yield from journal.faults()
    report.events, report.hash, report.accepted = journal.end.position, journal.end.hash, journal.accepted
    yield from _Records(context, journal, report).faults()


def _collect(context: Context, checkpoints: Iterable[Checkpoint], found: dict[int, bytes]) -> Iterator[Broken]:
    """Fill `found` with the hashes of this journal's checkpoints, by position, and yield faults of checkpoints.

    The faults: two at one position differ, or the last is of another journal. Without a readable head, it does nothing.
    """
    try:
        of_journal = lineage(context.tx, events.head(context.tx))
    except NO_VALUE:  # the end of the journal is a fault then
        return
    written = list(checkpoints)
    if written and not of_journal.includes(written[-1]):
        yield Broken(ANOTHER)
    for checkpoint in of_journal.own(written):
        if found.setdefault(checkpoint.position, checkpoint.hash) != checkpoint.hash:
            yield Broken(
                at(checkpoint.position, Message("two checkpoints differ: the journal was cut short and grew again"))
            )


def at(position: int, fault: str) -> Message:
    """Return the text that says that a `fault` is at a position of the journal."""
    return placed(Message("position %(position)s", position=position), fault)


def placed(place: str, fault: str) -> Message:
    """Return the text that says that a `fault` is in a place, such as a record: `PLACE: FAULT`."""
    return Message("%(place)s: %(fault)s", place=place, fault=fault)


def cut_short_text(end: int, checkpoint: int) -> Message:
    """Return the text that says that the journal ends at the position `end`, before that of a `checkpoint`."""
    text = Message("the journal ends here, but has a checkpoint at %(checkpoint)s", checkpoint=checkpoint)
    return at(end, text)


def missing_text(count: int) -> Message:
    """Return the text that says that this many events are missing; it names no place."""
    if count == 1:
        return Message("the event is missing")
    return Message("%(count)s events are missing from here on", count=count)


class _Journal:
    """Checks the journal from its first event to its last; `digests` has the digest of each record by its last event.

    An event can be sound after one that is not, because its hash covers the name of the one before it.
    """

    def __init__(self, context: Context, checkpointed: Mapping[int, bytes]) -> None:
        """Prepare to check a journal; `checkpointed` has the hash of the event at each position with a checkpoint."""
        self._context, self._checkpointed = context, checkpointed
        self.end = self._sound = events.NO_EVENT
        """The heads after the last event that is in its place, and after the last sound one."""
        self.digests: dict[Place, bytes] = {}
        self.erased: set[str] = set()
        """The customers who were erased, and the single fields that were emptied, as `update_emptied` names them."""
        self.accepted: list[Event] = []

    def faults(self) -> Iterator[Broken]:
        """Yield every fault of the journal, by position, and note what its sound events say of records."""
        chained_to: bytes | None = self.end.hash
        expected, agrees = 1, True
        for row in Events.iter_rows(self._context.tx):
            position = row["position"]
            if position < expected:  # the service has never written one before the first
                yield Broken(at(expected, BROKEN))
                continue
            if position > expected:
                yield Broken(at(expected, missing_text(position - expected)))
            event = events.readable_event(row)
            if event is None or not is_sound(event, self._context.keys.audit, position, event.previous):
                yield Broken(at(position, BROKEN))
                if position == expected:
                    self._pass_over(row)
                expected, chained_to = position + 1, None
                continue
            if position == expected and chained_to not in (None, event.previous):
                yield Broken(at(position, BROKEN))
            expected, chained_to = position + 1, event.hash
            if (due := self._checkpointed.get(position)) is not None:
                if agrees and due != event.hash:
                    yield Broken(at(position, NOT_OF_CHECKPOINT))
                agrees = due == event.hash
            self._add_verified(event)
        yield from self._ending()

    def _add_verified(self, event: Event) -> None:
        """Move the end of the journal to a sound event, and note what it says for the comparison with the records.

        That is the digest of its record, the records that it forgot, who was erased, or a state that was accepted.
        """
        if event.type == EventType.AUDIT_ACCEPTED:
            self.accepted.append(event)
        update_emptied(self.erased, event)
        for place in records_deleted_by(event):
            self.digests.pop(place, None)
        if event.type not in WITHOUT_RECORD:
            self.digests[table_of(event.type) or event.type, event.subject] = event.digest
        self.end = self._sound = events.moved(self.end, [event])

    def _pass_over(self, row: Row) -> None:
        """Go on to an event that is not sound, and keep only its position and hash: the head may still be right."""
        position = row["position"]
        self.end = self.end._replace(position=position, hash=row["hash"])
        if row["type"] in ABOUT_POLICIES:
            self.end = self.end._replace(policies_at=position, policies_hash=row["hash"])

    def _ending(self) -> Iterator[Broken]:
        """Yield the faults of the journal's end: it is before the last checkpoint, or not where the head says."""
        position, last = self.end.position, max(self._checkpointed, default=0)
        if position < last:
            yield Shortened(cut_short_text(position, last))
        try:
            head = events.head(self._context.tx)
        except NO_VALUE:
            head = None
        if (head and head._replace(journal_id=None)) not in (self.end, self._sound):
            yield Broken(at(position + 1, HEADLESS))


ANOTHER = Message("the journal's head names another journal than the last checkpoint")
HEADLESS = Message("the journal does not end where its head says")
NOT_OF_CHECKPOINT = Message("this is not the event of the checkpoint")
BROKEN = Message("the journal is broken here")
MISSING = Message("the record is missing")
DIFFERS = Message("differs from the journal")
UNREADABLE = Message("cannot be read as it is stored")

UNEXPLAINED = Message("it was emptied, and no event says so, or the other way round")

NO_VALUE = (ValueError, TypeError, LookupError, OverflowError, MemoryError, Unreadable)
"""The errors of reading a value that the service has not written."""


class _Records:
    """Checks the records, each against the digest in the journal, and then against other records."""

    def __init__(self, context: Context, journal: _Journal, report: Report) -> None:
        self._context, self._digests, self._erased, self._report = context, journal.digests, journal.erased, report
        self._named: set[tuple[str, Any]] = {("customers", None)}  # the id of one who is missing, and named as such
        """The records that have a fault."""

    def faults(self) -> Iterator[Broken]:
        """Yield the faults of all records, and count the records in the report.

        First come records that differ from the journal or are missing, then customers, then records that cannot be read
        or do not agree with others, without those already named.
        """
        for kind in RECORDS:
            table = kind.mapper
            for row in kind.iter_rows(self._context.tx):
                self._report.records += 1
                place = table.name, row[table.key]
                vouched_for = self._digests.pop(place, None)
                if not table.fits(row) or vouched_for != table.digest(row):
                    yield self._fault(place, DIFFERS)
        for place in sorted(self._digests):
            yield self._fault(place, MISSING)
        yield from self._customers()
        for kind in RECORDS:
            if kind.mapper.name in _CHECKED:
                yield from self._unreadable(kind)

    def _fault(self, place: Place, fault: str) -> Broken:
        """Return the fault of a record, and remember the record as one that has a fault."""
        self._named.add(place)
        return Broken(placed(f"{place[0]} {place[1]}", fault))

    def _customers(self) -> Iterator[Broken]:
        """Yield a fault for each customer that is missing, has no record or damaged key, or contradicts the events."""
        tx = self._context.tx
        owners = customers.owners(tx)
        for row in customers.iter_wrapped_keys(tx):
            place = "customers", row["customer_id"]
            try:
                keys.cipher(self._context.keys, row)
            except Tampered as error:
                yield self._fault(place, error.detail)
            if (row["wrapped_key"] == b"") != (row["customer_id"] in self._erased):
                yield self._fault(place, UNEXPLAINED)
            if row["customer_id"] not in owners:
                yield self._fault(place, Message("the customer has no order"))
            owners.discard(row["customer_id"])
        for customer_id in sorted(map(str, owners)):
            yield self._fault(("customers", customer_id), MISSING)

    def _unreadable(self, kind: type[Repository[Any]]) -> Iterator[Broken]:
        """Yield the fault that `checked` finds in each record of a kind.

        Records that have a fault already, or whose customer has one, are left out: a customer's damaged key makes all
        their records unreadable, so it is reported once.
        """
        for row in kind.iter_rows(self._context.tx):
            place, owner = (kind.mapper.name, row[kind.mapper.key]), ("customers", row.get("customer_id", ""))
            if not {place, owner} & self._named and (fault := checked(self._context, kind.mapper, row, self._erased)):
                yield self._fault(place, fault)


def checked(context: Context, table: RecordMapper[Any], row: Row, erased: AbstractSet[str]) -> str | None:
    """Return what is wrong with a record, apart from its digest; None if nothing is.

    A record is wrong if it cannot be read, does not agree with other records, or has an empty field although `erased`
    names neither its customer nor the field, as `RECORD/FIELD`.
    """
    empty = {id_within(row[table.key], name) for name in table.personal if row[name] == b""}
    if row.get("customer_id") not in erased and not empty <= erased:
        return UNEXPLAINED
    try:
        if table.name in _CHECKED:
            record = table.load(row, _cipher(context, table, row))
            if check := _CHECKS.get(table.name):
                check(context, row, record)
    except Tampered as error:
        return error.detail
    except NO_VALUE:
        return UNREADABLE
    return None


def _cipher(context: Context, table: RecordMapper[Any], row: Row) -> CustomerCipher:
    """Return the cipher of the personal fields in a row; `NO_ACCESS` if it has none or is about no customer.

    Raises `Tampered` if the key cannot be decrypted.
    """
    if table is CLOSURES:
        return CustomerCipher(context.keys.notes)
    if table is UNMATCHED:
        return unmatched.cipher(context, row["unmatched_id"], row["wrapped_key"])
    of_nobody = not table.personal or (table is DATA_REQUESTS and row["customer_id"] is None)
    return NO_ACCESS if of_nobody else keys.cipher(context.keys, row)


def _check_order(context: Context, row: Row, order: Order) -> None:
    """Raise `Tampered` if an order's readable customer reference is not that of its customer."""
    ref = None if isinstance(order.customer_ref, Erased) else order.customer_ref
    if ref and customers.digest_of(context.keys, ref) != row["customer_digest"]:
        raise Tampered(Message("its reference is not its customer's"))


def _check_contact(_: Context, row: Row, contact: Contact) -> None:
    """Raise `Tampered` if a contact does not name its successor, or is wrongly on the Open list or off it."""
    asks = contact.intent.asks and contact.resolved_at is None and contact.superseded_by is None
    if contact.superseded_by != row["successor"]:
        raise Tampered(Message("it does not name the contact that supersedes it"))
    if row["is_open"] != int(asks and not row["order_cancelled"]) or not row["is_counted"]:
        raise Tampered(Message("it is wrongly on the open list, or wrongly missing from it"))


def _check_unmatched(_: Context, __: Row, found: UnmatchedContact) -> None:
    """Raise `Tampered` unless an unmatched contact has either its key or the id of the contact that it became."""
    if (found.wrapped_key is None) != (found.contact_id is not None):
        raise Tampered(Message("its key is missing, or was not destroyed when it was matched"))


def _check_promise(_: Context, row: Row, promise: Promise) -> None:
    """Raise `Tampered` if a promise is wrongly, or wrongly not, its order's current one, or does not end as told."""
    if row["is_current"] != int(row["best"] == row["promise_id"]):
        raise Tampered(Message("it is wrongly the promise of its order, or wrongly not"))
    if promise.told.deadline != promise.deadline:
        raise Tampered(Message("its deadline is not that of its window"))


_CHECKS: dict[str, Callable[[Context, Row, Any], None]] = {
    "orders": _check_order,
    "promises": _check_promise,
    "contacts": _check_contact,
    "unmatched_contacts": _check_unmatched,
}
"""Further checks of a record: whether it agrees with other records."""
_CHECKED = {kind.mapper.name for kind in RECORDS if kind.mapper.personal} | _CHECKS.keys()
"""The tables whose records are loaded: their personal fields must decrypt."""
