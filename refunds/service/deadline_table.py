"""The table of deadlines: the window of every service date in every region, for joins with any number of orders."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from hashlib import md5, sha256
from itertools import chain, zip_longest
from typing import NamedTuple

from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION, end_of_day, first_instant, zone
from refunds.domain.judging import calendar_of, counting_region
from refunds.domain.outcomes import calendar_notices
from refunds.domain.policy import Policy, PolicyVersion
from refunds.domain.region_days import CLOSED
from refunds.domain.regions import countries, require_region, with_subdivisions
from refunds.domain.terms import JudgedBy
from refunds.errors import CalendarNotCovered
from refunds.service import ProgressCallback, silently
from refunds.storage.unit_of_work import UnitOfWork

_EPOCH = date(1970, 1, 1).toordinal()
_DAYS = 100_000
"""More days than there are between 1970 and 2200."""


class Row(NamedTuple):
    """The window of the services that were provided on a date in a region, by one version of a policy.

    It is for services provided since one instant and before another. If the time of the order decides which version
    judges, it is only for orders since `ordered_from` and before `ordered_until` (None: no bound). `region` is empty
    for orders that name none. `closures` and `notices` are those of the window, with spaces between them. The
    `fingerprint` is of all windows of a region by a version in one table: it shows if one of them changed.
    """

    key: int
    policy: str
    version: int
    region: str
    service_day: date
    provided_from: datetime
    provided_until: datetime
    ordered_from: datetime | None
    ordered_until: datetime | None
    last_day: date
    deadline: datetime
    closures: str
    notices: str
    holidays_version: str
    tzdata_version: str
    fingerprint: str


class _Span(NamedTuple):
    """A version and the orders that it judges, by the time of the order (None: no bound) and of the service.

    `days` has each service date with the instants from which and before which the service was provided.
    """

    version: PolicyVersion
    ordered_from: datetime | None
    ordered_until: datetime | None
    days: list[tuple[date, datetime, datetime]]


def table(
    uow: UnitOfWork,
    policy_id: str,
    first: date,
    last: date,
    regions: Sequence[str] = (),
    *,
    report: ProgressCallback = silently,
    leave_out: Callable[[str], object] = str,
) -> Iterator[list[Row]]:
    """Return an iterator over the rows for the service dates from first to last, one list for each region.

    The first list is for orders without a region. Without `regions`, all regions with a calendar are taken, except
    those whose holiday data does not cover every window: `leave_out` is called with each of these. Raises `NotFound` if
    there is no such policy, `UnknownRegion` at `/regions/` and the unknown one, and `NoPolicyInForce` if no version was
    in force when the first date began; during the iteration, `CalendarNotCovered` if a window leaves the data of the
    policy's region or of one of `regions`.
    """
    policy = uow.policies[policy_id]
    for region in regions:
        require_region(region, f"/regions/{region}")
    policy.in_force(first_instant(first, zone(policy.current(uow.now).terms.time_zone)))
    spans = list(_spans(policy, first, last))
    if regions:
        return _blocks(spans, ["", *dict.fromkeys(regions)], report)
    return _blocks(spans, ["", *_all_regions()], report, leave_out)


def _all_regions() -> Iterator[str]:
    """Yield every country in alphabetical order, each followed by its subdivisions."""
    return chain.from_iterable(map(with_subdivisions, sorted(countries())))


def _blocks(
    spans: list[_Span],
    regions: list[str],
    report: ProgressCallback,
    leave_out: Callable[[str], object] | None = None,
) -> Iterator[list[Row]]:
    """Yield a list with the rows of all spans for each region; "" is for orders without a region.

    A region that the holiday data does not cover is left out, and `leave_out` is called with it. Without a `leave_out`,
    or for the region "", raises `CalendarNotCovered` instead.
    """
    for done, region in enumerate(regions, 1):
        try:
            yield [row for span in spans for row in _rows(span, region)]
        except CalendarNotCovered:
            if leave_out is None or not region:
                raise
            leave_out(region)
        report("regions", done, len(regions))


def _spans(policy: Policy, first: date, last: date) -> Iterator[_Span]:
    """Yield a span for each version of a policy, of the services provided while the version is in force.

    If the version judges by the time of the order, yield one for each version under which the order may be placed.
    """
    ends = [following.effective_from for following in policy.effective_versions[1:]]
    in_force = [(one, one.effective_from, end) for one, end in zip_longest(policy.effective_versions, ends)]
    for version, since, until in in_force:
        by_order = version.terms.judged_by is JudgedBy.ORDERED
        for judging, ordered_from, ordered_until in in_force if by_order else [(version, None, None)]:
            days = list(_days(judging, first, last, since, until))
            yield _Span(judging, ordered_from, ordered_until, days)


def _days(
    version: PolicyVersion, first: date, last: date, since: datetime | None, until: datetime | None
) -> Iterator[tuple[date, datetime, datetime]]:
    """Yield each date's part between `since` and `until` (None: no limit), from `first` to `last`: date, start, end."""
    tz = zone(version.terms.time_zone)
    for ordinal in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(ordinal)
        begins, ends = first_instant(day, tz), end_of_day(day, tz)
        begins, ends = max(begins, since or begins), min(ends, until or ends)
        if begins < ends:
            yield day, begins, ends


def _rows(span: _Span, region: str) -> list[Row]:
    """Return the rows of a span in one region, one for each service date; raises `CalendarNotCovered`."""
    version, length = span.version, span.version.terms.window_business_days
    calendar, asked = calendar_of(version, region or None), counting_region(version, region)
    digest, windows = sha256(), []
    for day, *_ in span.days:
        current = calendar.as_of_window(day, length)
        window = current.window(day, length)
        codes = current.day_codes(window)
        digest.update(b"%s %s\n" % (day.isoformat().encode(), codes))
        notices = " ".join(calendar_notices(current, asked, window))
        windows.append((window.last_day, _closures(day, codes), notices))
    number, fingerprint = region_number(region) * _DAYS - _EPOCH, digest.hexdigest()[:16]
    tz = zone(version.terms.time_zone)
    return [
        Row(
            number + day.toordinal(),
            version.policy_id,
            version.version,
            region,
            day,
            since,
            until,
            span.ordered_from,
            span.ordered_until,
            last_day,
            end_of_day(last_day, tz),
            closures,
            notices,
            HOLIDAYS_VERSION,
            TZDATA_VERSION,
            fingerprint,
        )
        for (day, since, until), (last_day, closures, notices) in zip(span.days, windows, strict=True)
    ]


def _closures(day: date, codes: bytes) -> str:
    """Return the dates of a window's closures, with spaces between; `codes` has a letter per date after `day`."""
    if CLOSED not in codes.lower():
        return ""
    closed = (day + timedelta(days=after) for after, code in enumerate(codes.lower(), 1) if code == CLOSED)
    return " ".join(one.isoformat() for one in closed)


def region_number(region: str) -> int:
    """Return the number of a region: the first 32 bits of the MD5 of its code, because every database has MD5.

    The key of a row is this number times 100,000, plus the days since 1970.
    """
    return int(md5(region.encode(), usedforsecurity=False).hexdigest()[:8], 16)
