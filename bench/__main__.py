"""`python -m bench`: measure each row and print it, then write `bench/results.json`; `python -m bench 4` only row 4.

Rows 6 and 7 have a million orders only if they are named: to store so many takes minutes.
"""

import argparse
import json
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import bulk, decide, growth, over_http, simulate, watched, writes
from bench.measure import Comparison

RESULTS = Path(__file__).with_name("results.json")

ROWS: Mapping[int, Callable[..., Iterable[Comparison]]] = {
    1: decide.comparisons,
    2: over_http.single_checks,
    3: over_http.batches,
    4: writes.on_sqlite,
    5: writes.on_postgresql,
    6: simulate.simulations,
    7: growth.growth,
    8: over_http.starts,
    9: bulk.lookups,
    10: watched.watches,
}

LONG = {6, 7}
"""Rows that are quick unless they are named."""


def main() -> None:
    options = _options()
    console = Console()
    rows = options.rows or list(ROWS)
    compared: list[Comparison] = []
    for done, row in enumerate(rows):
        with console.status(f"Measuring row {row}: {done} of {len(rows)} rows are done ..."):
            found = list(ROWS[row](quick=options.quick or (row in LONG and not options.rows)))
        console.print(_table(found))
        compared += found
    _write(compared, quick=options.quick)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare the service with its controls.")
    parser.add_argument("rows", type=_row, nargs="*", help=f"only these of 1 to {len(ROWS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="few rounds and fewer stored orders: whether it runs")
    return parser.parse_args()


def _row(text: str) -> int:
    """The number of a row; argparse would take no row at all for a wrong choice."""
    if int(text) not in ROWS:
        raise argparse.ArgumentTypeError(f"there is no row {text}")
    return int(text)


def _table(compared: Iterable[Comparison]) -> Table:
    table = Table("#", "what", "against", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("measured", "goal"):
        table.add_column(name, justify="right")
    table.add_column("reached")
    for one in compared:
        table.add_row(str(one.row), one.what, one.against, _figure(one), _goal(one), _reached(one))
    return table


def _figure(one: Comparison) -> str:
    digits = 0 if one.measured >= 100 else 1 if one.measured >= 10 else 2
    return f"{one.measured:.{digits}f} {one.unit}"


def _goal(one: Comparison) -> str:
    sign = {"at least": "≥", "at most": "≤"}
    return f"{sign[one.goal.bound]} {one.goal.value:g}" if one.goal else ""


def _reached(one: Comparison) -> str:
    return {True: "[green]yes[/]", False: "[bold red]no[/]", None: ""}[one.reached]


def _write(compared: Iterable[Comparison], *, quick: bool) -> None:
    """Write the results to `bench/results.json`, with the figures from which each ratio was calculated."""
    results = {
        "python": platform.python_version(),
        "quick": quick,
        "comparisons": [one.data() for one in compared],
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
