"""Rectification: a personal field is corrected wherever it stands, with an event that has no value."""

from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as within
from hypothesis import strategies as st

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import LegalHold, LimitKind
from refunds.domain.records import Intent, OverrideKind, RevocationReason
from refunds.domain.resolutions import ResolutionReason
from refunds.errors import InvalidInput, NotFound, PaymentDataRefused
from refunds.security.encryption import ERASED, CustomerErased
from refunds.service import cancellations, orders, privacy, rectification, resolutions, settlements, unmatched
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.rectification import Correction
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from refunds.storage import keys
from refunds.storage.rectifications import PERSONAL
from refunds.storage.tables import RECORDS
from refunds.storage.unmatched import cipher as of_unmatched
from tests import scaled
from tests.conftest import settings
from tests.service.test_privacy import LATE, PROVIDED, erase, recorded, registered, sound

CARD = "4111 1111 1111 1111"
VALUES = {"from_detail": "+4989999999", "acknowledged_to": "richtig@example.org"}


@pytest.fixture
def store(engine, tmp_path):
    """The store of an installation on each engine."""
    with opened(engine, tmp_path) as store:
        yield store


@contextmanager
def opened(engine, directory):
    """The store of an installation."""
    store = Store(settings(directory, engine=engine))
    try:
        yield store
    finally:
        store.close()


def filled(store, prefix, ref):
    """A customer with every kind of record and field: the places of their fields."""
    customer_id = registered(store, f"{prefix}-1", ref)
    registered(store, f"{prefix}-2", ref, LATE)
    old = recorded(store, f"{prefix}-1")
    new = recorded(store, f"{prefix}-1", supersedes=old.contact_id)
    late = recorded(store, f"{prefix}-2")
    with store.write(COMMAND_LINE) as uow:
        kept = unmatched.record(uow, "order 7?", NewContact(channel=Channel.PHONE, from_detail="+498911", note="n"))
        issued = cancellations.issue(uow, order=f"{prefix}-1", contact=new.contact_id)
        goodwill = Override(OverrideKind.GOODWILL, "Kulanz")
        revoked = cancellations.issue(uow, order=f"{prefix}-2", contact=late.contact_id, override=goodwill)
    with store.write(COMMAND_LINE) as uow:
        settlements.settle(uow, issued.cancellation_id, None, "R-77")
        settlements.revoke(uow, revoked.cancellation_id, RevocationReason.ENTERED_IN_ERROR, "falsche Frau")
        for name in (late.contact_id, kept.unmatched_id):
            resolutions.acknowledge(uow, name, channel=Channel.EMAIL, to="falsch@example.org")
        resolutions.resolve(uow, late.contact_id, Resolution(reason_code=ResolutionReason.OTHER, reason="Frau Falsch"))
        facts = OrderFacts(order_id=f"{prefix}-2", customer_ref=ref, service_provided_at=PROVIDED, region="DE-BY")
        orders.correct(uow, facts, "Frau Falsch rief an", [1])
        privacy.limit(uow, customer_id, LimitKind.HOLD, "Klage der Falsch")
    return customer_id, [
        *(("contacts", old.contact_id, name) for name in ("from_detail", "note", "ticket_ref")),
        *(("contacts", new.contact_id, name) for name in ("from_detail", "note", "ticket_ref")),
        *(("contacts", late.contact_id, name) for name in ("acknowledged_to", "resolution_reason")),
        ("cancellations", issued.cancellation_id, "billing_ref"),
        ("cancellations", revoked.cancellation_id, "override_reason"),
        ("cancellations", revoked.cancellation_id, "revocation_reason"),
        ("orders", f"{prefix}-2", "correction_reason"),
        *(
            ("unmatched_contacts", kept.unmatched_id, name)
            for name in ("order_hint", "from_detail", "note", "acknowledged_to")
        ),
    ]


def everything(store, *but):
    """Every stored personal field, decrypted, by its place; without those of some places."""
    found = {}
    with store.read(COMMAND_LINE) as uow:
        context = uow._context
        for kind in RECORDS:
            table = kind.mapper
            for row in kind.iter_rows(uow.tx) if table.name in PERSONAL else ():
                name = row[table.key]
                cipher = (
                    of_unmatched(context, name, row["wrapped_key"])
                    if table.name == "unmatched_contacts"
                    else keys.cipher(context.keys, row)
                )
                record = table.load(row, cipher)
                found |= {(table.name, name, field): getattr(record, field) for field in table.personal}
    return {place: text for place, text in found.items() if place not in but}


def rectify(store, *corrections, customer_id=None):
    """Correct fields; whether anything was another."""
    with store.write(COMMAND_LINE) as uow:
        return rectification.rectify(uow, [Correction(*one) for one in corrections], customer_id)


def journal(store, *types):
    """The data of the events of some types, or of all."""
    with store.read(COMMAND_LINE) as uow:
        return [event.data for event in uow.events.after(0, 999, list(types) or None, audit=True)]


def test_every_field_is_corrected_where_it_stands(store):
    customer_id, places = filled(store, "A", "K-1")
    filled(store, "B", "K-2")
    fields = {(table, field) for table, _, field in places}
    limits = {("limits", "reason")}
    asked = {(table, name) for table in ("data_requests", "disclosures") for name in PERSONAL[table]}
    all_fields = {(table, name) for table, names in PERSONAL.items() for name in names}
    assert all_fields - fields - asked - limits == {
        ("orders", "customer_ref"),
        ("unmatched_contacts", "ticket_ref"),
        ("unmatched_contacts", "closed_reason"),
    }
    before, others = sound(store), everything(store, *places)
    corrections = [(*place, VALUES.get(place[2], f"Frau Richtig {i}")) for i, place in enumerate(places)]
    assert rectify(store, *corrections, customer_id=customer_id)
    assert everything(store, *others) == {tuple(place): value for *place, value in corrections}
    assert everything(store, *places) == others
    assert sound(store) == before + 2
    assert not rectify(store, *corrections, customer_id=customer_id)
    assert sound(store) == before + 2
    assert {name for name in ("Richtig", "richtig", "9999999") if name in "".join(journal(store))} == set()
    assert '"orders/A-2":["correction_reason"]' in "".join(journal(store, "customer.rectified"))


def test_a_reference_is_corrected_in_all_orders_and_finds_the_customer(store):
    customer_id, _ = filled(store, "A", "K-1")
    registered(store, "B-1", "K-2")
    with pytest.raises(InvalidInput, match="another customer's reference"):
        rectify(store, ("customers", customer_id, "customer_ref", "K-2"), customer_id=customer_id)
    assert rectify(store, ("customers", customer_id, "customer_ref", "K-9"), customer_id=customer_id)
    assert not rectify(store, ("customers", customer_id, "customer_ref", "K-9"), customer_id=customer_id)
    with store.read(COMMAND_LINE) as uow:
        assert (uow.customers.find("K-1"), uow.customers.find("K-9")) == (None, customer_id)
        assert {order.customer_ref for order in uow.orders.of_customer(customer_id, limit=9)} == {"K-9"}
    sound(store)


@pytest.mark.parametrize("ref", ["K-2", "K-new"])
def test_a_cancelled_order_moves_to_its_true_customer(store, ref):
    customer_id, _ = filled(store, "A", "K-1")
    registered(store, "B-1", "K-2")
    texts = everything(store)
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind.HOLD)
    assert rectify(store, ("orders", "A-1", "customer_ref", ref), customer_id=customer_id)
    assert everything(store) == texts | {("orders", "A-1", "customer_ref"): ref}
    with store.read(COMMAND_LINE) as uow:
        order = uow.orders.get("A-1")
        assert (order.customer_id, order.revision) == (uow.customers.find(ref), 2)
        assert uow.orders.get("A-2").customer_id == customer_id
    sound(store)


def test_no_order_of_a_customer_on_hold_moves_to_another_and_their_reference_can_be_corrected(store):
    customer_id = registered(store, "A-1")
    facts = OrderFacts(order_id="A-1", customer_ref="K-9", service_provided_at=PROVIDED, region="DE-BY")

    def rectified(table, record_id):
        with store.write(COMMAND_LINE) as uow:
            given = [Correction(table, record_id, "customer_ref", "K-9")]
            return rectification.rectify(uow, given, customer_id)

    def corrected():
        with store.write(COMMAND_LINE) as uow:
            return orders.correct(uow, facts, "a slip", [1, 2, 3])

    with store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind.HOLD, "a claim")
    for act in (corrected, lambda: rectified("orders", "A-1")):
        with pytest.raises(LegalHold, match=customer_id):
            act()
    assert rectified("customers", customer_id)
    assert corrected().customer_id == customer_id
    sound(store)


def test_a_contact_is_corrected_by_its_id_for_somebody_who_is_no_customer(store):
    _, places = filled(store, "A", "K-1")
    contact = next(place for place in places if place[0] == "contacts")
    other = next(place for place in places if place[0] == "unmatched_contacts")
    assert rectify(store, (*contact, "+4989999999"), (*other, "order 8?"))
    for place in (("orders", "A-1", "customer_ref"), next(one for one in places if one[0] == "cancellations")):
        with pytest.raises(InvalidInput, match="no record of this customer"):
            rectify(store, (*place, "K-9"))
    sound(store)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("note", f"meine Karte {CARD}", PaymentDataRefused),
        ("ticket_ref", CARD, PaymentDataRefused),
        ("note", "", InvalidInput),
        ("note", "x" * 2001, InvalidInput),
        ("from_detail", "Frau Muster", InvalidInput),
        ("acknowledged_to", "+4989999999", InvalidInput),
        ("decision", "eligible", InvalidInput),
        ("order_id", "B-1", InvalidInput),
    ],
)
def test_a_correction_that_does_not_fit_changes_nothing(store, field, value, error):
    customer_id = registered(store, "A-1")
    contact = recorded(store, "A-1")
    before, texts = sound(store), everything(store)
    good = ("contacts", contact.contact_id, "note", "Frau Richtig")
    with pytest.raises(error, match="/corrections/1/") as refused:
        rectify(store, good, ("contacts", contact.contact_id, field, value), customer_id=customer_id)
    assert not value or value not in str(refused.value)
    assert (sound(store), everything(store)) == (before, texts)


def test_what_is_not_there_cannot_be_corrected(store):
    customer_id = registered(store, "A-1")
    before = sound(store)
    for table in ("contacts", "clients", "customers"):
        with pytest.raises(InvalidInput):
            rectify(store, (table, "cus_x", "note", "x"), customer_id=customer_id)
    with pytest.raises(NotFound):
        rectify(store, ("contacts", "con_x", "note", "x"), customer_id="cus_x")
    erased = recorded(store, "A-1", intent=Intent.QUESTION)
    erase(store, customer_id)
    assert everything(store)["contacts", erased.contact_id, "note"] == ERASED
    for place in (("contacts", erased.contact_id, "note"), ("customers", customer_id, "customer_ref")):
        with pytest.raises(CustomerErased):
            rectify(store, (*place, "x"), customer_id=customer_id)
    assert sound(store) == before + 2


@pytest.mark.proof
def test_another_customers_record_is_never_changed(engine, tmp_path_factory):
    """Two customers share telephone numbers, tickets and notes; corrections of one leave the other as they are."""
    with opened(engine, tmp_path_factory.mktemp("shared")) as store:
        both = {name: filled(store, name, f"K-{name}") for name in "AB"}
        places = [place for _, places in both.values() for place in places]

        @within(max_examples=scaled(25, 400), deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from("AB"), st.lists(st.tuples(st.sampled_from(places), st.integers(0, 3)), max_size=4))
        def never(name, asked):
            customer_id, own = both[name]
            texts = everything(store)
            mine = {*own, *(place for place in places if place[0] == "unmatched_contacts")}
            fitting = {place for place, _ in asked} <= mine
            corrections = [(*place, VALUES.get(place[2], f"Frau Richtig {number}")) for place, number in asked]
            try:
                rectify(store, *corrections, customer_id=customer_id)
            except InvalidInput:
                assert not fitting
                assert everything(store) == texts
            else:
                assert fitting
                changed = {place for place, text in everything(store).items() if texts[place] != text}
                assert changed <= {place for place, _ in asked}

        never()
        sound(store)
