"""The business calendar, tested with a small one made by hand."""

import tracemalloc
from datetime import date, timedelta

import pytest

from refunds.domain.business_days import BusinessCalendar, DayStatus, SkipReason, Window, days_ahead, explained
from refunds.domain.region_days import WEEKDAYS, DayFlag, RegionDays
from refunds.errors import CalendarNotCovered

MONDAY = date(2026, 3, 30)
WEEK = WEEKDAYS[:5]


def calendar(marks=None, week=WEEK, end_week=None, days=60):
    """A calendar of 60 days from a Monday on, with marks on some of them (by day number)."""
    data = bytearray(days)
    for day, mark in (marks or {}).items():
        data[day] |= mark
    return BusinessCalendar(RegionDays("XX", MONDAY.toordinal(), bytes(data), "test"), week, end_week)


def day(n):
    return MONDAY + timedelta(days=n)


def shape(calendar, window):
    """The days of a window, one character each."""
    day_codes = {DayStatus.SERVICE_DAY: "s", DayStatus.COUNTED: "c", DayStatus.SKIPPED: "-", DayStatus.LAST_DAY: "e"}
    return "".join(
        "x" if d.extension else day_codes[d.status] for d in explained(window.service_day, calendar.day_codes(window))
    )


def test_the_service_day_never_counts():
    assert calendar().window(day(0), 2).last_day == day(2)
    assert calendar().window(day(5), 2).last_day == day(8), "provided on a Saturday"


def test_weekends_and_holidays_are_skipped():
    cal = calendar({4: DayFlag.HOLIDAY, 7: DayFlag.HOLIDAY})
    window = cal.window(day(3), 2)
    assert shape(cal, window) == "s----cc"
    assert [d.why for d in explained(window.service_day, cal.day_codes(window))][1:5] == [
        SkipReason.PUBLIC_HOLIDAY,
        SkipReason.WEEKEND,
        SkipReason.WEEKEND,
        SkipReason.PUBLIC_HOLIDAY,
    ]
    assert [d.ordinal for d in explained(window.service_day, cal.day_codes(window))][5:] == [1, 2]


def test_a_date_with_several_reasons_has_the_first():
    cal = calendar({5: DayFlag.HOLIDAY, 7: DayFlag.HOLIDAY}).closed_on([day(5), day(7), day(8)])
    assert cal.why_not(day(5)) is SkipReason.WEEKEND
    assert cal.why_not(day(7)) is SkipReason.PUBLIC_HOLIDAY
    assert cal.why_not(day(8)) is SkipReason.CLOSURE
    assert cal.why_not(day(9)) is None


def test_a_decreed_working_weekend_counts_unless_it_is_closed():
    cal = calendar({5: DayFlag.WORKING_WEEKEND})
    assert cal.window(day(4), 1).last_day == day(5)
    closed = cal.closed_on([day(5)])
    assert closed.window(day(4), 1).last_day == day(7)
    assert closed.why_not(day(5)) is SkipReason.CLOSURE


def test_the_statutory_week_may_change_over_time():
    """The weekend moves from Friday and Saturday to Saturday and Sunday."""
    marks = dict.fromkeys((4, 5, 12, 13, 19, 20), DayFlag.WEEKEND)
    cal = calendar(marks, week="country")
    assert cal.window(day(3), 1).last_day == day(6), "the Sunday counts while Friday is off"
    assert cal.window(day(10), 1).last_day == day(11), "the Friday counts from then on"
    assert cal.why_not(day(12)) is SkipReason.WEEKEND


def test_end_week_moves_the_last_day_and_marks_the_extension():
    cal = calendar(week=WEEKDAYS[:6], end_week=WEEK)
    window = cal.window(day(3), 2)
    assert window.last_day == day(7)
    assert shape(cal, window) == "sccxe"
    assert [days_ahead(window.service_day, cal.day_codes(window), day(n)) for n in range(3, 9)] == [3, 2, 1, 1, 0, 0]


def test_end_week_does_not_move_a_last_day_that_is_allowed():
    cal = calendar(week=WEEKDAYS[:6], end_week=WEEK)
    window = cal.window(day(1), 2)
    assert window.last_day == day(3)
    assert shape(cal, window) == "scc"


def test_the_last_day_cannot_be_a_holiday_or_closure_either():
    cal = calendar({7: DayFlag.HOLIDAY}, week=WEEKDAYS[:6], end_week=WEEK).closed_on([day(8)])
    window = cal.window(day(3), 2)
    assert window.last_day == day(9)
    assert [d.why for d in explained(window.service_day, cal.day_codes(window)) if d.extension] == [
        SkipReason.WEEKEND,
        SkipReason.PUBLIC_HOLIDAY,
        SkipReason.CLOSURE,
    ]


def test_closures_accumulate_and_do_not_change_the_original_calendar():
    cal = calendar()
    both = cal.closed_on([day(1)]).closed_on([day(1), day(2)])
    assert both.closures == [day(1), day(2)]
    assert both.window(day(0), 1).last_day == day(3)
    assert cal.window(day(0), 1).last_day == day(1)


def test_a_closure_outside_the_data_or_on_a_weekend_changes_nothing():
    cal = calendar()
    outside = [date(1900, 1, 1), day(-1), day(60), date(2200, 1, 1)]
    closed = cal.closed_on([*outside, day(5)])
    assert closed.window(day(0), 7) == cal.window(day(0), 7)
    assert closed.why_not(day(59)) is None, "the last date of the data"


def test_days_left_counts_down_over_a_weekend():
    cal = calendar()
    window = cal.window(day(3), 2)
    assert [days_ahead(window.service_day, cal.day_codes(window), day(n)) for n in range(2, 9)] == [2, 2, 1, 1, 1, 0, 0]


def test_dates_outside_the_data_are_refused():
    cal = calendar()
    assert cal.why_not(MONDAY) is None
    for outside in (day(-1), day(60), day(61), day(600)):
        with pytest.raises(CalendarNotCovered):
            cal.window(outside, 1)
        with pytest.raises(CalendarNotCovered):
            cal.why_not(outside)
    with pytest.raises(CalendarNotCovered) as error:
        cal.window(day(50), 366)
    assert (error.value.first, error.value.last) == (day(0), day(59))


def test_a_last_day_outside_the_data_is_refused():
    with pytest.raises(CalendarNotCovered):
        calendar(week=WEEKDAYS, end_week=("mon",)).window(day(57), 1)


def test_a_window_is_estimated_if_an_estimated_holiday_may_move_its_end():
    cal = calendar({9: DayFlag.HOLIDAY | DayFlag.ESTIMATED})
    assert not cal.is_estimated(cal.window(day(3), 1))
    assert not cal.is_estimated(cal.window(day(6), 1)), "two days after the last"
    assert cal.is_estimated(cal.window(day(4), 2)), "the day after the last, it may move into the window"
    assert cal.is_estimated(cal.window(day(7), 2))
    assert cal.is_estimated(cal.window(day(9), 2)), "on the service day, it may move into the window"
    assert not cal.is_estimated(cal.window(day(10), 2))


def test_a_calendar_may_begin_with_the_first_date_of_all():
    """Its distance from any other date is then not what is left of a division, as it is in this millennium."""
    first = date.min
    cal = BusinessCalendar(RegionDays("XX", first.toordinal(), bytes(40), "test"), WEEK)
    assert cal.window(first, 4).last_day == date(1, 1, 5)
    assert shape(cal, cal.window(first, 5)) == "scccc--c"
    closed = cal.closed_on([date(1, 1, 3)])
    assert [closed.why_not(date(1, 1, n)) for n in (2, 3, 4)] == [None, SkipReason.CLOSURE, None]
    assert shape(closed, closed.window(date(1, 1, 2), 1)) == "s-c"


@pytest.mark.parametrize(
    ("first", "last", "differ", "lacks"),
    [
        (2026, 2026, {2025, 2027, 2030}, False),
        (2027, 2027, {2027}, True),
        (2026, 2027, {2026}, True),
        (2026, 2027, {2027}, True),
        (2025, 2027, {2026}, True),
        (2026, 2026, {}, False),
    ],
)
def test_a_window_lacks_parts_if_they_differ_in_one_of_its_years(first, last, differ, lacks):
    region = RegionDays("XX", MONDAY.toordinal(), bytes(60), "test", frozenset(differ))
    window = Window(date(first, 12, 30), 1, date(last, 12, 31))
    assert BusinessCalendar(region, WEEK).lacks_parts(window) is lacks


@pytest.mark.parametrize(
    ("since", "is_provisional"),
    [(date(2026, 1, 1), True), (date(2026, 1, 2), True), (date(2026, 1, 3), False), (None, False)],
)
def test_a_window_is_provisional_if_its_last_day_is_not_decreed_yet(since, is_provisional):
    region = RegionDays("XX", MONDAY.toordinal(), bytes(60), "test", provisional_from=since)
    window = Window(date(2025, 12, 30), 1, date(2026, 1, 2))
    assert BusinessCalendar(region, WEEK).is_provisional(window) is is_provisional


def told(marks=None, closures=(), **weeks):
    """A calendar by which a window was told: Monday to Saturday count, and a window ends from Monday to Friday."""
    return calendar(marks, **{"week": WEEKDAYS[:6], "end_week": WEEK} | weeks).closed_on(closures)


@pytest.mark.parametrize(
    ("before", "passed_over"),
    [
        (told({7: DayFlag.HOLIDAY}), SkipReason.PUBLIC_HOLIDAY),
        (told(closures=[day(7)]), SkipReason.CLOSURE),
        (told(end_week=WEEKDAYS[1:5]), SkipReason.WEEKEND),
    ],
)
def test_a_window_does_not_end_on_a_date_that_the_end_was_told_to_pass_over(before, passed_over):
    window = before.window(day(3), 2)
    assert window.last_day == day(8)
    assert told().window(day(3), 2).last_day == day(7)
    kept = told().with_told(window, before.day_codes(window))
    assert kept.window(day(3), 2) == window
    assert shape(kept, window) == "sccxxe"
    assert explained(day(3), kept.day_codes(window))[4].why is passed_over


@pytest.mark.parametrize(
    ("before", "why"),
    [(told({4: DayFlag.HOLIDAY}), SkipReason.PUBLIC_HOLIDAY), (told(closures=[day(4)]), SkipReason.CLOSURE)],
)
def test_a_date_that_was_told_as_a_holiday_or_closure_is_no_end_either(before, why):
    """That is if fewer days are counted now, and the last of them is none on which a window may end."""
    window = before.window(day(2), 2)
    kept = calendar(end_week=("fri",)).with_told(window, before.day_codes(window))
    assert kept.why_not(day(4)) is why
    assert shape(kept, kept.window(day(2), 1)) == "scxxxxxxxe", "it ends on the Friday after"


def test_a_date_that_was_told_as_a_weekend_may_be_an_end():
    window = calendar().window(day(3), 2)
    kept = calendar(week=WEEKDAYS, end_week=("sat",)).with_told(window, calendar().day_codes(window))
    assert kept.why_not(day(5)) is SkipReason.WEEKEND
    assert kept.window(day(3), 1).last_day == day(5)


def test_a_calendar_of_centuries_is_made_without_a_number_for_each_of_its_dates():
    """One of every region is made while others wait for the interpreter; two bytes a date are all that it has."""
    days = 100_000
    tracemalloc.start()
    try:
        made = calendar(end_week=("mon",), days=days)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.window(MONDAY, 366).last_day > MONDAY
    assert most < 8 * days
