"""Data requests: what persons ask for about their data, until when they must be answered, and what came of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ulid import ULID

from refunds.domain.journal import EventType
from refunds.domain.privacy import (
    DataRequest,
    DataRequestChannel,
    DataRequestConflict,
    DataRequestKind,
    IdentityNotChecked,
    due_at,
)
from refunds.errors import FieldError, InvalidInput, Message
from refunds.service.contacts import BEFORE_KNOWN
from refunds.service.orders import AHEAD
from refunds.storage.unit_of_work import UnitOfWork


class NewDataRequest(NamedTuple):
    """What is known of a data request when it is opened; `customer_ref` is billing's reference for the person."""

    kind: DataRequestKind
    customer_ref: str
    channel: DataRequestChannel
    received_at: datetime | None = None
    identity_check: str | None = None
    recipient: str | None = None


def open_request(uow: UnitOfWork, new: NewDataRequest) -> DataRequest:
    """Note a data request, with the day by which it must be answered.

    Of an unknown person only the kind, the channel and the dates are kept. Raises `InvalidInput` if it was received in
    the future, or over a year ago.
    """
    received_at = new.received_at or uow.now
    ahead, behind = Message("must not be more than a minute in the future"), Message("must not be more than a year ago")
    if (late := received_at > uow.now + AHEAD) or received_at < uow.now - BEFORE_KNOWN:
        raise InvalidInput([FieldError("/received_at", ahead if late else behind, "impossible_time")])
    customer_id = uow.customers.find(new.customer_ref)
    if customer_id is not None:
        uow.customers.lock_with_orders(customer_id)
    request = DataRequest(
        request_id=f"dsr_{ULID()}",
        kind=new.kind,
        customer_id=customer_id,
        channel=new.channel,
        identity_check=new.identity_check if customer_id else None,
        recipient=new.recipient if customer_id else None,
        received_at=received_at,
        recorded_at=uow.now,
        recorded_by=uow.principal.actor,
        due_at=due_at(received_at, uow.policies[uow.policies.default].current(uow.now).terms.time_zone),
    )
    uow.data_requests.add(request, EventType.DATA_REQUEST_OPENED, **_about(request))
    return request


def check_identity(uow: UnitOfWork, request_id: str, how: str) -> DataRequest:
    """Note how the identity of the person was checked, of a request that is open; the same again changes nothing.

    Of an unknown person nothing is noted. Raises `NotFound`, `CustomerErased`, and
    `DataRequestConflict` if the request is closed.
    """
    request = locked(uow, request_id)
    if request.customer_id is None or request.identity_check == how:
        return request
    _require_open(request)
    event = EventType.DATA_REQUEST_IDENTITY_CHECKED
    return uow.data_requests.update(request, event, _about(request), identity_check=how)


def require_identity(request: DataRequest) -> None:
    """Raise `IdentityNotChecked` unless it is on record how the person's identity was checked."""
    if request.identity_check is None:
        raise IdentityNotChecked(request.request_id)


def locked(uow: UnitOfWork, request_id: str) -> DataRequest:
    """The data request with this id, locked after its customer and their orders; raises `NotFound`."""
    customer_id = uow.data_requests.get(request_id).customer_id
    if customer_id is not None:
        uow.customers.lock_with_orders(customer_id)
    uow.data_requests.lock(request_id)
    return uow.data_requests.get(request_id)


def _require_open(request: DataRequest) -> None:
    """Raise `DataRequestConflict` if a request is closed."""
    if request.outcome is not None:
        values = {"name": request.request_id, "outcome": request.outcome}
        text = Message("The data request %(name)s is closed: %(outcome)s.", **values)
        raise DataRequestConflict(text, request.outcome)


def _about(request: DataRequest, **more: Any) -> Mapping[str, Any]:
    """What the journal has of a request."""
    return {"kind": request.kind, "customer_id": request.customer_id} | more
