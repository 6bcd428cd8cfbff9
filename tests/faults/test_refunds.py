"""Billing pays while supervisors revoke: no order is paid twice or paid and revoked, and no refund is stuck."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests import scaled
from tests.faults.harness import Client, Installation, cancellation_of

pytestmark = pytest.mark.proof

ORDERS = [f"refund-{number}" for number in range(scaled(60, 1000))]
WORKERS = ("one", "two")


@dataclass
class Provider:
    """A payment provider: it pays once per idempotency key, and says what it has paid."""

    paid: Counter = field(default_factory=Counter)
    """How often the customer of each cancellation was paid."""
    keys: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pay(self, key, cancellation_id):
        """Pay, or do nothing if that was done with this key."""
        with self.lock:
            if key not in self.keys:
                self.keys[key] = cancellation_id
                self.paid[cancellation_id] += 1


class Killed(Exception):
    """The worker is killed between paying and settling."""


def key_of(worker, cancellation_id):
    """The reference of a refund: half of them are shared by both workers, the others name their worker."""
    return f"RF-{cancellation_id}" if int(cancellation_id[-1], 36) % 2 else f"RF-{worker}-{cancellation_id}"


def work(client, worker, provider, killed_after=None):
    """Refund every cancellation that is not settled yet, in random order: begin, pay, settle."""
    paid = 0
    waiting = [one for one in client.every("/v1/cancellations") if one["state"] in {"issued", "refunding"}]
    for one in random.sample(waiting, len(waiting)):
        place, reference = f"/v1/cancellations/{one['cancellation_id']}", key_of(worker, one["cancellation_id"])
        begun = client.send("PUT", f"{place}/refund", {"billing_ref": reference})
        if begun.status == 409:
            assert begun.json["state"] in {"refunding", "settled", "revoked"}
            continue
        assert begun.status == 200
        provider.pay(reference, one["cancellation_id"])
        paid += 1
        if paid == killed_after:
            raise Killed
        settled = client.send("PUT", f"{place}/settlement", {"billing_ref": reference})
        assert settled.status == 200, settled.body


def revoke(client, cancellation_ids):
    """Try to revoke each cancellation; those that were revoked."""
    revoked = set()
    for cancellation_id in random.sample(cancellation_ids, len(cancellation_ids)):
        reply = client.send(
            "PUT", f"/v1/cancellations/{cancellation_id}/revocation", {"reason_code": "entered_in_error"}
        )
        if reply.status == 200:
            revoked.add(cancellation_id)
        else:
            assert (reply.status, reply.json["state"] in {"refunding", "settled"}) == (409, True)
    return revoked


@pytest.fixture(scope="module", params=[("sqlite", 2), ("postgresql", 3)], ids=["two processes", "three instances"])
def race(request, tmp_path_factory):
    """The provider, what was revoked, and the cancellations at the end; a killed worker has started again."""
    engine, number = request.param
    installation, provider = Installation(tmp_path_factory.mktemp("refunds"), engine), Provider()
    with installation.instances(number) as servers:
        ports, tokens = [server.port for server in servers], installation.tokens()

        def client(role, side):
            return Client(ports[side % len(ports)], tokens[role])

        with client("billing", 0) as billing:
            issued = [billing.cancel(cancellation_of(order), order).json["cancellation_id"] for order in ORDERS]

        def run(side, worker, killed_after):
            with client("billing", side) as billing:
                return work(billing, worker, provider, killed_after)

        def undo():
            with client("supervisor", 1) as supervisor:
                return revoke(supervisor, issued)

        with ThreadPoolExecutor(3) as pool:
            revoking = pool.submit(undo)
            workers = [pool.submit(run, side, worker, 5 - 5 * side or None) for side, worker in enumerate(WORKERS)]
            died = [isinstance(worker.exception(timeout=600), Killed) for worker in workers]
            revoked = revoking.result(timeout=600)
        assert died == [True, False]
        workers[1].result()
        stuck = sum(one["state"] == "refunding" for one in listed(ports[0], tokens["billing"]))
        run(0, WORKERS[0], None)  # the killed worker starts again
        yield provider, revoked, {one["cancellation_id"]: one for one in listed(ports[0], tokens["billing"])}, stuck
    installation.require_calm()
    installation.require_sound()


def listed(port, token):
    """Every cancellation."""
    with Client(port, token) as billing:
        return list(billing.every("/v1/cancellations"))


def test_no_order_is_paid_twice(race):
    provider, *_ = race
    assert set(provider.paid.values()) == {1}


def test_an_order_is_either_paid_and_settled_or_revoked(race):
    provider, revoked, cancellations, _ = race
    assert len(cancellations) == len(ORDERS)
    assert {name for name, one in cancellations.items() if one["state"] == "revoked"} == revoked
    assert {name for name, one in cancellations.items() if one["state"] == "settled"} == set(provider.paid)
    assert not revoked & set(provider.paid)
    assert revoked
    assert provider.paid


def test_the_refund_of_a_killed_worker_is_settled_when_it_starts_again(race):
    *_, cancellations, stuck = race
    assert stuck <= 1
    assert {one["state"] for one in cancellations.values()} == {"settled", "revoked"}
