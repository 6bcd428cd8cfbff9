"""Schemas of simulations."""

from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Reason
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CONTACT, AN_ORDER, example
from refunds.web.schemas.policies import DifferenceSchema

_CONTACTS = shown.Integer("How many contacts were judged.", 57)
_FLIPS = (
    shown.Integer("How many contacts would change from refused to eligible.", 6),
    shown.Integer("How many contacts would change from eligible to refused.", 0),
)
_WINDOWS = (
    shown.Integer("How many orders have a window.", 412),
    shown.Integer("How many of the windows would become longer.", 412),
    shown.Integer("How many of the windows would become shorter.", 0),
)


class SimulatedOrdersSchema(shown.Schema):
    """The effect on orders."""

    judged, longer, shorter = _WINDOWS
    not_provided = shown.Integer("How many orders have no window yet, because their service is not provided.", 3)
    to_eligible = shown.Integer("How many orders have a contact that would change from refused to eligible.", 6)
    to_refused = shown.Integer("How many orders have a contact that would change from eligible to refused.", 0)


class SimulatedContactsSchema(shown.Schema):
    """The effect on contacts."""

    judged, (to_eligible, to_refused) = _CONTACTS, _FLIPS


class SimulatedChannelSchema(shown.Schema):
    """The effect on the contacts through one channel."""

    channel = shown.Code(Channel, "How the customers made contact.", "phone")
    contacts, (to_eligible, to_refused) = _CONTACTS, _FLIPS


class SimulatedGroupSchema(shown.Schema):
    """The effect on a group of orders, and on the contacts about them."""

    orders, longer, shorter = _WINDOWS
    contacts, (to_eligible, to_refused) = _CONTACTS, _FLIPS


class SimulatedMonthSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one month."""

    month = shown.String("The month of the service day or, if there is none yet, of the contact.", "2026-04")


class SimulatedRegionSchema(SimulatedGroupSchema):
    """The effect on the orders and contacts of one region."""

    region = shown.String("The order's region or, if the order has no region, the policy's.", "DE-BY")


class SimulatedExampleSchema(shown.Schema):
    """A contact whose decision would change."""

    order_id = shown.String("The id of the order.", AN_ORDER)
    contact_id = shown.String("The id of the contact.", A_CONTACT)
    channel = shown.Code(Channel, "How the customer made contact.", "phone")
    region = shown.String("The region whose holidays count.", "DE-BY")
    requested_at = shown.Instant("When the customer asked.", "2026-04-09T08:12:00Z")
    reason_before = shown.Code(Reason, "The reason of the decision on record.", "window_elapsed")
    reason_after = shown.Code(Reason, "The reason of the decision by the draft.", "within_window")
    deadline_before = shown.InstantOrNull("The deadline in the decision on record; null: none.", "2026-04-08T22:00:00Z")
    deadline_after = shown.InstantOrNull("The deadline by the draft; null: none.", "2026-04-09T22:00:00Z")


class SimulatedExamplesSchema(shown.Schema):
    """Some of the contacts whose decision would change."""

    to_eligible = shown.ListOf(SimulatedExampleSchema)
    to_refused = shown.ListOf(SimulatedExampleSchema)


class SimulationSchema(shown.Schema):
    """What a draft would change.

    For callers who may not read orders, every number is rounded down to tens, and there are no regions and no examples.
    """

    policy = shown.String("The id of the policy.", "virtual-numbers")
    version = shown.Integer("The number of the draft.", 2)
    compared_with = shown.Integer(
        "The number of the version in force now or, if none is in force yet, of the first to take effect.", 1
    )
    differences = shown.ListOf(DifferenceSchema)
    orders = shown.Nested(SimulatedOrdersSchema)
    contacts = shown.Nested(SimulatedContactsSchema)
    by_month = shown.ListOf(SimulatedMonthSchema)
    by_channel = shown.ListOf(SimulatedChannelSchema)
    by_region = shown.ListOf(SimulatedRegionSchema)
    examples = shown.Nested(SimulatedExamplesSchema)
    coarse = shown.Boolean(
        "Whether the simulation is coarse: every number is rounded down to tens, and there are no regions and no "
        "examples."
    )
    undecided = shown.Dict(
        "How many orders and contacts cannot be judged, by the code of the problem.", values=shown.Integer()
    )


SIMULATED = example(
    "longer",
    "Three days instead of two",
    SimulationSchema.example(
        differences=[DifferenceSchema.example()],
        by_month=[SimulatedMonthSchema.example()],
        by_channel=[SimulatedChannelSchema.example("contacts", "to_eligible", "to_refused")],
        by_region=[SimulatedRegionSchema.example()],
        examples=SimulatedExamplesSchema.example(to_eligible=[SimulatedExampleSchema.example()]),
    ),
)
