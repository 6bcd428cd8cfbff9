"""Everything stored about an order: loaded for the reader, followed in the journal, and compared with it.

Records that cannot be read, or differ from the journal, are named to every reader.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from refunds.domain.journal import ABOUT_POLICIES, Event, EventType, is_sound
from refunds.domain.records import (
    Cancellation,
    Closure,
    Contact,
    Order,
    Promise,
    RegisteredVersion,
)
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, OrderNotFound
from refunds.security.encryption import NO_ACCESS, CustomerCipher, Tampered
from refunds.storage import Row, cancellations, contacts, events, keys, orders, policies, promises, unmatched
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.contacts import CONTACTS
from refunds.storage.lineage import lineage
from refunds.storage.mapper import RecordMapper
from refunds.storage.orders import ORDERS
from refunds.storage.policies import CLOSURES, POLICY_VERSIONS
from refunds.storage.promises import PROMISES
from refunds.storage.repository import Context
from refunds.storage.tables import table_of
from refunds.storage.unmatched import UNMATCHED

R = TypeVar("R")


class Link(NamedTuple):
    """An event about the order, and the checkpoint up to which the journal was followed from it; None: to its end."""

    event: Event
    checkpoint: Checkpoint | None


class Inspection:
    """The records of an order, as the reader may see them; those that cannot be read are named in `unreadable`.

    Raises `NotFound` if there is no such order, and `Tampered` if its customer's key cannot be decrypted.
    """

    def __init__(self, context: Context, order_id: str) -> None:
        row = orders.by_id(context.tx, order_id)
        if row is None:
            raise OrderNotFound
        self._context, self._order_id = context, order_id
        self._shown, self._true = context.cipher(row), keys.cipher(context.keys, row)
        self._rows: dict[RecordMapper[Any], list[Row]] = {
            ORDERS: [row],
            PROMISES: promises.of_order(context.tx, order_id),
            UNMATCHED: unmatched.of_order(context.tx, order_id),
            CONTACTS: contacts.of_order(context.tx, order_id),
            CANCELLATIONS: cancellations.of_order(context.tx, order_id),
        }
        self._is_erased = row["wrapped_key"] == b"" and bool(
            events.of_types(context.tx, [EventType.CUSTOMER_ERASED], {row["customer_id"]})
        )
        self.unreadable: list[str] = []
        self.order = self._order(row)
        self.promises: list[Promise] = self._readable(PROMISES, NO_ACCESS, NO_ACCESS)
        self.unmatched: list[UnmatchedContact] = self._readable(UNMATCHED, NO_ACCESS, NO_ACCESS)  # emptied when matched
        self.contacts: list[Contact] = self._readable(CONTACTS, self._true, self._shown)
        self.cancellations: list[Cancellation] = self._readable(CANCELLATIONS, self._true, self._shown)

    def versions_and_closures(self, ids: Collection[str]) -> tuple[list[RegisteredVersion], list[Closure]]:
        """The versions and closures with these ids, without those that cannot be read, which `unreadable` names.

        `follow` then compares them with the journal too.
        """
        tx, notes = self._context.tx, CustomerCipher(self._context.keys.notes)
        self._rows[POLICY_VERSIONS] = [row for row in policies.iter_versions(tx) if row["version_id"] in ids]
        self._rows[CLOSURES] = [row for row in policies.iter_closures(tx) if row["closure_id"] in ids]
        versions = self._readable(POLICY_VERSIONS, NO_ACCESS, NO_ACCESS)
        return versions, self._readable(CLOSURES, notes, self._context.notes)

    def follow(self, checkpoints: Sequence[Checkpoint], ids: Collection[str]) -> tuple[list[Link], list[str]]:
        """The events about the order and about what judged it, each with its checkpoint; and what is broken.

        `ids` are those that `versions_and_closures` was called with before. This follows the journal from each event to
        the next checkpoint outside the database, or to its end, and compares each record with the last event about it.
        What is broken includes what is unreadable.
        """
        tx = self._context.tx
        rows = [*events.of_order(tx, self._order_id), *events.of_types(tx, ABOUT_POLICIES, ids)]
        self.unreadable += [_break_at(row["position"]) for row in rows if events.readable(row) is None]
        found = sorted(filter(None, map(events.readable, rows)), key=lambda event: event.position)
        head = events.head(tx)
        journal, broken = _followed(self._context, found, head.position, lineage(tx, head).own(checkpoints))
        return journal, [*broken, *_not_as_journalled(self._rows, found), *self.unreadable]

    def _order(self, row: Row) -> Order:
        """The order, as the reader may see it.

        If its personal fields cannot be decrypted, it has none, and `unreadable` says so.
        """
        try:
            self._require_explained(ORDERS, row)
            ORDERS.load(row, self._true)
        except Tampered:
            self.unreadable.append(f"orders {row['order_id']}: the personal fields cannot be decrypted")
            return ORDERS.load(row, NO_ACCESS)
        return ORDERS.load(row, self._shown)

    def _require_explained(self, table: RecordMapper[Any], row: Row) -> None:
        """Raise `Tampered` if a field of a row is empty, and no event says that its customer was erased."""
        if not self._is_erased and any(row[name] == b"" for name in table.personal):
            raise Tampered(Message("it was emptied"))

    def _readable(self, table: RecordMapper[R], true: CustomerCipher, shown: CustomerCipher) -> list[R]:
        """The records of a table, as the reader may see them; those that cannot be read are left out.

        `unreadable` names them then, even to a reader who may not see their personal fields.
        """
        found = []
        for row in self._rows[table]:
            try:
                self._require_explained(table, row)
                table.load(row, true)
                found.append(table.load(row, shown))
            except (Tampered, ValueError, TypeError, LookupError, OverflowError):
                self.unreadable.append(f"{table.name} {row[table.key]}: cannot be read as it is stored")
        return found


def _followed(
    context: Context, found: list[Event], end: int, checkpoints: Sequence[Checkpoint]
) -> tuple[list[Link], list[str]]:
    """Each event with its checkpoint, and where the journal, which ends at `end`, is broken between them."""
    journal: list[Link] = []
    broken: list[str] = []
    if checkpoints and checkpoints[-1].position > end:
        broken.append(f"position {end}: the journal ends here, but has a checkpoint at {checkpoints[-1].position}")
    followed_to = 0
    if found and (gap := end - found[0].position + 1 - events.count_from(context.tx, found[0].position)):
        broken.append(f"position {found[0].position} to {end}: {gap} events are missing")
    for event in found:
        checkpoint = next((one for one in checkpoints if event.position <= one.position <= end), None)
        journal.append(Link(event, checkpoint))
        if event.position > followed_to:
            followed_to = checkpoint.position if checkpoint else end
            broken += _breaks(context, event, followed_to, checkpoint)
    return journal, broken


def _breaks(context: Context, first: Event, end: int, checkpoint: Checkpoint | None) -> Iterator[str]:
    """The first place, if any, where the journal is not sound from an event to a checkpoint or the end."""
    previous, position = first.previous, first.position
    for row in events.between(context.tx, first.position, end):
        event = events.readable(row)
        if event is None or not is_sound(event, context.keys.audit, position, previous):
            yield _break_at(position)
            return
        previous, position = event.hash, position + 1
    if position != end + 1 or (checkpoint is not None and checkpoint.hash != previous):
        yield f"position {position - 1}: this is not the event of the checkpoint"


def _break_at(position: int) -> str:
    return f"position {position}: the journal is broken here"


def _not_as_journalled(rows: Mapping[RecordMapper[Any], list[Row]], found: list[Event]) -> Iterator[str]:
    """A line for each record that is missing, or is not what the last event about it says."""
    digests = {(name, event.subject): event.digest for event in found if (name := table_of(event.type))}
    there = {(table.name, row[table.key]): table.digest(row) for table, of in rows.items() for row in of}
    for name, record_id in sorted(digests.keys() | there.keys()):
        if (name, record_id) not in there:
            yield f"{name} {record_id}: the record is missing"
        elif digests.get((name, record_id)) != there[name, record_id]:
            yield f"{name} {record_id}: differs from the journal"
