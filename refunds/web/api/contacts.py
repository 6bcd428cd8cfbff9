"""Contacts over HTTP: record, read, list, complete, acknowledge, resolve, reopen and assign."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.serializers import contact_data
from refunds.schemas.fields import FlagText, Text
from refunds.schemas.orders import OrderId
from refunds.service import assignments, contacts, resolutions
from refunds.service.contacts import NewContact
from refunds.service.findings import of_kind
from refunds.service.resolutions import Resolution
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import lists, telemetry
from refunds.web.endpoint import CSV, Tag, answer, created, parameters, problems, takes
from refunds.web.responses import reply
from refunds.web.schemas import contacts as schemas
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import JUDGED
from refunds.web.schemas.request_fields import AFTER, LIMIT

tag = Tag("Contacts", "Calls, e-mails and letters of customers, each recorded with the decision on it.")


@tag.operation("POST /v1/orders/<order:order_id>/contacts", Scope.CONTACTS_WRITE)
@created("The contact is recorded.", schemas.ContactSchema, schemas.EXAMPLE, links=schemas.LINKS)
@takes(
    schemas.ContactRequestSchema,
    example("call", "A call", schemas.CALL)
    | example("withdrawal", "A withdrawal by letter", schemas.WITHDRAWAL)
    | example("question", "Only a question", {"channel": "email", "intent": "question"}),
)
@problems(*JUDGED, "evidence-required", "contact-state-conflict")
def record_contact(uow: UnitOfWork, order_id: str, body: dict[str, Any]) -> Response:
    """Record a contact

    Records a contact about an order, with the decision on it. Use it for a question, or for a request on which you do
    not want to cancel at once: `issueCancellation` records a contact and cancels in one step. The time of receipt
    counts (or of sending, if the policy says so), never the time of entry. A refusal is recorded, too. A request stays
    open until the order is cancelled, or the contact is resolved or superseded.

    An order may have an open request that was in time or waits for a supervisor. A new contact that would be refused
    then gets the decision on that request instead.

    A withdrawal (intent `withdrawal`) counts by every channel, and by the time at which it was sent. After the window,
    it stays open until a supervisor deals with it. It can supersede a refused request.

    To correct a contact, record a new one that names it in `supersedes`. If both have the same intent, and the new one
    was received before the earlier one was entered, it counts as entered when the earlier one was. If an open request
    was in time or waits for a supervisor, only a supervisor can replace it by a refused contact; anybody else gets 403.
    What a restriction hides from the caller is taken over where the new contact has nothing in its place.

    Records the contact, its decision and the event `contact.recorded`, and the event `contact.superseded` of a
    superseded contact. If the window is the first, or ends later than was promised, also records `order.promised`.
    """
    contact = contacts.record(uow, order_id, NewContact(**body))
    telemetry.count_decisions([contact.outcome.reason])
    return reply(contact_data(contact), status=201, location=f"/v1/contacts/{contact.contact_id}")


@tag.operation("GET /v1/contacts/<string:contact_id>", Scope.CONTACTS_READ)
@answer("The contact.", schemas.ContactSchema, schemas.EXAMPLE, etag=True)
def get_contact(uow: UnitOfWork, contact_id: str) -> Response:
    """Get a contact

    Returns the contact, with the decision that was made when it was recorded. That decision never changes. Use it to
    see how and why a request was decided.
    """
    return reply(contact_data(uow.contacts.get(contact_id)), etag=True)


@tag.operation("GET /v1/contacts", Scope.CONTACTS_READ)
@parameters(
    order_id=OrderId(),
    request_number=schemas.REQUEST_NUMBER,
    open=schemas.OPEN,
    backdated=FlagText(
        "`true`: only backdated contacts, received before their deadline and entered after it. `false`: only the "
        "others."
    ),
    taken_by=schemas.TAKEN_BY,
    after=AFTER,
    limit=LIMIT,
)
@answer(
    "A page of contacts, in the order in which they were recorded.",
    schemas.ContactListSchema,
    example("open", "One open request", {"items": [schemas.CONTACT], "next": None}),
    also=CSV,
)
def list_contacts(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List contacts

    Returns the contacts page by page. You can filter by order, by the request number that the customer reads out, by
    whether they are open or backdated, and by the user or client that has taken them. Use it to find the requests that
    wait for somebody. With `Accept: text/csv`, the page is a table; the header `Link` then has the address of the next
    page.
    """
    return lists.page(uow, "contacts", query, uow.contacts, contact_data)


@tag.operation("PATCH /v1/contacts/<string:contact_id>", Scope.CONTACTS_WRITE)
@answer(
    "The completed contact.",
    schemas.ContactSchema,
    example("completed", "With its ticket", schemas.CONTACT | {"ticket_ref": "T-20391"}),
)
@takes(schemas.CompletionRequestSchema, example("ticket", "Its ticket", {"ticket_ref": "T-20391"}))
@problems("contact-state-conflict", "payment-data-refused", "customer-erased")
def complete_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Complete a contact

    Adds a ticket or a note that was missing when the contact was recorded. It cannot replace a ticket or note on
    record: a different one is a conflict. To correct one, record a contact that supersedes this one. Sending the same
    again changes nothing. The decision stays the same. Records the ticket or note, and the event `contact.completed`,
    which names the fields.
    """
    return reply(contact_data(of_kind(uow.contacts, resolutions.complete(uow, contact_id, **body))))


@tag.operation("PUT /v1/contacts/<string:contact_id>/acknowledgement", Scope.CONTACTS_WRITE)
@answer(
    "The acknowledged contact.",
    schemas.ContactSchema,
    example("acknowledged", "Answered by e-mail", schemas.CONTACT | {"acknowledgement": schemas.ACKNOWLEDGEMENT}),
)
@takes(
    schemas.AcknowledgementRequestSchema,
    example("said", "Said on the telephone", {"channel": "phone"})
    | example(
        "sent",
        "An e-mail to another address",
        {name: schemas.ACKNOWLEDGEMENT[name] for name in ("channel", "to", "given_at")},
    ),
)
@problems("contact-state-conflict", "payment-data-refused", "customer-erased")
def acknowledge_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Acknowledge a contact

    Records that the customer was answered: when, how and where. Leave `to` out if it was the number or address that
    they used. Use it after you have answered: the service itself sends nothing. Sending the same again changes nothing;
    a different acknowledgement is a conflict. A superseded contact cannot be acknowledged: acknowledge the one that
    supersedes it. Records the acknowledgement and the event `contact.acknowledged`.
    """
    return reply(contact_data(of_kind(uow.contacts, resolutions.acknowledge(uow, contact_id, **body))))


@tag.operation("PUT /v1/contacts/<string:contact_id>/resolution", Scope.CONTACTS_WRITE)
@answer(
    "The resolved contact.",
    schemas.ContactSchema,
    example("resolved", "A customer who stays", schemas.CONTACT | {"open": False, "resolution": schemas.RESOLUTION}),
)
@takes(
    schemas.ResolutionRequestSchema,
    example("stays", "A customer who stays", {name: schemas.RESOLUTION[name] for name in ("reason_code", "reason")}),
)
@problems("contact-state-conflict", "payment-data-refused")
def resolve_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Resolve a contact

    Closes an open contact without a cancellation, with a reason. Also closes all other open contacts about its order
    that have the same intent. With the reason `duplicate`, closes only this one: the request that it repeats stays
    open. Use it when the customer no longer asks for a cancellation.

    Closing a withdrawal needs the scope `cancellations:override`. Closing a request that was in time or needs a
    supervisor needs that scope, too, except with the reasons `customer_kept_order`, `duplicate` and `entered_in_error`.

    Sending the same again changes nothing. Records the resolution and the event `contact.resolved` of each contact. If
    the customer was erased, `reason` is not stored, and the response has `[erased]` in its place.
    """
    return reply(contact_data(resolutions.resolve(uow, contact_id, Resolution(**body))))


@tag.operation(
    "DELETE /v1/contacts/<string:contact_id>/resolution", Scope.CONTACTS_WRITE, query=schemas.ReopenQuerySchema
)
@answer("The contact, open again.", schemas.ContactSchema, schemas.EXAMPLE)
@problems("contact-state-conflict")
def reopen_contact(uow: UnitOfWork, contact_id: str, query: dict[str, Any]) -> Response:
    """Reopen a contact

    Opens a resolved request again, with all requests that were resolved together with it. Use it if a request was
    resolved in error, or if the customer asks for the cancellation after all. An open request stays as it is. The order
    must not be cancelled. Records the event `contact.reopened` of each contact, with the reason. The contact no longer
    shows the resolution.
    """
    return reply(contact_data(resolutions.reopen(uow, contact_id, query["reason_code"])))


@tag.operation("PUT /v1/contacts/<string:contact_id>/assignment", Scope.CONTACTS_WRITE)
@answer("Who deals with the contact now.", schemas.AssignmentSchema, example("taken", "Taken", schemas.ASSIGNED))
@takes(
    "AssignmentRequest",
    example("taken", "By the caller", {})
    | example("assigned", "To somebody else", {"taken_by": schemas.ASSIGNED["taken_by"]}),
    taken_by=Text(
        64,
        "The id of the user who is to deal with the contact. Default: the caller. To assign it to somebody else, you "
        "need the scope `cancellations:override`; the new user then replaces the one who had taken it.",
    ),
)
@problems("contact-state-conflict")
def assign_contact(uow: UnitOfWork, contact_id: str, body: dict[str, Any]) -> Response:
    """Take a contact, or assign it

    Records who deals with an open contact, matched or not, and with all other open contacts about its order. Use it so
    that no two people work on the same request. If somebody else has taken the contact, the response is a conflict that
    names them, unless they can no longer deal with contacts. A supervisor can assign it all the same. Sending the same
    again changes nothing. Records the event `contact.assigned` or `contact.unmatched_assigned` of each contact.
    """
    assigned = assignments.assign(uow, contact_id, body.get("taken_by"))
    return reply({"contact_id": contact_id, "taken_by": assigned.taken_by})


@tag.operation("DELETE /v1/contacts/<string:contact_id>/assignment", Scope.CONTACTS_WRITE)
@answer(
    "Nobody in particular deals with the contact now.",
    schemas.AssignmentSchema,
    example("given_back", "Given back", schemas.ASSIGNED | {"taken_by": None}),
)
@problems("contact-state-conflict")
def give_back_contact(uow: UnitOfWork, contact_id: str) -> Response:
    """Give a contact back

    Records that nobody in particular deals with an open contact any more, or with the other open contacts about its
    order. Use it if you cannot go on with a request that you have taken. To give back what somebody else has taken, you
    need the scope `cancellations:override`. If nobody has taken the contact, nothing changes. Records the event
    `contact.assigned` or `contact.unmatched_assigned` of each contact, with `taken_by` null.
    """
    return reply({"contact_id": contact_id, "taken_by": assignments.give_back(uow, contact_id).taken_by})
