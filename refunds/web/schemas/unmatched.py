"""Schemas of contacts whose order is not known."""

import marshmallow as ma

from refunds.domain.records import Intent
from refunds.domain.references import parse_request_number
from refunds.schemas.fields import Choice, FlagText, FreeText, Line
from refunds.schemas.orders import OrderId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import response_fields
from refunds.web.schemas.contacts import (
    ACKNOWLEDGEMENT,
    CONTACT,
    ContactDetailsSchema,
    RecordedDetailsSchema,
    TakenBy,
    acknowledgement,
)
from refunds.web.schemas.examples import shared
from refunds.web.schemas.request_fields import After, Limit, RecordId, Spoken


class UnmatchedContactRequestSchema(ContactDetailsSchema):
    """A contact about an order that is not known yet."""

    order_hint = Line(
        200, required=True, metadata={"description": "What the customer said of the order, as it was said. Personal."}
    )
    intent = Choice(Intent, metadata={"description": "What the customer wants. Default `cancel`."})
    supersedes = RecordId("unm", "The unmatched contact that this one corrects.", allow_none=True)
    from_detail = Line(
        254,
        allow_none=True,
        metadata={
            "description": "The customer's telephone number, with its country code because no order says where they "
            "are, or e-mail address. Personal: stored encrypted."
        },
    )


class MatchRequestSchema(StrictSchema):
    """The order that an unmatched contact is about."""

    order_id = OrderId(required=True)
    ticket_ref = Line(
        100,
        allow_none=True,
        metadata={"description": "The ticket, in place of the one that was entered first. Personal: stored encrypted."},
    )


class UnmatchedResolutionRequestSchema(StrictSchema):
    """The reason for closing an unmatched contact."""

    reason = FreeText(500, required=True, metadata={"description": "Why, in a sentence. Personal: stored encrypted."})


class UnmatchedResolutionSchema(response_fields.ResponseSchema):
    """The resolution of an unmatched contact: why it was closed without an order, and who closed it."""

    reason = response_fields.String("The reason; null if hidden.", allow_none=True)
    resolved_at = response_fields.Instant("When it was resolved.")
    resolved_by = response_fields.String("Who resolved it.")


class UnmatchedContactSchema(RecordedDetailsSchema):
    """A contact that was recorded before its order was known; once matched, nothing personal is left in it."""

    unmatched_id = response_fields.String("The unmatched contact.")
    request_number = response_fields.String("The number of the request, for the customer; the contact keeps it.")
    order_hint = response_fields.String(
        "What the customer said of the order; null if hidden or matched.", allow_none=True
    )
    open = response_fields.Boolean("Whether it is neither matched nor resolved or superseded.")
    contact_id = response_fields.String(
        "The contact that it became when it was matched; null: not matched.", allow_none=True
    )
    supersedes = response_fields.String("The unmatched contact that this one corrects.", allow_none=True)
    superseded_by = response_fields.String("The unmatched contact that corrects this one.", allow_none=True)
    acknowledgement = acknowledgement()
    resolution = ma.fields.Nested(
        UnmatchedResolutionSchema, required=True, allow_none=True, metadata={"description": "Null: not resolved."}
    )


class UnmatchedContactListSchema(response_fields.ResponseSchema):
    """A page of unmatched contacts."""

    items = ma.fields.List(ma.fields.Nested(UnmatchedContactSchema), required=True)
    next = response_fields.String("Where the next page begins; null: there is none.", allow_none=True)


class UnmatchedContactQuerySchema(QuerySchema):
    """The filters of a list of unmatched contacts."""

    request_number = Spoken("request number", parse_request_number)
    open = FlagText(metadata={"description": "`true`: only those that are open. `false`: only the others."})
    taken_by = TakenBy()
    after = After()
    limit = Limit()


HINT = "The number that ends in 77, ordered last week"

UNKNOWN_CALL = {"order_hint": HINT, "channel": "phone", "from_detail": "+4989123456"}


UNMATCHED = {
    "unmatched_id": "unm_01KAN3Y7N2V5Q4T8Z2B6C9D1EF",
    "request_number": "1234-5671",
    "order_hint": HINT,
    **{
        name: CONTACT[name]
        for name in ("intent", "channel", "sent_at", "received_at", "recorded_at", "recorded_by", "contact_point")
    },
    "from_detail": "+4989123456",
    "ticket_ref": None,
    "note": None,
    "taken_by": None,
    "open": True,
    "contact_id": None,
    "supersedes": None,
    "superseded_by": None,
    "acknowledgement": None,
    "resolution": None,
}


UNMATCHED_EXAMPLE = shared({"unmatched": {"summary": "A call about an unknown order", "value": UNMATCHED}})


_RESOLUTION = {
    "reason": "The number is another shop's.",
    "resolved_at": "2026-04-09T07:12:20.004112Z",
    "resolved_by": UNMATCHED["recorded_by"],
}


CLOSED = {
    "closed": {
        "summary": "A call for another shop",
        "value": UNMATCHED | {"open": False, "resolution": _RESOLUTION},
    }
}


ANSWERED = {
    "answered": {
        "summary": "A caller who was told the number",
        "value": UNMATCHED | {"acknowledgement": ACKNOWLEDGEMENT | {"channel": "phone", "to": None}},
    }
}


UNMATCHED_ID_HELP = {"unmatched_id": "The unmatched contact."}


UNMATCHED_LINKS = {
    "unmatched": {
        "operationId": "getUnmatchedContact",
        "parameters": {"unmatched_id": "$response.body#/unmatched_id"},
    }
}
