"""The master key is rotated under load, and killed in the middle: nothing is lost, and the old key can be destroyed."""

import signal
from pathlib import Path

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.storage import keys
from tests import scaled
from tests.conftest import mostly_on
from tests.faults.harness import PATIENCE, Client, Installation, rotate_and_die, until
from tests.faults.load import PER_SECOND, Balancer, Load
from tests.faults.processes import PROCESSES
from tests.service.test_privacy import erase, registered

pytestmark = pytest.mark.proof


CUSTOMERS = scaled(60, 5_000)
DEATHS = [*[("customers", 13)] * scaled(1, 4), ("keys", 4)]
"""The table and the number of its key before which each rotation is killed; that of a whole batch stays."""
NEW = "5a" * 32


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

            def busy():
                enough = len(load.acknowledged) + PER_SECOND // scaled(5, 2)
                until(lambda: len(load.acknowledged) >= enough)

            for death in DEATHS:
                die(configured, *death)
                busy()
            with installation.store() as store:
                erase(store, names.pop())
            done = installation.flask("keys", "rotate")
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            assert "The older keys are needed no more" in done.stdout
            busy()
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
