"""The feed: what happened, in the order in which it was committed, nothing missed and nothing twice."""

from collections.abc import Sequence

from refunds.access import Scope
from refunds.journal import Event
from refunds.service.work import Work
from refunds.storage import events


def read(work: Work, after: int, limit: int, types: Sequence[str] | None) -> tuple[list[Event], int]:
    """Up to `limit` events after a position, and the position to go on from.

    With `types`, only those; events for auditors only for those who may see them.
    """
    head = events.head(work.tx).position
    found = events.after(work.tx, after, limit, types, audit=work.principal.may(Scope.AUDIT_READ))
    # A page that is not full has seen everything there was, also what it leaves out.
    return found, found[-1].position if len(found) == limit else max(after, head)
