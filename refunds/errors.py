"""The error tree: everything that can go wrong, with its evidence and a stable code; no HTTP here.

A refusal is a value (a `Decision`), not an error. Each class names its `code`, which the web turns
into the page `/problems/<code>`, and its `exit_code`, with which the command line ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import ClassVar

MOST_FLAWS = 50
"""Nobody mends more at once, and an answer must not grow with what was sent."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing wrong with one place of the input: a JSON pointer, what to do, and a stable code."""

    pointer: str
    detail: str
    code: str = "invalid"

    def under(self, prefix: str) -> "Flaw":
        """The same flaw, seen from the document that holds this one at `prefix`."""
        return Flaw(prefix + self.pointer, self.detail, self.code)


class RefundsError(Exception):
    """Whatever the service can answer with instead of a result."""

    code: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1
    flaws: tuple[Flaw, ...] = ()


class InvalidInput(RefundsError):
    """The input breaks its contract; `flaws` names the places (the first of very many) and the mend."""

    code = "validation-error"
    exit_code = 3

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(islice(flaws, MOST_FLAWS))
        super().__init__(told(self.flaws))


def told(flaws: Iterable[Flaw]) -> str:
    """The first flaws in one line."""
    return "; ".join(f"{flaw.pointer}: {flaw.detail}".removeprefix(": ") for flaw in islice(flaws, 3))


class UnknownRegion(InvalidInput):
    """A region that the holiday data does not know by exactly this code."""

    code = "unknown-region"

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__([Flaw(pointer, detail, "unknown_region")])

    def at(self, pointer: str) -> "UnknownRegion":
        """The same error, found at `pointer`."""
        return UnknownRegion(self.flaws[0].detail, pointer)


class CalendarNotCovered(RefundsError):
    """A date that the holiday data of a region does not reach: never taken for "no holidays"."""

    code = "calendar-not-covered"
    exit_code = 3

    def __init__(self, region: str, first: date, last: date) -> None:
        self.region, self.first, self.last = region, first, last
        super().__init__(f"The holiday data of {region} covers {first} to {last}; this calculation would leave it.")


class NoPolicyInForce(RefundsError):
    """No version of the policy held at the instant that decides; `first` is when one will."""

    code = "no-policy-in-force"
    exit_code = 3

    def __init__(self, policy_id: str, at: datetime, first: datetime) -> None:
        self.policy_id, self.at, self.first = policy_id, at, first
        super().__init__(
            f"No version of the policy {policy_id} was in force at {at.isoformat()[:19]}Z; "
            f"the first takes effect at {first.isoformat()[:19]}Z."
        )


class NotFound(RefundsError):
    """Nothing is known under this name."""

    code = "not-found"
    exit_code = 3


class ConfigurationError(RefundsError):
    """The service cannot start as it is configured; every reason is listed, one a line."""

    code = "configuration-error"
    exit_code = 4
