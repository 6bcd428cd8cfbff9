"""Schemas of exports: everything stored about a customer, and what they must be told with it."""

from typing import Any

import marshmallow as ma

from refunds.domain.privacy import ErasureReason, LimitKind
from refunds.domain.terms import Terms
from refunds.presentation.exports import OF_ANSWERS
from refunds.presentation.texts.information import information, retention
from refunds.schemas.strict import QuerySchema
from refunds.web.schemas import shown
from refunds.web.schemas.cancellations import CancellationSchema
from refunds.web.schemas.contacts import ContactSchema, RecordedDetailsSchema
from refunds.web.schemas.decisions import DecisionSchema
from refunds.web.schemas.documents import Language, PromiseOnRecordSchema
from refunds.web.schemas.examples import A_CUSTOMER, example, shared
from refunds.web.schemas.orders import OrderSchema
from refunds.web.schemas.privacy import DataRequestSchema, DisclosureSchema
from refunds.web.schemas.unmatched import UnmatchedContactSchema


class ExportQuerySchema(QuerySchema):
    """The language of an export."""

    language = Language()


def _until(description: str, example: str | None = None, *, allow_none: bool = False) -> Any:
    return shown.Date(f"The last day on which {description} kept.", example, allow_none=allow_none)


class ExportedCalendarSchema(shown.Schema):
    """By which calendar the days were counted."""

    region = shown.String("The region whose holidays counted.", "DE-BY")


class ExportedDecisionSchema(DecisionSchema):
    """A decision, without the versions of what its days were counted by."""

    calendar = shown.Nested(ExportedCalendarSchema)


class ExportedPromiseSchema(PromiseOnRecordSchema):
    """A window that the order was told."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.EXCLUDE
        exclude = ("holidays_version", "tzdata_version")


class ExportedContactSchema(ContactSchema):
    """A contact about the order."""

    decision = shown.Nested(ExportedDecisionSchema)
    details_until = _until("its note and its ticket are", "2027-04-08")


class ExportedCancellationSchema(CancellationSchema):
    """A cancellation of the order."""

    decision = shown.Nested(ExportedDecisionSchema)


class ExportedOrderSchema(shown.Schema):
    """An order of the customer, and all records about it."""

    order = shown.Nested(OrderSchema)
    kept_until = _until("it and all records about it are", "2034-12-31")
    promises = shown.ListOf(ExportedPromiseSchema, "The windows that it was told, from the first.")
    contacts = shown.ListOf(ExportedContactSchema, "The contacts about it, also superseded ones.")
    unmatched_contacts = shown.ListOf(UnmatchedContactSchema, "What is left of contacts recorded before it was known.")
    cancellations = shown.ListOf(ExportedCancellationSchema, "Its cancellations, also revoked ones.")


class CallerContactSchema(RecordedDetailsSchema):
    """A contact of somebody who is no customer, without its order and the decision on that."""

    contact_id = shown.String("The contact, or the unmatched contact.")
    request_number = shown.String("The number that they were told.", allow_none=True)
    order_hint = shown.String("What they said of the order.", allow_none=True)
    answered_at = shown.Instant("When they were answered.", allow_none=True)


class ExportedLimitSchema(shown.Schema):
    """What must not be done with the data, or must not have been."""

    limit_id = shown.String("The limit.")
    kind = shown.Code(LimitKind, "What it does.")
    reason = shown.String("Why.", allow_none=True)
    set_at = shown.Instant("Since when.")
    lifted_at = shown.Instant("When it was lifted; null: it was not.", allow_none=True)
    kept_until = _until("it is", allow_none=True)


class ExportedDataRequestSchema(DataRequestSchema):
    """A data request of the customer."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.EXCLUDE
        exclude = OF_ANSWERS

    kept_until = _until("it is", allow_none=True)


class ExportedDisclosureSchema(DisclosureSchema):
    """The data, handed to somebody else."""

    kept_until = _until("it is", "2029-12-31", allow_none=True)


class ExportErasureSchema(shown.Schema):
    """That the customer was erased."""

    at = shown.Instant("When.")
    reason = shown.Code(ErasureReason, "Why.")


InformationSchema = shown.Schema.from_dict(
    {one.name: shown.ListOf(shown.String(), f"{one.title}.") for one in information()},
    name="InformationSchema",
)
"""What a person is told with their data, by headings."""


class KeptSchema(shown.Schema):
    """How long a kind of record is kept."""

    records = shown.String("What is kept.")
    period = shown.String("How long.")
    since = shown.String("From when on.")
    law = shown.String("Why, or by which law.")


class CustomerExportSchema(shown.Schema):
    """Everything stored about a customer, and what they must be told with it (GDPR, Article 15)."""

    customer_id = shown.String("The customer; null: it is of somebody who is none.", A_CUSTOMER, allow_none=True)
    vendor = shown.String("The vendor, who is responsible for the data.", "Example Numbers Ltd", allow_none=True)
    made_at = shown.Instant("When it was made.", "2026-05-05T08:00:00.000101Z")
    erased = shown.Nested(
        ExportErasureSchema,
        "That the customer was erased, and only what is not personal is left; null: not.",
        allow_none=True,
    )
    information = shown.Nested(InformationSchema)
    retention = shown.ListOf(KeptSchema, "How long each kind of record is kept.")
    orders = shown.ListOf(ExportedOrderSchema, "The customer's orders.")
    contact = shown.Nested(
        CallerContactSchema, "The contact of somebody who is no customer; null over the API.", allow_none=True
    )
    limits = shown.ListOf(ExportedLimitSchema, "What limits the use of the data.")
    data_requests = shown.ListOf(ExportedDataRequestSchema, "What the customer asked for about their data.")
    disclosures = shown.ListOf(ExportedDisclosureSchema, "Who else got the data.")


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
