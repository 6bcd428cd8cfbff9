"""What countries' law and parts add to public holidays: rules 11 to 13, and decisions that were made before them."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from refunds.domain import judging
from refunds.domain.business_days import SkipReason
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import EDITION
from refunds.domain.holidays_data import FIRST_DAY_RULES, DayRules, business_calendar, holiday_name
from refunds.domain.instants import parse_instant
from refunds.domain.national_law import PERIOD_LAWS
from refunds.domain.outcomes import Facts, Notice, Reason
from refunds.domain.policy import PolicyVersion, policy_of
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import place
from refunds.domain.terms import Terms, WithoutSubdivision
from refunds.errors import CalendarNotCovered, InvalidInput, UnknownRegion
from refunds.storage.decisions import dump_decision, load_decision

WEEK = WEEKDAYS[:5]
BRAND = policy_of([PolicyVersion("brand", 1, None, Terms())])
BEYOND = Facts(*[parse_instant("2150-04-08T10:00:00+02:00")] * 2)
"""An order and a request of a year for which no calendar has holidays."""


def judged(region, provided, requested=None, *, of_order=False, **terms):
    """The decision on an order by a policy with these terms."""
    provided = parse_instant(provided)
    facts = Facts(service_provided_at=provided, received_at=parse_instant(requested) if requested else provided)
    policy = policy_of([PolicyVersion("brand", 1, None, Terms(**terms))])
    return judging.judge(policy, facts, None, region, of_order=of_order)


CASES = [
    ("F2a", "AU", "2026-12-24T10:00:00+11:00", {"time_zone": "Australia/Sydney"}, date(2026, 12, 30)),
    ("F5a", "NL", "2027-05-03T10:00:00+02:00", {"time_zone": "Europe/Amsterdam"}, date(2027, 5, 7)),
    ("F5a off", "NL", "2027-05-03T10:00:00+02:00", {"period_law_days": False}, date(2027, 5, 5)),
    ("F5b", "SE", "2026-12-22T10:00:00+01:00", {"time_zone": "Europe/Stockholm"}, date(2026, 12, 28)),
    ("F5b off", "SE", "2026-12-22T10:00:00+01:00", {"period_law_days": False}, date(2026, 12, 24)),
    ("N5", "GB", "2009-03-12T12:00:00Z", {"window_business_days": 20, "time_zone": "Europe/London",
                                          "without_subdivision": WithoutSubdivision.ANY}, date(2009, 4, 14)),
    ("N5 off", "GB", "2009-03-12T12:00:00Z", {"window_business_days": 20, "time_zone": "Europe/London"}, date(2009, 4, 9)),
    ("a part of the Netherlands", "NL-NH", "2027-05-03T10:00:00+02:00", {}, date(2027, 5, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("region", "provided", "terms", "last_day"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])  # fmt: skip
def test_a_window_passes_over_what_law_and_parts_add(region, provided, terms, last_day):
    decision = judged(region, provided, **terms)
    assert decision.window.last_day == last_day
    assert decision.outcome.day_codes == decision.day_codes


@pytest.mark.parametrize("country", PERIOD_LAWS)
def test_every_day_of_a_law_on_periods_is_in_every_year_and_is_named(country):
    law = PERIOD_LAWS[country]
    with_days, without = (
        business_calendar(country, WEEKDAYS, None, DayRules(period_law_days=on)) for on in (True, False)
    )
    first, last = (date.fromordinal(ordinal) for ordinal in (with_days.region.first, with_days.region.last))
    for year in range(first.year, last.year + 1):
        days = [date(year, 1, 1) + timedelta(days=i) for i in range(365)]
        named = {
            day: holiday_name(country, day, "xx") or holiday_name(country, day, "en")
            for day in days
            if with_days.why_not(day)
        }
        assert all(named.values()), year
        added = [day for day in days if with_days.why_not(day) and not without.why_not(day)]
        assert len(added) <= len(law.names)
        assert all(with_days.why_not(day) is SkipReason.PUBLIC_HOLIDAY for day in added)


def easter(year):
    """Easter Sunday. Source: the anonymous Gregorian algorithm, in Meeus, Astronomical Algorithms, chapter 8."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def midsummer_eve(year):
    """The Friday between 19 and 25 June."""
    return next(day for day in (date(year, 6, 19 + i) for i in range(7)) if day.weekday() == 4)


LAW_DAYS = {
    "FI": lambda year: {midsummer_eve(year), date(year, 12, 24)},
    "NL": lambda year: {easter(year) - timedelta(days=2), date(year, 5, 5)},
    "SE": lambda year: {midsummer_eve(year), date(year, 12, 24), date(year, 12, 31)},
}


@pytest.mark.parametrize("country", PERIOD_LAWS)
def test_the_days_of_the_law_are_those_that_it_names(country):
    calendar = business_calendar(country, WEEKDAYS)
    for year in range(1990, 2101):
        assert all(calendar.why_not(day) is SkipReason.PUBLIC_HOLIDAY for day in LAW_DAYS[country](year)), year


@pytest.mark.parametrize("region", ["AU", "NL", "SE", "FR", "FR-Zone A", "CN", "GB", "DE-BY", "NL-Zuid", "BE"])
def test_a_decision_by_an_earlier_edition_is_made_again_as_it_was(region):
    """It is stored with the days and notices of that time, and a replay has no difference."""
    terms = Terms(region="DE", window_business_days=20)
    policy = policy_of([PolicyVersion("brand", 1, None, terms)])
    for provided in ("2026-12-22T10:00:00Z", "2027-05-03T10:00:00Z", "2027-03-23T10:00:00Z"):
        at = parse_instant(provided)
        calendar = business_calendar(region, terms.business_week, None, FIRST_DAY_RULES)
        before = judging.decide(Facts(service_provided_at=at, received_at=at), policy.version(1), calendar, edition=2)
        stored = dump_decision(before.recorded)
        assert '"edition":2' in stored
        assert judging.decided_again({"brand": policy}, load_decision(stored)).outcome == before.outcome
        country_only = "-" not in region and region not in ("CN", "SE")
        assert (Notice.NATIONWIDE_HOLIDAYS_ONLY in before.notices) is country_only


@pytest.mark.parametrize(
    ("region", "edition", "is_provisional"),
    [("PK", 3, False), ("PK", 4, True), ("PH", 3, False), ("PH", 4, True), ("CN-BJ", 3, True), ("CN", 2, False)],
)
def test_decrees_are_known_by_the_edition_that_added_their_country(region, edition, is_provisional):
    decision = judged(region, "2028-03-01T10:00:00Z", of_order=True)
    policy = policy_of([decision.version])
    again = judging.decided_again({"brand": policy}, replace(decision.recorded, edition=edition))
    assert (Notice.CALENDAR_PROVISIONAL in again.notices) is is_provisional
    assert again.notices == judging.decided_again({"brand": policy}, again.recorded).notices
    assert Notice.CALENDAR_PROVISIONAL in decision.notices


def test_control_the_present_edition_would_make_those_decisions_otherwise():
    terms = Terms(region="DE")
    policy = policy_of([PolicyVersion("brand", 1, None, terms)])
    at = parse_instant("2027-05-03T10:00:00Z")
    calendar = business_calendar("NL", terms.business_week, None, FIRST_DAY_RULES)
    before = judging.decide(Facts(service_provided_at=at, received_at=at), policy.version(1), calendar, edition=2)
    again = judging.decided_again({"brand": policy}, replace(before.recorded, edition=EDITION))
    assert again.window.last_day > before.window.last_day
    assert Notice.NATIONWIDE_HOLIDAYS_ONLY in before.notices
    assert Notice.NATIONWIDE_HOLIDAYS_ONLY not in again.notices


@pytest.mark.parametrize(
    ("named", "counted", "is_country"),
    [
        ("NL-NH", "NL", True),
        ("SE-AB", "SE", True),
        ("JP-13", "JP", True),
        ("IE-D", "IE", True),
        ("IT-62", "IT", True),
        ("CN-HK", "HK", False),
        ("ES-B", "ES-CT", False),
        ("GB-LND", "GB-ENG", False),
        ("BQ-BO", "BQ-BON", False),
        ("IT-23", "IT-AO", False),
        ("DE-BY", "DE-BY", False),
        ("DE", "DE", False),
    ],
)
def test_an_answer_names_the_region_that_it_counted_by(named, counted, is_country):
    decision = judged(named, "2026-11-26T10:00:00Z")
    assert decision.outcome.region == counted == place(named).region
    assert (Notice.REGION_AS_COUNTRY in decision.notices) is is_country
    assert decision.facts.named_region == (None if named == counted else named)
    stored = load_decision(dump_decision(judging.to_record(decision)))
    assert stored.facts == decision.facts
    assert judging.decided_again({"brand": policy_of([decision.version])}, stored).notices == decision.notices


def test_an_order_in_a_school_zone_that_was_registered_before_is_counted_by_its_country():
    decision = judged("FR-Zone A", "2026-11-26T10:00:00Z", of_order=True)
    assert decision.outcome.region == "FR"
    assert Notice.REGION_AS_COUNTRY in decision.notices


def test_a_decision_of_a_subdivision_that_the_data_has_lost_is_made_again_by_its_country():
    decision = judged("FR", "2026-11-26T10:00:00Z", of_order=True)
    stored = replace(decision.recorded, outcome=decision.outcome._replace(region="FR-Zone A"))
    assert judging.decided_again({"brand": policy_of([decision.version])}, stored).outcome == decision.outcome


@pytest.mark.parametrize(
    ("region", "provided", "is_provisional"),
    [
        ("CN", "2027-09-29T10:00:00+08:00", True),
        ("CN", "2026-12-24T10:00:00Z", False),
        ("CN", "2026-12-29T10:00:00Z", True),
        ("TH", "2026-11-30T10:00:00Z", False),
        ("TH", "2027-01-29T10:00:00Z", True),
        ("PH", "2027-12-20T10:00:00Z", False),
        ("PH", "2028-01-03T10:00:00Z", True),
        ("PK", "2026-12-14T10:00:00Z", False),
        ("PK", "2026-12-31T10:00:00Z", True),
        ("CN-BJ", "2027-09-29T10:00:00Z", True),
        ("CN-HK", "2027-09-29T10:00:00Z", False),
        ("HU", "2027-03-01T10:00:00Z", True),
        ("LV", "2028-03-01T10:00:00Z", True),
        ("UZ", "2027-03-01T10:00:00Z", True),
        ("BG", "2028-03-01T10:00:00Z", False),
        ("AM", "2028-03-01T10:00:00Z", False),
        ("UA", "2028-03-01T10:00:00Z", False),
        ("DE-BY", "2028-03-01T10:00:00Z", False),
    ],
)
def test_a_window_beyond_the_last_decree_is_provisional(region, provided, is_provisional):
    assert (Notice.CALENDAR_PROVISIONAL in judged(region, provided).notices) is is_provisional


def test_with_the_days_of_any_part_nothing_is_missing():
    shared, of_any = (judged("AU", "2026-11-26T10:00:00Z", without_subdivision=term) for term in WithoutSubdivision)
    assert Notice.NATIONWIDE_HOLIDAYS_ONLY in shared.notices
    assert Notice.NATIONWIDE_HOLIDAYS_ONLY not in of_any.notices


def test_a_shared_day_that_the_country_lacks_has_the_name_that_a_part_gives_it():
    assert holiday_name("AU", date(2026, 12, 28), "en") == ("Boxing Day (observed)", "en")
    assert holiday_name("NL", date(2027, 5, 5), "nl") == ("Bevrijdingsdag", "nl")


def test_a_version_whose_region_was_lost_since_stands_and_is_counted_by_its_country():
    lost = PolicyVersion("brand", 1, None, Terms(region="FR-Zone A"))
    assert judging.calendar_of(lost).region.region == "FR"
    at = parse_instant("2026-11-26T10:00:00Z")
    decision = judging.judge(policy_of([lost]), Facts(service_provided_at=at, received_at=at), None, None)
    assert decision.outcome.region == "FR"
    assert Notice.REGION_AS_COUNTRY in decision.notices
    with pytest.raises(UnknownRegion):
        judging.calendar_of(lost.what_if({"region": "FR-Zone A"}))


def test_a_check_beyond_the_calendar_is_refused_and_an_order_there_is_decided_again_as_before():
    with pytest.raises(CalendarNotCovered):
        judging.judge(BRAND, BEYOND, None, "DE")
    decision = judging.judge(BRAND, BEYOND, None, "DE", of_order=True)
    assert decision.reason is Reason.CALENDAR_UNKNOWN
    assert judging.decided_again({"brand": BRAND}, decision.recorded).outcome == decision.outcome


def test_a_contact_point_is_judged_in_its_one_spelling_and_refused_if_it_has_none():
    facts = BEYOND._replace(service_provided_at=None, channel=Channel.PHONE)
    decision = judging.judge(BRAND, facts._replace(contact_point="089 123456"), None, "DE")
    assert decision.facts.contact_point == "+4989123456"
    with pytest.raises(InvalidInput) as error:
        judging.judge(BRAND, facts._replace(contact_point="nobody"), None, "DE")
    assert [one.pointer for one in error.value.errors] == ["/contact_point"]
