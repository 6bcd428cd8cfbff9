"""The business calendar: which dates count, where a window of them ends, and why, date by date.

Pure: it knows marks on dates, not where they come from. The table is built once for a region and its weeks;
from then on the n-th business day after any date is two array look-ups, whatever n is.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from copy import copy
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum
from itertools import accumulate, compress, count
from typing import Literal, NamedTuple, Self

from refunds.errors import CalendarNotCovered

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Week = tuple[str, ...] | Literal["country"]
"""Names from `WEEKDAYS`, or `"country"`: the statutory week of the region as valid on each date."""


class Mark(IntEnum):
    """What is known of one date of a region: the bits of one byte."""

    HOLIDAY = 1
    ESTIMATED = 2
    """A holiday whose date is not yet certain: it hangs on a sighting of the moon."""
    WORKING_WEEKEND = 4
    """A weekend date on which the country works by decree."""
    WEEKEND = 8
    """No working day of the statutory week that is valid on this date."""


@dataclass(frozen=True, slots=True)
class RegionDays:
    """All covered dates of one region: `marks[i]` is the `Mark` of the date with the ordinal `first + i`."""

    region: str
    first: int
    marks: bytes
    nationwide_only: bool
    data_version: str

    @property
    def last(self) -> int:
        """The ordinal of the last covered date."""
        return self.first + len(self.marks) - 1


class DayStatus(StrEnum):
    """What a date is to the window."""

    SERVICE_DAY = "service_day"
    COUNTED = "counted"
    SKIPPED = "skipped"
    LAST_DAY = "last_day"
    """The date on which the window ends where `end_week` moved its end; it is not one of the counted days."""


class Why(StrEnum):
    """Why a date is no business day; of several reasons the first."""

    WEEKEND = "weekend"
    PUBLIC_HOLIDAY = "public_holiday"
    CLOSURE = "closure"


class Day(NamedTuple):
    """One date of a window; `extension` where only `end_week` passes over it."""

    date: date
    status: DayStatus
    ordinal: int | None = None
    why: Why | None = None
    extension: bool = False


class Window(NamedTuple):
    """`length` business days after `service_day`, ending with `last_day`."""

    service_day: date
    length: int
    last_day: date


class _Table:
    """The business days of one week, and how many of them lie up to each date; dates are ordinals.

    A date's place is the number of business days before it, and so the index in `days` of the first from it on.
    Closures do not rebuild the table: `closed` holds the places that are closed, and the n-th open place is found
    by bisection, because the number of open places before a closed one only grows.
    """

    __slots__ = ("_closed", "_days", "_first", "_opens_before", "_places")

    def __init__(self, first: int, business: bytes) -> None:
        self._first = first
        self._places = array("I", accumulate(business, initial=0))
        self._days = array("I", compress(count(first), business))
        self._closed: Sequence[int] = ()
        self._opens_before: Sequence[int] = ()

    def closed_on(self, days: AbstractSet[int]) -> Self:
        """The same table, sharing its arrays, in which these dates, and only these, are closed."""
        overlay = copy(self)
        overlay._closed = sorted(place for place in map(self._place, days) if place is not None)
        overlay._opens_before = [place - rank for rank, place in enumerate(overlay._closed)]
        return overlay

    def _place(self, day: int) -> int | None:
        """The place of a business day, closures aside; None for any other date."""
        i = day - self._first
        if 0 <= i < len(self._places) - 1 and self._places[i + 1] > self._places[i]:
            return self._places[i]
        return None

    def is_business(self, day: int) -> bool:
        """Whether the date is a business day; one that the data does not hold is none."""
        place = self._place(day)
        return place is not None and not self._closed_between(place, place + 1)

    def nth_after(self, day: int, n: int) -> int:
        """The n-th business day after a date; `IndexError` where the data does not hold both."""
        i = day + 1 - self._first
        if i < 1:
            raise IndexError
        wanted = self._places[i] + n - 1
        if self._closed:
            passed = bisect_left(self._closed, self._places[i])
            wanted += bisect_right(self._opens_before, wanted - passed) - passed
        return self._days[wanted]

    def between(self, after: int, through: int) -> int:
        """How many business days lie after one date, up to and including another."""
        low, high = self._places[after + 1 - self._first], self._places[through + 1 - self._first]
        return high - low - self._closed_between(low, high)

    def _closed_between(self, low: int, high: int) -> int:
        return bisect_left(self._closed, high) - bisect_left(self._closed, low)


class BusinessCalendar:
    """The dates of one region under one business week, with the vendor's closures laid over them.

    `end_week`, where given, holds the weekdays on which a window may end (BGB section 193).
    Dates that the region's data does not cover raise `CalendarNotCovered`.
    """

    __slots__ = ("_business", "_closures", "_ends", "_estimated", "end_week", "region", "week")

    def __init__(self, region: RegionDays, week: Week, end_week: Week | None = None) -> None:
        self.region, self.week, self.end_week = region, week, end_week
        self._business = _Table(region.first, _business(region, week))
        self._ends = _Table(region.first, _business(region, end_week)) if end_week else None
        self._closures: frozenset[int] = frozenset()
        self._estimated = list(compress(count(region.first), region.marks.translate(_IS_ESTIMATED)))

    def closed_on(self, closures: Iterable[date]) -> Self:
        """This calendar with more dates on which the vendor is closed; the tables are shared, not copied."""
        overlay = copy(self)
        overlay._closures = self._closures | {day.toordinal() for day in closures}
        overlay._business = self._business.closed_on(overlay._closures)
        overlay._ends = self._ends and self._ends.closed_on(overlay._closures)
        return overlay

    def is_business_day(self, day: date) -> bool:
        """Whether the date counts."""
        return self._business.is_business(self._covered(day))

    def nth_business_day_after(self, day: date, n: int) -> date:
        """The n-th business day after a date, in O(1) for any n from 1."""
        try:
            return date.fromordinal(self._business.nth_after(day.toordinal(), n))
        except IndexError:
            raise self._not_covered() from None

    def window(self, service_day: date, length: int) -> Window:
        """The window of `length` business days after the service day, which itself never counts.

        Source: BGB section 187(1) for the day after, section 188(1) for the end, section 193 for `end_week`.
        """
        try:
            last = self._business.nth_after(service_day.toordinal(), length)
            if self._ends is not None:
                last = self._ends.nth_after(last - 1, 1)
        except IndexError:
            raise self._not_covered() from None
        return Window(service_day, length, date.fromordinal(last))

    def explain(self, window: Window) -> tuple[Day, ...]:
        """Each date from the service day to the last day, and what it is to the window."""
        days = [Day(window.service_day, DayStatus.SERVICE_DAY)]
        counted = 0
        for ordinal in range(window.service_day.toordinal() + 1, window.last_day.toordinal() + 1):
            day, extension = date.fromordinal(ordinal), counted == window.length
            if extension and day == window.last_day:
                days.append(Day(day, DayStatus.LAST_DAY))
            elif not extension and self._business.is_business(ordinal):
                counted += 1
                days.append(Day(day, DayStatus.COUNTED, ordinal=counted))
            else:
                why = self._why_not(ordinal, self.end_week if extension and self.end_week else self.week)
                days.append(Day(day, DayStatus.SKIPPED, why=why, extension=extension))
        return tuple(days)

    def days_left(self, window: Window, today: date) -> int:
        """How many days of the window lie after `today`; 0 where today is the last.

        The days of a window are its counted days and, where `end_week` moved the end, the last day.
        """
        today = max(today, window.service_day)
        if today >= window.last_day:
            return 0
        counted = self._business.between(window.service_day.toordinal(), today.toordinal())
        moved_end = self.nth_business_day_after(window.service_day, window.length) < window.last_day
        return max(0, window.length - counted) + moved_end

    def why_not(self, day: date) -> Why | None:
        """Why a date is no business day: the first of weekend, public holiday, closure; None where it is one."""
        ordinal = self._covered(day)
        return None if self._business.is_business(ordinal) else self._why_not(ordinal, self.week)

    def is_estimated(self, window: Window) -> bool:
        """Whether a holiday between the service day and the last day may yet move."""
        i = bisect_right(self._estimated, window.service_day.toordinal())
        return i < len(self._estimated) and self._estimated[i] <= window.last_day.toordinal()

    @property
    def closures(self) -> list[date]:
        """The vendor's closed dates that are laid over the calendar, in order."""
        return [date.fromordinal(ordinal) for ordinal in sorted(self._closures)]

    def _why_not(self, ordinal: int, week: Week) -> Why:
        mark = self.region.marks[ordinal - self.region.first]
        if mark & Mark.WORKING_WEEKEND:
            return Why.CLOSURE
        weekend = mark & Mark.WEEKEND if week == "country" else WEEKDAYS[(ordinal - 1) % 7] not in week
        return Why.WEEKEND if weekend else Why.PUBLIC_HOLIDAY if mark & Mark.HOLIDAY else Why.CLOSURE

    def _covered(self, day: date) -> int:
        ordinal = day.toordinal()
        if self.region.first <= ordinal <= self.region.last:
            return ordinal
        raise self._not_covered()

    def _not_covered(self) -> CalendarNotCovered:
        first, last = date.fromordinal(self.region.first), date.fromordinal(self.region.last)
        return CalendarNotCovered(self.region.region, first, last)


def _business(region: RegionDays, week: Week) -> bytes:
    """One byte a date: 1 for a business day of the region in this week, closures aside."""
    if week == "country":
        return region.marks.translate(_COUNTRY_WEEK)
    business = bytearray(len(region.marks))
    for weekday, name in enumerate(WEEKDAYS):
        start = (weekday + 1 - region.first) % 7  # the ordinal 1 was a Monday
        business[start::7] = region.marks[start::7].translate(_IN_WEEK if name in week else _OFF_WEEK)
    return bytes(business)


def _by_mark(holds: Callable[[int], bool]) -> bytes:
    """A table for `bytes.translate`: 1 for each mark of which this holds."""
    return bytes(holds(mark) for mark in range(256))


_IN_WEEK = _by_mark(lambda mark: bool(mark & Mark.WORKING_WEEKEND) or not mark & Mark.HOLIDAY)
_OFF_WEEK = _by_mark(lambda mark: bool(mark & Mark.WORKING_WEEKEND))
_COUNTRY_WEEK = _by_mark(lambda mark: bool(mark & Mark.WORKING_WEEKEND) or not mark & (Mark.HOLIDAY | Mark.WEEKEND))
_IS_ESTIMATED = _by_mark(lambda mark: bool(mark & Mark.ESTIMATED))
