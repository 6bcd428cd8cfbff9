"""Copying an installation to another database: complete, unchanged, and in as many attempts as it takes."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count

import pytest
import time_machine

from refunds.cli import Commands
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.privacy import DisclosureBasis, ErasureReason, LimitKind
from refunds.domain.statistics import ClosedMonth
from refunds.errors import ConfigurationError, RefundsError, TooManyAttempts, Unauthenticated
from refunds.service import copies as copying
from refunds.service import privacy, users
from refunds.service.store import Store
from refunds.storage import copies, open_engine
from refunds.storage.audit import Broken
from refunds.storage.tables import NAMES
from refunds.web import create_app
from tests import database_of, scaled
from tests.api.conftest import IN_TIME, Desk, now  # noqa: F401 - a fixture
from tests.conftest import ROOT, client_of, settings
from tests.faults.harness import FLASK
from tests.postgres import shared

WAYS = {"to PostgreSQL": ("sqlite", "postgresql"), "to SQLite": ("postgresql", "sqlite")}
_numbers = count(1)


class Move:
    """An installation with records of every kind, and the database to copy it to."""

    def __init__(self, directory, clock, engines, database=None):
        self.directory, (here, self.there) = directory, engines
        self.settings = settings(directory, database=database or database_of(directory, here))
        self.app = create_app(self.settings)
        self.store = self.app.extensions["refunds.store"]
        self.clock = clock
        self.to = self.new_database()

    @property
    def desk(self):
        """The desk of an admin."""
        return Desk(client_of(self.app), self.clock)

    def copy(self, directory, clock):
        """A copy in another directory; this one must not be open."""
        shutil.copytree(self.directory, directory, dirs_exist_ok=True)
        database = self.settings.database.replace(str(self.directory), str(directory))
        if database.startswith("postgresql"):
            database = shared().create(of=database)
        copy = Move(directory, clock, ("", self.there), database)
        copy.users, copy.app.extensions["refunds.tests.tokens"] = (
            self.users,
            self.app.extensions["refunds.tests.tokens"],
        )
        return copy

    def new_database(self):
        """The URL of an empty database."""
        return database_of(self.directory / f"{next(_numbers)}", self.there)

    def run(self, listener=lambda *_: None, to=None):
        """Copy in this process, and return the reported steps."""
        self.reported = []

        def report(*step):
            self.reported.append(step)
            listener(*step)

        self.store.close()  # it must not be in use
        with closing(open_engine(to or self.to, setting="--to")) as engine, closing(self.store):
            copying.copy(self.store, engine, "--to", report)
        return self.reported

    def moved(self):
        """The settings of the installation after the move."""
        return settings(self.directory, database=self.to)

    def flask(self, *words):
        """Run a command on the installation in this process."""
        self.app.cli = Commands(self.app.name)
        return self.app.test_cli_runner().invoke(args=list(words))

    def command(self, *words, **environment):
        """Run a process on the installation."""
        given = {
            "REFUNDS_DATABASE": self.settings.database,
            "REFUNDS_MASTER_KEY_FILE": str(self.settings.master_key_file),
            "REFUNDS_LEDGER_DIR": str(self.settings.ledger_dir),
        }
        environment = os.environ | given | environment
        return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function that creates an installation for each direction once, and closes it."""

    @cache
    def prepare(way):
        with time_machine.travel(IN_TIME, tick=False) as clock:
            move = made(tmp_path_factory.mktemp("prepared"), clock, WAYS[way])
        move.store.close()
        return move

    return prepare


@pytest.fixture(params=WAYS)
def move(request, prepared, tmp_path, now, monkeypatch):  # noqa: F811
    """A copy of an installation in which everything has happened once."""
    monkeypatch.setattr(copies, "AT_ONCE", 4)
    original = prepared(request.param)
    now.move_to(original.ended)
    move = original.copy(tmp_path, now)
    yield move
    move.store.close()


def made(directory, now, engines):  # noqa: F811
    """An installation in which everything has happened once, partly with differing clocks."""
    move = Move(directory, now, engines)
    desk = move.desk
    outing = {"date": "2026-12-23", "reason": {"de": "Betriebsausflug", "en": "A works outing"}}
    assert desk.post("/v1/policies/virtual-numbers/closures", outing).status_code == 201
    with move.store.write(COMMAND_LINE) as uow:
        move.users = [users.add(uow, name, Role.AGENT).user for name in ("anna", "ben")]
    users.session_for(move.store, move.users[1])
    with pytest.raises(Unauthenticated):
        users.sign_in(move.store, "anna", "a guess")
    for number in range(6):
        desk.register(f"A-{number}", customer_ref=f"K-{number % 4}")
        contact_id = desk.record(f"A-{number}", note="called twice", ticket_ref="T-1").json["contact_id"]
        now.shift(-timedelta(seconds=30))  # an instance whose clock is behind: the later id is smaller
        superseding = desk.record(f"A-{number}", supersedes=contact_id).json["contact_id"]
        assert superseding < contact_id
        now.shift(timedelta(seconds=60))
        if number % 2:
            desk.cancelled(f"A-{number}", contact_id=superseding, key=f"key-of-{number}")
        kept = desk.post("/v1/contacts", {"order_hint": f"A-{number}?", "channel": "phone"}).json["unmatched_id"]
        if number % 2:
            matched = desk.put(f"/v1/contacts/{kept}/order", json={"order_id": f"A-{number}"})
            assert matched.status_code == 201
    with move.store.write(COMMAND_LINE) as uow:
        cells = {"DE": {"phone": {"cancelled": 40}}}
        month = ClosedMonth(month="2026-03", cells=cells, closed_at=uow.now, closed_by=uow.principal.actor)
        uow.statistics.add(month, EventType.STATISTICS_CLOSED)
        privacy.limit(uow, uow.customers.find("K-1"), LimitKind.HOLD, "a claim")
        privacy.disclose(uow, "K-1", DisclosureBasis.PROCESSOR, "a carrier", "C-1")
    for number in (1, 99):
        asked = {"kind": "access", "customer_ref": f"K-{number}", "channel": "post", "recipient": "another shop"}
        assert desk.post("/v1/data-requests", asked).status_code == 201
    desk.register("E-0", customer_ref="K-9")
    with move.store.write(COMMAND_LINE) as uow:
        privacy.erase(uow, uow.customers.find("K-9"), ErasureReason.CHILD)
    move.ended = datetime.now(UTC)
    return move


COPIED_AGAIN = {"users", "sessions", "sign_in_attempts", "idempotency"}
"""Tables that change without an event: sessions end, attempts are counted, replies expire."""


def rows(url):
    """Every row of every table."""
    with closing(open_engine(url)) as engine, engine.read() as tx:
        tables = [*NAMES, "migrations", "journal_head"]
        return {table: sorted(map(repr, map(dict, tx.all(f"SELECT * FROM {table}")))) for table in tables}  # noqa: S608


def seen(config):
    """The responses that clients get from an installation."""
    app = create_app(config)
    with closing(app.extensions["refunds.store"]):
        app.extensions["refunds.tests.tokens"] = {"admin": TOKENS[config.ledger_dir]}
        client = client_of(app)
        pages = ("/v1/events?limit=200", "/v1/contacts", "/v1/cancellations", "/v1/orders/A-1", "/v1/me")
        answers = [client.get(page).json for page in pages]
        body = {"order_id": "A-1", "contact_id": answers[2]["items"][0]["contact_id"]}
        again = client.post("/v1/cancellations", json=body, headers={"Idempotency-Key": "key-of-1"})
        return *answers, again.data, again.headers["Idempotent-Replayed"]


TOKENS = {}


def test_every_table_is_copied(move):
    move.store.open()
    with move.store.read(COMMAND_LINE) as uow:
        if move.there == "postgresql":
            there = {row["name"] for row in uow.tx.all("SELECT name FROM sqlite_master WHERE type = 'table'")}
        else:
            sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            there = {row["tablename"] for row in uow.tx.all(sql)}
    assert there - {"migrations", "journal_head"} == set(NAMES)


def test_a_copy_is_identical_in_every_row_and_for_every_client(move):
    TOKENS[move.settings.ledger_dir] = move.app.extensions["refunds.tests.tokens"]["admin"]
    before = rows(move.settings.database)
    reported = move.run()
    assert rows(move.to) == before == rows(move.settings.database)
    assert all(before[table] for table in NAMES), "there are records of every kind"
    assert seen(move.moved()) == seen(move.settings)
    steps = {step: (done, there) for step, done, there in reported}
    assert list(steps) == [copying.HERE, *NAMES, copying.THERE]
    assert all(done == there for done, there in steps.values())


def test_a_copy_can_be_used_like_the_original(move):
    move.run()
    app = create_app(move.moved())
    with closing(app.extensions["refunds.store"]) as store:
        app.extensions["refunds.tests.tokens"] = move.app.extensions["refunds.tests.tokens"]
        desk = Desk(client_of(app), move.desk.clock)
        desk.cancelled("A-0")
        events = desk.get("/v1/events?limit=200").json["items"]
        assert [event["position"] for event in events] == list(range(1, len(events) + 1))
        with store.read(COMMAND_LINE) as uow:
            uow.verify(store.checkpoints)


class _InterruptedError(Exception):
    """Interrupts a copy."""


def interrupt(at):
    """A listener that interrupts a copy at a step."""
    steps = count(1)

    def listener(*_):
        if next(steps) == at:
            raise _InterruptedError

    return listener


@pytest.mark.proof
def test_a_copy_that_was_interrupted_anywhere_can_be_resumed(move):
    whole = len(move.run(to=move.new_database()))
    before = rows(move.settings.database)
    for at in range(1, whole + 1, scaled(20, 7)):
        move.to = move.new_database()
        with pytest.raises(_InterruptedError):
            move.run(interrupt(at))
        kept = set(NAMES) - COPIED_AGAIN
        arrived = {step: done for step, done, _ in move.reported if step in kept}
        with pytest.raises(ConfigurationError, match="is an unfinished copy: finish it with the command"):
            create_app(move.moved()).extensions["refunds.store"].open()
        begun = {step: done for step, done, _ in reversed(move.run())}
        assert {step: begun[step] for step in arrived} == arrived, "what had been copied was not copied again"
        assert rows(move.to) == before


def test_a_copy_whose_source_has_changed_starts_again(move):
    with pytest.raises(_InterruptedError):
        move.run(interrupt(25))
    move.desk.put("/v1/orders/A-0", json={"customer_ref": "K-0", "service_provided_at": None})
    move.desk.cancelled("A-0")
    move.run()
    assert rows(move.to) == rows(move.settings.database)


def write_elsewhere(move):
    """The status with which another instance answers a write."""
    app = create_app(move.settings)
    app.extensions["refunds.tests.tokens"] = move.app.extensions["refunds.tests.tokens"]
    with closing(app.extensions["refunds.store"]):
        return Desk(client_of(app), move.clock).put(
            "/v1/orders/later", json={"customer_ref": "K-9", "service_provided_at": None}
        )


def lose_the_lock(move):
    """Take from a copy under way what keeps others from the records."""
    if move.settings.database.startswith("sqlite"):
        (move.directory / "refunds.db.in-use").unlink()
        return
    with closing(open_engine(move.settings.database, readonly=True)) as engine, engine.read() as tx:
        assert tx.all(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )


def another(move):
    """Somebody else who moves the same installation to the same database."""
    other = Move.__new__(Move)
    other.__dict__ |= move.__dict__ | {"store": Store(move.settings)}
    return other


def test_a_copy_is_refused_while_the_service_uses_the_database(move):
    """What it recorded meanwhile would be lost without a word."""
    assert write_elsewhere(move).status_code == 201
    move.store.open()
    with move.store.write(COMMAND_LINE):
        refused = move.command(FLASK, "copy", "--to", move.to)
    assert (refused.returncode, "is in use: stop every instance of the service" in refused.stderr) == (4, True)
    with closing(open_engine(move.to)) as engine, pytest.raises(RefundsError), engine.read() as tx:
        tx.all("SELECT name FROM migrations")  # there is none: nothing was begun


def test_two_copies_are_not_made_at_the_same_time(move):
    def listener(step, *_):
        if step == "contacts":
            with pytest.raises(ConfigurationError, match="is in use"):
                another(move).run()

    move.run(listener)
    assert rows(move.to) == rows(move.settings.database)


def test_no_instance_writes_while_the_records_are_copied(move):
    answers = []

    def listener(step, *_):
        if step == "contacts" and not answers:
            answers.append(write_elsewhere(move))

    move.run(listener)
    assert answers[0].status_code == 503
    assert rows(move.to) == rows(move.settings.database)


def test_a_copy_is_not_finished_if_records_change_although_no_instance_could(move):
    """As after the loss of the connection, or of the file, that holds the lock."""

    def listener(step, done, _):
        if (step, done) == (copying.HERE, 1):
            lose_the_lock(move)
            assert write_elsewhere(move).status_code == 201

    with pytest.raises(RefundsError, match=r"changed while it was copied|the service started while it was read"):
        move.run(listener)
    with pytest.raises(ConfigurationError, match="unfinished copy"):
        create_app(move.moved()).extensions["refunds.store"].open()
    move.run()
    assert rows(move.to) == rows(move.settings.database)


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("DELETE FROM idempotency WHERE client_id > ''", "rows of idempotency"),
        ("DELETE FROM events WHERE position = 7", "rows of events"),
        ("UPDATE contacts SET channel = 'email'", "differs from the journal"),
        ("UPDATE events SET actor = 'nobody' WHERE position = 5", "position 5"),
    ],
)
def test_a_copy_that_was_tampered_with_is_not_finished(move, tampering, message):
    def listener(step, done, _):
        if (step, done) == (copying.THERE, 0):
            with closing(open_engine(move.to)) as engine, engine.write() as tx:
                assert tx.run(tampering)

    with pytest.raises(Broken, match=f"^the copy is not sound; .*: .*{message}"):
        move.run(listener)
    with pytest.raises(ConfigurationError, match="unfinished copy"):
        create_app(move.moved()).extensions["refunds.store"].open()
    move.run()
    assert rows(move.to) == rows(move.settings.database)


def test_records_that_are_not_sound_are_not_copied(move):
    with closing(open_engine(move.settings.database)) as engine, engine.write() as tx:
        tx.run("UPDATE orders SET region = 'DE-BE' WHERE order_id = 'A-1'")
    with pytest.raises(Broken, match="orders A-1"):
        move.run()


def test_a_database_that_already_has_records_is_not_changed(move):
    other = settings(move.directory / "other", database=move.to)
    with closing(Store(other)) as store:
        store.open()
    before = rows(move.to)
    ended = move.flask("copy", "--to", move.to)
    assert (ended.exit_code, "has records of its own: name an empty database" in ended.stderr) == (4, True)
    assert rows(move.to) == before


def test_copying_again_after_a_finished_copy_changes_nothing(move):
    """The second attempt reports the end that was missed at the first."""
    move.run()
    assert move.run() == [(copying.THERE, 0, 1), (copying.THERE, 1, 1)]
    assert rows(move.to) == rows(move.settings.database)
    move.desk.cancelled("A-0")
    with pytest.raises(ConfigurationError, match="has records of its own"):
        move.run()


def test_a_database_is_not_copied_to_itself(move):
    """Such as when REFUNDS_DATABASE names the copy already."""
    for place in (move.settings.database, move.settings.database.replace(str(move.directory), f"{move.directory}/.")):
        with pytest.raises(ConfigurationError, match="is the database to copy from: name another"):
            move.run(to=place)


def test_an_empty_database_is_not_copied(move, tmp_path):
    """A typing error in the name of the source must not look like a success."""
    empty = Store(settings(tmp_path / "empty"))
    empty.open()
    empty.close()
    refused = pytest.raises(ConfigurationError, match="has no records: name the database to copy from")
    with closing(empty), closing(open_engine(move.to)) as engine, refused:
        copying.copy(empty, engine, "--to", lambda *_: None)
    move.run()


@pytest.mark.parametrize("table", ["orders", "migrations"])
def test_a_database_of_another_application_is_refused(move, table):
    with closing(open_engine(move.to)) as engine, engine.write() as tx:
        tx.run(f"CREATE TABLE {table} (somebodys TEXT)")
    with pytest.raises(
        ConfigurationError, match=r"^--to: .* contains something else \(.*\): name a database of its own"
    ):
        move.run()
    with pytest.raises(ConfigurationError, match=r"^REFUNDS_DATABASE: .* contains something else"):
        create_app(move.moved()).extensions["refunds.store"].open()


def test_a_concurrent_attempt_adds_nothing_to_a_finished_copy(move):
    """Not even after instances use the copy."""

    def finish_meanwhile(step, *_):
        if step == "events":
            lose_the_lock(move)
            another(move).run()

    with pytest.raises(ConfigurationError, match="another copy has taken over, or has finished this one"):
        move.run(finish_meanwhile)
    assert rows(move.to) == rows(move.settings.database)


def test_an_attempt_that_another_one_has_taken_over_adds_nothing(move):
    """The other one copies what has changed since the first began."""

    def overtake(step, *_):
        if step == "contacts":
            lose_the_lock(move)
            other = another(move)
            write_elsewhere(move)
            with pytest.raises(_InterruptedError):
                other.run(interrupt(12))

    with pytest.raises(RefundsError, match=r"another copy has taken over|the service started while it was read"):
        move.run(overtake)
    move.run()
    assert rows(move.to) == rows(move.settings.database)


def almost_copied(move):
    """Interrupt a copy when everything has been copied."""
    whole = len(move.run(to=move.new_database()))
    with pytest.raises(_InterruptedError):
        move.run(interrupt(whole - 1))
    assert {"users", "sign_in_attempts"} <= {step for step, done, _ in move.reported if done}


def test_replies_that_expire_between_two_attempts_are_missing_in_the_copy_too(move):
    almost_copied(move)
    with closing(open_engine(move.settings.database)) as engine, engine.write() as tx:
        assert tx.run("DELETE FROM idempotency WHERE order_id = 'A-1'")
    move.run()
    assert rows(move.to) == rows(move.settings.database)


def test_a_session_that_ends_between_two_attempts_has_ended_in_the_copy(move):
    almost_copied(move)
    anna, ben = move.users
    session, of_ben = (users.session_for(move.store, user) for user in (anna, ben))
    with move.store.write(Principal(anna.user_id, "anna", Role.AGENT)) as uow:
        uow.users.end_sessions(uow.principal.actor)
    move.run()
    assert rows(move.to) == rows(move.settings.database)
    with closing(Store(move.moved())) as store:
        with pytest.raises(Unauthenticated):
            users.signed_in(store, session)
        users.signed_in(store, of_ben)


def test_failed_sign_ins_between_two_attempts_count_in_the_copy(move):
    almost_copied(move)
    for _ in range(users.ATTEMPTS - 1):
        with pytest.raises(Unauthenticated):
            users.sign_in(move.store, "anna", "a guess")
    move.run()
    assert rows(move.to) == rows(move.settings.database)
    with closing(Store(move.moved())) as store, pytest.raises(TooManyAttempts):
        users.sign_in(store, "anna", "a guess")


@pytest.mark.parametrize("url", ["mysql://localhost/refunds", "postgresql://a:sec%ret@localhost/x", "refunds.db", ""])
def test_an_invalid_database_url_is_refused(move, url):
    ended = move.flask("copy", "--to", url)
    assert ended.exit_code == 4, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("--to: ")
    assert "sec" not in ended.stderr


def test_the_command_copies_and_prints_the_next_step(move):
    ended = move.flask("copy", "--to", move.to)
    assert ended.exit_code == 0, ended.stderr
    assert "Sound: " in ended.stdout
    assert "Set REFUNDS_DATABASE to it for every instance" in ended.stdout
    assert "cancellations" in ended.stderr, "the progress"
    assert rows(move.to) == rows(move.settings.database)
    with closing(Store(move.moved())) as store, store.read(COMMAND_LINE) as uow:
        uow.verify(list(store.checkpoints))


KILLED = """
import os, signal, sys
from refunds.service import copies as copying
from refunds.storage import copies
import app
copies.AT_ONCE = 4
rest = copies.Copy.rest
def deadly(self, source, table):
    for done in rest(self, source, table):
        yield done
        if table.name == "events" and done > 8:
            os.kill(os.getpid(), signal.SIGKILL)
copies.Copy.rest = deadly
app.app.test_cli_runner().invoke(args=["copy", "--to", sys.argv[1]])
"""


def test_a_copy_that_was_killed_can_be_resumed(move):
    killed = move.command(sys.executable, "-c", KILLED, move.to)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert next(done for step, done, _ in move.run() if step == "events") > 8
    assert rows(move.to) == rows(move.settings.database)
