"""Documents about an order over HTTP: its evidence, and the confirmation of a cancellation."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation import serializers
from refunds.presentation.documents import confirmation
from refunds.presentation.documents import evidence as documents
from refunds.presentation.language import bind, language
from refunds.service import cancellations, evidence
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.endpoint import Tag, Transaction, answer, parameters, problems
from refunds.web.responses import accepted_media_type, document, reply
from refunds.web.schemas.documents import EVIDENCE, HTML, JSON, TEXT, EvidenceSchema, Language
from refunds.web.schemas.examples import example

tag = Tag("Documents", "Documents to keep or to send: evidence and confirmations.")


@tag.operation("GET /v1/orders/<order:order_id>/evidence", Scope.EVIDENCE_READ, transaction=Transaction.WRITE)
@parameters(lang=Language())
@answer("The evidence.", EvidenceSchema, EVIDENCE, also=HTML)
def get_order_evidence(uow: UnitOfWork, order_id: str, query: dict[str, Any]) -> Response:
    """Get the evidence on an order

    Returns the order's facts, its contacts and decisions with their days, the clause as it was published at that time,
    the order's events in the journal, and the proof that the records agree with the journal. Use it when a decision is
    disputed. With `Accept: text/html`, it is a page to print. If the caller may see personal data in it, records the
    event `privacy.evidence_shown`.
    """
    media_type = accepted_media_type(JSON, HTML)
    bind(query.get("lang") or language())
    found = evidence.show(uow, order_id, auth.store().checkpoints)
    if media_type == HTML:
        return document(documents.render_html(found), media_type)
    response = reply(serializers.evidence_data(found))
    response.vary.add("Accept")
    return response


@tag.operation("GET /v1/cancellations/<string:cancellation_id>/confirmation", Scope.CANCELLATIONS_READ)
@parameters(lang=Language())
@answer(
    "The confirmation.",
    {"type": "string"},
    example("page", "A page", '<!doctype html>\n<html lang="en">…</html>'),
    media_type=HTML,
    also=TEXT,
)
@problems("cancellation-state-conflict")
def get_confirmation(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """Get the confirmation of a cancellation

    Returns a document for the customer: what was received and when, the reference, what happens next, and the clause.
    Use it when the customer wants the cancellation in writing. It is a page to print or, with `Accept: text/plain`, a
    text to send. It promises no time and no amount. A revoked cancellation has no confirmation.
    """
    media_type = accepted_media_type(HTML, TEXT)
    bind(query.get("lang") or language())
    write = confirmation.render_html if media_type == HTML else confirmation.render_text
    return document(write(*cancellations.confirmation(uow, cancellation_id)), media_type)
