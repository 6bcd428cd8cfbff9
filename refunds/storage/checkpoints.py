"""Checkpoints: what the journal was at some time, in a file outside the database.

To hide that the end of the journal was cut off, someone would have to cut it off here too.
"""

import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from refunds.domain.instants import format_instant, parse_instant
from refunds.errors import ConfigurationError, Message

EVERY = 100
"""Positions between two checkpoints; start and stop add further ones."""


class Checkpoint(NamedTuple):
    """The head of a journal at an instant.

    `journal` is the id of the journal, None in lines from before they named it. `accepted` is the reason for which an
    operator accepted this journal in place of the one that was checkpointed before.
    """

    position: int
    hash: bytes
    at: datetime
    journal: str | None = None
    accepted: str | None = None


class Checkpoints:
    """The checkpoints in a file of a directory, one per line, in the order in which they were written.

    Reading them skips lines that were torn, and raises `ConfigurationError` at any other that is not a checkpoint.
    """

    def __init__(self, directory: Path, name: str = "anchors.jsonl") -> None:
        self.file = directory / name

    def require_writable(self) -> None:
        """Create the file, and its directory, if there is none; raise `ConfigurationError` if it cannot be written."""
        try:
            os.close(self._open())
        except OSError as error:
            detail = Message(
                "REFUNDS_LEDGER_DIR: %(file)s cannot be written: %(reason)s: name a directory that the service may "
                "write to",
                file=self.file,
                reason=error.strerror,
            )
            raise ConfigurationError(detail) from None

    def append(self, *checkpoints: Checkpoint) -> None:
        """Write checkpoints to disk, in a file that is made if needed; raises `OSError` if that fails."""
        lines = b"\n".join(map(_line, checkpoints))
        file = self._open()
        try:
            # Without the lock, machines that share a file system could each see another end of the file.
            fcntl.flock(file, fcntl.LOCK_EX)
            # One write, so that lines of several processes do not mix. It begins a new line: the last may be torn.
            if os.write(file, b"\n" + lines + b"\n") <= len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)

    def last(self) -> Checkpoint | None:
        """The checkpoint that was written last; None if there is none. Of a long file, only the end is read."""
        with suppress(FileNotFoundError, *_NONE), self.file.open("rb") as file:
            file.seek(-min(_END, file.seek(0, os.SEEK_END)), os.SEEK_END)
            _, *lines = file.read().split(b"\n")  # the first one is cut off, or empty
            if found := next(filter(None, map(_parsed, reversed(lines))), None):
                return found
        return next(iter(deque(self, maxlen=1)), None)

    def _open(self) -> int:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __iter__(self) -> Iterator[Checkpoint]:
        if not self.file.exists():
            return
        for number, line in enumerate(self.file.read_bytes().splitlines(), 1):
            try:
                if (checkpoint := _parsed(line)) is not None:
                    yield checkpoint
            except _NONE:
                detail = Message(
                    "REFUNDS_LEDGER_DIR: %(file)s, line %(number)s: not a checkpoint", file=self.file, number=number
                )
                raise ConfigurationError(detail) from None


_END = 2**16
"""Bytes at the end of a file in which its last line is looked for first."""

_NONE = ValueError, KeyError, TypeError
"""What a line raises that is not a checkpoint."""


def _parsed(line: bytes) -> Checkpoint | None:
    """The checkpoint in a line; None if it is empty or was torn by a full disk or a crash."""
    if not line.endswith(b"}"):
        return None
    data = orjson.loads(line)
    return Checkpoint(
        int(data["position"]),
        bytes.fromhex(data["hash"]),
        parse_instant(data["at"]),
        data.get("journal"),
        data.get("accepted"),
    )


def _line(checkpoint: Checkpoint) -> bytes:
    written = checkpoint._asdict() | {"hash": checkpoint.hash.hex(), "at": format_instant(checkpoint.at)}
    return orjson.dumps({name: value for name, value in written.items() if value is not None})
