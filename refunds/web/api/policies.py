"""Policies over HTTP: which there are, and what each version says."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.instants import format_known
from refunds.policy import Policy, PolicyVersion, TermsSchema, version_data
from refunds.web import shown
from refunds.web.api import loaded_policies, reply
from refunds.web.openapi import Answer, operation

blueprint = Blueprint("Policies", __name__, description="The terms by which orders are judged, version by version.")


class VersionSummarySchema(ma.Schema):
    """One version of a policy, and since when it holds."""

    version = shown.Integer("Its number, from 1.")
    effective_from = shown.Instant("Since when it holds; null: from the beginning.", allow_none=True)
    page_published_at = shown.Instant("When the vendor's page showed it, where that is known.", allow_none=True)
    content_hash = shown.String("Names the content: equal content, equal hash.")


class PolicySchema(ma.Schema):
    """A policy and its versions."""

    id = shown.String("The policy.")
    last_updated = shown.Instant(
        "When the newest version was published or, where that is not known, took effect; null: never changed.",
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
    content_hash = shown.String("Names the content: equal content, equal hash.")
    terms = ma.fields.Nested(TermsSchema, required=True)


SUMMARY = {
    "version": 1,
    "effective_from": None,
    "page_published_at": None,
    "content_hash": "df3d296b07d5c444da784f85eb82a09cf604e8f84d64ec6883e2616649f2500e",
}
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
    return reply(
        {"items": [_policy_data(policy) for policy in loaded_policies().values()], "next": None}, etag=True, public=True
    )


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
    return reply(_policy_data(loaded_policies()[policy_id]), etag=True, public=True)


@operation(
    blueprint,
    "/v1/policies/<string:policy_id>/versions/<number:version>",
    Answer("The version.", PolicyVersionSchema, etag=True),
    scopes=(Scope.POLICIES_READ,),
    path={"policy_id": POLICY_ID_HELP, "version": "The number of the version, from 1."},
    problems=("not-found",),
)
def get_policy_version(policy_id: str, version: int) -> Response:
    """Get a version of a policy

    Every term it sets, with the defaults filled in, and the clause as customers read it.
    """
    found = loaded_policies()[policy_id].version(version)
    return reply(version_data(found) | {"content_hash": found.content_hash}, etag=True, public=True)


def _policy_data(policy: Policy) -> dict[str, Any]:
    versions = [_summary(version) for version in policy.versions]
    newest = versions[-1]
    return {
        "id": policy.policy_id,
        "last_updated": newest["page_published_at"] or newest["effective_from"],
        "default": policy.policy_id == loaded_policies().default,
        "versions": versions,
    }


def _summary(version: PolicyVersion) -> dict[str, Any]:
    shown_at = version.terms.page_published_at
    return {
        "version": version.version,
        "effective_from": format_known(version.effective_from),
        "page_published_at": format_known(shown_at),
        "content_hash": version.content_hash,
    }
