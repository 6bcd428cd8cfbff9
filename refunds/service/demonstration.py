"""Demonstration orders: a few around today, marked as such, to try out the service."""

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

from refunds.domain import judging
from refunds.domain.instants import local_date, zone
from refunds.errors import ConfigurationError, NotFound
from refunds.service import orders
from refunds.service.orders import OrderFacts
from refunds.storage.unit_of_work import UnitOfWork

PREFIX = "DEMO"
_DAY = timedelta(days=1)


class Shows(StrEnum):
    """What a demonstration order shows."""

    YESTERDAY = "provided yesterday"
    ABOUT_TO_END = "the window is about to end"
    JUST_ENDED = "the window has just ended"
    ENDED_LONG_AGO = "the window ended long ago"
    NOT_YET = "not yet provided"


class Demonstration(NamedTuple):
    """A demonstration order: its id, its local service day (None if not provided), and what it shows."""

    order_id: str
    provided_on: date | None
    shows: Shows


def register(uow: UnitOfWork, *, production: bool) -> list[Demonstration]:
    """Register the demonstration orders of today under the default policy, and return them.

    Those that are registered already stay as they are, even if they were changed. Raises `ConfigurationError` in
    production, `CustomerErased` if the customer of one was erased, and `NoPolicyInForce` or `CalendarNotCovered` if one
    cannot be judged.
    """
    if production:
        raise ConfigurationError("REFUNDS_ENV: demonstration orders are not for production")
    version = uow.policies[uow.policies.default].current(uow.now)
    tz, length = zone(version.terms.time_zone), version.terms.window_business_days
    calendar, today = judging.calendar_of(version), local_date(uow.now, tz)

    def last_day(service_day: date) -> date:
        return calendar.as_of_window(service_day, length).window(service_day, length).last_day

    earliest = today
    while last_day(earliest - _DAY) >= today:
        earliest -= _DAY
    provided_on = {
        Shows.YESTERDAY: today - _DAY,
        Shows.ABOUT_TO_END: earliest,
        Shows.JUST_ENDED: earliest - _DAY,
        Shows.ENDED_LONG_AGO: earliest - 30 * _DAY,
        Shows.NOT_YET: None,
    }
    there = {one.shows for one in registered(uow)}  # registered earlier today, even if they have changed since
    for number, shows in enumerate(Shows, 1):
        if shows not in there:
            day = provided_on[shows]
            facts = OrderFacts(
                order_id=_order_id(today, number),
                customer_ref=f"{PREFIX}-customer-{number}",
                service_provided_at=None if day is None else datetime.combine(day, time(10), tz),
            )
            orders.register(uow, facts)
    return registered(uow)


def registered(uow: UnitOfWork) -> list[Demonstration]:
    """Return the demonstration orders of today that are registered, with their present service days."""
    tz = zone(uow.default_terms.time_zone)
    today, found = local_date(uow.now, tz), []
    for number, shows in enumerate(Shows, 1):
        with suppress(NotFound):
            order = uow.orders.get(_order_id(today, number))
            provided_at = order.service_provided_at
            found.append(
                Demonstration(order.order_id, None if provided_at is None else local_date(provided_at, tz), shows)
            )
    return found


def _order_id(today: date, number: int) -> str:
    """Return the id of the demonstration order with this number (from 1) on a date, such as `PREFIX-20260310-1`."""
    return f"{PREFIX}-{today:%Y%m%d}-{number}"
