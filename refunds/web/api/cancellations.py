"""Cancellations over HTTP: issue, read, list, settle, and revoke."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.errors import Flaw, InvalidInput
from refunds.fields import Choice, FlagText, FreeText, Nested, StrictSchema, Text, checked
from refunds.records import (
    Basis,
    OverrideKind,
    RevocationReason,
    State,
    heard,
    spoken,
)
from refunds.service import cancellations
from refunds.service.cancellations import Issued, Override, Refused, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.service.work import Work
from refunds.web import shown, telemetry
from refunds.web.api import reader_language, reply
from refunds.web.api.contacts import CALL, CONTACT, InlineContactSchema
from refunds.web.api.eligibility import DECISION, DecisionSchema
from refunds.web.api.orders import FACTS, JUDGED, InlineOrderSchema
from refunds.web.asked import PAGE, After, Limit, OrderId, RecordId
from refunds.web.cursors import page, place
from refunds.web.openapi import Answer, ProblemSchema, Transacted, operation
from refunds.web.problems import problem_answer, problem_data
from refunds.wording import decision_data, reason_text
from refunds.wording.records import cancellation_data

blueprint = Blueprint("Cancellations", __name__, description="Orders that are cancelled, for billing to refund.")


class OverrideSchema(StrictSchema):
    """What a supervisor puts in the place of a refusal."""

    kind = Choice(
        OverrideKind,
        required=True,
        metadata={
            "description": "`goodwill`: cancelled though the policy does not ask for it. `contact_point_accepted`: the "
            "number or address that the customer used counts as official."
        },
    )
    reason = FreeText(500, required=True, metadata={"description": "Why. Personal: stored encrypted."})


class NewCancellationSchema(StrictSchema):
    """A cancellation that is asked for, on an order and a contact: exactly one of each pair of fields."""

    order_id = OrderId()
    order = Nested(InlineOrderSchema, metadata={"description": "Or the order's facts, to be registered with it."})
    contact_id = RecordId("con", "The contact that asks for it, if it is recorded already.")
    contact = Nested(InlineContactSchema, metadata={"description": "Or the contact, to be recorded with it."})
    override = Nested(OverrideSchema, metadata={"description": "Needs the scope `cancellations:override`."})


class CancellationOverrideSchema(ma.Schema):
    """What a supervisor put in the place of a refusal."""

    kind = shown.Code(OverrideKind, "What.")
    reason = shown.String("Why; null for whom it is not.", allow_none=True)
    by = shown.String("Who.")


class CancellationSettlementSchema(ma.Schema):
    """That billing has refunded."""

    settled_at = shown.Instant("When it refunded.")
    settled_by = shown.String("Who said so.")
    billing_ref = shown.String("Billing's reference; null for whom it is not.", allow_none=True)


class CancellationRevocationSchema(ma.Schema):
    """That the cancellation was taken back."""

    reason_code = shown.Code(RevocationReason, "Why.")
    reason = shown.String("Why, in words, if given and not hidden.", allow_none=True)
    revoked_at = shown.Instant("When.")
    revoked_by = shown.String("By whom.")


def _part(schema: type[ma.Schema], description: str) -> ma.fields.Nested:
    return ma.fields.Nested(schema, required=True, allow_none=True, metadata={"description": description})


class CancellationSchema(ma.Schema):
    """The cancellation of an order, on which billing refunds."""

    cancellation_id = shown.String("The cancellation.")
    reference = shown.String("What the customer is told: ten digits, the last of which checks the others.")
    order_id = shown.String("The order.")
    contact_id = shown.String("The contact that asked for it.")
    state = shown.Code(State, "`issued`, then `settled` by billing, or `revoked`.")
    basis = shown.Code(Basis, "On what it rests.")
    issued_at = shown.Instant("When it was issued, by the service's own clock.")
    issued_by = shown.String("By whom.")
    refund_due_by = shown.Date("The last day on which billing means to refund: an internal target.")
    override = _part(CancellationOverrideSchema, "Null: none was needed.")
    settlement = _part(CancellationSettlementSchema, "Null: not settled.")
    revocation = _part(CancellationRevocationSchema, "Null: not revoked.")
    decision = ma.fields.Nested(DecisionSchema, required=True)


class CancellationListSchema(ma.Schema):
    """A page of cancellations."""

    items = ma.fields.List(ma.fields.Nested(CancellationSchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class ActiveCancellationSchema(ma.Schema):
    """The cancellation that an order already has."""

    cancellation_id = shown.String("The cancellation.")
    reference = shown.String("What the customer is told.")


class RefusalSchema(ProblemSchema):
    """A problem; of a refusal, with the contact that was recorded and the decision on it."""

    contact_id = shown.String("The contact that asked, which is on record.", required=False)
    decision = ma.fields.Nested(DecisionSchema)
    cancellation = ma.fields.Nested(ActiveCancellationSchema)


class Reference(Text):
    """A reference as it was heard."""

    def __init__(self) -> None:
        text = "What the customer was told, with or without dashes."
        super().__init__(20, metadata={"description": text})

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(checked(heard, super()._deserialize(value, *args, **kwargs)))


class CancellationQuerySchema(StrictSchema):
    """Which cancellations are asked for."""

    order_id = OrderId()
    reference = Reference()
    state = Choice(State, metadata={"description": "Only those in this state."})
    overdue = FlagText(
        metadata={"description": "`true`: only those that should have been settled by now, the longest due first."}
    )
    after = After()
    limit = Limit()


CANCELLATION = {
    "cancellation_id": "can_01KAN3Y7P1V5Q4T8Z2B6C9D1EF",
    "reference": "314-092-6534",
    "order_id": "A-1001",
    "contact_id": CONTACT["contact_id"],
    "state": "issued",
    "basis": "policy",
    "issued_at": "2026-04-08T21:07:41.920318Z",
    "issued_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "refund_due_by": "2026-04-22",
    "override": None,
    "settlement": None,
    "revocation": None,
    "decision": DECISION,
}
EXAMPLE = {"issued": {"summary": "Issued", "value": CANCELLATION}}
CANCELLATION_ID_HELP = {"cancellation_id": "The cancellation."}
LINKS = {
    name: {"operationId": operation_id, "parameters": {"cancellation_id": "$response.body#/cancellation_id"}}
    for name, operation_id in (
        ("cancellation", "getCancellation"),
        ("settle", "settleCancellation"),
        ("revoke", "revokeCancellation"),
    )
}


@operation(
    blueprint,
    "/v1/cancellations",
    Answer("The order is cancelled.", CancellationSchema, EXAMPLE, links=LINKS, status=201),
    scopes=(Scope.CANCELLATIONS_ISSUE,),
    work=Transacted.ONCE,
    method="POST",
    body=NewCancellationSchema,
    body_examples={
        "inline": {
            "summary": "An order and a call, both told now",
            "value": {"order": {"order_id": "A-1001"} | FACTS, "contact": CALL},
        },
        "stored": {
            "summary": "A registered order, a recorded contact",
            "value": {"order_id": "A-1001", "contact_id": CONTACT["contact_id"]},
        },
        "goodwill": {
            "summary": "A supervisor's goodwill",
            "value": {
                "order_id": "A-1001",
                "contact_id": CONTACT["contact_id"],
                "override": {"kind": "goodwill", "reason": "Our line was down all afternoon."},
            },
        },
    },
    refusal=RefusalSchema,
    problems=(
        *JUDGED,
        "evidence-required",
        "not-found",
        "not-refundable",
        "order-already-cancelled",
        "order-facts-conflict",
        "order-frozen",
        "contact-state-conflict",
    ),
)
def issue_cancellation(work: Work, body: dict[str, Any]) -> Response:
    """Cancel an order

    Decided anew, on the order's present facts and the contact's own times. Where it is refused, a contact that is told
    now is recorded all the same, and the problem says where; a supervisor may pass its id with an override later. An
    order has one cancellation at most.
    """
    outcome = cancellations.issue(work, _request(body))
    language = reader_language()
    if isinstance(outcome, Issued):
        issued = outcome.cancellation
        data = cancellation_data(issued, language)
        telemetry.count_decisions([data["decision"]["reason"]])
        return reply(data, status=201, location=f"/v1/cancellations/{issued.cancellation_id}")
    return _refusal(outcome, language)


@operation(
    blueprint,
    "/v1/cancellations/<string:cancellation_id>",
    Answer("The cancellation.", CancellationSchema, EXAMPLE, etag=True),
    scopes=(Scope.CANCELLATIONS_READ,),
    work=Transacted.READ,
    path=CANCELLATION_ID_HELP,
    problems=("not-found",),
)
def get_cancellation(work: Work, cancellation_id: str) -> Response:
    """Get a cancellation

    With the decision on which it was issued, and what has become of it.
    """
    return reply(cancellation_data(cancellations.get(work, cancellation_id), reader_language()), etag=True)


@operation(
    blueprint,
    "/v1/cancellations",
    Answer(
        "A page of cancellations, in the order in which they were issued.",
        CancellationListSchema,
        {"issued": {"summary": "One cancellation", "value": {"items": [CANCELLATION], "next": None}}},
    ),
    scopes=(Scope.CANCELLATIONS_READ,),
    work=Transacted.READ,
    query=CancellationQuerySchema,
    problems=("invalid-cursor",),
)
def list_cancellations(work: Work, query: dict[str, Any]) -> Response:
    """List cancellations

    Of an order; by the reference that the customer reads out; by state; those that billing should have settled.
    """
    given, limit = query.pop("after", None), query.pop("limit", PAGE)
    due, after = place(work, "cancellations", query, given, [0, ""])
    found = cancellations.listed(
        work,
        after=(due, after),
        limit=limit + 1,
        order_id=query.get("order_id"),
        reference=query.get("reference"),
        state=query.get("state"),
        overdue=query.get("overdue", False),
    )
    items, following = page(work, "cancellations", query, found, limit=limit, place_of=cancellations.place_of)
    language = reader_language()
    return reply({"items": [cancellation_data(each, language) for each in items], "next": following})


def _request(body: dict[str, Any]) -> Request:
    for one, other in (("order_id", "order"), ("contact_id", "contact")):
        if (one in body) == (other in body):
            raise InvalidInput([Flaw(f"/{one}", f"give either {one} or {other}", "one_of_two")])
    return Request(
        order=OrderFacts(**body["order"]) if "order" in body else body["order_id"],
        contact=NewContact(**body["contact"]) if "contact" in body else body["contact_id"],
        override=Override(**body["override"]) if "override" in body else None,
    )


def _refusal(refused: Refused, language: str) -> Response:
    """Why the order was not cancelled, with the contact that is on record."""
    outcome, active = refused.decision.outcome, refused.active
    telemetry.count_decisions([outcome.reason])
    data = problem_data("order-already-cancelled" if active else "not-refundable", reason_text(outcome, language))
    data |= {"contact_id": refused.contact.contact_id, "decision": decision_data(outcome, language)}
    if active:
        data["cancellation"] = {
            "cancellation_id": active.cancellation_id,
            "reference": spoken(active.reference),
        }
    return problem_answer(data)
