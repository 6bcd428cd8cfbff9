"""Instances behind a load balancer that are restarted one after the other: no request fails."""

import signal
from contextlib import ExitStack

import pytest

from tests import scaled
from tests.faults.harness import PATIENCE, Installation, is_alive, until
from tests.faults.load import PER_SECOND, Balancer, Load

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
                enough = len(load.acknowledged) + PER_SECOND // 2
                until(lambda enough=enough: len(load.acknowledged) >= enough)
                server = servers[restarted % INSTANCES]
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(PATIENCE) == 0
                until(lambda server=server: server.port not in balancer.ready)
                servers[restarted % INSTANCES] = started.enter_context(installation._started(server.port))
                until(lambda: len(balancer.ready) == INSTANCES)
        load.require_whole(installation, ports[0])
        assert all(map(is_alive, ports))
        for server in servers:
            server.kill()  # they would take a second to stop
    record_property("measured", f"{RESTARTED} restarts of {INSTANCES} instances: 0 failed of {load}")
