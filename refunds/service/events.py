"""The feed: every event once, in the order of the commits."""

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

from refunds.domain.journal import GENESIS, Event
from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound, InvalidCursor, Message
from refunds.storage.lineage import common
from refunds.storage.unit_of_work import UnitOfWork

_MARK = 4
"""Bytes of an event's hash in the place after it. They show whether a journal has given the place."""


class Page(NamedTuple):
    """A page of the feed: the journal's id, the events, and the place to go on from."""

    journal_id: str | None
    events: list[Event]
    following: str


def read(uow: UnitOfWork, after: str | None, limit: int, types: Sequence[str] | None) -> Page:
    """Return a page of up to `limit` events after the place where an earlier page ended; for None, from the first.

    `limit` is at least 1. `types` limits the events to these; those for auditors are left out unless the principal may
    see them. A page that is not full ends at the journal's end. Raises `InvalidCursor` for what is no place, and
    `FeedRewound`, with where to read on, for a place that this journal has not given: an older state was restored.
    """
    head = uow.events.head()
    position, mark = (0, GENESIS[:_MARK]) if after is None else _place(after)
    known = head.hash if position == head.position else uow.events.hash_at(position)
    if known is None or known[:_MARK] != mark:
        shared = common(uow.tx, head)
        raise FeedRewound(place(shared, uow.events.hash_at(shared) or GENESIS))
    found = uow.events.after(position, limit, types, audit=uow.principal.may(Scope.AUDIT_READ))
    # A page that is not full reaches the head, past the events that it leaves out.
    last = found[-1] if len(found) == limit else head
    return Page(head.journal_id, found, place(last.position, last.hash))


def place(position: int, event_hash: bytes) -> str:
    """Return the place after the event at a position, as an opaque text."""
    return base64.urlsafe_b64encode(f"{position}.{event_hash[:_MARK].hex()}".encode()).decode().rstrip("=")


def _place(text: str) -> tuple[int, bytes]:
    """Return the position and the first bytes of the hash from a text that `place` made; raises `InvalidCursor`."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        decoded = b""
    found = re.fullmatch(rb"(0|[1-9][0-9]{0,17})\.([0-9a-f]{8})", decoded)
    if found is None:
        raise InvalidCursor(Message("after must be the next of an earlier page of the feed."))
    return int(found[1]), bytes.fromhex(found[2].decode())
