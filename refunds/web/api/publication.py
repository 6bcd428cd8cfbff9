"""The life of policies over HTTP: versions are published and withdrawn, closures entered."""

from datetime import date
from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.fields import FlagText, FreeText, LocalDate, NearInstant, Nested, StrictSchema, Whole
from refunds.policy import PolicyId, PolicyVersion
from refunds.service import publication
from refunds.service.publication import ClosureNotice, Registration
from refunds.service.work import Work
from refunds.terms import Terms, TermsSchema
from refunds.web import shown
from refunds.web.api import reader_language, reply
from refunds.web.api.policies import (
    CLOSURE,
    POLICY_ID_HELP,
    VERSION,
    ClosureSchema,
    PolicyVersionSchema,
)
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording.policies import closure_text, differences_data
from refunds.wording.records import closure_data, registered_data

blueprint = Blueprint("Publication", __name__, description="How policies change: nothing that was judged ever does.")


class DifferenceSchema(ma.Schema):
    """A term that a version says otherwise than the one before it."""

    term = shown.String("The name of the term.")
    text = shown.String("What it says, and what it said before, in words.")


class PublishedVersionSchema(PolicyVersionSchema):
    """A version that is published, or would be, and how it differs from the one that it follows."""

    follows = shown.Integer("The version that holds until then; null: it is the first.", allow_none=True)
    differences = ma.fields.List(ma.fields.Nested(DifferenceSchema), required=True)


class DraftSchema(StrictSchema):
    """A version to be published: as it is read, but for what the service says of it."""

    version = Whole(1, 100_000, required=True, metadata={"description": "Its number: the next one."})
    effective_from = NearInstant(
        required=True,
        allow_none=True,
        metadata={
            "description": "From when it is to hold: not before now, nor before `page_published_at`. Null: as soon as "
            "may be; what holds already cannot be withdrawn."
        },
    )
    terms = Nested(
        TermsSchema, required=True, metadata={"description": "Every term; one that is left out has its default."}
    )


class PublishQuerySchema(StrictSchema):
    """Whether it is meant."""

    dry_run = FlagText(metadata={"description": "Answer what would be published, and publish nothing. Default false."})


class ReasonSchema(StrictSchema):
    """Why the vendor is closed."""

    de = FreeText(200, metadata={"description": "In German."})
    en = FreeText(200, metadata={"description": "In English."})


class NewClosureSchema(StrictSchema):
    """A date on which the vendor is closed."""

    date = LocalDate(required=True, metadata={"description": "The date; at most five years away."})
    reason = Nested(ReasonSchema, metadata={"description": "Why, for the vendor's own staff. Stored encrypted."})


class EnteredClosureSchema(ClosureSchema):
    """A closure that is entered, and what it does."""

    notices = ma.fields.List(shown.Code(ClosureNotice, "A stable code."), required=True)
    effect_text = shown.String("What it does, in words.")


MOST_BYTES = 2**18
"""Of a draft: both clauses may be long, and written with escapes."""

DRAFT = {
    "version": 2,
    "effective_from": "2027-01-01T00:00:00+01:00",
    "terms": {"window_business_days": 3},
}
VERSION_LINKS = {
    name: {
        "operationId": operation_id,
        "parameters": {"policy_id": "$response.body#/policy", "version": "$response.body#/version"},
    }
    for name, operation_id in (("version", "getPolicyVersion"), ("withdrawal", "withdrawPolicyVersion"))
}
PUBLISHED = {
    "draft": {
        "summary": "Three days from New Year on",
        "value": VERSION
        | {
            "follows": 1,
            "differences": [{"term": "window_business_days", "text": "Window: 3 business days (was: 2 business days)"}],
        },
    }
}
WITHDRAWN = {
    "withdrawn": {
        "summary": "Withdrawn in time",
        "value": VERSION | {"withdrawn_at": "2026-12-30T10:00:00Z", "withdrawn_by": VERSION["registered_by"]},
    }
}
CLOSED = CLOSURE | {
    "notices": [],
    "effect_text": closure_text(date(2026, 7, 10), [], "en"),
}
CLOSURE_EXAMPLE = {"closed": {"summary": "A works outing", "value": CLOSED}}


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/versions",
    Answer("The version as it would be, or as it is registered already.", PublishedVersionSchema, PUBLISHED),
    Answer("The version is published.", PublishedVersionSchema, PUBLISHED, links=VERSION_LINKS, status=201),
    scopes=(Scope.POLICIES_WRITE,),
    work=Transacted.WRITE,
    method="POST",
    body=DraftSchema,
    body_examples={"draft": {"summary": "Three days from New Year on", "value": DRAFT}},
    most_bytes=MOST_BYTES,
    query=PublishQuerySchema,
    path={"policy_id": POLICY_ID_HELP},
    problems=("policy-version-conflict", "effective-too-early", "unknown-region", "payment-data-refused"),
)
def publish_policy_version(work: Work, policy_id: str, body: dict[str, Any], query: dict[str, Any]) -> Response:
    """Publish a version of a policy

    It says everything that the policy will say: what is left out has its default. Nothing that was or is being judged
    changes: it holds for what comes after it. The same version again changes nothing, so that a retry is safe. With
    `dry_run` the difference is told in words, and nothing is published. A version 1 begins a new policy.
    """
    draft = draft_of(policy_id, body)
    registration = publication.publish(work, draft, dry_run=query.get("dry_run", False))
    location = f"/v1/policies/{policy_id}/versions/{draft.version}" if registration.created else None
    return reply(_registration_data(registration), status=201 if registration.created else 200, location=location)


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/versions/<number:version>/withdrawal",
    Answer("The version, withdrawn.", PolicyVersionSchema, WITHDRAWN),
    scopes=(Scope.POLICIES_WRITE,),
    work=Transacted.WRITE,
    method="PUT",
    path={"policy_id": POLICY_ID_HELP, "version": "The number of the version, from 1."},
    problems=("not-found", "policy-version-conflict"),
)
def withdraw_policy_version(work: Work, policy_id: str, version: int) -> Response:
    """Withdraw a version of a policy

    Before it takes effect: what held before goes on to hold. Again changes nothing; its number is not used again.
    """
    return reply(registered_data(publication.withdraw(work, policy_id, version)))


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/closures",
    Answer("The closure that was entered already.", EnteredClosureSchema, CLOSURE_EXAMPLE),
    Answer("The closure is entered.", EnteredClosureSchema, CLOSURE_EXAMPLE, status=201),
    scopes=(Scope.POLICIES_WRITE,),
    work=Transacted.WRITE,
    method="POST",
    body=NewClosureSchema,
    body_examples={"closed": {"summary": "A works outing", "value": {"date": "2026-07-10"}}},
    path={"policy_id": POLICY_ID_HELP},
    problems=("not-found", "payment-data-refused"),
)
def add_closure(work: Work, policy_id: str, body: dict[str, Any]) -> Response:
    """Enter a closure

    A date on which the vendor is closed, beside those of the policy's terms. Every window that has not ended now is
    longer for it; none is ever shortened, and it cannot be taken back. The same date again changes nothing.
    """
    reason = body.get("reason", {})
    entered = publication.close(work, policy_id, body["date"], reason.get("de"), reason.get("en"))
    effect_text = closure_text(body["date"], entered.notices, reader_language(), new=entered.created)
    effect = {"notices": entered.notices, "effect_text": effect_text}
    location = f"/v1/policies/{policy_id}/closures" if entered.created else None
    return reply(closure_data(entered.closure) | effect, status=201 if entered.created else 200, location=location)


def draft_of(policy_id: str, body: dict[str, Any]) -> PolicyVersion:
    """The version that a body drafts; raises `InvalidInput` where the policy's id is none."""
    policy = _policy_id.read({"policy": policy_id})["policy"]
    return PolicyVersion(policy, body["version"], body["effective_from"], Terms(**body["terms"]))


class _PolicyIdSchema(StrictSchema):
    policy = PolicyId("The policy.")


_policy_id = _PolicyIdSchema()


def _registration_data(registration: Registration) -> dict[str, Any]:
    record, follows = registration.record, registration.follows
    return registered_data(record) | {
        "follows": follows.version if follows else None,
        "differences": differences_data(registration.differences, record.terms["time_zone"], reader_language()),
    }
