"""Simulations over HTTP: what a draft of a policy would change."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.contact_points import Channel
from refunds.documents import simulation as documents
from refunds.eligibility import Reason
from refunds.service import simulation
from refunds.service.work import Work
from refunds.web import shown
from refunds.web.api import reader_language, reply
from refunds.web.api.contacts import CONTACT
from refunds.web.api.orders import ORDER
from refunds.web.api.policies import POLICY_ID_HELP
from refunds.web.api.publication import DRAFT, MOST_BYTES, DifferenceSchema, DraftSchema, draft_of
from refunds.web.openapi import Answer, Transacted, operation

blueprint = Blueprint("Simulations", __name__, description="What a draft of a policy would change.")

_CONTACTS = "How many contacts were judged."
_TO_ELIGIBLE = "How many would become refundable."
_TO_REFUSED = "How many would be refused."


class SimulatedOrdersSchema(ma.Schema):
    """What becomes of the orders."""

    judged = shown.Integer("How many have a window.")
    longer = shown.Integer("How many of the windows would be longer.")
    shorter = shown.Integer("How many would be shorter.")
    not_provided = shown.Integer("How many have no window, as their service is not yet provided.")
    to_eligible = shown.Integer("How many have a contact that would become refundable.")
    to_refused = shown.Integer("How many have a contact that would be refused.")


class SimulatedContactsSchema(ma.Schema):
    """What becomes of the contacts."""

    judged = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedChannelSchema(ma.Schema):
    """What becomes of the contacts by one channel."""

    channel = shown.Code(Channel, "How the customers asked.")
    contacts = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedGroupSchema(ma.Schema):
    """What becomes of some orders, and of the contacts about them."""

    orders = shown.Integer("How many orders have a window.")
    longer = shown.Integer("How many of the windows would be longer.")
    shorter = shown.Integer("How many would be shorter.")
    contacts = shown.Integer(_CONTACTS)
    to_eligible = shown.Integer(_TO_ELIGIBLE)
    to_refused = shown.Integer(_TO_REFUSED)


class SimulatedMonthSchema(SimulatedGroupSchema):
    """Those of one month."""

    month = shown.String("In which the service was provided; if it was not yet, in which the customer asked.")


class SimulatedRegionSchema(SimulatedGroupSchema):
    """Those of one region."""

    region = shown.String("The order's region, else the policy's.")


class SimulatedExampleSchema(ma.Schema):
    """A contact that would be decided otherwise."""

    order_id = shown.String("The order.")
    contact_id = shown.String("The contact.")
    channel = shown.Code(Channel, "How the customer asked.")
    region = shown.String("The region whose holidays count.")
    requested_at = shown.Instant("When the customer asked.")
    reason_before = shown.Code(Reason, "What was decided.")
    reason_after = shown.Code(Reason, "What would be decided.")
    deadline_before = shown.Instant("The deadline that it had; null: none.", allow_none=True)
    deadline_after = shown.Instant("The deadline that it would have; null: none.", allow_none=True)


class SimulatedExamplesSchema(ma.Schema):
    """Some of the contacts that would be decided otherwise."""

    to_eligible = ma.fields.List(ma.fields.Nested(SimulatedExampleSchema), required=True)
    to_refused = ma.fields.List(ma.fields.Nested(SimulatedExampleSchema), required=True)


class SimulationSchema(ma.Schema):
    """What a draft would change."""

    policy = shown.String("The policy.")
    version = shown.Integer("The number of the draft.")
    compared_with = shown.Integer("The version in force now.")
    differences = ma.fields.List(ma.fields.Nested(DifferenceSchema), required=True)
    orders = ma.fields.Nested(SimulatedOrdersSchema, required=True)
    contacts = ma.fields.Nested(SimulatedContactsSchema, required=True)
    by_month = ma.fields.List(ma.fields.Nested(SimulatedMonthSchema), required=True)
    by_channel = ma.fields.List(ma.fields.Nested(SimulatedChannelSchema), required=True)
    by_region = ma.fields.List(ma.fields.Nested(SimulatedRegionSchema), required=True)
    examples = ma.fields.Nested(SimulatedExamplesSchema, required=True)
    undecided = ma.fields.Dict(
        keys=ma.fields.String(),
        values=ma.fields.Integer(),
        required=True,
        metadata={"description": "How many orders and contacts the draft cannot judge, by the code of the problem."},
    )


_GROUP = {"orders": 412, "longer": 412, "shorter": 0, "contacts": 57, "to_eligible": 6, "to_refused": 0}
_COUNTED = {name: _GROUP[name] for name in ("contacts", "to_eligible", "to_refused")}
SIMULATED = {
    "longer": {
        "summary": "Three days instead of two",
        "value": {
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
            "undecided": {},
        },
    }
}


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/simulations",
    Answer("What the draft would change.", SimulationSchema, SIMULATED),
    scopes=(Scope.POLICIES_SIMULATE,),
    work=Transacted.READ,
    method="POST",
    body=DraftSchema,
    body_examples={"draft": {"summary": "Three days from New Year on", "value": DRAFT}},
    most_bytes=MOST_BYTES,
    path={"policy_id": POLICY_ID_HELP},
    problems=("not-found", "unknown-region", "payment-data-refused"),
)
def simulate_policy(work: Work, policy_id: str, body: dict[str, Any]) -> Response:
    """Simulate a version of a policy

    Judges every stored order and contact of the policy by the draft, on the same facts, beside what was decided: how
    many would be decided otherwise, and which way. Nothing is stored. A million orders take seconds; `flask policy
    simulate` does the same without keeping a request open.
    """
    found = simulation.simulate(work, draft_of(policy_id, body))
    return reply(documents.data(found, reader_language()))
