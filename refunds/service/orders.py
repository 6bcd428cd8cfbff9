"""Orders: what billing says of them, the customer's other ones, and whether they can be cancelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from refunds.domain import judging
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision, Facts
from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.records import Cancellation, Order
from refunds.errors import Conflict, Flaw, InvalidInput, NotFound, OrderFactsConflict, OrderFrozen, PreconditionFailed
from refunds.security.encryption import Vault
from refunds.service import checks
from refunds.service.work import Work
from refunds.storage import Row, cancellations, contacts, keys, orders, replies
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.contacts import CONTACTS
from refunds.storage.orders import ORDERS

AHEAD = timedelta(minutes=1)
"""How far the clocks of others may be ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """What billing says of an order; `policy` None: the configured one, or the one it is registered under."""

    order_id: str
    customer_ref: str
    service_provided_at: datetime | None
    ordered_at: datetime | None = None
    policy: str | None = None
    region: str | None = None


class Filed(NamedTuple):
    """An order as it is stored, its customer's vault, and the cancellation that is active, if any."""

    order: Order
    vault: Vault
    active: Cancellation | None


def file(work: Work, order_id: str) -> Filed:
    """The order of this id with what rests on it, held until the transaction ends; raises `NotFound`."""
    orders.hold(work.tx, order_id)
    return find(work, order_id)


def find(work: Work, order_id: str) -> Filed:
    """The order of this id with what rests on it; raises `NotFound`."""
    row = _row(work, order_id)
    vault = work.vault(row)
    active = cancellations.active(work.tx, order_id)
    return Filed(ORDERS.read(row, vault), vault, CANCELLATIONS.read(active, vault) if active else None)


def _row(work: Work, order_id: str) -> Row:
    row = orders.by_id(work.tx, order_id)
    if row is None:
        raise NotFound("there is no order of this id: register it first")
    return row


def register(work: Work, facts: OrderFacts) -> tuple[Filed, bool]:
    """The order as it is registered now, held, and whether it is new.

    The same facts again change nothing, and a service that was not yet provided may be said to be. Raises
    `OrderFactsConflict` naming what differs, `OrderFrozen`, and `InvalidInput` for facts that cannot be judged.
    """
    customer_id, vault = keys.customer(work.tx, work.keys, facts.customer_ref)
    order = Order(
        order_id=facts.order_id,
        customer_id=customer_id,
        customer_ref=facts.customer_ref,
        policy=facts.policy or work.policies.default,
        region=facts.region,
        ordered_at=facts.ordered_at,
        service_provided_at=facts.service_provided_at,
        registered_at=work.now,
        asserted_by=work.principal.actor,
        revision=1,
    )
    digest = ORDERS.insert_new(work.tx, order, vault)
    if digest is not None:
        _require_judgeable(work, order)
        work.enter(EventType.ORDER_REGISTERED, order.order_id, order.order_id, digest, customer_id=customer_id)
        return Filed(order, vault, None), True
    filed = file(work, order.order_id)
    changes = _differences(filed.order, facts, customer_id)
    if not changes:
        return filed, False
    if set(changes) == {"service_provided_at"} and filed.order.service_provided_at is None:
        return filed._replace(order=_change(work, filed, changes)), False
    raise OrderFactsConflict(order.order_id, (_difference(filed.order, name) for name in changes))


def correct(work: Work, facts: OrderFacts, reason: str, revisions: set[int] | None) -> Order:
    """The order with other facts, on which no cancellation may rest; its contacts go with it to another customer.

    `revisions` are those that the caller has seen (None: any). Raises `PreconditionFailed`, `OrderFrozen`,
    `NotFound`, and `InvalidInput` for facts that cannot be judged.
    """
    before = _row(work, facts.order_id)["customer_id"]
    customer_id, vault = keys.customer(work.tx, work.keys, facts.customer_ref, beside=before)
    filed = file(work, facts.order_id)
    changes = _differences(filed.order, facts, customer_id)
    if not changes:  # also where the answer to this very correction was lost
        return filed.order
    if revisions is not None and filed.order.revision not in revisions:
        raise PreconditionFailed("The order has been changed since you read it: read it again, and compare.")
    if filed.order.customer_id != before:  # whose it is by now is not held
        raise Conflict("orders.customer_id")
    if "customer_id" in changes:
        changes["customer_ref"] = facts.customer_ref
        _move(work, filed.order.order_id, filed.vault, vault)
    corrected = _change(work, filed._replace(vault=vault), changes, correction_reason=reason)
    if "customer_id" in changes:
        keys.forget_without_orders(work.tx, filed.order.customer_id)
    return corrected


def look_up(work: Work, customer_ref: str, after: str, limit: int) -> tuple[str | None, list[Order]]:
    """The opaque id of a customer, if there is one, and up to `limit` of his orders after one."""
    row = keys.find_customer(work.tx, work.keys, customer_ref)
    if row is None:
        return None, []
    return row["customer_id"], of_customer(work, row["customer_id"], after, limit)


def of_customer(work: Work, customer_id: str, after: str, limit: int) -> list[Order]:
    """Up to `limit` orders of the customer of this opaque id, after one."""
    return [ORDERS.read(row, work.vault(row)) for row in orders.of_customer(work.tx, customer_id, after, limit)]


def eligibility(work: Work, order_id: str, requested_at: datetime | None, channel: Channel | None) -> Decision:
    """Whether a stored order can be cancelled, asked now or at another instant."""
    filed = find(work, order_id)
    return decided(
        work,
        filed.order,
        Facts(
            service_provided_at=filed.order.service_provided_at,
            received_at=requested_at or work.now,
            channel=channel,
            cancelled=filed.active is not None,
        ),
    )


def decided(work: Work, order: Order, facts: Facts) -> Decision:
    """The decision on facts about an order, under its policy."""
    return judging.judge(work.policies[order.policy], facts, order.ordered_at, order.region)


def _require_judgeable(work: Work, order: Order) -> None:
    """Refuse facts on which nothing could ever be decided, while whoever states them can still mend them."""
    checks.named_policy(work.policies, order.policy)
    if order.ordered_at is not None and order.ordered_at > work.now + AHEAD:
        raise InvalidInput([Flaw("/ordered_at", "must not be more than a minute in the future", "impossible_time")])
    at = order.service_provided_at or order.ordered_at or work.now
    decided(work, order, Facts(service_provided_at=order.service_provided_at, received_at=max(at, work.now)))


def _differences(order: Order, facts: OrderFacts, customer_id: str) -> dict[str, Any]:
    """The facts that are not as registered, as they would be."""
    said: dict[str, Any] = {
        "customer_id": customer_id,
        "policy": facts.policy or order.policy,
        "region": facts.region,
        "ordered_at": facts.ordered_at,
        "service_provided_at": facts.service_provided_at,
    }
    return {name: value for name, value in said.items() if value != getattr(order, name)}


def _difference(order: Order, name: str) -> Flaw:
    """What differs; who the customer is, is not told."""
    if name == "customer_id":
        return Flaw("/customer_ref", "another customer is registered", "differs")
    return Flaw(f"/{name}", f"registered is {_told(getattr(order, name))}", "differs")


def _told(value: Any) -> Any:
    return "nothing" if value is None else _plain(value)


def _change(work: Work, filed: Filed, changes: Mapping[str, Any], **reason: str) -> Order:
    """Store other facts of an order, and journal what they were and are."""
    order = filed.order
    if filed.active is not None:
        raise OrderFrozen(order.order_id, filed.active.cancellation_id)
    told = {
        name: [_plain(getattr(order, name)), _plain(new)] for name, new in changes.items() if name != "customer_ref"
    }
    after, digest = ORDERS.change(
        work.tx, order, filed.vault, **changes, **reason, revision=order.revision + 1, asserted_by=work.principal.actor
    )
    _require_judgeable(work, after)
    work.enter(EventType.ORDER_CORRECTED, order.order_id, order.order_id, digest, revision=after.revision, changed=told)
    return after


def _plain(value: Any) -> Any:
    return format_instant(value) if isinstance(value, datetime) else value


def _move(work: Work, order_id: str, vault: Vault, to: Vault) -> None:
    """Seal everything personal about an order anew, for the customer whose order it is found to be."""
    for row in contacts.of_order(work.tx, order_id):
        CONTACTS.reseal(work.tx, row, vault, to)
    for row in cancellations.of_order(work.tx, order_id):
        CANCELLATIONS.reseal(work.tx, row, vault, to)
    replies.move(work.tx, order_id, vault, to, work.now)
