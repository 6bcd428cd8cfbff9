"""Installations of the service, each with records of its own in a directory, and a token to call it with."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from unittest import mock

from refunds.access import COMMAND_LINE, Principal, Role
from refunds.config import Settings, load_settings
from refunds.service import clients
from refunds.service.books import Books
from refunds.service.policies import load_policies

DATABASE = "refunds.db"


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation; its token has the role that may do all that is measured, and its clients any number of calls."""

    directory: Path
    token: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells a process to serve this installation."""
        return {
            "REFUNDS_DATABASE": f"sqlite:///{self.directory / DATABASE}",
            "REFUNDS_MASTER_KEY_FILE": str(self.directory / "master.key"),
            "REFUNDS_LEDGER_DIR": str(self.directory / "ledger"),
            "REFUNDS_RATE_LIMIT": "0",
        }

    @property
    def settings(self) -> Settings:
        """The settings of a process that serves this installation."""
        with mock.patch.dict(os.environ, self.environment):
            return load_settings()

    def books(self) -> closing[Books]:
        """Its records, to be worked upon in this process."""
        settings = self.settings
        return closing(Books(settings, load_policies(settings.policies, settings.policy)))

    def principal(self, books: Books) -> Principal:
        """Whom the token stands for."""
        return clients.authenticate(books, self.token)

    def copied(self, name: str) -> Self:
        """A copy in a directory beside this one; nobody may be at work on it."""
        directory = self.directory.with_name(name)
        shutil.copytree(self.directory, directory)
        return type(self)(directory, self.token)

    def get(self, path: str) -> bytes:
        """A request to be sent as it is."""
        return f"GET {path} HTTP/1.1\r\n{self._headers}\r\n".encode()

    def post(self, path: str, data: Any, key: str | None = None) -> bytes:
        """A request to be sent as it is; with a key, an `Idempotency-Key`."""
        body = json.dumps(data).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._headers}Content-Type: application/json\r\n"
        if key is not None:
            head += f"Idempotency-Key: {key}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    @property
    def _headers(self) -> str:
        return f"Host: 127.0.0.1\r\nAuthorization: Bearer {self.token}\r\n"


@contextmanager
def installed() -> Iterator[Installed]:
    """A new installation, until the end of the block; on a disk, as `/tmp` may be memory, which knows no commits."""
    with TemporaryDirectory(prefix="refunds-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as above:  # noqa: S108
        empty = Installed(Path(above, "first"))
        with empty.books() as books, books.write(COMMAND_LINE) as work:
            token = clients.create_token(work, Role.BILLING, "bench", 1)
        yield Installed(empty.directory, token)
