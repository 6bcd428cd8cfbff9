"""`flask backup` and `flask restore`: what they refuse, what they keep, and what they say is lost."""

import os
import re
import resource
import secrets
import shutil
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE
from refunds.presentation.language import speaking, translate
from refunds.service.acceptance import ledger_missing_error
from refunds.service.store import Opening, Store
from refunds.storage.checkpoints import Checkpoints
from refunds.storage.erasures import ErasureLedger
from refunds.storage.sqlite import SQLite, sqlite3
from refunds.web import create_app
from tests.conftest import client_of, settings
from tests.faults.harness import cancellation_of
from tests.storage.restored import restored


class Site:
    """An installation, its backup, and commands on it in this process."""

    def __init__(self, directory, **changed):
        directory.mkdir(exist_ok=True)
        self.directory, self.settings = directory, settings(directory, engine="sqlite", **changed)
        self.database, self.ledger = directory / "refunds.db", directory / "ledger/anchors.jsonl"
        self.file = directory / "backups/monday.db"
        self.file.parent.mkdir(exist_ok=True)
        self.tokens = {}
        self._app = None

    @property
    def app(self):
        """The service in this process, from its first use."""
        if self._app is None:
            self._app = create_app(self.settings)
            self._app.extensions["refunds.tests.tokens"] = self.tokens
        return self._app

    @property
    def store(self):
        """The store of the service."""
        return self.app.extensions["refunds.store"]

    def begin(self):
        """Start the service in this process anew."""
        self._app = None

    def cancel(self, *orders):
        """Cancel orders, and stop the service without a checkpoint."""
        client = client_of(self.app)
        for order in orders:
            answer = client.post(
                "/v1/cancellations", json=cancellation_of(order), headers={"Idempotency-Key": f"key-of-{order}"}
            )
            assert answer.status_code == 201, answer.text
        self.store.close()

    def flask(self, *words):
        """The output, the errors and the exit code of a command."""
        app = create_app(self.settings)
        app.cli = Commands(app.name)
        result = app.test_cli_runner().invoke(args=[str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.stdout, result.stderr, result.exit_code

    def done(self, *words):
        """The output of a command that succeeds."""
        out, err, code = self.flask(*words)
        assert (err, code) == ("", 0)
        return out

    def refused(self, *words):
        """The errors and the exit code of a command that fails, and leaves the database as it is."""
        before = {path: path.read_bytes() for path in self.files()}
        out, err, code = self.flask(*words)
        assert out == ""
        assert {path: path.read_bytes() for path in self.files()} == before
        return err.strip(), code

    def files(self):
        """The database and the ledger, where they are there."""
        return [path for path in (self.database, self.ledger) if path.exists()]

    def orders(self):
        """The cancelled orders of the database."""
        with closing(sqlite3.connect(self.database)) as raw:
            return {order for (order,) in raw.execute("SELECT order_id FROM cancellations")}

    def lines(self):
        """The checkpoints."""
        return list(Checkpoints(self.ledger.parent))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """An installation with a backup: two cancellations are in it, two came later."""
    site = Site(tmp_path_factory.mktemp("prepared"))
    site.cancel("A-1", "A-2")
    site.backed_up = site.done("backup", site.file)
    site.cancel("A-3", "A-4")
    return site


@pytest.fixture
def site(prepared, tmp_path):
    """A copy of that installation."""
    shutil.copytree(prepared.directory, tmp_path / "site")
    site = Site(tmp_path / "site")
    site.backed_up = prepared.backed_up.replace(str(prepared.directory), str(site.directory))
    site.tokens |= prepared.tokens
    return site


def beside(file):
    """The checkpoints of a backup."""
    return file.with_name(f"{file.name}.anchors.jsonl")


# The backup.


def test_a_backup_has_the_records_and_the_checkpoints_up_to_then(site):
    events = int(re.match(r"Sound: (\d+) events, \d+ records in ", site.backed_up)[1])
    assert f"records in {site.file}." in site.backed_up
    assert re.search(rf"everything up to position {events} of \d{{4}}-.*Z; its checkpoints are in ", site.backed_up)
    with closing(sqlite3.connect(site.file)) as raw:
        assert [row for (row,) in raw.execute("SELECT order_id FROM cancellations ORDER BY 1")] == ["A-1", "A-2"]
    *earlier, last = Checkpoints(site.file.parent, beside(site.file).name)
    assert earlier == site.lines()[: len(earlier)]
    assert (last.position, len(earlier)) == (events, len(site.lines()))
    assert {oct(path.stat().st_mode)[-3:] for path in site.file.parent.iterdir()} == {"600"}
    assert {path.name for path in site.file.parent.iterdir()} == {
        "monday.db",
        "monday.db.anchors.jsonl",
        "monday.db.erasures.jsonl",
    }


def test_a_backup_has_what_only_the_log_has(site):
    """Plain `cp` would lose it."""
    with site.store.read(COMMAND_LINE), site.store.write(COMMAND_LINE) as uow:  # the log stays while it is read
        client_of(site.app)
        assert uow.tx.run("UPDATE users SET epoch = epoch") == 0
    client = client_of(site.app)
    body, key = cancellation_of("A-5"), {"Idempotency-Key": "key-of-A-5"}
    assert client.post("/v1/cancellations", json=body, headers=key).status_code == 201
    tuesday = site.file.with_name("tuesday.db")
    shutil.copyfile(site.database, copied := site.file.with_name("cp.db"))
    site.done("backup", tuesday)
    site.store.close()
    held = {}
    for file in (tuesday, copied):
        with closing(sqlite3.connect(file)) as raw:
            held[file] = raw.execute("SELECT count(*) FROM cancellations").fetchone()[0]
    assert held[tuesday] == 5
    assert held[copied] < 5


def test_a_backup_has_nothing_that_was_deleted(site):
    with closing(sqlite3.connect(site.database)) as raw:
        raw.execute("PRAGMA secure_delete = OFF")
        raw.execute("CREATE TABLE notes (text TEXT)")
        raw.execute("INSERT INTO notes VALUES ('a word that was deleted')")
        raw.commit()
        raw.execute("DROP TABLE notes")
        raw.commit()
    assert b"a word that was deleted" in site.database.read_bytes()
    tuesday = site.file.with_name("tuesday.db")
    site.done("backup", tuesday)
    assert b"a word that was deleted" not in tuesday.read_bytes()


def test_a_backup_never_replaces_a_file(site):
    before = site.file.read_bytes(), beside(site.file).read_bytes()
    assert site.refused("backup", site.file) == (
        f"{site.file} exists: a backup replaces no file, so name another",
        4,
    )
    assert (site.file.read_bytes(), beside(site.file).read_bytes()) == before
    assert not site.file.with_name("monday.db.part").exists()


def test_what_a_killed_backup_has_left_is_replaced(site):
    tuesday = site.file.with_name("tuesday.db")
    whole = {"tuesday.db", "tuesday.db.anchors.jsonl", "tuesday.db.erasures.jsonl"}
    for left in (*(f"{name}.part" for name in whole), *(whole - {tuesday.name}), "tuesday.db.part-journal"):
        tuesday.with_name(left).write_text("left by an earlier run")
    site.done("backup", tuesday)
    assert {path.name for path in tuesday.parent.glob("tues*")} == whole
    assert Checkpoints(tuesday.parent, beside(tuesday).name).last().position > 0


def test_two_backups_to_one_file_do_not_mix(site):
    import fcntl  # noqa: PLC0415

    tuesday = site.file.with_name("tuesday.db")
    with tuesday.with_name("tuesday.db.part").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert site.refused("backup", tuesday) == (f"{tuesday} is being written by another backup", 4)
    assert not tuesday.exists()


def test_no_backup_is_made_of_records_that_are_not_sound(site):
    with closing(sqlite3.connect(site.database)) as raw:
        raw.execute("UPDATE orders SET revision = 9 WHERE order_id = 'A-1'")
        raw.commit()
    tuesday = site.file.with_name("tuesday.db")
    err, code = site.refused("backup", tuesday)
    assert (err, code) == (
        f"no backup was made, because {site.database} is not sound: orders A-1: differs from the journal",
        20,
    )
    assert not list(tuesday.parent.glob("tues*"))


def test_a_backup_to_where_nothing_can_be_written_says_so(site):
    err, code = site.refused("backup", site.directory / "nowhere/monday.db")
    assert (err, code) == (f"{site.directory}/nowhere/monday.db.part: No such file or directory", 1)


def test_a_full_disk_leaves_nothing(site):
    tuesday, limits = site.file.with_name("tuesday.db"), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        err, code = site.refused("backup", tuesday)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 1
    assert err.startswith(f"{tuesday}.part: {site.database} cannot be copied: ")
    assert not list(tuesday.parent.glob("tues*"))


def test_a_large_copy_that_fails_leaves_no_journal_of_its_own(site, monkeypatch):
    def full(_, file):
        file.with_name(f"{file.name}-journal").write_bytes(b"as SQLite does once its cache is full")
        raise OSError(0, "no room", str(file))

    monkeypatch.setattr(SQLite, "copy_to", full)
    assert site.refused("backup", site.file.with_name("tuesday.db"))[1] == 1
    assert not list(site.file.parent.glob("tues*"))


@pytest.mark.parametrize("call", ["append", "replace"])
def test_a_backup_whose_checkpoints_or_name_cannot_be_written_leaves_nothing(site, monkeypatch, call):
    owner = {"append": Checkpoints, "replace": Path}[call]
    works = getattr(owner, call)

    def fails(one, *given):
        works(one, *given)
        if call == "append" or one.name == "tuesday.db.anchors.jsonl.part":
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, call, fails)
        assert site.refused("backup", site.file.with_name("tuesday.db"))[1] == 1
    assert not list(site.file.parent.glob("tues*"))


def test_a_backup_never_makes_the_database_that_it_copies(site, monkeypatch):
    copy_to = SQLite.copy_to

    def gone(engine, file):
        site.database.rename(site.directory / "moved.db")
        copy_to(engine, file)

    monkeypatch.setattr(SQLite, "copy_to", gone)
    assert site.flask("backup", site.file.with_name("tuesday.db"))[2] != 0
    assert not site.database.exists()
    assert not list(site.file.parent.glob("tues*"))


def test_a_backup_opens_the_database_only_to_read(site, monkeypatch):
    """So it can be made of a disk that is only read."""
    monkeypatch.setattr(SQLite, "_connect", lambda *_, **__: pytest.fail("it was opened to be written"))
    site.done("backup", site.file.with_name("tuesday.db"))


# The restore.


def test_a_restore_puts_the_backup_in_place_and_says_what_is_lost(site):
    with site.store.read(COMMAND_LINE) as uow:
        there = uow.events.newest(None, 100)
    site.store.close()
    out = site.done("restore", site.file, "--reason", "the disk failed")
    assert site.orders() == {"A-1", "A-2"}
    events = int(re.search(r"Sound: (\d+) events", out)[1])
    last, *_ = [event for event, _ in there]
    since = next(event for event, _ in there if event.position == events)
    stamps = [event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") for event in (since, last)]
    lost = re.search(r"Lost events: (\d+), from (\S+) to (\S+)\.\n", out)
    assert int(lost[1]) == last.position - events == 8
    assert [lost[2][:19], lost[3][:19]] == stamps
    assert f"a reader that was further than position {events} gets feed-rewound" in out
    assert "must enter the restrictions, objections, holds, corrections" in out
    assert site.lines()[-1].accepted == "restored monday.db: the disk failed"
    assert site.done("audit", "verify").startswith(f"Sound: {events + 1} events")
    kept = re.search(r"kept as (\S+)\.\n", out)[1]
    with closing(sqlite3.connect(kept)) as raw:
        assert raw.execute("SELECT count(*) FROM cancellations").fetchone() == (4,)
    assert not site.database.with_name("refunds.db.restoring").exists()


def test_the_service_goes_on_after_a_restore(site):
    site.done("restore", site.file)
    site.begin()
    site.cancel("A-3")
    assert site.orders() == {"A-1", "A-2", "A-3"}
    assert site.done("audit", "verify").startswith("Sound")
    assert site.lines()[-1].accepted == "restored monday.db"


def test_a_restore_of_what_is_there_loses_nothing(site):
    tuesday = site.file.with_name("tuesday.db")
    site.done("backup", tuesday)
    assert "Nothing is lost" in site.done("restore", tuesday)
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}


def test_a_backup_can_be_restored_twice_and_what_was_replaced_too(site):
    site.done("restore", site.file)
    site.begin()
    site.cancel("A-5")
    out = site.done("restore", site.file)
    assert site.orders() == {"A-1", "A-2"}
    assert "Lost events: at least " in out
    first = min(site.database.parent.glob("refunds.db.replaced-*Z"))
    assert "audit" not in site.done("restore", first)
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}
    assert site.done("audit", "verify").startswith("Sound")


def test_the_log_of_what_is_replaced_is_kept_with_it(site, tmp_path):
    """A log beside another database would become a part of it."""
    with closing(sqlite3.connect(site.database, isolation_level=None)) as raw:
        raw.execute("PRAGMA wal_autocheckpoint = 0")
        raw.execute("UPDATE users SET epoch = epoch")
        raw.execute("CREATE TABLE only_in_the_log (n)")
        for name in ("refunds.db", "refunds.db-wal"):  # as it is if the service is killed
            shutil.copyfile(site.directory / name, tmp_path / name)
    for name in ("refunds.db", "refunds.db-wal"):
        shutil.copyfile(tmp_path / name, site.directory / name)
    out = site.done("restore", site.file)
    query = "SELECT count(*) FROM sqlite_master WHERE name = 'only_in_the_log'"
    found = {}
    for file in (site.database, kept := re.search(r"kept as (\S+)\.\n", out)[1]):
        with closing(sqlite3.connect(file)) as raw:
            found[file] = raw.execute(query).fetchone()[0]
    assert found == {site.database: 0, kept: 1}


def interrupted(site, monkeypatch):
    """Restore, and end just before the copy gets the name of the database."""
    replace = Path.replace

    def stop(path, to):
        if path.name == "records.db":
            raise OSError(0, "stopped here", str(path))
        return replace(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        assert site.flask("restore", site.file)[1].endswith("stopped here\n")


def test_a_restore_that_ends_half_way_leaves_no_half_of_a_write(site, tmp_path, monkeypatch):
    """What undoes the write is in the journal beside the file, with a SQLite that uses one."""
    aside, names = tmp_path / "aside", ("refunds.db", "refunds.db-journal")
    aside.mkdir()
    with closing(sqlite3.connect(site.database, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = DELETE")
        raw.execute("PRAGMA cache_size = 1")
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("UPDATE events SET data = data || ' '")
        raw.execute("UPDATE cancellations SET order_id = 'A-1', state = 'revoked'")
        for name in names:  # as it is if the service is killed
            shutil.copyfile(site.directory / name, aside / name)
        raw.execute("ROLLBACK")
    for name in names:
        shutil.copyfile(aside / name, site.directory / name)
    interrupted(site, monkeypatch)
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}
    with closing(sqlite3.connect(site.database)) as raw:
        assert raw.execute("SELECT count(*) FROM events WHERE data LIKE '% '").fetchone() == (0,)


def test_a_database_whose_log_is_being_read_is_not_replaced(site, monkeypatch):
    monkeypatch.setattr(SQLite.__init__, "__kwdefaults__", SQLite.__init__.__kwdefaults__ | {"patience": 0.1})
    with closing(sqlite3.connect(site.database, isolation_level=None)) as raw:
        raw.execute("UPDATE users SET epoch = epoch")
        raw.execute("CREATE TABLE only_in_the_log (n)")
        raw.execute("BEGIN")
        raw.execute("SELECT * FROM users").fetchall()
        err, code = site.flask("restore", site.file)[1:]
        assert (err, code) == (f"{site.database}: it is being read: wait for that command, or stop it\n", 1)
        assert raw.execute("SELECT count(*) FROM cancellations").fetchone() == (4,)
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}


def test_a_restore_replaces_the_file_that_a_symbolic_link_names(site):
    real = site.directory / "disk/real.db"
    real.parent.mkdir()
    site.database.rename(real)
    site.database.symlink_to(real)
    out = site.done("restore", site.file)
    assert site.database.is_symlink()
    assert site.orders() == {"A-1", "A-2"}
    assert f"kept as {real}.replaced-" in out


@pytest.mark.parametrize("how", ["gone", "damaged", "another"])
def test_a_database_that_cannot_be_read_is_replaced(site, how):
    if how == "damaged":
        site.database.write_bytes(b"SQLite format 3\0" + secrets.token_bytes(5000))
    else:
        site.database.unlink()
    if how == "another":
        with closing(sqlite3.connect(site.database)) as raw:
            raw.execute("CREATE TABLE another (n)")
    (site.directory / "refunds.db-wal").write_bytes(b"of another file")
    out = site.done("restore", site.file)
    assert site.orders() == {"A-1", "A-2"}
    assert "if anything was; no checkpoint shows it" in out
    assert ("kept as" in out) == (how != "gone")
    assert site.done("audit", "verify").startswith("Sound")


def test_what_is_lost_is_known_from_the_checkpoints_if_the_database_is_gone(site):
    site.store.checkpoint()
    site.store.close()
    site.database.unlink()
    out = site.done("restore", site.file)
    assert re.search(r"Lost events: at least 8, from \S+Z to \S+Z, and all after\.", out)


def test_after_the_loss_of_the_machine_the_checkpoints_beside_the_backup_are_put_in_place(site, tmp_path):
    elsewhere = Site(tmp_path / "new", env="production", master_key_file=site.settings.master_key_file)
    for file in (site.file, beside(site.file)):
        shutil.copy(file, elsewhere.file.parent)
    err, code = elsewhere.refused("restore", elsewhere.file)
    assert (code, "--ledger-lost REASON" in err) == (4, True)
    out = elsewhere.done("restore", elsewhere.file, "--ledger-lost", "the disk broke")
    assert "no checkpoint shows it" in out
    assert re.search(r"Erasures from \d{4}-.*Z on may have been undone: erase these customers again", out)
    assert elsewhere.orders() == {"A-1", "A-2"}
    *earlier, accepted = elsewhere.lines()
    assert earlier == list(Checkpoints(site.file.parent, beside(site.file).name))
    assert accepted.accepted == "restored monday.db"
    elsewhere.begin()
    elsewhere.cancel("A-3")
    assert elsewhere.done("audit", "verify").startswith("Sound")


def test_a_backup_of_an_earlier_version_is_brought_up_to_date(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    file = restored("0001_records", "sqlite", kept).database.removeprefix("sqlite:///")
    before = (kept / "refunds.db").read_bytes()
    site = Site(tmp_path / "site", env="production", master_key_file=kept / "master.key")
    shutil.copy(kept / "anchors.jsonl", f"{file}.anchors.jsonl")
    site.done("restore", file, "--ledger-lost", "there was none then")
    assert site.done("audit", "verify").startswith("Sound")
    assert (kept / "refunds.db").read_bytes() == before


def test_no_restore_while_the_service_runs(site):
    site.store.open()
    err, code = site.refused("restore", site.file)
    assert code == 4
    assert err == (
        f"REFUNDS_DATABASE: {site.database} is in use: stop every instance of the service, and every other command"
    )
    site.store.close()
    site.done("restore", site.file)


def test_no_service_starts_while_a_backup_is_restored(site):
    database = SQLite(str(site.database))
    with database.unused():
        assert site.flask("migrate") == ("", "The database is being restored or copied.\n", 1)
    site.done("migrate")


def test_a_service_that_was_killed_does_not_hinder_a_restore(site):
    if (child := os.fork()) == 0:
        Store(site.settings).open()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    site.done("restore", site.file)


def corrupted(site):
    with closing(sqlite3.connect(site.file)) as raw:
        raw.execute("UPDATE orders SET revision = 9 WHERE order_id = 'A-1'")
        raw.commit()


def newer(site):
    with closing(sqlite3.connect(site.file)) as raw:
        raw.execute("INSERT INTO migrations VALUES ('9999_later')")
        raw.commit()


def of_another_program(site):
    site.file.unlink()
    with closing(sqlite3.connect(site.file)) as raw:
        raw.execute("CREATE TABLE songs (n)")


def empty(site):
    site.file.unlink()
    there = SQLite(str(site.file))
    other = Site(site.directory.parent / "empty")
    other.store.open()
    other.store.close()
    with closing(sqlite3.connect(other.database)) as raw:
        raw.execute("DELETE FROM keys")
        raw.commit()
    there.close()
    shutil.copyfile(other.database, site.file)


def with_another_key(site):
    other = Site(site.directory.parent / "other")
    other.cancel("A-1")
    other.done("backup", other.file)
    shutil.copyfile(other.file, site.file)


def of_another_installation(site):
    other = Site(site.directory.parent / "other", master_key_file=site.settings.master_key_file)
    other.cancel("A-1")
    other.done("backup", other.file)
    for file in (other.file, beside(other.file)):
        shutil.copy(file, site.file.parent)


def shortened(site):
    """Its end was cut off, and its checkpoints show it."""
    with closing(sqlite3.connect(site.file)) as raw:
        raw.execute("DELETE FROM events WHERE position > 5")
        raw.execute("UPDATE journal_head SET position = 5, hash = (SELECT hash FROM events WHERE position = 5)")
        raw.commit()


def without_checkpoints(site):
    beside(site.file).unlink()
    site.ledger.unlink()


def no_database(site):
    site.file.write_text("a letter")


def cut_short(site):
    os.truncate(site.file, 8192)


def damaged(site):
    """A page of its journal is lost."""
    with closing(sqlite3.connect(site.file)) as raw:
        ((page,),) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchall()
    with site.file.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))


@pytest.mark.parametrize(
    ("spoil", "words", "expected"),
    [
        (no_database, "FILE: {file} is not a database of SQLite, or is damaged", 4),
        (cut_short, "FILE: {file} is not a database of SQLite, or is damaged", 4),
        (damaged, "FILE: {file} is not a database of SQLite, or is damaged", 4),
        (of_another_program, "{file} has no records: name the right database", 4),
        (empty, "{file} has no records: name the right file", 4),
        (newer, "{file} was made by a newer version of the service: use that version", 4),
        (with_another_key, "REFUNDS_MASTER_KEY_FILE: this master key is not the one of the database: use that one", 4),
        (of_another_installation, "{file} is a backup of another installation: no checkpoint in {ledger} is of its", 4),
        (
            without_checkpoints,
            "{file} cannot be checked without checkpoints: put its monday.db.anchors.jsonl beside",
            4,
        ),
        (corrupted, "{file} is not sound: orders A-1: differs from the journal", 20),
        (shortened, "{file} is not sound: position 5: the journal ends here, but has a checkpoint at", 21),
    ],
)
def test_what_is_no_backup_of_this_installation_is_refused(site, spoil, words, expected):
    spoil(site)
    err, code = site.refused("restore", site.file)
    assert (words.format(file=site.file, ledger=site.ledger) in err, code) == (True, expected), err
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}
    assert Counter(path.name.split(".")[-1] for path in site.directory.glob("refunds.db.*")) == {"lock": 1, "in-use": 1}


def test_the_database_itself_is_no_backup(site):
    err, code = site.refused("restore", site.database)
    assert (err, code) == (f"{site.database} is the database itself: name a backup of it", 4)


def test_a_restore_needs_the_directory_of_the_checkpoints(site, tmp_path):
    site.settings = settings(site.directory, engine="sqlite", env="production", ledger_dir=None)
    err, code = site.refused("restore", site.file)
    assert (err, code) == ("REFUNDS_LEDGER_DIR: is required in production, and with PostgreSQL", 4)


def test_a_reason_is_one_line(site):
    err, code = site.refused("restore", site.file, "--reason", "x" * 200)
    assert code == 3
    assert err.startswith("reason: ")


def test_on_postgresql_both_point_to_pg_dump(tmp_path):
    site = Site(tmp_path / "site")
    site.settings = settings(tmp_path, engine="postgresql")
    with closing(Store(site.settings)) as store:
        store.open(Opening.USE)
    site.file.write_text("")
    for words in (("backup", site.directory / "new"), ("restore", site.file)):
        err, code = site.refused(*words)
        assert code == 4
        assert err.startswith("REFUNDS_DATABASE: flask backup and flask restore are for SQLite: use pg_dump")


def test_the_time_in_a_name_is_that_of_the_restore(site):
    site.done("restore", site.file)
    (kept,) = site.database.parent.glob("refunds.db.replaced-*")
    assert kept.name.startswith(f"refunds.db.replaced-{datetime.now(UTC):%Y%m}")


def test_that_a_ledger_is_missing_is_told_in_german_too(tmp_path):
    with speaking("de"):
        text = translate(ledger_missing_error(ErasureLedger(tmp_path)).detail)
    assert "begründen Sie den Verlust mit --ledger-lost REASON" in text


# The directory of the checkpoints is lost, as docs/operating.md has it.


@pytest.fixture
def in_production(site):
    """The same in production: in development a lost directory begins anew."""
    site.settings = replace(site.settings, env="production")
    return site


def test_without_its_checkpoints_the_installation_is_refused_until_those_of_a_backup_are_there(in_production):
    site = in_production
    shutil.rmtree(site.ledger.parent)
    _, err, code = site.flask("migrate")
    assert (code, "there is no checkpoint of its journal" in err) == (4, True)
    site.ledger.parent.mkdir(exist_ok=True)
    for name in ("anchors", "erasures"):
        shutil.copyfile(site.file.with_name(f"monday.db.{name}.jsonl"), site.ledger.with_name(f"{name}.jsonl"))
    site.done("migrate")
    assert site.done("audit", "verify").startswith("Sound: ")
    assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}


def test_without_a_backup_an_operator_accepts_the_installation_without_its_checkpoints(in_production):
    site = in_production
    shutil.rmtree(site.ledger.parent)
    why = ("--reason", "the disk failed", "--ledger-lost", "it failed with them")
    assert site.flask("audit", "accept", *why[:2])[2] == 4
    accepted = site.done("audit", "accept", *why)
    assert accepted.startswith("Accepted: there is no checkpoint of its journal ")
    assert "must enter the restrictions, objections, holds, corrections" in accepted
    site.done("migrate")
    assert site.done("audit", "verify").startswith("Sound: ")
