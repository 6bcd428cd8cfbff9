"""Cancellations over HTTP: issue, read, list, refund, settle, and revoke."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.domain.records import RefundEndReason, UnsettleReason
from refunds.errors import InvalidInput, Message
from refunds.presentation.decisions import decision_data
from refunds.presentation.serializers import cancellation_data
from refunds.presentation.texts.decisions import reason_text
from refunds.schemas.fields import Choice, Instant, Reference
from refunds.service import cancellations, settlements
from refunds.service.cancellations import Override, Refused
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import lists, telemetry
from refunds.web.endpoint import CSV, Tag, answer, created, parameters, problems, takes
from refunds.web.problems import problem_answer, problem_data
from refunds.web.responses import reply
from refunds.web.schemas import cancellations as schemas
from refunds.web.schemas.contacts import CALL, CONTACT
from refunds.web.schemas.examples import example
from refunds.web.schemas.orders import FACTS, JUDGED

tag = Tag("Cancellations", "The cancellations of orders, which billing refunds.")

_NAMED = {"order_id": "A-1001", "contact_id": CONTACT["contact_id"]}


@tag.operation("POST /v1/cancellations", Scope.CANCELLATIONS_ISSUE, refusal=schemas.RefusalSchema)
@created("The order is cancelled.", schemas.CancellationSchema, schemas.EXAMPLE, links=schemas.LINKS)
@takes(
    schemas.CancellationRequestSchema,
    example("inline", "A new order and a new call", {"order": {"order_id": "A-1001"} | FACTS, "contact": CALL})
    | example("stored", "A registered order and a recorded contact", _NAMED)
    | example(
        "goodwill",
        "A supervisor's goodwill",
        _NAMED | {"override": {"kind": "goodwill", "reason": "Our line was down all afternoon."}},
    )
    | example(
        "statutory",
        "A withdrawal after the window",
        _NAMED | {"override": {"kind": "statutory", "reason": "A consumer, within 14 days of the order."}},
    ),
)
@problems(*JUDGED, "evidence-required", "not-found", "order-not-found", "not-refundable", "order-already-cancelled")
@problems("order-facts-conflict", "order-frozen", "contact-state-conflict")
def issue_cancellation(uow: UnitOfWork, body: dict[str, Any]) -> Response:
    """Cancel an order

    Cancels an order for a customer who asks for it. The service makes a new decision on the order's current facts and
    the contact's own times. If the new decision is a refusal, but the order has an open request that was in time, the
    service cancels the order on that request; `contact_id` in the response names it. Without such a request, the
    response is a problem. An order or a contact in the body is then recorded all the same, with its own events, and the
    problem names the contact's id. A supervisor can send that id later, with an override. An order has at most one
    cancellation that is not revoked. Records the cancellation and the event `cancellation.issued`. The order's contacts
    are then no longer open. If the window is the first, or ends later than was promised, also records `order.promised`.
    """
    outcome = cancellations.issue(uow, **_request(body))
    if isinstance(outcome, Refused):
        return _refusal(outcome)
    data = cancellation_data(outcome)
    telemetry.count_decisions([data["decision"]["reason"]])
    return reply(data, status=201, location=f"/v1/cancellations/{outcome.cancellation_id}")


@tag.operation("GET /v1/cancellations/<string:cancellation_id>", Scope.CANCELLATIONS_READ)
@answer("The cancellation.", schemas.CancellationSchema, schemas.EXAMPLE, etag=True)
def get_cancellation(uow: UnitOfWork, cancellation_id: str) -> Response:
    """Get a cancellation

    Returns the cancellation, the decision on which it was issued, and its refund, settlement or revocation. Use it to
    see the state of a cancellation.
    """
    return reply(cancellation_data(uow.cancellations.get(cancellation_id)), etag=True)


@tag.operation("GET /v1/cancellations", Scope.CANCELLATIONS_READ, query=schemas.CancellationQuerySchema)
@answer(
    "A page of cancellations: by time of issue or, with `overdue=true`, the longest overdue first.",
    schemas.CancellationListSchema,
    schemas.LISTED,
    also=CSV,
)
def list_cancellations(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List cancellations

    Returns the cancellations page by page. You can filter by order, by the reference that the customer reads out, by
    state, basis, policy and issuer, by the time at which they were issued, due or settled, and by whether they are
    overdue. Use it to find the cancellations that billing has to refund. With `Accept: text/csv`, the page is a table;
    the header `Link` then has the address of the next page.
    """
    return lists.page(uow, "cancellations", query, uow.cancellations, cancellation_data)


def _request(body: dict[str, Any]) -> dict[str, Any]:
    """Read a body for `cancellations.issue`; raise `InvalidInput` unless it has one order and one contact."""
    for one, other in (("order_id", "order"), ("contact_id", "contact")):
        if (one in body) == (other in body):
            detail = Message("give either %(one)s or %(other)s", one=one, other=other)
            raise InvalidInput.at(f"/{one}", detail, "one_of_two")
    return {
        "order": OrderFacts(**body["order"]) if "order" in body else body["order_id"],
        "contact": NewContact(**body["contact"]) if "contact" in body else body["contact_id"],
        "override": Override(**body["override"]) if "override" in body else None,
    }


def _refusal(refused: Refused) -> Response:
    """Count the decision, and return the response with the problem that says why the order was not cancelled."""
    outcome, active = refused.decision.outcome, refused.active
    telemetry.count_decisions([outcome.reason])
    data = problem_data("order-already-cancelled" if active else "not-refundable", reason_text(outcome))
    data |= {"contact_id": refused.contact.contact_id, "decision": decision_data(outcome)}
    if active:
        data["cancellation"] = {"cancellation_id": active.cancellation_id, "reference": active.reference_aloud}
    return problem_answer(data)


settlements_tag = Tag(
    "Settlements", "What happens after a cancellation is issued: billing refunds and settles it, or it is revoked."
)


@settlements_tag.operation("PUT /v1/cancellations/<string:cancellation_id>/refund", Scope.CANCELLATIONS_SETTLE)
@answer("The cancellation with its begun refund.", schemas.CancellationSchema, schemas.REFUNDING)
@takes(
    "RefundRequest",
    example("begun", "With billing's reference", {"billing_ref": schemas.SETTLEMENT["billing_ref"]})
    | example("without", "Without one", {}),
    billing_ref=Reference(
        100,
        "Billing's reference for the refund. It names the holder: once the refund has begun, only an HTTP request "
        "with the same reference gets 200. If you leave it out, your client is the holder. Personal: stored "
        "encrypted.",
    ),
)
@problems("cancellation-state-conflict", "payment-data-refused", "customer-erased")
def begin_refund(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Begin a refund

    Records that billing is about to refund. Call it before you pay. From then on nobody can revoke the cancellation, so
    it cannot be paid and revoked at the same time. The refund has one holder, named by its `billing_ref`; without one,
    or if the customer is erased, it is the client that began the refund. If the holder sends the HTTP request again,
    the response is 200; anybody else gets 409, and the detail names the holder. Send the `billing_ref` to the payment
    provider, too, as its idempotency key. A worker that starts again must first ask the provider whether it has paid.
    After the payment, settle the cancellation; if the refund fails, end it. Records the refund with its holder, and the
    event `cancellation.refund_begun`.
    """
    return reply(cancellation_data(settlements.begin_refund(uow, cancellation_id, body.get("billing_ref"))))


@settlements_tag.operation("DELETE /v1/cancellations/<string:cancellation_id>/refund", Scope.CANCELLATIONS_SETTLE)
@parameters(reason_code=Choice(RefundEndReason, "Why the refund ends.", required=True))
@answer("The cancellation, now waiting for a refund again.", schemas.CancellationSchema, schemas.EXAMPLE)
@problems("cancellation-state-conflict")
def end_refund(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """End a refund that failed

    Records that a refund has failed. Call it only if it is certain that nothing was paid. The cancellation is `issued`
    again, without the refund, and can be refunded again or revoked. Records the event `cancellation.refund_failed` with
    the reason. If it is `issued` already, nothing changes, and no event is recorded; if it is settled or revoked, that
    is a conflict.
    """
    return reply(cancellation_data(settlements.end_refund(uow, cancellation_id, query["reason_code"])))


@settlements_tag.operation("PUT /v1/cancellations/<string:cancellation_id>/settlement", Scope.CANCELLATIONS_SETTLE)
@answer("The settled cancellation.", schemas.CancellationSchema, schemas.SETTLED)
@takes(
    "SettlementRequest",
    example(
        "settled",
        "Refunded this morning",
        {"settled_at": schemas.SETTLEMENT["settled_at"], "billing_ref": schemas.SETTLEMENT["billing_ref"]},
    ),
    settled_at=Instant("When billing refunded. Default: now."),
    billing_ref=Reference(100, "Billing's reference for the refund. Personal: stored encrypted.", required=True),
)
@problems("cancellation-state-conflict", "payment-data-refused")
def settle_cancellation(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Settle a cancellation

    Records that billing has refunded. Call it after you have paid: begin the refund, pay, then settle. If you do not
    begin the refund, somebody can revoke the cancellation while you pay. Sending the same settlement again changes
    nothing. A different settlement is a conflict, and so is a `billing_ref` that differs from that of the begun refund.
    Records the settlement and the event `cancellation.settled`. If the customer was erased, `billing_ref` is not
    stored, and the response has `[erased]` in its place.
    """
    settled = settlements.settle(uow, cancellation_id, body.get("settled_at"), body["billing_ref"])
    return reply(cancellation_data(settled))


@settlements_tag.operation("DELETE /v1/cancellations/<string:cancellation_id>/settlement", Scope.CANCELLATIONS_SETTLE)
@parameters(reason_code=Choice(UnsettleReason, "Why the settlement is undone.", required=True))
@answer("The cancellation, now no longer settled.", schemas.CancellationSchema, schemas.EXAMPLE)
@problems("cancellation-state-conflict")
def unsettle_cancellation(uow: UnitOfWork, cancellation_id: str, query: dict[str, Any]) -> Response:
    """Undo a settlement

    Removes the settlement, so that the cancellation waits for a refund again. Use it if a refund failed after it was
    settled, or if the settlement was recorded in error. Records the event `cancellation.unsettled` with the reason. The
    cancellation no longer shows the settlement or the refund. If it is `issued` already, nothing changes; if its refund
    is begun or it is revoked, that is a conflict.
    """
    issued = settlements.unsettle(uow, cancellation_id, query["reason_code"])
    return reply(cancellation_data(issued))


@settlements_tag.operation(
    "PUT /v1/cancellations/<string:cancellation_id>/revocation", (Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE)
)
@answer("The revoked cancellation.", schemas.CancellationSchema, schemas.REVOKED)
@takes(
    schemas.RevocationRequestSchema, example("revoked", "A customer who stays", {"reason_code": "customer_kept_order"})
)
@problems("cancellation-state-conflict", "payment-data-refused")
def revoke_cancellation(uow: UnitOfWork, cancellation_id: str, body: dict[str, Any]) -> Response:
    """Revoke a cancellation

    Takes a cancellation back; the order can then be cancelled again. Use it when the customer keeps the order, or if
    the cancellation was entered in error. This is possible until billing begins the refund or settles the cancellation.
    With only the scope `cancellations:issue`, callers can revoke what they issued themselves within the last 15
    minutes. Records the revocation and the event `cancellation.revoked`. The order's requests are open again. With
    `customer_kept_order`, those that are not withdrawals are resolved instead, each with the event `contact.resolved`.
    If the customer was erased, `reason` is not stored, and the response has `[erased]` in its place.
    """
    revoked = settlements.revoke(uow, cancellation_id, body["reason_code"], body.get("reason"))
    return reply(cancellation_data(revoked))
