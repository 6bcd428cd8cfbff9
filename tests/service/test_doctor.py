"""The doctor: each of its checks finds what is wrong, and nothing where all is well."""

import os
import shutil
import socket
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
import time_machine

from refunds.domain.holidays_data import covered_years, provisional_from
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.privacy import DataRequestChannel, DataRequestKind, DataRequestOutcome
from refunds.errors import StorageUnavailable
from refunds.schemas.policy import read_policy
from refunds.security.master_key import create_master_key
from refunds.service import clients, data_requests, doctor, doctor_files, publication, upkeep
from refunds.service.data_requests import Given
from refunds.service.doctor import CHECKS, MANY_TOKENS, examine
from refunds.service.examination import Level, Patient
from refunds.service.store import Opening, Store
from refunds.service.watch import watch
from refunds.storage import open_engine, schema
from refunds.storage.mapper import micros
from refunds.storage.tables import sealed
from tests.conftest import settings
from tests.service.test_privacy import erase, registered

NOW = datetime.now(UTC)
OK, WARNING, FAILED = Level
ON_SERVER = {"server-log", "connections", "samples"}
SECOND = """
policy = "virtual-numbers"
version = 2
effective_from = 2026-01-02T00:00:00Z
[phone]
points = ["+493012345678"]
[email]
points = ["help@refunds.example"]
"""


def made(directory, engine):
    """The settings of a new installation in production."""
    directory.mkdir(exist_ok=True)
    of = settings(
        directory / "data",
        engine=engine,
        env="production",
        master_key_file=directory / "keys" / "master.key",
        ledger_dir=directory / "ledger",
        trusted_hosts=["refunds.example"],
        public_url="https://refunds.example",
    )
    create_master_key(of.master_key_file)
    with closing(Store(of)) as store:
        store.open(Opening.INIT)
        store.checkpoint()
    return of


@pytest.fixture
def installed(tmp_path, engine):
    """The settings of an installation in production in which all is well."""
    return well(tmp_path / "installed", engine)


def well(directory, engine, second=SECOND):
    """The settings of a new installation, whose policy has a second version and which keeps no samples."""
    of = made(directory, engine)
    with closing(Store(of)) as store, store.write(COMMAND_LINE) as uow:
        publication.import_version(uow, read_policy(second))
    for done in ("backup", "verify", "retention"):
        upkeep.write_note(of.ledger_dir, done, 1)
    if engine == "postgresql":
        change(of, *(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0" for table, column in sealed()))
    return of


def found(of, check, now=None):
    """What one check finds besides what is well."""
    with closing(Patient(of, Store(of), now or NOW)) as patient:
        return [one for one in CHECKS[check](patient) if one.level != OK]


def examined(of):
    """Every finding, by the name of its check."""
    with closing(Patient(of, Store(of))) as patient:
        return [(name, one.level, one.text) for name, one in examine(patient)]


def only(findings, level, *words):
    """Assert that there is one finding, of this level, with these words."""
    assert [one.level for one in findings] == [level], findings
    assert all(word in f"{findings[0].text} → {findings[0].fix}" for word in words), findings


def change(of, *statements):
    """Run statements that the service would not."""
    with closing(open_engine(of.database)) as opened, opened.write() as tx:
        for statement in statements:
            tx.run(statement)


def test_in_a_sound_installation_every_check_is_well(installed, engine):
    every = examined(installed)
    assert {level for _, level, _ in every} == {OK}, every
    assert {name for name, *_ in every} == CHECKS.keys() - (set() if engine == "postgresql" else ON_SERVER)


def contents(directory):
    """The bytes of every file, except for the locks of readers, which SQLite keeps in the file `-shm`."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file() and "-shm" not in path.name}


def test_it_changes_nothing_while_the_service_uses_the_records(installed, tmp_path):
    with closing(Store(installed)) as service:
        with service.write(COMMAND_LINE) as uow:
            clients.create_token(uow, Role.BILLING, "billing", 365)
        before = contents(tmp_path)
        assert not [one for one in examined(installed) if one[1] != OK]
        assert contents(tmp_path) == before


def test_development_is_found(installed):
    only(found(replace(installed, env="development"), "settings"), WARNING, "set REFUNDS_ENV=production")


@pytest.mark.parametrize(("trusted", "level"), [("refunds.example", OK), (".example", OK), ("a.example", FAILED)])
def test_a_public_address_that_is_not_trusted_is_found(installed, trusted, level):
    findings = found(replace(installed, trusted_hosts=["localhost", trusted]), "settings")
    assert [one.level for one in findings] == [level] * (level != OK)


def test_a_proxy_without_a_host_name_is_found(installed):
    local = replace(installed, trusted_hosts=["localhost", "127.0.0.1"], public_url="")
    assert found(local, "settings") == []
    only(found(replace(local, behind_tls_proxy=True), "settings"), WARNING, "set REFUNDS_TRUSTED_HOSTS")


def test_without_its_database_the_other_checks_are_made(installed):
    """What keeps a check from being made is told once."""
    away = f"postgresql://refunds@127.0.0.1:{closed_port()}/refunds"
    missing = f"sqlite:///{installed.ledger_dir}/missing.db"
    for database, why in ((missing, "does not exist"), (away, "cannot be accessed")):
        every = examined(replace(installed, database=database))
        assert [(name, level) for name, level, _ in every if level == FAILED] == [("database", FAILED)]
        assert why in next(text for name, _, text in every if name == "database")
        assert {"settings", "ledger", "disk"} <= {name for name, level, _ in every if level == OK}
        assert every[-1][:2] == ("others", WARNING)
        assert "schema" in every[-1][2]


def closed_port():
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def test_a_file_that_is_no_database_is_found(tmp_path):
    of = made(tmp_path, "sqlite")
    file = tmp_path / "data" / "refunds.db"
    file.write_bytes(b"no database" * 1000)
    every = examined(of)
    assert [name for name, level, _ in every if level == FAILED] == ["database"]


@pytest.mark.parametrize(
    ("path", "well", "exposed", "fix"),
    [
        ("data/refunds.db", 0o600, 0o640, "chmod go="),
        ("data/refunds.db-wal", 0o600, 0o604, "chmod go="),
        ("data/refunds.db-shm", 0o600, 0o620, "chmod go="),
        ("keys/tokens.env", 0o600, 0o640, "chmod go="),
        ("ledger", 0o775, 0o777, "chmod o="),
        ("ledger/anchors.jsonl", 0o660, 0o664, "chmod o="),
        ("ledger/erasures.jsonl", 0o660, 0o662, "chmod o="),
    ],
)
def test_what_other_users_may_read_or_change_is_found(tmp_path, path, well, exposed, fix):
    of = made(tmp_path, "sqlite")
    with closing(Store(of)) as store:
        store.open()
        with store.write(COMMAND_LINE):
            pass
        (tmp_path / "keys/tokens.env").touch(mode=0o600)
        (tmp_path / path).chmod(well)
        assert found(of, "permissions") == []
        (tmp_path / path).chmod(exposed)
        only(found(of, "permissions"), WARNING, f"{tmp_path / path}: {exposed & ~well:03o}", f"{fix} {tmp_path / path}")


@pytest.mark.parametrize(("path", "mode"), [("data", 0o500), ("data/refunds.db", 0o400)])
def test_a_database_that_cannot_be_written_is_found(tmp_path, path, mode):
    of = made(tmp_path, "sqlite")
    (tmp_path / path).chmod(mode)
    with called_by_nobody():
        only(found(of, "permissions"), FAILED, "refunds.db", "cannot be written", "as the user of the service")


@pytest.mark.parametrize(
    ("version", "level"), [("3.40.1", WARNING), ("3.44.6", OK), ("3.51.2", WARNING), ("3.53.4", OK)]
)
def test_a_version_of_sqlite_that_damages_its_log_is_found(version, level):
    assert doctor.sqlite_found(version).level == level


SPOILT = {
    "DROP INDEX open_contacts": (FAILED, "index contacts.open_contacts is missing: (contact_id) WHERE is_open = 1"),
    "ALTER TABLE contacts ADD COLUMN mine TEXT": (WARNING, "column contacts.mine is not one of the service"),
    "ALTER TABLE contacts DROP COLUMN acknowledged_by": (FAILED, "column contacts.acknowledged_by is missing: text"),
    "CREATE UNIQUE INDEX one ON orders (region)": (WARNING, "index orders.one is not one of the service"),
}


@pytest.mark.parametrize("statement", SPOILT)
def test_a_schema_that_was_changed_by_hand_is_found(installed, statement):
    change(installed, statement)
    only(found(installed, "schema"), *SPOILT[statement])


def test_a_trigger_a_table_and_another_index_are_found(installed, engine):
    if engine == "postgresql":
        change(
            installed,
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER watching BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing()",
            "ALTER TABLE cancellations ALTER COLUMN refund_due_by TYPE varchar(10)",
        )
    else:
        change(installed, "CREATE TRIGGER watching BEFORE INSERT ON orders BEGIN SELECT 1; END")
    change(
        installed,
        "CREATE TABLE mine (id TEXT)",
        "DROP INDEX one_active_cancellation",
        "CREATE INDEX one_active_cancellation ON cancellations (order_id)",
    )
    texts = [one.text.partition(" in place of UNIQUE (order_id, (CASE WHEN")[0] for one in found(installed, "schema")]
    if engine == "postgresql":
        texts.remove("column cancellations.refund_due_by is character varying(10) not null in place of text not null")
    assert texts == [
        "column mine.id is not one of the service",
        "index cancellations.one_active_cancellation is (order_id)",
        "trigger orders.watching is not one of the service",
    ]


INDEXES = {
    "orders_by_bare_number ON orders ((replace(replace(lower(order_id), '-', ''), ' ', '')))": [
        ("lower", "upper"),
        ("' ', ''", "'', ''"),
        ("((replace(replace(lower(order_id), '-', ''), ' ', '')))", "(order_id)"),
    ],
    "cancellations_due ON cancellations (overdue_at, cancellation_id) WHERE state IN ('issued', 'refunding')": [
        ("'refunding'", "'settled'"),
        (", 'refunding'", ""),
        (" WHERE state IN ('issued', 'refunding')", ""),
        ("overdue_at,", "overdue_at DESC,"),
    ],
    "goodwill_by_issue ON cancellations (issued_at, issued_by) WHERE basis = 'goodwill' AND state <> 'revoked'": [
        ("AND", "OR"),
        ("<>", "="),
        ("goodwill' AND", "Goodwill' AND"),
    ],
    "refused_requests ON contacts (recorded_at) WHERE intent IN ('cancel', 'withdrawal') AND superseded_by IS NULL"
    " AND ({outcome[reason]} = 'channel_not_accepted' OR {outcome[reason]} = 'window_elapsed'"
    """ AND NOT replace(decision, '"told_before_correction"', '') <> decision)""": [
        ("reason", "deadline"),
        ("NOT ", ""),
    ],
}
"""Indexes with an expression or a condition, and what can be changed in each."""


@pytest.mark.parametrize("index", INDEXES, ids=lambda index: index.partition(" ")[0])
def test_an_index_with_another_expression_or_condition_is_found(installed, index):
    name = index.partition(" ")[0]
    for before, after in INDEXES[index]:
        change(installed, f"DROP INDEX {name}", f"CREATE INDEX {index.replace(before, after)}")
        only(found(installed, "schema"), FAILED, f".{name} is (", " in place of (")
    change(installed, f"DROP INDEX {name}")
    only(found(installed, "schema"), FAILED, f".{name} is missing: (")
    change(installed, f"CREATE INDEX {index}".replace(" WHERE ", "\n WHERE  "))
    assert found(installed, "schema") == []


def test_a_database_of_an_earlier_version_is_found(installed):
    change(installed, "DELETE FROM migrations WHERE name = (SELECT max(name) FROM migrations)")
    every = examined(installed)
    assert [name for name, level, _ in every if level == FAILED] == ["database"]
    assert "run flask migrate" in next(text for name, _, text in every if name == "database")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "has no checkpoint"), (b"", "has no checkpoint"), (b'{"a": 1}\n', "not an entry")]
)
def test_a_ledger_without_checkpoints_is_found(installed, content, words):
    file = installed.ledger_dir / "anchors.jsonl"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    (text,) = [text for name, level, text in examined(installed) if (name, level) == ("ledger", FAILED)]
    assert words in text


@contextmanager
def called_by_nobody():
    """Whoever root runs it for may write only what that user may."""
    if os.getuid():
        yield
        return
    os.setreuid(65534, 0)
    try:
        yield
    finally:
        os.setreuid(0, 0)


def test_a_ledger_that_cannot_be_written_is_found(installed):
    (installed.ledger_dir / "anchors.jsonl").chmod(0o400)
    with called_by_nobody():
        only(found(installed, "ledger"), FAILED, "cannot be written", "as the user of the service")


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ("ledger", "ledger/erasures.jsonl"),
        ("ledger", "ledger/retention.lock"),
        ("permissions", "data/refunds.db.lock"),
        ("permissions", "data/refunds.db.in-use"),
        ("permissions", "data/refunds.db-wal"),
        ("permissions", "data/refunds.db-shm"),
    ],
)
def test_each_file_that_the_service_could_not_write_is_found(tmp_path, monkeypatch, check, path):
    """Such as when root has run a command, and has made the file."""
    of = made(tmp_path, "sqlite")
    monkeypatch.setattr(os, "access", lambda each, _: Path(each) != tmp_path / path)
    (tmp_path / path).unlink(missing_ok=True)
    assert found(of, check) == []
    with closing(Store(of)) as store:
        store.open()
        (tmp_path / path).touch()
        only(found(of, check), FAILED, f"{tmp_path / path} cannot be written", "as the user of the service")


def test_a_lock_file_that_cannot_be_opened_is_named(tmp_path):
    of = made(tmp_path, "sqlite")
    (tmp_path / "data/refunds.db.lock").unlink()
    (tmp_path / "data/refunds.db.lock").mkdir()
    with (
        closing(Store(of)) as store,
        pytest.raises(StorageUnavailable, match=r"/refunds\.db\.lock cannot be opened: Is a"),
    ):
        store.open()


def test_a_ledger_of_another_journal_is_found(installed, tmp_path, engine):
    other = made(tmp_path / "other", engine)
    only(found(replace(installed, ledger_dir=other.ledger_dir), "journal"), FAILED, "is of another one", "audit accept")


def test_an_erasure_that_is_not_complete_is_found(installed, engine, monkeypatch):
    """In the files, in the records, or in the ledger; the next start completes it."""
    with closing(Store(installed)) as store, monkeypatch.context() as patch:
        patch.setattr(type(store.open()[0]), "scrub", lambda _: False)
        erased, other = registered(store, "A-1"), registered(store, "B-1", "K-2")
        erase(store, erased)
    only(found(installed, "erasures"), WARNING, "may still be in the files", "at the next start")
    ledger, lines = store.erasures.file, store.erasures.file.read_bytes()
    for text, whom in ((lines.replace(erased.encode(), other.encode()), {erased, other}), (b"", {erased})):
        ledger.write_bytes(text)
        only(found(installed, "erasures"), FAILED, str(ledger), *whom, "start the service again")
    with closing(Store(installed)) as store:
        store.open()
    assert found(installed, "erasures") == []


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o600, "does not exist"),
        ("ab" * 31, 0o600, "does not hold 32 bytes"),
        ("ab" * 32, 0o644, "others can read"),
        ("ab" * 32, 0o600, "not the one of the database"),
    ],
)
def test_a_master_key_that_does_not_fit_is_found(installed, content, mode, words):
    installed.master_key_file.unlink()
    if content is not None:
        installed.master_key_file.write_text(content)
        installed.master_key_file.chmod(mode)
    every = examined(installed)
    assert [name for name, level, _ in every if level == FAILED] == ["key"]
    assert words in next(text for name, level, text in every if (name, level) == ("key", FAILED))
    assert ("schema", OK) in [one[:2] for one in every]


def test_a_key_and_a_ledger_beside_the_database_are_found(tmp_path):
    of = made(tmp_path, "sqlite")
    beside = replace(of, master_key_file=tmp_path / "data" / "master.key", ledger_dir=tmp_path / "data")
    shutil.copy(of.master_key_file, beside.master_key_file)
    shutil.copy(of.ledger_dir / "anchors.jsonl", beside.ledger_dir)
    for check in ("key", "ledger"):
        only(found(beside, check), WARNING, "is in the directory of the database", "on different disks")


def test_a_disk_without_room_for_a_backup_is_found(tmp_path):
    of = made(tmp_path, "sqlite")
    assert found(of, "disk") == []
    os.truncate(tmp_path / "data" / "refunds.db", shutil.disk_usage(tmp_path).free)  # takes no room
    only(found(of, "disk"), WARNING, "database: ", "make room for")


def test_a_disk_that_is_nearly_full_is_found(installed, monkeypatch):
    monkeypatch.setattr(doctor_files, "ENOUGH", 10**18)
    assert {one.level for one in found(installed, "disk")} == {WARNING}
    monkeypatch.setattr(doctor_files, "LEAST", 10**18)
    assert {one.level for one in found(installed, "disk")} == {FAILED}


def test_a_clock_in_doubt_is_found(installed):
    change(installed, f"UPDATE events SET at = {micros(NOW + timedelta(days=1))}")  # noqa: S608 - a number
    only(found(installed, "clock"), FAILED, "flask clock --confirm")


def test_dates_that_the_data_does_not_have_are_found(tmp_path, engine):
    installed = well(tmp_path, engine, f'region = "CN"\n{SECOND}')
    provisional = datetime.combine(provisional_from("CN"), datetime.min.time(), UTC)
    with_decrees, without = provisional - timedelta(days=60), provisional - timedelta(days=20)
    assert not any("CN" in one.text for one in found(installed, "calendars", with_decrees))
    assert [one.level for one in found(installed, "calendars", without) if "CN" in one.text] == [WARNING]
    end = datetime(covered_years("CN")[-1], 1, 1, tzinfo=UTC)
    assert [one.level for one in found(installed, "calendars", end) if "covered" in one.text] == [FAILED]


def test_data_that_stays_the_same_for_long_is_found(installed):
    with closing(Store(installed)) as store:
        store.open()
        watch(store)
    same = [one for one in found(installed, "calendars", NOW + timedelta(days=390)) if "the same since" in one.text]
    assert same == []
    later = found(installed, "calendars", NOW + timedelta(days=410))
    only([one for one in later if "the same since" in one.text], WARNING, f"{NOW:%Y-%m-%d}", "flask calendar compare")


def test_tokens_that_end_soon_are_found(installed):
    evening = NOW.replace(hour=23, minute=30)  # by UTC; the vendor's next day
    with (
        time_machine.travel(evening, tick=False),
        closing(Store(installed)) as store,
        store.write(COMMAND_LINE) as uow,
    ):
        clients.create_token(uow, Role.BILLING, "billing, Berlin", 365)
        revoked = clients.create_token(uow, Role.AGENT, "helpdesk", 365)
        clients.revoke_token(uow, revoked.split("_")[1])
    assert found(installed, "tokens", NOW + timedelta(days=334)) == []
    only(
        found(installed, "tokens", NOW + timedelta(days=336)),
        WARNING,
        f"of billing, Berlin ends on {evening.date() + timedelta(days=366)}",
        "flask tokens create --role billing --client 'billing, Berlin'",
    )
    only(found(installed, "tokens", NOW + timedelta(days=366)), WARNING, "every token of billing, Berlin has ended")


def test_very_many_tokens_are_found(installed):
    with closing(Store(installed)) as store, store.write(COMMAND_LINE) as uow:
        for number in range(MANY_TOKENS):
            clients.create_token(uow, Role.AGENT, f"client {number}", 365)
    assert found(installed, "tokens") == []
    with closing(Store(installed)) as store, store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.AGENT, "one more", 365)
    only(found(installed, "tokens"), WARNING, "more than 50", "flask tokens list")


def test_a_channel_without_official_contact_points_is_found(tmp_path, engine):
    of = made(tmp_path, engine)
    assert [(one.level, one.fix[-12:]) for one in found(of, "contact-points")] == [
        (WARNING, "phone.points"),
        (WARNING, "email.points"),
    ]


@pytest.mark.parametrize(
    ("ago", "levels"),
    [
        ((1, 7, 1), [OK, OK, OK]),
        ((3, 7, 1), [WARNING, OK, OK]),
        ((1, 9, 1), [OK, WARNING, OK]),
        ((1, 7, 3), [OK, OK, WARNING]),
        ((None, None, None), [WARNING, WARNING, WARNING]),
        ((-1, 7, 1), [WARNING, OK, OK]),
        ((1, -1, -1), [OK, WARNING, WARNING]),
        ((-0.0001, -0.0001, -0.0001), [OK, OK, OK]),
    ],
)
def test_a_backup_an_audit_and_a_retention_that_are_overdue_are_found(tmp_path, monkeypatch, ago, levels):
    of = made(tmp_path, "sqlite")
    done = dict(
        zip(("backup", "verify", "retention"), (days and NOW - timedelta(days=days) for days in ago), strict=True)
    )
    monkeypatch.setattr(upkeep, "last_done", lambda directory, what: done[what] if directory == of.ledger_dir else None)
    with closing(Patient(of, Store(of), NOW)) as patient:
        assert [one.level for one in CHECKS["upkeep"](patient)] == levels


def test_data_requests_that_are_overdue_are_found_until_they_are_answered(installed):
    with closing(Store(installed)) as store:

        def opened(days):
            at = datetime.now(UTC) - timedelta(days=days)
            with store.write(COMMAND_LINE) as uow:
                return data_requests.open_request(
                    uow, DataRequestKind.ACCESS, "K-nobody", DataRequestChannel.EMAIL, at
                ).request_id

        opened(2)
        assert found(installed, "data-requests") == []
        sooner, longest = opened(40), opened(50)
        only(found(installed, "data-requests"), WARNING, f"2 are overdue, the longest {longest}, since", "--overdue")
        for name in (longest, sooner):
            with store.write(COMMAND_LINE) as uow:
                data_requests.close(uow, name, Given(DataRequestOutcome.NOTHING_HELD))
        assert found(installed, "data-requests") == []


QUIET = {
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "0",
}


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, []),
        ({"log_statement": "ddl"}, []),
        ({"log_statement": "mod"}, ["log_parameter_max_length"]),
        ({"log_statement": "all", "log_parameter_max_length": "0"}, []),
        ({"log_min_duration_statement": "250ms"}, ["log_parameter_max_length"]),
        ({"log_min_duration_statement": "0", "log_parameter_max_length": "64B"}, ["log_parameter_max_length"]),
        ({"log_min_duration_sample": "1s"}, ["log_parameter_max_length"]),
        ({"log_transaction_sample_rate": "0.1"}, ["log_parameter_max_length"]),
        ({"log_parameter_max_length_on_error": "-1"}, ["log_parameter_max_length_on_error"]),
        ({"auto_explain.log_min_duration": "-1"}, []),
        ({"auto_explain.log_min_duration": "1s"}, ["auto_explain.log_parameter_max_length"]),
        ({"auto_explain.log_min_duration": "1s", "auto_explain.log_parameter_max_length": "0"}, []),
    ],
)
def test_a_server_that_writes_values_into_its_log_is_found(parameters, wrong):
    assert schema.parameters_to_zero(QUIET | parameters) == wrong


@pytest.mark.parametrize(("allowed", "others", "level"), [(100, 80, OK), (100, 81, WARNING), (100, 91, FAILED)])
def test_a_server_without_room_for_instances_is_found(allowed, others, level):
    (one,) = doctor.room_for_instances(allowed, others)
    assert (one.level, one.text.endswith(f"room for {(allowed - others) // 10} instances")) == (level, True)


@pytest.fixture
def on_server(tmp_path):
    """The settings of an installation on a server in which all is well."""
    return well(tmp_path / "installed", "postgresql")


def test_the_parameters_of_a_server_are_those_for_the_service(on_server):
    assert found(on_server, "server-log") == []
    with psycopg.connect(on_server.database, autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET log_statement = 'all'")
    only(found(on_server, "server-log"), FAILED, "log_parameter_max_length is not 0")


def test_samples_of_what_is_encrypted_are_found(on_server):
    change(on_server, "ALTER TABLE orders ALTER COLUMN customer_ref SET STATISTICS -1")
    only(found(on_server, "samples"), WARNING, ": orders.customer_ref →", "SET STATISTICS 0")


def test_samples_from_before_are_found(on_server):
    change(on_server, "ALTER TABLE keys ALTER COLUMN wrapped SET STATISTICS 100")
    with psycopg.connect(on_server.database, autocommit=True) as connection:
        connection.execute("ANALYZE keys")
    change(on_server, "ALTER TABLE keys ALTER COLUMN wrapped SET STATISTICS 0")
    only(found(on_server, "samples"), WARNING, ": keys.wrapped →")
    change(on_server, "ALTER TABLE keys ALTER COLUMN wrapped TYPE bytea")
    assert found(on_server, "samples") == []
