"""Instances on one PostgreSQL: a change at one is seen by all, and a killed one does not block the others."""

import http.client
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle, islice

import pytest

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import clients
from refunds.service.users import FIRST
from refunds.storage import events, migrations
from tests import scaled
from tests.faults.harness import Client, Installation, cancellation_of, until

pytestmark = pytest.mark.proof

INSTANCES = 3
WRITERS = 12
BODIES = {f"order-{number}": cancellation_of(f"order-{number}") for number in range(scaled(60, 180))}
HELD = cancellation_of("held")


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    """An empty installation."""
    return Installation(tmp_path_factory.mktemp("instances"), "postgresql")


@pytest.fixture(scope="module")
def instances(installation):
    """Instances that have started at the same time on an empty database."""
    with installation.instances(INSTANCES) as servers:
        yield servers


def statuses(instances, token):
    """The status that each instance returns for this token."""
    return [ask(server, token).status for server in instances]


def ask(server, token):
    """The reply of an instance to a request with this token."""
    with Client(server.port, token) as client:
        return client.send("GET", "/v1/me")


def created(installation, name):
    """Create a client in the store of one instance, and return its token."""
    with installation.store() as store, store.write(COMMAND_LINE) as uow:
        return clients.create_token(uow, Role.AGENT, name, 1)


def test_instances_that_start_together_create_one_installation(installation, instances):
    output = installation.log.read_text()
    shown = re.findall(r"^    (\w+) +(rfd_\w+)$", output, re.MULTILINE)
    assert Counter(role for role, _ in shown) == dict.fromkeys(Role, 1)
    users = re.findall(r"^    (\w+) +[a-z2-9]{5}(?:-[a-z2-9]{5}){3}$", output, re.MULTILINE)
    assert Counter(users) == dict.fromkeys(FIRST, 1)
    assert output.count("a user and a password; these are shown only once") == 1
    assert output.count("Bearer and a token; these are shown only once") == 1
    assert output.count("flask users add NAME --role agent") == INSTANCES - 1
    assert output.count("flask tokens create --role billing") == INSTANCES - 1
    assert output.count("Made a master key for development") == 1
    for role, token in shown:
        assert {(reply.status, reply.json["role"]) for reply in (ask(server, token) for server in instances)} == {
            (200, role)
        }
    with installation.store() as store:
        assert not store.created_key
        with store.read(COMMAND_LINE) as uow:
            assert [row["name"] for row in uow.tx.all("SELECT name FROM migrations")] == [
                name for name, _ in migrations.MIGRATIONS
            ]
            assert Counter(client.role for client, _ in uow.tokens.with_clients()) == dict.fromkeys(Role, 1)


def test_every_instance_accepts_a_new_token_at_once(installation, instances):
    assert statuses(instances, created(installation, "new")) == [200] * INSTANCES


def test_every_instance_refuses_a_token_that_the_command_line_has_revoked(installation, instances):
    token = created(installation, "revoked by command")
    assert statuses(instances, token) == [200] * INSTANCES
    revoked = installation.flask("tokens", "revoke", token.split("_")[1])
    assert revoked.returncode == 0, revoked.stderr
    assert statuses(instances, token) == [401] * INSTANCES


def test_every_instance_refuses_a_token_that_another_has_revoked(installation, instances):
    with installation.store() as store:
        for number in range(20):
            token = created(installation, f"revoked {number}")
            assert statuses(instances, token) == [200] * INSTANCES
            with store.write(COMMAND_LINE) as uow:
                clients.revoke_token(uow, token.split("_")[1])
            assert statuses(instances, token) == [401] * INSTANCES


def test_every_instance_knows_a_key_that_another_has_seen(installation, instances):
    token, body = installation.tokens()["billing"], cancellation_of("replayed")
    replies = []
    for server in instances * 2:
        with Client(server.port, token) as client:
            replies.append(client.cancel(body, "a-key"))
    assert [reply.replayed for reply in replies] == [False] + [True] * (2 * INSTANCES - 1)
    assert {reply[:2] for reply in replies} == {(201, replies[0].body)}


def cancel(server, token, order_id):
    """The reply of an instance to the cancellation of an order, with the order's id as key; None if it was killed."""
    try:
        with Client(server.port, token) as client:
            return client.cancel(BODIES.get(order_id) or HELD, order_id)
    except (OSError, http.client.HTTPException):
        return None


def write(server, token, numbers, replies):
    """Cancel one order after another until the instance is killed or all are cancelled; collects the replies by order."""
    for number in numbers:
        order_id = f"order-{number}"
        if order_id not in BODIES:
            return
        replies[order_id] = cancel(server, token, order_id)
        if replies[order_id] is None:
            return


@pytest.fixture(scope="module")
def doomed(tmp_path_factory):
    """An installation and its instances; each test kills one of them."""
    installation = Installation(tmp_path_factory.mktemp("doomed"), "postgresql")
    with installation.instances(INSTANCES) as servers:
        yield installation, servers


def test_an_instance_killed_while_it_writes_leaves_no_partial_write_and_the_others_continue(doomed):
    """The others replay every reply, and repeated requests without a reply succeed."""
    (installation, servers), numbers, replies = doomed, count(), {}
    token, killed = installation.tokens()["billing"], servers.pop()
    with ThreadPoolExecutor(WRITERS) as pool:
        serving = islice(cycle([killed, *servers]), WRITERS)
        writing = [pool.submit(write, server, token, numbers, replies) for server in serving]
        until(lambda: len(replies) >= len(BODIES) // 3, 60)
        killed.kill()
        for end in writing:
            end.result(timeout=120)
    unanswered = {order_id for order_id, reply in replies.items() if reply is None}
    assert 0 < len(unanswered) <= WRITERS // 2
    assert replies.keys() == BODIES.keys()
    for order_id, reply in replies.items():
        again = cancel(servers[0], token, order_id)
        assert again.status == 201
        assert order_id in unanswered or again == reply._replace(replayed=True)
    with Client(servers[-1].port, token) as client:
        for records in ("cancellations", "contacts"):
            ids = Counter(each["order_id"] for each in client.every(f"/v1/{records}"))
            assert {order_id: ids[order_id] for order_id in BODIES} == dict.fromkeys(BODIES, 1)
    installation.require_calm()
    installation.require_sound()


def test_a_killed_instance_releases_its_locks(doomed):
    """It is killed when it has locked everything but the journal's head: its key, its customer and its order."""
    installation, servers = doomed
    token, killed, other = installation.tokens()["billing"], servers.pop(), servers[0]
    with ThreadPoolExecutor(2) as pool, installation.store() as store:
        with store.write(COMMAND_LINE) as uow:
            events.lock_head(uow.tx)
            lost = pool.submit(cancel, killed, token, "held")
            until(lambda: waiting(store) == 1)
            kept = pool.submit(cancel, other, token, "held")
            until(lambda: waiting(store) == 2)
            killed.kill()
        assert lost.result(timeout=60) is None
        reply = kept.result(timeout=60)
    assert (reply.status, reply.replayed) == (201, False)
    assert cancel(other, token, "held") == reply._replace(replayed=True)
    installation.require_calm()
    installation.require_sound()


def waiting(store):
    """The number of transactions that wait for a lock."""
    with store.read(COMMAND_LINE) as uow:
        sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(uow.tx.all(sql))
