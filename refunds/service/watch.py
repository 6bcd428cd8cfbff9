"""The watch: before the service starts with other data than before, it compares every open promise with that data.

A window that ends later by the new data is promised again; one that ends earlier keeps its promise. Orders that were
registered before there were promises get theirs first.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import chain
from typing import NamedTuple

import orjson

from refunds.domain import judging
from refunds.domain.eligibility import EDITION
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION
from refunds.domain.journal import EventType
from refunds.domain.outcomes import Facts, ToldWindow
from refunds.domain.permissions import COMMAND_LINE, Principal
from refunds.domain.records import Contact, Order, PromiseCause
from refunds.errors import RefundsError
from refunds.service import ProgressCallback, orders, promises, silently
from refunds.service.cases import Case, Cases
from refunds.service.store import Store
from refunds.storage import Row
from refunds.storage.decisions import load_decision, load_told
from refunds.storage.mapper import instant, micros
from refunds.storage.unit_of_work import UnitOfWork

STEP = 5_000  # promises that are compared in one read
BATCH = 500  # orders that get a promise in one transaction
KNOWN = 20_000  # windows of which a comparison remembers how they end; they come in the order of their ends
ENDED = timedelta(days=14)  # how long an ended window is compared: it may end later by other data
RECENT = timedelta(days=14)  # how long agents see that the data has changed
SUBJECT = "calendar"  # the subject of the events about changed data


class Change(NamedTuple):
    """An order whose open window ends at another time by today's data than was promised.

    `today` is the deadline by today's data; None if the data does not cover the window, or the order cannot be judged
    any more. `stands` is the one that holds from now on, the later of both. `promised` is the one promised before, at
    `promised_at`.
    """

    order_id: str
    promised: datetime
    today: datetime | None
    stands: datetime
    time_zone: str
    promised_at: datetime

    @property
    def is_longer(self) -> bool:
        """Tell whether the window that holds from now on ends later than was promised."""
        return self.stands > self.promised

    @property
    def is_kept(self) -> bool:
        """Whether the window ends later than by today's data because of the promise, or has no end by today's data."""
        return self.today is None or self.today < self.stands


class LastChange(NamedTuple):
    """The event of the last change of data: the data `before` (None: the first watch) and `now`.

    `longer` is how many open windows got a later end, `kept` how many kept a later end than the new data gives.
    """

    position: int
    at: datetime
    before: str | None
    now: str
    longer: int
    kept: int

    @property
    def has_newer_data(self) -> bool:
        """Whether the data of the change is newer than the data by which this instance counts."""
        return any(mine < its for mine, its in zip(_versions(data_now()), _versions(self.now), strict=True))


@dataclass(frozen=True, slots=True)
class Watched:
    """What the watch did at the start of the service; `before` is None if there was no watch before.

    `filled` is how many orders got their first promise. With new data, `longer` is how many open windows end later now,
    and `kept` how many keep a later end; else both are 0. `older`: this instance has older data than the journal, which
    is no reason to compare.
    """

    before: str | None
    now: str
    filled: int = 0
    longer: int = 0
    kept: int = 0
    older: bool = False


def data_now() -> str:
    """Return the versions of the holiday and time zone data and of the rules, by which this instance counts windows."""
    return f"holidays {HOLIDAYS_VERSION}, tzdata {TZDATA_VERSION}, rules {EDITION}"


def watch(store: Store, progress: ProgressCallback = silently, waits: Callable[[], None] = lambda: None) -> Watched:
    """Promise a window to orders without one; if data or policies changed since the last watch, promise later ends.

    For the latter, the windows of all open promises are counted again; new holiday data also gets an event. Older data
    than that of the last watch is no reason to count. One instance at a time does so; one that has to wait calls
    `waits` once. The watch can be interrupted and repeated: nothing is done twice.
    """
    with store.open()[0].one_at_a_time(waits):
        return _watch(store, progress)


def _watch(store: Store, progress: ProgressCallback) -> Watched:
    """Promise windows and later ends as `watch` says, without waiting for other instances; return what was done."""
    now = data_now()
    with store.read(COMMAND_LINE) as uow:
        last, is_any_unpromised = last_change(uow), uow.orders.is_any_without_promise()
        is_known = last is not None and (last.now == now or last.has_newer_data)
        cause = _cause(uow, last) if last and is_known else None
    filled = _fill(store, progress) if is_any_unpromised else 0
    if last and is_known:
        if cause:
            _lengthen(store, COMMAND_LINE, cause, progress)
        return Watched(last.now, now, filled, older=last.has_newer_data)
    kept = _lengthen(store, COMMAND_LINE, PromiseCause.CALENDAR_CHANGED, progress)
    with store.write(COMMAND_LINE, exclusive=True) as uow:
        # Counted in the records, because an interrupted watch may have made some of them.
        longer = uow.promises.count_made(PromiseCause.CALENDAR_CHANGED, last and last.at)
        again = last_change(uow)  # another instance may have been quicker, also one with newer data
        older = again is not None and again.has_newer_data
        if not (older or (again and again.now == now)):
            data = {"from": again and again.now, "to": now, "longer": longer, "kept": kept}
            uow.events.note(EventType.CALENDAR_CHANGED, SUBJECT, data)
    return Watched(again.now if again and older else last and last.now, now, filled, longer, kept, older)


def _cause(uow: UnitOfWork, last: LastChange) -> PromiseCause | None:
    """Return why open windows have to be compared even if the data is not new; None if they need not be.

    An instance with other data may have promised since the last watch, or a killed one left later ends unpromised.
    """
    if not last.has_newer_data and uow.promises.is_any_by_other_data(last.at, HOLIDAYS_VERSION, TZDATA_VERSION):
        return PromiseCause.CALENDAR_CHANGED
    return PromiseCause.POLICY_CHANGED if uow.events.head().policies_at > last.position else None


def extend(store: Store, principal: Principal = COMMAND_LINE, progress: ProgressCallback = silently) -> None:
    """Promise every open window that ends later now, after the principal registered a version or entered a closure."""
    _lengthen(store, principal, PromiseCause.POLICY_CHANGED, progress)


def last_change(uow: UnitOfWork, before: int | None = None) -> LastChange | None:
    """Return the last change of holiday data that a watch recorded, `before` a position if given; None without one."""
    event = uow.events.last_of(EventType.CALENDAR_CHANGED, before)
    if event is None:
        return None
    data = orjson.loads(event.data)
    return LastChange(event.position, event.at, data["from"], data["to"], data["longer"], data["kept"])


def recent_change(uow: UnitOfWork) -> LastChange | None:
    """Return the last change of holiday data; None unless it is of the last 14 days and concerned an open window."""
    last = last_change(uow)
    return last if last and uow.now - last.at < RECENT and last.longer + last.kept else None


def lengthened_windows(uow: UnitOfWork) -> Iterator[Change]:
    """Yield the change of each order to which the last watch with new data, if any, promised a later deadline."""
    last = last_change(uow)
    since = last and last_change(uow, last.position)
    for row in uow.promises.earlier_promises(PromiseCause.CALENDAR_CHANGED, since and since.at) if last else ():
        yield _change(row, row["today"], row["today"])


def contacts_told(uow: UnitOfWork, change: Change) -> list[Contact]:
    """Return the contacts about the order of a change that were told the deadline promised before."""
    return [one for one in uow.contacts.of_order(change.order_id) if one.outcome.deadline == change.promised]


def _change(row: Row, today: int | None, stands: int) -> Change:
    """Return the change for the promise in a row, from two stored deadlines.

    `today` is the deadline as it is counted today, None if it cannot be; `stands` is the deadline that holds now.
    """
    ends, told = (instant(row["deadline"]), None if today is None else instant(today), instant(stands)), _told(row)
    return Change(row["order_id"], *ends, told.time_zone if told else "UTC", instant(row["promised_at"]))


def _told(row: Row) -> ToldWindow | None:
    """Return the window in the row of a promise; None if it cannot be read, which the audit reports."""
    with suppress(ValueError, LookupError, TypeError):
        return load_told(row["told"])
    return None


def changes(uow: UnitOfWork, progress: ProgressCallback = silently) -> Iterator[Change]:
    """Compare each promise open or ended within 14 days with today's data, and yield the changes; store nothing."""
    comparison, done, rows = _Comparison(uow), 0, _next_open(uow, uow.now)
    while rows:
        yield from comparison.changes(rows)
        done += len(rows)
        progress("open windows", done, done)
        rows = _next_open(uow, uow.now, rows[-1])


def _lengthen(store: Store, principal: Principal, cause: PromiseCause, progress: ProgressCallback) -> int:
    """Promise each open window that ends later by today's data its later end, for a cause.

    Returns how many open windows keep a promised end that is later than the one counted today.
    """
    kept = done = 0
    with store.read(COMMAND_LINE) as uow:
        comparison, now, since = _Comparison(uow), uow.now, micros(uow.now)
        rows = _next_open(uow, now)
    while rows:
        found = list(comparison.changes(rows))
        longer = [change.order_id for change in found if change.is_longer]
        for start in range(0, len(longer), BATCH):
            store.write_batch(principal, partial(_promise_anew, cause=cause, order_ids=longer[start : start + BATCH]))
        again = {row["order_id"] for row in rows if row["cause"] == cause and row["promised_at"] >= since}
        kept += sum(change.is_kept and change.order_id not in again for change in found)
        done += len(rows)
        progress("open windows", done, done)
        if len(rows) < STEP:
            break
        with store.read(COMMAND_LINE) as uow:
            rows = _next_open(uow, now, rows[-1])
    return kept


def _next_open(uow: UnitOfWork, now: datetime, after: Row | None = None) -> list[Row]:
    """Return up to `STEP` promises that are open or ended within 14 days: those after a row or, for None, the first."""
    place = (after["deadline"], after["order_id"]) if after else ()
    return uow.promises.open_after(now - ENDED, *place, limit=STEP)


def _promise_anew(uow: UnitOfWork, order_ids: Iterable[str], cause: PromiseCause) -> None:
    """Lock each order and promise its window as counted now, unless the order's promise ends as late or later."""
    for order_id in order_ids:
        order = uow.orders.get_for_update(order_id).order
        promises.keep(uow, order, orders.judged_when_provided(uow, order), cause)


class _Comparison:
    """Counts windows by today's data; equal cases are counted once."""

    def __init__(self, uow: UnitOfWork) -> None:
        """Prepare to count by the policies of a unit of work; nothing is counted yet."""
        self._policies = uow.policies
        self._cases = cache(lambda policy: Cases(self._policies[policy]))
        self._known: dict[tuple[str, Case, str], tuple[int | None, int] | None] = {}

    def changes(self, rows: Iterable[Row]) -> Iterator[Change]:
        """Yield a change for each row whose promise has another deadline by today's data, or cannot be counted now."""
        for row in rows:
            if ends := self._ends(row):
                yield _change(row, *ends)

    def _ends(self, row: Row) -> tuple[int | None, int] | None:
        """Return the deadlines of a row, today's and the one that holds, as `_compare`, which equal rows call once."""
        case = row["policy"], self._cases(row["policy"]).case(row), row["told"]
        if case not in self._known:
            if len(self._known) == KNOWN:
                self._known.clear()
            self._known[case] = self._compare(row)
        return self._known[case]

    def _compare(self, row: Row) -> tuple[int | None, int] | None:
        """Return the deadline of a row's promise by today's data (None: uncountable), and the deadline that holds.

        Both are as stored. Returns None if both are the promised deadline, or if the row's window cannot be read.
        """
        provided, ordered, told = instant(row["service_provided_at"]), row["ordered_at"], _told(row)
        if told is None:
            return None
        facts = Facts(service_provided_at=provided, received_at=provided)
        try:
            policy, at = self._policies[row["policy"]], None if ordered is None else instant(ordered)
            decide = partial(judging.judge, policy, facts, at, row["region"], of_order=True)
            decision = decide(promise=told)
            # If nothing is laid over today's window, that is the one that stands.
            today, stands = (decide() if decision.kept else decision).deadline, decision.deadline
        except RefundsError:
            return None, row["deadline"]
        assert stands
        ends = None if today is None else micros(today), micros(stands)
        return None if ends == (row["deadline"], row["deadline"]) else ends


def _fill(store: Store, progress: ProgressCallback) -> int:
    """Give each order without a promise one, as `_fill_batch` does; return how many orders got one."""
    filled, after = 0, ""
    while True:
        found, promised = store.write_batch(COMMAND_LINE, partial(_fill_batch, after=after))
        filled += promised
        if not found:
            return filled
        after = found[-1].order_id
        progress("orders without a promise", filled, filled)


def _fill_batch(uow: UnitOfWork, after: str) -> tuple[list[Order], int]:
    """Promise a window to the next orders after an id that have no promise; return them, and how many got a promise.

    It is today's window or one that a stored decision told, whichever ends last; without either, there is none.
    """
    cause = PromiseCause.CALENDAR_CHANGED if last_change(uow) else PromiseCause.BEFORE_PROMISES
    found, promised = uow.orders.without_promise(after, BATCH), 0
    on_record = _windows_on_record(uow, found)
    for order in found:
        told = on_record.get(order.order_id)
        with suppress(RefundsError):  # such an order cannot be judged any more
            told = orders.judged_when_provided(uow, order, told).told
        if told is not None:
            promises.put(uow, order, told, cause, first=True)
            promised += 1
    return found, promised


def _windows_on_record(uow: UnitOfWork, found: list[Order]) -> dict[str, ToldWindow]:
    """Return by order id the window that stored decisions told; of several windows, the one that ends last.

    Only decisions under the order's present policy and service time count. An order without one is left out.
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
    """Return the versions in a text of `data_now` as lists that compare by age: 0.109 is greater than 0.57."""
    parts = (part.split()[1] for part in data.split(", "))
    return [[(int(number or 0), letters) for number, letters in re.findall(r"(\d*)([a-z]*)", part)] for part in parts]
