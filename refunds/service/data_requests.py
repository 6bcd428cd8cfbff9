"""Data requests: what persons ask for about their data, until when they must be answered, and what comes of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.privacy import (
    EXTENDABLE,
    IDENTIFIED,
    LIMITING,
    TOLD_TO_RECIPIENTS,
    CannotBeExtended,
    DataRequest,
    DataRequestChannel,
    DataRequestConflict,
    DataRequestKind,
    DataRequestOutcome,
    Disclosure,
    ErasureReason,
    Fee,
    IdentityNotChecked,
    due_at,
)
from refunds.errors import FieldError, InvalidInput, Message
from refunds.security.encryption import Erased
from refunds.service import privacy
from refunds.service.contacts import BEFORE_KNOWN
from refunds.service.orders import AHEAD
from refunds.service.privacy import Certificate
from refunds.service.rectification import Correction, rectify
from refunds.storage.unit_of_work import UnitOfWork


def open_request(
    uow: UnitOfWork,
    kind: DataRequestKind,
    customer_ref: str,
    channel: DataRequestChannel,
    received_at: datetime | None = None,
    *,
    identity_check: str | None = None,
    recipient: str | None = None,
) -> DataRequest:
    """Record a data request, by default received now, with its deadline for an answer, and return the request.

    `customer_ref` is billing's reference for the person. If they are no customer, only the kind, the channel and the
    dates are stored. Raises `InvalidInput` if the request was received in the future, or over a year ago, and
    `Forbidden` for those who may not see personal fields.
    """
    received_at = received_at or uow.now
    ahead, behind = Message("must not be more than a minute in the future"), Message("must not be more than a year ago")
    if (late := received_at > uow.now + AHEAD) or received_at < uow.now - BEFORE_KNOWN:
        raise InvalidInput.at("/received_at", ahead if late else behind, "impossible_time")
    customer_id = uow.customers.find(customer_ref)
    if customer_id is not None:
        uow.customers.lock_with_orders(customer_id)
    request = DataRequest(
        request_id=uow.new_id("dsr"),
        kind=kind,
        customer_id=customer_id,
        channel=channel,
        identity_check=identity_check if customer_id else None,
        recipient=recipient if customer_id else None,
        received_at=received_at,
        recorded_at=uow.now,
        recorded_by=uow.principal.actor,
        due_at=due_at(received_at, uow.default_terms.time_zone),
    )
    uow.data_requests.add(request, EventType.DATA_REQUEST_OPENED, **_about(request))
    return request


def check_identity(uow: UnitOfWork, request_id: str, how: str) -> DataRequest:
    """Record how the identity of the person of an open request was checked; the same again changes nothing.

    If the person is no customer, nothing is recorded. Raises `NotFound`, `CustomerErased`, and `DataRequestConflict` if
    the request is closed or has another check: what was handed out since rests on that.
    """
    request = lock(uow, request_id)
    if request.customer_id is None or request.identity_check == how:
        return request
    _require_open(request)
    if request.identity_check is not None and not isinstance(request.identity_check, Erased):
        text = Message(
            "The data request %(name)s has another identity check, which stands: correct it by a rectification.",
            name=request_id,
        )
        raise DataRequestConflict(text, request.state)
    event = EventType.DATA_REQUEST_IDENTITY_CHECKED
    return uow.data_requests.update(request, event, _about(request), identity_check=how)


def extend(uow: UnitOfWork, request_id: str, reason: str) -> DataRequest:
    """Extend the time to answer to three calendar months from receipt; the same again changes nothing.

    The reason is not stored if the person is no customer. Raises `NotFound`; `DataRequestConflict` if the request is
    closed; `CustomerErased`; and `CannotBeExtended` if its kind does not allow it, if the time was extended for another
    reason, or if the time is over, because the person must be told of an extension before that.
    """
    request = lock(uow, request_id)
    if request.extended_at is not None and request.extension_reason in {reason, None}:
        return request
    _require_open(request)
    values = {"due": format_instant(request.due_at)}
    if request.kind not in EXTENDABLE:
        text = Message("Only access, portability and objection can be: answer this request before %(due)s.", **values)
        raise CannotBeExtended(text)
    if request.extended_at is not None:
        raise CannotBeExtended(Message("It was extended before, for another reason, to %(due)s.", **values))
    if request.due_at <= uow.now:
        raise CannotBeExtended(
            Message("The time ended at %(due)s, and the person must be told before: answer now.", **values)
        )
    due = due_at(request.received_at, uow.default_terms.time_zone, extended=True)
    extended = {"due_at": due, "extended_at": uow.now, "extended_by": uow.principal.actor}
    kept = reason if request.customer_id else None
    event, data = EventType.DATA_REQUEST_EXTENDED, _about(request, due_at=format_instant(due))
    return uow.data_requests.update(request, event, data, **extended, extension_reason=kept)


def note_fee(uow: UnitOfWork, request_id: str, fee: Fee | None, reason: str | None) -> DataRequest:
    """Record that a request may cost a fee, and why, or with None that it does not; the same again changes nothing.

    The reason is not stored if the person is no customer. Raises `NotFound` if there is no such request,
    `DataRequestConflict` if it is closed, `CustomerErased` for a reason of an erased customer, and `InvalidInput` for a
    fee without a reason, a reason without a fee, or the fee for a further copy unless the request is for access.
    """
    request = lock(uow, request_id)
    copy = Message("must not be further_copy: only who asks for access gets a copy")
    wrong = {
        "reason": fee and not reason and Message("is required"),
        "fee": (reason and not fee and Message("is required"))
        or (fee is Fee.FURTHER_COPY and request.kind is not DataRequestKind.ACCESS and copy),
    }
    _require_well(wrong)
    kept = reason if request.customer_id else None
    if (request.fee, request.fee_reason) == (fee, kept):
        return request
    _require_open(request)
    data = _about(request, fee=fee)
    return uow.data_requests.update(request, EventType.DATA_REQUEST_FEE_NOTED, data, fee=fee, fee_reason=kept)


class Given(NamedTuple):
    """The outcome to close a data request with; `anyway` is why an erasure does not wait for open matters."""

    outcome: DataRequestOutcome
    reason: str | None = None
    corrections: Sequence[Correction] = ()
    erasure_reason: ErasureReason | None = None
    anyway: str | None = None


class Answered(NamedTuple):
    """A data request, what was erased because of it, if anything, and the disclosures whose recipients must be told."""

    request: DataRequest
    certificate: Certificate | None
    recipients: Sequence[Disclosure]


def close(uow: UnitOfWork, request_id: str, given: Given) -> Answered:
    """Close a data request and, if it is fulfilled, do what it asks for; the same again changes nothing.

    The recipients are returned as they were before an erasure, after which nobody can read them. A restriction or an
    objection that was fulfilled can be taken back, which lifts it, unless the customer asked for it in another data
    request, too, or it was set without one; the reason stays, unless another is given. Nothing may follow in the unit
    of work. Raises `NotFound`; `DataRequestConflict` if it was closed with another outcome or other corrections;
    `InvalidInput` if something is missing or does not fit its kind; `IdentityNotChecked`; `CustomerErased`; for an
    erasure, also `LegalHold`, `CustomerHasOpenMatters` and `StorageUnavailable`.
    """
    request = lock(uow, request_id)
    _require_fitting(uow, request, given)
    to_inform = recipients(uow, request)  # before an erasure
    limit = LIMITING.get(request.kind) if request.outcome is DataRequestOutcome.FULFILLED else None
    is_lifted = given.outcome is DataRequestOutcome.TAKEN_BACK and limit is not None
    if request.outcome is given.outcome and not rectify(uow, given.corrections, request.customer_id):
        return with_certificate(uow, request)
    if not is_lifted:
        _require_open(request)
    closed = {"closed_at": uow.now, "closed_by": uow.principal.actor, "outcome": given.outcome}
    reason = given.reason if is_held(uow, request) else None
    if is_lifted:
        reason = reason or request.outcome_reason
    event, data = EventType.DATA_REQUEST_CLOSED, _about(request, outcome=given.outcome)
    done = uow.data_requests.update(request, event, data, **closed, outcome_reason=reason)
    erased, is_done = None, given.outcome is DataRequestOutcome.FULFILLED
    if limit and is_lifted:
        is_done = privacy.take_back(uow, request, limit)
    elif is_done:
        erased = _fulfil(uow, done, given)
    return Answered(uow.data_requests.get(request_id), erased, to_inform if is_done else ())


def with_certificate(uow: UnitOfWork, request: DataRequest) -> Answered:
    """Return a data request with its present certificate, and the disclosures whose recipients must be told."""
    return Answered(request, certificate(uow, request), recipients(uow, request))


def recipients(uow: UnitOfWork, request: DataRequest) -> Sequence[Disclosure]:
    """Return all disclosures of the customer, if recipients must be told of what was or may be done; otherwise none."""
    nothing_done = request.outcome not in {None, DataRequestOutcome.FULFILLED}
    if request.customer_id is None or request.kind not in TOLD_TO_RECIPIENTS or nothing_done:
        return ()
    return uow.disclosures.of_customer(request.customer_id)


def certificate(uow: UnitOfWork, request: DataRequest) -> Certificate | None:
    """Return the certificate of the customer's erasure if a request for erasure was fulfilled; else None.

    Also returns None if the customer is not known, or was never erased.
    """
    if (request.kind, request.outcome) != (DataRequestKind.ERASURE, DataRequestOutcome.FULFILLED):
        return None
    erasure = uow.erasures.find(request.customer_id) if request.customer_id else None
    return erasure and Certificate(erasure, uow.erasures.records_emptied(erasure.customer_id))


_OF_CUSTOMERS = (DataRequestKind.ERASURE, *LIMITING)
"""The kinds of requests that can be fulfilled only for a customer."""


def _fulfil(uow: UnitOfWork, request: DataRequest, given: Given) -> Certificate | None:
    """Do what a data request asks for, if it changes data: correct, restrict, object or erase.

    Returns the certificate of an erasure, else None. If the person is no customer, only corrections are made. Raises
    `IdentityNotChecked` for access, portability or erasure if the customer's identity was not checked; `InvalidInput`
    for a correction that does not fit; `CustomerErased` for a correction, restriction or objection; and for an erasure
    `LegalHold`, `CustomerHasOpenMatters`, or `StorageUnavailable` if the ledger cannot be written.
    """
    customer_id, kind = request.customer_id, request.kind
    if kind is DataRequestKind.RECTIFICATION:
        rectify(uow, given.corrections, customer_id)
    elif customer_id is not None and kind in LIMITING:
        privacy.limit_on(uow, request, LIMITING[kind])
    elif customer_id is not None and kind in IDENTIFIED:
        require_identity(request)
        if kind is DataRequestKind.ERASURE:
            return privacy.erase(uow, customer_id, given.erasure_reason or ErasureReason.REQUEST, given.anyway)
    return None


def _require_fitting(uow: UnitOfWork, request: DataRequest, given: Given) -> None:
    """Raise `InvalidInput` unless what is given with an outcome is complete and fits the outcome and the request."""
    outcome, kind = given.outcome, request.kind
    fulfilled = kind if outcome is DataRequestOutcome.FULFILLED else None
    missing, unfit = Message("is required"), Message("does not fit this request and its outcome: leave it out")
    held = Message("something is held about them")
    wrong = {
        "reason": outcome is DataRequestOutcome.REFUSED and not given.reason and missing,
        "corrections": (fulfilled is DataRequestKind.RECTIFICATION) is not bool(given.corrections)
        and (unfit if given.corrections else missing),
        "erasure_reason": given.erasure_reason and fulfilled is not DataRequestKind.ERASURE and unfit,
        "anyway": given.anyway and fulfilled is not DataRequestKind.ERASURE and unfit,
        "outcome": (fulfilled in _OF_CUSTOMERS and not request.customer_id and Message("nothing is held about them"))
        or (outcome is DataRequestOutcome.NOTHING_HELD and is_held(uow, request) and held),
    }
    _require_well(wrong)


def _require_well(wrong: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` with the messages in `wrong`, by field; a field with a falsy value is not wrong."""
    errors = [FieldError(f"/{name}", detail, "contradiction") for name, detail in wrong.items() if detail]
    if errors:
        raise InvalidInput(errors)


def is_held(uow: UnitOfWork, request: DataRequest) -> bool:
    """Tell whether anything is held about the person of a request: they are a customer who was not erased."""
    return request.customer_id is not None and uow.erasures.find(request.customer_id) is None


def require_identity(request: DataRequest) -> None:
    """Raise `IdentityNotChecked` unless it is on record how the person's identity was checked."""
    if request.identity_check is None:
        raise IdentityNotChecked(request.request_id)


def lock(uow: UnitOfWork, request_id: str) -> DataRequest:
    """Lock a data request, after its customer and their orders, and return it; raises `NotFound` if there is none."""
    customer_id = uow.data_requests.get(request_id).customer_id
    if customer_id is not None:
        uow.customers.lock_with_orders(customer_id)
    uow.data_requests.lock(request_id)
    return uow.data_requests.get(request_id)


def _require_open(request: DataRequest) -> None:
    """Raise `DataRequestConflict` if a data request is closed."""
    if request.outcome is not None:
        detail = _CLOSED[request.outcome].filled(name=request.request_id)
        raise DataRequestConflict(detail, request.outcome)


_CLOSED = {
    DataRequestOutcome.FULFILLED: Message("The data request %(name)s is closed: it was fulfilled."),
    DataRequestOutcome.REFUSED: Message("The data request %(name)s is closed: it was refused."),
    DataRequestOutcome.NOTHING_HELD: Message("The data request %(name)s is closed: nothing is held."),
    DataRequestOutcome.TAKEN_BACK: Message("The data request %(name)s is closed: it was taken back."),
}


def _about(request: DataRequest, **more: Any) -> Mapping[str, Any]:
    """Return the data of an event about a data request: the kind, the id of the customer, and `more`."""
    return {"kind": request.kind, "customer_id": request.customer_id} | more
