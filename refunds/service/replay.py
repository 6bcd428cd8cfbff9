"""Replay: make every stored decision again from its facts, with today's code, holiday data and time zone data."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from refunds.domain import judging
from refunds.domain.outcomes import NO_NAMES, Outcome
from refunds.domain.regions import is_lost
from refunds.errors import RefundsError, UnknownRegion
from refunds.service import ProgressCallback, silently
from refunds.storage import Row
from refunds.storage.decisions import load_decision
from refunds.storage.unit_of_work import UnitOfWork

DATA_VERSIONS = {"holidays_version", "tzdata_version"}
"""Fields that may change without making a decision another one: the versions of the data behind it."""

STEP = 1_000
"""Decisions between two reports of progress."""


class Difference(NamedTuple):
    """A decision that would differ today: what it says and what it would say, or why it cannot be made."""

    order_id: str
    record_id: str
    changed: dict[str, tuple[Any, Any]]
    failure: RefundsError | None = None


@dataclass(slots=True)
class Replayed:
    """The counts of a replay: stored decisions, those that differ, and those made with other data than today's.

    Those `without_calendar` cannot be made again, because the holiday data has lost their country: they do not differ.
    """

    decisions: int = 0
    differences: int = 0
    without_calendar: int = 0
    other_data: Counter[str] = field(default_factory=Counter)


def replay(uow: UnitOfWork, found: Replayed, progress: ProgressCallback = silently) -> Iterator[Difference]:
    """Make every stored decision again, and yield each difference; add to the counts in `found`.

    A decision that cannot be made again is a difference, too, unless its country is no longer in the holiday data.
    """
    total = uow.contacts.count() + uow.cancellations.count()
    for row in chain(uow.contacts.decisions(), uow.cancellations.decisions()):
        difference = _difference(uow, found, row)
        found.decisions += 1
        if difference is not None:
            found.differences += 1
            yield difference
        if not found.decisions % STEP:
            progress("decisions", found.decisions, total)
    progress("decisions", total, total)


def _difference(uow: UnitOfWork, found: Replayed, row: Row) -> Difference | None:
    """Return how a decision differs today, or why it cannot be made; None if it is the same.

    Another version of the data, another name of a holiday, or a country that the data has lost is no difference.
    `found` counts other versions and lost countries.
    """
    recorded = load_decision(row["decision"])
    # A holiday with another name today is no difference; only a kept promise gives names when it is judged again.
    before = recorded.outcome._replace(names=NO_NAMES)
    try:
        after = judging.decided_again(uow.policies, recorded).outcome._replace(names=NO_NAMES)
    except RefundsError as error:
        if isinstance(error, UnknownRegion) and is_lost(recorded.counted_region or before.region):
            found.without_calendar += 1
            return None
        return Difference(row["order_id"], row["record_id"], {}, error)
    said = zip(Outcome._fields, before, after, strict=True)
    changed = {name: (was, is_now) for name, was, is_now in said if was != is_now}
    for name in DATA_VERSIONS & changed.keys():
        found.other_data[name] += 1
        del changed[name]
    return Difference(row["order_id"], row["record_id"], changed) if changed else None
