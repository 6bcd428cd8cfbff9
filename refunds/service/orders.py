"""Orders: the facts that billing states, and whether orders can be cancelled."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from refunds.domain import judging
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision
from refunds.domain.holidays_data import CalendarNotReady, only_ready
from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.outcomes import Facts, ToldWindow, Verdict
from refunds.domain.permissions import Principal, Scope
from refunds.domain.records import Contact, Intent, Order, Promise, PromiseCause
from refunds.domain.regions import require_region
from refunds.errors import (
    CallersError,
    Conflict,
    FieldError,
    InvalidInput,
    Message,
    OrderFactsConflict,
    OrderFrozen,
    PreconditionFailed,
)
from refunds.service import checks, promises
from refunds.service.store import Store
from refunds.storage.orders import LockedOrder
from refunds.storage.unit_of_work import UnitOfWork

AHEAD = timedelta(minutes=1)
"""How far the clocks of callers may be ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What billing states about an order; `policy` None: the registered one or, if the order is new, the default."""

    order_id: str
    customer_ref: str
    service_provided_at: datetime | None
    ordered_at: datetime | None = None
    policy: str | None = None
    region: str | None = None


class Registration(StrEnum):
    """What `register` did with an order."""

    REGISTERED = "registered"
    COMPLETED = "completed"
    """The order was known, and its missing `service_provided_at` was added."""
    UNCHANGED = "unchanged"


def register(uow: UnitOfWork, facts: OrderFacts) -> tuple[LockedOrder, Registration]:
    """Register an order, and promise its window; returns the order, locked, and what was done.

    The same facts again change nothing, except who has asserted them: the principal from now on, if an agent had
    entered them and the principal may correct facts. A missing `service_provided_at` can be added later. Raises
    `OrderFactsConflict` if other facts differ, naming them; `CustomerErased`; `OrderFrozen` if the order to complete is
    cancelled; `InvalidInput` if the policy is unknown or the order is over a minute in the future; `UnknownRegion`; and
    `NoPolicyInForce`.
    """
    customer_id = uow.customers.lock(facts.customer_ref)
    order = Order(
        order_id=facts.order_id,
        customer_id=customer_id,
        customer_ref=facts.customer_ref,
        policy=facts.policy or uow.policies.default,
        region=facts.region,
        ordered_at=facts.ordered_at,
        service_provided_at=facts.service_provided_at,
        registered_at=uow.now,
        asserted_by=uow.principal.actor,
        revision=1,
        facts_entered_by_agent=_facts_entered_by_agent(uow),
    )
    decisions: list[Decision] = []

    def promised() -> Mapping[str, Any]:
        decisions.append(_require_judgeable(uow, order, None))
        told = decisions[0].told
        return {"promise": told and promises.told_data(told)}

    if uow.orders.add_new(order, promised):
        if (told := decisions[0].told) is not None:
            promises.put(uow, order, told, PromiseCause.REGISTERED, first=True)
        return LockedOrder(order, None, is_new=True), Registration.REGISTERED
    locked = uow.orders.get_for_update(order.order_id)
    changes = _differences(locked.order, facts, customer_id)
    if not changes:
        return locked._replace(order=_confirm(uow, locked.order)), Registration.UNCHANGED
    if set(changes) == {"service_provided_at"} and locked.order.service_provided_at is None:
        changes["told_until"] = promises.told_before(uow, locked.order)["told_until"]
        return locked._replace(order=_change(uow, locked, changes)), Registration.COMPLETED
    uow.orders.require_not_erased(order.order_id)
    raise OrderFactsConflict(order.order_id, (_difference(locked.order, name) for name in changes))


CHUNK = 500
"""The most orders that are registered in one transaction: it takes a fifth of a second, and others wait meanwhile."""


def import_all(
    store: Store,
    principal: Principal,
    given: Iterable[tuple[int, OrderFacts | InvalidInput]],
    build: Callable[[CalendarNotReady], None] = CalendarNotReady.build,
) -> Iterator[tuple[int, Registration | CallersError]]:
    """Register many orders; yield the number of each, in order, with what was done or the error that refuses it.

    An order that could not be read is given as its `InvalidInput`, which is yielded as it is. Each order is registered
    completely or not at all, in transactions of up to `CHUNK`. Between these, `build` builds the calendars that are not
    ready; if it raises a `CallersError`, the order is refused with that. After an interruption or `StorageUnavailable`,
    the call can be repeated with all orders.
    """
    for chunk in _chunks(given):
        outcomes: dict[int, Registration | CallersError] = {}
        new = {number: read for number, read in chunk.items() if isinstance(read, OrderFacts)}
        while waiting := [number for number in new if number not in outcomes]:
            missing: dict[int, CalendarNotReady] = {}
            with store.write(principal) as uow, only_ready():
                for number in sorted(waiting, key=lambda number: uow.customers.lock_order(new[number].customer_ref)):
                    try:
                        with uow.attempt():
                            outcomes[number] = register(uow, new[number])[1]
                    except CallersError as error:
                        outcomes[number] = error
                    except CalendarNotReady as error:
                        missing[number] = error
            for number, calendar in missing.items():
                try:
                    build(calendar)
                except CallersError as error:
                    outcomes[number] = error
        for number, read in chunk.items():
            yield number, read if isinstance(read, InvalidInput) else outcomes[number]


def _chunks(
    given: Iterable[tuple[int, OrderFacts | InvalidInput]],
) -> Iterator[dict[int, OrderFacts | InvalidInput]]:
    """Yield chunks of the given orders and errors, in their order: dictionaries by the number that each came with.

    A chunk has `CHUNK` of them at most, and no order twice: so the first of two is registered first.
    """
    chunk: dict[int, OrderFacts | InvalidInput] = {}
    ids: set[str] = set()
    for number, read in given:
        order_id = read.order_id if isinstance(read, OrderFacts) else None
        if order_id in ids or len(chunk) == CHUNK:
            yield chunk
            chunk, ids = {}, set()
        chunk[number] = read
        ids |= {order_id} if order_id else set()
    if chunk:
        yield chunk


def correct(uow: UnitOfWork, facts: OrderFacts, reason: str, revisions: Collection[int]) -> Order:
    """Correct the facts of an order without an active cancellation, and return it; the same facts again change nothing.

    The new window is promised. If the customer changes, all records about the order are encrypted under the new one's
    key, and the old customer is deleted if no record is about them. If a request was refused before, decisions say from
    now on that facts were corrected. Raises `Forbidden` without the scope to correct; `NotFound` if there is no such
    order; `PreconditionFailed` if its revision is not in `revisions`, which the caller has seen; `CustomerErased`;
    `OrderFrozen` if it is cancelled; `LegalHold` if the customer changes and a hold keeps the old one's data;
    `Conflict` if it moves to another customer meanwhile; and the same as `register` if the facts cannot be judged.
    """
    uow.principal.require(Scope.ORDERS_CORRECT)
    before = uow.orders.get(facts.order_id).customer_id
    customer_id = uow.customers.lock(facts.customer_ref, beside=before)
    locked = uow.orders.get_for_update(facts.order_id)
    changes = _differences(locked.order, facts, customer_id)
    if not changes:  # also if a client repeats this correction because the answer was lost
        return locked.order
    if locked.order.revision not in revisions:
        raise PreconditionFailed(Message("The order has been changed since you read it: read it again, and compare."))
    if locked.order.customer_id != before:  # it was moved meanwhile, to a customer who is not locked
        raise Conflict("orders.customer_id")
    uow.orders.require_not_erased(facts.order_id)
    changes |= promises.told_before(uow, locked.order)
    if "customer_id" in changes:
        uow.limits.require_no_hold(before)
        # From here on, records about the order can be read only when it is stored.
        changes["customer_ref"] = facts.customer_ref
        uow.orders.move(locked.order, customer_id)
    corrected = _change(uow, locked, changes, correction_reason=reason)
    if "customer_id" in changes:
        uow.customers.forget_without_records([before])
    return corrected


def eligibility(
    uow: UnitOfWork, order: Order, requested_at: datetime | None = None, channel: Channel | None = None
) -> Decision:
    """Return the decision to answer with on a request to cancel an order, by default received now; store nothing.

    If the request itself allows no cancellation, an open request on record can be decided on instead.
    """
    facts = Facts(
        service_provided_at=order.service_provided_at,
        received_at=requested_at or uow.now,
        channel=channel,
        cancelled=uow.cancellations.active(order.order_id) is not None,
    )
    return decision_to_answer(uow, order, decided(uow, order, facts))


def decided(uow: UnitOfWork, order: Order, facts: Facts) -> Decision:
    """Return the decision on facts about an order by its policy and region; no deadline is before the promised one.

    Nothing is recorded. Raises `NotFound` if there is no such policy, `NoPolicyInForce` or `CalendarNotCovered` if the
    facts cannot be judged, and `InvalidInput` at `/contact_point` if that is neither a number nor an address.
    """
    promise = uow.promises.current(order.order_id) if order.service_provided_at else None
    return _judge(uow, order, facts, promise.told if promise else None)


def _judge(uow: UnitOfWork, order: Order, facts: Facts, told: ToldWindow | None) -> Decision:
    """Return the decision as `decided` makes it, but with the promised window `told`, or with none for None."""
    if order.facts_corrected_after_refusal or order.told_until:
        corrected = bool(order.facts_corrected_after_refusal)
        facts = facts._replace(corrected_after_refusal=corrected, told_until=order.told_until)
    policy = uow.policies[order.policy]
    return judging.judge(policy, facts, order.ordered_at, order.region, promise=told, of_order=True)


def decision_to_answer(uow: UnitOfWork, order: Order, decision: Decision, besides: str | None = None) -> Decision:
    """Return the decision to answer with: the given one or, if that allows no cancellation, one on an open request.

    So a request that was in time is not late because the customer asks again, and one that needs a supervisor is not
    forgotten; see `decision_on_open_request`. A decision that itself needs a supervisor is replaced only by one that
    allows a cancellation, or by one on a withdrawal. A decision on a cancelled order is returned as it is. `besides` is
    the contact that is about to be superseded.
    """
    if decision.eligible or decision.facts.cancelled:
        return decision
    found = decision_on_open_request(uow, order, decision.facts.received_at, besides)
    if found is None or found.eligible or decision.outcome.verdict is Verdict.REFUSED:
        return found or decision
    return found if found.facts.withdrawal and not decision.facts.withdrawal else decision


def decision_on_open_request(
    uow: UnitOfWork, order: Order, at: datetime, besides: str | None = None
) -> Decision | None:
    """Return the decision on the earliest open request by which an order can be cancelled, or on one for a supervisor.

    Those that need a supervisor count only if there is no other, a withdrawal first. Returns None if there is neither.
    The order must not be cancelled. Each open request that was received by `at` is judged again, on the present facts
    and its own times, except the contact `besides`; those that cannot be judged are left out.
    """
    waits: list[Decision] = []
    for contact in uow.contacts.open_about([order.order_id]):
        if contact.received_at > at or contact.contact_id == besides:
            continue
        facts = facts_of(order, contact, cancelled=False)._replace(request=contact.contact_id)
        with suppress(CallersError):  # the order's policy may be another one since, which had no version then
            decision = decided(uow, order, facts)
            if decision.eligible:
                return decision
            if decision.outcome.verdict is Verdict.NEEDS_SUPERVISOR:
                waits.append(decision)
    return max(waits, key=lambda decision: decision.facts.withdrawal, default=None)  # of equal ones, the first


def facts_of(order: Order, contact: Contact, *, cancelled: bool) -> Facts:
    """Return the facts on which a stored contact is judged now: the order's present ones, and its own times."""
    then, withdrawal = contact.decision.facts, contact.intent is Intent.WITHDRAWAL
    own = then.request is None  # if it was judged by another request, it is that one's entry that these facts tell of
    return Facts(
        service_provided_at=order.service_provided_at,
        received_at=contact.received_at,
        sent_at=contact.sent_at,
        recorded_at=contact.entered_at,
        channel=contact.channel,
        contact_point=contact.contact_point,
        cancelled=cancelled,
        entered_by_supervisor=then.entered_by_supervisor and own,
        withdrawal=withdrawal,
        # A ticket that was named counts, even if the reader may not see it.
        without_ticket=withdrawal and contact.ticket_ref is None and (then.without_ticket or not own),
        entered_in_time=contact.entered_in_time,
    )


def _facts_entered_by_agent(uow: UnitOfWork) -> bool | None:
    """Return `facts_entered_by_agent` for facts of the principal: None if they may correct facts, otherwise True."""
    return None if uow.principal.may(Scope.ORDERS_CORRECT) else True


def _confirm(uow: UnitOfWork, order: Order) -> Order:
    """Return the order, confirmed with an event if an agent entered its facts and the principal may correct them."""
    if not order.facts_entered_by_agent or _facts_entered_by_agent(uow):
        return order
    return uow.orders.update(
        order, EventType.ORDER_CONFIRMED, facts_entered_by_agent=None, asserted_by=uow.principal.actor
    )


def judged_when_provided(uow: UnitOfWork, order: Order, told: ToldWindow | None = None) -> Decision:
    """Return the decision on a request made at the time of the service or, if that is not known, now.

    `told` is the promised window; without it, the one of the order's current promise counts. Nothing is recorded.
    """
    at = order.service_provided_at or uow.now
    facts = Facts(service_provided_at=order.service_provided_at, received_at=at)
    return decided(uow, order, facts) if told is None else _judge(uow, order, facts, told)


def _require_judgeable(
    uow: UnitOfWork, order: Order, promise: Promise | None, region_before: str | None = None
) -> Decision:
    """Check an order's facts; return the decision on a request made now or, if later, when the service is provided.

    Without a time of service, that of the order counts. `promise` is the order's present one. Raises `InvalidInput` if
    the policy is unknown or the order is over a minute in the future, `UnknownRegion` for an unknown region other than
    `region_before`, and `NoPolicyInForce` if no version of the policy is in force.
    """
    checks.named_policy(uow.policies, order.policy)
    if order.region not in (None, region_before):
        require_region(order.region, "/region")
    if order.ordered_at is not None and order.ordered_at > uow.now + AHEAD:
        raise InvalidInput.at("/ordered_at", Message("must not be more than a minute in the future"), "impossible_time")
    at = order.service_provided_at or order.ordered_at or uow.now
    facts = Facts(service_provided_at=order.service_provided_at, received_at=max(at, uow.now))
    return _judge(uow, order, facts, promise.told if promise else None)


def _differences(order: Order, facts: OrderFacts, customer_id: str) -> dict[str, Any]:
    """Return the new values of the facts that differ from the registered ones, by field; no policy is no difference."""
    said = {"customer_id": customer_id, "policy": facts.policy or order.policy}
    said |= {name: getattr(facts, name) for name in ("region", "ordered_at", "service_provided_at")}
    return {name: value for name, value in said.items() if value != getattr(order, name)}


def _difference(order: Order, name: str) -> FieldError:
    """Return the error that a fact differs, with the registered value, but without the registered customer."""
    if name == "customer_id":
        return FieldError("/customer_ref", Message("another customer is registered"), "differs")
    registered = _plain(getattr(order, name))
    if registered is None:
        return FieldError(f"/{name}", Message("registered is nothing"), "differs")
    return FieldError(f"/{name}", Message("registered is %(registered)s", registered=registered), "differs")


_JOURNALLED = ("customer_id", "policy", "region", "ordered_at", "service_provided_at")
"""The facts whose old and new values the journal has."""


def _change(uow: UnitOfWork, locked: LockedOrder, changes: Mapping[str, Any], **reason: str) -> Order:
    """Store an order's changed facts as a new revision with an event, promise its new window, and return the order.

    Raises `OrderFrozen` if it is cancelled; `InvalidInput`, `UnknownRegion` or `NoPolicyInForce` for unfit facts.
    """
    order, active, _ = locked
    if active is not None:
        raise OrderFrozen(order.order_id, active.cancellation_id)
    before = uow.promises.current(order.order_id) if order.service_provided_at else None
    changed = {name: [_plain(getattr(order, name)), _plain(changes[name])] for name in _JOURNALLED if name in changes}
    revision = order.revision + 1
    after = uow.orders.update(
        order,
        EventType.ORDER_CORRECTED,
        {"revision": revision, "changed": changed},
        **changes,
        **reason,
        revision=revision,
        asserted_by=uow.principal.actor,
        facts_entered_by_agent=_facts_entered_by_agent(uow),
    )
    dated = order.service_provided_at or after.service_provided_at
    promise = uow.promises.follow(order.order_id) if dated else None
    decision = _require_judgeable(uow, after, promise, order.region)
    if before is not None and after.service_provided_at and (promise is None or promise.deadline < before.deadline):
        decision = _with_promise_of(uow, before, order, after) or decision
    promises.keep(uow, after, decision, PromiseCause.CORRECTED)
    return after


def _with_promise_of(uow: UnitOfWork, before: Promise, order: Order, after: Order) -> Decision | None:
    """Return the decision on corrected facts with the promise before; None if they move today's window or lack one."""
    with suppress(CallersError):  # the policy before may have no version that judges this order any more
        times = ((one, one.service_provided_at or uow.now) for one in (order, after))
        was, now = (_judge(uow, one, Facts(service_provided_at=at, received_at=at), None).told for one, at in times)
        if was is not None and was == now:
            return judged_when_provided(uow, after, before.told)
    return None


def _plain(value: Any) -> Any:
    """Return a fact of an order as the journal and messages show it: an instant as text, all else unchanged."""
    return format_instant(value) if isinstance(value, datetime) else value
