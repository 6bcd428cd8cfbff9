"""Deadlines: until when orders can be cancelled, by the day of their service, for every region of a policy at once."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from refunds import holiday_source
from refunds.instants import end_of_day, first_instant, local_date, zone
from refunds.policy import Policy, PolicyVersion
from refunds.service import checks
from refunds.service.work import Work

MOST_DAYS = 24
"""Service days on one sheet, the latest."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Provided:
    """Services provided on a date: by which version they are judged, and the last day of the window in each group.

    `since`: only from this instant on, where a version takes effect in the middle of the day.
    """

    day: date
    since: datetime | None
    version: PolicyVersion
    last_days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The deadlines that matter in a week; regions in which all of them are the same are one group, the largest first.

    `shortened`: longer windows run than there is room for.
    """

    policy: Policy
    version: PolicyVersion
    monday: date
    groups: tuple[tuple[str, ...], ...]
    provided: tuple[Provided, ...]
    shortened: bool
    made_at: datetime


def sheet(work: Work, policy_id: str, day: date | None = None, regions: tuple[str, ...] = ()) -> Sheet:
    """The deadlines of the week that a date lies in, from Monday on; of today's, and of the policy's whole country.

    Raises `NotFound`, `UnknownRegion`, `CalendarNotCovered`.
    """
    policy = work.policies[policy_id]
    version = policy.present(work.now)
    tz = zone(version.terms.time_zone)
    day = day or local_date(work.now, tz)
    monday = day - day.weekday() * _DAY
    country = version.terms.country
    of = regions or (country, *(f"{country}-{name}" for name in holiday_source.subdivisions(country)))
    rows: list[Provided] = []
    service_day = monday + 6 * _DAY
    while len(rows) < MOST_DAYS:
        found = _provided(policy, service_day, of)
        if not any(last_day >= monday for one in found for last_day in one.last_days):
            break
        rows[:0] = found
        service_day -= _DAY
    groups, columns = _grouped(of, rows)
    provided = tuple(
        Provided(row.day, row.since, row.version, tuple(row.last_days[column] for column in columns)) for row in rows
    )
    return Sheet(policy, version, monday, groups, provided, len(rows) >= MOST_DAYS, work.now)


def _provided(policy: Policy, day: date, regions: tuple[str, ...]) -> list[Provided]:
    """The last days for services provided on a date: by each version that is in force on it."""
    found = []
    for version, since in _in_force_on(policy, day):
        length = version.terms.window_business_days
        calendars = (checks.calendar_of(version, region) for region in regions)
        last_days = tuple(calendar.in_time_for(day, length).window(day, length).last_day for calendar in calendars)
        found.append(Provided(day, since, version, last_days))
    return found


def _in_force_on(policy: Policy, day: date) -> list[tuple[PolicyVersion, datetime | None]]:
    """The versions that hold on a date, and since when, if not from its first instant on."""
    tz = zone(policy.standing[-1].terms.time_zone) if policy.standing else zone("UTC")
    begins, ends = first_instant(day, tz), end_of_day(day, tz)
    at_first = [version for version in policy.standing if version.starts <= begins][-1:]
    later = [version for version in policy.standing if begins < version.starts < ends]
    return [(version, None) for version in at_first] + [(version, version.starts) for version in later]


def _grouped(regions: tuple[str, ...], rows: list[Provided]) -> tuple[tuple[tuple[str, ...], ...], list[int]]:
    """The regions in groups that have all their deadlines in common, and which column stands for each."""
    alike: dict[tuple[date, ...], list[int]] = {}
    for column in range(len(regions)):
        alike.setdefault(tuple(row.last_days[column] for row in rows), []).append(column)
    largest_first = sorted(alike.values(), key=lambda columns: (-len(columns), columns))
    return tuple(tuple(regions[i] for i in columns) for columns in largest_first), [one[0] for one in largest_first]
