"""Replay: every stored decision made again from its own facts, by today's code, holiday data and time zone data."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import orjson

from refunds.domain import judging
from refunds.domain.eligibility import Outcome
from refunds.errors import RefundsError
from refunds.service.work import Work
from refunds.storage import Row, cancellations, contacts
from refunds.storage.table import count_rows

DATA_VERSIONS = {"holidays_version", "tzdata_version"}
"""What a decision was made with may have grown older without making a difference."""

STEP = 1_000
"""Decisions between two reports of progress."""

Tell = Callable[[int, int], None]
"""Told how many decisions were made again, and how many there are."""


class Difference(NamedTuple):
    """A decision that would be another one today: what it says, and what it would say; or why it cannot be made."""

    order_id: str
    record_id: str
    changed: dict[str, tuple[Any, Any]]
    failure: RefundsError | None = None


@dataclass(slots=True)
class Replayed:
    """How far a replay is: decisions made again, those that differ, and those made with other data than today's."""

    decisions: int = 0
    differences: int = 0
    other_data: Counter[str] = field(default_factory=Counter)


def replay(work: Work, found: Replayed, tell: Tell = lambda _, __: None) -> Iterator[Difference]:
    """Each stored decision that would be another one today, found as the records are read; `found` counts them all."""
    total = count_rows(work.tx, "contacts") + count_rows(work.tx, "cancellations")
    for row in chain(contacts.decisions(work.tx), cancellations.decisions(work.tx)):
        difference = _difference(work, found, row)
        found.decisions += 1
        if difference is not None:
            found.differences += 1
            yield difference
        if not found.decisions % STEP:
            tell(found.decisions, total)
    tell(total, total)


def _difference(work: Work, found: Replayed, row: Row) -> Difference | None:
    record = orjson.loads(row["decision"])
    before = Outcome.of(record["outcome"])
    try:
        after = judging.decided_again(work.policies, record).outcome
    except RefundsError as error:
        return Difference(row["order_id"], row["record_id"], {}, error)
    said = zip(Outcome._fields, before, after, strict=True)
    changed = {name: (was, is_now) for name, was, is_now in said if was != is_now}
    for name in DATA_VERSIONS & changed.keys():
        found.other_data[name] += 1
        del changed[name]
    return Difference(row["order_id"], row["record_id"], changed) if changed else None
