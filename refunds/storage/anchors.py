"""Anchors: what the journal was at some time, in a file outside the database.

Whoever cuts the end off the journal would have to cut it off here too.
"""

import errno
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from refunds.errors import ConfigurationError
from refunds.instants import format_instant, parse_instant

EVERY = 100
"""How many positions lie between two anchors, besides those at start and stop."""


class Anchor(NamedTuple):
    """The head of the journal at an instant."""

    position: int
    hash: bytes
    at: datetime


class Anchors:
    """The anchors in a directory, one a line."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "anchors.jsonl"

    def append(self, anchor: Anchor) -> None:
        """Write an anchor down for good; raises `OSError`."""
        line = orjson.dumps({"position": anchor.position, "hash": anchor.hash.hex(), "at": format_instant(anchor.at)})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            # One write, so that lines of several processes do not mix; and a line of its own, whatever was torn before.
            if os.write(file, b"\n" + line + b"\n") <= len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)

    def __iter__(self) -> Iterator[Anchor]:
        if not self.file.exists():
            return
        for number, line in enumerate(self.file.read_bytes().splitlines(), 1):
            if not line or not line.endswith(b"}"):  # torn by a full disk or a crash
                continue
            try:
                data = orjson.loads(line)
                yield Anchor(int(data["position"]), bytes.fromhex(data["hash"]), parse_instant(data["at"]))
            except (ValueError, KeyError, TypeError):
                raise ConfigurationError(f"REFUNDS_LEDGER_DIR: {self.file}, line {number}: not an anchor") from None
