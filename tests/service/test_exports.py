"""An export has everything about one customer, and nothing about another, whatever they share."""

import itertools
import random
import re
from contextlib import closing
from datetime import timedelta

import orjson
import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.privacy import (
    DataRequestChannel,
    DataRequestKind,
    DisclosureBasis,
    ErasureReason,
    IdentityNotChecked,
    LimitKind,
)
from refunds.domain.records import Intent, RevocationReason
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import Forbidden, NotFound
from refunds.presentation.documents.export import export_data, render_html
from refunds.presentation.language import speaking
from refunds.service import data_requests, exports, orders, privacy, resolutions, settlements, unmatched
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from tests import scaled
from tests.conftest import settings
from tests.service.test_privacy import LATE, PROVIDED, cancelled, erase, recorded, registered, sound

NUMBERS = ("+4989123456", "+4989123457", "kim@example.org")
TICKETS = ("T-1", "T-2")


@pytest.fixture
def store(engine, tmp_path):
    """An installation on each engine."""
    with closing(Store(settings(tmp_path, engine=engine))) as opened:
        yield opened


def exported(store, customer_id):
    """The export of a customer, as data and as pages, as texts."""
    with store.write(COMMAND_LINE) as uow:
        found = exports.of_customer(uow, customer_id)
    texts = [orjson.dumps(export_data(found)).decode()]
    for language in ("de", "en"):
        with speaking(language):
            texts.append(render_html(found))
    return texts


class People:
    """Customers at random, who share numbers, addresses and tickets; each text of theirs is marked as theirs."""

    def __init__(self, store, seed):
        self.store, self.random = store, random.Random(seed)  # noqa: S311
        self.marks = {}
        self.numbers = itertools.count()

    def mark(self, who):
        """A text that stands only in what is stored about a customer."""
        text = f"mark-{who}-{len(self.marks.setdefault(who, []))}x"
        self.marks[who].append(text)
        return text

    def details(self, who):
        """What a customer's contact has."""
        channel = self.random.choice([Channel.PHONE, Channel.EMAIL])
        return {
            "channel": channel,
            "from_detail": self.random.choice(NUMBERS),
            "ticket_ref": self.random.choice(TICKETS),
            "note": self.mark(who),
        }

    def act(self, who):
        """Something that happens to a customer."""
        order_id = f"order-{who}-{next(self.numbers)}x"
        late = self.random.random() < 0.5
        self.marks.setdefault(who, []).append(order_id)
        customer_id = registered(self.store, order_id, f"mark-{who}-refx", LATE if late else PROVIDED)
        act = self.random.choice([self.call, self.corrected, self.match, self.cancel, self.asks])
        act(who, order_id, customer_id)
        return customer_id

    def call(self, who, order_id, _):
        """They call twice; the second call supersedes the first, and is closed."""
        first = recorded(self.store, order_id, **self.details(who))
        second = recorded(self.store, order_id, **self.details(who), supersedes=first.contact_id)
        with self.store.write(COMMAND_LINE) as uow:
            given = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER, reason=self.mark(who))
            resolutions.resolve(uow, second.contact_id, given)

    def corrected(self, who, order_id, _):
        """Their order was registered for somebody else first."""
        moved = f"{order_id[:-1]}-movedx"
        self.marks[who].append(moved)
        registered(self.store, moved, "mark-somebody-refx")
        recorded(self.store, moved, intent=Intent.QUESTION, **self.details(who))
        facts = OrderFacts(order_id=moved, customer_ref=f"mark-{who}-refx", service_provided_at=LATE, region="DE-BY")
        with self.store.write(COMMAND_LINE) as uow:
            orders.correct(uow, facts, self.mark(who), [1])

    def match(self, who, order_id, _):
        """They call before their order is known."""
        with self.store.write(COMMAND_LINE) as uow:
            found = unmatched.record(uow, "mark-nobody", NewContact(**self.details(who) | {"intent": Intent.QUESTION}))
        with self.store.write(COMMAND_LINE) as uow:
            unmatched.match(uow, found.unmatched_id, order_id)

    def cancel(self, who, order_id, _):
        """Their order is cancelled, refunded or revoked."""
        order_id = f"order-{who}-{self.random.randrange(10**9)}cx"
        self.marks[who].append(order_id)
        registered(self.store, order_id, f"mark-{who}-refx")
        name = cancelled(self.store, order_id).cancellation_id
        with self.store.write(COMMAND_LINE) as uow:
            if self.random.random() < 0.5:
                settlements.settle(uow, name, None, self.mark(who))
            else:
                settlements.revoke(uow, name, RevocationReason.ENTERED_IN_ERROR, self.mark(who))

    def asks(self, who, _, customer_id):
        """They ask about their data, which are limited and disclosed."""
        ref = f"mark-{who}-refx"
        about = {"identity_check": self.mark(who), "recipient": self.mark(who)}
        with self.store.write(COMMAND_LINE) as uow:
            data_requests.open_request(uow, DataRequestKind.ACCESS, ref, DataRequestChannel.EMAIL, **about)
        with self.store.write(COMMAND_LINE) as uow:
            kind = self.random.choice(list(LimitKind))
            if uow.limits.active(customer_id, kind) is None:
                privacy.limit(uow, customer_id, kind, self.mark(who))
        with self.store.write(COMMAND_LINE) as uow:
            privacy.disclose(uow, ref, DisclosureBasis.PROCESSOR, self.mark(who), self.mark(who))


@pytest.mark.proof
def test_an_export_has_all_of_one_customer_and_nothing_of_another(store):
    people = People(store, seed=22)
    ids = {}
    for _ in range(scaled(24, 200)):
        who = people.random.choice(["anna", "ben", "chris", "dora"])
        ids[who] = people.act(who)
    for who, customer_id in ids.items():
        own = {*people.marks[who], f"mark-{who}-refx"}
        for text in exported(store, customer_id):
            assert set(re.findall(r"(?:mark|order)-[a-z]+-[a-z0-9-]*x", text)) == own
            assert "mark-nobody" not in text
    sound(store)


def test_an_export_of_an_erased_customer_says_so(store):
    customer_id = registered(store, "A-1")
    recorded(store, "A-1", intent=Intent.QUESTION)
    erase(store, customer_id, ErasureReason.CHILD)
    data, german, english = exported(store, customer_id)
    assert orjson.loads(data)["erased"]["reason"] == "child"
    assert orjson.loads(data)["orders"][0]["contacts"][0]["note"] == "[erased]"
    assert "Your data was erased on" in english
    assert "Ihre Daten wurden am" in german
    assert "Muster" not in data + german + english


def test_each_record_has_the_last_day_on_which_it_is_kept(store):
    year = PROVIDED.year
    customer_id = registered(store, "A-1")
    cancelled(store, "A-1")
    registered(store, "B-1")
    registered(store, "C-1")
    recorded(store, "C-1", intent=Intent.QUESTION, received_at=PROVIDED)
    with store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind.HOLD, "a claim")
    data, _, english = exported(store, customer_id)
    assert (english.count("Kept at least until "), english.count("Kept until ")) == (3, 0)
    found = orjson.loads(data)
    assert [one["kept_until"][4:] for one in found["orders"]] == ["-12-31"] * 3
    assert [int(one["kept_until"][:4]) - year for one in found["orders"]] in ([8, 3, 3], [9, 4, 4])
    until = found["orders"][2]["contacts"][0]["details_until"]
    assert until in {str((PROVIDED + timedelta(days=365 + more)).date()) for more in (0, 1, 2)}
    assert found["limits"][0]["kept_until"] is None
    assert len(found["retention"]) == 6
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind.HOLD)
    _, _, english = exported(store, customer_id)
    assert (english.count("Kept at least until "), english.count("Kept until ")) == (1, 2), "A-1 is not refunded yet"


def test_who_may_not_see_personal_data_exports_nothing(store):
    customer_id = registered(store, "A-1")
    auditor = Principal("cli_auditor", "an auditor", Role.AUDITOR)
    with store.write(auditor) as uow, pytest.raises(Forbidden):
        exports.of_customer(uow, customer_id)
    with store.write(COMMAND_LINE) as uow:
        asked = data_requests.open_request(uow, DataRequestKind.ACCESS, "K-1", DataRequestChannel.EMAIL).request_id
    with store.write(COMMAND_LINE) as uow, pytest.raises(IdentityNotChecked):
        exports.for_request(uow, asked)
    with store.write(COMMAND_LINE) as uow, pytest.raises(NotFound):
        exports.of_customer(uow, "cus_nobody")
    with store.read(COMMAND_LINE) as uow:
        assert not list(uow.events.after(0, 100, ["privacy.exported"], audit=True))


def test_a_callers_contact_shows_nothing_of_the_customer(store):
    registered(store, "A-1", "K-Geheim")
    call = recorded(store, "A-1", note="Er ruft für seine Frau an.")
    with store.write(COMMAND_LINE) as uow:
        found = exports.of_contact(uow, call.contact_id)
        assert uow.events.newest(None, 1) is not None
    texts = [orjson.dumps(export_data(found)).decode(), render_html(found)]
    for text in texts:
        assert "+4989123456" in text
        assert "Er ruft f" in text
        assert "K-Geheim" not in text
        assert "A-1" not in text
