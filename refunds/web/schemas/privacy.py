"""Schemas of data requests, disclosures and legal holds."""

from refunds.domain.privacy import (
    DataRequestChannel,
    DataRequestKind,
    DataRequestOutcome,
    DataRequestState,
    DisclosureBasis,
    ErasureReason,
    Fee,
)
from refunds.errors import Message
from refunds.schemas.fields import Choice, FlagText, FreeText, Instant, Line, ListOf, Nested, Reference, Text
from refunds.schemas.strict import StrictSchema
from refunds.service.rectification import CORRECTABLE
from refunds.web.schemas import shown
from refunds.web.schemas.examples import A_CLIENT, A_CUSTOMER, AN_ORDER, example, shared
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.request_fields import After, Contradiction, Limit, ListQuerySchema


class _CustomerRef(Reference):
    """Billing's reference for a customer who is found by it."""

    def __init__(self) -> None:
        text = "Billing's reference for the customer. Personal: it finds them and is not stored."
        super().__init__(200, text, required=True)


def _identity_check(*, required: bool = False) -> FreeText:
    return FreeText(500, "How the person's identity was checked. Personal: encrypted.", required=required)


class DataRequestRequestSchema(StrictSchema):
    """What a person asks for about their data."""

    kind = Choice(DataRequestKind, "What they ask for.", required=True)
    customer_ref = _CustomerRef()
    channel = Choice(DataRequestChannel, "How it arrived.", required=True)
    received_at = Instant("When it arrived: the time to answer runs from then. Default: now.")
    identity_check = _identity_check()
    recipient = Line(254, "Who else gets the data, of portability, for example. Personal: encrypted.")


class IdentityCheckRequestSchema(StrictSchema):
    """How a person's identity was checked."""

    identity_check = _identity_check(required=True)


class CorrectionRequestSchema(StrictSchema):
    """The right value of one personal field of one record."""

    table = Text(
        40,
        "The kind of record. `customers` has the reference that stands in all of a customer's orders; that of a single "
        "order moves it to the customer with that reference.",
        pattern="|".join(CORRECTABLE),
        shape=Message("must be one of %(names)s", names=", ".join(CORRECTABLE)),
        required=True,
    )
    record_id = Text(128, "The record: the id that it has in the API.", required=True)
    field = Text(
        40,
        "; ".join(f"`{table}`: {', '.join(names)}" for table, names in CORRECTABLE.items()) + ".",
        pattern=r"[a-z_]+",
        required=True,
    )
    value = Text(2000, "The right value, which must fit as where it is first entered.", required=True)


class OutcomeRequestSchema(StrictSchema):
    """How a data request ends, and what its kind needs for that."""

    outcome = Choice(
        DataRequestOutcome,
        "`fulfilled` does what was asked for. `taken_back` of a restriction or an objection that was fulfilled lifts "
        "it: tell the person before.",
        required=True,
    )
    reason = FreeText(500, "Why; required of `refused`. Personal: stored encrypted.")
    corrections = ListOf(
        Nested(CorrectionRequestSchema),
        100,
        "What to correct; required if a rectification is fulfilled, else left out.",
    )
    erasure_reason = Choice(ErasureReason, "Of an erasure: why. Default `request`. A child does not wait.")
    anyway = Line(
        200,
        "Of an erasure: why it does not wait for open matters. It is entered in the journal for ever, so it must not "
        "be personal.",
    )


class ExtensionRequestSchema(StrictSchema):
    """Why an answer takes longer."""

    reason = FreeText(500, "Why; the person is told. Personal: encrypted.", required=True)


class FeeRequestSchema(StrictSchema):
    """Why a data request may cost something."""

    fee = Choice(Fee, "`further_copy` only of a request for access. Left out: no fee; a note of one is taken off.")
    reason = FreeText(500, "Why; required with a fee. Personal: encrypted.")


class DataRequestQuerySchema(ListQuerySchema):
    """The filters of a list of data requests."""

    kind = Choice(DataRequestKind, "Only those of this kind.")
    state = Choice(DataRequestState, "Only closed ones, or only open ones: by what is due.")
    overdue = FlagText("`true`: only those that are open and too late, by what was due.")
    after = After()
    limit = Limit()

    contradictions = (
        Contradiction(
            lambda query: bool(query.get("overdue")) and query.get("state") is DataRequestState.CLOSED,
            "state",
            Message("must be open, or left out, with overdue=true"),
        ),
    )


class CertificateSchema(shown.Schema):
    """What was erased of a customer."""

    customer_id = shown.String("The customer.", A_CUSTOMER)
    reason = shown.Code(ErasureReason, "Why.", "request")
    erased_at = shown.Instant("When.", "2026-05-05T08:00:00.000101Z")
    order_ids = shown.ListOf(shown.String("An order."), "Their orders, which stay.", [AN_ORDER])
    fields_ = shown.Dict(
        "How many records of each table have an erased field.", {"orders": 1, "contacts": 2}, data_key="fields"
    )
    lines = shown.ListOf(
        shown.String("A line."),
        "The certificate in the reader's language, with the command that proves each line.",
        [f"Erased: customer {A_CUSTOMER}, 2026-05-05T08:00:00.000101Z, reason request."],
    )


class DisclosureSchema(shown.Schema):
    """A disclosure."""

    disclosure_id = shown.String("The disclosure.", "dis_01KAN4C0N2V5Q4T8Z2B6C9D1EF")
    customer_id = shown.String("The customer.", A_CUSTOMER)
    basis = shown.Code(DisclosureBasis, "What it is based on.", "authority_request")
    recipient = shown.String("Who got the data; null if hidden.", "Polizeipräsidium München", allow_none=True)
    reference = shown.String("The recipient's own reference; null if hidden.", "BY-2026-114", allow_none=True)
    disclosed_at = shown.Instant("When it was noted.", "2026-05-04T09:12:20.004112Z")
    disclosed_by = shown.String("Who noted it.", A_CLIENT)


class DataRequestSchema(shown.Schema):
    """A data request. Its personal fields are null for readers who may not see them."""

    request_id = shown.String("The data request.", "dsr_01KAN4C0N2V5Q4T8Z2B6C9D1EF")
    kind = shown.Code(DataRequestKind, "What it asks for.", "erasure")
    state = shown.Code(DataRequestState, "Whether it is answered.", "open")
    customer_id = shown.String("The customer; null: nothing is held about the person.", A_CUSTOMER, allow_none=True)
    channel = shown.Code(DataRequestChannel, "How it arrived.", "email")
    identity_check = shown.String(
        "How their identity was checked; null: not yet.", "Called back at the number on record.", allow_none=True
    )
    recipient = shown.String("Who else gets the data; null: nobody.", allow_none=True)
    received_at = shown.Instant("When it arrived.", "2026-05-04T09:12:20.004112Z")
    recorded_at = shown.Instant("When it was entered.", "2026-05-04T09:12:20.004112Z")
    recorded_by = shown.String("Who entered it.", A_CLIENT)
    due_at = shown.Instant(
        "The first instant that is too late: after 30 days or, if earlier, a calendar month, in the zone of the "
        "default policy; extended: three calendar months.",
        "2026-06-03T22:00:00Z",
    )
    extended_at = shown.Instant("When it was extended; null: it was not.", allow_none=True)
    extended_by = shown.String("Who extended it.", allow_none=True)
    extension_reason = shown.String("Why it was extended.", allow_none=True)
    fee_may_apply = shown.Boolean("Whether a fee was noted.")
    fee = shown.Code(Fee, "Why it may cost something; null: it costs nothing.", allow_none=True)
    fee_reason = shown.String("Why, in words.", allow_none=True)
    closed_at = shown.Instant("When it was closed; null: it is open.", allow_none=True)
    closed_by = shown.String("Who closed it.", allow_none=True)
    outcome = shown.Code(DataRequestOutcome, "How it ended; null: it is open.", allow_none=True)
    outcome_reason = shown.String("Why it ended so.", allow_none=True)
    answer_text = shown.String(
        "What to write to the person about a refusal, with their rights, an extension or a fee, in the reader's "
        "language; null: nothing. Null in lists.",
        allow_none=True,
    )
    earlier_recipients = shown.ListOf(
        DisclosureSchema,
        "To whom the data were disclosed before: tell them of a rectification, an erasure or a restriction (GDPR, "
        "Article 19). The answer to an erasure is the last that can name them. Empty in lists.",
    )
    certificate = shown.Nested(CertificateSchema, "What was erased; null: nothing was. Null in lists.", allow_none=True)


DataRequestListSchema = shown.page_of(DataRequestSchema)


class HoldRequestSchema(StrictSchema):
    """Why a customer is kept."""

    reason = FreeText(500, "Why. Personal: stored encrypted.", required=True)


class HoldSchema(shown.Schema):
    """Whether a legal hold keeps a customer from erasure."""

    customer_id = shown.String("The customer.", A_CUSTOMER)
    held = shown.Boolean("Whether a hold keeps them.", True)
    reason = shown.String("Why.", "A claim is before the court.", allow_none=True)
    held_at = shown.Instant("Since when.", "2026-05-04T09:12:20.004112Z", allow_none=True)
    held_by = shown.String("Who holds them.", A_CLIENT, allow_none=True)


class DisclosureRequestSchema(StrictSchema):
    """Data of a customer that are handed to somebody else."""

    customer_ref = _CustomerRef()
    basis = Choice(DisclosureBasis, "What it is based on.", required=True)
    recipient = Line(254, "Who gets them. Personal: stored encrypted.", required=True)
    reference = Line(200, "The recipient's own reference, such as a file number. Personal.", required=True)


_BY = "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"

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
    "closed_by": _BY,
    "outcome": "fulfilled",
    "certificate": CertificateSchema.example(),
}

EXTENDED = REQUEST | {
    "kind": "access",
    "due_at": "2026-08-04T22:00:00Z",
    "extended_at": "2026-05-20T08:00:00.000101Z",
    "extended_by": _BY,
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
