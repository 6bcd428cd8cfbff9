"""A PostgreSQL server with an easily recognised password, and a proxy in front of it.

The proxy can lose a response, cut a connection, be unreachable, and report another version. It understands enough of
the protocol to recognise a COMMIT, sent as text or as a prepared statement.
"""

import re
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from threading import Lock, Thread
from typing import Self
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.postgres import Cluster, cluster

# The codes of requests for encryption, which come before any other message.
_ENCRYPTIONS = {80877103, 80877104}

_GIVEN_UP = 30
"""Seconds after which a blocked connection counts as an error of the test."""


class Guarded:
    """A separate server with an ordinary user whose password must be escaped in URLs."""

    user = "keeper"

    def __init__(self, server: Cluster) -> None:
        self.server = server
        self.host, self.port = server.host, server.port
        self.pieces = [secrets.token_hex(8) for _ in range(3)]
        self.password = "{}@{}/{}".format(*self.pieces)
        self._change("CREATE ROLE {} LOGIN PASSWORD {}", self.password)

    def create(self) -> str:
        """Create a database and return its URL."""
        made = self.server.create()
        name = urlsplit(made).path[1:]
        with psycopg.connect(made, autocommit=True) as connection:
            text = "ALTER DATABASE {} OWNER TO {}"
            connection.execute(sql.SQL(text).format(sql.Identifier(name), sql.Identifier(self.user)))
        return self.url(name)

    def url(self, database: str, *, port: int | None = None, password: str | None = None) -> str:
        """The URL of a database, optionally with another port or password."""
        secret = quote(password or self.password, safe="")
        return f"postgresql://{self.user}:{secret}@{self.host}:{port or self.port}/{database}"

    @contextmanager
    def changed_password(self) -> Iterator[None]:
        """Change the password for a while."""
        self._change("ALTER ROLE {} PASSWORD {}", secrets.token_hex(8))
        try:
            yield
        finally:
            self._change("ALTER ROLE {} PASSWORD {}", self.password)

    def _change(self, text: str, password: str) -> None:
        statement = sql.SQL(text).format(sql.Identifier(self.user), sql.Literal(password))
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def require_no_password_in(self, text: str) -> None:
        """Assert that a text contains no part of the password."""
        assert [piece for piece in self.pieces if piece in text] == []


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Such a server, even if the tests are given another one, because these tests break it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("TEST_DATABASE_URL", raising=False)
        with cluster() as server:
            yield Guarded(server)


class Fate(Enum):
    """What happens to a COMMIT and its connection."""

    CUT_BEFORE = "it does not reach the server"
    CUT_AFTER = "it is done, and its response is lost"


class Proxy:
    """A port that leads to a server."""

    def __init__(self, host: str, port: int, *, version: str | None = None) -> None:
        self.commits_lost = 0
        """The number of committed transactions whose response was lost."""
        self._server = host, port
        self._version = version
        self._fate: Fate | None = None
        self._lock = Lock()
        self._links: set[_Link] = set()
        self._accepting: Thread | None = None
        self._listening: socket.socket | None = None
        # A socket that is bound but never listens reserves the port while the proxy is away.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port: int = self._place.getsockname()[1]

    def __enter__(self) -> Self:
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        self._place.close()

    def url(self, url: str) -> str:
        """The URL of a database of the server, through the proxy."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def arm(self, fate: Fate) -> None:
        """Let the next COMMIT have this fate."""
        with self._lock:
            self._fate = fate

    def go_away(self) -> None:
        """Cut every connection, and refuse new ones."""
        if self._listening and self._accepting:
            self._listening.shutdown(socket.SHUT_RDWR)  # closing it would not wake the waiting thread
            self._accepting.join(_GIVEN_UP)
            self._listening.close()
            self._listening = None
        self.cut()

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.cut()
            link.join()

    def come_back(self) -> None:
        """Accept connections again."""
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._accepting = Thread(target=self._accept, args=[self._listening], daemon=True)
        self._accepting.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client = listening.accept()[0]
            except OSError:  # it no longer listens
                return
            try:
                server = socket.create_connection(self._server, timeout=_GIVEN_UP)
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                self._links.add(link)
            link.start()

    def _drawn_fate(self) -> Fate | None:
        with self._lock:
            fate, self._fate = self._fate, None
            return fate

    def _ended(self, link: "_Link") -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """A connection of a client, and the connection to the server for it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._proxy, self._client, self._server = proxy, client, server
        self._statements: dict[bytes, bytes] = {}
        self._fate: Fate | None = None
        self._ends = [Thread(target=self._run, args=[way], daemon=True) for way in (self._there, self._back)]
        self._running = len(self._ends)
        self._lock = Lock()

    def start(self) -> None:
        """Forward messages in both directions."""
        for end in self._ends:
            end.start()

    def cut(self) -> None:
        """Close it on both sides."""
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def join(self) -> None:
        """Wait until it has ended."""
        for end in self._ends:
            end.join(_GIVEN_UP)

    def _run(self, way) -> None:
        """Forward messages in one direction until either side closes; the last thread closes the sockets."""
        with suppress(OSError):
            way()
        self.cut()
        with self._lock:
            self._running -= 1
            last = not self._running
        if last:
            self._client.close()
            self._server.close()
            self._proxy._ended(self)

    def _there(self) -> None:
        """Forward the messages of the client."""
        stream = self._client.makefile("rb")
        with stream:
            self._server.sendall(self._opening(stream))
            for kind, body in _messages(stream):
                if self._fate is None and self._commits(kind, body):
                    self._fate = self._proxy._drawn_fate()
                if self._fate is Fate.CUT_BEFORE:
                    return
                self._server.sendall(_message(kind, body))

    def _opening(self, stream) -> bytes:
        """The first message of a client; requests for encryption are refused."""
        while head := stream.read(8):
            length, code = struct.unpack("!II", head)
            if code not in _ENCRYPTIONS:
                return head + stream.read(length - 8)
            self._client.sendall(b"N")
        raise ConnectionError

    def _commits(self, kind: bytes, body: bytes) -> bool:
        """Whether a message of the client is a COMMIT, by its text or as a prepared statement."""
        if kind == b"P":
            name, text = body.split(b"\0")[:2]
            self._statements[name] = text
        statement = b""
        if kind == b"Q":
            statement = body.rstrip(b"\0")
        elif kind == b"B":
            statement = self._statements.get(body.split(b"\0")[1], b"")
        return statement == b"COMMIT"

    def _back(self) -> None:
        """Forward the messages of the server."""
        stream = self._server.makefile("rb")
        with stream:
            for kind, body in _messages(stream):
                if self._fate is Fate.CUT_AFTER:
                    if (kind, body) == (b"C", b"COMMIT\0"):
                        self._proxy.commits_lost += 1
                        return
                    continue
                forwarded = body
                if self._proxy._version and kind == b"S":
                    forwarded = re.sub(
                        rb"^server_version\0\d+", b"server_version\0" + self._proxy._version.encode(), body
                    )
                self._client.sendall(_message(kind, forwarded))


def _messages(stream) -> Iterator[tuple[bytes, bytes]]:
    """The messages of a stream, with their kinds, until it ends."""
    while len(head := stream.read(5)) == 5:
        kind, length = struct.unpack("!cI", head)
        body = stream.read(length - 4)
        if len(body) < length - 4:
            return
        yield kind, body


def _message(kind: bytes, body: bytes) -> bytes:
    """A message as it is sent."""
    return kind + struct.pack("!I", len(body) + 4) + body
