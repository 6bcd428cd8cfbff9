"""Installations of the service on either engine, each with separate records and a token."""

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

from refunds.config import Settings, load_settings
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.service import clients
from refunds.service.store import Store
from tests.postgres import Cluster, cluster

DISK = os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108 - `tempfile` creates what is made there
"""The directory of all data: `/tmp` may be in memory, where commits cost nothing."""

_RECORDS = "refunds.db"


class Engine(StrEnum):
    """The engines that can keep the records."""

    SQLITE = "SQLite"
    POSTGRESQL = "PostgreSQL"


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation without a rate limit, and a token whose role may do everything that is measured.

    `server` is that of its database, unless this is a file.
    """

    directory: Path
    database: str
    token: str = ""
    server: Cluster | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that a process that serves this installation needs, in addition to its own."""
        return {
            "REFUNDS_DATABASE": self.database,
            "REFUNDS_MASTER_KEY_FILE": str(self.directory / "master.key"),
            "REFUNDS_LEDGER_DIR": str(self.directory / "ledger"),
            "REFUNDS_RATE_LIMIT": "0",
        }

    @property
    def settings(self) -> Settings:
        """The settings of a process that serves this installation."""
        with mock.patch.dict(os.environ, self.environment):
            return load_settings()

    def store(self) -> closing[Store]:
        """The store of this installation, in this process."""
        return closing(Store(self.settings))

    def principal(self, store: Store) -> Principal:
        """The principal of the token."""
        principal, _ = clients.authenticate(store, self.token)
        return principal

    def copied(self, name: str) -> Self:
        """A copy of an installation with its records in a directory beside this one; it must not be in use.

        `name` is that of the directory.
        """
        if self.server:
            return self.with_database(self.server.create(of=self.database), name)
        directory = self.directory.with_name(name)
        shutil.copytree(self.directory, directory)
        return replace(self, directory=directory, database=_file(directory, _RECORDS))

    def with_database(self, url: str, name: str) -> Self:
        """An installation with the same keys and ledger and another database, in a directory beside this one.

        `name` is that of the directory. No records are copied.
        """
        directory = self.directory.with_name(name)
        shutil.copytree(self.directory, directory, ignore=shutil.ignore_patterns(f"{_RECORDS}*"))
        return replace(self, directory=directory, database=url)

    def get(self, path: str) -> bytes:
        """The bytes of a GET request."""
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode()

    def post(self, path: str, data: Any, key: str | None = None) -> bytes:
        """The bytes of a POST request, with an `Idempotency-Key` if given."""
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
    """A new installation and a token of billing for it, until the end of the block; then all its data is deleted.

    For PostgreSQL, a server is started for it.
    """
    with TemporaryDirectory(prefix="refunds-bench-", dir=DISK) as above, ExitStack() as stack:
        directory = Path(above, "first")
        server = stack.enter_context(postgresql()) if engine is Engine.POSTGRESQL else None
        empty = Installed(directory, server.create() if server else _file(directory, _RECORDS), server=server)
        with empty.store() as store, store.write(COMMAND_LINE) as uow:
            token = clients.create_token(uow, Role.BILLING, "bench", 1)
        yield replace(empty, token=token)


@contextmanager
def postgresql() -> Iterator[Cluster]:
    """A new PostgreSQL server with durable commits, until the end of the block."""
    with ExitStack() as stack:
        with mock.patch.object(tempfile, "tempdir", DISK):  # the parent of its data directory
            server = stack.enter_context(cluster(durable=True))
        yield server


def _file(directory: Path, name: str) -> str:
    """The URL of a database in a directory."""
    return f"sqlite:///{directory / name}"
