"""Clients that keep a service busy, and a load balancer that spreads their requests over its instances."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import NamedTuple, Self

from tests.faults.harness import PATIENCE, Client, Installation, Server, cancellation_of, until

PER_SECOND, CLIENTS = 50, 4

ASKING = 0.2
"""Seconds between two questions to an instance whether it is ready."""


class Place(NamedTuple):
    """An instance since it became ready; a later start on the same port is another place."""

    port: int
    times: int


class Balancer:
    """Sends each request to the next instance that is ready, and none a second time."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ready: dict[int, Place] = {}
        self._ports, self._turns, self._times, self._end = ports, count(), count(), threading.Event()

    def __enter__(self) -> Self:
        """Begin, once all instances are ready."""
        self._asking = [threading.Thread(target=self._ask, args=[port], daemon=True) for port in self._ports]
        for each in self._asking:
            each.start()
        until(lambda: len(self.ready) == len(self._ports))
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for each in self._asking:
            each.join()

    def next(self) -> Place:
        """Where the next request goes."""
        ready = list(self.ready.values())
        return ready[next(self._turns) % len(ready)]

    def client(self, place: Place, token: str) -> Client:
        """A client whose requests go to a place."""
        return Client(place.port, token)

    def _ask(self, port: int) -> None:
        """Ask an instance again and again whether it is ready."""
        while not self._end.wait(ASKING):
            try:
                with Client(port, "") as client:
                    is_ready = client.send("GET", "/readyz").status == 200
            except OSError:
                is_ready = False
            if not is_ready:
                self.ready.pop(port, None)
            elif port not in self.ready:
                self.ready[port] = Place(port, next(self._times))


IDLE = 5
"""Seconds after which a client opens a new connection: the service closes one that is idle for ten."""


def restart(
    installation: Installation, balancer: Balancer, servers: list[Server], number: int, ends: ExitStack
) -> None:
    """Stop the instance with this number, start another one in its place, which ends with `ends`, until it is ready."""
    old, ready = servers[number], len(servers)
    old.process.send_signal(signal.SIGTERM)
    assert old.process.wait(PATIENCE) == 0
    until(lambda: old.port not in balancer.ready)
    servers[number] = ends.enter_context(installation._started(old.port))
    until(lambda: len(balancer.ready) == ready)


class Load:
    """Clients that cancel fifty orders a second, each at the next instance, and what was acknowledged to them."""

    def __init__(self, balancer: Balancer, token: str) -> None:
        self.balancer, self.token, self.acknowledged, self.slowest = balancer, token, [], 0.0
        self._wanted, self._end, self._begun = count(), threading.Event(), time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._sent = [self._pool.submit(self._send) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        """End, and fail if a request failed."""
        self._end.set()
        self._pool.shutdown()
        for sent in self._sent:
            sent.result()

    def __str__(self) -> str:
        return f"{len(self.acknowledged)} writes, the slowest in {self.slowest:.2f} s"

    def _send(self) -> None:
        with ExitStack() as connected:
            clients: dict[Place, Client] = {}
            used: dict[Place, float] = {}
            while not self._end.is_set():
                number = next(self._wanted)
                time.sleep(max(0, self._begun + number / PER_SECOND - time.monotonic()))
                place = self.balancer.next()
                if time.monotonic() - used.get(place, -IDLE) >= IDLE:  # the service may be about to close it
                    clients[place] = connected.enter_context(self.balancer.client(place, self.token))
                sent = time.monotonic()
                reply = clients[place].cancel(cancellation_of(f"L-{number}"), f"load-{number}")
                assert reply.status == 201, reply
                used[place] = time.monotonic()
                self.slowest = max(self.slowest, used[place] - sent)
                self.acknowledged.append(f"L-{number}")

    def go_on(self, share: float) -> None:
        """Wait until this share of what is sent in a second was acknowledged from now on."""
        enough = len(self.acknowledged) + share * PER_SECOND
        until(lambda: len(self.acknowledged) >= enough)

    def require_whole(self, installation: Installation, port: int) -> None:
        """Assert that each acknowledged order was cancelled once, no other was, and the audit finds everything sound."""
        with Client(port, self.token) as client:
            for records in ("cancellations", "contacts"):
                found = Counter(each["order_id"] for each in client.every(f"/v1/{records}"))
                assert found == Counter(self.acknowledged)
        installation.require_sound()
