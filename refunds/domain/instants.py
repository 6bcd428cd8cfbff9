"""Instants and local dates: RFC 3339 in and out, and where a date begins in a time zone.

Zones come only from the pinned `tzdata` package, never from the machine. So every process counts alike,
and the answer can name the data it was made from.
"""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

from refunds.errors import Message, Unfit

TZDATA_VERSION: str = tzdata.IANA_VERSION

# This bounds hours, minutes and seconds itself, because `fromisoformat` accepts 24:00 in newer Pythons.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_AT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
_WRONG = tuple(
    (re.compile(pattern, re.DOTALL), detail)
    for pattern, detail in (
        (rf"{_AT}(?:\.[0-9]+)?", Message("needs its offset, such as Z or +02:00, as in 2026-04-02T16:20:00+02:00")),
        (rf"{_AT}\.[0-9]{{10,}}{_OFFSET}", Message("has more than 9 digits after the second")),
        (rf"{_AT}(?:\.[0-9]+)?{_OFFSET}", Message("no such time: hours go to 23, minutes and seconds to 59")),
        (
            r"[^ ]* [0-9]{2}:[0-9]{2}",
            Message("has a space instead of the offset's +: in a query, + is written %2B"),
        ),
        (r".*", Message("not an RFC 3339 date-time with an offset, such as 2026-04-02T16:20:00+02:00")),
    )
)
"""What is wrong with a text that is no instant; the first that fits."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_NONE = timedelta()


def parse_instant(text: str) -> datetime:
    """Return the instant that an RFC 3339 date-time names, in UTC.

    Of up to nine digits of a second, six are kept. Raises `Unfit`, with what is wrong, for anything else: no offset,
    24:00, a leap second, a date that does not exist, an instant before year 1 or after 9999.
    """
    if not _INSTANT.fullmatch(text):
        raise Unfit(next(detail for pattern, detail in _WRONG if pattern.fullmatch(text)))
    try:
        instant = datetime.fromisoformat(text.upper())
        return instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unfit(Message("no such instant: check the day of the month and the year")) from None


def format_instant(instant: datetime) -> str:
    """Return an instant in RFC 3339, in UTC with `Z`; microseconds only if there are any."""
    in_utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    return in_utc.isoformat()[:-6] + "Z"


def format_known(instant: datetime | None) -> str | None:
    """Return an instant as `format_instant` writes it; None for None."""
    return None if instant is None else format_instant(instant)


def format_local(instant: datetime, tz: ZoneInfo) -> str:
    """Return an instant in RFC 3339, as the clocks of a zone show it; its offset is rounded down to whole minutes."""
    local = instant.astimezone(tz)
    seconds = (local.utcoffset() or _NONE) % _MINUTE
    return (local.astimezone(timezone((local.utcoffset() or _NONE) - seconds)) if seconds else local).isoformat()


def parse_date(text: str) -> date:
    """Return the date that `YYYY-MM-DD` names. Raises `Unfit` for another spelling or if there is no such date."""
    if not _DATE.fullmatch(text):
        raise Unfit(Message("not a date: write it as 2026-12-24"))
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unfit(Message("no such date: check the day and the month")) from None


@cache
def zone_names() -> frozenset[str]:
    """Return every IANA name that the `tzdata` package lists, without `Factory`, which is no zone."""
    return frozenset((files(tzdata) / "zones").read_text().split()) - {"Factory"}


@cache
def zone(name: str) -> ZoneInfo:
    """Return the time zone with exactly this IANA name, from the `tzdata` package. Raises `Unfit` if there is none."""
    if name not in zone_names():
        # The error does not repeat the text, which may come from anyone.
        raise Unfit(Message("unknown time zone: use an IANA name such as Europe/Berlin"))
    with files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)


def local_date(instant: datetime, tz: ZoneInfo) -> date:
    """Return the date of an instant in a zone; at the ends of the calendar, the nearest date that exists."""
    if instant.tzinfo is UTC and (turn := _turn(instant.date(), tz)) is not None:
        at, before, after = turn
        return before if instant < at else after
    try:
        return instant.astimezone(tz).date()
    except OverflowError:
        return instant.date()


@lru_cache(maxsize=16_384)
def _turn(day: date, tz: ZoneInfo) -> tuple[datetime, date, date] | None:
    """Return the instant in a UTC day at which a zone's date changes, the date before it and the date from it on.

    None if the zone's clocks change on that day, or at the ends of the calendar.
    """
    begin = datetime.combine(day, time.min, UTC)
    try:
        first, last = begin.astimezone(tz), (begin + _DAY).astimezone(tz)
    except OverflowError:
        return None
    offset = first.utcoffset() or _NONE
    at = begin + -offset % _DAY
    return (at, first.date(), at.astimezone(tz).date()) if offset == last.utcoffset() else None


def months_on(day: date, months: int) -> date:
    """Return the same day so many months later, or the last of a shorter month. Raises `ValueError` after 9999."""
    years, month = divmod(day.month - 1 + months, 12)
    first = day.replace(year=day.year + years, month=month + 1, day=1)
    return first.replace(day=min(day.day, monthrange(first.year, first.month)[1]))


@lru_cache(maxsize=16_384)
def end_of_day(day: date, tz: ZoneInfo) -> datetime:
    """Return the first instant after a local date, in UTC. Source: BGB section 188(1), "the end of the last day"."""
    return first_instant(day + _DAY, tz)


def first_instant(day: date, tz: ZoneInfo) -> datetime:
    """Return the first instant of a local date, in UTC; if the clocks skip midnight, the instant that they jump to."""
    midnight = datetime.combine(day, time.min, tz).astimezone(UTC)
    if midnight.astimezone(tz).replace(tzinfo=None) == datetime.combine(day, time.min):
        return midnight
    # The clocks jump over midnight. No two jumps lie within half a day, so from noon on the local date only grows.
    before, after = midnight - _DAY / 2, midnight
    while after - before > timedelta(microseconds=1):
        middle = before + (after - before) / 2
        before, after = (before, middle) if middle.astimezone(tz).date() >= day else (middle, after)
    return after


@cache
def dates_never_shown(tz: ZoneInfo) -> tuple[date, ...]:
    """Return the dates from 1900 to 2100 that a zone's clocks skipped whole, as 30 December 2011 in Samoa."""
    new_years = [datetime(year, 1, 1, 12, tzinfo=UTC) for year in range(1900, 2102)]
    offsets = [instant.astimezone(tz).utcoffset() or _NONE for instant in new_years]
    jumped = [
        begin.date()
        for begin, before, after in zip(new_years, offsets, offsets[1:], strict=False)
        if after - before > _DAY / 2  # only a move over the date line; a date is skipped to move west of it
    ]
    dates = (begin + _DAY * days for begin in jumped for days in range(366))
    return tuple(day for day in dates if first_instant(day, tz) == end_of_day(day, tz))


def shown_instants(day: date, clock: time, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first and the last instant, in UTC, at which a zone's clocks show this date and time.

    They differ only if the clocks were put back over it. Raises `Unfit` if the clocks never show it; its detail has, as
    `instead`, what they show once they are put forward.
    """
    shown = datetime.combine(day, clock, tz)
    try:
        first, last = (shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
        instead = first.astimezone(tz)
    except OverflowError:
        raise Unfit(Message("no such instant: check the year")) from None
    if instead.replace(tzinfo=None, fold=0) != datetime.combine(day, clock):
        text = f"{instead.day}.{instead.month}.{instead.year} {instead:%H:%M}"
        raise Unfit(Message("no such time: the clocks were put forward, to %(instead)s", instead=text), "time_skipped")
    return first, last
