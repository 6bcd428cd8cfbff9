"""Judging: the version, calendar and closures that a decision is made with."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, TypeVar

from refunds.domain import contact_points
from refunds.domain.business_days import BusinessCalendar, SkipReason
from refunds.domain.eligibility import Decision, decide
from refunds.domain.holidays_data import (
    FIRST_DAY_RULES,
    FIRST_EDITIONS,
    DayRules,
    business_calendar,
    holiday_name,
    no_calendar,
)
from refunds.domain.instants import dates_never_shown, local_date, zone
from refunds.domain.outcomes import NO_NAMES, Facts, Names, RecordedDecision, ToldWindow
from refunds.domain.policy import Closures, Policy, PolicyVersion
from refunds.domain.regions import country_of, known_region_or_country, require_region
from refunds.domain.terms import Terms
from refunds.errors import LANGUAGES, InvalidInput, Unfit

T = TypeVar("T")

_NO_TERMS: Mapping[str, Any] = {}


def judge(
    policy: Policy,
    facts: Facts,
    ordered_at: datetime | None,
    region: str | None,
    terms: Mapping[str, Any] = _NO_TERMS,
    *,
    promise: ToldWindow | None = None,
    of_order: bool = False,
) -> Decision:
    """Decide on facts by the versions of a policy that apply to them, with the values in `terms` in place of theirs.

    `region` is the order's; `terms` are valid values, for a what-if; `promise` and `of_order` are those of `decide`. A
    contact point is put into its one spelling; the facts must then have a channel. Raises `NoPolicyInForce` if no
    version was in force at the contact or at the time that judges; without `of_order`, `UnknownRegion` if the data does
    not know the region, and `CalendarNotCovered` if the window would leave the years of the calendar and there is no
    `promise`; `InvalidInput` at `/contact_point` if that is neither a number nor an address.
    """
    version = policy.applicable(
        facts.received_at, facts.service_provided_at, ordered_at, terms.get("judged_by")
    ).what_if(terms)
    contact_version = policy.in_force(facts.received_at).what_if(terms)
    if facts.contact_point is not None:
        assert facts.channel
        country = country_of(version.terms.region)
        point = at_pointer("/contact_point", contact_points.canonical, facts.channel, facts.contact_point, country)
        facts = facts._replace(contact_point=point)
    place = counting_region(version, region)
    # The data may have lost the region since the order was registered, or the version published.
    calendar = calendar_in(version, place) if of_order else calendar_of(version, region)
    if place != calendar.region.region:
        facts = facts._replace(named_region=place)
    return decide(facts, version, calendar, contact_version, promise=promise, of_order=of_order)


def to_record(decision: Decision) -> RecordedDecision:
    """Return a decision as it is stored with a record, with the names of the holidays in its window."""
    unnamed = decision.recorded
    names = names_in(unnamed.outcome.told)
    return replace(unnamed, outcome=unnamed.outcome._replace(names=names))


def names_in(told: ToldWindow | None) -> Names:
    """Return the names of a window's holidays by date; empty for None.

    A holiday whose name was not told has today's name in each language.
    """
    if told is None:
        return NO_NAMES
    names = dict(told.names)
    for day in told.days:
        if day.why is SkipReason.PUBLIC_HOLIDAY and day.date not in names:
            found = {language: holiday_name(told.region, day.date, language) for language in LANGUAGES}
            names[day.date] = {language: named for language, named in found.items() if named}
    return names


def decided_again(policies: Mapping[str, Policy], recorded: RecordedDecision) -> Decision:
    """Decide again on the facts of a stored decision, by its versions, closures and rules, and on today's holiday data.

    Raises `NotFound` if its policy or a version is missing, and `UnknownRegion` if the data has lost its country.
    """
    outcome = recorded.outcome
    policy = policies[outcome.policy]
    version, contact_version = policy.version(outcome.version), policy.version(recorded.contact_version)
    terms = version.terms
    region, rules = recorded.counted_region or outcome.region, FIRST_DAY_RULES
    if recorded.edition not in FIRST_EDITIONS:
        region, rules = known_region_or_country(region) or region, day_rules(terms)
    calendar = business_calendar(region, terms.business_week, terms.end_week, rules)
    calendar = _closed_again(calendar, recorded.closures, recorded.closures_too_late)
    return decide(
        recorded.facts,
        version,
        calendar,
        contact_version,
        promise=recorded.promise,
        of_order=True,
        edition=recorded.edition,
    )


@lru_cache(maxsize=128)
def _closed_again(calendar: BusinessCalendar, closed: tuple[date, ...], too_late: tuple[date, ...]) -> BusinessCalendar:
    """Return the calendar with a stored decision's closures: `closed` count for every window, `too_late` for none."""
    calendar = calendar.closed_on(closed) if closed else calendar
    return calendar.with_entered_closures((day, date.max) for day in too_late) if too_late else calendar


def calendar_of(version: PolicyVersion, order_region: str | None = None) -> BusinessCalendar:
    """Return the calendar by which a version counts, closures included.

    The calendar is that of the order's region if there is one and the terms follow it, else of the policy's region.
    Raises `UnknownRegion` at `/region` if the order's region is unknown, and at `/terms/region` if a what-if's is, even
    if the other region counts; without a pointer if the holiday data has lost the country of the region that counts.
    """
    if order_region is not None:
        require_region(order_region, "/region")
    if "region" in version.overridden:
        require_region(version.terms.region, "/terms/region")
    # The data may have lost the region of a version since it was published; that stands all the same.
    region = counting_region(version, order_region)
    if known_region_or_country(region) is None:
        require_region(region, "")
    return calendar_in(version, region)


def counting_region(version: PolicyVersion, order_region: str | None) -> str:
    """Return the region whose holidays count: `order_region` if given and if the terms follow it, else the policy's."""
    return order_region if order_region and version.terms.follow_order_region else version.terms.region


def calendar_in(version: PolicyVersion, region: str) -> BusinessCalendar:
    """Return the calendar of a stored region by which a version counts, closures included.

    It is that of its country if the data has lost the region, and covers no date if it has lost the country, too.
    """
    terms, known = version.terms, known_region_or_country(region)
    if known is None:
        calendar = no_calendar(region, terms.business_week, terms.end_week)
    else:
        calendar = business_calendar(known, terms.business_week, terms.end_week, day_rules(terms))
    # A date that never was in the zone is no business day. As a closure, it is stored with the decisions it changes.
    known_closures = (*terms.closures, *dates_never_shown(zone(terms.time_zone)))
    if not known_closures and not version.closures.entered:
        return calendar
    # Closures of a what-if are not cached, because callers could fill the cache with their inventions.
    close = _closed.__wrapped__ if "closures" in version.overridden else _closed
    return close(calendar, known_closures, version.closures, terms.time_zone)


def day_rules(terms: Terms) -> DayRules:
    """Return what these terms count as public holidays besides a region's own, as `business_calendar` takes it."""
    return DayRules(terms.without_subdivision, terms.period_law_days)


@lru_cache(maxsize=128)
def _closed(calendar: BusinessCalendar, known: tuple[date, ...], later: Closures, time_zone: str) -> BusinessCalendar:
    """Return a calendar with the closures that were `known` at publication and those that were entered `later`."""
    if known:
        calendar = calendar.closed_on(known)
    entered = [(day, local_date(entered_at, zone(time_zone))) for day, entered_at in later.entered]
    return calendar.with_entered_closures(entered) if entered else calendar


def at_pointer(pointer: str, spell: Callable[..., T], *arguments: Any) -> T:
    """Return what `spell` returns for the arguments; if it raises `Unfit`, raise `InvalidInput` at `pointer`."""
    try:
        return spell(*arguments)
    except Unfit as error:
        raise InvalidInput.at(pointer, error.detail, error.code) from None
