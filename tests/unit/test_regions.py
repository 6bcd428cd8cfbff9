"""Regions: each code of ISO 3166-2 and what it is counted by; the list of those that have a calendar."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pycountry
import pytest

from refunds.domain import holidays_data
from refunds.domain.holidays_data import subdivisions_that_differ
from refunds.domain.regions import countries, place, subdivisions
from refunds.errors import UnknownRegion
from refunds.service import calendars
from tests.conftest import ROOT

ISO = {iso.code: iso for iso in pycountry.subdivisions}

COUNTS = {
    "a calendar of its own": 616,
    "one that the data has under another code": 13,
    "that of a larger part": 269,
    "that of its country": 4148,
}
"""How many codes of ISO 3166-2 are counted by what."""


def how(code):
    """What a code of ISO 3166-2 is counted by, in the words of the page."""
    counted = place(code).region
    if counted == code:
        return "a calendar of its own"
    if counted == code.partition("-")[0]:
        return "that of its country"
    is_larger = ISO[code].parent_code in ISO and place(ISO[code].parent_code).region == counted
    return "that of a larger part" if is_larger else "one that the data has under another code"


def test_every_code_of_iso_3166_2_is_understood_and_the_page_says_how_many_by_what():
    """When this fails with a new release of the data or the codes, change the numbers here and in docs/counting.md."""
    assert Counter(map(how, ISO)) == COUNTS
    page = (ROOT / "docs/counting.md").read_text()
    for what, codes in COUNTS.items():
        assert f"| {what} | {codes:,} |" in page
    assert f"| together | {len(ISO):,} |" in page


@pytest.mark.parametrize(
    ("code", "counted"),
    [("NL-NH", "NL"), ("JP-13", "JP"), ("IE-D", "IE"), ("SE-AB", "SE"), ("ES-B", "ES-CT"), ("GB-GWN", "GB-WLS"),
     ("CN-HK", "HK"), ("CN-TW", "TW"), ("NL-AW", "AW"), ("NL-BQ1", "BQ-BON"), ("IT-23", "IT-AO"), ("FR-PF", "FR-PF")],
)  # fmt: skip
def test_a_code_is_counted_by_the_smallest_place_that_has_a_calendar(code, counted):
    assert place(code).region == counted


WITHDRAWN = ["FR-A", "NO-02", "CZ-PR", "PL-DS", "IT-CI", "DK-015", "GB-STB", "LV-RI", "KE-110", "ID-IJ", "NP-BA"]
ELSEWHERE = ["FR-Zone A", "FR-Zone C", "NL-Zuid", "NL-Noord", "BE-Flemish", "BE-German", "AT-BY", "DE-A"]
"""Zones of school holidays, communities, and parts of other countries."""


@pytest.mark.parametrize("region", [*WITHDRAWN, *ELSEWHERE, "DE-XX", "DE-Bayern", "DE-by", "DE-" + "B" * 200])
def test_a_withdrawn_code_a_zone_or_another_countrys_part_is_refused_with_what_to_write(region):
    assert region not in ISO
    country = region.partition("-")[0]
    with pytest.raises(UnknownRegion) as error:
        place(region)
    assert re.match(
        rf"unknown subdivision of {country}: use {country}\b.* its code of ISO 3166-2", error.value.errors[0].detail
    )


@pytest.mark.parametrize("region", ["XX", "X" * 200, "B" * 200 + "-BY", "de-by", "DE_BY", "Germany", "DEU-BY"])
def test_an_unknown_country_is_refused_in_few_words(region):
    with pytest.raises(UnknownRegion) as error:
        place(region)
    detail = str(error.value.errors[0].detail)
    assert detail == "unknown country: use the two capital letters of ISO 3166-1, as in DE or DE-BY"


def test_every_region_with_a_calendar_is_listed_with_what_it_covers():
    listed = {one.code: one for one in calendars.regions(2026)}
    assert len(listed) == len(countries()) + sum(map(len, map(subdivisions, countries())))
    assert list(listed)[:3] == ["AD", "AD-02", "AD-03"]
    bavaria, california, sri_lanka = (listed[code] for code in ("DE-BY", "US-CA", "LK"))
    assert (bavaria.country, bavaria.parts_that_differ, bavaria.provisional_from) == ("DE", (), None)
    assert california.covered_until == date(2035, 12, 31)
    assert (sri_lanka.covered_from, sri_lanka.covered_until) == (date(2003, 1, 1), date(2026, 12, 31))
    for code, one in listed.items():
        years = {one.covered_from, one.covered_until}
        assert years == {date(min(years).year, 1, 1), date(max(years).year, 12, 31)}, code
        assert one.parts_that_differ == () or set(one.parts_that_differ) < listed.keys(), code


def test_the_list_does_not_build_the_calendars_and_what_differs_is_found_once_a_year(monkeypatch):
    asked = []
    genuine = holidays_data._built

    def counted(country, subdivision, language, years=None, **more):
        asked.append((country, subdivision, years))
        return genuine(country, subdivision, language, years, **more)

    monkeypatch.setattr(holidays_data, "_built", counted)
    subdivisions_that_differ.cache.clear()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: tuple(calendars.regions(2026)), range(8)))) == 1
    assert {years for *_, years in asked} == {range(2026, 2028)}
    assert len(asked) == len(set(asked))
    before = len(asked)
    list(calendars.regions(2026))
    assert len(asked) == before
