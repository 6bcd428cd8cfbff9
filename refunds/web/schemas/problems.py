"""Schemas of problems (RFC 9457)."""

import marshmallow as ma

from refunds.web.schemas import shown


class FieldErrorSchema(shown.Schema):
    """An error at one place of the HTTP request."""

    pointer = shown.String("A JSON pointer into the body, or `/` and the name of a parameter.")
    detail = shown.String("What the service expects at this place.")
    code = shown.String("A stable code for the kind of error; codes may be added.")


class ProblemSchema(shown.Schema):
    """A problem as defined by RFC 9457."""

    type = ma.fields.String(
        required=True,
        metadata={"format": "uri-reference", "description": "The page that explains the problem and how to fix it."},
    )
    title = shown.String("The kind of problem, in the reader's language.")
    status = ma.fields.Integer(required=True, metadata={"format": "int32", "description": "The HTTP status."})
    detail = shown.String("What happened this time.")
    instance = shown.String("The request id, which is also in the log.")
    state = shown.String("The state of the record, if the request conflicts with it.", required=False)
    errors = shown.ListOf(FieldErrorSchema, "Each error and its place in the request.", required=False)
