"""The clock of this machine, compared with the journal, before something relies on the time."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from refunds.domain.instants import format_instant
from refunds.domain.journal import Event, EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ClockInDoubt, InvalidInput, Message
from refunds.service.store import Store
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.events import Events

BEHIND = timedelta(minutes=1)
"""How far the clock may be behind what was recorded: those of several machines differ a little."""

AHEAD = timedelta(days=40)
"""How far the clock may be ahead of the last event or checkpoint: more than a quiet month."""

BACK = timedelta(days=1)
"""If an event is so much earlier than the one before it, the clock that recorded the one before was wrong."""

SIGN_OF_LIFE = timedelta(days=1)
"""After this time without an event, a checkpoint is written to show that the service was running."""


def require_sound(store: Store) -> timedelta:
    """Raise `ClockInDoubt` if the clock is over a minute behind the events and checkpoints, or over 40 days ahead.

    An event over 40 days after the one before also puts the clock in doubt, until an operator confirms the clock, or
    until an event is over a day earlier than the one before. Returns how long ago the last event or checkpoint was;
    zero if the journal is empty. Raises `AnotherJournal` if the journal is not the one that was seen before.
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
            confirmed = uow.events.last_of(EventType.AUDIT_CLOCK_CONFIRMED)
            store.looked = head, newest, around, max(jump or 0, confirmed.position if confirmed else 0)
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
    """Return the latest time that an event or checkpoint from position `base` on has; the last event is at `end`.

    The last event alone is not enough: a slow clock may have recorded it, and so agrees with it. What was found is kept
    in `store.latest`; the next call reads only what is new.
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
    """Return how long `until` is after the last sign of life; raise `ClockInDoubt` if that is over 40 days.

    That sign is the event or, if `until` is over a day later, the last checkpoint of this event that was written before
    `until` and at most 40 days after the event or the checkpoint before. `now` is for the text of the error.
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


def check_clock(store: Store) -> None:
    """Check the clock, then write a checkpoint if there was no event or checkpoint for a day.

    The checkpoint shows that the service was running, so that a quiet time does not put its clock in doubt. Raises
    `ClockInDoubt` and `AnotherJournal` as `require_sound` does.
    """
    if require_sound(store) > SIGN_OF_LIFE:
        store.checkpoint()


def doubt(store: Store) -> ClockInDoubt | None:
    """Return the `ClockInDoubt` that `require_sound` raises; None if it raises none. Lets `AnotherJournal` through."""
    try:
        require_sound(store)
    except ClockInDoubt as error:
        return error
    return None


def checkpoint(store: Store) -> None:
    """Write a checkpoint, or do nothing if the clock is in doubt: later the clock is compared with checkpoints."""
    if doubt(store) is None:
        store.checkpoint()


def confirm(store: Store) -> None:
    """Record by an event that an operator confirms the clock; raises `InvalidInput` if it is not in doubt."""
    if doubt(store) is None:
        raise InvalidInput.at("", Message("the clock is not in doubt"))
    with store.write(COMMAND_LINE) as uow:
        last = uow.events.newest(None, 1)[0][0].at
        uow.events.note(EventType.AUDIT_CLOCK_CONFIRMED, "clock", {"last": format_instant(last)})
