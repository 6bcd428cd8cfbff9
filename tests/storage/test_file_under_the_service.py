"""The file of a SQLite database that is removed, moved, replaced or damaged while or before it is used."""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from refunds.errors import ConfigurationError, DamagedDatabase, FileReplaced, StorageUnavailable
from refunds.storage.sqlite import SQLite
from tests.storage.engines import SQLITES, amounts, opener, spend, with_tables, write

BESIDE = ("", "-wal", "-shm")


@pytest.fixture(params=SQLITES)
def make(request, tmp_path):
    """An opener of the database of a test."""
    with opener(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def engine(make):
    """An engine with two tables that has written and read."""
    made = with_tables(make())
    assert amounts(made) == (100, 0)
    return made


def another(path):
    """The file of another database with the same tables."""
    engine = with_tables(SQLite(f"{path}-another"))
    write(engine, "UPDATE parents SET amount = 7")
    engine.close()
    return Path(engine.name)


def remove(path):
    """Remove the file alone."""
    path.unlink()


def move(path):
    """Move the file alone."""
    path.rename(f"{path}-moved")


def remove_all(path):
    """Remove the file and what is beside it."""
    for name in BESIDE:
        Path(f"{path}{name}").unlink(missing_ok=True)


def move_directory(path):
    """Move the directory of the file."""
    path.parent.rename(f"{path.parent}-moved")


def replace(path):
    """Put another database in the place of the file."""
    another(path).rename(path)


HOW = {each.__name__: each for each in (remove, move, remove_all, move_directory, replace)}


def refused(engine, transaction):
    """The error of a transaction."""
    with pytest.raises(FileReplaced) as refusal, getattr(engine, transaction)() as tx:
        tx.run("UPDATE parents SET amount = 1") if transaction == "write" else tx.all("SELECT * FROM parents")
    return refusal.value


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_file_that_is_gone_or_another_is_not_used(engine, how):
    """Neither by a writer nor by a reader, old or new; and no new file is made in its place."""
    path = Path(engine.name)
    with engine.read():  # so that the next one opens a connection
        how(path)
        is_there = path.exists()
        for transaction in ("write", "read", "write"):
            error = refused(engine, transaction)
            assert str(path) in str(error)
            assert str(path) not in error.detail
            assert error.exit_code == 23
    assert path.exists() == is_there
    engine.close()
    if is_there:
        assert amounts(SQLite(str(path), readonly=True)) == (7, 7)


def test_the_file_can_be_asked_after_without_a_transaction(engine):
    engine.require_there()
    remove(Path(engine.name))
    with pytest.raises(FileReplaced):
        engine.require_there()


@pytest.mark.parametrize("name", ["-wal", "-shm"])
def test_a_log_that_is_removed_is_noticed(tmp_path, name):
    """What is written into a removed log is lost at the next start."""
    engine = with_tables(SQLite(str(tmp_path / "refunds.db"), sound=True))
    Path(f"{engine.name}{name}").unlink()
    refused(engine, "write")
    refused(engine, "read")
    engine.close()


def test_a_file_that_is_moved_and_moved_back_is_used_on(engine):
    path = Path(engine.name)
    move(path)
    refused(engine, "write")
    Path(f"{path}-moved").rename(path)
    with engine.write() as tx:
        spend(tx, 1)
    assert amounts(engine) == (99, 1)


def test_a_write_during_which_the_file_is_moved_is_not_committed(engine):
    path = Path(engine.name)

    def moved_before_the_commit():
        with engine.write() as tx:
            spend(tx, 1)
            move(path)

    with pytest.raises(FileReplaced):
        moved_before_the_commit()
    engine.close()
    assert amounts(SQLite(f"{path}-moved", readonly=True)) == (100, 0)


def test_a_commit_during_which_the_file_is_removed_is_not_acknowledged(engine, monkeypatch):
    """It may be in the file, or not: that is not known."""
    path = Path(engine.name)
    commit = type(engine._writer).commit

    def commit_and_remove(writer):
        commit(writer)
        remove(path)

    monkeypatch.setattr(type(engine._writer), "commit", commit_and_remove)
    refused(engine, "write")


def test_a_moved_file_has_every_write_once_the_engine_is_closed(engine):
    """Not only the log, which stays where it was and would damage another database that is put there."""
    path = Path(engine.name)
    with engine.write() as tx:
        spend(tx, 30)
    move(path)
    engine.close()
    moved = Path(f"{path}-moved")
    assert amounts(SQLite(str(moved), readonly=True)) == (70, 30)
    another(path).rename(path)
    assert amounts(SQLite(str(path))) == (7, 7)


def test_a_closed_engine_opens_the_file_that_is_there(engine):
    path = Path(engine.name)
    engine.close()
    replace(path)
    assert amounts(engine) == (7, 7)


@pytest.mark.parametrize("how", [move, replace], ids=["moved", "replaced"])
def test_what_is_acknowledged_by_threads_is_in_the_file_that_was_moved(engine, how):
    path = Path(engine.name)
    kept = path.with_name("kept")
    os.link(path, kept)  # the same file, also after its name is another's
    acknowledged, enough, ended = [], threading.Event(), []

    def write_on(thread):
        with suppress(FileReplaced):
            for number in range(10_000):
                key = f"{thread}-{number}"
                write(engine, "INSERT INTO parents (id, amount) VALUES (:key, 1)", key=key)
                acknowledged.append(key)
                if len(acknowledged) >= 100:
                    enough.set()
            return
        ended.append(thread)

    threads = [threading.Thread(target=write_on, args=(each,)) for each in range(6)]
    for thread in threads:
        thread.start()
    enough.wait(60)
    how(path)
    for thread in threads:
        thread.join()
    assert len(ended) == 6
    engine.close()
    with SQLite(str(kept), readonly=True).read() as tx:
        held = {row["id"] for row in tx.all("SELECT id FROM parents")}
    assert set(acknowledged) <= held


def test_another_database_that_is_copied_over_the_file_is_not_written_to_unnoticed(engine):
    """The file is the same one, with other content: SQLite says that it is damaged, or reads the other database."""
    path = Path(engine.name)
    shutil.copyfile(another(path), path)
    with suppress(StorageUnavailable):
        assert amounts(engine) in {(100, 0), (7, 7)}


def damaged_page(path):
    """Random bytes in the middle of the first page, which has the schema."""
    content = path.read_bytes()
    path.write_bytes(content[:1000] + os.urandom(3000) + content[4000:])


def cut_short(path):
    """The first page and a half."""
    os.truncate(path, 6000)


def other_content(path):
    """No database."""
    path.write_bytes(b"no database " * 1000)


DAMAGES = {each.__name__: each for each in (damaged_page, cut_short, other_content)}


@pytest.mark.parametrize("transaction", ["read", "write"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong_and_the_way_back(make, damage, transaction):
    """Nothing is written to it."""
    engine = with_tables(make())
    write(engine, "INSERT INTO parents VALUES ('big', 1, :seal)", seal=bytes(40_000))
    engine.close()
    path = Path(engine.name)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(DamagedDatabase) as damaged, getattr(engine, transaction)() as tx:
        tx.all("SELECT * FROM parents, children")
    text = str(damaged.value)
    assert text.startswith(f"{path} is damaged: ")
    assert any(found in text for found in ("malformed", "not a database", "too big"))
    assert "flask restore" in text
    assert ".recover" in text
    assert str(path) not in damaged.value.detail
    assert damaged.value.exit_code == 23
    engine.close()
    assert path.read_bytes() == before


def test_a_value_of_an_impossible_length_is_damage(make):
    """A damaged page may give one."""
    engine = with_tables(make())
    with pytest.raises(DamagedDatabase, match="too big"), engine.read() as tx:
        tx.all("SELECT zeroblob(2000000000)")


# A file that is read without a lock, because nobody used it.


@pytest.fixture
def stopped(tmp_path):
    """The path of a database with many pages that no process uses."""
    engine = with_tables(SQLite(str(tmp_path / "refunds.db"), sound=True))
    with engine.write() as tx:
        for number in range(2000):
            tx.run("INSERT INTO parents VALUES (:id, 1, :seal)", id=f"r-{number:04}", seal=bytes(400))
    engine.close()
    return engine.name


def serve(path, *, stop=True):
    """Start a service, write much, and stop it."""
    engine = SQLite(path, sound=True)
    with engine.write() as tx:
        tx.run("DELETE FROM parents WHERE id LIKE 'r-%0'")
        tx.run("UPDATE parents SET seal = zeroblob(900), amount = amount + 1")
    if stop:
        engine.close()
    return engine


@pytest.mark.parametrize("stop", [True, False], ids=["stopped again", "running"])
def test_a_service_that_starts_while_the_file_is_read_is_not_taken_for_damage(stopped, stop):
    reader = SQLite(stopped, readonly=True)
    services = []

    def read():
        with reader.read() as tx:
            assert next(tx.each("SELECT * FROM parents ORDER BY id"))
            services.append(serve(stopped, stop=stop))
            tx.all("SELECT * FROM parents ORDER BY id")

    with pytest.raises(StorageUnavailable, match="run the command again") as refusal:
        read()
    assert type(refusal.value) is StorageUnavailable
    with reader.read() as tx:
        assert tx.one("SELECT amount FROM parents WHERE id = 'a'") == {"amount": 101}
    services[0].close()
    reader.close()


def test_a_copy_during_which_the_service_starts_is_not_taken_for_whole(stopped, tmp_path, monkeypatch):
    reader = SQLite(stopped, readonly=True)
    connect = reader._connect_to_file

    def connect_and_serve():
        connection = connect()
        connection.execute("SELECT * FROM parents").fetchone()
        serve(stopped)
        return connection

    monkeypatch.setattr(reader, "_connect_to_file", connect_and_serve)
    with pytest.raises(StorageUnavailable, match="run the command again"):
        reader.copy_to(tmp_path / "copy.db")


def test_a_reader_leaves_every_byte_and_nothing_beside_the_file(stopped, tmp_path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    reader = SQLite(stopped, readonly=True)
    for _ in range(2):
        with reader.read() as tx:
            assert len(tx.all("SELECT * FROM parents")) == 2002
            assert set(tmp_path.iterdir()) == set(before)
    reader.close()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before


# A symbolic link.


def test_a_link_is_the_file_that_it_names(tmp_path):
    """SQLite keeps the log beside that file; so what is beside the link would be another database's."""
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real/refunds.db", tmp_path / "link.db"
    link.symlink_to(real)
    engine = with_tables(SQLite(str(link), sound=True))
    write(engine, "UPDATE parents SET amount = amount + 1")
    reader = SQLite(str(link), readonly=True)
    assert amounts(reader) == (101, 1)  # it is in the log alone
    assert reader.name == str(link)
    with pytest.raises(ConfigurationError, match="is in use"), SQLite(str(real)).unused():
        pass
    Path(f"{real}-wal").unlink()
    refused(engine, "read")
    engine.close()
    assert {path.name for path in tmp_path.iterdir()} == {"real", "link.db"}
