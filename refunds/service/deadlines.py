"""Deadlines: until when orders can be cancelled, by service day, for all regions of a policy at once."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import zip_longest

from refunds.domain import judging
from refunds.domain.instants import end_of_day, first_instant, local_date, zone
from refunds.domain.policy import Policy, PolicyVersion
from refunds.domain.regions import with_subdivisions
from refunds.domain.terms import JudgedBy
from refunds.service import checks
from refunds.storage.unit_of_work import UnitOfWork

MOST_DAYS = 24
"""Rows on one sheet at most; the latest ones are kept."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Provided:
    """A row of a sheet: a service day, the version that judges it, and the last day of the window in each group.

    `since` and `until` limit the row to a part of the day, if a version takes effect in the middle of it; else None.
    """

    day: date
    since: datetime | None
    until: datetime | None
    version: PolicyVersion
    last_days: tuple[date, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The deadlines that matter in a week; regions with the same deadlines are one group, the largest group first.

    `version` is the one that is in force now. `shortened`: there are more rows than fit. `ordered_from`: that version
    judges by the time of the order, so it does not judge orders from before this instant; else None.
    """

    policy: Policy
    version: PolicyVersion
    monday: date
    groups: tuple[tuple[str, ...], ...]
    provided: tuple[Provided, ...]
    shortened: bool
    ordered_from: datetime | None
    made_at: datetime


def sheet(uow: UnitOfWork, policy_id: str, day: date | None = None, regions: tuple[str, ...] = ()) -> Sheet:
    """Return a week's sheet: the service days up to its Sunday whose window ends on its Monday or later in any region.

    The week is that of `day`, Monday to Sunday; by default the present one. `regions` are by default the policy's
    country and its subdivisions; regions with the same last days are one group. At most 24 rows are kept, the latest.
    Raises `NotFound` if there is no such policy, `UnknownRegion` if there is no such region, `CalendarNotCovered` if a
    window leaves the holiday data, and `InvalidInput` if `day` is more than five years away.
    """
    policy = uow.policies[policy_id]
    version = policy.current(uow.now)
    today = local_date(uow.now, zone(version.terms.time_zone))
    day = day or today
    checks.require_near(day, today, "/week")
    monday = day - day.weekday() * _DAY
    of = regions or tuple(with_subdivisions(version.terms.country))
    rows = _running(policy, monday, of)
    groups, columns = _grouped(of, rows[-MOST_DAYS:])
    provided = tuple(replace(row, last_days=tuple(row.last_days[i] for i in columns)) for row in rows[-MOST_DAYS:])
    ordered_from = version.effective_from if version.terms.judged_by is JudgedBy.ORDERED else None
    return Sheet(policy, version, monday, groups, provided, len(rows) > MOST_DAYS, ordered_from, uow.now)


def _running(policy: Policy, monday: date, regions: tuple[str, ...]) -> list[Provided]:
    """Return, by service day, the rows of those up to the week's Sunday whose window ends on `monday` or later.

    It is enough that it ends so late in one of the regions. If there are more than `MOST_DAYS` rows, the latest are
    returned, a few more than `MOST_DAYS`.
    """
    longest = max((version.terms.window_business_days for version in policy.effective_versions), default=0)
    rows: list[Provided] = []
    for back in range(longest * _MOST_APART + 14):
        if len(rows) > MOST_DAYS:
            break
        found = _provided(policy, monday + 6 * _DAY - back * _DAY, regions)
        rows[:0] = [row for row in found if max(row.last_days) >= monday]
    return rows


_MOST_APART = 8
"""Days from one business day to the next in the shortest possible week, with an occasional holiday."""


def _provided(policy: Policy, day: date, regions: tuple[str, ...]) -> list[Provided]:
    """Return a row for each version in force on some part of a service day; `last_days` are in `regions`' order."""
    found = []
    for version, following in zip_longest(policy.effective_versions, policy.effective_versions[1:]):
        tz = zone(version.terms.time_zone)
        begins, ends = first_instant(day, tz), end_of_day(day, tz)
        until = following.effective_at if following else None
        if version.effective_at < ends and (until is None or until > begins):
            length = version.terms.window_business_days
            calendars = (judging.calendar_of(version, region) for region in regions)
            last_days = tuple(calendar.as_of_window(day, length).window(day, length).last_day for calendar in calendars)
            since = version.effective_at if version.effective_at > begins else None
            within = until if until is not None and until < ends else None
            found.append(Provided(day, since, within, version, last_days))
    return found


def _grouped(regions: tuple[str, ...], rows: list[Provided]) -> tuple[tuple[tuple[str, ...], ...], list[int]]:
    """Return the regions grouped by equal last days, the largest first, and the index of each group's first region."""
    alike: dict[tuple[date, ...], list[int]] = {}
    for column in range(len(regions)):
        alike.setdefault(tuple(row.last_days[column] for row in rows), []).append(column)
    largest_first = sorted(alike.values(), key=lambda columns: (-len(columns), columns))
    return tuple(tuple(regions[i] for i in columns) for columns in largest_first), [one[0] for one in largest_first]
