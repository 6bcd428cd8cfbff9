"""Windows of two business days that are others by another release of the holiday data, counted naively.

They are counted from the names of holidays alone, without the service's calendars.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.national_law import PERIOD_LAWS
from tests.changed_data import Holidays, holidays_of

YEARS = range(2023, 2030)
"""The years of which the data is read: one more on either side than services are provided in."""

SATURDAY = 5
LENGTH = 2

FIRST, LAST = date(YEARS[0], 1, 1).toordinal(), date(YEARS[-1], 12, 31).toordinal()
STARTS = range(date(YEARS[1], 1, 1).toordinal(), date(YEARS[-1], 1, 1).toordinal())


class Moved(NamedTuple):
    """A window of a region that was told to end on one day by a release, and `today` on another by the installed data.

    `answer` is the last day for an order that was told the first: its business days are also none of the dates that it
    was told do not count. So it may be a later day although the window ends on the same by both.
    """

    region: str
    service_day: date
    told: date
    today: date
    answer: date

    @property
    def ends_elsewhere(self) -> bool:
        """Whether the window ends on another day by the installed data."""
        return self.told != self.today

    @property
    def is_shorter(self) -> bool:
        """Whether it ends on an earlier day."""
        return self.today < self.told


@cache
def data_of(number: str, countries: tuple[str, ...] = ()) -> Mapping[str, Holidays]:
    """What a release says of every region, or of those in these countries."""
    return holidays_of(number, YEARS, countries)


@cache
def moved(number: str, countries: tuple[str, ...] = ()) -> tuple[Moved, ...]:
    """Every window that ends on another day by the installed data than by a release, or for whom was told it by that.

    They come by region and service day. Regions whose windows have more than their own list of holidays are left out.
    """
    before, after = data_of(number, countries), data_of(HOLIDAYS_VERSION, countries)
    regions = (one for one in sorted(before.keys() & after.keys()) if one.partition("-")[0] not in PERIOD_LAWS)
    return tuple(one for region in regions if region not in SHARING for one in _in_region(region, before, after))


SHARING = ("AU", "BA")
"""Countries that have days which they lack themselves and all their subdivisions share."""


def _in_region(region: str, before: Mapping[str, Holidays], after: Mapping[str, Holidays]) -> list[Moved]:
    told, today = _idle(before[region]), _idle(after[region])
    if told == today:
        return []
    found = []
    for start, was, now in zip(STARTS, _last_days(told), _last_days(today), strict=True):
        answer = _last_day(start, today.union(day for day in range(start, was) if day in told))
        if {was} != {now, answer}:
            found.append(Moved(region, *map(date.fromordinal, (start, was, now, answer))))
    return found


def _idle(data: Holidays) -> set[int]:
    """The ordinals of the dates that are no business days from Monday to Friday."""
    holidays, worked = ({day.toordinal() for day in days} for days in (data.names, data.working_weekends))
    ends = {day for day in range(FIRST, LAST + 1) if date.fromordinal(day).weekday() >= SATURDAY}
    return (holidays | ends) - worked


def _last_days(idle: Collection[int]) -> list[int]:
    """The last day of the window from each start."""
    business = [day for day in range(FIRST, LAST + 1) if day not in idle]
    return [business[bisect_left(business, start + 1) + LENGTH - 1] for start in STARTS]


def _last_day(start: int, idle: Collection[int]) -> int:
    """The last day of the window from one start, found day by day."""
    counted = 0
    while counted < LENGTH:
        start += 1
        counted += start not in idle
    return start
