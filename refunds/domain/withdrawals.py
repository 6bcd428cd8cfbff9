"""The information period: 14 days after the order, shown beside a decision; nothing is judged by it."""

from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import NamedTuple

from refunds.domain.holidays_data import business_calendar
from refunds.domain.instants import end_of_day, local_date, zone
from refunds.domain.judging import day_rules
from refunds.domain.outcomes import Outcome
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import known_region_or_country
from refunds.domain.terms import Terms
from refunds.errors import CalendarNotCovered

DAYS = timedelta(days=14)  # of the period, and for the refund. Source: Directive 2011/83/EU, articles 9 and 13
_SATURDAY_AND_SUNDAY = 5, 6


class InformationPeriod(NamedTuple):
    """The period after the order, in the time zone of its policy."""

    last_day: date
    time_zone: str

    def has_ended(self, at: datetime) -> bool:
        """Tell whether an instant is after the last day of the period, in its time zone."""
        return end_of_day(self.last_day, zone(self.time_zone)) <= at


def information_period(ordered_at: datetime | None, outcome: Outcome, terms: Terms) -> InformationPeriod | None:
    """Return the information period of an order, 14 days; None if `ordered_at` is None, or no calendar covers its end.

    `outcome`, a decision on the order, gives the region and time zone. `terms` are those of the version that judged:
    they say which days are public holidays.

    The day of the order is not counted. If the last day is a Saturday, a Sunday or a public holiday of the region, the
    period ends with the next working day. Source: Regulation (EEC, Euratom) 1182/71, article 3.
    """
    known = known_region_or_country(outcome.region)
    if ordered_at is None or known is None:
        return None
    last_day = local_date(ordered_at, zone(outcome.time_zone)) + DAYS
    calendar = business_calendar(known, WEEKDAYS[:5], rules=day_rules(terms))
    with suppress(CalendarNotCovered):
        # A Saturday stays one, even if a decree makes it a working day.
        while calendar.why_not(last_day) or last_day.weekday() in _SATURDAY_AND_SUNDAY:
            last_day += timedelta(days=1)
        return InformationPeriod(last_day, outcome.time_zone)
    return None
