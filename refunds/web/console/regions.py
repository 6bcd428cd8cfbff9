"""Regions at the console: which ones are suggested, and what a typed one means."""

import re
from functools import cache

from refunds.domain.regions import countries, require_region, subdivisions
from refunds.errors import InvalidInput, Message
from refunds.presentation.language import each_language
from refunds.presentation.texts.dates import region_text, sortable
from refunds.web.responses import present_policies


def suggested() -> dict[str, str]:
    """Return the regions to suggest, as code and name: the default policy's country, its parts, the other countries.

    The others are sorted by name. If one has the code of a part of the policy's country, its code reads as in "Belarus
    (BY)", and its name is empty.
    """
    country = _country()
    parts = subdivisions(country)
    names = {code: region_text(code) for code in countries() - {country}}
    here = {code: region_text(code) for code in (country, *(f"{country}-{part}" for part in parts))}
    others = sorted(names, key=lambda code: sortable(names[code]))
    return here | dict((_in_full(code), "") if code in parts else (code, names[code]) for code in others)


def meant(typed: str | None) -> str | None:
    """Return the code of the region that was typed: by code, by name in any language, or as `suggested`; None for None.

    Case, accents, spaces and hyphens do not matter. Raises `InvalidInput` if no region or more than one can be meant.
    """
    if typed is None:
        return None
    code = typed.rpartition(" (")[2].removesuffix(")")
    if code in countries() and typed in [_in_full(code) for _ in each_language()]:
        return code
    named = _by_name().get(_bare(typed), set())
    spelt = typed.upper().replace(" ", "-").replace("_", "-")
    if not named:
        require_region(spelt, "/region")
    if len(named) > 1 or (not named and spelt in subdivisions(_country())):
        raise InvalidInput.at("/region", Message("can be more than one region"), "ambiguous_region")
    return next(iter(named), spelt)


_ALSO_CALLED = {
    "Bavaria": "DE-BY",
    "Hesse": "DE-HE",
    "Lower Saxony": "DE-NI",
    "Mecklenburg-Western Pomerania": "DE-MV",
    "Meck-Pomm": "DE-MV",
    "North Rhine-Westphalia": "DE-NW",
    "NRW": "DE-NW",
    "Rhineland-Palatinate": "DE-RP",
    "RLP": "DE-RP",
    "Saxony": "DE-SN",
    "Saxony-Anhalt": "DE-ST",
    "Thuringia": "DE-TH",
    "BaWü": "DE-BW",
    "Carinthia": "AT-2",
    "Lower Austria": "AT-3",
    "Upper Austria": "AT-4",
    "Styria": "AT-6",
    "Tyrol": "AT-7",
    "Vienna": "AT-9",
    "Geneva": "CH-GE",
    "Lucerne": "CH-LU",
    "Holland": "NL",
    "UK": "GB",
    "Great Britain": "GB",
    "Großbritannien": "GB",
    "USA": "US",
}
"""Names that ISO 3166 and CLDR do not have."""


@cache
def _by_name() -> dict[str, set[str]]:
    """Return the codes of regions by their names in every language and in `_ALSO_CALLED`, spelt by `_bare`.

    Names of two letters that are not in `_ALSO_CALLED` are left out: CLDR has only a code there.
    """
    found: dict[str, set[str]] = {}
    codes = [*countries(), *(f"{one}-{part}" for one in countries() for part in subdivisions(one))]
    names = [(region_text(code), code) for _ in each_language() for code in codes]
    for name, code in [*names, *_ALSO_CALLED.items()]:
        if len(_bare(name)) > len("BY") or name in _ALSO_CALLED:
            found.setdefault(_bare(name), set()).add(code)
    return found


def _bare(name: str) -> str:
    """Return a name in small letters, without what people leave out: accents, spaces, hyphens, an `e` for an umlaut."""
    letters = "".join(filter(str.isalnum, sortable(name)))
    return re.sub("([aou])e", r"\1", letters)


def _in_full(code: str) -> str:
    """Return the name and the code of a region, as in "Bavaria (DE-BY)"."""
    return f"{region_text(code)} ({code})"


def _country() -> str:
    """Return the country of the default policy, by its latest version."""
    policies = present_policies()
    return policies[policies.default].versions[-1].terms.country
