"""Business calendars from the `holidays` package; only this module imports it.

Its objects grow while they are read, and threads that share one corrupt it. So one thread builds all years of a
region in one go, copies them out as plain marks, and drops the object. The data differs between releases, so a
calendar names the version it was made from.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib.metadata import version
from threading import Condition, Lock
from types import MappingProxyType

import holidays
from cachetools import LRUCache, cached
from holidays.registry import COUNTRIES, EntityLoader

from refunds.domain.business_days import BusinessCalendar, DayFlag, RegionDays, Week
from refunds.errors import Message, UnknownRegion

HOLIDAYS_VERSION = version("holidays")

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


def business_calendar(region: str, week: Week, end_week: Week | None = None) -> BusinessCalendar:
    """The calendar of a region (`CC` or `CC-SUBDIVISION`, exactly the package's codes) with these weeks.

    It has no closures yet. It is built at first use and then cached; the least recently used makes room. Raises
    `UnknownRegion` if there is no such region.
    """
    country, subdivision = region_parts(region)
    return _calendar(country, subdivision, week, end_week)


@lru_cache(maxsize=2048)
def region_parts(region: str) -> tuple[str, str | None]:
    """The code of a region's country, and that of its subdivision or None.

    Raises `UnknownRegion` if it is not exactly a known one.
    """
    country, dash, subdivision = region.partition("-")
    if country not in _countries():
        hint = _country_aliases().get(country.upper())
        raise UnknownRegion(
            Message(
                "unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY; did you mean %(hint)s?",
                hint=hint,
            )
            if hint
            else Message("unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY")
        )
    if dash and subdivision not in subdivisions(country):
        raise UnknownRegion(_unknown_subdivision(country, subdivision))
    return country, subdivision or None


def holiday_name(region: str, day: date, language: str) -> tuple[str, str] | None:
    """The name of the public holiday on a date in a region, and the two-letter language it is in.

    The name is in `language` if the package knows it, else in English, else in the country's own. None if the package
    has no holiday on that day (any more), does not cover it or does not know the region (any more).
    """
    try:
        country, subdivision = region_parts(region)
    except UnknownRegion:
        return None
    code, name_language = _language(country, language)
    name = _holidays(country, subdivision, code).names.get(day)
    return (name, name_language) if name else None


@dataclass(frozen=True, slots=True)
class _Holidays:
    """What the package says of a region: the names by date, and the weekend dates worked by decree."""

    first_year: int
    last_year: int
    names: Mapping[date, str]
    working_weekends: frozenset[date]


@cached(LRUCache(maxsize=32), condition=Condition())
def _calendar(country: str, subdivision: str | None, week: Week, end_week: Week | None) -> BusinessCalendar:
    return BusinessCalendar(_region_days(country, subdivision, "country" in (week, end_week)), week, end_week)


@cached(LRUCache(maxsize=64), condition=Condition())
def _region_days(country: str, subdivision: str | None, with_weekends: bool) -> RegionDays:
    """The marks of all covered dates; statutory weekends only on request, because they cost most."""
    english, _ = _language(country, "en")
    known_holidays = _holidays(country, subdivision, english)
    first = date(known_holidays.first_year, 1, 1).toordinal()
    marks = bytearray(date(known_holidays.last_year, 12, 31).toordinal() + 1 - first)
    for day, name in known_holidays.names.items():
        marks[day.toordinal() - first] |= DayFlag.HOLIDAY | (DayFlag.ESTIMATED if _ESTIMATED.search(name) else 0)
    for day in known_holidays.working_weekends:
        marks[day.toordinal() - first] |= DayFlag.WORKING_WEEKEND
    if with_weekends:
        for i, is_weekend in enumerate(_weekends(country, subdivision, first, len(marks))):
            marks[i] |= DayFlag.WEEKEND * is_weekend
    region = f"{country}-{subdivision}" if subdivision else country
    nationwide_only = not subdivision and bool(subdivisions(country))
    return RegionDays(region, first, bytes(marks), nationwide_only, HOLIDAYS_VERSION)


@cached(LRUCache(maxsize=64), condition=Condition())
def _holidays(country: str, subdivision: str | None, language: str | None) -> _Holidays:
    """The public holidays of all covered years; `language` is the package's code for that of their names."""
    entity = getattr(holidays, country)
    known_years = _COVERED.get(country, (entity.start_year, entity.end_year))
    first, last = _COVERED.get(f"{country}-{subdivision}", known_years)
    first, last = max(first, entity.start_year), min(last, entity.end_year)
    with _building:
        # A language is always passed: without one the package reads the server's locale.
        built = holidays.country_holidays(
            country,
            subdiv=subdivision,
            years=range(first, last + 1),
            expand=False,
            language=language or "en",
            categories=("public",),
        )
    return _Holidays(
        first,
        last,
        MappingProxyType({day: name for day, name in built.items() if first <= day.year <= last}),
        frozenset(day for day in built.weekend_workdays if first <= day.year <= last),
    )


def _weekends(country: str, subdivision: str | None, first: int, days: int) -> list[bool]:
    """Whether each date from the ordinal `first` on is a weekend in the statutory week that is valid on it."""
    with _building:
        entity = holidays.country_holidays(country, subdiv=subdivision, expand=False, language="en")
        return [entity.is_weekend(date.fromordinal(ordinal)) for ordinal in range(first, first + days)]


@cache
def _language(country: str, language: str) -> tuple[str | None, str]:
    """The package's own code for a reader's language in this country, and the language of its names."""
    entity = getattr(holidays, country)
    own: str | None = entity.default_language
    for name_language in (language, "en"):
        codes = [code for code in entity.supported_languages if code.partition("_")[0] == name_language]
        if codes:
            return (own if own in codes else min(codes)), name_language
    # If the package names no language at all, its names are English.
    return own, (own or "en").partition("_")[0]


@cache
def _countries() -> frozenset[str]:
    return frozenset(EntityLoader.get_country_codes(include_aliases=False))


@cache
def subdivisions(country: str) -> tuple[str, ...]:
    """The codes of a known country's subdivisions, without the country code."""
    return tuple(getattr(holidays, country).subdivisions)


@cache
def _country_aliases() -> Mapping[str, str]:
    """Names that the package also accepts, with the code of each: DEU and GERMANY are DE."""
    return {name.upper(): names[1] for names in COUNTRIES.values() for name in names}


def region_name(region: str) -> str:
    """The name of a subdivision in its country if the package knows one, else the region's code."""
    try:
        country, subdivision = region_parts(region)
    except UnknownRegion:  # the data knew it when it was stored
        return region
    aliases = getattr(holidays, country).subdivisions_aliases
    return max((name for name, code in aliases.items() if code == subdivision), key=len, default=region)


def _unknown_subdivision(country: str, subdivision: str) -> Message:
    codes = subdivisions(country)
    if not codes:
        return Message("unknown subdivision of %(country)s: it has none here, use %(country)s", country=country)
    meant = getattr(holidays, country).subdivisions_aliases.get(subdivision)
    if meant:
        return Message(
            "unknown subdivision of %(country)s: did you mean %(country)s-%(meant)s?", country=country, meant=meant
        )
    return Message(
        "unknown subdivision of %(country)s: use %(country)s or one of %(country)s-(%(codes)s)",
        country=country,
        codes="|".join(codes),
    )


def require_region(region: str, pointer: str) -> None:
    """Raise `UnknownRegion` at `pointer` if there is no such region."""
    try:
        region_parts(region)
    except UnknownRegion as error:
        raise error.under(pointer) from None
