"""What an installation has told stands through its whole life: other data, versions, closures, copies, restored backups.

The orders are in a week in which many windows have moved since an earlier release of the holiday data.
"""

import shutil
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.instants import zone
from refunds.domain.outcomes import Reason
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.service import contacts, copies, orders, publication, silently, watch
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.replay import Replayed, replay
from refunds.service.store import Store
from refunds.storage import open_engine
from tests import PROOFS, database_of
from tests.changed_data import few_years, holiday_data, zone_data
from tests.conftest import settings
from tests.moved_windows import YEARS, data_of, moved

pytestmark = pytest.mark.proof

ADMIN = Principal("cli_admin", "admin of the test", Role.ADMIN)
BERLIN = zone("Europe/Berlin")
DAY, HOUR, MOMENT = timedelta(days=1), timedelta(hours=1), timedelta(microseconds=1)
FEW = () if PROOFS else ("AE", "NA", "PK", "ZM")
"""The countries; none: every country."""

PHONE = NewContact(channel=Channel.PHONE, from_detail="+4989123456")
CLOCKS = time(0, 30), time(23, 30)
"""When services are provided, so that other time zone data moves their days to the day before, and to the day after."""

OTHER_ZONES = ("America/New_York", "Asia/Tokyo")


def week_of(number):
    """A day, and the windows that have moved from two days before it to three days after: many shorter, and others."""
    by_day = {}
    for window in moved(number, FEW):
        for ahead in range(-3, 3):
            by_day.setdefault(window.service_day + ahead * DAY, []).append(window)

    def both(day):
        shorter = sum(window.is_shorter for window in by_day[day])
        return shorter * (len(by_day[day]) - shorter)

    middle = max(by_day, key=both)
    return middle, by_day[middle]


class Life:
    """An installation, and the latest end that each of its orders was told."""

    def __init__(self, directory, database=None, ends=()):
        self.directory = directory
        self.settings = settings(directory, **({"database": database} if database else {}))
        self.store = Store(self.settings)
        self.ends = dict(ends)

    def tell(self, order_ids):
        """Ask for the end of each order; none may be earlier than before. Returns the orders that are told a later."""
        with self.store.read(COMMAND_LINE) as uow:
            told = {
                order_id: orders.judged_when_provided(uow, uow.orders.get(order_id)).deadline for order_id in order_ids
            }
            for order_id, end in told.items():
                assert end >= self.ends.get(order_id, end), order_id
                asked = orders.eligibility(uow, uow.orders.get(order_id), end - MOMENT)
                assert (asked.eligible, asked.reason) == (True, Reason.WITHIN_WINDOW)
        later = {order_id for order_id, end in told.items() if end > self.ends.get(order_id, end)}
        self.ends |= told
        return later

    def record(self, order_ids):
        """Record a call about each order, which must be in time."""
        for order_id in order_ids:
            with self.store.write(ADMIN) as uow:
                contact = contacts.record(uow, order_id, PHONE)
            assert contact.outcome.reason is Reason.WITHIN_WINDOW
            assert contact.outcome.deadline == self.ends[order_id]

    def require_sound(self):
        """Assert that the audit finds everything sound; the orders of the decisions that would differ today."""
        with self.store.read(COMMAND_LINE) as uow:
            uow.verify(list(self.store.checkpoints))
            found = list(replay(uow, Replayed()))
        assert all(difference.failure is None for difference in found)
        return {difference.order_id for difference in found}

    def copied(self, database):
        """This installation, moved to another database."""
        self.store.close()
        with closing(open_engine(database, setting="--to")) as engine:
            copies.copy(self.store, engine, "--to", silently)
        self.store.close()
        return Life(self.directory, database, self.ends)

    def backed_up(self, directory):
        """A copy of all the files of this installation, which is on SQLite."""
        self.store.close()
        shutil.copytree(self.directory, directory)
        return Life(directory, ends=self.ends)


@contextmanager
def begun(number, directory):
    """An installation that was told orders by an earlier release, and called about; the ids of these, and of others."""
    middle, windows = week_of(number)
    life = Life(directory)
    provided = {
        f"O-{n}-{clock.hour}": (datetime.combine(window.service_day, clock, BERLIN), window.region)
        for n, window in enumerate(windows)
        for clock in CLOCKS
    }
    with (
        few_years(YEARS),
        time_machine.travel(datetime.combine(middle, time(12), BERLIN), tick=False) as clock,
        closing(life.store),
    ):
        with holiday_data(number, data_of(number, FEW)):
            watch.watch(life.store)
            facts = (
                OrderFacts(order_id=order_id, customer_ref=f"K in {region}", service_provided_at=at, region=region)
                for order_id, (at, region) in provided.items()
            )
            assert all(orders.import_all(life.store, COMMAND_LINE, enumerate(facts)))
            assert not life.tell(provided)
            now = datetime.now(BERLIN)
            called = [order_id for order_id, (at, _) in provided.items() if at <= now]
            life.record(called)
            assert not life.require_sound()
        clock.shift(HOUR)
        yield life, clock, called, provided.keys()


def policies_changed(life, clock, every):
    """Publish a version with a shorter term, and enter closures; the orders that are told a later end, by the change."""
    with life.store.write(ADMIN) as uow:
        present = uow.policies[uow.policies.default].current(uow.now)
        terms = replace(present.terms, window_business_days=1)
        publication.publish(uow, replace(present, version=2, effective_from=None, terms=terms))
    watch.extend(life.store)
    clock.shift(HOUR)
    later = {"a shorter term": life.tell(every)}
    for ahead in (3, 5):
        with life.store.write(ADMIN) as uow:
            day = datetime.now(BERLIN).date() + ahead * DAY
            publication.close(uow, uow.policies.default, day)
        watch.extend(life.store)
        clock.shift(HOUR)
        later[f"a closure {ahead} days ahead"] = life.tell(every)
    return later


@pytest.mark.parametrize("number", ["0.57", "0.100"] if PROOFS else ["0.100"])
def test_no_told_end_goes_earlier_in_the_life_of_an_installation(number, tmp_path, record_property):
    with begun(number, tmp_path / "here") as (life, clock, called, every):
        later = {"the installed data": life.tell(every)}
        moved_since = life.require_sound()
        assert moved_since == set(called)
        later["the watch"] = life.tell(every) if watch.watch(life.store).longer else None
        assert later["the watch"] == set()
        assert life.require_sound() == moved_since, "only calls that were answered by other data"

        later |= policies_changed(life, clock, every)
        assert life.require_sound() == moved_since
        life.record(called)
        assert life.require_sound() == moved_since, "what is told by the present data stays so"

        backup = life.backed_up(tmp_path / "backup")
        there = life.copied(database_of(tmp_path / "there", "postgresql"))
        assert there.tell(every) == set()
        assert there.require_sound() == moved_since
        for number_of_data, place in enumerate(OTHER_ZONES):
            with zone_data(f"999{number_of_data}z", Europe_Berlin=place):
                watch.watch(there.store)
                later[f"time zone data like {place}"] = there.tell(every)
                there.require_sound()
        later["the time zone data of before"] = there.tell(every)
        assert there.require_sound() == moved_since

        back = there.copied(database_of(tmp_path / "back", "sqlite"))
        with closing(back.store):
            assert back.tell(every) == set()
            back.record(called)
            assert back.require_sound() == moved_since
            with holiday_data(number, data_of(number, FEW)):
                later["the earlier release again"] = back.tell(every)

        with closing(backup.store):
            assert backup.tell(every) == set()
            with zone_data("9990z", Europe_Berlin=OTHER_ZONES[0]):
                watch.watch(backup.store)
                later["other time zone data, in the backup"] = backup.tell(every)
            assert watch.watch(backup.store).older
            assert backup.tell(every) == set()
            backup.record(called)
            assert backup.require_sound() == moved_since
    counts = {event: len(orders_told) for event, orders_told in later.items()}
    record_property("measured", f"{number}: {len(every)} orders, {len(called)} called about; told a later end {counts}")
