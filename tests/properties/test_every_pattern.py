"""Every window in every pattern of business days over two weeks: by a naive loop, and one compared with the other."""

import re
from datetime import date, timedelta
from functools import cache
from itertools import combinations, pairwise, product
from operator import le

import pytest

from refunds.domain.business_days import BusinessCalendar
from refunds.domain.region_days import WEEKDAYS, DayFlag, RegionDays
from tests import scaled

pytestmark = pytest.mark.proof

SIZE = scaled(7, 14)
"""The days of a pattern. Each is a business day or not; all later ones are."""

SERVICE_DAYS = (0, 1)
"""The day before the pattern, and its first. What comes after a later day is a shorter pattern in another week."""

LENGTHS = (1, 2, 3, 4, 5)
END_WEEKS = (None, *(week for size in range(1, 8) for week in combinations(WEEKDAYS, size)))

SUNDAY = date(2026, 3, 29)
DATES = [SUNDAY + timedelta(days=day) for day in range(14 + len(LENGTHS) + 7 + 2)]
"""Room for the longest window: a pattern without business days, its days, a week until its end, a later service day."""

SHAPES = {length: re.compile(rb"(?:[whx]*b){%d}(?:[WHX]*e)?" % length) for length in LENGTHS}
"""The codes of a window: so many counted days, each after skipped ones, then perhaps a later end after others."""


def by_holidays(open_days, end_week):
    """A calendar in which the other days are public holidays."""
    return calendar_of([not is_open and DayFlag.HOLIDAY for is_open in open_days], WEEKDAYS, end_week)


def by_weekends(open_days, end_week):
    """A calendar in which the other days are weekends by law, on which a window may end nevertheless."""
    return calendar_of([not is_open and DayFlag.WEEKEND for is_open in open_days], "country", end_week)


def by_closures(open_days, end_week):
    """A calendar in which the other days are closures."""
    return without_holidays(end_week).closed_on(
        day for day, is_open in zip(DATES, open_days, strict=True) if not is_open
    )


@cache
def without_holidays(end_week):
    """A calendar in which every day is a business day."""
    return calendar_of([0] * len(DATES), WEEKDAYS, end_week)


def calendar_of(marks, week, end_week):
    """A calendar whose dates have these marks."""
    return BusinessCalendar(RegionDays("XX", SUNDAY.toordinal(), bytes(marks), "test"), week, end_week)


def open_in(pattern, size):
    """Whether each date is a business day in a pattern, whose bits are its days."""
    return [True, *(bool(pattern >> day & 1) for day in range(size)), *[True] * (len(DATES) - size - 1)]


def ends_in(end_week, allowed):
    """Whether a window may end on each date, which has to be allowed otherwise, too."""
    return [
        is_allowed and (end_week is None or WEEKDAYS[day.weekday()] in end_week)
        for day, is_allowed in zip(DATES, allowed, strict=True)
    ]


def naive(open_days, ends, service_day, length):
    """The last day of a window, found day by day."""
    day = service_day
    while length:
        day += 1
        length -= open_days[day]
    while not ends[day]:
        day += 1
    return day


def last_days(calendar):
    """The number of the last day of each window, by service day and length."""
    first = SUNDAY.toordinal()
    return bytes(
        calendar.window(DATES[service_day], length).last_day.toordinal() - first
        for service_day, length in product(SERVICE_DAYS, LENGTHS)
    )


def require_counted_or_moved(calendar, end_week):
    """Assert that each window has its length in counted days, and ends with the last or where it was moved to."""
    for length, shape in SHAPES.items():
        window = calendar.window(SUNDAY, length)
        codes = calendar.day_codes(window)
        assert shape.fullmatch(codes), (window, codes)
        assert len(codes) == (window.last_day - SUNDAY).days
        assert end_week or not codes.endswith(b"e")


def require_later(earlier, later, what):
    """Assert that no window ends before another one: the last days of both, in one order."""
    assert all(map(le, earlier, later)), what


@pytest.mark.parametrize(("made", "size"), [(by_holidays, SIZE), (by_closures, SIZE), (by_weekends, scaled(7, 10))])
def test_every_pattern_is_counted_as_by_a_naive_loop(made, size, record_property):
    """More days off never shorten a window; a later service or a longer window never ends earlier."""
    by_pattern = []
    calendars = 0
    for pattern in range(2**size):
        open_days = open_in(pattern, size)
        rows = []
        for end_week in END_WEEKS:
            calendar = made(open_days, end_week)
            row = last_days(calendar)
            ends = ends_in(end_week, [True] * len(DATES) if made is by_weekends and end_week else open_days)
            naively = [naive(open_days, ends, *asked) for asked in product(SERVICE_DAYS, LENGTHS)]
            assert row == bytes(naively), (made.__name__, f"{pattern:b}", end_week)
            require_counted_or_moved(calendar, end_week)
            of_a_day = [row[i : i + len(LENGTHS)] for i in range(0, len(row), len(LENGTHS))]
            for earlier, later in pairwise(of_a_day):
                require_later(earlier, later, "a later service")
            for one in of_a_day:
                require_later(one, one[1:], "a longer window")
            rows.append(row)
            calendars += 1
        by_pattern.append(b"".join(rows))
    pairs = 0
    for pattern, day in product(range(2**size), range(size)):
        if pattern >> day & 1:  # one day fewer each time leads to every pattern with fewer days
            require_later(by_pattern[pattern], by_pattern[pattern & ~(1 << day)], "fewer business days")
            pairs += 1
    windows = sum(map(len, by_pattern))
    assert calendars == 2**size * 128
    assert windows == calendars * len(SERVICE_DAYS) * len(LENGTHS)
    assert pairs == size * 2 ** (size - 1)
    record_property(
        "measured", f"{made.__name__}: {windows:,} windows of {calendars:,} calendars; {pairs:,} pairs of patterns"
    )


NEITHER, HOLIDAY, CLOSED, BOTH = range(4)


@pytest.mark.parametrize("end_week", [None, WEEKDAYS[:5]])
def test_closures_lie_among_holidays_in_every_way(end_week, record_property):
    """Each day of a week is a business day, a holiday, a closure or both; closures come in one call or one by one."""
    size = scaled(4, 7)
    patterns = 0
    for days in product((NEITHER, HOLIDAY, CLOSED, BOTH), repeat=size):
        what = [NEITHER, *days, *[NEITHER] * (len(DATES) - size - 1)]
        closures = [day for day, one in zip(DATES, what, strict=True) if one in {CLOSED, BOTH}]
        holidays = [DayFlag.HOLIDAY if one in {HOLIDAY, BOTH} else 0 for one in what]
        at_once = calendar_of(holidays, WEEKDAYS, end_week).closed_on(closures)
        singly = calendar_of(holidays, WEEKDAYS, end_week)
        for closure in reversed(closures):
            singly = singly.closed_on([closure])
        open_days = [one == NEITHER for one in what]
        ends = ends_in(end_week, open_days)
        naively = bytes(naive(open_days, ends, *asked) for asked in product(SERVICE_DAYS, LENGTHS))
        assert last_days(at_once) == last_days(singly) == naively, (days, end_week)
        patterns += 1
    assert patterns == 4**size
    record_property("measured", f"{patterns:,} ways in which holidays and closures lie in a week, in two orders")
