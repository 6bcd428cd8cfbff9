"""A country of which no part is named: its own holidays, those that all its parts share, and what is said of the others."""

from datetime import date, timedelta

import holidays
import pytest

from refunds.domain import holidays_data
from refunds.domain.holidays_data import DAY_RULES, business_calendar, subdivisions_that_differ
from refunds.domain.outcomes import Notice, calendar_notices
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import countries, subdivisions
from refunds.domain.terms import WithoutSubdivision
from tests.changed_data import few_years, other_holidays

WEEK = WEEKDAYS[:5]
YEARS = range(2025, 2029)
DAYS = [date(YEARS[0], 1, 1) + timedelta(days=i) for i in range(4 * 365 + 1)]
WITH_PARTS = [country for country in sorted(countries()) if subdivisions(country)]
ALIKE = ["AM", "AT", "BE", "MO", "NL", "NO", "PL"]
"""Countries that the data has subdivisions of, or had once, which have the same public holidays."""


def listed(country, subdivision, year):
    """The public holidays of a year, straight from the package."""
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US", expand=False))


@pytest.fixture(scope="module", autouse=True)
def _few_years():
    with few_years(YEARS):
        yield


@pytest.mark.parametrize("country", sorted({*WITH_PARTS, *ALIKE}))
def test_nationwide_holidays_only_is_said_exactly_in_years_in_which_the_parts_differ(country):
    calendar = business_calendar(country, WEEK)
    for year in YEARS:
        lists = {listed(country, part, year) for part in subdivisions(country)}
        window = calendar.window(date(year, 2, 1), 2)
        assert (window.service_day.year, window.last_day.year) == (year, year)
        found = calendar_notices(calendar, country, window)
        assert (Notice.NATIONWIDE_HOLIDAYS_ONLY in found) is (len(lists) > 1), year
        assert country not in ALIKE or len(lists) < 2
        assert Notice.REGION_AS_COUNTRY not in found
        if year + 1 in YEARS:
            either = len(lists) > 1 or len({listed(country, part, year + 1) for part in subdivisions(country)}) > 1
            assert bool(subdivisions_that_differ(country, year)) is either


def test_a_part_differs_from_what_is_counted_and_not_from_the_countrys_own_list():
    """A holiday that all parts share counts in the country, too."""
    shared, one = date(2026, 6, 1), date(2027, 6, 2)
    added = [(f"AT-{part}", shared) for part in subdivisions("AT")]
    with other_holidays("9.1", added):
        assert subdivisions_that_differ("AT", 2026) == ()
    with other_holidays("9.2", [*added, ("AT-9", one)]):
        assert subdivisions_that_differ("AT", 2026) == ("9",)


def ends(region, length, rules=DAY_RULES):
    """The last day of the window of each service day but the last few, which would leave the data."""
    calendar = business_calendar(region, WEEK, rules=rules)
    return [calendar.window(day, length).last_day for day in DAYS[:-40]]


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_australia_ends_with_its_states_where_they_agree_and_never_later_than_one(length):
    states = zip(
        *(ends(f"AU-{state}", length) for state in ("ACT", "NSW", "NT", "QLD", "SA", "TAS", "VIC", "WA")), strict=True
    )
    for day, country, of_states in zip(DAYS, ends("AU", length), states, strict=False):
        assert country <= min(of_states), day
        assert country == of_states[0] or len(set(of_states)) > 1, day


@pytest.mark.parametrize("country", WITH_PARTS)
def test_a_country_has_its_own_holidays_and_those_that_all_its_parts_share(country):
    calendar = business_calendar(country, WEEK)
    parts = [business_calendar(f"{country}-{part}", WEEK) for part in subdivisions(country)]
    own = set().union(*(listed(country, None, year) for year in YEARS))
    law = holidays_data._law_days(country, None).keys()
    for day in (day for day in DAYS if day.weekday() < 5):
        shared = all(part.region.is_holiday(day) for part in parts)
        assert calendar.region.is_holiday(day) is (day in own or day in law or shared), day


ANY = DAY_RULES._replace(without_subdivision=WithoutSubdivision.ANY)


@pytest.mark.parametrize("country", WITH_PARTS)
def test_a_country_with_the_holidays_of_any_part_never_ends_before_one_and_without_them_never_after(country):
    """Without them, unless the part lacks a holiday of the country: some states of the USA have no Columbus Day."""
    latest, nationwide = ends(country, 2, ANY), ends(country, 2)
    own = {day for day in DAYS if business_calendar(country, WEEK).region.is_holiday(day) and day.weekday() < 5}
    for part in subdivisions(country):
        found = ends(f"{country}-{part}", 2)
        assert all(map(date.__le__, found, latest)), part
        calendar = business_calendar(f"{country}-{part}", WEEK).region
        if all(map(calendar.is_holiday, own)):
            assert all(map(date.__le__, nationwide, found)), part
