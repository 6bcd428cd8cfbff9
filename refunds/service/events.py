"""The feed: every event once, in the order of the commits."""

from collections.abc import Sequence

from refunds.domain.journal import Event
from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound
from refunds.storage.unit_of_work import UnitOfWork


def read(uow: UnitOfWork, after: int, limit: int, types: Sequence[str] | None) -> tuple[list[Event], int]:
    """Up to `limit` events after a position, and the position to go on from.

    `types` limits them to these types; events for auditors are left out unless the principal may see them. Raises
    `FeedRewound` if the position is beyond the end: an older state was restored, so the later events that the reader
    has seen did not happen.
    """
    head = uow.events.head().position
    if after > head:
        raise FeedRewound(head)
    found = uow.events.after(after, limit, types, audit=uow.principal.may(Scope.AUDIT_READ))
    # A page that is not full reaches the head, past the events that it leaves out.
    return found, found[-1].position if len(found) == limit else head
