"""The clock of this machine, compared with the journal, before something relies on the time."""

from datetime import UTC, datetime, timedelta

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ClockInDoubt, FieldError, InvalidInput, Message
from refunds.service.store import Store

BEHIND = timedelta(minutes=1)
"""How far the clock may be behind the last event: those of several machines differ a little."""

AHEAD = timedelta(days=40)
"""How far it may be ahead of the last sign of life: more than a quiet month."""

SIGN_OF_LIFE = timedelta(days=1)
"""After this time without an event, a checkpoint shows that the service was there."""


def require_sound(store: Store) -> timedelta:
    """Raise `ClockInDoubt` if the clock is over a minute behind the last event, or 40 days ahead of all signs of life.

    Those are the last event and the last checkpoint; returns how long ago the later of them was. A journal without
    events vouches for every clock.
    """
    now = datetime.now(UTC)
    last = _last_event(store)
    if last is None or abs(now - last) <= BEHIND:
        return timedelta()
    if last > now:
        raise ClockInDoubt(
            Message(
                "The clock says %(now)s, but the last event was recorded at %(last)s. Correct the clock. If it is "
                "right, as a wrong one has recorded that event, confirm it with flask clock --confirm.",
                now=format_instant(now),
                last=format_instant(last),
            )
        )
    checkpoint = store.checkpoints.last() if now - last > SIGN_OF_LIFE else None
    alive = max(last, checkpoint.at) if checkpoint else last
    if now - alive > AHEAD:
        raise ClockInDoubt(
            Message(
                "The clock says %(now)s, which is %(days)s days after the last sign of life, of %(last)s. Correct the "
                "clock. If it is right, confirm it with flask clock --confirm.",
                now=format_instant(now),
                days=(now - alive).days,
                last=format_instant(alive),
            )
        )
    return now - alive


def look(store: Store) -> None:
    """Raise what `require_sound` raises; if nothing was recorded for a day, write a checkpoint as a sign of life.

    So a service in which nothing happens for long does not come to doubt its clock.
    """
    if require_sound(store) > SIGN_OF_LIFE:
        store.checkpoint()


def doubt(store: Store) -> ClockInDoubt | None:
    """What `require_sound` raises, if it does."""
    try:
        require_sound(store)
    except ClockInDoubt as error:
        return error
    return None


def checkpoint(store: Store) -> None:
    """Write a checkpoint, unless the clock is in doubt: its time would vouch for the clock."""
    if doubt(store) is None:
        store.checkpoint()


def confirm(store: Store) -> None:
    """Enter in the journal that an operator says that the clock is right, with the time of the event before.

    Raises `InvalidInput` if it is not in doubt.
    """
    if doubt(store) is None:
        raise InvalidInput([FieldError("", Message("the clock is not in doubt"))])
    last = _last_event(store)
    with store.write(COMMAND_LINE) as uow:
        uow.events.note(EventType.AUDIT_CLOCK_CONFIRMED, "clock", {"last": last and format_instant(last)})


def _last_event(store: Store) -> datetime | None:
    """When the last event of the journal was recorded; None if there is none.

    Raises `AnotherJournal` if the journal is not the one that was seen before.
    """
    with store.read(COMMAND_LINE) as uow:
        head = uow.events.head()
        uow.policies_at(head)  # compares the journal
        newest = uow.events.newest(head.position + 1, 1)
    return newest[0][0].at if newest else None
