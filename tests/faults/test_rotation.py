"""The master key is rotated under load, and killed in the middle: nothing is lost, and the old key can be destroyed."""

import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.storage import keys
from tests import scaled
from tests.conftest import mostly_on
from tests.faults.harness import PATIENCE, Client, Installation, rotate_and_die
from tests.faults.load import Balancer, Load, restart
from tests.faults.processes import PROCESSES
from tests.service.test_privacy import erase, registered

pytestmark = pytest.mark.proof


CUSTOMERS = scaled(60, 5_000)
DEATHS = [*[("customers", 13)] * scaled(1, 4), ("keys", 4)]
"""The table and the number of its key before which each rotation is killed; that of a whole batch stays."""
NEW = "5a" * 32
BUSY = 1 / scaled(5, 2)


def wraps(store):
    """Every wrapped key."""
    with store.read(COMMAND_LINE) as uow:
        found = (uow.tx.all(f"SELECT {one.column} AS wrapped FROM {one.table}") for one in keys.WRAPPED)  # noqa: S608
        return [bytes(row["wrapped"]) for rows in found for row in rows if row["wrapped"]]


def die(configured, table, nth):
    """Let a process rotate the key until it is killed."""
    process = PROCESSES.Process(target=rotate_and_die, args=(configured, table, nth))
    process.start()
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    process.close()


@mostly_on("postgresql")
def test_a_rotation_under_load_that_is_killed_again_and_again_loses_nothing(tmp_path, engine, record_property):
    installation = Installation(tmp_path, engine)
    with installation.serving():
        tokens = installation.tokens()
    with installation.store() as store:
        names = [registered(store, f"R-{number}", f"customer {number}") for number in range(CUSTOMERS)]
        before, configured = wraps(store), store._settings
    file = configured.master_key_file
    old = file.read_text().strip()
    file.write_text(f"{NEW}\n{old}\n")
    with installation.instances(1 if engine == "sqlite" else 2) as servers:
        with Balancer([server.port for server in servers]) as balancer, Load(balancer, tokens["admin"]) as load:
            for death in DEATHS:
                die(configured, *death)
                load.go_on(BUSY)
            with installation.store() as store:
                erase(store, names.pop())
            done = installation.flask("keys", "rotate")
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            assert "The older keys are needed no more" in done.stdout
            load.go_on(BUSY)
        with Client(servers[0].port, tokens["admin"]) as client:
            assert client.send("GET", "/v1/orders/R-0").json["customer_ref"] == "customer 0"
    installation.require_calm()
    file.write_text(f"{old}\n")
    with pytest.raises(ConfigurationError, match="keys 6 of 6"), installation.store() as store:
        store.open()
    file.write_text(f"{NEW}\n")
    with installation.serving() as server, Client(server.port, tokens["admin"]) as client:
        load.require_whole(installation, server.port)
        kept = {order["order_id"]: order["customer_ref"] for order in client.every("/v1/orders")}
    expected = {f"R-{number}": f"customer {number}" for number in range(CUSTOMERS - 1)}
    expected |= {name: f"customer of {name}" for name in load.acknowledged}
    assert kept == expected | {f"R-{CUSTOMERS - 1}": "[erased]"}
    with installation.store() as store:
        assert set(before).isdisjoint(wraps(store))
    left = b"".join(one.read_bytes() for one in Path(tmp_path, "data").glob("refunds.db*"))
    assert not [one for one in before if one in left]
    record_property("measured", f"{CUSTOMERS} keys rotated, {len(DEATHS)} times killed: {load}")


def test_no_request_fails_while_the_key_is_changed_on_instances_that_restart_one_by_one(tmp_path, record_property):
    """In small, the new key is known everywhere already, and comes first."""
    installation = Installation(tmp_path, "postgresql")
    installation.environment["REFUNDS_DRAIN_SECONDS"] = "1"
    with installation.serving():
        token = installation.tokens()["admin"]
    with installation.store() as store:
        file = store._settings.master_key_file
    old = file.read_text().strip()
    files = (f"{old}\n{NEW}\n", f"{NEW}\n{old}\n", f"{NEW}\n")
    file.write_text(scaled(files[0], f"{old}\n"))

    def read(servers):
        """Let each instance open everything that all of them have wrapped."""
        for server in servers:
            acknowledged = set(load.acknowledged)
            with Client(server.port, token) as client:
                opened = {one["order_id"]: one["customer_ref"] for one in client.every("/v1/orders")}
            assert acknowledged <= opened.keys()
            assert opened == {name: f"customer of {name}" for name in opened}

    with ExitStack() as started, installation.instances(2) as servers:
        with Balancer([server.port for server in servers]) as balancer, Load(balancer, token) as load:
            for content in scaled(files[1:2], files):
                if content == files[2]:
                    done = installation.flask("keys", "rotate")
                    assert "The older keys are needed no more" in done.stdout
                file.write_text(content)
                for number in range(len(servers)):
                    restart(installation, balancer, servers, number, started)
                    load.go_on(BUSY)
                    read(servers)
        load.require_whole(installation, servers[0].port)
        for server in servers:
            server.kill()  # they would take a second to stop
    installation.require_calm()
    record_property("measured", f"the key changed on {len(servers)} instances: 0 failed of {load}")
