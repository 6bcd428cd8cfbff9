"""Schemas of contacts whose order is not known."""

from refunds.domain.records import Intent
from refunds.schemas.fields import Choice, FreeText, Line
from refunds.schemas.strict import StrictSchema
from refunds.web.schemas import contacts, shown
from refunds.web.schemas.examples import A_CLIENT, example, shared
from refunds.web.schemas.request_fields import RecordId


class UnmatchedContactRequestSchema(contacts.ContactDetailsSchema):
    """A contact about an order that is not known yet."""

    order_hint = Line(
        200, "What the customer said about the order, in their words. Personal: stored encrypted.", required=True
    )
    intent = Choice(Intent, "What the customer wants. Default: `cancel`.")
    supersedes = RecordId("unm", "The unmatched contact that this one corrects.")
    from_detail = Line(
        254,
        "The customer's telephone number or e-mail address. A number needs its country code, because there is no "
        "order that says where the customer is. Personal: stored encrypted.",
    )


class UnmatchedResolutionRequestSchema(StrictSchema):
    """The reason for closing an unmatched contact."""

    reason = FreeText(500, "Why the contact is closed, in a sentence. Personal: stored encrypted.", required=True)


class UnmatchedResolutionSchema(shown.Schema):
    """The resolution of an unmatched contact: why it was closed without an order, and by whom."""

    reason = shown.StringOrNull("Why the contact was resolved; null if hidden.", "The number is another shop's.")
    resolved_at = shown.Instant("When the contact was resolved.", "2026-04-09T07:12:20.004112Z")
    resolved_by = shown.String("Who resolved the contact.", A_CLIENT)


class UnmatchedContactSchema(contacts.RecordedDetailsSchema):
    """A contact that was recorded before its order was known. After a match, it has no personal data."""

    unmatched_id = shown.String("The id of the unmatched contact.", "unm_01KAN3Y7N2V5Q4T8Z2B6C9D1EF")
    request_number = shown.String(
        "The request number, to tell the customer. The contact about the order keeps it.", "1234-5671"
    )
    order_hint = shown.StringOrNull(
        "What the customer said about the order; null if the contact was matched, or if the text is hidden.",
        "The number that ends in 77, ordered last week",
    )
    open = shown.Boolean("Whether the contact is open: not matched, not resolved and not superseded.", True)
    contact_id = shown.StringOrNull(
        "The id of the contact that this one became when it was matched; null: it is not matched."
    )
    supersedes = shown.StringOrNull("The unmatched contact that this one corrects.")
    superseded_by = shown.StringOrNull(
        "The id of the unmatched contact that corrects this one; null if it was not superseded."
    )
    acknowledgement = contacts.ACKNOWLEDGED
    resolution = shown.NestedOrNull(UnmatchedResolutionSchema, "The resolution; null: the contact is not resolved.")


UnmatchedContactListSchema = shown.page_of(UnmatchedContactSchema)

HINT = "The number that ends in 77, ordered last week"
UNKNOWN_CALL = {"order_hint": HINT, "channel": "phone", "from_detail": "+4989123456"}
UNMATCHED = UnmatchedContactSchema.example("unmatched_id", "request_number", "order_hint")
UNMATCHED_EXAMPLE = shared(example("unmatched", "A call about an unknown order", UNMATCHED))
_RESOLUTION = UnmatchedResolutionSchema.example()
CLOSED = example("closed", "A call for another shop", UNMATCHED | {"open": False, "resolution": _RESOLUTION})
_TOLD = contacts.ContactAcknowledgementSchema.example(channel="phone", to=None)
ANSWERED = example("answered", "A caller who was told the number", UNMATCHED | {"acknowledgement": _TOLD})
UNMATCHED_LINKS = shown.links("unmatched_id", unmatched="getUnmatchedContact")
