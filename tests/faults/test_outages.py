"""The real server with a PostgreSQL that fails at the worst moments: no response is wrong, and nothing hangs."""

import http.client
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from itertools import cycle, islice
from select import select
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest

from refunds.cli.front import THREADS
from refunds.web.problem_types import PROBLEMS
from tests import scaled
from tests.faults.harness import (
    PATIENCE,
    Client,
    Installation,
    cancellation_of,
    free_port,
    is_alive,
    until,
)
from tests.faults.processes import Command
from tests.faults.proxy import Fate, Proxy, guarded

pytestmark = pytest.mark.proof

LOST = scaled(8, 20)
"""Lost responses to a COMMIT: enough that the driver sends it in every way."""

CROWD = scaled(2, 8) * THREADS
"""More requests at once than the service has threads."""

ROLES = ("admin", "billing")
"""Those of a crowd: one token has only a part of the threads."""

ALL = {"orders": 1, "contacts": 1, "cancellations": 1, "idempotency": 1, "events": 4}
NOTHING = dict.fromkeys(ALL, 0)
FACTS = {"customer_ref": "K-20391", "service_provided_at": None}


class Answer(NamedTuple):
    """A response with its headers."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def replayed(self):
        """Whether the response is a replay."""
        return self.headers.get("Idempotent-Replayed") == "true"


class Service:
    """A service whose database is behind a proxy."""

    def __init__(self, installation, proxy, url, port):
        self.installation, self.proxy, self.url, self.port = installation, proxy, url, port
        self.tokens = installation.tokens()
        self.test = 0
        """The number of tests so far; each has its own orders and log lines."""
        self._log_start = 0

    def next_test(self):
        """The same service, prepared for another test."""
        until(lambda: self.send("GET", "/readyz").status == 200)
        self.test += 1
        self._log_start = len(self.installation.log.read_text())
        return self

    def own(self, name):
        """The id of an order that belongs to this test."""
        return f"{name}-of-{self.test}"

    @property
    def logged_text(self):
        """The log of this test."""
        return self.installation.log.read_text()[self._log_start :]

    def send(self, method, path, body=None, role="billing", **headers):
        """Send a request on a new connection, and return the response."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as wire:
            headers |= {"Authorization": f"Bearer {self.tokens[role]}", "Content-Type": "application/json"}
            wire.request(method, path, None if body is None else json.dumps(body), headers)
            response = wire.getresponse()
            return Answer(response.status, response.headers, response.read())

    def cancel(self, body, key):
        """Cancel an order with a key, and return the response."""
        return self.send("POST", "/v1/cancellations", body, **{"Idempotency-Key": key})

    def register(self, order_id, role="billing"):
        """Register an order, and return the response."""
        return self.send("PUT", f"/v1/orders/{order_id}", FACTS, role)

    def register_all(self, name):
        """Register as many orders as there are requests in a crowd, all at once, and return the responses."""
        with ThreadPoolExecutor(CROWD) as pool:
            order_ids = [self.own(f"{name}-{number}") for number in range(CROWD)]
            return list(pool.map(self.register, order_ids, cycle(ROLES)))

    def traces(self, order_id):
        """The number of rows about an order in each table, read directly from the server."""
        with psycopg.connect(self.url) as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table} WHERE order_id = %s", [order_id]).fetchone()[0]  # noqa: S608
                for table in ALL
            }

    def require_whole(self, order_ids):
        """Assert that each order has one record of each kind, the feed has no gap, and the audit finds everything sound."""
        with Client(self.port, self.tokens["auditor"]) as auditor:
            once = dict.fromkeys(order_ids, 1)
            for path in ("/v1/cancellations", "/v1/contacts"):
                found = Counter(each["order_id"] for each in auditor.every(path))
                assert {order_id: times for order_id, times in found.items() if self.is_own(order_id)} == once
            events = feed(auditor)
        assert [event["position"] for event in events] == list(range(1, len(events) + 1))
        kinds = Counter((event["type"], event["order_id"]) for event in events if self.is_own(event["order_id"]))
        types = ("order.registered", "order.promised", "contact.recorded", "cancellation.issued")
        assert kinds == {(kind, order_id): 1 for kind in types for order_id in order_ids}
        self.installation.require_sound()

    def is_own(self, order_id):
        """Whether an order belongs to this test."""
        return (order_id or "").endswith(self.own(""))


def feed(client):
    """All events."""
    seen, page = [], client.send("GET", "/v1/events?limit=200").json
    while page["items"]:
        seen += page["items"]
        page = client.send("GET", f"/v1/events?after={page['next']}&limit=200").json
    return seen


def require_unavailable(answer):
    """Assert that a response says only that storage is unavailable, and when to try again."""
    assert answer.status == 503
    assert answer.json["type"] == "/problems/storage-unavailable"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json["detail"] == "The database cannot serve at the moment."


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server for this module only."""
    with guarded() as server:
        yield server


@contextmanager
def behind_proxy(server, directory):
    """An installation whose database is behind a proxy, that proxy, and the URL of the database itself."""
    url = server.create()
    with Proxy(server.host, server.port) as proxy:
        installation = Installation(directory)
        installation.environment["REFUNDS_DATABASE"] = proxy.url(url)
        yield installation, proxy, url


@contextmanager
def serving(server, directory):
    """A service whose database is behind a proxy; afterwards, its output must not contain the password."""
    with behind_proxy(server, directory) as (installation, proxy, url):
        with installation.serving() as running:
            service = Service(installation, proxy, url, running.port)
            yield service
            measured = service.send("GET", "/metrics", role="operator")
            assert measured.status == 200
        server.require_no_password_in(measured.body.decode())
        server.require_no_password_in(installation.log.read_text())
        assert {line["status"] for line in logged(installation) if line["event"] == "request"} <= {200, 201, 429, 503}


def logged(installation):
    """The lines after the start, all of which must be log lines."""
    lines = installation.log.read_text().partition("stop it with Ctrl-C\n")[2].splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def running(server, tmp_path_factory):
    """The service of most tests."""
    with serving(server, tmp_path_factory.mktemp("outages")) as service:
        yield service


@pytest.fixture
def service(running):
    """A service whose database is behind a proxy and reachable."""
    return running.next_test()


def test_a_commit_whose_response_is_lost_is_replayed_with_the_same_key(service):
    order_ids, lost = [service.own(f"unheard-{number}") for number in range(LOST)], service.proxy.commits_lost
    for number, order_id in enumerate(order_ids, 1):
        body = cancellation_of(order_id)
        service.proxy.arm(Fate.CUT_AFTER)
        require_unavailable(service.cancel(body, order_id))
        assert service.proxy.commits_lost - lost == number
        assert service.traces(order_id) == ALL

        retried = service.cancel(body, order_id)
        assert (retried.status, retried.replayed) == (201, True)
        assert service.cancel(body, order_id).body == retried.body
        stored = service.send("GET", f"/v1/cancellations/{retried.json['cancellation_id']}")
        assert stored.json == retried.json
        assert service.traces(order_id) == ALL
    service.require_whole(order_ids)


@pytest.mark.parametrize("before", [0, 4, 5, 6, 9])
def test_the_proxy_recognises_a_commit_in_every_form(server, before):
    """As text and, after a connection has sent it several times, as a prepared statement."""
    url = server.create()
    with psycopg.connect(url) as direct, Proxy(server.host, server.port) as proxy:
        direct.execute("CREATE TABLE numbers (number INTEGER)")
        direct.commit()
        with closing(psycopg.connect(proxy.url(url), autocommit=True)) as connection:
            for number in range(before + 1):
                if number == before:
                    proxy.arm(Fate.CUT_AFTER)
                connection.execute("BEGIN")
                connection.execute("INSERT INTO numbers VALUES (%s)", [number])
                with pytest.raises(psycopg.OperationalError) if number == before else nullcontext():
                    connection.execute("COMMIT")
        assert proxy.commits_lost == 1
        assert direct.execute("SELECT count(*) FROM numbers").fetchone() == (before + 1,)


def test_a_connection_lost_before_its_commit_leaves_nothing(service):
    order_ids, lost = [service.own(f"cut-{number}") for number in range(LOST)], service.proxy.commits_lost
    for order_id in order_ids:
        body = cancellation_of(order_id)
        service.proxy.arm(Fate.CUT_BEFORE)
        require_unavailable(service.cancel(body, order_id))
        assert service.traces(order_id) == NOTHING
        retried = service.cancel(body, order_id)
        assert (retried.status, retried.replayed) == (201, False)
        assert service.traces(order_id) == ALL
    assert service.proxy.commits_lost == lost
    service.require_whole(order_ids)


@pytest.mark.parametrize(("fate", "status"), [(Fate.CUT_AFTER, 200), (Fate.CUT_BEFORE, 201)])
def test_an_order_can_be_registered_again_after_any_failure(service, fate, status):
    """It is registered once, even if the response to the first request was lost."""
    for number in range(LOST):
        order_id = service.own(f"order-{number}")
        service.proxy.arm(fate)
        require_unavailable(service.register(order_id))
        assert service.traces(order_id)["orders"] == (status == 200)
        assert service.register(order_id).status == status
        again = service.register(order_id)
        assert (again.status, again.json["revision"]) == (200, 1)
        assert service.traces(order_id) == NOTHING | {"orders": 1, "events": 1}
    service.installation.require_sound()


def test_without_its_database_the_service_is_alive_but_not_ready(server, service):
    """It needs no restart when the database is back."""
    assert service.register(service.own("before")).status == 201
    service.proxy.go_away()
    assert service.send("GET", "/livez").status == 200
    requests = [
        ("GET", "/readyz"),
        ("PUT", f"/v1/orders/{service.own('meanwhile')}", FACTS),
        ("GET", f"/v1/orders/{service.own('before')}"),
    ]
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = [pool.submit(service.send, *request) for request in requests]
        assert service.send("GET", "/livez").status == 200
        for answer in answers:
            require_unavailable(answer.result())
            server.require_no_password_in(answer.result().body.decode())
    service.proxy.come_back()
    until(lambda: service.send("GET", "/readyz").status == 200)
    assert service.register(service.own("before")).status == 200
    assert service.register(service.own("meanwhile")).status == 201


def test_an_outage_is_logged_line_by_line_without_the_password(server, service):
    """Also if the database is reachable but the password was changed meanwhile."""
    assert service.register(service.own("before")).status == 201
    service.proxy.go_away()
    require_unavailable(service.register(service.own("before")))
    with server.changed_password():
        service.proxy.come_back()
        require_unavailable(service.register(service.own("before")))
    until(lambda: service.send("GET", "/readyz").status == 200)
    assert service.register(service.own("before")).status == 200
    details = " ".join(
        line["detail"] for line in map(json.loads, service.logged_text.splitlines()) if line["event"] == "database"
    )
    assert "discarding closed connection" in details
    assert "Connection refused" in details
    assert 'password authentication failed for user "keeper"' in details


def test_many_requests_during_an_outage_are_all_answered_and_can_be_repeated(service):
    """Each fails while the database is unreachable, and succeeds once it is back."""
    assert {answer.status for answer in service.register_all("before")} == {
        201
    }  # so that there are connections to lose
    service.proxy.go_away()
    for answer in service.register_all("meanwhile"):
        if answer.status != 429:  # it waited for too long for those before it, and was not begun
            require_unavailable(answer)
    service.proxy.come_back()
    until(lambda: service.send("GET", "/readyz").status == 200)
    assert {answer.status for answer in service.register_all("before")} == {200}
    assert {answer.status for answer in service.register_all("meanwhile")} == {201}
    service.installation.require_sound()


def test_waiting_requests_continue_when_the_database_comes_back_in_time(service):
    assert service.register(service.own("before")).status == 201
    service.proxy.go_away()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.register_all, "waiting")
        until(lambda: "Connection refused" in service.logged_text)
        service.proxy.come_back()
        statuses = {each.status for each in waiting.result(timeout=PATIENCE)}
    assert statuses <= {201, 429, 503}
    until(lambda: service.send("GET", "/readyz").status == 200)
    for number in range(CROWD):
        assert service.register(service.own(f"waiting-{number}")).status in {200, 201}


def test_a_single_waiting_request_continues_when_the_database_comes_back(service):
    """It is waiting once the log reports a refused connection."""
    assert service.register(service.own("before")).status == 201
    service.proxy.go_away()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.send, "GET", f"/v1/orders/{service.own('before')}")
        until(lambda: "Connection refused" in service.logged_text)
        assert not waiting.done()
        service.proxy.come_back()
        assert waiting.result(timeout=PATIENCE).status == 200


def test_more_waiting_requests_than_threads_do_not_block_other_requests(service):
    """A later request for /livez is answered before the last of them."""
    assert service.register(service.own("before")).status == 201
    service.proxy.go_away()
    with ExitStack() as ending:
        wires = []
        for role in islice(cycle(ROLES), CROWD):
            wire = http.client.HTTPConnection("127.0.0.1", service.port, timeout=PATIENCE)
            wires.append(ending.enter_context(closing(wire)))
            headers = {"Authorization": f"Bearer {service.tokens[role]}"}
            wire.request("GET", f"/v1/orders/{service.own('before')}", headers=headers)
        assert service.send("GET", "/livez").status == 200
        assert len(select([wire.sock for wire in wires], [], [], 0)[0]) < CROWD
        assert {503} <= {wire.getresponse().status for wire in wires} <= {503, 429}
    service.proxy.come_back()
    until(lambda: service.send("GET", "/readyz").status == 200)


def test_a_stop_without_the_database_succeeds_and_reports_the_missing_checkpoint(server, tmp_path):
    with behind_proxy(server, tmp_path) as (installation, proxy, url):
        port, lines = free_port(), tmp_path / "lines"
        process = Command(["serve"], installation.environment | {"PORT": str(port)}, lines, installation.log)
        try:
            until(lambda: is_alive(port))
            assert Service(installation, proxy, url, port).register("before").status == 201
            proxy.go_away()
        finally:
            process.terminate()
            end = process.wait(timeout=PATIENCE)
    made, *_, last = installation.log.read_text().splitlines()
    assert {json.loads(line)["event"] for line in lines.read_text().splitlines()} <= {"anchor", "database", "request"}
    assert (end, made.startswith("Made a master key")) == (0, True)
    assert last == "The checkpoint was not written: The database cannot serve at the moment."
    server.require_no_password_in(lines.read_text() + installation.log.read_text())


def test_privileges_revoked_at_run_time_are_reported_to_the_operator_only(server, tmp_path):
    """Clients only see an internal error, and the service recovers when the privileges are granted again."""
    url = server.create()
    own = server.server.url(urlsplit(url).path[1:])
    installation = Installation(tmp_path)
    installation.environment["REFUNDS_DATABASE"] = url
    with installation.serving() as running, psycopg.connect(own, autocommit=True) as superuser:
        service = Service(installation, None, url, running.port)
        assert service.register(service.own("before")).status == 201
        superuser.execute(f"REVOKE ALL ON orders FROM {server.user}")
        refused = service.register(service.own("after"))
        assert (refused.status, refused.json["type"]) == (500, "/problems/internal-error")
        assert refused.json["detail"] == PROBLEMS["internal-error"].happened
        assert service.send("GET", "/readyz").status == 200
        superuser.execute(f"GRANT ALL ON orders TO {server.user}")
        assert service.register(service.own("after")).status == 201
    (failure,) = [line for line in logged(installation) if line["event"] == "failure"]
    assert failure["request_id"] == refused.json["instance"]
    message = failure["exception"].splitlines()[-1]
    assert message.startswith("refunds.errors.ConfigurationError: REFUNDS_DATABASE: ")
    assert message.endswith("permission denied for table orders: make the user the owner of the database")
    server.require_no_password_in(refused.body.decode() + installation.log.read_text())
