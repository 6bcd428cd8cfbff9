"""What contacts hold of a person is found, and emptied by the id of the contact."""

from contextlib import closing

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import ErasureReason, LegalHold, LimitKind
from refunds.domain.records import Intent
from refunds.errors import InvalidInput, NotFound, StorageUnavailable
from refunds.security.encryption import ERASED
from refunds.service import evidence, findings, privacy, resolutions, unmatched
from refunds.service.contacts import NewContact
from refunds.service.store import Store
from refunds.storage.audit import Broken
from tests.conftest import settings
from tests.service.test_privacy import erase, recorded, registered, sound

ASKS = {"intent": Intent.QUESTION, "from_detail": None, "note": None, "ticket_ref": None}


@pytest.fixture
def configured(engine, tmp_path):
    """The settings of an installation on each engine."""
    return settings(tmp_path, engine=engine)


@pytest.fixture
def store(configured):
    """Its store."""
    with closing(Store(configured)) as opened:
        yield opened


def kept(store, **more):
    """A new contact without its order."""
    given = {"channel": Channel.PHONE, "from_detail": "+4915112345678", "note": "Herr Muster"} | more
    with store.write(COMMAND_LINE) as uow:
        return unmatched.record(uow, "A-77", NewContact(**given))


def found(store, detail):
    """The ids of the contacts that hold a detail, each with its fields."""
    steps = []
    hits = dict(findings.find(store, COMMAND_LINE, detail, lambda *step: steps.append(step)))
    assert steps[-1][1] == steps[-1][2]
    return hits


def empty(store, name, reason=ErasureReason.REQUEST):
    """The fields that were emptied."""
    with store.write(COMMAND_LINE) as uow:
        return findings.empty(uow, name, reason)


@pytest.mark.parametrize(
    ("detail", "fields"),
    [
        ("+49 151 123456-78", ["from_detail"]),
        ("0151 / 12345678", ["from_detail"]),
        ("0049 (151) 12345678", ["from_detail"]),
        ("kim@EXAMPLE.org", ["acknowledged_to"]),
        ("t-4711", ["ticket_ref"]),
        ("frau  von Berg", ["note"]),
        ("089 - 555 12 34", ["note"]),
        ("+49 (0)89 5551234", ["note"]),
    ],
)
def test_a_detail_is_found_in_any_spelling(store, detail, fields):
    registered(store, "A-1")
    recorded(store, "A-1", **ASKS)
    call = recorded(
        store,
        "A-1",
        from_detail="+4915112345678",
        ticket_ref="T-4711",
        note="Für ihren Mann ruft Frau von\nBerg an, zurück unter 089 / 555 1234",
    )
    with store.write(COMMAND_LINE) as uow:
        resolutions.acknowledge(uow, call.contact_id, channel=Channel.EMAIL, to="kim@example.org")
    assert found(store, detail) == {call.contact_id: fields}


def test_also_superseded_and_unmatched_contacts_are_opened_and_emptied_ones_hold_nothing(store):
    registered(store, "A-1")
    first = recorded(store, "A-1", note="Herr Muster")
    recorded(store, "A-1", supersedes=first.contact_id, note=None)
    erased = registered(store, "B-1", "K-2")
    recorded(store, "B-1", note="Herr Muster", intent=Intent.QUESTION)
    erase(store, erased)
    other = kept(store)
    assert found(store, "HERR muster") == {first.contact_id: ["note"], other.unmatched_id: ["note"]}
    for name in (first.contact_id, other.unmatched_id):
        empty(store, name)
    assert found(store, "Herr Muster") == found(store, "erased") == {}


@pytest.mark.parametrize("detail", ["", " ", "x", "x" * 201, "x" * 10_000])
def test_what_is_no_detail_is_refused(store, detail):
    with pytest.raises(InvalidInput):
        found(store, detail)


def test_an_emptied_contact_is_explained_and_its_order_goes_on(store):
    registered(store, "A-1")
    call = recorded(store, "A-1")
    other = recorded(store, "A-1", intent=Intent.QUESTION)
    assert empty(store, call.contact_id) == ["from_detail", "ticket_ref", "note"]
    events = sound(store)
    assert empty(store, call.contact_id) == []
    assert sound(store) == events
    with store.read(COMMAND_LINE) as uow:
        now = uow.contacts.get(call.contact_id)
        assert now.from_detail is now.note is now.ticket_ref is ERASED
        assert now.is_open
        assert uow.contacts.get(other.contact_id) == other
        event = uow.events.newest(None, 1)[0][0]
        assert (event.type, event.subject, event.order_id) == ("contact.emptied", call.contact_id, "A-1")
        assert event.data == '{"fields":["from_detail","ticket_ref","note"],"reason":"request"}'
        assert not evidence.gather(uow, "A-1", store.checkpoints).broken
    with store.write(COMMAND_LINE) as uow:
        resolutions.acknowledge(uow, call.contact_id, channel=Channel.PHONE)
    sound(store)
    with pytest.raises(NotFound):
        empty(store, "con_nobody")


@pytest.mark.parametrize("table", ["contacts", "unmatched_contacts"])
def test_a_field_that_no_event_names_is_found(store, table):
    registered(store, "A-1")
    name = recorded(store, "A-1").contact_id if table == "contacts" else kept(store).unmatched_id
    empty(store, name)
    recorded(store, "A-1")
    kept(store)
    sound(store)
    with store.write(COMMAND_LINE) as uow:
        uow.tx.run(f"UPDATE {table} SET note = :empty", empty=b"")  # noqa: S608
    with pytest.raises(Broken, match="emptied"):
        sound(store)


def test_an_emptied_unmatched_contact_can_be_matched_or_resolved(store):
    registered(store, "A-1")
    calls = [kept(store) for _ in "ab"]
    for one in calls:
        assert empty(store, one.unmatched_id) == ["order_hint", "from_detail", "note"]
    sound(store)
    with store.write(COMMAND_LINE) as uow:
        contact, _ = unmatched.match(uow, calls[0].unmatched_id, "A-1")
        assert contact.from_detail is contact.note is None
        unmatched.resolve(uow, calls[1].unmatched_id, "another shop")
    sound(store)


def test_a_hold_and_a_ledger_that_cannot_be_written_keep_a_contact(store):
    customer_id = registered(store, "A-1")
    call = recorded(store, "A-1")
    with store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind.HOLD, "a claim")
    with pytest.raises(LegalHold):
        empty(store, call.contact_id)
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind.HOLD)
    store.erasures.file.unlink()
    store.erasures.file.mkdir()
    with pytest.raises(StorageUnavailable, match="directory"):
        empty(store, call.contact_id)
    assert found(store, "Frau Muster") == {call.contact_id: ["note"]}


def test_the_ledger_empties_a_contact_again_and_is_filled_from_the_journal(store, configured):
    registered(store, "A-1")
    call, other = recorded(store, "A-1"), kept(store)
    for name in (call.contact_id, other.unmatched_id):
        empty(store, name)
    assert store.has_scrubbed_all
    noted = list(store.erasures)
    store.close()
    store.erasures.file.unlink()
    with closing(Store(configured)) as again:
        again.open()
        assert [one.customer_id for one in again.erasures] == [one.customer_id for one in noted]
        sound(again)
    fresh = recorded(store, "A-1", note="Frau Muster")
    late = kept(store)
    store.close()
    store.erasures.append(*(noted[0]._replace(customer_id=one) for one in (fresh.contact_id, late.unmatched_id)))
    with closing(Store(configured)) as again:
        again.open()
        assert found(again, "Muster") == {}
        events = sound(again)
    with closing(Store(configured)) as again:
        again.open()
        assert sound(again) == events
