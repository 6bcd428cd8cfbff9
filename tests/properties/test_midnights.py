"""The end of every day in every zone, most of all where the clocks skip midnight or show it twice."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta

import pytest

from refunds.domain.business_days import SkipReason
from refunds.domain.instants import end_of_day, local_date, zone, zone_names
from refunds.domain.judging import calendar_of, decided_again, judge
from refunds.domain.outcomes import Facts
from refunds.domain.policy import PolicyVersion, policy_of
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.terms import Terms
from tests import PROOFS

FEW = ("Africa/Cairo", "America/Havana", "America/St_Johns", "Pacific/Apia")
FIRST, LAST = date(2000, 1, 1), date(2037, 12, 31)
DAY, MINUTE, MOMENT = timedelta(days=1), timedelta(minutes=1), timedelta(microseconds=1)

EARLIEST, LATEST = timedelta(hours=-14), timedelta(hours=12)
"""When a date begins in the first zone and in the last, from its midnight in UTC."""


def midnights(tz):
    """Each local midnight of the years: its date, what is odd about it, and the instant if nothing is.

    The offset of a time differs between its two folds only if the clocks skip it or show it twice (PEP 495).
    """
    for ordinal in range(FIRST.toordinal(), LAST.toordinal() + 1):
        day = date.fromordinal(ordinal)
        midnight = datetime.combine(day, time(), tz)
        before, after = midnight.utcoffset(), midnight.replace(fold=1).utcoffset()
        odd = None if before == after else "skipped" if before < after else "twice"
        yield day, odd, None if odd else midnight.replace(tzinfo=UTC) - before


def walked(day, tz):
    """Each minute from before a date can have begun until after, with the date that the clocks of a zone show."""
    midnight = datetime.combine(day, time())
    minute, last = midnight + EARLIEST - DAY, midnight + LATEST + DAY
    while minute <= last:
        instant = minute.replace(tzinfo=UTC)
        yield instant, (minute + instant.astimezone(tz).utcoffset()).date()
        minute += MINUTE


def begins(day, tz):
    """The first minute of a date or a later one, from a walk in which the service sees the dates of the clocks."""
    by_clock = list(walked(day, tz))
    for instant, shown in by_clock:
        assert local_date(instant, tz) == shown, (tz, instant)
    return next(instant for instant, shown in by_clock if shown >= day)


@pytest.mark.proof
def test_a_day_ends_with_the_first_minute_of_a_later_one_in_every_zone(record_property):
    found, zones = Counter(), set()
    for name in sorted(zone_names()) if PROOFS else FEW:
        tz = zone(name)
        for day, odd, instant in midnights(tz):
            ends = end_of_day(day - DAY, tz)
            assert ends == (instant or begins(day, tz)), (name, day)
            if odd:
                assert local_date(ends - MOMENT, tz) < day <= local_date(ends, tz), (name, day)
                zones.add(name)
            found[odd] += 1
    plain = found.pop(None)
    record_property("measured", f"midnights: {dict(found)} in {len(zones)} zones; {plain:,} others")
    # By tzdata 2026f: a release that moves a change of clocks to midnight, or away from it, changes these.
    assert found == ({"skipped": 675, "twice": 236} if PROOFS else {"skipped": 66, "twice": 46})
    assert len(zones) == (83 if PROOFS else len(FEW))
    assert not PROOFS or len(zone_names()) == 597


@pytest.mark.parametrize("name", ["America/Toronto", "America/Nassau"])
def test_a_skip_that_begins_before_midnight_ends_the_day_too(name):
    """Since 1900 that was in six zones, in one night; where midnight was skipped later, it was the first to be."""
    tz, day = zone(name), date(1919, 3, 31)
    ends = end_of_day(day - DAY, tz)
    assert ends == begins(day, tz) != datetime.combine(day, time(), tz).astimezone(UTC)


def never_shown(tz):
    """The dates that the clocks of a zone skip whole: where a month has an hour less than half a day too few."""
    months = [datetime(year, month, 1, 12, tzinfo=UTC) for year in range(1900, 2101) for month in range(1, 13)]
    offsets = [month.astimezone(tz).utcoffset() for month in months]
    for i in range(1, len(months)):
        if offsets[i] - offsets[i - 1] > DAY / 2:
            hours = range(int((months[i] - months[i - 1]).total_seconds()) // 3600)
            shown = {(months[i - 1] + timedelta(hours=hour)).astimezone(tz).date() for hour in hours}
            yield from (day for n in range(1, 31) if (day := min(shown) + n * DAY) < max(shown) and day not in shown)


def test_a_date_that_never_was_in_a_zone_is_no_business_day_there():
    """Those who moved west over the date line skipped it, such as Samoa."""
    found = {name: list(never_shown(zone(name))) for name in zone_names()}
    found = {name: days for name, days in found.items() if days}
    assert found == {
        "Kwajalein": [date(1993, 8, 21)],
        "Pacific/Apia": [date(2011, 12, 30)],
        "Pacific/Enderbury": [date(1994, 12, 31)],
        "Pacific/Fakaofo": [date(2011, 12, 30)],
        "Pacific/Kanton": [date(1994, 12, 31)],
        "Pacific/Kiritimati": [date(1994, 12, 31)],
        "Pacific/Kwajalein": [date(1993, 8, 21)],
    }
    for name in zone_names():
        terms = Terms(time_zone=name, business_week=WEEKDAYS)
        calendar = calendar_of(PolicyVersion("brand", 1, None, terms))
        assert calendar.closures == found.get(name, [])
        for day in found.get(name, []):
            assert calendar.why_not(day) is SkipReason.CLOSURE
            assert calendar.window(day - DAY, 1).last_day > day


def test_a_decision_over_a_date_that_never_was_can_be_repeated():
    provided, asked = (datetime(2011, 12, day, 20, tzinfo=zone("Pacific/Apia")) for day in (28, 31))
    version = PolicyVersion("brand", 1, None, Terms(region="WS", time_zone="Pacific/Apia"))
    policies = {"brand": policy_of([version])}
    facts = Facts(service_provided_at=provided.astimezone(UTC), received_at=asked.astimezone(UTC))
    decision = judge(policies["brand"], facts, None, None)
    assert (decision.window.last_day, decision.outcome.eligible) == (date(2012, 1, 3), True)
    assert decided_again(policies, decision.recorded).outcome == decision.outcome
