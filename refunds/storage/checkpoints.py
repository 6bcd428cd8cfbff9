"""The ledger: files outside the database to which lines are only added; one has the checkpoints of the journal.

To hide that the end of the journal was cut off, someone would have to cut it off here too.
"""

import errno
import fcntl
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from refunds.domain.instants import format_instant, parse_instant
from refunds.errors import ConfigurationError, Message

T = TypeVar("T")

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


_END = 2**16
"""Bytes at the end of a file in which its last line is looked for first."""

_NONE = ValueError, KeyError, TypeError
"""What a line raises that is no entry."""


class LedgerFile(Generic[T]):
    """Entries in a file of a directory, one per line, in the order in which they were written; instances share it.

    Reading them skips lines that were torn, and raises `ConfigurationError` at any other that is no such entry.
    """

    def __init__(self, directory: Path, name: str, load: Callable[[Any], T], dump: Callable[[T], Any]) -> None:
        self.file, self._load, self._dump = directory / name, load, dump

    def require_writable(self) -> None:
        """Create the file and its directory if needed; raise `ConfigurationError` if the file cannot be written."""
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

    def append(self, *entries: T) -> None:
        """Append entries and bring them to disk, in a file that is made if needed; raises `OSError` if that fails."""
        lines = b"\n".join(orjson.dumps(self._dump(entry)) for entry in entries)
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

    def last(self) -> T | None:
        """Return the last entry that was written whole; None if there is none. Of a long file, only the end is read."""
        with suppress(FileNotFoundError, *_NONE), self.file.open("rb") as file:
            file.seek(-min(_END, file.seek(0, os.SEEK_END)), os.SEEK_END)
            _, *lines = file.read().split(b"\n")  # the first one is cut off, or empty
            if found := next(filter(None, map(self._parsed, reversed(lines))), None):
                return found
        return next(iter(deque(self, maxlen=1)), None)

    def _open(self) -> int:
        """Open the file, made if needed with its directory, to append; return the descriptor. Raises `OSError`."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.file.exists()
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:  # its name, too, has to survive a power cut
            directory = os.open(self.file.parent, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(directory)
            os.close(directory)
        return file

    def __iter__(self) -> Iterator[T]:
        """Yield the entries, the oldest first; none if there is no file."""
        if not self.file.exists():
            return
        for number, line in enumerate(self.file.read_bytes().splitlines(), 1):
            try:
                if (entry := self._parsed(line)) is not None:
                    yield entry
            except _NONE:
                detail = Message(
                    "REFUNDS_LEDGER_DIR: %(file)s, line %(number)s: not an entry", file=self.file, number=number
                )
                raise ConfigurationError(detail) from None

    def _parsed(self, line: bytes) -> T | None:
        """Return the entry in a line; None if the line does not end with `}`, because it is empty or was not completed.

        Raises one of the errors in `_NONE` if a line that ends with `}` is no entry.
        """
        return self._load(orjson.loads(line)) if line.endswith(b"}") else None


class Checkpoints(LedgerFile[Checkpoint]):
    """The checkpoints, in the order in which they were written."""

    def __init__(self, directory: Path, name: str = "anchors.jsonl") -> None:
        super().__init__(directory, name, _checkpoint, _dumped)


def _checkpoint(data: Any) -> Checkpoint:
    """Return the checkpoint in the data of a line; raise `ValueError`, `KeyError` or `TypeError` if there is none."""
    at, more = parse_instant(data["at"]), (data.get("journal"), data.get("accepted"))
    return Checkpoint(int(data["position"]), bytes.fromhex(data["hash"]), at, *more)


def _dumped(checkpoint: Checkpoint) -> Any:
    """Return a checkpoint as the data of a line, without fields that are None."""
    written = checkpoint._asdict() | {"hash": checkpoint.hash.hex(), "at": format_instant(checkpoint.at)}
    return {name: value for name, value in written.items() if value is not None}
