"""How long records are kept: one table, in years to the end of the last one, in months, or in days."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from refunds.domain.retention import BESIDE, CANCELLED, DETAILS, PERIODS, REPLIES
from refunds.domain.terms import Terms

TERMS = Terms()


@pytest.mark.parametrize(
    ("period", "since", "last"),
    [
        (CANCELLED, "2026-12-31T22:59:59Z", date(2034, 12, 31)),
        (CANCELLED, "2026-12-31T23:00:00Z", date(2035, 12, 31)),
        (BESIDE, "2024-02-29T12:00:00Z", date(2027, 12, 31)),
        (DETAILS, "2026-04-08T21:05:00Z", date(2027, 4, 8)),
        (DETAILS, "2026-04-08T22:00:00Z", date(2027, 4, 9)),
        (DETAILS, "2024-02-29T12:00:00Z", date(2025, 2, 28)),
        (REPLIES, "2026-01-31T12:00:00Z", date(2026, 3, 2)),
    ],
)
def test_a_period_ends_on_a_local_date(period, since, last):
    assert period.last_day(datetime.fromisoformat(since).astimezone(UTC), TERMS) == last


@pytest.mark.parametrize("zone_name", ["Europe/Berlin", "Pacific/Apia", "America/New_York"])
@pytest.mark.parametrize("period", PERIODS, ids=lambda one: one.term)
def test_what_is_over_on_a_day_is_what_ended_before_it(period, zone_name):
    terms = replace(Terms(), time_zone=zone_name, keep_details_months=13)
    for days in range(0, 1500, 7 if period.in_years else 1):
        today = date(2027, 12, 27) + timedelta(days=days)
        since = period.over_before(today, terms)
        before = since - timedelta(microseconds=1)
        assert period.last_day(before, terms) < today <= period.last_day(since, terms)
