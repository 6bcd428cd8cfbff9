"""Row 1: `decide()` without the list of days, against four other ways to count business days.

Every control has the same input and output as `decide()`: from the local date of the service, the deadline as the
instant in UTC at which the day after the last one begins, and whether the request came before it.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import holidays
import numpy as np
from workalendar.europe import Bavaria

from bench.measure import Comparison, Goal, Name, at_least, at_most, best_seconds
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import decide
from refunds.domain.holidays_data import business_calendar
from refunds.domain.outcomes import Facts
from refunds.domain.policy import PolicyVersion
from refunds.schemas.policy import packaged

CASES = 1000
PART = 100
"""Cases are timed in parts, so that a slow control too finds quiet moments on a busy machine."""
LEAST = 0.02
REGION = "DE-BY"
YEAR = 2026
LENGTHS = (2, 30, 366)
BERLIN = ZoneInfo("Europe/Berlin")
_DAY = timedelta(days=1)

Answer = tuple[datetime, bool]
LastDay = Callable[[date, int], date]
Maker = Callable[..., Callable[[], None]]


class _Bavaria(Bavaria):
    """Bavaria as in the other calendars: Assumption is a holiday only in its mostly Catholic towns."""

    include_assumption = False


_CACHED = holidays.country_holidays("DE", subdiv="BY", years=range(YEAR, YEAR + 3))
_WORKALENDAR = _Bavaria()
_NUMPY = np.busdaycalendar(holidays=sorted(_CACHED))


def per_request(day: date, n: int) -> date:
    """The last day, by a `holidays` object that is built for this question."""
    return holidays.country_holidays("DE", subdiv="BY").get_nth_working_day(day, n)


def cached(day: date, n: int) -> date:
    """The last day, by one `holidays` object whose years are already computed."""
    return _CACHED.get_nth_working_day(day, n)


def workalendar(day: date, n: int) -> date:
    """The last day, by workalendar, which caches the holidays of a year."""
    return _WORKALENDAR.add_working_days(day, n)


def numpy(day: date, n: int) -> date:
    """The last day, by numpy's table of business days, one date at a time."""
    return np.busday_offset(day, n, roll="preceding", busdaycal=_NUMPY).item()


CONTROLS: Mapping[str, LastDay] = {
    "holidays per request": per_request,
    "holidays, cached": cached,
    "workalendar": workalendar,
    "numpy.busday_offset": numpy,
}

GOALS: Mapping[tuple[int, LastDay], Goal] = {
    (2, per_request): at_least(100),
    (2, cached): at_least(4),
    (2, workalendar): at_least(2),
    (2, numpy): at_least(2),
    (30, cached): at_least(10),
}


def by_control(last_day: LastDay, facts: Facts, n: int) -> Answer:
    """The deadline and whether the request was in time, with the days counted by a control and a window of `n` days."""
    day = facts.service_provided_at.astimezone(BERLIN).date()
    deadline = datetime.combine(last_day(day, n) + _DAY, time.min, BERLIN).astimezone(UTC)
    return deadline, facts.received_at < deadline


def comparisons(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 1: `decide()` against each control and against itself. `quick` makes two rounds instead of eight.

    Raises `AssertionError` first if a control answers otherwise than `decide()`.
    """
    sample, rounds = cases(CASES), 2 if quick else 8
    for n in LENGTHS:
        check_agreement(sample, n)
    for n in LENGTHS[:-1]:
        yield from _against_controls(sample, n, rounds)
    yield from _against_itself(sample, rounds)


def check_agreement(sample: Sequence[Facts], n: int) -> None:
    """Raise `AssertionError` if a control answers otherwise than `decide()`, with a window of `n` business days."""
    judging = version(n)
    calendar = _calendar(judging)
    for facts in sample:
        decision = decide(facts, judging, calendar)
        for name, last_day in CONTROLS.items():
            answer = by_control(last_day, facts, n)
            if answer != (decision.deadline, decision.eligible):
                raise AssertionError(f"{name} answers {answer} where decide() has {decision}")


def eligible(sample: Sequence[Facts], judging: PolicyVersion) -> list[bool]:
    """Whether each case is eligible by `decide()`."""
    calendar = _calendar(judging)
    return [decide(facts, judging, calendar).eligible for facts in sample]


def decide_all(sample: Sequence[Facts], judging: PolicyVersion) -> Callable[[], None]:
    """A function that decides every case, one after another."""
    calendar = _calendar(judging)

    def run() -> None:
        for facts in sample:
            decide(facts, judging, calendar).eligible  # noqa: B018 - a property that decides

    return run


def cases(count: int, channel: Channel | None = None) -> list[Facts]:
    """Service instants all over a year, each with a request in the eight days after it; the same ones every time."""
    chance = random.Random(YEAR)
    made = []
    for _ in range(count):
        provided = datetime(YEAR, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(365 * 86_400))
        received = provided + timedelta(seconds=chance.randrange(8 * 86_400))
        made.append(Facts(service_provided_at=provided, received_at=received, channel=channel))
    return made


def version(n: int = LENGTHS[0]) -> PolicyVersion:
    """The packaged policy with a window of n business days."""
    of_the_vendor = packaged("virtual-numbers")
    assert of_the_vendor is not None
    return of_the_vendor.what_if({"window_business_days": n})


def _against_controls(sample: Sequence[Facts], n: int, rounds: int) -> Iterator[Comparison]:
    makers = {name: partial(_control_all, last_day, n=n) for name, last_day in CONTROLS.items()}
    best = _best_in_parts({"decide": partial(decide_all, judging=version(n))} | makers, sample, rounds)
    ours = best.pop("decide")
    for name, control in best.items():
        figures = {"ours_us": ours / len(sample) * 1e6, "control_us": control / len(sample) * 1e6}
        goal = GOALS.get((n, CONTROLS[name]))
        yield Comparison(1, f"decide(), {n} days", name, control / ours, goal, figures=figures)


def _against_itself(sample: Sequence[Facts], rounds: int) -> Iterator[Comparison]:
    """Measure the longest window against the shortest, to show growth."""
    few, *_, many = LENGTHS
    makers = {n: partial(decide_all, judging=version(n)) for n in (few, many)}
    best = _best_in_parts(makers, sample, rounds)
    figures = {f"days_{n}_us": best[n] / len(sample) * 1e6 for n in best}
    ratio = best[many] / best[few]
    yield Comparison(1, f"decide(), {many} days", f"itself, {few} days", ratio, at_most(1.1), figures=figures)


def _control_all(last_day: LastDay, sample: Sequence[Facts], n: int) -> Callable[[], None]:
    def run() -> None:
        for facts in sample:
            by_control(last_day, facts, n)

    return run


def _best_in_parts(makers: Mapping[Name, Maker], sample: Sequence[Facts], rounds: int) -> dict[Name, float]:
    """The shortest time of each run over all cases, in seconds: the sum of the shortest over its parts."""
    parts = [sample[start : start + PART] for start in range(0, len(sample), PART)]
    runs = {(name, i): make(sample=part) for name, make in makers.items() for i, part in enumerate(parts)}
    best = best_seconds(runs, rounds, LEAST)
    return {name: sum(best[name, i] for i in range(len(parts))) for name in makers}


def _calendar(judging: PolicyVersion):
    return business_calendar(REGION, judging.terms.business_week)
