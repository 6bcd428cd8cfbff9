"""How long records are kept: one table, in years to the end of the last one, in months, or in days."""

from datetime import UTC, date, datetime

import pytest

from refunds.domain.instants import zone
from refunds.domain.retention import BESIDE, CANCELLED, DETAILS, REPLIES

BERLIN = zone("Europe/Berlin")


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
    assert period.last_day(datetime.fromisoformat(since).astimezone(UTC), BERLIN) == last
