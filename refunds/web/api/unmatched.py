"""Unmatched contacts over HTTP: record, read, list, match, complete, acknowledge, resolve and reopen."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.serializers import contact_data, unmatched_data
from refunds.schemas.fields import Line
from refunds.schemas.orders import OrderId
from refunds.service import resolutions, unmatched
from refunds.service.contacts import NewContact
from refunds.service.findings import of_kind
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import lists, telemetry
from refunds.web.endpoint import CSV, Tag, answer, created, parameters, problems, takes
from refunds.web.responses import reply
from refunds.web.schemas import contacts
from refunds.web.schemas import unmatched as schemas
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import JUDGED
from refunds.web.schemas.request_fields import AFTER, LIMIT

tag = Tag(
    "Unmatched contacts", "Contacts about orders that are not known yet, kept until they are matched or resolved."
)


@tag.operation("POST /v1/contacts", Scope.CONTACTS_WRITE)
@created(
    "The contact is recorded.", schemas.UnmatchedContactSchema, schemas.UNMATCHED_EXAMPLE, links=schemas.UNMATCHED_LINKS
)
@takes(schemas.UnmatchedContactRequestSchema, example("call", "A call about an unknown order", schemas.UNKNOWN_CALL))
@problems("payment-data-refused", "contact-state-conflict")
def record_unmatched_contact(uow: UnitOfWork, body: dict[str, Any]) -> Response:
    """Record a contact whose order is not known

    Records a contact that cannot be linked to an order yet. Use it when billing has not sent the order, or when the
    customer cannot name it: the request is not lost, and its time counts. The contact is open until it is matched to
    its order or resolved. Tell the customer its request number.

    To correct an unmatched contact, record a new one that names it in `supersedes`. If both have the same intent, and
    the new contact was received before the earlier one was entered, it counts as entered when the earlier one was, and
    by the same person. So nobody becomes late because of a correction. Without `received_at`, it has the times of the
    earlier one. Only a supervisor can replace an open request by one that was made later; anybody else gets 403. The
    earlier request number still finds the earlier contact, which names the new one in `superseded_by`.

    Records the contact, encrypted with its own key, and the event `contact.unmatched_recorded`, which has no order. If
    it supersedes another contact, also records `contact.unmatched_superseded`.
    """
    kept = unmatched.record(uow, body.pop("order_hint"), NewContact(**body))
    return reply(unmatched_data(kept), status=201, location=f"/v1/unmatched-contacts/{kept.unmatched_id}")


@tag.operation("GET /v1/unmatched-contacts/<string:unmatched_id>", Scope.CONTACTS_READ)
@answer("The unmatched contact.", schemas.UnmatchedContactSchema, schemas.UNMATCHED_EXAMPLE, etag=True)
def get_unmatched_contact(uow: UnitOfWork, unmatched_id: str) -> Response:
    """Get an unmatched contact

    Returns an unmatched contact. Use it to see what is known about the order. After a match, it names the contact that
    it became, and has no personal data any more.
    """
    return reply(unmatched_data(uow.unmatched.get(unmatched_id)), etag=True)


@tag.operation("GET /v1/unmatched-contacts", Scope.CONTACTS_READ)
@parameters(
    request_number=contacts.REQUEST_NUMBER, open=contacts.OPEN, taken_by=contacts.TAKEN_BY, after=AFTER, limit=LIMIT
)
@answer(
    "A page of unmatched contacts, in the order in which they were recorded.",
    schemas.UnmatchedContactListSchema,
    example("open", "An open unmatched contact", {"items": [schemas.UNMATCHED], "next": None}),
    also=CSV,
)
def list_unmatched_contacts(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List unmatched contacts

    Returns the unmatched contacts page by page. You can filter by request number, by whether they are open, and by the
    user or client that has taken them. Use it to find the contacts that wait for their order. With `Accept: text/csv`,
    the page is a table; the header `Link` then has the address of the next page.
    """
    return lists.page(uow, "unmatched", query, uow.unmatched, unmatched_data)


@tag.operation("PUT /v1/contacts/<string:unmatched_id>/order", Scope.CONTACTS_WRITE)
@created("The contact about the order.", contacts.ContactSchema, contacts.EXAMPLE, links=contacts.LINKS)
@answer("The contact was already matched to this order.", contacts.ContactSchema, contacts.EXAMPLE)
@takes(
    "MatchRequest",
    example("order", "Its order", {"order_id": "A-1001"}),
    order_id=OrderId(required=True),
    ticket_ref=Line(100, "The ticket; it replaces the ticket of the unmatched contact. Personal: stored encrypted."),
)
@problems(*JUDGED, "evidence-required", "order-not-found", "contact-state-conflict")
def match_contact(uow: UnitOfWork, unmatched_id: str, body: dict[str, Any]) -> Response:
    """Match a contact to its order

    Turns an unmatched contact into a contact about its order. Use it when the order is known. The new contact keeps the
    request number of the unmatched contact, its times, and who entered it, and is judged by those times. If the policy
    then needs a ticket, send `ticket_ref`. Sending the same match again changes nothing. Records the contact, its
    decision and the event `contact.recorded`, and `contact.acknowledged` if the unmatched contact was acknowledged.
    Empties the unmatched contact, destroys its key, and records the event `contact.matched`.
    """
    contact, is_new = unmatched.match(uow, unmatched_id, **body)
    if not is_new:
        return reply(contact_data(contact))
    telemetry.count_decisions([contact.outcome.reason])
    return reply(contact_data(contact), status=201, location=f"/v1/contacts/{contact.contact_id}")


@tag.operation("PATCH /v1/unmatched-contacts/<string:unmatched_id>", Scope.CONTACTS_WRITE)
@answer("The completed contact.", schemas.UnmatchedContactSchema, schemas.UNMATCHED_EXAMPLE)
@takes(contacts.CompletionRequestSchema, example("ticket", "Its ticket", {"ticket_ref": "T-20391"}))
@problems("contact-state-conflict", "payment-data-refused")
def complete_unmatched_contact(uow: UnitOfWork, unmatched_id: str, body: dict[str, Any]) -> Response:
    """Complete an unmatched contact

    Adds a ticket or a note that was missing when the contact was recorded. It cannot replace a ticket or note on
    record: a different one is a conflict. Sending the same again changes nothing. Records the ticket or note, and the
    event `contact.unmatched_completed`, which names the fields.
    """
    return reply(unmatched_data(of_kind(uow.unmatched, resolutions.complete(uow, unmatched_id, **body))))


@tag.operation("PUT /v1/unmatched-contacts/<string:unmatched_id>/acknowledgement", Scope.CONTACTS_WRITE)
@answer("The acknowledged contact.", schemas.UnmatchedContactSchema, schemas.ANSWERED)
@takes(contacts.AcknowledgementRequestSchema, example("said", "Said on the telephone", {"channel": "phone"}))
@problems("contact-state-conflict", "payment-data-refused")
def acknowledge_unmatched_contact(uow: UnitOfWork, unmatched_id: str, body: dict[str, Any]) -> Response:
    """Acknowledge an unmatched contact

    Records that the customer was answered, like `acknowledgeContact`. A telephone number in `to` needs its country
    code, because there is no order that says where the customer is. After a match, the contact about the order has the
    acknowledgement. Records the acknowledgement and the event `contact.unmatched_acknowledged`.
    """
    return reply(unmatched_data(of_kind(uow.unmatched, resolutions.acknowledge(uow, unmatched_id, **body))))


@tag.operation("PUT /v1/unmatched-contacts/<string:unmatched_id>/resolution", Scope.CONTACTS_WRITE)
@answer("The resolved contact.", schemas.UnmatchedContactSchema, schemas.CLOSED)
@takes(
    schemas.UnmatchedResolutionRequestSchema,
    example("elsewhere", "A wrong number", {"reason": "The number is another shop's."}),
)
@problems("contact-state-conflict", "payment-data-refused")
def resolve_unmatched_contact(uow: UnitOfWork, unmatched_id: str, body: dict[str, Any]) -> Response:
    """Resolve an unmatched contact

    Closes an unmatched contact without an order, with a reason. Use it if its order cannot be found, or if the customer
    asks for nothing. Only a supervisor can close a withdrawal; anybody else gets 403. Sending the same reason again
    changes nothing. Records the resolution and the event `contact.unmatched_resolved`.
    """
    return reply(unmatched_data(unmatched.resolve(uow, unmatched_id, body["reason"])))


@tag.operation(
    "DELETE /v1/unmatched-contacts/<string:unmatched_id>/resolution",
    Scope.CONTACTS_WRITE,
    query=contacts.ReopenQuerySchema,
)
@answer("The unmatched contact, open again.", schemas.UnmatchedContactSchema, schemas.UNMATCHED_EXAMPLE)
@problems("contact-state-conflict")
def reopen_unmatched_contact(uow: UnitOfWork, unmatched_id: str, query: dict[str, Any]) -> Response:
    """Reopen an unmatched contact

    Opens a resolved unmatched contact again. Use it if the contact was resolved in error, or if the customer asks
    again. An open contact stays as it is; a matched one is a conflict. Records the event `contact.unmatched_reopened`,
    with the reason. The contact no longer shows the resolution.
    """
    return reply(unmatched_data(unmatched.reopen(uow, unmatched_id, query["reason_code"])))
