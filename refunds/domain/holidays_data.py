"""Business calendars from the `holidays` package.

Its objects grow while they are read, and threads that share one corrupt it. So one thread builds all years of a
region in one go, copies them out as plain marks, and drops the object. The data differs between releases, so a
calendar names the version it was made from.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache, partial, wraps
from importlib.metadata import version
from threading import Condition, Lock
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

import holidays
from cachetools import LRUCache, cached
from cachetools.keys import hashkey
from holidays.holiday_base import HolidayBase

from refunds.domain.business_days import BusinessCalendar
from refunds.domain.national_law import DECREES, PERIOD_LAWS
from refunds.domain.region_days import IN_WEEKEND, DayFlag, RegionDays, Week
from refunds.domain.regions import Place, known_region_or_country, place, place_before_iso, subdivisions
from refunds.domain.terms import WithoutSubdivision

HOLIDAYS_VERSION = version("holidays")

T = TypeVar("T")

# The package reaches to 2100 here, but the lunar tables behind these countries' moveable holidays end earlier.
# Past their end it silently leaves the holidays out. Found by a search for names that stop.
_COVERED = {
    "BT": (2001, 2035),
    "FJ": (2001, 2035),
    "GY": (2001, 2035),
    "ID": (1901, 2050),
    "IN": (2001, 2035),
    "MU": (2001, 2035),
    "NP": (2001, 2035),
    "NZ": (1894, 2052),
    "SR": (2001, 2035),
    "US-CA": (1777, 2035),
}

_ESTIMATED = re.compile(r"\bestimated\)")

_building = Lock()
_YEARS = 10  # of a region, which take half a millisecond; to begin with a package's object takes a tenth

_rest: ContextVar[Callable[[], object]] = ContextVar("_rest", default=bool)


class CalendarNotReady(Exception):
    """A calendar that a block of `only_ready` needs is not built yet. It is no refusal: `build` builds the calendar."""

    def __init__(self, build: Callable[[], object], is_ready: Callable[[], bool]) -> None:
        """Store how to build the missing calendar, and how to find out whether it has been built since."""
        super().__init__()
        self._build = build
        self.is_ready = is_ready
        """Whether it has been built since."""

    def build(self, rest: Callable[[], object] = bool) -> None:
        """Build the missing calendar, even within a block of `only_ready`; call `rest` after each piece of the work."""
        context = Context()
        context.run(_rest.set, rest)
        context.run(self._build)


_builder: ContextVar[Callable[[CalendarNotReady], bool] | None] = ContextVar("_builder", default=None)


@contextmanager
def only_ready(builder: Callable[[CalendarNotReady], bool] = lambda _: False) -> Iterator[None]:
    """Let the block build a calendar only if `builder` (default: never) allows it; else raise `CalendarNotReady` there.

    `builder` gets that error, and allows it by returning true.
    """
    token = _builder.set(builder)
    try:
        yield
    finally:
        _builder.reset(token)


def _caching(most: int) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Return a decorator by which a function caches its `most` last used results, and obeys `only_ready`.

    Within `only_ready`, the decorated function raises `CalendarNotReady` for a result that is not cached, unless the
    block's builder allows the function to run.
    """

    def keep(build: Callable[..., T]) -> Callable[..., T]:
        results = LRUCache[Any, T](most)
        kept = cached(results, condition=Condition())(build)

        @wraps(kept)
        def found(*args: Any) -> T:
            key, builder = hashkey(*args), _builder.get()
            if builder and key not in results:
                missing = CalendarNotReady(partial(kept, *args), lambda: key in results)
                if not builder(missing):
                    raise missing
            return kept(*args)

        return found

    return keep


class DayRules(NamedTuple):
    """What counts as a holiday besides a region's own: the terms of these names; None: nothing of its subdivisions."""

    without_subdivision: WithoutSubdivision | None = WithoutSubdivision.SHARED
    period_law_days: bool = True


DAY_RULES = DayRules()  # those of the terms' defaults
FIRST_DAY_RULES = DayRules(None, period_law_days=False)  # of the first editions of the rules

FIRST_EDITIONS = (1, 2)


@lru_cache(maxsize=64)
def business_calendar(
    region: str, week: Week, end_week: Week | None = None, rules: DayRules = DAY_RULES
) -> BusinessCalendar:
    """Return the calendar by which a region counts, without closures, built at first use. Raises `UnknownRegion`."""
    country, subdivision = (place_before_iso if rules == FIRST_DAY_RULES else place)(region)
    return _calendar(country, subdivision, week, end_week, rules)


@lru_cache(maxsize=64)
def no_calendar(region: str, week: Week, end_week: Week | None = None) -> BusinessCalendar:
    """Return a calendar without dates, for a stored region whose country the data has lost: it covers no window."""
    return BusinessCalendar(RegionDays(region, date.max.toordinal(), b"", HOLIDAYS_VERSION), week, end_week)


def holiday_name(region: str, day: date, language: str) -> tuple[str, str] | None:
    """Return the name of the public holiday on a date in a region, and the two-letter language of the name.

    The name is in `language` if the package knows it, else in English, else in the country's own. It may be that of a
    day of the country's law on periods or, in a country, of a holiday of one of its subdivisions. None if there is no
    holiday on that day (any more), or if the package does not cover the date or does not know the country (any more);
    for an unknown subdivision, the country's holidays count.
    """
    known = known_region_or_country(region)
    if known is None:
        return None
    country, subdivision = place(known)
    code, name_language = _language(country, language)
    name = _names(country, subdivision, code, day.year).get(day)
    if day in _law_days(country, None) and language == "de":
        own = _law_days(country, None)[day].split("; ")
        return next(german for known, german in PERIOD_LAWS[country].names.items() if known in own), "de"
    name = name or _law_days(country, code).get(day)
    if not name and not subdivision and day in (of := _parts(country).of):
        name = _names(country, of[day][0], code, day.year).get(day)
    return (name, name_language) if name else None


def decreed_until(country: str) -> int | None:
    """Return the last year whose decrees the data has; None if the country has no yearly decrees or is not in it."""
    decrees = DECREES.get(country)
    return _last_decree(country) if decrees and decrees.ended is None and known_region_or_country(country) else None


def provisional_from(region: str) -> date | None:
    """Return the first date that decrees may still change in a region as stored; None without yearly decrees."""
    known = known_region_or_country(region)
    if known is None:
        return None
    country = place(known).country
    until = decreed_until(country)
    if until is None:
        return None
    december = DECREES[country].december
    return date(until + 1, 1, 1) if december is None else date(until, 12, december)


def is_provisional(region: str, last_day: date) -> bool:
    """Tell whether decrees that the data does not have (yet) may change a stored window that ends on `last_day`."""
    since = provisional_from(region)
    return since is not None and last_day >= since


def covered_years(region: str) -> range:
    """Return the years for which the data has a region's public holidays. Raises `UnknownRegion` if it is unknown."""
    return _covered(*place(region))


@cached(LRUCache(maxsize=512), condition=Condition())
def subdivisions_that_differ(country: str, year: int) -> tuple[str, ...]:
    """Return the codes of subdivisions with other holidays, in a year or the next, than count in the country; slow."""
    years = range(year, year + 2)
    of = {part: set(_built(country, part, "en", years).names) for part in subdivisions(country)}
    if not of:
        return ()
    counted = _built(country, None, "en", years).names.keys() | set.intersection(*of.values())
    return tuple(part for part, days in of.items() if days != counted)


@dataclass(frozen=True, slots=True)
class _Holidays:
    """What the package says of a region: the names by date, and the weekend dates worked by decree."""

    years: range
    names: Mapping[date, str]
    working_weekends: frozenset[date]


class _Parts(NamedTuple):
    """What the subdivisions of a country have that its own list lacks.

    `of` has, by date, the first subdivision with a holiday on it and the English name; `shared` the dates of those that
    all have. In the years `differ` their lists are not all the same; the data of all covers `years`.
    """

    of: Mapping[date, tuple[str, str]]
    shared: frozenset[date]
    differ: frozenset[int]
    years: range


@cached(LRUCache(maxsize=64), condition=Condition())
def _calendar(
    country: str, subdivision: str | None, week: Week, end_week: Week | None, rules: DayRules
) -> BusinessCalendar:
    """Return the calendar of a country, or of its subdivision if that is not None, without closures."""
    return BusinessCalendar(_region_days(country, subdivision, rules), week, end_week)


@_caching(1024)  # all regions by one version's rules: 60 MB
def _region_days(country: str, subdivision: str | None, rules: DayRules) -> RegionDays:
    """Return the marks (`DayFlag`) of all dates of a region: holidays, estimated ones, weekends, working weekends.

    The holidays include those that `rules` add: of laws for a period and, without a subdivision, of the subdivisions.
    """
    english, _ = _language(country, "en")
    own = _built(country, subdivision, english)
    names, years, differ = dict(own.names), own.years, frozenset[int]()
    if rules.period_law_days:
        names = {**_law_days(country, english), **names}
    if not subdivision and getattr(holidays, country).subdivisions:
        differ = frozenset(own.years)
        if rules.without_subdivision:
            parts, is_any = _parts(country), rules.without_subdivision is WithoutSubdivision.ANY
            names |= {day: name for day, (_, name) in parts.of.items() if is_any or day in parts.shared}
            years, differ = (parts.years, frozenset()) if is_any else (own.years, parts.differ)
    first = date(years[0], 1, 1).toordinal()
    marks = bytearray(date(years[-1], 12, 31).toordinal() + 1 - first)
    flags = {name: DayFlag.HOLIDAY | DayFlag.ESTIMATED * bool(_ESTIMATED.search(name)) for name in {*names.values()}}
    for day, name in names.items():
        if day.year in years:
            marks[day.toordinal() - first] |= flags[name]
    for day in own.working_weekends:
        if day.year in years:
            marks[day.toordinal() - first] |= DayFlag.WORKING_WEEKEND
    for weekend in _weekends(country, subdivision, first, len(marks)):
        marks[weekend] = marks[weekend].translate(IN_WEEKEND)
    since = None if rules == FIRST_DAY_RULES else provisional_from(country)
    region = Place(country, subdivision).region
    return RegionDays(region, first, bytes(marks), HOLIDAYS_VERSION, differ, since)


@_caching(64)
def _parts(country: str) -> _Parts:
    """Return the holidays that a country's subdivisions have and its own list lacks, by date, and where they differ."""
    english, _ = _language(country, "en")
    own = _built(country, None, english)
    of: dict[date, tuple[str, str]] = {}
    shared: set[date] | None = None
    differ: set[int] = set()
    years, first = own.years, None
    for part in subdivisions(country):
        built = _built(country, part, english)
        first = first or built
        differ.update(day.year for day in first.names.keys() ^ built.names.keys())
        besides = built.names.keys() - own.names.keys()
        of = {day: (part, built.names[day]) for day in besides} | of
        shared = besides if shared is None else {day for day in shared if day in besides or day.year not in built.years}
        years = range(max(years[0], built.years[0]), min(years[-1], built.years[-1]) + 1)
    return _Parts(MappingProxyType(of), frozenset(shared or ()), frozenset(differ), years)


@cached(LRUCache(maxsize=1024), condition=Condition())
def _names(country: str, subdivision: str | None, language: str | None, year: int) -> Mapping[date, str]:
    """Return the names of the public holidays of a place in a year, by date; `language` as in `_built`."""
    return _built(country, subdivision, language, range(year, year + 1)).names


@cache
def _law_days(country: str, language: str | None) -> Mapping[date, str]:
    """Return the dates, with names, that a country's law on periods treats as public holidays in all its parts.

    Empty for a country without such a law. `language` as in `_built`.
    """
    law = PERIOD_LAWS.get(country)
    if law is None:
        return {}
    own, named = (_built(country, None, code, categories=law.categories).names for code in (None, language))
    return {day: named[day] for day, name in own.items() if law.names.keys() & name.split("; ")}


def _built(
    country: str,
    subdivision: str | None,
    language: str | None,
    years: range | None = None,
    categories: tuple[str, ...] = ("public",),
) -> _Holidays:
    """Return a region's holidays and working weekends from the package, in `years` or in all years that it covers.

    Years that the package does not cover are left out. Without a `language`, the names are in the country's own.
    """
    entity, covered = getattr(holidays, country), _covered(country, subdivision)
    years = covered if years is None else range(max(covered[0], years[0]), min(covered[-1], years[-1]) + 1)
    names: dict[date, str] = {}
    working_weekends: set[date] = set()
    for i in range(0, len(years), _YEARS):  # the package makes each year by itself
        with _building:
            # A language is always passed: without one the package reads the server's locale.
            built = holidays.country_holidays(
                country,
                subdiv=subdivision,
                years=years[i : i + _YEARS],
                expand=False,
                language=language or entity.default_language or "en",
                categories=categories,
            )
        names |= built
        working_weekends.update(day for day in built.weekend_workdays if day.year in years)
        _rest.get()()
    return _Holidays(covered, MappingProxyType(names), frozenset(working_weekends))


def _covered(country: str, subdivision: str | None) -> range:
    """Return the years for which the package has all holidays of a place."""
    entity = getattr(holidays, country)
    known_years = _COVERED.get(country, (entity.start_year, entity.end_year))
    first, last = _COVERED.get(f"{country}-{subdivision}", known_years)
    return range(max(first, entity.start_year), min(last, entity.end_year) + 1)


@cache
def _last_decree(country: str) -> int:
    """Return the last year for which the package has decrees of a country, which must have some."""
    with _building:
        years: Mapping[int, object] = holidays.country_holidays(country, expand=False).special_public_holidays
        return max(years)


def _weekends(country: str, subdivision: str | None, first: int, days: int) -> list[slice]:
    """Return where the weekend days are among `days` dates, by the statutory week of each date.

    `first` is the ordinal of the first date. The slices are unsorted, and have no date in common.
    """
    with _building:
        entity = holidays.country_holidays(country, subdiv=subdivision, expand=False, language="en")
    if type(entity)._get_weekend is HolidayBase._get_weekend:  # it always was the same week
        return [slice((weekday + 1 - first) % 7, days, 7) for weekday in entity.weekend]
    return [slice(i, i + 1) for i in range(days) if entity.is_weekend(date.fromordinal(first + i))]


@cache
def _language(country: str, language: str) -> tuple[str | None, str]:
    """Return the package's code for a country's names in a reader's language, and the language of these names.

    If the package lacks the language for the country, both are those of English; if it lacks English too, those of the
    country's own language. The code is None if the package names no language there: its names are then English.
    """
    entity = getattr(holidays, country)
    own: str | None = entity.default_language
    for name_language in (language, "en"):
        codes = [code for code in entity.supported_languages if code.partition("_")[0] == name_language]
        if codes:
            return (own if own in codes else min(codes)), name_language
    # If the package names no language at all, its names are English.
    return own, (own or "en").partition("_")[0]
