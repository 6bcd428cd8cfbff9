"""Rows 2, 3 and 8: single checks and batches through the real server, its start and its memory."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import decide
from bench.apps import ANSWERS, CHECKS, NO_OP
from bench.installed import Engine, Installed, installed
from bench.measure import Comparison, at_least, at_most, best_seconds, in_turn, seconds
from bench.server import BARE, SERVICE, SERVICE_WITH_NO_OP, Running, running
from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant
from refunds.domain.outcomes import Facts

CONNECTIONS = 4
ITEMS = 10_000
LEAST = 0.3
"""The minimum seconds of a measurement that is compared with a batch: about as many as the batch takes."""

Runs = Mapping[str, Callable[[], object]]


@dataclass(slots=True)
class Load:
    """The best results under load: requests per second, and the 99th percentile of their seconds."""

    requests: Sequence[bytes]
    server: Running
    per_second: float = 0
    p99: float = inf

    def measure(self) -> None:
        """Send all requests once, over four connections, and keep the best results so far."""
        latencies: list[float] = []
        took = seconds(lambda: latencies.extend(self.server.load(self.requests, CONNECTIONS)))
        self.per_second = max(self.per_second, len(self.requests) / took)
        self.p99 = min(self.p99, sorted(latencies)[len(latencies) * 99 // 100])


def single_checks(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 2: checks, through the server, against the no-op of the same app and against the bare app.

    `quick` makes fewer requests and rounds.
    """
    questions = [_question(facts) for facts in _facts(decide.CASES)]
    each = 500 if quick else 1000
    with serving() as ([service], home), _bare(service, home, questions) as bare:
        checks, no_ops = (
            [home.post(path, question) for question in islice(cycle(questions), each)] for path in (CHECKS, NO_OP)
        )
        loads = {
            "checks": Load(checks, service),
            "no-op of the same app": Load(no_ops, service),
            "bare Flask": Load(checks, bare),
        }
        for name in in_turn(loads, 2 if quick else 20):
            loads[name].measure()
    yield from _compared(loads)


def _compared(loads: dict[str, Load]) -> Iterator[Comparison]:
    """Throughput and p99 of the checks compared with each control; only the no-op has goals."""
    ours, no_op, *_ = loads.values()
    controls = [(name, load) for name, load in loads.items() if load is not ours]
    for name, load in controls:
        goal = at_least(0.6) if load is no_op else None
        figures = {"ours_per_second": ours.per_second, "control_per_second": load.per_second}
        ratio = ours.per_second / load.per_second
        yield Comparison(2, "checks a second", name, ratio, goal, figures=figures)
    for name, load in controls:
        goal = at_most(2) if load is no_op else None
        figures = {"ours_ms": ours.p99 * 1e3, "control_ms": load.p99 * 1e3}
        yield Comparison(2, "p99 of a check", name, ours.p99 / load.p99, goal, figures=figures)


def batches(*, quick: bool) -> Iterator[Comparison]:
    """Measure row 3: a batch against single checks, and against `decide()` in a loop. `quick` makes fewer rounds.

    Raises `AssertionError` first if the batch decides otherwise than `decide()`.
    """
    facts_of_all = _facts(ITEMS)
    with serving() as ([service], home):
        batch = home.post(f"{CHECKS}/batch", {"items": [_question(facts) for facts in facts_of_all]})
        singles = [_check_request(home, facts) for facts in facts_of_all]
        assert _eligible(service.ask([batch])[0]) == decide.eligible(facts_of_all, decide.version())
        at_once: Runs = {"batch": partial(service.load, [batch], 1)}
        yield _batch_beside(at_once | {"single checks": partial(service.load, singles, 1)}, 1 if quick else 4)
        loop = decide.decide_all(facts_of_all, decide.version())
        yield _batch_beside(at_once | {"decide() in a loop": loop}, 2 if quick else 12)


def _batch_beside(runs: Runs, rounds: int) -> Comparison:
    """Measure a batch against its control: how many times faster than single checks, or slower than the loop.

    `runs` has the batch first. The faster of the two decides which of these it is.
    """
    best = best_seconds(runs, rounds, LEAST)
    (_, batch), (against, control) = best.items()
    figures = {"batch_us_an_item": batch / ITEMS * 1e6, "control_us_an_item": control / ITEMS * 1e6}
    ratio, goal = (control / batch, at_least(20)) if control > batch else (batch / control, at_most(8))
    return Comparison(3, f"batch of {ITEMS:,}", against, ratio, goal, figures=figures)


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
def serving(engine: Engine = Engine.SQLITE, instances: int = 1) -> Iterator[tuple[Sequence[Running], Installed]]:
    """Warm instances of the service with the no-op, and the installation that all of them serve.

    They are started for the block, and stopped at its end.
    """
    with installed(engine) as home, ExitStack() as stack:
        warm_up = [_check_request(home, facts) for facts in _facts(decide.CASES)]
        servers = [
            stack.enter_context(running(SERVICE_WITH_NO_OP, warm_up[0], home.environment)) for _ in range(instances)
        ]
        for server in servers:
            server.ask(warm_up)
        yield servers, home


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
