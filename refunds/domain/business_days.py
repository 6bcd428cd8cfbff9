"""The business calendar: which dates count, where a window ends, and why, date by date.

Pure: it knows marks on dates, not their source. It counts in strings of one byte a date, which are made at once.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from datetime import date
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple, Self

from refunds.domain.region_days import BUSINESS, CLOSED, HOLIDAY, MOVED_END, WEEKEND, RegionDays, Week
from refunds.errors import CalendarNotCovered


class DayStatus(StrEnum):
    """The role of a date in a window."""

    SERVICE_DAY = "service_day"
    COUNTED = "counted"
    SKIPPED = "skipped"
    LAST_DAY = "last_day"
    """The date on which a window ends if `end_week` moved its end; it is not one of the counted days."""


class SkipReason(StrEnum):
    """Why a date is not a business day; the first reason if several apply."""

    WEEKEND = "weekend"
    PUBLIC_HOLIDAY = "public_holiday"
    CLOSURE = "closure"


class Day(NamedTuple):
    """One date of a window.

    `ordinal` numbers the counted dates from 1; `why` is the reason for a skipped one. `extension` is true if only
    `end_week` passes over it.
    """

    date: date
    status: DayStatus
    ordinal: int | None = None
    why: SkipReason | None = None
    extension: bool = False


class Window(NamedTuple):
    """`length` business days after `service_day`; `last_day` is the last of them, or where `end_week` moved the end."""

    service_day: date
    length: int
    last_day: date


_WHY = {WEEKEND: SkipReason.WEEKEND, HOLIDAY: SkipReason.PUBLIC_HOLIDAY, CLOSED: SkipReason.CLOSURE}


class _Table:
    """The code of each date in a business week, one byte a date, from the ordinal `first` on."""

    __slots__ = ("_first", "day_codes")

    def __init__(self, first: int, day_codes: bytes) -> None:
        self._first, self.day_codes = first, day_codes

    def without(self, skipped: Mapping[int, int]) -> "_Table":
        """Return a copy in which the business days among `skipped`, by ordinal, have the codes given there instead."""
        day_codes = bytearray(self.day_codes)
        for day, code in skipped.items():
            i = day - self._first
            if 0 <= i < len(day_codes) and day_codes[i] == BUSINESS:
                day_codes[i] = code
        return _Table(self._first, bytes(day_codes))

    def nth_after(self, day: int, n: int) -> int:
        """Return the n-th (from 1) business day after a day, both as ordinals; raise `IndexError` beyond the table."""
        i = day + 1 - self._first
        if i < 1:
            raise IndexError
        while n:  # the n dates after those looked at have n business days at most, so none is passed over
            i, n = i + n, n - self.day_codes.count(BUSINESS, i, i + n)
            if i > len(self.day_codes):
                raise IndexError
        return self._first + i - 1

    def between(self, after: int, before: int) -> bytes:
        """Return the codes of the dates after `after` and before `before`, both as ordinals, one byte a date."""
        return self.day_codes[after + 1 - self._first : before - self._first]


def explained(service_day: date, day_codes: bytes) -> tuple[Day, ...]:
    """Return each date from the service day on with its role; `day_codes` has one code for each date after that day."""
    days = [Day(service_day, DayStatus.SERVICE_DAY)]
    counted = 0
    for ordinal, letter in enumerate(day_codes, service_day.toordinal() + 1):
        day = date.fromordinal(ordinal)
        if letter == BUSINESS:
            counted += 1
            days.append(Day(day, DayStatus.COUNTED, counted))
        elif letter == MOVED_END:
            days.append(Day(day, DayStatus.LAST_DAY))
        else:
            plain = letter | _SMALL
            days.append(Day(day, DayStatus.SKIPPED, None, _WHY[plain], letter != plain))
    return tuple(days)


def days_ahead(service_day: date, day_codes: bytes, today: date) -> int:
    """Return how many days of a window come after `today`, a local date; 0 on the window's last day and later.

    The last day counts even if `end_week` moved it. The first of `day_codes` is of the day after `service_day`.
    """
    ahead = day_codes[max(0, (today - service_day).days) :]
    return ahead.count(BUSINESS) + ahead.count(MOVED_END)


@lru_cache(maxsize=4096)
def fingerprint_of(service_day: date, day_codes: bytes) -> str:
    """Return a digest of a window's service day and codes, in 16 hexadecimal digits: other days give another digest."""
    return sha256(f"{service_day} {day_codes.decode()}".encode()).hexdigest()[:16]


class BusinessCalendar:
    """The dates of one region in one business week, with the vendor's closures.

    `end_week`, if given, lists the weekdays on which a window may end (BGB section 193).
    Raises `CalendarNotCovered` if a calculation leaves the region's data.
    """

    __slots__ = (
        "_business",
        "_closures",
        "_ends",
        "_entered",
        "_too_late",
        "_without",
        "region",
        "window",
    )

    window: Callable[[date, int], Window]
    """The window of a number of business days after a service day, which itself never counts.

    Recent results are cached, because nearly all orders are from the last few days.
    """

    def __init__(self, region: RegionDays, week: Week, end_week: Week | None = None) -> None:
        self.region = region
        self._business = _Table(region.first, region.day_codes(week))
        self._ends = _Table(region.first, region.day_codes(end_week)) if end_week else None
        self._closures: frozenset[int] = frozenset()
        self.window = _windows(region, self._business, self._ends)
        self._without: Self | None = None
        self._entered: tuple[tuple[date, date], ...] = ()
        self._too_late: Callable[[date, int], frozenset[date]] | None = None

    def closed_on(self, closures: Iterable[date]) -> Self:
        """Return a copy of this calendar with more closures, which count for every window.

        Dates beyond the region's data change no window, though `closures` lists them. Call it before
        `with_entered_closures`, never on the result.
        """
        days = {day.toordinal(): CLOSED for day in closures}
        overlay = self._without_days(days, days)
        overlay._closures = self._closures | days.keys()
        return overlay

    def _without_days(self, skipped: Mapping[int, int], not_ends: Mapping[int, int]) -> Self:
        """Return a copy in which dates in `skipped` do not count, and no window ends on dates in `not_ends`.

        Both give a code for each date, by ordinal; dates that do not count already keep their codes.
        """
        overlay = copy(self)
        overlay._business = self._business.without(skipped)
        overlay._ends = self._ends and self._ends.without(not_ends)
        overlay.window = _windows(overlay.region, overlay._business, overlay._ends)
        return overlay

    def with_entered_closures(self, entered: Iterable[tuple[date, date]]) -> Self:
        """Return a copy with closures that were entered one by one: each date, and the date on which it was entered.

        All of them count in the copy; its `as_of_window` gives the calendar without those entered too late for a
        window. Give them in the order of entry, and all at once: those of an earlier call would count for every window.
        """
        closures = tuple(entered)
        overlay = self.closed_on(day for day, _ in closures)
        overlay._without, overlay._entered = self, closures
        overlay._too_late = _too_late(self, overlay.window, closures)
        return overlay

    def with_told(self, window: Window, day_codes: bytes) -> "BusinessCalendar":
        """Return a copy in which the dates that an earlier calendar skipped in `window` do not count either.

        `day_codes` are the window's codes in that calendar. Each of these dates keeps its reason, and is not among
        `closures`. The window does not end on a date that was skipped as its end; entered closures still extend it.
        """
        codes = dict(enumerate(day_codes, window.service_day.toordinal() + 1))
        skipped = {day: code for day, code in codes.items() if code in _WHY}
        passed_over = {day: code | _SMALL for day, code in codes.items() if code | _SMALL in _WHY and code != WEEKEND}
        overlay = (self._without or self)._without_days(skipped, passed_over)
        return overlay.with_entered_closures(self._entered) if self._entered else overlay

    def as_of_window(self, service_day: date, length: int) -> "BusinessCalendar":
        """Return the calendar that counts for the window of `length` business days after `service_day`.

        The returned calendar leaves out each closure that was entered after the last day of that window, so that the
        closure does not extend a window that had ended. Without such a closure, it is this calendar. May raise
        `CalendarNotCovered` if this calendar has entered closures and the window would leave the region's data.
        """
        if self._without is None or self._too_late is None:
            return self
        late = self._too_late(service_day, length)
        return self._without.closed_on(day for day, _ in self._entered if day not in late) if late else self

    def nth_business_day_after(self, day: date, n: int) -> date:
        """Return the n-th business day after a date, n from 1. Raises `CalendarNotCovered` beyond the region's data."""
        try:
            return date.fromordinal(self._business.nth_after(day.toordinal(), n))
        except IndexError:
            raise _not_covered_error(self.region) from None

    def day_codes(self, window: Window) -> bytes:
        """Return the code of each date after the service day, up to the last day of the window; one byte a date.

        `explained` reads them. The window must be this calendar's own.
        """
        start, last = window.service_day.toordinal(), window.last_day.toordinal()
        if self._ends is None:
            return self._business.between(start, last + 1)
        counted = self._business.nth_after(start, window.length)
        passed_over = self._ends.between(counted, last).upper() + bytes([MOVED_END]) if counted < last else b""
        return self._business.between(start, counted + 1) + passed_over

    def why_not(self, day: date) -> SkipReason | None:
        """Return why a date is not a business day: the first of weekend, public holiday, closure; None if it is one.

        Raises `CalendarNotCovered` if the date is beyond the region's data.
        """
        if not self.region.covers(day):
            raise _not_covered_error(self.region)
        return _WHY.get(self._business.day_codes[day.toordinal() - self.region.first])

    def is_estimated(self, window: Window) -> bool:
        """Tell whether the date of a holiday is uncertain, from a window's service day to the day after its last day.

        Such a holiday may move with the moon.
        """
        return self.region.has_estimated(window.service_day.toordinal(), window.last_day.toordinal() + 1)

    def lacks_parts(self, window: Window) -> bool:
        """Tell whether, in a year of a window, parts of the region may have holidays that this calendar lacks."""
        years, differ = range(window.service_day.year, window.last_day.year + 1), self.region.differ
        return bool(differ) and not differ.isdisjoint(years)

    def is_provisional(self, window: Window) -> bool:
        """Tell whether decrees that the data does not have (yet) may still change the days of a window."""
        return self.region.provisional_from is not None and window.last_day >= self.region.provisional_from

    @property
    def closures(self) -> list[date]:
        """The vendor's closed dates in this calendar, in order; none that `with_told` has added."""
        return [date.fromordinal(ordinal) for ordinal in sorted(self._closures)]


def _windows(region: RegionDays, business: _Table, ends: _Table | None) -> Callable[[date, int], Window]:
    """Return a cached function that returns the window of a service day and a length in business days.

    With `ends`, the window ends on a business day of that table. The function raises `CalendarNotCovered` if the window
    leaves the region's data. It refers to no calendar, so that a temporary one can be freed.
    """

    @lru_cache(maxsize=512)
    def window(service_day: date, length: int) -> Window:
        # BGB section 187(1) for the day after, section 188(1) for the end, section 193 for the end week.
        try:
            last = business.nth_after(service_day.toordinal(), length)
            if ends is not None:
                # From the day before, because the last counted day may itself be the end.
                last = ends.nth_after(last - 1, 1)
        except IndexError:
            raise _not_covered_error(region) from None
        return Window(service_day, length, date.fromordinal(last))

    return window


def _too_late(
    without: BusinessCalendar, window: Callable[[date, int], Window], entered: tuple[tuple[date, date], ...]
) -> Callable[[date, int], frozenset[date]]:
    """Return a cached function of service day and length: the closures in that window entered too late to extend it.

    `entered` has each closure's date and the date of its entry, sorted by entry. `without` is the calendar without the
    `entered` closures; `window` counts with all of them.
    """

    @lru_cache(maxsize=512)
    def too_late(service_day: date, length: int) -> frozenset[date]:
        last_day = date.max
        with suppress(CalendarNotCovered):  # too late, they may lead there all the same
            last_day = window(service_day, length).last_day
        # Closures only lengthen a window, so none outside the longest one can move its end.
        inside = [(day, on) for day, on in entered if service_day < day <= last_day]
        for i, (_, on) in enumerate(inside):
            before = without.closed_on(day for day, _ in inside[:i]) if i else without
            if before.window(service_day, length).last_day < on:
                # The order is that of entry: all later ones are too late as well.
                return frozenset(day for day, _ in inside[i:])
        return frozenset()

    return too_late


def _not_covered_error(region: RegionDays) -> CalendarNotCovered:
    """Return the error that a date is beyond the dates of a region's data; the error names the first and last date."""
    return CalendarNotCovered(region.region, date.fromordinal(region.first), date.fromordinal(region.last))


_SMALL = 0x20
"""The bit that distinguishes a small letter from its capital."""
