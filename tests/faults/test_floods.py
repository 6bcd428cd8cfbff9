"""Floods by one client or by strangers: how long others wait, in one table; the controls are a server of WSGI."""

import http.client
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import pytest

from refunds.cli.front import THREADS
from tests import scaled
from tests.faults.harness import PATIENCE, Client, Installation, free_port, is_alive, until
from tests.faults.processes import PROCESSES, ROOT
from tests.faults.test_front import CHECK, FORM, head
from tests.faults.test_new_regions import regions

pytestmark = pytest.mark.proof

BATCHES, SLOW, STRANGERS, SIGNING_IN = 34, scaled(50, 200), 55, 10
ANSWERS = scaled(12, 100)
"""Requests of a calm client that are measured before and during each flood."""

REGIONS = scaled(4, 10)
"""Those of a batch, of a kilobyte in full: each needs a calendar."""

CHECKED, TRIES = scaled(3, 9), 5
"""Requests of a calm client that wait for the requests of a flood, and how often that is tried with a control."""

Tokens = dict[str, str]


class Statuses:
    """How often which status came back to a flood, whose process is another."""

    def __init__(self) -> None:
        self._numbers = PROCESSES.Array("q", 600)

    def count(self, status: int) -> None:
        """Count an answer."""
        with self._numbers.get_lock():
            self._numbers[status] += 1

    def found(self) -> set[int]:
        """The statuses that came back."""
        return {status for status, number in enumerate(self._numbers) if number}

    def total(self) -> int:
        """How many answers came back."""
        return sum(self._numbers)


Flood = Callable[[Tokens, int, Event, Statuses], None]
"""Floods a port until the event is set, and counts which status came back."""


def batches(tokens: Tokens, port: int, over: Event, statuses: Statuses) -> None:
    """Batches of one kilobyte, of one client, whose regions all need a calendar that is not built yet."""
    each = iter(regions())

    def send(named: list[str]) -> None:
        with Client(port, tokens["agent"]) as client:
            while not over.is_set():
                items = [{"service_provided_at": CHECK["service_provided_at"], "region": region} for region in named]
                sent = {"items": items, "terms": {"business_week": "country", "end_week": ["mon"]}}
                statuses.count(client.send("POST", "/v1/eligibility-checks/batch", sent).status)

    _together(BATCHES, lambda: send(next(each)[:REGIONS]))


def slow_bodies(tokens: Tokens, port: int, over: Event, statuses: Statuses) -> None:
    """Bodies of which one byte has come, sent anew as soon as one is given up."""
    token = f"Authorization: Bearer {tokens['agent']}"

    def send() -> None:
        while not over.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as wire:
                wire.connect()
                wire.sock.sendall(head("/v1/eligibility-checks", 100, token) + b"{")
                while not over.is_set():
                    if select.select([wire.sock], [], [], 0.1)[0]:
                        statuses.count(int((wire.sock.recv(2**16) or b"HTTP/1.1 0").split()[1]))
                        break

    _together(SLOW, send)


def strangers(_: Tokens, port: int, over: Event, statuses: Statuses) -> None:
    """Small requests on new connections, with tokens that are none."""
    each = iter(range(10**9))

    def send() -> None:
        while not over.wait(1 / STRANGERS * 5):  # five of them, so that they come at once as well
            with Client(port, f"rfd_{next(each):08}") as client:
                statuses.count(client.send("GET", "/v1/me").status)

    _together(5, send)


def sign_ins(_: Tokens, port: int, over: Event, statuses: Statuses) -> None:
    """People who sign in under names that there are not, each with a page of their own, again and again."""
    each = iter(range(10**9))

    def send() -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as wire:
            wire.request("GET", "/console/sign-in/")
            page = wire.getresponse()
            secret = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())
            cookie = (page.headers["Set-Cookie"] or "").partition(";")[0]
            while secret and not over.is_set():
                form = urlencode({"name": f"nobody-{next(each)}", "password": "x", "csrf_token": secret[1]})
                wire.request("POST", "/console/sign-in/", form, {"Cookie": cookie, "Content-Type": FORM})
                response = wire.getresponse()
                response.read()
                statuses.count(response.status)

    _together(SIGNING_IN, send)


def _together(number: int, send: Callable[[], object]) -> None:
    """Call a function in so many threads, until all have ended; a connection that the server ends is no failure."""

    def one() -> None:
        with suppress(OSError, http.client.HTTPException):
            send()

    threads = [threading.Thread(target=one, daemon=True) for _ in range(number)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def waits(port: int, token: str) -> tuple[float, float]:
    """The longest that `/livez` took, and the p99 of a client's checks, in milliseconds; each must be answered."""
    alive, checks = [], []
    with Client(port, token) as client:
        for _ in range(ANSWERS):
            began = time.monotonic()
            assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
            checked = time.monotonic()
            assert is_alive(port)
            checks.append(checked - began)
            alive.append(time.monotonic() - checked)
            time.sleep(0.02)
    return max(alive) * 1000, sorted(checks)[ANSWERS * 99 // 100 - 1] * 1000


def passed(port: int, token: str, statuses: Statuses) -> float:
    """How many requests of a flood are answered while a client waits for one check, at the median."""
    until(statuses.total)  # the flood has begun
    found = []
    with Client(port, token) as client:
        for _ in range(CHECKED):
            before = statuses.total()
            assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
            found.append(statuses.total() - before)
    return median(found)


def _flood(flood: Flood, begun: Event, *given: Any) -> None:
    """What the process of a flood does."""
    begun.set()
    flood(*given)


@contextmanager
def flooded(flood: Flood, tokens: Tokens, port: int) -> Iterator[Statuses]:
    """A flood that goes on during the block, and how often which status has come back.

    It comes from a process of its own: its clients and the calm one would else wait for each other's interpreter.
    """
    over, begun, statuses = PROCESSES.Event(), PROCESSES.Event(), Statuses()
    flooding = PROCESSES.Process(target=_flood, args=[flood, begun, tokens, port, over, statuses], daemon=True)
    flooding.start()
    try:
        assert begun.wait(PATIENCE)
        time.sleep(0.5)
        yield statuses
    finally:
        over.set()
        flooding.join(PATIENCE)
        flooding.kill()


FLOODS: dict[str, tuple[Flood, set[int]]] = {
    f"{BATCHES} small batches": (batches, {200, 429}),
    f"{SLOW} slow bodies": (slow_bodies, {400, 429}),
    f"{STRANGERS} tiny strangers a second": (strangers, {401, 429}),
    f"{SIGNING_IN} sign-in floods": (sign_ins, {401, 429, 503}),
}
"""The floods, and the statuses that the service answers them with."""


def test_floods_keep_nobody_else_waiting(tmp_path_factory, record_property):
    """Every request of others is answered while each goes on, and while all go on at once.

    In the control, in full only, the same flood goes to another instance: what it costs there is the machine's part.
    """
    instances = [Installation(tmp_path_factory.mktemp(name)) for name in scaled(("ours",), ("ours", "other"))]
    for each in instances:
        del each.environment["REFUNDS_RATE_LIMIT"]  # the default, against which calendars count
    lines = []
    with ExitStack() as running:
        servers = [running.enter_context(each.serving()) for each in instances]
        all_tokens, ours = [each.tokens() for each in instances], servers[0]
        token = all_tokens[0]["billing"]
        waits(ours.port, token)  # the first requests make calendars
        for name in scaled(("all at once",), (*FLOODS, "all at once")):
            going = [one for one in FLOODS if name in {one, "all at once"}]
            _, before = waits(ours.port, token)
            measured = []
            for tokens, server in zip(all_tokens, servers, strict=True):
                with ExitStack() as stack:
                    floods = {one: stack.enter_context(flooded(FLOODS[one][0], tokens, server.port)) for one in going}
                    measured.append(waits(ours.port, token))
                for one, statuses in floods.items():
                    assert statuses.found() <= FLOODS[one][1], (one, statuses.found())
                    assert statuses.total() or name == "all at once" or FLOODS[one][0] is slow_bodies, "it was no flood"
                assert any(statuses.total() for statuses in floods.values()) or FLOODS[going[-1]][0] is slow_bodies
            (alive, during), *elsewhere = measured
            shown = [alive, before, during, *(p99 for _, p99 in elsewhere)]
            lines.append(f"{name:<30}" + "".join(f"{one:>10.0f}" for one in shown))
    title = f"{'':<30}{'/livez':>10}{'before':>10}{'during':>10}{'elsewhere':>10}"
    record_property("measured", "\n".join(["ms: worst /livez; p99 of others", title, *lines]))


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """An installation, the service's own server of it, the port of one of WSGI with as many threads, and tokens."""
    installation, port = Installation(tmp_path_factory.mktemp("there")), free_port()
    granian = str(Path(sys.executable).with_name("granian"))
    options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--blocking-threads", str(THREADS)]
    with installation.serving() as server, installation.log.open("ab") as log:
        process = subprocess.Popen(
            [granian, *options, "app:serving", "--factory"],
            cwd=ROOT,
            env=installation.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until(lambda: is_alive(port))
            yield server.port, port, installation.tokens()
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its worker is a process of its own
            process.wait(PATIENCE)


@pytest.mark.parametrize("flood", scaled([batches], [batches, sign_ins]))
def test_a_server_of_wsgi_lets_everybody_wait_for_a_flood(there, flood, record_property):
    """Its threads take requests in their order, whoever sends them; the service's own server takes clients in turn.

    Tiny strangers are not among them: 55 a second are answered so quickly that no server needs turns for them.
    """
    ours, control, tokens = there
    with flooded(flood, tokens, ours) as statuses:
        before = passed(ours, tokens["billing"], statuses)
    with flooded(flood, tokens, control) as statuses:  # on a busy machine, its clients are at times too slow
        found = max(passed(control, tokens["billing"], statuses) for _ in range(TRIES))
    record_property("measured", f"{flood.__name__}: {before:.0f} are answered before one of others; WSGI: {found:.0f}")
    assert found > 2 * max(before, 1)


def test_a_server_that_reads_bodies_in_its_threads_is_shut_by_as_many_slow_bodies(there):
    """That is what the service's own server is for."""
    _, port, tokens = there
    token = f"Authorization: Bearer {tokens['agent']}"
    with ExitStack() as slow, Client(port, "") as client:
        for _ in range(THREADS):
            wire = slow.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)))
            wire.connect()
            wire.sock.sendall(head("/v1/eligibility-checks", 100, token) + b"{")
        time.sleep(1)
        client.wire.request("GET", "/livez")
        assert not select.select([client.wire.sock], [], [], scaled(1, 3))[0], "nobody has a thread for it"
        slow.close()
        assert client.wire.getresponse().status == 200
