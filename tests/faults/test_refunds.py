"""Billing pays while supervisors revoke: no order is paid twice or paid and revoked, and no refund is stuck."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests import scaled
from tests.faults.harness import PATIENCE, Client, Installation, cancellation_of

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


def shuffled(client, cancellation_ids, died):
    """These in random order; with `died`, two thirds of them once that is set, so that enough is left until then."""
    for number, cancellation_id in enumerate(random.sample(cancellation_ids, len(cancellation_ids))):
        if died and number == len(cancellation_ids) // 3:
            client.wire.close()  # the service would close it meanwhile
            assert died.wait(PATIENCE)
        yield cancellation_id


def work(client, worker, provider, died=None, killed_after=None):
    """Refund every cancellation that is not settled yet, in random order: begin, pay, settle."""
    paid = 0
    waiting = [one for one in client.every("/v1/cancellations") if one["state"] in {"issued", "refunding"}]
    for cancellation_id in shuffled(client, [one["cancellation_id"] for one in waiting], died):
        place, reference = f"/v1/cancellations/{cancellation_id}", key_of(worker, cancellation_id)
        begun = client.send("PUT", f"{place}/refund", {"billing_ref": reference})
        if begun.status == 409:
            assert begun.json["state"] in {"refunding", "settled", "revoked"}
            continue
        assert begun.status == 200
        provider.pay(reference, cancellation_id)
        paid += 1
        if paid == killed_after:
            raise Killed
        settled = client.send("PUT", f"{place}/settlement", {"billing_ref": reference})
        assert settled.status == 200, settled.body


def revoke(client, cancellation_ids, died):
    """Try to revoke each cancellation; those that were revoked."""
    revoked = set()
    for cancellation_id in shuffled(client, cancellation_ids, died):
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

        killed = threading.Event()

        def run_and_die():
            with client("billing", 0) as billing:
                try:
                    work(billing, WORKERS[0], provider, killed_after=5)
                finally:
                    killed.set()

        def run(side, died=None):
            with client("billing", side) as billing:
                work(billing, WORKERS[side], provider, died)

        def undo():
            with client("supervisor", 1) as supervisor:
                return revoke(supervisor, issued, killed)

        with ThreadPoolExecutor(3) as pool:
            dying, revoking, running = pool.submit(run_and_die), pool.submit(undo), pool.submit(run, 1, killed)
            with pytest.raises(Killed):
                dying.result(timeout=600)
            running.result(timeout=600)
            revoked = revoking.result(timeout=600)
        stuck = sum(one["state"] == "refunding" for one in listed(ports[0], tokens["billing"]))
        run(0)  # the killed worker starts again
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
