"""The front of the server: clients that are slow, many or greedy shut nobody else out; and how the server stops."""

import asyncio
import gc
import json
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from granian.rsgi import ProtocolClosed

from refunds.cli import front
from refunds.cli.front import AT_ONCE, IN_TIME, LARGEST, MOST_OF_ONE, Front
from refunds.cli.server import CONNECTIONS, Server
from refunds.web import create_app
from tests import scaled
from tests.conftest import settings
from tests.faults.harness import PATIENCE, Client, Installation, hurry, is_alive, until

CHECK = {"service_provided_at": "2026-04-02T16:20:00+02:00", "requested_at": "2026-04-08T21:05:00Z"}
BATCH = {"items": [CHECK] * 2_000}
MUCH = {"items": [CHECK] * 1_000}
FORM = "application/x-www-form-urlencoded"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An empty installation."""
    return Installation(tmp_path_factory.mktemp("front"))


@pytest.fixture(scope="module")
def server(installation):
    """A server of it."""
    with installation.serving() as server:
        yield server


@pytest.fixture
def client(installation, server):
    """A client of billing that is connected to the server."""
    with Client(server.port, installation.tokens()["billing"]) as client:
        yield client


@contextmanager
def connecting(server) -> Iterator:
    """A function that opens a connection to the server and sends it bytes; all are closed afterwards."""
    with ExitStack() as stack:

        def wire(sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            connection.sendall(sent)
            return connection

        wire.port = server.port
        yield wire


@pytest.fixture
def wires(server) -> Iterator:
    """The same for the server of most tests."""
    with connecting(server) as wire:
        yield wire


def head(path: str, length: int, *lines: str, media_type: str = "application/json") -> bytes:
    """The head of a POST request."""
    lines = ("Host: localhost", f"Content-Type: {media_type}", f"Content-Length: {length}", *lines)
    return "\r\n".join((f"POST {path} HTTP/1.1", *lines, "", "")).encode()


def test_half_sent_bodies_keep_nobody_waiting(installation, client, wires):
    """Of clients with a token, of strangers with a token that is none, and at sign-in."""
    paths = ["/v1/eligibility-checks", "/v1/eligibility-checks", "/console/sign-in/"]
    tokens = [installation.tokens()["agent"], "rfd_none", ""]
    for number in range(scaled(120, 600)):
        media_type = "application/json" if number % 3 < 2 else FORM
        authorization = f"Authorization: Bearer {tokens[number % 3]}"
        wires(head(paths[number % 3], 100, authorization, media_type=media_type) + b"{")
    for _ in range(5):
        assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        assert client.send("GET", "/console/sign-in/").status == 401, "the page to sign in"
        assert client.send("GET", "/readyz").status == 200


def test_more_idle_connections_than_a_process_has_files_by_default(client, wires):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for _ in range(min(1_500, CONNECTIONS - 500, most - 200)):
        wires(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
    assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200


@pytest.mark.proof
def test_heads_bodies_and_idle_connections_end_in_time(tmp_path):
    """The server ends each, without a word, or with what is missing; one whose client does not read, too."""
    installation = Installation(tmp_path)
    installation.first = partial(hurry, scaled(2, IN_TIME))
    with installation.serving() as server, connecting(server) as wires:
        require_ends(installation, wires)


def require_ends(installation, wires):
    """Assert that the server ends each connection."""
    token = f"Authorization: Bearer {installation.tokens()['billing']}"
    half_head = wires(b"GET /livez HTTP/1.1\r\nHost: loc")
    half_body = wires(head("/v1/eligibility-checks", 100, token) + b'{"service')
    idle = wires(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    unread = wires(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 30)
    assert b'"ok"' in idle.recv(2**16)
    assert b"The body is shorter than its Content-Length." in half_body.recv(2**16)
    for ended in (half_head, half_body, idle):
        while ended.recv(2**16):
            pass
    until(lambda: not is_established(unread))


def test_a_greedy_client_leaves_threads_to_the_others(installation, client, server):
    """A check of another client is answered while most of its requests still wait for their turn."""
    answered = count()
    with Client(server.port, installation.tokens()["agent"]) as first:
        assert first.send("POST", "/v1/eligibility-checks/batch", BATCH).status == 200  # so that calendars are built

    def greedy(_: int) -> int:
        with Client(server.port, installation.tokens()["agent"]) as one:
            status = one.send("POST", "/v1/eligibility-checks/batch", BATCH).status
        next(answered)
        return status

    with ThreadPoolExecutor(34) as pool:
        batches = [pool.submit(greedy, number) for number in range(34)]
        until(lambda: any(batch.done() for batch in batches))
        for _ in range(3):
            assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
            assert client.send("GET", "/livez").status == 200
        assert next(answered) < 30
    # On a slow machine, the last ones wait too long for their turn.
    assert {200} <= {batch.result() for batch in batches} <= {200, 429}


def test_one_client_holds_limited_memory(installation, client, wires):
    """Beyond it, a large body is refused at once; small ones are not, nor those of others; strangers count as one."""
    tokens = installation.tokens()
    with Client(wires.port, tokens["agent"]) as other:
        for _ in range(2):  # known by their second request
            assert {one.send("POST", "/v1/eligibility-checks", CHECK).status for one in (client, other)} == {200}
        for token in (tokens["billing"], "of-a-stranger"):
            large = head("/v1/eligibility-checks/batch", LARGEST, f"Authorization: Bearer {token}")
            held = [wires(large + b" " * (LARGEST - 1)) for _ in range(MOST_OF_ONE // LARGEST)]
            last = wires(large)
            until(lambda last=last: select.select([last], [], [], 0.1)[0] or last.sendall(b" "))
            assert last.recv(2**16).split()[1] == (b"429" if token == tokens["billing"] else b"401")
            assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
            assert other.send("POST", "/v1/eligibility-checks/batch", MUCH).status == 200
            for one in held:
                one.close()
    until(lambda: client.send("POST", "/v1/eligibility-checks/batch", MUCH).status == 200)


def test_a_client_that_spells_its_token_otherwise_is_the_same(installation, client, server):
    """And one that is not known is a stranger: neither has more threads than its share."""
    spelt = ["Bearer", "bearer", "BEARER", "beaRer", "BeaRer", "bEarer", "beArer", "bearEr"]
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port, installation.tokens()["agent"])) for _ in spelt]
        for one, scheme in zip(clients, spelt, strict=True):
            one.token = {"Authorization": f"{scheme} {installation.tokens()['agent']}"}
            assert one.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        batches = [pool.submit(one.send, "POST", "/v1/eligibility-checks/batch", BATCH) for one in clients]
        for _ in range(3):
            assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        assert not all(batch.done() for batch in batches)
        assert {batch.result().status for batch in batches} == {200}


def is_established(wire: socket.socket) -> bool:
    """Whether the kernel still has the server's end of a connection."""
    port = f":{wire.getsockname()[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(line[2].endswith(port) and line[3] == "01" for line in lines)


def test_the_host_is_the_one_that_is_asked_for(wires):
    """In any case of letters; an address with a host comes before the header; none is none."""
    for asked, status in (
        (b"GET /docs HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n", b"200"),
        (b"GET /docs HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://evil/docs HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET http://localhost/docs HTTP/1.1\r\nHost: evil\r\n\r\n", b"200"),
        (b"GET /livez HTTP/1.1\r\n\r\n", b"200"),
    ):
        assert wires(asked).recv(2**16).split()[1] == status, asked


def test_a_body_that_no_operation_takes_is_not_read(installation, wires):
    token = f"Authorization: Bearer {installation.tokens()['billing']}"
    answer = wires(head("/v1/eligibility-checks/batch", LARGEST + 1, token)).recv(2**16)
    assert b" 413 " in answer.splitlines()[0]


def test_a_header_with_an_underscore_is_not_taken_for_one_with_a_hyphen(installation, wires):
    """Proxies drop such headers or let them through: they could set what a client must not."""
    body = json.dumps({}).encode()
    token = f"Authorization: Bearer {installation.tokens()['billing']}"
    answer = wires(head("/v1/cancellations", len(body), token, "Idempotency_Key: a-key-of-mine") + body).recv(2**16)
    assert b"idempotency-key-missing" in answer
    assert (
        b" 401 "
        in wires(b"GET /v1/me HTTP/1.1\r\nHost: localhost\r\n" + token.replace("n:", "_n:").encode() + b"\r\n\r\n")
        .recv(2**16)
        .splitlines()[0]
    )


class Waiting(NamedTuple):
    """A request as RSGI has it, and what it was answered."""

    path: str
    answers: list
    sender: str = "a-stranger"
    method, query_string, server, scheme, http_version = "GET", "", "127.0.0.1:8000", "http", "1.1"
    authority = None

    @property
    def headers(self):
        """With the token."""
        return {"host": "localhost", "authorization": f"Bearer of-{self.sender}"}

    def response_bytes(self, status, headers, body):
        """Keep the answer."""
        self.answers.append((self.path, status, dict(headers), json.loads(body)))


def knows(environ):
    """Tell the front, if it wants to know, who has sent a request."""
    if know := environ.get("refunds.known"):
        know(environ["HTTP_AUTHORIZATION"])


def test_a_request_that_waits_too_long_for_its_turn_is_refused(tmp_path):
    """Its client would give up soon, and send it again beside the one that still waits."""
    app, held, answers = create_app(settings(tmp_path)), threading.Event(), []

    def application(environ, start):
        if environ["PATH_INFO"] == "/held":
            held.wait(PATIENCE)
        return app(environ, start)

    async def ask():
        front = Front(application, longest_wait=0.05)
        asked = [Waiting(path, answers) for path in ("/held", "/docs", "/v1/me")]
        first, *others = [asyncio.create_task(front(one, one)) for one in asked]
        await asyncio.gather(*others)
        held.set()
        await first
        await front(Waiting("/v1/me", answers), Waiting("/v1/me", answers))

    asyncio.run(ask())
    statuses = [(path, status) for path, status, *_ in answers]
    assert sorted(statuses[:2]) == [("/docs", 429), ("/v1/me", 429)]
    assert statuses[2:] == [("/held", 404), ("/v1/me", 401)]
    _, _, headers, problem = answers[0]
    assert (headers["Retry-After"], problem["type"]) == ("5", "/problems/rate-limited")


def test_the_first_request_of_a_client_keeps_other_strangers_waiting_only_until_it_is_known():
    """After a start all are strangers, and the first requests of somebody, all at once, may take a minute."""
    known, held, answers = threading.Event(), threading.Event(), []
    together = threading.Barrier(AT_ONCE)

    def application(environ, start):
        knows(environ)
        if environ["PATH_INFO"] == "/long":
            known.set()
            held.wait(PATIENCE)
        elif environ["PATH_INFO"] == "/together":
            together.wait(PATIENCE)
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        front = Front(application)
        first = [Waiting("/long", answers)] * 2 * AT_ONCE
        long = [asyncio.create_task(front(one, one)) for one in first]
        await asyncio.to_thread(known.wait, PATIENCE)
        other = Waiting("/other", answers, "another")
        await asyncio.wait_for(front(other, other), PATIENCE)
        assert [path for path, *_ in answers] == ["/other"]
        held.set()
        await asyncio.gather(*long)

        again = [asyncio.create_task(front(one, one)) for one in [Waiting("/together", answers)] * AT_ONCE]
        await asyncio.wait_for(asyncio.gather(*again), PATIENCE)

    asyncio.run(ask())
    paths = [path for path, *_ in answers[1:]]
    assert paths == ["/long"] * 2 * AT_ONCE + ["/together"] * AT_ONCE, "it has all its turns again"


BATCHES = "/v1/eligibility-checks/batch"


async def acquainted(application, answers, *clients):
    """A front that knows these clients, each by a request that it has answered."""
    front = Front(application)
    for client in clients:
        first = Waiting("/known", answers, client)
        await front(first, first)
    return front


def test_a_batch_lets_other_requests_go_first_for_half_of_its_time_at_most():
    """A batch waits between its items while another request is answered; the time before its first item is not its own.

    One batch is answered at a time. The other request ends only after three of them.
    """
    held, begun, answers, took = threading.Event(), threading.Event(), [], []

    def application(environ, start):
        knows(environ)
        if environ["PATH_INFO"] == "/held":
            begun.set()
            held.wait(PATIENCE)
        elif environ["PATH_INFO"] == BATCHES:
            began = time.monotonic()
            environ["refunds.give_way"]()
            time.sleep(0.2)
            worked = time.monotonic()
            environ["refunds.give_way"]()
            took.append((began, worked, time.monotonic()))
            if len(took) == 3:
                held.set()
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        clients = ("one", "two", "three", "four")
        front = await acquainted(application, answers, *clients)
        long = asyncio.create_task(front(held_one := Waiting("/held", answers, "one"), held_one))
        await asyncio.to_thread(begun.wait, PATIENCE)
        batches = [Waiting(BATCHES, answers, client) for client in clients]
        await asyncio.gather(*(front(batch, batch) for batch in batches), long)

    asyncio.run(ask())
    waited = [ended - worked for _, worked, ended in took]
    assert all(0.1 < each < PATIENCE / 2 for each in waited[:3]), "about as long as it has worked"
    assert waited[3] < 0.1, "nobody else is there any more"
    assert all(before[-1] <= after[0] for before, after in pairwise(took))


@pytest.mark.parametrize("others_ask", [True, False])
def test_a_batch_gives_up_the_processor_from_time_to_time_if_others_ask_at_times(monkeypatch, others_ask):
    """A thread that is woken could else wait until the system looks at what the batch's processor does."""
    rests, times = [], iter(range(10**6))
    monkeypatch.setattr(front, "perf_counter", lambda: next(times) * front._STRETCH / 10)
    monkeypatch.setattr(front, "sleep", rests.append)

    async def ask():
        new = Front(lambda *_: [])
        if others_ask:
            new._last_short = 0
        return new._giving_way()

    give_way = asyncio.run(ask())
    for _ in range(100):
        give_way()
    assert set(rests) <= {front._REST}
    assert len(rests) in (range(5, 20) if others_ask else [0])


def test_a_batch_that_builds_a_calendar_waits_a_moment_only_for_those_who_may_wait_for_it(monkeypatch):
    """A check of the same region would else wait for seconds: for a batch that waits for it."""
    clock = [100.0]
    monkeypatch.setattr(front, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(front, "sleep", lambda seconds: clock.append(clock.pop() + seconds))

    async def ask():
        new = Front(lambda *_: [])
        new._short = 1
        return new._giving_way()

    def waited(*longest):
        began = clock[0]
        give_way(*longest)
        return clock[0] - began

    give_way = asyncio.run(ask())
    assert waited() < 0.01
    clock[0] += 4
    assert 0 < waited(0.001) < 0.01
    assert waited() == pytest.approx(4, abs=0.1)


def test_batches_that_wait_for_others_keep_neither_their_client_nor_strangers_waiting():
    """A client's checks have their own turns, and a stranger, whose token may be none, is not behind all batches."""
    held, begun, answers = threading.Event(), threading.Event(), []

    def application(environ, start):
        knows(environ)
        if environ["PATH_INFO"] == BATCHES and "stranger" not in environ["HTTP_AUTHORIZATION"]:
            begun.set()
            held.wait(PATIENCE)
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        front = await acquainted(application, answers, "one", "another")
        batches = [Waiting(BATCHES, answers, client) for client in ("one", *["another"] * 3)]
        waiting = [asyncio.create_task(front(batch, batch)) for batch in batches]
        await asyncio.to_thread(begun.wait, PATIENCE)
        for other in (Waiting("/check", answers, "another"), Waiting(BATCHES, answers, "a stranger")):
            await asyncio.wait_for(front(other, other), PATIENCE)
        assert [path for path, *_ in answers[2:]] == ["/check", BATCHES]
        held.set()
        await asyncio.gather(*waiting)

    asyncio.run(ask())


def test_nothing_of_a_request_is_kept_once_it_is_answered():
    """Not even until garbage is collected: a body may have megabytes, and strangers can send them."""
    bodies = []

    def application(environ, start):
        knows(environ)
        bodies.append(weakref.ref(environ["wsgi.input"]))
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        one = Waiting("/one", [])
        await Front(application)(one, one)

    gc.disable()
    try:
        asyncio.run(ask())
        until(lambda: bodies[0]() is None, 5)
    finally:
        gc.enable()


def test_an_order_whose_number_looks_like_a_sign_in_takes_no_turn_of_those_who_sign_in():
    """Else one client would have three of the four threads, and nobody could sign in meanwhile."""
    held, started, answers = threading.Event(), threading.Semaphore(0), []

    def application(environ, start):
        if environ["PATH_INFO"] != "/console/sign-in/":
            started.release()
            held.wait(PATIENCE)
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        front = Front(application)
        order, person = Waiting("/v1/orders/a/sign-in/b", answers), Waiting("/console/sign-in/", answers, "a-person")
        asked = asyncio.create_task(front(order, order))
        await asyncio.to_thread(started.acquire)
        await asyncio.wait_for(front(person, person), PATIENCE)
        held.set()
        await asked

    asyncio.run(ask())
    assert [path for path, *_ in answers] == ["/console/sign-in/", "/v1/orders/a/sign-in/b"]


def test_a_client_who_becomes_known_while_its_body_is_read_does_not_wait_without_end():
    """It chose the lane of strangers, which is free; its own is not."""
    held, answers = threading.Event(), []

    def application(environ, start):
        if not environ.get("refunds.waits"):
            knows(environ)
            if environ["PATH_INFO"] == "/held":
                held.wait(PATIENCE)
        start("429 Later" if environ.get("refunds.waits") else "200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        front, there = Front(application, longest_wait=0.05), asyncio.Event()
        known, late, *busy = (Waiting(path, answers) for path in ("/known", "/late", *["/held"] * AT_ONCE))

        class Late(Waiting):
            """Its body comes later."""

            @property
            def headers(self):
                return super().headers | {"content-length": "2"}

            async def __call__(self):
                await there.wait()
                return b"{}"

        late = Late(*late)
        first = asyncio.create_task(front(late, late))
        await asyncio.sleep(0)
        await front(known, known)
        others = [asyncio.create_task(front(one, one)) for one in busy]
        await asyncio.sleep(0)
        there.set()
        await asyncio.wait_for(first, PATIENCE)
        held.set()
        await asyncio.gather(*others)

    asyncio.run(ask())
    assert [(path, status) for path, status, *_ in answers][:2] == [("/known", 200), ("/late", 429)]


def test_a_client_with_too_many_requests_is_told_so_late_and_keeps_nobody_waiting():
    """One that asks again at once, whatever it is told, would else keep a thread busy; even its own turns are free."""
    answers = []

    def application(environ, start):
        knows(environ)
        start("429 Later" if environ["PATH_INFO"] == "/too-many" else "200 OK", [("Content-Length", "2")])
        return [b"{}"]

    async def ask():
        front = Front(application)
        too_many = [Waiting("/too-many", answers)] * 2 * AT_ONCE
        refused = [asyncio.create_task(front(one, one)) for one in too_many]
        await asyncio.wait_for(front(one := Waiting("/one", answers), one), PATIENCE)
        assert [path for path, *_ in answers] == ["/one"]
        assert front.under_way == len(too_many), "they are to be answered before the server stops"
        front.stopping = True
        await asyncio.gather(*refused)

    asyncio.run(ask())
    assert [(path, status) for path, status, *_ in answers[1:]] == [("/too-many", 429)] * 2 * AT_ONCE
    ends = [headers.get("connection") for *_, headers, _ in answers]
    assert ends == [None] + ["close"] * 2 * AT_ONCE, "the server began to stop before these were sent"


HALF_SENT = {
    "head": b"GET /livez HTTP/1.1\r\nHost: loc",
    "body": head("/v1/eligibility-checks", 100) + b"{",
    "large body": head("/v1/eligibility-checks/batch", 100_000) + b"{",
}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_does_not_wait_for_requests_that_are_sent_half_when_it_stops(tmp_path, stop):
    """But for those that it has."""
    installation = Installation(tmp_path)
    with installation.serving() as server, ExitStack() as stack:
        wires = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in HALF_SENT]
        for wire, sent in zip(wires, HALF_SENT.values(), strict=True):
            wire.sendall(sent)
        client = stack.enter_context(Client(server.port, installation.tokens()["billing"]))
        assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        client.wire.request("POST", "/v1/eligibility-checks/batch", json.dumps(BATCH), client.token | JSON)
        assert is_alive(server.port)  # the batch has arrived as well
        server.process.send_signal(stop)
        began = time.monotonic()
        assert client.wire.getresponse().status == 200
        assert server.process.wait(PATIENCE) == 0
        assert time.monotonic() - began < IN_TIME / 2
        assert not any(wire.recv(2**16) for wire in wires)


def test_it_sends_what_it_has_answered_before_it_stops(tmp_path):
    """Also to a client that reads slowly."""
    installation, much = Installation(tmp_path), {"items": [CHECK] * 10_000, "include_days": True}
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
        client.wire.sock = socket.socket()
        client.wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        client.wire.sock.connect(("127.0.0.1", server.port))
        client.wire.request("POST", "/v1/eligibility-checks/batch", json.dumps(much), client.token | JSON)
        until(lambda: select.select([client.wire.sock], [], [], 0.1)[0])
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1.5)  # three times as long as it takes if all is sent
        assert len(json.loads(client.wire.getresponse().read())["items"]) == 10_000
        assert server.process.wait(PATIENCE) == 0


def test_it_says_that_it_is_not_ready_before_it_stops(tmp_path):
    """Meanwhile it answers everything else, so that a load balancer loses no request.

    A connection ends with its response: a proxy keeps connections, and could send a request just when its connection is
    closed.
    """
    installation = Installation(tmp_path)
    installation.environment["REFUNDS_DRAIN_SECONDS"] = "3"
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:

        def closes():
            with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as wire:
                wire.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return b"connection: close" in wire.recv(2**16).lower()

        assert client.send("GET", "/readyz").status == 200
        assert not closes()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: client.send("GET", "/readyz").status == 503)
        assert client.send("GET", "/readyz").json["type"] == "/problems/stopping"
        assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        assert is_alive(server.port), "also on a new connection"
        assert closes()
        assert server.process.wait(PATIENCE) == 0


class Reader(Waiting):
    """A client whose answer is a stream."""

    came = asyncio.Event()

    def response_stream(self, status, headers):
        """Begin the answer."""
        return self

    async def send_bytes(self, part):
        """Read a part."""
        self.answers.append(part)
        self.came.set()


def test_no_request_waits_while_all_that_was_loaded_is_searched_for_garbage(monkeypatch):
    left = []
    monkeypatch.setattr(sys, "setswitchinterval", lambda _: None)
    monkeypatch.setattr(Server, "serve", lambda *_, **__: left.append(len(gc.get_objects())))
    try:
        Server(lambda *_: [], "127.0.0.1", 0, lambda: None).run()
    finally:
        gc.unfreeze()
    assert left[0] < len(gc.get_objects()) / 10


def test_a_stream_is_sent_while_it_is_made():
    answers, released = [], threading.Event()

    def parts():
        yield b"first"
        released.wait(PATIENCE)
        yield b"second"

    def application(environ, start):
        start("200 OK", [])
        return parts()

    async def ask():
        answer = asyncio.create_task(Front(application)(reader, reader))
        await asyncio.wait_for(reader.came.wait(), PATIENCE)
        assert answers == [b"first"]
        released.set()
        await answer

    reader = Reader("/v1", answers)
    asyncio.run(ask())
    assert answers == [b"first", b"second"]


def test_a_reader_who_leaves_a_stream_ends_the_work():
    """The parts after it are not made, and the application is told that it is over."""
    made, closed = [], threading.Event()

    def parts():
        try:
            for number in count():
                made.append(number)
                yield b"part"
                if number:
                    until(lambda: gone)
        finally:
            closed.set()

    def application(environ, start):
        start("200 OK", [])
        return parts()

    class Leaving(Reader):
        async def send_bytes(self, part):
            if len(self.answers) == 1:
                gone.append(True)
                raise ProtocolClosed
            self.answers.append(part)

    gone: list[bool] = []
    reader = Leaving("/v1", [])
    asyncio.run(asyncio.wait_for(Front(application)(reader, reader), PATIENCE))
    assert closed.is_set()
    assert len(made) <= 4
    assert reader.answers == [b"part"]


def test_readers_who_leave_or_do_not_read_keep_no_thread(installation, client, wires, server):
    """Each asks for ten thousand lines."""
    body = json.dumps({"items": [CHECK] * 10_000}).encode()
    for number in range(12):
        token = installation.tokens()["agent" if number % 2 else "supervisor"]
        lines = ("Accept: application/x-ndjson", f"Authorization: Bearer {token}")
        wire = wires(head("/v1/eligibility-checks/batch", len(body), *lines) + body)
        if number % 3:
            assert wire.recv(100).startswith(b"HTTP/1.1 200 ")
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()
    for _ in range(3):
        assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
    reply = client.send("POST", "/v1/eligibility-checks/batch", BATCH, Accept="application/x-ndjson")
    assert (reply.status, reply.body.count(b"\n")) == (200, 2_000)
    assert client.send("GET", "/readyz").status == 200


def test_a_stream_under_way_is_sent_before_the_service_stops(tmp_path):
    installation, much = Installation(tmp_path), {"items": [CHECK] * 10_000}
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
        headers = client.token | JSON | {"Accept": "application/x-ndjson"}
        client.wire.request("POST", "/v1/eligibility-checks/batch", json.dumps(much), headers)
        until(lambda: select.select([client.wire.sock], [], [], 0.1)[0])
        server.process.send_signal(signal.SIGTERM)
        assert client.wire.getresponse().read().count(b"\n") == 10_000
        assert server.process.wait(PATIENCE) == 0
