"""The result of a simulation, as a page and as a report within one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from refunds.presentation.documents.templating import render_document
from refunds.presentation.texts.dates import month_text
from refunds.presentation.texts.policies import difference_text
from refunds.service.simulation import Flip, Simulation, Tally


def render_html(found: Simulation) -> str:
    """Return the simulation as a page with a chart and its tables, in the reader's language."""
    return render_document("simulation.html", **_values(found))


def render_report(found: Simulation) -> Markup:
    """Return the chart and the tables of a simulation as escaped HTML, without a page around them."""
    return Markup(render_document("simulation_report.html", **_values(found)))  # noqa: S704 - escaped there


def _values(found: Simulation) -> dict[str, Any]:
    """Return the values for the templates, by name; channels and regions are sorted."""
    by_month = with_empty_months(found.by_month)
    return {
        "found": found,
        "differences": [difference_text(one, found.draft.terms.time_zone) for one in found.differences],
        "by_month": by_month,
        "by_channel": dict(sorted(found.by_channel.items())),
        "by_region": dict(sorted(found.by_region.items())),
        "chart": _chart(by_month),
        "Flip": Flip,
    }


def with_empty_months(by_month: Mapping[str, Tally]) -> dict[str, Tally]:
    """Return the tallies sorted by month (`YYYY-MM`), with empty ones in the gaps if at most `MOST_MONTHS` result."""
    if not by_month:
        return {}
    first, last = (12 * int(month[:4]) + int(month[5:]) - 1 for month in (min(by_month), max(by_month)))
    between = (f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1))
    names = between if last - first < MOST_MONTHS else sorted(by_month)
    return {month: by_month.get(month, Tally()) for month in names}


MOST_MONTHS = 120
HEIGHT, WIDTH, WIDEST = 90, 720, 72  # of the longest column, of all columns, and of one with its gap at most


class Column(NamedTuple):
    """A month in the chart: its name (empty if there is no room), counts, position, and reach up and down."""

    name: str
    tally: Tally
    x: float
    up: float
    down: float


class Chart(NamedTuple):
    """Columns up and down from a line, for contacts newly eligible and refused; `top` and `bottom` are the longest."""

    columns: list[Column]
    width: float  # the width of one column, without its gap
    top: float
    bottom: float


def _chart(by_month: Mapping[str, Tally]) -> Chart | None:
    """Return the chart of months (`YYYY-MM`) in this order, with up to 12 labels; None if no contact flips in any."""
    most = max((max(tally.to_eligible, tally.to_refused) for tally in by_month.values()), default=0)
    if not most:
        return None
    step = min(WIDTH / len(by_month), WIDEST)
    every = -(-len(by_month) // 12)
    columns = [
        Column(
            "" if i % every else month_text(month, "MMM yy"),
            tally,
            i * step,
            HEIGHT * tally.to_eligible / most,
            HEIGHT * tally.to_refused / most,
        )
        for i, (month, tally) in enumerate(by_month.items())
    ]
    return Chart(columns, step * 0.72, max(column.up for column in columns), max(column.down for column in columns))
