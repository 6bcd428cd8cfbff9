"""Contacts over HTTP: record, read, list, and resolve."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.contact_points import Channel
from refunds.fields import Choice, FlagText, FreeText, Instant, Line, StrictSchema
from refunds.records import Intent
from refunds.service import contacts
from refunds.service.contacts import NewContact
from refunds.service.work import Work
from refunds.web import shown, telemetry
from refunds.web.api import reader_language, reply
from refunds.web.api.eligibility import DECISION, DecisionSchema
from refunds.web.api.orders import JUDGED, ORDER_ID_HELP
from refunds.web.asked import PAGE, After, Limit, OrderId, RecordId
from refunds.web.cursors import page, place
from refunds.web.openapi import Answer, Transacted, operation
from refunds.wording.records import contact_data

blueprint = Blueprint("Contacts", __name__, description="Calls and e-mails of customers, each kept with its decision.")


class InlineContactSchema(StrictSchema):
    """A contact that asks for a cancellation, recorded with it."""

    channel = Choice(Channel, required=True, metadata={"description": "How the customer made contact."})
    received_at = Instant(
        metadata={"description": "When the call came or the e-mail arrived, not when it is entered. Default: now."}
    )
    sent_at = Instant(allow_none=True, metadata={"description": "When the e-mail was sent, if that is known."})
    contact_point = Line(
        254, allow_none=True, metadata={"description": "The vendor's number or address that the customer used."}
    )
    from_detail = Line(
        254,
        allow_none=True,
        metadata={"description": "The customer's telephone number or e-mail address. Personal: stored encrypted."},
    )
    ticket_ref = Line(
        100,
        allow_none=True,
        metadata={"description": "The ticket of the call or e-mail: evidence of a late entry. Personal."},
    )
    note = FreeText(2000, allow_none=True, metadata={"description": "What was said, if it matters. Personal."})
    supersedes = RecordId("con", "The contact that this one corrects.", allow_none=True)


class NewContactSchema(InlineContactSchema):
    """A contact about an order."""

    intent = Choice(Intent, metadata={"description": "What the customer wants. Default `cancel`."})


class ResolutionSchema(StrictSchema):
    """Why a contact needs nothing more."""

    reason = FreeText(500, required=True, metadata={"description": "In a sentence. Personal: stored encrypted."})


class ContactResolutionSchema(ma.Schema):
    """Why a contact needs nothing more, and who said so."""

    reason = shown.String("The reason; null for whom it is not.", allow_none=True)
    resolved_at = shown.Instant("When it was resolved.")
    resolved_by = shown.String("By whom.")


class ContactSchema(ma.Schema):
    """A contact, with what was decided on it when it was recorded."""

    contact_id = shown.String("The contact.")
    order_id = shown.String("The order that it is about.")
    intent = shown.Code(Intent, "What the customer wanted.")
    channel = shown.Code(Channel, "How the customer made contact.")
    sent_at = shown.Instant("When it was sent, if that is known.", allow_none=True)
    received_at = shown.Instant("When it was received.")
    recorded_at = shown.Instant("When it was entered, by the service's own clock.")
    recorded_by = shown.String("Who entered it.")
    contact_point = shown.String("The vendor's number or address that was used, in its one spelling.", allow_none=True)
    from_detail = shown.String("The customer's number or address, if given and not hidden.", allow_none=True)
    ticket_ref = shown.String("The ticket, if given and not hidden.", allow_none=True)
    note = shown.String("The note, if given and not hidden.", allow_none=True)
    supersedes = shown.String("The contact that this one corrects.", allow_none=True)
    superseded_by = shown.String("The contact that corrects this one.", allow_none=True)
    open = shown.Boolean("Whether it asks for a cancellation that is neither issued nor resolved.")
    backdated = shown.Boolean("Whether it was received before the deadline and entered after it.")
    resolution = ma.fields.Nested(
        ContactResolutionSchema, required=True, allow_none=True, metadata={"description": "Null: not resolved."}
    )
    decision = ma.fields.Nested(DecisionSchema, required=True)


class ContactListSchema(ma.Schema):
    """A page of contacts."""

    items = ma.fields.List(ma.fields.Nested(ContactSchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class ContactQuerySchema(StrictSchema):
    """Which contacts are asked for."""

    order_id = OrderId()
    open = FlagText(metadata={"description": "Only requests that are (or are not) still to be cancelled or resolved."})
    backdated = FlagText(metadata={"description": "Only those received before their deadline and entered after it."})
    after = After()
    limit = Limit()


CALL = {"channel": "phone", "received_at": "2026-04-08T23:05:00+02:00", "from_detail": "+4989123456"}
CONTACT = {
    "contact_id": "con_01KAN3Y7N2V5Q4T8Z2B6C9D1EF",
    "order_id": "A-1001",
    "intent": "cancel",
    "channel": "phone",
    "sent_at": None,
    "received_at": "2026-04-08T21:05:00Z",
    "recorded_at": "2026-04-08T21:07:41.920318Z",
    "recorded_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
    "contact_point": None,
    "from_detail": "+4989123456",
    "ticket_ref": None,
    "note": None,
    "supersedes": None,
    "superseded_by": None,
    "open": True,
    "backdated": False,
    "resolution": None,
    "decision": DECISION,
}
RESOLUTION = {
    "reason": "The customer has decided to keep the number.",
    "resolved_at": "2026-04-09T07:12:20.004112Z",
    "resolved_by": "cli_01KAN3Y7M0V5Q4T8Z2B6C9D1EF",
}
EXAMPLE = {"contact": {"summary": "A call in time", "value": CONTACT}}
CONTACT_ID_HELP = {"contact_id": "The contact."}
LINKS = {"contact": {"operationId": "getContact", "parameters": {"contact_id": "$response.body#/contact_id"}}}


@operation(
    blueprint,
    "/v1/orders/<string:order_id>/contacts",
    Answer("The contact is recorded.", ContactSchema, EXAMPLE, links=LINKS, status=201),
    scopes=(Scope.CONTACTS_WRITE,),
    work=Transacted.ONCE,
    method="POST",
    body=NewContactSchema,
    body_examples={
        "call": {"summary": "A call", "value": CALL},
        "question": {"summary": "Only a question", "value": {"channel": "email", "intent": "question"}},
    },
    path=ORDER_ID_HELP,
    problems=(*JUDGED, "evidence-required", "not-found", "contact-state-conflict"),
)
def record_contact(work: Work, order_id: str, body: dict[str, Any]) -> Response:
    """Record a contact

    With what is decided on it: a request that comes too late is recorded too. Judged is when it was received, never
    when it is entered. A request stays open until the order is cancelled or the contact resolved. A mistake is
    corrected by a contact that supersedes it.
    """
    contact = contacts.record(work, order_id, NewContact(**body))
    telemetry.count_decisions([contact.outcome.reason])
    return reply(contact_data(contact, reader_language()), status=201, location=f"/v1/contacts/{contact.contact_id}")


@operation(
    blueprint,
    "/v1/contacts/<string:contact_id>",
    Answer("The contact.", ContactSchema, EXAMPLE, etag=True),
    scopes=(Scope.CONTACTS_READ,),
    work=Transacted.READ,
    path=CONTACT_ID_HELP,
    problems=("not-found",),
)
def get_contact(work: Work, contact_id: str) -> Response:
    """Get a contact

    With the decision as it was made when the contact was recorded: it never changes.
    """
    return reply(contact_data(contacts.get(work, contact_id), reader_language()), etag=True)


@operation(
    blueprint,
    "/v1/contacts",
    Answer(
        "A page of contacts, in the order in which they were recorded.",
        ContactListSchema,
        {"open": {"summary": "One open request", "value": {"items": [CONTACT], "next": None}}},
    ),
    scopes=(Scope.CONTACTS_READ,),
    work=Transacted.READ,
    query=ContactQuerySchema,
    problems=("invalid-cursor",),
)
def list_contacts(work: Work, query: dict[str, Any]) -> Response:
    """List contacts

    Of an order; those still open, so that no request is forgotten; those entered after their deadline.
    """
    given, limit = query.pop("after", None), query.pop("limit", PAGE)
    (after,) = place(work, "contacts", query, given, [""])
    found = contacts.listed(
        work,
        after=after,
        limit=limit + 1,
        order_id=query.get("order_id"),
        is_open=query.get("open"),
        backdated=query.get("backdated"),
    )
    items, following = page(work, "contacts", query, found, limit=limit, place_of=lambda contact: [contact.contact_id])
    language = reader_language()
    return reply({"items": [contact_data(contact, language) for contact in items], "next": following})


@operation(
    blueprint,
    "/v1/contacts/<string:contact_id>/resolution",
    Answer(
        "The contact, resolved.",
        ContactSchema,
        {
            "resolved": {
                "summary": "A customer who stays",
                "value": CONTACT | {"open": False, "resolution": RESOLUTION},
            }
        },
    ),
    scopes=(Scope.CONTACTS_WRITE,),
    work=Transacted.WRITE,
    method="PUT",
    body=ResolutionSchema,
    body_examples={"stays": {"summary": "A customer who stays", "value": {"reason": RESOLUTION["reason"]}}},
    path=CONTACT_ID_HELP,
    problems=("not-found", "contact-state-conflict", "payment-data-refused"),
)
def resolve_contact(work: Work, contact_id: str, body: dict[str, Any]) -> Response:
    """Resolve a contact

    Take an open request off the list without a cancellation, and say why. The same reason again changes nothing.
    """
    return reply(contact_data(contacts.resolve(work, contact_id, body["reason"]), reader_language()))
