"""The schema, and how records become rows, on each engine."""

import re
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, date, datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from refunds.domain.business_days import Window
from refunds.domain.eligibility import decide
from refunds.domain.holidays_data import business_calendar
from refunds.domain.outcomes import Facts, Outcome, RecordedDecision, ToldWindow
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import Basis, Cancellation, State
from refunds.domain.terms import Terms
from refunds.errors import ConfigurationError, StorageUnavailable
from refunds.security.encryption import CustomerCipher, new_key
from refunds.storage import migrations
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.clients import CLIENTS, TOKENS
from refunds.storage.contacts import CONTACTS
from refunds.storage.copies import GENERATED
from refunds.storage.events import EVENTS
from refunds.storage.migrations import MIGRATIONS
from refunds.storage.orders import ORDERS
from refunds.storage.policies import CLOSURES, POLICY_VERSIONS
from refunds.storage.postgres import PostgreSQL
from refunds.storage.privacy import DATA_REQUESTS, DISCLOSURES, LIMITS
from refunds.storage.promises import PROMISES
from refunds.storage.sqlite import SQLite
from refunds.storage.statistics import STATISTICS
from refunds.storage.tables import sealed
from refunds.storage.unmatched import UNMATCHED
from refunds.storage.users import USERS
from tests import scaled
from tests.storage.engines import migrate, opener, python, together, write

TABLES = (
    ORDERS,
    PROMISES,
    CONTACTS,
    UNMATCHED,
    CANCELLATIONS,
    DATA_REQUESTS,
    DISCLOSURES,
    LIMITS,
    STATISTICS,
    POLICY_VERSIONS,
    CLOSURES,
    CLIENTS,
    TOKENS,
    USERS,
    EVENTS,
)
NO_RECORDS = {"migrations", "keys", "customers", "journal_head", "idempotency", "sign_in_attempts", "sessions"}
NAMES = [table.name for table in TABLES]

MIGRATE = """
import sys
from refunds.storage import open_engine
from tests.storage.engines import migrate
engine = open_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
with engine.read() as tx:
    print(len(tx.all("SELECT * FROM migrations")), len(tx.all("SELECT * FROM journal_head")))
engine.close()
"""

KINDS = ("write-ahead log", "PostgreSQL")
"""The journal mode of SQLite does not affect the schema."""

CATALOGUES = {
    SQLite: "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
    PostgreSQL: "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
}
"""Where an engine lists its tables."""

OBJECTS = {
    SQLite: "SELECT * FROM sqlite_master",
    PostgreSQL: "SELECT oid, relname, relfilenode, relnatts, relchecks FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace ORDER BY oid",
}
"""Where an engine describes all its objects."""


@pytest.fixture(params=KINDS)
def make(request, tmp_path):
    """An opener of the database of a test."""
    with opener(request.param, tmp_path) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def installed(request, tmp_path_factory):
    """An engine with the schema."""
    with opener(request.param, tmp_path_factory.mktemp("installed")) as made:
        engine = made()
        migrate(engine)
        yield engine


def tables(engine):
    """The names of all tables."""
    with engine.read() as tx:
        return [row["name"] for row in tx.all(CATALOGUES[type(engine)])]


def test_four_processes_that_start_together_create_the_schema_once(make):
    processes = [python(MIGRATE, make.url) for _ in range(4)]
    assert together(processes) == [[str(len(MIGRATIONS)), "1"]] * 4


def test_a_schema_that_is_up_to_date_is_not_changed(installed):
    def objects():
        with installed.read() as tx:
            return tx.all(OBJECTS[type(installed)]), tx.all("SELECT * FROM migrations")

    before = objects()
    migrate(installed)
    assert objects() == before
    assert len(before[0]) > len(NAMES)


def test_a_newer_schema_is_refused_and_not_changed(make):
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
    assert tables(engine) == []
    migrate(engine)


STORED = {
    str: str,
    int: int,
    bytes: bytes,
    bool: int,
    datetime: int,
    date: str,
    dict: str,
    RecordedDecision: str,
    ToldWindow: str,
}
TYPES = {
    SQLite: {str: "TEXT", int: "INTEGER", bytes: "BLOB"},
    PostgreSQL: {str: "text", int: "bigint", bytes: "bytea"},
}
"""The names of column types in each engine."""


def plain(hint):
    """A field's type without None, and whether None is allowed."""
    optional = isinstance(hint, UnionType)
    if optional:
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return (dict if get_origin(hint) is Mapping else hint), optional


def column(record, field, types):
    """The expected column of a field: its name, its type, and whether it is required."""
    hint, optional = plain(get_type_hints(record)[field.name])
    stored = bytes if field.metadata.get("personal") else str if issubclass(hint, StrEnum) else STORED[hint]
    return field.name, types[stored], not optional


ON_SQLITE = 'SELECT name, type, "notnull" OR pk > 0 AS required, pk > 0 AS is_key FROM pragma_table_info(:name)'
ON_POSTGRESQL = """
SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required,
  coalesce(attnum = ANY (indkey), false) AS is_key
FROM pg_attribute LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary
WHERE attrelid = to_regclass(:name) AND attnum > 0 AND attgenerated = '' ORDER BY attnum
"""


def columns(engine, name):
    """The columns of a table as the engine describes them: name, type, whether it is required, whether it is the key."""
    with engine.read() as tx:
        rows = tx.all(ON_SQLITE if isinstance(engine, SQLite) else ON_POSTGRESQL, name=name)
    return [(row["name"], row["type"], bool(row["required"]), bool(row["is_key"])) for row in rows]


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_a_record_has_exactly_the_columns_of_its_table(installed, table):
    actual = [one for one in columns(installed, table.name) if one[0] not in table.counted]
    expected = [column(table.record, field, TYPES[type(installed)]) for field in fields(table.record)]
    assert [(name, kind, required) for name, kind, required, _ in actual] == expected
    assert [name for name, *_, is_key in actual if is_key] == [table.key]
    assert table.columns.replace(f"{table.name}.", "").split(", ") == [name for name, *_ in actual]


def test_a_later_column_names_its_step():
    """Otherwise the digests of all earlier records would change."""
    adding = re.compile(r"ALTER TABLE (\w+) ADD COLUMN (\w+)")
    later = [(table, column, step) for step, sql in MIGRATIONS for table, column in adding.findall(sql)]
    declared = {(table.name, column, step) for table in TABLES for column, step in table.added.items()}
    computed = GENERATED.union(*(table.counted for table in TABLES))
    of_records = {one for one in later if one[0] in NAMES and one[1] not in computed}
    assert declared == of_records


def test_every_table_has_records_or_is_listed_as_having_none(installed):
    assert set(tables(installed)) == {*NAMES, *NO_RECORDS}


def keys_declared():
    """The columns that the migrations declare as keys."""
    made = "CREATE TABLE migrations (\n  name {key} PRIMARY KEY\n);\n" + "".join(sql for _, sql in MIGRATIONS)
    for table, inside in re.findall(r"CREATE TABLE (\w+) \(\n(.*?)\n\)", made, flags=re.DOTALL):
        yield from ((table, name) for name in re.findall(r"^  (\w+) \{key\}", inside, flags=re.MULTILINE))
    yield from re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+) \{key\}", made)


@pytest.mark.parametrize("installed", ["PostgreSQL"], indirect=True)
def test_key_columns_are_ordered_by_bytes(installed):
    with installed.read() as tx:
        rows = tx.all(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND collation_name IS NOT NULL"
        )
    declared = set(keys_declared())
    assert {(row["table_name"], row["column_name"]) for row in rows} == declared
    assert {row["collation_name"] for row in rows} == {"C"}
    assert declared >= {(table.name, table.key) for table in TABLES if table is not EVENTS}
    assert len(declared) > len(TABLES)


# Records and rows.

# PostgreSQL stores no NUL in a text. The service accepts none from outside; in JSON it is escaped.
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_IN_JSON = st.text(max_size=30)
_JSON = st.dictionaries(
    _IN_JSON,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | _IN_JSON,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_IN_JSON, inner, max_size=3),
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
_INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC))
_OF_DECISIONS = VALUES | {
    datetime: _INSTANTS,
    bytes: st.text("bhwc", max_size=30).map(str.encode),
    Window: st.builds(Window, st.dates(), st.integers(1, 366), st.dates()),
    dict: st.dictionaries(st.dates(), st.dictionaries(_IN_JSON, st.tuples(_IN_JSON, _IN_JSON), max_size=3), max_size=3),
}


def values(hint):
    """A strategy for the values of a field."""
    kind, optional = plain(hint)
    given_ = st.sampled_from(kind) if issubclass(kind, StrEnum) else VALUES[kind]
    return given_ | st.none() if optional else given_


def of_decisions(hint):
    """A strategy for the values of a field of a stored decision."""
    if get_origin(hint) is tuple:
        return st.lists(of_decisions(get_args(hint)[0]), max_size=3).map(tuple)
    kind, optional = plain(hint)
    given_ = st.sampled_from(kind) if issubclass(kind, StrEnum) else _OF_DECISIONS[kind]
    return given_ | st.none() if optional else given_


for made_of in (Facts, Outcome, ToldWindow, RecordedDecision):
    _OF_DECISIONS[made_of] = st.builds(
        made_of, **{name: of_decisions(of) for name, of in get_type_hints(made_of).items()}
    )
VALUES |= {kind: _OF_DECISIONS[kind] for kind in (RecordedDecision, ToldWindow)}


def records(record):
    """A strategy for the records of a class."""
    return st.builds(record, **{name: values(hint) for name, hint in get_type_hints(record).items()})


def only_row(tx, table):
    """The only row of a table."""
    (row,) = tx.all(f"SELECT {table.columns} FROM {table.name}")  # noqa: S608 - the table's own
    return row


class _RollBackError(Exception):
    """Rolls back what a test has written."""


UNBOUND = {
    SQLite: "PRAGMA defer_foreign_keys = ON",
    PostgreSQL: """
DO $$ DECLARE made record; BEGIN
  FOR made IN SELECT conrelid::regclass AS name, conname FROM pg_constraint WHERE contype = 'f' LOOP
    EXECUTE 'ALTER TABLE ' || made.name || ' DROP CONSTRAINT ' || made.conname;
  END LOOP;
END $$""",
}
"""Disables foreign keys until the transaction ends."""


@contextmanager
def scratch(engine):
    """A write without foreign keys that is rolled back at its end."""
    with suppress(_RollBackError), engine.write() as tx:
        tx.run(UNBOUND[type(engine)])
        yield tx
        raise _RollBackError


@pytest.mark.proof
@pytest.mark.parametrize("table", TABLES, ids=NAMES)
@given(data=st.data())
@hypothesis_settings(max_examples=scaled(8, 40), deadline=None)
def test_a_record_is_read_back_unchanged(installed, table, data):
    record, cipher = data.draw(records(table.record)), CustomerCipher(new_key())
    with scratch(installed) as tx:
        digest = table.insert(tx, record, cipher)
        row = only_row(tx, table)
        assert table.load(row, cipher) == record
        assert table.digest(row) == digest


@pytest.mark.proof
@pytest.mark.parametrize("table", [ORDERS, CONTACTS, UNMATCHED, CANCELLATIONS], ids=lambda table: table.name)
@given(data=st.data())
@hypothesis_settings(max_examples=scaled(5, 20), deadline=None)
def test_personal_fields_are_none_without_access(installed, table, data):
    record, cipher = data.draw(records(table.record)), CustomerCipher(new_key())
    with scratch(installed) as tx:
        table.insert(tx, record, cipher)
        shown = table.load(only_row(tx, table), CustomerCipher(None))
    for field in fields(table.record):
        hidden = field.metadata.get("personal")
        assert getattr(shown, field.name) == (None if hidden else getattr(record, field.name))


NOW = datetime(2026, 4, 8, 21, 5, tzinfo=UTC)
DECISION = decide(
    Facts(service_provided_at=NOW, received_at=NOW),
    PolicyVersion("brand", 1, None, Terms()),
    business_calendar("DE", Terms().business_week),
).recorded
ISSUED = Cancellation(
    cancellation_id="can_1",
    reference="1234567894",
    order_id="A-1001",
    contact_id="con_1",
    decision=DECISION,
    basis=Basis.POLICY,
    state=State.ISSUED,
    issued_at=NOW,
    issued_by="cli_1",
    refund_due_by=date(2026, 4, 22),
    overdue_at=NOW,
)
SETTLED = {"state": State.SETTLED, "settled_at": NOW, "settled_by": "cli_2", "billing_ref": "RF-1"}


def stored(tx, cipher):
    """The only stored cancellation."""
    return CANCELLATIONS.load(only_row(tx, CANCELLATIONS), cipher)


def test_a_change_is_stored_and_returned_with_its_digest(installed):
    cipher = CustomerCipher(new_key())
    with scratch(installed) as tx:
        before = CANCELLATIONS.insert(tx, ISSUED, cipher)
        after, digest = CANCELLATIONS.change(tx, ISSUED, cipher, **SETTLED)
        assert stored(tx, cipher) == after
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
def test_a_change_is_refused_if_the_row_has_changed_meanwhile(installed, meanwhile):
    cipher = CustomerCipher(new_key())
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, cipher)
        tx.run(meanwhile)
        rows = tx.all("SELECT * FROM cancellations")
        with pytest.raises(StorageUnavailable):
            CANCELLATIONS.change(tx, ISSUED, cipher, **SETTLED)
        assert tx.all("SELECT * FROM cancellations") == rows


def test_a_change_back_is_refused_the_second_time(installed):
    cipher, back = (
        CustomerCipher(new_key()),
        {"state": State.ISSUED, "settled_at": None, "settled_by": None, "billing_ref": None},
    )
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, cipher)
        settled, _ = CANCELLATIONS.change(tx, ISSUED, cipher, **SETTLED)
        issued, _ = CANCELLATIONS.change(tx, settled, cipher, **back)
        assert issued == ISSUED == stored(tx, cipher)
        with pytest.raises(StorageUnavailable):
            CANCELLATIONS.change(tx, settled, cipher, **back)
        assert stored(tx, cipher) == ISSUED


def test_a_new_record_does_not_replace_one_with_the_same_key(installed):
    cipher = CustomerCipher(new_key())
    with scratch(installed) as tx:
        assert CANCELLATIONS.insert_new(tx, ISSUED, cipher) is not None
        later = Cancellation(**{f.name: getattr(ISSUED, f.name) for f in fields(Cancellation)} | {"issued_by": "cli_9"})
        assert CANCELLATIONS.insert_new(tx, later, cipher) is None
        assert stored(tx, cipher) == ISSUED


def test_a_reencrypted_record_can_only_be_read_with_the_new_key(installed):
    cipher, to = CustomerCipher(new_key()), CustomerCipher(new_key())
    with scratch(installed) as tx:
        CANCELLATIONS.insert(tx, ISSUED, cipher)
        settled, digest = CANCELLATIONS.change(tx, ISSUED, cipher, **SETTLED)
        row = tx.one("SELECT * FROM cancellations")
        CANCELLATIONS.reencrypt(tx, row, cipher, to)
        assert stored(tx, to) == settled
        with pytest.raises(Exception, match="cannot be decrypted"):
            stored(tx, cipher)
        assert CANCELLATIONS.digest(tx.one("SELECT * FROM cancellations")) == digest


def test_a_server_keeps_no_samples_of_what_is_sealed(tmp_path, monkeypatch):
    sampled = "SELECT tablename, attname FROM pg_stats WHERE schemaname = 'public'"

    def found(engine, sql):
        with engine.read() as tx:
            return {tuple(row.values()) for row in tx.all(sql)}

    with opener("PostgreSQL", tmp_path) as opened:
        engine = opened()
        monkeypatch.setattr(migrations, "MIGRATIONS", [step for step in MIGRATIONS if step[0] < "0008"])
        migrate(engine)
        write(engine, "INSERT INTO keys (name, wrapped) SELECT 'a' || i, 'secret' FROM generate_series(1, 99) AS i")
        write(engine, "ANALYZE")
        assert ("keys", "wrapped") in found(engine, sampled)
        monkeypatch.undo()
        migrate(engine)
        assert not set(sealed()) & found(engine, sampled)
        write(engine, "ANALYZE")
        assert ("keys", "name") in found(engine, sampled)
        unsampled = "SELECT attrelid::regclass::text, attname FROM pg_attribute WHERE attstattarget = 0 AND attnum > 0"
        assert not set(sealed()) & found(engine, sampled)
        assert found(engine, unsampled) >= set(sealed())
