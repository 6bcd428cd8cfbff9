"""The worker of the guide for billing engineers, on a network that loses calls, killed and started again."""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import scaled
from tests.faults.harness import PATIENCE, Client, Installation, cancellation_of, until
from tests.faults.processes import ROOT

pytestmark = pytest.mark.proof

ORDERS = [f"refund-{number}" for number in range(scaled(8, 60))]
EARLY = ["before-the-backup-1", "before-the-backup-2"]
AT_ONCE = set(ORDERS[::6])
"""The orders whose cancellations are revoked before the worker may begin."""
LATE = set(ORDERS[3::4]) - AT_ONCE
"""The orders whose cancellations a supervisor tries to revoke when the worker has begun some of the refunds."""
FAILING, FAILED, HELD = "the-payment-fails", "killed-after-the-payment-failed", "refunded-by-hand"
LEFT = {FAILING: "issued", FAILED: "issued", HELD: "refunding"}
"""The orders that the worker leaves to people, with the states of their cancellations."""
KILLS = scaled(2, 12)
SECONDS = {"REST": "1", "LIST": "3", "POLL": "1"}


class Fate(Enum):
    """What becomes of a call."""

    PASSED = "it is answered"
    LOST = "it does not reach the server"
    UNANSWERED = "it is carried out, and its response is lost"


OF_TEN = [Fate.LOST] * 2 + [Fate.UNANSWERED] * 2 + [Fate.PASSED] * 6


class Quiet(BaseHTTPRequestHandler):
    """A handler that reads the body and prints nothing."""

    def __getattr__(self, name):
        """The same method for every verb."""
        if name.startswith("do_"):
            return lambda: self.handle_call(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        raise AttributeError(name)

    def log_message(self, *_):
        """Print nothing."""

    def respond(self, status, body):
        """Send a response of JSON."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Losing(Quiet):
    """Passes calls on to a server, and loses four of ten."""

    def handle_call(self, body):
        """Draw the fate of this call, and let it have it."""
        fate = self.server.drawn()
        if fate is not Fate.LOST:
            token = (self.headers.get("Authorization") or "Bearer ").removeprefix("Bearer ")
            with Client(self.server.target, token) as client:
                keys = {"Idempotency-Key": key} if (key := self.headers.get("Idempotency-Key")) else {}
                reply = client.send(self.command, self.path, json.loads(body) if body else None, **keys)
            if fate is Fate.PASSED:
                self.respond(reply.status, reply.body)


class Proxy(ThreadingHTTPServer):
    """A port that leads to another one, and the fates of the calls so far."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Losing)
        self.target, self.fates, self._next, self._lock = target, Counter(), [], threading.Lock()

    def drawn(self):
        """The fate of the next call: of each ten in a row, four are lost."""
        with self._lock:
            self._next = self._next or random.sample(OF_TEN, len(OF_TEN))
            fate = self._next.pop()
            self.fates[fate] += 1
        return fate


class Paying(Quiet):
    """The two calls of a payment provider."""

    def handle_call(self, body):
        """Say what is known of a key, or pay once for it."""
        key = self.headers.get("Idempotency-Key") or self.path.rpartition("/")[2]
        with self.server.lock:
            if self.command == "POST" and key not in self.server.payments:
                order_id = json.loads(body)["order_id"]
                failed = order_id in self.server.failing
                self.server.payments[key] = {"order_id": order_id, "state": "failed" if failed else "paid"}
                self.server.paid[order_id] += not failed
            known = self.server.payments.get(key)
        self.respond(200 if known else 404, json.dumps(known or {}).encode())


class Provider(ThreadingHTTPServer):
    """A payment provider: one payment for each key. It counts what each order was paid."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Paying)
        self.payments, self.paid, self.failing, self.lock = {}, Counter(), set(), threading.Lock()


@contextmanager
def running(server):
    """A server of this process, in a thread."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def guide():
    """The worker as it is on the page."""
    (worker,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs/billing.md").read_text(), re.DOTALL | re.MULTILINE)
    return worker


def revoke(client, cancellation_id):
    """Try to revoke a cancellation; whether that was possible."""
    body = {"reason_code": "entered_in_error"}
    reply = client.send("PUT", f"/v1/cancellations/{cancellation_id}/revocation", body)
    assert reply.status == 200 or reply.json["state"] in {"refunding", "settled"}, reply.body
    return reply.status == 200


class World:
    """The service, the provider, the lossy ways to both, and the worker of the guide."""

    def __init__(self, directory, opened):
        self.installation, self.directory = Installation(directory), directory
        # As in production, where the types of problems are therefore absolute addresses.
        self.installation.environment |= {"REFUNDS_PUBLIC_URL": "https://refunds.example"}
        self.provider = opened.enter_context(running(Provider()))
        self.to_provider = opened.enter_context(running(Proxy(self.provider.server_port)))
        self.to_service = opened.enter_context(running(Proxy(0)))
        self.token, self.revoked, self.states = "", set(), {}
        self.worker_log, self.place = directory / "worker.log", directory / "place"
        (directory / "worker.py").write_text(guide())

    @contextmanager
    def serving(self):
        """The service, with a client that loses nothing."""
        with self.installation.serving() as server:
            self.to_service.target = server.port
            self.token = self.token or self.installation.tokens()["billing"]
            with Client(server.port, self.token) as billing:
                yield billing

    @contextmanager
    def working(self):
        """The running worker, which is killed at the end."""
        environment = os.environ | {
            "SERVICE_URL": f"http://127.0.0.1:{self.to_service.server_port}",
            "PROVIDER_URL": f"http://127.0.0.1:{self.to_provider.server_port}",
            "BILLING": self.token,
            "PLACE_FILE": str(self.place),
            "no_proxy": "*",
        }
        command = [sys.executable, "-u", self.directory / "worker.py"]
        with self.worker_log.open("ab") as log:
            process = subprocess.Popen(command, env=environment | SECONDS, stdout=log, stderr=log)
        try:
            yield
            assert process.poll() is None, self.worker_log.read_text()  # it never ends by itself
        finally:
            process.kill()
            process.wait(timeout=PATIENCE)

    def cancel(self, orders):
        """Cancel orders, and let a supervisor revoke some: at once, or when the worker may have begun."""
        port, supervisor = self.to_service.target, self.installation.tokens()["supervisor"]
        ids = {}
        with Client(port, self.token) as billing, Client(port, supervisor) as revoking:
            for order in orders:
                ids[order] = billing.cancel(cancellation_of(order), order).json["cancellation_id"]
                if order in AT_ONCE:
                    assert revoke(revoking, ids[order])
                time.sleep(0.15)
            late = {order for order in LATE.intersection(orders) if revoke(revoking, ids[order])}
        self.revoked |= late | AT_ONCE.intersection(orders)
        return ids

    def work(self, billing, orders, kills):
        """Run the worker, killed so many times just after a payment, until each order is settled, revoked or left."""

        def done():
            self.states = {one["order_id"]: one["state"] for one in billing.every("/v1/cancellations")}
            left = {order: self.states[order] for order in LEFT}
            return left == LEFT and all(self.states.get(order) in {"settled", "revoked"} for order in orders)

        for kill in range(kills):
            aim = self.provider.paid.total() + 1
            with self.working():
                until(lambda aim=aim: self.provider.paid.total() >= aim or done())
                time.sleep(0.02 * (kill % 4))
        with self.working():
            until(done)
            until(lambda: self.place.exists() and json.loads(self.place.read_text())["after"] == end_of_feed(billing))


def end_of_feed(billing):
    """The place after the last cancellation in the feed."""
    path, page = "/v1/events?types=cancellation.issued", {"items": True, "next": None}
    while page["items"]:
        page = billing.send("GET", path if page["next"] is None else f"{path}&after={page['next']}").json
    return page["next"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The world after all orders are refunded, and the state of each cancellation."""
    directory = tmp_path_factory.mktemp("billing")
    with ExitStack() as opened:
        world = World(directory, opened)
        with world.serving() as billing:
            ids = world.cancel([*EARLY, *LEFT])
            key = f"RF-{ids[FAILED]}"
            for order, ref in ((HELD, "by hand"), (FAILED, key)):
                assert billing.send("PUT", f"/v1/cancellations/{ids[order]}/refund", {"billing_ref": ref}).status == 200
            world.provider.payments[key] = {"order_id": FAILED, "state": "failed"}
        erased = world.installation.flask("privacy", "erase", f"customer of {EARLY[0]}", "--reason", "child")
        assert erased.returncode == 0, erased.stderr
        assert world.installation.flask("backup", str(directory / "backup")).returncode == 0
        world.provider.failing.add(FAILING)
        with world.serving() as billing, ThreadPoolExecutor(1) as cancelling:
            made = cancelling.submit(world.cancel, ORDERS)
            world.work(billing, [*EARLY, *ORDERS], KILLS)
            made.result()
            world.installation.require_sound()
        yield world


def test_every_cancellation_is_settled_or_revoked(world):
    expected = dict.fromkeys([*EARLY, *ORDERS], "settled") | dict.fromkeys(world.revoked, "revoked")
    assert {order: state for order, state in world.states.items() if order not in LEFT} == expected
    assert world.revoked >= AT_ONCE


def test_each_settled_order_is_paid_once_and_each_revoked_one_never(world):
    assert world.provider.paid == Counter(order for order, state in world.states.items() if state == "settled")


def test_failed_payments_and_the_refund_of_another_holder_are_left_to_people(world):
    assert {order: world.states[order] for order in LEFT} == LEFT
    assert not set(LEFT) & set(+world.provider.paid)
    tried = [(one["order_id"], one["state"]) for one in world.provider.payments.values() if one["order_id"] in LEFT]
    assert sorted(tried) == [(FAILED, "failed"), (FAILING, "failed")]


def test_four_calls_of_ten_were_lost(world, record_property):
    for proxy in (world.to_service, world.to_provider):
        assert min(proxy.fates[fate] for fate in Fate) > 0
        assert 0.3 < 1 - proxy.fates[Fate.PASSED] / proxy.fates.total() < 0.5
    calls = world.to_service.fates.total(), world.to_provider.fates.total()
    record_property("measured", f"{calls[0]} calls of the service and {calls[1]} of the provider, 4 of 10 lost")


def test_after_a_restore_nothing_is_paid_again(world):
    """It runs last: the cancellations since the backup are gone."""
    paid, read = Counter(world.provider.paid), world.place.read_text()
    restored = world.installation.flask("restore", str(world.directory / "backup"))
    assert restored.returncode == 0, restored.stderr
    with world.serving() as billing:
        world.work(billing, EARLY, 0)
    assert world.states == dict.fromkeys(EARLY, "settled") | LEFT
    assert world.provider.paid == paid
    assert world.place.read_text() != read


def test_the_worker_is_short():
    assert len(guide().splitlines()) <= 60
