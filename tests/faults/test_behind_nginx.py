"""Behind nginx as `deploy/` configures it: a write that it sends to a second instance is done once, and answered."""

import json
import signal
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import scaled
from tests.faults.harness import PATIENCE, Client, Installation, cancellation_of, free_port, is_alive, until
from tests.faults.load import PER_SECOND, Load
from tests.faults.nginx import Nginx

pytestmark = pytest.mark.proof

INSTANCES = scaled(2, 3)
RESTARTED = scaled(1, 2 * INSTANCES)
TIMES = "max_fails=1 fail_timeout=1s"


def is_ready(port):
    """Whether an instance says that it is ready."""
    with Client(port, "") as client:
        return client.send("GET", "/readyz").status == 200


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_no_request_fails_while_instances_end_and_start_again(tmp_path, stop, record_property):
    """In turn, each half a second after the last one is used again; one that is killed leaves requests unanswered.

    nginx uses an instance again a second after it last failed: if all ended within that time, none would be left.
    """
    installation = Installation(tmp_path, "postgresql")
    installation.environment["REFUNDS_DRAIN_SECONDS"] = "5"
    with ExitStack() as started, installation.instances(INSTANCES) as servers:
        ports = [server.port for server in servers]
        nginx = started.enter_context(Nginx(tmp_path / "nginx", [f"127.0.0.1:{port} {TIMES}" for port in ports]))
        with Load(nginx, installation.tokens()["admin"]) as load:
            for restarted in range(RESTARTED):
                enough = len(load.acknowledged) + PER_SECOND // 2
                until(lambda enough=enough: len(load.acknowledged) >= enough)
                server = servers[restarted % INSTANCES]
                server.process.send_signal(stop)
                assert server.process.wait(PATIENCE) == (0 if stop is signal.SIGTERM else -signal.SIGKILL)
                servers[restarted % INSTANCES] = started.enter_context(installation._started(server.port))
                until(lambda server=server: is_ready(server.port))
                known, used = len(nginx.sent()), f":{server.port}"
                until(lambda known=known, used=used: any(line.endswith(used) for line in nginx.sent()[known:]))
        load.require_whole(installation, ports[0])
        assert all(map(is_alive, ports))
        for server in servers:
            server.kill()  # they would take five seconds to stop
    again = f"nginx sent {len(nginx.sent_again())} to a second instance"
    record_property("measured", f"{RESTARTED} instances ended by {stop.name} behind nginx: 0 failed of {load}; {again}")


@contextmanager
def losing(port):
    """A server whose requests reach an instance, and whose connection ends in place of each response; its port."""

    class Losing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def lose(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            wire = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            wire.request(self.command, self.path, body or None, dict(self.headers))
            lost.append(wire.getresponse().status)
            wire.close()
            self.close_connection = True

        def log_message(self, *_):
            """Nothing."""

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Losing, f"do_{method}", Losing.lose)
    lost: list[int] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Losing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], lost
    finally:
        server.shutdown()
        server.server_close()


DONE = [
    *("order.registered", "order.promised", "contact.recorded", "contact.completed"),
    *("contact.assigned", "contact.assigned", "contact.unmatched_recorded"),
    *("order.registered", "order.promised", "contact.recorded", "cancellation.issued"),
    *("cancellation.refund_begun", "cancellation.settled"),
]
"""The events of the writes below, each once: one who deals with a contact is assigned, and then nobody."""


def test_a_write_whose_response_is_lost_is_done_once(tmp_path, record_property):
    """Every one that clients send: each reaches an instance twice, and the second response says what was done."""
    installation, sent = Installation(tmp_path), []
    with installation.serving() as server, losing(server.port) as (losing_port, lost):
        admin = installation.tokens()["admin"]
        servers = [f"127.0.0.1:{losing_port} max_fails=0", f"127.0.0.1:{server.port} backup"]
        with Nginx(tmp_path / "nginx", servers) as nginx, nginx.client(nginx.next(), admin) as client:

            def write(method, path, body=None, **headers):
                lost.clear()
                reply = client.send(method, path, body, **headers)
                assert (len(lost), lost[0] in {200, 201}, reply.status in {200, 201}) == (1, True, True), (path, reply)
                assert reply.replayed == bool(headers)
                sent.append(method)
                return reply.json

            now = datetime.now(UTC).isoformat()
            write("PUT", "/v1/orders/A-1", {"customer_ref": "K-1", "service_provided_at": now})
            call = {"channel": "phone", "from_detail": "+4989123456"}
            contact = write("POST", "/v1/orders/A-1/contacts", call, **{"Idempotency-Key": "of-a-call"})["contact_id"]
            write("PATCH", f"/v1/contacts/{contact}", {"ticket_ref": "T-1"})
            write("PUT", f"/v1/contacts/{contact}/assignment", {})
            write("DELETE", f"/v1/contacts/{contact}/assignment")
            write("POST", "/v1/contacts", call | {"order_hint": "A-3"}, **{"Idempotency-Key": "without-its-order"})
            issued = write("POST", "/v1/cancellations", cancellation_of("A-2"), **{"Idempotency-Key": "of-a-loss"})
            issued = f"/v1/cancellations/{issued['cancellation_id']}"
            write("PUT", f"{issued}/refund", {"billing_ref": "RF-1"})
            write("PUT", f"{issued}/settlement", {"billing_ref": "RF-1"})
            types = [event["type"] for event in client.send("GET", "/v1/events?limit=200").json["items"]]
        assert [method for method in nginx.sent_again() if method != "GET"] == sent
    assert types[types.index("order.registered") :] == DONE
    installation.require_sound()
    record_property("measured", f"{len(sent)} writes whose response was lost were sent again by nginx, and done once")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/v1/cancellations", "*/*", "application/problem+json"),
        ("/docs", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text/html"),
        ("/console/orders/A-1/cancel?channel=phone", "*/*", "text/html"),
    ],
    ids=["a program", "a person", "the console"],
)
def test_nginx_says_itself_that_no_instance_responds(tmp_path, path, accept, media_type):
    with (
        Nginx(tmp_path / "nginx", [f"127.0.0.1:{free_port()} {TIMES}"]) as nginx,
        nginx.client(nginx.next(), "") as client,
    ):
        client.wire.request("POST", path, b"{}", {"Accept": accept})
        response = client.wire.getresponse()
        body = response.read().decode()
    assert (response.status, response.headers["Retry-After"]) == (503, "5")
    assert response.headers.get_content_type() == media_type
    assert {"Strict-Transport-Security", "Cache-Control"} <= set(response.headers)
    if media_type == "text/html":
        assert "does not respond" in body
        assert "antwortet gerade nicht" in body
    else:
        assert json.loads(body).keys() == {"type", "title", "status", "detail"}
        assert json.loads(body)["status"] == 503
