"""Schemas of cancellations, settlements and revocations."""

from collections.abc import Mapping
from typing import Any

from refunds.domain.records import (
    REVOCABLE_FOR,
    UNSETTLED,
    Basis,
    OverrideKind,
    RefundEndReason,
    RevocationReason,
    State,
    UnsettleReason,
)
from refunds.domain.references import parse_reference
from refunds.errors import Message
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, LocalDate, Nested, Reference, Text
from refunds.schemas.orders import InlineOrderSchema, OrderId
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import shown
from refunds.web.schemas.contacts import InlineContactSchema
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, AN_ORDER, example, shared
from refunds.web.schemas.problems import ProblemSchema
from refunds.web.schemas.request_fields import (
    After,
    Contradiction,
    Limit,
    ListOrder,
    ListQuerySchema,
    RecordId,
    SortOrder,
    Spoken,
    backwards,
)


class OverrideRequestSchema(StrictSchema):
    """A supervisor's override of a refusal."""

    kind = Choice(
        OverrideKind,
        "`goodwill`: cancel although the policy does not require it. `statutory`: cancel because of a withdrawal, or "
        "of a request that is one by law; while a withdrawal is open, nothing is goodwill. `contact_point_accepted`: "
        "accept as official the number or address that the customer used. `deadline_accepted`: accept that the request "
        "was in time, where the calendar is unknown or the customer was told a later end before a correction.",
        required=True,
    )
    reason = FreeText(500, "Why. Personal: stored encrypted.", required=True)


class CancellationRequestSchema(StrictSchema):
    """A new cancellation for an order and a contact, each given by exactly one of its two fields."""

    order_id = OrderId()
    order = Nested(
        InlineOrderSchema, "The order's facts, to register it at the same time; send this instead of `order_id`."
    )
    contact_id = RecordId("con", "A recorded contact that asks for the cancellation.")
    contact = Nested(
        InlineContactSchema, "The contact, to record it at the same time; send this instead of `contact_id`."
    )
    override = Nested(OverrideRequestSchema, "Needs the scope `cancellations:override`.")


class CancellationOverrideSchema(shown.Schema):
    """The override with which a supervisor replaced a refusal."""

    kind = shown.Code(OverrideKind, "Which override.")
    reason = shown.String("Why; null if hidden.", allow_none=True)
    approved_by = shown.String("Who approved it.")


class CancellationRefundSchema(shown.Schema):
    """The refund that billing has begun, after which nobody can revoke the cancellation."""

    begun_at = shown.Instant("When billing began it.", "2026-04-10T07:59:58Z")
    begun_by = shown.String("Who recorded that.", A_CLIENT)
    billing_ref = shown.String(
        "Billing's reference for the refund, by which it is held; null if there is none or it is hidden.",
        "RF-2026-0412",
        allow_none=True,
    )


class CancellationSettlementSchema(shown.Schema):
    """The settlement of a cancellation: billing has refunded."""

    settled_at = shown.Instant("When billing refunded.", "2026-04-10T08:00:00Z")
    settled_by = shown.String("Who recorded it.", A_CLIENT)
    billing_ref = shown.String("Billing's reference for the refund; null if hidden.", "RF-2026-0412", allow_none=True)


class CancellationRevocationSchema(shown.Schema):
    """The revocation of a cancellation."""

    reason_code = shown.Code(RevocationReason, "Why.", "customer_kept_order")
    reason = shown.String("Why, in words, if given and not hidden.", allow_none=True)
    revoked_at = shown.Instant("When it was revoked.", "2026-04-08T21:15:02.771930Z")
    revoked_by = shown.String("Who revoked it.", A_CLIENT)


class CancellationSchema(shown.Schema):
    """The cancellation of an order, which billing refunds."""

    cancellation_id = shown.String("The cancellation.", "can_01KAN3Y7P1V5Q4T8Z2B6C9D1EF")
    reference = shown.String("The ten digits to read out to the customer; the last is a check digit.", "314-092-6534")
    order_id = shown.String("The order.", AN_ORDER)
    contact_id = shown.String("The contact that asked for it.", A_CONTACT)
    state = shown.Code(
        State, "`issued`; `refunding` once billing has begun to refund; then `settled`. Or `revoked`.", "issued"
    )
    basis = shown.Code(Basis, "Whether it was issued under the policy, as goodwill, or by law.", "policy")
    issued_at = shown.Instant("When it was issued, by the service's own clock.", "2026-04-08T21:07:41.920318Z")
    issued_by = shown.String("Who issued it.", A_CLIENT)
    refund_due_by = shown.Date(
        "The day by which billing intends to refund: an internal target. With the basis `statutory`, the day by which "
        "it has to: 14 days after receipt.",
        "2026-04-22",
    )
    override = shown.Nested(CancellationOverrideSchema, "Null: none was needed.", allow_none=True)
    refund = shown.Nested(CancellationRefundSchema, "Null: not begun, or not recorded.", allow_none=True)
    settlement = shown.Nested(CancellationSettlementSchema, "Null: not settled.", allow_none=True)
    revocation = shown.Nested(CancellationRevocationSchema, "Null: not revoked.", allow_none=True)
    decision = shown.Nested(DecisionSchema)


CancellationListSchema = shown.page_of(CancellationSchema)


class ActiveCancellationSchema(shown.Schema):
    """The cancellation that an order already has."""

    cancellation_id = shown.String("The cancellation.")
    reference = shown.String("Its reference, as read out to the customer.")


class RefusalSchema(ProblemSchema):
    """A problem; a refusal also has the recorded contact, the decision, and the cancellation that the order has."""

    contact_id = shown.String("The contact that asked for the cancellation. It is on record.", required=False)
    decision = shown.Nested(DecisionSchema, required=False)
    cancellation = shown.Nested(ActiveCancellationSchema, required=False)


def _asks_for_settled(query: Mapping[str, Any]) -> bool:
    return not query.keys().isdisjoint(("settled_from", "settled_to"))


class CancellationQuerySchema(ListQuerySchema):
    """The filters of a list of cancellations."""

    order_id = OrderId()
    reference = Spoken("reference", parse_reference)
    state = Choice(State, "Only those in this state.")
    basis = Choice(Basis, "Only those on this basis.")
    policy = PolicyId("Only those that were decided by this policy.")
    issued_by = Text(64, "Only those that this client or user issued, by the opaque id.")
    issued_from = Instant("Only those issued at this instant or later.")
    issued_to = Instant("Only those issued before this instant.")
    due_from = LocalDate("Only those whose refund is due on this date or later.")
    due_to = LocalDate("Only those whose refund is due on this date or before.")
    settled_from = Instant("Only those refunded at this instant or later.")
    settled_to = Instant("Only those refunded before this instant.")
    overdue = FlagText("`true`: only those that should have been settled by now, the longest overdue first.")
    order = SortOrder()
    after = After()
    limit = Limit()

    contradictions = (
        backwards("issued_from", "issued_to"),
        backwards("settled_from", "settled_to"),
        backwards("due_from", "due_to"),
        Contradiction(
            lambda query: bool(query.get("overdue")) and query.get("order") is ListOrder.NEWEST,
            "order",
            Message("leave it out with overdue=true, which lists the longest overdue first"),
        ),
        Contradiction(
            lambda query: bool(query.get("overdue")) and query.get("state", State.ISSUED) not in UNSETTLED,
            "state",
            Message("must be issued or refunding with overdue=true: the others need no refund"),
        ),
        Contradiction(
            lambda query: bool(query.get("overdue")) and _asks_for_settled(query),
            "overdue",
            Message("leave it out with settled_from or settled_to: what is settled is not overdue"),
        ),
        Contradiction(
            lambda query: _asks_for_settled(query) and query.get("state", State.SETTLED) is not State.SETTLED,
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


class RefundRequestSchema(StrictSchema):
    """The beginning of a refund."""

    billing_ref = Reference(
        100,
        "Billing's reference for the refund, which holds it: only a request with the same reference gets 200. Left "
        "out: the client that begins it holds it. Personal: stored encrypted.",
    )


class EndRefundQuerySchema(QuerySchema):
    """The reason for ending a refund without a settlement."""

    reason_code = Choice(RefundEndReason, "Why.", required=True)


class SettlementRequestSchema(StrictSchema):
    """A new settlement: billing has refunded."""

    settled_at = Instant("When billing refunded. Default: now.")
    billing_ref = Reference(100, "Billing's reference for the refund. Personal: stored encrypted.", required=True)


class UnsettleQuerySchema(QuerySchema):
    """The reason for undoing a settlement."""

    reason_code = Choice(UnsettleReason, "Why.", required=True)


class RevocationRequestSchema(StrictSchema):
    """The reason for revoking a cancellation."""

    reason_code = Choice(
        REVOCABLE_FOR,
        "`entered_in_error`: the order's requests are open again. `customer_kept_order`: they are resolved.",
        required=True,
    )
    reason = FreeText(500, "Why, in words. Personal: stored encrypted.", allow_none=True)


SETTLEMENT = CancellationSettlementSchema.example()
REVOCATION = CancellationRevocationSchema.example()
REFUND = CancellationRefundSchema.example()
REFUNDING = shared(example("refunding", "Refund begun", CANCELLATION | {"state": "refunding", "refund": REFUND}))
SETTLED = shared(example("settled", "Settled", CANCELLATION | {"state": "settled", "settlement": SETTLEMENT}))
REVOKED = shared(example("revoked", "Revoked", CANCELLATION | {"state": "revoked", "revocation": REVOCATION}))
