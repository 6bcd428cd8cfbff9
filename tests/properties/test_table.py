"""The business calendar compared with a naive loop, on random calendars, dates, lengths and closures."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refunds.domain.business_days import BusinessCalendar, DayStatus, days_ahead, explained
from refunds.domain.holidays_data import business_calendar
from refunds.domain.region_days import WEEKDAYS, DayFlag, RegionDays
from refunds.errors import CalendarNotCovered
from tests import scaled

FIRST = date(2024, 12, 30)  # a Monday
DAY = timedelta(days=1)

marks = st.sampled_from(
    [
        0,
        0,
        0,
        0,
        DayFlag.HOLIDAY,
        DayFlag.WEEKEND,
        DayFlag.HOLIDAY | DayFlag.WEEKEND,
        DayFlag.WORKING_WEEKEND | DayFlag.WEEKEND,
    ]
)
weeks = st.just("country") | st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(
    lambda days: tuple(day for day in WEEKDAYS if day in days)
)
tables = st.lists(marks, min_size=400, max_size=400).map(lambda found: bytes(map(int, found)))
offsets = st.integers(0, 399)
days = offsets.map(lambda n: FIRST + n * DAY)


def made(data, week, end_week, closures):
    region = RegionDays("XX", FIRST.toordinal(), data, "test")
    return BusinessCalendar(region, week, end_week).closed_on(closures)


def naive_is_business(data, week, closures, day):
    """Whether a day is a business day, straight from the rules."""
    mark = data[(day - FIRST).days]
    if day in closures:
        return False
    if mark & DayFlag.WORKING_WEEKEND:
        return True
    if mark & DayFlag.HOLIDAY:
        return False
    return not mark & DayFlag.WEEKEND if week == "country" else WEEKDAYS[day.weekday()] in week


def naive_last_day(data, week, end_week, closures, service_day, length):
    """The last day, found day by day; None if the data ends first."""
    day, counted = service_day, 0
    last = FIRST + (len(data) - 1) * DAY
    while counted < length or not (end_week is None or naive_is_business(data, end_week, closures, day)):
        day += DAY
        if day > last:
            return None
        counted += counted < length and naive_is_business(data, week, closures, day)
    return day


@pytest.mark.proof
@settings(max_examples=scaled(100, 400), deadline=None)
@given(tables, weeks, st.none() | weeks, st.sets(days, max_size=40), days, st.integers(1, 366))
def test_a_window_is_the_same_as_by_a_naive_loop(data, week, end_week, closures, service_day, length):
    calendar = made(data, week, end_week, closures)
    expected = naive_last_day(data, week, end_week, closures, service_day, length)
    try:
        window = calendar.window(service_day, length)
    except CalendarNotCovered:
        assert expected is None
        return
    assert window.last_day == expected
    days = explained(window.service_day, calendar.day_codes(window))
    assert [day.date for day in days] == [
        service_day + i * DAY for i in range((window.last_day - service_day).days + 1)
    ]
    counted = [day.date for day in days if day.status is DayStatus.COUNTED]
    assert len(counted) == length
    assert all(naive_is_business(data, week, closures, day) for day in counted)
    members = [day.date for day in days if day.status in (DayStatus.COUNTED, DayStatus.LAST_DAY)]
    for day in days:
        left = days_ahead(window.service_day, calendar.day_codes(window), day.date)
        assert left == sum(member > day.date for member in members)


@pytest.mark.proof
@settings(max_examples=scaled(40, 100), deadline=None)
@given(tables, weeks, st.sets(days, max_size=40))
def test_each_date_follows_the_rules(data, week, closures):
    calendar = made(data, week, None, closures)
    for n in range(400):
        day = FIRST + n * DAY
        business = naive_is_business(data, week, closures, day)
        assert (calendar.why_not(day) is None) is business


regions = st.sampled_from(["DE-BY", "DE", "CN", "AE", "IL", "US-CA", "GB-SCT", "TW"])
real_days = st.integers(date(2005, 1, 1).toordinal(), date(2025, 12, 31).toordinal()).map(date.fromordinal)
lengths = st.integers(1, 366)


@pytest.mark.proof
@settings(max_examples=scaled(60, 200), deadline=None)
@given(regions, weeks, st.none() | weeks, real_days, lengths)
def test_the_last_day_is_a_business_day_or_one_of_the_end_week(region, week, end_week, day, length):
    last_day = business_calendar(region, week, end_week).window(day, length).last_day
    assert business_calendar(region, end_week or week).why_not(last_day) is None


@pytest.mark.proof
@settings(max_examples=scaled(60, 200), deadline=None)
@given(regions, weeks, st.none() | weeks, real_days, st.integers(0, 60), lengths)
def test_deadlines_never_decrease_with_the_service_day(region, week, end_week, day, later, length):
    calendar = business_calendar(region, week, end_week)
    assert calendar.window(day, length).last_day <= calendar.window(day + later * DAY, length).last_day


@pytest.mark.proof
@settings(max_examples=scaled(60, 200), deadline=None)
@given(regions, weeks, st.none() | weeks, real_days, lengths, st.lists(st.integers(0, 500), max_size=30))
def test_a_closure_never_shortens_a_window(region, week, end_week, day, length, closures):
    calendar = business_calendar(region, week, end_week)
    closed = calendar.closed_on(day + n * DAY for n in closures)
    assert closed.window(day, length).last_day >= calendar.window(day, length).last_day


@pytest.mark.proof
@settings(max_examples=scaled(60, 200), deadline=None)
@given(regions, real_days, st.integers(1, 30))
def test_monday_to_friday_is_never_earlier_than_monday_to_saturday_with_section_193(region, day, length):
    plain = business_calendar(region, WEEKDAYS[:5]).window(day, length)
    saturdays = business_calendar(region, WEEKDAYS[:6], WEEKDAYS[:5]).window(day, length)
    assert plain.last_day >= saturdays.last_day
