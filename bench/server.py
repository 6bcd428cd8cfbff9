"""Servers as separate processes: started on a free port, called over keep-alive connections, and stopped."""

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
from tempfile import TemporaryFile
from time import perf_counter, sleep
from typing import Self

SERVICE = (str(Path(sys.executable).with_name("flask")), "serve")
SERVICE_WITH_NO_OP = (sys.executable, "-m", "bench.apps", "service_with_no_op")
BARE = (sys.executable, "-m", "bench.apps", "bare")

PATIENCE = 30
"""Seconds to wait for a server to start, respond or stop."""


class Connection:
    """A keep-alive connection with one request at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.close = self.socket.close

    def send(self, request: bytes) -> Self:
        """Send a request; its response can then be received."""
        self._head, self._parts, self._missing = b"", [], 0
        self.sent_at = perf_counter()
        self.socket.sendall(request)
        return self

    def receive(self) -> bytes | None:
        """Receive the next part; returns the body of the response once complete, else None.

        Raises `RuntimeError` unless the status is 200 or 201, `ConnectionResetError` if the server has closed the
        connection, and `TimeoutError` if nothing comes for 30 seconds.
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
        """Send a request and wait for the body of the response. Raises as `receive`."""
        self.send(request)
        while (body := self.receive()) is None:
            pass
        return body


@dataclass(frozen=True, slots=True)
class Running:
    """A server that gave its first response `first_answer_after` seconds after its start."""

    process: subprocess.Popen[bytes]
    port: int
    first_answer_after: float

    def ask(self, requests: Iterable[bytes]) -> list[bytes]:
        """The responses to these requests, one after another over one connection."""
        with closing(Connection(self.port)) as connection:
            return [connection.ask(request) for request in requests]

    def load(self, requests: Sequence[bytes], connections: int) -> list[float]:
        """Like the function `load`, with only this server."""
        return load([self], requests, connections)

    @property
    def resident_megabytes(self) -> float:
        """The resident memory of the server process."""
        ps = shutil.which("ps")
        assert ps
        command = [ps, "-o", "rss=", "-p", str(self.process.pid)]
        listed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - as above
        return int(listed.stdout) / 1024


def load(servers: Sequence[Running], requests: Sequence[bytes], connections: int) -> list[float]:
    """Send each of these requests once; returns the seconds that each took, in the order in which they were answered.

    Each connection always has one in progress; there must be a request for each. The connections are distributed over
    the servers. Raises as `Connection.receive`, also `TimeoutError` if no server sends anything for 30 seconds.
    """
    latencies, todo = [], iter(requests)
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for server in islice(cycle(servers), connections):
            connection = stack.enter_context(closing(Connection(server.port)))
            selector.register(connection.socket, selectors.EVENT_READ, connection.send(next(todo)))
        while selector.get_map():
            if not (ready := selector.select(PATIENCE)):
                raise TimeoutError(f"no server has answered for {PATIENCE} seconds")
            for key, _ in ready:
                if key.data.receive() is None:
                    continue
                latencies.append(perf_counter() - key.data.sent_at)
                request = next(todo, None)
                key.data.send(request) if request else selector.unregister(key.fileobj)
    return latencies


@contextmanager
def running(command: Sequence[str], first: bytes, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start a server by a command, with `PORT` and `environment` added to its environment; stop it after the block.

    It has answered its `first` request. Raises `RuntimeError`, with what it has said, if it ends before that, answers
    with an error, or has not answered after 30 seconds.
    """
    port = _free_port()
    began = perf_counter()
    with TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603 - commands of this file
            command,
            env=os.environ | {"PORT": str(port)} | (environment or {}),
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            _await_answer(process, port, first)
            yield Running(process, port, perf_counter() - began)
        except RuntimeError as error:
            said.seek(0)
            error.add_note(said.read().decode(errors="replace"))
            raise
        finally:
            _end(process)


def _await_answer(process: subprocess.Popen[bytes], port: int, request: bytes) -> None:
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
    """Terminate the server, and kill it if it has not ended after 30 seconds."""
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
    """The Content-Length of a response. Raises `RuntimeError` if its status is neither 200 nor 201."""
    status, *headers = head.split(b"\r\n")
    if status.split()[1] not in {b"200", b"201"}:
        raise RuntimeError(f"the server answered {status.decode()}")
    named = (line.lower().partition(b":") for line in headers)
    return next(int(value) for name, _, value in named if name == b"content-length")
