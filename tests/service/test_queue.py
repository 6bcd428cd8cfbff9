"""The queue is read page by page by an index; here it is compared with one that is made of everything that is open."""

import random
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from ulid import ULID

from refunds.domain.business_days import Window
from refunds.domain.contact_points import Channel
from refunds.domain.instants import first_instant, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.outcomes import Notice, Reason, Verdict
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.records import ASKING, Contact, Intent
from refunds.domain.unmatched import UnmatchedContact
from refunds.service import contacts, orders, overview, queue, unmatched, users
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.queue import Entry, Tab
from refunds.service.store import Store
from tests import scaled
from tests.conftest import settings

CALL = NewContact(channel=Channel.PHONE)
ORDERS = [f"A-{number}" for number in range(20)]
BEGIN = datetime(2001, 9, 8, tzinfo=UTC)
"""The microseconds since 1970 soon get one more digit."""

INSTANTS = [BEGIN + timedelta(hours=17 * step, microseconds=step % 3) for step in range(8)]
"""Few, so that many are the same."""

AGO = [timedelta(days=days) for days in (0, 0, 1, 3, 8)]
BERLIN = zone("Europe/Berlin")

URGENCY = (Tab.IN_TIME, Tab.WITHOUT_DATE, Tab.WITHDRAWALS, Tab.NEEDS_SUPERVISOR, Tab.TOO_LATE)


def tab_of(one):
    if isinstance(one, UnmatchedContact):
        return Tab.UNMATCHED
    if one.intent is Intent.WITHDRAWAL:
        return Tab.WITHDRAWALS
    if one.outcome.verdict is Verdict.CANCELLABLE:
        return Tab.IN_TIME if one.outcome.window else Tab.WITHOUT_DATE
    return Tab.NEEDS_SUPERVISOR if one.outcome.verdict is Verdict.NEEDS_SUPERVISOR else Tab.TOO_LATE


def name_of(one):
    return one.contact_id if isinstance(one, Contact) else one.unmatched_id


def place_of(one):
    """By deadline; those without one come last, by receipt."""
    deadline = one.outcome.deadline if isinstance(one, Contact) else None
    return deadline is None, deadline or one.received_at, name_of(one)


def whole_queue(uow):
    """The entries of every tab, made of all that is open."""
    opened = {}
    for one in uow.contacts.iter_all():
        if one.is_open:
            opened.setdefault(one.order_id, []).append(one)
    found = [[one] for one in uow.unmatched.iter_all() if one.is_open]
    for several in opened.values():
        first = min(several, key=lambda one: (URGENCY.index(tab_of(one)), place_of(one)))
        by_receipt = sorted((one for one in several if one is not first), key=lambda one: one.received_at)
        found.append([first, *by_receipt])
    tabs = {tab: [] for tab in Tab}
    for one, *others in sorted(found, key=lambda several: place_of(several[0])):
        earliest_first = sorted([one, *others], key=lambda each: (each.received_at, name_of(each)))
        taker = next((each.taken_by for each in earliest_first if each.taken_by), None)
        order_id = getattr(one, "order_id", None)
        tabs[tab_of(one)].append(Entry(tab_of(one), name_of(one), one.received_at, taker, order_id, 1 + len(others)))
    return tabs


def next_of(tabs, tab, done, free):
    every = tabs[tab] if tab else chain.from_iterable(tabs.values())
    others = (one for one in every if done is None or done not in {one.order_id, one.record_id})
    return next((one for one in others if one.taken_by in free), None)


def requests_since(uow, since):
    """How many requests were recorded, and how many of them refused, without refusals of cancelled orders."""
    asking = [
        one
        for one in chain(uow.contacts.iter_all(), (one for one in uow.unmatched.iter_all() if one.contact_id is None))
        if one.intent in ASKING and one.superseded_by is None and one.recorded_at >= since
    ]
    outcomes = [one.outcome for one in asking if isinstance(one, Contact)]
    refused = [
        one for one in outcomes if one.verdict is Verdict.REFUSED and one.reason is not Reason.ORDER_ALREADY_CANCELLED
    ]
    return len(asking), len(refused)


class Changing:
    """An installation in which contacts of all kinds are recorded, closed, opened again, taken and given back."""

    def __init__(self, store, seed):
        self.store, self.chance = store, random.Random(seed)  # noqa: S311 - it is to be repeatable
        with store.write(COMMAND_LINE) as uow:
            for name in ORDERS:
                provided = uow.now - timedelta(hours=1)
                orders.register(uow, OrderFacts(order_id=name, customer_ref=name, service_provided_at=provided))
            self.like = contacts.record(uow, ORDERS[0], CALL)
            agents = [users.add(uow, name, Role.AGENT).user for name in ("ann", "ben", "cay")]
            self.unmatched = unmatched.record(uow, "?", CALL)
        with store.write(COMMAND_LINE) as uow:
            users.disable(uow, "cay")
        self.me = Principal(agents[0].user_id, "ann", Role.AGENT)
        self.free = {None, agents[0].user_id, agents[2].user_id}
        self.takers = [None, None, *(one.user_id for one in agents), "cli_1"]

    def change(self):
        """Change something."""
        chance = self.chance
        name, change = chance.choice(ORDERS), chance.choice([self.record] * 6 + [self.keep, self.assign] * 2 + [None])
        with self.store.write(COMMAND_LINE) as uow:
            uow.orders.get(name)
            if change:
                change(uow, name)
            else:
                chance.choice([uow.contacts.close_all, uow.contacts.reopen_all])(name)

    def outcome(self):
        """An outcome of any kind."""
        deadline = self.chance.choice([None, None, *INSTANTS[:4]])
        return self.like.outcome._replace(
            reason=self.chance.choice([*Reason, Reason.WINDOW_ELAPSED, *[Reason.WITHIN_WINDOW] * 2]),
            notices=tuple(self.chance.sample(list(Notice), 3)),
            deadline=deadline,
            window=deadline and Window(deadline.date(), 2, deadline.date()),
            requested_at=self.chance.choice(INSTANTS),
        )

    def record(self, uow, order_id):
        """Record a contact about an order, or match one that was recorded before."""
        intent, at = self.chance.choice([*Intent, Intent.CANCEL]), uow.now - self.chance.choice(AGO)
        is_matched = self.chance.random() < 0.3
        contact_id = f"con_{ULID.from_datetime(uow.now if is_matched else at)}"
        if is_matched:
            self.keep(uow, order_id, is_open=False, contact_id=contact_id)
        uow.contacts.add(
            replace(
                self.like,
                contact_id=contact_id,
                order_id=order_id,
                intent=intent,
                received_at=self.chance.choice(INSTANTS),
                recorded_at=at,
                decision=replace(self.like.decision, outcome=self.outcome()),
                is_open=intent.asks and self.chance.random() < 0.8,
                request_number=None,
                taken_by=self.chance.choice(self.takers),
            ),
            EventType.CONTACT_RECORDED,
        )

    def keep(self, uow, _, **matched):
        """Record a contact about no order."""
        given = {
            "unmatched_id": f"unm_{ULID()}",
            "request_number": str(self.chance.random())[2:10],
            "received_at": self.chance.choice(INSTANTS),
            "recorded_at": uow.now - self.chance.choice(AGO),
            "is_open": self.chance.random() < 0.6,
            "taken_by": self.chance.choice(self.takers),
        }
        uow.unmatched.add(replace(self.unmatched, **given | matched), EventType.CONTACT_UNMATCHED_RECORDED)

    def assign(self, uow, order_id):
        """Take or give back each contact about an order, and close or open it."""
        for one in uow.contacts.of_order(order_id):
            taken_by, is_open = self.chance.choice(self.takers), one.intent.asks and self.chance.random() < 0.7
            uow.contacts.update(one, EventType.CONTACT_ASSIGNED, {}, taken_by=taken_by, is_open=is_open)

    def compare(self):
        """Assert that the queue, page by page, is the one that is made of everything; returns it."""
        with self.store.read(self.me) as uow:
            tabs = whole_queue(uow)
            assert queue.count_entries(uow) == {tab: len(entries) for tab, entries in tabs.items()}
            for tab, entries in tabs.items():
                paged = [queue.entries(uow, tab, 3, start) for start in range(0, len(entries) + 1, 3)]
                assert list(chain.from_iterable(paged)) == entries
            own = {tab: [one for one in found if one.taken_by == self.me.actor] for tab, found in tabs.items()}
            assert queue.taken_entries(uow) == own
            every = list(chain.from_iterable(tabs.values()))
            named = [None, *(one.order_id or one.record_id for one in every)]
            for tab in (None, *Tab):
                done = self.chance.choice(named)
                assert queue.following(uow, tab, done) == next_of(tabs, tab, done, self.free)
            seen = overview.read(uow, "Europe/Berlin")
            assert seen.oldest == min((one.received_at for one in every), default=None)
            today = local_date(uow.now, BERLIN)
            begin = [first_instant(day, BERLIN) for day in (today, today - timedelta(days=today.weekday()))]
            assert [seen.today[:2], seen.week[:2]] == [requests_since(uow, since) for since in begin]
        return tabs

    def act(self, tabs):
        """Assert that an entry is found as the page showed it, and another one is not."""
        shown = {one.record_id: one.seen for one in chain.from_iterable(tabs.values())}
        picked = dict(self.chance.sample(sorted(shown.items()), min(4, len(shown))))
        other = self.chance.choice(sorted(picked)) if picked else None
        with self.store.write(self.me) as uow:
            hidden = {one.contact_id for one in uow.contacts.iter_all()} - shown.keys()
            wrong = dict.fromkeys(self.chance.sample(sorted(hidden), min(2, len(hidden))), f"{Tab.IN_TIME} 1")
            if other:
                wrong[other] = f"{picked.pop(other)} x"
            done = queue.for_each(uow, picked | wrong, lambda _: None)
        assert done == dict.fromkeys(picked) | dict.fromkeys(wrong, queue.Left.CHANGED)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(scaled(2, 20)))
def test_the_pages_of_the_queue_are_those_of_the_whole_queue(engine, tmp_path, seed):
    with closing(Store(settings(tmp_path, engine=engine))) as store:
        changing, sizes = Changing(store, seed), Counter()
        for _ in range(scaled(25, 100)):
            for _ in range(4):
                changing.change()
            tabs = changing.compare()
            changing.act(tabs)
            sizes += Counter({tab: len(entries) for tab, entries in tabs.items()})
            sizes["several"] += any(one.requests > 1 for one in chain.from_iterable(tabs.values()))
        assert all(sizes[tab] for tab in [*Tab, "several"]), sizes
