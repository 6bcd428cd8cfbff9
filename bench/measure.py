"""Timing in rounds, and its result: a figure with its control and its goal."""

import gc
import random
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from math import inf
from time import perf_counter
from typing import Any, Literal, TypeVar

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a measured figure."""

    bound: Literal["at least", "at most"]
    value: float

    def is_reached(self, measured: float) -> bool:
        """Whether the figure is within the bound."""
        return measured >= self.value if self.bound == "at least" else measured <= self.value


def at_least(value: float) -> Goal:
    return Goal("at least", value)


def at_most(value: float) -> Goal:
    return Goal("at most", value)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table, with the `figures` that it was calculated from; without a goal it is for information."""

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
    """Every name once in each round, in a different order each time, so that none always comes first.

    Calls with the same names and rounds return the same order.
    """
    order = random.Random(1)
    one_round = list(names)
    return [name for _ in range(rounds) for name in order.sample(one_round, len(one_round))]


def best_seconds(runs: Mapping[Name, Callable[[], object]], rounds: int, least: float) -> dict[Name, float]:
    """The shortest time of each run in seconds, over several interleaved rounds; `least` as in `seconds`."""
    best = dict.fromkeys(runs, inf)
    for name in in_turn(runs, rounds):
        best[name] = min(best[name], seconds(runs[name], least))
    return best


def seconds(run: Callable[[], object], least: float = 0) -> float:
    """How long one run takes, with no garbage collection in it.

    A run shorter than `least` seconds is repeated, and the result is the mean: on a busy machine, a short run would
    find a quiet moment where a longer one would not.
    """
    gc.collect()
    gc.disable()
    try:
        runs, began = 0, perf_counter()
        while (took := perf_counter() - began) < least or not runs:
            run()
            runs += 1
        return took / runs
    finally:
        gc.enable()
