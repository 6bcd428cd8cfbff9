"""Schemas of simulations."""

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Reason
from refunds.web.schemas import response_fields
from refunds.web.schemas.contacts import CONTACT
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.policies import DifferenceSchema

_CONTACTS = "How many contacts were judged."


_TO_ELIGIBLE = "How many contacts would change from refused to eligible."


_TO_REFUSED = "How many contacts would change from eligible to refused."


class SimulatedOrdersSchema(response_fields.ResponseSchema):
    """The effect on orders."""

    judged = response_fields.Integer("How many have a window.")
    longer = response_fields.Integer("How many of the windows would be longer.")
    shorter = response_fields.Integer("How many would be shorter.")
    not_provided = response_fields.Integer("How many have no window yet, because their service is not provided.")
    to_eligible = response_fields.Integer("How many have a contact that would change from refused to eligible.")
    to_refused = response_fields.Integer("How many have a contact that would change from eligible to refused.")


class SimulatedContactsSchema(response_fields.ResponseSchema):
    """The effect on contacts."""

    judged = response_fields.Integer(_CONTACTS)
    to_eligible = response_fields.Integer(_TO_ELIGIBLE)
    to_refused = response_fields.Integer(_TO_REFUSED)


class SimulatedChannelSchema(response_fields.ResponseSchema):
    """The effect on the contacts by one channel."""

    channel = response_fields.Code(Channel, "How the customers asked.")
    contacts = response_fields.Integer(_CONTACTS)
    to_eligible = response_fields.Integer(_TO_ELIGIBLE)
    to_refused = response_fields.Integer(_TO_REFUSED)


class SimulatedGroupSchema(response_fields.ResponseSchema):
    """The effect on a group of orders and the contacts about them."""

    orders = response_fields.Integer("How many orders have a window.")
    longer = response_fields.Integer("How many of the windows would be longer.")
    shorter = response_fields.Integer("How many would be shorter.")
    contacts = response_fields.Integer(_CONTACTS)
    to_eligible = response_fields.Integer(_TO_ELIGIBLE)
    to_refused = response_fields.Integer(_TO_REFUSED)


class SimulatedMonthSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one month."""

    month = response_fields.String("The month of the service day; if there is none yet, of the contact.")


class SimulatedRegionSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one region."""

    region = response_fields.String("The order's region or, if it has none, the policy's.")


class SimulatedExampleSchema(response_fields.ResponseSchema):
    """A contact whose decision would change."""

    order_id = response_fields.String("The order.")
    contact_id = response_fields.String("The contact.")
    channel = response_fields.Code(Channel, "How the customer asked.")
    region = response_fields.String("The region whose holidays count.")
    requested_at = response_fields.Instant("When the customer asked.")
    reason_before = response_fields.Code(Reason, "What was decided.")
    reason_after = response_fields.Code(Reason, "What would be decided.")
    deadline_before = response_fields.Instant("The deadline that it had; null: none.", allow_none=True)
    deadline_after = response_fields.Instant("The deadline that it would have; null: none.", allow_none=True)


class SimulatedExamplesSchema(response_fields.ResponseSchema):
    """Some of the contacts whose decision would change."""

    to_eligible = ma.fields.List(ma.fields.Nested(SimulatedExampleSchema), required=True)
    to_refused = ma.fields.List(ma.fields.Nested(SimulatedExampleSchema), required=True)


class SimulationSchema(response_fields.ResponseSchema):
    """What a draft would change.

    For those who may not read orders every number is rounded down to tens, and there are no regions and no examples.
    """

    policy = response_fields.String("The policy.")
    version = response_fields.Integer("The number of the draft.")
    compared_with = response_fields.Integer("The version in force now; if none is yet, the first to take effect.")
    differences = ma.fields.List(ma.fields.Nested(DifferenceSchema), required=True)
    orders = ma.fields.Nested(SimulatedOrdersSchema, required=True)
    contacts = ma.fields.Nested(SimulatedContactsSchema, required=True)
    by_month = ma.fields.List(ma.fields.Nested(SimulatedMonthSchema), required=True)
    by_channel = ma.fields.List(ma.fields.Nested(SimulatedChannelSchema), required=True)
    by_region = ma.fields.List(ma.fields.Nested(SimulatedRegionSchema), required=True)
    examples = ma.fields.Nested(SimulatedExamplesSchema, required=True)
    coarse = response_fields.Boolean(
        "Whether every number is rounded down to tens, and regions and examples are left out."
    )
    undecided = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Integer(metadata={"format": "int32"}),
        required=True,
        metadata={"description": "How many orders and contacts cannot be judged, by the code of the problem."},
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
