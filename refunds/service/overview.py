"""What a supervisor sees of the work at a glance: today, this week, and what is late."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from refunds.domain.instants import first_instant, local_date, zone
from refunds.domain.outcomes import Reason, Verdict
from refunds.service.queue import Entry, Tab
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


def read(uow: UnitOfWork, tabs: Mapping[Tab, list[Entry]], time_zone: str) -> Overview:
    """The overview now, by the days of a time zone and the queue `tabs`; refusals of cancelled orders do not count."""
    tz = zone(time_zone)
    today = local_date(uow.now, tz)
    monday = first_instant(today - timedelta(days=today.weekday()), tz)
    requests = [
        (at, outcome.verdict is Verdict.REFUSED and outcome.reason is not Reason.ORDER_ALREADY_CANCELLED)
        for at, outcome in uow.contacts.requests_since(monday)
    ]
    requests += [(at, False) for at in uow.unmatched.requests_since(monday)]
    goodwill = list(uow.cancellations.goodwill_since(monday))

    def since(begin: datetime) -> Period:
        recorded = [refused for at, refused in requests if at >= begin]
        return Period(len(recorded), sum(recorded), Counter(by for at, by in goodwill if at >= begin))

    received = (entry.received_at for entries in tabs.values() for entry in entries)
    overdue = uow.cancellations.count_of(overdue=True)
    return Overview(since(first_instant(today, tz)), since(monday), min(received, default=None), overdue)
