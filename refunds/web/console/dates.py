"""Dates and times as people type them, in German or English: `8.4.2026 23:05`, `8 April`, `yesterday 17:40`, `14:05`.

Nothing is guessed: 8/4 can mean 8 April or 4 August, so it is not accepted.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, time, timedelta

from refunds.presentation.texts.dates import month_numbers, weekday_numbers

_WEEKDAY = re.compile(r"([^\W\d_]{2,10})\.?, ")
_CLOCK = re.compile(r"(?:^|,? (?:(?:um|at) )?|T)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?: ?Uhr)?$")
_DATES = tuple(
    re.compile(form)
    for form in (
        r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})",
        r"(?P<day>[0-9]{1,2})\. ?(?P<month>[0-9]{1,2})\.(?: ?(?P<year>[0-9]{4}))?",
        r"(?P<day>[0-9]{1,2})\.? (?P<month>[^\W\d_]{3,9})\.?(?: (?P<year>[0-9]{4}))?",
    )
)
_DAYS_BACK = {"": 0, "today": 0, "heute": 0, "yesterday": 1, "gestern": 1, "vorgestern": 2}
_LEAP_YEARS_APART = 8


def typed_time(text: str, today: date) -> tuple[date, time | None]:
    """The local date that a text in German or English names, and the time of day, or None if it names no time.

    A date without a year is the most recent such date, today included. A time alone is a time today. Raises
    `ValueError` if the text is not a date in one of the accepted forms, if there is no such date or time, or if its
    weekday is another.
    """
    rest, clock = " ".join(text.split()), None
    if not rest:
        raise ValueError("not a date")
    if found := _CLOCK.search(rest):
        rest, clock = rest[: found.start()], time(int(found["hour"]), int(found["minute"]))
    if (back := _DAYS_BACK.get(rest.lower())) is not None:
        return today - timedelta(days=back), clock
    weekday = _WEEKDAY.match(rest)
    day = _day(rest[weekday.end() :] if weekday else rest, today)
    if weekday and weekday_numbers().get(weekday[1].lower()) != day.weekday():
        raise ValueError("not the weekday of this date")
    return day, clock


def _day(text: str, today: date) -> date:
    """The date that a text names, which has no weekday and no time; without a year, the most recent such date.

    Raises `ValueError` if it is in none of the accepted forms, or there is no such date.
    """
    found = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if found is None:
        raise ValueError("not a date: write it as 2026-04-08 or 8.4.2026")
    day, month, year = int(found["day"]), _month(found["month"]), found["year"]
    return date(int(year), month, day) if year else next(_such_dates(today, month, day))


def _such_dates(today: date, month: int, day: int) -> Iterator[date]:
    """The dates with this day and month, from today back to eight years ago, latest first. Then raises `ValueError`."""
    for year in range(today.year, today.year - _LEAP_YEARS_APART - 1, -1):
        with suppress(ValueError):
            if (such := date(year, month, day)) <= today:
                yield such
    raise ValueError("no such date: check the day and the month")


def _month(text: str) -> int:
    """The number of a month, from its digits or its German or English name. Raises `ValueError` if it is neither.

    Digits are not checked: 13 is returned as it is.
    """
    number = int(text) if text.isdigit() else month_numbers().get(text.lower())
    if number is None:
        raise ValueError("no such month")
    return number
