"""Decrees and laws on periods: which countries have them, what the data has of them, and that the page has their sources."""

import re
from datetime import UTC, date, datetime

import holidays
import pytest

from refunds.domain import holidays_data, judging
from refunds.domain.holidays_data import business_calendar, covered_years, decreed_until, holiday_name, provisional_from
from refunds.domain.national_law import DECREES, PERIOD_LAWS
from refunds.domain.outcomes import Facts
from refunds.domain.policy import policy_of
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import countries
from refunds.domain.withdrawals import information_period
from refunds.presentation.texts.dates import region_text
from refunds.schemas.policy import packaged
from refunds.web.telemetry import Metrics
from tests.conftest import ROOT

PAGE = (ROOT / "docs/counting.md").read_text()

DECREED_UNTIL = {
    "AR": 2026,
    "AZ": 2025,
    "BY": 2026,
    "CN": 2026,
    "HU": 2026,
    "KG": 2025,
    "KZ": 2025,
    "LV": 2026,
    "MM": 2025,
    "PH": 2027,
    "PK": 2026,
    "RU": 2027,
    "TH": 2026,
    "TW": 2025,
    "UZ": 2026,
    "VN": 2026,
}


@pytest.mark.parametrize("country", sorted(DECREES))
def test_the_last_decreed_year_is_known(country):
    until = decreed_until(country)
    assert until == DECREED_UNTIL.get(country), (
        f"this release of the data has the decrees of {country} up to {until}: see that they are the decrees of the whole "
        "year, and no single day, change the number here, say in the changelog that the year is no longer provisional "
        "there, and see flask calendar changes for the windows it moves"
    )
    if DECREES[country].december is None:
        assert provisional_from(country) == (until and date(until + 1, 1, 1))
    assert (DECREES[country].ended is None) is (until is not None)


def test_a_part_is_provisional_with_its_country_and_most_countries_never_are():
    assert provisional_from("CN-BJ") == provisional_from("CN") == date(DECREED_UNTIL["CN"], 12, 29)
    assert provisional_from("CN-TW") == provisional_from("TW") != provisional_from("CN")
    assert provisional_from("DE-BY") is provisional_from("BG") is None


def test_every_country_with_working_weekends_is_among_those_with_decrees():
    """When this fails, find the law that provides for them, and add the country to `DECREES` and to the page."""
    years = range(2000, 2101)
    found = {one for one in countries() if holidays_data._built(one, None, "en", years).working_weekends}
    assert found - DECREES.keys() == set()
    assert DECREES.keys() - found == {"AR", "PH", "PK", "TH"}, "their decrees add holidays alone"


def special_days(country):
    """The years for which the data has days of their own in a country, with those days."""
    built = holidays.country_holidays(country, expand=False)
    kinds = [getattr(built, f"special_public_holidays{kind}", {}) for kind in ("", "_observed")]
    return {year: [kind[year] for kind in kinds if year in kind] for kind in kinds for year in kind}


def test_every_country_whose_special_days_recur_is_among_those_with_decrees_or_those_looked_at():
    """When this fails, find out whether a decision sets or moves the holidays of each year.

    If so, and if its days in the data tell until which year it is known, add the country to `DECREES` and to the page;
    otherwise add it to the page's table of those that have no decrees, with the reason.
    """
    years = {country: special_days(country).keys() for country in countries()}
    recurring = {
        country
        for country, special in years.items()
        if any(len(special & {*range(first, first + 5)}) >= 3 for first in range(2022, max(special, default=0) + 1))
    }
    assert recurring > {"CN", "PH", "PK", "GH"}
    assert recurring - DECREES.keys() - looked_at() == set()


def test_no_last_decreed_year_is_that_of_an_election_alone():
    """When this fails, the data has an election before the decrees of its year: `_last_decree` has to pass over it."""
    for country, until in DECREED_UNTIL.items():
        assert any("election" not in str(day).lower() for day in special_days(country)[until]), country


def looked_at():
    """The countries that the page says have no decrees in the table, and why."""
    table = PAGE.partition("### Countries that are not in the table")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")][2:]
    assert all(why.strip() for _, why in rows)
    named = {region_text(country): country for country in countries()}
    return {named[name.strip()] for names, _ in rows for name in names.split(",")}


def test_no_country_is_in_both_tables_of_the_page():
    assert looked_at() & DECREES.keys() == set()


@pytest.mark.parametrize("country", sorted(country for country, decrees in DECREES.items() if decrees.ended))
def test_where_decrees_have_ended_no_weekend_is_worked_any_more(country):
    """When this fails, decrees go on there: remove the year in `DECREES` and on the page."""
    worked = holidays_data._built(country, None, "en").working_weekends
    assert max(worked).year == DECREES[country].ended


def test_the_page_has_every_country_with_decrees_and_their_source():
    rows = [
        f"| {region_text(country)} | {decrees.source} | {decrees.ended or 'now'} |"
        for country, decrees in DECREES.items()
    ]
    table = PAGE.partition("## Decrees")[2].partition("\n###")[0]
    shown = [re.sub(r"\s+", " ", line) for line in table.splitlines() if line.startswith("| ")][2:]
    assert shown == sorted(row.replace("Myanmar (Burma)", "Myanmar") for row in rows)


@pytest.mark.parametrize("country", sorted(PERIOD_LAWS))
def test_the_page_links_to_the_law_on_periods(country):
    address, _, law = PERIOD_LAWS[country].source.partition(": ")
    table = PAGE.partition("## The law on periods")[2].partition("\n## ")[0]
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {region_text(country)} |"))
    assert f"[{law}]({address}" in row


SINCE = {("NL", "Bevrijdingsdag"): 1982}
"""Days that are not holidays in every year before."""


@pytest.mark.parametrize(
    ("country", "name"), [(country, name) for country, law in PERIOD_LAWS.items() for name in sorted(law.names)]
)
def test_a_day_of_the_law_on_periods_is_no_business_day_in_any_covered_year(country, name):
    days = holidays_data._law_days(country, None)
    by_year = {day.year: day for day, named in days.items() if name in named.split("; ")}
    years = covered_years(country)
    since = SINCE.get((country, name), years[0])
    assert [year for year in years if year >= since and year not in by_year] == []
    calendar = business_calendar(country, WEEKDAYS)
    for day in by_year.values():
        assert calendar.why_not(day) == "public_holiday"
        assert holiday_name(country, day, "en")


def test_the_measurements_have_the_last_decreed_year_of_each_country():
    samples = {
        sample.labels["country"]: sample.value
        for metric in Metrics().registry.collect()
        for sample in metric.samples
        if sample.name == "refunds_calendar_decreed_until_year"
    }
    assert samples == DECREED_UNTIL


@pytest.mark.parametrize(("law_days", "last_day"), [(True, date(2026, 5, 6)), (False, date(2026, 5, 5))])
def test_the_information_period_moves_by_the_holidays_of_the_version_that_judged(law_days, last_day):
    version = packaged("virtual-numbers").what_if({"period_law_days": law_days})
    facts = Facts(service_provided_at=None, received_at=datetime(2026, 4, 1, tzinfo=UTC))
    decision = judging.judge(policy_of([version]), facts, None, "NL")
    period = information_period(datetime(2026, 4, 21, 12, tzinfo=UTC), decision.outcome, decision.version.terms)
    assert period.last_day == last_day
