"""Accept a journal in place of the one that was checkpointed, as after a restore: an operator's decision, on record."""

from datetime import datetime
from typing import NamedTuple

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError, InvalidInput, Message
from refunds.schemas.fields import Line
from refunds.schemas.strict import schema_of
from refunds.service.store import Store
from refunds.storage import events, lineage
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.erasures import ErasureLedger

_REASON = schema_of(reason=Line(200, required=True))


def read_reason(reason: str) -> str:
    """Return the reason; raise `InvalidInput` if it is not a line of 1 to 200 characters without spaces at its ends."""
    line: str = _REASON.read({"reason": reason})["reason"]
    return line


def ledger_missing_error(ledger: ErasureLedger) -> ConfigurationError:
    """Return the error, for the caller to raise, that the ledger of erasures is missing, so erased data may be back."""
    detail = Message(
        "REFUNDS_LEDGER_DIR: there is no %(file)s, so customers who were erased since may be in the database again. "
        "Name the right directory, or say why it is lost with --ledger-lost REASON",
        file=ledger.file,
    )
    return ConfigurationError(detail)


class Lost(NamedTuple):
    """What was lost with the journal that was replaced: `how` the two differ, and between which times.

    `since` is the time of the last event that is left, None if none is; `until` is the time of the last checkpoint, or
    of the acceptance if there is no checkpoint.
    """

    how: Message
    since: datetime | None
    until: datetime


def accept(store: Store, reason: str, how: Message | None = None, ledger_lost: str | None = None) -> Lost:
    """Accept the journal of the database in place of the one that was checkpointed last, and return what is lost.

    The journal gets a new id, and an event and a checkpoint with the reason. Customers whom the ledger names as erased
    are erased again; `ledger_lost` says why there is no ledger. `how` says how the journals differ if the checkpoints
    do not show it. Raises `InvalidInput` if a reason is not a line of 1 to 200 characters, or the journals do not
    differ, `ConfigurationError` if the ledger is missing and `ledger_lost` does not say why, or if it cannot be
    written, and `OSError` if a write to it fails.
    """
    reason, why = read_reason(reason), ledger_lost and read_reason(ledger_lost)
    if not why and not store.erasures.file.exists():
        raise ledger_missing_error(store.erasures)
    store.erasures.require_writable()
    written = list(store.checkpoints)
    with store.write(COMMAND_LINE, exclusive=True) as uow:
        head = uow.events.head()
        how = lineage.difference(uow.tx, head, written) or how
        if how is None:
            raise InvalidInput.at("", Message("the journal is the one of the last checkpoint"))
        newest = uow.events.newest(None, 1)
        journal = uow.new_id("jrn")
        events.set_journal_id(uow.tx, journal)
        last = written[-1] if written else Checkpoint(0, b"", uow.now)
        data = {"from": head.journal_id, "reason": reason, "checkpoint": last.position, "at": format_instant(last.at)}
        if why:
            data |= {"ledger_lost": why, "erased_since": format_instant(newest[0][0].at) if newest else None}
        uow.events.note(EventType.AUDIT_ACCEPTED, journal, data)
        uow.erasures.make_whole()  # after the event at which the journal that was lost ends
    with store.read(COMMAND_LINE) as uow:
        end = uow.events.head()
    store.checkpoints.append(Checkpoint(end.position, end.hash, uow.now, journal, reason))
    return Lost(how, newest[0][0].at if newest else None, last.at)
