"""Schemas of data requests, disclosures and legal holds."""

from refunds.domain import privacy
from refunds.errors import Message
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Line, Reference, Text
from refunds.schemas.strict import StrictSchema
from refunds.service.rectification import CORRECTABLE
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CLIENT, A_CUSTOMER, AN_ORDER, example, shared
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.request_fields import AFTER, LIMIT, Contradiction, ListQuerySchema

CUSTOMER_REF = Reference(
    200, "Billing's reference for the customer. Personal: it finds them and is not stored.", required=True
)
_CHECKED = "How the person's identity was checked. Personal: stored encrypted."


class DataRequestRequestSchema(StrictSchema):
    """A data request to open: what a person asks for about their data."""

    kind = Choice(privacy.DataRequestKind, "What the person asks for.", required=True)
    customer_ref = CUSTOMER_REF
    channel = Choice(privacy.DataRequestChannel, "How the data request arrived.", required=True)
    received_at = Instant("When the data request arrived. The time to answer runs from then. Default: now.")
    identity_check = FreeText(500, _CHECKED)
    recipient = Line(254, "Who else is to get the data, for example with portability. Personal: stored encrypted.")


class IdentityCheckRequestSchema(StrictSchema):
    """How the identity of the person was checked."""

    identity_check = FreeText(500, _CHECKED, required=True)


class CorrectionRequestSchema(StrictSchema):
    """The right value of one personal field of one record."""

    table = Text(
        40,
        "The kind of record. `customers` has the reference that is in all of a customer's orders. If you correct the "
        "reference of a single order, the order moves to the customer with that reference.",
        pattern="|".join(CORRECTABLE),
        shape=Message("must be one of %(names)s", names=", ".join(CORRECTABLE)),
        required=True,
    )
    record_id = Text(128, "The id of the record in the API.", required=True)
    field = Text(
        40,
        "; ".join(f"`{table}`: {', '.join(names)}" for table, names in CORRECTABLE.items()) + ".",
        pattern=r"[a-z_]+",
        required=True,
    )
    value = Text(2000, "The right value. It must be valid as if it were entered for the first time.", required=True)


class DataRequestQuerySchema(ListQuerySchema):
    """The filters of a list of data requests."""

    kind = Choice(privacy.DataRequestKind, "Only data requests of this kind.")
    state = Choice(privacy.DataRequestState, "Only data requests in this state. Open ones are sorted by `due_at`.")
    overdue = FlagText("`true`: only overdue data requests, sorted by `due_at`.")
    after, limit = AFTER, LIMIT

    contradictions = (
        Contradiction(
            lambda query: query.get("overdue") and query.get("state") is privacy.DataRequestState.CLOSED,
            "state",
            Message("must be open, or left out, with overdue=true"),
        ),
    )


class CertificateSchema(shown.Schema):
    """The certificate of an erasure."""

    customer_id = shown.String("The id of the customer.", A_CUSTOMER)
    reason = shown.Code(privacy.ErasureReason, "Why the customer was erased.", "request")
    erased_at = shown.Instant("When the customer was erased.", "2026-05-05T08:00:00.000101Z")
    order_ids = shown.ListOf(
        shown.String("The id of an order."), "The ids of the customer's orders, which stay on record.", [AN_ORDER]
    )
    fields_ = shown.Dict(
        "How many records of each table have an erased field.", {"orders": 1, "contacts": 2}, data_key="fields"
    )
    lines = shown.ListOf(
        shown.String("A line of the certificate."),
        "The certificate in the reader's language, with the command that proves each line.",
        [f"Erased: customer {A_CUSTOMER}, 2026-05-05T08:00:00.000101Z. Reason: the person asked for it."],
    )


class DisclosureSchema(shown.Schema):
    """The record that a customer's data was handed to somebody else."""

    disclosure_id = shown.String("The id of the disclosure.", "dis_01KAN4C0N2V5Q4T8Z2B6C9D1EF")
    customer_id = shown.String("The id of the customer.", A_CUSTOMER)
    basis = shown.Code(privacy.DisclosureBasis, "What the disclosure is based on.", "authority_request")
    recipient = shown.StringOrNull("Who got the data; null if hidden.", "Polizeipräsidium München")
    reference = shown.StringOrNull("The recipient's own reference; null if hidden.", "BY-2026-114")
    disclosed_at = shown.Instant("When the disclosure was recorded.", "2026-05-04T09:12:20.004112Z")
    disclosed_by = shown.String("Who recorded the disclosure.", A_CLIENT)


class DataRequestSchema(shown.Schema):
    """A data request. Its personal fields are null for readers who may not see them."""

    request_id = shown.String("The id of the data request.", "dsr_01KAN4C0N2V5Q4T8Z2B6C9D1EF")
    kind = shown.Code(privacy.DataRequestKind, "What the person asks for.", "erasure")
    state = shown.Code(privacy.DataRequestState, "Whether the data request is open or closed.", "open")
    customer_id = shown.StringOrNull(
        "The id of the customer; null: the service holds nothing about the person.", A_CUSTOMER
    )
    channel = shown.Code(privacy.DataRequestChannel, "How the data request arrived.", "email")
    identity_check = shown.StringOrNull(
        "How the person's identity was checked; null: not yet.", "Called back at the number on record."
    )
    recipient = shown.StringOrNull("Who else is to get the data; null: nobody.")
    received_at = shown.Instant("When the data request arrived.", "2026-05-04T09:12:20.004112Z")
    recorded_at = shown.Instant("When the data request was entered.", "2026-05-04T09:12:20.004112Z")
    recorded_by = shown.String("Who entered the data request.", A_CLIENT)
    due_at = shown.Instant(
        "The first instant that is too late for an answer: after 30 days or a calendar month, whichever is earlier, "
        "in the time zone of the default policy; after an extension, three calendar months from receipt.",
        "2026-06-03T22:00:00Z",
    )
    extended_at = shown.InstantOrNull("When the time to answer was extended; null: it was not extended.")
    extended_by = shown.StringOrNull("Who extended the time to answer.")
    extension_reason = shown.StringOrNull("Why the time to answer was extended.")
    fee_may_apply = shown.Boolean("Whether there is a fee note.")
    fee = shown.CodeOrNull(privacy.Fee, "Why a fee may apply; null: no fee applies.")
    fee_reason = shown.StringOrNull("Why a fee may apply, in words.")
    closed_at = shown.InstantOrNull("When the data request was closed; null: it is open.")
    closed_by = shown.StringOrNull("Who closed the data request.")
    outcome = shown.CodeOrNull(privacy.DataRequestOutcome, "How the data request ended; null: it is open.")
    outcome_reason = shown.StringOrNull("Why the data request ended this way.")
    answer_text = shown.StringOrNull(
        "What to write to the person, in the reader's language: about a refusal, with their rights, about an "
        "extension, or about a fee; null: nothing. Always null in lists."
    )
    earlier_recipients = shown.ListOf(
        DisclosureSchema,
        "The earlier disclosures of the data. Tell their recipients about a rectification, an erasure or a "
        "restriction (GDPR, Article 19). The response to an erasure is the last that can name them. Empty if nothing "
        "was done, as after a refusal, and always in lists.",
    )
    certificate = shown.NestedOrNull(
        CertificateSchema, "The certificate of the erasure; null: nothing was erased. Always null in lists."
    )


DataRequestListSchema = shown.page_of(DataRequestSchema)


class HoldSchema(shown.Schema):
    """Whether a legal hold keeps a customer from erasure."""

    customer_id = shown.String("The id of the customer.", A_CUSTOMER)
    held = shown.Boolean("Whether the customer is held.", True)
    reason = shown.StringOrNull("Why the customer is held; null if hidden or not held.", "A claim is before the court.")
    held_at = shown.InstantOrNull("Since when the customer is held.", "2026-05-04T09:12:20.004112Z")
    held_by = shown.StringOrNull("Who set the hold.", A_CLIENT)


OPENED = {
    "kind": "erasure",
    "customer_ref": ORDER["customer_ref"],
    "channel": "email",
    "identity_check": "Called back at the number on record.",
}

REQUEST = DataRequestSchema.example()

_ERASED = REQUEST | {
    "state": "closed",
    "identity_check": "[erased]",
    "closed_at": "2026-05-05T08:00:00.000101Z",
    "closed_by": A_CLIENT,
    "outcome": "fulfilled",
    "certificate": CertificateSchema.example(),
}

EXTENDED = REQUEST | {
    "kind": "access",
    "due_at": "2026-08-04T22:00:00Z",
    "extended_at": "2026-05-20T08:00:00.000101Z",
    "extended_by": A_CLIENT,
    "extension_reason": "Eleven orders of three years are looked through.",
    "fee_may_apply": True,
    "fee": "further_copy",
    "fee_reason": "It is the third copy this year.",
    "answer_text": "We need more time for what you asked for on Monday, 4 May 2026. …",
}
EXTENDED_EXAMPLE = example("extended", "Until August, and not for free", EXTENDED)
REQUEST_EXAMPLE = shared(example("data_request", "A person asks to be erased", REQUEST))
ERASED_EXAMPLE = example("erased", "The person was erased", _ERASED)
OUTCOMES = (
    example("erased", "Erase them", {"outcome": "fulfilled"})
    | example(
        "rectified",
        "Correct a note",
        {
            "outcome": "fulfilled",
            "corrections": [
                {
                    "table": "contacts",
                    "record_id": "con_01KAN4B0N2V5Q4T8Z2B6C9D1EF",
                    "field": "note",
                    "value": "The caller was her sister.",
                }
            ],
        },
    )
    | example("refused", "Refuse", {"outcome": "refused", "reason": "It was not the customer."})
)
HOLD = HoldSchema.example()
LIFTED = HOLD | {"held": False, "reason": None, "held_at": None, "held_by": None}
DISCLOSURE = DisclosureSchema.example()
DISCLOSED = {
    "customer_ref": ORDER["customer_ref"],
    **{name: DISCLOSURE[name] for name in ("basis", "recipient", "reference")},
}
REQUEST_LINKS = shown.links("request_id", data_request="getDataRequest")
