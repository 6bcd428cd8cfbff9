"""A service that is killed at any moment loses nothing that it has acknowledged and leaves no partial write."""

import http.client
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, settings, token
from tests.faults.harness import PATIENCE, Client, Installation, cancel_and_die, cancellation_of, until
from tests.faults.processes import PROCESSES

pytestmark = pytest.mark.proof

MOMENTS = [
    ("before", "BEGIN IMMEDIATE"),
    ("after", "INSERT INTO idempotency"),
    ("after", "INSERT INTO customers"),
    ("after", "INSERT INTO orders"),
    ("after", "INSERT INTO promises"),
    ("after", "INSERT INTO contacts"),
    ("after", "INSERT INTO cancellations"),
    ("after", "INSERT INTO events"),
    ("after", "UPDATE journal_head"),
    ("before", "COMMIT"),
    ("after", "COMMIT"),
]
DEATHS_A_MOMENT, DEATHS_UNDER_LOAD = scaled(2, 8), scaled(2, 12)  # of 11 moments: 100 in full
NOTHING = {"orders": 0, "contacts": 0, "cancellations": 0, "idempotency": 0, "events": 0}
ALL = {"orders": 1, "contacts": 1, "cancellations": 1, "idempotency": 1, "events": 4}

# Children are forked from a process without threads, which has imported the service once and opened nothing.


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The surviving service, on the records that the killed processes write to."""
    app = create_app(settings(tmp_path_factory.mktemp("killed")))
    yield app
    app.extensions["refunds.store"].close()


def die(app, body, key, moment):
    """Let another process cancel an order and be killed at a moment, while the database is closed here."""
    billing = token(app, "billing")
    app.extensions["refunds.store"].close()
    given = (app.extensions["refunds.settings"], billing, body, key, *moment)
    process = PROCESSES.Process(target=cancel_and_die, args=given)
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    process.close()


def traces(app, order_id):
    """The number of rows about an order in each table."""
    counts = (f"SELECT count(*) AS rows FROM {table} WHERE order_id = :order_id" for table in ALL)  # noqa: S608
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return dict(zip(ALL, (uow.tx.one(sql, order_id=order_id)["rows"] for sql in counts), strict=True))


def keys_without_reply(app):
    """The number of keys whose request never ended."""
    with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
        return uow.tx.one("SELECT count(*) AS keys FROM idempotency WHERE reply IS NULL OR order_id IS NULL")["keys"]


def audited(app):
    """The report of the audit."""
    store = app.extensions["refunds.store"]
    checkpoints = list(store.checkpoints)
    with store.read(COMMAND_LINE) as uow:
        return uow.verify(checkpoints)


@pytest.mark.parametrize("moment", MOMENTS, ids=" ".join)
def test_a_killed_request_is_done_completely_or_not_at_all_and_can_be_repeated(app, moment):
    committed = moment == ("after", "COMMIT")
    for death in range(DEATHS_A_MOMENT):
        order_id = f"{'-'.join(moment).replace(' ', '-')}-{death}"
        body, key = cancellation_of(order_id), f"key of {order_id}".replace(" ", "-")
        die(app, body, key, moment)
        assert traces(app, order_id) == (ALL if committed else NOTHING)
        assert keys_without_reply(app) == 0

        client, headers = client_of(app, "billing"), {"Idempotency-Key": key}
        retried = client.post("/v1/cancellations", json=body, headers=headers)
        assert (retried.status_code, "Idempotent-Replayed" in retried.headers) == (201, committed)
        again = client.post("/v1/cancellations", json=body, headers=headers)
        assert (again.status_code, again.data) == (201, retried.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert traces(app, order_id) == ALL
        stored = client.get(f"/v1/cancellations/{retried.json['cancellation_id']}")
        assert stored.json == retried.json
    assert audited(app).events >= DEATHS_A_MOMENT * ALL["events"]


def cancel_until_it_is_killed(server, token, numbers, acknowledged, unanswered):
    """Cancel one order after another until the server is killed; collects what was acknowledged, and what was not."""
    with Client(server.port, token) as client:
        for number in numbers:
            key = f"order-{number}"
            body = cancellation_of(key)
            try:
                acknowledged[key] = body, client.cancel(body, key)
            except (OSError, http.client.HTTPException):
                unanswered[key] = body
                return


def killed_under_load(server, token, numbers, chance):
    """Kill a server that six clients keep busy; return what it had acknowledged, and what not."""
    acknowledged, unanswered = {}, {}
    enough = chance.randrange(20, scaled(60, 150))
    with ThreadPoolExecutor(6) as pool:
        ends = [
            pool.submit(cancel_until_it_is_killed, server, token, numbers, acknowledged, unanswered) for _ in range(6)
        ]
        try:
            until(lambda: len(acknowledged) >= enough)
        finally:
            server.kill()
        for end in ends:
            end.result(timeout=PATIENCE)
    return acknowledged, unanswered


def test_a_server_killed_under_load_keeps_every_acknowledged_cancellation(tmp_path, record_property):
    """Each is replayed with its key, and unacknowledged requests can be repeated."""
    installation, chance, numbers = Installation(tmp_path), random.Random(20260408), count()  # noqa: S311 - no secret
    issued, acknowledged, unanswered = {}, {}, {}
    for last in (*[False] * DEATHS_UNDER_LOAD, True):
        with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
            for key, (body, reply) in acknowledged.items():
                assert reply.status == 201
                assert client.cancel(body, key) == reply._replace(replayed=True)
                issued[key] = reply.json["cancellation_id"]
            for key, body in unanswered.items():
                reply = client.cancel(body, key)
                assert reply.status == 201
                issued[key] = reply.json["cancellation_id"]
            stored = [(each["order_id"], each["cancellation_id"]) for each in client.every("/v1/cancellations")]
            assert sorted(stored) == sorted(issued.items())
            if not last:
                acknowledged, unanswered = killed_under_load(server, installation.tokens()["billing"], numbers, chance)
    installation.require_sound()
    record_property("measured", f"killed {DEATHS_UNDER_LOAD} times under load: {len(issued)} cancelled once each")
