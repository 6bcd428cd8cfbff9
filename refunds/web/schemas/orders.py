"""Schemas of orders and customers."""

from refunds.domain.contact_points import Channel
from refunds.domain.standings import OrderState
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, ListOf, Reference, Text, Unread, Whole
from refunds.schemas.orders import InlineOrderSchema, OrderFactsSchema
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.service.orders import Registration
from refunds.web.schemas import shown
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CUSTOMER, AN_ORDER, example, shared
from refunds.web.schemas.problems import ProblemSchema
from refunds.web.schemas.request_fields import (
    MOST,
    PAGE,
    After,
    Limit,
    ListQuerySchema,
    SortOrder,
    backwards,
)

JUDGED = ("unknown-region", "calendar-not-covered", "no-policy-in-force", "payment-data-refused", "customer-erased")
"""The problems of any operation that judges facts, and may store what is personal."""


class OrderRequestSchema(OrderFactsSchema):
    """An order to register, complete or correct."""

    correction_reason = FreeText(
        500, "Why the registered facts were wrong. Required for a correction, with `If-Match`."
    )


class OrderPromiseSchema(shown.Schema):
    """The window that an order was told; it never ends earlier than that, whatever changes later."""

    service_day = shown.Date("The local date on which the service was provided. It never counts.", "2026-04-02")
    length = shown.Integer("How many business days the window has.", 2)
    last_day = shown.Date("The last day on which a request is in time.", "2026-04-08")
    deadline = shown.Instant("The first instant that is too late, in UTC.", "2026-04-08T22:00:00Z")
    deadline_local = shown.Instant("The same instant in the policy's time zone.", "2026-04-09T00:00:00+02:00")
    time_zone = shown.String("The policy's time zone.", "Europe/Berlin")
    provisional = shown.Boolean(
        "Whether the holiday data does not have all decrees on holidays and working weekends of the window yet: it may "
        "still end later."
    )
    promised_at = shown.Instant("When the order was told this window.", "2026-04-02T14:20:03.118205Z")


class OrderSchema(shown.Schema):
    """An order as it is registered, what it was promised, and what has become of it."""

    order_id = shown.String("The billing system's id of the order.", AN_ORDER)
    customer_id = shown.String("The customer, by the service's own opaque id.", A_CUSTOMER)
    customer_ref = shown.String("Billing's reference for the customer; null if hidden.", "K-20391", allow_none=True)
    policy = shown.String("The policy that applies to it.", "virtual-numbers")
    region = shown.String("The customer's place, if given.", "DE-BY", allow_none=True)
    ordered_at = shown.Instant("When the order was placed, if given.", "2026-04-02T13:58:00Z", allow_none=True)
    service_provided_at = shown.Instant(
        "When the service was provided; null: not yet.", "2026-04-02T14:20:00Z", allow_none=True
    )
    state = shown.Code(
        OrderState,
        "By the active cancellation `cancelled`, `refunding` or `settled`; without one, `requested` if a request to "
        "cancel is open; else `elapsed` if the promised window has ended, and `open` if not or if there is none.",
        "open",
    )
    promise = shown.Nested(
        OrderPromiseSchema,
        "Null: no date of service is on record, or the window is beyond the calendar.",
        OrderPromiseSchema.example(),
        allow_none=True,
    )
    registered_at = shown.Instant("When it was registered, by the service's own clock.", "2026-04-02T14:20:03.118205Z")
    asserted_by = shown.String("Who last stated these facts.", A_CLIENT)
    revision = shown.Integer("The number of this state of the order, from 1.", 1)
    correction_reason = shown.String("Why it was last corrected, if given and not hidden.", allow_none=True)
    facts_entered_by_agent = shown.Boolean(
        "Whether somebody without the scope `orders:correct` has stated the facts, and billing has not stated the same "
        "since."
    )
    facts_corrected_after_refusal = shown.Boolean("Whether the facts were corrected after a request was refused.")


OrderListSchema = shown.page_of(OrderSchema)
_BY_IT = "The list is then sorted by the deadline, then by the order's id."


class OrderQuerySchema(ListQuerySchema):
    """The filters of a list of orders."""

    policy = PolicyId("Only orders to which this policy applies.")
    region = Text(40, "Only orders that were registered with this region.")
    registered_from = Instant("Only orders registered at this instant or later.")
    registered_to = Instant("Only orders registered before this instant.")
    without_service_date = FlagText(
        "`true`: only orders without a date of provision on record. `false`: only the others."
    )
    facts_entered_by_agent = FlagText(
        "`true`: only orders whose facts an agent has stated and billing has not. `false`: only the others."
    )
    state = Choice(OrderState, "Only orders in this state.")
    deadline_from = Instant(f"Only promised deadlines at this instant or later. {_BY_IT}")
    deadline_to = Instant(f"Only promised deadlines before this instant. {_BY_IT}")
    order = SortOrder()
    after = After()
    limit = Limit()

    contradictions = (backwards("registered_from", "registered_to"), backwards("deadline_from", "deadline_to"))


MOST_ORDERS = 1_000
"""The most orders in one batch."""


class OrderBatchSchema(StrictSchema):
    """Orders to register."""

    items = ListOf(Unread(InlineOrderSchema), MOST_ORDERS, "The orders, in order.", required=True)


class ImportedOrderSchema(shown.Schema):
    """An order of a batch that is registered."""

    status = shown.Integer("201 if the order is new, otherwise 200.")
    order_id = shown.String("The billing system's id of the order.")
    outcome = shown.Code(
        Registration, "What the item did: it `registered` the order, `completed` its facts, or left it `unchanged`."
    )


class OrderBatchResultSchema(shown.Schema):
    """The results of a batch in the order of its items, each an outcome or a problem."""

    items = shown.ListOf(
        shown.Either("OrderBatchItem", ImportedOrderSchema, ProblemSchema),
        "An outcome has `outcome`; a problem has `type`.",
    )


class LookupRequestSchema(StrictSchema):
    """The customer to look up."""

    customer_ref = Reference(200, "Billing's reference for the customer.", required=True)
    after = After()
    limit = Whole(1, MOST, f"How many orders at most. Default {PAGE}.")


class CustomerSchema(shown.Schema):
    """A customer and their orders."""

    customer_id = shown.String("The customer's opaque id; null: the customer is not known.", allow_none=True)
    items = shown.ListOf(OrderSchema)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class EligibilityQuerySchema(QuerySchema):
    """When and how the customer asks."""

    requested_at = Instant("When the customer asked. Default: now.")
    channel = Choice(Channel, "How the customer asked. If it is left out, the channel is not checked.")


class InformationPeriodSchema(shown.Schema):
    """The 14 calendar days after the order in which the law lets most consumers withdraw: for information only."""

    last_day = shown.Date(
        "The last of them or, if that is a Saturday, a Sunday or a public holiday of the region, the next working day."
    )
    has_ended = shown.Boolean("Whether that day is over.")
    text = shown.String("The same as a sentence in the reader's language, marked as information.")


class OrderDecisionSchema(DecisionSchema):
    """The decision on an order, and what may be of use beside it."""

    information_period = shown.Nested(
        InformationPeriodSchema,
        "Null: it is not known when the order was placed, or its days are beyond the data.",
        allow_none=True,
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
