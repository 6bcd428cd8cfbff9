"""What becomes of a cancellation, over HTTP: billing settles it, or it is revoked."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.fields import Choice, FreeText, Instant, Line, StrictSchema
from refunds.records import RevocationReason, UnsettleReason
from refunds.service import cancellations
from refunds.service.work import Work
from refunds.web.api import reader_language, reply
from refunds.web.api.cancellations import (
    CANCELLATION,
    CANCELLATION_ID_HELP,
    EXAMPLE,
    CancellationSchema,
)
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording.records import cancellation_data

blueprint = Blueprint("Settlements", __name__, description="What becomes of a cancellation: refunded, or taken back.")


class SettlementSchema(StrictSchema):
    """That billing has refunded."""

    settled_at = Instant(metadata={"description": "When it refunded. Default: now."})
    billing_ref = Line(
        100, required=True, metadata={"description": "Billing's reference of the refund. Personal: stored encrypted."}
    )


class UnsettleQuerySchema(StrictSchema):
    """Why a settlement is undone."""

    reason_code = Choice(UnsettleReason, required=True, metadata={"description": "Why."})


class RevocationSchema(StrictSchema):
    """Why a cancellation is taken back."""

    reason_code = Choice(
        RevocationReason,
        required=True,
        metadata={
            "description": "`entered_in_error`: the customer's request stays open. `customer_withdrew`: it is resolved."
        },
    )
    reason = FreeText(500, allow_none=True, metadata={"description": "In words. Personal: stored encrypted."})


SETTLEMENT = {
    "settled_at": "2026-04-10T08:00:00Z",
    "settled_by": CANCELLATION["issued_by"],
    "billing_ref": "RF-2026-0412",
}
REVOCATION = {
    "reason_code": "customer_withdrew",
    "reason": None,
    "revoked_at": "2026-04-08T21:15:02.771930Z",
    "revoked_by": CANCELLATION["issued_by"],
}
SETTLED = {"settled": {"summary": "Settled", "value": CANCELLATION | {"state": "settled", "settlement": SETTLEMENT}}}
REVOKED = {"revoked": {"summary": "Revoked", "value": CANCELLATION | {"state": "revoked", "revocation": REVOCATION}}}


@operation(
    blueprint,
    "/v1/cancellations/<string:cancellation_id>/settlement",
    Answer("The cancellation, settled.", CancellationSchema, SETTLED),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    work=Transacted.WRITE,
    method="PUT",
    body=SettlementSchema,
    body_examples={
        "settled": {
            "summary": "Refunded this morning",
            "value": {"settled_at": SETTLEMENT["settled_at"], "billing_ref": SETTLEMENT["billing_ref"]},
        }
    },
    path=CANCELLATION_ID_HELP,
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused"),
)
def settle_cancellation(work: Work, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Settle a cancellation

    Billing has refunded. The same settlement again changes nothing; another one is a conflict.
    """
    settled = cancellations.settle(work, cancellation_id, body.get("settled_at"), body["billing_ref"])
    return reply(cancellation_data(settled, reader_language()))


@operation(
    blueprint,
    "/v1/cancellations/<string:cancellation_id>/settlement",
    Answer("The cancellation, not settled.", CancellationSchema, EXAMPLE),
    scopes=(Scope.CANCELLATIONS_SETTLE,),
    work=Transacted.WRITE,
    method="DELETE",
    query=UnsettleQuerySchema,
    path=CANCELLATION_ID_HELP,
    problems=("not-found", "cancellation-state-conflict"),
)
def unsettle_cancellation(work: Work, cancellation_id: str, query: dict[str, Any]) -> Response:
    """Undo a settlement

    The refund failed, or was noted in error. Where there is none, nothing changes.
    """
    issued = cancellations.unsettle(work, cancellation_id, query["reason_code"])
    return reply(cancellation_data(issued, reader_language()))


@operation(
    blueprint,
    "/v1/cancellations/<string:cancellation_id>/revocation",
    Answer("The cancellation, revoked.", CancellationSchema, REVOKED),
    scopes=(Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE),
    work=Transacted.WRITE,
    method="PUT",
    body=RevocationSchema,
    body_examples={"revoked": {"summary": "A customer who stays", "value": {"reason_code": "customer_withdrew"}}},
    path=CANCELLATION_ID_HELP,
    problems=("not-found", "cancellation-state-conflict", "payment-data-refused"),
)
def revoke_cancellation(work: Work, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Revoke a cancellation

    Until it is settled; the order may then be cancelled anew. With the scope `cancellations:issue` alone, only those
    that the caller issued within the last 15 minutes.
    """
    revoked = cancellations.revoke(work, cancellation_id, body["reason_code"], body.get("reason"))
    return reply(cancellation_data(revoked, reader_language()))
