"""What a supervisor sees of the work at a glance: today, this week, and what is late."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from refunds.domain.instants import first_instant, local_date, zone
from refunds.storage.unit_of_work import UnitOfWork


class Period(NamedTuple):
    """The requests recorded since an instant, how many of them were refused, and goodwill cancellations by issuer."""

    requests: int
    refused: int
    goodwill: Mapping[str, int]


class Overview(NamedTuple):
    """Today, this week from Monday on, when the oldest open contact was received, and how many refunds are overdue."""

    today: Period
    week: Period
    oldest: datetime | None
    overdue: int


def read(uow: UnitOfWork, time_zone: str) -> Overview:
    """Return counts of today and of this week, the oldest open receipt, and how many refunds are overdue.

    The counts are of requests, refusals and goodwill cancellations. In the time zone, the day begins at midnight and
    the week on Monday. Refusals of cancelled orders do not count.
    """
    tz = zone(time_zone)
    today = local_date(uow.now, tz)
    monday, morning = (first_instant(day, tz) for day in (today - timedelta(days=today.weekday()), today))
    goodwill = list(uow.cancellations.goodwill_since(monday))
    oldest, week, day = uow.contacts.glance(monday, morning)
    of_today = Period(*day, Counter(by for at, by in goodwill if at >= morning))
    overdue = uow.cancellations.count_of(overdue=True)
    return Overview(of_today, Period(*week, Counter(by for _, by in goodwill)), oldest, overdue)
