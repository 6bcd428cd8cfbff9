"""Schemas of contacts."""

from refunds.domain import references
from refunds.domain.contact_points import Channel
from refunds.domain.records import ASKING, Intent
from refunds.domain.resolutions import ENDS_A_TIMELY_REQUEST, ReopeningReason, ResolutionReason
from refunds.errors import one_of_text
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Line, Text
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.web.schemas import shown
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, AN_ORDER, example, shared
from refunds.web.schemas.request_fields import RecordId, spoken


class ContactDetailsSchema(StrictSchema):
    """How and when a customer made contact, and what was noted about it."""

    intent = Choice(
        ASKING,
        "What the customer wants. `withdrawal`: to withdraw from the contract by law, whatever the policy says. "
        "Default: `cancel`.",
    )
    channel = Choice(
        Channel,
        "How the customer made contact. By `web` and `post`, only withdrawals count: no policy accepts a request by "
        "these channels.",
        required=True,
    )
    received_at = Instant(
        "When the customer called, or when the message arrived: not when it was entered. Default: now."
    )
    sent_at = Instant("When the message was sent, if that is known. For a withdrawal, this time counts.")
    contact_point = Line(
        254,
        "The vendor's number or address that the customer used. A number without a country code is read as a number "
        "in the country of the policy's region.",
    )
    from_detail = Line(
        254,
        "The customer's telephone number or e-mail address. A number without a country code is read as a number in "
        "the country of the order's region or, if the order has no region, of the policy's region. Personal: stored "
        "encrypted.",
    )
    ticket_ref = Line(
        100,
        "The ticket of the call or e-mail. A backdated request (received before the deadline and entered after it) "
        "needs a ticket if the policy says so. Personal: stored encrypted.",
    )
    note = FreeText(2000, "What the customer said, if it matters. Personal: stored encrypted.")


class InlineContactSchema(ContactDetailsSchema):
    """A contact that asks for a cancellation, to record together with the cancellation."""

    supersedes = RecordId("con", "The contact that this one corrects.")


class ContactRequestSchema(InlineContactSchema):
    """A contact about an order, to record."""

    intent = Choice(
        Intent,
        "What the customer wants. `withdrawal`: to withdraw from the contract by law; it is recorded whatever the "
        "policy says, and never refused; after the window, a supervisor decides. Default: `cancel`.",
    )


class CompletionRequestSchema(StrictSchema):
    """A ticket or note to add to a contact that was recorded without it."""

    ticket_ref = Line(
        100,
        "The ticket of the call or e-mail, if the contact has no ticket. Null or left out: no ticket is added. "
        "Personal: stored encrypted.",
    )
    note = FreeText(
        2000,
        "What the customer said, if the contact has no note. Null or left out: no note is added. Personal: stored "
        "encrypted.",
    )


class AcknowledgementRequestSchema(StrictSchema):
    """How, when and where the customer was answered."""

    channel = Choice(Channel, "How the customer was answered.", required=True)
    to = Line(
        254,
        "The telephone number or e-mail address at which the customer was answered, if it is not the contact's "
        "`from_detail`. A number without a country code is read like one in `from_detail`. Personal: stored "
        "encrypted.",
    )
    given_at = Instant("When the customer was answered. It must not be before the contact. Default: now.")


class ResolutionRequestSchema(StrictSchema):
    """Why a contact is resolved."""

    reason_code = Choice(
        ResolutionReason,
        "Why the contact is resolved. If the request was in time or needs a supervisor, a reason other than "
        f"{one_of_text(f'`{code}`' for code in ENDS_A_TIMELY_REQUEST)} needs the scope `cancellations:override`. "
        "For a withdrawal, every reason needs it.",
        required=True,
    )
    reason = FreeText(
        500, "Why the contact is resolved, in a sentence. Required with `other`. Personal: stored encrypted."
    )
    duplicate_of = RecordId(
        "con",
        "The id of the other contact about the same order that asks for the same; it stays open. Required with "
        "`duplicate`, and refused with any other reason.",
    )


class ReopenQuerySchema(QuerySchema):
    """The reason for reopening a contact."""

    reason_code = Choice(
        ReopeningReason,
        "Why the contact is reopened: its resolution was entered in error, or the customer asked again.",
        required=True,
    )


class AssignmentSchema(shown.Schema):
    """The client or user who deals with a contact."""

    contact_id = shown.String("The id of the contact or unmatched contact.")
    taken_by = shown.StringOrNull("Who deals with the contact; null: nobody in particular.")


class ContactAcknowledgementSchema(shown.Schema):
    """The acknowledgement of a contact: when, how, where and by whom the customer was answered."""

    given_at = shown.Instant("When the customer was answered.", "2026-04-08T21:40:00Z")
    given_by = shown.String("Who recorded the acknowledgement.", A_CLIENT)
    channel = shown.Code(Channel, "How the customer was answered.", "email")
    to = shown.StringOrNull(
        "The number or address at which the customer was answered; null if it is the contact's `from_detail`, or if "
        "it is hidden.",
        "kim@example.org",
    )


ACKNOWLEDGED = shown.NestedOrNull(
    ContactAcknowledgementSchema, "The acknowledgement; null: it is not on record that the customer was answered."
)


class ContactResolutionSchema(shown.Schema):
    """The resolution of a contact: why it was closed without a cancellation, and by whom."""

    reason_code = shown.CodeOrNull(
        ResolutionReason,
        "Why the contact was resolved; null if an earlier version of the service, which had no codes, resolved it.",
        "customer_kept_order",
    )
    reason = shown.StringOrNull(
        "Why the contact was resolved, in words; null if not given or hidden.",
        "The customer has decided to keep the number.",
    )
    duplicate_of = shown.StringOrNull(
        "The id of the other contact that asks for the same; null if the contact was not resolved as a duplicate."
    )
    resolved_at = shown.Instant("When the contact was resolved.", "2026-04-09T07:12:20.004112Z")
    resolved_by = shown.String("Who resolved the contact.", A_CLIENT)


class RecordedDetailsSchema(shown.Schema):
    """How and when a customer made contact, when that was recorded, and what was noted."""

    intent = shown.Code(Intent, "What the customer wanted.", "cancel")
    channel = shown.Code(Channel, "How the customer made contact.", "phone")
    sent_at = shown.InstantOrNull("When the message was sent; null if that is not known.")
    received_at = shown.Instant("When the contact was received.", "2026-04-08T21:05:00Z")
    recorded_at = shown.Instant(
        "When the contact was first entered, by the service's clock.", "2026-04-08T21:07:41.920318Z"
    )
    recorded_by = shown.String("Who first entered the contact.", A_CLIENT)
    contact_point = shown.StringOrNull(
        "The vendor's number or address that the customer used, in its standard form; null if it was not given."
    )
    from_detail = shown.StringOrNull("The customer's number or address; null if not given or hidden.", "+4989123456")
    ticket_ref = shown.StringOrNull("The ticket; null if not given or hidden.")
    note = shown.StringOrNull("The note; null if not given or hidden.")
    taken_by = shown.StringOrNull(
        "Who deals with the contact, or dealt with it last if it is closed; null: nobody in particular."
    )


class ContactSchema(RecordedDetailsSchema):
    """A contact, with the decision made when it was recorded."""

    contact_id = shown.String("The id of the contact.", A_CONTACT)
    order_id = shown.String("The id of the order that the contact is about.", AN_ORDER)
    supersedes = shown.StringOrNull("The contact that this one corrects.")
    superseded_by = shown.StringOrNull(
        "The id of the contact that corrects this contact; null if it was not superseded."
    )
    open = shown.Boolean(
        "Whether the contact is open: it asks for a cancellation, it is neither resolved nor superseded, and its "
        "order is not cancelled.",
        True,
    )
    backdated = shown.Boolean("Whether the contact is backdated: received before the deadline and entered after it.")
    request_number = shown.StringOrNull(
        "The eight digits to tell the customer; the last is a check digit. (The reference of a cancellation has ten "
        "digits.) Null only while the service is being updated.",
        "3140-9261",
    )
    acknowledgement = ACKNOWLEDGED
    resolution = shown.NestedOrNull(ContactResolutionSchema, "The resolution; null: the contact is not resolved.")
    decision = shown.Nested(DecisionSchema)


ContactListSchema = shown.page_of(ContactSchema)

REQUEST_NUMBER = spoken("request number", references.REQUEST_NUMBER.parse)
OPEN = FlagText("`true`: only open contacts. `false`: only the others.")
TAKEN_BY = Text(64, "Only contacts that the client or user with this id has taken.")
"""Filters of a list of contacts, matched or not."""

CALL = {
    "channel": "phone",
    "received_at": "2026-04-08T23:05:00+02:00",
    "from_detail": "+4989123456",
    "ticket_ref": "T-20391",
}

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
