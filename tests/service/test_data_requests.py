"""Data requests: opened with their due dates, answered once, and what an answer does to the customer."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import (
    CannotBeExtended,
    CustomerHasOpenMatters,
    DataRequestChannel,
    DataRequestConflict,
    DataRequestKind,
    DataRequestOutcome,
    DataRequestState,
    DisclosureBasis,
    ErasureReason,
    Fee,
    IdentityNotChecked,
    LegalHold,
    LimitKind,
)
from refunds.errors import InvalidInput, NotFound
from refunds.security.encryption import ERASED, CustomerErased
from refunds.service import data_requests, privacy, rectification
from refunds.service.data_requests import Given
from refunds.service.rectification import Correction
from refunds.service.store import Store
from tests.conftest import settings
from tests.service.test_privacy import erase, recorded, registered, sound

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
        return data_requests.open_request(uow, kind, ref, **given)


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


def test_a_second_identity_check_does_not_replace_the_first_which_a_rectification_corrects(store):
    registered(store, "A-1")
    request = opened(store)
    with store.write(COMMAND_LINE) as uow, pytest.raises(DataRequestConflict, match="another identity check"):
        data_requests.check_identity(uow, request.request_id, "a mere guess")
    with store.write(COMMAND_LINE) as uow:
        assert uow.data_requests.get(request.request_id).identity_check == HOW
        wrong = Correction("data_requests", request.request_id, "identity_check", "a passport")
        assert rectification.rectify(uow, [wrong], request.customer_id)
        assert uow.data_requests.get(request.request_id).identity_check == "a passport"
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


def reasons(store, customer_id):
    """The reason of each limit of a customer, and whether it still stands."""
    with store.read(COMMAND_LINE) as uow:
        return [(one.reason, one.lifted_at is None) for one in uow.limits.of_customer(customer_id)]


@pytest.mark.parametrize("kind", [DataRequestKind.RESTRICTION, DataRequestKind.OBJECTION])
@pytest.mark.parametrize("first", [0, 1])
def test_each_of_two_restrictions_or_objections_is_lifted_on_its_own(store, kind, first):
    customer_id = registered(store, "A-1")
    asked = [closed(store, opened(store, kind), reason=reason) for reason in ("wrong number", "a claim")]
    done = closed(store, asked[first], DataRequestOutcome.TAKEN_BACK)
    assert done.outcome_reason == asked[first].outcome_reason
    assert limits(store, customer_id) == {LimitKind(kind)}
    assert reasons(store, customer_id)[-1] == (asked[1 - first].outcome_reason, True)
    with pytest.raises(DataRequestConflict, match=asked[1 - first].request_id), store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind(kind))
    closed(store, asked[1 - first], DataRequestOutcome.TAKEN_BACK)
    assert not limits(store, customer_id)
    sound(store)


@pytest.mark.parametrize("kind", [DataRequestKind.RESTRICTION, DataRequestKind.OBJECTION])
@pytest.mark.parametrize("before", [True, False])
def test_what_was_limited_without_a_request_stays_when_a_request_is_taken_back(store, kind, before):
    customer_id, request = registered(store, "A-1"), opened(store, kind)

    def without():
        with store.write(COMMAND_LINE) as uow:
            privacy.limit(uow, customer_id, LimitKind(kind), "our own doubts")

    for act in (without, lambda: closed(store, request, reason="a claim"))[:: 1 if before else -1]:
        act()
    closed(store, request, DataRequestOutcome.TAKEN_BACK)
    assert limits(store, customer_id) == {LimitKind(kind)}
    assert reasons(store, customer_id)[-1] == ("our own doubts", True)
    with store.write(COMMAND_LINE) as uow:
        privacy.lift(uow, customer_id, LimitKind(kind))
    assert not limits(store, customer_id)
    sound(store)


@pytest.mark.parametrize("kind", [DataRequestKind.RESTRICTION, DataRequestKind.OBJECTION])
def test_a_request_whose_limit_an_older_version_lifted_asks_for_nothing_any_more(store, kind):
    """It lifted a limit by command whatever had asked for it, and the requests stayed fulfilled."""
    customer_id = registered(store, "A-1")
    for _ in "ab":
        closed(store, opened(store, kind))
    with store.write(COMMAND_LINE) as uow:
        uow.customers.lock_with_orders(customer_id)
        privacy._end(uow, uow.limits.active(customer_id, LimitKind(kind)))
    later = closed(store, opened(store, kind))
    with store.read(COMMAND_LINE) as uow:
        assert not privacy.stays_without(uow, later)
    closed(store, later, DataRequestOutcome.TAKEN_BACK)
    assert not limits(store, customer_id)
    for act in (privacy.limit, privacy.lift):
        with store.write(COMMAND_LINE) as uow:
            act(uow, customer_id, LimitKind(kind), *(["our own doubts"] if act is privacy.limit else []))
    assert not limits(store, customer_id)
    sound(store)


def test_a_second_reason_of_a_limit_is_not_lost(store):
    customer_id = registered(store, "A-1")
    given = ["claim 123", None, "claim 45; claim 6", "claim 123", "claim 45; claim 6", "claim 12", "claim 6"]
    for reason in given:
        with store.write(COMMAND_LINE) as uow:
            held = privacy.limit(uow, customer_id, LimitKind.HOLD, reason)
    assert reasons(store, customer_id) == [("claim 123; claim 45; claim 6; claim 12", True)] == [(held.reason, True)]
    sound(store)


@pytest.mark.parametrize("kind", [DataRequestKind.ACCESS, DataRequestKind.PORTABILITY])
def test_an_erasure_waits_until_the_copy_that_was_asked_for_is_handed_out(store, kind):
    customer_id = registered(store, "A-1")
    asked, erasure = opened(store, kind), opened(store, DataRequestKind.ERASURE)
    for act in (lambda: closed(store, erasure), lambda: erase(store, customer_id)):
        with pytest.raises(CustomerHasOpenMatters, match=asked.request_id):
            act()
    closed(store, asked)
    assert closed(store, erasure).outcome is DataRequestOutcome.FULFILLED
    sound(store)


@pytest.mark.parametrize("kind", [DataRequestKind.RESTRICTION, DataRequestKind.OBJECTION])
def test_after_an_erasure_each_of_two_requests_can_still_be_taken_back(store, kind):
    customer_id = registered(store, "A-1")
    asked = [closed(store, opened(store, kind), reason="a claim") for _ in "ab"]
    closed(store, opened(store, DataRequestKind.ERASURE))
    for one, left in zip(asked, ({LimitKind(kind)}, set()), strict=True):
        closed(store, one, DataRequestOutcome.TAKEN_BACK)
        assert limits(store, customer_id) == left
    sound(store)


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


BUSY = "the records of three years are looked through"


def extended(store, request, reason=BUSY):
    """A data request whose time was extended."""
    with store.write(COMMAND_LINE) as uow:
        return data_requests.extend(uow, request.request_id, reason)


@pytest.mark.parametrize("ref", ["K-1", "K-nobody"])
def test_the_time_is_extended_once_to_three_months_and_the_same_again_changes_nothing(store, ref):
    registered(store, "A-1")
    request = opened(store, ref=ref)
    done = extended(store, request)
    assert timedelta(88) < done.due_at - request.received_at <= timedelta(93)
    kept = (done.extended_by, done.extension_reason, done.state)
    assert kept == (COMMAND_LINE.actor, BUSY if ref == "K-1" else None, DataRequestState.OPEN)
    assert extended(store, request) == done
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.get(request.request_id) == done
        (event,) = uow.events.after(0, 99, ["data_request.extended"], audit=True)
        assert BUSY not in event.data
    if ref == "K-1":
        with pytest.raises(CannotBeExtended, match="for another reason"):
            extended(store, request, "and yet another")
    closed(store, request, DataRequestOutcome.REFUSED, reason="no proof")
    assert extended(store, request).closed_at is not None
    sound(store)


@pytest.mark.parametrize("kind", DataRequestKind)
def test_access_portability_and_objection_alone_can_be_extended(store, kind):
    registered(store, "A-1")
    request, before = opened(store, kind), sound(store)
    if kind in {DataRequestKind.ACCESS, DataRequestKind.PORTABILITY, DataRequestKind.OBJECTION}:
        assert extended(store, request).due_at > request.due_at
    else:
        with pytest.raises(
            CannotBeExtended, match="access, portability and objection can be: answer this request before 2"
        ):
            extended(store, request)
        assert sound(store) == before


def test_an_extension_is_told_before_the_time_is_over_and_of_an_open_request(store):
    registered(store, "A-1")
    late = opened(store, received_at=datetime.now(UTC) - timedelta(days=40))
    with pytest.raises(CannotBeExtended, match="the person must be told before"):
        extended(store, late)
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.paginate(limit=9, overdue=True) == [late]
        assert uow.data_requests.count_of(overdue=True) == 1
    closed(store, late, DataRequestOutcome.REFUSED, reason="no proof")
    with pytest.raises(DataRequestConflict):
        extended(store, late)
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.count_of(overdue=True) == 0
    sound(store)


def test_a_fee_is_noted_with_its_reason_changed_and_taken_off(store):
    registered(store, "A-1")
    request = opened(store)
    before = sound(store)

    def noted(fee, reason):
        with store.write(COMMAND_LINE) as uow:
            found = data_requests.note_fee(uow, request.request_id, fee, reason)
            return found.fee, found.fee_reason

    assert noted(None, None) == (None, None)
    for _ in "ab":
        assert noted(Fee.FURTHER_COPY, "the third one") == (Fee.FURTHER_COPY, "the third one")
    assert sound(store) == before + 1
    assert noted(Fee.EXCESSIVE, "every week") == (Fee.EXCESSIVE, "every week")
    assert noted(None, None) == (None, None)
    other = opened(store, DataRequestKind.PORTABILITY)
    for fee, reason, field in (
        (Fee.FURTHER_COPY, "the third one", "/fee"),
        (Fee.EXCESSIVE, None, "/reason"),
        (None, "the third one", "/fee"),
    ):
        with pytest.raises(InvalidInput, match=field), store.write(COMMAND_LINE) as uow:
            data_requests.note_fee(uow, other.request_id, fee, reason)
    closed(store, request)
    with pytest.raises(DataRequestConflict):
        noted(Fee.EXCESSIVE, "every week")
    sound(store)


@pytest.mark.parametrize("kind", DataRequestKind)
def test_who_got_the_data_before_is_named_with_what_they_must_be_told_of(store, kind):
    customer_id = registered(store, "A-1")
    with store.write(COMMAND_LINE) as uow:
        noted = privacy.disclose(uow, "K-1", DisclosureBasis.PROCESSOR, "a carrier", "C-1")
    right = Correction("customers", customer_id, "customer_ref", "K-2")
    given = Given(DataRequestOutcome.FULFILLED, corrections=[right] if kind == "rectification" else [])
    told = kind in {DataRequestKind.RECTIFICATION, DataRequestKind.ERASURE, DataRequestKind.RESTRICTION}
    request = opened(store, kind)
    with store.write(COMMAND_LINE) as uow:
        assert list(data_requests.close(uow, request.request_id, given).recipients) == [noted] * told


def test_nobody_is_named_while_another_request_still_restricts_the_data(store):
    registered(store, "A-1")
    with store.write(COMMAND_LINE) as uow:
        noted = privacy.disclose(uow, "K-1", DisclosureBasis.PROCESSOR, "a carrier", "C-1")
    asked = [closed(store, opened(store, DataRequestKind.RESTRICTION)) for _ in "ab"]
    for request, told in zip(asked, ([], [noted]), strict=True):
        with store.write(COMMAND_LINE) as uow:
            done = data_requests.close(uow, request.request_id, Given(DataRequestOutcome.TAKEN_BACK))
        assert list(done.recipients) == told


def test_what_is_due_first_comes_first_among_open_requests(store):
    registered(store, "A-1")
    now = datetime.now(UTC)
    later, sooner = (opened(store, received_at=now - timedelta(days=days)) for days in (1, 9))
    done = closed(store, opened(store, received_at=now - timedelta(days=20)))
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.paginate(limit=9, state=DataRequestState.OPEN) == [sooner, later]
        place = uow.data_requests.place_of(sooner)
        assert uow.data_requests.paginate(*place, limit=9, state=DataRequestState.OPEN) == [later]
        assert uow.data_requests.paginate(limit=9) == [later, sooner, done]
        assert not uow.data_requests.paginate(limit=9, overdue=True)
