"""Which journal a database has: its id, the ids that it had before, and whether a checkpoint is of it.

A journal gets an id when its database is made. When an operator accepts that a journal is another one than was
checkpointed, as after a restore, it gets a new id, and its event `audit.accepted` says so.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.errors import Message
from refunds.storage import Transaction, events
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.events import Head


class Lineage(NamedTuple):
    """The ids that a journal has had; `ends` has the last position under each, None for the present one.

    `first` is the earliest id: checkpoints that name no journal are of it.
    """

    first: str | None
    ends: dict[str | None, int | None]

    def includes(self, checkpoint: Checkpoint) -> bool:
        """Tell whether a checkpoint is of this journal, under its present id or an earlier one."""
        return (checkpoint.journal or self.first) in self.ends

    def own(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Return those of `checkpoints`, given oldest first, that this journal has to agree with.

        Left out are those of other journals, those before the last one with which the journal began or was accepted,
        and those after the journal's end under their id: an operator has accepted that these events are lost.
        """
        found: list[Checkpoint] = []
        for checkpoint in checkpoints:
            if self.includes(checkpoint):
                if checkpoint.accepted or (checkpoint.journal is not None and checkpoint.position == 0):
                    found = []
                end = self.ends[checkpoint.journal or self.first]
                if end is None or checkpoint.position <= end:
                    found.append(checkpoint)
        return found


def lineage(tx: Transaction, head: Head) -> Lineage:
    """Return the ids that the journal with this head has had, the earliest first, with the last position of each."""
    accepted = events.rare_of_types(tx, [EventType.AUDIT_ACCEPTED])
    ends: dict[str | None, int | None] = {}
    for row in accepted:
        ends[orjson.loads(row["data"])["from"]] = row["position"] - 1
    ends[head.journal_id] = None
    return Lineage(next(iter(ends)), ends)


def difference(tx: Transaction, head: Head, checkpoints: Sequence[Checkpoint]) -> Message | None:
    """Return a text of how the journal with this head differs from its checkpoints; None if it agrees with all of them.

    `checkpoints` are oldest first, as they were written. The text also says if there are no checkpoints, or if the last
    one is of another journal. The journal may have more events, and lack those whose loss an operator has accepted.
    """
    if not checkpoints:
        return Message("there is no checkpoint of its journal %(journal)s", journal=head.journal_id)
    known, last = lineage(tx, head), checkpoints[-1]
    if not known.includes(last):
        return Message(
            "it has the journal %(journal)s; the last checkpoint, of %(at)s, is of another one",
            journal=head.journal_id,
            at=format_instant(last.at),
        )
    for checkpoint in sorted(known.own(checkpoints), key=lambda one: one.position, reverse=True):
        position, at = checkpoint.position, format_instant(checkpoint.at)
        found = events.hash_at(tx, position)
        if found is None and head.position < position:  # else it is missing, as in a damaged file
            return Message(
                "its journal ends at position %(end)s, before its checkpoint at %(position)s, of %(at)s",
                end=head.position,
                position=position,
                at=at,
            )
        if found != checkpoint.hash:
            return Message(
                "its event at position %(position)s is not that of the checkpoint of %(at)s", position=position, at=at
            )
    return None


def common(tx: Transaction, head: Head) -> int:
    """Return the last position of the journal before the first restore that was accepted; 0 if none ever was."""
    return min((end for end in lineage(tx, head).ends.values() if end is not None), default=0)
