"""Personal data is encrypted in every file and table of the service: the bytes of all of them are scanned."""

import base64
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from refunds.cli import Commands
from refunds.errors import Unauthenticated
from refunds.service import users
from refunds.service.store import Store
from refunds.storage import open_engine
from refunds.storage.tables import NAMES
from refunds.web import create_app
from tests import records_in
from tests.conftest import ROOT, settings
from tests.faults.harness import PATIENCE, free_port

FLASK = str(Path(sys.executable).with_name("flask"))
NOW = datetime.now(UTC)
RECENTLY = (NOW - timedelta(hours=1)).isoformat()
LONG_AGO = (NOW - timedelta(days=40)).isoformat()
SOON = (NOW + timedelta(days=40)).date().isoformat()

PERSONAL = {
    "customer_ref": "zq-customer-81723",
    "another_customer_ref": "zq-another-customer-99281",
    "number": "+4915198765432",
    "address": "zq.address.5519@example.com",
    "ticket_ref": "zq-ticket-44180",
    "note": "zq-note: sie rief wegen Öl an; 77120",
    "inline_note": "zq-inline-note 66281",
    "answered_at": "zq.answered.3307@example.com",
    "resolution": "zq-resolution 30417",
    "override": "zq-override 58220",
    "revocation": "zq-revocation 19934",
    "correction_reason": "zq-correction 70015",
    "undone_billing_ref": "zq-undone-billing 21185",
    "billing_ref": "zq-billing 86350",
    "closure_de": "zq-Schließung 52903",
    "closure_en": "zq-closure 60148",
    "typed_name": "zq-typed-name 20957",
    "order_hint": "zq-order-hint 47110",
    "given_up": "zq-given-up 88120",
    "identity_check": "zq-identity 41027",
    "request_recipient": "zq-request-recipient 66190",
    "extension_reason": "zq-extension 83120",
    "fee_reason": "zq-fee 27746",
    "outcome_reason": "zq-outcome 71544",
    "hold": "zq-hold 20381",
    "disclosed_to": "zq-disclosed-to 50933",
    "disclosure_ref": "zq-disclosure 93316",
    "right_ticket_ref": "zq-right-ticket 38820",
    "right_customer_ref": "zq-right-customer 75029",
}
"""Personal data, each with an unmistakable value."""


class Service:
    """A running service with its own records and log file."""

    def __init__(self, directory, engine):
        self.directory, self.log, self.port, self.engine = directory, directory / "log", free_port(), engine
        self.environment = os.environ | records_in(directory, engine) | {"PORT": str(self.port)}
        self.flask("init")
        self.tokens = [self.flask("tokens", "create", "--role", role) for role in ("admin", "auditor")]
        self.password = self.flask("users", "add", "zq-user", "--role", "agent")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [FLASK, "serve"], cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.until_ready()

    def flask(self, *command):
        """What a command of the service prints."""
        app = create_app(settings(self.directory, **self.places()))
        app.cli = Commands(app.name)
        done = app.test_cli_runner().invoke(args=command)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def places(self):
        """The settings of where its files are."""
        return {
            "database": self.environment["REFUNDS_DATABASE"],
            "master_key_file": self.directory / "keys/master.key",
            "ledger_dir": self.directory / "ledger",
        }

    def until_ready(self):
        """Wait until it answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.call("GET", "/livez")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail("it does not start")

    def call(self, method, path, body=None, token=0, **headers):
        """The status and the data of a response."""
        headers = {"Authorization": f"Bearer {self.tokens[token]}", "Content-Type": "application/json"} | headers
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None

    def post(self, path, body, status=201):
        """The data of the response to a request with a key; a replay must get the same response."""
        key = {"Idempotency-Key": f"zq-key-{secrets.token_hex(8)}"}
        answer = self.call("POST", path, body, **key)
        assert answer[0] == status, answer
        assert self.call("POST", path, body, **key) == answer
        return answer[1]

    def put(self, path, body, status=200, **headers):
        """The data of a response."""
        answer = self.call("PUT", path, body, **headers)
        assert answer[0] == status, answer
        return answer[1]

    def sign_in(self, name, password):
        """Sign in, and return the user, or None if that fails."""
        with closing(Store(settings(self.directory, **self.places()))) as store, suppress(Unauthenticated):
            user = users.sign_in(store, name, password)
            users.session_for(store, user)
            return user

    def stop(self):
        """Terminate it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.returncode == 0

    def files(self):
        """The bytes of everything that it has written, except the key file."""
        written = [file for file in self.directory.rglob("*") if file.is_file() and file.parent.name != "keys"]
        tables = self.tables() if self.engine == "postgresql" else {}
        return {file.name: file.read_bytes() for file in written} | tables

    def tables(self):
        """Every table of a PostgreSQL database, as in a dump."""
        tables = {}
        with psycopg.connect(self.environment["REFUNDS_DATABASE"]) as connection:
            for name in [*NAMES, "migrations", "journal_head"]:
                with connection.cursor().copy(f"COPY {name} TO STDOUT") as rows:
                    tables[name] = b"".join(rows)
        return tables


def facts(customer_ref, provided=RECENTLY):
    """The facts of an order."""
    return {"customer_ref": customer_ref, "service_provided_at": provided, "ordered_at": LONG_AGO}


def contact(**changed):
    """A contact with every personal field."""
    return {
        "channel": "phone",
        "from_detail": PERSONAL["number"],
        "ticket_ref": PERSONAL["ticket_ref"],
        "note": PERSONAL["note"],
    } | changed


def cancel(service, order_id, **changed):
    """Cancel an order on a new contact, and return the path of the cancellation."""
    issued = service.post("/v1/cancellations", {"order_id": order_id, "contact": contact(**changed)})
    return f"/v1/cancellations/{issued['cancellation_id']}"


def keep(service):
    """Record a contact without its order, and return its id."""
    return service.post("/v1/contacts", contact(order_hint=PERSONAL["order_hint"]))["unmatched_id"]


def ask_about_data(service, order_id):
    """Answer a data request about the customer of an order, extend another, hold them and disclose; their paths."""
    customer_ref = PERSONAL["customer_ref"]
    asked = {"customer_ref": customer_ref, "channel": "post", "recipient": PERSONAL["request_recipient"]}
    request = service.post("/v1/data-requests", asked | {"kind": "rectification"})
    path, who = f"/v1/data-requests/{request['request_id']}", request["customer_id"]
    service.put(f"{path}/identity-check", {"identity_check": PERSONAL["identity_check"]})
    contact_id = service.post(f"/v1/orders/{order_id}/contacts", contact(intent="question"))["contact_id"]
    corrections = [
        {"table": table, "record_id": record_id, "field": field, "value": PERSONAL[f"right_{field}"]}
        for table, record_id, field in (("contacts", contact_id, "ticket_ref"), ("customers", who, "customer_ref"))
    ]
    other = f"/v1/data-requests/{service.post('/v1/data-requests', asked | {'kind': 'access'})['request_id']}"
    service.put(f"{other}/extension", {"reason": PERSONAL["extension_reason"]})
    service.put(f"{other}/fee", {"fee": "excessive", "reason": PERSONAL["fee_reason"]})
    closed = {"outcome": "fulfilled", "reason": PERSONAL["outcome_reason"]}
    service.put(f"{path}/outcome", closed | {"corrections": corrections})
    disclosed = {"recipient": PERSONAL["disclosed_to"], "reference": PERSONAL["disclosure_ref"]}
    service.post("/v1/disclosures", disclosed | {"customer_ref": PERSONAL["right_customer_ref"], "basis": "processor"})
    hold = f"/v1/customers/{who}/hold"
    assert service.put(hold, {"reason": PERSONAL["hold"]})["reason"] == PERSONAL["hold"]
    refused = closed | {"reason": PERSONAL["outcome_reason"], "erasure_reason": "child"}
    assert service.call("PUT", f"{path}/outcome", refused)[0] == 422
    return path, f"/v1/contacts/{contact_id}", other


def send_everything(service):
    """Send all personal data to the service, and return the paths at which it can be read."""
    by_mail = contact(channel="email", from_detail=PERSONAL["address"])
    for i, provided in enumerate((RECENTLY, LONG_AGO, RECENTLY, RECENTLY)):
        service.put(f"/v1/orders/A-{i}", facts(PERSONAL["customer_ref"], provided), 201)
    resolved = service.post("/v1/orders/A-0/contacts", by_mail)["contact_id"]
    answer = {"channel": "email", "to": PERSONAL["answered_at"]}
    service.put(f"/v1/contacts/{resolved}/acknowledgement", answer)
    service.put(
        f"/v1/contacts/{resolved}/resolution", {"reason_code": "customer_kept_order", "reason": PERSONAL["resolution"]}
    )
    revoked = cancel(service, "A-0", note=PERSONAL["inline_note"])
    service.put(f"{revoked}/revocation", {"reason_code": "entered_in_error", "reason": PERSONAL["revocation"]})
    request = {"order_id": "A-1", "contact": by_mail}
    refused = service.post("/v1/cancellations", request, status=409)["contact_id"]
    override = {"kind": "goodwill", "reason": PERSONAL["override"]}
    overridden = service.post("/v1/cancellations", {"order_id": "A-1", "contact_id": refused, "override": override})
    settled = cancel(service, "A-2")
    service.put(f"{settled}/settlement", {"billing_ref": PERSONAL["undone_billing_ref"]})
    assert service.call("DELETE", f"{settled}/settlement?reason_code=refund_failed")[0] == 200
    service.put(f"{settled}/settlement", {"billing_ref": PERSONAL["billing_ref"]})
    correction = facts(PERSONAL["another_customer_ref"]) | {"correction_reason": PERSONAL["correction_reason"]}
    service.put("/v1/orders/A-0", correction, **{"If-Match": '"1"'})
    lookup = {"customer_ref": PERSONAL["another_customer_ref"]}
    assert len(service.call("POST", "/v1/customers/lookup", lookup)[1]["items"]) == 1
    closures = "/v1/policies/virtual-numbers/closures"
    reason = {"de": PERSONAL["closure_de"], "en": PERSONAL["closure_en"]}
    assert service.call("POST", closures, {"date": SOON, "reason": reason})[0] == 201
    assert service.sign_in("zq-user", service.password).name == "zq-user"
    for typed in (PERSONAL["typed_name"], service.password):  # one in the field of the other
        assert service.sign_in(typed, PERSONAL["typed_name"]) is None
    given_up = f"/v1/unmatched-contacts/{keep(service)}"
    service.put(f"{given_up}/resolution", {"reason": PERSONAL["given_up"]})
    service.put(f"/v1/contacts/{keep(service)}/order", {"order_id": "A-3"}, 201)
    send_invalid_requests(service)
    request, corrected, extended = ask_about_data(service, "A-2")
    return {
        "request": request,
        "corrected": corrected,
        "extended": extended,
        "given up": given_up,
        "order": "/v1/orders/A-0",
        "other order": "/v1/orders/A-2",
        "resolved": f"/v1/contacts/{resolved}",
        "revoked": revoked,
        "contacts": "/v1/contacts?order_id=A-0",
        "overridden": f"/v1/cancellations/{overridden['cancellation_id']}",
        "settled": settled,
        "closures": closures,
    }


def send_invalid_requests(service):
    """Send requests with all personal data that fail and are logged."""
    for text in PERSONAL.values():
        assert service.call("PUT", "/v1/orders/A-3", facts(text))[0] in {200, 409}
        assert service.call("PUT", "/v1/orders/A-4", {"customer_ref": text, "note": text})[0] == 422
        closure = {"date": "someday", "reason": {"de": text, "en": text}}
        assert service.call("POST", "/v1/policies/virtual-numbers/closures", closure)[0] == 422
        assert (
            service.call("POST", "/v1/orders/A-0/contacts", contact(channel=text), **{"Idempotency-Key": "k"})[0] == 422
        )
    assert service.call("GET", "/v1/me", Authorization=f"Bearer {service.tokens[0][:-1]}-")[0] == 401


@pytest.fixture(scope="module")
def scanned(tmp_path_factory, engine):
    """A service that has received all personal data, its answers, and its files before and after it stops."""
    service = Service(tmp_path_factory.mktemp("at-rest"), engine)
    try:
        paths = send_everything(service)
        answers = {name: [service.call("GET", path, token=token) for token in (0, 1)] for name, path in paths.items()}
        running = service.files()
    finally:
        service.stop()
    return service, answers, {"running": running, "stopped": service.files()}


def spellings(marker):
    """The bytes of a marker in different encodings; base64 at each of its three offsets."""
    raw = (
        [marker] if isinstance(marker, bytes) else [marker.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]
    )
    for plain in raw:
        yield plain
        yield plain.hex().encode()
        yield plain.hex().upper().encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for offset in range(3):
                whole = encode(bytes(offset) + plain)
                yield whole[(0, 2, 3)[offset] : -4]
    if isinstance(marker, str):
        yield json.dumps(marker).encode()[1:-1]
        yield marker.upper().encode()
        yield marker.lower().encode()


def found(files, marker):
    """The names of the files that contain a marker in any spelling."""
    wanted = set(spellings(marker))
    assert min(map(len, wanted)) >= 4
    return {name for name, content in files.items() if any(spelling in content for spelling in wanted)}


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_every_file_is_scanned(scanned, when):
    service, _, all_files = scanned
    files = all_files[when]
    if service.engine == "sqlite":
        beside = {"refunds.db-wal", "refunds.db-shm"} if when == "running" else set()
        assert {"refunds.db", "refunds.db.lock", *beside} <= set(files)
        written = files["refunds.db-wal" if beside else "refunds.db"]
    else:
        assert all(files[table] for table in set(NAMES) - {"statistics"})  # which has numbers alone
        written = files["events"]
    assert b"order.corrected" in written
    assert b"cancellation.revoked" in written
    assert files["anchors.jsonl"]
    assert b'"event":"request"' in files["log"]


@pytest.mark.parametrize("when", ["running", "stopped"])
@pytest.mark.parametrize("field", PERSONAL)
def test_no_file_contains_personal_data(scanned, when, field):
    files = scanned[2][when]
    assert not found(files, PERSONAL[field])
    assert not found(files, PERSONAL[field].removeprefix("+"))


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_no_file_contains_a_token_or_the_master_key(scanned, when):
    service, _, files = scanned
    for token in service.tokens:
        assert not found(files[when], token)
        assert not found(files[when], token.split("_")[2])
    digits = (service.directory / "keys/master.key").read_text().strip()
    assert not found(files[when], digits)
    assert not found(files[when], bytes.fromhex(digits))


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_no_file_contains_a_password_that_was_typed_as_a_name(scanned, when):
    service, _, files = scanned
    assert not found(files[when], service.password)
    assert found(files[when], "zq-user"), "names are stored as they are"


@pytest.mark.parametrize("when", ["running", "stopped"])
def test_no_file_contains_an_idempotency_key(scanned, when):
    assert not found(scanned[2][when], "zq-key-")


@pytest.mark.parametrize("put", [*range(9), "json"])
@pytest.mark.parametrize("marker", [PERSONAL["note"], PERSONAL["number"], PERSONAL["address"]])
def test_the_scan_finds_a_marker_that_is_put_there(scanned, put, marker):
    """Plain, in UTF-16, hexadecimal, base64 at any offset, and escaped in JSON."""
    raw = marker.encode()
    ways = [
        raw,
        marker.encode("utf-16-le"),
        marker.encode("utf-16"),
        raw.hex().encode(),
        raw.hex().upper().encode(),
        *(base64.b64encode(b"abc"[:i] + raw + b"the end") for i in range(3)),
        base64.urlsafe_b64encode(b"{" + marker.encode("utf-16-le") + b"}"),
    ]
    put_there = json.dumps({"note": marker}).encode() if put == "json" else ways[put]
    files = scanned[2]["stopped"]
    assert found(files | {"log": files["log"] + put_there}, marker) == {"log"}


@pytest.mark.parametrize(("column", "kind"), [("note", bytes), ("decision", str)])
def test_the_scan_finds_a_marker_that_the_database_stores(scanned, column, kind):
    service, _, files = scanned
    marker = f"{column}-{PERSONAL['note']}"
    before = set_column(service, column, marker.encode() if kind is bytes else marker)
    now = service.files()
    set_column(service, column, before)
    assert found(now, marker) == {"refunds.db" if service.engine == "sqlite" else "contacts"}
    assert not found(files["stopped"], marker)


def set_column(service, column, value):
    """Store a value in a column of the first contact, and return the old one."""
    with closing(open_engine(service.environment["REFUNDS_DATABASE"])) as engine, engine.write() as tx:
        first = tx.one(f"SELECT contact_id, {column} FROM contacts ORDER BY contact_id LIMIT 1")  # noqa: S608 - one of two
        contact_id = first["contact_id"]
        tx.run(f"UPDATE contacts SET {column} = :value WHERE contact_id = :id", value=value, id=contact_id)  # noqa: S608
    return first[column]


def seen(answers, name, *path):
    """The values at a place of an answer, for an admin and for an auditor."""
    values = []
    for status, data in answers[name]:
        assert status == 200
        for step in path:
            data = data[step]  # noqa: PLW2901 - on the way down
        values.append(data)
    return values


@pytest.mark.parametrize(
    ("name", "path", "field"),
    [
        ("order", ("customer_ref",), "another_customer_ref"),
        ("other order", ("customer_ref",), "right_customer_ref"),
        ("request", ("identity_check",), "identity_check"),
        ("request", ("recipient",), "request_recipient"),
        ("request", ("outcome_reason",), "outcome_reason"),
        ("extended", ("extension_reason",), "extension_reason"),
        ("extended", ("fee_reason",), "fee_reason"),
        ("corrected", ("ticket_ref",), "right_ticket_ref"),
        ("resolved", ("from_detail",), "address"),
        ("resolved", ("ticket_ref",), "ticket_ref"),
        ("resolved", ("note",), "note"),
        ("resolved", ("acknowledgement", "to"), "answered_at"),
        ("resolved", ("resolution", "reason"), "resolution"),
        ("revoked", ("revocation", "reason"), "revocation"),
        ("contacts", ("items", 0, "from_detail"), "address"),
        ("contacts", ("items", 1, "from_detail"), "number"),
        ("contacts", ("items", 1, "note"), "inline_note"),
        ("overridden", ("override", "reason"), "override"),
        ("settled", ("settlement", "billing_ref"), "billing_ref"),
        ("given up", ("order_hint",), "order_hint"),
        ("given up", ("note",), "note"),
        ("given up", ("resolution", "reason"), "given_up"),
        ("closures", ("items", 0, "reason", "de"), "closure_de"),
        ("closures", ("items", 0, "reason", "en"), "closure_en"),
    ],
)
def test_personal_data_is_shown_to_an_admin_and_hidden_from_an_auditor(scanned, name, path, field):
    assert seen(scanned[1], name, *path) == [PERSONAL[field], None]


def test_the_order_was_corrected_and_moved_to_another_customer(scanned):
    (order, _), (other, _) = seen(scanned[1], "order"), seen(scanned[1], "other order")
    assert order["revision"] == 2
    assert order["customer_id"] != other["customer_id"]


def test_only_the_owner_can_read_the_files(scanned):
    service = scanned[0]
    modes = {
        file.name: oct(file.stat().st_mode & 0o777)
        for part in ("data", "keys", "ledger")
        for file in (service.directory / part).glob("*")
    }
    assert {"master.key", "anchors.jsonl"} <= set(modes)
    assert set(modes.values()) == {"0o600"}, modes


def test_the_audit_finds_the_records_sound(scanned):
    assert scanned[0].flask("audit", "verify").startswith("Sound: ")
