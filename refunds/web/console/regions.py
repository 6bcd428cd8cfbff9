"""Regions at the console: which ones are suggested, and what a typed one means."""

from refunds.domain.regions import countries, require_region, subdivisions
from refunds.errors import FieldError, InvalidInput, Message
from refunds.presentation.language import each_language
from refunds.presentation.texts.dates import region_text, sortable
from refunds.web.responses import present_policies


def suggested() -> dict[str, str]:
    """What to choose a region by, each with its name: the default policy's country, its parts, other countries by name.

    It is a region's code, but the name with the code in brackets for a country whose code is also that of a part of
    this one; then the name is empty.
    """
    country = _country()
    parts = subdivisions(country)
    names = {code: region_text(code) for code in countries() - {country}}
    here = {code: region_text(code) for code in (country, *(f"{country}-{part}" for part in parts))}
    others = sorted(names, key=lambda code: sortable(names[code]))
    return here | dict((_in_full(code), "") if code in parts else (code, names[code]) for code in others)


def meant(typed: str | None) -> str | None:
    """The region that was typed, by its code or as it is suggested in any language; None stays None.

    Raises `InvalidInput` if it is not known, or is ambiguous: the code of a country and, without its own country's, of
    a part of the default policy's.
    """
    if typed is None:
        return None
    code = typed.rpartition(" (")[2].removesuffix(")")
    if code in countries() and typed in [_in_full(code) for _ in each_language()]:
        return code
    require_region(typed, "/region")
    if typed in subdivisions(_country()):
        raise InvalidInput(
            [FieldError("/region", Message("a country, but also a part of this one"), "ambiguous_region")]
        )
    return typed


def _in_full(code: str) -> str:
    return f"{region_text(code)} ({code})"


def _country() -> str:
    """The country of the default policy, by its latest version."""
    policies = present_policies()
    return policies[policies.default].versions[-1].terms.country
