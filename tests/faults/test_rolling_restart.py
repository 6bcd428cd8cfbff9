"""Instances behind a load balancer that are restarted one after the other: no request fails."""

from contextlib import ExitStack

import pytest

from tests import scaled
from tests.faults.harness import Installation, is_alive
from tests.faults.load import Balancer, Load, restart

pytestmark = pytest.mark.proof

INSTANCES = scaled(2, 3)
RESTARTED = scaled(1, 2 * INSTANCES)


def test_no_request_fails_while_instances_are_restarted_one_after_the_other(tmp_path, record_property):
    installation = Installation(tmp_path, "postgresql")
    installation.environment["REFUNDS_DRAIN_SECONDS"] = "1"
    with ExitStack() as started, installation.instances(INSTANCES) as servers:
        ports = [server.port for server in servers]
        with Balancer(ports) as balancer, Load(balancer, installation.tokens()["admin"]) as load:
            for restarted in range(RESTARTED):
                load.go_on(1 / 2)
                restart(installation, balancer, servers, restarted % INSTANCES, started)
        load.require_whole(installation, ports[0])
        assert all(map(is_alive, ports))
        for server in servers:
            server.kill()  # they would take a second to stop
    record_property("measured", f"{RESTARTED} restarts of {INSTANCES} instances: 0 failed of {load}")
