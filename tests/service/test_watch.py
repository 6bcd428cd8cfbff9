"""The watch: with other data, open windows that end later are promised so, and no other promise is touched."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from threading import Event

import orjson
import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.instants import parse_instant
from refunds.domain.journal import EventType
from refunds.domain.permissions import Principal, Role
from refunds.errors import StorageUnavailable
from refunds.service import contacts, orders, publication, silently, watch
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.store import Store
from refunds.service.watch import Watched
from refunds.storage.audit import Broken
from tests.changed_data import other_holidays, zone_data
from tests.conftest import settings

ADMIN = Principal("cli_admin", "admin of the test", Role.ADMIN)
PROVIDED = parse_instant("2026-04-01T10:00:00+02:00")
"""Two days before Good Friday: the window ends with 7 April."""
BAVARIA, FRANCE = "DE-BY", "FR"
GAINED, LOST = (BAVARIA, date(2026, 4, 2)), (BAVARIA, date(2026, 4, 6))
PATIENCE = 60
"""Generous timeout in seconds: the machine may be busy."""

LATER, TOLD, EARLIER = (parse_instant(f"2026-04-{day}T00:00:00+02:00") for day in ("09", "08", "07"))


@pytest.fixture
def clock():
    """The clock on the day of the service."""
    with time_machine.travel(PROVIDED + timedelta(hours=2), tick=False) as clock:
        yield clock


@pytest.fixture
def store(engine, tmp_path, clock):
    """The records after a first watch."""
    with closing(Store(settings(tmp_path))) as store:
        assert watch.watch(store) == Watched(None, watch.data_now())
        clock.shift(60)
        yield store


def register(store, *order_ids, region=BAVARIA, provided=PROVIDED):
    """Register orders."""
    with store.write(ADMIN) as uow:
        for order_id in order_ids:
            facts = OrderFacts(order_id=order_id, customer_ref="K", service_provided_at=provided, region=region)
            orders.register(uow, facts)


def told(store, order_id):
    """The end that an order is told now."""
    with store.read(ADMIN) as uow:
        return orders.judged_when_provided(uow, uow.orders.get(order_id)).deadline


def promised(store, order_id):
    """The end of the current promise of an order."""
    with store.read(ADMIN) as uow:
        return uow.promises.current(order_id).deadline


def changed(store):
    """What the journal says of changed data, from the first."""
    with store.read(ADMIN) as uow:
        found = uow.events.after(0, 1000, [EventType.CALENDAR_CHANGED], audit=True)
        return [orjson.loads(event.data) for event in found]


def open_changes(store):
    """The orders whose open windows would end at another time, and how."""
    with store.read(ADMIN) as uow:
        return {change.order_id: change.stands if change.is_longer else change.today for change in watch.changes(uow)}


def test_a_window_that_ends_later_is_promised_so_and_listed_with_who_was_told_before(store, clock):
    register(store, "A-1")
    with store.write(ADMIN) as uow:
        recorded = contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE, from_detail="+4989123456"))
    at = datetime.now(recorded.recorded_at.tzinfo)
    clock.shift(60)
    with other_holidays("9.1", added=[GAINED]):
        assert open_changes(store) == {"A-1": LATER}
        watched = watch.watch(store)
        assert (watched.longer, watched.kept, watched.older) == (1, 0, False)
        assert promised(store, "A-1") == LATER
        assert open_changes(store) == {}
        clock.shift(60)
        with store.write(ADMIN) as uow:
            contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE, from_detail="+4989123456"))
        with store.read(ADMIN) as uow:
            (change,) = watch.lengthened_windows(uow)
            assert (change.order_id, change.promised, change.today, change.promised_at) == ("A-1", TOLD, LATER, at)
            assert [contact.contact_id for contact in watch.contacts_told(uow, change)] == [recorded.contact_id]
        assert watch.watch(store) == Watched(watch.data_now(), watch.data_now())
    assert changed(store)[1:] == [{"from": watch.data_now(), "to": watched.now, "longer": 1, "kept": 0}]
    assert told(store, "A-1") == LATER


def test_who_was_told_the_earlier_end_is_listed_although_the_clock_was_set_back_since(store, clock):
    clock.shift(timedelta(hours=1))
    register(store, "A-1")
    clock.shift(-timedelta(minutes=30))
    with other_holidays("9.1", added=[GAINED]):
        assert watch.watch(store).longer == 1
        with store.read(ADMIN) as uow:
            (change,) = watch.lengthened_windows(uow)
        assert (change.order_id, change.promised, change.today) == ("A-1", TOLD, LATER)


def test_a_window_that_would_end_earlier_keeps_what_was_told_and_is_listed(store):
    register(store, "A-1", "A-2")
    register(store, "A-3", region=FRANCE)
    with other_holidays("9.1", lost=[LOST]):
        watched = watch.watch(store)
        assert (watched.longer, watched.kept) == (0, 2)
        assert open_changes(store) == {"A-1": EARLIER, "A-2": EARLIER}
        assert told(store, "A-1") == promised(store, "A-1") == TOLD
        with store.read(ADMIN) as uow:
            assert list(watch.lengthened_windows(uow)) == []


def test_a_date_that_moves_within_the_window_makes_it_longer(store):
    """The date that was told does not count still does not, nor does the new one."""
    register(store, "A-1")
    with other_holidays("9.1", lost=[LOST], added=[(BAVARIA, date(2026, 4, 7))]):
        assert watch.watch(store).longer == 1
        assert promised(store, "A-1") == LATER
    with other_holidays("9.2"):
        assert told(store, "A-1") == LATER


def test_a_window_that_has_ended_is_open_again_if_the_other_data_end_it_later(store, clock):
    """What an order is then told stands with the next data, too."""
    register(store, "A-1")
    clock.move_to(TOLD)
    with other_holidays("9.1", added=[GAINED]):
        watched = watch.watch(store)
        assert (watched.longer, watched.kept) == (1, 0)
    assert told(store, "A-1") == promised(store, "A-1") == LATER


def test_a_window_that_has_ended_two_weeks_ago_is_not_watched(store, clock):
    register(store, "A-1")
    clock.move_to(TOLD + watch.ENDED)
    for number, data in (("9.1", {"added": [GAINED]}), ("9.2", {"lost": [LOST]})):
        with other_holidays(number, **data):
            watched = watch.watch(store)
            assert (watched.longer, watched.kept) == (0, 0)
    assert promised(store, "A-1") == TOLD


def test_time_zone_data_that_move_the_service_day_shorten_no_window(store, clock):
    """By the other data the service is provided on the day before."""
    register(store, "A-1", provided=parse_instant("2026-04-01T00:30:00+02:00"))
    assert told(store, "A-1") == TOLD
    with zone_data("9999z", Europe_Berlin="Europe/London"):
        watched = watch.watch(store)
        assert "tzdata 9999z" in watched.now
        assert (watched.longer, watched.kept) == (1, 1)  # its last day ends an hour later there
        assert told(store, "A-1") == TOLD + timedelta(hours=1)
    assert told(store, "A-1") == TOLD + timedelta(hours=1)


def test_an_instance_with_older_data_warns_and_does_not_watch_back(store, clock):
    register(store, "A-1")
    with other_holidays("9.1", added=[GAINED]):
        newer = watch.watch(store).now
    clock.shift(60)
    register(store, "A-2")
    events = len(changed(store))
    watched = watch.watch(store)
    assert watched == Watched(newer, watch.data_now(), older=True)
    with store.read(ADMIN) as uow:
        assert watch.last_change(uow).has_newer_data
    with other_holidays("9.0", added=[(BAVARIA, date(2026, 4, 7))]):
        assert watch.watch(store).older
    assert len(changed(store)) == events
    assert (promised(store, "A-1"), told(store, "A-2")) == (LATER, TOLD)


class Killed(BaseException):
    """Ends a watch at a place of the test's choice."""


def interrupted(store, after):
    """A watch that ends when it has compared this many windows."""

    def progress(step, done, _):
        if step == "open windows" and done >= after:
            raise Killed

    with pytest.raises(Killed):
        watch.watch(store, progress)


def test_a_watch_that_is_interrupted_is_done_again_and_counts_what_the_first_has_done(store, clock, monkeypatch):
    monkeypatch.setattr(watch, "STEP", 2)
    register(store, *(f"A-{number}" for number in range(5)))
    with other_holidays("9.1", added=[GAINED]):
        interrupted(store, 2)
        assert [promised(store, f"A-{number}") for number in range(5)] == [LATER] * 2 + [TOLD] * 3
        assert len(changed(store)) == 1
        clock.shift(60)
        assert watch.watch(store).longer == 5
        with store.read(ADMIN) as uow:
            assert {change.order_id for change in watch.lengthened_windows(uow)} == {
                f"A-{number}" for number in range(5)
            }
    assert [data["longer"] for data in changed(store)] == [0, 5]


def test_a_watch_that_is_interrupted_and_started_with_yet_other_data_shortens_nothing(store, clock, monkeypatch):
    """What the first has promised is kept; what it has not come to is compared with the other data."""
    monkeypatch.setattr(watch, "STEP", 2)
    register(store, *(f"A-{number}" for number in range(5)))
    with other_holidays("9.1", added=[GAINED, (BAVARIA, date(2026, 4, 7))]):
        interrupted(store, 2)
    clock.shift(60)
    with other_holidays("9.2", added=[GAINED]):
        watched = watch.watch(store)
        assert (watched.longer, watched.kept) == (5, 2)
        latest = LATER + timedelta(days=1)
        assert [told(store, f"A-{number}") for number in range(5)] == [latest] * 2 + [LATER] * 3
    assert [data["to"] for data in changed(store)[1:]] == [watched.now]
    with store.read(ADMIN) as uow:
        uow.verify([])


def test_a_watch_that_ends_after_one_with_newer_data_leaves_the_journal_at_the_newer(store, monkeypatch):
    """Both have begun when the journal knew neither, because the connection that held the turn was lost."""
    register(store, "A-1")
    lengthen = watch._lengthen

    def overtaken(*arguments):
        monkeypatch.setattr(watch, "_lengthen", lengthen)
        with other_holidays("9.2", added=[GAINED]):
            watch._watch(store, silently)
        return lengthen(*arguments)

    monkeypatch.setattr(watch, "_lengthen", overtaken)
    with other_holidays("9.1", lost=[LOST]):
        assert watch.watch(store).older
    assert [data["to"].split(",")[0] for data in changed(store)[1:]] == ["holidays 9.2"]
    assert told(store, "A-1") == LATER


def test_an_instance_waits_for_the_one_that_watches_and_finds_it_done(tmp_path, clock, monkeypatch):
    """Meanwhile, an instance that serves goes on to write, and to extend windows."""
    home, others = settings(tmp_path, engine="postgresql"), ThreadPoolExecutor(1)
    waits, said, compared, waiting = Event(), [], [], None
    comparison = watch._Comparison

    def counted(uow):
        compared.append(uow.principal)
        return comparison(uow)

    def say():
        said.append("waits")
        waits.set()

    def meanwhile(step, *_):
        nonlocal waiting
        if step == "open windows" and waiting is None:
            waiting = others.submit(watch.watch, late, waits=say)
            assert waits.wait(PATIENCE)
            register(serving, "A-2")
            watch.extend(serving, ADMIN)

    with closing(Store(home)) as one, closing(Store(home)) as late, closing(Store(home)) as serving, others:
        watch.watch(one)
        clock.shift(60)
        register(one, "A-1")
        monkeypatch.setattr(watch, "_Comparison", counted)
        with other_holidays("9.1", added=[GAINED]):
            assert watch.watch(one, meanwhile).longer == 1
            assert waiting.result(PATIENCE) == Watched(watch.data_now(), watch.data_now())
        assert (said, compared) == (["waits"], [watch.COMMAND_LINE] * 2), "one watch, one `extend`"
        assert [data["longer"] for data in changed(one)] == [0, 1]


def test_an_instance_whose_turn_ends_with_an_error_lets_the_next_one_watch(tmp_path, clock):
    home = settings(tmp_path, engine="postgresql")
    with closing(Store(home)) as one, closing(Store(home)) as other:
        watch.watch(one)
        clock.shift(60)
        register(one, "A-1")
        with other_holidays("9.1", added=[GAINED]):
            interrupted(one, 1)
            clock.shift(60)
            assert watch.watch(other, waits=lambda: pytest.fail("nobody watches")).longer == 1


def test_a_published_version_with_a_shorter_window_keeps_what_orders_to_come_were_told(store):
    provided = PROVIDED + timedelta(days=27)
    register(store, "A-1", provided=provided)
    before = told(store, "A-1")
    with store.write(ADMIN) as uow:
        present = uow.policies[uow.policies.default].current(uow.now)
        terms = replace(present.terms, window_business_days=1)
        publication.publish(uow, replace(present, version=2, effective_from=None, terms=terms))
    assert told(store, "A-1") == before
    assert watch.data_now() == changed(store)[-1]["to"]


def test_a_start_extends_what_a_closure_should_have(store):
    """The process that entered it was killed before it could extend the windows."""
    register(store, "A-1")
    with store.write(ADMIN) as uow:
        publication.close(uow, uow.policies.default, date(2026, 4, 7))
    assert promised(store, "A-1") == TOLD
    watch.watch(store)
    assert promised(store, "A-1") == LATER
    assert [data["to"] for data in changed(store)] == [watch.data_now()], "the data has not changed"


def test_what_an_instance_with_older_data_promised_meanwhile_is_watched_at_the_next_start(store, clock):
    with other_holidays("9.1", added=[GAINED]):
        watch.watch(store)
    clock.shift(60)
    register(store, "A-1")
    with other_holidays("9.1", added=[GAINED]):
        assert (promised(store, "A-1"), told(store, "A-1")) == (TOLD, LATER)
        watch.watch(store)
        assert promised(store, "A-1") == LATER
    assert told(store, "A-1") == LATER


def test_a_promise_edited_by_hand_is_found_by_the_audit_and_does_not_stop_the_watch(store, clock):
    register(store, "A-1", "A-2")
    with store.write(ADMIN) as uow:
        uow.tx.run("UPDATE promises SET told = '[]' WHERE order_id = 'A-1'")
    with store.read(ADMIN) as uow, pytest.raises(Broken, match="prm_"):
        uow.verify([])
    with other_holidays("9.1", added=[GAINED]):
        assert watch.watch(store).longer == 1
        assert promised(store, "A-2") == LATER


def test_a_batch_that_another_write_is_in_the_way_of_is_tried_again(store, monkeypatch):
    register(store, "A-1")
    anew, failures = watch._promise_anew, iter([StorageUnavailable, StorageUnavailable])

    def in_the_way(*arguments, **named):
        anew(*arguments, **named)
        for failure in failures:
            raise failure("busy")

    monkeypatch.setattr(watch, "_promise_anew", in_the_way)
    with other_holidays("9.1", added=[GAINED]):
        assert watch.watch(store).longer == 1
    assert promised(store, "A-1") == LATER


def test_an_order_that_no_calendar_covered_is_promised_because_of_the_new_data(store, clock):
    provided = datetime(2026, 12, 30, 10, tzinfo=PROVIDED.tzinfo)
    register(store, "A-1", region="LK", provided=provided)
    with store.read(ADMIN) as uow:
        assert uow.promises.current("A-1") is None
    with other_holidays("9.1", more_years=1):
        watched = watch.watch(store)
        assert (watched.filled, watched.longer) == (1, 1)
        with store.read(ADMIN) as uow:
            assert uow.promises.current("A-1").cause == "calendar_changed"
