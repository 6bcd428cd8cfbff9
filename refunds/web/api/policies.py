"""Policies over HTTP: which there are, what each version says, and when the vendor is closed besides."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.instants import format_known
from refunds.policy import terms_data
from refunds.records import RegisteredVersion
from refunds.service import publication
from refunds.service.work import Work
from refunds.terms import Terms, TermsSchema
from refunds.web import shown
from refunds.web.api import present_policies, reply
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording.records import closure_data, registered_data

blueprint = Blueprint("Policies", __name__, description="The terms by which orders are judged, version by version.")


class VersionSummarySchema(ma.Schema):
    """One version of a policy, and since when it holds."""

    version = shown.Integer("Its number, from 1.")
    effective_from = shown.Instant("Since when it holds; null: from the beginning.", allow_none=True)
    page_published_at = shown.Instant("When the vendor's page showed it, where that is known.", allow_none=True)
    registered_at = shown.Instant("When it was published or imported, by the service's own clock.")
    withdrawn_at = shown.Instant("When it was withdrawn, before it took effect; null: it was not.", allow_none=True)
    content_hash = shown.String("Names the content: equal content, equal hash.")


class PolicySchema(ma.Schema):
    """A policy and its versions."""

    id = shown.String("The policy.")
    last_updated = shown.Instant(
        "When the newest version that has begun was published or, where that is not known, took effect; null: never.",
        allow_none=True,
    )
    default = shown.Boolean("Whether it judges where a request names no policy.")
    versions = ma.fields.List(ma.fields.Nested(VersionSummarySchema), required=True)


class PolicyListSchema(ma.Schema):
    """All policies."""

    items = ma.fields.List(ma.fields.Nested(PolicySchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class PolicyVersionSchema(ma.Schema):
    """Everything that a version of a policy says."""

    policy = shown.String("The policy.")
    version = shown.Integer("Its number, from 1.")
    effective_from = shown.Instant("Since when it holds; null: from the beginning.", allow_none=True)
    registered_at = shown.Instant("When it was published or imported, by the service's own clock.")
    registered_by = shown.String("By whom.")
    imported = shown.Boolean("Whether it was imported with its true dates, and not published.")
    withdrawn_at = shown.Instant("When it was withdrawn, before it took effect; null: it was not.", allow_none=True)
    withdrawn_by = shown.String("By whom; null: it was not.", allow_none=True)
    content_hash = shown.String("Names the content: equal content, equal hash.")
    terms = ma.fields.Nested(TermsSchema, required=True)


class ClosureReasonSchema(ma.Schema):
    """Why the vendor is closed; null where it was not given, or for whom it is not."""

    de = shown.String("In German.", allow_none=True)
    en = shown.String("In English.", allow_none=True)


class ClosureSchema(ma.Schema):
    """A date on which the vendor is closed, entered into a policy besides its terms."""

    closure_id = shown.String("The closure.")
    policy = shown.String("The policy.")
    date = shown.Date("The date.")
    reason = ma.fields.Nested(ClosureReasonSchema, required=True)
    entered_at = shown.Instant("When it was entered: it extends the windows that had not ended by then.")
    entered_by = shown.String("By whom.")


class ClosureListSchema(ma.Schema):
    """The closures of a policy."""

    items = ma.fields.List(ma.fields.Nested(ClosureSchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


SUMMARY = {
    "version": 1,
    "effective_from": None,
    "page_published_at": None,
    "registered_at": "2026-01-07T08:30:00.250112Z",
    "withdrawn_at": None,
    "content_hash": "2c62a3e12679c4859de13c8aad322de867c3c4252490bbb7c170179d217b49c3",
}
CLOSURE = {
    "closure_id": "virtual-numbers/2026-07-10",
    "policy": "virtual-numbers",
    "date": "2026-07-10",
    "reason": {"de": "Betriebsausflug", "en": "Works outing"},
    "entered_at": "2026-07-01T07:12:44.018842Z",
    "entered_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
}
VERSION = {
    "policy": "virtual-numbers",
    "version": 2,
    "effective_from": "2026-12-31T23:00:00Z",
    "registered_at": "2026-12-01T09:15:30.640215Z",
    "registered_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "imported": False,
    "withdrawn_at": None,
    "withdrawn_by": None,
    "content_hash": "0d1f3c2b9a8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817060f5e",
    "terms": terms_data(Terms(window_business_days=3)),
}
VERSION_EXAMPLE = {"second": {"summary": "A second version", "value": VERSION}}
POLICY = {"id": "virtual-numbers", "last_updated": None, "default": True, "versions": [SUMMARY]}
VERSION_LINK = {
    "version": {
        "operationId": "getPolicyVersion",
        "parameters": {"policy_id": "$response.body#/id", "version": "$response.body#/versions/0/version"},
        "description": "What a version says.",
    }
}
POLICY_ID_HELP = "The id of the policy, such as `virtual-numbers`."


@operation(
    blueprint,
    "/v1/policies",
    Answer(
        "The policies, by id.",
        PolicyListSchema,
        {"packaged": {"summary": "The packaged policy alone", "value": {"items": [POLICY], "next": None}}},
        etag=True,
    ),
    scopes=(Scope.POLICIES_READ,),
)
def list_policies() -> Response:
    """List the policies

    Each with its versions and their dates.
    """
    policies = present_policies()
    return reply({"items": [_policy_data(policy_id) for policy_id in policies], "next": None}, etag=True, public=True)


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>",
    Answer(
        "The policy.",
        PolicySchema,
        {"packaged": {"summary": "The packaged policy", "value": POLICY}},
        etag=True,
        links=VERSION_LINK,
    ),
    scopes=(Scope.POLICIES_READ,),
    path={"policy_id": POLICY_ID_HELP},
    problems=("not-found",),
)
def get_policy(policy_id: str) -> Response:
    """Get a policy

    Its versions, since when each holds, and when the policy was last updated.
    """
    return reply(_policy_data(policy_id), etag=True, public=True)


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/versions/<number:version>",
    Answer("The version.", PolicyVersionSchema, VERSION_EXAMPLE, etag=True),
    scopes=(Scope.POLICIES_READ,),
    path={"policy_id": POLICY_ID_HELP, "version": "The number of the version, from 1."},
    problems=("not-found",),
)
def get_policy_version(policy_id: str, version: int) -> Response:
    """Get a version of a policy

    Every term it sets, with the defaults filled in, and the clause as customers read it.
    """
    return reply(registered_data(present_policies().record(policy_id, version)), etag=True, public=True)


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/closures",
    Answer(
        "The closures, by date.",
        ClosureListSchema,
        {"one": {"summary": "A works outing", "value": {"items": [CLOSURE], "next": None}}},
    ),
    scopes=(Scope.POLICIES_READ,),
    work=Transacted.READ,
    path={"policy_id": POLICY_ID_HELP},
    problems=("not-found",),
)
def list_closures(work: Work, policy_id: str) -> Response:
    """List the closures of a policy

    Those that were entered besides the terms of its versions.
    """
    items = [closure_data(closure) for closure in publication.closures(work, policy_id)]
    return reply({"items": items, "next": None})


def _policy_data(policy_id: str) -> dict[str, Any]:
    records = present_policies().records(policy_id)
    newest = next((record for record in reversed(records) if _has_begun(record)), None)
    return {
        "id": policy_id,
        "last_updated": newest and (newest.terms["page_published_at"] or format_known(newest.effective_from)),
        "default": policy_id == present_policies().default,
        "versions": [_summary(record) for record in records],
    }


def _has_begun(record: RegisteredVersion) -> bool:
    """Whether a version holds, or has held."""
    begun = record.effective_from is None or record.effective_from <= datetime.now(UTC)
    return begun and record.withdrawn_at is None


def _summary(record: RegisteredVersion) -> dict[str, Any]:
    data = registered_data(record)
    summary = {
        name: data[name] for name in ("version", "effective_from", "registered_at", "withdrawn_at", "content_hash")
    }
    return summary | {"page_published_at": record.terms["page_published_at"]}
