"""Retention over years: nothing is kept a day longer than its period, nothing goes a day earlier, none of the held."""

import os
import random
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from refunds.domain.contact_points import Channel
from refunds.domain.instants import first_instant, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import DataRequestChannel, DataRequestKind, DataRequestOutcome, DisclosureBasis, LimitKind
from refunds.domain.records import Intent
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import ClockInDoubt, ConfigurationError, OrderNotFound
from refunds.presentation.documents.evidence import render_html
from refunds.presentation.documents.export import export_data
from refunds.schemas.policy import packaged
from refunds.security.encryption import ERASED
from refunds.service import (
    clock,
    data_requests,
    evidence,
    exports,
    privacy,
    publication,
    resolutions,
    retention,
    settlements,
    unmatched,
)
from refunds.service.contacts import NewContact
from refunds.service.data_requests import Given
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from refunds.storage.ticket import held_alone
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, mostly_on, settings
from tests.service.test_privacy import cancelled, erase, recorded, registered, sound

BERLIN, DAY, HOUR = zone("Europe/Berlin"), timedelta(days=1), timedelta(hours=1)
BEGINNING = datetime(2026, 3, 3, 9, tzinfo=UTC)


@pytest.fixture
def now():
    """The time, which tests move."""
    with time_machine.travel(BEGINNING, tick=False) as moved:
        yield moved


@pytest.fixture
def configured(engine, tmp_path):
    """The settings of an installation on each engine."""
    return settings(tmp_path, engine=engine)


@pytest.fixture
def store(configured, now):
    """Its store."""
    with closing(Store(configured)) as opened:
        yield opened


def at(now, day, hour=0):
    """Move the clock to an hour of a local date."""
    now.move_to(first_instant(day, BERLIN) + timedelta(hours=hour))


def ran(store, *, dry_run=False):
    """How many records of each kind went, without those of which none did."""
    clock.confirm(store) if clock.doubt(store) else None
    return {name: sum(months.values()) for name, months in retention.run(store, dry_run=dry_run).items() if months}


def asked(store, order_id, **more):
    """A question about an order."""
    return recorded(store, order_id, intent=Intent.QUESTION, **more)


def settled(store, order_id):
    """Cancel an order, and settle that."""
    name = cancelled(store, order_id).cancellation_id
    with store.write(COMMAND_LINE) as uow:
        return settlements.settle(uow, name, None, "R-1")


def unknown(store, *, close=True):
    """The id of a contact whose order is not found."""
    with store.write(COMMAND_LINE) as uow:
        made = unmatched.record(uow, "A-77", NewContact(channel=Channel.PHONE, note="Herr Muster"))
        if close:
            unmatched.resolve(uow, made.unmatched_id, "another shop")
    return made.unmatched_id


def requested(store, ref, kind=DataRequestKind.ACCESS, *, close=True, outcome=DataRequestOutcome.TAKEN_BACK):
    """The id of a data request."""
    with store.write(COMMAND_LINE) as uow:
        name = data_requests.open_request(uow, kind, ref, DataRequestChannel.POST, identity_check="passport").request_id
    if close:
        with store.write(COMMAND_LINE) as uow:
            data_requests.close(uow, name, Given(outcome))
    return name


def disclosed(store, ref):
    """The id of a disclosure."""
    with store.write(COMMAND_LINE) as uow:
        return privacy.disclose(uow, ref, DisclosureBasis.AUTHORITY_REQUEST, "the police", "BY-1").disclosure_id


def limited(store, customer_id, kind=LimitKind.RESTRICTION, *, lift=True):
    """The id of a limit."""
    with store.write(COMMAND_LINE) as uow:
        made = privacy.limit(uow, customer_id, kind, "a dispute")
    if lift:
        lifted(store, customer_id, kind)
    return made.limit_id


def lifted(store, customer_id, kind=LimitKind.HOLD):
    """Lift a limit."""
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, kind)


def ids(store, table, key):
    """The ids of all records in a table."""
    with store.read(COMMAND_LINE) as uow:
        return {row["id"] for row in uow.tx.all(f"SELECT {key} AS id FROM {table} ORDER BY {key}")}  # noqa: S608


TABLES = {
    "orders": "order_id",
    "contacts": "contact_id",
    "cancellations": "cancellation_id",
    "promises": "promise_id",
    "unmatched_contacts": "unmatched_id",
    "data_requests": "request_id",
    "disclosures": "disclosure_id",
    "limits": "limit_id",
    "customers": "customer_id",
    "idempotency": "key_hash",
}


def counted(store):
    """How many records each table has."""
    return {table: number for table, key in TABLES.items() if (number := len(ids(store, table, key)))}


def test_an_order_goes_with_all_that_is_about_it_and_its_customer(store, now):
    customer_id = registered(store, "A-1", provided=BEGINNING - HOUR)
    settled(store, "A-1")
    name = unknown(store, close=False)
    registered(store, "A-2", provided=BEGINNING - HOUR)
    with store.write(COMMAND_LINE) as uow:
        unmatched.match(uow, name, "A-2")
    registered(store, "B-1", "K-2", provided=BEGINNING + 400 * DAY)
    requested(store, "K-1")
    disclosed(store, "K-1")
    limited(store, customer_id)
    at(now, date(2027, 3, 3))
    assert ran(store) == {}
    at(now, date(2027, 3, 4))
    assert ran(store, dry_run=True) == ran(store) == {"details": 2}
    at(now, date(2029, 12, 31), 23)
    assert ran(store) == {}
    at(now, date(2030, 1, 1))
    gone = {"data_requests": 1, "disclosures": 1, "limits": 1}
    assert ran(store) == {} | gone
    with store.write(COMMAND_LINE) as uow:
        (contact,) = uow.contacts.of_order("A-2")
        resolution = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER, reason="keeps it")
        resolutions.resolve(uow, contact.contact_id, resolution)
    assert ran(store) == {"orders_with_contacts": 1}
    at(now, date(2034, 12, 31), 23)
    assert ran(store) == {"other_orders": 1}
    assert counted(store) == {"orders": 1, "contacts": 1, "cancellations": 1, "promises": 1, "customers": 1}
    at(now, date(2035, 1, 1))
    assert ran(store, dry_run=True) == ran(store) == {"cancelled_orders": 1}
    assert counted(store) == {}
    sound(store)
    with store.read(COMMAND_LINE) as uow:
        seen = evidence.gather(uow, "A-1", store.checkpoints)
        assert (seen.standing, seen.broken) == (None, [])
        assert "order forgotten" in render_html(seen)
        assert seen.journal[-1].event.type == EventType.ORDER_FORGOTTEN
        with pytest.raises(OrderNotFound):
            uow.orders.get("A-1")
    assert registered(store, "A-1", provided=datetime.now(UTC)) != customer_id
    with store.read(COMMAND_LINE) as uow:
        assert evidence.gather(uow, "A-1", store.checkpoints).broken == []
    sound(store)


@pytest.mark.parametrize("kind", [LimitKind.RESTRICTION, LimitKind.OBJECTION])
def test_what_limits_a_customer_without_orders_goes_and_the_customer_with_it(store, now, kind):
    customer_id = registered(store, "A-1", provided=BEGINNING - HOUR)
    limited(store, customer_id, kind, lift=False)
    at(now, date(BEGINNING.year + 3, 6, 1))
    assert ran(store) == {}, "it is kept as long as the order"
    at(now, date(BEGINNING.year + 10, 1, 1))
    assert ran(store) == {"other_orders": 1, "limits": 1}
    assert counted(store) == {}


@pytest.mark.parametrize("kind", [LimitKind.RESTRICTION, LimitKind.OBJECTION])
def test_a_request_is_kept_as_long_as_what_it_asks_for_stands(store, now, kind):
    customer_id = registered(store, "A-1", provided=BEGINNING - HOUR)
    cancelled(store, "A-1")
    name = requested(store, "K-1", DataRequestKind(kind), outcome=DataRequestOutcome.FULFILLED)
    at(now, date(BEGINNING.year + 6, 6, 1))
    with store.write(COMMAND_LINE) as uow:
        (shown,) = export_data(exports.of_customer(uow, customer_id))["data_requests"]
    assert shown["kept_until"] is None
    assert "data_requests" not in ran(store)
    with store.write(COMMAND_LINE) as uow:
        data_requests.close(uow, name, Given(DataRequestOutcome.TAKEN_BACK))
    at(now, date(BEGINNING.year + 10, 1, 1))
    assert ran(store).items() >= {"data_requests": 1, "limits": 1}.items()
    sound(store)


def test_an_active_hold_keeps_everything_of_its_customer(store, now):
    customer_id = registered(store, "A-1", provided=BEGINNING - HOUR)
    asked(store, "A-1")
    requested(store, "K-1")
    disclosed(store, "K-1")
    limited(store, customer_id)
    limited(store, customer_id, LimitKind.HOLD, lift=False)
    before = counted(store)
    at(now, date(2060, 1, 1))
    assert ran(store, dry_run=True) == ran(store) == {}
    assert counted(store) == before
    lifted(store, customer_id)
    gone = {"details": 1, "orders_with_contacts": 1, "data_requests": 1, "disclosures": 1, "limits": 1}
    assert ran(store) == gone
    assert counted(store) == {"limits": 1, "customers": 1}, "the hold itself"
    at(now, date(2064, 1, 1))
    assert ran(store) == {"limits": 1}
    assert counted(store) == {}
    sound(store)


def test_what_is_open_is_never_forgotten(store, now):
    for order_id in ("A-1", "A-2", "A-3"):
        registered(store, order_id, order_id, provided=BEGINNING - HOUR)
    cancelled(store, "A-1")
    recorded(store, "A-2")
    registered(store, "A-4", "A-4", provided=BEGINNING - 60 * DAY)
    recorded(store, "A-4")
    unknown(store, close=False)
    requested(store, "A-3", close=False)
    at(now, date(2060, 1, 1))
    assert ran(store, dry_run=True) == {"details": 3, "orders_with_contacts": 1, "other_orders": 1}
    assert ran(store) == {"details": 3, "orders_with_contacts": 1, "other_orders": 1}
    assert ids(store, "orders", "order_id") == {"A-1", "A-2"}, "A-4 was asked for too late, and is open all the same"
    assert counted(store) | {"promises": 0, "contacts": 0} == {
        "orders": 2,
        "contacts": 0,
        "promises": 0,
        "cancellations": 1,
        "unmatched_contacts": 1,
        "data_requests": 1,
        "customers": 3,
    }
    sound(store)


def test_a_note_and_a_ticket_go_unless_they_prove_that_a_request_was_in_time(store, now):
    registered(store, "A-1", provided=BEGINNING - HOUR)
    asked(store, "A-1")
    now.move_to(BEGINNING + 20 * DAY)
    proof = recorded(store, "A-1", received_at=BEGINNING, sent_at=None)
    assert proof.backdated
    at(now, date(2027, 3, 4))
    assert ran(store) == {"details": 1}
    with store.write(COMMAND_LINE) as uow:
        first, second = uow.contacts.of_order("A-1")
        assert (first.note, first.ticket_ref, first.from_detail) == (ERASED, ERASED, "+4989123456")
        assert (second.note, second.ticket_ref) == ("Frau Muster", "T-9")
        event = uow.events.last_of(EventType.CONTACT_DETAILS_FORGOTTEN)
        assert (event.subject, event.order_id) == (first.contact_id, "A-1")
        assert event.data == '{"fields":["note","ticket_ref"]}'
        assert evidence.gather(uow, "A-1", store.checkpoints).broken == []
        assert exports.of_customer(uow, uow.orders.get("A-1").customer_id).orders[0].until == date(2029, 12, 31)
    assert ran(store) == {}
    sound(store)
    store.close()
    assert list(store.erasures) == [], "no later start empties the rest of the contact"
    sound(store)


def test_an_erased_customer_goes_too(store, now):
    customer_id = registered(store, "A-1", provided=BEGINNING - HOUR)
    asked(store, "A-1")
    erase(store, customer_id)
    at(now, date(2030, 1, 1))
    assert ran(store) == {"orders_with_contacts": 1}
    assert counted(store) == {}
    store.close()
    sound(store)
    assert [one.customer_id for one in store.erasures] == [customer_id]


def test_a_reply_goes_on_the_night_after_it_expires(configured, now):
    app = create_app(configured)
    order = {"order_id": "A-1", "customer_ref": "K-1", "service_provided_at": BEGINNING.isoformat()}
    body = {"order": order, "contact": {"channel": "phone"}}
    with closing(app.extensions["refunds.store"]) as store:
        client, key = client_of(app), {"Idempotency-Key": "once"}
        first = client.post("/v1/cancellations", json=body, headers=key)
        assert first.status_code == 201
        at(now, date(2026, 4, 2))
        assert ran(store) == {}
        assert client.post("/v1/cancellations", json=body, headers=key).data == first.data
        at(now, date(2026, 4, 3))
        assert ran(store, dry_run=True) == ran(store) == {"replies": 1}
        assert "idempotency" not in counted(store)


def test_a_wrong_clock_and_a_second_run_are_refused(store, now):
    registered(store, "A-1", provided=BEGINNING - HOUR)
    at(now, date(2060, 1, 1))
    for dry_run in (False, True):
        with pytest.raises(ClockInDoubt):
            retention.run(store, dry_run=dry_run)
    clock.confirm(store)
    lock = os.open(store.checkpoints.file.with_name("retention.lock"), os.O_RDWR | os.O_CREAT)
    with held_alone(lock, ""), pytest.raises(ConfigurationError, match="is running already"):
        retention.run(store)
    assert counted(store)["orders"] == 1
    assert ran(store) == {"other_orders": 1}


def test_the_periods_are_those_of_the_default_policy_as_it_is_now(store, now):
    registered(store, "A-1", provided=BEGINNING - HOUR)
    settled(store, "A-1")
    terms = replace(packaged("virtual-numbers").terms, keep_cancelled_years=6, keep_details_months=1)
    with store.write(COMMAND_LINE) as uow:
        publication.publish(uow, replace(packaged("virtual-numbers"), version=2, effective_from=None, terms=terms))
    with store.write(COMMAND_LINE) as uow:
        told = export_data(exports.of_customer(uow, uow.orders.get("A-1").customer_id))
    assert [one["period"] for one in told["retention"]][:2] == ["1 month", "6 years, to the end of the year"]
    assert told["orders"][0]["kept_until"] == "2032-12-31"
    at(now, date(2026, 4, 3))
    assert ran(store) == {}
    at(now, date(2026, 4, 4))
    assert ran(store) == {"details": 1}
    at(now, date(2033, 1, 1))
    assert ran(store) == {"cancelled_orders": 1}
    sound(store)


def year_end(moment, years):
    """The end of the year that is so many years after that of an instant."""
    return date(local_date(moment, BERLIN).year + years, 12, 31)


def in_a_year(moment):
    """The same day of the next year, or the last of February."""
    day = local_date(moment, BERLIN)
    return date(day.year + 1, 2, 28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year + 1)


@dataclass
class Ordered:
    """What a test knows of an order: what happened when, and whether anything is open."""

    customer: str
    since: datetime
    contacts: list
    ends: list
    is_open: bool = False

    @property
    def until(self):
        """The last day on which it is kept."""
        if self.ends:
            return year_end(max(self.ends), 8)
        return year_end(max(one[1] for one in self.contacts), 3) if self.contacts else year_end(self.since, 3)


class Years:
    """An installation in which things happen, and what of it has to be there on a day."""

    def __init__(self, store, rng):
        self.store, self.rng, self.orders, self.beside, self.held = store, rng, {}, {}, {}
        self.later: list = []

    def happen(self):
        """Let something happen now; what has to follow later is noted."""
        self.rng.choice((self.order, self.order, self.order, self.order, self.limit, self.request, self.contact))()

    def order(self):
        """An order of a new or a known customer, with what comes of it."""
        order_id, rng, now = f"O-{len(self.orders)}", self.rng, datetime.now(UTC)
        ref = f"K-{rng.randrange(12)}"
        late = rng.random() < 0.3
        provided = now - rng.choice((60, 300) if late else (0,)) * DAY - HOUR
        customer = registered(self.store, order_id, ref, provided)
        made = self.orders[order_id] = Ordered(customer, provided, [], [])
        if rng.random() < 0.3:
            made.since = provided
        elif rng.random() < 0.4:
            self.told(order_id, asked(self.store, order_id, **self.details()))
        elif late:  # refused, and open all the same
            self.told(order_id, recorded(self.store, order_id, **self.details()))
        elif rng.random() < 0.3:
            self.told(order_id, recorded(self.store, order_id, **self.details()))
            made.is_open = True
            self.after(lambda: self.resolve(order_id))
        else:
            cancellation = cancelled(self.store, order_id)
            with self.store.read(COMMAND_LINE) as uow:
                self.told(order_id, *uow.contacts.of_order(order_id))
            made.ends.append(now)
            made.is_open = True
            self.after(lambda: self.settle(order_id, cancellation.cancellation_id))

    def details(self):
        """A note and a ticket, or one of them, or none."""
        return {name: text for name, text in (("note", None), ("ticket_ref", None)) if self.rng.random() < 0.4}

    def told(self, order_id, *recorded):
        """Note contacts about an order."""
        for one in recorded:
            fields = {name for name in ("note", "ticket_ref") if getattr(one, name)}
            self.orders[order_id].contacts.append((one.contact_id, one.recorded_at, one.received_at, fields))

    def after(self, act):
        """Do something some time later."""
        self.later.append((datetime.now(UTC) + self.rng.randrange(1, 4500) * DAY, act))

    def resolve(self, order_id):
        """End a request that was in time."""
        (contact_id, *_) = self.orders[order_id].contacts[0]
        with self.store.write(COMMAND_LINE) as uow:
            given = Resolution(reason_code=ResolutionReason.CUSTOMER_KEPT_ORDER)
            resolutions.resolve(uow, contact_id, given)
        self.orders[order_id].is_open = False

    def settle(self, order_id, name):
        """Settle a cancellation."""
        with self.store.write(COMMAND_LINE) as uow:
            settlements.settle(uow, name, None, "R-1")
        self.orders[order_id].ends.append(datetime.now(UTC))
        self.orders[order_id].is_open = False

    def someone(self):
        """A customer and the reference that they are found by, if there is one."""
        with self.store.read(COMMAND_LINE) as uow:
            found = {f"K-{n}": uow.customers.find(f"K-{n}") for n in range(12)}
        known = sorted((ref, name) for ref, name in found.items() if name)
        return self.rng.choice(known) if known else (None, None)

    def limit(self):
        """A hold that is lifted later, or never; or a restriction that is lifted at once."""
        _, customer = self.someone()
        if customer is None or customer in self.held:
            return
        if self.rng.random() < 0.4:
            self.beside["limits", limited(self.store, customer)] = (customer, datetime.now(UTC))
            return
        name = limited(self.store, customer, LimitKind.HOLD, lift=False)
        self.held[customer] = name
        self.beside["limits", name] = (customer, None)
        if self.rng.random() < 0.7:
            self.after(lambda: self.lift(customer, name))

    def lift(self, customer, name):
        """Lift a hold."""
        lifted(self.store, customer)
        del self.held[customer]
        self.beside["limits", name] = (customer, datetime.now(UTC))

    def request(self):
        """A data request or a disclosure."""
        ref, customer = self.someone()
        close = self.rng.random() < 0.8
        name = requested(self.store, ref or "nobody", close=close)
        self.beside["data_requests", name] = (customer, datetime.now(UTC) if close else None)
        if customer:
            self.beside["disclosures", disclosed(self.store, ref)] = (customer, datetime.now(UTC))

    def contact(self):
        """A contact without its order."""
        close = self.rng.random() < 0.8
        self.beside["unmatched_contacts", unknown(self.store, close=close)] = (
            None,
            datetime.now(UTC) if close else None,
        )

    def expected(self, today):
        """What has to be there on a day, by table; of contacts, also which have a note or a ticket."""
        there = {name: set() for name in TABLES}
        there["details"] = set()
        for order_id, order in self.orders.items():
            if today <= order.until or order.is_open or order.customer in self.held:
                there["orders"].add(order_id)
                there["customers"].add(order.customer)
                for contact_id, _, received, fields in order.contacts:
                    there["contacts"].add(contact_id)
                    if fields and (today <= in_a_year(received) or order.customer in self.held):
                        there["details"].add(contact_id)
        for (table, name), (customer, end) in self.beside.items():
            if end is None or today <= year_end(end, 3) or customer in self.held:
                there[table].add(name)
                there["customers"] |= {customer} - {None}
        return there

    def present(self):
        """What is there."""
        there = {table: ids(self.store, table, key) for table, key in TABLES.items()}
        there["details"] = ids(self.store, "contacts WHERE length(note) > 0 OR length(ticket_ref) > 0", "contact_id")
        return there

    def compare(self):
        """Assert that what is there is what has to be."""
        expected, present = self.expected(local_date(datetime.now(UTC), BERLIN)), self.present()
        for table in expected.keys() - {"cancellations", "promises", "idempotency"}:
            assert present[table] == expected[table], (table, datetime.now(UTC))


@pytest.mark.proof
@mostly_on("sqlite")
@pytest.mark.parametrize("seed", range(scaled(1, 2)))
def test_over_years_nothing_is_kept_a_day_longer_and_nothing_goes_a_day_earlier(store, now, seed):
    rng = random.Random(seed)  # noqa: S311 - no secret
    years, day = Years(store, rng), date(2026, 3, 3)
    for _ in range(scaled(60, 120)):
        day += rng.randrange(1, 15) * DAY
        at(now, day, rng.choice((0.01, 9, 23.99)))
        years.happen()
    days = {date(year, *of) for year in range(2027, 2052) for of in ((12, 31), (1, 1))}
    days |= {in_a_year(one[2]) + n * DAY for order in years.orders.values() for one in order.contacts for n in (0, 1)}
    acts = [(moment, True, act) for moment, act in years.later]
    nights = [(first_instant(one, BERLIN) + timedelta(seconds=1), False, None) for one in days if one > day]
    for moment, is_act, act in sorted([*acts, *nights], key=lambda one: one[0]):
        now.move_to(max(moment, datetime.now(UTC)))
        if is_act:
            act()
            continue
        planned = ran(store, dry_run=True)
        assert ran(store) == planned
        years.compare()
        if local_date(moment, BERLIN).timetuple().tm_yday == 1:
            sound(store)
    with store.read(COMMAND_LINE) as uow:
        for order_id in ids(store, "orders", "order_id"):
            assert evidence.gather(uow, order_id, store.checkpoints).broken == []
    sound(store)
