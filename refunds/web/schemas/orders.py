"""Schemas of orders and customers."""

from refunds.domain.standings import OrderState
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Text
from refunds.schemas.orders import OrderFactsSchema
from refunds.schemas.policy import PolicyId
from refunds.service.orders import Registration
from refunds.web.schemas import request_fields, shown
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CUSTOMER, AN_ORDER, example, shared

JUDGED = ("unknown-region", "calendar-not-covered", "no-policy-in-force", "payment-data-refused", "customer-erased")
"""The problems of every operation that judges facts and may store personal data."""


class OrderRequestSchema(OrderFactsSchema):
    """An order to register, complete or correct."""

    correction_reason = FreeText(
        500, "Why the registered facts were wrong. A correction needs it, together with `If-Match`."
    )


class OrderPromiseSchema(shown.Schema):
    """The promise of an order: the window that it was told. Its deadline never becomes earlier."""

    service_day = shown.Date("The local date on which the service was provided. It never counts.", "2026-04-02")
    length = shown.Integer("How many business days the window has.", 2)
    last_day = shown.Date("The last day on which a request is in time.", "2026-04-08")
    deadline = shown.Instant("The first instant that is too late, in UTC.", "2026-04-08T22:00:00Z")
    deadline_local = shown.Instant("The deadline in the policy's time zone.", "2026-04-09T00:00:00+02:00")
    time_zone = shown.String("The policy's time zone.", "Europe/Berlin")
    provisional = shown.Boolean(
        "Whether the window is provisional: the holiday data does not yet have all decrees on its holidays and "
        "working weekends, so the window may still end later."
    )
    promised_at = shown.Instant("When the promise was made.", "2026-04-02T14:20:03.118205Z")


class OrderSchema(shown.Schema):
    """An order with its registered facts, its promise and its state."""

    order_id = shown.String("The billing system's id of the order.", AN_ORDER)
    customer_id = shown.String("The id that the service gave the customer.", A_CUSTOMER)
    customer_ref = shown.StringOrNull("Billing's reference for the customer; null if hidden.", "K-20391")
    policy = shown.String("The id of the policy that applies to the order.", "virtual-numbers")
    region = shown.StringOrNull("The customer's place, such as `DE` or `DE-BY`; null if it was not given.", "DE-BY")
    ordered_at = shown.InstantOrNull("When the order was placed; null if that was not given.", "2026-04-02T13:58:00Z")
    service_provided_at = shown.InstantOrNull(
        "When the service was provided; null if no date is on record.", "2026-04-02T14:20:00Z"
    )
    state = shown.Code(
        OrderState,
        "The state. With an active cancellation: `cancelled`, `refunding` or `settled`. Otherwise `requested` if a "
        "request or withdrawal is open; else `elapsed` if the promised window has ended; else `open`.",
        "open",
    )
    promise = shown.NestedOrNull(
        OrderPromiseSchema,
        "The current promise; null: no time of service is on record, or the window is beyond the holiday data.",
        OrderPromiseSchema.example(),
    )
    registered_at = shown.Instant(
        "When the order was registered, by the service's clock.", "2026-04-02T14:20:03.118205Z"
    )
    asserted_by = shown.String("Who last stated these facts.", A_CLIENT)
    revision = shown.Integer("The number of this state of the order's facts, from 1.", 1)
    correction_reason = shown.StringOrNull("Why the order was last corrected; null if not given or hidden.")
    facts_entered_by_agent = shown.Boolean(
        "Whether somebody without the scope `orders:correct` has stated the facts, and nobody with that scope has "
        "stated the same facts since."
    )
    facts_corrected_after_refusal = shown.Boolean("Whether the facts were corrected after a request was refused.")


OrderListSchema = shown.page_of(OrderSchema)
_BY_IT = "This sorts the list by the deadline, then by the order's id."


class OrderQuerySchema(request_fields.ListQuerySchema):
    """The filters of a list of orders."""

    policy = PolicyId("Only orders to which this policy applies.")
    region = Text(40, "Only orders with this registered region.")
    registered_from = Instant("Only orders registered at this instant or later.")
    registered_to = Instant("Only orders registered before this instant.")
    without_service_date = FlagText(
        "`true`: only orders without a time of service on record. `false`: only the others."
    )
    facts_entered_by_agent = FlagText(
        "`true`: only orders that are marked with `facts_entered_by_agent`. `false`: only the others."
    )
    state = Choice(OrderState, "Only orders in this state.")
    deadline_from = Instant(f"Only orders whose promised deadline is at this instant or later. {_BY_IT}")
    deadline_to = Instant(f"Only orders whose promised deadline is before this instant. {_BY_IT}")
    order, after, limit = request_fields.ORDER, request_fields.AFTER, request_fields.LIMIT

    contradictions = tuple(map(request_fields.backwards, ("registered", "deadline")))


class ImportedOrderSchema(shown.Schema):
    """The result for an order of a batch that is registered."""

    status = shown.Integer("The HTTP status that the order would have got alone: 201 if it is new, else 200.")
    order_id = shown.String("The billing system's id of the order.")
    outcome = shown.Code(
        Registration, "What the item did: it `registered` the order, `completed` its facts, or left it `unchanged`."
    )


class OrderBatchResultSchema(shown.Schema):
    """The results of a batch in the order of its items, each an outcome or a problem."""

    items = shown.ListOf(
        shown.Either("OrderBatchItem", ImportedOrderSchema, shown.ProblemSchema),
        "The result for each item, in order. An outcome has `outcome`; a problem has `type`.",
    )


class CustomerSchema(shown.Schema):
    """A customer and their orders."""

    customer_id = shown.StringOrNull("The id that the service gave the customer; null: the customer is not known.")
    items = shown.ListOf(OrderSchema)
    next = shown.NEXT


class InformationPeriodSchema(shown.Schema):
    """The 14 days after the order in which most consumers may withdraw by law: for information only."""

    last_day = shown.Date(
        "The last day of the period or, if that is a Saturday, a Sunday or a public holiday of the region, the next "
        "working day."
    )
    has_ended = shown.Boolean("Whether the last day is over.")
    text = shown.String("The period as a sentence in the reader's language, marked as information.")


class OrderDecisionSchema(DecisionSchema):
    """The decision on an order, with the information period."""

    information_period = shown.NestedOrNull(
        InformationPeriodSchema,
        "The information period; null: it is not known when the order was placed, or the period is beyond the "
        "holiday data.",
    )


FACTS = {
    "customer_ref": "K-20391",
    "ordered_at": "2026-04-02T15:58:00+02:00",
    "service_provided_at": "2026-04-02T16:20:00+02:00",
    "region": "DE-BY",
}

PERIOD = {
    "last_day": "2026-04-16",
    "has_ended": False,
    "text": "For information only: 14 calendar days after the order end at the end of Thursday, 16 April 2026 (Berlin "
    "time). Whether there is a statutory right of withdrawal was not assessed.",
}

ORDER = OrderSchema.example()
IMPORTED = {"status": 201, "order_id": ORDER["order_id"], "outcome": "registered"}
EXAMPLE = shared(example("order", "An order from Bavaria", ORDER))
LINKS = shown.links("order_id", order="getOrder", eligibility="getOrderEligibility", contact="recordContact")
