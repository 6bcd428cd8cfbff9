"""Documents about single orders over HTTP: the evidence, and the confirmation of a cancellation."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.documents import confirmation
from refunds.documents import evidence as documents
from refunds.fields import StrictSchema, Text
from refunds.service import cancellations, evidence
from refunds.service.work import Work
from refunds.web import auth, shown
from refunds.web.api import accepted, document, reader_language, reply
from refunds.web.api.cancellations import CANCELLATION, CANCELLATION_ID_HELP, CancellationSchema
from refunds.web.api.contacts import CONTACT, ContactSchema
from refunds.web.api.events import HAPPENED, EventSchema
from refunds.web.api.orders import ORDER, ORDER_ID_HELP, OrderSchema
from refunds.web.api.policies import VERSION, ClosureSchema, PolicyVersionSchema
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording import LANGUAGES

blueprint = Blueprint("Documents", __name__, description="What is kept or handed out: evidence and confirmations.")

HTML, TEXT, JSON = "text/html", "text/plain", "application/json"


class Language(Text):
    """The language of a document."""

    def __init__(self) -> None:
        shape = f"must be one of {', '.join(LANGUAGES)}"
        described = {"description": "The language: `de` or `en`. Default: the reader's."}
        super().__init__(2, "|".join(LANGUAGES), shape, metadata=described)


class DocumentQuerySchema(StrictSchema):
    """In which language a document is wanted."""

    lang = Language()


class AnchorSchema(ma.Schema):
    """What the journal was at some time, as it is kept outside the database."""

    position = shown.Integer("The position of its last event.")
    hash = shown.String("The seal of that event.")
    at = shown.Instant("When.")


class JournalEntrySchema(EventSchema):
    """An event in its place in the journal."""

    digest = shown.String("Stands for the record as the event left it.")
    previous = shown.String("The seal of the event before it.")
    hash = shown.String("Its seal, over all of it and the seal before it.")
    anchor = ma.fields.Nested(
        AnchorSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The anchor up to which the journal was followed from it; null: to its end."},
    )


class ProofSchema(ma.Schema):
    """Whether the records are what was written."""

    sound = shown.Boolean("Whether they are: journal, records and anchors agree.")
    broken = ma.fields.List(
        ma.fields.String(), required=True, metadata={"description": "What is not as it was written."}
    )
    checked_at = shown.Instant("When that was found.")


class EvidenceSchema(ma.Schema):
    """Everything that is held about an order, with the clause as it was."""

    order = ma.fields.Nested(OrderSchema, required=True)
    contacts = ma.fields.List(ma.fields.Nested(ContactSchema), required=True)
    cancellations = ma.fields.List(ma.fields.Nested(CancellationSchema), required=True)
    policy_versions = ma.fields.List(
        ma.fields.Nested(PolicyVersionSchema),
        required=True,
        metadata={"description": "The versions that judged, and the one that judges the order now."},
    )
    closures = ma.fields.List(
        ma.fields.Nested(ClosureSchema),
        required=True,
        metadata={"description": "The closures, besides those of the terms, that decisions were made with."},
    )
    journal = ma.fields.List(ma.fields.Nested(JournalEntrySchema), required=True)
    proof = ma.fields.Nested(ProofSchema, required=True)


_SEAL = "0d1f3c2b9a8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a392817060f5e"
EVIDENCE = {
    "cancelled": {
        "summary": "A cancelled order",
        "value": {
            "order": ORDER,
            "contacts": [CONTACT],
            "cancellations": [CANCELLATION],
            "policy_versions": [VERSION],
            "closures": [],
            "journal": [
                HAPPENED[0]
                | {
                    "digest": _SEAL,
                    "previous": "0" * len(_SEAL),
                    "hash": _SEAL[::-1],
                    "anchor": {"position": 100, "hash": _SEAL, "at": "2026-04-08T21:20:00.000481Z"},
                }
            ],
            "proof": {"sound": True, "broken": [], "checked_at": "2028-02-01T08:30:00.118205Z"},
        },
    }
}


@operation(
    blueprint,
    "/v1/orders/<string:order_id>/evidence",
    Answer("The evidence.", EvidenceSchema, EVIDENCE, also={HTML: {"type": "string"}}),
    scopes=(Scope.ORDERS_READ,),
    work=Transacted.READ,
    query=DocumentQuerySchema,
    path=ORDER_ID_HELP,
    problems=("not-found", "not-acceptable"),
)
def get_order_evidence(work: Work, order_id: str, query: dict[str, Any]) -> Response:
    """Get the evidence on an order

    Its facts, contacts and decisions with their days, the clause as it was published then, and where all of it stands
    in the journal, followed and compared; with `Accept: text/html` as a page to print.
    """
    form, language = accepted(JSON, HTML), query.get("lang") or reader_language()
    found = evidence.gather(work, order_id, auth.books().anchors)
    if form == HTML:
        return document(documents.page(found, language), form)
    response = reply(documents.data(found, language))
    response.vary.add("Accept")
    return response


@operation(
    blueprint,
    "/v1/cancellations/<string:cancellation_id>/confirmation",
    Answer(
        "The confirmation.",
        {"type": "string"},
        {"page": {"summary": "A page", "value": '<!doctype html>\n<html lang="en">…</html>'}},
        media_type=HTML,
        also={TEXT: {"type": "string"}},
    ),
    scopes=(Scope.CANCELLATIONS_READ,),
    work=Transacted.READ,
    query=DocumentQuerySchema,
    path=CANCELLATION_ID_HELP,
    problems=("not-found", "not-acceptable", "cancellation-state-conflict"),
)
def get_confirmation(work: Work, cancellation_id: str, query: dict[str, Any]) -> Response:
    """Get the confirmation of a cancellation

    For the customer: what was received and when, the reference, what happens next, and the clause; as a page to print,
    or with `Accept: text/plain` as a text to send. It promises no time and no amount. A cancellation that was revoked
    has none.
    """
    form, language = accepted(HTML, TEXT), query.get("lang") or reader_language()
    write = confirmation.page if form == HTML else confirmation.text
    return document(write(*cancellations.confirmation(work, cancellation_id), language), form)
