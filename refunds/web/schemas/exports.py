"""Schemas of exports: everything stored about a customer, and what they must be told with it."""

from typing import Any

from refunds.domain.privacy import ErasureReason, LimitKind
from refunds.domain.terms import Terms
from refunds.presentation.documents.export import OF_ANSWERS
from refunds.presentation.texts.information import information, retention
from refunds.web.schemas import shown
from refunds.web.schemas.cancellations import CancellationSchema
from refunds.web.schemas.contacts import ContactSchema, RecordedDetailsSchema
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.documents import PromiseOnRecordSchema
from refunds.web.schemas.examples import A_CUSTOMER, example, shared
from refunds.web.schemas.orders import OrderSchema
from refunds.web.schemas.privacy import DataRequestSchema, DisclosureSchema
from refunds.web.schemas.unmatched import UnmatchedContactSchema


def _until(description: str, example: str | None = None, *, allow_none: bool = False) -> Any:
    """Return a field for the last day on which something is kept; `description` is that with its verb: "notes are"."""
    unknown = " Null: that day is not known yet." if allow_none else ""
    text = (
        f"The last day on which {description} kept, or longer if a legal hold or an open matter requires it.{unknown}"
    )
    return shown.Date(text, example, allow_none=allow_none)


class ExportedCalendarSchema(shown.Schema):
    """The region by whose calendar the days were counted."""

    region = shown.String("The region whose holidays counted.", "DE-BY")


class ExportedDecisionSchema(DecisionSchema):
    """A decision, without the versions of the data by which its days were counted."""

    calendar = shown.Nested(ExportedCalendarSchema)


class ExportedPromiseSchema(PromiseOnRecordSchema):
    """A window that the order was promised."""

    class Meta(PromiseOnRecordSchema.Meta):
        """Marshmallow's own options."""

        exclude = ("holidays_version", "tzdata_version")


class ExportedContactSchema(ContactSchema):
    """A contact about the order."""

    decision = shown.Nested(ExportedDecisionSchema)
    details_until = _until("the contact's note and ticket are", "2027-04-08")


class ExportedCancellationSchema(CancellationSchema):
    """A cancellation of the order."""

    decision = shown.Nested(ExportedDecisionSchema)


class ExportedOrderSchema(shown.Schema):
    """An order of the customer, and all records about it."""

    order = shown.Nested(OrderSchema)
    kept_until = _until("the order and all records about it are", "2034-12-31")
    promises = shown.ListOf(ExportedPromiseSchema, "The promises of the order, the first one first.")
    contacts = shown.ListOf(ExportedContactSchema, "The contacts about the order, including superseded ones.")
    unmatched_contacts = shown.ListOf(
        UnmatchedContactSchema, "What is left of the contacts that were recorded before their order was known."
    )
    cancellations = shown.ListOf(ExportedCancellationSchema, "The cancellations of the order, including revoked ones.")


class CallerContactSchema(RecordedDetailsSchema):
    """A contact of somebody who is not a customer, without its order and its decision."""

    contact_id = shown.String("The id of the contact or unmatched contact.")
    request_number = shown.StringOrNull("The request number that the person was told.")
    order_hint = shown.StringOrNull("What the person said about the order.")
    answered_at = shown.InstantOrNull("When the person was answered; null: no acknowledgement is on record.")


class ExportedLimitSchema(shown.Schema):
    """A limit on the use of the customer's data, in force or lifted."""

    limit_id = shown.String("The id of the limit.")
    kind = shown.Code(LimitKind, "The kind of limit.")
    reason = shown.StringOrNull("Why the limit was set.")
    set_at = shown.Instant("When the limit was set.")
    lifted_at = shown.InstantOrNull("When the limit was lifted; null: it was not lifted.")
    kept_until = _until("the limit is", allow_none=True)


class ExportedDataRequestSchema(DataRequestSchema):
    """A data request of the customer."""

    class Meta(DataRequestSchema.Meta):
        """Marshmallow's own options."""

        exclude = OF_ANSWERS

    kept_until = _until("the data request is", allow_none=True)


class ExportedDisclosureSchema(DisclosureSchema):
    """The record that the customer's data was handed to somebody else."""

    kept_until = _until("the disclosure is", "2029-12-31", allow_none=True)


class ExportErasureSchema(shown.Schema):
    """The erasure of the customer."""

    at = shown.Instant("When the customer was erased.")
    reason = shown.Code(ErasureReason, "Why the customer was erased.")


InformationSchema = shown.Schema.from_dict(
    {one.name: shown.ListOf(shown.String(), f"{one.title}.") for one in information()}, name="InformationSchema"
)
"""What a person is told with their data, by headings."""


class KeptSchema(shown.Schema):
    """How long a kind of record is kept."""

    records = shown.String("The kind of record.")
    period = shown.String("How long records of this kind are kept.")
    since = shown.String("When the period begins.")
    law = shown.String("Why records of this kind are kept, or by which law.")


class CustomerExportSchema(shown.Schema):
    """Everything stored about a customer, and what they must be told with it (GDPR, Article 15)."""

    customer_id = shown.StringOrNull("The id of the customer; null: the person is not a customer.", A_CUSTOMER)
    vendor = shown.StringOrNull("The vendor, who is responsible for the data.", "Example Numbers Ltd")
    made_at = shown.Instant("When the export was made.", "2026-05-05T08:00:00.000101Z")
    erased = shown.NestedOrNull(
        ExportErasureSchema,
        "The erasure of the customer, after which nothing personal is left; null: the customer was not erased.",
    )
    information = shown.Nested(InformationSchema)
    retention = shown.ListOf(KeptSchema, "How long each kind of record is kept.")
    orders = shown.ListOf(ExportedOrderSchema, "The customer's orders.")
    contact = shown.NestedOrNull(
        CallerContactSchema, "The contact of somebody who is not a customer; always null over the API."
    )
    limits = shown.ListOf(ExportedLimitSchema, "The limits on the use of the customer's data.")
    data_requests = shown.ListOf(ExportedDataRequestSchema, "What the customer asked for about their data.")
    disclosures = shown.ListOf(ExportedDisclosureSchema, "The disclosures: who else got the data.")


EXPORT = shared(
    example(
        "customer_export",
        "A customer with one order",
        CustomerExportSchema.example(
            information={one.name: one.paragraphs for one in information()},
            retention=[kept._asdict() for kept in retention(Terms())],
            orders=[
                ExportedOrderSchema.example(
                    promises=[ExportedPromiseSchema.example()],
                    contacts=[ExportedContactSchema.example("contact_id", "order_id")],
                    cancellations=[ExportedCancellationSchema.example()],
                )
            ],
            data_requests=[ExportedDataRequestSchema.example()],
            disclosures=[ExportedDisclosureSchema.example()],
        ),
    )
)
