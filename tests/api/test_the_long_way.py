"""What is kept, or known beforehand, changes no answer: the same requests, answered the long way, get the same bytes."""

import os
import secrets
import shutil
from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from random import Random
from typing import NamedTuple
from unittest import mock

import pytest
import time_machine
import ulid

from refunds.domain import business_days, eligibility, holidays_data, instants, judging
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.domain.region_days import WEEKDAYS
from refunds.presentation import decisions
from refunds.schemas.strict import StrictSchema
from refunds.service import users
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, settings, token

BEGIN = datetime(2026, 4, 8, 8, tzinfo=UTC)
"""The Wednesday after Easter, of which windows from before it end that day."""

REGIONS = (None, "DE", "DE-BY", "DE-BE", "FR", "IN-MH", "GB-LND", "XX")
CHANNELS = ("phone", "phone", "email", "web", "post", "fax")
LANGUAGES = ("en", "de", "fr", "de-AT,de;q=0.8")
WRONG = (None, "", "x" * 300, 0, -1, True, [], {}, "2026-13-01", "2026-04-02T24:00:00Z", "DE-XX")


class Sent(NamedTuple):
    """A request, and by which of its clients it is sent."""

    by: str
    method: str
    path: str
    body: object
    headers: dict[str, str]
    seconds: int
    """How long after the one before."""


class Writer:
    """Writes random requests about what earlier ones have made; the same ones for the same seed and answers."""

    def __init__(self, seed):
        self.chance, self.known, self.last = Random(seed), defaultdict(list), None  # noqa: S311

    def write(self):
        """One more request, sometimes the last one with its key again, or one with something wrong in it."""
        chance = self.chance
        seconds = chance.choice((0, 1)) if chance.random() < 0.9995 else 900  # the session ends after some hours
        if self.last and self.last.method == "POST" and chance.random() < 0.03:
            return self.last._replace(seconds=seconds)
        kinds = list(KINDS)
        by, method, path, body = KINDS[chance.choices(kinds, [WEIGHTS.get(kind, 2) for kind in kinds])[0]](self)
        if isinstance(body, dict) and body and chance.random() < 0.1:
            body = body | {chance.choice([*body, "more"]): chance.choice(WRONG)}
        headers = {"Accept-Language": chance.choice(LANGUAGES), "X-Request-Id": f"{chance.getrandbits(64):016x}"}
        if method == "POST" and by != "browser":
            headers["Idempotency-Key"] = f"{chance.getrandbits(64):x}"
        if by == "compact":
            by, headers["Accept"] = "admin", "application/x-ndjson"
        if by == "matched":
            by, headers["If-Match"] = "admin", f'"{chance.randrange(1, 4)}"'
        self.last = Sent(by, method, path, body, headers, seconds)
        return self.last

    def learn(self, answer):
        """Note the ids in an answer, so that later requests are about them."""
        found = answer.get_json(silent=True)
        for one in [found, *(found.get("items", ()) if isinstance(found, dict) else ())]:
            for name in ("order_id", "contact_id", "cancellation_id", "unmatched_id", "customer_id", "request_id"):
                if isinstance(one, dict) and isinstance(one.get(name), str) and one[name] not in self.known[name][-50:]:
                    self.known[name].append(one[name])
        if isinstance(found, dict) and found.get("next"):
            self.known["next"].append(found["next"])

    def one(self, name):
        """An id of this kind, of the last ones, and seldom one of nothing."""
        known = self.known[name][-30:]
        return self.chance.choice(known) if known and self.chance.random() < 0.98 else "unknown"

    def at(self, earliest, latest):
        """An instant, so many hours from the beginning."""
        at = BEGIN + timedelta(seconds=self.chance.randrange(earliest * 3600, latest * 3600))
        return at.isoformat() if self.chance.random() < 0.8 else at.isoformat().replace("+00:00", "Z")

    def some(self, **values):
        """Each of these with an even chance."""
        return {name: value for name, value in values.items() if value is not None and self.chance.random() < 0.5}

    def check(self):
        """A check."""
        facts = {"service_provided_at": self.chance.choice((None, *[self.at(-400, 30)] * 9))}
        return facts | self.some(
            requested_at=self.at(-300, 100),
            channel=self.chance.choice(CHANNELS),
            contact_point=self.chance.choice(("+493012345678", "a@example.com")),
            ordered_at=self.at(-900, -400),
            region=self.chance.choice(REGIONS),
            policy="virtual-numbers" if self.chance.random() < 0.95 else "unknown",
        )

    def facts(self):
        """The facts of an order."""
        known = {"customer_ref": f"K-{self.chance.randrange(200)}", "region": self.chance.choice(REGIONS[:6])}
        provided = self.at(-150, 2) if self.chance.random() < 0.9 else None
        return known | {"service_provided_at": provided} | self.some(ordered_at=self.at(-900, -160))

    def contact(self):
        """A contact."""
        details = self.some(
            intent=self.chance.choice(("cancel", "question", "withdrawal")),
            received_at=self.at(-60, 0),
            ticket_ref="T-1",
            note="called twice",
            from_detail=self.chance.choice(("+4989123456", "kim@example.org", "089 123456")),
        )
        return {"channel": self.chance.choice(CHANNELS[:3])} | details

    def new_order(self):
        """The id of an order, probably a new one."""
        return f"A-{self.chance.randrange(10**6)}"

    def cancellation(self):
        """A cancellation: of a new order or a known one, on a new contact or a known one."""
        how = self.chance.randrange(3)
        if how == 0:
            return {"order": {"order_id": self.new_order()} | self.facts(), "contact": self.contact()}
        about = {"order_id": self.one("order_id")}
        about |= {"contact": self.contact()} if how == 1 else {"contact_id": self.one("contact_id")}
        return about | self.some(override={"kind": self.chance.choice(("goodwill", "statutory")), "reason": "kind"})

    def terms(self):
        """Terms to replace."""
        return self.some(
            window_business_days=self.chance.choice((1, 3, 30, 366)),
            business_week=list(WEEKDAYS[:6]),
            region=self.chance.choice(("DE-BE", "FR")),
            closures=["2026-04-10"],
        )

    def draft(self):
        """A draft of a version."""
        version = self.chance.randrange(2, 5)
        return {"version": version, "effective_from": self.at(200, 400), "terms": self.terms()}


def get(path):
    """A kind of request that reads; `{name}` in its path is an id."""
    return lambda writer: ("admin", "GET", _named(writer, path), None)


def screen(path):
    """A kind of request for a screen of the console."""
    return lambda writer: ("browser", "GET", _named(writer, f"/console/{path}"), None)


def act(method, path, body=lambda _: {}, by="admin"):
    """A kind of request with this body."""
    return lambda writer: (by, method, _named(writer, path), body(writer))


def _named(writer, path):
    ids = ("order_id", "contact_id", "cancellation_id", "unmatched_id", "customer_id", "request_id", "next")
    return path.format(
        **{name: writer.one(name) for name in ids},
        at=writer.at(-100, 100).replace("+", "%2B"),
        new=writer.new_order(),
        region=writer.chance.choice(REGIONS[1:]),
        few=writer.chance.randrange(1, 5),
    )


CODE = {"reason_code": "customer_kept_order"}
IN_ERROR = "?reason_code=entered_in_error"
VERSION = "/v1/policies/virtual-numbers"

KINDS = {
    "check": act("POST", "/v1/eligibility-checks", Writer.check),
    "what-if": act("POST", "/v1/eligibility-checks", lambda w: w.check() | {"terms": w.terms()}),
    "batch": act("POST", "/v1/eligibility-checks/batch", lambda w: {"items": [w.check() for _ in range(20)]}),
    "batch with days": act(
        "POST", "/v1/eligibility-checks/batch", lambda w: {"items": [w.check() for _ in range(9)], "include_days": True}
    ),
    "compact": act(
        "POST", "/v1/eligibility-checks/batch", lambda w: {"items": [w.check() for _ in range(20)]}, "compact"
    ),
    "register": act("PUT", "/v1/orders/{new}", Writer.facts),
    "register again": act("PUT", "/v1/orders/{order_id}", Writer.facts),
    "correct": act("PUT", "/v1/orders/{order_id}", lambda w: w.facts() | {"correction_reason": "a slip"}, "matched"),
    "import": act(
        "POST", "/v1/orders/batch", lambda w: {"items": [{"order_id": w.new_order()} | w.facts() for _ in range(3)]}
    ),
    "order": get("/v1/orders/{order_id}"),
    "orders": get("/v1/orders?limit={few}&order=newest"),
    "orders by state": get("/v1/orders?limit={few}&state=open"),
    "orders by region": get("/v1/orders?limit={few}&region={region}"),
    "orders by deadline": get("/v1/orders?limit={few}&deadline_from={at}"),
    "eligibility": get("/v1/orders/{order_id}/eligibility?requested_at={at}"),
    "evidence": get("/v1/orders/{order_id}/evidence"),
    "look up": act("POST", "/v1/customers/lookup", lambda w: {"customer_ref": f"K-{w.chance.randrange(200)}"}),
    "hold": act("PUT", "/v1/customers/{customer_id}/hold", lambda _: {"reason": "a claim"}),
    "lift": act("DELETE", "/v1/customers/{customer_id}/hold", lambda _: None),
    "record": act("POST", "/v1/orders/{order_id}/contacts", Writer.contact),
    "supersede": act(
        "POST", "/v1/orders/{order_id}/contacts", lambda w: w.contact() | {"supersedes": w.one("contact_id")}
    ),
    "contact": get("/v1/contacts/{contact_id}"),
    "contacts": get("/v1/contacts?limit={few}&open=true"),
    "contacts of an order": get("/v1/contacts?limit={few}&order_id={order_id}"),
    "complete": act("PATCH", "/v1/contacts/{contact_id}", lambda _: {"ticket_ref": "T-2"}),
    "acknowledge": act("PUT", "/v1/contacts/{contact_id}/acknowledgement", lambda _: {"channel": "phone"}),
    "resolve": act("PUT", "/v1/contacts/{contact_id}/resolution", lambda _: CODE),
    "reopen": act("DELETE", "/v1/contacts/{contact_id}/resolution" + IN_ERROR, lambda _: None),
    "take": act("PUT", "/v1/contacts/{contact_id}/assignment"),
    "give back": act("DELETE", "/v1/contacts/{contact_id}/assignment", lambda _: None),
    "keep": act("POST", "/v1/contacts", lambda w: {"order_hint": "A-?"} | w.contact()),
    "unmatched": get("/v1/unmatched-contacts/{unmatched_id}"),
    "all unmatched": get("/v1/unmatched-contacts?limit={few}&open=true"),
    "match": act("PUT", "/v1/contacts/{unmatched_id}/order", lambda w: {"order_id": w.one("order_id")}),
    "give up": act("PUT", "/v1/unmatched-contacts/{unmatched_id}/resolution", lambda _: {"reason": "nobody's"}),
    "cancel": act("POST", "/v1/cancellations", Writer.cancellation),
    "cancellation": get("/v1/cancellations/{cancellation_id}"),
    "cancellations": get("/v1/cancellations?limit={few}&state=issued"),
    "overdue": get("/v1/cancellations?limit={few}&overdue=true"),
    "next page": get("/v1/cancellations?limit={few}&after={next}"),
    "confirmation": get("/v1/cancellations/{cancellation_id}/confirmation"),
    "refund": act("PUT", "/v1/cancellations/{cancellation_id}/refund"),
    "settle": act("PUT", "/v1/cancellations/{cancellation_id}/settlement", lambda _: {"billing_ref": "RF-1"}),
    "unsettle": act("DELETE", "/v1/cancellations/{cancellation_id}/settlement?reason_code=refund_failed"),
    "revoke": act("PUT", "/v1/cancellations/{cancellation_id}/revocation", lambda _: CODE),
    "events": get("/v1/events?limit={few}"),
    "events of a type": get("/v1/events?limit={few}&types=cancellation.issued"),
    "data request": act(
        "POST",
        "/v1/data-requests",
        lambda w: {"kind": "access", "customer_ref": f"K-{w.chance.randrange(200)}", "channel": "email"},
    ),
    "a data request": get("/v1/data-requests/{request_id}"),
    "data requests": get("/v1/data-requests?limit={few}"),
    "statistics": get("/v1/statistics"),
    "policies": get("/v1/policies"),
    "policy": get(VERSION),
    "publish": act("POST", f"{VERSION}/versions", Writer.draft),
    "withdraw": act("PUT", f"{VERSION}/versions/{{few}}/withdrawal"),
    "close": act("POST", f"{VERSION}/closures", lambda w: {"date": f"2026-{w.chance.randrange(5, 13):02}-11"}),
    "closures": get(f"{VERSION}/closures"),
    "simulate": act("POST", f"{VERSION}/simulations", Writer.draft),
    "calendar": get("/v1/calendars/{region}/days?from=2026-04-01&to=2026-04-1{few}"),
    "regions": get("/v1/calendars?country=AT"),
    "nowhere": get("/v1/{new}"),
    "screen: check": screen(""),
    "screen: answer": screen("orders/{order_id}?received_at={at}"),
    "screen: confirm": screen("orders/{order_id}/cancel"),
    "screen: contact": screen("contacts/{contact_id}"),
    "screen: cancellation": screen("cancellations/{cancellation_id}"),
    "screen: history": screen("orders/{order_id}/history"),
    "screen: open": screen("open"),
    "screen: cancellations": screen("cancellations"),
    "screen: policy": screen("policies/virtual-numbers"),
    "screen: days": screen("days"),
}

WEIGHTS = {"check": 60, "what-if": 10, "register": 15, "record": 10, "cancel": 20, "eligibility": 15, "simulate": 0.1}
WEIGHTS |= dict.fromkeys(("publish", "withdraw", "close", "import", "statistics"), 0.3)
WEIGHTS |= {kind: 0.7 for kind in KINDS if kind.startswith("screen")}


@pytest.fixture
def clock():
    """The clock, which stands still but for what `Served` moves it."""
    with time_machine.travel(BEGIN, tick=False) as clock:
        yield clock


@pytest.fixture
def installations(clock, tmp_path):
    """Two installations with the same records, keys and sessions."""
    first, second = tmp_path / "first", tmp_path / "second"
    for region in REGIONS[1:-1]:  # a write that has to wait for one is begun twice, with other ids
        holidays_data.business_calendar(region, WEEKDAYS[:5])
    app = create_app(settings(first, engine="sqlite"))
    store = app.extensions["refunds.store"]
    tokens = {"admin": token(app, "admin")}
    with store.write(COMMAND_LINE) as uow:
        user = users.add(uow, "sue", Role.SUPERVISOR).user
    session = users.session_for(store, user)._asdict()
    store.close()
    shutil.copytree(first, second)
    return [Served(clock, settings(one, engine="sqlite"), tokens, session) for one in (first, second)]


class Served:
    """A service with its clients, which answers requests one after the other."""

    def __init__(self, clock, of, tokens, session):
        self.clock, self.app = clock, create_app(of)
        self.app.extensions["refunds.tests.tokens"] = tokens
        self.clients = {"admin": client_of(self.app), "browser": self.app.test_client()}
        with self.clients["browser"].session_transaction() as kept:
            kept.update(session, since=int(BEGIN.timestamp()))

    def answer(self, number, sent):
        """The answer to a request, at its time; what is random in it depends on its number alone."""
        if not number:
            self.clock.move_to(BEGIN, tick=False)
        self.clock.shift(sent.seconds)
        chance = Random(number)  # noqa: S311
        generator = ulid.ULIDGenerator(randomness=lambda _: chance.randbytes(10))
        with (
            mock.patch.object(ulid, "default_generator", generator),
            mock.patch.object(secrets, "randbelow", chance.randrange),
            mock.patch.object(secrets, "token_urlsafe", lambda size: chance.randbytes(size).hex()),
            mock.patch.object(secrets, "token_hex", lambda size: chance.randbytes(size).hex()),
            mock.patch.object(os, "urandom", chance.randbytes),
        ):
            by = self.clients[sent.by]
            return by.open(sent.path, method=sent.method, json=sent.body, headers=sent.headers)


def bytes_of(answer):
    """Everything of an answer."""
    return b"%d %s %s" % (answer.status_code, repr(sorted(answer.headers)).encode(), answer.get_data())


@contextmanager
def the_long_way():
    """A block in which nothing that a decision or an answer is made of is kept, and each body is read by marshmallow."""
    _forget()
    with (
        mock.patch.object(decisions, "_cached_parts", decisions._cached_parts.__wrapped__),
        mock.patch.object(instants, "_turn", return_value=None),
        mock.patch.object(eligibility, "end_of_day", instants.end_of_day.__wrapped__),
        mock.patch.object(eligibility, "fingerprint_of", business_days.fingerprint_of.__wrapped__),
        mock.patch.object(business_days, "lru_cache", return_value=lambda function: function),
        mock.patch.object(StrictSchema, "_read_plainly", mock.Mock(side_effect=KeyError)),
    ):
        yield
    _forget()


def _forget():
    """Forget the calendars, so that they are made again of the days of their regions."""
    for kept in (judging._closed, holidays_data.business_calendar):
        kept.cache_clear()
    holidays_data._calendar.cache.clear()


def recorded(service, seed, many):
    """So many random requests, with a digest of each answer, and how many answers had each status."""
    writer, found, statuses = Writer(seed), [], Counter()
    for number in range(many):
        sent = writer.write()
        answer = service.answer(number, sent)
        writer.learn(answer)
        statuses[answer.status_code] += 1
        found.append((sent, sha256(bytes_of(answer)).digest()))
    return found, statuses


def differing(service, found):
    """Those requests, by their numbers, that a service answers with other bytes, and the bytes; up to five."""
    answers = ((number, sent, bytes_of(service.answer(number, sent))) for number, (sent, _) in enumerate(found))
    return list(islice((one for one in answers if sha256(one[2]).digest() != found[one[0]][1]), 5))


@pytest.fixture
def _on_each():
    """Overrides the fixture of the API tests: what differs between the engines has its own tests."""


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(4))
def test_answers_made_the_long_way_are_the_same_to_the_byte(seed, installations, record_property):
    first, second = installations
    found, statuses = recorded(first, seed, scaled(200, 25_000))
    with the_long_way():
        assert differing(second, found) == []
    assert not statuses.keys() & {500, 503}
    kinds = len({(sent.method, sent.path.partition("?")[0].rstrip("0123456789")) for sent, _ in found})
    record_property("measured", f"{len(found):,} requests the long way: {dict(statuses)}, {kinds} paths")


def test_an_answer_that_is_kept_by_too_little_is_noticed(installations, monkeypatch):
    first, second = installations
    found, _ = recorded(first, 0, 150)
    kept, write = {}, decisions._cached_parts.__wrapped__
    monkeypatch.setattr(
        decisions, "_cached_parts", lambda stated, *others: kept.setdefault(stated[0], write(stated, *others))
    )
    assert differing(second, found)
