"""Every window of four years in every region, against an oracle that shares no code with the service."""

from datetime import date

import holidays
import pytest
from dateutil.easter import easter as known_easter

from refunds.domain.holidays_data import DAY_RULES, HOLIDAYS_VERSION, DayRules, business_calendar
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.terms import WithoutSubdivision
from refunds.errors import CalendarNotCovered, UnknownRegion
from tests import PROOFS
from tests.changed_data import holidays_of
from tests.oracle import NO_PLACES, Dates, calendars, easter, last_days

FEW = () if PROOFS else ("AU", "BA", "BE", "CN", "LK", "NL", "SE")
"""The countries; none: every country."""

LENGTHS = (1, 2, 3, 5, 10, 30)
FIRST, LAST = date(2025, 1, 1), date(2028, 12, 31)
YEARS = range(FIRST.year, LAST.year + 2)
SERVICE_DAYS = [date.fromordinal(ordinal) for ordinal in range(FIRST.toordinal(), LAST.toordinal() + 1)]


@pytest.fixture(scope="module")
def data():
    """The holidays and working weekends of each region, of one more year on either side."""
    found = holidays_of(HOLIDAYS_VERSION, range(YEARS[0] - 1, YEARS[-1] + 2), FEW)
    return {region: Dates(frozenset(one.names), one.working_weekends) for region, one in found.items()}


def last_covered(region):
    """The last day that the data covers, if it ends soon."""
    return date(min(getattr(holidays, region.partition("-")[0]).end_year, 2100), 12, 31)


def last_day(calendar, service_day, length):
    """The last day of a window; None if the data ends before it."""
    try:
        return calendar.window(service_day, length).last_day
    except CalendarNotCovered:
        return None


def compared(regions, rules):
    """The windows of regions, and by region those that end elsewhere: how many, and the first of each length."""
    windows, others = 0, {}
    for region, dates in regions.items():
        calendar, last = business_calendar(region, WEEKDAYS[:5], rules=rules), last_covered(region)
        for service_day in SERVICE_DAYS:
            expected = last_days(dates, service_day, LENGTHS, last)
            answers = [last_day(calendar, service_day, length) for length in LENGTHS]
            windows += len(LENGTHS)
            if answers != expected:
                found = others.get(region, (0, service_day, answers, expected))
                others[region] = (found[0] + 1, *found[1:])
    return windows, others


@pytest.mark.proof
def test_every_window_ends_as_the_oracle_says(data, record_property):
    regions = calendars(data, YEARS)
    windows, others = compared(regions, DAY_RULES)
    assert others == {}
    assert len(regions) == (892 if PROOFS else 19)
    record_property("measured", f"{windows:,} windows of {len(regions)} regions, as by an oracle")


@pytest.mark.proof
@pytest.mark.parametrize(
    ("rules", "otherwise"),
    [
        (DayRules(WithoutSubdivision.ANY, period_law_days=True), {"any_part": True}),
        (DayRules(WithoutSubdivision.SHARED, period_law_days=False), {"by_law": False}),
    ],
)
def test_every_window_of_a_country_ends_as_the_terms_say(rules, otherwise, data, record_property):
    countries = {region: dates for region, dates in calendars(data, YEARS, **otherwise).items() if "-" not in region}
    windows, others = compared(countries, rules)
    assert others == {}
    record_property("measured", f"{windows:,} windows of {len(countries)} countries, with {otherwise}, as by an oracle")


@pytest.mark.parametrize("region", sorted(NO_PLACES))
def test_a_school_zone_or_a_community_is_no_region(region):
    with pytest.raises(UnknownRegion):
        business_calendar(region, WEEKDAYS[:5])


def test_the_oracle_knows_easter():
    assert [easter(year) for year in range(1900, 2101)] == [known_easter(year) for year in range(1900, 2101)]
