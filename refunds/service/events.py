"""The feed: what happened, in the order in which it was committed, nothing missed and nothing twice."""

from collections.abc import Sequence

from refunds.domain.journal import Event
from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound
from refunds.storage.unit_of_work import UnitOfWork


def read(uow: UnitOfWork, after: int, limit: int, types: Sequence[str] | None) -> tuple[list[Event], int]:
    """Up to `limit` events after a position, and the position to go on from.

    With `types`, only those; events for auditors only for those who may see them. Raises `FeedRewound` for a position
    beyond the end: an older state was restored, and what the reader has seen since did not happen.
    """
    head = uow.events.head().position
    if after > head:
        raise FeedRewound(head)
    found = uow.events.after(after, limit, types, audit=uow.principal.may(Scope.AUDIT_READ))
    # A page that is not full has seen everything there was, also what it leaves out.
    return found, found[-1].position if len(found) == limit else head
