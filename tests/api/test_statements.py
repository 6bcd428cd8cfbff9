"""How many statements each operation sends to the database, and how many pages a cancellation writes there."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.holidays_data import business_calendar
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.region_days import WEEKDAYS
from refunds.service import users
from refunds.web import create_app
from tests.conftest import ONCE, client_of, settings

# Including the statements that authenticate the caller and that check whether policies have changed.
COUNTS = {
    "check that reads the policies": 4,
    "check": 1,
    "register": 8,
    "register again": 8,
    "register before it is provided": 7,
    "fill in": 17,
    "correct": 19,
    "correct the customer": 26,
    "order": 3,
    "orders": 3,
    "batch": 17,
    "eligibility": 5,
    "look up": 4,
    "record": 13,
    "supersede": 15,
    "contact": 2,
    "contacts": 2,
    "complete": 8,
    "acknowledge": 8,
    "resolve": 9,
    "reopen": 10,
    "keep": 9,
    "keep again": 3,
    "keep another": 9,
    "unmatched": 2,
    "all unmatched": 2,
    "match": 14,
    "match again": 6,
    "complete it": 6,
    "answer it": 6,
    "correct it": 11,
    "give up": 6,
    "do not give up": 6,
    "take unmatched": 6,
    "take": 10,
    "give back": 10,
    "cancel": 13,
    "replay": 4,
    "refused": 13,
    "cancellation": 2,
    "cancellations": 2,
    "table of cancellations": 3,
    "confirmation": 4,
    "settle": 8,
    "unsettle": 8,
    "revoke": 12,
    "evidence": 19,
    "events": 3,
    "policies": 1,
    "publish": 11,
    "withdraw": 9,
    "close": 10,
    "closures": 3,
    "simulate": 6,
    "calendar": 1,
    "regions": 1,
    "ready": 5,
    "ready again": 1,
    "measurements": 10,
    "screen: check": 8,
    "screen: answer": 11,
    "screen: confirm": 6,
    "screen: contact": 12,
    "screen: cancellation": 7,
    "screen: open": 14,
    "screen: recent": 6,
    "screen: cancellations": 9,
    "screen: history": 9,
    "screen: policy": 5,
}

ONE_FEWER_ON_SQLITE = {
    *("register", "register before it is provided", "fill in", "correct", "correct the customer", "batch"),
    *("record", "supersede", "keep", "keep another", "correct it", "match", "cancel", "refused", "evidence"),
}
"""What reads the head of the journal before its end: SQLite has one writer at a time, so it is the same at the end."""

NOW = datetime.now(UTC)


class Counting:
    """A client and a browser of a separate app, which count the statements of each request."""

    def __init__(self, app) -> None:
        self.app, self.client, self.counted, self.keys = app, client_of(app), Counter(), 0
        with app.extensions["refunds.store"].read(COMMAND_LINE) as uow:
            self.transaction = type(uow.tx)

    def __call__(self, name, method, path, body=None, **headers):
        """The JSON of the response; its statements are counted under the name."""
        self.keys += not headers.pop("again", False)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Idempotency-Key"] = f"key-{self.keys}"
        return self._counting(name, self.client.open, path, method=method, json=body, headers=headers).get_json()

    def sign_in(self, name):
        """Sign a new user in with a browser."""
        with self.app.extensions["refunds.store"].write(COMMAND_LINE) as uow:
            user = users.add(uow, name, Role.SUPERVISOR).user
        self.browser = self.app.test_client()
        began = users.session_for(self.app.extensions["refunds.store"], user)._asdict()
        with self.browser.session_transaction() as session:
            session.update(began, since=int(NOW.timestamp()))

    def screen(self, name, path):
        """Request a screen."""
        self._counting(f"screen: {name}", self.browser.get, f"/console/{path}")

    def _counting(self, name, ask, path, **request):
        with pytest.MonkeyPatch.context() as patched:
            for kind in ("one", "all", "each", "run", "later"):
                patched.setattr(self.transaction, kind, self._counted(name, kind))
            answer = ask(path, **request)
        assert answer.status_code in {200, 201} or name == "refused", (name, answer.get_data(as_text=True))
        return answer

    def _counted(self, name, kind):
        run = getattr(self.transaction, kind)

        def counted(tx, sql, *given, **parameters):
            self.counted[name] += 1
            return run(tx, sql, *given, **parameters)

        return counted


def facts(**more):
    return {"customer_ref": "K-1", "service_provided_at": (NOW - timedelta(hours=3)).isoformat()} | more


def orders(ask):
    ask("register", "PUT", "/v1/orders/A-1", facts())
    ask("register again", "PUT", "/v1/orders/A-1", facts())
    ask("register before it is provided", "PUT", "/v1/orders/A-2", facts(service_provided_at=None))
    ask("fill in", "PUT", "/v1/orders/A-2", facts())
    business_calendar("DE-BY", WEEKDAYS[:5])  # a write that has to wait for one is begun twice
    corrected = facts(region="DE-BY", correction_reason="a slip")
    ask("correct", "PUT", "/v1/orders/A-2", corrected, If_Match='"2"')
    ask("correct the customer", "PUT", "/v1/orders/A-2", corrected | {"customer_ref": "K-2"}, If_Match='"3"')
    ask("order", "GET", "/v1/orders/A-1")
    ask("orders", "GET", "/v1/orders?order=newest")
    again = {"order_id": "A-1"} | facts()
    ask("batch", "POST", "/v1/orders/batch", {"items": [again, {"order_id": "A-9"} | facts()]})
    ask("eligibility", "GET", "/v1/orders/A-1/eligibility")
    ask("look up", "POST", "/v1/customers/lookup", {"customer_ref": "K-1"})


def contacts(ask):
    contact = ask("record", "POST", "/v1/orders/A-1/contacts", {"channel": "phone"})
    superseding = {"channel": "email", "supersedes": contact["contact_id"]}
    contact = ask("supersede", "POST", "/v1/orders/A-1/contacts", superseding)
    ask("contact", "GET", f"/v1/contacts/{contact['contact_id']}")
    ask("contacts", "GET", "/v1/contacts?open=true")
    ask.screen("open", "open")
    ask.screen("contact", f"contacts/{contact['contact_id']}")
    ask("resolve", "PUT", f"/v1/contacts/{contact['contact_id']}/resolution", {"reason_code": "customer_kept_order"})
    ask("reopen", "DELETE", f"/v1/contacts/{contact['contact_id']}/resolution?reason_code=entered_in_error")
    ask("complete", "PATCH", f"/v1/contacts/{contact['contact_id']}", {"ticket_ref": "T-1"})
    ask("acknowledge", "PUT", f"/v1/contacts/{contact['contact_id']}/acknowledgement", {"channel": "phone"})
    unknown = {"order_hint": "A-?", "channel": "phone"}
    one = ask("keep", "POST", "/v1/contacts", unknown)["unmatched_id"]
    ask("keep again", "POST", "/v1/contacts", unknown, again=True)
    ask("unmatched", "GET", f"/v1/unmatched-contacts/{one}")
    ask("all unmatched", "GET", "/v1/unmatched-contacts?open=true")
    ask("match", "PUT", f"/v1/contacts/{one}/order", {"order_id": "A-1"})
    ask("match again", "PUT", f"/v1/contacts/{one}/order", {"order_id": "A-1"})
    one = ask("keep another", "POST", "/v1/contacts", unknown)["unmatched_id"]
    ask("complete it", "PATCH", f"/v1/unmatched-contacts/{one}", {"ticket_ref": "T-1"})
    ask("answer it", "PUT", f"/v1/unmatched-contacts/{one}/acknowledgement", {"channel": "phone"})
    one = ask("correct it", "POST", "/v1/contacts", unknown | {"supersedes": one})["unmatched_id"]
    ask("give up", "PUT", f"/v1/unmatched-contacts/{one}/resolution", {"reason": "nobody's"})
    ask("do not give up", "DELETE", f"/v1/unmatched-contacts/{one}/resolution?reason_code=entered_in_error")
    ask("take unmatched", "PUT", f"/v1/contacts/{one}/assignment", {})
    ask("take", "PUT", f"/v1/contacts/{contact['contact_id']}/assignment", {})
    ask("give back", "DELETE", f"/v1/contacts/{contact['contact_id']}/assignment")


def cancellations(ask):
    inline = {"order": {"order_id": "A-3"} | facts(), "contact": {"channel": "phone"}}
    cancellation_id = ask("cancel", "POST", "/v1/cancellations", inline)["cancellation_id"]
    ask("replay", "POST", "/v1/cancellations", inline, again=True)
    ask("refused", "POST", "/v1/cancellations", {"order_id": "A-3", "contact": {"channel": "phone"}})
    one = f"/v1/cancellations/{cancellation_id}"
    ask("cancellation", "GET", one)
    ask("cancellations", "GET", "/v1/cancellations?state=issued")
    ask("table of cancellations", "GET", "/v1/cancellations", Accept="text/csv")
    ask("confirmation", "GET", f"{one}/confirmation")
    ask("settle", "PUT", f"{one}/settlement", {"billing_ref": "RF-1"})
    ask("unsettle", "DELETE", f"{one}/settlement?reason_code=refund_failed")
    ask.screen("cancellation", f"cancellations/{cancellation_id}")
    ask("revoke", "PUT", f"{one}/revocation", {"reason_code": "customer_kept_order"})
    ask("evidence", "GET", "/v1/orders/A-3/evidence")
    ask("events", "GET", "/v1/events")


def policies(ask):
    one = "/v1/policies/virtual-numbers"
    later = (NOW + timedelta(days=3)).isoformat()
    ask("policies", "GET", "/v1/policies")
    draft = {"version": 2, "effective_from": later, "terms": {"window_business_days": 3}}
    ask("publish", "POST", f"{one}/versions", draft)
    ask("withdraw", "PUT", f"{one}/versions/2/withdrawal")
    ask("close", "POST", f"{one}/closures", {"date": (NOW + timedelta(days=9)).date().isoformat()})
    ask("closures", "GET", f"{one}/closures")
    ask("simulate", "POST", f"{one}/simulations", draft | {"version": 3})
    ask("calendar", "GET", "/v1/calendars/DE-BY/days?from=2026-04-01&to=2026-04-10")
    ask("regions", "GET", "/v1/calendars?country=AT")


def test_no_operation_sends_more_statements_than_it_needs(tmp_path, engine):
    ask = Counting(create_app(settings(tmp_path)))
    ask.sign_in("sue")
    for name in ("check that reads the policies", "check"):
        ask(name, "POST", "/v1/eligibility-checks", {"service_provided_at": NOW.isoformat()})
    for walk in (orders, contacts, cancellations, policies):
        walk(ask)
    ask("ready", "GET", "/readyz")
    ask("ready again", "GET", "/readyz")
    ask("measurements", "GET", "/metrics")
    ask.screen("check", "")
    ask.screen("answer", f"orders/A-1?received_at={NOW:%Y-%m-%dT%H:%M:%SZ}")
    ask.screen("confirm", "orders/A-1/cancel")
    ask.screen("recent", "recent")
    ask.screen("cancellations", "cancellations")
    ask.screen("history", "orders/A-3/history")
    ask.screen("policy", "policies/virtual-numbers")
    counts = {name: count - (engine == "sqlite" and name in ONE_FEWER_ON_SQLITE) for name, count in COUNTS.items()}
    assert {name: (ask.counted[name], count) for name, count in counts.items() if ask.counted[name] != count} == {}
    assert ask.counted.keys() == COUNTS.keys()


@ONCE
def test_a_cancellation_writes_few_pages(tmp_path):
    ask = Counting(create_app(settings(tmp_path)))
    sizes = []
    for number in range(51):
        order = {"order_id": f"A-{number}", "region": "DE-BY"} | facts(customer_ref=f"K-{number}")
        inline = {"order": order, "contact": {"channel": "phone", "from_detail": "+4989123456"}}
        ask("cancel", "POST", "/v1/cancellations", inline)
        sizes.append(next(tmp_path.rglob("*-wal")).stat().st_size)
    assert (sizes[-1] - sizes[0]) / 50 / (4096 + 24) < 34


@ONCE
def test_cancellations_of_an_order_are_found_by_their_order(tmp_path):
    """Whatever else is asked for; SQLite says so for an empty table, too."""
    store = create_app(settings(tmp_path)).extensions["refunds.store"]
    asked = []
    with store.read(COMMAND_LINE) as uow, pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(uow.tx), "all", lambda _, sql, **given: asked.append((sql, given)) or [])
        uow.cancellations.paginate(limit=5, order_id="A-1", state="settled", issued_by="cli_1")
        uow.orders.paginate(limit=5, state="open")
        patched.undo()
        plans = [row["detail"] for sql, given in asked for row in uow.tx.all(f"EXPLAIN QUERY PLAN {sql}", **given)]
    found = [plan for plan in plans if "one_active_cancellation" in plan]
    assert len(found) == 2, plans
    assert all("(order_id=? AND <expr>" in plan for plan in found)
