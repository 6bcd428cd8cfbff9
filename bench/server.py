"""Servers as processes of their own: started on a free port, asked over keep-alive connections, and ended."""

import os
import selectors
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, sleep
from typing import Self

SERVICE = (str(Path(sys.executable).with_name("flask")), "serve")
SERVICE_WITH_NO_OP = (sys.executable, "-m", "bench.apps", "service_with_no_op")
BARE = (sys.executable, "-m", "bench.apps", "bare")

PATIENCE = 30
"""Seconds after which a server that does not start, answer or end is given up."""


class Connection:
    """One keep-alive connection, on which one request at a time is under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.close = self.socket.close

    def send(self, request: bytes) -> Self:
        """Send a request, whose answer is then received in parts; returns the connection."""
        self._head, self._parts, self._missing = b"", [], 0
        self.sent_at = perf_counter()
        self.socket.sendall(request)
        return self

    def receive(self) -> bytes | None:
        """Wait for more of the answer, and return its body once it is whole; None before.

        Raises `RuntimeError` if its status is neither 200 nor 201, and `ConnectionResetError` if the server hangs up.
        """
        part = self.socket.recv(1 << 20)
        if not part:
            raise ConnectionResetError
        if not self._parts:
            self._head, blank_line, part = (self._head + part).partition(b"\r\n\r\n")
            if not blank_line:
                return None
            self._missing = _length(self._head)
        self._parts.append(part)
        self._missing -= len(part)
        return None if self._missing else b"".join(self._parts)

    def ask(self, request: bytes) -> bytes:
        """Send a request and wait for the body of its answer. Raises as `receive`."""
        self.send(request)
        while (body := self.receive()) is None:
            pass
        return body


@dataclass(frozen=True, slots=True)
class Running:
    """A server process that has answered its first request `first_answer_after` seconds after its start."""

    process: subprocess.Popen[bytes]
    port: int
    first_answer_after: float

    def ask(self, requests: Iterable[bytes]) -> list[bytes]:
        """The bodies of the answers to these requests, sent one after the other over one connection."""
        with closing(Connection(self.port)) as connection:
            return [connection.ask(request) for request in requests]

    def load(self, requests: Sequence[bytes], connections: int) -> list[float]:
        """Send the requests to this server alone, as the function `load` does."""
        return load([self], requests, connections)

    @property
    def resident_megabytes(self) -> float:
        """The resident memory of the process that answers."""
        ps = shutil.which("ps")
        assert ps
        command = [ps, "-o", "rss=", "-p", str(self.process.pid)]
        listed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - as above
        return int(listed.stdout) / 1024


def load(servers: Sequence[Running], requests: Sequence[bytes], connections: int) -> list[float]:
    """Send these requests over connections that each have always one under way; the seconds that each of them took.

    If there are several servers, each has its share of the connections. There must be a request for each connection.
    """
    latencies, todo = [], iter(requests)
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for server in islice(cycle(servers), connections):
            connection = stack.enter_context(closing(Connection(server.port)))
            selector.register(connection.socket, selectors.EVENT_READ, connection.send(next(todo)))
        while selector.get_map():
            for key, _ in selector.select(PATIENCE):
                if key.data.receive() is None:
                    continue
                latencies.append(perf_counter() - key.data.sent_at)
                request = next(todo, None)
                key.data.send(request) if request else selector.unregister(key.fileobj)
    return latencies


@contextmanager
def running(command: Sequence[str], first: bytes, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """A server on a free port, from the answer to its `first` request to the end of the block, where it is ended.

    Raises `RuntimeError` if it does not answer, or not with success.
    """
    port = _free_port()
    began = perf_counter()
    process = subprocess.Popen(  # noqa: S603 - commands of this file
        command,
        env=os.environ | {"PORT": str(port)} | (environment or {}),
        stdout=subprocess.DEVNULL,
    )
    try:
        _await_answer(process, port, first)
        yield Running(process, port, perf_counter() - began)
    finally:
        _end(process)


def _await_answer(process: subprocess.Popen[bytes], port: int, request: bytes) -> None:
    """Wait until the server answers a request. Raises `RuntimeError` if it ends before, or is not in time."""
    give_up_at = perf_counter() + PATIENCE
    while perf_counter() < give_up_at:
        if process.poll() is not None:
            break
        try:
            with closing(Connection(port)) as connection:
                connection.ask(request)
                return
        except ConnectionError:
            sleep(0.002)
    raise RuntimeError(f"the server has not answered: {' '.join(process.args)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and see to it that it does."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def _length(head: bytes) -> int:
    """The Content-Length of an answer. Raises `RuntimeError` if its status is neither 200 nor 201."""
    status, *headers = head.split(b"\r\n")
    if status.split()[1] not in {b"200", b"201"}:
        raise RuntimeError(f"the server answered {status.decode()}")
    named = (line.lower().partition(b":") for line in headers)
    return next(int(value) for name, _, value in named if name == b"content-length")
