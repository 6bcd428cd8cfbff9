"""Schemas of evidence and confirmations."""

from refunds.domain.records import PromiseCause
from refunds.errors import Message
from refunds.presentation.language import LANGUAGES
from refunds.schemas.fields import Text
from refunds.web.schemas import shown
from refunds.web.schemas.cancellations import CANCELLATION, CancellationSchema
from refunds.web.schemas.contacts import CONTACT, ContactSchema
from refunds.web.schemas.decisions import DECISION, DaySchema
from refunds.web.schemas.events import HAPPENED, EventSchema
from refunds.web.schemas.examples import A_CLIENT, example, shared
from refunds.web.schemas.orders import ORDER, OrderPromiseSchema, OrderSchema
from refunds.web.schemas.policies import VERSION, ClosureSchema, PolicyVersionSchema
from refunds.web.schemas.unmatched import UnmatchedContactSchema

HTML, TEXT, JSON = "text/html", "text/plain", "application/json"


class Language(Text):
    """A field for the language of a document, `de` or `en`; it can be left out."""

    def __init__(self) -> None:
        shape = Message("must be one of %(names)s", names=", ".join(LANGUAGES))
        text = "The language of the document: `de` or `en`. Default: by `Accept-Language`."
        super().__init__(2, text, pattern="|".join(LANGUAGES), shape=shape)
        self.json_schema = {"enum": list(LANGUAGES)}


_SEAL = "0d1f3c2b9a8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817060f5e"


class AnchorSchema(shown.Schema):
    """A checkpoint of the journal, kept outside the database."""

    position = shown.Position("The position of the journal's last event when the checkpoint was made.", 100)
    hash = shown.String("The hash of the event at `position`.", _SEAL)
    at = shown.Instant("When the checkpoint was made.", "2026-04-08T21:20:00.000481Z")


class JournalEntrySchema(EventSchema):
    """An event, with the hashes that chain it in the journal."""

    digest = shown.String("A digest of the record after the event.", _SEAL)
    previous = shown.String("The hash of the event before this one.", "0" * len(_SEAL))
    hash = shown.String("A keyed hash of the event and of the hash in `previous`.", _SEAL[::-1])
    anchor = shown.NestedOrNull(
        AnchorSchema,
        "The checkpoint up to which the journal was checked, beginning with this event; null: up to its end.",
        AnchorSchema.example(),
    )


class ProofSchema(shown.Schema):
    """Whether the records of an order are as the service wrote them."""

    sound = shown.Boolean("Whether the journal, the records and the checkpoints agree.", True)
    broken = shown.ListOf(shown.String(), "A sentence that names something that is not as the service wrote it.")
    checked_at = shown.Instant("When the service checked the records.", "2028-02-01T08:30:00.118205Z")


class PromiseOnRecordSchema(OrderPromiseSchema):
    """A promise of an order with its days, and why it was made."""

    promise_id = shown.String("The id of the promise.", "prm_01KAN3Y7KZ8Q4T8Z2B6C9D1EFG")
    cause = shown.Code(PromiseCause, "Why the promise was made.", "registered")
    promised_by = shown.String("The id of the client or user whose action caused the promise.", A_CLIENT)
    current = shown.Boolean("Whether this is the order's current promise.", True)
    days = shown.ListOf(DaySchema, "Each date from the service day to the last day of the window.", DECISION["days"])
    region = shown.String("The region whose holidays counted.", "DE-BY")
    holidays_version = shown.String("The version of the holiday data.", "0.109")
    tzdata_version = shown.String("The version of the time zone data.", "2026f")


class EvidenceSchema(shown.Schema):
    """Everything stored about an order, with the clause as it was, and proof that nothing was changed."""

    order = shown.NestedOrNull(
        OrderSchema, "The order; null if it is missing or cannot be read, which the proof then says.", ORDER
    )
    promises = shown.ListOf(PromiseOnRecordSchema, "The promises of the order, the earliest first.")
    contacts = shown.ListOf(ContactSchema)
    unmatched_contacts = shown.ListOf(
        UnmatchedContactSchema, "What is left of the contacts that were recorded before their order was known."
    )
    cancellations = shown.ListOf(CancellationSchema)
    policy_versions = shown.ListOf(
        PolicyVersionSchema, "The versions that the decisions used, and the version that applies to the order now."
    )
    closures = shown.ListOf(
        ClosureSchema, "The closures that the decisions took into account, except those in the terms."
    )
    journal = shown.ListOf(JournalEntrySchema)
    proof = shown.Nested(ProofSchema)


PROMISE = PromiseOnRecordSchema.example()
EVIDENCE = shared(
    example(
        "cancelled",
        "A cancelled order",
        EvidenceSchema.example(
            promises=[PROMISE],
            contacts=[CONTACT],
            cancellations=[CANCELLATION],
            policy_versions=[VERSION],
            journal=[JournalEntrySchema.example(**HAPPENED[0])],
        ),
    )
)
