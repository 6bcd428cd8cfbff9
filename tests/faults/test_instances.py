"""Instances on one PostgreSQL: what is done at one holds at all of them, and whoever is killed holds up nobody."""

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
    """An installation of which there is nothing yet."""
    return Installation(tmp_path_factory.mktemp("instances"), "postgresql")


@pytest.fixture(scope="module")
def instances(installation):
    """So many instances, which have started at the same moment on an empty database."""
    with installation.instances(INSTANCES) as servers:
        yield servers


def answers(instances, token):
    """How each instance answers whoever has this token."""
    return [ask(server, token).status for server in instances]


def ask(server, token):
    """The answer of an instance to whoever has this token."""
    with Client(server.port, token) as client:
        return client.send("GET", "/v1/me")


def created(installation, name):
    """A token of a new client, by the books of one instance."""
    with installation.store() as store, store.write(COMMAND_LINE) as uow:
        return clients.create_token(uow, Role.AGENT, name, 1)


def test_instances_that_start_together_make_one_installation(installation, instances):
    said = installation.log.read_text()
    shown = re.findall(r"^    (\w+) +(rfd_\w+)$", said, re.MULTILINE)
    assert Counter(role for role, _ in shown) == dict.fromkeys(Role, 1)
    users = re.findall(r"^    (\w+) +[a-z2-9]{5}(?:-[a-z2-9]{5}){3}$", said, re.MULTILINE)
    assert Counter(users) == dict.fromkeys(FIRST, 1)
    assert said.count("a user and a password; these are shown only once") == 1
    assert said.count("Bearer and a token; these are shown only once") == 1
    assert said.count("flask users add NAME --role agent") == INSTANCES - 1
    assert said.count("flask tokens create --role billing") == INSTANCES - 1
    assert said.count("Made a master key for development") == 1
    for role, token in shown:
        assert {(told.status, told.json["role"]) for told in (ask(server, token) for server in instances)} == {
            (200, role)
        }
    with installation.store() as store:
        assert not store.created_key
        with store.read(COMMAND_LINE) as uow:
            assert [row["name"] for row in uow.tx.all("SELECT name FROM migrations")] == [
                name for name, _ in migrations.MIGRATIONS
            ]
            assert Counter(client.role for client, _ in uow.tokens.with_clients()) == dict.fromkeys(Role, 1)


def test_a_new_token_is_taken_by_all_at_once(installation, instances):
    assert answers(instances, created(installation, "new")) == [200] * INSTANCES


def test_a_token_that_the_command_line_revokes_is_turned_away_by_all_at_the_next_request(installation, instances):
    token = created(installation, "revoked by command")
    assert answers(instances, token) == [200] * INSTANCES
    revoked = installation.flask("tokens", "revoke", token.split("_")[1])
    assert revoked.returncode == 0, revoked.stderr
    assert answers(instances, token) == [401] * INSTANCES


def test_a_token_that_one_instance_revokes_is_turned_away_by_all_at_the_next_request(installation, instances):
    with installation.store() as store:
        for number in range(20):
            token = created(installation, f"revoked {number}")
            assert answers(instances, token) == [200] * INSTANCES
            with store.write(COMMAND_LINE) as uow:
                clients.revoke_token(uow, token.split("_")[1])
            assert answers(instances, token) == [401] * INSTANCES


def test_a_key_that_one_instance_has_seen_is_known_to_all(installation, instances):
    token, body = installation.tokens()["billing"], cancellation_of("replayed")
    replies = []
    for server in instances * 2:
        with Client(server.port, token) as client:
            replies.append(client.cancel(body, "a-key"))
    assert [reply.replayed for reply in replies] == [False] + [True] * (2 * INSTANCES - 1)
    assert {reply[:2] for reply in replies} == {(201, replies[0].body)}


def cancel(server, token, order_id):
    """The answer of an instance to the cancellation of an order, with the order's id for a key; None if there is none.

    Who killed it has to know.
    """
    try:
        with Client(server.port, token) as client:
            return client.cancel(BODIES.get(order_id) or HELD, order_id)
    except (OSError, http.client.HTTPException):
        return None


def write(server, token, numbers, replies):
    """Cancel one order after another until the instance is gone, or enough was done; the answers by order."""
    for number in numbers:
        order_id = f"order-{number}"
        if order_id not in BODIES:
            return
        replies[order_id] = cancel(server, token, order_id)
        if replies[order_id] is None:
            return


@pytest.fixture(scope="module")
def doomed(tmp_path_factory):
    """An installation and its instances, of which each test kills one."""
    installation = Installation(tmp_path_factory.mktemp("doomed"), "postgresql")
    with installation.instances(INSTANCES) as servers:
        yield installation, servers


def test_an_instance_killed_while_it_writes_leaves_nothing_half_done_and_the_others_go_on(doomed):
    """There every answer is found again, and what had none is done once it is asked for again."""
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


def test_what_a_killed_instance_held_is_free_for_the_others(doomed):
    """Killed when it has everything but the journal's head: its key, its customer and its order are let go."""
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
    """How many wait for what another transaction holds."""
    with store.read(COMMAND_LINE) as uow:
        sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return len(uow.tx.all(sql))
