"""Schemas of problems (RFC 9457)."""

import marshmallow as ma

from refunds.web.schemas.response_fields import ResponseSchema


class FieldErrorSchema(ResponseSchema):
    """One error at one place of the request."""

    pointer = ma.fields.String(
        required=True, metadata={"description": "A JSON pointer into the body, or `/` and the name of a parameter."}
    )
    detail = ma.fields.String(required=True, metadata={"description": "What is expected there."})
    code = ma.fields.String(required=True, metadata={"description": "A stable code; more may be added."})


class ProblemSchema(ResponseSchema):
    """A problem as defined by RFC 9457."""

    type = ma.fields.String(
        required=True,
        metadata={"format": "uri-reference", "description": "The page that explains the problem and how to fix it."},
    )
    title = ma.fields.String(required=True, metadata={"description": "What kind of problem it is."})
    status = ma.fields.Integer(required=True, metadata={"format": "int32", "description": "The HTTP status."})
    detail = ma.fields.String(required=True, metadata={"description": "What happened this time."})
    instance = ma.fields.String(required=True, metadata={"description": "The request id, as in the log."})
    state = ma.fields.String(
        metadata={"description": "For a conflict with the state of a record: the state that it is in."}
    )
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema), metadata={"description": "Each error, and its place in the request."}
    )
