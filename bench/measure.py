"""Timing in rounds, and what comes of it: a figure beside its control, and the goal it is held to."""

import gc
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from time import perf_counter
from typing import Any, Literal, TypeVar

Name = TypeVar("Name", str, int)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a measured figure keeps, or not."""

    bound: Literal["at least", "at most"]
    value: float

    def is_reached(self, measured: float) -> bool:
        """Whether the figure keeps the bound."""
        return measured >= self.value if self.bound == "at least" else measured <= self.value


def at_least(value: float) -> Goal:
    return Goal("at least", value)


def at_most(value: float) -> Goal:
    return Goal("at most", value)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table; without a goal it is there to be compared with. `figures` are what it was made from."""

    row: int
    what: str
    against: str
    measured: float
    goal: Goal | None = None
    unit: str = "x"
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        return self.goal and self.goal.is_reached(self.measured)

    def data(self) -> dict[str, Any]:
        """The line as plain data."""
        return asdict(self) | {"reached": self.reached}


def in_turn(names: Iterable[Name], rounds: int) -> list[Name]:
    """Every name once in each round, in another order each time, so that none always comes first."""
    order = random.Random(1)
    one_round = list(names)
    return [name for _ in range(rounds) for name in order.sample(one_round, len(one_round))]


def best_seconds(runs: Mapping[Name, Callable[[], object]], rounds: int) -> dict[Name, float]:
    """The shortest time of each run, in seconds, of several interleaved rounds."""
    best = dict.fromkeys(runs, inf)
    for name in in_turn(runs, rounds):
        best[name] = min(best[name], seconds(runs[name]))
    return best


def seconds(run: Callable[[], object]) -> float:
    """How long one run takes, with no garbage collection in it."""
    gc.collect()
    gc.disable()
    try:
        began = perf_counter()
        run()
        return perf_counter() - began
    finally:
        gc.enable()
