"""Schemas of cancellations, settlements and revocations."""

from collections.abc import Mapping
from typing import Any

from refunds.domain import records
from refunds.domain.references import REFERENCE
from refunds.errors import Message
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, LocalDate, Nested, Text
from refunds.schemas.orders import InlineOrderSchema, OrderId
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import StrictSchema
from refunds.web.schemas import request_fields, shown
from refunds.web.schemas.contacts import InlineContactSchema
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, AN_ORDER, example, shared


class OverrideRequestSchema(StrictSchema):
    """A supervisor's override of a refusal."""

    kind = Choice(
        records.OverrideKind,
        "`goodwill`: cancel although the policy does not require it; not possible while a withdrawal is open. "
        "`statutory`: cancel because of a withdrawal, or because of a request that is a withdrawal by law. "
        "`contact_point_accepted`: accept as official the number or address that the customer used. "
        "`deadline_accepted`: accept that the request was in time, because the calendar is unknown, or because the "
        "customer was told a later end before a correction.",
        required=True,
    )
    reason = FreeText(500, "Why the refusal is overridden. Personal: stored encrypted.", required=True)


class CancellationRequestSchema(StrictSchema):
    """A cancellation to issue. Name or send exactly one order, and exactly one contact."""

    order_id = OrderId()
    order = Nested(
        InlineOrderSchema, "The facts of an order to register and cancel in one step. Send either this or `order_id`."
    )
    contact_id = request_fields.RecordId("con", "The id of a recorded contact that asks for the cancellation.")
    contact = Nested(
        InlineContactSchema, "A contact to record, and to cancel on, in one step. Send either this or `contact_id`."
    )
    override = Nested(
        OverrideRequestSchema,
        "A supervisor's override, in case the decision is a refusal. It needs the scope `cancellations:override`.",
    )


class CancellationOverrideSchema(shown.Schema):
    """The override with which a supervisor replaced a refusal."""

    kind = shown.Code(records.OverrideKind, "The kind of override.")
    reason = shown.StringOrNull("Why the refusal was overridden; null if hidden.")
    approved_by = shown.String("Who approved the override.")


class CancellationRefundSchema(shown.Schema):
    """The refund that billing has begun. From then on, nobody can revoke the cancellation."""

    begun_at = shown.Instant("When the refund was begun.", "2026-04-10T07:59:58Z")
    begun_by = shown.String("Who began the refund.", A_CLIENT)
    billing_ref = shown.StringOrNull(
        "Billing's reference for the refund, which names its holder; null if there is none, or if it is hidden.",
        "RF-2026-0412",
    )


class CancellationSettlementSchema(shown.Schema):
    """The settlement: the record that billing has refunded."""

    settled_at = shown.Instant("When billing refunded.", "2026-04-10T08:00:00Z")
    settled_by = shown.String("Who recorded the settlement.", A_CLIENT)
    billing_ref = shown.StringOrNull("Billing's reference for the refund; null if hidden.", "RF-2026-0412")


class CancellationRevocationSchema(shown.Schema):
    """The revocation of a cancellation."""

    reason_code = shown.Code(records.RevocationReason, "Why the cancellation was revoked.", "customer_kept_order")
    reason = shown.StringOrNull("Why the cancellation was revoked, in words; null if not given or hidden.")
    revoked_at = shown.Instant("When the cancellation was revoked.", "2026-04-08T21:15:02.771930Z")
    revoked_by = shown.String("Who revoked the cancellation.", A_CLIENT)


class CancellationSchema(shown.Schema):
    """The cancellation of an order, which tells billing to refund it."""

    cancellation_id = shown.String("The id of the cancellation.", "can_01KAN3Y7P1V5Q4T8Z2B6C9D1EF")
    reference = shown.String("The ten digits to read out to the customer; the last is a check digit.", "314-092-6534")
    order_id = shown.String("The id of the order.", AN_ORDER)
    contact_id = shown.String("The id of the contact on which the cancellation was issued.", A_CONTACT)
    state = shown.Code(
        records.State,
        "`issued`: the order is to be refunded. `refunding`: billing has begun the refund. `settled`: billing has "
        "refunded. `revoked`: the cancellation was taken back.",
        "issued",
    )
    basis = shown.Code(
        records.Basis, "What the cancellation rests on: the policy, goodwill, or a statutory withdrawal.", "policy"
    )
    issued_at = shown.Instant(
        "When the cancellation was issued, by the service's clock.", "2026-04-08T21:07:41.920318Z"
    )
    issued_by = shown.String("Who issued the cancellation.", A_CLIENT)
    refund_due_by = shown.Date(
        "The day by which billing intends to refund, which is an internal target. With the basis `statutory`, the "
        "day by which billing has to refund: 14 days after receipt.",
        "2026-04-22",
    )
    override = shown.NestedOrNull(
        CancellationOverrideSchema, "The override with which the cancellation was issued; null: no override was needed."
    )
    refund = shown.NestedOrNull(CancellationRefundSchema, "The begun refund; null: no refund is begun.")
    settlement = shown.NestedOrNull(
        CancellationSettlementSchema, "The settlement; null: the cancellation is not settled."
    )
    revocation = shown.NestedOrNull(
        CancellationRevocationSchema, "The revocation; null: the cancellation is not revoked."
    )
    decision = shown.Nested(DecisionSchema)


CancellationListSchema = shown.page_of(CancellationSchema)


class ActiveCancellationSchema(shown.Schema):
    """The order's active cancellation."""

    cancellation_id = shown.String("The id of the cancellation.")
    reference = shown.String("The reference to read out to the customer.")


class RefusalSchema(shown.ProblemSchema):
    """A problem. A refusal also has the recorded contact, the decision, and the order's active cancellation."""

    contact_id = shown.String("The id of the recorded contact that asked for the cancellation.", required=False)
    decision = shown.Nested(DecisionSchema, required=False)
    cancellation = shown.Nested(ActiveCancellationSchema, required=False)


def _asks_for_settled(query: Mapping[str, Any]) -> bool:
    """Tell whether a query has a filter that only settled cancellations fit."""
    return not query.keys().isdisjoint(("settled_from", "settled_to"))


class CancellationQuerySchema(request_fields.ListQuerySchema):
    """The filters of a list of cancellations."""

    order_id = OrderId()
    reference = request_fields.spoken("reference", REFERENCE.parse)
    state = Choice(records.State, "Only cancellations in this state.")
    basis = Choice(records.Basis, "Only cancellations on this basis.")
    policy = PolicyId("Only cancellations that were decided by this policy.")
    issued_by = Text(64, "Only cancellations that the client or user with this id issued.")
    issued_from = Instant("Only cancellations issued at this instant or later.")
    issued_to = Instant("Only cancellations issued before this instant.")
    due_from = LocalDate("Only cancellations whose refund is due on this date or later.")
    due_to = LocalDate("Only cancellations whose refund is due on this date or earlier.")
    settled_from = Instant("Only cancellations refunded at this instant or later.")
    settled_to = Instant("Only cancellations refunded before this instant.")
    overdue = FlagText(
        "`true`: only overdue cancellations, which should have been settled by now; the longest overdue comes first."
    )
    order, after, limit = request_fields.ORDER, request_fields.AFTER, request_fields.LIMIT

    contradictions = (
        *map(request_fields.backwards, ("issued", "settled", "due")),
        request_fields.Contradiction(
            lambda query: query.get("overdue") and query.get("order") is request_fields.ListOrder.NEWEST,
            "order",
            Message("leave it out with overdue=true, which lists the longest overdue first"),
        ),
        request_fields.Contradiction(
            lambda query: query.get("overdue") and query.get("state", records.State.ISSUED) not in records.UNSETTLED,
            "state",
            Message("must be issued or refunding with overdue=true: the others need no refund"),
        ),
        request_fields.Contradiction(
            lambda query: query.get("overdue") and _asks_for_settled(query),
            "overdue",
            Message("leave it out with settled_from or settled_to: what is settled is not overdue"),
        ),
        request_fields.Contradiction(
            lambda query: (
                _asks_for_settled(query) and query.get("state", records.State.SETTLED) is not records.State.SETTLED
            ),
            "state",
            Message("must be settled, or left out, with settled_from or settled_to"),
        ),
    )


CANCELLATION = CancellationSchema.example()
EXAMPLE = shared(example("issued", "Issued", CANCELLATION))
LISTED = shared(example("cancellations", "One cancellation", {"items": [CANCELLATION], "next": None}))

LINKS = shown.links(
    "cancellation_id",
    cancellation="getCancellation",
    refund="beginRefund",
    settle="settleCancellation",
    revoke="revokeCancellation",
)


class RevocationRequestSchema(StrictSchema):
    """The reason for revoking a cancellation."""

    reason_code = Choice(
        records.REVOCABLE_FOR,
        "Why the cancellation is revoked. `entered_in_error`: the order's requests become open again. "
        "`customer_kept_order`: its withdrawals become open again; its other requests are resolved.",
        required=True,
    )
    reason = FreeText(500, "Why the cancellation is revoked, in words. Personal: stored encrypted.")


SETTLEMENT = CancellationSettlementSchema.example()
REVOCATION = CancellationRevocationSchema.example()
REFUND = CancellationRefundSchema.example()
REFUNDING = shared(example("refunding", "Refund begun", CANCELLATION | {"state": "refunding", "refund": REFUND}))
SETTLED = shared(example("settled", "Settled", CANCELLATION | {"state": "settled", "settlement": SETTLEMENT}))
REVOKED = shared(example("revoked", "Revoked", CANCELLATION | {"state": "revoked", "revocation": REVOCATION}))
