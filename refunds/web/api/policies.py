"""Policies over HTTP: the policies, their versions and closures, publication and simulation."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from refunds.domain.contact_points import Channel
from refunds.domain.instants import format_instant, format_known
from refunds.domain.outcomes import Reason
from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion
from refunds.domain.terms import Terms
from refunds.presentation import serializers
from refunds.presentation.serializers import attributes, closure_data, registered_data
from refunds.presentation.texts.policies import closure_text, differences_data, warnings_data
from refunds.schemas.fields import FlagText, LocalDate, Nested
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import schema_of
from refunds.service import publication, simulation, watch
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Tag, Transaction, answer, created, parameters, problems, takes
from refunds.web.responses import present_policies, reply
from refunds.web.schemas import policies as schemas
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CONTACT, AN_ORDER, example

tag = Tag("Policies", "The terms by which orders are judged, in versions.")


@tag.operation("GET /v1/policies", Scope.POLICIES_READ)
@answer(
    "The policies, by id.",
    schemas.PolicyListSchema,
    example("packaged", "The packaged policy alone", {"items": [schemas.POLICY], "next": None}),
    etag=True,
)
def list_policies() -> Response:
    """List the policies

    Returns each policy with its versions and their dates. Use it to see which policies there are, and which of them is
    the default.
    """
    policies = present_policies()
    return reply(
        {"items": [_policy_data(policy_id) for policy_id in policies], "next": None}, etag=True, cacheable=True
    )


@tag.operation("GET /v1/policies/<string:policy_id>", Scope.POLICIES_READ)
@answer(
    "The policy.",
    schemas.PolicySchema,
    example("packaged", "The packaged policy", schemas.POLICY),
    etag=True,
    links=schemas.VERSION_LINK,
)
def get_policy(policy_id: str) -> Response:
    """Get a policy

    Returns a policy, its versions, the time from which each is in force, and the time of the policy's last update. Use
    it to see which version is in force.
    """
    return reply(_policy_data(policy_id), etag=True, cacheable=True)


@tag.operation("GET /v1/policies/<string:policy_id>/versions/<number:version>", Scope.POLICIES_READ)
@answer("The version.", schemas.PolicyVersionSchema, schemas.VERSION_EXAMPLE, etag=True)
def get_policy_version(policy_id: str, version: int) -> Response:
    """Get a version of a policy

    Returns every term of a version, including those that have their defaults, and the clause as customers read it. Use
    it to read the version that a decision names.
    """
    return reply(registered_data(present_policies().record(policy_id, version)), etag=True, cacheable=True)


@tag.operation("GET /v1/policies/<string:policy_id>/closures", Scope.POLICIES_READ)
@answer(
    "The closures, by date.",
    schemas.ClosureListSchema,
    example("one", "A staff outing", {"items": [schemas.CLOSURE], "next": None}),
)
def list_closures(uow: UnitOfWork, policy_id: str) -> Response:
    """List the closures of a policy

    Returns the closures that were entered in addition to those in the terms of its versions. Use it to see on which
    other dates the vendor is closed.
    """
    items = [closure_data(closure) for closure in publication.closures(uow, policy_id)]
    return reply({"items": items, "next": None})


def _policy_data(policy_id: str) -> dict[str, Any]:
    """Return a policy as the API shows it, its versions without their terms; raise `NotFound` if there is none."""
    records = present_policies().records(policy_id)
    updated = format_instant(records[-1].registered_at)
    for record in records:
        begun = record.effective_from is None or record.effective_from <= datetime.now(UTC)
        if begun and record.withdrawn_at is None:
            known = record.terms["page_published_at"] or format_known(record.effective_from)
            updated = known or format_instant(record.registered_at)
    return {
        "id": policy_id,
        "last_updated": updated,
        "default": policy_id == present_policies().default,
        "versions": [
            attributes(record, "version", "effective_from", "registered_at", "withdrawn_at", "content_hash")
            | {"page_published_at": record.terms["page_published_at"]}
            for record in records
        ],
    }


publication_tag = Tag("Publication", "How policies change. Existing decisions never change.")


@publication_tag.operation(
    "POST /v1/policies/<string:policy_id>/versions",
    Scope.POLICIES_WRITE,
    transaction=Transaction.WRITE,
    then=watch.extend,
    most_bytes=schemas.MOST_BYTES,
)
@parameters(dry_run=FlagText("`true`: show what would be published, and publish nothing. Default: `false`."))
@answer(
    "The version that would be published, or that is registered already.",
    schemas.PublishedVersionSchema,
    schemas.PUBLISHED,
)
@created("The version is published.", schemas.PublishedVersionSchema, schemas.PUBLISHED, links=schemas.VERSION_LINKS)
@takes(schemas.DraftSchema, example("draft", "Three days from New Year on", schemas.DRAFT))
@problems("policy-version-conflict", "effective-too-early", "unknown-region", "payment-data-refused")
def publish_policy_version(uow: UnitOfWork, policy_id: str, body: dict[str, Any], query: dict[str, Any]) -> Response:
    """Publish a version of a policy

    Publishes a version, which replaces the previous version completely: a term that you leave out gets its default. Use
    it after you have simulated the same draft. The version applies only from the time at which it takes effect; earlier
    decisions do not change. Version 1 begins a new policy. Sending the same version again changes nothing, so a retry
    is safe. If the clause differs from the terms, `warnings` says so, but the version is published.

    Records the version and the event `policy.published`. Also records `order.promised` for each order whose window
    becomes longer because of it. With `dry_run`, nothing is recorded. The response always shows the differences from
    the version before, in words.
    """
    draft = draft_of(policy_id, body)
    result = publication.publish(uow, draft, dry_run=query.get("dry_run", False))
    location = f"/v1/policies/{policy_id}/versions/{draft.version}" if result.created else None
    data = registered_data(result.record) | {
        "follows": result.follows.version if result.follows else None,
        "differences": differences_data(result.differences, result.record.terms["time_zone"]),
        "warnings": warnings_data(result.version.terms),
    }
    return reply(data, status=201 if result.created else 200, location=location)


@publication_tag.operation(
    "PUT /v1/policies/<string:policy_id>/versions/<number:version>/withdrawal", Scope.POLICIES_WRITE, then=watch.extend
)
@answer("The withdrawn version.", schemas.PolicyVersionSchema, schemas.WITHDRAWN)
@problems("policy-version-conflict")
def withdraw_policy_version(uow: UnitOfWork, policy_id: str, version: int) -> Response:
    """Withdraw a version of a policy

    Withdraws a version that has not yet taken effect. Use it when a version must not take effect. The version before it
    then stays in force. The number of a withdrawn version is not used again. Withdrawing it again changes nothing.
    Records the withdrawal and the event `policy.withdrawn`. Also records `order.promised` for each order whose window
    becomes longer because of it.
    """
    return reply(registered_data(publication.withdraw(uow, policy_id, version)))


@publication_tag.operation(
    "POST /v1/policies/<string:policy_id>/closures",
    Scope.POLICIES_WRITE,
    transaction=Transaction.WRITE,
    then=watch.extend,
)
@answer("The closure that was entered already.", schemas.EnteredClosureSchema, schemas.CLOSURE_EXAMPLE)
@created("The closure is entered.", schemas.EnteredClosureSchema, schemas.CLOSURE_EXAMPLE)
@takes(
    "ClosureRequest",
    example("closed", "A staff outing", {"date": "2026-07-10"}),
    date=LocalDate("The date on which the vendor is closed; at most five years away.", required=True),
    reason=Nested(
        schemas.ClosureReasonRequestSchema, "Why the vendor is closed, for the vendor's staff. Stored encrypted."
    ),
)
@problems("not-found", "payment-data-refused")
def add_closure(uow: UnitOfWork, policy_id: str, body: dict[str, Any]) -> Response:
    """Enter a closure

    Enters a date on which the vendor is closed, in addition to those in the policy's terms. Use it when the vendor
    closes on a business day. The closure extends each window that contains the date and has not ended yet; it shortens
    none. It cannot be undone. Entering the same date again changes nothing. Records the closure and the event
    `closure.added`. Also records `order.promised` for each order whose window the closure extends.
    """
    reason = body.get("reason", {})
    entered = publication.close(uow, policy_id, body["date"], reason.get("de"), reason.get("en"))
    effect_text = closure_text(body["date"], entered.notices, new=entered.created)
    effect = {"notices": entered.notices, "effect_text": effect_text}
    location = f"/v1/policies/{policy_id}/closures" if entered.created else None
    return reply(closure_data(entered.closure) | effect, status=201 if entered.created else 200, location=location)


def draft_of(policy_id: str, body: dict[str, Any]) -> PolicyVersion:
    """Return the version in a body that `DraftSchema` has read; raise `InvalidInput` if the policy id is malformed."""
    policy = _policy_id.read({"policy": policy_id})["policy"]
    return PolicyVersion(policy, body["version"], body["effective_from"], Terms(**body["terms"]))


_policy_id = schema_of(policy=PolicyId("The policy."))


simulations_tag = Tag("Simulations", "What a draft of a policy would change.")


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
    differences = shown.ListOf(schemas.DifferenceSchema)
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
        differences=[schemas.DifferenceSchema.example()],
        by_month=[SimulatedMonthSchema.example()],
        by_channel=[SimulatedChannelSchema.example("contacts", "to_eligible", "to_refused")],
        by_region=[SimulatedRegionSchema.example()],
        examples=SimulatedExamplesSchema.example(to_eligible=[SimulatedExampleSchema.example()]),
    ),
)


@simulations_tag.operation(
    "POST /v1/policies/<string:policy_id>/simulations",
    Scope.POLICIES_SIMULATE,
    transaction=Transaction.READ,
    most_bytes=schemas.MOST_BYTES,
)
@answer("What the draft would change.", SimulationSchema, SIMULATED)
@takes(schemas.DraftSchema, example("draft", "Three days from New Year on", schemas.DRAFT))
@problems("not-found", "unknown-region", "payment-data-refused")
def simulate_policy(uow: UnitOfWork, policy_id: str, body: dict[str, Any]) -> Response:
    """Simulate a version of a policy

    Judges every stored order and contact of the policy by the draft, on the same facts, and compares the results with
    the decisions on record; what newer holidays or time zones change without the draft, too, does not count. Returns
    how many decisions would change, and in which direction. Use it before you publish the draft. A million orders take
    seconds; `flask policy simulate` does the same without keeping an HTTP request open. Records nothing.
    """
    found = simulation.simulate(uow, draft_of(policy_id, body))
    return reply(serializers.simulation_data(found))
