"""What is specific to PostgreSQL: lost connections, concurrent writes, users, passwords and settings."""

import logging
import os
import shlex
import signal
import subprocess
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql as composed

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.records import Cancellation, Contact
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import ConfigurationError, Conflict, ServerAway, StorageUnavailable
from refunds.security.encryption import CustomerCipher, Keyring, new_key
from refunds.storage import clients, open_engine, orders
from refunds.storage.clients import CLIENTS, TOKENS
from refunds.storage.orders import ORDERS
from refunds.storage.postgres import CONNECTIONS, PostgreSQL
from refunds.storage.postgres_transaction import _ROWS
from refunds.storage.repository import Context
from refunds.web import create_app
from tests.conftest import client_of, settings
from tests.postgres import PATIENCE, cluster
from tests.storage.engines import amount, amounts, lock, migrate, opener, require_untouched, spend, with_tables, write


@pytest.fixture
def make(tmp_path):
    """An opener of the database of a test."""
    with opener("PostgreSQL", tmp_path) as made:
        yield made


@pytest.fixture
def engine(make):
    """An engine with two tables."""
    return with_tables(make())


def test_a_connection_that_is_just_ending_does_not_count_as_use(make):
    """The server ends it a moment after its client has."""
    engine = with_tables(make())
    threading.Timer(0.2, engine.close).start()
    with engine.unused():
        pass
    used = make()
    assert amounts(used)
    with pytest.raises(ConfigurationError, match="is in use"), engine.unused():
        pass
    used.close()


def test_an_exclusive_write_waits_for_another_as_long_as_it_takes(make):
    """The other may migrate a large schema; only for other locks does it wait no longer than its patience."""
    engine, patient = with_tables(make()), make(patience=0.2)

    def follow():
        with patient.write(exclusive=True) as tx:
            spend(tx, 1)

    with ThreadPoolExecutor(1) as others:
        with engine.write(exclusive=True) as tx:
            following = others.submit(follow)
            time.sleep(0.6)
            assert not following.done()
            spend(tx, 30)
        following.result(10)
    assert amounts(engine) == (69, 31)


def backend(tx):
    """The process id of the backend that serves a transaction."""
    return tx.one("SELECT pg_backend_pid() AS pid")["pid"]


def end_connections(url, *pids):
    """Let the server end some or all other connections, and wait until they are closed."""
    there = "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    there += " AND pid <> pg_backend_pid() AND (%(pids)s::int[] IS NULL OR pid = ANY (%(pids)s))"
    given = {"pids": list(pids) or None}
    with psycopg.connect(url, autocommit=True) as connection:
        many = connection.execute(f"SELECT pg_terminate_backend(pid) {there}", given).rowcount
        until(lambda: connection.execute(f"SELECT 1 {there}", given).fetchone() is None)
    return many


def until(condition):
    """Wait until a condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it has taken too long"
        time.sleep(0.01)


def shown(tx, setting):
    """The value of a setting of a connection."""
    return tx.one("SELECT current_setting(:setting) AS value", setting=setting)["value"]


# Conflicts.


def row(table, *values):
    """The statement that inserts a row, by position; by name where there is a generated column, the rest NULL."""
    record = {"cancellations": Cancellation, "contacts": Contact, "unmatched_contacts": UnmatchedContact}.get(table)
    names = f" ({', '.join(field.name for field in fields(record)[: len(values)])})" if record else ""
    return f"INSERT INTO {table}{names} VALUES ({', '.join(values)})"  # noqa: S608


NONE = ("NULL",) * 10
ORDER = ("'cus_1'", "NULL", "'p'", "NULL", "0", "0", "0", "'x'", "1", *("NULL",) * 4)
PROMISED = ("'p'", "NULL", "NULL", "0", "0", "'{}'", "'1'", "'1'", "'registered'", "0", "'x'", "1")
CONTACT = ("'A-1'", "'cancel'", "'phone'", "NULL", "0", "0", "'x'", *NONE[:4])
JUDGED = ("'{}'", "0", "0", *NONE[:4])
CANCELLATION = ("'con_1'", "'{}'", "'policy'")
ISSUED = ("0", "'x'", "'d'", "0", *NONE, *NONE[:2])
VERSION = ("1", "0", "'a'", "0", "NULL", "'{}'", "'h'", "NULL", "NULL")
USER = ("'agent'", "'h'", "1", "0", "NULL")
CLOSURE = ("'2026-12-24'", "NULL", "NULL", "0", "'a'")
EVENT = row("events", "1", "'t'", "0", "'a'", "'s'", "NULL", "'{}'", "''", "''", "''")
KEY = row("idempotency", "'cli_1'", ":one", "''", "0", *NONE[:4])
REQUEST = ("'access'", "'cus_1'", "'email'", "NULL", "NULL", "0", "0", "'x'", "0", *NONE[:9])
DISCLOSURE = ("'cus_1'", "'processor'", "NULL", "NULL", "0", "'x'")
LIMIT = ("'cus_1'", "'hold'", "NULL", "0", "'x'", "NULL", "NULL")
UNMATCHED = ("NULL", "'cancel'", "'phone'", "NULL", "0", "0", "'x'", *NONE[:5], "0")

FILLED = (
    row("statistics", "'2026-03'", "'[]'", "0", "'x'"),
    row("keys", "'k'", "''"),
    row("clients", "'cli_1'", "'one'", "'admin'", "0"),
    row("clients", "'cli_2'", "'two'", "'admin'", "0"),
    row("tokens", "'t'", "'cli_1'", "''", "0", "0", "NULL"),
    row("users", "'usr_1'", "'anna'", *USER),
    row("users", "'usr_2'", "'ben'", *USER),
    row("sign_in_attempts", ":one", "1", "0"),
    row("sessions", "'ses_1'", "'usr_1'", "0", "0"),
    row("policy_versions", "'p/1'", "'p'", *VERSION),
    row("closures", "'p/2026-12-24'", "'p'", *CLOSURE),
    row("customers", "'cus_1'", ":one", "''"),
    row("customers", "'cus_2'", ":two", "''"),
    row("orders", "'A-1'", *ORDER),
    row("orders", "'A-2'", *ORDER),
    row("promises", "'prm_1'", "'A-1'", *PROMISED),
    row("contacts", "'con_1'", *CONTACT, "NULL", *JUDGED),
    row("contacts", "'con_2'", *CONTACT, "'con_1'", *JUDGED),
    row("unmatched_contacts", "'unm_1'", "'1'", *UNMATCHED, *NONE[:5], "'unm_0'"),
    row("cancellations", "'can_1'", "'1'", "'A-1'", *CANCELLATION, "'issued'", *ISSUED),
    row("cancellations", "'can_2'", "'2'", "'A-2'", *CANCELLATION, "'revoked'", *ISSUED),
    row("data_requests", "'dsr_1'", *REQUEST),
    row("disclosures", "'dis_1'", *DISCLOSURE),
    row("limits", "'lim_1'", *LIMIT),
    EVENT,
    KEY,
)
CONFLICTS = {
    "statistics.month": row("statistics", "'2026-03'", "'[]'", "0", "'x'"),
    "migrations.name": "INSERT INTO migrations SELECT name FROM migrations",
    "keys.name": row("keys", "'k'", "''"),
    "clients.client_id": row("clients", "'cli_1'", "'three'", "'admin'", "0"),
    "clients.name": row("clients", "'cli_3'", "'one'", "'admin'", "0"),
    "tokens.token_id": row("tokens", "'t'", "'cli_2'", "''", "0", "0", "NULL"),
    "users.user_id": row("users", "'usr_1'", "'chris'", *USER),
    "users.name": row("users", "'usr_3'", "'anna'", *USER),
    "sessions.session_id": row("sessions", "'ses_1'", "'usr_2'", "0", "0"),
    "sign_in_attempts.name_digest": row("sign_in_attempts", ":one", "2", "0"),
    "policy_versions.version_id": row("policy_versions", "'p/1'", "'q'", *VERSION),
    "policy_versions.policy, policy_versions.version": row("policy_versions", "'p/2'", "'p'", *VERSION),
    "closures.closure_id": row("closures", "'p/2026-12-24'", "'q'", *CLOSURE),
    "closures.policy, closures.date": row("closures", "'another'", "'p'", *CLOSURE),
    "customers.customer_id": row("customers", "'cus_1'", ":three", "''"),
    "customers.digest": "UPDATE customers SET digest = :one WHERE customer_id = 'cus_2'",
    "orders.order_id": row("orders", "'A-1'", *ORDER),
    "promises.promise_id": row("promises", "'prm_1'", "'A-2'", *PROMISED),
    "promises.order_id, promises.promise_id": row("promises", "'prm_2'", "'A-1'", *PROMISED),
    "contacts.contact_id": row("contacts", "'con_1'", *CONTACT, "NULL", *JUDGED),
    "contacts.supersedes": row("contacts", "'con_3'", *CONTACT, "'con_1'", *JUDGED),
    "contacts.request_number": "UPDATE contacts SET request_number = '1'",
    "unmatched_contacts.unmatched_id": row("unmatched_contacts", "'unm_1'", "'2'", *UNMATCHED, *NONE[:5]),
    "unmatched_contacts.request_number": row("unmatched_contacts", "'unm_2'", "'1'", *UNMATCHED, *NONE[:5]),
    "unmatched_contacts.supersedes": row("unmatched_contacts", "'unm_2'", "'2'", *UNMATCHED, *NONE[:5], "'unm_0'"),
    "cancellations.cancellation_id": row(
        "cancellations", "'can_1'", "'3'", "'A-2'", *CANCELLATION, "'revoked'", *ISSUED
    ),
    "cancellations.reference": row("cancellations", "'can_3'", "'1'", "'A-2'", *CANCELLATION, "'revoked'", *ISSUED),
    "cancellations.order_id, cancellations.case": row(
        "cancellations", "'can_3'", "'3'", "'A-1'", *CANCELLATION, "'settled'", *ISSUED
    ),
    "data_requests.request_id": row("data_requests", "'dsr_1'", *REQUEST),
    "disclosures.disclosure_id": row("disclosures", "'dis_1'", *DISCLOSURE),
    "limits.limit_id": row("limits", "'lim_1'", "'cus_2'", *LIMIT[1:]),
    "limits.customer_id, limits.kind": row("limits", "'lim_2'", *LIMIT),
    "events.position": EVENT,
    "journal_head.id": row("journal_head", "1", "0", "''", "0", "NULL"),
    "idempotency.client_id, idempotency.key_hash": KEY,
}
"""A statement that violates each unique constraint."""

NAMED_BY_SQLITE = {
    "promises.order_id, promises.promise_id": "index 'one_current_promise'",
    "cancellations.order_id, cancellations.case": "index 'one_active_cancellation'",
}
"""What SQLite calls a constraint on an expression, which has no column."""


@pytest.fixture(scope="module", params=["write-ahead log", "PostgreSQL"])
def filled(request, tmp_path_factory):
    """An engine with the schema and a row or two in every table."""
    with opener(request.param, tmp_path_factory.mktemp("filled")) as made:
        engine = made()
        migrate(engine)
        for sql in FILLED:
            run(engine, sql)
        yield engine


def run(engine, sql):
    """Run a statement with the digests that it needs; its braces are escaped."""
    given = {name: name.encode() for name in ("one", "two", "three") if f":{name}" in sql}
    return write(engine, sql.replace("{}", "{{}}"), **given)


@pytest.mark.parametrize(("constraint", "sql"), CONFLICTS.items(), ids=CONFLICTS)
def test_a_conflict_names_what_is_taken_by_its_columns(filled, constraint, sql, request):
    with pytest.raises(Conflict) as conflict:
        run(filled, sql)
    on_sqlite = request.node.callspec.params["filled"] != "PostgreSQL"
    assert conflict.value.constraint == (NAMED_BY_SQLITE.get(constraint, constraint) if on_sqlite else constraint)


@pytest.mark.parametrize("filled", ["PostgreSQL"], indirect=True)
def test_every_unique_constraint_has_a_conflict_here(filled):
    with filled.read() as tx:
        rows = tx.all(
            "SELECT string_agg(relname || '.' || attname, ', ' ORDER BY attnum) AS columns"
            " FROM pg_index JOIN pg_class ON pg_class.oid = indrelid JOIN pg_attribute ON attrelid = indexrelid"
            " WHERE indisunique AND relnamespace = 'public'::regnamespace GROUP BY indexrelid"
        )
    assert sorted(row["columns"] for row in rows) == sorted(CONFLICTS)


# Concurrent writes.


def test_writers_of_different_rows_do_not_wait_for_each_other(make):
    engine = with_tables(make(patience=2))
    with engine.write() as one, engine.write() as other:
        one.run("UPDATE parents SET amount = 1 WHERE id = 'a'")
        other.run("UPDATE parents SET amount = 2 WHERE id = 'b'")
        assert (amount(one, "b"), amount(other, "a")) == (0, 100)
    assert amounts(engine) == (1, 2)


def test_one_of_two_deadlocked_writes_succeeds(engine):
    both_locked = threading.Barrier(2, timeout=PATIENCE)

    def write_both(first, second):
        try:
            with engine.write() as tx:
                lock(tx, first)
                both_locked.wait()
                lock(tx, second)
                tx.run("UPDATE parents SET amount = amount + 1 WHERE id = :id", id=first)
        except StorageUnavailable:
            return None
        return first

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(write_both, "ab", "ba"))
    assert done.count(None) == 1
    assert amounts(engine) == ((101, 0) if "a" in done else (100, 1))


@pytest.mark.parametrize("exclusive", [True, False])
def test_an_exclusive_write_only_waits_for_another_exclusive_write(make, exclusive):
    holder, engine = with_tables(make()), make()

    def late():
        with engine.write(exclusive=exclusive) as tx:
            spend(tx, 1)
        return amounts(engine)

    with ThreadPoolExecutor(1) as others:
        with holder.write(exclusive=True) as tx:
            waiting = others.submit(late)
            if exclusive:
                with psycopg.connect(make.url, autocommit=True) as spy:
                    wanted = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    until(lambda: spy.execute(wanted).fetchone())
            else:
                assert waiting.result(PATIENCE) == (99, 1)
            spend(tx, 30)
        assert waiting.result(PATIENCE) == ((69, 31) if exclusive else (99, 1))
    assert amounts(holder) == (69, 31)


def test_a_turn_is_taken_by_one_at_a_time_and_keeps_no_snapshot_meanwhile(make):
    """Neither that of the holder nor that of the one that waits, whose updated rows could then not be cleaned up."""
    holder, engine = with_tables(make()), make()
    waits = threading.Event()

    def late():
        with engine.one_at_a_time(waits.set):
            return amounts(engine)

    with ThreadPoolExecutor(1) as others:
        with holder.one_at_a_time(lambda: pytest.fail("there is nobody else")):
            waiting = others.submit(late)
            assert waits.wait(PATIENCE)
            with psycopg.connect(make.url, autocommit=True) as spy:
                idle = "FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
                until(lambda: spy.execute(f"SELECT count(*) {idle} AND backend_xmin IS NULL").fetchone() == (2,))
            with holder.write(exclusive=True) as tx:
                spend(tx, 1)
            assert not waiting.done()
        assert waiting.result(PATIENCE) == (99, 1)


def test_more_threads_than_connections_all_finish(engine):
    with engine.read() as tx:
        before = backend(tx)

    def increment(_):
        with engine.write() as tx:
            tx.run("UPDATE parents SET amount = :amount WHERE id = 'a'", amount=lock(tx) + 1)
        with engine.read() as tx:
            return backend(tx)

    with ThreadPoolExecutor(CONNECTIONS * 3) as threads:
        seen = set(threads.map(increment, range(CONNECTIONS * 12)))
    assert amounts(engine) == (100 + CONNECTIONS * 12, 0)
    assert len(seen | {before}) <= CONNECTIONS


@pytest.mark.parametrize("given", [{"id": "\0"}, {"id": "a\0b"}])
def test_a_write_that_suppresses_an_error_about_nul_is_not_committed(engine, given):
    """The driver does not send such a text, so the database does not know that anything failed."""

    def suppressing_write():
        with engine.write() as tx:
            spend(tx, 30)
            with pytest.raises(psycopg.DataError, match="NUL"):
                tx.run("UPDATE parents SET amount = 1 WHERE id = :id", **given)

    with pytest.raises(RuntimeError, match="a failed statement must end its transaction"):
        suppressing_write()
    assert amounts(engine) == (100, 0)


# Reads.


def test_a_read_of_several_statements_sees_a_consistent_state(engine):
    with engine.read() as tx:
        assert amount(tx) == 100
        write(engine, "UPDATE parents SET amount = 1")
        write(engine, "INSERT INTO parents (id, amount) VALUES ('c', 5)")
        assert [row["amount"] for row in tx.each("SELECT amount FROM parents ORDER BY id")] == [100, 0]
        assert tx.one("SELECT sum(amount)::bigint AS all FROM parents") == {"all": 100}
    assert amounts(engine) == (1, 1)


@pytest.fixture
def counted(engine):
    """An engine with more than twice as many rows as are fetched at a time."""
    numbers = "SELECT to_char(n, 'FM00000'), n FROM generate_series(1, :last) AS n"
    write(engine, "DELETE FROM parents")
    write(engine, f"INSERT INTO parents (id, amount) {numbers}", last=_ROWS * 5 // 2)
    return engine


COUNT = "SELECT amount FROM parents WHERE amount > :after ORDER BY id"


@pytest.mark.parametrize("transaction", ["read", "write"])
def test_rows_can_be_iterated_while_other_statements_run(counted, transaction):
    with getattr(counted, transaction)() as tx:
        rows, others = tx.each(COUNT, after=0), tx.each(COUNT, after=100)
        seen, also = [], []
        for row in rows:
            seen.append(row["amount"])
            if len(seen) % 500 == 0:
                also += [next(others)["amount"] for _ in range(400)]
                assert tx.one("SELECT count(*) AS many FROM parents") == {"many": _ROWS * 5 // 2}
        assert seen == list(range(1, _ROWS * 5 // 2 + 1))
        assert also == list(range(101, 101 + len(also)))


@pytest.mark.parametrize("taken", [0, 1, _ROWS, _ROWS + 1])
def test_a_connection_is_reused_after_an_unfinished_iteration(counted, taken):
    pids = set()
    for _ in range(2):
        with counted.read() as tx:
            pids.add(backend(tx))
            rows = tx.each(COUNT, after=0)
            assert [next(rows)["amount"] for _ in range(taken)] == list(range(1, taken + 1))
        with counted.write() as tx:
            pids.add(backend(tx))
            tx.run("UPDATE parents SET amount = amount WHERE amount = 1")
        rows.close()
        with counted.read() as tx:
            assert len(list(tx.each(COUNT, after=0))) == _ROWS * 5 // 2
    assert len(pids) == 1


def test_no_cursor_is_left_after_a_finished_iteration(counted):
    with counted.read() as tx:
        assert len(list(tx.each(COUNT, after=0))) == _ROWS * 5 // 2
        assert tx.all("SELECT name FROM pg_cursors WHERE name LIKE 'rows%'") == []


NAMES = ["A", "B", "Z", "a", "aB", "ab", "b", "z", "Ä", "ä", "É", "é", "ß", "Ω", "中", "😀"]


def test_orders_and_clients_are_ordered_by_bytes(make):
    engine, cipher, now = make(), CustomerCipher(new_key()), datetime.now(UTC)
    migrate(engine)
    with engine.write() as tx:
        tx.run("INSERT INTO customers VALUES ('cus_1', '', '')")
        for i, name in enumerate(NAMES[::-1]):
            order = ORDERS.record(order_id=name, customer_id="cus_1", **facts(now))
            ORDERS.insert(tx, order, cipher)
            client = CLIENTS.record(client_id=f"cli_{name}", name=name, role="admin", registered_at=now)
            CLIENTS.insert(tx, client, cipher)
            token = {"client_id": client.client_id, "created_at": now, "expires_at": now, "revoked_at": None}
            TOKENS.insert(tx, TOKENS.record(token_id=f"t{i}", secret_digest=b"", **token), cipher)
    with engine.read() as tx:
        context = Context(tx, Keyring(*repeat(b"", 7)), replace(COMMAND_LINE, role=Role.AUDITOR), now, None)
        seen = [""]
        while page := orders.Orders(context).of_customer("cus_1", seen[-1], limit=3):
            seen += [order.order_id for order in page]
        assert seen[1:] == [row["order_id"] for row in orders.Orders.iter_rows(tx)] == sorted(NAMES)
        assert [client.name for client, _ in clients.Tokens(context).with_clients()] == sorted(NAMES)
        assert [row["client_id"] for row in clients.Clients.iter_rows(tx)] == [f"cli_{name}" for name in sorted(NAMES)]
        # A database with an English locale would order them differently.
        own = tx.one("SELECT datlocprovider::text AS provider FROM pg_database WHERE datname = current_database()")
        left = [row["order_id"] for row in tx.all('SELECT order_id FROM orders ORDER BY order_id COLLATE "default"')]
        assert own["provider"] != "i" or left != sorted(NAMES)


def facts(now):
    """The other required fields of an order."""
    none = ("customer_ref", "region", "ordered_at", "service_provided_at", "correction_reason")
    return dict.fromkeys(none) | {"policy": "p", "registered_at": now, "asserted_by": "cli_1", "revision": 1}


# Connections that the server ends.


@pytest.mark.parametrize("transaction", ["read", "write"])
def test_connections_that_the_server_has_ended_are_replaced(make, transaction):
    engine, all_connected = with_tables(make()), threading.Barrier(CONNECTIONS, timeout=PATIENCE)

    def connect(_):
        with engine.read() as tx:
            all_connected.wait()
            return backend(tx)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        before = set(threads.map(connect, range(CONNECTIONS)))
    assert end_connections(make.url) == len(before) == CONNECTIONS
    for _ in range(CONNECTIONS + 1):
        with getattr(engine, transaction)() as tx:
            assert backend(tx) not in before
    with engine.write() as tx:
        spend(tx, 30)
    assert amounts(engine) == (70, 30)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_waits_for_the_commit_is_done_once_if_the_connection_was_lost_before(make, times):
    engine = with_tables(make())
    end_connections(make.url)
    with engine.write() as tx:
        for _ in range(times):
            tx.later("UPDATE parents SET amount = amount - 1 WHERE id = 'a'", {})
    assert amounts(engine) == (100 - times, 0)


def nothing(tx):
    """Do nothing more in a transaction."""


def every(tx):
    """All rows, one by one."""
    return list(tx.each("SELECT id FROM parents"))


@pytest.mark.parametrize(
    ("transaction", "then"),
    [("write", nothing), ("write", amount), ("write", every), ("read", amount), ("read", every)],
)
def test_a_transaction_whose_connection_is_ended_is_unavailable(make, transaction, then):
    """Even if only its COMMIT is left."""
    engine = with_tables(make())

    def interrupted_transaction():
        with getattr(engine, transaction)() as tx:
            assert amount(tx) == 100
            if transaction == "write":
                spend(tx, 30)
            end_connections(make.url, backend(tx))
            then(tx)

    with pytest.raises(StorageUnavailable):
        interrupted_transaction()
    require_untouched(engine)


def test_a_finished_read_is_not_affected_by_the_end_of_its_connection(make):
    engine = with_tables(make())
    with engine.read() as tx:
        assert every(tx) == [{"id": "a"}, {"id": "b"}]
        end_connections(make.url, backend(tx))
    assert amounts(engine) == (100, 0)


def test_an_idle_transaction_does_not_hold_its_locks_forever(make):
    engine = with_tables(make())
    with engine.read() as tx:
        assert shown(tx, "idle_in_transaction_session_timeout") == "1min"

    def idle_write():
        with engine.write() as tx, psycopg.connect(make.url, autocommit=True) as spy:
            lock(tx)
            there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (backend(tx),)
            tx.run("SET LOCAL idle_in_transaction_session_timeout = 50")
            until(lambda: spy.execute(*there).fetchone() is None)
            spend(tx, 30)

    with pytest.raises(StorageUnavailable):
        idle_write()
    assert amounts(engine) == (100, 0)


class Server:
    """A separate server that can be stopped and started again."""

    def __init__(self, given) -> None:
        self.cluster, self._started = given, None
        with psycopg.connect(given.url("postgres"), autocommit=True) as connection:
            self.data = Path(connection.execute("SHOW data_directory").fetchone()[0])

    @property
    def _status(self):
        return self.data / "postmaster.pid"

    def stop(self) -> None:
        """Stop it and end all its connections."""
        os.kill(int(self._status.read_text().split()[0]), signal.SIGINT)
        until(lambda: not self._status.exists())
        if self._started is not None:
            self._started.wait(PATIENCE)
            self._started = None

    def start(self) -> None:
        """Start it with its original options."""
        owner = self.data.stat()
        theirs = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self._started = subprocess.Popen(
            shlex.split((self.data / "postmaster.opts").read_text()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.data,
            process_group=0,
            **theirs,
        )
        until(lambda: self._status.exists() and self._status.read_text().split()[-1:] == ["ready"])

    @contextmanager
    def away(self):
        """Stop it for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def end(self) -> None:
        """Stop it if it was started here."""
        if self._started is not None:
            self.stop()

    def run(self, statement, *names, database="postgres") -> None:
        """Run a statement with names and texts filled in."""
        made = composed.SQL(statement).format(*names)
        with psycopg.connect(self.cluster.url(database), autocommit=True) as connection:
            connection.execute(made)


@pytest.fixture(scope="module")
def server():
    """A separate server, on which tests create users and databases."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("TEST_DATABASE_URL", raising=False)
        with cluster() as given:
            own = Server(given)
            yield own
            own.end()


@contextmanager
def engine_of(url, **options):
    """An engine, closed afterwards."""
    engine = PostgreSQL(url, **options)
    try:
        yield engine
    finally:
        engine.close()


def test_a_restarted_server_serves_at_once(server):
    with engine_of(server.cluster.create()) as engine:
        with_tables(engine)
        with server.away():
            pass
        with engine.write() as tx:
            spend(tx, 30)
        assert amounts(engine) == (70, 30)


def test_a_server_that_is_away_is_unavailable_until_it_is_back(server):
    with engine_of(server.cluster.create(), patience=0.5) as engine:
        with_tables(engine)
        with server.away():
            for transaction in (engine.read, engine.write):
                with pytest.raises(StorageUnavailable), transaction() as tx:
                    spend(tx, 30)
        until(lambda: serves(engine))
        assert amounts(engine) == (100, 0)


def serves(engine):
    """Whether an engine can be read from."""
    try:
        with engine.read() as tx:
            return amount(tx) == 100
    except StorageUnavailable:
        return False


# Settings.


@pytest.mark.parametrize(
    ("set_to", "kept"),
    [
        ("off", "on"),
        ("on", "on"),
        ("local", "local"),
        ("remote_write", "remote_write"),
        ("remote_apply", "remote_apply"),
    ],
)
def test_a_commit_is_never_confirmed_before_it_is_on_disk(make, set_to, kept):
    with psycopg.connect(make.url, autocommit=True) as connection:
        name = composed.Identifier(connection.info.dbname)
        change = "ALTER DATABASE {} SET synchronous_commit = {}"
        connection.execute(composed.SQL(change).format(name, composed.Literal(set_to)))
    engine = make()
    for transaction in (engine.write, engine.read):
        with transaction() as tx:
            assert shown(tx, "synchronous_commit") == kept


def test_a_connection_has_the_intended_timeouts_and_isolation(make):
    with make(patience=0.25).write() as tx:
        assert shown(tx, "lock_timeout") == "250ms"
        assert shown(tx, "transaction_isolation") == "read committed"
        assert shown(tx, "application_name") == "refunds"
    with make().read() as tx:
        assert shown(tx, "lock_timeout") == "10s"
        assert shown(tx, "transaction_isolation") == "repeatable read"
        assert shown(tx, "transaction_read_only") == "on"


# Missing permissions, and unsuitable databases.


def url_of(server, database, **changed):
    """The URL of a database on our server with another user, password, host or port, each escaped."""
    parts = urlsplit(server.cluster.url(database))
    user, password = changed.get("user", parts.username), changed.get("password", parts.password)
    host, port = changed.get("host", parts.hostname), changed.get("port", parts.port)
    return f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{port}{parts.path}"


@pytest.fixture
def stranger(server):
    """A user who may only connect."""
    server.run("CREATE ROLE stranger LOGIN PASSWORD 'let me in'")
    yield {"user": "stranger", "password": "let me in"}
    server.run("DROP ROLE stranger")


def test_a_user_who_may_not_create_tables_gets_a_hint(server, stranger):
    server.cluster.create("of_someone_else")
    with engine_of(url_of(server, "of_someone_else", **stranger)) as engine:
        engine.require_fit()
        with pytest.raises(ConfigurationError) as refused:
            migrate(engine)
    assert str(refused.value).startswith(f"REFUNDS_DATABASE: {engine.name}")
    assert str(refused.value).endswith(": permission denied for schema public: make the user the owner of the database")
    server.run("ALTER DATABASE of_someone_else OWNER TO stranger")
    with engine_of(url_of(server, "of_someone_else", **stranger)) as engine:
        migrate(engine)
    server.cluster.drop(server.cluster.url("of_someone_else"))


CLOSED_PORT = 1
UNFIT = {
    "a wrong password": ({"password": "wrong"}, "password authentication failed for user"),
    "an unknown user": ({"user": "nobody"}, "password authentication failed for user"),
    "an unknown host": ({"host": "nowhere.invalid"}, "nowhere.invalid"),
    "a closed port": ({"port": CLOSED_PORT}, "refused"),
    "a port that is none": ({"port": 99_999}, "port"),
}


@pytest.mark.parametrize(("changed", "message"), UNFIT.values(), ids=UNFIT)
def test_an_unreachable_database_is_reported(server, changed, message):
    with pytest.raises(ConfigurationError, match=r"^REFUNDS_DATABASE: postgresql://.* cannot be accessed: ") as refused:
        open_engine(url_of(server, "postgres", **changed))
    assert message in str(refused.value)
    later = isinstance(refused.value, ServerAway)
    assert later is (message in {"refused", "nowhere.invalid"}), "only what may pass by itself is tried again"
    assert str(refused.value).endswith(": compare host, port, database, user and password")
    assert "\n" not in str(refused.value)


def test_a_missing_database_is_reported(server):
    with pytest.raises(ConfigurationError, match='database "nowhere" does not exist: compare host'):
        open_engine(url_of(server, "nowhere"))


def test_a_database_with_another_encoding_is_refused(server):
    server.run("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'")
    with pytest.raises(
        ConfigurationError, match="has the encoding SQL_ASCII: create the database with ENCODING 'UTF8'"
    ):
        open_engine(url_of(server, "ascii"))


def test_an_old_server_is_refused(server, monkeypatch):
    monkeypatch.setattr("refunds.storage.postgres.OLDEST", 999)
    with pytest.raises(ConfigurationError, match=r"is PostgreSQL \d+: version 999 or newer is needed$"):
        open_engine(url_of(server, "postgres"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h:1/d?nothing=known",
        "postgresql://u:p@h:1/d?password",
        "postgresql://u:p@[::1/d",
        "postgresql://u:p@@h/d",
        "postgresql://u:p%zz@h/d",
        "postgresql://u:p%00@h/d",
        "postgresql://u:p/w@h/d",
        "postgresql://u:p?w@h/d",
        "postgresql://u:p@h/d@e",
        "postgresql://u:p w@h/d",
        "postgresql://u:pw/d",
        "postgresql://u:pw:1/d",
        "postgresql://u:@h:pw/d",
        "postgresql://u:1pw/d",
        "postgresql://u:p%ff@h/d",
        "postgresql://u:p\udcff@h/d",
    ],
)
def test_an_invalid_url_is_reported_without_repeating_it(url):
    with pytest.raises(ConfigurationError) as refused:
        open_engine(url)
    assert str(refused.value) == (
        "REFUNDS_DATABASE: is not a PostgreSQL URL: write it as postgresql://USER:PASSWORD@HOST:PORT/NAME,"
        " with all characters but letters and digits percent-encoded"
    )


# Passwords.

PASSWORDS = [
    *(f"zqx{sign}wvk{sign}jyg" for sign in "@/?#%: &=+;,'\"\\[]|~ö$"),
    *(f"{sign}zqxwvk" for sign in "@/?#%:"),
    *(f"zqxwvk{sign}" for sign in "@/?#%:"),
    "zqx%41wvk",
    "zqx%2Fwvk",
    "zqx@wvk:mgp/jyg?hfb#npc",
    "zqx:/wvk@jyg/hfb",
]


def spellings(password, place):
    """URLs that contain a password, escaped and unescaped, in either place."""
    user, _, where = place.partition("@")
    for written in (quote(password, safe=""), password):
        yield f"postgresql://{user}:{written}@{where}"
        yield f"postgresql://{user}@{where}?password={written}"
        yield f"postgresql://{user}@{where}?password={written}&application_name=refunds"


def pieces(password):
    """The parts of a password that must not be shown: any three characters in a row, also escaped."""
    runs = {password[i : i + 3] for i in range(len(password) - 2)}
    return runs | {quote(run, safe="") for run in runs}


def errors_of(error):
    """An error with its causes and contexts."""
    if error is None:
        return []
    return [error, *errors_of(error.__cause__), *errors_of(error.__context__)]


def texts_about(url):
    """Every text about a URL: from the settings, the engine and all errors."""
    given = settings(Path("records"), database=url)  # a random directory name may contain parts of a password
    yield from (repr(given), str(given))
    try:
        engine = PostgreSQL(url, patience=0.01)
    except ConfigurationError as error:
        yield from texts(error)
        return
    yield from (engine.name, repr(engine), str(engine))
    try:
        with pytest.raises(ConfigurationError) as refused:
            engine.require_fit()
        yield from texts(refused.value)
        with pytest.raises(StorageUnavailable) as unavailable, engine.read():
            pass
        yield from texts(unavailable.value)
    finally:
        engine.close()


def texts(error):
    """The texts of an error and of its causes, and its traceback."""
    for found in errors_of(error):
        yield from (str(found), repr(found))
    yield "".join(traceback.format_exception(error))


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_text_contains_a_part_of_the_password(password, caplog):
    caplog.set_level(logging.DEBUG)
    for url in spellings(password, f"someone@127.0.0.1:{CLOSED_PORT}/records"):
        shown_texts = [*texts_about(url), caplog.text]
        leaked = {piece for piece in pieces(password) for text in shown_texts if piece in text}
        assert not leaked, url


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_with_any_characters_works_when_it_is_escaped(server, password):
    server.run("CREATE ROLE someone LOGIN PASSWORD {}", composed.Literal(password))
    try:
        right = url_of(server, "postgres", user="someone", password=password)
        with engine_of(right) as engine:
            engine.require_fit()
            with engine.read() as tx:
                assert tx.one("SELECT current_user::text AS user") == {"user": "someone"}
        place = f"someone@{server.cluster.host}:{server.cluster.port}/postgres"
        with pytest.raises(ConfigurationError) as refused:
            open_engine(next(spellings(password[::-1] + "x", place)))
        assert not {piece for piece in pieces(password[::-1]) for text in texts(refused.value) if piece in text}
    finally:
        server.run("DROP ROLE someone")


CHECK = {"service_provided_at": "2026-04-02T16:20:00+02:00"}


def cancellation(number):
    """A request to cancel a new order on a call."""
    provided = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    order = {"order_id": f"A-{number}", "customer_ref": f"K-{number}", "service_provided_at": provided}
    return {"order": order, "contact": {"channel": "phone"}}


@pytest.mark.parametrize(
    ("path", "body", "trips"),
    [("/v1/eligibility-checks", lambda _: CHECK, 1), ("/v1/cancellations", cancellation, 8)],
    ids=["a check", "a cancellation"],
)
def test_a_request_waits_for_the_database_no_more_often_than_it_must(tmp_path, path, body, trips):
    app = create_app(settings(tmp_path, engine="postgresql"))
    client, pool = client_of(app), app.extensions["refunds.store"].open()[0]._pool

    def ask(number):
        answer = client.post(path, json=body(number), headers={"Idempotency-Key": f"key-{number}"})
        assert answer.status_code in {200, 201}, answer.get_data(as_text=True)

    for number in range(8):  # the driver prepares what is sent often
        ask(number)
    assert pool.get_stats()["pool_size"] == 1
    with (tmp_path / "trace").open("w+") as trace:
        with pool.connection() as connection:
            connection.pgconn.trace(trace.fileno())
        ask(8)
        connection.pgconn.untrace()
    assert (tmp_path / "trace").read_text().count("ReadyForQuery") == trips
