"""A database file that is damaged, empty, or no file: refused at start, with its path and the way back, and unchanged."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError, DamagedDatabase, RefundsError, StorageUnavailable
from refunds.service.store import Opening, Store
from refunds.web import create_app
from tests.conftest import client_of, settings
from tests.faults.harness import PATIENCE, cancellation_of, free_port
from tests.faults.processes import Command


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """The directory of an installation with a few records, closed."""
    directory = tmp_path_factory.mktemp("sound")
    app = create_app(settings(directory, engine="sqlite"))
    with closing(app.extensions["refunds.store"]) as store:
        record(app, 30)
        store.checkpoint()
    return directory


def record(app, number):
    """Cancel orders."""
    for order in range(number):
        headers = {"Idempotency-Key": f"the-key-of-{order}"}
        assert client_of(app).post("/v1/cancellations", json=cancellation_of(f"o-{order}"), headers=headers).json


@pytest.fixture
def directory(installation, tmp_path):
    """A copy of the installation."""
    shutil.copytree(installation, tmp_path / "copy")
    return tmp_path / "copy"


def of(directory, **changed):
    """Settings for the records in a directory, whose database is always the same file."""
    return settings(directory, **{"database": f"sqlite:///{directory}/refunds.db"} | changed)


def flask(directory, *words):
    """Run a command on the records in a directory, in this process."""
    app = create_app(of(directory))
    app.cli = Commands(app.name)
    return app.test_cli_runner().invoke(args=list(map(str, words)))


def middle(path):
    """Random bytes in the middle of each page but the first."""
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page + 100 : page + 4000] = os.urandom(3900)
    path.write_bytes(content)


def first_page(path):
    """Random bytes in the page that has the schema."""
    content = path.read_bytes()
    path.write_bytes(content[:100] + os.urandom(3900) + content[4000:])


def cut_short(path):
    """The first page and a half."""
    os.truncate(path, 6000)


def one_page(path):
    """A leaf of an index, which rows can be read without."""
    content = bytearray(path.read_bytes())
    page = max(place for place in range(4096, len(content), 4096) if content[place] == 10)
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(content)


def second_half(path):
    """Random bytes in the later pages."""
    content = bytearray(path.read_bytes())
    for page in range(len(content) // 8192 * 4096, len(content), 4096):
        content[page + 100 : page + 4000] = os.urandom(3900)
    path.write_bytes(content)


def other_content(path):
    """No database."""
    path.write_bytes(b"no database " * 1000)


DAMAGES = {each.__name__: each for each in (middle, first_page, cut_short, other_content)}


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize("to", [Opening.USE, Opening.READ], ids=["serve", "read"])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_database_is_refused_at_start_and_stays_as_it_is(directory, damage, to, env):
    path = directory / "refunds.db"
    damage(path)
    before = path.read_bytes()
    with closing(Store(of(directory, env=env))) as store, pytest.raises(DamagedDatabase) as refusal:
        store.open(to)
    text = str(refusal.value)
    assert f"{path} is damaged: SQLite says: " in text
    assert "flask restore FILE" in text
    assert path.read_bytes() == before


def test_a_database_that_is_damaged_under_the_service_is_named_in_the_log_and_not_to_callers(directory, capfdbinary):
    app = create_app(of(directory))
    client = client_of(app)
    path = directory / "refunds.db"
    with closing(app.extensions["refunds.store"]) as store:
        store.close()
        store.open()
        middle(path)
        answer = client.get("/v1/orders?limit=200")
        assert answer.status_code == 503
        assert answer.json["detail"] == "The file of the database is damaged."
        assert client.get("/readyz").status_code == 503
    assert f"{path} is damaged: SQLite says: database disk image is malformed" in capfdbinary.readouterr().out.decode()


@pytest.mark.parametrize("damage", [*DAMAGES.values(), one_page, second_half], ids=lambda damage: damage.__name__)
def test_no_command_makes_a_copy_of_a_damaged_database(directory, damage):
    """A start may not read the damaged pages; a copy reads all."""
    path = directory / "refunds.db"
    damage(path)
    before = path.read_bytes()
    for command in (("backup", directory / "backup.db"), ("copy", "--to", f"sqlite:///{directory}/copy.db")):
        if (command[0], damage) == ("copy", one_page):
            continue  # row by row, in the order of other indexes
        ended = flask(directory, *command)
        assert ended.exit_code == 23, ended.stderr
        assert ended.stderr.count(f"{path} is damaged: SQLite says: ") == 1
        assert "flask restore FILE" in ended.stderr
        assert path.read_bytes() == before
    assert not list(directory.glob("backup.db*"))


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_damaged_journal_is_not_taken_for_another_one(directory, env):
    """Nobody must be told to accept it."""
    path = directory / "refunds.db"
    with closing(sqlite3.connect(path)) as raw:
        ((root,),) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchall()
    content = bytearray(path.read_bytes())
    start = (root - 1) * 4096
    first = start + int.from_bytes(content[start + 12 : start + 14], "big")
    content[start + 8 : start + 12] = content[first : first + 4]  # its last events are those of its first branch
    path.write_bytes(content)
    with closing(Store(of(directory, env=env))) as store, pytest.raises(DamagedDatabase):
        store.open()


@pytest.mark.parametrize("damage", [*DAMAGES.values(), one_page, second_half], ids=lambda damage: damage.__name__)
def test_a_damaged_backup_is_refused_by_its_name(directory, damage):
    backup, path = directory / "backup.db", directory / "refunds.db"
    shutil.copyfile(path, backup)
    damage(backup)
    before = path.read_bytes()
    ended = flask(directory, "restore", backup)
    assert (ended.exit_code, ended.stderr) == (4, f"FILE: {backup} is not a database of SQLite, or is damaged\n")
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [one_page, second_half])
def test_the_doctor_finds_damage_that_no_start_reads(directory, damage):
    damage(directory / "refunds.db")
    ended = flask(directory, "doctor")
    assert ended.exit_code == 25
    assert "refunds.db is damaged: SQLite says: " in ended.stdout


def test_an_empty_file_is_no_new_installation_in_production(directory):
    path = directory / "refunds.db"
    os.truncate(path, 0)
    for to in (Opening.USE, Opening.READ):
        with closing(Store(of(directory, env="production"))) as store, pytest.raises(ConfigurationError) as refusal:
            store.open(to)
        assert str(refusal.value).startswith(f"REFUNDS_DATABASE: {path} is empty. Set REFUNDS_DATABASE to the right")
    assert path.stat().st_size == 0
    assert [file.name for file in directory.glob("refunds.db-*")] == []


def test_an_empty_file_begins_a_new_journal_in_development(directory):
    path = directory / "refunds.db"
    os.truncate(path, 0)
    with closing(Store(of(directory))) as store:
        store.open()
        with store.read(COMMAND_LINE) as uow:
            assert uow.verify(list(store.checkpoints)).events == 1


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_directory_is_no_database(directory, env):
    path = directory / "refunds.db"
    path.unlink()
    path.mkdir()
    with closing(Store(of(directory, env=env))) as store, pytest.raises(RefundsError) as refusal:
        store.open()
    assert isinstance(refusal.value, ConfigurationError if env == "production" else StorageUnavailable)
    assert str(path) in str(refusal.value)
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("env", ["development", "production"])
def test_the_log_of_another_database_is_refused_and_not_moved_into_the_file(directory, tmp_path, env):
    """It was left beside the file when another database was put there; without it, the file is sound."""
    path, log = directory / "refunds.db", directory / "refunds.db-wal"
    before = path.read_bytes()
    app = create_app(of(tmp_path))
    with closing(app.extensions["refunds.store"]):
        record(app, 3)
        shutil.copyfile(tmp_path / "refunds.db-wal", log)
    for to in (Opening.USE, Opening.INIT):
        with closing(Store(of(directory, env=env))) as store, pytest.raises(ConfigurationError):
            store.open(to)
        assert path.read_bytes() == before
        assert log.stat().st_size
    log.unlink()
    with closing(Store(of(directory, env=env))) as store, store.read(COMMAND_LINE) as uow:
        assert uow.verify(list(store.checkpoints)).records


def test_a_start_with_a_damaged_database_ends_with_its_code_and_no_traceback(directory):
    other_content(directory / "refunds.db")
    given = {
        "PORT": str(free_port()),
        "REFUNDS_DATABASE": f"sqlite:///{directory}/refunds.db",
        "REFUNDS_MASTER_KEY_FILE": f"{directory}/master.key",
        "REFUNDS_LEDGER_DIR": f"{directory}/ledger",
    }
    for command in (["serve"], ["tokens", "list"], ["audit", "verify"]):
        out, err = (directory / f"{command[0]}.{stream}" for stream in ("out", "err"))
        assert Command(command, os.environ | given, out, err).wait(PATIENCE) == 23, err.read_text()
        assert err.read_text().startswith(f"{directory}/refunds.db is damaged: SQLite says: file is not a database")
        assert "Traceback" not in err.read_text()
        assert Path(f"{directory}/refunds.db").read_bytes() == b"no database " * 1000
