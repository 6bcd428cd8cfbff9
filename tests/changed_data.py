"""Other holiday and time zone data than the installed, for the length of a block, as after an upgrade.

Releases of the `holidays` package are brought from PyPI once, by version and hash, into a cache of the user.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest import mock

from refunds.domain import eligibility, holidays_data, instants, judging, regions
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.presentation import decisions
from refunds.service import promises, watch
from refunds.web.console import regions as console_regions

RELEASES = {
    "0.57": "bdfb2a6d58e4b7d819e049b469228e890a5ad42b8ea2bd2c150d8c10726ea82d",
    "0.83": "e36a368227b5b62129871463697bfde7e5212f6f77e43640320b727b79a875a8",
    "0.90": "8ed92ea72e2db5ef00f024c37b03641085699809f42fe5ba03b040be6740f72d",
    "0.100": "cf67e8983c3af182b62081be27c965c6fdf41377026aa62ac82d1bbc8c7ebd8f",
    "0.105": "7fbd87770f1128eb24514fbb4c3ec6afa1c72d65c346713dbc13c2d0297df481",
}
"""The SHA-256 of the wheel of each release."""

BEFORE = {"0.108": "5a08fdccd0b8737093d483ba0d0d9696560396d99d3fa6ef9264fd2ac48749c7"}
"""The same of the release before the installed one, with which `make calendar-diff` compares it."""

HASHES = RELEASES | BEFORE

EVERYWHERE = "everywhere"
"""Every region, as a place where holidays are other ones."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "refunds-tests"

_DUMP = """
import holidays, json, sys, warnings
warnings.simplefilter("ignore")
first, last, *wanted = sys.argv[1:]
first, last = int(first), int(last)
found = {}
for country, subdivisions in holidays.list_supported_countries(include_aliases=False).items():
    if wanted and country not in wanted:
        continue
    entity = getattr(holidays, country)
    years = range(max(first, getattr(entity, "start_year", 1)), min(last, getattr(entity, "end_year", 9999)) + 1)
    for subdivision in [None, *subdivisions]:
        built = holidays.country_holidays(country, subdiv=subdivision, years=years, expand=False, categories=("public",))
        days = {str(day): name for day, name in built.items() if day.year in years}
        worked = [str(day) for day in getattr(built, "weekend_workdays", ()) if day.year in years]
        found[f"{country}-{subdivision}" if subdivision else country] = days, worked
json.dump(found, sys.stdout)
"""


class Holidays(NamedTuple):
    """The holidays of a region by date, and the weekends on which it works."""

    names: Mapping[date, str]
    working_weekends: frozenset[date]


@cache
def release(number: str) -> Path:
    """The directory of a release of the holiday data; brought at first use, and kept for later runs."""
    place = CACHE / f"holidays-{number}-{HASHES[number][:12]}"
    if not (place / "holidays").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as above:
            _bring(number, Path(above))
            try:
                Path(above, "unpacked").rename(place)
            except OSError:  # another process was quicker
                assert (place / "holidays").is_dir()
    return place


def _bring(number: str, above: Path) -> None:
    """Install a release into `unpacked` in a directory, with pip of a Python that has it."""
    pinned = above / "pinned.txt"
    pinned.write_text(f"holidays=={number} --hash=sha256:{HASHES[number]}\n")
    options = ["--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    installing = ["-m", "pip", "install", *options, "--target", str(above / "unpacked"), "-r", str(pinned)]
    tried = []
    for python in (sys.executable, sys._base_executable, "python3"):
        ended = subprocess.run([python, *installing], capture_output=True, text=True, check=False, cwd=above)
        if ended.returncode == 0:
            return
        tried.append(ended.stderr.strip())
    raise RuntimeError(f"holidays {number} cannot be brought from PyPI; can it be reached?\n" + "\n".join(tried))


def holidays_of(number: str, years: range, countries: Collection[str] = ()) -> dict[str, Holidays]:
    """What a release, which may be the installed one, says of every region that it knows, in these years.

    With `countries`, only of the regions in these.
    """
    paths = {} if number == HOLIDAYS_VERSION else {"PYTHONPATH": str(release(number))}
    asked = [sys.executable, "-c", _DUMP, str(years[0]), str(years[-1]), *countries]
    environment = {name: value for name, value in os.environ.items() if name not in {"LANG", "LANGUAGE"}} | paths
    printed = subprocess.run(asked, env=environment, capture_output=True, check=True).stdout
    return {
        region: Holidays(
            MappingProxyType({date.fromisoformat(day): name for day, name in names.items()}),
            frozenset(map(date.fromisoformat, worked)),
        )
        for region, (names, worked) in json.loads(printed).items()
    }


@contextmanager
def few_years(years: range) -> Iterator[None]:
    """Build calendars of these years alone in the block, because those of every year take half a minute."""
    covered = dict.fromkeys(regions.countries(), (years[0], years[-1]))
    with mock.patch.object(holidays_data, "_COVERED", covered), _forgotten():
        yield


@contextmanager
def holiday_data(number: str, data: Mapping[str, Holidays]) -> Iterator[None]:
    """Count by the holidays of another release in the block; countries that it does not know have the present ones."""

    def changed(country: str, subdivision: str | None, *how: Any, **others: Any) -> holidays_data._Holidays:
        known = genuine(country, subdivision, *how, **others)
        if others:  # days of other categories, for the law on periods
            return known
        found = data.get(f"{country}-{subdivision}") or data.get(country)  # what all parts share is of one release
        return replace(known, names=found.names, working_weekends=found.working_weekends) if found else known

    genuine = holidays_data._built
    with mock.patch.object(holidays_data, "_built", changed), _named("HOLIDAYS_VERSION", number):
        yield


@contextmanager
def other_holidays(
    number: str,
    added: Collection[tuple[str, date]] = (),
    lost: Collection[tuple[str, date]] = (),
    *,
    more_years: int = 0,
) -> Iterator[None]:
    """Count by data in the block in which regions, or `EVERYWHERE`, have more holidays and have lost some.

    It covers more years than the present one, without holidays.
    """

    def changed(country: str, subdivision: str | None, *how: Any, **others: Any) -> holidays_data._Holidays:
        known = genuine(country, subdivision, *how, **others)
        if others:
            return known
        here = {EVERYWHERE, f"{country}-{subdivision}" if subdivision else country}
        names = known.names | {day: "Another" for place, day in added if place in here}
        gone = {day for place, day in lost if place in here}
        names = MappingProxyType({day: name for day, name in names.items() if day not in gone})
        return replace(known, names=names, years=range(known.years[0], known.years[-1] + 1 + more_years))

    genuine = holidays_data._built
    with mock.patch.object(holidays_data, "_built", changed), _named("HOLIDAYS_VERSION", number):
        yield


@contextmanager
def lost_country(number: str, country: str) -> Iterator[None]:
    """Count by data in the block that no longer has a country, nor any of its subdivisions."""
    left = regions.countries() - {country}
    with (
        mock.patch.object(regions.EntityLoader, "get_country_codes", return_value=left),
        mock.patch.object(regions.holidays, country, None),  # what still reads it fails
        _named("HOLIDAYS_VERSION", number),
    ):
        yield


@contextmanager
def zone_data(number: str, **like: str) -> Iterator[None]:
    """Count by time zone data in the block in which zones (`Europe_Berlin="Europe/London"`) are like others."""
    genuine: Callable[..., Any] = instants.files
    places = {name.replace("_", "/", 1): other for name, other in like.items()}

    class Changed:
        """The files of the zones, some under the names of others."""

        def joinpath(self, first: str, *parts: str) -> Any:
            name = "/".join(parts)
            return genuine(instants.tzdata).joinpath(first, *places.get(name, name).split("/"))

        def __truediv__(self, name: str) -> Any:
            return genuine(instants.tzdata) / name

    with mock.patch.object(instants, "files", return_value=Changed()), _named("TZDATA_VERSION", number):
        yield


@contextmanager
def _named(what: str, number: str) -> Iterator[None]:
    """Give the version of data another number in the block, and forget what was made from other data."""
    modules = [module for module in (holidays_data, instants, eligibility, promises, watch) if hasattr(module, what)]
    patched = [mock.patch.object(module, what, number) for module in modules]
    for one in patched:
        one.start()
    try:
        with _forgotten():
            yield
    finally:
        for one in patched:
            one.stop()


@contextmanager
def _forgotten() -> Iterator[None]:
    """Forget calendars and zones before the block and after it."""
    _forget()
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    for kept in (holidays_data._calendar, holidays_data._region_days, holidays_data._names, holidays_data._parts):
        kept.cache.clear()
    holidays_data.subdivisions_that_differ.cache.clear()
    known = (regions.countries, regions.place, regions.subdivisions, console_regions._by_name)
    counted = (holidays_data._law_days, judging._closed, judging._closed_again, instants.zone, decisions._cached_parts)
    for kept in (holidays_data.business_calendar, holidays_data.no_calendar, *known, *counted):
        kept.cache_clear()
