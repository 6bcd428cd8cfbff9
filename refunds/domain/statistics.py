"""Statistics: how many customers made contact in a month, in cells that give nobody away; stored once, for good.

A cell is a country, a channel and an outcome. Cells are disjoint, and there are no totals, so no cell can be computed
from others. What is not shown is not stored.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from refunds.domain.contact_points import Channel
from refunds.domain.instants import first_instant
from refunds.domain.outcomes import Verdict
from refunds.domain.records import Intent

MONTH = r"(?!000)[0-9]{4}-(0[1-9]|1[0-2])"  # a month as it is written: `YYYY-MM`, from the year 10
FEWEST = 10  # a cell with fewer customers is never shown


class ContactOutcome(StrEnum):
    """What a contact had come to when its month was closed."""

    CANCELLED = "cancelled"  # its order is cancelled on it
    CANCELLABLE = "cancellable"  # it asked for a cancellation as of right, and its order is not cancelled on it
    NEEDS_SUPERVISOR = "needs_supervisor"  # it asked, a supervisor had to decide, and its order is not cancelled on it
    REFUSED = "refused"
    QUESTION = "question"
    WITHDRAWAL = "withdrawal"


class Cell(NamedTuple):
    """What customers are counted by, each once in a cell."""

    country: str
    channel: Channel
    outcome: ContactOutcome


Cells = Mapping[str, Mapping[str, Mapping[str, int]]]  # the cells that are shown, by country, channel and outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedMonth:
    """The statistics of a month, `YYYY-MM` by the clocks of the default policy; they never change."""

    month: str
    cells: Cells
    closed_at: datetime
    closed_by: str


def outcome_of(intent: Intent, verdict: Verdict, *, is_cancelled: bool) -> ContactOutcome:
    """Return what a contact came to: with the intent to cancel, cancelled or else the verdict; otherwise its intent."""
    if intent is not Intent.CANCEL:
        return ContactOutcome(intent)
    return ContactOutcome.CANCELLED if is_cancelled else ContactOutcome(verdict)


def draw_least() -> int:
    """Draw how many customers a cell needs to be shown: ten, plus a random number from 0 on.

    Otherwise, somebody who knows nine customers of a cell that is not shown would know that there is no tenth.
    """
    needed = FEWEST
    while secrets.randbits(1):
        needed += 1
    return needed


def cells_to_publish(counts: Mapping[Cell, int]) -> Cells:
    """Return the exact counts of the cells that have enough customers to be shown; the other cells are left out.

    `draw_least` draws at random for each cell how many are enough, so another call can return others: store the result.
    """
    cells: dict[str, dict[str, dict[str, int]]] = {}
    for (country, channel, outcome), count in sorted(counts.items()):
        if count >= draw_least():
            cells.setdefault(country, {}).setdefault(str(channel), {})[str(outcome)] = count
    return cells


def bounds(month: str, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first instants, in UTC, of a month (`YYYY-MM`) and the next. Raises `ValueError` from 9999-12 on."""
    year, number = map(int, month.split("-"))
    return first_instant(date(year, number, 1), tz), first_instant(date(year + number // 12, number % 12 + 1, 1), tz)
