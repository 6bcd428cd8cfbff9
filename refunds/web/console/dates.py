"""Dates and times as people type or paste them, in German or English: `8.4.2026 23:05`, `Friday 6:40 pm`.

Nothing is guessed: a text is read in every way that it can be, and refused if that gives more than one time. 8/4 can
mean 8 April or 4 August, so it is not accepted; 27/4 is.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime

from refunds.errors import Message, Unfit
from refunds.presentation.texts.dates import month_numbers, weekday_numbers

_FRAME = re.compile(
    r"(?:(?:date|datum|sent|gesendet|received|empfangen): ?|(?:on|am|at|um) )?(?P<text>.*?)(?: \((?:vor .*|.* ago)\))?",
    re.IGNORECASE,
)
_ZONED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2})? ?[+-][0-9]{2}:?[0-9]{2}")
_OF_MAIL = re.compile(
    r"(?:(?P<weekday>[a-z]{3}), ?)?[0-9]{1,2} [a-z]{3} [0-9]{4} [0-9]{2}:[0-9]{2}(?::[0-9]{2})? (?:[+-][0-9]{4}|GMT|UT)"
    r"(?: \([a-z]+\))?",
    re.IGNORECASE,
)

_CLOCK = (
    r"(?P<hour>[0-9]{1,2})(?:[:.](?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?)?"
    r"(?: ?(?P<mark>uhr|h|(?P<half>[ap])\.?m\.?))?"
)
_CLOCK_IN_WORDS = r"(?P<hour>[0-9]{1,2}) ?(?:uhr|h) ?(?P<minute>[0-9]{2})"
_OFFSET = r"(?: \((?P<offset>[+-][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)\))?"
_CLOCKS = tuple(
    re.compile(form, re.IGNORECASE)
    for clock in (_CLOCK + _OFFSET, _CLOCK_IN_WORDS + _OFFSET)
    for form in (
        rf"(?P<rest>.*?)(?:(?:^|,? (?:(?:um|at|gegen) )?|(?<=[0-9])T){clock})?",
        rf"{clock}(?:,| on| am)? (?P<rest>.*)",
    )
)
"""A time of day after a date, or none; a time of day before a date."""

_YEAR = r"(?P<year>[0-9]{4}|[0-9]{2})"
_NAME = r"(?P<month>[^\W\d_]{3,9})\.?"
_DATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})",
        rf"(?P<day>[0-9]{{1,2}})\. ?(?P<month>[0-9]{{1,2}})(?:\.|\. ?{_YEAR})?",
        rf"(?P<day>[0-9]{{1,2}})(?P<sign>[/-])(?P<month>[0-9]{{1,2}})(?:(?P=sign){_YEAR})?",
        rf"(?P<month>[0-9]{{1,2}})(?P<sign>[/-])(?P<day>[0-9]{{1,2}})(?:(?P=sign){_YEAR})?",
        rf"(?P<day>[0-9]{{1,2}})(?:\.|st|nd|rd|th)? (?:of )?{_NAME},?(?: (?P<year>[0-9]{{4}}))?",
        rf"{_NAME} (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>[0-9]{{4}}))?",
    )
)
_WEEKDAY = re.compile(
    r"(?:(?P<last>last|letzten) )?(?P<name>[^\W\d_]{2,10})\.?(?:, ?| |$)(?:den )?(?P<date>.*)", re.IGNORECASE
)
_DAYS_BACK = {"": 0, "today": 0, "heute": 0, "yesterday": 1, "gestern": 1, "vorgestern": 2}
_MORE_MONTHS = {"mrz": 3, "jän": 1, "jänner": 1, "sep": 9, "sept": 9}
_MORE_WEEKDAYS = {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
_LEAP_YEARS_APART = 8
_LONGEST = 200
_NONE = timedelta()


def typed_instant(text: str) -> datetime:
    """Return the instant, in UTC, of a text with an offset: in ISO 8601, or as in the header `Date` of a mail.

    Raises `ValueError` if the text has no offset or another form, has a wrong weekday, or is outside the calendar.
    Source: RFC 5322, section 3.3.
    """
    bare = _bare(text)
    if _ZONED.fullmatch(bare):
        return _in_utc(datetime.fromisoformat(bare.replace(" ", "T", 1).replace(" ", "")))
    found = _OF_MAIL.fullmatch(bare)
    if not found:
        raise ValueError("no date of a mail")
    instant = parsedate_to_datetime(bare)
    if found["weekday"] and weekday_numbers().get(found["weekday"].lower()) != instant.weekday():
        raise ValueError("not the weekday of this date")
    return _in_utc(instant if instant.tzinfo else instant.replace(tzinfo=UTC))  # -0000: in UTC, wherever it was sent


def _in_utc(instant: datetime) -> datetime:
    """Return an instant in UTC; raises `ValueError` if it is there outside the years of the calendar."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("no such instant: check the year") from None


def typed_time(text: str, today: date, ahead: timedelta = _NONE) -> tuple[date, time | None]:
    """Return the local date that a text in German or English names, and the time of day, or None if it names no time.

    24:00 is 0:00 of the next date. The time has an offset if the text has one in brackets, as in "2:30 (+01:00)", which
    tells apart two times that the clocks show alike. A date without a year is the most recent such date up to `ahead`
    after today; a weekday is the last before today. A time alone is a time today. Raises `ValueError` if the text is no
    date, if there is no such date or time, or if its weekday is another; `Unfit` if the text can mean more than one
    time, as the weekday of today can.
    """
    bare = _bare(text)
    ways = _clocks(bare) if bare else ()
    meant = {(day + timedelta(late), clock) for rest, late, clock in ways for day in _days(rest, today, today + ahead)}
    if not meant:
        raise ValueError("not a date: write it as 2026-04-08 or 8.4.2026")
    if len(meant) > 1:
        raise Unfit(Message("can mean more than one time"), "ambiguous_time")
    return meant.pop()


def _bare(text: str) -> str:
    """Return a text without the words that mail programs put around a date; empty if it is over 200 characters long."""
    found = _FRAME.fullmatch(" ".join(text.split()))
    return found["text"] if found and len(text) <= _LONGEST else ""


def _clocks(text: str) -> Iterator[tuple[str, int, time | None]]:
    """Yield each way to divide a text into that of a date, and how many days later it is what time of day.

    The first is the whole text, with None as the time. Only 24:00 is a day later, at 0:00.
    """
    yield text, 0, None
    for form in _CLOCKS:
        found = form.fullmatch(text)
        parts = found.groupdict("") if found else {}
        if parts.get("hour") and (parts["minute"] or parts.get("mark")):
            hour, minute, second = (int(parts.get(part) or 0) for part in ("hour", "minute", "second"))
            half, end = parts.get("half", "").lower(), (hour, minute, second) == (24, 0, 0)
            if half and 1 <= hour <= 12:  # noqa: PLR2004 - on the clock's face
                hour = hour % 12 + 12 * (half == "p")
            elif half and (half == "p" or form is _CLOCKS[0]):  # else it is the German word of "18:40 am Freitag"
                continue
            with suppress(ValueError):
                offset = time.fromisoformat(f"00:00{parts['offset']}").tzinfo
                yield parts["rest"], int(end), time(0 if end else hour, minute, second, tzinfo=offset)


def _days(text: str, today: date, until: date) -> Iterator[date]:
    """Yield each date that a text without a time of day can name; an empty text names today.

    A weekday alone is the last one before today; unless the text says "last", it can also be today. A weekday with a
    date keeps only the dates that fall on it. A date without a year is the most recent such date up to `until`.
    """
    if (back := _DAYS_BACK.get(text.lower())) is not None:
        yield today - timedelta(days=back)
        return
    found = _WEEKDAY.fullmatch(text)
    named = found and (weekday_numbers() | _MORE_WEEKDAYS).get(found["name"].lower())
    if found and named is not None and found["date"]:
        yield from (day for day in _dates(found["date"], until) if day.weekday() == named)
    elif found and named is not None:
        yield today - timedelta(days=(today.weekday() - named) % 7 or 7)
        if today.weekday() == named and not found["last"]:
            yield today
    else:
        yield from _dates(text, until)


def _dates(text: str, until: date) -> Iterator[date]:
    """Yield each date that a text with a day and a month, and perhaps a year, can name; nothing for other texts.

    Without a year, it is the most recent such date up to `until`; a year of two digits is one from 2000 on.
    """
    for found in filter(None, (form.fullmatch(text) for form in _DATES)):
        named, year = found["month"], found["year"]
        month = int(named) if named.isdigit() else (month_numbers() | _MORE_MONTHS).get(named.lower(), 0)
        with suppress(ValueError, StopIteration):
            if year:
                yield date(int(year) + (2000 if len(year) == len("26") else 0), month, int(found["day"]))
            else:
                yield next(_such_dates(until, month, int(found["day"])))


def _such_dates(until: date, month: int, day: int) -> Iterator[date]:
    """Yield the dates with this day and month, from `until` back to eight years before, latest first."""
    for year in range(until.year, until.year - _LEAP_YEARS_APART - 1, -1):
        with suppress(ValueError):
            if (such := date(year, month, day)) <= until:
                yield such
