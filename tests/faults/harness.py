"""A separate installation: its servers, its clients, and a process that is killed at a chosen statement.

Processes that fork or are killed import this module, so it opens nothing and does not change the environment.
"""

import atexit
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

import time_machine

from refunds.cli import Commands, server
from refunds.config import Settings
from refunds.domain.judging import calendar_of
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason
from refunds.schemas.policy import packaged
from refunds.service import privacy, retention, rotation
from refunds.service.store import Store
from refunds.storage import postgres, sqlite
from refunds.storage.audit import Report
from refunds.web import create_app
from tests import records_in, scaled
from tests.faults.processes import Command

FLASK = str(Path(sys.executable).with_name("flask"))

PATIENCE = 60
"""Generous timeout in seconds: the machine may be busy."""

calendar_of(packaged("virtual-numbers"))  # once, so that no forked process has to build it


class Reply(NamedTuple):
    """A response."""

    status: int
    body: bytes
    replayed: bool = False

    @property
    def json(self):
        """The body, parsed."""
        return json.loads(self.body)


class Client:
    """A client with a token and a connection to a server; with a context, by TLS."""

    def __init__(self, port: int, token: str, context: ssl.SSLContext | None = None) -> None:
        self.wire = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        if context:
            self.wire = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=context)
        self.token = {"Authorization": f"Bearer {token}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Send a request and return the reply."""
        sent = None if body is None else json.dumps(body)
        self.wire.request(method, path, sent, self.token | {"Content-Type": "application/json"} | headers)
        response = self.wire.getresponse()
        return Reply(response.status, response.read(), response.headers.get("Idempotent-Replayed") == "true")

    def cancel(self, body: object, key: str) -> Reply:
        """Cancel an order with a key and return the reply."""
        return self.send("POST", "/v1/cancellations", body, **{"Idempotency-Key": key})

    def every(self, path: str) -> Iterator[dict]:
        """Every item of a list, page by page."""
        after = ""
        while after is not None:
            page = self.send("GET", f"{path}?limit=200{after and f'&after={after}'}").json
            yield from page["items"]
            after = page["next"]


class Server(NamedTuple):
    """A running server."""

    process: Command
    port: int

    def kill(self) -> None:
        """Kill it, without a chance to finish anything."""
        self.process.kill()
        self.process.wait(timeout=PATIENCE)


class Installation:
    """Records in a directory or in a separate database, and the servers that share them."""

    def __init__(self, directory: Path, engine: str = "sqlite") -> None:
        self.log = directory / "log"
        self.records = records_in(directory, engine)
        self.environment = os.environ | self.records | {"REFUNDS_RATE_LIMIT": "0"}
        self.first: Callable[[], object] = bool
        """What each of its processes calls before it begins."""

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """A server that has started; terminated afterwards."""
        with self.instances(1) as (server,):
            yield server

    @contextmanager
    def instances(self, number: int) -> Iterator[list[Server]]:
        """Several servers that start at the same time, once all have started; terminated afterwards."""
        with ExitStack() as ending:
            servers = [ending.enter_context(self._started(port)) for port in free_ports(number)]
            for server in servers:
                until(lambda server=server: server.process.poll() is not None or is_alive(server.port))
                assert server.process.poll() is None, self.log.read_text()
            # Terminate all before waiting for any. The copy is needed because a test may shorten the list.
            ending.callback(lambda running=tuple(servers): [server.process.terminate() for server in running])
            yield servers

    @contextmanager
    def _started(self, port: int) -> Iterator[Server]:
        process = Command(["serve"], self.environment | {"PORT": str(port)}, self.log, self.log, self.first)
        try:
            yield Server(process, port)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store of these records, opened in this process too."""
        settings = Settings(
            port=8000,
            policy="virtual-numbers",
            env="development",
            database=self.environment["REFUNDS_DATABASE"],
            master_key_file=Path(self.records["REFUNDS_MASTER_KEY_FILE"]),
            ledger_dir=Path(self.records["REFUNDS_LEDGER_DIR"]),
            rate_limit=0,
            drain_seconds=0,
            trusted_hosts=["localhost"],
            public_url="",
            listen="127.0.0.1",
            behind_tls_proxy=False,
            log_level="info",
        )
        store = Store(settings)
        try:
            yield store
        finally:
            store.close()

    def lines(self) -> list[dict]:
        """The log lines of the servers."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def require_calm(self) -> None:
        """Assert that no server has failed or logged a warning or error."""
        lines = self.lines()
        assert max(line["status"] for line in lines if line["event"] == "request") < 500
        assert {line["level"] for line in lines if line.get("status") not in {401, 403}} == {"info"}
        assert not {"locked", "Traceback", "ERROR"} & set(re.findall(r"\w+", self.log.read_text()))

    def require_sound(self) -> Report:
        """Assert that the audit finds everything sound, and return its report."""
        with self.store() as store:
            checkpoints = list(store.checkpoints)
            with store.read(COMMAND_LINE) as uow:
                return uow.verify(checkpoints)

    def tokens(self) -> dict[str, str]:
        """The token of each role, as printed at the first start."""
        lines = map(str.split, self.log.read_text().splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2 and words[1].startswith("rfd_")}

    def flask(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run a command, and capture its output."""
        with TemporaryDirectory() as directory:
            out, err = Path(directory, "out"), Path(directory, "err")
            code = Command(arguments, self.environment, out, err, self.first).wait()
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def is_alive(port: int) -> bool:
    """Whether a server responds."""
    with Client(port, "") as client:
        return client.send("GET", "/livez").status == 200


def free_port() -> int:
    """A free port."""
    return free_ports(1)[0]


def free_ports(number: int) -> list[int]:
    """Several free ports that no other call returns."""
    places = [_places.enter_context(socket.socket()) for _ in range(number)]
    for place in places:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
    return [place.getsockname()[1] for place in places]


# Sockets that are bound but never listen reserve the ports until the end, as other processes look for ports too.
_places = ExitStack()
atexit.register(_places.close)


def until(condition, seconds: float = PATIENCE) -> None:
    """Wait until a condition is true, ignoring connection errors while a server is starting."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError("it took too long")


def cancellation_of(order_id: str) -> dict:
    """A request for a cancellation that is in time, with order and contact."""
    return {
        "order": {
            "order_id": order_id,
            "customer_ref": f"customer of {order_id}",
            "service_provided_at": datetime.now(UTC).isoformat(),
        },
        "contact": {"channel": "phone", "from_detail": "+4989123456"},
    }


def cancel_and_die(settings: Settings, token: str, body: object, key: str, when: str, statement: str) -> None:
    """Cancel an order, and be killed before or after the statement that starts with this text."""
    app = create_app(settings)
    app.extensions["refunds.store"].open()
    execute = sqlite.Connection.execute

    def deadly(connection, sql, parameters=None):
        matches = sql.startswith(statement)
        if matches and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = execute(connection, sql, parameters)
        if matches and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    sqlite.Connection.execute = deadly
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    app.test_client().post("/v1/cancellations", json=body, headers=headers)


def move_clock(seconds: int) -> None:
    """Move the clock of this process."""
    time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds)).start()


def hurry(seconds: int) -> None:
    """Let a server in this process give its clients only so many seconds to send a request or to read an answer."""
    server.IN_TIME = seconds


STEPS = ("fsync", "ftruncate", "link", "mkdir", "replace", "unlink")
"""The calls of the system that change what is on disk, or its names."""


def run_and_die(settings: Settings, words: list[str], nth: int) -> None:
    """Run a command, and be killed before its nth step, which may be in the middle of a copy; else exit with its code."""
    app = create_app(settings)
    app.cli = Commands(app.name)
    left = [nth]

    def step(*_):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(function):
        def call(*given, **named):
            step()
            return function(*given, **named)

        return call

    execute = sqlite.Connection.execute

    def stepwise(connection, sql, parameters=None):
        if sql.startswith(("VACUUM", "BEGIN IMMEDIATE", "COMMIT")):
            step()
        if sql.startswith("VACUUM"):
            connection.database.conn.set_progress_handler(step, scaled(400, 50))
        return execute(connection, sql, parameters)

    sqlite.Connection.execute = stepwise
    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    sys.exit(app.test_cli_runner().invoke(args=words).exit_code)


def erase_and_die(settings: Settings, customer_id: str, nth: int) -> None:
    """Erase a customer, and be killed before the nth step: a statement, or a line brought to disk."""
    with closing(Store(settings)) as store:
        store.open()
        _die_before(nth)
        with store.write(COMMAND_LINE) as uow:
            privacy.erase(uow, customer_id, ErasureReason.CHILD)


def rotate_and_die(settings: Settings, table: str, nth: int) -> None:
    """Rotate the master key in batches of ten, and be killed before the nth key of this table is wrapped anew."""
    with closing(Store(settings)) as store:
        store.open()
        rotation.BATCH = 10
        left = [nth]

        def deadly(function):
            def call(self, sql, *given, **named):
                left[0] -= sql.startswith(f"UPDATE {table} SET")
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(self, sql, *given, **named)

            return call

        sqlite.Connection.execute = deadly(sqlite.Connection.execute)
        postgres.PostgresTransaction._execute = deadly(postgres.PostgresTransaction._execute)
        rotation.rotate(store)


def forget_and_die(settings: Settings, today: datetime, nth: int) -> None:
    """Run retention on a day, three records at a time, and be killed before the nth step."""
    retention.BATCH = 3
    with time_machine.travel(today), closing(Store(settings)) as store:
        store.open()
        _die_before(nth)
        retention.run(store)


def _die_before(nth: int) -> None:
    """Let this process be killed before the nth statement, or line brought to disk, from now on."""
    left = [nth]

    def deadly(function):
        def call(*given, **named):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*given, **named)

        return call

    sqlite.Connection.execute = deadly(sqlite.Connection.execute)
    sqlite.SQLite.scrub = deadly(sqlite.SQLite.scrub)
    postgres.PostgresTransaction._execute = deadly(postgres.PostgresTransaction._execute)
    postgres.PostgresTransaction.commit = deadly(postgres.PostgresTransaction.commit)
    os.write, os.fsync = deadly(os.write), deadly(os.fsync)
