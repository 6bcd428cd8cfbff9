"""Anchors: what the journal was at some time, in a file outside the database.

Whoever cuts the end off the journal would have to cut it off here too.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from refunds.domain.instants import format_instant, parse_instant
from refunds.errors import ConfigurationError

EVERY = 100
"""How many positions lie between two checkpoints, besides those at start and stop."""


class Checkpoint(NamedTuple):
    """The head of the journal at an instant."""

    position: int
    hash: bytes
    at: datetime


class Checkpoints:
    """The checkpoints in a directory, one a line."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "anchors.jsonl"

    def require_writable(self) -> None:
        """Raise `ConfigurationError` where no anchor could be written."""
        try:
            os.close(self._open())
        except OSError as error:
            message = f"REFUNDS_LEDGER_DIR: {self.file} cannot be written: {error.strerror}"
            raise ConfigurationError(f"{message}: name a directory that the service may write to") from None

    def append(self, checkpoint: Checkpoint) -> None:
        """Write an anchor down for good; raises `OSError`."""
        line = orjson.dumps(
            {"position": checkpoint.position, "hash": checkpoint.hash.hex(), "at": format_instant(checkpoint.at)}
        )
        file = self._open()
        try:
            # Of several machines, on a file system that they share, each would take another place for the end.
            fcntl.flock(file, fcntl.LOCK_EX)
            # One write, so that lines of several processes do not mix; and a line of its own, whatever was torn before.
            if os.write(file, b"\n" + line + b"\n") <= len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)

    def _open(self) -> int:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __iter__(self) -> Iterator[Checkpoint]:
        if not self.file.exists():
            return
        for number, line in enumerate(self.file.read_bytes().splitlines(), 1):
            if not line or not line.endswith(b"}"):  # torn by a full disk or a crash
                continue
            try:
                data = orjson.loads(line)
                yield Checkpoint(int(data["position"]), bytes.fromhex(data["hash"]), parse_instant(data["at"]))
            except (ValueError, KeyError, TypeError):
                raise ConfigurationError(f"REFUNDS_LEDGER_DIR: {self.file}, line {number}: not an anchor") from None
