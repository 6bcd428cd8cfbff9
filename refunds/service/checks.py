"""Checks: what would be decided, with no side effect; and why a date does or does not count."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from refunds import contact_points, holiday_source
from refunds.business_days import BusinessCalendar, Why
from refunds.contact_points import Channel
from refunds.eligibility import Decision, Facts, decide
from refunds.errors import Flaw, InvalidInput, NotFound
from refunds.instants import local_date, parse_date, zone
from refunds.policy import Closures, Policy, PolicyVersion
from refunds.service.policies import Policies, require_region

MOST_CALENDAR_DAYS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question: is an order of which this is known cancellable, asked at `requested_at`?

    `region` is the customer's place, `terms` what single terms of the policy are replaced with, for a what-if.
    """

    service_provided_at: datetime | None
    requested_at: datetime
    sent_at: datetime | None = None
    channel: Channel | None = None
    contact_point: str | None = None
    ordered_at: datetime | None = None
    region: str | None = None
    policy: str | None = None
    terms: Mapping[str, Any] | None = None


def check_eligibility(policies: Policies, check: Check) -> Decision:
    """The decision on a check.

    Raises `InvalidInput` naming the place, `CalendarNotCovered`, `NoPolicyInForce`.
    """
    facts = Facts(
        service_provided_at=check.service_provided_at,
        received_at=check.requested_at,
        sent_at=check.sent_at,
        channel=check.channel,
        contact_point=check.contact_point if check.channel else None,
    )
    return judge(named_policy(policies, check.policy), facts, check.ordered_at, check.region, check.terms or {})


_NO_TERMS: Mapping[str, Any] = {}


def judge(
    policy: Policy,
    facts: Facts,
    ordered_at: datetime | None,
    region: str | None,
    terms: Mapping[str, Any] = _NO_TERMS,
) -> Decision:
    """The decision on these facts, by the versions of a policy that they call for, its `terms` replaced.

    The contact point of the facts is put into its one spelling. Raises as `check_eligibility`.
    """
    version = policy.judging(facts.received_at, facts.service_provided_at, ordered_at, terms.get("judged_by")).what_if(
        terms
    )
    contact_version = policy.in_force(facts.received_at).what_if(terms)
    if facts.contact_point is not None:
        assert facts.channel
        point = spelt(
            "/contact_point", contact_points.canonical, facts.channel, facts.contact_point, version.terms.country
        )
        facts = replace(facts, contact_point=point)
    return decide(facts, version, calendar_of(version, region), contact_version)


def decided_again(policies: Policies, record: Mapping[str, Any]) -> Decision:
    """The decision that the facts of a stored one call for, by the version that judged them and today's calendars.

    Raises `NotFound`, `UnknownRegion`, `CalendarNotCovered` where they cannot be judged any more.
    """
    facts, outcome = record["facts"], record["outcome"]
    policy = policies[outcome["policy"]]
    version, contact_version = policy.version(outcome["version"]), policy.version(facts["contact_version"])
    terms = version.terms
    calendar = holiday_source.business_calendar(outcome["region"], terms.business_week, terms.end_week)
    closed, too_late = (tuple(map(parse_date, facts.get(name, ()))) for name in ("closures", "closures_too_late"))
    calendar = _closed_again(calendar, closed, too_late)
    return decide(Facts.of(facts), version, calendar, contact_version)


@lru_cache(maxsize=128)
def _closed_again(calendar: BusinessCalendar, closed: tuple[date, ...], too_late: tuple[date, ...]) -> BusinessCalendar:
    """The calendar with the closures that a decision was made with; some too late for its window, whatever that is."""
    calendar = calendar.closed_on(closed) if closed else calendar
    return calendar.closed_later((day, date.max) for day in too_late) if too_late else calendar


def named_policy(policies: Policies, policy_id: str | None) -> Policy:
    """The policy that a request names, or the default one; raises `InvalidInput` at `/policy`."""
    try:
        return policies[policies.default if policy_id is None else policy_id]
    except NotFound as error:
        raise InvalidInput([Flaw("/policy", str(error), "unknown_policy")]) from None


def calendar_of(version: PolicyVersion, order_region: str | None = None) -> BusinessCalendar:
    """The calendar by which a version counts, for an order of this region, closures included.

    Raises `UnknownRegion`, naming the place. A region that the terms do not follow must be a known one too.
    """
    terms = version.terms
    if order_region is not None:
        require_region(order_region, "/region")
    require_region(terms.region, "/terms/region")
    return _calendar(version, order_region if order_region and terms.follow_order_region else terms.region)


def _calendar(version: PolicyVersion, region: str) -> BusinessCalendar:
    terms = version.terms
    calendar = holiday_source.business_calendar(region, terms.business_week, terms.end_week)
    if not terms.closures and not version.closures.entered:
        return calendar
    # Those of a what-if are laid over for the moment; kept calendars must not be as many as callers can think of.
    close = _closed.__wrapped__ if "closures" in version.overridden else _closed
    return close(calendar, terms.closures, version.closures, terms.time_zone)


@lru_cache(maxsize=128)
def _closed(calendar: BusinessCalendar, known: tuple[date, ...], later: Closures, time_zone: str) -> BusinessCalendar:
    """The calendar with closures that a version has always known, and those that were entered later."""
    if known:
        calendar = calendar.closed_on(known)
    entered = [(day, local_date(entered_at, zone(time_zone))) for day, entered_at in later.entered]
    return calendar.closed_later(entered) if entered else calendar


def calendar_days(
    version: PolicyVersion, region: str, first: date, last: date
) -> tuple[BusinessCalendar, list[tuple[date, Why | None]]]:
    """A region's calendar under a policy version, and why each date from the first to the last does not count, if so.

    Raises `UnknownRegion`, `CalendarNotCovered`, and `InvalidInput` for an empty or too long stretch.
    """
    length = (last - first).days + 1
    if not 1 <= length <= MOST_CALENDAR_DAYS:
        raise InvalidInput([Flaw("/to", f"must be 0 to {MOST_CALENDAR_DAYS - 1} days after from", "out_of_range")])
    require_region(region, "/region")
    calendar = _calendar(version, region)
    days = (first + timedelta(days=i) for i in range(length))
    return calendar, [(day, calendar.why_not(day)) for day in days]


_FARTHEST = timedelta(days=5 * 366)


def require_near(day: date, today: date, pointer: str) -> None:
    """Raise `InvalidInput` at `pointer` for a date so far from today that it is a slip of the pen."""
    if abs(day - today) > _FARTHEST:
        raise InvalidInput([Flaw(pointer, "must not be more than five years away", "out_of_range")])


def spelt(pointer: str, spell: Callable[..., str], *arguments: Any) -> str:
    """A number or an address in its one spelling; raises `InvalidInput` at `pointer`."""
    try:
        return spell(*arguments)
    except ValueError as error:
        raise InvalidInput([Flaw(pointer, str(error))]) from None
