"""Installations of the service on either engine, each with records of its own, and a token to call it with."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from unittest import mock

from bench.apps import CONTROL
from refunds.config import Settings, load_settings
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.service import clients
from refunds.service.store import Store
from tests.postgres import Cluster, cluster

DISK = os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108 - what is made there is made by `tempfile`
"""Where everything is kept: `/tmp` may be memory, which knows no commits."""

_RECORDS, _COMMITS = "refunds.db", "commits.db"


class Engine(StrEnum):
    """What records can be kept in."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation; its token has the role that may do all that is measured, and its clients any number of calls.

    The database of the control is on the same disk as that of the records, or on the same server.
    """

    directory: Path
    database: str
    control: str
    token: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of a process that serves this installation."""
        return {
            "REFUNDS_DATABASE": self.database,
            "REFUNDS_MASTER_KEY_FILE": str(self.directory / "master.key"),
            "REFUNDS_LEDGER_DIR": str(self.directory / "ledger"),
            "REFUNDS_RATE_LIMIT": "0",
            CONTROL: self.control,
        }

    @property
    def settings(self) -> Settings:
        """The settings of a process that serves this installation."""
        with mock.patch.dict(os.environ, self.environment):
            return load_settings()

    def store(self) -> closing[Store]:
        """Its store, to work on its records in this process; closed at the end of a `with` block."""
        return closing(Store(self.settings))

    def principal(self, store: Store) -> Principal:
        """The client that the token stands for."""
        principal, _ = clients.authenticate(store, self.token)
        return principal

    def copied(self, name: str) -> Self:
        """A copy in a directory beside this one, of records on SQLite; nobody may be at work on it."""
        directory = self.directory.with_name(name)
        shutil.copytree(self.directory, directory)
        return replace(self, directory=directory, database=_file(directory, _RECORDS))

    def with_database(self, url: str, name: str) -> Self:
        """The same installation on another database, with its key and ledger copied beside this one, but no records."""
        directory = self.directory.with_name(name)
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns(f"{_RECORDS}*"))
        return replace(self, directory=directory, database=url)

    def get(self, path: str) -> bytes:
        """A GET with the token, as the bytes to send."""
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode()

    def post(self, path: str, data: Any, key: str | None = None) -> bytes:
        """A POST of JSON with the token, as the bytes to send; with a key, it has an `Idempotency-Key`."""
        body = json.dumps(data).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._headers}Content-Type: application/json\r\n"
        if key is not None:
            head += f"Idempotency-Key: {key}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    @property
    def _headers(self) -> str:
        return f"Host: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"


@contextmanager
def installed(engine: Engine = Engine.SQLITE) -> Iterator[Installed]:
    """A new installation with one token, on the disk or on a PostgreSQL of its own; removed at the end of the block."""
    with TemporaryDirectory(prefix="refunds-bench-", dir=DISK) as above, ExitStack() as stack:
        directory = Path(above, "first")
        if engine is Engine.SQLITE:
            urls = _file(directory, _RECORDS), _file(directory, _COMMITS)
        else:
            server = stack.enter_context(postgresql())
            urls = server.create(), server.create()
        empty = Installed(directory, *urls)
        with empty.store() as store, store.write(COMMAND_LINE) as uow:
            token = clients.create_token(uow, Role.BILLING, "bench", 1)
        yield replace(empty, token=token)


@contextmanager
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL that waits for its disk at every commit, until the end of the block."""
    with ExitStack() as stack:
        with mock.patch.object(tempfile, "tempdir", DISK):  # where it makes the directory of its data
            server = stack.enter_context(cluster(durable=True))
        yield server


def _file(directory: Path, name: str) -> str:
    """The URL of a database in a directory."""
    return f"sqlite:///{directory / name}"
