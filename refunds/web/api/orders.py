"""Orders over HTTP: register, correct, read, list and decide; look up a customer."""

import re
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson
from flask import Response, g, request

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Scope
from refunds.domain.records import Order
from refunds.domain.standings import Standing
from refunds.domain.withdrawals import information_period
from refunds.errors import CallersError, InvalidInput, Message, PreconditionFailed, PreconditionRequired
from refunds.presentation.decisions import decision_data
from refunds.presentation.serializers import information_data, order_data
from refunds.schemas.fields import Choice, Instant, ListOf, Reference, Unread, Whole
from refunds.schemas.orders import InlineOrderSchema, OrderId
from refunds.schemas.strict import schema_of
from refunds.service import orders
from refunds.service.calendars import MOST_BUILT
from refunds.service.orders import OrderFacts, Registration
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, lists, telemetry
from refunds.web.endpoint import CSV, Tag, Transaction, answer, created, parameters, problems, takes
from refunds.web.problems import error_data
from refunds.web.responses import reply
from refunds.web.schemas import orders as schemas
from refunds.web.schemas.decisions import DECISION
from refunds.web.schemas.examples import example
from refunds.web.schemas.request_fields import AFTER, MOST, PAGE

tag = Tag("Orders", "Orders as billing registers them: facts, but no amounts.")


@tag.operation("PUT /v1/orders/<order:order_id>", Scope.ORDERS_WRITE, headers=("IfMatch",))
@answer(
    "The order was already registered, and has the facts that were sent.",
    schemas.OrderSchema,
    schemas.EXAMPLE,
    etag=True,
    links=schemas.LINKS,
)
@created("The order is registered.", schemas.OrderSchema, schemas.EXAMPLE, etag=True, links=schemas.LINKS)
@takes(
    schemas.OrderRequestSchema,
    example("register", "Register an order", schemas.FACTS)
    | example("later", "Not provided yet", schemas.FACTS | {"service_provided_at": None}),
)
@problems(*schemas.JUDGED, "order-facts-conflict", "order-frozen", "precondition-failed", "precondition-required")
@problems("legal-hold")
def register_order(uow: UnitOfWork, order_id: str, body: dict[str, Any]) -> Response:
    """Register an order, or correct one

    Registers an order with its facts. Call it when the order is placed, and again when the service is provided. Sending
    the same facts again changes nothing, so a retry is safe. You can add a missing time of service later, without a
    correction.

    If the facts differ, the response is a conflict that names the differences, unless you send them as a correction. A
    correction needs the order's ETag as `If-Match`, a `correction_reason` and the scope `orders:correct`; the order
    must have no active cancellation. If a caller without that scope states facts, the order is marked with
    `facts_entered_by_agent` until a caller with that scope states the same facts.

    Records the order, its customer, and the event `order.registered`, `order.corrected` or `order.confirmed`. If the
    order's window is its first, or ends later than was promised, also records the promise and the event
    `order.promised`.
    """
    reason = body.pop("correction_reason", None)
    facts = OrderFacts(order_id=_order_id.read({"order_id": order_id})["order_id"], **body)
    if "If-Match" in request.headers:
        (standing,), created = uow.orders.standings([_corrected(uow, facts, reason)]), False
    elif reason is not None:
        raise PreconditionRequired(Message("Send the ETag of the order that you have read as If-Match."))
    else:
        locked, registration = orders.register(uow, facts)
        created = registration is Registration.REGISTERED
        (standing,) = [_new(uow, locked.order)] if created else uow.orders.standings([locked.order])
    location = f"/v1/orders/{quote(standing.order.order_id, safe='')}" if created else None
    return _shown(standing, status=201 if created else 200, location=location)


@tag.operation("GET /v1/orders/<order:order_id>", Scope.ORDERS_READ)
@answer("The order.", schemas.OrderSchema, schemas.EXAMPLE, etag=True, links=schemas.LINKS)
def get_order(uow: UnitOfWork, order_id: str) -> Response:
    """Get an order

    Returns the order's registered facts, the window that it was promised, and its state. Use it to compare the facts
    before you correct them. The ETag changes whenever one of these changes. A correction can have an older ETag if the
    facts have not changed since.
    """
    return _shown(*uow.orders.standings([uow.orders.get(order_id)]))


@tag.operation("GET /v1/orders", Scope.ORDERS_READ, query=schemas.OrderQuerySchema)
@answer(
    "A page of orders: by time of registration or, if filtered by deadline, by deadline.",
    schemas.OrderListSchema,
    example("registered", "One order", {"items": [schemas.ORDER], "next": None}),
    also=CSV,
)
def list_orders(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List orders

    Returns the orders page by page. You can filter by policy, by region, by the time at which they were registered, by
    state, by the deadline of their promised window, by whether their service is provided, and by who stated their
    facts. Use it, for example, to find the windows that end today: their deadlines lie between noon today and noon
    tomorrow. With `Accept: text/csv`, the page is a table; the header `Link` then has the address of the next page.
    """
    return lists.page(uow, "orders", query, uow.orders, order_data)


@tag.operation("POST /v1/orders/batch", Scope.ORDERS_WRITE, most_bytes=2 * 2**20)
@answer(
    "An outcome or a problem for each item, in order.",
    schemas.OrderBatchResultSchema,
    example("one", "One order", {"items": [schemas.IMPORTED]}),
)
@takes(
    "OrderBatch",
    example("one", "One order", {"items": [{"order_id": "A-1001"} | schemas.FACTS]}),
    items=ListOf(
        Unread(InlineOrderSchema), 1_000, "The orders, in the order in which they are registered.", required=True
    ),
)
def import_orders(body: dict[str, Any]) -> Response:
    """Register many orders at once

    Registers up to 1,000 orders. Each is registered as by `PUT` without `If-Match`, completely or not at all. An item
    that is refused gets a problem in its place and does not affect the others. Use it to import orders. Sending the
    same items again changes nothing, so a retry is safe. Send them again after an error, too: some items may have been
    registered. If the calendar of an item's region cannot be built now, the item gets the problem `rate-limited`: send
    it again. Records `order.registered` for each new order, and `order.corrected` for each order whose facts the item
    completes. Records `order.confirmed` if the item confirms facts that an agent had entered, and `order.promised` if
    the order's window is its first, or ends later than was promised.
    """
    g.builder.left = MOST_BUILT
    read = list(map(_read_item, body["items"]))
    outcomes = orders.import_all(auth.store(), g.principal, enumerate(read), g.builder.build)
    return reply({"items": [_outcome_data(i, read[i], outcome) for i, outcome in outcomes]})


@tag.operation("GET /v1/orders/<order:order_id>/eligibility", Scope.ORDERS_READ)
@parameters(
    requested_at=Instant("When the customer asked for the cancellation. Default: now."),
    channel=Choice(Channel, "How the customer asked. If it is left out, the channel is not checked."),
)
@answer(
    "The decision.",
    schemas.OrderDecisionSchema,
    example("in_time", "In time, over Easter", DECISION | {"information_period": schemas.PERIOD}),
)
@problems("calendar-not-covered", "no-policy-in-force")
def get_order_eligibility(uow: UnitOfWork, order_id: str, query: dict[str, Any]) -> Response:
    """Decide whether a registered order can be cancelled

    Returns a decision on the registered facts; it also considers whether the order is already cancelled. Use it to
    answer a customer whose contact need not be recorded. If the decision would be a refusal, but the order has an open
    request that was in time, or an open request that waits for a supervisor, the response has the decision on that
    request; `judged_by_contact` names it. The `information_period` says when the 14 calendar days after the order are
    over; no decision uses it. Records nothing.
    """
    order = uow.orders.get(order_id)
    decision = orders.eligibility(uow, order, query.get("requested_at"), query.get("channel"))
    data = decision_data(decision.outcome, decision.facts.request)
    period = information_period(order.ordered_at, decision.outcome, decision.version.terms)
    data["information_period"] = information_data(period, uow.now)
    telemetry.count_decisions([data["reason"]])
    return reply(data)


@tag.operation("POST /v1/customers/lookup", Scope.PERSONAL_READ, transaction=Transaction.READ)
@answer(
    "The customer and their orders, sorted by id.",
    schemas.CustomerSchema,
    example(
        "known",
        "A customer with one order",
        {"customer_id": schemas.ORDER["customer_id"], "items": [schemas.ORDER], "next": None},
    ),
)
@takes(
    "LookupRequest",
    example("known", "By billing's reference", {"customer_ref": "K-20391"}),
    customer_ref=Reference(200, "Billing's reference for the customer.", required=True),
    after=AFTER,
    limit=Whole(1, MOST, f"The most orders on a page. Default: {PAGE}."),
)
@problems("invalid-cursor", "payment-data-refused")
def look_up_customer(uow: UnitOfWork, body: dict[str, Any]) -> Response:
    """Look up a customer

    Returns the id of a customer, found by billing's reference, and a page of their orders. Use it when you do not know
    the order's id. The reference is sent in the body so that it appears in no log. An unknown customer is not an error:
    `customer_id` is null. Records nothing.
    """
    customer_ref, limit = body["customer_ref"], body.get("limit", PAGE)
    customer_id = uow.customers.find(customer_ref)
    items, following = lists.paginate(
        uow,
        "lookup",
        customer_ref,
        body.get("after"),
        limit=limit,
        fetch=partial(uow.orders.of_customer, customer_id),
        place_of=lambda order: [order.order_id],
    )
    shown = list(map(order_data, uow.orders.standings(items)))
    return reply({"customer_id": customer_id, "items": shown, "next": following})


_order_id = schema_of(order_id=OrderId(required=True))
_inline_order = InlineOrderSchema()
_REVISIONS = re.compile(r'"([0-9]{1,9})(?:-[0-9a-f]{8})?"')


def _new(uow: UnitOfWork, order: Order) -> Standing:
    """Return the standing of an order that was just registered: its promise, if it was provided, and nothing else."""
    return Standing(order, uow.promises.current(order.order_id) if order.service_provided_at else None, uow.now)


def _shown(standing: Standing, **more: Any) -> Response:
    """Return the response that shows an order, with `more` as `reply` takes it; the ETag covers everything shown."""
    data = order_data(standing)
    digest = sha256(orjson.dumps(data)).hexdigest()[:8]
    return reply(data, etag=f"{standing.order.revision}-{digest}", **more)


def _read_item(item: Any) -> OrderFacts | InvalidInput:
    """Return the facts of an item of a batch, or the error if the item is invalid."""
    try:
        return OrderFacts(**_inline_order.read(item))
    except InvalidInput as error:
        return error


def _outcome_data(i: int, read: OrderFacts | InvalidInput, outcome: Registration | CallersError) -> dict[str, Any]:
    """Return the result for the item of a batch at index `i`: status, order id and what was done, or a problem."""
    if isinstance(outcome, CallersError):
        return error_data(outcome, f"/items/{i}")
    assert isinstance(read, OrderFacts)
    status = 201 if outcome is Registration.REGISTERED else 200
    return {"status": status, "order_id": read.order_id, "outcome": outcome}


def _corrected(uow: UnitOfWork, facts: OrderFacts, reason: str | None) -> Order:
    """Correct an order by the facts of an HTTP request that has an If-Match, and return the corrected order.

    Raises `InvalidInput` if there is no reason, `PreconditionRequired` if the If-Match is `*`, `PreconditionFailed` if
    it has no ETag of an order or if, for other facts, none of the order's present revision, and the other errors of
    `orders.correct`, such as `NotFound` and `OrderFrozen`.
    """
    if reason is None:
        raise InvalidInput.at("/correction_reason", Message("is required for a correction"), "required")
    given = request.headers["If-Match"].strip()
    if given == "*":
        raise PreconditionRequired(Message("Send the ETag of the order that you have read as If-Match: * names none."))
    seen = [_REVISIONS.fullmatch(tag.strip()) for tag in given.split(",")]
    if not any(seen):
        raise PreconditionFailed(
            Message("If-Match is no ETag of the order: read the order, and send its ETag with the quotes.")
        )
    return orders.correct(uow, facts, reason, {int(tag[1]) for tag in seen if tag})
