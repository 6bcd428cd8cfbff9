"""Erasure of customers: what goes, what stays, what is refused, and what starts and restores make of it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.privacy import CustomerHasOpenMatters, ErasureReason, LegalHold, LimitKind
from refunds.domain.records import Intent, OverrideKind, RevocationReason, State, UnsettleReason
from refunds.domain.resolutions import ReopeningReason, ResolutionReason
from refunds.errors import CancellationStateConflict, NotFound, StorageUnavailable
from refunds.security.encryption import ERASED, CustomerErased
from refunds.service import cancellations, contacts, evidence, orders, privacy, resolutions, settlements
from refunds.service.cancellations import Override
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.replay import Replayed, replay
from refunds.service.resolutions import Resolution
from refunds.service.store import Store
from refunds.storage.audit import Broken
from refunds.storage.erasures import Erasure
from tests.conftest import settings

PROVIDED = datetime.now(UTC) - timedelta(hours=2)
LATE = PROVIDED - timedelta(days=60)
ANYWAY = "the customer insists"


@pytest.fixture(autouse=True)
def _on_each(engine):
    """Every test runs on each engine."""


@pytest.fixture
def configured(engine, tmp_path):
    """The settings of an installation."""
    return settings(tmp_path, engine=engine)


@pytest.fixture
def store(configured):
    """Its store."""
    opened = Store(configured)
    yield opened
    opened.close()


def registered(store, order_id, ref="K-1", provided=PROVIDED):
    """The id of the customer of a new order."""
    with store.write(COMMAND_LINE) as uow:
        facts = OrderFacts(order_id=order_id, customer_ref=ref, service_provided_at=provided, region="DE-BY")
        return orders.register(uow, facts)[0].order.customer_id


def recorded(store, order_id, **more):
    """A new contact about an order, with personal fields."""
    given = {"channel": Channel.PHONE, "from_detail": "+4989123456", "note": "Frau Muster", "ticket_ref": "T-9"} | more
    with store.write(COMMAND_LINE) as uow:
        return contacts.record(uow, order_id, NewContact(**given))


def cancelled(store, order_id):
    """The cancellation of an order on a new contact."""
    contact = recorded(store, order_id)
    with store.write(COMMAND_LINE) as uow:
        return cancellations.issue(uow, order=order_id, contact=contact.contact_id)


def erase(store, customer_id, reason=ErasureReason.REQUEST, anyway=None):
    """The certificate of an erasure."""
    with store.write(COMMAND_LINE) as uow:
        return privacy.erase(uow, customer_id, reason, anyway)


def sound(store):
    """Assert that the audit finds nothing, and a replay no difference; return the number of events."""
    checkpoints = list(store.checkpoints)
    with store.read(COMMAND_LINE) as uow:
        assert not list(replay(uow, Replayed()))
        return uow.verify(checkpoints).events


def test_an_erased_customer_has_no_personal_field_and_the_records_stay_sound(store):
    customer_id, other = registered(store, "A-1"), registered(store, "B-1", "K-2")
    recorded(store, "A-1", received_at=PROVIDED, intent=Intent.QUESTION)
    kept = recorded(store, "B-1", intent=Intent.QUESTION)
    done = erase(store, customer_id)
    assert (done.erasure.customer_id, done.erasure.order_ids) == (customer_id, ("A-1",))
    assert {name: number for name, number in done.fields.items() if number} == {"orders": 1, "contacts": 1}
    with store.read(COMMAND_LINE) as uow:
        order, (contact,) = uow.orders.get("A-1"), uow.contacts.of_order("A-1")
        assert order.customer_ref is contact.note is contact.from_detail is contact.ticket_ref is ERASED
        assert uow.customers.find("K-1") is None
        assert uow.customers.find("K-2") == other
        assert uow.contacts.get(kept.contact_id) == kept
        event = uow.events.last_of(EventType.CUSTOMER_ERASED)
        assert (event.subject, event.order_id) == (customer_id, None)
        assert event.data == '{"order_ids":["A-1"],"reason":"request","anyway":null}'
    assert [one.customer_id for one in store.erasures] == [customer_id]
    events = sound(store)
    assert erase(store, customer_id, ErasureReason.CHILD) == done
    assert sound(store) == events
    assert len(list(store.erasures)) == 1
    with pytest.raises(NotFound):
        erase(store, "cus_nobody")


def test_the_same_reference_is_a_new_customer_afterwards(store):
    before = registered(store, "A-1")
    erase(store, before)
    assert registered(store, "A-2") not in (before, None)
    with pytest.raises(CustomerErased):
        registered(store, "A-1")
    sound(store)


def test_what_can_be_done_about_an_erased_order_drops_what_is_personal(store):
    customer_id = registered(store, "A-1")
    cancellation = cancelled(store, "A-1")
    registered(store, "A-2", provided=LATE)
    late = recorded(store, "A-2")
    erase(store, customer_id, anyway=ANYWAY)
    name = cancellation.cancellation_id
    with store.write(COMMAND_LINE) as uow:
        settled = settlements.settle(uow, name, None, "R-77")
        assert (settled.state, settled.billing_ref) == (State.SETTLED, ERASED)
        assert settlements.settle(uow, name, None, "R-77") == settled
        assert settlements.unsettle(uow, name, UnsettleReason.ENTERED_IN_ERROR).billing_ref is None
    with store.write(COMMAND_LINE) as uow, pytest.raises(CustomerErased):
        settlements.begin_refund(uow, name, "R-77")
    with store.write(COMMAND_LINE) as uow:
        settlements.begin_refund(uow, name, None)
        settlements.settle(uow, name, None, "R-77")
        settlements.unsettle(uow, name, UnsettleReason.REFUND_FAILED)
        revoked = settlements.revoke(uow, name, RevocationReason.ENTERED_IN_ERROR, "Frau Muster rief an")
        assert revoked.revocation_reason == ERASED
        assert settlements.revoke(uow, name, RevocationReason.ENTERED_IN_ERROR, "Frau Muster rief an") == revoked
        given = Resolution(reason_code=ResolutionReason.OTHER, reason="Frau Muster")
        resolved = resolutions.resolve(uow, late.contact_id, given)
        assert resolved.resolution_reason == ERASED
        assert resolutions.resolve(uow, late.contact_id, given) == resolved
    sound(store)


@pytest.mark.parametrize(
    "act",
    [
        lambda uow, _: contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE, note="Frau Muster")),
        lambda uow, one: resolutions.complete(uow, one.contact_id, note="Frau Muster"),
        lambda uow, one: resolutions.acknowledge(uow, one.contact_id, channel=Channel.EMAIL, to="a@example.org"),
        lambda uow, _: orders.register(uow, OrderFacts(order_id="A-1", customer_ref="K-1", service_provided_at=LATE)),
        lambda uow, _: orders.correct(
            uow, OrderFacts(order_id="A-1", customer_ref="K-2", service_provided_at=LATE), "wrong", [1]
        ),
        lambda uow, one: cancellations.issue(
            uow, order="A-1", contact=one.contact_id, override=Override(OverrideKind.GOODWILL, "Kulanz")
        ),
    ],
)
def test_what_would_store_something_personal_of_an_erased_customer_is_refused(store, act):
    customer_id = registered(store, "A-1", provided=LATE)
    contact = recorded(store, "A-1", note=None, ticket_ref=None)
    erase(store, customer_id)
    before = sound(store)
    with pytest.raises(CustomerErased), store.write(COMMAND_LINE) as uow:
        act(uow, contact)
    assert sound(store) == before


def test_an_erasure_waits_for_open_matters_and_holds(store):
    customer_id = registered(store, "A-1")
    contact = recorded(store, "A-1")
    with pytest.raises(CustomerHasOpenMatters, match=contact.contact_id):
        erase(store, customer_id)
    with store.write(COMMAND_LINE) as uow:
        held = privacy.limit(uow, customer_id, LimitKind.HOLD, "Klage von Frau Muster")
    with store.write(COMMAND_LINE) as uow:
        assert privacy.limit(uow, customer_id, LimitKind.HOLD, "Klage von Frau Muster") == held
    for reason, anyway in ((ErasureReason.REQUEST, ANYWAY), (ErasureReason.CHILD, None)):
        with pytest.raises(LegalHold):
            erase(store, customer_id, reason, anyway)
    assert not list(store.erasures)
    for _ in "ab":
        with store.write(COMMAND_LINE) as uow:
            privacy.lift(uow, customer_id, LimitKind.HOLD)
    sound(store)
    assert erase(store, customer_id, ErasureReason.CHILD).fields["limits"] == 1
    with pytest.raises(CustomerErased), store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind.HOLD, "zu spät")
    sound(store)


@pytest.mark.parametrize("begun", [False, True])
def test_an_erasure_waits_for_a_refund(store, begun):
    customer_id = registered(store, "A-1")
    name = cancelled(store, "A-1").cancellation_id
    if begun:
        with store.write(COMMAND_LINE) as uow:
            settlements.begin_refund(uow, name, "R-1")
    with pytest.raises(CustomerHasOpenMatters, match=name):
        erase(store, customer_id)
    if begun:
        erase(store, customer_id, anyway=ANYWAY)
        another = Principal("another", "another", Role.BILLING)
        with store.write(another) as uow, pytest.raises(CancellationStateConflict, match="command-line"):
            settlements.begin_refund(uow, name, "R-1")
        with store.write(COMMAND_LINE) as uow:
            assert settlements.begin_refund(uow, name, "R-1").state is State.REFUNDING, "the holder is who began it"
    with store.write(COMMAND_LINE) as uow:
        settlements.settle(uow, name, None, "R-1")
    erase(store, customer_id)
    sound(store)


@pytest.mark.parametrize("withdrawal", [False, True])
def test_of_late_requests_only_a_withdrawal_keeps_a_customer(store, withdrawal):
    customer_id = registered(store, "A-1", provided=LATE)
    recorded(store, "A-1", intent=Intent.WITHDRAWAL if withdrawal else Intent.CANCEL)
    if withdrawal:
        with pytest.raises(CustomerHasOpenMatters):
            erase(store, customer_id)
    else:
        erase(store, customer_id)
    sound(store)


BLANKED = {
    "a field": "UPDATE contacts SET note = :empty",
    "the reference": "UPDATE orders SET customer_ref = :empty",
    "the key": "UPDATE customers SET wrapped_key = :empty",
    "a limit": "UPDATE limits SET reason = :empty",
}


WHOSE = dict.fromkeys(BLANKED, "customer_id = :customer_id") | {"a field": ":customer_id <> order_id"}


@pytest.mark.parametrize("what", BLANKED)
def test_a_field_that_was_emptied_by_hand_is_found(store, what):
    customer_id = registered(store, "A-1")
    recorded(store, "A-1")
    erase(store, registered(store, "B-1", "K-2"))
    with store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind.HOLD, "Klage")
    sound(store)
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run(f"{BLANKED[what]} WHERE {WHOSE[what]}", empty=b"", customer_id=customer_id)
    with pytest.raises(Broken, match="emptied"):
        sound(store)
    with store.read(COMMAND_LINE) as uow:
        assert bool(evidence.gather(uow, "A-1", []).broken) is (what != "a limit")
        assert not evidence.gather(uow, "B-1", []).broken


def test_a_reason_that_was_blanked_after_the_one_before_was_emptied_is_found(store):
    registered(store, "A-1")
    contact_id = recorded(store, "A-1").contact_id
    given = Resolution(reason_code=ResolutionReason.OTHER, reason="Anna hat es sich anders überlegt")
    with store.write(COMMAND_LINE) as uow:
        resolutions.resolve(uow, contact_id, given)
        uow.erasures.empty(uow.contacts.get(contact_id, lock=True), ErasureReason.REQUEST)
    sound(store)
    with store.write(COMMAND_LINE) as uow:
        resolutions.reopen(uow, contact_id, ReopeningReason.ENTERED_IN_ERROR)
        resolutions.resolve(uow, contact_id, given)
    sound(store)
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE contacts SET resolution_reason = :empty", empty=b"")
    with pytest.raises(Broken, match="emptied"):
        sound(store)


def test_an_erasure_that_only_the_journal_has_is_found(store):
    customer_id = registered(store, "A-1")
    with store.read(COMMAND_LINE) as uow:
        (kept,) = uow.tx.all("SELECT digest, wrapped_key FROM customers")
    erase(store, customer_id)
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run("UPDATE customers SET digest = :digest, wrapped_key = :wrapped_key", **kept)
    with pytest.raises(Broken, match="emptied"):
        sound(store)


def restarted(configured):
    """Start the service, and return the customers whom it has as erased in the ledger and in the records."""
    with closing(Store(configured)) as store:
        store.open()
        sound(store)
        with store.read(COMMAND_LINE) as uow:
            rows = uow.tx.all("SELECT customer_id FROM customers WHERE length(wrapped_key) = 0")
        assert store.has_scrubbed_all
        return sorted({one.customer_id for one in store.erasures}), sorted(row["customer_id"] for row in rows)


def test_a_lost_ledger_is_filled_again(store, configured):
    both = sorted(registered(store, order_id, order_id) for order_id in ("A-1", "B-1"))
    for customer_id in both:
        erase(store, customer_id, ErasureReason.CHILD)
    before = list(store.erasures)
    store.close()
    store.erasures.file.unlink()
    assert restarted(configured) == (both, both)
    assert [(one.customer_id, one.reason) for one in store.erasures] == [
        (one.customer_id, one.reason) for one in before
    ]


def test_a_start_erases_those_whom_the_ledger_has(store, configured):
    customer_id = registered(store, "A-1")
    recorded(store, "A-1")
    stays = registered(store, "B-1", "K-2")
    store.close()
    store.erasures.append(*(Erasure(one, ErasureReason.REQUEST, PROVIDED) for one in ("cus_unknown", customer_id)))
    with store.erasures.file.open("ab") as file:
        file.write(b'{"customer_id":"' + stays.encode())  # torn
    assert restarted(configured) == (sorted(["cus_unknown", customer_id]), [customer_id])
    with closing(Store(configured)) as again, again.read(COMMAND_LINE) as uow:
        assert uow.contacts.of_order("A-1")[0].note == ERASED
        assert [event.subject for event in uow.events.after(0, 100, ["customer.erased"], audit=True)] == [customer_id]
        assert uow.orders.get("B-1").customer_ref == "K-2"


def test_an_erasure_without_a_line_in_the_ledger_does_not_happen(store):
    customer_id = registered(store, "A-1")
    store.erasures.file.unlink()
    store.erasures.file.mkdir()
    with pytest.raises(StorageUnavailable, match="directory"):
        erase(store, customer_id)
    with store.read(COMMAND_LINE) as uow:
        assert uow.orders.get("A-1").customer_ref == "K-1"
