"""What a check of the doctor finds."""

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from typing import NamedTuple


class Level(StrEnum):
    """How bad a finding is: `failed` if the service cannot start, lies or leaks, or soon will."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(NamedTuple):
    """What a check has found; without a fix, the text says what to do, or nothing is to be done."""

    level: Level
    text: str
    fix: str = ""


Found = Iterator[Finding]

ok, warning, failed = (partial(Finding, level) for level in Level)
