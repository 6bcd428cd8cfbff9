"""The journal as it is stored: the events, and the head that the next one is chained to."""

from collections.abc import Iterator, Sequence

from refunds.errors import Unreadable
from refunds.journal import FOR_AUDITORS, Event
from refunds.secrecy import CLOSED
from refunds.storage import Row, Transaction
from refunds.storage.table import Table

EVENTS = Table(Event, "events")


def head(tx: Transaction) -> tuple[int, bytes]:
    """The position and the hash of the last event; raises `Unreadable`."""
    return _head(tx.one(_HEAD))


def hold_head(tx: Transaction) -> tuple[int, bytes]:
    """The head, held until this write ends, so that the chain does not fork; raises `Unreadable`."""
    return _head(tx.one(_HEAD + " {for_update}"))


_HEAD = "SELECT position, hash FROM journal_head WHERE id = 1"


def _head(row: Row | None) -> tuple[int, bytes]:
    if row is None or not isinstance(row["hash"], bytes):
        raise Unreadable("the journal has no head")
    return row["position"], row["hash"]


def append(tx: Transaction, events: Sequence[Event]) -> None:
    """Add events, and move the head to the last of them."""
    # Nothing vouches for an event but the chain.
    tx.many(EVENTS.insertion, [EVENTS.row(event, CLOSED) for event in events])
    set_head(tx, events[-1].position, events[-1].hash)


def set_head(tx: Transaction, position: int, last_hash: bytes) -> None:
    """Say which event is the last one."""
    tx.run("UPDATE journal_head SET position = :position, hash = :hash WHERE id = 1", position=position, hash=last_hash)


def after(tx: Transaction, position: int, limit: int, types: Sequence[str] | None, *, audit: bool) -> list[Event]:
    """Up to `limit` events after a position, in order; of these types, and those for auditors only with `audit`."""
    given: dict[str, str] = {}
    if types is None:
        hidden = "" if audit else f" AND type NOT IN ({', '.join(map(repr, map(str, FOR_AUDITORS)))})"
        sql = f"SELECT {EVENTS.columns} FROM events WHERE position > :after{hidden}"  # noqa: S608
    else:
        given = {f"type{i}": name for i, name in enumerate(types) if audit or name not in FOR_AUDITORS}
        if not given:
            return []
        # One indexed stretch a type: a rare type is found without reading what lies between.
        sql = " UNION ALL ".join(
            f"SELECT * FROM (SELECT {EVENTS.columns} FROM events WHERE type = :{name} AND position > :after"  # noqa: S608
            f" ORDER BY position LIMIT :limit) AS {name}"
            for name in given
        )
    sql += " ORDER BY position LIMIT :limit"
    return [EVENTS.read(row, CLOSED) for row in tx.all(sql, after=position, limit=limit, **given)]


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every event, from the first."""
    return tx.each(f"SELECT {EVENTS.columns} FROM events ORDER BY position")  # noqa: S608
