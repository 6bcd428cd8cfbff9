"""Schemas of contacts."""

from refunds.domain.contact_points import Channel
from refunds.domain.records import ASKING, Intent
from refunds.domain.references import parse_request_number
from refunds.domain.resolutions import ENDS_A_TIMELY_REQUEST, ReopeningReason, ResolutionReason
from refunds.errors import any_of
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Line, Text
from refunds.schemas.orders import OrderId
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import shown
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, AN_ORDER, example, shared
from refunds.web.schemas.request_fields import After, Limit, RecordId, Spoken


class ContactDetailsSchema(StrictSchema):
    """How and when a customer made contact, and what was noted."""

    intent = Choice(
        ASKING,
        "Default `cancel`. `withdrawal`: the customer withdraws from the contract by law, whatever the policy says.",
    )
    channel = Choice(
        Channel,
        "How the customer made contact. By `web` and `post`, no policy accepts a request, and only withdrawals count.",
        required=True,
    )
    received_at = Instant("When the call came or the message arrived, not when it was entered. Default: now.")
    sent_at = Instant("When it was sent, if that is known. Of a withdrawal, this time counts.", allow_none=True)
    contact_point = Line(
        254,
        "The vendor's number or address that the customer used. A number without its country code is read as one of "
        "the country of the policy's region.",
        allow_none=True,
    )
    from_detail = Line(
        254,
        "The customer's telephone number or e-mail address. A number without its country code is read as one of the "
        "country of the order's region or, if it names none, of the policy's. Personal: stored encrypted.",
        allow_none=True,
    )
    ticket_ref = Line(
        100,
        "The ticket of the call or e-mail. Needed if it was received before the deadline and is entered after it, and "
        "the policy asks for it. Personal.",
        allow_none=True,
    )
    note = FreeText(2000, "What was said, if it matters. Personal.", allow_none=True)


class InlineContactSchema(ContactDetailsSchema):
    """A contact that asks for a cancellation and is recorded with it."""

    supersedes = RecordId("con", "The contact that this one corrects.", allow_none=True)


class ContactRequestSchema(InlineContactSchema):
    """A contact about an order."""

    intent = Choice(
        Intent,
        "What the customer wants. Default `cancel`. `withdrawal`: to withdraw from the contract by law. It is recorded "
        "whatever the policy says, and refused by nothing; after the window a supervisor decides.",
    )


class CompletionRequestSchema(StrictSchema):
    """What a contact was recorded without; null, or left out: nothing is added."""

    ticket_ref = Line(100, "The ticket of the call or e-mail, if it has none. Personal.", allow_none=True)
    note = FreeText(2000, "What was said, if it has no note. Personal.", allow_none=True)


class AcknowledgementRequestSchema(StrictSchema):
    """How the customer was answered."""

    channel = Choice(Channel, "How the customer was answered.", required=True)
    to = Line(
        254,
        "The telephone number or e-mail address, if it is not the contact's `from_detail`. It is read as that is. "
        "Personal: stored encrypted.",
        allow_none=True,
    )
    given_at = Instant("When, not before the contact. Default: now.", allow_none=True)


class ResolutionRequestSchema(StrictSchema):
    """Why a contact is resolved."""

    reason_code = Choice(
        ResolutionReason,
        "Why. A request that was in time, or needs a supervisor, is ended by "
        f"{any_of(f'`{code}`' for code in ENDS_A_TIMELY_REQUEST)}; any other reason then needs the scope "
        "`cancellations:override`.",
        required=True,
    )
    reason = FreeText(500, "Why, in a sentence. Required with `other`. Personal: stored encrypted.", allow_none=True)
    duplicate_of = RecordId(
        "con",
        "Only with `duplicate`, and required there: the contact about the same order that asks for the same. It stays "
        "open.",
        allow_none=True,
    )


class ReopenQuerySchema(QuerySchema):
    """Why a contact is open again."""

    reason_code = Choice(
        ReopeningReason, "Why: its resolution was entered in error, or the customer asked again.", required=True
    )


class AssignmentRequestSchema(StrictSchema):
    """Who deals with a contact."""

    taken_by = Text(
        64,
        "The opaque id of a user. Default: who sends this. Somebody else needs the scope `cancellations:override`, and "
        "with it replaces the one who had it.",
    )


class AssignmentSchema(shown.Schema):
    """Who deals with a contact."""

    contact_id = shown.String("The contact, or the unmatched contact.")
    taken_by = shown.String("Who deals with it; null: nobody in particular.", allow_none=True)


class ContactAcknowledgementSchema(shown.Schema):
    """The acknowledgement of a contact: when and how the customer was answered, and by whom."""

    given_at = shown.Instant("When the customer was answered.", "2026-04-08T21:40:00Z")
    given_by = shown.String("Who recorded it.", A_CLIENT)
    channel = shown.Code(Channel, "How.", "email")
    to = shown.String("Where, if not at `from_detail`; null also if hidden.", "kim@example.org", allow_none=True)


class ContactResolutionSchema(shown.Schema):
    """The resolution of a contact: why it needs nothing more, and who resolved it."""

    reason_code = shown.Code(
        ResolutionReason, "Why; null: it was resolved before there were codes.", "customer_kept_order", allow_none=True
    )
    reason = shown.String(
        "Why, in words, if given and not hidden.", "The customer has decided to keep the number.", allow_none=True
    )
    duplicate_of = shown.String("The contact that asks for the same.", allow_none=True)
    resolved_at = shown.Instant("When it was resolved.", "2026-04-09T07:12:20.004112Z")
    resolved_by = shown.String("Who resolved it.", A_CLIENT)


class RecordedDetailsSchema(shown.Schema):
    """How and when a customer made contact, when it was recorded, and what was noted."""

    intent = shown.Code(Intent, "What the customer wanted.", "cancel")
    channel = shown.Code(Channel, "How the customer made contact.", "phone")
    sent_at = shown.Instant("When it was sent, if that is known.", allow_none=True)
    received_at = shown.Instant("When it was received.", "2026-04-08T21:05:00Z")
    recorded_at = shown.Instant("When it was entered, by the service's own clock.", "2026-04-08T21:07:41.920318Z")
    recorded_by = shown.String("Who entered it.", A_CLIENT)
    contact_point = shown.String(
        "The vendor's number or address that the customer used, in its standard form.", allow_none=True
    )
    from_detail = shown.String(
        "The customer's number or address, if given and not hidden.", "+4989123456", allow_none=True
    )
    ticket_ref = shown.String("The ticket, if given and not hidden.", allow_none=True)
    note = shown.String("The note, if given and not hidden.", allow_none=True)
    taken_by = shown.String("Who deals with it, or did; null: nobody in particular.", allow_none=True)


class ContactSchema(RecordedDetailsSchema):
    """A contact, with the decision made when it was recorded."""

    contact_id = shown.String("The contact.", A_CONTACT)
    order_id = shown.String("The order that it is about.", AN_ORDER)
    supersedes = shown.String("The contact that this one corrects.", allow_none=True)
    superseded_by = shown.String("The contact that corrects this one.", allow_none=True)
    open = shown.Boolean(
        "Whether it asks for a cancellation, is not resolved or superseded, and the order is not cancelled.", True
    )
    backdated = shown.Boolean("Whether it was received before the deadline and entered after it.")
    request_number = shown.String(
        "The eight digits to tell the customer; the last is a check digit. A cancellation's reference has ten. Null "
        "only while the service is being updated.",
        "3140-9261",
        allow_none=True,
    )
    acknowledgement = shown.Nested(ContactAcknowledgementSchema, "Null: no answer is on record.", allow_none=True)
    resolution = shown.Nested(ContactResolutionSchema, "Null: not resolved.", allow_none=True)
    decision = shown.Nested(DecisionSchema)


ContactListSchema = shown.page_of(ContactSchema)


class TakenBy(Text):
    """Who deals with the contacts of a list."""

    def __init__(self) -> None:
        super().__init__(64, "Only those that this user or client has taken.")


class ContactQuerySchema(QuerySchema):
    """The filters of a list of contacts."""

    order_id = OrderId()
    request_number = Spoken("request number", parse_request_number)
    open = FlagText("`true`: only those that are open. `false`: only the others.")
    backdated = FlagText(
        "`true`: only those received before their deadline and entered after it. `false`: only the others."
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

CONTACT = ContactSchema.example("contact_id", "order_id")
ACKNOWLEDGEMENT = ContactAcknowledgementSchema.example()
RESOLUTION = ContactResolutionSchema.example()
ASSIGNED = {"contact_id": CONTACT["contact_id"], "taken_by": "usr_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"}
EXAMPLE = shared(example("contact", "A call in time", CONTACT))
LINKS = shown.links("contact_id", contact="getContact")
