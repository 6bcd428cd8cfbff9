"""Evidence: all that is held about an order, with the clause as it was, and proof that nothing of it was changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from refunds.domain.eligibility import Facts, Outcome
from refunds.domain.journal import ABOUT_POLICIES, Event, is_sound
from refunds.domain.records import Cancellation, Closure, Contact, Order, RegisteredVersion, id_within
from refunds.errors import NoPolicyInForce, NotFound
from refunds.security.encryption import CLOSED, Tampered, Vault
from refunds.service import audit
from refunds.service.work import Work
from refunds.storage import Row, cancellations, contacts, events, keys, policies
from refunds.storage import orders as stored_orders
from refunds.storage.anchors import Anchor
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.contacts import CONTACTS
from refunds.storage.events import EVENTS
from refunds.storage.orders import ORDERS
from refunds.storage.policies import CLOSURES, POLICY_VERSIONS
from refunds.storage.table import Table


class Link(NamedTuple):
    """An event about the order, and the anchor up to which the journal was followed from it; None: up to its end."""

    event: Event
    anchor: Anchor | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is held about an order; `broken` says what is not as it was written, if anything."""

    order: Order
    contacts: list[Contact]
    cancellations: list[Cancellation]
    versions: list[RegisteredVersion]
    closures: list[Closure]
    journal: list[Link]
    broken: list[str]
    checked_at: datetime


def gather(work: Work, order_id: str, anchors: Iterable[Anchor]) -> Evidence:
    """The evidence on an order; raises `NotFound`.

    The journal is followed from each event about the order, and about the versions and closures that it was judged by,
    to the next anchor outside the database, or to its end; and each record is compared with what the last event about
    it says that it is.
    """
    anchored = sorted(anchors)  # before the journal is read: it only grows
    held = stored_orders.by_id(work.tx, order_id)
    if held is None:
        raise NotFound("there is no order of this id")
    rows: dict[Table[Any], list[Row]] = {
        ORDERS: [held],
        CONTACTS: contacts.of_order(work.tx, order_id),
        CANCELLATIONS: cancellations.of_order(work.tx, order_id),
    }
    reading = _Reading(work, held)
    order = reading.order(held)
    heard: list[Contact] = reading.decided(CONTACTS, rows[CONTACTS])
    issued: list[Cancellation] = reading.decided(CANCELLATIONS, rows[CANCELLATIONS])
    decisions = [*(contact.decision for contact in heard), *(cancellation.decision for cancellation in issued)]
    by = _judged_by(work, order, decisions)
    rows[POLICY_VERSIONS] = [row for row in policies.every_version(work.tx) if row["version_id"] in by]
    rows[CLOSURES] = [row for row in policies.every_closure(work.tx) if row["closure_id"] in by]
    found = [*events.of_order(work.tx, order_id), *events.of_types(work.tx, ABOUT_POLICIES, by)]
    told = sorted((EVENTS.read(row, CLOSED) for row in found), key=lambda event: event.position)
    journal, broken = _followed(work, told, anchored)
    return Evidence(
        order,
        heard,
        issued,
        [POLICY_VERSIONS.read(row, CLOSED) for row in rows[POLICY_VERSIONS]],
        reading.closures(rows[CLOSURES]),
        journal,
        [*broken, *_not_as_told(rows, told), *reading.unreadable],
        work.now,
    )


class _Reading:
    """Records as the reader may see them; those that cannot be read are named, whoever reads."""

    def __init__(self, work: Work, row: Row) -> None:
        self._shown, self._true = work.vault(row), keys.vault(work.keys, row)
        self._notes, self._true_notes = work.notes, Vault(work.keys.notes)
        self.unreadable: list[str] = []

    def order(self, row: Row) -> Order:
        """The order; without what is personal, where that does not open."""
        try:
            ORDERS.read(row, self._true)
        except Tampered:
            self.unreadable.append(f"orders {row['order_id']}: what is personal does not open")
            return ORDERS.read(row, CLOSED)
        return ORDERS.read(row, self._shown)

    def decided(self, table: Table[Any], rows: list[Row]) -> list[Any]:
        """The records on which something was decided, but for those that cannot be read."""
        return self._readable(table, rows, self._true, self._shown, _require_decision)

    def closures(self, rows: list[Row]) -> list[Closure]:
        """The closures, but for those that cannot be read."""
        return self._readable(CLOSURES, rows, self._true_notes, self._notes, lambda _: None)

    def _readable(
        self, table: Table[Any], rows: list[Row], true: Vault, shown: Vault, check: Callable[[Any], None]
    ) -> list[Any]:
        found = []
        for row in rows:
            try:
                check(table.read(row, true))
                found.append(table.read(row, shown))
            except (Tampered, ValueError, TypeError, KeyError):
                self.unreadable.append(f"{table.name} {row[table.key]}: cannot be read as it is stored")
        return found


def _require_decision(record: Contact | Cancellation) -> None:
    """Raise whatever reading the decision of a record raises."""
    Facts.of(record.decision["facts"])
    Outcome.of(record.decision["outcome"])


def _judged_by(work: Work, order: Order, decisions: list[Mapping[str, Any]]) -> set[str]:
    """The ids of the versions that judged, and of the one that judges the order now, if any; and of closures."""
    used = set()
    with suppress(NoPolicyInForce):
        now = work.policies[order.policy].judging(work.now, order.service_provided_at, order.ordered_at)
        used.add(id_within(now.policy_id, now.version))
    for decision in decisions:
        policy, facts = decision["outcome"]["policy"], decision["facts"]
        closed = *facts["closures"], *facts.get("closures_too_late", ())
        used |= {
            id_within(policy, name) for name in (decision["outcome"]["version"], facts["contact_version"], *closed)
        }
    return used


def _followed(work: Work, told: list[Event], anchors: list[Anchor]) -> tuple[list[Link], list[str]]:
    """Each event with its anchor, and where the journal is broken between them."""
    end = events.head(work.tx).position
    journal: list[Link] = []
    broken: list[str] = []
    if anchors and anchors[-1].position > end:
        broken.append(f"position {end}: the journal ends here, but was anchored at {anchors[-1].position}")
    followed_to = 0
    if told and (gap := end - told[0].position + 1 - events.count_from(work.tx, told[0].position)):
        broken.append(f"position {told[0].position} to {end}: {gap} events are missing")
    for event in told:
        anchor = next((one for one in anchors if event.position <= one.position <= end), None)
        journal.append(Link(event, anchor))
        if event.position > followed_to:
            followed_to = anchor.position if anchor else end
            broken += _breaks(work, event, followed_to, anchor)
    return journal, broken


def _breaks(work: Work, first: Event, end: int, anchor: Anchor | None) -> Iterator[str]:
    """Where the journal is not sound from an event to an anchor: the first such place."""
    previous, position = first.previous, first.position
    for row in events.between(work.tx, first.position, end):
        event = EVENTS.read(row, CLOSED)
        if not is_sound(event, work.keys.audit, position, previous):
            yield f"position {position}: the journal is broken here"
            return
        previous, position = event.hash, position + 1
    if position != end + 1 or (anchor is not None and anchor.hash != previous):
        yield f"position {position - 1}: this is not the event that was anchored"


def _not_as_told(rows: Mapping[Table[Any], list[Row]], told: list[Event]) -> Iterator[str]:
    """The records that are not what the last event about them says."""
    digests = {(audit.table_of(event.type), event.subject): event.digest for event in told}
    there = {(table.name, row[table.key]): table.digest(row) for table, of in rows.items() for row in of}
    for name, record_id in sorted(digests.keys() | there.keys()):
        if (name, record_id) not in there:
            yield f"{name} {record_id}: the record is missing"
        elif digests.get((name, record_id)) != there[name, record_id]:
            yield f"{name} {record_id}: not what the journal says it is"
