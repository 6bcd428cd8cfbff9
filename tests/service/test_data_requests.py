"""Data requests: opened with their due dates, answered once, and what an answer does to the customer."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import (
    CustomerHasOpenMatters,
    DataRequestChannel,
    DataRequestConflict,
    DataRequestKind,
    DataRequestOutcome,
    DataRequestState,
    ErasureReason,
    IdentityNotChecked,
    LegalHold,
    LimitKind,
    due_at,
)
from refunds.errors import InvalidInput, NotFound
from refunds.security.encryption import ERASED, CustomerErased
from refunds.service import data_requests, privacy
from refunds.service.data_requests import Given, NewDataRequest
from refunds.service.rectification import Correction
from refunds.service.store import Store
from tests.conftest import settings
from tests.service.test_privacy import recorded, registered, sound

HOW = "called back at the number on record"


@pytest.fixture
def store(engine, tmp_path):
    """The store of an installation on each engine."""
    opened = Store(settings(tmp_path, engine=engine))
    yield opened
    opened.close()


def opened(store, kind=DataRequestKind.ACCESS, ref="K-1", **more):
    """A new data request."""
    given = {"channel": DataRequestChannel.EMAIL, "identity_check": HOW} | more
    with store.write(COMMAND_LINE) as uow:
        return data_requests.open_request(uow, NewDataRequest(kind, ref, **given))


@pytest.mark.parametrize(
    ("received", "last_day"),
    [
        ("2026-01-31T10:00:00+01:00", "2026-02-28"),
        ("2028-01-30T10:00:00+01:00", "2028-02-29"),
        ("2026-03-10T10:00:00+01:00", "2026-04-09"),
        ("2026-04-10T10:00:00+02:00", "2026-05-10"),
        ("2026-12-31T23:30:00+01:00", "2027-01-30"),
        ("2026-01-31T23:30:00Z", "2026-03-01"),
    ],
)
def test_an_answer_is_due_after_30_days_or_a_month_if_that_is_earlier(received, last_day):
    due = due_at(datetime.fromisoformat(received), "Europe/Berlin")
    shown = (due - timedelta(microseconds=1)).astimezone(datetime.fromisoformat(received).tzinfo)
    assert shown.date().isoformat() == last_day


def test_a_data_request_is_kept_with_its_due_date(store):
    customer_id = registered(store, "A-1")
    request = opened(store, recipient="the other shop")
    assert (request.customer_id, request.identity_check, request.outcome) == (customer_id, HOW, None)
    assert timedelta(27) < request.due_at - request.received_at <= timedelta(31)
    other = opened(store, DataRequestKind.ERASURE)
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.get(request.request_id) == request
        assert uow.data_requests.paginate(limit=9) == [request, other]
        assert uow.data_requests.paginate(limit=9, kind="erasure", state=DataRequestState.OPEN) == [other]
        assert not uow.data_requests.paginate(limit=9, state=DataRequestState.CLOSED)
        with pytest.raises(NotFound):
            uow.data_requests.get("dsr_nobody")
    sound(store)


def test_of_an_unknown_person_nothing_personal_is_kept(store):
    request = opened(store, ref="K-nobody", recipient="the other shop")
    assert request.customer_id is request.identity_check is request.recipient is None
    with store.write(COMMAND_LINE) as uow:
        assert data_requests.check_identity(uow, request.request_id, HOW).identity_check is None
        assert uow.data_requests.get(request.request_id) == request
        assert not uow.tx.all("SELECT customer_id FROM customers")
    sound(store)


def test_an_identity_can_be_checked_later(store):
    registered(store, "A-1")
    request = opened(store, identity_check=None)
    for _ in "ab":
        with store.write(COMMAND_LINE) as uow:
            assert data_requests.check_identity(uow, request.request_id, HOW).identity_check == HOW
    with store.read(COMMAND_LINE) as uow:
        assert len(uow.events.after(0, 99, ["data_request.identity_checked"], audit=True)) == 1
    sound(store)


@pytest.mark.parametrize("received_at", [timedelta(hours=1), -timedelta(days=400)])
def test_a_data_request_was_received_within_the_last_year(store, received_at):
    with pytest.raises(InvalidInput, match="received_at"):
        opened(store, received_at=datetime.now(UTC) + received_at)


def closed(store, request, outcome=DataRequestOutcome.FULFILLED, **more):
    """A data request with this outcome."""
    with store.write(COMMAND_LINE) as uow:
        return data_requests.close(uow, request.request_id, Given(outcome, **more))[0]


def limits(store, customer_id):
    """The kinds of limits that a customer has."""
    with store.read(COMMAND_LINE) as uow:
        return {kind for kind in LimitKind if uow.limits.active(customer_id, kind)}


def test_an_erasure_that_was_asked_for_has_its_certificate(store):
    customer_id = registered(store, "A-1")
    unchecked = opened(store, DataRequestKind.ERASURE, identity_check=None)
    with pytest.raises(IdentityNotChecked):
        closed(store, unchecked)
    request = opened(store, DataRequestKind.ERASURE)
    contact = recorded(store, "A-1")
    with pytest.raises(CustomerHasOpenMatters):
        closed(store, request)
    with store.write(COMMAND_LINE) as uow:
        assert uow.data_requests.get(request.request_id) == request
        privacy.limit(uow, customer_id, LimitKind.HOLD, "Klage")
    with pytest.raises(LegalHold):
        closed(store, request, erasure_reason=ErasureReason.CHILD)
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind.HOLD)
    assert not list(store.erasures)
    done = closed(store, request, anyway="the customer insists", reason="she was told")
    assert done.identity_check is done.outcome_reason is ERASED
    assert closed(store, request) == done
    with store.read(COMMAND_LINE) as uow:
        certificate = data_requests.certificate(uow, done)
        assert (certificate.erasure.customer_id, certificate.fields["data_requests"]) == (customer_id, 1)
        assert uow.contacts.get(contact.contact_id).note == ERASED
        assert data_requests.certificate(uow, unchecked) is None
    assert closed(store, unchecked, DataRequestOutcome.NOTHING_HELD, reason="gone").outcome_reason is None
    sound(store)


@pytest.mark.parametrize("kind", [DataRequestKind.RESTRICTION, DataRequestKind.OBJECTION])
def test_a_restriction_or_objection_holds_until_it_is_taken_back(store, kind):
    customer_id = registered(store, "A-1")
    other = registered(store, "B-1", "K-2")
    request = opened(store, kind, identity_check=None)
    for _ in "ab":
        assert closed(store, request, reason="a dispute").outcome is DataRequestOutcome.FULFILLED
        assert limits(store, customer_id) == {LimitKind(kind)}
    assert not limits(store, other)
    with pytest.raises(DataRequestConflict):
        closed(store, request, DataRequestOutcome.REFUSED, reason="no")
    for _ in "ab":
        assert closed(store, request, DataRequestOutcome.TAKEN_BACK).outcome is DataRequestOutcome.TAKEN_BACK
        assert not limits(store, customer_id)
    sound(store)
    closed(store, opened(store, DataRequestKind.ERASURE))
    with pytest.raises(CustomerErased), store.write(COMMAND_LINE) as uow:
        privacy.limit(uow, customer_id, LimitKind(kind), None)


@pytest.mark.parametrize("kind", [DataRequestKind.ACCESS, DataRequestKind.PORTABILITY])
def test_nothing_is_handed_out_to_somebody_whose_identity_was_not_checked(store, kind):
    registered(store, "A-1")
    request = opened(store, kind, identity_check=None)
    with pytest.raises(IdentityNotChecked):
        closed(store, request)
    assert closed(store, request, DataRequestOutcome.REFUSED, reason="no proof").outcome_reason == "no proof"
    with pytest.raises(DataRequestConflict), store.write(COMMAND_LINE) as uow:
        data_requests.check_identity(uow, request.request_id, HOW)
    assert closed(store, opened(store, kind)).outcome is DataRequestOutcome.FULFILLED
    sound(store)


CORRECTION = Correction("contacts", "con_1", "note", "Frau Muster")


@pytest.mark.parametrize(
    ("kind", "ref", "outcome", "more", "field"),
    [
        (DataRequestKind.ACCESS, "K-1", DataRequestOutcome.REFUSED, {}, "/reason"),
        (DataRequestKind.ACCESS, "K-1", DataRequestOutcome.NOTHING_HELD, {}, "/outcome"),
        (DataRequestKind.ACCESS, "K-1", DataRequestOutcome.FULFILLED, {"corrections": [CORRECTION]}, "/corrections"),
        (DataRequestKind.ACCESS, "K-1", DataRequestOutcome.FULFILLED, {"anyway": "so"}, "/anyway"),
        (DataRequestKind.ERASURE, "K-9", DataRequestOutcome.FULFILLED, {}, "/outcome"),
        (DataRequestKind.OBJECTION, "K-9", DataRequestOutcome.FULFILLED, {}, "/outcome"),
        (DataRequestKind.RECTIFICATION, "K-1", DataRequestOutcome.FULFILLED, {}, "/corrections"),
        (
            DataRequestKind.ERASURE,
            "K-1",
            DataRequestOutcome.TAKEN_BACK,
            {"erasure_reason": ErasureReason.CHILD},
            "/erasure_reason",
        ),
    ],
)
def test_an_outcome_that_does_not_fit_changes_nothing(store, kind, ref, outcome, more, field):
    registered(store, "A-1")
    request = opened(store, kind, ref)
    before = sound(store)
    with pytest.raises(InvalidInput, match=field):
        closed(store, request, outcome, **more)
    assert sound(store) == before


def test_nothing_is_held_about_an_unknown_person(store):
    request = opened(store, DataRequestKind.ERASURE, "K-9")
    done = closed(store, request, DataRequestOutcome.NOTHING_HELD, reason="we looked for Frau Muster")
    assert (done.outcome, done.outcome_reason, done.customer_id) == (DataRequestOutcome.NOTHING_HELD, None, None)
    assert done.state is DataRequestState.CLOSED
    sound(store)
