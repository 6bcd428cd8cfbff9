"""One installation has one journal: another, older or empty database is refused until an operator accepts it.

The files are opened with the driver of the service: closing another one's would release the locks of this process.
"""

from contextlib import closing, suppress
from datetime import date
from pathlib import Path
from unittest import mock

import holidays
import psycopg
import pytest
from sqlite_utils.utils import sqlite3

import app as flask_app
from refunds.cli import Commands
from refunds.config import load_settings
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import AnotherJournal, ConfigurationError, InvalidInput, Message, StorageUnavailable
from refunds.security.master_key import create_master_key
from refunds.service import acceptance, publication
from refunds.service.store import Opening, Store
from refunds.storage.audit import Broken
from refunds.storage.checkpoints import Checkpoint
from refunds.web import create_app
from tests import ENGINES, postgres
from tests.api.conftest import Desk
from tests.conftest import client_of, settings
from tests.storage.restored import restored

REASON = "restored the backup of Saturday"


class Records:
    """An installation whose database can be put back to an earlier state, also while instances use it."""

    def __init__(self, directory, engine, **changed):
        self.settings = settings(directory, engine=engine, **changed)
        self.directory, self.engine, self.states = directory, engine, {}
        create_master_key(self.settings.master_key_file)
        with self.store(Opening.INIT):
            pass

    def store(self, to=Opening.USE, **changed):
        """A store that is opened for this; to be closed."""
        store = Store(settings(self.directory, engine=self.engine, **changed) if changed else self.settings)
        store.open(to)
        return closing(store)

    @property
    def file(self):
        """The database's file."""
        return Path(self.settings.database.removeprefix("sqlite:///"))

    def keep(self, name):
        """Keep the present state under a name."""
        if self.engine == "sqlite":
            self.states[name] = self.file.with_name(f"{name}.kept")
            with closing(sqlite3.connect(self.file)) as now, closing(sqlite3.connect(self.states[name])) as kept:
                now.backup(kept)
        else:
            self._without_connections()
            self.states[name] = postgres.shared().create(of=self.settings.database)

    def put_back(self, name):
        """Put a kept state in place of the present one; on a server, connections to it are cut."""
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.states[name])) as kept, closing(sqlite3.connect(self.file)) as now:
                kept.backup(now)
        else:
            cluster, present = postgres.shared(), self.settings.database
            cluster.drop(present)
            cluster.create(present.rpartition("/")[2], of=self.states[name])

    def _without_connections(self):
        name = self.settings.database.rpartition("/")[2]
        with psycopg.connect(postgres.shared()._home, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    def put_back_before_a_checkpoint(self):
        """Keep the present state, record and checkpoint something, and put the state back."""
        self.keep("saturday")
        with self.store() as store:
            with store.write(COMMAND_LINE) as uow:
                publication.close(uow, "virtual-numbers", date(2027, 3, 2))
            store.checkpoint()
        self.put_back("saturday")

    def verified(self):
        """The audit's report."""
        with self.store(Opening.READ) as store, store.read(COMMAND_LINE) as uow:
            return uow.verify(list(store.checkpoints))

    def accept(self):
        """Accept the journal as it is."""
        with self.store(Opening.ACCEPT) as store:
            return acceptance.accept(store, REASON)


@pytest.fixture(params=ENGINES)
def engine(request):
    """Each engine."""
    return request.param


@pytest.fixture
def records(tmp_path, engine):
    """An installation on each engine."""
    return Records(tmp_path, engine)


def asked(desk, path="/v1/me"):
    """The status of the first answer that does not come from a connection that was cut."""
    for _ in range(5):
        answer = desk.get(path)
        if "cannot serve" not in answer.text and "connection" not in answer.text:
            break
    return answer


@pytest.fixture
def desks(records):
    """The billing system's desks at two instances that run on the same records."""
    apps = [create_app(records.settings) for _ in range(2)]
    yield [Desk(client_of(app, "admin"), None) for app in apps]
    for app in apps:
        app.extensions["refunds.store"].close()


def test_running_instances_refuse_an_older_state_until_it_is_accepted(records, desks):
    desks[0].register("before")
    records.keep("saturday")
    places = []
    for desk in desks:
        assert asked(desk).status_code == 200
        desk.register(f"after-{len(places)}")
        places.append(asked(desk, "/v1/events?limit=200").json["next"])
    records.put_back("saturday")
    for desk in desks:
        for _ in range(3):
            answer = asked(desk)
            assert (answer.status_code, "not the one that was used before" in answer.text) == (503, True), answer.text
            assert asked(desk, "/readyz").status_code == 503
            assert (
                desk.put("/v1/orders/more", json={"customer_ref": "K-1", "service_provided_at": None}).status_code
                == 503
            )
    with pytest.raises(ConfigurationError, match="is not the one of the checkpoints"):
        records.store()
    lost = records.accept()
    assert "ends at position" in str(lost.how)
    for desk, place in zip(desks, places, strict=True):
        assert asked(desk).status_code == 200
        assert asked(desk, f"/v1/events?after={place}").status_code == 409
        assert asked(desk, "/v1/orders/after-0").status_code == 404
    answer = asked(desks[0], f"/v1/events?after={places[0]}").json
    first = asked(desks[0], f"/v1/events?after={answer['next']}&limit=200").json["items"]
    assert {event["order_id"] for event in first} <= {None}, "it goes on after the state that was restored"
    for number in range(12):
        desks[number % 2].register(f"again-{number}")
    for desk, place in zip(desks, places, strict=True):
        assert asked(desk, f"/v1/events?after={place}").status_code == 409, "also when it has grown past the place"
    assert records.verified().events > 12


def test_control_without_the_comparison_an_instance_goes_on_as_if_nothing_had_happened(records, desks):
    desks[0].register("before")
    records.keep("saturday")
    desks[0].register("after")
    assert asked(desks[0]).status_code == 200
    records.put_back("saturday")
    with mock.patch.object(Store, "_require_same_journal"):
        assert asked(desks[0]).status_code == 200


def last_day(store):
    """The last day of a window from before Easter, by the policies that the store knows."""
    with store.read(COMMAND_LINE) as uow:
        policy = uow.policies["virtual-numbers"]
        return max(day for day, _ in policy.current(uow.now).closures.entered)


def test_policies_are_those_of_the_database_also_at_the_same_position(records):
    """A closure that a fail-over has undone is not counted, nor taken for the other one at its place."""
    records.keep("saturday")
    with records.store() as running, records.store() as other:
        with other.write(COMMAND_LINE) as uow:
            publication.close(uow, "virtual-numbers", date(2027, 3, 2))
        assert last_day(running) == date(2027, 3, 2)
        other.checkpoint()
        other.close()
        records.put_back("saturday")
        records.accept()
        with records.store() as again:
            with again.write(COMMAND_LINE) as uow:
                publication.close(uow, "virtual-numbers", date(2027, 3, 9))
            for _ in range(5):
                with suppress(StorageUnavailable):  # a connection that was cut
                    last_day(running)
            assert last_day(running) == date(2027, 3, 9)


def production(directory, engine, name="refunds.db", **changed):
    """The settings of an installation in production, or of another database with the same ledger and key."""
    found = settings(directory, engine=engine, env="production", **changed)
    if engine == "sqlite" and name != "refunds.db":
        found = settings(
            directory, engine=engine, env="production", database=f"sqlite:///{directory}/{name}", **changed
        )
    return found


def opened(configured, to=Opening.USE):
    """Open and close an installation."""
    with closing(Store(configured)) as store:
        store.open(to)


def test_in_production_nothing_but_init_makes_an_installation(tmp_path, engine):
    configured = production(tmp_path, engine)
    create_master_key(configured.master_key_file)
    for to in (Opening.USE, Opening.ACCEPT, Opening.READ):
        with pytest.raises(ConfigurationError, match=r"does not exist|has no records"):
            opened(configured, to)
    assert not list(tmp_path.glob("refunds.db*"))
    opened(configured, Opening.INIT)
    opened(configured)
    with pytest.raises(ConfigurationError, match="is an installation already"):
        opened(configured, Opening.INIT)
    with closing(Store(configured)) as store:
        store.open(Opening.READ)
        with store.read(COMMAND_LINE) as uow:
            assert uow.verify(list(store.checkpoints)).events == 1


def test_in_development_a_command_makes_no_installation_on_the_side(tmp_path, engine):
    """An operator who forgot the settings is told so, and does not get a second installation."""
    app = create_app(settings(tmp_path, engine=engine))
    app.cli = Commands(app.name)
    for command in ("tokens create --role billing", "users add anna --role agent", "audit verify", "migrate", "clock"):
        ended = app.test_cli_runner().invoke(args=command.split())
        assert (ended.exit_code, ended.stdout) == (4, ""), ended.output
        if engine == "sqlite":
            assert "does not exist. Set REFUNDS_DATABASE to the right one" in ended.stderr
            assert "make a new installation with flask init" in ended.stderr
        assert not [path for path in tmp_path.rglob("*.*") if path.suffix in {".db", ".key"}]
    assert app.test_cli_runner().invoke(args=["init"]).exit_code == 0
    assert app.test_cli_runner().invoke(args=["tokens", "create", "--role", "billing"]).exit_code == 0


def test_an_empty_database_beside_the_ledger_of_another_is_refused(tmp_path):
    right, wrong = production(tmp_path, "sqlite"), production(tmp_path, "sqlite", "refund.db")
    create_master_key(right.master_key_file)
    opened(right, Opening.INIT)
    before = (tmp_path / "ledger/anchors.jsonl").read_bytes()
    with pytest.raises(ConfigurationError, match="does not exist"):
        opened(wrong)
    (tmp_path / "refund.db").touch()
    with pytest.raises(ConfigurationError, match="is empty"):
        opened(wrong)
    with pytest.raises(ConfigurationError, match="is of another journal"):
        opened(wrong, Opening.INIT)
    opened(right)
    assert (tmp_path / "ledger/anchors.jsonl").read_bytes() == before


def test_the_wrong_database_for_one_start_does_no_harm_to_the_right_one(tmp_path):
    right, wrong = production(tmp_path, "sqlite"), production(tmp_path, "sqlite", "other.db", ledger_dir=tmp_path / "b")
    create_master_key(right.master_key_file)
    opened(right, Opening.INIT)
    opened(wrong, Opening.INIT)
    mistaken = production(tmp_path, "sqlite", "other.db")
    with pytest.raises(ConfigurationError, match=r"it has the journal jrn_.* is of another one"):
        opened(mistaken)
    for configured in (right, wrong):
        opened(configured)
        with closing(Store(configured)) as store:
            store.open(Opening.READ)
            with store.read(COMMAND_LINE) as uow:
                uow.verify(list(store.checkpoints))
    with closing(Store(mistaken)) as store:
        store.open(Opening.READ)
        with store.read(COMMAND_LINE) as uow, pytest.raises(Broken, match="another journal"):
            uow.verify(list(store.checkpoints))


def test_in_development_a_new_file_begins_a_new_journal(tmp_path):
    configured = settings(tmp_path, engine="sqlite")
    for _ in range(3):
        opened(configured)
        with closing(Store(configured)) as store:
            store.checkpoint()
            with store.read(COMMAND_LINE) as uow:
                assert uow.verify(list(store.checkpoints)).events == 1
        for file in tmp_path.glob("refunds.db*"):
            file.unlink()


def test_in_development_two_databases_have_a_key_and_a_ledger_each(tmp_path, monkeypatch):
    for name in ("REFUNDS_MASTER_KEY_FILE", "REFUNDS_LEDGER_DIR", "REFUNDS_ENV"):
        monkeypatch.delenv(name, raising=False)
    places = set()
    for name in ("one.db", "two.db"):
        monkeypatch.setenv("REFUNDS_DATABASE", f"sqlite:///{tmp_path}/{name}")
        configured = load_settings()
        opened(configured)
        opened(configured)
        places |= {configured.master_key_file, configured.ledger_dir}
    assert {place.parent for place in places} == {tmp_path}
    assert len(places) == 4
    monkeypatch.delenv("REFUNDS_DATABASE")
    assert load_settings().master_key_file == Path("instance/master.key")


@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "x" * 201, "card 4111 1111 1111 1111"])
def test_a_reason_that_is_none_changes_nothing(records, reason):
    records.keep("saturday")
    with records.store() as store, store.write(COMMAND_LINE) as uow:
        publication.close(uow, "virtual-numbers", date(2027, 3, 2))
    with records.store() as store:
        store.checkpoint()
    records.put_back("saturday")
    before = (records.directory / "ledger/anchors.jsonl").read_bytes()
    with records.store(Opening.ACCEPT) as store, pytest.raises(InvalidInput):
        acceptance.accept(store, reason)
    assert (records.directory / "ledger/anchors.jsonl").read_bytes() == before
    with pytest.raises(ConfigurationError):
        records.store()


def test_there_is_nothing_to_accept_twice_or_where_nothing_is_wrong(records):
    with pytest.raises(InvalidInput, match="the one of the last checkpoint"):
        records.accept()
    records.put_back_before_a_checkpoint()
    records.accept()
    with pytest.raises(InvalidInput, match="the one of the last checkpoint"):
        records.accept()
    assert records.verified().events == 2


def test_a_journal_that_is_cut_back_to_before_it_was_accepted_is_refused(records):
    records.put_back_before_a_checkpoint()
    records.accept()
    records.put_back("saturday")
    with pytest.raises(ConfigurationError, match="is of another one"):
        records.store()
    with pytest.raises(Broken):
        records.verified()


READING = (
    ("audit", "verify"),
    ("check", "--provided", "2026-04-02T16:20:00+02:00"),
    ("deadlines",),
    ("calendar", "compare", str(Path(holidays.__file__).parents[1])),
    ("evidence", "--order", "before"),
    ("calendar", "DE-BY", "--year", "2026"),
    ("calendar", "changes"),
    ("policy", "list"),
    ("users", "list"),
    ("tokens", "list"),
    ("audit", "replay"),
)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_leaves_every_byte_as_it_was(tmp_path, monkeypatch, command):
    records = Records(tmp_path, "sqlite")
    desk = Desk(client_of(create_app(records.settings), "admin"), None)
    desk.register("before")
    desk.client.application.extensions["refunds.store"].close()
    for file in tmp_path.glob("refunds.db-*"):
        file.unlink()
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    found = create_app(records.settings)
    found.cli = flask_app.app.cli
    result = found.test_cli_runner().invoke(args=list(command))
    assert result.exit_code in {0, 2}, result.output
    assert result.exit_code == 0 or "Usage" in result.output, result.output
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    noted = after.pop(records.settings.ledger_dir / "last-verify.json", None)
    assert after == before
    assert (noted is not None) == (command == ("audit", "verify")), "it notes that it was done"


@pytest.mark.parametrize("command", READING[:4], ids=" ".join)
def test_a_command_that_reads_does_not_upgrade_an_earlier_database(tmp_path, command):
    configured = restored("0006_promises", "sqlite", tmp_path)
    before = (tmp_path / "refunds.db").read_bytes()
    found = create_app(configured)
    found.cli = flask_app.app.cli
    result = found.test_cli_runner().invoke(args=list(command))
    assert (result.exit_code, "run flask migrate" in result.output) == (4, True), result.output
    assert (tmp_path / "refunds.db").read_bytes() == before
    result = found.test_cli_runner().invoke(args=["migrate"])
    assert (result.exit_code, "is up to date" in result.output) == (0, True), result.output
    assert found.test_cli_runner().invoke(args=list(command)).exit_code == 0


def test_an_instance_that_did_not_notice_cannot_undo_the_refusal(records):
    """Its checkpoint comes after that of the instance that noticed, and is of the state that was restored."""
    records.keep("saturday")
    with records.store() as noticed, records.store() as idle:
        with idle.read(COMMAND_LINE) as uow:
            assert uow.policies
        with noticed.write(COMMAND_LINE) as uow:
            publication.close(uow, "virtual-numbers", date(2027, 3, 2))
        with noticed.read(COMMAND_LINE) as uow:
            assert uow.policies
        noticed.checkpoint()
        idle.close()
        records.put_back("saturday")
        for _ in range(3):
            with suppress(StorageUnavailable), noticed.read(COMMAND_LINE) as uow:
                assert not uow.policies
    with records.store(Opening.ACCEPT) as idle:
        with idle.read(COMMAND_LINE) as uow:
            head = uow.events.head()
        idle.checkpoints.append(Checkpoint(head.position, head.hash, uow.now, head.journal_id))
    with pytest.raises(ConfigurationError, match="before its checkpoint at 2"):
        records.store()
    records.accept()
    assert records.verified().events == 2
    with records.store() as store, store.write(COMMAND_LINE) as uow:
        publication.close(uow, "virtual-numbers", date(2027, 3, 9))
    assert records.verified().events == 3


def test_an_instance_refuses_another_history_that_is_longer_than_what_it_has_seen(tmp_path):
    records = Records(tmp_path, "postgresql")
    records.keep("saturday")
    with records.store() as running:
        with running.write(COMMAND_LINE) as uow:
            publication.close(uow, "virtual-numbers", date(2027, 3, 2))
        with running.read(COMMAND_LINE) as uow:
            assert uow.policies
        records.put_back("saturday")
        with records.store(Opening.ACCEPT) as other:
            for day in (8, 9, 10):
                with other.write(COMMAND_LINE) as uow:
                    publication.close(uow, "virtual-numbers", date(2027, 3, day))
        found = []
        for _ in range(5):
            try:
                with running.read(COMMAND_LINE) as uow:
                    assert uow.policies
            except StorageUnavailable as error:
                found.append(error)
        assert isinstance(found[-1], AnotherJournal)
        assert "is not that of the checkpoint" in str(found[-1])


def test_a_ledger_directory_that_is_misspelt_is_refused_in_production(tmp_path, engine):
    configured = production(tmp_path, engine)
    create_master_key(configured.master_key_file)
    opened(configured, Opening.INIT)
    with pytest.raises(ConfigurationError, match="there is no checkpoint of its journal"):
        opened(production(tmp_path, engine, ledger_dir=tmp_path / "leger"))
    opened(configured)


def test_an_init_that_was_killed_before_its_checkpoint_can_be_repeated(tmp_path, engine):
    configured = production(tmp_path, engine)
    create_master_key(configured.master_key_file)
    opened(configured, Opening.INIT)
    (tmp_path / "ledger/anchors.jsonl").write_text("")
    with pytest.raises(ConfigurationError, match="there is no checkpoint of its journal"):
        opened(configured)
    opened(configured, Opening.INIT)
    opened(configured)


def test_a_store_whose_first_opening_failed_can_be_opened_again(tmp_path):
    store = Store(settings(tmp_path, engine="sqlite"))
    full = StorageUnavailable(Message("full"))
    with mock.patch.object(publication, "first_policy", side_effect=full), pytest.raises(StorageUnavailable):
        store.open()
    with closing(store), store.read(COMMAND_LINE) as uow:
        assert uow.policies
