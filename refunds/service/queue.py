"""The queue: the open requests and unmatched contacts, by tab, the earliest deadline first."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from itertools import chain, starmap
from typing import NamedTuple

from refunds.domain.outcomes import Outcome, Verdict
from refunds.domain.records import Intent
from refunds.errors import ContactStateConflict, Forbidden
from refunds.service import assignments
from refunds.storage.unit_of_work import UnitOfWork


class Tab(StrEnum):
    """The tabs of the Open list; each request and each unmatched contact is on one."""

    IN_TIME = "in_time"
    NEEDS_SUPERVISOR = "needs_supervisor"
    TOO_LATE = "too_late"
    UNMATCHED = "unmatched"
    WITHDRAWALS = "withdrawals"
    WITHOUT_DATE = "without_date"


_URGENCY = (Tab.IN_TIME, Tab.WITHOUT_DATE, Tab.WITHDRAWALS, Tab.NEEDS_SUPERVISOR, Tab.TOO_LATE)
"""Which of several requests about an order counts for its place."""


class Entry(NamedTuple):
    """An order with open requests, by the most urgent of them, or a contact whose order is not known.

    `deadline` is None if no window runs. `requests` is how many are open about the order; `taken_by` is who deals with
    them.
    """

    tab: Tab
    record_id: str
    order_id: str | None
    received_at: datetime
    deadline: datetime | None
    taken_by: str | None = None
    requests: int = 1

    @property
    def place(self) -> tuple[bool, datetime, str]:
        """The key by which entries are sorted: by deadline; those without one come last, by receipt."""
        return self.deadline is None, self.deadline or self.received_at, self.record_id

    @property
    def seen(self) -> str:
        """A text of what a page shows of the entry: if it differs later, the entry has changed since."""
        return f"{self.tab} {self.requests} {self.taken_by or ''}".strip()


class Left(StrEnum):
    """Why `for_each` did nothing with an entry."""

    CHANGED = "changed"
    TAKEN = "taken"
    FOR_SUPERVISORS = "for_supervisors"


def queue(uow: UnitOfWork) -> dict[Tab, list[Entry]]:
    """The entries of every tab, in the order of `Entry.place`; it reads all that is open, so that must stay little."""
    tabs: dict[Tab, list[Entry]] = {tab: [] for tab in Tab}
    of_order: dict[str, list[Entry]] = {}
    for entry in map(_entry, uow.contacts.iter_open()):
        of_order.setdefault(str(entry.order_id), []).append(entry)
    for found in of_order.values():
        first = _entry_of_order(found)
        tabs[first.tab].append(first)
    tabs[Tab.UNMATCHED] += starmap(_entry_without_order, uow.unmatched.iter_open())
    for entries in tabs.values():
        entries.sort(key=lambda entry: entry.place)
    return tabs


def _entry_of_order(found: list[Entry]) -> Entry:
    """The one entry of an order with these open requests: the most urgent one stands for all."""
    first = min(found, key=lambda entry: (_URGENCY.index(entry.tab), entry.place))
    return first._replace(requests=len(found), taken_by=assignments.taken_by(found))


def _tab_of(intent: Intent, outcome: Outcome) -> Tab:
    """The tab of a request, by the decision that it was recorded with; a withdrawal has its own, whatever that is."""
    if intent is Intent.WITHDRAWAL:
        return Tab.WITHDRAWALS
    if outcome.verdict is Verdict.CANCELLABLE:
        return Tab.IN_TIME if outcome.window else Tab.WITHOUT_DATE
    return Tab.NEEDS_SUPERVISOR if outcome.verdict is Verdict.NEEDS_SUPERVISOR else Tab.TOO_LATE


def following(uow: UnitOfWork, tab: Tab | None, done: str | None) -> Entry | None:
    """The entry to deal with next: the first of a tab or, without `tab`, of all tabs; None if there is none.

    Entries that somebody else has taken are left out, unless that user has left. So is `done`, the id of the order or
    contact that the principal comes from.
    """
    tabs, free = queue(uow), {None: True, uow.principal.actor: True}
    for entry in tabs[tab] if tab else chain.from_iterable(tabs.values()):
        holder = entry.taken_by
        if holder is not None and holder not in free:
            free[holder] = assignments.has_left(uow.users.find(holder))
        if free[holder] and (done is None or done not in {entry.order_id, entry.record_id}):
            return entry
    return None


def for_each(uow: UnitOfWork, picked: Mapping[str, str], act: Callable[[str], object]) -> dict[str, Left | None]:
    """Call `act` with the id of each picked entry; `picked` has the `seen` of each as the page showed it, by id.

    An entry is left alone if it has changed since, somebody else has taken it, or only a supervisor may do this.
    Returns for each id why it was left alone, or None if it was done.
    """
    found: dict[str, Left | None] = {}
    orders = {one.contact_id: one.order_id for one in uow.contacts.with_ids(picked).values()}
    known = orders.keys() | uow.unmatched.with_ids(picked)
    # All who lock several orders lock them by their ids, so that none waits for another.
    for name in sorted(picked, key=lambda name: (orders.get(name, ""), name)):
        found[name] = Left.CHANGED
        entry = _lock_entry(uow, name, orders.get(name)) if name in known else None
        if entry is not None and (entry.record_id, entry.seen) == (name, picked[name]):
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
    """Lock a contact, or an unmatched one without an order; returns its or its order's entry, None if none is open."""
    if order_id is None:
        one = uow.unmatched.get(name, lock=True)
        return _entry_without_order(name, one.received_at, one.taken_by) if one.is_open else None
    uow.contacts.get(name, lock=True)
    opened = uow.contacts.open_about([order_id])
    entries = [
        _entry((one.contact_id, order_id, one.intent, one.received_at, one.outcome, one.taken_by)) for one in opened
    ]
    return _entry_of_order(entries) if entries else None


def _entry(contact: tuple[str, str, Intent, datetime, Outcome, str | None]) -> Entry:
    """The entry of an open contact, given as `Contacts.iter_open` gives it."""
    contact_id, order_id, intent, received_at, outcome, taker = contact
    return Entry(_tab_of(intent, outcome), contact_id, order_id, received_at, outcome.deadline, taker)


def _entry_without_order(unmatched_id: str, received_at: datetime, taker: str | None) -> Entry:
    return Entry(Tab.UNMATCHED, unmatched_id, None, received_at, None, taker)
