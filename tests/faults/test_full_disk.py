"""The real server on a disk that is full: it refuses writes, goes on answering, and needs no restart afterwards.

A limit on the size of the files that the process writes simulates the full disk.
"""

import resource
from collections import Counter
from pathlib import Path

import pytest

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

pytestmark = pytest.mark.proof

TIMES, EACH = scaled(1, 20), 10


def limit(process, size):
    """Limit the size of the files that a process writes, from now on."""
    _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, most))


def dropped(operator):
    """The number of log lines that could not be written."""
    lines = operator.send("GET", "/metrics").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("refunds_log_lines_dropped_total "))


def test_a_full_disk_for_database_and_log_refuses_writes_until_there_is_room(tmp_path, record_property):
    """Each request is answered, what was acknowledged is there once, and the refused ones can be repeated."""
    installation, acknowledged, refused = Installation(tmp_path), [], 0
    with installation.serving() as server:
        tokens = installation.tokens()
        with Client(server.port, tokens["admin"]) as client, Client(server.port, tokens["operator"]) as operator:
            for time in range(TIMES):
                orders = [f"A-{time}-{number}" for number in range(EACH)]
                assert {client.cancel(cancellation_of(order), order).status for order in orders} == {201}
                lost, acknowledged = dropped(operator), acknowledged + orders
                limit(server.process, installation.log.stat().st_size + 50)  # a part of a line
                orders = [f"B-{time}-{number}" for number in range(EACH)]
                bodies = {order: cancellation_of(order) for order in orders}
                assert {client.cancel(body, order).status for order, body in bodies.items()} == {503}
                assert client.send("GET", f"/v1/orders/A-{time}-0").status == 200
                assert is_alive(server.port)
                until(lambda lost=lost: dropped(operator) > lost + EACH)
                limit(server.process, resource.RLIM_INFINITY)
                assert {client.cancel(body, order).status for order, body in bodies.items()} == {201}
                acknowledged, refused = acknowledged + orders, refused + EACH
            for records in ("cancellations", "contacts"):
                assert Counter(each["order_id"] for each in client.every(f"/v1/{records}")) == Counter(acknowledged)
            until(lambda: client.send("GET", "/readyz").status == 200)
    assert server.process.returncode == 0
    lines = [line for line in installation.log.read_text().splitlines() if line.startswith("{")]
    assert sum(not line.endswith("}") for line in lines) == TIMES, "those that were cut short"
    installation.require_sound()
    record_property("measured", f"disk full {TIMES} times: {refused} refused, {len(acknowledged)} cancelled once each")


def test_a_log_on_a_full_disk_changes_no_answer(tmp_path):
    """The device is one that is always full."""
    installation, port = Installation(tmp_path), free_port()
    environment = installation.environment | {"PORT": str(port)}
    process = Command(["serve"], environment, Path("/dev/full"), installation.log)
    try:
        until(lambda: is_alive(port))
        with Client(port, installation.tokens()["admin"]) as client:
            for number in range(scaled(20, 200)):
                assert client.cancel(cancellation_of(f"A-{number}"), f"key-{number}").status == 201
            until(lambda: dropped(client) >= scaled(20, 200))
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert "Traceback" not in installation.log.read_text()
    installation.require_sound()
