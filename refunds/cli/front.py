"""The front of the production server: it reads a request whole, then hands it to one of a few threads.

It reads in the server's event loop, so a client that sends slowly keeps no thread busy. It gets requests in RSGI,
https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md, and the application takes them in WSGI.
"""

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from math import inf
from queue import SimpleQueue
from time import perf_counter, sleep
from typing import Any
from weakref import WeakValueDictionary

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope  # type: ignore[attr-defined] # it has them

THREADS = 4  # that answer requests, in turns with the interpreter: more would only wait for each other
AT_ONCE = 2  # threads that one client keeps busy at most; its further requests wait without one
IN_TIME = 10  # seconds for a head and body to arrive, and for a client to read some of its answer or ask again
LONGEST_WAIT = 20  # seconds that a request waits for its client's turn; clients give up later, and send it again
SMALL, LARGEST = 2**16, 8 * 2**20  # bytes of a small body, and of the largest that an operation takes
MOST_HELD, MOST_OF_ONE = 2**26, 2**24  # bytes of all bodies, and of one client's, from which on large ones are refused
MOST_KNOWN = 10_000
LATE = 0.5  # seconds until a client hears that it sends too much: one that asks again at once would only do so more
PROBES = ("/livez", "/readyz", "/metrics")
_STRANGERS, _SIGN_IN = "", "/console/sign-in/"
_BATCHES = "/v1/eligibility-checks/batch"
_PAUSE = 0.001  # seconds that a batch waits at a time, while others are answered
_STRETCH, _REST = 0.0005, 0.000001  # seconds that a batch computes at a stretch, and asks to rest: it gets 60 µs
_BETWEEN = 1  # second between requests until a batch is taken to be alone

Application = Callable[..., Iterable[bytes]]


class _Lane:
    """What a client, or all strangers, have under way: turns for `at_once` requests, and the bytes of their bodies.

    `queue` is where a request goes when it has its turn.
    """

    def __init__(self, at_once: int, queue: "SimpleQueue[_Waiting]") -> None:
        self.turns, self.held, self.queue = asyncio.Semaphore(at_once), 0, queue


class Front:
    """The RSGI application that answers requests with a WSGI application.

    A client that is not yet known by the token or cookie that it sends is a stranger. All strangers have one thread,
    until the application calls `refunds.known` of the environment with the client. Those who sign in have one thread
    together, too, as signing in takes long. Each probe has its own thread, so that it is always answered. All batches
    of known clients have one thread together, as they only compute; they call `refunds.give_way` of the environment
    between two items, and while they build a calendar. Each client has one turn for batches, besides the turns for its
    other requests.
    """

    def __init__(self, application: Application, longest_wait: float = LONGEST_WAIT) -> None:
        self._application, self._longest_wait = application, longest_wait
        self.stopping = False
        """Whether each connection is to end with its next response."""
        self.under_way = 0
        """How many requests have arrived whole and are not answered."""
        self._lanes: WeakValueDictionary[str, _Lane] = WeakValueDictionary()
        self._actors: dict[bytes, str] = {}
        self._held = 0
        self._short, self._last_short = 0, -inf
        self._requests, self._batches = self._answered_by(THREADS), self._answered_by(1)
        self._probes = {path: self._answered_by(1) for path in PROBES}

    def _answered_by(self, threads: int) -> "SimpleQueue[_Waiting]":
        """Return a new queue whose requests so many threads answer, for as long as the process lives."""
        queue: SimpleQueue[_Waiting] = SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._answer_all, args=(queue,), daemon=True).start()
        return queue

    async def __call__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Have a request answered, once its body is there or will not come."""
        environ, body = _environ(scope), bytearray()
        sender = _sender(environ)
        lane = self._lane(sender)
        try:
            if 0 < _length(environ) <= LARGEST and "HTTP_TRANSFER_ENCODING" not in environ:
                # The application refuses a body that is shorter than its length.
                with suppress(TimeoutError, ProtocolClosed):
                    async with asyncio.timeout(IN_TIME):
                        await self._read(environ, protocol, body, lane)
            environ["wsgi.input"] = io.BytesIO(body)
            self.under_way += 1
            try:
                if probing := self._probes.get(environ["PATH_INFO"]):
                    sent = await _put(probing, environ, protocol)
                else:
                    sent = await self._in_turn(sender, environ, protocol)
                if sent:
                    await asyncio.wrap_future(sent)
            finally:
                self.under_way -= 1
        finally:
            self._held -= len(body)
            lane.held -= len(body)

    async def _in_turn(self, sender: bytes | None, environ: dict[str, Any], protocol: HTTPProtocol) -> "_Sent | None":
        """Have a request answered when it is its client's turn, or refused if that takes longer than `longest_wait`.

        Returns None if the answer is sent, or a future that is done when it is sent.
        """
        path, end = environ["PATH_INFO"], asyncio.get_running_loop().time() + self._longest_wait
        lane = self._lane(sender, path)
        try:
            while True:
                async with asyncio.timeout_at(end if lane.turns.locked() else None):
                    await lane.turns.acquire()
                if (own := self._lane(sender, path)) is lane:
                    break
                lane.turns.release()
                lane = own  # its client has become known while it waited
        except TimeoutError:
            environ["refunds.waits"] = True
            return await _put(self._requests, environ, protocol)  # the application refuses it, which takes no time
        held = [lane]
        if sender is not None and sender not in self._actors:
            environ["refunds.known"] = self._knowing(sender, held)
        is_short = path != _BATCHES
        if is_short:
            self._last_short = perf_counter()
        else:
            environ["refunds.give_way"] = self._giving_way()
        self._short += is_short
        try:
            return await _put(lane.queue, environ, protocol)
        finally:
            self._short -= is_short
            held.pop().turns.release()

    def _giving_way(self) -> Callable[..., None]:
        """Return the function of a batch that waits while other requests are answered.

        It waits for half of the time since it was called first, at most, and at a time for about `longest` seconds.
        Without it, each of those requests would wait for the interpreter at every statement. While there are such
        requests, within a second, it also gives up the processor from time to time: a thread that has just been woken,
        such as that of the loop, could else wait behind the batch until the system looks again, for 4 ms.
        """
        began, waited, rested = 0.0, 0.0, 0.0

        def give_way(longest: float = inf) -> None:
            nonlocal began, waited, rested
            began, until = began or perf_counter(), waited + longest  # from now: it has waited for other batches before
            while self._short and waited < until and 2 * waited < (before := perf_counter()) - began:
                sleep(_PAUSE)
                waited += (rested := perf_counter()) - before
            if (now := perf_counter()) - rested > _STRETCH and now - self._last_short < _BETWEEN:
                sleep(_REST)
                rested = perf_counter()

        return give_way

    def _knowing(self, sender: bytes, held: list[_Lane]) -> Callable[[str], object]:
        """Return the function by which a thread of the application says which client is the sender; see `_know`.

        It does not refer to the request, which refers to it: the body would else be kept until garbage is collected.
        """
        loop = asyncio.get_running_loop()
        return lambda actor: asyncio.run_coroutine_threadsafe(self._know(actor, sender, held), loop)

    async def _know(self, actor: str, sender: bytes, held: list[_Lane]) -> None:
        """Remember which client a sender is; if that client's lane has a free turn, move the sender's request to it.

        `held` has the lane whose turn the request holds, that of all strangers, which is then released; it is empty
        once the request is answered.
        """
        if len(self._actors) >= MOST_KNOWN:
            self._actors.clear()
        self._actors[sender] = actor
        own = self._lane_of(actor)
        if held and not own.turns.locked():
            await own.turns.acquire()
            held.pop().turns.release()
            held.append(own)

    def _lane(self, sender: bytes | None, path: str = "") -> _Lane:
        """Return the lane of a sender, made if new: of all sign-ins, of all strangers or of a known client.

        With the path of batches, a known client's lane is that of its batches.
        """
        name = _SIGN_IN if sender is None else self._actors.get(sender, _STRANGERS)
        return self._lane_of(name + path if name and path == _BATCHES else name)

    def _lane_of(self, name: str) -> _Lane:
        """Return the lane of all sign-ins, of all strangers, of a client or of its batches, made if new."""
        lane = self._lanes.get(name)
        if lane is None:
            is_batches = name.endswith(_BATCHES)
            at_once = 1 if is_batches or name in {_STRANGERS, _SIGN_IN} else AT_ONCE
            lane = self._lanes[name] = _Lane(at_once, self._batches if is_batches else self._requests)
        return lane

    async def _read(self, environ: dict[str, Any], protocol: HTTPProtocol, body: bytearray, lane: _Lane) -> None:
        """Append a request's body to `body`; if bodies take too much memory, stop and set `refunds.crowded`.

        A small body is always read to its end. The memory is that of all requests, or of the lane.
        """
        if _length(environ) <= SMALL:
            body += await protocol()
            self._held += len(body)
            lane.held += len(body)
            return
        async for part in protocol:
            self._held += len(part)
            lane.held += len(part)
            body += part
            if self._held > MOST_HELD or lane.held > MOST_OF_ONE:
                environ["refunds.crowded"] = True
                return

    def _answer_all(self, queue: "SimpleQueue[_Waiting]") -> None:
        """Answer the requests of a queue for ever; keep none of them while waiting for the next."""
        while True:
            self._answer_one(*queue.get())

    def _answer_one(
        self, environ: dict[str, Any], protocol: HTTPProtocol, answered: "asyncio.Future[_Sent | None]"
    ) -> None:
        """Answer a request, and set its future to what `_answer` returns or raises."""
        try:
            settle = partial(answered.set_result, self._answer(environ, protocol, answered.get_loop()))
        except BaseException as error:  # noqa: BLE001 - the thread goes on; the server logs it and answers with 500
            settle = partial(answered.set_exception, error)
        with suppress(RuntimeError):  # the server has stopped meanwhile, and its loop is closed
            answered.get_loop().call_soon_threadsafe(settle)

    def _answer(
        self, environ: dict[str, Any], protocol: HTTPProtocol, loop: asyncio.AbstractEventLoop
    ) -> "_Sent | None":
        """Call the application for a request, and send its answer.

        Returns None once the answer is sent. Returns a future that is done once it is sent if the loop sends it: an
        answer with 200 and no length as a stream while it is made, and a 429 late, which keeps no thread busy.
        """
        begun: list[Any] = []
        parts = self._application(environ, lambda status, headers, _=None: begun.extend((status, headers)))
        try:
            status, headers = int(begun[0].partition(" ")[0]), begun[1]
            if status == HTTPStatus.OK and not any(name.lower() == "content-length" for name, _ in headers):
                stream = _Stream(protocol, status, self._headers_now(headers), loop)
                stream.send_all(parts)
                return stream.sent
            content = b"".join(parts)
        finally:
            getattr(parts, "close", lambda: None)()
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return asyncio.run_coroutine_threadsafe(self._send_late(protocol, status, headers, content), loop)
        self._send(protocol, status, headers, content)
        return None

    async def _send_late(self, *answer: Any) -> None:
        """Send an answer, as `_send` takes it, after `LATE` seconds."""
        await asyncio.sleep(LATE)
        self._send(*answer)

    def _send(self, protocol: HTTPProtocol, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        """Send a whole answer at once, even if it has no content; while the service stops, it ends the connection."""
        if content:
            protocol.response_bytes(status, self._headers_now(headers), content)
        else:
            protocol.response_empty(status, self._headers_now(headers))

    def _headers_now(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers of a response; while the service stops, add the one that makes the connection end."""
        # Else a proxy could send the next request just when its connection is closed.
        return [*headers, ("connection", "close")] if self.stopping else headers


class _Stream:
    """An answer that is sent while a thread makes it; `sent` is done at its end, or when the reader has left."""

    def __init__(
        self, protocol: HTTPProtocol, status: int, headers: list[tuple[str, str]], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._begin = partial(protocol.response_stream, status, headers)
        self._parts: asyncio.Queue[bytes] = asyncio.Queue()
        self._loop = loop
        self._left = False
        self.sent = asyncio.run_coroutine_threadsafe(self._send(), loop)

    def send_all(self, parts: Iterable[bytes]) -> None:
        """Queue each part for the loop to send when it is made, and then the end; stop early if the reader has left."""
        try:
            for part in parts:
                if self._left:
                    return
                self._loop.call_soon_threadsafe(self._parts.put_nowait, part)
        finally:
            self._loop.call_soon_threadsafe(self._parts.put_nowait, b"")

    async def _send(self) -> None:
        """Begin the response, and send its parts until an empty part comes, or until the reader has left."""
        transport = self._begin()
        try:
            while part := await self._parts.get():
                await transport.send_bytes(part)
        except ProtocolClosed:
            self._left = True


_Sent = Future[None]
_Waiting = tuple[dict[str, Any], HTTPProtocol, asyncio.Future[_Sent | None]]


def _put(queue: SimpleQueue[_Waiting], environ: dict[str, Any], protocol: HTTPProtocol) -> asyncio.Future[_Sent | None]:
    """Put a request into a queue; return a future, which is set to the result of `_answer` once that has run.

    An executor would cost three times this.
    """
    answered: asyncio.Future[_Sent | None] = asyncio.get_running_loop().create_future()
    queue.put((environ, protocol, answered))
    return answered


def _sender(environ: dict[str, Any]) -> bytes | None:
    """Return a digest of the header that names the sender, by a token or else cookies; None for a sign-in."""
    if environ["PATH_INFO"].startswith(_SIGN_IN):
        return None
    sent: str = environ.get("HTTP_AUTHORIZATION") or environ.get("HTTP_COOKIE", "")
    return blake2b(sent.encode(errors="surrogatepass"), digest_size=16).digest()  # a header may have 64 kB


def _length(environ: dict[str, Any]) -> int:
    """Return the announced length of a body, 0 if none is; the server refuses one that is no number."""
    return int(environ.get("CONTENT_LENGTH", 0))


def _environ(scope: Scope) -> dict[str, Any]:
    """Return the WSGI environment of a request, without its body.

    Headers whose name has an underscore are left out: they would be taken for those with a hyphen. A request that names
    no host gets none, not even that of the server.
    """
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),  # as WSGI has it
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": "",
        "SERVER_PORT": scope.server.rpartition(":")[2],
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "refunds.began": perf_counter(),
    }
    for name, value in scope.headers.items():
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        if key in environ:
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value  # noqa: PLW2901
        environ[key] = value
    if host := scope.authority or environ.get("HTTP_HOST"):  # an address with a host comes before the header
        environ["HTTP_HOST"] = host.lower()
    return environ
