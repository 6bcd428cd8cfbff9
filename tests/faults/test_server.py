"""The real server: how it starts, which raw requests it refuses, how it stops."""

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from unittest import mock

import pytest

from app import app as service
from refunds.cli.serve import _require_free, _where
from refunds.config import load_settings
from refunds.errors import ConfigurationError
from refunds.service.store import Store
from tests import records_in, scaled
from tests.conftest import ROOT, settings, token
from tests.faults.harness import FLASK, PATIENCE, Client, Installation, free_port, until

CHECK = json.dumps(
    {"service_provided_at": "2026-04-02T16:20:00+02:00", "requested_at": "2026-04-08T21:05:00Z"}
).encode()
LENGTH = len(CHECK)


SIGNED_IN = {"Authorization": f"Bearer {token(service, 'billing')}"}
"""The token for every service on the records of the environment."""


def start(**environment):
    """Start the service as `make serve` does."""
    return subprocess.Popen(
        [FLASK, "serve"],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def serving(**environment):
    """A running service and its port; terminated afterwards."""
    port = free_port()
    process = start(PORT=str(port), **environment)
    try:
        until(lambda: get(port, "/livez")[0] == 200)
        yield process, port
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def get(port, path, method="GET", body=None, host="127.0.0.1", **headers):
    """The status and the body of a response."""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, SIGNED_IN | headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def port():
    """The port of the service for all tests of this module."""
    with serving() as (_, port):
        yield port


def raw(port, text):
    """The response to raw bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as wire:
        wire.sendall(text)
        answer = b""
        try:
            while not answer.endswith(b"}") and (part := wire.recv(65536)):
                answer += part
        except TimeoutError:
            pass
        return answer


def head(extra, length=LENGTH):
    """The head of a check with additional lines."""
    return (
        b"POST /v1/eligibility-checks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        + f"Authorization: {SIGNED_IN['Authorization']}\r\n".encode()
        + (b"Content-Length: %d\r\n" % length if length is not None else b"")
        + extra
        + b"\r\n"
    )


def test_a_check_is_answered(port):
    status, body = get(port, "/v1/eligibility-checks", "POST", CHECK, **{"Content-Type": "application/json"})
    assert (status, json.loads(body)["eligible"]) == (200, True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        head(b"Transfer-Encoding: chunked\r\n", None) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHECK), CHECK),
        head(b"Transfer-Encoding: chunked\r\n", None) + b"zz\r\n" + CHECK,
        head(b"Transfer-Encoding: chunked\r\n") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHECK), CHECK),
        head(b"Transfer-Encoding: gzip, chunked\r\n", None) + b"0\r\n\r\n",
        head(b"", None) + b"",
    ],
)
def test_a_body_of_undeclared_length_is_refused(port, request_bytes):
    answer = raw(port, request_bytes)
    assert answer.split()[1] in {b"400", b"411"}


def test_contradictory_lengths_are_refused(port):
    assert raw(port, head(b"Content-Length: 5\r\n") + CHECK).split()[1] == b"400"


def test_a_truncated_body_is_refused(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as wire:
        wire.sendall(head(b"", len(CHECK) + 10) + CHECK)
        wire.shutdown(socket.SHUT_WR)
        answer = wire.recv(65536)
    assert answer == b"" or answer.split()[1] == b"400"


def test_unusual_paths_get_a_problem(port):
    for path in (
        b"/v1/../app.py",
        b"/%2e%2e/app.py",
        b"/v1/policies%00",
        b"/v1/calendars/DE%2FBY/days",
    ):
        answer = raw(port, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.split()[1] == b"404", path
        assert b"application/problem+json" in answer


def test_it_listens_only_on_the_loopback_address(port):
    """According to the kernel, its socket is only bound to 127.0.0.1."""
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    bound = [line[1] for line in listening if line[3] == "0A" and line[1].endswith(f":{port:04X}")]
    assert bound == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(stop):
    """On SIGTERM and Ctrl-C it exits with 0 and stops listening; it has started no other process."""
    with serving() as (process, port):
        assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
        process.send_signal(stop)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, err
        assert f"http://127.0.0.1:{port}/docs" in err, "it prints the address"
        assert "Traceback" not in out + err
        with pytest.raises(ConnectionRefusedError):
            get(port, "/livez")


@pytest.mark.proof
def test_signals_after_the_first_change_nothing(tmp_path):
    """Both make and systemd send two; a nested handler once waited for the outer one forever."""
    known, chance = records_in(tmp_path), random.Random(20260408)  # noqa: S311 - no secret
    for stopped in range(scaled(1, 40)):
        with serving(**known) as (process, _):
            for _ in range(chance.choice([2, 3])):
                process.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT]))
                time.sleep(chance.choice([0, 0, chance.uniform(0, 0.004)]))
            _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, "Traceback" in err) == (0, False)
        checkpoints = (Path(known["REFUNDS_LEDGER_DIR"]) / "anchors.jsonl").read_text().split()
        assert len(checkpoints) == 1 + 2 * (stopped + 1), "that of the beginning, one of each start, one of each stop"


STARTS_A_THREAD = """
import sys, threading
class Library:
    def find_spec(self, name, *_):
        if name == "sqlite_utils":
            sys.meta_path.remove(self)
            threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.meta_path.insert(0, Library())
"""
"""Some libraries that are imported when the records are opened do this, such as numpy."""


def test_no_other_thread_handles_a_signal(tmp_path):
    """It would end the process without a checkpoint."""
    (tmp_path / "sitecustomize.py").write_text(STARTS_A_THREAD)
    with serving(PYTHONPATH=str(tmp_path)) as (process, _):
        threads = Path(f"/proc/{process.pid}/task").glob("*/status")
        others = [one.read_text() for one in threads if one.parent.name != str(process.pid)]
        blocked = [int(re.search(r"^SigBlk:\s*(\w+)$", one, re.MULTILINE)[1], 16) for one in others]
    assert blocked or not Path("/proc").exists()
    for stopping in (signal.SIGTERM, signal.SIGINT):
        assert all(mask >> stopping - 1 & 1 for mask in blocked)


def test_a_log_that_cannot_be_written_does_not_affect_responses():
    """The reader of the pipe has closed it, with the same effect as a full disk."""
    with serving() as (process, port):
        process.stdout.close()
        order = json.dumps({"customer_ref": "K-1", "service_provided_at": "2026-04-02T16:20:00+02:00"})
        for number in range(20):
            answer = get(port, f"/v1/orders/UNLOGGED-{number}", "PUT", order, **{"Content-Type": "application/json"})
            assert answer[0] == 201
        assert get(port, "/livez")[0] == 200
        operator = f"Bearer {token(service, 'operator')}"
        counted = re.compile(rb"^refunds_log_lines_dropped_total (\S+)$", re.MULTILINE)
        until(lambda: float(counted.search(get(port, "/metrics", Authorization=operator)[1])[1]) >= 20)
        process.terminate()
        assert process.wait(PATIENCE) == 0
        process.stdout = None


def test_a_running_request_is_finished_before_it_stops(tmp_path):
    installation = Installation(tmp_path)
    days = (f"{date(2010, 1, 1) + timedelta(days=n)}T10:00:00Z" for n in range(10_000))  # no answer is that of another
    checks = [json.loads(CHECK) | {"service_provided_at": day, "requested_at": day} for day in days]
    items = json.dumps({"items": checks, "include_days": True}).encode()
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
        client.wire.request(
            "POST", "/v1/eligibility-checks/batch", items, client.token | {"Content-Type": "application/json"}
        )
        time.sleep(0.2)
        server.process.terminate()
        response = client.wire.getresponse()
        assert response.headers["Connection"] == "close", "it was still running"
        assert len(json.loads(response.read())["items"]) == 10_000


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "0"}, "PORT: must be a number from 1 to 65535"),
        ({"PORT": "8_000"}, "PORT: must be a number from 1 to 65535"),
        ({"REFUNDS_TRUSTED_HOSTS": ""}, "REFUNDS_TRUSTED_HOSTS: must not be empty"),
        ({"REFUNDS_POLICY": ""}, "REFUNDS_POLICY: must not be empty"),
        (
            {"REFUNDS_POLICY": "nobodys"},
            "REFUNDS_POLICY: there is no policy nobodys; known: virtual-numbers. Import it",
        ),
    ],
)
def test_it_refuses_to_start_with_an_invalid_setting(environment, message):
    """The message names the setting and the fix."""
    assert message in refused(**environment)


def test_a_new_installation_does_not_start_without_its_policy(tmp_path):
    text = refused(**records_in(tmp_path), REFUNDS_POLICY="nobodys")
    assert text == "REFUNDS_POLICY: there is no policy nobodys; known: none. Import it first: flask policy import FILE"


def refused(**environment):
    """The message about an invalid environment."""
    with (
        mock.patch.dict(os.environ, environment),
        pytest.raises(ConfigurationError) as refusal,
        closing(Store(load_settings())) as store,
    ):
        store.prepare()
    return str(refusal.value)


def test_all_invalid_settings_are_reported_together():
    """By a real start, which exits with 4."""
    process = start(PORT="0", REFUNDS_POLICY="", REFUNDS_RATE_LIMIT="many")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 4
    assert [line.partition(":")[0] for line in err.splitlines()[1:]] == ["PORT", "REFUNDS_POLICY", "REFUNDS_RATE_LIMIT"]


def test_a_port_in_use_is_not_shared(tmp_path, port):
    """Two servers on one port would answer in turn, each with its own configuration."""
    installation = Installation(tmp_path)
    installation.environment["PORT"] = str(port)
    refusal = installation.flask("serve")
    assert refusal.returncode == 4
    assert f"PORT: cannot listen on 127.0.0.1, {port}" in refusal.stderr


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ConfigurationError) as refusal:
        _require_free("192.0.2.1", 8000)
    assert "REFUNDS_LISTEN: cannot listen on 192.0.2.1" in str(refusal.value)


@pytest.mark.parametrize("address", ["0.0.0.0", "::1"])  # noqa: S104 - it is said to be behind a proxy
def test_it_listens_where_it_is_told_to(tmp_path, address):
    installation, port = Installation(tmp_path), free_port()
    installation.environment |= {"REFUNDS_LISTEN": address, "REFUNDS_BEHIND_TLS_PROXY": "true"}
    host = "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104
    other = "::1" if host == "127.0.0.1" else "127.0.0.1"
    with installation._started(port):
        until(lambda: get(port, "/livez", host=host)[0] == 200)
        with pytest.raises(ConnectionRefusedError):
            get(port, "/livez", host=other)
    assert f"at http://{'[::1]' if address == '::1' else address}:{port}/" in installation.log.read_text()


@pytest.mark.parametrize(
    ("public", "shown"),
    [
        ("", ["http://127.0.0.1:8000/", "http://127.0.0.1:8000/console/", "http://127.0.0.1:8000/docs"]),
        (
            "https://refunds.example",
            [
                "https://refunds.example/",
                "https://refunds.example/console/",
                "https://refunds.example/docs",
                "http://127.0.0.1:8000/",
            ],
        ),
    ],
)
def test_it_names_the_address_that_its_clients_can_use(tmp_path, public, shown):
    """Another host is refused."""
    assert re.findall(r"http\S+", _where(settings(tmp_path, public_url=public, port=8000))) == shown


def test_slow_bodies_do_not_block_other_requests(port):
    """They are authenticated, so that the server waits for their bodies, and more than it has threads."""
    with ExitStack() as stack:
        for _ in range(40):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            wire.sendall(head(b"") + CHECK[:10])
        began = time.monotonic()
        assert get(port, "/livez")[0] == 200
        assert get(port, "/v1/policies")[0] == 200
        assert time.monotonic() - began < 5
