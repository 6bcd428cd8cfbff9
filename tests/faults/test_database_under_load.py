"""The real server on a PostgreSQL that fails under load: nothing is lost or done twice, and no request is stuck."""

import os
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest

from refunds.cli.front import THREADS
from refunds.domain.permissions import COMMAND_LINE
from refunds.storage.postgres import CONNECTIONS, PostgreSQL
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, settings
from tests.faults.harness import PATIENCE, cancellation_of, is_alive, until
from tests.faults.proxy import guarded
from tests.faults.test_outages import serving

pytestmark = pytest.mark.proof

CLIENTS, TIMES = 8, scaled(1, 10)
SECONDS_AWAY = scaled(1, 20)
ROLES = ("admin", "agent", "billing", "supervisor")
"""Those of the clients: one role has one token, and one token only a part of the threads."""


class Restarts:
    """Stops and starts a PostgreSQL server."""

    def __init__(self, guarded):
        self.guarded = guarded
        with psycopg.connect(guarded.server.url("postgres")) as connection:
            self.directory = Path(connection.execute("SHOW data_directory").fetchone()[0])
        pid = (self.directory / "postmaster.pid").read_text().split()[0]
        self.tool = Path(f"/proc/{pid}/exe").readlink().with_name("pg_ctl")
        owner = self.directory.stat()
        self.user = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def run(self, *command):
        """Run pg_ctl on the server."""
        given = [*command, "-D", self.directory, "-w", "-t", str(PATIENCE)]
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        subprocess.run([self.tool, *given], check=True, cwd="/", **quiet, **self.user)


@pytest.fixture(scope="module")
def restarts():
    """A PostgreSQL server for this module only; stopped with pg_ctl, as a restart changes the process."""
    with guarded() as server:
        restarts = Restarts(server)
        try:
            yield restarts
        finally:
            restarts.run("stop", "-m", "immediate")


@pytest.fixture(scope="module")
def running(restarts, tmp_path_factory):
    """The service on it."""
    with serving(restarts.guarded, tmp_path_factory.mktemp("under-load")) as service:
        yield service


@pytest.fixture
def service(running):
    """The service, ready."""
    return running.next_test()


class Busy:
    """Clients that cancel one order after another, and repeat a request while the answer is 503."""

    def __init__(self, service):
        self.service, self.done, self.statuses, self.slowest = service, [], Counter(), 0.0
        self._numbers, self._end = count(), threading.Event()

    def __enter__(self):
        """Begin."""
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._sent = [self._pool.submit(self._cancel_all, ROLES[number % len(ROLES)]) for number in range(CLIENTS)]
        return self

    def __exit__(self, *_):
        """End, and fail if a request was not answered, or not with 201 in the end."""
        self._end.set()
        for each in self._sent:
            each.result(timeout=2 * PATIENCE)
        self._pool.shutdown()

    def _cancel_all(self, role):
        while not self._end.is_set():
            order_id = self.service.own(f"busy-{next(self._numbers)}")
            until(partial(self._is_cancelled, order_id, cancellation_of(order_id), role))
            self.done.append(order_id)

    def _is_cancelled(self, order_id, body, role):
        sent = time.monotonic()
        headers = {"Idempotency-Key": order_id}
        try:
            status = self.service.send("POST", "/v1/cancellations", body, role, **headers).status
        except OSError as error:
            raise AssertionError("a request was not answered") from error
        self.slowest = max(self.slowest, time.monotonic() - sent)
        self.statuses[status] += 1
        assert status in {201, 503}
        return status == 201

    def wait_for(self, number):
        """Wait until so many more orders are cancelled."""
        enough = len(self.done) + number
        until(lambda: len(self.done) >= enough)

    def __str__(self):
        return (
            f"{len(self.done)} cancelled once each, answers {dict(self.statuses)}, the slowest in {self.slowest:.1f} s"
        )


def restart(how, _, restarts, __):
    """Restart the database."""
    restarts.run("restart", "-m", how)


def cut(service, _, __):
    """Cut the connections to the database."""
    service.proxy.cut()


def stop_for_a_while(service, restarts, busy):
    """Stop the database, and start it again after a while in which requests were refused."""
    restarts.run("stop", "-m", "fast")
    end, refused = time.monotonic() + SECONDS_AWAY, busy.statuses[503]
    until(lambda: time.monotonic() > end and busy.statuses[503] >= refused + CLIENTS)
    assert is_alive(service.port)
    restarts.run("restart")  # with the options of before, which a start would not have


def crowd_out(service, restarts, busy):
    """Let the database refuse all connections of the service but two for a while."""
    refusals = service.logged_text.count(REFUSAL)
    own = restarts.guarded.server.url("postgres")
    with psycopg.connect(own, autocommit=True) as superuser:
        superuser.execute(f"ALTER ROLE {restarts.guarded.user} CONNECTION LIMIT 2")
        try:
            service.proxy.cut()
            busy.wait_for(3 * CLIENTS)
            until(lambda: service.logged_text.count(REFUSAL) > refusals)
        finally:
            superuser.execute(f"ALTER ROLE {restarts.guarded.user} CONNECTION LIMIT -1")


REFUSAL = "too many connections for role"
FAULTS = {
    "restarted fast": (partial(restart, "fast"), TIMES),
    "restarted immediately": (partial(restart, "immediate"), TIMES),
    "cut off": (cut, TIMES),
    "short of connections": (crowd_out, TIMES),
    f"down for {SECONDS_AWAY} s": (stop_for_a_while, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_database_that_fails_under_load_loses_and_doubles_nothing(restarts, service, fault, record_property):
    """A request that is repeated with its key succeeds, even after a crash."""
    happen, times = FAULTS[fault]
    with Busy(service) as busy:
        for _ in range(times):
            busy.wait_for(2 * CLIENTS)
            happen(service, restarts, busy)
        busy.wait_for(2 * CLIENTS)
    new = service.own("new")
    assert service.cancel(cancellation_of(new), new).status == 201
    assert is_alive(service.port)
    service.require_whole([*busy.done, new])
    record_property("measured", f"{fault}, {times} times: {busy}")


HOLD = "SELECT * FROM journal_head FOR UPDATE"


def test_requests_that_keep_every_thread_waiting_do_not_keep_probes_waiting(service):
    """They wait ten seconds for a lock of somebody else, then they are refused and can be repeated.

    One that gets to the head of PostgreSQL's line just before waits once more, while the next already wait.
    """
    order_ids = [service.own(f"held-{number}") for number in range(3 * THREADS)]
    bodies, roles = {order_id: cancellation_of(order_id) for order_id in order_ids}, ROLES * 3

    def cancel(order_id, role):
        headers = {"Idempotency-Key": order_id}
        return service.send("POST", "/v1/cancellations", bodies[order_id], role, **headers).status

    with psycopg.connect(service.url) as holder, ThreadPoolExecutor(len(order_ids)) as pool:
        holder.execute(HOLD)
        sent = [pool.submit(cancel, *each) for each in zip(order_ids, roles, strict=True)]
        with psycopg.connect(service.url, autocommit=True) as other:
            until(lambda: waiting(other) == THREADS)
        assert service.send("GET", "/readyz").status == 200
        assert is_alive(service.port)
        assert not any(each.done() for each in sent)
        until(lambda: sum(each.done() for each in sent) >= scaled(0, THREADS))
        holder.rollback()
        refused = Counter(each.result(PATIENCE) for each in sent)[503]
        assert scaled(0, THREADS) <= refused <= scaled(0, 2 * THREADS)
        assert set(pool.map(cancel, order_ids, roles)) == {201}
    service.require_whole(order_ids)


def waiting(connection):
    """The number of transactions that wait for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return len(connection.execute(sql).fetchall())


@pytest.mark.parametrize("status", [201, 503], ids=["for a moment", "for longer than requests wait"])
def test_more_requests_than_connections_are_all_answered(tmp_path, monkeypatch, status):
    """While all connections wait for a lock; on a server with more threads than its own has."""
    monkeypatch.setitem(PostgreSQL.__init__.__kwdefaults__, "patience", scaled(1, 5))
    known = settings(tmp_path, engine="postgresql")
    app = create_app(known)
    bodies = {f"pool-{number}": cancellation_of(f"pool-{number}") for number in range(3 * CONNECTIONS)}

    def cancel(order_id):
        headers = {"Idempotency-Key": order_id}
        return client_of(app, "billing").post("/v1/cancellations", json=bodies[order_id], headers=headers).status_code

    with closing(app.extensions["refunds.store"]) as store:
        assert cancel("pool-0") == 201
        engine = store.open()[0]
        with psycopg.connect(known.database) as holder, ThreadPoolExecutor(len(bodies)) as pool:
            holder.execute(HOLD)
            order_ids = list(bodies)[1:]
            sent = [pool.submit(cancel, order_id) for order_id in order_ids]
            until(lambda: engine.pool() == full(len(order_ids)))
            if status == 503:
                until(lambda: all(each.done() for each in sent))
            holder.rollback()
            assert {each.result(PATIENCE) for each in sent} == {status}
            assert set(pool.map(cancel, order_ids)) == {201}
        assert client_of(app, "operator").get("/readyz").status_code == 200
        with store.read(COMMAND_LINE) as uow:
            assert uow.tx.one("SELECT count(*) AS found FROM cancellations")["found"] == len(bodies)


def full(requests):
    """The pool while so many requests want a connection, more than there are."""
    return {"idle": 0, "in_use": CONNECTIONS, "max": CONNECTIONS, "waiting": requests - CONNECTIONS}
