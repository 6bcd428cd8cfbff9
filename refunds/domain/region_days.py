"""The public holidays and weekends of a region as plain marks on dates, whatever their source."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Literal

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Week = tuple[str, ...] | Literal["country"]  # names from `WEEKDAYS`, or the statutory week as valid on each date
BUSINESS, WEEKEND, HOLIDAY, CLOSED, MOVED_END = b"bwhxe"  # codes of dates; a capital if only `end_week` passes over it


class DayFlag(IntEnum):
    """What the data says about one date of a region, as bits of one byte."""

    HOLIDAY = 1
    ESTIMATED = 2  # a holiday whose date is not yet certain: it depends on a sighting of the moon
    WORKING_WEEKEND = 4  # a weekend date on which the country works by decree
    WEEKEND = 8  # not a working day of the statutory week that is valid on this date


@dataclass(frozen=True, slots=True)
class RegionDays:
    """All covered dates of one region: `marks[i]` has the `DayFlag` bits of the date with the ordinal `first + i`.

    In the years `differ` the subdivisions of the region do not all have the same public holidays. From the date
    `provisional_from` on, decrees that the data does not have may move them; None if there are no decrees.
    """

    region: str
    first: int
    marks: bytes
    data_version: str
    differ: frozenset[int] = frozenset()
    provisional_from: date | None = None

    @property
    def last(self) -> int:
        """The ordinal of the last covered date."""
        return self.first + len(self.marks) - 1

    def covers(self, day: date) -> bool:
        """Tell whether a date is covered."""
        return self.first <= day.toordinal() <= self.last

    def has_estimated(self, first: int, last: int) -> bool:
        """Tell whether a holiday from the ordinal `first` to `last`, both covered and included, is not yet certain."""
        marks = self.marks[first - self.first : last + 1 - self.first]
        return 1 in marks.translate(_IS_ESTIMATED)

    def is_holiday(self, day: date) -> bool:
        """Tell whether a covered date is a public holiday, on whatever weekday."""
        return bool(self.marks[day.toordinal() - self.first] & DayFlag.HOLIDAY)

    def day_codes(self, week: Week) -> bytes:
        """Return the code of each covered date of the region, by a business week, without closures; one byte a date."""
        if week == "country":
            return self.marks.translate(_COUNTRY_WEEK)
        day_codes = bytearray(len(self.marks))
        for weekday, name in enumerate(WEEKDAYS):
            start = (weekday + 1 - self.first) % 7  # the ordinal 1 was a Monday
            day_codes[start::7] = self.marks[start::7].translate(_IN_WEEK if name in week else _OFF_WEEK)
        return bytes(day_codes)


def _by_byte(made: Callable[[int], int]) -> bytes:
    """Return the table for `bytes.translate` that puts the result of a function in the place of each byte."""
    return bytes(map(made, range(256)))


def _in_week(mark: int) -> int:
    """Return the day code of a date with these marks on a weekday of the business week: holiday or business day.

    A holiday that a decree made a working day is a business day.
    """
    return HOLIDAY if mark & DayFlag.HOLIDAY and not mark & DayFlag.WORKING_WEEKEND else BUSINESS


def _off_week(mark: int) -> int:
    """Return the code of a day off the business week with these marks: BUSINESS if a working weekend, else WEEKEND."""
    return BUSINESS if mark & DayFlag.WORKING_WEEKEND else WEEKEND


IN_WEEKEND = _by_byte(lambda mark: mark | DayFlag.WEEKEND)
"""The table for `bytes.translate` that marks dates as weekend days, too."""

_IN_WEEK = _by_byte(_in_week)
_OFF_WEEK = _by_byte(_off_week)
_COUNTRY_WEEK = _by_byte(lambda mark: _off_week(mark) if mark & DayFlag.WEEKEND else _in_week(mark))
_IS_ESTIMATED = _by_byte(lambda mark: bool(mark & DayFlag.ESTIMATED))
