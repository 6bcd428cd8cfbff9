"""Row 9: the deadlines of many orders over all calendars of Germany, from the exported table, on one core.

Every engine adds up the deadlines of all orders, so that each makes every one of them, and the sums must agree.
"""

import os
import resource
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np

from bench.decide import version
from bench.measure import Comparison, at_least, best_seconds
from refunds.domain.business_days import SkipReason
from refunds.domain.instants import first_instant, zone
from refunds.domain.judging import calendar_of
from refunds.domain.policy import policy_of
from refunds.domain.regions import subdivisions
from refunds.presentation.deadline_files import write_parquet
from refunds.service import deadline_table

ORDERS, FEWER, QUICK = 100_000_000, 20_000_000, 1_000_000
ENOUGH = 8 * 2**30
"""Bytes of free memory that the most orders need."""
ROUNDS = 2
REGIONS = ["DE", *(f"DE-{part}" for part in subdivisions("DE"))]
FIRST, LAST = date(2026, 1, 1), date(2035, 12, 31)
DAYS = (LAST - FIRST).days + 1
PART = 2**16
"""Orders that numpy looks up at once: their deadlines stay in the cache."""


def lookups(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 9: numpy's look-up and DuckDB's joins, each against `numpy.busday_offset` and a copy or a scan."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    many = QUICK if quick else ORDERS if free > ENOUGH else FEWER
    with TemporaryDirectory() as directory, closing(duckdb.connect()) as connection:
        runs = _runs(connection, Path(directory), many)
        sums = {run() for name, run in runs.items() if name not in {"copy", "scan"}}
        assert len(sums) == 1, sums
        best = best_seconds(runs, ROUNDS, 0)
    goals: Mapping[str, tuple[float | None, float | None, str]] = {
        "numpy's look-up": (300, 25, "copy"),
        "DuckDB, dense numbers": (100, None, "scan"),
        "DuckDB, the key": (None, None, "scan"),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    for name, (rate, times, control) in goals.items():
        figures = {"ours_s": best[name], "control_s": best["numpy.busday_offset"], "peak_mb": peak}
        what = f"{name}, {many:,} orders"
        goal = at_least(rate) if rate else None
        yield Comparison(9, what, "a second", many / best[name] / 1e6, goal, "M", figures)
        ratio = best["numpy.busday_offset"] / best[name]
        yield Comparison(9, what, "numpy.busday_offset", ratio, at_least(times) if times else None, figures=figures)
        against = f"a {control} of the same {'bytes' if control == 'copy' else 'rows'}"
        yield Comparison(9, what, against, best[name] / best[control], figures=figures | {"control_s": best[control]})


def _runs(connection: duckdb.DuckDBPyConnection, directory: Path, many: int) -> dict[str, Callable[[], object]]:
    """The sum of the deadlines of many random orders by each engine, and the controls, all on one thread."""
    tables = _tables(connection, directory)
    chance = np.random.default_rng(9)
    region = chance.integers(0, len(REGIONS), many, dtype=np.int32)
    day = chance.integers(0, DAYS, many, dtype=np.int32)
    place = region * DAYS + day
    by_region = [day[region == number] for number in range(len(REGIONS))]
    del region, day
    orders = {"place": place, "key": tables["key"][place]}  # DuckDB finds it by its name
    connection.execute("CREATE TABLE orders AS FROM orders")
    del orders
    ask = "SELECT sum(deadline) FROM orders JOIN"
    return {
        "numpy's look-up": partial(_looked_up, tables["deadline"], place),
        "numpy.busday_offset": partial(_offset, by_region),
        "copy": partial(_copied, place),
        "DuckDB, dense numbers": partial(_asked, connection, f"{ask} dense USING (place)"),
        "DuckDB, the key": partial(_asked, connection, f"{ask} deadlines USING (key)"),
        "scan": partial(_asked, connection, "SELECT sum(key) FROM orders"),
    }


def _tables(connection: duckdb.DuckDBPyConnection, directory: Path) -> dict[str, Any]:
    """The exported table in DuckDB, by its key and by dense numbers; in numpy, its columns by these numbers."""
    judging = version()
    uow = SimpleNamespace(policies={judging.policy_id: policy_of([judging])}, now=datetime.now(UTC))
    file = directory / "deadlines.parquet"
    with file.open("wb") as written:
        write_parquet(written, deadline_table.table(uow, judging.policy_id, FIRST, LAST, REGIONS))
    connection.execute("SET threads = 1")
    columns = "region, service_day, key, epoch(deadline)::BIGINT AS deadline"
    connection.execute(f"CREATE TABLE deadlines AS SELECT {columns} FROM '{file}' WHERE region != ''")  # noqa: S608
    numbers = ", ".join(f"('{region}', {number})" for number, region in enumerate(REGIONS))
    connection.execute(f"CREATE TABLE numbered AS FROM (VALUES {numbers}) AS given(region, number)")
    place = f"(number * {DAYS} + (service_day - DATE '{FIRST}'))::INTEGER AS place"
    joined = f"SELECT {place}, key, deadline FROM deadlines JOIN numbered USING (region) ORDER BY place"  # noqa: S608
    connection.execute(f"CREATE TABLE dense AS {joined}")
    return connection.execute("SELECT key, deadline FROM dense ORDER BY place").fetchnumpy()


def _asked(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    (answer,) = connection.execute(query).fetchone()
    return int(answer)


def _looked_up(deadlines: Any, place: Any) -> int:
    found, total = np.empty(PART, dtype=deadlines.dtype), 0
    for start in range(0, len(place), PART):
        part = place[start : start + PART]
        total += int(np.take(deadlines, part, out=found[: len(part)], mode="clip").sum())
    return total


def _copied(place: Any) -> None:
    """Copy as many bytes as the look-up reads and writes."""
    found = np.empty(PART, dtype=np.int64)
    for start in range(0, len(place), PART):
        part = place[start : start + PART]
        np.copyto(found[: len(part)], part)


def _offset(by_region: list[Any]) -> int:
    """By `numpy.busday_offset`, with the holidays of each calendar, and the midnights of Berlin in a table."""
    total = 0
    for calendar, days in zip(_calendars(), by_region, strict=True):
        last = np.busday_offset(days + np.datetime64(FIRST), 2, roll="preceding", busdaycal=calendar)
        total += int(_midnights()[(last - np.datetime64(FIRST)).astype(np.int64) + 1].sum())
    return total


@cache
def _calendars() -> list[Any]:
    """The public holidays of each region as numpy has them, with the days around the ten years."""
    every = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 30).tolist()
    found = []
    for region in REGIONS:
        calendar = calendar_of(version(), region)
        found.append(np.busdaycalendar(holidays=[d for d in every if calendar.why_not(d) is SkipReason.PUBLIC_HOLIDAY]))
    return found


@cache
def _midnights() -> Any:
    """The first second of each date in Berlin, from the first service date on."""
    days = (FIRST + timedelta(days=number) for number in range(DAYS + 30))
    return np.array([int(first_instant(day, zone("Europe/Berlin")).timestamp()) for day in days])
