"""The PostgreSQL engine: any number of instances on one database, which let each other write at the same time.

Writes see what is committed at each of their statements, so they hold the rows that they judge by (`{for_update}`);
reads see one state throughout. A write is never repeated here: once its COMMIT is sent, nobody but the database knows
whether it was done.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import count
from threading import Event, Lock
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import ConnectionPool, PoolTimeout

from refunds.errors import ConfigurationError, Conflict, StorageUnavailable, Unreadable
from refunds.storage import FAILED, PATIENCE, Row

OLDEST = 15
"""The oldest major version that the statements are tried on."""

CONNECTIONS = 10
"""At most, of one process: more than the database has cores to serve, fewer than would shut other instances out."""

_IDLE = 60.0
"""Seconds after which the database gives up on whoever has gone silent in the middle of a transaction."""

_RECONNECTING = 1.0
"""Seconds for which connecting is tried again before the next request begins from the start."""

_ROWS = 1000
"""Fetched at a time where rows are read one by one."""

_EXCLUSIVE = 0x726566756E6473
"""The number of the lock of writes that must be alone: any, if nobody else takes it."""

_DIALECT = {
    "bigint": "BIGINT",
    "bytes": "BYTEA",
    "key": 'TEXT COLLATE "C"',
    "clustered": "",
    "for_update": "FOR UPDATE",
    "unless_held": "FOR UPDATE SKIP LOCKED",
    # By a pattern: a cast to JSON would fail, and with it the step, where a decision was tampered with.
    "policy_of_decision": """GENERATED ALWAYS AS (substring(decision from '"outcome":.*?"policy":"([^"]*)"')) STORED""",
}

# A peer that is gone is noticed, and a standby is passed over, unless the URL says otherwise.
_DEFAULTS = {
    "connect_timeout": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": str(int(PATIENCE * 1000)),
    "target_session_attrs": "read-write",
    "application_name": "refunds",
}

# A lost connection, a lock that others hold for too long, a deadlock, a full disk, a shutdown, a standby.
_OUT_OF_ORDER = ("08", "40", "53", "57", "58", "25006", "25P03", "55P03", "XX001", "XX002")


class PostgreSQL:
    """A database on a server."""

    def __init__(self, url: str, *, patience: float = PATIENCE, setting: str = "REFUNDS_DATABASE") -> None:
        self._setting = setting
        given = self._load(url)
        user, host = given.get("user"), given.get("host") or ""
        port = f":{given['port']}" if "port" in given else ""
        self.name = f"postgresql://{f'{user}@' if user else ''}{host}{port}/{given.get('dbname', '')}"
        self._conninfo = make_conninfo(**_DEFAULTS | given | {"client_encoding": "utf8"})
        self._patience = patience
        self._opening = Lock()
        self._away = Event()
        self._pool: ConnectionPool[psycopg.Connection[DictRow]] | None = None

    def require_fit(self) -> None:
        """Raise `ConfigurationError` for a database that cannot be reached, or cannot keep the records."""
        try:
            with psycopg.connect(self._conninfo) as connection:
                version = connection.info.server_version // 10_000
                encoding = connection.info.parameter_status("server_encoding")
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0].rpartition("failed: ")[2]
            message = f"does not let us in: {reason}: compare host, port, database, user and password"
            raise self._unfit(message) from None
        if version < OLDEST:
            raise self._unfit(f"is PostgreSQL {version}: version {OLDEST} or newer is needed")
        if encoding != "UTF8":
            raise self._unfit(f"has the encoding {encoding}: create the database with ENCODING 'UTF8'")

    def _unfit(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"{self._setting}: {self.name} {why}")

    def _load(self, url: str) -> dict[str, Any]:
        """What a URL says; raises `ConfigurationError` that repeats none of it: parts of it may be the password's.

        A password with an `@` or a `/` that is not escaped, or without a host behind it, would be taken for a host
        and a port, and told as such.
        """
        authority, others = re.split(r"(?=[/?])|$", url.partition("://")[2], maxsplit=1)
        with suppress(psycopg.ProgrammingError, UnicodeError):
            given = conninfo_to_dict(url)
            if authority.count("@") <= 1 and "@" not in others and _PORTS.fullmatch(str(given.get("port", ""))):
                return given
        message = f"{self._setting}: is no PostgreSQL URL: write it as postgresql://USER:PASSWORD@HOST:PORT/NAME"
        raise ConfigurationError(f"{message}, with other signs than letters and digits as %XX")

    @contextmanager
    def read(self) -> Iterator["_Transaction"]:
        """A transaction that sees one state of the records and changes nothing."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") as tx:
            yield tx
            tx.end("END")  # at a ROLLBACK, the driver would forget the statements that it has prepared

    @contextmanager
    def write(self, *, exclusive: bool = False) -> Iterator["_Transaction"]:
        """A transaction that is committed at the end of the block, or rolled back if an error leaves it."""
        with self._transaction("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE") as tx:
            if exclusive:
                tx.run("SET LOCAL lock_timeout = 0")  # whoever is before it may have a long way to go
                tx.one("SELECT pg_advisory_xact_lock(:exclusive)", exclusive=_EXCLUSIVE)
            yield tx
            tx.commit()

    def close(self) -> None:
        """Let go of every connection; they are opened anew when needed."""
        with self._opening:
            if self._pool is not None:
                self._pool.close()
                self._pool = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator["_Transaction"]:
        with self._translated():
            pool = self._opened()
            connection = self._begun(pool, begin)
            tx = _Transaction(connection)
            try:
                yield tx
            except psycopg.errors.UniqueViolation as error:
                tx.end()
                raise Conflict(_columns(connection, error.diag.constraint_name)) from error
            finally:
                tx.end()
                pool.putconn(connection)

    def _opened(self) -> ConnectionPool[psycopg.Connection[DictRow]]:
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

    def _begun(self, pool: ConnectionPool[psycopg.Connection[DictRow]], begin: str) -> psycopg.Connection[DictRow]:
        """A connection on which a transaction has begun; those that were lost since their last use are passed over."""
        deadline = monotonic() + self._patience
        while True:
            connection = self._taken(pool, deadline)
            try:
                connection.execute(begin)
            except BaseException as error:
                pool.putconn(connection)
                lost = isinstance(error, psycopg.OperationalError) and connection.closed
                if not lost or monotonic() > deadline:
                    raise
            else:
                self._away.clear()
                return connection

    def _taken(self, pool: ConnectionPool[psycopg.Connection[DictRow]], deadline: float) -> psycopg.Connection[DictRow]:
        """A connection of the pool: waited for while others use them all, but not while there is nothing to connect to.

        Whoever waits comes back to ask again, as the pool connects for those alone who have just come.
        """
        while True:
            try:
                return pool.getconn(timeout=min(1.5 * _RECONNECTING, self._patience))  # later than it gives up
            except PoolTimeout:
                if self._away.is_set() or monotonic() > deadline:
                    raise

    def _configure(self, connection: psycopg.Connection[DictRow]) -> None:
        connection.adapters.register_dumper(int, Int8Dumper)  # one type, and so one plan, whatever the number
        connection.execute(
            "SELECT set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false),"
            # What was acknowledged survives a crash, also where the server was told not to wait for its disk.
            " set_config('synchronous_commit',"
            " CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
            " ELSE current_setting('synchronous_commit') END, false)",
            (str(int(self._patience * 1000)), str(int(_IDLE * 1000))),
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the driver, told as the service's own."""
        try:
            yield
        except psycopg.errors.ForeignKeyViolation as error:
            raise Conflict(error.diag.constraint_name or "") from error
        except psycopg.errors.InsufficientPrivilege as error:
            message = f"does not let us work: {error.diag.message_primary}: make the user the owner of the database"
            raise self._unfit(message) from None
        except psycopg.Error as error:
            lost = error.sqlstate is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
            if lost or (error.sqlstate or "").startswith(_OUT_OF_ORDER):
                raise StorageUnavailable("The database cannot serve at the moment.") from error
            if (error.sqlstate or "").startswith("42"):
                raise Unreadable(str(error.diag.message_primary)) from error
            raise


class _Transaction:
    """The transaction that is under way on a connection."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self._connection: psycopg.Connection[DictRow] | None = connection
        self._failed = False

    def one(self, sql: str, **parameters: Any) -> Row | None:
        return self._execute(sql, parameters).fetchone()

    def all(self, sql: str, **parameters: Any) -> list[Row]:
        rows: list[Row] = list(self._execute(sql, parameters).fetchall())
        return rows

    def each(self, sql: str, **parameters: Any) -> Iterator[Row]:
        name = f"rows_{next(_NUMBERS)}"
        self._execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", parameters)
        while rows := self._execute(f"FETCH {_ROWS} FROM {name}", {}, prepare=False).fetchall():
            for row in rows:
                yield row
                self._require_open()
        self._execute(f"CLOSE {name}", {})

    def run(self, sql: str, **parameters: Any) -> int:
        return self._execute(sql, parameters).rowcount

    def many(self, sql: str, rows: Iterable[Row]) -> None:
        with self._noted(), self._require_open().cursor() as cursor:
            cursor.executemany(_rendered(sql), rows)

    def commit(self) -> None:
        """Keep what was done; never after a statement that failed: the database would keep nothing, and not say so."""
        if self._failed:
            raise RuntimeError(FAILED)
        self._require_open().execute("COMMIT")

    def end(self, how: str = "ROLLBACK") -> None:
        """Take back what is not committed, once; a connection on which that fails is not used again."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.info.transaction_status is not TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute(how)

    def _execute(self, sql: str, parameters: dict[str, Any], *, prepare: bool | None = None) -> psycopg.Cursor[DictRow]:
        connection = self._require_open()
        with self._noted():
            return connection.execute(_rendered(sql), parameters or None, prepare=prepare, binary=True)

    def _require_open(self) -> psycopg.Connection[DictRow]:
        if self._connection is None:
            raise RuntimeError("the transaction is over")
        return self._connection

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Remember a failure, also one that the database has not come to know of."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise


_NUMBERS = count(1)
_PORTS = re.compile(r"([0-9]{1,5}(,[0-9]{0,5})*)?")
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@lru_cache(maxsize=1024)
def _rendered(sql: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", sql.format_map(_DIALECT))


def _columns(connection: psycopg.Connection[DictRow], index: str | None) -> str:
    """The columns that a unique index is on, as `table.column`: its own name says nothing to who has not made it."""
    found = connection.execute(
        "SELECT string_agg(c.relname || '.' || a.attname, ', ' ORDER BY a.attnum) AS columns"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = i.indexrelid"
        " WHERE i.indexrelid = to_regclass(%s)",
        (index,),
    ).fetchone()
    return (found and found["columns"]) or index or ""
