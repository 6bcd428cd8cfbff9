"""The watch: before the service answers by other data than before, every open promise is compared with that data.

A window that now ends later is promised so; one that now ends earlier keeps what was told. Orders that were registered
before there were promises get theirs first.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import orjson

from refunds.domain import judging
from refunds.domain.eligibility import EDITION, Facts, ToldWindow
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Order, PromiseCause
from refunds.errors import RefundsError
from refunds.service import ProgressCallback, orders, promises, silently
from refunds.service.cases import Case, Cases
from refunds.service.store import Store
from refunds.storage import Row
from refunds.storage.decisions import load_decision
from refunds.storage.mapper import instant, micros
from refunds.storage.unit_of_work import UnitOfWork

STEP = 5_000
"""Promises that are compared in one read."""

BATCH = 500
"""Orders that get a promise in one transaction."""

SUBJECT = "calendar"
"""The subject of the events about changed data."""


class Change(NamedTuple):
    """An order whose window ends at another time by today's data than it was promised.

    `today` None: today's data does not cover the window, or the order cannot be judged any more.
    """

    order_id: str
    promised: datetime
    today: datetime | None

    @property
    def is_longer(self) -> bool:
        """Whether the window ends later today; else the order keeps what it was told."""
        return self.today is not None and self.today > self.promised


@dataclass(frozen=True, slots=True)
class Watched:
    """What the start of the service has done: the data before and now, and the orders that are concerned.

    `before` None: there was no watch before. `filled`: orders that had no promise. `longer`, `kept`: open windows that
    end later now, and those that keep what was told. `older`: the data is older, so nothing was compared.
    """

    before: str | None
    now: str
    filled: int = 0
    longer: int = 0
    kept: int = 0
    older: bool = False


def data_now() -> str:
    """What windows are counted by: the versions of the holiday and time zone data, and the edition of the rules."""
    return f"holidays {HOLIDAYS_VERSION}, tzdata {TZDATA_VERSION}, rules {EDITION}"


def watch(store: Store, progress: ProgressCallback = silently) -> Watched:
    """Fill in missing promises; then, if the data is not what the journal last saw, compare all open promises with it.

    Each batch is an exclusive write, so that instances that start at once do not do it twice; it can be interrupted and
    repeated. Older data than the journal's is not compared, because what it knows less of is not longer.
    """
    filled = _fill(store, progress)
    with store.read(COMMAND_LINE) as uow:
        last = uow.events.last_of(EventType.CALENDAR_CHANGED)
    before, now = None if last is None else orjson.loads(last.data)["to"], data_now()
    if before == now or (before and _is_older(now, before)):
        return Watched(before, now, filled, older=before != now)
    kept = _lengthen(store, progress)
    with store.write(COMMAND_LINE, exclusive=True) as uow:
        # Counted in the records, because an interrupted watch may have made some of them.
        longer = uow.promises.count_made(PromiseCause.CALENDAR_CHANGED, None if last is None else last.at)
        again = uow.events.last_of(EventType.CALENDAR_CHANGED)
        if again is None or orjson.loads(again.data)["to"] != now:  # else another instance was quicker
            data = {"from": before, "to": now, "longer": longer, "kept": kept}
            uow.events.note(EventType.CALENDAR_CHANGED, SUBJECT, data)
    return Watched(before, now, filled, longer, kept)


def changes(uow: UnitOfWork, progress: ProgressCallback = silently) -> Iterator[Change]:
    """The orders with an open window that ends at another time by today's data than it was promised.

    Nothing is stored.
    """
    comparison, done = _Comparison(uow), 0
    place: list[Any] = []
    while rows := uow.promises.open_after(uow.now, *place, limit=STEP):
        yield from comparison.changes(rows)
        place, done = [rows[-1]["deadline"], rows[-1]["order_id"]], done + len(rows)
        progress("open windows", done, done)


def _lengthen(store: Store, progress: ProgressCallback) -> int:
    """Promise every open window that ends later now; the number of those that keep what was told."""
    kept = done = 0
    place: list[Any] = []
    with store.read(COMMAND_LINE) as uow:
        comparison, now = _Comparison(uow), uow.now
    while True:
        with store.read(COMMAND_LINE) as uow:
            rows = uow.promises.open_after(now, *place, limit=STEP)
        if not rows:
            return kept
        found = list(comparison.changes(rows))
        longer = [change.order_id for change in found if change.is_longer]
        for start in range(0, len(longer), BATCH):
            with store.write(COMMAND_LINE, exclusive=True) as uow:
                for order_id in longer[start : start + BATCH]:
                    order = uow.orders.get_for_update(order_id).order
                    promises.keep(uow, order, orders.judged_when_provided(uow, order), PromiseCause.CALENDAR_CHANGED)
        kept += len(found) - len(longer)
        place, done = [rows[-1]["deadline"], rows[-1]["order_id"]], done + len(rows)
        progress("open windows", done, done)


class _Comparison:
    """Counts windows by today's data; equal cases are counted once."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._policies = uow.policies
        self._cases = cache(lambda policy: Cases(self._policies[policy]))
        self._known: dict[tuple[str, Case], int | None] = {}

    def changes(self, rows: Iterable[Row]) -> Iterator[Change]:
        """Those of the promises in these rows that today's data would not make."""
        for row in rows:
            today = self._deadline(row)
            if today != row["deadline"]:
                yield Change(row["order_id"], instant(row["deadline"]), None if today is None else instant(today))

    def _deadline(self, row: Row) -> int | None:
        """The deadline of an order in the row of its promise, as stored; None if it cannot be counted today."""
        case = row["policy"], self._cases(row["policy"]).case(row)
        if case not in self._known:
            self._known[case] = self._counted(row)
        return self._known[case]

    def _counted(self, row: Row) -> int | None:
        provided, ordered = instant(row["service_provided_at"]), row["ordered_at"]
        facts = Facts(service_provided_at=provided, received_at=provided)
        try:
            policy = self._policies[row["policy"]]
            decision = judging.judge(policy, facts, None if ordered is None else instant(ordered), row["region"])
        except RefundsError:
            return None
        return None if decision.deadline is None else micros(decision.deadline)


def _fill(store: Store, progress: ProgressCallback) -> int:
    """Promise what orders were told before there were promises; the number of orders that got a promise.

    That is the window of a decision on record or today's, whichever ends later.
    """
    filled, after = 0, ""
    while True:
        with store.write(COMMAND_LINE, exclusive=True) as uow:
            found = uow.orders.without_promise(after, BATCH)
            on_record = _on_record(uow, found)
            for order in found:
                told = on_record.get(order.order_id, [])
                with suppress(RefundsError):  # such an order cannot be judged any more
                    if (today := orders.judged_when_provided(uow, order).told) is not None:
                        told.append(today)
                if told:
                    last = max(told, key=lambda window: window.deadline)
                    promises.put(uow, order, last, PromiseCause.BEFORE_PROMISES, first=True)
                    filled += 1
        if not found:
            return filled
        after = found[-1].order_id
        progress("orders without a promise", filled, filled)


def _on_record(uow: UnitOfWork, found: list[Order]) -> dict[str, list[ToldWindow]]:
    """The windows that decisions on record have told of orders for their present facts, by order id."""
    by_id = {order.order_id: order for order in found}
    told: dict[str, list[ToldWindow]] = {}
    for row in chain(uow.contacts.decisions(by_id), uow.cancellations.decisions(by_id)):
        order, recorded = by_id[row["order_id"]], load_decision(row["decision"])
        same = (order.policy, order.service_provided_at) == (
            recorded.outcome.policy,
            recorded.facts.service_provided_at,
        )
        if same and (window := recorded.outcome.told) is not None:
            told.setdefault(order.order_id, []).append(window)
    return told


def _versions(data: str) -> list[list[tuple[int, str]]]:
    """The versions in a description of data, in a form in which the newer one is the greater: 0.109 is after 0.57."""
    parts = (part.split()[1] for part in data.split(", "))
    return [[(int(number or 0), letters) for number, letters in re.findall(r"(\d*)([a-z]*)", part)] for part in parts]


def _is_older(now: str, before: str) -> bool:
    """Whether any of the data is older than that of before."""
    return any(mine < theirs for mine, theirs in zip(_versions(now), _versions(before), strict=True))
