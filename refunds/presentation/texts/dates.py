"""Dates, times, numbers and places in words, in German and English."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache, lru_cache

from babel import Locale
from babel.dates import format_date, get_day_names, get_month_names, get_timezone_location
from babel.numbers import format_decimal

from refunds.domain.holidays_data import region_name
from refunds.domain.instants import zone

LANGUAGES = ("en", "de")
"""The languages of the service; the first is the default."""


_DATE = {"en": "EEEE, d MMMM yyyy", "de": "EEEE, d. MMMM yyyy"}


_SHORT_DATE = {"en": "EEE d MMM", "de": "EEE d. MMM"}


_WEEKDAY, _DAY_AND_MONTH = "EEE", {"en": "d MMM", "de": "d. MMM"}


_NUMBERS = {"en": "d MMM yyyy", "de": "dd.MM.yyyy"}


_CLOCK = {"en": "{:%H:%M}", "de": "{:%H:%M} Uhr"}


_ZONE = {"en": "{city} time", "de": "Ortszeit {city}"}


_TOTAL = {"en": ("1 business day", "{total} business days"), "de": ("1 Werktag", "{total} Werktage")}


def total_text(total: int, language: str) -> str:
    """A number of business days, in words."""
    return _TOTAL[language][total != 1].format(total=total)


def number_text(number: int, language: str) -> str:
    """A number with thousands separators."""
    return str(format_decimal(number, locale=language))


def short_date_text(day: date, language: str) -> str:
    """A short date with its weekday, as in "Wed 8 Apr"."""
    return format_date(day, _SHORT_DATE[language], locale=language)


def weekday_text(day: date, language: str) -> str:
    """The short weekday of a date, as in "Wed"."""
    return str(format_date(day, _WEEKDAY, locale=language)).rstrip(".")


def day_and_month_text(day: date, language: str) -> str:
    """A date without its year, as in "8 Apr"."""
    return format_date(day, _DAY_AND_MONTH[language], locale=language)


def region_text(region: str, language: str) -> str:
    """The name of a region: a country in `language`, a subdivision in its own; the code if there is no name."""
    return region_name(region) if "-" in region else Locale(language).territories.get(region, region)


def month_text(month: str, language: str, form: str = "MMMM yyyy") -> str:
    """A month, `YYYY-MM`, as in "April 2026"."""
    return format_date(date.fromisoformat(f"{month}-01"), form, locale=language)


@lru_cache(maxsize=1024)
def date_text(day: date, language: str) -> str:
    """A date with its weekday, as in "Wednesday, 8 April 2026"."""
    return format_date(day, _DATE[language], locale=language)


def instant_text(instant: datetime, time_zone: str, language: str) -> str:
    """An instant to the minute in a zone, as in "Wednesday, 8 April 2026, 23:05 (Berlin time)"."""
    local = _shown(instant, time_zone)
    return f"{date_text(local.date(), language)}, {_CLOCK[language].format(local)} ({zone_text(time_zone, language)})"


def clock_text(instant: datetime, time_zone: str, language: str) -> str:
    """An instant without its zone, which is shown beside it, as in "8 Apr 2026, 23:05"; this form can be typed, too."""
    local = _shown(instant, time_zone)
    return f"{format_date(local.date(), _NUMBERS[language], locale=language)}, {_CLOCK[language].format(local)}"


def _shown(instant: datetime, time_zone: str) -> datetime:
    """An instant in a time zone; as it is if the local time is outside the range of `datetime`."""
    try:
        return instant.astimezone(zone(time_zone))
    except OverflowError:
        return instant


@lru_cache(maxsize=1024)
def zone_text(name: str, language: str) -> str:
    """The name of a time zone, as in "Berlin time"."""
    return _ZONE[language].format(city=get_timezone_location(name, locale=language, return_city=True))


@cache
def month_numbers() -> dict[str, int]:
    """The numbers of the months, by name in each language."""
    return _numbers(get_month_names)


@cache
def weekday_numbers() -> dict[str, int]:
    """The numbers of the weekdays, Monday first, by name in each language."""
    return _numbers(get_day_names)


def _numbers(names: Callable[..., Mapping[int, str]]) -> dict[str, int]:
    return {
        name.lower().rstrip("."): number
        for language in LANGUAGES
        for width in ("wide", "abbreviated")
        for number, name in names(width, locale=language).items()
    }
