"""The last days of windows, from the rules alone: it shares no code with the service, and takes only dates from data.

The dates are public holidays and weekends worked by decree, by region; what follows from them is in
`docs/counting.md`. Windows are counted from Monday to Friday, without closures.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

DAY = timedelta(days=1)
SATURDAY = 5
FRIDAY = 4

NO_PLACES = {
    *(f"FR-Zone {zone}" for zone in "ABC"),
    *(f"NL-{zone}" for zone in ("Noord", "Midden", "Zuid")),
    *(f"BE-{community}" for community in ("Flemish", "French", "German")),
}
"""School zones and language communities, which are no regions."""


class Dates(NamedTuple):
    """The public holidays of a place, and the weekends on which it works."""

    holidays: frozenset[date]
    worked: frozenset[date]


def calendars(
    data: Mapping[str, Dates], years: Iterable[int], *, any_part: bool = False, by_law: bool = True
) -> dict[str, Dates]:
    """The dates of each region: of a country, what all its parts share besides its own, and what its law adds.

    With `any_part`, a country has the holidays of each part, and works on a weekend if all of it does.
    """
    regions = {region: dates for region, dates in data.items() if region not in NO_PLACES}
    found = {}
    for region, own in regions.items():
        country = region.partition("-")[0]
        parts = [dates for part, dates in regions.items() if region == country and part.startswith(f"{country}-")]
        holidays, worked = own
        if parts and any_part:
            holidays = holidays.union(*(part.holidays for part in parts))
            worked = worked.intersection(*(part.worked for part in parts))
        elif parts:
            holidays |= frozenset.intersection(*(part.holidays for part in parts))
            worked |= frozenset.intersection(*(part.worked for part in parts))
        if by_law:
            holidays = holidays.union(*(added_by_law(country, year) for year in years))
        found[region] = Dates(holidays, worked)
    return found


def added_by_law(country: str, year: int) -> Sequence[date]:
    """The days that a country's law on periods adds in a year.

    Sources: Algemene termijnenwet, art. 3; lag (1930:173), 2 §; laki 150/1930, 5 §.
    """
    christmas_eve, new_years_eve = date(year, 12, 24), date(year, 12, 31)
    midsummer_eve = next(day for day in days(date(year, 6, 19)) if day.weekday() == FRIDAY)
    return {
        "NL": (easter(year) - 2 * DAY, date(year, 5, 5)),
        "SE": (midsummer_eve, christmas_eve, new_years_eve),
        "FI": (midsummer_eve, christmas_eve),
    }.get(country, ())


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the moon's golden number and the Sunday after it."""
    century = year // 100
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    moon -= moon == 29 or (moon == 28 and year % 19 > 10)
    full = date(year, 3, 21) + moon * DAY
    return full + (6 - full.weekday() or 7) * DAY


def days(first: date) -> Iterator[date]:
    """Each day from one on."""
    while True:
        yield first
        first += DAY


def last_days(dates: Dates, service_day: date, lengths: Sequence[int], last: date) -> list[date | None]:
    """The last day of the window of each length, which must ascend; None if the data ends, on `last`, before it."""
    found: list[date | None] = []
    counted = 0
    for day in days(service_day + DAY):
        if day > last:
            return found + [None] * (len(lengths) - len(found))
        if day in dates.worked or (day.weekday() < SATURDAY and day not in dates.holidays):
            counted += 1
            if counted == lengths[len(found)]:
                found.append(day)
                if len(found) == len(lengths):
                    return found
    raise AssertionError
