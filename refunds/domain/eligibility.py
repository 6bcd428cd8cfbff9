"""The decision: whether an order is cancellable, until when, and why.

`decide()` is pure. It takes the facts, the policy version that judges and the calendar of the region, and returns a
value, also for a refusal. What is slow (the days, their fingerprint, the notices) is computed with the outcome.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import date, datetime, timedelta
from itertools import compress
from typing import NamedTuple

from refunds.domain.business_days import BusinessCalendar, DayStatus, Window, days_ahead, explained, fingerprint_of
from refunds.domain.instants import TZDATA_VERSION, end_of_day, local_date, zone
from refunds.domain.outcomes import (
    ABOUT_DECISIONS,
    ELIGIBLE,
    NO_NAMES,
    Facts,
    Names,
    Notice,
    Outcome,
    Reason,
    RecordedDecision,
    ToldWindow,
    calendar_notices,
)
from refunds.domain.policy import PolicyVersion
from refunds.domain.terms import TimelyBy
from refunds.errors import CalendarNotCovered

EDITION = 4
"""The edition of the rules: 2 tells missing service dates, 3 has `DayRules`, 4 has more countries in `DECREES`."""


class Decision(NamedTuple):
    """The answer: the facts, what they were judged by, and all that follows from them.

    `calendar` is the window's, without the closures that were entered after it had ended; `known` has them all.
    `requested_at` is the instant that was judged. `window` and `deadline`, the first instant that is too late, are None
    if the service is not yet provided or the window is beyond the calendar. `contact_version` is in force at the
    contact; its official numbers and addresses count as well. `promise` is the window that the order was told before;
    `kept`: it is used, because today's is worse for the customer. `edition` is that of the rules.
    """

    facts: Facts
    version: PolicyVersion
    calendar: BusinessCalendar
    contact_version: PolicyVersion
    requested_at: datetime
    window: Window | None
    deadline: datetime | None
    known: BusinessCalendar
    promise: ToldWindow | None
    kept: bool
    edition: int

    @property
    def reason(self) -> Reason:
        """Return the reason of the first rule that applies, in the order of precedence; else `WITHIN_WINDOW`."""
        for reason, applies in _RULES:
            if applies(self):
                return reason
        return Reason.WITHIN_WINDOW

    @property
    def eligible(self) -> bool:
        """Whether the order can be cancelled without a supervisor's decision."""
        return self.reason in ELIGIBLE

    @property
    def day_codes(self) -> bytes:
        """The codes of the dates after the service day up to the last day, one letter each; empty without a window."""
        if self.kept and self.promise and self.window == self.promise.window:
            return self.promise.day_codes
        return self.calendar.day_codes(self.window) if self.window else b""

    @property
    def _names(self) -> Names:
        """The names of holidays as the customer was told them, if the promise is kept; else none."""
        return self.promise.names if self.kept and self.promise else NO_NAMES

    @property
    def told(self) -> ToldWindow | None:
        """The window that the decision tells, as it is stored for a promise; None if it tells no window or deadline."""
        if self.window is None or self.deadline is None:
            return None
        return ToldWindow(self.window, self.day_codes, self.deadline, *self._place, self._names)

    @property
    def _place(self) -> tuple[str, str]:
        """The time zone and region of the window: a kept promise's if the window is the promised one, else today's."""
        told = self.promise
        if self.kept and told and (self.window, self.deadline) == (told.window, told.deadline):
            return told.time_zone, told.region
        return self.version.terms.time_zone, self.calendar.region.region

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What else a reader must know, in the order of `Notice`; always with `STATUTORY_RIGHTS_NOT_ASSESSED`."""
        facts = self.facts
        unchecked = (Notice.CONTACT_POINT_UNCHECKED,) if facts.contact_point and not self.official_points else ()
        holds = (
            facts.service_provided_at is None and self.edition > 1,
            facts.corrected_after_refusal,
            self.kept,
            facts.told_until and _told_before_correction(self),
            facts.deadline_accepted,
            True,
        )
        about_calendar = calendar_notices(self.calendar, facts.named_region or "", self.window, self.edition)
        is_counted = self._place[1] == self.calendar.region.region
        return (*unchecked, *(about_calendar if is_counted else ()), *compress(ABOUT_DECISIONS, holds))

    @property
    def official_points(self) -> frozenset[str]:
        """Return the official contact points of this channel, in the judging version and in the version at the contact.

        Empty, so that none is refused, if one version names none (the customer could not know), or without a channel.
        """
        if self.facts.channel is None:
            return frozenset()
        judging, at_contact = (v.terms.channel(self.facts.channel).points for v in (self.version, self.contact_version))
        return frozenset(judging + at_contact if judging and at_contact else ())

    @property
    def provided(self) -> bool:
        """Whether the service was provided at the request; false if its time is not known."""
        provided_at = self.facts.service_provided_at
        return provided_at is not None and provided_at <= self.requested_at

    @property
    def provided_when_recorded(self) -> bool:
        """Whether the service was already provided when the contact was recorded; false for a mere check."""
        provided_at, recorded_at = self.facts.service_provided_at, self.facts.recorded_at
        return provided_at is not None and recorded_at is not None and provided_at <= recorded_at

    @property
    def backdated(self) -> bool:
        """Whether the contact was made before the deadline and recorded at it or later; false for a mere check.

        The deadline is that of a contact made at the time of recording. There is none, and this is false, if the
        service was not provided by then, or if the calendar does not cover its window.
        """
        recorded_at = self.facts.recorded_at
        if recorded_at is None or not self.provided_when_recorded:
            return False
        facts = self.facts._replace(received_at=recorded_at, sent_at=None)
        at_entry = decide(facts, self.version, self.known, promise=self.promise, of_order=True)
        return at_entry.deadline is not None and self.requested_at < at_entry.deadline <= recorded_at

    def _relevant(self, closures: Collection[date]) -> tuple[date, ...]:
        """Return those closures that are between the first and the last date that the decision depends on, in order."""
        if not closures:
            return ()
        facts, tz = self.facts, zone(self.version.terms.time_zone)
        window = (self.window.service_day, self.window.last_day) if self.window else ()
        dates = [local_date(facts.received_at, tz), *window]
        if facts.recorded_at is not None:
            dates.append(_last_day_to_enter(self) or date.max)  # beyond the calendar, every closure has led there
        if facts.service_provided_at is not None and self.provided and not window:
            dates += local_date(facts.service_provided_at, tz), date.max
        return tuple(day for day in sorted(closures) if min(dates) <= day <= max(dates))

    @property
    def outcome(self) -> Outcome:
        """What the decision says: reason, notices, window, days and deadline; it only names policy and calendar."""
        version, region, day_codes, window = self.version, self.calendar.region, self.day_codes, self.window
        time_zone, place = self._place
        left = fingerprint = None
        if window is not None:
            fingerprint = fingerprint_of(window.service_day, day_codes)
            if not _elapsed(self):
                today = local_date(self.requested_at, zone(time_zone))
                left = days_ahead(window.service_day, day_codes, today)
        return Outcome(
            self.reason,
            self.requested_at,
            self.facts.channel,
            version.policy_id,
            version.version,
            version.overridden,
            version.terms.late_entry_days,
            time_zone,
            place,
            region.data_version,
            TZDATA_VERSION,
            fingerprint,
            self.notices,
            window,
            day_codes,
            self.deadline,
            left,
            self._names,
        )

    @property
    def recorded(self) -> RecordedDecision:
        """The decision as it is stored with a record, but without the names of holidays (see `judging.to_record`)."""
        closed, region, outcome = self.calendar.closures, self.calendar.region.region, self.outcome
        return RecordedDecision(
            facts=self.facts,
            contact_version=self.contact_version.version,
            closures=self._relevant(closed),
            closures_too_late=self._relevant(set(self.known.closures).difference(closed)),
            promise=self.promise if self.kept else None,
            counted_region=region if region != outcome.region else None,
            edition=self.edition,
            outcome=outcome,
        )


_Counted = tuple[BusinessCalendar, Window, datetime]


def decide(
    facts: Facts,
    version: PolicyVersion,
    calendar: BusinessCalendar,
    contact_version: PolicyVersion | None = None,
    *,
    promise: ToldWindow | None = None,
    of_order: bool = False,
    edition: int = EDITION,
) -> Decision:
    """Judge the facts by a policy version, on its calendar, closures included (see `judging.calendar_of`).

    `contact_version` is the version in force at the contact; by default `version`. A contact point must already be in
    its one spelling. `promise` is the window that the order was told before: no earlier deadline is decided. If the
    window would leave the years that the calendar covers, the promise stands. Without a promise, this raises
    `CalendarNotCovered` or, with `of_order`, decides that no window runs and `CALENDAR_UNKNOWN` applies; so it does
    after a promised end that the calendar covers, because the window then ends later.
    """
    terms = version.terms
    requested_at = facts.received_at
    if facts.sent_at is not None and (facts.withdrawal or terms.timely_by is TimelyBy.SENT):
        requested_at = facts.sent_at
    counted, kept = None, False
    provided_at = facts.service_provided_at
    if provided_at is not None and provided_at <= requested_at:
        tz = zone(terms.time_zone)
        service_day, length = local_date(provided_at, tz), terms.window_business_days
        try:
            today = calendar.as_of_window(service_day, length)
            current = today.window(service_day, length)
            counted = today, current, end_of_day(current.last_day, tz)
        except CalendarNotCovered:
            if not (of_order or promise):
                raise
        # A promised window that is now longer than the calendar ends after the promised end, and nobody knows when.
        if promise and (
            counted or requested_at < promise.deadline or not calendar.region.covers(promise.window.last_day)
        ):
            laid = _window_kept(promise, version, calendar, counted)
            counted, kept = laid or counted, laid is not None
    at_contact, known = contact_version or version, calendar
    calendar, window, deadline = counted or (known, None, None)
    return Decision(facts, version, calendar, at_contact, requested_at, window, deadline, known, promise, kept, edition)


def _window_kept(
    promise: ToldWindow, version: PolicyVersion, known: BusinessCalendar, counted: _Counted | None
) -> _Counted | None:
    """Return the window of a kept promise if today's (`counted`) is missing or worse for the customer; else None."""
    if counted is None:
        return _kept(promise, version, known)
    calendar, window, deadline = counted
    # The days, too: closures that make up for lost holidays would else shorten what others extend.
    if (window, deadline, calendar.day_codes(window)) == (promise.window, promise.deadline, promise.day_codes):
        return None
    laid = _kept(promise, version, known)
    # If the end is the same, only `end_week` or another service day can make up for a told date.
    is_shorter = deadline < laid[2] or (deadline == laid[2] and _counts_told_date(promise, window, calendar))
    return laid if is_shorter else None


def _kept(promise: ToldWindow, version: PolicyVersion, known: BusinessCalendar) -> _Counted:
    """Return the calendar, window and deadline of an order whose promise is kept.

    The window begins and skips dates as promised, and skips those of today's calendar too, so that closures entered
    since still extend it. If this window ends earlier than the promised one, or leaves the calendar, the promised
    window and deadline are returned.
    """
    terms, told = version.terms, promise.window
    with suppress(CalendarNotCovered):
        calendar = known.with_told(told, promise.day_codes).as_of_window(told.service_day, terms.window_business_days)
        window = calendar.window(told.service_day, terms.window_business_days)
        deadline = end_of_day(window.last_day, zone(terms.time_zone))
        if deadline >= promise.deadline:
            return calendar, window, deadline
    return known, told, promise.deadline


def _counts_told_date(promise: ToldWindow, window: Window, calendar: BusinessCalendar) -> bool:
    """Tell whether the window counts a date that the promise did not count: its service day or a skipped day."""
    told = {day.date for day in promise.days if day.status in (DayStatus.SERVICE_DAY, DayStatus.SKIPPED)}
    days = explained(window.service_day, calendar.day_codes(window))
    return any(day.date in told for day in days if day.status is DayStatus.COUNTED)


def _channel_not_accepted(case: Decision) -> bool:
    """Tell whether a contact is no withdrawal and its channel (if not known, every channel) is not accepted."""
    terms, channel = case.version.terms, case.facts.channel
    accepted = terms.phone.accepted or terms.email.accepted if channel is None else terms.channel(channel).accepted
    return not (accepted or case.facts.withdrawal)


def _unofficial_contact_point(case: Decision) -> bool:
    """Tell whether a contact point is neither official nor accepted; false for withdrawals, or if none is official."""
    point = case.facts.contact_point
    if point is None or case.facts.contact_point_accepted or case.facts.withdrawal:
        return False
    return bool(case.official_points) and point not in case.official_points


def _not_yet_provided(case: Decision) -> bool:
    """Tell whether the service was not provided at the request.

    False for a late entry, or a withdrawal without its ticket, if the service was provided when it was recorded: to
    date such a contact before the service must not avoid its own rule.
    """
    if case.window is not None or case.provided:
        return False
    return not (case.provided_when_recorded and (_late_entry(case) or _unproven(case)))


def _unproven(case: Decision) -> bool:
    """Tell whether a withdrawal lacks a ticket that the policy would require of a request with the same times."""
    return case.facts.without_ticket and case.version.terms.evidence_after_deadline and case.backdated


def _withdrawn_late(case: Decision) -> bool:
    """Tell whether a supervisor must decide on a withdrawal; false for other contacts."""
    return case.facts.withdrawal and (_elapsed(case) or _calendar_unknown(case) or _late_entry(case) or _unproven(case))


def _elapsed(case: Decision) -> bool:
    """Tell whether the deadline, if any, has passed, and no supervisor accepted one told before a correction."""
    if case.deadline is None or case.requested_at < case.deadline:
        return False
    return not (case.facts.deadline_accepted and _told_before_correction(case))


def _told_before_correction(case: Decision) -> bool:
    """Tell whether the request is too late by today's facts, but not by a deadline told before their correction."""
    told_until = case.facts.told_until
    return case.deadline is not None and told_until is not None and case.deadline <= case.requested_at < told_until


def _calendar_unknown(case: Decision) -> bool:
    """Tell whether the window or the last day of entry is beyond the calendar; false if the deadline was accepted."""
    if case.facts.deadline_accepted:
        return False
    return (case.window is None and case.provided) or (_may_be_late(case) and _last_day_to_enter(case) is None)


def _may_be_late(case: Decision) -> bool:
    """Tell whether the contact was entered over `late_entry_days` calendar days after receipt.

    False if a supervisor entered it, or an earlier decision found that it was entered in time.
    """
    facts, terms = case.facts, case.version.terms
    if facts.recorded_at is None or facts.entered_by_supervisor or facts.entered_in_time:
        return False
    # Nearly all contacts are entered at once: even with a change of the clocks, a date less is in time.
    if (facts.recorded_at - facts.received_at).days < terms.late_entry_days - 1:
        return False
    tz = zone(terms.time_zone)
    return facts.recorded_at >= end_of_day(local_date(facts.received_at, tz) + timedelta(terms.late_entry_days), tz)


def _late_entry(case: Decision) -> bool:
    """Tell whether an agent, no supervisor, entered the contact over `late_entry_days` business days after receipt."""
    recorded_at, last_day = case.facts.recorded_at, _last_day_to_enter(case) if _may_be_late(case) else None
    if recorded_at is None or last_day is None:
        return False
    return recorded_at >= end_of_day(last_day, zone(case.version.terms.time_zone))


def _last_day_to_enter(case: Decision) -> date | None:
    """Return the last day on which an agent may enter the contact; None for a check, or if the calendar ends before."""
    if case.facts.recorded_at is None:
        return None
    terms = case.version.terms
    received = local_date(case.facts.received_at, zone(terms.time_zone))
    with suppress(CalendarNotCovered):
        return case.known.nth_business_day_after(received, terms.late_entry_days)
    return None


_RULES: tuple[tuple[Reason, Callable[[Decision], bool]], ...] = (
    (Reason.ORDER_ALREADY_CANCELLED, lambda case: case.facts.cancelled),
    (Reason.CHANNEL_NOT_ACCEPTED, _channel_not_accepted),
    (Reason.UNOFFICIAL_CONTACT_POINT, _unofficial_contact_point),
    (Reason.SERVICE_NOT_YET_PROVIDED, _not_yet_provided),
    (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, _withdrawn_late),
    (Reason.WINDOW_ELAPSED, _elapsed),
    (Reason.CALENDAR_UNKNOWN, _calendar_unknown),
    (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, _late_entry),
)
