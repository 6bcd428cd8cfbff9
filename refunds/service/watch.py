"""The watch: before the service answers by other data than before, every open promise is compared with that data.

A window that now ends later is promised so; one that now ends earlier keeps what was told. Orders that were registered
before there were promises get theirs first.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import orjson

from refunds.domain import judging
from refunds.domain.eligibility import EDITION
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION
from refunds.domain.journal import ABOUT_POLICIES, EventType
from refunds.domain.outcomes import Facts, ToldWindow
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import Contact, Order, PromiseCause
from refunds.errors import RefundsError
from refunds.service import ProgressCallback, orders, promises, silently
from refunds.service.cases import Case, Cases
from refunds.service.store import Store
from refunds.storage import Row
from refunds.storage.decisions import load_decision, load_told
from refunds.storage.mapper import instant, micros
from refunds.storage.unit_of_work import UnitOfWork

STEP = 5_000
"""Promises that are compared in one read."""

BATCH = 500
"""Orders that get a promise in one transaction."""

KNOWN = 20_000
"""Windows of which a comparison remembers how they end; they come in the order of their ends."""

ENDED = timedelta(days=14)
"""How long after its end a window is still compared: by other data it may end later, and contacts are entered late."""

RECENT = timedelta(days=14)
"""How long agents are told of changed data."""

SUBJECT = "calendar"
"""The subject of the events about changed data."""


class Change(NamedTuple):
    """An order whose open window ends at another time by today's data than it was promised.

    `today` is the end by today's data, None if that does not cover the window or the order cannot be judged any more;
    `stands` the one that the order is told from now on. `promised_at` is when it was told the earlier end, which was
    promised until `until`, or still is if that is None.
    """

    order_id: str
    promised: datetime
    today: datetime | None
    stands: datetime
    time_zone: str
    promised_at: datetime
    until: datetime | None = None

    @property
    def is_longer(self) -> bool:
        """Whether the window ends later than was promised."""
        return self.stands > self.promised

    @property
    def is_kept(self) -> bool:
        """Whether the window ends later than today's data says, because of what was told."""
        return self.today is None or self.today < self.stands


class LastChange(NamedTuple):
    """The last change of data that the journal has: when, from what (None: the first watch) to what, and for how many.

    `longer`, `kept`: open windows that ended later from then on, and those that kept what was told.
    """

    position: int
    at: datetime
    before: str | None
    now: str
    longer: int
    kept: int

    @property
    def is_newer(self) -> bool:
        """Whether this instance counts by older data than that of the journal."""
        return self.now != data_now() and _is_older(data_now(), self.now)


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
    filled, now = _fill(store, progress), data_now()
    with store.read(COMMAND_LINE) as uow:
        last = last_change(uow)
        rules = max((event.position for type_ in ABOUT_POLICIES if (event := uow.events.last_of(type_))), default=0)
    if last and (last.now == now or last.is_newer):
        if rules > last.position:  # the process may have been killed before it extended the windows
            extend(store, progress)
        return Watched(last.now, now, filled, older=last.is_newer)
    kept = _lengthen(store, PromiseCause.CALENDAR_CHANGED, progress)
    with store.write(COMMAND_LINE, exclusive=True) as uow:
        # Counted in the records, because an interrupted watch may have made some of them.
        longer = uow.promises.count_made(PromiseCause.CALENDAR_CHANGED, last and last.at)
        again = last_change(uow)  # another instance may have been quicker, also one with newer data
        older = again is not None and again.is_newer
        if not (older or (again and again.now == now)):
            data = {"from": again and again.now, "to": now, "longer": longer, "kept": kept}
            uow.events.note(EventType.CALENDAR_CHANGED, SUBJECT, data)
    return Watched(again.now if again and older else last and last.now, now, filled, longer, kept, older)


def extend(store: Store, progress: ProgressCallback = silently) -> None:
    """Promise every open window that ends later since a version of a policy was registered or a closure entered."""
    _lengthen(store, PromiseCause.POLICY_CHANGED, progress)


def last_change(uow: UnitOfWork, before: int | None = None) -> LastChange | None:
    """The last change of data, or the last before a position of the journal; None before the first watch."""
    event = uow.events.last_of(EventType.CALENDAR_CHANGED, before)
    if event is None:
        return None
    data = orjson.loads(event.data)
    return LastChange(event.position, event.at, data["from"], data["to"], data["longer"], data["kept"])


def recent_change(uow: UnitOfWork) -> LastChange | None:
    """The last change of data, if it is of the last 14 days and has moved or kept the end of an open window."""
    last = last_change(uow)
    return last if last and uow.now - last.at < RECENT and last.longer + last.kept else None


def lengthened(uow: UnitOfWork) -> Iterator[Change]:
    """The orders whose window the last watch has promised to end later, with the end that they were told before."""
    last = last_change(uow)
    since = last and last_change(uow, last.position)
    for row in uow.promises.made(PromiseCause.CALENDAR_CHANGED, since and since.at) if last else ():
        yield _change(row, row["today"], row["today"], instant(row["until"]))


def told(uow: UnitOfWork, change: Change) -> list[Contact]:
    """The contacts about an order that were recorded while the earlier end of a change was promised."""
    since, until = change.promised_at, change.until or uow.now
    return [one for one in uow.contacts.of_order(change.order_id) if since <= one.recorded_at <= until]


def _change(row: Row, today: int | None, stands: int, until: datetime | None = None) -> Change:
    """The change of the order in the row of its promise; the ends are as stored."""
    ends = instant(row["deadline"]), None if today is None else instant(today), instant(stands)
    return Change(row["order_id"], *ends, load_told(row["told"]).time_zone, instant(row["promised_at"]), until)


def changes(uow: UnitOfWork, progress: ProgressCallback = silently) -> Iterator[Change]:
    """The orders with an open window that ends at another time by today's data than it was promised.

    Nothing is stored.
    """
    comparison, done = _Comparison(uow), 0
    place: list[Any] = []
    while rows := uow.promises.open_after(uow.now - ENDED, *place, limit=STEP):
        yield from comparison.changes(rows)
        place, done = [rows[-1]["deadline"], rows[-1]["order_id"]], done + len(rows)
        progress("open windows", done, done)


def _lengthen(store: Store, cause: PromiseCause, progress: ProgressCallback) -> int:
    """Promise every open window that ends later now, for a cause; the number of those that keep what was told."""
    kept = done = 0
    place: list[Any] = []
    with store.read(COMMAND_LINE) as uow:
        comparison, now, since = _Comparison(uow), uow.now, micros(uow.now)
    while True:
        with store.read(COMMAND_LINE) as uow:
            rows = uow.promises.open_after(now - ENDED, *place, limit=STEP)
        if not rows:
            return kept
        found = list(comparison.changes(rows))
        longer = [change.order_id for change in found if change.is_longer]
        for start in range(0, len(longer), BATCH):
            with store.write(COMMAND_LINE, exclusive=True) as uow:
                for order_id in longer[start : start + BATCH]:
                    order = uow.orders.get_for_update(order_id).order
                    promises.keep(uow, order, orders.judged_when_provided(uow, order), cause)
        again = {row["order_id"] for row in rows if row["cause"] == cause and row["promised_at"] >= since}
        kept += sum(change.is_kept and change.order_id not in again for change in found)
        place, done = [rows[-1]["deadline"], rows[-1]["order_id"]], done + len(rows)
        progress("open windows", done, done)


class _Comparison:
    """Counts windows by today's data; equal cases are counted once."""

    def __init__(self, uow: UnitOfWork) -> None:
        self._policies = uow.policies
        self._cases = cache(lambda policy: Cases(self._policies[policy]))
        self._known: dict[tuple[str, Case, str], tuple[int | None, int] | None] = {}

    def changes(self, rows: Iterable[Row]) -> Iterator[Change]:
        """Those of the promises in these rows whose order has another end by today's data, or is told another."""
        for row in rows:
            if ends := self._ends(row):
                yield _change(row, *ends)

    def _ends(self, row: Row) -> tuple[int | None, int] | None:
        """The ends of a change, `today` and `stands`, for the order in the row of its promise; None if nothing changes.

        They are as stored.
        """
        case = row["policy"], self._cases(row["policy"]).case(row), row["told"]
        if case not in self._known:
            if len(self._known) == KNOWN:
                self._known.clear()
            self._known[case] = self._counted(row)
        return self._known[case]

    def _counted(self, row: Row) -> tuple[int | None, int] | None:
        provided, ordered = instant(row["service_provided_at"]), row["ordered_at"]
        facts = Facts(service_provided_at=provided, received_at=provided)
        try:
            policy, at = self._policies[row["policy"]], None if ordered is None else instant(ordered)
            today, stands = (
                judging.judge(policy, facts, at, row["region"], promise=promise, of_order=True).deadline
                for promise in (None, load_told(row["told"]))
            )
        except RefundsError:
            return None, row["deadline"]
        assert stands
        ends = None if today is None else micros(today), micros(stands)
        return None if ends == (row["deadline"], row["deadline"]) else ends


def _fill(store: Store, progress: ProgressCallback) -> int:
    """Promise what orders were told before there were promises; the number of orders that got a promise.

    That is the last of the windows that decisions on record have told, or today's if that ends later; the dates that
    were told do not count in today's either.
    """
    filled, after = 0, ""
    while True:
        with store.write(COMMAND_LINE, exclusive=True) as uow:
            found = uow.orders.without_promise(after, BATCH)
            on_record = _on_record(uow, found)
            for order in found:
                told = on_record.get(order.order_id)
                with suppress(RefundsError):  # such an order cannot be judged any more
                    told = orders.judged_when_provided(uow, order, told).told
                if told is not None:
                    promises.put(uow, order, told, PromiseCause.BEFORE_PROMISES, first=True)
                    filled += 1
        if not found:
            return filled
        after = found[-1].order_id
        progress("orders without a promise", filled, filled)


def _on_record(uow: UnitOfWork, found: list[Order]) -> dict[str, ToldWindow]:
    """The window that decisions on record have told of an order for its present facts, by order id.

    If they have told several, it is the one that ends last.
    """
    by_id = {order.order_id: order for order in found}
    told: dict[str, ToldWindow] = {}
    for row in chain(uow.contacts.decisions(by_id), uow.cancellations.decisions(by_id)):
        order, recorded = by_id[row["order_id"]], load_decision(row["decision"])
        same = (order.policy, order.service_provided_at) == (
            recorded.outcome.policy,
            recorded.facts.service_provided_at,
        )
        if same and (window := recorded.outcome.told) is not None:
            told[order.order_id] = max(told.get(order.order_id, window), window, key=lambda one: one.deadline)
    return told


def _versions(data: str) -> list[list[tuple[int, str]]]:
    """The versions in a description of data, in a form in which the newer one is the greater: 0.109 is after 0.57."""
    parts = (part.split()[1] for part in data.split(", "))
    return [[(int(number or 0), letters) for number, letters in re.findall(r"(\d*)([a-z]*)", part)] for part in parts]


def _is_older(now: str, before: str) -> bool:
    """Whether any of the data is older than that of before."""
    return any(mine < theirs for mine, theirs in zip(_versions(now), _versions(before), strict=True))
