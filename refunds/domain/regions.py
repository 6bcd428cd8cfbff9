"""Regions: the codes of places, their names, and by which calendar of the `holidays` package each is counted.

A region is a country (`CC`) or a part of one (`CC-PART`). Its part is the package's own code or that of ISO 3166-2.
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from gettext import NullTranslations, translation
from typing import Any, NamedTuple

import holidays
import pycountry
from holidays.registry import EntityLoader

from refunds.errors import Message, UnknownRegion

_COUNTRIES: Any = pycountry.countries  # it carries no types
_SUBDIVISIONS: Any = pycountry.subdivisions


class Place(NamedTuple):
    """A country and the code of its subdivision, or None, exactly as the package has them."""

    country: str
    subdivision: str | None

    @property
    def region(self) -> str:
        """The code of the region."""
        return f"{self.country}-{self.subdivision}" if self.subdivision else self.country


_NO_PLACES = {
    "BE": frozenset({"Flemish", "French", "German"}),
    "FR": frozenset({"Zone A", "Zone B", "Zone C"}),
    "NL": frozenset({"Midden", "Noord", "Zuid"}),
}
"""What the package has among subdivisions that is none: communities of a language and zones of school holidays."""

_ALSO_COUNTRIES = {
    f"{country}-{part}": part
    for country, parts in (
        ("CN", ("HK", "MO", "TW")),
        ("FR", ("BL", "MF", "NC", "PF", "PM", "TF", "WF")),
        ("NL", ("AW", "CW", "SX")),
        ("US", ("AS", "GU", "MP", "PR", "UM", "VI")),
    )
    for part in parts
} | {
    "FI-01": "AX",
    "FR-971": "GP",
    "FR-972": "MQ",
    "FR-973": "GF",
    "FR-974": "RE",
    "FR-976": "YT",
    "NL-BQ1": "BQ",
    "NL-BQ2": "BQ",
    "NL-BQ3": "BQ",
    "NO-21": "SJ",
    "NO-22": "SJ",
}
"""Parts of a country in ISO 3166-2 that have an entry of their own in ISO 3166-1."""

_OTHER_CODES = {
    "BQ-BO": "BQ-BON",
    "BQ-SA": "BQ-SAB",
    "BQ-SE": "BQ-STA",
    "IT-23": "IT-AO",
    "NL-BQ1": "BQ-BON",
    "NL-BQ2": "BQ-SAB",
    "NL-BQ3": "BQ-STA",
}
"""Codes of ISO 3166-2 for places that the package has under another code."""


@lru_cache(maxsize=8192)
def place(region: str) -> Place:
    """Return the place by whose calendar a region is counted.

    That is its own if the package has one, else that of the larger part that it belongs to, else that of its country.
    Raises `UnknownRegion` if it is none, or not spelt exactly.
    """
    country, dash, part = region.partition("-")
    if country in countries() and not dash:
        return Place(country, None)
    if country in countries():
        if part in subdivisions(country):
            return Place(country, part)
        if iso := _iso(region):
            return place(_OTHER_CODES.get(region) or _ALSO_COUNTRIES.get(region) or iso.parent_code or country)
    raise UnknownRegion(_unknown_text(country))


def country_of(region: str) -> str:
    """Return a region's country: its own code in ISO 3166-1 if it has one (`FR-971` is `GP`), else its first part."""
    return _ALSO_COUNTRIES.get(region) or region.partition("-")[0]


def place_before_iso(region: str) -> Place:
    """Return the place of a region as the first editions of the rules find it.

    It is the region's own if the package has a calendar by exactly its code; otherwise its country's, whatever the code
    says. Raises `UnknownRegion` if there is no such country.
    """
    country, _, part = region.partition("-")
    if country not in countries():
        raise UnknownRegion(_unknown_text(country))
    return Place(country, part if part in _entity(country).subdivisions else None)


def known_region_or_country(region: str) -> str | None:
    """Return a stored region if it has a calendar now, or else its country, or None if the data has lost that, too."""
    country = region.partition("-")[0]
    if country not in countries():
        return None
    try:
        place(region)
    except UnknownRegion:
        return country
    return region


def is_lost(region: str) -> bool:
    """Tell whether the holiday data lacks the country of a region, though ISO 3166-1 lists it."""
    country = region.partition("-")[0]
    listed = _COUNTRIES.get(alpha_2=country)
    return country not in countries() and listed is not None and listed.alpha_2 == country  # it takes small letters


def require_region(region: str, pointer: str) -> None:
    """Raise `UnknownRegion` at `pointer` if there is no such region."""
    try:
        place(region)
    except UnknownRegion as error:
        raise error.under(pointer) from None


@cache
def countries() -> frozenset[str]:
    """Return the codes of all countries of which the package `holidays` has a calendar."""
    return frozenset(EntityLoader.get_country_codes(include_aliases=False))


@cache
def subdivisions(country: str) -> tuple[str, ...]:
    """Return the codes, such as `BY`, of a country's subdivisions with a calendar; empty for an unknown country."""
    if country not in countries():
        return ()
    return tuple(part for part in _entity(country).subdivisions if part not in _NO_PLACES.get(country, ()))


def with_subdivisions(country: str) -> Iterator[str]:
    """Yield the region of a known country, then those of its subdivisions."""
    yield country
    yield from (f"{country}-{part}" for part in subdivisions(country))


def region_name(region: str, language: str) -> str:
    """Return a subdivision's name: in German if `language` asks for it and it is known, else in the country's language.

    A subdivision without a known name has the part after the hyphen as its name, and a country its code.
    """
    country, _, part = region.partition("-")
    if iso := _iso(region):
        return _translations(language).gettext(iso.name).partition(" [")[0]
    aliases = _entity(country).subdivisions_aliases if country in countries() else {}
    return max((name for name, code in aliases.items() if code == part), key=len, default=part or region)


def _entity(country: str) -> Any:
    """Return the loader of a country's class in the package `holidays`; raises `AttributeError` without a class."""
    return getattr(holidays, country)


def _iso(region: str) -> Any:
    """Return pycountry's entry for the subdivision that has exactly this ISO 3166-2 code; None if there is none."""
    found = _SUBDIVISIONS.get(code=region)
    return found if found and found.code == region else None  # it takes small letters, too


@cache
def _translations(language: str) -> NullTranslations:
    """Return the translations of the subdivisions' names; names stay as they are for English or an unknown language."""
    # Only a few names are translated to English, so that one country would have both.
    return translation("iso3166-2", pycountry.LOCALES_DIR, [language] if language != "en" else (), fallback=True)


def _unknown_text(country: str) -> Message:
    """Return the error text for an unknown country or, if `country` is known, subdivision, with the codes to use."""
    if country not in countries():
        return Message("unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY")
    codes = "|".join(subdivisions(country))
    if not codes:
        return Message("unknown subdivision of %(country)s: use %(country)s or its code of ISO 3166-2", country=country)
    return Message(
        "unknown subdivision of %(country)s: use %(country)s, one of %(country)s-(%(codes)s) or its code of ISO 3166-2",
        country=country,
        codes=codes,
    )
