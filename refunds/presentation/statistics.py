"""The statistics of a month: as data, as a table, and as a chart."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant
from refunds.domain.statistics import Cell, ClosedMonth, ContactOutcome
from refunds.errors import Message

OUTCOMES = {
    ContactOutcome.CANCELLED: Message("Cancelled"),
    ContactOutcome.CANCELLABLE: Message("Not cancelled, but could be"),
    ContactOutcome.NEEDS_SUPERVISOR: Message("For a supervisor"),
    ContactOutcome.REFUSED: Message("Refused"),
    ContactOutcome.QUESTION: Message("Question"),
    ContactOutcome.WITHDRAWAL: Message("Withdrawal"),
}
"""The outcomes in words."""


def statistics_data(found: ClosedMonth, months: Sequence[str]) -> dict[str, Any]:
    """Return the statistics of a month and the closed `months` for the API; a cell that is not shown counts None."""
    return {
        "month": found.month,
        "closed_at": format_instant(found.closed_at),
        "months": list(months),
        "cells": [
            {"country": cell.country, "channel": cell.channel, "outcome": cell.outcome, "count": count}
            for cell, count in _cells(found)
        ],
    }


def _cells(found: ClosedMonth) -> Iterator[tuple[Cell, int | None]]:
    """Yield all cells, in order, of each country with a shown one; each has its count, or None if it is not shown."""
    for country, channels in sorted(found.cells.items()):
        for channel in Channel:
            for outcome in ContactOutcome:
                yield Cell(country, channel, outcome), channels.get(channel, {}).get(outcome)


def table(found: ClosedMonth) -> list[tuple[Cell, list[int | None]]]:
    """Return a row for each country and channel: its first cell, and its counts in the order of `ContactOutcome`."""
    cells, width = list(_cells(found)), len(ContactOutcome)
    rows = (cells[start : start + width] for start in range(0, len(cells), width))
    return [(row[0][0], [count for _, count in row]) for row in rows]


class Bar(NamedTuple):
    """A bar of the chart: its cell, its customers and its length, of which `LONGEST` is that of the longest."""

    cell: Cell
    customers: int
    length: float


LONGEST, MOST_BARS = 640, 12


def chart(found: ClosedMonth) -> list[Bar]:
    """Return a bar for each of the largest cells that are shown, at most `MOST_BARS`, the largest first."""
    largest = sorted(((count, cell) for cell, count in _cells(found) if count), key=lambda one: (-one[0], one[1]))
    return [Bar(cell, count, LONGEST * count / largest[0][0]) for count, cell in largest[:MOST_BARS]]
