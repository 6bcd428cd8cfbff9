"""The PostgreSQL engine: any number of instances write to one database at the same time.

Each statement of a write sees what is committed by then, so writes lock the rows that they rely on (`{for_update}`).
Reads see one state throughout. The engine never repeats a write: once COMMIT is sent, only the database knows whether
it was done.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Lock
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import ConnectionPool, PoolTimeout

from refunds.errors import (
    ConfigurationError,
    Conflict,
    DamagedDatabase,
    Message,
    ServerAway,
    StorageUnavailable,
    Unreadable,
)
from refunds.storage import IN_USE, PATIENCE, Engine, Row, Transaction
from refunds.storage.postgres_transaction import PostgresTransaction

OLDEST = 15
"""The oldest major version that the statements are tested on."""

CONNECTIONS = 10
"""The most connections of one process: more than the database has cores, few enough to leave some for others."""

_IDLE = 60.0
"""Seconds after which the database ends a connection that is silent in the middle of a transaction."""

_ENDING = 1.0
"""Seconds in which the server notices that a client has ended its connection."""

_RECONNECTING = 1.0
"""Seconds for which the pool retries to connect; after that, the next request starts again."""

_EXCLUSIVE, _TURN, _IN_USE = 0x726566756E6473, 0x726566756E6474, 0x726566756E6475
"""The numbers of the locks of exclusive writes, of turns and of use: any numbers that nothing else uses."""

_COPIED = "the records are being copied to another database"

_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

# It is silent for as long as the turn takes, so the server must notice by itself if the other machine is gone.
_OF_TURN = {
    "idle_in_transaction_session_timeout": 0,
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
}

_LOOKING = 0.5
"""Seconds between two looks at a turn that another instance has."""

# These notice a lost peer and skip a standby; the URL can override them.
_DEFAULTS = {
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": str(int(PATIENCE * 1000)),
    "target_session_attrs": "read-write",
    "application_name": "refunds",
}

# A lost connection, too long a wait for a lock, a deadlock, a full disk, a shutdown, a standby.
_OUT_OF_ORDER = ("08", "40", "53", "57", "58", "25006", "25P03", "55P03", "XX001", "XX002")


_CHECKED_INDEXES = """
SELECT c.oid, c.relname AS name FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = c.relam
WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND amname = 'btree' AND indisvalid
AND has_function_privilege(to_regprocedure('bt_index_check(regclass,boolean)'), 'EXECUTE') ORDER BY name
"""


class PostgreSQL(Engine):
    """A database on a server; raises `ConfigurationError`, naming `setting`, if the URL is wrong.

    `patience` is the time to wait for a lock or connection, in seconds. With `readonly`, the connections do not count
    as a use of the database: see `unused`.
    """

    def __init__(
        self, url: str, *, patience: float = PATIENCE, setting: str = "REFUNDS_DATABASE", readonly: bool = False
    ) -> None:
        self._setting, self._readonly = setting, readonly
        given = self._load(url)
        user, host = given.get("user"), given.get("host") or ""
        port = f":{given['port']}" if "port" in given else ""
        self.name = f"postgresql://{f'{user}@' if user else ''}{host}{port}/{given.get('dbname', '')}"
        self._conninfo = make_conninfo(**_DEFAULTS | given | {"client_encoding": "utf8"})
        self._patience, self.connections = patience, 0
        self._opening = Lock()
        self._away = Event()
        self._pool: ConnectionPool[psycopg.Connection[DictRow]] | None = None

    def require_fit(self) -> None:
        """Raise `ConfigurationError` if the server refuses access or is older than 15, or the database is not UTF-8.

        Raises `ServerAway` if the server cannot be reached, or not yet. It connects once and, unless the URL says
        otherwise, waits at most three seconds for each host.
        """
        try:
            with psycopg.connect(self._conninfo) as connection:
                version = connection.info.server_version // 10_000
                encoding = connection.info.parameter_status("server_encoding")
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
            message = Message(
                "cannot be accessed: %(reason)s: compare host, port, database, user and password", reason=reason
            )
            refused = re.search("FATAL|invalid (port|integer)", str(error)) and not _PASSES.search(str(error))
            raise (ConfigurationError if refused else ServerAway)(self._unfit_error(message).detail) from None
        if version < OLDEST:
            message = Message(
                "is PostgreSQL %(version)s: version %(oldest)s or newer is needed", version=version, oldest=OLDEST
            )
            raise self._unfit_error(message)
        if encoding != "UTF8":
            message = Message(
                "has the encoding %(encoding)s: create the database with ENCODING 'UTF8'", encoding=encoding
            )
            raise self._unfit_error(message)

    def _unfit_error(self, why: str) -> ConfigurationError:
        """Return the error, to be raised, that names the database and says why it cannot be used."""
        place = f"{self._setting}: {self.name}"
        return ConfigurationError(Message("%(place)s %(why)s", place=place, why=why))

    def _load(self, url: str) -> dict[str, Any]:
        """Return the connection parameters in a URL; raises `ConfigurationError`, not quoting the URL, if it is wrong.

        A URL is refused, too, if it has an `@` besides the one before the host, or a port that is not a number: part of
        a password could be taken for the host.
        """
        authority, others = re.split(r"(?=[/?])|$", url.partition("://")[2], maxsplit=1)
        with suppress(psycopg.ProgrammingError, UnicodeError):
            given = conninfo_to_dict(url)
            if authority.count("@") <= 1 and "@" not in others and _PORTS.fullmatch(str(given.get("port", ""))):
                return given
        message = Message(
            "%(setting)s: is not a PostgreSQL URL: write it as postgresql://USER:PASSWORD@HOST:PORT/NAME, with all "
            "characters but letters and digits percent-encoded",
            setting=self._setting,
        )
        raise ConfigurationError(message)

    def one(self, sql: str, **parameters: Any) -> Row | None:
        """Run one statement that reads, without a transaction, and return its row; None if there is none."""
        with self._transaction("") as tx:
            return tx.one(sql, **parameters)

    @contextmanager
    def read(self) -> Iterator[PostgresTransaction]:
        """Begin a read for the block, in which all statements see the state at the first one."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as tx:
            yield tx
            tx.end("END")  # after a ROLLBACK, the driver would forget its prepared statements

    @contextmanager
    def write(self, *, exclusive: bool = False, at_start: bool = False) -> Iterator[PostgresTransaction]:
        """Begin a write for the block, which is committed at its end, or rolled back if an error leaves it.

        The write waits up to ten seconds for a lock, or twenty if others wait, too; then it raises
        `StorageUnavailable`. An `exclusive` write waits without limit; ordinary writes may go on beside it.
        """
        with self._transaction(_WRITE) as tx:
            if exclusive:
                tx.later("SET LOCAL lock_timeout = 0", {})
                if at_start:
                    tx.run(f"SELECT pg_advisory_unlock_shared({_IN_USE})")
                tx.run(f"SELECT pg_advisory_xact_lock({_EXCLUSIVE})")  # after the write before it, which may take long
                if at_start and tx.all(f"SELECT pg_try_advisory_lock_shared({_IN_USE}) AS free") != [{"free": True}]:
                    raise psycopg.OperationalError(_COPIED)
            yield tx
            tx.commit()

    @contextmanager
    def one_at_a_time(self, waits: Callable[[], None]) -> Iterator[None]:
        """Let only one instance at a time run the block; if it has to wait for another, it calls `waits` once.

        A connection of its own holds the lock; if it is lost, the block goes on, and another instance may begin.
        """
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY") as tx:
            for setting, value in _OF_TURN.items():
                tx.run(f"SET LOCAL {setting} = {value}")
            if not tx.try_lock(_TURN):
                waits()
                while not tx.try_lock(_TURN):
                    sleep(_LOOKING)
            yield
            tx.end("END")

    @contextmanager
    def unused(self) -> Iterator[None]:
        """Raise `ConfigurationError` if there is a connection that may write; refuse new ones during the block.

        An instance that was idle for ten minutes may have no connection; it then responds with 503 until the block
        ends. If the connection that holds the lock is lost, the block goes on, and others may write.
        """
        with self._translating_errors(), closing(psycopg.connect(self._conninfo, autocommit=True)) as holder:
            holder.execute("SET idle_session_timeout = 0")
            self._require_free(
                lambda: holder.execute("SELECT pg_try_advisory_lock(%s)", (_IN_USE,)).fetchone() == (True,)
            )
            yield

    def require_alone(self, tx: Transaction) -> None:
        """Raise `ConfigurationError` in an exclusive write if there is another connection that may write.

        One that waits for its own exclusive write at its start does not count, and an idle instance may have none.
        """
        # Not held, because the service's others would not start then: they wait for this write.
        look = f"SELECT CASE WHEN pg_try_advisory_lock({_IN_USE}) THEN pg_advisory_unlock({_IN_USE}) END AS free"
        self._require_free(lambda: tx.all(look) == [{"free": True}])

    def _require_free(self, is_free: Callable[[], bool]) -> None:
        """Raise `ConfigurationError` unless the database is free before the server has noticed every ended client."""
        end = monotonic() + _ENDING
        while not is_free():
            if monotonic() > end:
                raise self._unfit_error(IN_USE)
            sleep(_ENDING / 20)

    def require_whole(self, tx: Transaction) -> None:
        """Raise `DamagedDatabase` if amcheck finds an index that does not fit its table; do nothing without amcheck."""
        for index in tx.all(_CHECKED_INDEXES):
            try:
                tx.run("SELECT bt_index_check(CAST(:oid AS oid), true)", oid=index["oid"])
            except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
                name, said = index["name"], error.diag.message_primary
                raise DamagedDatabase(
                    Message("An index of the database is damaged."),
                    f"{self.name}: the index {name} is damaged: PostgreSQL says: {said}. Find out why, as in the log "
                    f"of the server, then rebuild it: REINDEX INDEX {name}",
                ) from error

    def pool(self) -> dict[str, int]:
        """Return the counts `idle`, `in_use`, `waiting` and `max` of `Engine.pool`; empty before there is a pool."""
        pool = self._pool
        if pool is None:
            return {}
        now = pool.get_stats()
        idle = now["pool_available"]
        in_use = now["pool_size"] - idle
        return {"idle": idle, "in_use": in_use, "max": now["pool_max"], "waiting": now["requests_waiting"]}

    def close(self) -> None:
        """Close every connection, those in use at the end of their transaction; they open again when needed."""
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[PostgresTransaction]:
        """Begin a transaction for the block, and roll it back at the end unless the block commits it.

        `begin` is sent with the first statement. If the connection is lost by then, that statement is sent again on
        another one, until the patience is over. Raises `StorageUnavailable` if the database cannot serve, `Conflict` if
        a value must be unique but is taken, or refers to nothing, and `Unreadable` if a table or column is missing.
        """
        with self._translating_errors():
            pool, deadline = self._opened(), monotonic() + self._patience
            held = [self._taken(pool, deadline)]

            def another() -> psycopg.Connection[DictRow] | None:
                if monotonic() > deadline:
                    return None
                pool.putconn(held.pop())
                held.append(self._taken(pool, deadline))
                return held[0]

            tx = PostgresTransaction(held[0], begin, another)
            try:
                yield tx
                self._away.clear()
            except psycopg.errors.UniqueViolation as error:
                tx.end()
                raise Conflict(_columns(tx.connection, error.diag.constraint_name)) from error
            finally:
                tx.end()
                for connection in held:
                    pool.putconn(connection)

    def _opened(self) -> ConnectionPool[psycopg.Connection[DictRow]]:
        """Return the pool of connections; make it if there is none."""
        pool = self._pool
        if pool is None:
            with self._opening:
                pool = self._pool = self._pool or ConnectionPool(
                    self._conninfo,
                    kwargs={"autocommit": True, "row_factory": dict_row},
                    configure=self._configure,
                    min_size=0,
                    max_size=CONNECTIONS,
                    reconnect_timeout=_RECONNECTING,
                    reconnect_failed=lambda _: self._away.set(),
                    open=True,
                )
        return pool

    def _taken(self, pool: ConnectionPool[psycopg.Connection[DictRow]], deadline: float) -> psycopg.Connection[DictRow]:
        """Take a connection from the pool; raises `PoolTimeout` at the deadline, or if the database is away."""
        while True:  # repeatedly, because the pool opens connections only for new requests
            try:
                return pool.getconn(timeout=min(1.5 * _RECONNECTING, self._patience))  # later than the pool gives up
            except PoolTimeout:
                if self._away.is_set() or monotonic() > deadline:
                    raise

    def _configure(self, connection: psycopg.Connection[DictRow]) -> None:
        """Count and set up a new connection, which marks the database as in use unless it only reads.

        Closes it and raises `psycopg.OperationalError` while the records are copied to another database.
        """
        self.connections += 1
        connection.adapters.register_dumper(int, Int8Dumper)  # one type for every number, and so one plan
        begun = connection.execute(
            # Held until the connection ends: as long as there is one, `unused` refuses.
            "SELECT CASE WHEN %s THEN true ELSE pg_try_advisory_lock_shared(%s) END AS free,"
            " set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false),"
            # Acknowledged commits survive a crash, even if the server is configured not to wait for its disk.
            " set_config('synchronous_commit',"
            " CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
            " ELSE current_setting('synchronous_commit') END, false)",
            (self._readonly, _IN_USE, str(int(self._patience * 1000)), str(int(_IDLE * 1000))),
        ).fetchone()
        if not (begun and begun["free"]):
            connection.close()
            raise psycopg.OperationalError(_COPIED)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        """Turn the driver's errors in the block into the service's; raise others, as `UniqueViolation`, unchanged.

        They become `Conflict` for a violated foreign key, `ConfigurationError` for a missing privilege,
        `StorageUnavailable` if the server is lost or out of order, and `Unreadable` for a query that it cannot read.
        """
        try:
            yield
        except psycopg.errors.ForeignKeyViolation as error:
            raise Conflict(error.diag.constraint_name or "") from error
        except psycopg.errors.InsufficientPrivilege as error:
            message = Message(
                "does not allow this: %(reason)s: make the user the owner of the database",
                reason=error.diag.message_primary,
            )
            raise self._unfit_error(message) from None
        except psycopg.Error as error:
            lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            if lost or (error.sqlstate or "").startswith(_OUT_OF_ORDER):
                raise StorageUnavailable(Message("The database cannot serve at the moment.")) from error
            if (error.sqlstate or "").startswith("42"):
                raise Unreadable(str(error.diag.message_primary)) from error
            raise


# The driver gives no codes for what a server refuses at once, only its text.
_PASSES = re.compile("starting up|shutting down|recovery mode|not yet accepting|too many|remaining connection slots")
_PORTS = re.compile(r"([0-9]{1,5}(,[0-9]{0,5})*)?")


def _columns(connection: psycopg.Connection[DictRow], index: str | None) -> str:
    """Return the columns of an index as `table.column`; its name if it is unknown, and an empty text for None."""
    found = connection.execute(
        "SELECT string_agg(c.relname || '.' || a.attname, ', ' ORDER BY a.attnum) AS columns"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = i.indexrelid"
        " WHERE i.indexrelid = to_regclass(%s)",
        (index,),
    ).fetchone()
    return (found and found["columns"]) or index or ""
