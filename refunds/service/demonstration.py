"""Demonstration orders: a few around today, marked as such, to try the service with."""

from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from refunds.errors import ConfigurationError, NotFound
from refunds.instants import local_date, zone
from refunds.service import checks, orders
from refunds.service.orders import OrderFacts
from refunds.service.work import Work

PREFIX = "DEMO"
_DAY = timedelta(days=1)


class Demonstration(NamedTuple):
    """A demonstration order, the local date on which its service was provided, if it was, and what it shows."""

    order_id: str
    provided_on: date | None
    shows: str


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
        return calendar.in_time_for(service_day, length).window(service_day, length).last_day

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
        order_id = f"{PREFIX}-{today:%Y%m%d}-{number}"
        provided = None if day is None else datetime.combine(day, time(10), tz)
        try:
            order = orders.find(work, order_id).order  # of earlier today, whatever has changed since
        except NotFound:
            customer_ref = f"{PREFIX}-customer-{number}"
            facts = OrderFacts(order_id=order_id, customer_ref=customer_ref, service_provided_at=provided)
            order = orders.register(work, facts)[0].order
        provided_on = None if order.service_provided_at is None else local_date(order.service_provided_at, tz)
        found.append(Demonstration(order_id, provided_on, shows))
    return found
