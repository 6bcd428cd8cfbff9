"""How long each record is kept, and why: one table, whose numbers are terms of the default policy."""

from collections.abc import Sequence
from datetime import MAXYEAR, date, datetime, timedelta
from typing import NamedTuple

from refunds.domain.instants import first_instant, local_date, months_on, zone
from refunds.domain.records import Cancellation, Contact, Order
from refunds.domain.terms import Terms
from refunds.errors import Message


class Period(NamedTuple):
    """How long records are kept, and why: by a `term`, of whole years if so named or else of months, or for `days`."""

    what: Message
    since: Message
    law: Message
    term: str = ""
    days: int = 0

    @property
    def in_years(self) -> bool:
        """Whether the term of the period is in whole years."""
        return self.term.endswith("_years")

    def length(self, terms: Terms) -> int:
        """Return how many years, months or days the period has, by these terms."""
        number: int = getattr(terms, self.term) if self.term else self.days
        return number

    def last_day(self, since: datetime, terms: Terms) -> date:
        """Return the last day of the period that began at `since`, in the terms' time zone; in years, a 31 December."""
        return self._last(local_date(since, zone(terms.time_zone)), self.length(terms))

    def over_before(self, today: date, terms: Terms) -> datetime:
        """Return the instant, in UTC, before which a period must have begun to be over when `today` begins there.

        The terms have the time zone.
        """
        length = self.length(terms)
        if self.in_years:
            first = date(today.year - length, 1, 1)
        else:
            first = today - timedelta(days=length * (31 if self.term else 1) + 31)
            while self._last(first, length) < today:
                first += timedelta(days=1)
        return first_instant(first, zone(terms.time_zone))

    def _last(self, day: date, length: int) -> date:
        """Return the last day of a period of `length`, in its unit, from `day` on: for years, a 31 December."""
        if self.in_years:
            return date(min(day.year + length, MAXYEAR), 12, 31)
        if not self.term:
            return day + timedelta(days=length)
        return months_on(day, length)


_CLAIMS = Message("limitation of claims (BGB §§ 195, 199)")

DETAILS = Period(
    Message("Notes and tickets of contacts, unless they prove that a request was in time"),
    Message("their receipt"),
    Message("data minimisation (GDPR Art. 5(1)(c))"),
    "keep_details_months",
)
CANCELLED = Period(
    Message("Orders with a cancellation, and all records about them"),
    Message("the last thing that happened to the cancellation"),
    Message("retention of vouchers (AO § 147(3), HGB § 257(4))"),
    "keep_cancelled_years",
)
CONTACTED = Period(
    Message("Orders with contacts only, and all records about them"),
    Message("the last contact"),
    _CLAIMS,
    "keep_contacted_years",
)
ORDERED = Period(
    Message("Other orders"), Message("the service, or else the registration"), _CLAIMS, "keep_ordered_years"
)
BESIDE = Period(
    Message("Contacts without an order, data requests, disclosures, and limits that were lifted"),
    Message("their end, or else their entry"),
    _CLAIMS,
    "keep_others_years",
)
REPLIES = Period(
    Message("Copies of answers, so that a request that is sent again does nothing twice"),
    Message("the answer"),
    Message("data minimisation (GDPR Art. 5(1)(c))"),
    days=30,
)

PERIODS = (DETAILS, CANCELLED, CONTACTED, ORDERED, BESIDE, REPLIES)


def order_until(order: Order, contacts: Sequence[Contact], cancellations: Sequence[Cancellation], terms: Terms) -> date:
    """Return the last day on which an order is kept with all about it; the caller checks that none of it is open.

    It counts from the last issue, settlement or revocation of a cancellation, else from the last contact, else from the
    service or, if that is not known, from the registration.
    """
    if cancellations:
        ends = ((one.issued_at, one.settled_at, one.revoked_at) for one in cancellations)
        return CANCELLED.last_day(max(at for each in ends for at in each if at is not None), terms)
    if contacts:
        return CONTACTED.last_day(max(one.recorded_at for one in contacts), terms)
    return ORDERED.last_day(order.service_provided_at or order.registered_at, terms)


def details_until(contact: Contact, until: date, terms: Terms) -> date:
    """Return the last day on which a contact's note and ticket are kept: that of their period, but at most `until`.

    `until` is the last day of the contact's order. The note and ticket of a backdated contact are kept until then.
    """
    return until if contact.backdated else min(until, DETAILS.last_day(contact.received_at, terms))
