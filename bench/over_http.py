"""Rows 2, 3 and 8: single checks and batches through the real server, its start and its memory."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, partial
from itertools import cycle, islice
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from bench import decide
from bench.apps import ANSWERS, CHECKS, PLAIN_BUILT, PLAIN_DATABASE, PLAIN_KEPT, PLAIN_TOKEN
from bench.installed import DISK, Installed, installed
from bench.measure import Comparison, Goal, at_least, at_most, best_seconds, in_turn, seconds
from bench.server import BARE, SERVICE, SERVICE_WITH_NO_OP, Running, load, running
from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant
from refunds.domain.outcomes import Facts

BUILT, KEPT = "the plain service, holidays built each time", "the plain service, holidays kept"
FEW, MORE = 4, 16
"""Clients at once."""
ITEMS = 10_000
LEAST = 0.3
"""The minimum seconds of a measurement that is compared with a batch: about as many as the batch takes."""

Runs = Mapping[str, Callable[[], object]]


@dataclass(slots=True, eq=False)
class Load:
    """Requests by some clients, and the best results: requests per second, and the 99th percentile of their seconds.

    Where `requests` is a function, it makes new ones for each measurement.
    """

    requests: Sequence[bytes] | Callable[[], Sequence[bytes]]
    servers: Sequence[Running]
    clients: int
    per_second: float = 0
    p99: float = inf

    def measure(self) -> None:
        """Send all requests once, and keep the best results so far."""
        latencies: list[float] = []
        requests = self.requests() if callable(self.requests) else self.requests
        took = seconds(lambda: latencies.extend(load(self.servers, requests, self.clients)))
        self.per_second = max(self.per_second, len(requests) / took)
        self.p99 = min(self.p99, sorted(latencies)[len(latencies) * 99 // 100])


def single_checks(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 2: checks, against the bare app, against fewer clients, and against the plain service.

    `quick` makes fewer requests and rounds.
    """
    questions = [_question(facts) for facts in _facts(decide.CASES)]
    with (
        installed() as home,
        serving(home) as [service],
        _bare(service, home, questions) as bare,
        plain(PLAIN_BUILT, home.post(CHECKS, questions[0])) as built,
        plain(PLAIN_KEPT, home.post(CHECKS, questions[0])) as kept,
    ):
        checks = [home.post(CHECKS, question) for question in islice(cycle(questions), 500 if quick else 1000)]
        loads = {("checks", clients): Load(checks, [service], clients) for clients in (1, FEW, MORE)}
        loads |= {("bare Flask", clients): Load(checks, [bare], clients) for clients in (FEW, MORE)}
        loads |= {(BUILT, FEW): Load(checks[: len(checks) // 4], [built], FEW), (KEPT, FEW): Load(checks, [kept], FEW)}
        for name in in_turn(loads, 2 if quick else 8):
            loads[name].measure()
    for control, clients, goal in (
        (("bare Flask", FEW), FEW, 0.5),
        (("bare Flask", MORE), MORE, 0.5),
        (("checks", 1), FEW, 1.2),
        (("checks", 1), MORE, 1.2),
        ((BUILT, FEW), FEW, 1.2),
        ((KEPT, FEW), FEW, 0.6),
    ):
        yield _rate(loads["checks", clients], loads[control], *control, at_least(goal))
    one, many = loads["checks", 1].p99, loads["checks", MORE].p99
    figures = {"many_ms": many * 1e3, "one_ms": one * 1e3}
    yield Comparison(2, f"p99 of a check, {MORE} at once", "1 at once", many / one, at_most(4), figures=figures)


def _rate(ours: Load, control: Load, name: str, clients: int, goal: Goal) -> Comparison:
    figures = {"ours_per_second": ours.per_second, "control_per_second": control.per_second}
    what, against = f"checks a second, {ours.clients} at once", f"{name}, {clients} at once"
    return Comparison(2, what, against, ours.per_second / control.per_second, goal, figures=figures)


def batches(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 3: a batch against single checks, `decide()` in a loop, and code by hand. `quick` makes fewer rounds.

    Raises `AssertionError` first if the batch decides otherwise than `decide()` or the code by hand.
    """
    facts_of_all = _facts(ITEMS)
    body = {"items": [_question(facts) for facts in facts_of_all]}
    with installed() as home, serving(home) as [service]:
        batch = home.post(f"{CHECKS}/batch", body)
        singles = [_check_request(home, facts) for facts in facts_of_all]
        decided = decide.eligible(facts_of_all, decide.version())
        (answer,) = service.ask([batch])
        by_hand = partial(_by_hand, _known(body, answer), json.dumps(body).encode())
        assert _eligible(answer) == decided
        assert json.loads(by_hand()) == json.loads(answer)
        controls: Sequence[tuple[str, Callable[[], object], Goal]] = (
            ("single checks", partial(service.load, singles, 1), at_least(25)),
            ("decide() in a loop", decide.decide_all(facts_of_all, decide.version()), at_most(7)),
            ("the barest code by hand", by_hand, at_most(4.5)),
        )
        for control, run, goal in controls:
            runs: Runs = {"batch": partial(service.load, [batch], 1), control: run}
            yield _batch_beside(runs, goal, 1 if quick else 3 if goal.bound == "at least" else 12)


def _batch_beside(runs: Runs, goal: Goal, rounds: int) -> Comparison:
    """Measure a batch, the first of `runs`, against its control: how many times faster or, by the goal, slower."""
    best = best_seconds(runs, rounds, LEAST)
    (_, batch), (against, control) = best.items()
    figures = {"batch_us_an_item": batch / ITEMS * 1e6, "control_us_an_item": control / ITEMS * 1e6}
    ratio = control / batch if goal.bound == "at least" else batch / control
    return Comparison(3, f"batch of {ITEMS:,}", against, ratio, goal, figures=figures)


def _by_hand(known: Mapping[tuple[date, date, bool], Mapping[str, Any]], body: bytes) -> bytes:
    """The same answers as the service's, with all but the verdict and the instant known, and nothing checked."""
    items = []
    for item in orjson.loads(body)["items"]:
        provided_on, received_on, eligible = _decided(item)
        items.append(known[provided_on, received_on, eligible] | {"requested_at": item["requested_at"]})
    return orjson.dumps({"items": items})


def _known(body: Mapping[str, Any], answer: bytes) -> Mapping[tuple[date, date, bool], Mapping[str, Any]]:
    """The service's answers, by the days and the verdict."""
    return {_decided(item): known for item, known in zip(body["items"], json.loads(answer)["items"], strict=True)}


def _decided(item: Mapping[str, Any]) -> tuple[date, date, bool]:
    """The local days of the service and of the request, and whether this is in time."""
    day = datetime.fromisoformat(item["service_provided_at"]).astimezone(decide.BERLIN).date()
    received_at = datetime.fromisoformat(item["requested_at"])
    return day, received_at.astimezone(decide.BERLIN).date(), received_at < _deadline(day)


@cache
def _deadline(day: date) -> datetime:
    last_day = decide.cached(day, decide.LENGTHS[0])
    return datetime.combine(last_day + timedelta(days=1), time(), decide.BERLIN).astimezone(UTC)


def starts(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 8: the time from start to first answer, and the memory then, against the bare app.

    The service starts with existing records, as on every day but the first. `quick` makes fewer rounds.
    """
    commands = {"service": SERVICE, "bare": BARE}
    after, memory = (dict.fromkeys(commands, inf) for _ in range(2))
    with installed() as home:
        first = _check_request(home, _facts(1)[0])
        for name in in_turn(commands, 2 if quick else 6):
            with running(commands[name], first, home.environment) as server:
                after[name] = min(after[name], server.first_answer_after)
                memory[name] = min(memory[name], server.resident_megabytes)
    against = "bare Flask"
    figures = {f"{name}_seconds": after[name] for name in after}
    yield Comparison(8, "start to first answer", "the clock", after["service"], at_most(1.5), "s", figures)
    ratio = after["service"] / after["bare"]
    yield Comparison(8, "start to first answer", against, ratio, figures=figures)
    figures = {f"{name}_megabytes": memory[name] for name in memory}
    more = memory["service"] - memory["bare"]
    yield Comparison(8, "more resident memory", against, more, at_most(60), "MB", figures)


def _facts(count: int) -> list[Facts]:
    return decide.cases(count, Channel.PHONE)


def _question(facts: Facts) -> dict[str, Any]:
    """The body of a check of these facts."""
    assert facts.service_provided_at
    return {
        "service_provided_at": format_instant(facts.service_provided_at),
        "requested_at": format_instant(facts.received_at),
        "channel": facts.channel,
        "region": decide.REGION,
    }


def _check_request(home: Installed, facts: Facts) -> bytes:
    return home.post(CHECKS, _question(facts))


def _eligible(answer: bytes) -> list[bool]:
    return [item["eligible"] for item in json.loads(answer)["items"]]


@contextmanager
def serving(home: Installed, instances: int = 1) -> Iterator[Sequence[Running]]:
    """Warm instances of the service with the no-op, which all serve an installation; stopped after the block."""
    with ExitStack() as stack:
        warm_up = [_check_request(home, facts) for facts in _facts(decide.CASES)]
        servers = [
            stack.enter_context(running(SERVICE_WITH_NO_OP, warm_up[0], home.environment)) for _ in range(instances)
        ]
        for server in servers:
            server.ask(warm_up)
        yield servers


@contextmanager
def plain(name: str, first: bytes) -> Iterator[Running]:
    """The plain service of this name, with an empty database, and the token of the `first` request.

    It is stopped at the end of the block.
    """
    token = first.partition(b"Bearer ")[2].partition(b"\r")[0].decode()
    with TemporaryDirectory(prefix="refunds-bench-", dir=DISK) as directory:
        environment = {PLAIN_DATABASE: f"sqlite:///{directory}/plain.db", PLAIN_TOKEN: token}
        with running((sys.executable, "-m", "bench.apps", name), first, environment) as server:
            yield server


@contextmanager
def _bare(service: Running, home: Installed, questions: Sequence[Any]) -> Iterator[Running]:
    """The bare app, warm, with the service's answers to these questions; it requires no token.

    It is stopped at the end of the block.
    """
    requests = [home.post(CHECKS, question) for question in questions]
    answers = service.ask(requests)
    with TemporaryDirectory() as directory:
        file = Path(directory, "answers.json")
        known = {json.dumps(question): answer.decode() for question, answer in zip(questions, answers, strict=True)}
        file.write_text(json.dumps(known), encoding="utf-8")
        with running(BARE, requests[0], {ANSWERS: str(file)}) as bare:
            assert bare.ask(requests) == answers
            yield bare
