"""The front of the server: clients that are slow, many or greedy shut nobody else out; and how the server stops."""

import json
import resource
import select
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count

import pytest

from refunds.cli.server import CONNECTIONS, LARGEST, MOST_HELD
from tests import scaled
from tests.faults.harness import PATIENCE, Client, Installation, is_alive, until

CHECK = {"service_provided_at": "2026-04-02T16:20:00+02:00", "requested_at": "2026-04-08T21:05:00Z"}
BATCH = {"items": [CHECK] * 2_000}
FORM = "application/x-www-form-urlencoded"


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


@pytest.fixture
def wires(server) -> Iterator:
    """A function that opens a connection to the server and sends it bytes; all are closed afterwards."""
    with ExitStack() as stack:

        def wire(sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            connection.sendall(sent)
            return connection

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


def test_heads_bodies_and_idle_connections_end_in_time(installation, wires):
    """The server ends each, without a word, or with what is missing."""
    token = f"Authorization: Bearer {installation.tokens()['billing']}"
    half_head = wires(b"GET /livez HTTP/1.1\r\nHost: loc")
    half_body = wires(head("/v1/eligibility-checks", 100, token) + b'{"service')
    idle = wires(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b'"ok"' in idle.recv(2**16)
    assert b"The body is shorter than its Content-Length." in half_body.recv(2**16)
    for ended in (half_head, half_body, idle):
        while ended.recv(2**16):
            pass


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
    assert {batch.result() for batch in batches} == {200}


def test_large_bodies_together_take_limited_memory(installation, client, wires):
    """Beyond the limit a large one is refused at once; small ones are not."""
    token = f"Authorization: Bearer {installation.tokens()['billing']}"
    large = head("/v1/eligibility-checks/batch", LARGEST, token)
    held = [wires(large + b" " * (LARGEST - 1)) for _ in range(MOST_HELD // LARGEST)]
    last = wires(large)
    until(lambda: select.select([last], [], [], 0.1)[0] or last.sendall(b" "))
    refused = last.recv(2**16)
    assert b" 429 " in refused.splitlines()[0]
    assert b"Too many large bodies" in refused
    assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
    for one in held:
        one.close()
    until(lambda: client.send("POST", "/v1/eligibility-checks/batch", {"items": [CHECK] * 2_000}).status == 200)


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


def test_it_says_that_it_is_not_ready_before_it_stops(tmp_path):
    """Meanwhile it answers everything else, so that a load balancer loses no request."""
    installation = Installation(tmp_path)
    installation.environment["REFUNDS_DRAIN_SECONDS"] = "3"
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
        assert client.send("GET", "/readyz").status == 200
        server.process.send_signal(signal.SIGTERM)
        until(lambda: client.send("GET", "/readyz").status == 503)
        assert client.send("GET", "/readyz").json["type"] == "/problems/stopping"
        assert client.send("POST", "/v1/eligibility-checks", CHECK).status == 200
        assert is_alive(server.port), "also on a new connection"
        assert server.process.wait(PATIENCE) == 0
