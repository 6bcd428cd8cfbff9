"""The clock of this machine, compared with the journal, before something relies on the time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from refunds.domain.instants import format_instant
from refunds.domain.journal import Event, EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ClockInDoubt, FieldError, InvalidInput, Message
from refunds.service.store import Store
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.events import Events

BEHIND = timedelta(minutes=1)
"""How far the clock may be behind what was recorded: those of several machines differ a little."""

AHEAD = timedelta(days=40)
"""How far it may be ahead of the last sign of life: more than a quiet month."""

BACK = timedelta(days=1)
"""An event that is so much earlier than the one before shows that the clock of that one was wrong."""

SIGN_OF_LIFE = timedelta(days=1)
"""After this time without an event, a checkpoint shows that the service was there."""


def require_sound(store: Store) -> timedelta:
    """Raise `ClockInDoubt` if the clock is over a minute behind what was recorded, or 40 days ahead of it.

    That are the events and the checkpoints between them, but not what came 40 days after all before: the clock that
    recorded it was in doubt itself, until an operator confirms it or a later event is a day back. Returns how long ago
    the last sign of life was. A journal without events vouches for every clock.

    Raises `AnotherJournal` if the journal is not the one that was seen before.
    """
    now = datetime.now(UTC)
    with store.read(COMMAND_LINE) as uow:
        head = uow.events.head()
        uow.policies_at(head)  # compares the journal
        if store.looked is None or store.looked[0] != head:  # probes ask every few seconds
            newest = uow.events.newest(head.position + 1, 1)
            jump = uow.events.last_jump(store.times_fit_to, AHEAD, BACK)
            store.times_fit_to = jump - 1 if jump else head.position
            around = uow.events.newest(jump + 1, 2) if jump else []
            store.looked = head, newest, around, max(jump or 0, uow.events.confirmed_at())
        _, newest, around, base = store.looked
        latest = _latest(store, uow.events, base, head.position)
    if not newest:
        return timedelta()
    last = newest[0][0]
    if latest > now + BEHIND:
        raise ClockInDoubt(
            Message(
                "The clock says %(now)s, but something was recorded at %(last)s. Correct the clock. If it is "
                "right, as a wrong one has recorded that, confirm it with flask clock --confirm.",
                now=format_instant(now),
                last=format_instant(latest),
            )
        )
    if around:
        (later, _), (earlier, _) = around
        _require_near(store, earlier, later.at, now)
    store.times_fit_to = head.position
    return max(_require_near(store, last, now, now), timedelta())


def _latest(store: Store, events: Events, base: int, end: int) -> datetime:
    """The latest time of the events and checkpoints since a confirmation or a jump at `base`, up to the last event.

    Not that of the last event: a slow clock would vouch for itself by what it records.
    """
    known = store.latest
    written: Iterable[Checkpoint | None]
    if known is None or base > known[0] or end < known[1]:
        since, written, latest = base, store.checkpoints, datetime.min.replace(tzinfo=UTC)
    else:
        (base, since, latest), written = known, (store.checkpoints.last(),)
    times = [one.at for one in written if one and one.position >= max(base, 1)]
    if known is None or end != known[1]:
        times += filter(None, (events.latest(since),))
    latest = max([latest, *times])
    store.latest = base, end, latest
    return latest


def _require_near(store: Store, event: Event, until: datetime, now: datetime) -> timedelta:
    """Raise `ClockInDoubt` if an instant is 40 days ahead of the event before it and of the checkpoints since.

    Returns how far it is ahead of the last of them. A checkpoint that is itself 40 days ahead counts for nothing.
    """
    alive = event.at
    for checkpoint in store.checkpoints if until - alive > SIGN_OF_LIFE else ():
        if checkpoint.position == event.position and alive < checkpoint.at <= min(until, alive + AHEAD):
            alive = checkpoint.at
    if until - alive > AHEAD:
        raise ClockInDoubt(
            Message(
                "The clock says %(now)s, which is %(days)s days after the last sign of life, of %(last)s. Correct the "
                "clock. If it is right, confirm it with flask clock --confirm.",
                now=format_instant(now),
                days=(now - alive).days,
                last=format_instant(alive),
            )
        )
    return until - alive


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
    with store.write(COMMAND_LINE) as uow:
        last = uow.events.newest(None, 1)[0][0].at
        uow.events.note(EventType.AUDIT_CLOCK_CONFIRMED, "clock", {"last": format_instant(last)})
