"""Prints what a release of the holiday data changed, by country: `python -m tools.calendar_diff [EARLIER [LATER]]`.

It compares the installed release with the one before, or those that are named: `tests/changed_data.py` has the hash of
each. A cause is what the later release cites for the country and the earlier one does not. PyPI has no other:
the changelog of the package is not among its files.
"""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import holidays
from holidays.registry import COUNTRIES

from refunds.domain.holidays_data import HOLIDAYS_VERSION
from tests.changed_data import BEFORE, holidays_of, release

YEARS = range(2015, 2051)
SHOWN, SOURCES = 6, 3
"""The dates or regions, and the sources, that a cell lists before it only counts the rest."""

HEADINGS = ("country", "regions", "dates added", "dates removed", "years", "cause")
MODULES = {codes[1]: module for module, codes in COUNTRIES.items()}

_CITED = re.compile(r"\[([^\]]+)\]\((https?://[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)\)|<(https?://[^>]+)>")
"""A source in the text of a module: with a title in Markdown, or as an address alone."""


class Change(NamedTuple):
    """What a release changed for a country: the regions, and the dates in any of them.

    A date is a public holiday, or with the word `worked` a weekend on which the country works. What a region that is
    new or was left out has is not listed.
    """

    country: str
    regions: list[str]
    added: list[str]
    removed: list[str]


def changes(before, after):
    """The changes from the data of one release to that of another, as `holidays_of` gives them, by country."""
    found = {}
    for region in sorted(before.keys() | after.keys()):
        country = region.partition("-")[0]
        was, now = dates(before.get(region)), dates(after.get(region))
        if was == now:
            continue
        change = found.setdefault(country, Change(country, [], [], []))
        if region in before and region in after:
            change.regions.append(region)
            change.added.extend(now - was)
            change.removed.extend(was - now)
        else:
            change.regions.append(f"{region} ({'left out' if region in before else 'new'})")
    return [
        Change(country, regions, sorted(set(added)), sorted(set(removed)))
        for country, regions, added, removed in found.values()
    ]


def dates(data):
    """The dates of a region as the table shows them; none for a region that a release does not know."""
    return {str(day) for day in data.names} | {f"{day} worked" for day in data.working_weekends} if data else set()


def cited(earlier, later):
    """The sources that the text of a module has and an earlier text of it has not: titles with addresses."""
    known = {title_and_address[1] for title_and_address in sources(earlier)}
    return [f"{title} {address}".strip() for title, address in sources(later) if address not in known]


def sources(text):
    """The title and address of each source in the text of a module."""
    return [(title, linked or plain) for title, linked, plain in _CITED.findall(text)]


def row(change, cause):
    """The cells of a change in the table."""
    touched = sorted({int(day[:4]) for day in [*change.added, *change.removed]})
    years = f"{touched[0]} to {touched[-1]}" if len(touched) > 1 else "".join(map(str, touched))
    cells = (change.regions, change.added, change.removed)
    return [change.country, *map(listed, cells), years, listed(cause, SOURCES) or "not known"]


def listed(items, shown=SHOWN):
    """The first items in one text, and how many more there are."""
    more = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {more} more" if more > 0 else "")


def package(number):
    """The directory of the modules of a release, which may be the installed one."""
    return Path(holidays.__file__).parent if number == HOLIDAYS_VERSION else release(number) / "holidays"


def module_text(number, country):
    """The text of a country's module in a release; empty if it has none."""
    path = package(number) / "countries" / f"{MODULES.get(country)}.py"
    return path.read_text() if path.exists() else ""


def table(earlier, later, countries=()):
    """The table of what a release changed since an earlier one, in Markdown, with a line of totals."""
    with ThreadPoolExecutor(2) as pool:
        before, after = pool.map(lambda number: holidays_of(number, YEARS, countries), (earlier, later))
    found = changes(before, after)
    causes = [cited(*(module_text(number, change.country) for number in (earlier, later))) for change in found]
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(row, found, causes)]
    regions, known = sum(len(change.regions) for change in found), sum(map(bool, causes))
    first = (
        f"holidays {earlier} to {later}, {YEARS[0]} to {YEARS[-1]}: {regions} of {len(before.keys() | after.keys())}"
        f" regions in {len(found)} countries changed; the cause is known for {known}."
    )
    return "\n".join([first, "", *(f"| {' | '.join(cells)} |" for cells in rows)])


if __name__ == "__main__":
    earlier, later, *_ = [*(sys.argv[1:] or BEFORE), HOLIDAYS_VERSION]
    print(table(earlier, later))
