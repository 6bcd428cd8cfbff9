"""Retention: no byte of what went is left; killed anywhere, it goes on; two runs and other writes beside it lose nothing."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
import time_machine

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import StorageUnavailable
from refunds.service import backups, clock, retention
from refunds.service.store import Store
from refunds.storage.sqlite import SQLite
from tests import scaled
from tests.conftest import settings
from tests.faults.harness import forget_and_die
from tests.faults.test_erasures import DETAIL, TEXTS, Place, dead
from tests.service.test_privacy import PROVIDED, registered, sound
from tests.service.test_retention import asked, counted, disclosed, limited, requested, settled, unknown
from tests.storage.test_secrecy_at_rest import found

pytestmark = pytest.mark.proof

LATER = datetime(2060, 1, 1, tzinfo=UTC)
"""When every period of what happens now is over."""


@pytest.fixture
def place(tmp_path, engine):
    """An installation."""
    made = Place(tmp_path / "place", engine)
    yield made
    made.store.close()


def run(store):
    """Let go of everything."""
    with time_machine.travel(LATER):
        if clock.doubt(store):
            clock.confirm(store)
        return retention.run(store)


def test_nothing_of_what_went_is_left(place):
    sealed = place.sealed(place.customer_id) | place.sealed(place.other)
    assert place.left_of(sealed) == sealed.keys()
    run(place.store)
    assert counted(place.store) == {}
    assert place.left_of(sealed) == set()
    files = place.files()
    for text in (*TEXTS.values(), DETAIL[1:]):
        assert not found(files, text)
    sound(place.store)


def test_a_reader_in_the_way_is_told_and_the_next_run_makes_up_for_it(tmp_path, monkeypatch):
    place = Place(tmp_path / "place", "sqlite")
    sealed = place.sealed(place.customer_id)
    monkeypatch.setattr("refunds.service.store.PATIENCE", 0)
    with closing(Store(place.settings)) as another, another.read(COMMAND_LINE) as uow:
        uow.events.head()
        with pytest.raises(StorageUnavailable, match="is still in the log"):
            run(place.store)
        assert place.left_of(sealed) == sealed.keys()
    assert not (place.store.checkpoints.file.parent / "last-retention.json").exists()
    run(place.store)
    assert (place.store.checkpoints.file.parent / "last-retention.json").exists()
    assert place.left_of(sealed) == set()
    place.store.close()


def test_what_a_backup_brings_back_goes_again(tmp_path):
    place = Place(tmp_path / "place", "sqlite")
    sealed, backup = place.sealed(place.customer_id), tmp_path / "backup.db"
    backups.back_up(place.store, backup)
    run(place.store)
    place.store.close()
    backups.restore(place.settings, backup, "")
    with closing(Store(place.settings)) as place.store:
        assert counted(place.store)["orders"] == 2
        run(place.store)
        for file in place.directory.glob("*.replaced-*"):
            file.unlink()
        assert place.left_of(sealed) == set()
        sound(place.store)


def filled(store):
    """Fill an installation with records of every kind."""
    for n in range(12):
        customer_id = registered(store, f"A-{n}", f"K-{n % 5}", PROVIDED)
        (settled, asked, lambda *_: None)[n % 3](store, f"A-{n}")
        if n % 4 == 0:
            unknown(store)
            requested(store, f"K-{n % 5}")
            disclosed(store, f"K-{n % 5}")
            limited(store, customer_id)
    with time_machine.travel(LATER):
        clock.confirm(store)


def test_a_run_that_is_killed_anywhere_is_taken_up_by_the_next(tmp_path, engine, record_property):
    configured, kills, left = settings(tmp_path, engine=engine), 0, None
    with closing(Store(configured)) as store:
        filled(store)
    while dead(forget_and_die, configured, LATER, 10 + scaled(23, 5) * kills):
        kills += 1
        with closing(Store(configured)) as store:
            sound(store)
            before, left = left, counted(store)
            assert before is None or all(left.get(table, 0) <= number for table, number in before.items())
    with closing(Store(configured)) as store:
        assert counted(store) == {}
        sound(store)
    record_property("measured", f"retention, killed {kills} times on {engine}")
    assert kills > 2


def test_other_writes_go_on_beside_it(tmp_path, engine, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    configured, over = settings(tmp_path, engine=engine), Event()
    with closing(Store(configured)) as store, closing(Store(configured)) as another:
        filled(store)

        def write():
            written = 0
            while not over.is_set() or written < 10:
                registered(another, f"B-{written}", f"K-{written % 5}", datetime.now(UTC))
                asked(another, f"B-{written}")
                written += 1
            return written

        with time_machine.travel(LATER + timedelta(hours=1)), ThreadPoolExecutor() as pool:
            writing = pool.submit(write)
            try:
                retention.run(store)
            finally:
                over.set()
            written = writing.result()
        assert counted(store)["orders"] == written
        sound(store)


def test_the_scan_finds_what_stays_in_the_log(tmp_path, monkeypatch):
    place = Place(tmp_path / "place", "sqlite")
    sealed = place.sealed(place.customer_id)
    monkeypatch.setattr(SQLite, "scrub", lambda _: True)
    run(place.store)
    assert place.left_of(sealed)
    place.store.close()
