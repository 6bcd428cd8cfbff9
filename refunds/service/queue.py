"""The queue: the open requests and unmatched contacts, by tab, the earliest deadline first."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from refunds.domain.outcomes import Outcome
from refunds.domain.records import Contact, Order
from refunds.errors import CallersError, ContactStateConflict, Forbidden
from refunds.service import assignments, contacts
from refunds.service.findings import AContact
from refunds.storage.unit_of_work import UnitOfWork


class Tab(StrEnum):
    """The tabs of the Open list; each request and each unmatched contact is on one."""

    IN_TIME = "in_time"
    NEEDS_SUPERVISOR = "needs_supervisor"
    TOO_LATE = "too_late"
    UNMATCHED = "unmatched"
    WITHDRAWALS = "withdrawals"
    WITHOUT_DATE = "without_date"


_TABS = (Tab.IN_TIME, Tab.WITHOUT_DATE, Tab.WITHDRAWALS, Tab.NEEDS_SUPERVISOR, Tab.TOO_LATE, Tab.UNMATCHED)
"""The tabs by their numbers in the records: the lowest of several requests about an order is the most urgent."""

_AT_ONCE = 25


class Entry(NamedTuple):
    """An order with open requests, by the most urgent of them, or a contact whose order is not known.

    `requests` is how many are open about the order; `taken_by` is who deals with them.
    """

    tab: Tab
    record_id: str
    received_at: datetime
    taken_by: str | None = None
    order_id: str | None = None
    requests: int = 1

    @property
    def seen(self) -> str:
        """Return a text of what a page shows of the entry; if the text differs later, the entry has changed since."""
        return f"{self.tab} {self.requests} {self.taken_by or ''}".strip()


class Left(StrEnum):
    """Why `for_each` did nothing with an entry."""

    CHANGED = "changed"
    TAKEN = "taken"
    FOR_SUPERVISORS = "for_supervisors"


def count_entries(uow: UnitOfWork) -> dict[Tab, int]:
    """Return how many entries each tab of the Open list has, also for those that have none."""
    found = uow.contacts.count_queued()
    return {tab: found.get(_TABS.index(tab), 0) for tab in Tab}


def entries(uow: UnitOfWork, tab: Tab, limit: int, offset: int = 0) -> list[Entry]:
    """Return up to `limit` entries of a tab after `offset` others, by deadline; those without come last, by receipt."""
    if tab is Tab.UNMATCHED:
        return [Entry(Tab.UNMATCHED, *one) for one in uow.unmatched.queued(limit, offset)]
    return [_entry(*one) for one in uow.contacts.queued(limit, offset, tab=str(_TABS.index(tab)))]


def judged_now(uow: UnitOfWork, about: Mapping[str, Order], found: Iterable[AContact]) -> dict[str, Outcome]:
    """Return by id what the decision to answer each contact with says now; unmatched contacts are left out.

    `about` has their orders. If no decision can be made, it is the recorded one. The tabs go by recorded decisions, but
    other data, closures and corrected facts may allow more, or less, since.
    """
    uow.promises.read_current(about)
    judged = {}
    for one in found:
        if isinstance(one, Contact):
            judged[one.contact_id] = one.outcome
            with suppress(CallersError):  # the order's policy may be another one since, which had no version then
                decision = contacts.decision_now(uow, about[one.order_id], one, cancelled=False)
                judged[one.contact_id] = decision.outcome
    return judged


def taken_entries(uow: UnitOfWork) -> dict[Tab, list[Entry]]:
    """Return for every tab the open entries, in their order, that the principal has taken; perhaps an empty list."""
    own = uow.principal.actor
    found = [_entry(*one) for one in uow.contacts.queued(taken_by=own)]
    found += [Entry(Tab.UNMATCHED, *one) for one in uow.unmatched.queued(taken_by=own)]
    return {tab: [entry for entry in found if (entry.tab, entry.taken_by) == (tab, own)] for tab in Tab}


def following(uow: UnitOfWork, tab: Tab | None, done: str | None) -> Entry | None:
    """Return the entry to deal with next: the first of a tab or, without `tab`, of all tabs; None if there is none.

    Entries that somebody else has taken are left out, unless that user has left. So is `done`, the id of the order or
    contact that the principal comes from.
    """
    free = {None: True, uow.principal.actor: True}
    for entry in chain.from_iterable(_every(uow, one) for one in ([tab] if tab else Tab)):
        holder = entry.taken_by
        if holder is not None and holder not in free:
            free[holder] = assignments.has_left(uow.users.find(holder))
        if free[holder] and (done is None or done not in {entry.order_id, entry.record_id}):
            return entry
    return None


def _every(uow: UnitOfWork, tab: Tab) -> Iterator[Entry]:
    """Yield the entries of a tab in their order, read in portions, each twice as large as the one before."""
    size = _AT_ONCE
    while found := entries(uow, tab, size, offset=size - _AT_ONCE):
        yield from found
        size *= 2


def for_each(
    uow: UnitOfWork, picked: Mapping[str, str], act: Callable[[str], object], *, only_late: bool = False
) -> dict[str, Left | None]:
    """Call `act` with the id of each entry of the Open list in `picked`, which maps each id to its `seen` on the page.

    An entry is left alone if it has changed since, somebody else has taken it, or only a supervisor may do this; with
    `only_late`, also one on `TOO_LATE` whose request is not too late any more. Returns for each id why it was left
    alone, or None if it was done.
    """
    found: dict[str, Left | None] = {}
    about = {one.contact_id: one.order_id for one in uow.contacts.with_ids(picked).values()}
    known = about.keys() | uow.unmatched.with_ids(picked)
    # All who lock several orders lock them by their ids, so that none waits for another.
    for name in sorted(picked, key=lambda name: (about.get(name, ""), name)):
        found[name] = Left.CHANGED
        entry = _lock_entry(uow, name, about.get(name)) if name in known else None
        if entry is None or (entry.record_id, entry.seen) != (name, picked[name]):
            continue
        if not (only_late and entry.tab is Tab.TOO_LATE and contacts.is_timely(uow, uow.contacts.get(name))):
            try:
                act(name)
                found[name] = None
            except assignments.TakenAlready:
                found[name] = Left.TAKEN
            except ContactStateConflict:
                found[name] = Left.CHANGED
            except Forbidden:
                found[name] = Left.FOR_SUPERVISORS
    return found


def _lock_entry(uow: UnitOfWork, name: str, order_id: str | None) -> Entry | None:
    """Lock a contact, or without `order_id` an unmatched contact, and return its entry on the Open list.

    The entry of a contact is the entry of its order. Return None if there is no open request. Raises `NotFound`.
    """
    if order_id is None:
        one = uow.unmatched.get(name, lock=True)
        return Entry(Tab.UNMATCHED, name, one.received_at, one.taken_by) if one.is_open else None
    uow.contacts.get(name, lock=True)
    return next((_entry(*one) for one in uow.contacts.queued(order_id=order_id)), None)


def _entry(tab: int, *found: Any) -> Entry:
    """Return the Open list's entry for a row of `Contacts.queued`: `tab` is its first value, `found` the others."""
    return Entry(_TABS[tab], *found)
