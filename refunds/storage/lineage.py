"""Which journal a database has: its id, the ids that it had before, and whether a checkpoint is of it.

A journal gets an id when its database is made. When an operator accepts that a journal is another one than was
checkpointed, as after a restore, it gets a new id, and its event `audit.accepted` says so.
"""

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.errors import Message
from refunds.storage import Transaction, events
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.events import Head


class Lineage(NamedTuple):
    """The ids of a journal, each with the last position that it had under that id, the present one without.

    `first` is the first of them: that of checkpoints from before they named their journal.
    """

    first: str | None
    ends: dict[str | None, int | None]

    def includes(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is of this journal."""
        return (checkpoint.journal or self.first) in self.ends

    def is_lost(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is of a part of this journal that was lost, which an operator has accepted."""
        end = self.ends.get(checkpoint.journal or self.first)
        return end is not None and checkpoint.position > end

    def own(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Those of the checkpoints that this journal must have, in their order.

        Those without an id are of an earlier journal if the file shows that this one began after them.
        """
        found: list[Checkpoint] = []
        for checkpoint in checkpoints:
            if checkpoint.journal is not None and checkpoint.position == 0 and self.includes(checkpoint):
                found = [earlier for earlier in found if earlier.journal is not None]
            if self.includes(checkpoint) and not self.is_lost(checkpoint):
                found.append(checkpoint)
        return found


def lineage(tx: Transaction, head: Head) -> Lineage:
    """The ids of the journal with this head."""
    accepted = events.of_types(tx, [EventType.AUDIT_ACCEPTED])
    ends: dict[str | None, int | None] = {}
    for row in accepted:
        ends[orjson.loads(row["data"])["from"]] = row["position"] - 1
    ends[head.journal_id] = None
    return Lineage(next(iter(ends)), ends)


def difference(tx: Transaction, head: Head, last: Checkpoint) -> Message | None:
    """How the journal with this head differs from the one that was checkpointed last, in words; None if it has it all.

    It may have more, and it may lack what an operator has accepted to be lost.
    """
    known = lineage(tx, head)
    named = {"journal": head.journal_id, "position": last.position, "at": format_instant(last.at)}
    if not known.includes(last):
        return Message("it has the journal %(journal)s; the last checkpoint, of %(at)s, is of another one", **named)
    if known.is_lost(last):
        return None
    found = events.hash_at(tx, last.position)
    if found is None:
        return Message(
            "its journal ends at position %(end)s, before its checkpoint at %(position)s, of %(at)s",
            end=head.position,
            **named,
        )
    if found != last.hash:
        return Message("its event at position %(position)s is not that of the checkpoint of %(at)s", **named)
    return None
