"""Calendars: the regions that have one, who builds them, and why a date does or does not count in one."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from math import inf
from threading import BoundedSemaphore
from time import thread_time
from typing import NamedTuple, TypeVar

from refunds.domain.business_days import BusinessCalendar, SkipReason, Window
from refunds.domain.holidays_data import (
    CalendarNotReady,
    covered_years,
    only_ready,
    provisional_from,
    subdivisions_that_differ,
)
from refunds.domain.judging import calendar_in
from refunds.domain.outcomes import Notice, calendar_notices
from refunds.domain.policy import PolicyVersion
from refunds.domain.regions import countries, known_region_or_country, place, require_region, subdivisions
from refunds.errors import Crowded, InvalidInput, Message
from refunds.storage.unit_of_work import UnitOfWork

MOST_DAYS = 400

MOST_BUILT = 50  # the most calendars that are built for one batch

_builders = BoundedSemaphore(2)

_LONGEST = 0.001  # seconds to give way at a time: those to whom it gives way may wait for this very calendar

T = TypeVar("T")


class Builder:
    """Builds calendars for one HTTP request: `left` is how many more it may build, `seconds` how long it has computed.

    At most two requests build at a time. While it builds, it calls `give_way` every millisecond or so, with the most
    seconds to wait.
    """

    def __init__(self, give_way: Callable[..., object] = bool) -> None:
        self.seconds, self.left, self.give_way = 0.0, inf, give_way

    def run(self, work: Callable[[], T], *, in_place: bool = True) -> T:
        """Return what `work` returns, and build the calendars that it needs.

        A calendar is built while `work` waits for it. Without `in_place`, `work` is stopped instead, and begins again
        with the calendar. Raises what `work` raises, and `Crowded` if a calendar cannot be built now.
        """
        while True:
            try:
                with only_ready(self._has_built) if in_place else only_ready():
                    return work()
            except CalendarNotReady as missing:
                self.build(missing)

    def build(self, missing: CalendarNotReady) -> None:
        """Build a calendar unless it is ready by now; add to `seconds` how long it computed, and take one from `left`.

        Raises `Crowded` if `left` is 0, or if two calendars are being built already.
        """
        if missing.is_ready():
            return
        if not self.left:
            raise Crowded(Message("Too many regions at once whose holidays are not ready yet: send the others again."))
        if not _builders.acquire(blocking=False):
            raise Crowded(Message("The holidays of this region are not ready yet: try again in a moment."))
        began = thread_time()
        try:
            missing.build(partial(self.give_way, _LONGEST))
        finally:
            _builders.release()
            self.seconds += thread_time() - began
            self.left -= 1

    def _has_built(self, missing: CalendarNotReady) -> bool:
        """Try to build the missing calendar, and tell whether it is ready; never raise `Crowded`."""
        with suppress(Crowded):
            self.build(missing)
        return missing.is_ready()


class Region(NamedTuple):
    """A region with a calendar of its own; `parts_that_differ` have other holidays than it, this year or next."""

    code: str
    country: str
    covered_from: date
    covered_until: date
    provisional_from: date | None
    parts_that_differ: tuple[str, ...]


def regions(year: int, country: str | None = None) -> Iterator[Region]:
    """Yield the regions with a calendar, of one country or all, each country before its subdivisions.

    A country names its subdivisions with other holidays in `year` or the next. Raises `UnknownRegion` at `/country`.
    """
    if country is not None:
        require_region(country, "/country")
    for one in sorted(countries()) if country is None else [place(country).country]:
        yield _region(one, one, tuple(f"{one}-{part}" for part in subdivisions_that_differ(one, year)))
        yield from (_region(f"{one}-{part}", one, ()) for part in subdivisions(one))


def _region(code: str, country: str, differ: tuple[str, ...]) -> Region:
    """Return a region with the first and last date that the holiday data covers; `differ` are its parts that differ."""
    years = covered_years(code)
    first, last = date(years[0], 1, 1), date(years[-1], 12, 31)
    return Region(code, country, first, last, provisional_from(code), differ)


def regions_in_use(uow: UnitOfWork) -> frozenset[str]:
    """Return the regions of the policies' current versions and of open windows, as the calendars name them now.

    A region whose country the holiday data has lost is returned as it was stored.
    """
    named = {policy.current(uow.now).terms.region for policy in uow.policies.values()}
    stored = named | uow.promises.open_regions(uow.now)
    return frozenset(place(known).region if (known := known_region_or_country(region)) else region for region in stored)


class CalendarDays(NamedTuple):
    """Dates of a calendar, each with why it does not count (None: it does), and the notices about the calendar."""

    calendar: BusinessCalendar
    days: list[tuple[date, SkipReason | None]]
    notices: tuple[Notice, ...]


def calendar_days(version: PolicyVersion, region: str, first: date, last: date) -> CalendarDays:
    """Return the dates from first to last, each with the reason why it does not count in a region; None if it counts.

    The policy version says which weekdays are business days and when the vendor is closed. Raises `InvalidInput` if the
    dates are not 1 to 400 or are in the wrong order, `UnknownRegion` if there is no such region, and
    `CalendarNotCovered` if the holiday data does not cover them all.
    """
    length = (last - first).days + 1
    if not 1 <= length <= MOST_DAYS:
        detail = Message("must be 0 to %(most)s days after from", most=MOST_DAYS - 1)
        raise InvalidInput.at("/to", detail, "out_of_range")
    require_region(region, "/region")
    calendar = calendar_in(version, region)
    dates = (first + timedelta(days=i) for i in range(length))
    days = [(day, calendar.why_not(day)) for day in dates]
    return CalendarDays(calendar, days, calendar_notices(calendar, region, Window(first, length, last)))
