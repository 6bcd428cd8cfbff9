"""A newer version changes the schema only while no other process uses the database, except only to read."""

import fcntl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service.store import Opening, Store
from refunds.storage import migrations
from refunds.storage.postgres import PostgreSQL
from tests.conftest import settings
from tests.service.test_privacy import registered

STEP = ("9999_more", "CREATE TABLE more (id {key} PRIMARY KEY)")


@pytest.fixture
def of(tmp_path, engine):
    """The settings of an installation with an order."""
    of = settings(tmp_path, engine=engine)
    with closing(Store(of)) as store:
        registered(store, "A-1")
    return of


@pytest.fixture
def upgrade(monkeypatch):
    """Make what opens from now on a version whose schema has one step more."""

    def upgrade(step=STEP):
        monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, step))
        monkeypatch.setattr(migrations, "_KNOWN", {*migrations._KNOWN, step[0]})

    return upgrade


def taken(of):
    """Whether the schema has the step."""
    with closing(Store(of)) as store, store.read(COMMAND_LINE) as uow:
        return uow.tx.one("SELECT name FROM migrations WHERE name = '9999_more'") is not None


def test_a_newer_version_does_not_start_while_an_instance_runs_and_changes_nothing(of, upgrade):
    with closing(Store(of)) as old:
        old.open()
        upgrade()
        for _ in range(2):
            with closing(Store(of)) as new, pytest.raises(ConfigurationError, match="is in use: stop every instance"):
                new.open()
        registered(old, "A-2")
        with old.read(COMMAND_LINE) as uow:
            assert uow.orders.get("A-2")
            assert uow.tx.one("SELECT name FROM migrations WHERE name = '9999_more'") is None
    assert taken(of)


def test_an_instance_that_is_just_ending_or_only_reads_is_not_in_the_way(of, upgrade):
    with closing(Store(of)) as reads, closing(Store(of)) as old:
        reads.open(Opening.READ)
        old.open()
        upgrade()
        old.close()
        assert taken(of)


def test_a_second_instance_of_the_same_version_starts_beside_the_first(of):
    with closing(Store(of)) as one, closing(Store(of)) as other:
        one.open()
        other.open()


@contextmanager
def busy(of, engine):
    """A block in which others wait with their first write, although nobody uses the database."""
    if engine == "sqlite":
        with Path(f"{of.database.removeprefix('sqlite:///')}.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        with closing(PostgreSQL(of.database, readonly=True)) as other, other.write(exclusive=True):
            yield


def test_instances_of_a_newer_version_start_together_and_one_changes_the_schema(of, upgrade, engine):
    """Three wait for their turn. The others start while one changes it: on a server, for longer than they connect."""
    name, statements = STEP
    upgrade((name, f"{statements};\nSELECT pg_sleep(2)" if engine == "postgresql" else statements))

    def start(number):
        with closing(Store(of)) as store:
            registered(store, f"N-{number}")

    with ThreadPoolExecutor(5) as instances:
        with busy(of, engine):
            started = [instances.submit(start, number) for number in range(3)]
            time.sleep(0.5)
        for number in range(3, 5):
            time.sleep(0.3)
            started.append(instances.submit(start, number))
        for one in started:
            one.result()
    assert taken(of)


def test_a_change_of_the_schema_that_fails_can_be_repeated(of, upgrade):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            migrations, "MIGRATIONS", (*migrations.MIGRATIONS, ("9999_more", "CREATE TABLE orders (id TEXT)"))
        )
        with closing(Store(of)) as broken, pytest.raises(Exception, match="orders"):
            broken.open()
    upgrade()
    assert taken(of)
