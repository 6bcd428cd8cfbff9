"""`make calendar-diff` lists what a release of the holiday data changed."""

from datetime import date
from types import MappingProxyType

from refunds.domain.holidays_data import HOLIDAYS_VERSION
from tests.changed_data import BEFORE, Holidays
from tools.calendar_diff import HEADINGS, Change, changes, cited, row, table


def data(*days, worked=()):
    """The holidays of a region and the weekends on which it works."""
    named = {date.fromisoformat(day): "A holiday" for day in days}
    return Holidays(MappingProxyType(named), frozenset(map(date.fromisoformat, worked)))


def test_a_change_lists_the_dates_and_regions_of_a_country():
    before = {
        "AA": data("2026-01-01"),
        "BB": data("2026-05-01", worked=["2026-12-12"]),
        "BB-X": data("2026-05-01"),
        "BB-Y": data("2026-05-01"),
        "BB-Z": data("2026-05-01"),
    }
    after = {
        "AA": data("2026-01-01"),
        "BB": data("2026-05-01", "2027-12-24"),
        "BB-V": data("2026-05-01"),
        "BB-X": data("2026-05-01"),
        "BB-Y": data("2027-12-24"),
    }
    (change,) = changes(before, after)
    assert change == Change(
        "BB", ["BB", "BB-V (new)", "BB-Y", "BB-Z (left out)"], ["2027-12-24"], ["2026-05-01", "2026-12-12 worked"]
    )
    assert dict(zip(HEADINGS, row(change, []), strict=True)) == {
        "country": "BB",
        "regions": "BB, BB-V (new), BB-Y, BB-Z (left out)",
        "dates added": "2027-12-24",
        "dates removed": "2026-05-01, 2026-12-12 worked",
        "years": "2026 to 2027",
        "cause": "not known",
    }


def test_many_dates_are_counted():
    many = [f"2026-01-{day:02}" for day in range(1, 10)]
    assert row(Change("BB", ["BB"], many, []), [])[2].endswith("2026-01-06 and 3 more")


def test_a_cause_is_a_source_that_the_earlier_release_did_not_cite():
    earlier = "* [Act I](https://example.org/1)\n* <https://example.org/2>"
    later = "* [The Act](https://example.org/1)\n* [Act (III)](https://example.org/a_(3)/b)\n# <https://example.org/4>"
    assert cited(earlier, later) == ["Act (III) https://example.org/a_(3)/b", "https://example.org/4"]
    assert cited(later, later) == []


def test_two_releases_are_compared_and_the_later_one_names_the_cause():
    totals, _, *rows = table("0.100", "0.105", ("DE", "KZ")).splitlines()
    assert totals.endswith(" 1 of 19 regions in 1 countries changed; the cause is known for 1.")
    assert [line.split(" | ")[0] for line in rows] == ["| country", "| ---", "| KZ"]
    assert "adilet.zan.kz" in rows[-1]


def test_the_release_before_the_installed_one_is_compared():
    """After an upgrade, put the number and hash of the release before into `BEFORE`, and read what the other changed."""
    major, minor = HOLIDAYS_VERSION.split(".")[:2]
    assert list(BEFORE) == [f"{major}.{int(minor) - 1}"]
