"""Schemas of simulations."""

from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Reason
from refunds.web.schemas import shown
from refunds.web.schemas.contacts import CONTACT
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.policies import DifferenceSchema

_CONTACTS = "How many contacts were judged."


_TO_ELIGIBLE = "How many contacts would change from refused to eligible."


_TO_REFUSED = "How many contacts would change from eligible to refused."


class SimulatedOrdersSchema(shown.Schema):
    """The effect on orders."""

    judged = shown.Integer("How many have a window.")
    longer = shown.Integer("How many of the windows would be longer.")
    shorter = shown.Integer("How many would be shorter.")
    not_provided = shown.Integer("How many have no window yet, because their service is not provided.")
    to_eligible = shown.Integer("How many have a contact that would change from refused to eligible.")
    to_refused = shown.Integer("How many have a contact that would change from eligible to refused.")


class SimulatedContactsSchema(shown.Schema):
    """The effect on contacts."""

    judged = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedChannelSchema(shown.Schema):
    """The effect on the contacts by one channel."""

    channel = shown.Code(Channel, "How the customers asked.")
    contacts = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedGroupSchema(shown.Schema):
    """The effect on a group of orders and the contacts about them."""

    orders = shown.Integer("How many orders have a window.")
    longer = shown.Integer("How many of the windows would be longer.")
    shorter = shown.Integer("How many would be shorter.")
    contacts = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedMonthSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one month."""

    month = shown.String("The month of the service day; if there is none yet, of the contact.")


class SimulatedRegionSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one region."""

    region = shown.String("The order's region or, if it has none, the policy's.")


class SimulatedExampleSchema(shown.Schema):
    """A contact whose decision would change."""

    order_id = shown.String("The order.")
    contact_id = shown.String("The contact.")
    channel = shown.Code(Channel, "How the customer asked.")
    region = shown.String("The region whose holidays count.")
    requested_at = shown.Instant("When the customer asked.")
    reason_before = shown.Code(Reason, "What was decided.")
    reason_after = shown.Code(Reason, "What would be decided.")
    deadline_before = shown.Instant("The deadline that it had; null: none.", allow_none=True)
    deadline_after = shown.Instant("The deadline that it would have; null: none.", allow_none=True)


class SimulatedExamplesSchema(shown.Schema):
    """Some of the contacts whose decision would change."""

    to_eligible = shown.ListOf(SimulatedExampleSchema)
    to_refused = shown.ListOf(SimulatedExampleSchema)


class SimulationSchema(shown.Schema):
    """What a draft would change.

    For those who may not read orders every number is rounded down to tens, and there are no regions and no examples.
    """

    policy = shown.String("The policy.")
    version = shown.Integer("The number of the draft.")
    compared_with = shown.Integer("The version in force now; if none is yet, the first to take effect.")
    differences = shown.ListOf(DifferenceSchema)
    orders = shown.Nested(SimulatedOrdersSchema)
    contacts = shown.Nested(SimulatedContactsSchema)
    by_month = shown.ListOf(SimulatedMonthSchema)
    by_channel = shown.ListOf(SimulatedChannelSchema)
    by_region = shown.ListOf(SimulatedRegionSchema)
    examples = shown.Nested(SimulatedExamplesSchema)
    coarse = shown.Boolean("Whether every number is rounded down to tens, and regions and examples are left out.")
    undecided = shown.Dict(
        "How many orders and contacts cannot be judged, by the code of the problem.",
        values=shown.Integer(),
    )


_GROUP = {"orders": 412, "longer": 412, "shorter": 0, "contacts": 57, "to_eligible": 6, "to_refused": 0}


_COUNTED = {name: _GROUP[name] for name in ("contacts", "to_eligible", "to_refused")}


SIMULATED = example(
    "longer",
    "Three days instead of two",
    {
        "policy": "virtual-numbers",
        "version": 2,
        "compared_with": 1,
        "differences": [{"term": "window_business_days", "text": "Window: 3 business days (was: 2 business days)"}],
        "orders": {
            "judged": 412,
            "longer": 412,
            "shorter": 0,
            "not_provided": 3,
            "to_eligible": 6,
            "to_refused": 0,
        },
        "contacts": {"judged": 57, "to_eligible": 6, "to_refused": 0},
        "by_month": [_GROUP | {"month": "2026-04"}],
        "by_channel": [_COUNTED | {"channel": "phone"}],
        "by_region": [_GROUP | {"region": "DE-BY"}],
        "examples": {
            "to_eligible": [
                {
                    "order_id": ORDER["order_id"],
                    "contact_id": CONTACT["contact_id"],
                    "channel": "phone",
                    "region": "DE-BY",
                    "requested_at": "2026-04-09T08:12:00Z",
                    "reason_before": "window_elapsed",
                    "reason_after": "within_window",
                    "deadline_before": "2026-04-08T22:00:00Z",
                    "deadline_after": "2026-04-09T22:00:00Z",
                }
            ],
            "to_refused": [],
        },
        "coarse": False,
        "undecided": {},
    },
)
