"""The queue: what is open, by what it needs, the earliest deadline first."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from refunds.domain.outcomes import Outcome, Verdict
from refunds.domain.records import Intent
from refunds.storage.unit_of_work import UnitOfWork


class Tab(StrEnum):
    """What is open, by what it needs."""

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

    `deadline` is None if no window runs. `requests` is how many are open about the order.
    """

    tab: Tab
    record_id: str
    order_id: str | None
    received_at: datetime
    deadline: datetime | None
    requests: int = 1

    @property
    def place(self) -> tuple[bool, datetime, str]:
        """Where it is in the queue: by its deadline; what has none, after all others by its receipt."""
        return self.deadline is None, self.deadline or self.received_at, self.record_id


def queue(uow: UnitOfWork) -> dict[Tab, list[Entry]]:
    """Everything that is open, by tab, each in order.

    All of it is read, but no personal field is decrypted: what is open must stay little.
    """
    tabs: dict[Tab, list[Entry]] = {tab: [] for tab in Tab}
    of_order: dict[str, list[Entry]] = {}
    for contact_id, order_id, intent, received_at, outcome in uow.contacts.iter_open():
        entry = Entry(_tab(intent, outcome), contact_id, order_id, received_at, outcome.deadline)
        of_order.setdefault(order_id, []).append(entry)
    for found in of_order.values():
        first = min(found, key=lambda entry: (_URGENCY.index(entry.tab), entry.place))
        tabs[first.tab].append(first._replace(requests=len(found)))
    for unmatched_id, received_at in uow.unmatched.iter_open():
        tabs[Tab.UNMATCHED].append(Entry(Tab.UNMATCHED, unmatched_id, None, received_at, None))
    for entries in tabs.values():
        entries.sort(key=lambda entry: entry.place)
    return tabs


def _tab(intent: Intent, outcome: Outcome) -> Tab:
    """What a request needs, by the decision that was made when it was recorded."""
    if intent is Intent.WITHDRAWAL:
        return Tab.WITHDRAWALS
    if outcome.verdict is Verdict.CANCELLABLE:
        return Tab.IN_TIME if outcome.window else Tab.WITHOUT_DATE
    return Tab.NEEDS_SUPERVISOR if outcome.verdict is Verdict.NEEDS_SUPERVISOR else Tab.TOO_LATE


def following(uow: UnitOfWork, tab: Tab | None, done: str | None) -> Entry | None:
    """The first of a tab, or of the first that is not empty; None if nothing is there.

    `done` is the order, or the contact without one, that is being left: it does not follow itself.
    """
    tabs = queue(uow)
    for entries in (tabs[tab],) if tab else tabs.values():
        for entry in entries:
            if done is None or done not in {entry.order_id, entry.record_id}:
                return entry
    return None
