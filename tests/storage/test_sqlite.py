"""What is specific to SQLite: the queue of writers, its journals and its files."""

import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlite_utils.utils import sqlite3

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import State
from refunds.errors import StorageUnavailable
from refunds.service.store import Store
from refunds.storage.sqlite import SQLite, wal_is_sound
from tests.conftest import settings
from tests.storage.engines import SQLITES, amounts, opener, python, spend, together, with_tables, write


@pytest.fixture(params=SQLITES)
def make(request, tmp_path):
    """An opener of the database of a test."""
    with opener(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def engine(make):
    """An engine with two tables."""
    return with_tables(make())


def pragma(tx, name):
    """The value of a pragma of a connection."""
    (value,) = tx.one(f"PRAGMA {name}").values()
    return value


HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1] + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.readline()
"""

FILL = """
import resource, sys
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.records import State
from refunds.errors import StorageUnavailable
from refunds.service.store import Store
from refunds.storage.sqlite import SQLite
engine = SQLite(sys.argv[1], sound=sys.argv[2] == "True")
def insert(*keys):
    with engine.write() as tx:
        for key in keys:
            tx.run("INSERT INTO parents VALUES (:key, 1, :seal)", key=key, seal=bytes(20_000))
def held():
    with engine.read() as tx:
        return tx.one("SELECT count(*) AS held FROM parents")["held"]
insert("before")
print("ready", flush=True)
sys.stdin.readline()
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    insert(*map(str, range(500)))
except StorageUnavailable:
    print("unavailable", held())
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
insert("after")
with engine.read() as tx:
    print(held(), tx.one("PRAGMA integrity_check")["integrity_check"])
"""


def test_a_writer_waits_for_every_other_writer(make):
    engine = make(patience=0.05)
    with pytest.raises(StorageUnavailable), engine.write(), engine.write():
        pass
    with engine.write() as tx:
        assert tx.one("SELECT 1 AS one") == {"one": 1}


def test_a_writer_does_not_wait_for_another_process_longer_than_its_patience(tmp_path):
    path = tmp_path / "refunds.db"
    engine = SQLite(str(path), patience=0.2)
    holder = python(HOLD, path)
    since = time.monotonic()
    with pytest.raises(StorageUnavailable), engine.write():
        pass
    assert time.monotonic() - since >= 0.2
    together([holder])
    with engine.write() as tx:
        assert tx.one("SELECT 1 AS one")
    engine.close()


def test_a_killed_process_releases_the_lock(tmp_path):
    path = tmp_path / "refunds.db"
    holder = python(HOLD, path)
    holder.kill()
    holder.communicate()
    engine = SQLite(str(path), patience=0.5)
    with engine.write():
        pass
    engine.close()


@pytest.mark.parametrize("sound", [True, False])
def test_a_full_disk_is_reported_and_leaves_no_partial_write(tmp_path, sound):
    """A limit on the file size of the process simulates the full disk."""
    path = tmp_path / "refunds.db"
    with_tables(SQLite(str(path), sound=sound)).close()
    assert together([python(FILL, path, sound)]) == [["unavailable", "3", "4", "ok"]]


def test_a_full_database_is_reported_and_leaves_no_partial_write(engine):
    """SQLite has already rolled back when it reports that."""

    def fill():
        with engine.write() as tx:
            spend(tx, 30)
            tx.run(f"PRAGMA max_page_count = {pragma(tx, 'page_count') + 2}")
            for key in range(100):
                tx.run("INSERT INTO parents VALUES (:key, 1, :seal)", key=str(key), seal=bytes(4000))

    with pytest.raises(StorageUnavailable):
        fill()
    assert amounts(engine) == (100, 0)
    with engine.write() as tx:
        tx.run("PRAGMA max_page_count = 1000000")
        tx.run("INSERT INTO parents VALUES ('c', 1, :seal)", seal=bytes(40_000))
        spend(tx, 1)
    assert amounts(engine) == (99, 1)


@pytest.mark.parametrize(("sound", "journal_mode"), [(True, "wal"), (False, "truncate")])
def test_every_connection_is_durable_and_erases_deleted_data(tmp_path, sound, journal_mode):
    engine = SQLite(str(tmp_path / "refunds.db"), sound=sound)
    for transaction, query_only in ((engine.write, 0), (engine.read, 1)):
        with transaction() as tx:
            found = {
                name: pragma(tx, name)
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema")
            }
            assert pragma(tx, "query_only") == query_only
        assert found == {
            "journal_mode": journal_mode,
            "synchronous": 2,
            "foreign_keys": 1,
            "secure_delete": 1,
            "trusted_schema": 0,
        }
    assert (tmp_path / "refunds.db-wal").exists() == sound
    engine.close()


def test_deleted_data_is_erased_from_the_file(make):
    engine, marker = make(), "unmistakable-" * 400
    write(engine, "CREATE TABLE texts (id {key} PRIMARY KEY, text TEXT)")
    write(engine, "INSERT INTO texts VALUES ('a', :text), ('b', 'kept')", text=marker)
    write(engine, "DELETE FROM texts WHERE id = 'a'")
    engine.close()
    held = {file.name: file.read_bytes() for file in Path(engine.name).parent.iterdir()}
    assert held
    assert not [name for name, content in held.items() if b"unmistakable" in content]


def test_a_database_can_switch_between_sqlite_with_and_without_the_wal_bug(tmp_path):
    for much, sound in enumerate((True, False, True)):
        engine = SQLite(str(tmp_path / "refunds.db"), sound=sound)
        write(engine, "CREATE TABLE IF NOT EXISTS texts (id {bigint} PRIMARY KEY)")
        write(engine, "INSERT INTO texts VALUES (:id)", id=much)
        with engine.read() as tx:
            assert (pragma(tx, "journal_mode") == "wal") == sound
            assert len(tx.all("SELECT * FROM texts")) == much + 1
        engine.close()


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 43, 2), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 7), True),
        ((3, 45, 0), False),
        ((3, 49, 2), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 50, 8), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((3, 53, 4), True),
        ((4, 0, 0), True),
    ],
)
def test_only_a_sqlite_without_the_wal_bug_uses_a_write_ahead_log(version, sound):
    assert wal_is_sound(version) is sound


@contextmanager
def no_umask():
    """Create files without a umask."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("first", ["write", "read"])
def test_only_the_owner_can_read_the_files(make, first):
    with no_umask():
        engine = make()
        with getattr(engine, first)() as tx:
            tx.one("SELECT 1")
        with engine.write() as tx:
            tx.run("CREATE TABLE texts (id {key} PRIMARY KEY)")
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in Path(engine.name).parent.iterdir()}
    assert len(modes) >= 2
    assert set(modes.values()) == {"0o600"}, modes


@pytest.mark.parametrize("transaction", ["read", "write"])
@pytest.mark.parametrize("what", ["a directory", "no database", "beneath a file"])
def test_a_file_that_cannot_be_used_is_unavailable(tmp_path, transaction, what):
    path = tmp_path / "refunds.db"
    if what == "a directory":
        path.mkdir()
    elif what == "no database":
        path.write_bytes(b"no database " * 1000)
    else:
        path.write_bytes(b"")
        path /= "refunds.db"
    engine = SQLite(str(path))
    with pytest.raises(StorageUnavailable), getattr(engine, transaction)() as tx:
        tx.all("SELECT * FROM sqlite_master")
    engine.close()


def test_a_write_succeeds_after_a_stranger_has_kept_another_from_beginning(make, tmp_path):
    """Such as sqlite-utils, which takes no ticket."""
    engine = with_tables(make(patience=0.05))
    (path,) = (p for p in tmp_path.rglob("*") if p.suffix == ".db")
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            write(engine, "INSERT INTO parents VALUES ('kept', 1, :seal)", seal=b"")
        stranger.execute("ROLLBACK")
        write(engine, "INSERT INTO parents VALUES ('written', 1, :seal)", seal=b"")
    with engine.read() as tx:
        assert [row["id"] for row in tx.all("SELECT id FROM parents WHERE id IN ('kept', 'written')")] == ["written"]


def test_a_connecting_reader_does_not_release_a_lock(engine, tmp_path):
    """Closing any descriptor of a file releases all locks that its process holds on it."""
    (path,) = (p for p in tmp_path.rglob("*") if p.suffix == ".db")
    stranger = (
        "import sys; from sqlite_utils.utils import sqlite3\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    with engine.write() as tx:
        tx.run("CREATE TABLE held (a {bigint})")
        with engine.read() as first, engine.read() as second:  # the second one opens a new connection
            first.one("SELECT 1")
            second.one("SELECT 1")
        ran = subprocess.run([sys.executable, "-c", stranger, path], capture_output=True, text=True, check=True)
    assert "locked" in ran.stdout


@pytest.mark.parametrize(
    "more", [{}, {"state": State.ISSUED}, {"basis": "policy"}, {"issued_by": "cli_1"}, {"policy": "virtual-numbers"}]
)
def test_a_page_of_overdue_cancellations_reads_only_those_that_are(tmp_path, monkeypatch, more):
    """SQLite would else read and sort everything that is not settled."""
    with closing(Store(settings(tmp_path))) as store, store.read(COMMAND_LINE) as uow:
        read, sent = type(uow.tx).all, []
        monkeypatch.setattr(
            type(uow.tx), "all", lambda tx, sql, **given: sent.append((sql, given)) or read(tx, sql, **given)
        )
        assert uow.cancellations.paginate(limit=50, overdue=True, **more) == []
        sql, given = sent[-1]
        plan = [row["detail"] for row in uow.tx.all(f"EXPLAIN QUERY PLAN {sql}", **given)]
    assert "SEARCH cancellations USING INDEX cancellations_due (overdue_at<?)" in plan
    assert not [step for step in plan if step.startswith(("SCAN", "USE TEMP"))], plan
