"""Dates, times, numbers and places in words, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from unicodedata import combining, normalize

from babel import Locale
from babel.dates import format_date, format_timedelta, get_day_names, get_month_names, get_timezone_location
from babel.numbers import format_decimal

from refunds.domain.instants import zone
from refunds.domain.regions import region_name
from refunds.presentation.language import LANGUAGES, language, translate, translate_number
from refunds.service.watch import LastChange

_DATE = {"en": "EEEE, d MMMM yyyy", "de": "EEEE, d. MMMM yyyy"}
_SHORT_DATE = {"en": "EEE d MMM", "de": "EEE d. MMM"}
_WEEKDAY, _DAY_AND_MONTH = "EEE", {"en": "d MMM", "de": "d. MMM"}
_NUMBERS, _IN_FULL = {"en": "d MMM yyyy", "de": "dd.MM.yyyy"}, {"en": "d MMMM yyyy", "de": "d. MMMM yyyy"}
_CLOCK = {"en": "{:%H:%M}", "de": "{:%H:%M} Uhr"}


def business_days_text(total: int) -> str:
    """Return a number of business days in words, as in "2 business days"."""
    return translate_number("%(num)s business day", "%(num)s business days", total)


def data_changed_text(change: LastChange, time_zone: str) -> str:
    """Return a sentence: when the calendar data changed, and how many open windows end later or keep a later end."""
    day = date_text(_local_time(change.at, time_zone).date())
    longer = translate_number("%(num)s open window now ends later", "%(num)s open windows now end later", change.longer)
    kept = translate_number(
        "%(num)s open window keeps the later end that was promised",
        "%(num)s open windows keep the later end that was promised",
        change.kept,
    )
    moved = ", ".join(text for text, number in ((longer, change.longer), (kept, change.kept)) if number)
    return translate("The calendar data changed on %(day)s: %(moved)s.", day=day, moved=moved)


def number_text(number: int) -> str:
    """Return a number with thousands separators, as in "1,000"; in German "1.000"."""
    return str(format_decimal(number, locale=language()))


def short_date_text(day: date) -> str:
    """Return a short date with its weekday, as in "Wed 8 Apr"."""
    return format_date(day, _SHORT_DATE[language()], locale=language())


def weekday_text(day: date) -> str:
    """Return the short weekday of a date, as in "Wed"; in German "Mi", without a full stop."""
    return str(format_date(day, _WEEKDAY, locale=language())).rstrip(".")


def day_and_month_text(day: date) -> str:
    """Return a date without its year, as in "8 Apr"."""
    return format_date(day, _DAY_AND_MONTH[language()], locale=language())


def region_text(region: str) -> str:
    """Return the name of a region, or its code if it has none; a subdivision may be in the language of its country."""
    return region_name(region, language()) if "-" in region else Locale(language()).territories.get(region, region)


def sortable(name: str) -> str:
    """Return a name in small letters without accents, as a key to sort and compare by."""
    return "".join(letter for letter in normalize("NFKD", name) if not combining(letter)).casefold()


def month_text(month: str, form: str = "MMMM yyyy") -> str:
    """Return a month, given as `YYYY-MM`, as in "April 2026" or in another `form`, a CLDR pattern."""
    return format_date(date.fromisoformat(f"{month}-01"), form, locale=language())


def date_text(day: date) -> str:
    """Return a date with its weekday, as in "Wednesday, 8 April 2026"."""
    return _date_text(day, language())


@lru_cache(maxsize=1024)
def _date_text(day: date, name: str) -> str:
    """Return a date with its weekday, as `date_text` shows it, in the language `name`."""
    return format_date(day, _DATE[name], locale=name)


def instant_text(instant: datetime, time_zone: str, *, zoned: bool = True) -> str:
    """Return an instant, as in "Wednesday, 8 April 2026, 23:05 (Berlin time)"; the zone is named only if `zoned`."""
    local = _local_time(instant, time_zone)
    return f"{date_text(local.date())}, {time_text(local)}" + (f" ({zone_text(time_zone)})" if zoned else "")


def clock_text(instant: datetime, time_zone: str) -> str:
    """Return an instant in a time zone, cut to the minute, as in "8 Apr 2026, 23:05"; forms accept this spelling."""
    local = _local_time(instant, time_zone)
    return f"{format_date(local.date(), _NUMBERS[language()], locale=language())}, {time_text(local)}"


def age_text(age: timedelta) -> str:
    """Return a length of time, rounded to its largest fitting unit, as in "3 hours"."""
    return format_timedelta(age, threshold=1.5, locale=language())


def moment_text(instant: datetime, time_zone: str) -> str:
    """Return an instant in a time zone for use in a sentence, cut to the minute, as in "8 April 2026, 23:05"."""
    local = _local_time(instant, time_zone)
    return f"{format_date(local.date(), _IN_FULL[language()], locale=language())}, {time_text(local)}"


def time_text(local: datetime) -> str:
    """Return the time of day, cut to the minute, in the reader's language: "23:05", in German "23:05 Uhr".

    If the clocks show it twice, the offset follows, as in "02:30 (+01:00)".
    """
    text = _CLOCK[language()].format(local)
    is_shown_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{text} ({offset_text(local)})" if is_shown_twice else text


def offset_text(local: datetime) -> str:
    """Return the offset of a local time, as in "+02:00"."""
    return local.isoformat(timespec="minutes")[len("2026-04-08T23:05") :]


def _local_time(instant: datetime, time_zone: str) -> datetime:
    """Return the local time of an instant in a zone; unchanged if that is outside the range of `datetime`."""
    try:
        return instant.astimezone(zone(time_zone))
    except OverflowError:
        return instant


def zone_text(name: str) -> str:
    """Return the name of a time zone, as in "Berlin time", for an IANA name."""
    return translate("%(city)s time", city=_city(name, language()))


@lru_cache(maxsize=1024)
def _city(time_zone: str, locale: str) -> str:
    """Return the city of a time zone, named in the language of a locale; without a city, its difference from GMT."""
    city = get_timezone_location(time_zone, locale=locale, return_city=True)
    return city.translate(_FROM_POSIX) if time_zone.startswith("Etc/") else city


_FROM_POSIX = str.maketrans("+-", "-+")  # Etc/GMT-4 is four hours ahead, which readers know as GMT+4


@cache
def month_numbers() -> dict[str, int]:
    """Return the numbers of the months by name: full and short in every language, in lower case without a full stop."""
    return _numbers(get_month_names)


@cache
def weekday_numbers() -> dict[str, int]:
    """Return the weekdays' numbers, from 0 for Monday, by name: full and short in every language, in lower case."""
    return _numbers(get_day_names)


def _numbers(names: Callable[..., Mapping[int, str]]) -> dict[str, int]:
    """Return the numbers of months or weekdays by their names, whole and short, in small letters, in every language.

    `names` is the function of Babel that returns the names by number.
    """
    return {
        name.lower().rstrip("."): number
        for each in LANGUAGES
        for width in ("wide", "abbreviated")
        for number, name in names(width, locale=each).items()
    }
