"""Regions at the console: which ones are suggested, what is refused, and the notices about a calendar."""

from datetime import UTC, datetime

import pytest
from flask import g

from refunds.domain.holidays_data import decreed_until
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.regions import countries, subdivisions
from refunds.errors import InvalidInput, UnknownRegion
from refunds.web.console.regions import meant

COUNTED = {
    "en": "its country was counted",
    "de": "Gezählt wurde nach den Feiertagen des Landes",
}
PROVISIONAL = {"en": "whose holidays and working weekends are not decreed yet", "de": "noch nicht amtlich festgelegt"}
NATIONWIDE = {"en": "Only nationwide holidays were counted", "de": "Nur landesweite"}


def suggestions(browser):
    """What is suggested for a region, with the names."""
    page = browser.get("/console/")
    return {one["value"]: one.text for one in page.main.one("datalist", id="regions").every("option")}


@pytest.mark.parametrize("lang", ["en", "de"])
def test_the_policys_country_and_its_parts_are_suggested_first_and_then_the_others_by_name(site, lang):
    options = suggestions(site.browser(Role.AGENT, lang))
    of_germany = ["DE", *(f"DE-{part}" for part in subdivisions("DE"))]
    assert list(options)[: len(of_germany)] == of_germany
    others = dict(list(options.items())[len(of_germany) :])
    assert {code for code in others if len(code) == 2} == countries() - {"DE", *subdivisions("DE")}
    assert len(others) == len(countries()) - 1
    assert options["AT"] == {"de": "Österreich", "en": "Austria"}[lang]
    names = [name or code for code, name in others.items()]
    assert {"de": ["Ägypten", "Albanien", "Algerien"], "en": ["Albania", "Algeria", "American Samoa"]}[lang] == [
        name for name in names if name.startswith(("Ä", "Al", "Am"))
    ][:3]


@pytest.mark.parametrize("lang", ["en", "de"])
def test_what_is_suggested_is_understood_also_where_a_part_has_the_same_code(site, lang):
    browser = site.browser(Role.AGENT, lang)
    chosen = [one for one in suggestions(browser) if " (" in one]
    assert sorted(one[-3:-1] for one in chosen) == sorted({*subdivisions("DE")} & countries())
    for one, name in (
        ("Belgien (BE)", ("Belgien", "Belgium")),
        ("Belgium (BE)", ("Belgien", "Belgium")),
        ("AT", ("Österreich", "Austria")),
    ):
        page = by_date(browser, one, "2.4.2026")
        assert (page.status, f"· {name[lang == 'en']} ·" in page.text) == (200, True)
    for one in ("BE", "Berlin (BE)", "Belgium (BY)", "(BE)"):
        assert by_date(browser, one, "2.4.2026").errors.keys() == {"region"}
    assert "Bel" in by_date(browser, "BE", "2.4.2026").errors["region"], "how to write the country"


def by_date(browser, region, provided):
    """The page after a check by date in a region."""
    page = browser.get("/console/")
    (button,) = (one for one in page.forms[0].buttons if "date" in one or "Datum" in one)
    return browser.press(page, button, provided_on=provided, region=region)


@pytest.mark.parametrize(
    "region", ["XX", "DE-XX", "DE_BY_1", "DE-Bayern", "FR-Zone A", "NL-Zuid", "BE-Flemish", "NO-02", "AT-BY", "D" * 200]
)
@pytest.mark.parametrize("lang", ["en", "de"])
def test_what_is_no_region_is_refused_with_what_to_write(site, lang, region):
    page = by_date(site.browser(Role.AGENT, lang), region, "2.4.2026")
    assert (page.status, page.errors.keys()) == (422, {"region"})
    assert "DE-BY" in page.errors["region"]


@pytest.mark.parametrize("lang", ["en", "de"])
@pytest.mark.parametrize("country", ["CN", "HU", "LV", "BY", "UZ"])
def test_a_window_beyond_the_last_decree_is_said_to_be_provisional(site, now, country, lang):
    for year, provisional in ((decreed_until(country), False), (decreed_until(country) + 1, True)):
        now.move_to(datetime(year, 6, 2, 8, tzinfo=UTC))
        typed = "Belarus (BY)" if country == "BY" else country  # without its name it could be Bavaria
        page = by_date(site.browser(Role.AGENT, lang), typed, f"1.6.{year}")
        assert page.status == 200
        assert (PROVISIONAL[lang] in page.text) is provisional, year


@pytest.mark.parametrize("lang", ["en", "de"])
@pytest.mark.parametrize(
    ("region", "said"),
    [("NL-NH", COUNTED), ("NL", None), ("ES-B", None), ("DE", NATIONWIDE), ("DE-BY", None), ("AT-9", None)],
)
def test_it_is_said_what_a_region_was_counted_by(site, region, said, lang):
    page = by_date(site.browser(Role.AGENT, lang), region, "2.4.2026")
    assert page.status == 200
    for text in (COUNTED, NATIONWIDE):
        assert (text[lang] in page.text) is (text is said), text


PLACES = {
    "DE": ("DE", "de", "Deutschland", "deutschland", "Germany", "GERMANY"),
    "DE-BY": ("DE-BY", "de-by", "de by", "DE_BY", "Bayern", "bayern", "Bavaria"),
    "DE-NW": ("DE-NW", "NRW", "nrw", "Nordrhein-Westfalen", "Nordrhein Westfalen", "North Rhine-Westphalia"),
    "DE-BW": ("Baden-Württemberg", "Baden-Wuerttemberg", "Baden Württemberg", "BaWü"),
    "DE-TH": ("Thüringen", "Thueringen", "Thuringen", "Thuringia"),
    "DE-MV": ("Mecklenburg-Vorpommern", "Meck-Pomm"),
    "DE-ST": ("Sachsen-Anhalt", "sachsen anhalt", "Saxony-Anhalt"),
    "DE-SN": ("Sachsen", "Saxony"),
    "DE-RP": ("Rheinland-Pfalz", "RLP"),
    "DE-BE": ("DE-BE", "Berlin"),
    "DE-HH": ("Hamburg", "de-hh"),
    "AT": ("AT", "at", "Österreich", "Oesterreich", "osterreich", "Austria"),
    "AT-9": ("AT-9", "Wien", "Vienna"),
    "AT-7": ("Tirol", "Tyrol"),
    "CH": ("CH", "Schweiz", "Switzerland"),
    "CH-ZH": ("Zürich", "Zuerich", "Zurich", "ch-zh"),
    "BE": ("Belgien", "Belgium", "Belgium (BE)"),
    "GB": ("GB", "UK", "Großbritannien", "Vereinigtes Königreich"),
    "US": ("US", "USA", "Vereinigte Staaten"),
    "US-CA": ("Kalifornien", "California"),
    "FR": ("Frankreich", "France"),
}


@pytest.fixture
def policies(site):
    """A request, which knows the policies by which a part of a country is told from a country."""
    with site.app.test_request_context(), site.store.read(COMMAND_LINE) as uow:
        g.policies = uow.policies
        yield


@pytest.mark.usefixtures("policies")
def test_places_are_understood_as_people_write_them():
    asked = {typed: code for code, each in PLACES.items() for typed in each}
    assert len(asked) >= 60
    assert {typed: meant(typed) for typed in asked} == asked


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("typed", ["BE", "be", "by", "Georgien", "Georgia", "La Paz", "Guam"])
def test_a_place_that_can_be_more_than_one_is_asked_back(typed):
    with pytest.raises(InvalidInput) as refused:
        meant(typed)
    assert [error.code for error in refused.value.errors] == ["ambiguous_region"]


@pytest.mark.parametrize(
    "typed", ["", "X", "XX", "DE-XX", "Atlantis", "-", "()", "Bay", "Bayern Bayern", "DE-BY-1", "B" * 5000]
)
def test_a_place_that_does_not_exist_is_refused(typed):
    with pytest.raises(UnknownRegion):
        meant(typed)
