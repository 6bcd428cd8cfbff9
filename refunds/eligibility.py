"""The decision: is this order cancellable, until when, and why.

`decide()` is pure. It is given the facts, the policy version that judges and the calendar of the region, and
gives a value; a refusal is a value too. What costs time and is not always wanted (the list of days, its
fingerprint, the notices) is worked out from the decision when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from refunds.business_days import BusinessCalendar, Day, Window
from refunds.contact_points import Channel
from refunds.instants import TZDATA_VERSION, end_of_day, format_instant, local_date, zone
from refunds.policy import PolicyVersion, TimelyBy


class Reason(StrEnum):
    """Why a decision is what it is; stable codes, in the order of precedence."""

    ORDER_ALREADY_CANCELLED = "order_already_cancelled"
    CHANNEL_NOT_ACCEPTED = "channel_not_accepted"
    UNOFFICIAL_CONTACT_POINT = "unofficial_contact_point"
    SERVICE_NOT_YET_PROVIDED = "service_not_yet_provided"
    WINDOW_ELAPSED = "window_elapsed"
    LATE_ENTRY_NEEDS_SUPERVISOR = "late_entry_needs_supervisor"
    WITHIN_WINDOW = "within_window"


class Notice(StrEnum):
    """What a reader of a decision must know besides."""

    CONTACT_POINT_UNCHECKED = "contact_point_unchecked"
    NATIONWIDE_HOLIDAYS_ONLY = "nationwide_holidays_only"
    ESTIMATED_HOLIDAY = "estimated_holiday"
    STATUTORY_RIGHTS_NOT_ASSESSED = "statutory_rights_not_assessed"


ELIGIBLE = (Reason.WITHIN_WINDOW, Reason.SERVICE_NOT_YET_PROVIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an order and of the customer's contact; instants are absolute.

    `received_at` is when the contact was made, never when it was typed in: that is `recorded_at`, None for a
    mere check. `contact_point` is the vendor's number (E.164) or address that the customer used, if known.
    """

    service_provided_at: datetime | None
    received_at: datetime
    sent_at: datetime | None = None
    recorded_at: datetime | None = None
    channel: Channel | None = None
    contact_point: str | None = None
    cancelled: bool = False
    entered_by_supervisor: bool = False


class Decision(NamedTuple):
    """The answer: the facts beside what they were judged by, and all that follows from them.

    `requested_at` is the instant that was judged. `window` and `deadline` (the first instant that is too late) are
    None while no window runs, because the service is not yet provided. `contact_version` is the version in
    force at the contact, whose official numbers and addresses count as well.
    """

    facts: Facts
    version: PolicyVersion
    calendar: BusinessCalendar
    contact_version: PolicyVersion
    requested_at: datetime
    window: Window | None
    deadline: datetime | None

    @property
    def reason(self) -> Reason:
        """The first rule that applies, in the order of precedence."""
        for reason, applies in _RULES:
            if applies(self):
                return reason
        return Reason.WITHIN_WINDOW

    @property
    def eligible(self) -> bool:
        """Whether the order may be cancelled as of right."""
        return self.reason in ELIGIBLE

    @property
    def days(self) -> tuple[Day, ...]:
        """Each date from the service day to the last day, and what it is; empty while no window runs."""
        return self.calendar.explain(self.window) if self.window else ()

    @property
    def fingerprint(self) -> str | None:
        """A digest of the days and what each is, without names: another one, another calendar; None of no days."""
        if self.window is None:
            return None
        counted = f"{self.window.service_day} {self.calendar.letters(self.window).decode()}"
        return sha256(counted.encode()).hexdigest()[:16]

    @property
    def business_days_left(self) -> int | None:
        """Window days after the local date of the request: 0 on the last day, None once it has ended."""
        if self.window is None or _elapsed(self):
            return None
        return self.calendar.days_left(self.window, local_date(self.requested_at, zone(self.version.terms.time_zone)))

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader must know besides."""
        found = {
            Notice.CONTACT_POINT_UNCHECKED: bool(self.facts.contact_point) and not self.official_points,
            Notice.NATIONWIDE_HOLIDAYS_ONLY: self.window is not None and self.calendar.region.nationwide_only,
            Notice.ESTIMATED_HOLIDAY: self.window is not None and self.calendar.is_estimated(self.window),
            Notice.STATUTORY_RIGHTS_NOT_ASSESSED: True,
        }
        return tuple(notice for notice, holds in found.items() if holds)

    @property
    def official_points(self) -> frozenset[str]:
        """The vendor's numbers or addresses that count for this channel; empty: not checked.

        Those of both versions; where one of them names none, the customer could not know better.
        """
        if self.facts.channel is None:
            return frozenset()
        judging, at_contact = (v.terms.channel(self.facts.channel).points for v in (self.version, self.contact_version))
        return frozenset(judging + at_contact if judging and at_contact else ())

    def record(self) -> dict[str, Any]:
        """Everything that the decision was made from, as plain data in codes: enough to make it again."""
        facts, region = self.facts, self.calendar.region
        return {
            "reason": self.reason,
            "requested_at": _text(self.requested_at),
            "service_provided_at": _text(facts.service_provided_at),
            "sent_at": _text(facts.sent_at),
            "received_at": _text(facts.received_at),
            "recorded_at": _text(facts.recorded_at),
            "channel": facts.channel,
            "contact_point": facts.contact_point,
            "cancelled": facts.cancelled,
            "entered_by_supervisor": facts.entered_by_supervisor,
            "policy": self.version.policy_id,
            "version": self.version.version,
            "contact_version": self.contact_version.version,
            "region": region.region,
            "time_zone": self.version.terms.time_zone,
            "closures": [day.isoformat() for day in self.calendar.closures],
            "holidays_version": region.data_version,
            "tzdata_version": TZDATA_VERSION,
            "fingerprint": self.fingerprint,
        }


def decide(
    facts: Facts, version: PolicyVersion, calendar: BusinessCalendar, contact_version: PolicyVersion | None = None
) -> Decision:
    """Judge the facts by a policy version, on the calendar of the region with its closures.

    Raises `CalendarNotCovered` where the window would leave the years that the calendar knows; so does the reason,
    of a contact whose latest entry would.
    """
    terms = version.terms
    requested_at = facts.received_at
    if terms.timely_by is TimelyBy.SENT and facts.sent_at is not None:
        requested_at = facts.sent_at
    window = deadline = None
    provided_at = facts.service_provided_at
    if provided_at is not None and provided_at <= requested_at:
        tz = zone(terms.time_zone)
        window = calendar.window(local_date(provided_at, tz), terms.window_business_days)
        deadline = end_of_day(window.last_day, tz)
    return Decision(facts, version, calendar, contact_version or version, requested_at, window, deadline)


def _already_cancelled(case: Decision) -> bool:
    return case.facts.cancelled


def _channel_not_accepted(case: Decision) -> bool:
    channel = case.facts.channel
    return channel is not None and not case.version.terms.channel(channel).accepted


def _unofficial_contact_point(case: Decision) -> bool:
    point = case.facts.contact_point
    return point is not None and bool(case.official_points) and point not in case.official_points


def _not_yet_provided(case: Decision) -> bool:
    return case.window is None


def _elapsed(case: Decision) -> bool:
    return case.deadline is not None and case.requested_at >= case.deadline


def _late_entry(case: Decision) -> bool:
    """Entered more than `late_entry_days` business days after it was received, and not by a supervisor."""
    facts, terms = case.facts, case.version.terms
    if facts.recorded_at is None or facts.entered_by_supervisor:
        return False
    tz = zone(terms.time_zone)
    last_day = case.calendar.nth_business_day_after(local_date(facts.received_at, tz), terms.late_entry_days)
    return facts.recorded_at >= end_of_day(last_day, tz)


_RULES: tuple[tuple[Reason, Callable[[Decision], bool]], ...] = (
    (Reason.ORDER_ALREADY_CANCELLED, _already_cancelled),
    (Reason.CHANNEL_NOT_ACCEPTED, _channel_not_accepted),
    (Reason.UNOFFICIAL_CONTACT_POINT, _unofficial_contact_point),
    (Reason.SERVICE_NOT_YET_PROVIDED, _not_yet_provided),
    (Reason.WINDOW_ELAPSED, _elapsed),
    (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, _late_entry),
)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
