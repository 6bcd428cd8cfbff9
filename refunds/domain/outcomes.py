"""What a decision is about and comes to: facts, reasons, notices, the verdict, and what is stored of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import compress
from types import MappingProxyType
from typing import NamedTuple

from refunds.domain.business_days import BusinessCalendar, Day, Window, explained
from refunds.domain.contact_points import Channel
from refunds.domain.national_law import DECREES


class Reason(StrEnum):
    """Why a decision is what it is; stable codes, in the order of precedence."""

    ORDER_ALREADY_CANCELLED = "order_already_cancelled"
    CHANNEL_NOT_ACCEPTED = "channel_not_accepted"
    UNOFFICIAL_CONTACT_POINT = "unofficial_contact_point"
    SERVICE_NOT_YET_PROVIDED = "service_not_yet_provided"
    WITHDRAWAL_NEEDS_SUPERVISOR = "withdrawal_needs_supervisor"
    WINDOW_ELAPSED = "window_elapsed"
    CALENDAR_UNKNOWN = "calendar_unknown"
    LATE_ENTRY_NEEDS_SUPERVISOR = "late_entry_needs_supervisor"
    WITHIN_WINDOW = "within_window"


class Notice(StrEnum):
    """What else a reader of a decision must know."""

    CONTACT_POINT_UNCHECKED = "contact_point_unchecked"
    REGION_AS_COUNTRY = "region_as_country"
    NATIONWIDE_HOLIDAYS_ONLY = "nationwide_holidays_only"
    CALENDAR_PROVISIONAL = "calendar_provisional"
    ESTIMATED_HOLIDAY = "estimated_holiday"
    NO_SERVICE_DATE = "no_service_date"
    FACTS_CORRECTED_AFTER_REFUSAL = "facts_corrected_after_refusal"
    PROMISE_KEPT = "promise_kept"
    TOLD_BEFORE_CORRECTION = "told_before_correction"
    DEADLINE_ACCEPTED = "deadline_accepted"
    STATUTORY_RIGHTS_NOT_ASSESSED = "statutory_rights_not_assessed"


ABOUT_DECISIONS = (
    Notice.NO_SERVICE_DATE,
    Notice.FACTS_CORRECTED_AFTER_REFUSAL,
    Notice.PROMISE_KEPT,
    Notice.TOLD_BEFORE_CORRECTION,
    Notice.DEADLINE_ACCEPTED,
    Notice.STATUTORY_RIGHTS_NOT_ASSESSED,
)
ABOUT_CALENDARS = (
    Notice.REGION_AS_COUNTRY,
    Notice.NATIONWIDE_HOLIDAYS_ONLY,
    Notice.CALENDAR_PROVISIONAL,
    Notice.ESTIMATED_HOLIDAY,
)


def calendar_notices(
    calendar: BusinessCalendar, named: str, window: Window | None, edition: int | None = None
) -> tuple[Notice, ...]:
    """Return the notices on a window's calendar, in the order of `Notice`; without a window, those on its region.

    `named` is the region asked for, or empty. With an `edition`, only decrees that it knows make dates provisional.
    """
    provisional = window and calendar.is_provisional(window)
    if provisional and edition is not None:
        provisional = DECREES[calendar.region.region[:2]].edition <= edition
    holds = (
        named and named.startswith(f"{calendar.region.region}-"),
        window and calendar.lacks_parts(window),
        provisional,
        window and calendar.is_estimated(window),
    )
    return tuple(compress(ABOUT_CALENDARS, holds))


class Verdict(StrEnum):
    """What a decision comes to: yes, a supervisor has to decide, or no; stable codes."""

    CANCELLABLE = "cancellable"
    NEEDS_SUPERVISOR = "needs_supervisor"
    REFUSED = "refused"


ELIGIBLE = (Reason.WITHIN_WINDOW, Reason.SERVICE_NOT_YET_PROVIDED)

_FOR_SUPERVISORS: tuple[tuple[Reason, Notice | None], ...] = (
    (Reason.UNOFFICIAL_CONTACT_POINT, None),
    (Reason.WITHDRAWAL_NEEDS_SUPERVISOR, None),
    (Reason.WINDOW_ELAPSED, Notice.TOLD_BEFORE_CORRECTION),
    (Reason.CALENDAR_UNKNOWN, None),
    (Reason.LATE_ENTRY_NEEDS_SUPERVISOR, None),
)
"""The reasons for which a supervisor has to decide; one with a notice only if the decision has that notice."""


def verdict_of(reason: Reason, notices: Callable[[], Collection[Notice]]) -> Verdict:
    """Return what a decision with this reason comes to; `notices` is called only if that depends on them."""
    if reason in ELIGIBLE:
        return Verdict.CANCELLABLE
    asks = any(one is reason and (notice is None or notice in notices()) for one, notice in _FOR_SUPERVISORS)
    return Verdict.NEEDS_SUPERVISOR if asks else Verdict.REFUSED


Names = Mapping[date, Mapping[str, tuple[str, str]]]
"""Public holidays by date and by the reader's language: the name, and the language that it is in."""

NO_NAMES: Names = MappingProxyType({})


class Facts(NamedTuple):
    """What is known of an order and of the customer's contact; instants are absolute.

    `received_at` is when the contact was made, never when it was typed in: that is `recorded_at`, None for a
    mere check. `contact_point` is the vendor's number (E.164) or address that the customer used, if known; an
    unofficial one counts if a supervisor accepted it (`contact_point_accepted`). `corrected_after_refusal`: the
    facts of the order were corrected after a request was refused. `told_until`: the latest deadline that a
    contact or cancellation was told before they were corrected. `deadline_accepted`: a supervisor accepted that the
    request was in time.
    `request` is the id of the contact on record whose facts these are, if another contact, or a mere question, is
    judged by it. `withdrawal`: the customer declares a statutory withdrawal; `without_ticket`: nothing shows when that
    was, which matters only for a withdrawal, because a request is not recorded then. `named_region`: the region that
    the order or the policy names, if it is counted by the calendar of another. `entered_in_time`: an earlier decision
    found that the contact was not entered too late, which stands whatever the calendar says today.
    """

    service_provided_at: datetime | None
    received_at: datetime
    sent_at: datetime | None = None
    recorded_at: datetime | None = None
    channel: Channel | None = None
    contact_point: str | None = None
    contact_point_accepted: bool = False
    cancelled: bool = False
    entered_by_supervisor: bool = False
    corrected_after_refusal: bool = False
    told_until: datetime | None = None
    deadline_accepted: bool = False
    request: str | None = None
    withdrawal: bool = False
    without_ticket: bool = False
    named_region: str | None = None
    entered_in_time: bool = False


class ToldWindow(NamedTuple):
    """A window as a customer was told it, with the `names` of holidays then: no later data can shorten it."""

    window: Window
    day_codes: bytes
    deadline: datetime
    time_zone: str
    region: str
    names: Names = NO_NAMES

    @property
    def days(self) -> tuple[Day, ...]:
        """Each date from the service day to the last day with its role."""
        return explained(self.window.service_day, self.day_codes)


class Outcome(NamedTuple):
    """What a decision says, without its policy and calendar: what is stored and shown.

    `day_codes` has one letter for each date after the service day (`business_days.explained`). `business_days_left`
    is the number of window days after the local date of the request: 0 on the last day, None if the window has
    ended or none runs. `fingerprint` is a digest of the service day and the codes: it shows if a calendar changed.
    `names` has the public holidays of the window as they were named when the decision was recorded. It is empty if the
    decision was not recorded, or before names were kept.
    """

    reason: Reason
    requested_at: datetime
    channel: Channel | None
    policy: str
    version: int
    overridden: tuple[str, ...]
    late_entry_days: int
    time_zone: str
    region: str
    holidays_version: str
    tzdata_version: str
    fingerprint: str | None
    notices: tuple[Notice, ...]
    window: Window | None
    day_codes: bytes
    deadline: datetime | None
    business_days_left: int | None
    names: Names = NO_NAMES

    @property
    def eligible(self) -> bool:
        """Whether the order can be cancelled without a supervisor: in time, or before the service was provided."""
        return self.reason in ELIGIBLE

    @property
    def told(self) -> ToldWindow | None:
        """The window, with its deadline and names, as it is told to the customer; None if none runs."""
        if self.window is None or self.deadline is None:
            return None
        return ToldWindow(self.window, self.day_codes, self.deadline, self.time_zone, self.region, self.names)

    @property
    def verdict(self) -> Verdict:
        """What the decision comes to: yes, a supervisor has to decide, or no."""
        return verdict_of(self.reason, lambda: self.notices)

    @property
    def days(self) -> tuple[Day, ...]:
        """Each date from the service day to the last day with its role; empty if no window runs."""
        return explained(self.window.service_day, self.day_codes) if self.window else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as it is stored with a record: enough to make it again, and to show it.

    `contact_version` is the number of the version in force at the contact. Of the closures between the dates that the
    decision depends on, `closures` are those that it was made with, `closures_too_late` those that were known but
    entered after its window had ended. `promise` is the window that the order was told before, if it was kept, and
    `counted_region` the region of today's calendar, if that is another. `edition` is that of the rules.
    """

    facts: Facts
    contact_version: int
    closures: tuple[date, ...] = ()
    closures_too_late: tuple[date, ...] = ()
    promise: ToldWindow | None = None
    counted_region: str | None = None
    edition: int = 1
    outcome: Outcome
