"""The contract of an engine, what SQLite does to keep it, the schema, and how records become rows."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlite_utils import Database

from refunds.errors import ConfigurationError, Conflict, StorageUnavailable
from refunds.records import Basis, Cancellation, State
from refunds.secrecy import Vault, new_key
from refunds.storage import open_engine
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.clients import CLIENTS, TOKENS
from refunds.storage.contacts import CONTACTS
from refunds.storage.events import EVENTS
from refunds.storage.migrations import migrate
from refunds.storage.orders import ORDERS
from refunds.storage.sqlite import SQLite, wal_is_sound
from tests.conftest import ROOT

ENGINES = {"write-ahead log": partial(SQLite, sound=True), "rollback journal": partial(SQLite, sound=False)}
"""Whatever keeps the contract: another engine is another line here."""

SCHEMA = (
    "CREATE TABLE parents (id {key} PRIMARY KEY, amount {bigint} NOT NULL, seal {bytes})",
    "CREATE TABLE children (id {key} PRIMARY KEY, parent {key} NOT NULL REFERENCES parents (id), name TEXT UNIQUE)",
    "INSERT INTO parents (id, amount) VALUES ('a', 100)",
    "INSERT INTO parents (id, amount) VALUES ('b', 0)",
)


@pytest.fixture(params=ENGINES)
def make(request, tmp_path):
    """What opens the database of a test, as often as is wanted."""
    made = []

    def opened(**options):
        made.append(ENGINES[request.param](str(tmp_path / "refunds.db"), **options))
        return made[-1]

    yield opened
    for engine in made:
        engine.close()


@pytest.fixture
def engine(make):
    """An engine with two tables."""
    made = make()
    with made.write() as tx:
        for statement in SCHEMA:
            tx.run(statement)
    return made


def amount(tx, parent="a"):
    """The amount of a row."""
    return tx.one("SELECT amount FROM parents WHERE id = :id", id=parent)["amount"]


def spend(tx, much):
    """Take something from one row to the other."""
    tx.run("UPDATE parents SET amount = amount - :much WHERE id = 'a'", much=much)
    tx.run("UPDATE parents SET amount = amount + :much WHERE id = 'b'", much=much)


def amounts(engine):
    """What both rows hold."""
    with engine.read() as tx:
        return amount(tx, "a"), amount(tx, "b")


def write(engine, sql, **parameters):
    """One statement in a transaction of its own."""
    with engine.write() as tx:
        return tx.run(sql, **parameters)


def pragma(tx, name):
    """What a connection is set to."""
    (value,) = tx.one(f"PRAGMA {name}").values()
    return value


def python(code, *arguments):
    """Another process that runs some code; it says when it is ready, and goes on at a line of input."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def together(processes):
    """What processes print that go on at the same moment."""
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=30) for process in processes]
    assert [err for _, err in told] == [""] * len(told)
    return [out.split() for out, _ in told]


# The contract.


def test_a_write_is_there_for_the_next_read(engine):
    with engine.write() as tx:
        spend(tx, 30)
        assert amount(tx) == 70
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize("error", [ValueError, StorageUnavailable, KeyboardInterrupt, GeneratorExit])
def test_a_write_that_an_error_leaves_never_was(engine, error):
    def spoilt():
        with engine.write() as tx:
            spend(tx, 30)
            raise error

    with pytest.raises(error):
        spoilt()
    assert amounts(engine) == (100, 0)
    with engine.write() as tx:
        spend(tx, 1)
    assert amounts(engine) == (99, 1)


def test_a_conflict_takes_the_whole_write_back(engine):
    def spoilt():
        with engine.write() as tx:
            spend(tx, 30)
            tx.run("INSERT INTO parents (id, amount) VALUES ('a', 1)")

    with pytest.raises(Conflict):
        spoilt()
    assert amounts(engine) == (100, 0)


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        ("INSERT INTO parents (id, amount) VALUES ('a', 1)", "parents.id"),
        ("INSERT INTO children (id, parent, name) VALUES ('d', 'a', 'Carl')", "children.name"),
        ("UPDATE children SET id = 'c' WHERE id = 'e'", "children.id"),
    ],
)
def test_a_conflict_names_what_two_cannot_both_keep(engine, sql, constraint):
    write(engine, "INSERT INTO children (id, parent, name) VALUES ('c', 'a', 'Carl'), ('e', 'a', 'Emma')")
    with pytest.raises(Conflict) as conflict:
        write(engine, sql)
    assert conflict.value.constraint == constraint
    assert constraint not in str(conflict.value)


@pytest.mark.parametrize(
    "sql", ["INSERT INTO children (id, parent) VALUES ('d', 'nobody')", "DELETE FROM parents WHERE id = 'a'"]
)
def test_foreign_keys_hold(engine, sql):
    write(engine, "INSERT INTO children (id, parent) VALUES ('c', 'a')")
    with pytest.raises(Conflict):
        write(engine, sql)


def test_a_read_sees_one_state_while_others_write(engine):
    with ThreadPoolExecutor(1) as others:
        with engine.read() as tx:
            assert amount(tx) == 100
            written = others.submit(write, engine, "UPDATE parents SET amount = 1")
            time.sleep(0.1)
            assert (amount(tx, "a"), amount(tx, "b")) == (100, 0)
        assert written.result(timeout=5) == 2
    assert amounts(engine) == (1, 1)


def test_a_read_inside_a_write_sees_what_is_committed(engine):
    with engine.write() as tx:
        spend(tx, 30)
        assert amounts(engine) == (100, 0)
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize("leave", [list, next])
def test_a_read_that_ends_half_way_holds_nothing(make, leave):
    """Not even while the rows that were not read any more can still be asked for."""
    engine = make(patience=1)
    with engine.write() as tx:
        for statement in SCHEMA:
            tx.run(statement)
    with ExitStack() as half_way:
        with engine.read() as tx:
            rows = tx.each("SELECT id FROM parents")
            half_way.callback(rows.close)
            assert leave(rows)
        with suppress(StorageUnavailable):
            write(engine, "UPDATE parents SET amount = 1")
        seen = amounts(engine)
    assert seen == (1, 1)


def test_a_write_that_ends_half_way_through_its_rows_is_committed(engine):
    with ExitStack() as half_way:
        with engine.write() as tx:
            rows = tx.each("SELECT id FROM parents")
            half_way.callback(rows.close)
            assert next(rows)
            spend(tx, 30)
        seen = amounts(engine)
    assert seen == (70, 30)
    with engine.write() as tx:
        spend(tx, 1)
    assert amounts(engine) == (69, 31)


@pytest.mark.parametrize(
    "sql", ["UPDATE parents SET amount = 1", "INSERT INTO parents VALUES ('c', 1, NULL)", "DROP TABLE children"]
)
def test_a_reader_cannot_write(engine, sql):
    with pytest.raises(StorageUnavailable), engine.read() as tx:
        tx.run(sql)
    assert amounts(engine) == (100, 0)
    assert write(engine, "UPDATE parents SET amount = 1") == 2


def test_a_mistake_in_a_statement_is_not_taken_for_a_busy_database(engine):
    with pytest.raises(Exception, match="syntax error") as mistake, engine.read() as tx:
        tx.one("SELECT FROM parents")
    assert not isinstance(mistake.value, StorageUnavailable)


def test_bytes_numbers_and_nothing_come_back_as_they_went_in(engine):
    big, sealed = 2**63 - 1, bytes(range(256))
    write(engine, "INSERT INTO parents VALUES ('c', :amount, :seal)", amount=big, seal=sealed)
    with engine.read() as tx:
        rows = {row["id"]: row for row in tx.all("SELECT * FROM parents")}
    assert (rows["c"]["amount"], bytes(rows["c"]["seal"]), rows["a"]["seal"]) == (big, sealed, None)


def test_one_all_and_each_agree(engine):
    with engine.read() as tx:
        sql = "SELECT id FROM parents ORDER BY id"
        assert tx.all(sql) == list(tx.each(sql)) == [{"id": "a"}, {"id": "b"}]
        assert tx.one(sql) == {"id": "a"}
        assert tx.one("SELECT id FROM parents WHERE id = 'z'") is None


def test_closed_it_is_opened_anew_when_it_is_used(engine):
    for much in (1, 2):
        engine.close()
        with engine.write() as tx:
            spend(tx, much)
        engine.close()
        engine.close()
        assert amounts(engine)[1] == much * (much + 1) / 2


def test_no_writer_loses_what_another_wrote(engine):
    """Each reads, thinks and writes, as use cases do."""

    def one_more(_):
        with engine.write() as tx:
            seen = amount(tx)
            time.sleep(0)
            tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one_more, range(50)))
    assert amounts(engine) == (150, 0)


def test_readers_and_writers_do_not_disturb_each_other(engine):
    done = threading.Event()

    def look():
        seen = set()
        while not done.is_set():
            seen.add(sum(amounts(engine)))
        return seen

    def spend_one(_):
        with engine.write() as tx:
            spend(tx, 1)

    with ThreadPoolExecutor(8) as threads:
        looking = [threads.submit(look) for _ in range(4)]
        try:
            list(threads.map(spend_one, range(60)))
        finally:
            done.set()
        assert [look.result() for look in looking] == [{100}] * 4
    assert amounts(engine) == (40, 60)


def test_a_second_writer_of_the_same_thread_is_turned_away(make):
    engine = make(patience=0.05)
    with pytest.raises(StorageUnavailable), engine.write(), engine.write():
        pass
    with engine.write() as tx:
        assert tx.one("SELECT 1 AS one") == {"one": 1}


def test_a_writer_is_turned_away_when_its_patience_ends(make):
    engine = make(patience=0.2)
    began, end = threading.Event(), threading.Event()

    def hold():
        with engine.write():
            began.set()
            end.wait(10)

    with ThreadPoolExecutor(1) as others:
        holding = others.submit(hold)
        began.wait(5)
        since = time.monotonic()
        with pytest.raises(StorageUnavailable), engine.write():
            pass
        assert 0.2 <= time.monotonic() - since < 2
        end.set()
        holding.result(5)
    with engine.write():
        pass


# SQLite.

WRITE_MANY = """
import sys
from refunds.storage.sqlite import SQLite
engine = SQLite(sys.argv[1], sound=sys.argv[2] == "True")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(10):
    with engine.write() as tx:
        seen = tx.one("SELECT amount FROM parents WHERE id = 'a'")["amount"]
        tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=seen + 1)
    with engine.read() as tx:
        assert tx.one("SELECT amount FROM parents WHERE id = 'a'")["amount"] > seen
engine.close()
"""

HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1] + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(file, fcntl.LOCK_EX)
print("ready", flush=True)
sys.stdin.readline()
"""

FILL = """
import resource, sys
from refunds.errors import StorageUnavailable
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


@pytest.mark.parametrize("sound", [True, False])
def test_processes_write_by_turns(tmp_path, sound):
    path = tmp_path / "refunds.db"
    engine = SQLite(str(path), sound=sound)
    with engine.write() as tx:
        for statement in SCHEMA:
            tx.run(statement)
    together([python(WRITE_MANY, path, sound) for _ in range(3)])
    assert amounts(engine) == (130, 0)
    engine.close()


def test_a_writer_does_not_wait_for_another_process_longer_than_its_patience(tmp_path):
    path = tmp_path / "refunds.db"
    engine = SQLite(str(path), patience=0.2)
    holder = python(HOLD, path)
    since = time.monotonic()
    with pytest.raises(StorageUnavailable), engine.write():
        pass
    assert 0.2 <= time.monotonic() - since < 2
    together([holder])
    with engine.write() as tx:
        assert tx.one("SELECT 1 AS one")
    engine.close()


def test_the_ticket_of_a_process_that_was_killed_is_free(tmp_path):
    path = tmp_path / "refunds.db"
    holder = python(HOLD, path)
    holder.kill()
    holder.communicate()
    engine = SQLite(str(path), patience=0.5)
    with engine.write():
        pass
    engine.close()


@pytest.mark.parametrize("sound", [True, False])
def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path, sound):
    """The disk of a process is as large as its limit of a file's size."""
    path = tmp_path / "refunds.db"
    engine = SQLite(str(path), sound=sound)
    with engine.write() as tx:
        for statement in SCHEMA:
            tx.run(statement)
    engine.close()
    assert together([python(FILL, path, sound)]) == [["unavailable", "3", "4", "ok"]]


def test_a_database_that_has_no_room_left_is_told_and_leaves_nothing_half_written(engine):
    """SQLite has already rolled back when it says so."""

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
def test_every_connection_is_set_to_keep_what_it_is_given_and_to_erase_what_it_is_told(tmp_path, sound, journal_mode):
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


def test_what_is_deleted_is_not_in_the_file_any_more(make):
    engine, marker = make(), "unmistakable-" * 400
    write(engine, "CREATE TABLE texts (id {key} PRIMARY KEY, text TEXT)")
    write(engine, "INSERT INTO texts VALUES ('a', :text), ('b', 'kept')", text=marker)
    write(engine, "DELETE FROM texts WHERE id = 'a'")
    engine.close()
    held = {file.name: file.read_bytes() for file in Path(engine.name).parent.iterdir()}
    assert held
    assert not [name for name, content in held.items() if b"unmistakable" in content]


def test_a_database_of_a_sound_sqlite_serves_on_one_that_is_not_and_back(tmp_path):
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
def test_a_write_ahead_log_is_kept_by_a_sqlite_without_the_bug_alone(version, sound):
    assert wal_is_sound(version) is sound


@contextmanager
def no_umask():
    """Files as open as their makers leave them."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("first", ["write", "read"])
def test_its_files_are_for_their_owner_alone(make, first):
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


# Where it is.


@pytest.mark.parametrize(
    "url",
    [
        "",
        "refunds.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:refunds.db",
        "sqlite:///refunds.db?mode=ro",
        "sqlite:///refunds.db#1",
        "mysql://localhost/refunds",
        "sqlite://refunds.db",
        "postgresql",
        "SQLITE:///refunds.db",
    ],
)
def test_a_url_that_names_no_engine_is_refused(url):
    with pytest.raises(ConfigurationError, match=r"^REFUNDS_DATABASE: must be sqlite:///PATH"):
        open_engine(url)


@pytest.mark.parametrize("path", ["instance/refunds.db", "/var/lib/refunds.db"])
def test_a_url_names_a_path(path):
    assert open_engine(f"sqlite:///{path}").name == path


# The schema.

TABLES = (ORDERS, CONTACTS, CANCELLATIONS, CLIENTS, TOKENS, EVENTS)
NO_RECORDS = {"migrations", "keys", "customers", "journal_head", "idempotency"}
NAMES = [table.name for table in TABLES]

MIGRATE = """
import sys
from refunds.storage import open_engine
from refunds.storage.migrations import migrate
engine = open_engine("sqlite:///" + sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
with engine.read() as tx:
    print(len(tx.all("SELECT * FROM migrations")), len(tx.all("SELECT * FROM journal_head")))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An engine with the schema."""
    engine = SQLite(str(tmp_path_factory.mktemp("installed") / "refunds.db"))
    migrate(engine)
    yield engine
    engine.close()


def test_the_schema_is_made_once_by_four_processes_that_start_together(tmp_path):
    processes = [python(MIGRATE, tmp_path / "refunds.db") for _ in range(4)]
    assert together(processes) == [["1", "1"]] * 4


def test_a_schema_that_is_up_to_date_stays_as_it_is(installed):
    with installed.read() as tx:
        before = tx.all("SELECT * FROM sqlite_master"), tx.all("SELECT * FROM migrations")
    migrate(installed)
    with installed.read() as tx:
        assert (tx.all("SELECT * FROM sqlite_master"), tx.all("SELECT * FROM migrations")) == before


def test_a_newer_schema_is_refused_and_left_alone(make):
    engine = make()
    migrate(engine)
    write(engine, "INSERT INTO migrations (name) VALUES ('9999_from_the_future')")
    with pytest.raises(ConfigurationError, match="newer version of the service"):
        migrate(engine)
    write(engine, "DELETE FROM migrations WHERE name = '9999_from_the_future'")
    migrate(engine)


def test_a_migration_that_fails_leaves_nothing(make, monkeypatch):
    engine = make()
    broken = (("0001_broken", "CREATE TABLE texts (id {key} PRIMARY KEY);\nCREATE TABLE texts (id {key});\n"),)
    with monkeypatch.context() as patched:
        patched.setattr("refunds.storage.migrations.MIGRATIONS", broken)
        with pytest.raises(Exception, match="already exists"):
            migrate(engine)
    with engine.read() as tx:
        assert tx.all("SELECT name FROM sqlite_master") == []
    migrate(engine)


TYPES = {str: "TEXT", int: "INTEGER", bytes: "BLOB", bool: "INTEGER", datetime: "INTEGER", date: "TEXT", dict: "TEXT"}


def plain(hint):
    """A field's type without None, and whether None may stand there."""
    optional = isinstance(hint, UnionType)
    if optional:
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return (dict if get_origin(hint) is Mapping else hint), optional


def column(record, field):
    """What a column has to be: its name, its type, and whether something must stand there."""
    hint, optional = plain(get_type_hints(record)[field.name])
    kind = "BLOB" if field.metadata.get("personal") else "TEXT" if issubclass(hint, StrEnum) else TYPES[hint]
    return field.name, kind, not optional


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_a_record_has_exactly_the_columns_of_its_table(installed, table):
    there = Database(installed.name)[table.name].columns
    wanted = [column(table.record, field) for field in fields(table.record)]
    assert [(c.name, c.type, bool(c.notnull or c.is_pk)) for c in there] == wanted
    assert [c.name for c in there if c.is_pk] == [table.key]
    assert table.columns.replace(f"{table.name}.", "").split(", ") == [c.name for c in there]


def test_every_table_is_a_records_or_known_to_be_none(installed):
    assert set(Database(installed.name).table_names()) == {*NAMES, *NO_RECORDS}


# Records and rows.

_TEXT = st.text(max_size=30)
_JSON = st.dictionaries(
    _TEXT,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | _TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
VALUES = {
    str: _TEXT,
    int: st.integers(-(2**63), 2**63 - 1),
    bytes: st.binary(max_size=40),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    dict: _JSON,
}


def values(hint):
    """Every value that a field may have."""
    kind, optional = plain(hint)
    given_ = st.sampled_from(kind) if issubclass(kind, StrEnum) else VALUES[kind]
    return given_ | st.none() if optional else given_


def records(record):
    """Every record of a class."""
    return st.builds(record, **{name: values(hint) for name, hint in get_type_hints(record).items()})


def only_row(tx, table):
    """The one row of a table."""
    (row,) = tx.all(f"SELECT {table.columns} FROM {table.name}")  # noqa: S608 - the table's own
    return row


class _TakeBackError(Exception):
    """What was written in a test was for that test."""


@contextmanager
def scratch(engine):
    """A write in which records may stand without those that they refer to, and of which nothing is left."""
    with suppress(_TakeBackError), engine.write() as tx:
        tx.run("PRAGMA defer_foreign_keys = ON")
        yield tx
        raise _TakeBackError


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
@given(data=st.data())
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_record_comes_back_as_it_went_in(installed, table, data):
    record, vault = data.draw(records(table.record)), Vault(new_key())
    with scratch(installed) as tx:
        digest = table.insert(tx, record, vault)
        row = only_row(tx, table)
        assert table.read(row, vault) == record
        assert table.digest(row) == digest


@pytest.mark.parametrize("table", [ORDERS, CONTACTS, CANCELLATIONS], ids=lambda table: table.name)
@given(data=st.data())
@hypothesis_settings(max_examples=20, deadline=None)
def test_what_is_personal_is_nothing_to_who_may_not_see_it(installed, table, data):
    record, vault = data.draw(records(table.record)), Vault(new_key())
    with scratch(installed) as tx:
        table.insert(tx, record, vault)
        shown = table.read(only_row(tx, table), Vault(None))
    for field in fields(table.record):
        hidden = field.metadata.get("personal")
        assert getattr(shown, field.name) == (None if hidden else getattr(record, field.name))


NOW = datetime(2026, 4, 8, 21, 5, tzinfo=UTC)
ISSUED = Cancellation(
    cancellation_id="can_1",
    reference="1234567894",
    order_id="A-1001",
    contact_id="con_1",
    decision={"outcome": {"eligible": True}},
    basis=Basis.POLICY,
    state=State.ISSUED,
    issued_at=NOW,
    issued_by="cli_1",
    refund_due_by=date(2026, 4, 22),
    overdue_at=NOW,
)
SETTLED = {"state": State.SETTLED, "settled_at": NOW, "settled_by": "cli_2", "billing_ref": "RF-1"}


def stored(tx, vault):
    """The one cancellation that is stored."""
    return CANCELLATIONS.read(only_row(tx, CANCELLATIONS), vault)


def test_a_change_is_stored_and_told_with_its_digest(installed):
    vault = Vault(new_key())
    with scratch(installed) as tx:
        before = CANCELLATIONS.insert(tx, ISSUED, vault)
        after, digest = CANCELLATIONS.change(tx, ISSUED, vault, **SETTLED)
        assert stored(tx, vault) == after
        assert (after.state, after.billing_ref, after.issued_by) == (State.SETTLED, "RF-1", "cli_1")
        assert digest == CANCELLATIONS.digest(tx.one("SELECT * FROM cancellations")) != before


@pytest.mark.parametrize(
    "meanwhile",
    [
        "UPDATE cancellations SET state = 'settled'",
        "UPDATE cancellations SET state = 'revoked'",
        "UPDATE cancellations SET settled_at = 0",
        "UPDATE cancellations SET settled_by = 'cli_3'",
        "UPDATE cancellations SET cancellation_id = 'can_2'",
        "DELETE FROM cancellations",
    ],
)
def test_a_change_is_refused_when_the_row_is_no_longer_what_it_was(installed, meanwhile):
    vault = Vault(new_key())
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, vault)
        tx.run(meanwhile)
        there = tx.all("SELECT * FROM cancellations")
        with pytest.raises(StorageUnavailable):
            CANCELLATIONS.change(tx, ISSUED, vault, **SETTLED)
        assert tx.all("SELECT * FROM cancellations") == there


def test_a_change_back_is_refused_the_second_time(installed):
    vault, back = Vault(new_key()), {"state": State.ISSUED, "settled_at": None, "settled_by": None, "billing_ref": None}
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, vault)
        settled, _ = CANCELLATIONS.change(tx, ISSUED, vault, **SETTLED)
        issued, _ = CANCELLATIONS.change(tx, settled, vault, **back)
        assert issued == ISSUED == stored(tx, vault)
        with pytest.raises(StorageUnavailable):
            CANCELLATIONS.change(tx, settled, vault, **back)
        assert stored(tx, vault) == ISSUED


def test_a_new_record_gives_way_to_the_one_of_its_key(installed):
    vault = Vault(new_key())
    with scratch(installed) as tx:
        assert CANCELLATIONS.insert_new(tx, ISSUED, vault) is not None
        later = Cancellation(**{f.name: getattr(ISSUED, f.name) for f in fields(Cancellation)} | {"issued_by": "cli_9"})
        assert CANCELLATIONS.insert_new(tx, later, vault) is None
        assert stored(tx, vault) == ISSUED


def test_what_is_sealed_anew_opens_with_the_new_key_alone(installed):
    vault, to = Vault(new_key()), Vault(new_key())
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, vault)
        settled, digest = CANCELLATIONS.change(tx, ISSUED, vault, **SETTLED)
        row = tx.one("SELECT * FROM cancellations")
        CANCELLATIONS.reseal(tx, row, vault, to)
        assert stored(tx, to) == settled
        with pytest.raises(Exception, match="does not open"):
            stored(tx, vault)
        assert CANCELLATIONS.digest(tx.one("SELECT * FROM cancellations")) == digest


def test_a_reader_that_connects_takes_no_lock_away(engine, tmp_path):
    """Closing any descriptor of a file lets go of all that its process has locked in it."""
    (path,) = (p for p in tmp_path.rglob("*") if p.suffix == ".db")
    stranger = (
        "import sys; from sqlite_utils.utils import sqlite3\n"
        "try: sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None).execute('BEGIN IMMEDIATE')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    with engine.write() as tx:
        tx.run("CREATE TABLE held (a {bigint})")
        with engine.read() as first, engine.read() as second:  # the second one has to connect
            first.one("SELECT 1")
            second.one("SELECT 1")
        ran = subprocess.run([sys.executable, "-c", stranger, path], capture_output=True, text=True, check=True)
    assert "locked" in ran.stdout
