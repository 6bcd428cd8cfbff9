"""What becomes of a cancellation, over HTTP: its refund, its settlement and its revocation."""

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

tag = Tag("Settlements", "What happens to a cancellation: billing refunds and settles it, or it is revoked.")


@tag.operation(
    "PUT /v1/cancellations/<string:cancellation_id>/refund",
    Answer("The cancellation, whose refund has begun.", schemas.CancellationSchema, schemas.REFUNDING),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    body=schemas.RefundRequestSchema,
    body_examples=example("begun", "With billing's reference", {"billing_ref": schemas.SETTLEMENT["billing_ref"]})
    | example("without", "Without one", {}),
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused", "customer-erased"),
)
def begin_refund(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Begin a refund

    Call this before you pay. From then on nobody can revoke the cancellation, so it cannot be paid and revoked at the
    same time. The refund has one holder, named by `billing_ref`: the same request again gets 200, any other 409, whose
    detail names the holder. Use the same `billing_ref` as the payment provider's idempotency key; a worker that starts
    again first asks the provider whether it has paid. Then settle the cancellation; if the refund fails, end it.
    Records the refund with its holder, and the event `cancellation.refund_begun`.
    """
    return reply(cancellation_data(settlements.begin_refund(uow, cancellation_id, body.get("billing_ref"))))


@tag.operation(
    "DELETE /v1/cancellations/<string:cancellation_id>/refund",
    Answer("The cancellation, which waits for a refund again.", schemas.CancellationSchema, schemas.EXAMPLE),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    query=schemas.EndRefundQuerySchema,
    problems=("not-found", "cancellation-state-conflict"),
)
def end_refund(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """End a refund that failed

    Call this only if it is certain that nothing was paid. The cancellation is `issued` again, and can be refunded anew
    or revoked. If no refund has begun, nothing changes. Records the event `cancellation.refund_failed` with the reason;
    the cancellation no longer shows the refund.
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

    Call it after you have paid. Begin the refund first, then pay, then settle: a cancellation that is settled without a
    begun refund can be revoked while it is being paid. Sending the same settlement again changes nothing; a different
    one, or one with another `billing_ref` than the begun refund, is a conflict. Records the settlement and the event
    `cancellation.settled`. If the customer was erased, `billing_ref` is not stored: the response has `[erased]` for it.
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

    Use it for a refund that failed after it was settled, or a settlement that was recorded in error. If there is no
    settlement, nothing changes. Records the event `cancellation.unsettled` with the reason; the cancellation no longer
    shows the settlement or the refund.
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

    Use it when the customer keeps the order, or the cancellation was entered in error. Possible until billing begins to
    refund or settles it. After the revocation, the order can be cancelled again. With only the scope
    `cancellations:issue`, callers can revoke what they issued themselves within the last 15 minutes. Records the
    revocation and the event `cancellation.revoked`. The order's requests are open again or, with `customer_kept_order`,
    resolved, each with the event `contact.resolved`. If the customer was erased, `reason` is not stored: the response
    has `[erased]` for it.
    """
    revoked = settlements.revoke(uow, cancellation_id, body["reason_code"], body.get("reason"))
    return reply(cancellation_data(revoked))
