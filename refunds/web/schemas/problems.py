"""Schemas of problems (RFC 9457)."""

import marshmallow as ma

from refunds.web.schemas import shown


class FieldErrorSchema(shown.Schema):
    """One error at one place of the request."""

    pointer = shown.String("A JSON pointer into the body, or `/` and the name of a parameter.")
    detail = shown.String("What is expected there.")
    code = shown.String("A stable code; more may be added.")


class ProblemSchema(shown.Schema):
    """A problem as defined by RFC 9457."""

    type = ma.fields.String(
        required=True,
        metadata={"format": "uri-reference", "description": "The page that explains the problem and how to fix it."},
    )
    title = shown.String("What kind of problem it is.")
    status = ma.fields.Integer(required=True, metadata={"format": "int32", "description": "The HTTP status."})
    detail = shown.String("What happened this time.")
    instance = shown.String("The request id, as in the log.")
    state = shown.String("For a conflict with the state of a record: the state that it is in.", required=False)
    errors = shown.ListOf(FieldErrorSchema, "Each error, and its place in the request.", required=False)
