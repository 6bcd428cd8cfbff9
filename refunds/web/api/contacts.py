"""Contacts over HTTP: record, read, list, complete, acknowledge, resolve, reopen and assign."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.serializers import contact_data
from refunds.service import assignments, contacts, resolutions
from refunds.service.contacts import NewContact
from refunds.service.findings import about_order
from refunds.service.resolutions import Resolution
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import lists, telemetry
from refunds.web.endpoint import Answer, Tag
from refunds.web.responses import reply
from refunds.web.schemas import contacts as schemas
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import JUDGED

tag = Tag("Contacts", "Calls and e-mails of customers, each recorded with the decision on it.")


@tag.operation(
    "POST /v1/orders/<order:order_id>/contacts",
    Answer("The contact is recorded.", schemas.ContactSchema, schemas.EXAMPLE, links=schemas.LINKS, status=201),
    scopes=(Scope.CONTACTS_WRITE,),
    body=schemas.ContactRequestSchema,
    body_examples=example("call", "A call", schemas.CALL)
    | example("withdrawal", "A withdrawal by letter", schemas.WITHDRAWAL)
    | example("question", "Only a question", {"channel": "email", "intent": "question"}),
    problems=(*JUDGED, "evidence-required", "order-not-found", "contact-state-conflict"),
)
def record_contact(uow: UnitOfWork, order_id: str, body: dict[str, Any]) -> Response:
    """Record a contact

    Use it for a question, or for a request that is not to be cancelled at once: `issueCancellation` can record a
    contact and cancel in one step. The time of receipt counts, never the time of entry. A request stays open until the
    order is cancelled or the contact is resolved or superseded. To correct a mistake, record a contact that supersedes
    the wrong one. Records the contact, its decision and the event `contact.recorded`, and `contact.superseded` if it
    supersedes another one. A refusal is recorded, too. While an open request is on record that was in time, or an open
    withdrawal, a late contact gets the decision by that. A withdrawal (intent `withdrawal`) is recorded whatever
    channel the policy accepts, and its sending counts; after the window it stays open until a supervisor deals with it.
    It can supersede a request that was refused. What corrects a contact that asked for the same counts as entered when
    that was; only a supervisor replaces an open request that was in time or waits for one by one that is refused (403).
    """
    contact = contacts.record(uow, order_id, NewContact(**body))
    telemetry.count_decisions([contact.outcome.reason])
    return reply(contact_data(contact), status=201, location=f"/v1/contacts/{contact.contact_id}")


@tag.operation(
    "GET /v1/contacts/<string:contact_id>",
    Answer("The contact.", schemas.ContactSchema, schemas.EXAMPLE, etag=True),
    scopes=(Scope.CONTACTS_READ,),
    problems=("not-found",),
)
def get_contact(uow: UnitOfWork, contact_id: str) -> Response:
    """Get a contact

    The contact with the decision made when it was recorded. That decision never changes. Use it to see how and why a
    request was decided.
    """
    return reply(contact_data(uow.contacts.get(contact_id)), etag=True)


@tag.operation(
    "GET /v1/contacts",
    Answer(
        "A page of contacts, in the order in which they were recorded.",
        schemas.ContactListSchema,
        example("open", "One open request", {"items": [schemas.CONTACT], "next": None}),
        also=lists.FORMS,
    ),
    scopes=(Scope.CONTACTS_READ,),
    query=schemas.ContactQuerySchema,
    problems=("invalid-cursor", "not-acceptable"),
)
def list_contacts(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List contacts

    You can filter by order, by the request number that the customer reads out, by whether they are open, and by whether
    they were received before the deadline and entered after it. Use it to find the requests that wait for an answer.
    With `Accept: text/csv`, the page is a table; the header `Link` then has the address of the next page.
    """
    return lists.page(uow, "contacts", query, uow.contacts, contact_data)


@tag.operation(
    "PATCH /v1/contacts/<string:contact_id>",
    Answer(
        "The completed contact.",
        schemas.ContactSchema,
        example("completed", "With its ticket", schemas.CONTACT | {"ticket_ref": "T-20391"}),
    ),
    scopes=(Scope.CONTACTS_WRITE,),
    body=schemas.CompletionRequestSchema,
    body_examples=example("ticket", "Its ticket", {"ticket_ref": "T-20391"}),
    problems=("not-found", "contact-state-conflict", "payment-data-refused", "customer-erased"),
)
def complete_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Complete a contact

    Adds a ticket or a note to a contact that was recorded without it. What is on record stays: another ticket or note
    is a conflict, and to correct one, record a contact that supersedes this one. The same again changes nothing. The
    decision stays as it is. Records the ticket or note, and the event `contact.completed`, which names the fields.
    """
    return reply(contact_data(about_order(resolutions.complete(uow, contact_id, **body))))


@tag.operation(
    "PUT /v1/contacts/<string:contact_id>/acknowledgement",
    Answer(
        "The acknowledged contact.",
        schemas.ContactSchema,
        example("acknowledged", "Answered by e-mail", schemas.CONTACT | {"acknowledgement": schemas.ACKNOWLEDGEMENT}),
    ),
    scopes=(Scope.CONTACTS_WRITE,),
    body=schemas.AcknowledgementRequestSchema,
    body_examples=example("said", "Said on the telephone", {"channel": "phone"})
    | example(
        "sent",
        "An e-mail to another address",
        {name: schemas.ACKNOWLEDGEMENT[name] for name in ("channel", "to", "given_at")},
    ),
    problems=("not-found", "contact-state-conflict", "payment-data-refused", "customer-erased"),
)
def acknowledge_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Acknowledge a contact

    Records that the customer was answered: when, how, and where if it was not the number or address that they used. The
    service itself sends nothing. Sending the same again changes nothing; another acknowledgement is a conflict, and so
    is one of a contact that was superseded: acknowledge the one that supersedes it. Records the acknowledgement and the
    event `contact.acknowledged`.
    """
    return reply(contact_data(about_order(resolutions.acknowledge(uow, contact_id, **body))))


@tag.operation(
    "PUT /v1/contacts/<string:contact_id>/resolution",
    Answer(
        "The resolved contact.",
        schemas.ContactSchema,
        example(
            "resolved", "A customer who stays", schemas.CONTACT | {"open": False, "resolution": schemas.RESOLUTION}
        ),
    ),
    scopes=(Scope.CONTACTS_WRITE,),
    body=schemas.ResolutionRequestSchema,
    body_examples=example(
        "stays", "A customer who stays", {name: schemas.RESOLUTION[name] for name in ("reason_code", "reason")}
    ),
    problems=("not-found", "contact-state-conflict", "payment-data-refused"),
)
def resolve_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Resolve a contact

    Closes an open request, and all others about its order, without a cancellation, with a reason; a `duplicate` is
    closed alone, and the other one stays open. Use it when the customer no longer asks for a cancellation. A request
    that was in time, or needs a supervisor, is closed for any other reason than `customer_kept_order`, `duplicate` or
    `entered_in_error` only with the scope `cancellations:override`; so is a withdrawal for any reason, without the
    requests. Sending the same again changes nothing. Records the resolution and the event `contact.resolved` of each.
    If the customer was erased, `reason` is not stored: the response has `[erased]` for it.
    """
    return reply(contact_data(resolutions.resolve(uow, contact_id, Resolution(**body))))


@tag.operation(
    "DELETE /v1/contacts/<string:contact_id>/resolution",
    Answer("The contact, open again.", schemas.ContactSchema, schemas.EXAMPLE),
    scopes=(Scope.CONTACTS_WRITE,),
    query=schemas.ReopenQuerySchema,
    problems=("not-found", "contact-state-conflict"),
)
def reopen_contact(uow: UnitOfWork, contact_id: str, query: dict[str, Any]) -> Response:
    """Reopen a contact

    Use it for a request that was resolved in error, or whose customer asks for the cancellation after all. It, and what
    was resolved with it, is open again; if it is open already, nothing changes. The order must not be cancelled.
    Records the event `contact.reopened` of each, with the reason; the contact no longer shows the resolution.
    """
    return reply(contact_data(resolutions.reopen(uow, contact_id, query["reason_code"])))


@tag.operation(
    "PUT /v1/contacts/<string:contact_id>/assignment",
    Answer("Who deals with the contact now.", schemas.AssignmentSchema, example("taken", "Taken", schemas.ASSIGNED)),
    scopes=(Scope.CONTACTS_WRITE,),
    body=schemas.AssignmentRequestSchema,
    body_examples=example("taken", "By the caller", {})
    | example("assigned", "To somebody else", {"taken_by": schemas.ASSIGNED["taken_by"]}),
    problems=("not-found", "contact-state-conflict"),
)
def assign_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Take a contact, or assign it

    Says who deals with an open contact, matched or not, and with all others that are open about its order. Use it so
    that no two people work on the same request. If somebody else has taken it, it is a conflict that names them, unless
    they have left. Sending the same again changes nothing. Records the event `contact.assigned` of each, or
    `contact.unmatched_assigned`.
    """
    assigned = assignments.assign(uow, contact_id, body.get("taken_by"))
    return reply({"contact_id": contact_id, "taken_by": assigned.taken_by})


@tag.operation(
    "DELETE /v1/contacts/<string:contact_id>/assignment",
    Answer(
        "Nobody in particular deals with the contact now.",
        schemas.AssignmentSchema,
        example("given_back", "Given back", schemas.ASSIGNED | {"taken_by": None}),
    ),
    scopes=(Scope.CONTACTS_WRITE,),
    problems=("not-found", "contact-state-conflict"),
)
def give_back_contact(uow: UnitOfWork, contact_id: str) -> Response:
    """Give a contact back

    Use it if you cannot go on with a request that you have taken; what somebody else has taken, only with the scope
    `cancellations:override`. If nobody has it, nothing changes. Records the event `contact.assigned` of each contact
    that is open about the order, or `contact.unmatched_assigned`, with null.
    """
    return reply({"contact_id": contact_id, "taken_by": assignments.give_back(uow, contact_id).taken_by})
