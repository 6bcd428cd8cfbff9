"""Keeps a filled database of the newest step of the schema for each engine, with its master key and checkpoints.

Run `python -m tests.storage.keep` once for each new step, before a release: from then on `tests/storage/test_kept.py`
opens the result. The version of the service that introduced the step has written it, and it never changes.
"""

import lzma
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).parent / "kept"


def main(tree: Path = ROOT) -> None:
    """Keep what the service in a directory writes with each engine."""
    from tests import postgres  # noqa: PLC0415 - the process that fills may run in an older tree

    with tempfile.TemporaryDirectory() as temporary:
        _keep(tree, Path(temporary, "sqlite"), f"sqlite:///{temporary}/sqlite/records.db")
    with tempfile.TemporaryDirectory() as temporary, postgres.cluster() as cluster:
        _keep(tree, Path(temporary, "postgresql"), cluster.create())


def _keep(tree: Path, directory: Path, database: str) -> None:
    """Fill a database in another process, and keep it with its key and checkpoints."""
    directory.mkdir()
    (directory / "master.key").write_text(secrets.token_hex(32) + "\n")
    (directory / "master.key").chmod(0o600)
    environment = {
        "REFUNDS_ENV": "production",
        "REFUNDS_DATABASE": database,
        "REFUNDS_MASTER_KEY_FILE": str(directory / "master.key"),
        "REFUNDS_LEDGER_DIR": str(directory),
        "PYTHONPATH": str(tree),
    }
    subprocess.run([sys.executable, __file__, "fill"], check=True, cwd=tree, env=os.environ | environment)
    if database.startswith("sqlite"):
        with sqlite3.connect(directory / "records.db") as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            steps = [step for (step,) in connection.execute("SELECT name FROM migrations ORDER BY name")]
        stored = (directory / "records.db").read_bytes()
    else:
        dump = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", database]
        stored = subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
        steps = [line.split("'")[1].encode() for line in stored.decode().splitlines() if ".migrations VALUES" in line]
        steps = sorted(step.decode() for step in steps)
    kept = KEPT / steps[-1] / directory.name
    kept.mkdir(parents=True)
    (kept / "records.xz").write_bytes(lzma.compress(stored, preset=9))
    for name in ("master.key", "anchors.jsonl", "erasures.jsonl"):
        shutil.copyfile(directory / name, kept / name)


def fill() -> None:
    """Cause everything that the service of this tree can record, as its clients would."""
    from app import app  # noqa: PLC0415 - the app of the tree in which this runs

    _flask("init")
    roles = ("billing", "supervisor", "agent", "product")
    clients = {
        role: _client(app.test_client(), _flask("tokens", "create", "--role", role, "--client", role)) for role in roles
    }
    _orders(clients["billing"])
    _confirmed(clients["agent"], clients["billing"])
    _told(clients["agent"], clients["supervisor"], clients["billing"])
    _withdrawn(clients["agent"], clients["supervisor"], clients["billing"])
    _contacts(clients["agent"], clients["supervisor"])
    _unmatched(clients["agent"])
    _cancellations(clients["agent"], clients["supervisor"], clients["billing"])
    _policies(clients["product"])
    _orders(clients["billing"], "B")  # judged by the version that was published meanwhile
    _cancellations(clients["agent"], clients["supervisor"], clients["billing"], "B")
    _erased(clients["billing"], clients["agent"])
    _flask("statistics", "close")
    _send(clients["billing"], "PUT", "/v1/orders/A-30", _facts(30, -1600))
    _flask("retention", "run")
    _flask("users", "add", "--role", "agent", "mara")
    _flask("users", "disable", "mara")
    token = _flask("tokens", "list").split()
    _flask("tokens", "revoke", next(word for word in token if len(word) == TOKEN_ID and word.isalnum()))
    app.extensions["refunds.store"].checkpoint()


TOKEN_ID = 8
DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)

_keys = count(1)


def _flask(*words: str) -> str:
    """The output of a command; empty if this version has no such command."""
    ended = subprocess.run([sys.executable, "-m", "flask", *words], check=False, capture_output=True, text=True)
    _say(f"flask {' '.join(words)}: {ended.returncode} {ended.stderr.strip()[-200:]}")
    return ended.stdout.strip()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _client(client: FlaskClient, printed: str) -> FlaskClient:
    text = next(word for word in printed.split() if word.startswith("rfd_"))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {text}"
    return client


def _send(client: FlaskClient, method: str, path: str, body: Any = None, **headers: str) -> Mapping[str, Any]:
    """The JSON of a response; its status is printed, as an older version may refuse what a newer one accepts."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()} | {
        "Idempotency-Key": f"k{next(_keys)}"
    }
    response = client.open(path, method=method, json=body, headers=headers)
    _say(f"{response.status_code} {method} {path}")
    data: Mapping[str, Any] = response.get_json()
    return data


def _at(days: float) -> str:
    return (NOW + days * DAY).isoformat()


def _facts(number: int, provided: float | None, **more: Any) -> dict[str, Any]:
    provided_at = None if provided is None else _at(provided)
    return {"customer_ref": f"K-{number % 4}", "ordered_at": _at(-40), "service_provided_at": provided_at} | more


_PROVIDED: tuple[tuple[float | None, dict[str, Any]], ...] = (
    (-0.2, {"region": "DE-BY"}),
    (-0.1, {"region": "DE"}),
    (-30, {"region": "DE-SN"}),
    (None, {}),
    (-0.3, {"region": "AT"}),
    (-0.2, {}),
    (-0.1, {"region": "FR"}),
    (-20, {}),
)


def _orders(billing: FlaskClient, prefix: str = "A") -> None:
    for number, (provided, more) in enumerate(_PROVIDED):
        _send(billing, "PUT", f"/v1/orders/{prefix}-{number}", _facts(number, provided, **more))
    corrected = _facts(1, -0.1, region="DE-NW") | {"customer_ref": "K-moved", "correction_reason": "A typing error."}
    _send(billing, "PUT", f"/v1/orders/{prefix}-5", corrected, If_Match='"1"')
    _send(billing, "PUT", f"/v1/orders/{prefix}-3", _facts(3, -0.05))


def _confirmed(agent: FlaskClient, billing: FlaskClient) -> None:
    """An order that an agent registers, and billing then confirms; and one that it does not."""
    for number, clients in ((10, [agent, billing]), (11, [agent])):
        for client in clients:
            _send(client, "PUT", f"/v1/orders/A-{number}", _facts(number, -0.2))


def _told(agent: FlaskClient, supervisor: FlaskClient, billing: FlaskClient) -> None:
    """An order whose window ended earlier than the customer had been told, after billing corrected its facts."""
    _send(billing, "PUT", "/v1/orders/A-12", _facts(12, -0.2, region="DE-BY"))
    _send(agent, "POST", "/v1/orders/A-12/contacts", {"channel": "phone", "intent": "question"})
    corrected = _facts(12, -30, region="DE-BY") | {"correction_reason": "A month too late."}
    _send(billing, "PUT", "/v1/orders/A-12", corrected, If_Match='"1"')
    refused = _send(agent, "POST", "/v1/cancellations", {"order_id": "A-12", "contact": {"channel": "phone"}})
    accepted = {"kind": "deadline_accepted", "reason": "So hatten wir es gesagt."}
    stored = {"order_id": "A-12", "contact_id": refused["contact_id"], "override": accepted}
    _send(supervisor, "POST", "/v1/cancellations", stored)


def _erased(billing: FlaskClient, agent: FlaskClient) -> None:
    """A customer who is erased, one who is held, and one whose hold is lifted; and contacts that are emptied."""
    for number in range(20, 23):
        _send(billing, "PUT", f"/v1/orders/A-{number}", _facts(number, -0.2) | {"customer_ref": f"K-{number}"})
        note = {"from_detail": "+4989555111", "note": "Wie lange noch?"}
        _send(agent, "POST", f"/v1/orders/A-{number}/contacts", {"channel": "phone", "intent": "question"} | note)
    for customer in ("K-21", "K-22"):
        _flask("privacy", "hold", customer, "--reason", "Ein Rechtsstreit.")
    _flask("privacy", "lift", "K-22")
    for act in ("restrict", "object"):
        _flask("privacy", act, "K-22", "--reason", "Die Daten sind strittig.")
        _flask("privacy", act, "K-22", "--lift")
        _flask("privacy", act, "K-21")
    customer = _flask("privacy", "restrict", "K-21").split()[-1].strip(".")
    _flask("privacy", "rectify", "K-21", "--set", "customers", customer, "customer_ref", "K-21a")
    disclosed = ("--basis", "authority_request", "--recipient", "Polizei München", "--file", "BY-114")
    _flask("privacy", "disclose", "K-21a", *disclosed)
    for customer in ("K-21a", "K-99"):
        asked = _flask("privacy", "open", "access", customer, "--channel", "post", "--recipient", "ein anderer Laden")
        request = asked.splitlines()[-1].partition(",")[0]
        _flask("privacy", "identity", request, "Reisepass")
        if customer == "K-21a":
            _flask("privacy", "extend", request, "--reason", "Die Unterlagen liegen im Archiv.")
            _flask("privacy", "fee", request, "further_copy", "--reason", "Eine zweite Kopie.")
    _flask("privacy", "close", request, "--outcome", "nothing_held")
    question = _send(agent, "POST", "/v1/orders/A-22/contacts", {"channel": "phone", "intent": "question"} | note)
    unknown = _send(agent, "POST", "/v1/contacts", {"channel": "phone", "order_hint": "Die rote Nummer"} | note)
    for contact in (question["contact_id"], unknown["unmatched_id"]):
        _flask("privacy", "empty", "--contact", contact, "--reason", "request")
    _flask("privacy", "erase", "K-20", "--reason", "request")


def _withdrawn(agent: FlaskClient, supervisor: FlaskClient, billing: FlaskClient) -> None:
    """Two orders whose customers declare a withdrawal after the window; one of them is cancelled."""
    for order_id in ("A-13", "A-14"):
        _send(billing, "PUT", f"/v1/orders/{order_id}", _facts(13, -10, region="DE-BY"))
        declared = {"channel": "post", "intent": "withdrawal", "sent_at": _at(-3), "received_at": _at(-1)}
        contact = _send(agent, "POST", f"/v1/orders/{order_id}/contacts", declared)
    statutory = {"kind": "statutory", "reason": "Innerhalb von 14 Tagen."}
    stored = {"order_id": "A-14", "contact_id": contact["contact_id"], "override": statutory}
    _send(supervisor, "POST", "/v1/cancellations", stored)


def _contacts(agent: FlaskClient, supervisor: FlaskClient) -> None:
    email = {"channel": "email", "from_detail": "kim@example.org", "note": "Ärgert sich über die Wartezeit."}
    first = _send(agent, "POST", "/v1/orders/A-0/contacts", {"channel": "phone", "from_detail": "+49 89 1234567"})
    better = email | {"supersedes": first["contact_id"], "sent_at": _at(-0.05)}
    better = _send(agent, "POST", "/v1/orders/A-0/contacts", better)["contact_id"]
    _send(agent, "POST", "/v1/orders/A-1/contacts", {"channel": "phone", "intent": "question", "note": "Bis wann?"})
    stays = _send(agent, "POST", "/v1/orders/A-1/contacts", {"channel": "phone", "ticket_ref": "T-17"})
    resolution, keeps = f"/v1/contacts/{stays['contact_id']}/resolution", {"reason_code": "customer_kept_order"}
    _send(agent, "PUT", resolution, keeps)
    _send(agent, "DELETE", f"{resolution}?reason_code=entered_in_error")
    _send(agent, "PUT", resolution, keeps | {"reason": "Bleibt doch."})
    _send(agent, "PUT", f"/v1/contacts/{better}/assignment", {})
    answer = {"channel": "email", "to": "kim@example.com"}
    _send(agent, "PUT", f"/v1/contacts/{stays['contact_id']}/acknowledgement", answer)
    _send(agent, "PATCH", f"/v1/contacts/{stays['contact_id']}", {"note": "Hatte sich verrechnet."})
    _send(agent, "POST", "/v1/orders/A-2/contacts", email)
    late = {"channel": "email", "received_at": _at(-29.5), "ticket_ref": "T-99"}
    _send(agent, "POST", "/v1/orders/A-2/contacts", late)
    _send(supervisor, "POST", "/v1/orders/A-2/contacts", late)


def _unmatched(agent: FlaskClient) -> None:
    """Contacts recorded before their orders are known: one is matched, one resolved, and one superseded and answered."""
    call = {"channel": "phone", "order_hint": "Die blaue Nummer", "note": "Ruft zurück.", "from_detail": "+49891234567"}
    kept = [_send(agent, "POST", "/v1/contacts", call)["unmatched_id"] for _ in range(3)]
    _send(agent, "PUT", f"/v1/contacts/{kept[0]}/order", {"order_id": "A-1"})
    _send(agent, "PATCH", f"/v1/unmatched-contacts/{kept[2]}", {"ticket_ref": "T-77"})
    resolution = f"/v1/unmatched-contacts/{kept[1]}/resolution"
    _send(agent, "PUT", resolution, {"reason": "Nicht zu finden."})
    _send(agent, "DELETE", f"{resolution}?reason_code=customer_asked_again")
    _send(agent, "PUT", resolution, {"reason": "Ein anderer Shop."})
    _send(agent, "PUT", f"/v1/contacts/{kept[2]}/assignment", {})
    right = _send(agent, "POST", "/v1/contacts", call | {"channel": "email", "supersedes": kept[2]})["unmatched_id"]
    told = {"channel": "email", "to": "kim@example.org"}
    _send(agent, "PUT", f"/v1/unmatched-contacts/{right}/acknowledgement", told)


def _cancellations(agent: FlaskClient, supervisor: FlaskClient, billing: FlaskClient, prefix: str = "A") -> None:
    def cancel(client: FlaskClient, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return _send(client, "POST", "/v1/cancellations", body)

    phone = {"channel": "phone"}
    here = {"order_id": f"{prefix}-4", "contact": phone | {"contact_point": "+49 89 5550100"}}
    cancel(agent, here)
    cancel(agent, here)  # refused: it is already cancelled
    inline = {"order": {"order_id": f"{prefix}-9"} | _facts(9, -0.4), "contact": phone | {"note": "Gleich erfasst."}}
    settled = cancel(billing, inline)["cancellation_id"]
    refunded = {"billing_ref": "RF-1", "settled_at": datetime.now(UTC).isoformat()}
    _send(billing, "PUT", f"/v1/cancellations/{settled}/settlement", refunded)
    for code, order in (("customer_kept_order", 3), ("entered_in_error", 5)):
        revoked = cancel(agent, {"order_id": f"{prefix}-{order}", "contact": phone})["cancellation_id"]
        taken_back = {"reason_code": code, "reason": "Hat es sich anders überlegt."}
        _send(supervisor, "PUT", f"/v1/cancellations/{revoked}/revocation", taken_back)
    unsettled = cancel(agent, {"order_id": f"{prefix}-6", "contact": phone})["cancellation_id"]
    _send(billing, "PUT", f"/v1/cancellations/{unsettled}/settlement", {"billing_ref": "RF-2"})
    _send(billing, "DELETE", f"/v1/cancellations/{unsettled}/settlement?reason_code=refund_failed")
    new = {"order_id": f"{prefix}-8"} | _facts(8, -0.3)
    begun = cancel(billing, {"order": new, "contact": phone})["cancellation_id"]
    _send(billing, "PUT", f"/v1/cancellations/{begun}/refund", {"billing_ref": "RF-3"})
    _send(billing, "DELETE", f"/v1/cancellations/{begun}/refund?reason_code=refund_failed")
    _send(billing, "PUT", f"/v1/cancellations/{begun}/refund", {"billing_ref": "RF-4"})
    refused = cancel(agent, {"order_id": f"{prefix}-7", "contact": phone})
    goodwill = {"kind": "goodwill", "reason": "Unsere Leitung war gestört."}
    stored = {"order_id": f"{prefix}-7", "contact_id": refused["contact_id"], "override": goodwill}
    cancel(supervisor, stored)
    elsewhere = {"order_id": f"{prefix}-0", "contact": phone | {"contact_point": "+49 30 1234567"}}
    accepted = {"kind": "contact_point_accepted", "reason": "Die alte Nummer stand noch auf der Rechnung."}
    cancel(supervisor, elsewhere | {"override": accepted})


def _policies(product: FlaskClient) -> None:
    terms = {"window_business_days": 3, "business_week": ["mon", "tue", "wed", "thu", "fri", "sat"]}
    points = {"phone": {"points": ["+49 89 5550100"]}, "texts": {"de": "Drei Werktage.", "en": "Three business days."}}
    versions = "/v1/policies/virtual-numbers/versions"
    _send(product, "POST", versions, {"version": 2, "effective_from": None, "terms": terms | points})
    later = {"version": 3, "effective_from": _at(90), "terms": terms | {"window_business_days": 5}}
    _send(product, "POST", versions, later)
    _send(product, "PUT", f"{versions}/3/withdrawal")
    for days in _closed():
        closure = {"date": (NOW + days * DAY).date().isoformat(), "reason": {"de": "Inventur"}}
        _send(product, "POST", "/v1/policies/virtual-numbers/closures", closure)


def _closed() -> Iterator[int]:
    """The days from now on which the vendor is closed."""
    yield from (1, 2, 30)


if __name__ == "__main__":
    fill() if "fill" in sys.argv else main(*map(Path, sys.argv[1:]))
