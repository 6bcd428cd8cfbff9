"""How long each record is kept, and why: one table."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import MAXYEAR, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from refunds.domain.instants import local_date
from refunds.domain.records import Cancellation, Contact, Order
from refunds.errors import Message


class Period(NamedTuple):
    """How long records of a kind are kept, and why: `years` to the end of the last one, `months`, or `days`."""

    what: Message
    since: Message
    law: Message
    years: int = 0
    months: int = 0
    days: int = 0

    def last_day(self, since: datetime, tz: ZoneInfo) -> date:
        """The last day of the period that began at an instant."""
        day = local_date(since, tz)
        if self.years:
            return date(min(day.year + self.years, MAXYEAR), 12, 31)
        years, month = divmod(day.month - 1 + self.months, 12)
        first = day.replace(year=day.year + years, month=month + 1, day=1)
        return first.replace(day=min(day.day, monthrange(first.year, first.month)[1])) + timedelta(days=self.days)


_CLAIMS = Message("limitation of claims (BGB §§ 195, 199)")

DETAILS = Period(
    Message("Notes and tickets of contacts, unless they prove that a request was in time"),
    Message("their receipt"),
    Message("data minimisation (GDPR Art. 5(1)(c))"),
    months=12,
)
CANCELLED = Period(
    Message("Orders with a cancellation, and all records about them"),
    Message("the last thing that happened to the cancellation"),
    Message("retention of vouchers (AO § 147(3), HGB § 257(4))"),
    years=8,
)
CONTACTED = Period(
    Message("Orders with contacts only, and all records about them"), Message("the last contact"), _CLAIMS, years=3
)
ORDERED = Period(Message("Other orders"), Message("the service, or else the registration"), _CLAIMS, years=3)
BESIDE = Period(
    Message("Contacts without an order, data requests, disclosures, and limits that were lifted"),
    Message("their end, or else their entry"),
    _CLAIMS,
    years=3,
)
REPLIES = Period(
    Message("Copies of answers, so that a request that is sent again does nothing twice"),
    Message("the answer"),
    Message("data minimisation (GDPR Art. 5(1)(c))"),
    days=30,
)

PERIODS = (DETAILS, CANCELLED, CONTACTED, ORDERED, BESIDE, REPLIES)


def order_until(order: Order, contacts: Sequence[Contact], cancellations: Sequence[Cancellation], tz: ZoneInfo) -> date:
    """The last day on which an order is kept, with all records about it."""
    if cancellations:
        ends = ((one.issued_at, one.settled_at, one.revoked_at) for one in cancellations)
        return CANCELLED.last_day(max(at for each in ends for at in each if at is not None), tz)
    if contacts:
        return CONTACTED.last_day(max(one.recorded_at for one in contacts), tz)
    return ORDERED.last_day(order.service_provided_at or order.registered_at, tz)


def details_until(contact: Contact, until: date, tz: ZoneInfo) -> date:
    """The last day on which a contact's note and ticket are kept; `until` is that of its order."""
    return until if contact.backdated else min(until, DETAILS.last_day(contact.received_at, tz))
