"""The refund, settlement and revocation of a cancellation, over HTTP."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.serializers import cancellation_data
from refunds.service import settlements
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Answer, Tag
from refunds.web.responses import reply
from refunds.web.schemas import cancellations as schemas
from refunds.web.schemas.examples import example

tag = Tag(
    "Settlements", "What happens after a cancellation is issued: billing refunds and settles it, or it is revoked."
)


@tag.operation(
    "PUT /v1/cancellations/<string:cancellation_id>/refund",
    Answer("The cancellation with its begun refund.", schemas.CancellationSchema, schemas.REFUNDING),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    body=schemas.RefundRequestSchema,
    body_examples=example("begun", "With billing's reference", {"billing_ref": schemas.SETTLEMENT["billing_ref"]})
    | example("without", "Without one", {}),
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused", "customer-erased"),
)
def begin_refund(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Begin a refund

    Records that billing is about to refund. Call it before you pay. From then on nobody can revoke the cancellation, so
    it cannot be paid and revoked at the same time. The refund has one holder, named by its `billing_ref`. If the holder
    sends the HTTP request again, the response is 200; anybody else gets 409, and the detail names the holder. Use the
    same `billing_ref` as the payment provider's idempotency key. A worker that starts again must first ask the provider
    whether it has paid. After the payment, settle the cancellation; if the refund fails, end it. Records the refund
    with its holder, and the event `cancellation.refund_begun`.
    """
    return reply(cancellation_data(settlements.begin_refund(uow, cancellation_id, body.get("billing_ref"))))


@tag.operation(
    "DELETE /v1/cancellations/<string:cancellation_id>/refund",
    Answer("The cancellation, now waiting for a refund again.", schemas.CancellationSchema, schemas.EXAMPLE),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    query=schemas.EndRefundQuerySchema,
    problems=("not-found", "cancellation-state-conflict"),
)
def end_refund(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """End a refund that failed

    Records that a refund has failed. Call it only if it is certain that nothing was paid. The cancellation is `issued`
    again, and can be refunded again or revoked. If no refund has begun, nothing changes. Records the event
    `cancellation.refund_failed` with the reason. The cancellation no longer shows the refund.
    """
    return reply(cancellation_data(settlements.end_refund(uow, cancellation_id, query["reason_code"])))


@tag.operation(
    "PUT /v1/cancellations/<string:cancellation_id>/settlement",
    Answer("The settled cancellation.", schemas.CancellationSchema, schemas.SETTLED),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    body=schemas.SettlementRequestSchema,
    body_examples=example(
        "settled",
        "Refunded this morning",
        {"settled_at": schemas.SETTLEMENT["settled_at"], "billing_ref": schemas.SETTLEMENT["billing_ref"]},
    ),
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused"),
)
def settle_cancellation(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Settle a cancellation

    Records that billing has refunded. Call it after you have paid: begin the refund, pay, then settle. If you do not
    begin the refund, somebody can revoke the cancellation while you pay. Sending the same settlement again changes
    nothing. A different settlement is a conflict, and so is a `billing_ref` that differs from that of the begun refund.
    Records the settlement and the event `cancellation.settled`. If the customer was erased, `billing_ref` is not
    stored, and the response has `[erased]` in its place.
    """
    settled = settlements.settle(uow, cancellation_id, body.get("settled_at"), body["billing_ref"])
    return reply(cancellation_data(settled))


@tag.operation(
    "DELETE /v1/cancellations/<string:cancellation_id>/settlement",
    Answer("The cancellation, now no longer settled.", schemas.CancellationSchema, schemas.EXAMPLE),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    query=schemas.UnsettleQuerySchema,
    problems=("not-found", "cancellation-state-conflict"),
)
def unsettle_cancellation(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """Undo a settlement

    Removes the settlement, so that the cancellation waits for a refund again. Use it if a refund failed after it was
    settled, or if the settlement was recorded in error. Without a settlement, nothing changes. Records the event
    `cancellation.unsettled` with the reason. The cancellation no longer shows the settlement or the refund.
    """
    issued = settlements.unsettle(uow, cancellation_id, query["reason_code"])
    return reply(cancellation_data(issued))


@tag.operation(
    "PUT /v1/cancellations/<string:cancellation_id>/revocation",
    Answer("The revoked cancellation.", schemas.CancellationSchema, schemas.REVOKED),
    scopes=(Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE),
    body=schemas.RevocationRequestSchema,
    body_examples=example("revoked", "A customer who stays", {"reason_code": "customer_kept_order"}),
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused"),
)
def revoke_cancellation(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Revoke a cancellation

    Takes a cancellation back; the order can then be cancelled again. Use it when the customer keeps the order, or if
    the cancellation was entered in error. This is possible until billing begins the refund or settles the cancellation.
    With only the scope `cancellations:issue`, callers can revoke what they issued themselves within the last 15
    minutes. Records the revocation and the event `cancellation.revoked`. With `customer_kept_order`, the order's
    requests are resolved, each with the event `contact.resolved`; otherwise they are open again. If the customer was
    erased, `reason` is not stored, and the response has `[erased]` in its place.
    """
    revoked = settlements.revoke(uow, cancellation_id, body["reason_code"], body.get("reason"))
    return reply(cancellation_data(revoked))
