"""Schemas of contacts."""

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.domain.records import ASKING, Intent
from refunds.domain.references import parse_request_number
from refunds.domain.resolutions import ENDS_A_TIMELY_REQUEST, ReopeningReason, ResolutionReason
from refunds.errors import any_of
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Line, Text
from refunds.schemas.orders import OrderId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import response_fields
from refunds.web.schemas.decisions import DECISION, DecisionSchema
from refunds.web.schemas.examples import shared
from refunds.web.schemas.request_fields import After, Limit, RecordId, Spoken


class ContactDetailsSchema(StrictSchema):
    """How and when a customer made contact, and what was noted."""

    intent = Choice(
        ASKING,
        metadata={
            "description": "Default `cancel`. `withdrawal`: the customer withdraws from the contract by law, whatever "
            "the policy says."
        },
    )
    channel = Choice(
        Channel,
        required=True,
        metadata={
            "description": "How the customer made contact. By `web` and `post`, no policy accepts a request, and only "
            "withdrawals count."
        },
    )
    received_at = Instant(
        metadata={"description": "When the call came or the message arrived, not when it was entered. Default: now."}
    )
    sent_at = Instant(
        allow_none=True,
        metadata={"description": "When it was sent, if that is known. Of a withdrawal, this time counts."},
    )
    contact_point = Line(
        254,
        allow_none=True,
        metadata={
            "description": "The vendor's number or address that the customer used. A number without its country code "
            "is read as one of the country of the policy's region."
        },
    )
    from_detail = Line(
        254,
        allow_none=True,
        metadata={
            "description": "The customer's telephone number or e-mail address. A number without its country code is "
            "read as one of the country of the order's region or, if it names none, of the policy's. Personal: stored "
            "encrypted."
        },
    )
    ticket_ref = Line(
        100,
        allow_none=True,
        metadata={
            "description": "The ticket of the call or e-mail. Needed if it was received before the deadline and is "
            "entered after it, and the policy asks for it. Personal."
        },
    )
    note = FreeText(2000, allow_none=True, metadata={"description": "What was said, if it matters. Personal."})


class InlineContactSchema(ContactDetailsSchema):
    """A contact that asks for a cancellation and is recorded with it."""

    supersedes = RecordId("con", "The contact that this one corrects.", allow_none=True)


class ContactRequestSchema(InlineContactSchema):
    """A contact about an order."""

    intent = Choice(
        Intent,
        metadata={
            "description": "What the customer wants. Default `cancel`. `withdrawal`: to withdraw from the contract by "
            "law. It is recorded whatever the policy says, and refused by nothing; after the window a supervisor "
            "decides."
        },
    )


class CompletionRequestSchema(StrictSchema):
    """What a contact was recorded without; null, or left out: nothing is added."""

    ticket_ref = Line(
        100, allow_none=True, metadata={"description": "The ticket of the call or e-mail, if it has none. Personal."}
    )
    note = FreeText(2000, allow_none=True, metadata={"description": "What was said, if it has no note. Personal."})


class AcknowledgementRequestSchema(StrictSchema):
    """How the customer was answered."""

    channel = Choice(Channel, required=True, metadata={"description": "How the customer was answered."})
    to = Line(
        254,
        allow_none=True,
        metadata={
            "description": "The telephone number or e-mail address, if it is not the contact's `from_detail`. It is "
            "read as that is. Personal: stored encrypted."
        },
    )
    given_at = Instant(allow_none=True, metadata={"description": "When, not before the contact. Default: now."})


class ResolutionRequestSchema(StrictSchema):
    """Why a contact is resolved."""

    reason_code = Choice(
        ResolutionReason,
        required=True,
        metadata={
            "description": "Why. A request that was in time, or needs a supervisor, is ended by "
            f"{any_of(f'`{code}`' for code in ENDS_A_TIMELY_REQUEST)}; any other reason then needs the scope "
            "`cancellations:override`."
        },
    )
    reason = FreeText(
        500,
        allow_none=True,
        metadata={"description": "Why, in a sentence. Required with `other`. Personal: stored encrypted."},
    )
    duplicate_of = RecordId(
        "con",
        "Only with `duplicate`, and required there: the contact about the same order that asks for the same. It stays "
        "open.",
        allow_none=True,
    )


class ReopenQuerySchema(QuerySchema):
    """Why a contact is open again."""

    reason_code = Choice(
        ReopeningReason,
        required=True,
        metadata={"description": "Why: its resolution was entered in error, or the customer asked again."},
    )


class AssignmentRequestSchema(StrictSchema):
    """Who deals with a contact."""

    taken_by = Text(
        64,
        metadata={
            "description": "The opaque id of a user. Default: who sends this. Somebody else needs the scope "
            "`cancellations:override`, and with it replaces the one who had it."
        },
    )


class AssignmentSchema(response_fields.ResponseSchema):
    """Who deals with a contact."""

    contact_id = response_fields.String("The contact, or the unmatched contact.")
    taken_by = response_fields.String("Who deals with it; null: nobody in particular.", allow_none=True)


class ContactAcknowledgementSchema(response_fields.ResponseSchema):
    """The acknowledgement of a contact: when and how the customer was answered, and by whom."""

    given_at = response_fields.Instant("When the customer was answered.")
    given_by = response_fields.String("Who recorded it.")
    channel = response_fields.Code(Channel, "How.")
    to = response_fields.String("Where, if not at `from_detail`; null also if hidden.", allow_none=True)


def acknowledgement() -> ma.fields.Nested:
    """The field of a contact with its acknowledgement."""
    told = {"description": "Null: no answer is on record."}
    return ma.fields.Nested(ContactAcknowledgementSchema, required=True, allow_none=True, metadata=told)


class ContactResolutionSchema(response_fields.ResponseSchema):
    """The resolution of a contact: why it needs nothing more, and who resolved it."""

    reason_code = response_fields.Code(
        ResolutionReason, "Why; null: it was resolved before there were codes.", allow_none=True
    )
    reason = response_fields.String("Why, in words, if given and not hidden.", allow_none=True)
    duplicate_of = response_fields.String("The contact that asks for the same.", allow_none=True)
    resolved_at = response_fields.Instant("When it was resolved.")
    resolved_by = response_fields.String("Who resolved it.")


class RecordedDetailsSchema(response_fields.ResponseSchema):
    """How and when a customer made contact, when it was recorded, and what was noted."""

    intent = response_fields.Code(Intent, "What the customer wanted.")
    channel = response_fields.Code(Channel, "How the customer made contact.")
    sent_at = response_fields.Instant("When it was sent, if that is known.", allow_none=True)
    received_at = response_fields.Instant("When it was received.")
    recorded_at = response_fields.Instant("When it was entered, by the service's own clock.")
    recorded_by = response_fields.String("Who entered it.")
    contact_point = response_fields.String(
        "The vendor's number or address that the customer used, in its standard form.", allow_none=True
    )
    from_detail = response_fields.String("The customer's number or address, if given and not hidden.", allow_none=True)
    ticket_ref = response_fields.String("The ticket, if given and not hidden.", allow_none=True)
    note = response_fields.String("The note, if given and not hidden.", allow_none=True)
    taken_by = response_fields.String("Who deals with it, or did; null: nobody in particular.", allow_none=True)


class ContactSchema(RecordedDetailsSchema):
    """A contact, with the decision made when it was recorded."""

    contact_id = response_fields.String("The contact.")
    order_id = response_fields.String("The order that it is about.")
    supersedes = response_fields.String("The contact that this one corrects.", allow_none=True)
    superseded_by = response_fields.String("The contact that corrects this one.", allow_none=True)
    open = response_fields.Boolean(
        "Whether it asks for a cancellation, is not resolved or superseded, and the order is not cancelled."
    )
    backdated = response_fields.Boolean("Whether it was received before the deadline and entered after it.")
    request_number = response_fields.String(
        "The eight digits to tell the customer; the last is a check digit. A cancellation's reference has ten. Null "
        "only while the service is being updated.",
        allow_none=True,
    )
    acknowledgement = acknowledgement()
    resolution = ma.fields.Nested(
        ContactResolutionSchema, required=True, allow_none=True, metadata={"description": "Null: not resolved."}
    )
    decision = ma.fields.Nested(DecisionSchema, required=True)


class ContactListSchema(response_fields.ResponseSchema):
    """A page of contacts."""

    items = ma.fields.List(ma.fields.Nested(ContactSchema), required=True)
    next = response_fields.String("Where the next page begins; null: there is none.", allow_none=True)


class TakenBy(Text):
    """Who deals with the contacts of a list."""

    def __init__(self) -> None:
        super().__init__(64, metadata={"description": "Only those that this user or client has taken."})


class ContactQuerySchema(QuerySchema):
    """The filters of a list of contacts."""

    order_id = OrderId()
    request_number = Spoken("request number", parse_request_number)
    open = FlagText(metadata={"description": "`true`: only those that are open. `false`: only the others."})
    backdated = FlagText(
        metadata={
            "description": "`true`: only those received before their deadline and entered after it. `false`: only the "
            "others."
        }
    )
    taken_by = TakenBy()
    after = After()
    limit = Limit()


CALL = {"channel": "phone", "received_at": "2026-04-08T23:05:00+02:00", "from_detail": "+4989123456"}

WITHDRAWAL = {
    "channel": "post",
    "intent": "withdrawal",
    "sent_at": "2026-04-08T12:00:00+02:00",
    "received_at": "2026-04-10T09:00:00+02:00",
    "ticket_ref": "scan-4711",
}


CONTACT = {
    "contact_id": "con_01KAN3Y7N2V5Q4T8Z2B6C9D1EF",
    "order_id": "A-1001",
    "intent": "cancel",
    "channel": "phone",
    "sent_at": None,
    "received_at": "2026-04-08T21:05:00Z",
    "recorded_at": "2026-04-08T21:07:41.920318Z",
    "recorded_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "contact_point": None,
    "from_detail": "+4989123456",
    "ticket_ref": None,
    "note": None,
    "taken_by": None,
    "supersedes": None,
    "superseded_by": None,
    "open": True,
    "backdated": False,
    "request_number": "3140-9261",
    "acknowledgement": None,
    "resolution": None,
    "decision": DECISION,
}


ACKNOWLEDGEMENT = {
    "given_at": "2026-04-08T21:40:00Z",
    "given_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "channel": "email",
    "to": "kim@example.org",
}


RESOLUTION = {
    "reason_code": "customer_kept_order",
    "reason": "The customer has decided to keep the number.",
    "duplicate_of": None,
    "resolved_at": "2026-04-09T07:12:20.004112Z",
    "resolved_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
}


ASSIGNED = {"contact_id": CONTACT["contact_id"], "taken_by": "usr_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"}


EXAMPLE = shared({"contact": {"summary": "A call in time", "value": CONTACT}})


CONTACT_ID_HELP = {"contact_id": "The contact."}


LINKS = {"contact": {"operationId": "getContact", "parameters": {"contact_id": "$response.body#/contact_id"}}}
