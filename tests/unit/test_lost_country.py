"""What the holiday data says of a stored region whose country it has lost."""

from datetime import date

import pytest

from refunds.domain import judging
from refunds.domain.holidays_data import decreed_until, holiday_name, is_provisional, no_calendar, provisional_from
from refunds.domain.instants import parse_instant
from refunds.domain.outcomes import Facts, Reason
from refunds.domain.policy import PolicyVersion, policy_of
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import is_lost, known_region_or_country, subdivisions
from refunds.domain.terms import Terms
from refunds.domain.withdrawals import information_period
from refunds.errors import CalendarNotCovered, UnknownRegion
from tests.changed_data import lost_country

AT = parse_instant("2026-04-02T10:00:00Z")
BRAND = policy_of([PolicyVersion("brand", 1, None, Terms(region="DE"))])


@pytest.fixture(params=["CN", "CN-BJ"])
def region(request):
    """A region of a country that has decrees, which the data has lost."""
    assert not is_lost(request.param)
    with lost_country("99.0", "CN"):
        yield request.param


def test_it_has_no_name_and_no_decree(region):
    assert known_region_or_country(region) is None
    assert is_lost(region)
    assert holiday_name(region, date(2026, 1, 1), "en") is None
    assert (decreed_until("CN"), provisional_from(region)) == (None, None)
    assert not is_provisional(region, date(2100, 1, 1))
    assert subdivisions("CN") == ()


def test_its_calendar_covers_no_date(region):
    for calendar in (
        no_calendar(region, "country"),
        no_calendar(region, WEEKDAYS[:5], WEEKDAYS[:5]).closed_on([AT.date()]),
    ):
        assert calendar.region.region == region
        for day in (date.min, AT.date(), date.max):
            with pytest.raises(CalendarNotCovered):
                calendar.window(day, 1)
            with pytest.raises(CalendarNotCovered):
                calendar.why_not(day)
            with pytest.raises(CalendarNotCovered):
                calendar.nth_business_day_after(day, 1)


def test_an_order_there_is_undecided_and_a_check_refused(region):
    facts = Facts(service_provided_at=AT, received_at=AT)
    decision = judging.judge(BRAND, facts, AT, region, of_order=True)
    assert (decision.reason, decision.outcome.region) == (Reason.CALENDAR_UNKNOWN, region)
    assert information_period(AT, decision.outcome, decision.version.terms) is None
    with pytest.raises(UnknownRegion):
        judging.judge(BRAND, facts, AT, region)
    with pytest.raises(UnknownRegion):
        judging.decided_again({"brand": BRAND}, decision.recorded)


def test_a_code_that_is_no_country_is_not_lost():
    assert not any(map(is_lost, ("XX-BY", "dk", "DE-XX", "")))
    assert known_region_or_country("XX-BY") is None
