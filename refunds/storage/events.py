"""The journal as stored: the events, and the head that the next event is chained to."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, NamedTuple

import orjson

from refunds.domain.journal import ABOUT_POLICIES, FOR_AUDITORS, GENESIS, Event, EventType, is_sound
from refunds.errors import Unreadable
from refunds.security.encryption import NO_ACCESS
from refunds.storage import Engine, Row, Transaction
from refunds.storage.mapper import RecordMapper, instant, micros
from refunds.storage.repository import Repository

EVENTS = RecordMapper(Event, "events")


class Head(NamedTuple):
    """The position and the hash of the last event and of the last about policies, and the journal's id.

    `policies_hash` is None if there is no event about policies.
    """

    position: int
    hash: bytes
    policies_at: int
    journal_id: str | None
    policies_hash: bytes | None = None


NO_EVENT = Head(0, GENESIS, 0, None)

HEAD = (
    "position, hash, policies_at, journal_id,"
    " (SELECT hash FROM events WHERE events.position = policies_at) AS policies_hash"
)
"""The columns of `journal_head` that make a `Head`."""


_FILTERS = {
    "before": "position < :before",
    "after": "position > :after",
    "type": "type = :type",
    "order_id": "order_id = :order_id",
    "actor": "actor = :actor",
    "since": "at >= :since",
    "until": "at < :until",
}
"""The conditions of the newest events, by the names of their values."""


class Events(Repository[Event]):
    """The events of the journal."""

    mapper: ClassVar[RecordMapper[Event]] = EVENTS

    def head(self) -> Head:
        """Return the head of the journal; raises `Unreadable` if it is missing or cannot be read."""
        return head(self._tx)

    def hash_at(self, position: int) -> bytes | None:
        """Return the hash of the event at a position, `GENESIS` at position 0; None if no event is there."""
        return hash_at(self._tx, position)

    def after(self, position: int, limit: int, types: Sequence[str] | None, *, audit: bool) -> list[Event]:
        """Return up to `limit` events after a position, in order; of these types, or of all if that is None.

        Without `audit`, those that only auditors may read are left out, even if their types are asked for.
        """
        given: dict[str, str] = {}
        if types is None:
            hidden = "" if audit else f" AND type NOT IN ({', '.join(map(repr, map(str, FOR_AUDITORS)))})"
            sql = f"{EVENTS.selection} WHERE position > :after{hidden}"
        else:
            given = {f"type{i}": name for i, name in enumerate(types) if audit or name not in FOR_AUDITORS}
            if not given:
                return []
            # One indexed range per type: a rare type is found without reading the events between.
            sql = " UNION ALL ".join(
                f"SELECT * FROM ({EVENTS.selection} WHERE type = :{name} AND position > :after"  # noqa: S608
                f" ORDER BY position LIMIT :limit) AS {name}"
                for name in given
            )
        sql += " ORDER BY position LIMIT :limit"
        return self._load_all(self._tx.all(sql, after=position, limit=limit, **given))

    def newest(
        self, before: int | None, limit: int, *, after: int | None = None, **filters: Any
    ) -> list[tuple[Event, bool]]:
        """Return up to `limit` events before a position, or the last ones for None; the newest first.

        With `after`, the events are those nearest after that position, also the newest first. `filters` are values for
        `_FILTERS`; those by `type` and `order_id` have an index, the others read the whole journal. Each event comes
        with whether it is sound and chained to the event before it.
        """
        given = {"before": before, "after": after} | filters
        asked = {
            name: micros(value) if isinstance(value, datetime) else value
            for name, value in given.items()
            if value is not None
        }
        conditions = " AND ".join(_FILTERS[name] for name in asked) or "TRUE"
        found = self._tx.all(
            f"SELECT {EVENTS.columns}, (SELECT hash FROM events AS earlier"  # noqa: S608
            " WHERE earlier.position = events.position - 1) AS chained_to"
            f" FROM events WHERE {conditions} ORDER BY position {'DESC' if after is None else 'ASC'} LIMIT :limit",
            limit=limit,
            **asked,
        )
        newest = []
        for row in found if after is None else reversed(found):
            event, previous = self._load(row), GENESIS if row["position"] == 1 else row["chained_to"]
            chained = isinstance(previous, bytes)
            newest.append((event, chained and is_sound(event, self._context.keys.audit, event.position, previous)))
        return newest

    def last_of(self, event: EventType, before: int | None = None) -> Event | None:
        """Return the last event of a type, or the last before a position; None if there is none."""
        # Sorted like the index: PostgreSQL would else read back to the last event of a type that is rare.
        last = "SELECT type, position FROM events WHERE (type, position) < (:type, :before)"
        found = f"SELECT position FROM ({last} ORDER BY type DESC, position DESC LIMIT 1) AS last WHERE type = :type"  # noqa: S608
        return self._one(f"position = ({found})", type=event, before=2**62 if before is None else before)

    def last_jump(self, after: int, ahead: timedelta, back: timedelta) -> int | None:
        """Return the position of the last event that is over `ahead` later than the one before, or over `back` earlier.

        Looks only after the position `after` and the last confirmation of the clock; None if there is none.
        """
        row = self._tx.one(
            "SELECT max(position) AS position FROM (SELECT position, at - lag(at) OVER (ORDER BY position) AS jump"
            " FROM events WHERE position >= :after AND position >="
            " (SELECT coalesce(max(position), 0) FROM events WHERE type = :confirmed)) AS jumps"
            " WHERE jump > :ahead OR jump < :back",
            after=after,
            confirmed=EventType.AUDIT_CLOCK_CONFIRMED,
            ahead=ahead // timedelta(microseconds=1),
            back=-back // timedelta(microseconds=1),
        )
        return None if row is None else row["position"]

    def latest(self, since: int) -> datetime | None:
        """Return the latest time of the events from a position on; None if there are none."""
        row = self._tx.one("SELECT max(at) AS at FROM events WHERE position >= :since", since=since)
        return instant(row["at"]) if row and row["at"] else None

    def note(self, event: EventType, subject: str, data: Mapping[str, Any]) -> None:
        """Note an event about no record; the unit of work writes it to the journal at its end."""
        self._context.note(event, subject, data)

    def has_any(self, types: Iterable[str], subject: str) -> bool:
        """Tell whether a record has an event of one of these types; they must be rare, as all their events are read."""
        return bool(rare_of_types(self._tx, types, {subject}))


def readable_event(row: Row) -> Event | None:
    """Return the event in a row, or None if the service cannot have written it."""
    try:
        fits = EVENTS.fits(row) and isinstance(orjson.loads(row["data"]), dict)
        return EVENTS.load(row, NO_ACCESS) if fits else None
    except (ValueError, TypeError, OverflowError):
        return None


def head(tx: Transaction) -> Head:
    """Return the head of the journal; raises `Unreadable` if it is missing or cannot be read."""
    return head_in(tx.one(_HEAD))


def lock_head(tx: Transaction) -> Head:
    """Lock the journal's head until the transaction ends, so the chain cannot fork; return it. Raises `Unreadable`."""
    return head_in(tx.one(_HEAD + " {for_update}"))


_HEAD = f"SELECT {HEAD} FROM journal_head WHERE id = 1"  # noqa: S608 - ours


def head_in(row: Row | None) -> Head:
    """Return the journal's head from a row that has its columns; raise `Unreadable` for None or an invalid row."""
    if row is None or not (isinstance(row["hash"], bytes) and isinstance(row["position"], int)):
        raise Unreadable("the journal has no head")
    return Head(*(row[name] for name in Head._fields))


def hash_at(tx: Transaction | Engine, position: int) -> bytes | None:
    """Return the hash of the event at a position, `GENESIS` at position 0; None if no event is there."""
    if position == 0:
        return GENESIS
    row = tx.one("SELECT hash FROM events WHERE position = :position", position=position)
    return None if row is None else bytes(row["hash"])


_AT_ONCE = 8
"""The most events that one statement stores: more than nearly every write has."""


@cache
def _insertion(number: int) -> str:
    """Return the SQL that inserts `number` events; its parameters are each event's columns with `_0`, `_1` ...."""
    rows = (", ".join(f":{name}_{i}" for name in EVENTS.names) for i in range(number))
    return f"INSERT INTO events ({', '.join(EVENTS.names)}) VALUES ({'), ('.join(rows)})"  # noqa: S608 - ours


def append(tx: Transaction, events: Sequence[Event], after: Head) -> None:
    """Store events, at least one, which must be chained to the head `after`, and move the head to the last of them."""
    # The digest is not needed: only the chain vouches for an event.
    for start in range(0, len(events), _AT_ONCE):
        rows = [EVENTS.row(event, NO_ACCESS) for event in events[start : start + _AT_ONCE]]
        tx.later(_insertion(len(rows)), {f"{name}_{i}": row[name] for i, row in enumerate(rows) for name in row})
    set_head(tx, moved(after, events))


def moved(head: Head, events: Sequence[Event]) -> Head:
    """Return the head after these events, at least one, that follow `head`; nothing is stored."""
    head = head._replace(position=events[-1].position, hash=events[-1].hash)
    for event in events:
        if event.type in ABOUT_POLICIES:
            head = head._replace(policies_at=event.position, policies_hash=event.hash)
    return head


def set_journal_id(tx: Transaction, journal_id: str) -> None:
    """Store another id for the journal; its events stay as they are, and the caller must record the change."""
    tx.run("UPDATE journal_head SET journal_id = :journal_id WHERE id = 1", journal_id=journal_id)


def set_head(tx: Transaction, head: Head) -> None:
    """Replace the stored head of the journal by this one, at the latest when the transaction ends."""
    moving = (
        "UPDATE journal_head SET position = :position, hash = :hash, policies_at = :policies_at,"
        " journal_id = :journal_id WHERE id = 1"
    )
    tx.later(moving, {name: value for name, value in head._asdict().items() if name != "policies_hash"})


def rare_of_types(tx: Transaction, types: Iterable[str], subjects: Collection[str] | None = None) -> list[Row]:
    """Return the rows of the events of these types about these subjects (None: any), by position.

    The types must be rare: the rows of all their events are read.
    """
    named = ", ".join(map(repr, map(str, types)))
    rows = tx.each(f"{EVENTS.selection} WHERE type IN ({named}) ORDER BY position")
    return [row for row in rows if subjects is None or row["subject"] in subjects]


def between(tx: Transaction, first: int, last: int) -> Iterator[Row]:
    """Yield the rows of the events from one position to another, both included, in order."""
    sql = f"{EVENTS.selection} WHERE position BETWEEN :first AND :last ORDER BY position"
    return tx.each(sql, first=first, last=last)
