"""The feed: what happened, in the order in which it was committed, nothing missed and nothing twice."""

from collections.abc import Sequence

from refunds.domain.journal import GENESIS, Event, is_sound
from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound
from refunds.security.encryption import CLOSED
from refunds.service.work import Work
from refunds.storage import events
from refunds.storage.events import EVENTS


def read(work: Work, after: int, limit: int, types: Sequence[str] | None) -> tuple[list[Event], int]:
    """Up to `limit` events after a position, and the position to go on from.

    With `types`, only those; events for auditors only for those who may see them. Raises `FeedRewound` for a position
    beyond the end: an older state was restored, and what the reader has seen since did not happen.
    """
    head = events.head(work.tx).position
    if after > head:
        raise FeedRewound(head)
    found = events.after(work.tx, after, limit, types, audit=work.principal.may(Scope.AUDIT_READ))
    # A page that is not full has seen everything there was, also what it leaves out.
    return found, found[-1].position if len(found) == limit else head


def newest(work: Work, before: int | None, limit: int) -> list[tuple[Event, bool]]:
    """Up to `limit` events before a position, or the last ones; the newest first.

    Each with whether it is what was chained there, after the event before it.
    """
    last = events.head(work.tx).position if before is None else before - 1
    rows = list(events.between(work.tx, last - limit, last))  # one more, for what the first is chained to
    found = [EVENTS.read(row, CLOSED) for row in rows]
    told = []
    for earlier, event in zip([None, *found], found, strict=False):
        if event.position > last - limit:
            previous = earlier.hash if earlier else GENESIS
            position = earlier.position + 1 if earlier else 1
            told.append((event, is_sound(event, work.keys.audit, position, previous)))
    return told[::-1]


def of_order(work: Work, order_id: str) -> list[Event]:
    """What has happened to an order."""
    return [EVENTS.read(row, CLOSED) for row in events.of_order(work.tx, order_id)]
