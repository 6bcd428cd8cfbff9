"""Unmistakable personal data through every operation, screen and command: no file ever has it, nor a key once erased.

Everything is walked from the API document, the routes and the commands. What is new there is covered, or fails a test
that says what to add.
"""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import quote

import click
import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound

from refunds.cli import Commands
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.privacy import ErasureReason
from refunds.service import backups, users
from refunds.storage.tables import RECORDS
from refunds.storage.unmatched import UNMATCHED
from refunds.web import create_app
from tests import PROOFS
from tests.conftest import client_of, mostly_on, openapi
from tests.console.conftest import PUBLIC, routes, signed_in
from tests.console.pages import HOST
from tests.faults.test_erasures import DETAIL, TEXTS, Place, older, put_back
from tests.repo.test_personal import FIELDS
from tests.service.test_privacy import erase, sound
from tests.storage.test_secrecy_at_rest import found

pytestmark = pytest.mark.proof

CANARY = "zqcanary"
"""What every text has in it."""

MAIL = f"kim.{CANARY}@example.org"
SAID = f"said: {CANARY}"
NOW = datetime.now(UTC)
RECENTLY = (NOW - timedelta(hours=1)).isoformat()
DOCUMENT = openapi()
PERSONAL = set(FIELDS["personal"].split())

HEADERS = {
    "X-Request-ID": f"{CANARY}-1",
    "traceparent": f"00-{CANARY}-1",
    "Idempotency-Key": f"key-{CANARY}",
    "If-Match": f'"{CANARY}"',
    "User-Agent": CANARY,
    "Referer": f"https://example.org/{CANARY}",
    "Cookie": f"__Host-refunds={CANARY}",
    "Accept-Language": CANARY,
    "X-Forwarded-For": CANARY,
}


def operations():
    """Every operation of the API with its method, its path and the schema of its body, if it has one."""
    for path, methods in DOCUMENT["paths"].items():
        for method, one in methods.items():
            if "operationId" in one:
                content = one.get("requestBody", {}).get("content", {})
                yield one["operationId"], method.upper(), path, content.get("application/json", {}).get("schema")


def resolved(schema):
    """A schema without references at its top."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def personal_in(schema, above=()):
    """The names of the personal fields in a schema."""
    if isinstance(schema, list):
        return set().union(*(personal_in(one, above) for one in schema))
    if not isinstance(schema, dict) or schema.get("$ref") in above:
        return set()
    above = (*above, *filter(None, [schema.get("$ref")]))
    schema = resolved(schema)
    names = set(schema.get("properties", {})) & PERSONAL
    return names.union(*(personal_in(part, above) for part in schema.values() if isinstance(part, dict | list)))


def all_canaries(schema):
    """A body with a canary in place of every text."""
    schema = resolved(schema)
    for many in ("oneOf", "anyOf", "allOf"):
        if many in schema:
            return all_canaries(schema[many][0])
    if "properties" in schema:
        return {name: all_canaries(part) for name, part in schema["properties"].items()}
    kinds = schema.get("type", "string")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "array":
        return [all_canaries(schema.get("items", {}))]
    return {"integer": 1, "number": 1, "boolean": True, "object": {CANARY: CANARY}}.get(kind, CANARY)


def names_in(body):
    """The names of the fields in a body that have a canary in them, or the telephone number."""
    if isinstance(body, dict):
        own = {name for name, value in body.items() if CANARY in json.dumps(value) or value == DETAIL}
        return own.union(*map(names_in, body.values()))
    return set().union(*map(names_in, body)) if isinstance(body, list) else set()


class Walk:
    """Everything personal, sent by every way that there is."""

    def __init__(self, place):
        self.place, self.client, self.keys = place, place.client, count()
        self.sent, self.posted, self.searched = {}, set(), False

    def send(self, operation, method, path, body=None, **headers):
        """Send what is accepted, twice, and note which personal fields it had."""
        keyed = {"Idempotency-Key": f"key-{CANARY}-{next(self.keys)}"} if method == "POST" else {}
        keyed |= {name.replace("_", "-"): value for name, value in headers.items()}
        answers = [self.client.open(path, method=method, json=body, headers=keyed) for _ in "ab"]
        assert answers[0].status_code < 300, (operation, answers[0].text)
        assert answers[1].status_code < 300 or "If-Match" in keyed, (operation, answers[1].text)
        self.sent.setdefault(operation, set()).update(names_in(body) & PERSONAL)
        return answers[0].json

    def accepted(self):
        """Send every personal field of every operation where it is accepted; return ids for the paths."""
        facts = {"customer_ref": TEXTS["customer_ref"], "service_provided_at": RECENTLY, "region": "DE-BY"}
        call = {"channel": "phone", "from_detail": DETAIL, "note": SAID, "ticket_ref": SAID}
        unknown = call | {"order_hint": SAID}
        for n in (2, 3, 4):
            self.send("registerOrder", "PUT", f"/v1/orders/A-{n}", facts)
        late = facts | {"service_provided_at": "2026-01-02T10:00:00Z"}
        self.send("registerOrder", "PUT", "/v1/orders/A-9", late)
        corrected = facts | {"ordered_at": RECENTLY, "correction_reason": SAID}
        self.send("registerOrder", "PUT", "/v1/orders/A-4", corrected, If_Match='"1"')
        self.send("importOrders", "POST", "/v1/orders/batch", {"items": [facts | {"order_id": "A-5"}]})
        self.send("lookUpCustomer", "POST", "/v1/customers/lookup", {"customer_ref": TEXTS["customer_ref"]})
        asked = self.send("recordContact", "POST", "/v1/orders/A-2/contacts", call)["contact_id"]
        bare = self.send("recordContact", "POST", "/v1/orders/A-5/contacts", {"channel": "email"})["contact_id"]
        self.send("completeContact", "PATCH", f"/v1/contacts/{bare}", {"ticket_ref": SAID, "note": SAID})
        self.send("acknowledgeContact", "PUT", f"/v1/contacts/{bare}/acknowledgement", {"channel": "email", "to": MAIL})
        self.send("assignContact", "PUT", f"/v1/contacts/{bare}/assignment", {})
        self.send("giveBackContact", "DELETE", f"/v1/contacts/{bare}/assignment")
        closed = {"reason_code": "other", "reason": SAID}
        self.send("resolveContact", "PUT", f"/v1/contacts/{bare}/resolution", closed)
        order = {"order_id": "A-6"} | facts
        override = {"kind": "goodwill", "reason": SAID}
        bodies = ({"order": order}, {"order": {"order_id": "A-7"} | late, "override": override})
        active, done = (
            self.send("issueCancellation", "POST", "/v1/cancellations", {"contact": call} | body)["cancellation_id"]
            for body in bodies
        )
        self.send("beginRefund", "PUT", f"/v1/cancellations/{done}/refund", {"billing_ref": SAID})
        self.send("settleCancellation", "PUT", f"/v1/cancellations/{done}/settlement", {"billing_ref": SAID})
        issued = {"order_id": "A-3", "contact": call}
        name = self.send("issueCancellation", "POST", "/v1/cancellations", issued)["cancellation_id"]
        revoked = {"reason_code": "entered_in_error", "reason": SAID}
        self.send("revokeCancellation", "PUT", f"/v1/cancellations/{name}/revocation", revoked)
        kept, given_up, open_one = (
            self.send("recordUnmatchedContact", "POST", "/v1/contacts", unknown | {"note": f"{n} {SAID}"} | lacks)[
                "unmatched_id"
            ]
            for n, lacks in enumerate(({}, {}, {"ticket_ref": None}))
        )
        bare = self.send("recordUnmatchedContact", "POST", "/v1/contacts", {"channel": "phone", "order_hint": SAID})
        told = {"ticket_ref": SAID, "note": SAID}
        self.send("completeUnmatchedContact", "PATCH", f"/v1/unmatched-contacts/{bare['unmatched_id']}", told)
        answered = f"/v1/unmatched-contacts/{bare['unmatched_id']}/acknowledgement"
        self.send("acknowledgeUnmatchedContact", "PUT", answered, {"channel": "email", "to": MAIL})
        self.send("matchContact", "PUT", f"/v1/contacts/{kept}/order", {"order_id": "A-2", "ticket_ref": SAID})
        self.send("resolveUnmatchedContact", "PUT", f"/v1/unmatched-contacts/{given_up}/resolution", {"reason": SAID})
        again = f"/v1/unmatched-contacts/{given_up}/resolution?reason_code=entered_in_error"
        self.send("reopenUnmatchedContact", "DELETE", again)
        self.send("resolveUnmatchedContact", "PUT", f"/v1/unmatched-contacts/{given_up}/resolution", {"reason": SAID})
        closure = {"date": (NOW + timedelta(days=40)).date().isoformat(), "reason": {"de": SAID, "en": SAID}}
        self.send("addClosure", "POST", "/v1/policies/virtual-numbers/closures", closure)
        with self.place.store.read(COMMAND_LINE) as uow:
            customer_id = uow.orders.get("A-2").customer_id
        return {
            "request_id": self.privacy(customer_id, asked),
            "order_id": "A-2",
            "contact_id": asked,
            "cancellation_id": active,
            "unmatched_id": open_one,
            "customer_id": customer_id,
            "policy_id": "virtual-numbers",
            "version": "1",
            "region": "DE-BY",
        }

    def privacy(self, customer_id, contact_id):
        """Send what the operations about data requests, holds and disclosures accept; return the id of an open one."""
        who = {"customer_ref": TEXTS["customer_ref"]}
        asked = who | {"channel": "email", "recipient": SAID}
        request, open_one, self.at_console = (
            self.send("openDataRequest", "POST", "/v1/data-requests", asked | one)["request_id"]
            for one in (
                {"kind": "rectification"},
                {"kind": "access", "identity_check": SAID},
                {"kind": "portability", "identity_check": SAID},
            )
        )
        path = f"/v1/data-requests/{request}"
        self.send("checkIdentity", "PUT", f"{path}/identity-check", {"identity_check": f"again {SAID}"})
        self.send("extendRequest", "PUT", f"/v1/data-requests/{open_one}/extension", {"reason": SAID})
        self.send("noteFee", "PUT", f"/v1/data-requests/{open_one}/fee", {"fee": "excessive", "reason": SAID})
        right = {"table": "contacts", "record_id": contact_id, "field": "note", "value": f"right {SAID}"}
        done = {"outcome": "fulfilled", "reason": SAID, "corrections": [right]}
        self.send("fulfilRequest", "PUT", f"{path}/outcome", done)
        hold = f"/v1/customers/{customer_id}/hold"
        self.send("holdCustomer", "PUT", hold, {"reason": SAID})
        self.send("liftHold", "DELETE", hold)
        handed = who | {"basis": "processor", "recipient": SAID, "reference": SAID}
        self.send("recordDisclosure", "POST", "/v1/disclosures", handed)
        return open_one

    def refused(self, ids):
        """Call every operation with canaries in place of its ids, its parameters and every text of its body."""
        everything = "&".join(f"{name}={CANARY}" for name in (*sorted(PERSONAL), "after", "order", "language", "q"))
        for operation, method, path, schema in operations():
            body = None if schema is None else all_canaries(schema)
            for given in ({}, ids):
                names = {name: given.get(name, CANARY) for name in ("order_id", *ids)}
                url = path.format(**names | {"version": given.get("version", "1")})
                bodies = [{"json": body}, {"data": json.dumps(body)[:-1], "content_type": "application/json"}]
                for one in bodies if body else [{}]:
                    query = everything if method != "DELETE" else f"reason_code={CANARY}"
                    answer = self.client.open(f"{url}?{query}", method=method, headers=HEADERS, **one)
                    assert answer.status_code < 500, (operation, answer.text)
                if method == "GET" and given:
                    for kind in ("application/json", "text/html", "text/csv"):
                        assert self.client.get(url, headers={"Accept": kind}).status_code < 500, operation

    def screens(self, ids):
        """Open every screen, and send each of its forms: with canaries where one may type, then also in all else."""
        app, browser = self.place.app, signed_in(self.place.app, supervisor(self.place.store))
        adapter = app.url_map.bind("localhost")
        ids = ids | {"request_id": self.at_console}
        paths = [path for rule, method, path in routes(app, ids | {"rest": CANARY}) if method == "GET"]
        for path in [*paths, f"/console/?q={CANARY}", "/console/orders/A-9", "/console/?q=unknown"]:
            self.submitted(browser, browser.get(quote(path, safe="/?=&")), adapter)
        self.shown_first(browser, adapter)
        for rule, method, path in routes(app, ids):
            if method == "POST" and rule.endpoint not in {*PUBLIC, "console.sign_out"}:
                page = browser.post(path, dict.fromkeys(("q", "note", "reason", "order_hint", "to", "act"), SAID))
                assert page.status < 500, path
        stranger = signed_in(app, supervisor(self.place.store))
        stranger.client.delete_cookie("__Host-refunds", domain="localhost")
        page = stranger.get("/console/")
        self.note_posted(adapter, page.form("Sign in"))
        stranger.submit(page.form("Sign in"), name=SAID, password=SAID)

    def shown_first(self, browser, adapter):
        """Send the forms of pages that show an act before it is done; and begin another session, to end it."""
        policy = "/console/policies/virtual-numbers"
        with self.place.store.read(COMMAND_LINE) as uow:
            number = len(uow.policies["virtual-numbers"].versions) + 1
        head = f'policy = "virtual-numbers"\nversion = {number}\neffective_from = 2090-01-01T00:00:00Z\n'
        draft, day = f"{head}late_entry_days = {number}", f"{datetime.now(UTC) + timedelta(days=9):%Y-%m-%d}"
        signed_in(self.place.app, supervisor(self.place.store))
        for open_page in (
            lambda: browser.press(browser.get("/console/draft"), "See what it changes", draft=draft),
            lambda: browser.get(f"{policy}/versions/{number}/withdrawal"),
            lambda: browser.press(browser.get(policy), "See what it changes", date=day),
            lambda: browser.get("/console/account"),
        ):
            self.submitted(browser, open_page(), adapter)

    def submitted(self, browser, page, adapter, deep=True):
        """Send each form of a page, and those of the pages that follow; in small, the search of one page."""
        searching = [page.search] if deep and page.has_search and (PROOFS or not self.searched) else []
        self.searched |= bool(searching)
        for everywhere in (True, False):
            for form in [*page.forms, *searching]:
                typed = dict.fromkeys(typed_into(form, everywhere=everywhere), SAID)
                self.note_posted(adapter, form)
                follows = browser.submit(form, **typed)
                assert follows.status < 500, (page.path, form.action)
                if deep:
                    self.submitted(browser, follows, adapter, deep=False)

    def note_posted(self, adapter, form):
        """Note to which route a form is sent."""
        if form.method == "POST":
            try:
                endpoint, _ = adapter.match(form.action.removeprefix(HOST).partition("?")[0], method="POST")
            except (NotFound, MethodNotAllowed):
                return
            self.posted.add(endpoint)


TYPED = {"q", "search", "note", "ticket_ref", "reason", "order_hint", "from_detail", "to", "billing_ref"}


def typed_into(form, *, everywhere):
    """The names of the fields of a form into which one types free text; or of all that one types into."""
    fields = [
        one for one in form.element.every("input", "textarea") if one["type"] not in {"hidden", "radio", "checkbox"}
    ]
    names = {one["name"] for one in fields if one["name"]}
    return names if everywhere else names & (TYPED - {"from_detail", "to"})


def supervisor(store):
    """A user who may see and do everything at the console."""
    with store.read(COMMAND_LINE) as uow:
        found = [one for one in uow.users.iter_all() if one.name == "sue"]
    if found:
        return found[0]
    with store.write(COMMAND_LINE) as uow:
        return users.add(uow, "sue", Role.ADMIN).user


FILE = f"of {CANARY}.csv"

COMMANDS = {
    "audit accept": ["--reason", "nothing to accept"],
    "audit replay": [],
    "audit verify": [],
    "backup": None,
    "calendar changes": None,
    "calendar compare": None,
    "calendar days": None,
    "calendar regions": None,
    "check": None,
    "clock": None,
    "copy": None,
    "deadlines export": None,
    "deadlines sheet": None,
    "demo": None,
    "doctor": [],
    "evidence": [CANARY],
    "export": ["orders", "--from", f"{NOW:%Y-%m-%d}", "--to", f"{NOW:%Y-%m-%d}"],
    "init": None,
    "migrate": None,
    "openapi": None,
    "keys rotate": None,
    "orders import": [FILE],
    "policy close": None,
    "policy diff": [FILE],
    "policy import": [FILE],
    "policy publish": [FILE],
    "policy show": [CANARY],
    "policy simulate": [FILE],
    "policy withdraw": [CANARY, "1"],
    "privacy disclose": [TEXTS["customer_ref"], "--basis", "processor", "--recipient", SAID, "--file", SAID],
    "privacy empty": ["--contact", "{unmatched_id}", "--reason", "request"],
    "privacy erase": ["nobody", "--reason", "request"],
    "privacy export": ["{request_id}", "--output", "{directory}/export"],
    "privacy extend": ["{request_id}", "--reason", SAID],
    "privacy fee": ["{request_id}", "excessive", "--reason", SAID],
    "privacy find": [DETAIL],
    "privacy hold": [TEXTS["customer_ref"], "--reason", SAID],
    "privacy identity": ["{request_id}", SAID],
    "privacy close": ["{request_id}", "--outcome", "refused", "--reason", SAID],
    "privacy lift": [TEXTS["customer_ref"]],
    "privacy object": [TEXTS["customer_ref"], "--reason", SAID],
    "privacy open": [
        *("erasure", TEXTS["customer_ref"], "--channel", "email", "--identity-check", SAID, "--recipient", SAID),
    ],
    "privacy rectify": [TEXTS["customer_ref"], "--set", "contacts", "{contact_id}", "note", f"at last {SAID}"],
    "privacy requests": [],
    "privacy restrict": [TEXTS["customer_ref"], "--reason", SAID],
    "restore": None,
    "retention run": None,
    "serve": None,
    "statistics close": None,
    "tokens create": None,
    "tokens forget": [CANARY],
    "tokens list": None,
    "tokens revoke": [CANARY],
    "users add": None,
    "users disable": [CANARY],
    "users forget": [CANARY],
    "users list": None,
    "users reset": [CANARY],
}
"""What each command is called with, in the order of the calls; None if it takes nothing of a customer, or another test has it."""


def commands(group, above=""):
    """The names of all commands."""
    for name in group.list_commands(None):
        one = group.get_command(None, name)
        if isinstance(one, click.Group):
            yield from commands(one, f"{name} ")
        else:
            yield f"{above}{name}"


def call_commands(place, directory, ids):
    """Call every command that takes something of a customer, also as the name of a file."""
    file = directory / FILE
    file.write_text(
        f"order_id,customer_ref,service_provided_at\nA-8,{TEXTS['customer_ref']},{RECENTLY}\nA-9,{SAID},x\n"
    )
    place.app.cli = Commands(place.app.name)
    assert set(commands(place.app.cli)) == COMMANDS.keys(), "add new commands to COMMANDS"
    names = ids | {"directory": directory}
    for name, given in COMMANDS.items():
        if given is not None:
            words = [*name.split(), *(str(file) if one == FILE else one.format(**names) for one in given)]
            result = place.app.test_cli_runner().invoke(args=words)
            assert result.exception is None or isinstance(result.exception, SystemExit), (name, result.exception)
            assert result.exit_code == 0 or not name.startswith("privacy "), (name, result.output)
    file.unlink()
    exported = directory / "export"
    assert CANARY in exported.read_text()
    exported.unlink()


def unmatched(place, name):
    """What is stored of an unmatched contact in encrypted form."""
    with place.store.read(COMMAND_LINE) as uow:
        row = uow.tx.one("SELECT * FROM unmatched_contacts WHERE unmatched_id = :name", name=name)
    return [bytes(row[one]) for one in UNMATCHED.personal if row[one] is not None]


@mostly_on("sqlite")
def test_nothing_personal_is_ever_written_and_no_key_is_left_of_an_erased_customer(capsysbinary, tmp_path, engine):
    place = Place(tmp_path / "place", engine)
    walk = Walk(place)
    ids = walk.accepted()
    for operation, _, _, schema in operations():
        unsent = personal_in(schema) - walk.sent.get(operation, set())
        assert not unsent, f"send {sorted(unsent)} through {operation} in `Walk.accepted`"
    walk.refused(ids)
    walk.screens(ids)
    posts = {rule.endpoint for rule, method, _ in routes(place.app) if method == "POST"}
    unsent = sorted(posts - walk.posted - {"console.sign_out"})
    assert not unsent, f"open a screen with a form for these in `Walk.screens`: {unsent}"
    emptied = unmatched(place, ids["unmatched_id"])
    assert len(emptied) > 2
    assert all(found(place.files(), one) for one in emptied)
    call_commands(place, tmp_path, ids)
    sealed = place.sealed(place.customer_id)
    assert len(sealed) > 40
    theirs = [
        table
        for table in (kind.mapper for kind in RECORDS)
        if table.name not in {"unmatched_contacts", "closures", "users"}
    ]
    columns = {f"{table.name}.{one}" for table in theirs for one in table.personal}
    assert columns <= {place.partition(" ")[0] for place in sealed}
    assert place.left_of(sealed) == sealed.keys(), "the scan finds each value, and nothing in clear"
    assert found(place.files(), CANARY) == set()
    sound(place.store)
    erase(place.store, place.customer_id, ErasureReason.CHILD)
    assert place.left_of(sealed) == set()
    after = place.files() | ({} if engine == "sqlite" else place.on_server())
    after["measurements"] = place.client.get("/metrics").data
    after["log"] = b"".join(capsysbinary.readouterr())
    if engine == "sqlite":
        backups.back_up(place.store, tmp_path / "after.db")
        after |= {file.name: file.read_bytes() for file in tmp_path.glob("after.db*")}
    assert b'"event":"request"' in after["log"]
    assert b"A-2" in after.get("pg_dump", b"A-2")
    for name, value in {"a text": CANARY, **sealed, **{str(one): one for one in emptied}}.items():
        assert found(after, value if isinstance(value, str) else bytes(value)) == set(), name
    assert found(after, DETAIL[1:]) == set()
    sound(place.store)
    place.store.close()


@pytest.mark.parametrize(("engine", "way"), [("sqlite", "restore"), ("sqlite", "copy"), ("postgresql", "copy")])
def test_after_an_old_state_is_put_back_nothing_is_left_once_the_first_request_is_answered(tmp_path, engine, way):
    place = Place(tmp_path / "place", engine)
    Walk(place).accepted()
    sealed, old = place.sealed(place.customer_id), older(place)
    erase(place.store, place.customer_id, ErasureReason.CHILD)
    if way == "restore":
        place.store.close()
        backups.restore(place.settings, old, "")
    else:
        put_back(place, old)
        assert place.left_of(sealed) == sealed.keys()
    app = create_app(place.settings)
    place.store = app.extensions["refunds.store"]
    assert client_of(app).get("/v1/orders/A-2").json["customer_ref"] == "[erased]"
    assert place.left_of(sealed) == set()
    sound(place.store)
    place.store.close()
