"""Demonstration orders: a few around today, marked as such, to try the service with."""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from refunds.errors import ConfigurationError
from refunds.instants import local_date, zone
from refunds.records import Order
from refunds.service import checks, orders
from refunds.service.orders import OrderFacts
from refunds.service.work import Work

PREFIX = "DEMO"
_DAY = timedelta(days=1)


class Demonstration(NamedTuple):
    """A demonstration order, what it shows, and whether it is new."""

    order: Order
    shows: str
    created: bool


def register(work: Work, *, production: bool) -> list[Demonstration]:
    """The demonstration orders of today; registering them again changes nothing.

    Raises `ConfigurationError` in production, where made-up orders have no place.
    """
    if production:
        raise ConfigurationError("REFUNDS_ENV: demonstration orders are not for production")
    version = work.policies[work.policies.default].present(work.now)
    tz, length = zone(version.terms.time_zone), version.terms.window_business_days
    calendar, today = checks.calendar_of(version), local_date(work.now, tz)

    def last_day(service_day: date) -> date:
        return calendar.window(service_day, length).last_day

    earliest = today
    while last_day(earliest - _DAY) >= today:
        earliest -= _DAY
    shown = {
        "provided yesterday": today - _DAY,
        "the window is about to end": earliest,
        "the window has just ended": earliest - _DAY,
        "the window ended long ago": earliest - 30 * _DAY,
        "not yet provided": None,
    }
    found = []
    for number, (shows, day) in enumerate(shown.items(), 1):
        provided = None if day is None else datetime.combine(day, time(10), tz)
        facts = OrderFacts(
            order_id=f"{PREFIX}-{today:%Y%m%d}-{number}",
            customer_ref=f"{PREFIX}-customer-{number}",
            service_provided_at=provided,
        )
        filed, created = orders.register(work, facts)
        found.append(Demonstration(filed.order, shows, created))
    return found
