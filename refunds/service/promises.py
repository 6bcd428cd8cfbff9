"""Promises: the window that an order was told stands, whatever data, policies and code come later."""

from datetime import timedelta
from typing import Any

from refunds.domain import judging
from refunds.domain.eligibility import Decision
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.instants import TZDATA_VERSION, format_instant
from refunds.domain.outcomes import ToldWindow
from refunds.domain.records import Order, Promise, PromiseCause
from refunds.storage.unit_of_work import UnitOfWork


def told_data(told: ToldWindow) -> dict[str, Any]:
    """Return a window that was told as the fields of an event, in text: its service day, last day and deadline."""
    service_day, _, last_day = told.window
    days = {"service_day": service_day.isoformat(), "last_day": last_day.isoformat()}
    return days | {"deadline": format_instant(told.deadline)}


def keep(uow: UnitOfWork, order: Order, decision: Decision, cause: PromiseCause) -> None:
    """Promise a locked order the window of this decision, if any, unless the current promise ends as late or later."""
    told, before = decision.told, uow.promises.current(order.order_id)
    if told is not None and (before is None or before.deadline < told.deadline):
        put(uow, order, told, cause, first=before is None)


def put(uow: UnitOfWork, order: Order, told: ToldWindow, cause: PromiseCause, *, first: bool) -> None:
    """Store a window as the current promise of an order, in the place of the present one, and journal it.

    The order must be locked or new, and have a service date. `first` says that it has no current promise. The caller
    sees to it that the deadline is not earlier than the promised one.
    """
    assert order.service_provided_at
    promise = Promise(
        promise_id=uow.new_id("prm"),
        order_id=order.order_id,
        policy=order.policy,
        region=order.region,
        ordered_at=order.ordered_at,
        service_provided_at=order.service_provided_at,
        deadline=told.deadline,
        told=told._replace(names=judging.names_in(told)),
        holidays_version=HOLIDAYS_VERSION,
        tzdata_version=TZDATA_VERSION,
        cause=cause,
        promised_at=uow.now,
        promised_by=uow.principal.actor,
        is_current=True,
    )
    uow.promises.put(promise, told_data(told), first=first)


def told_before(uow: UnitOfWork, order: Order) -> dict[str, Any]:
    """Return what a correction also stores: if a request was refused (True or None), and the latest deadline told.

    A request that was allowed while no window ran was told that it was in time: a deadline just after it.
    """
    contacts = uow.contacts.of_order(order.order_id)
    refused = any(not contact.outcome.eligible for contact in contacts if contact.intent.asks)
    # A cancellation, revoked by now, may have told a later end than the contact that it was issued on.
    outcomes = [contact.outcome for contact in contacts]
    outcomes += [cancellation.outcome for cancellation in uow.cancellations.of_order(order.order_id)]
    told = [one.deadline or (one.requested_at + timedelta.resolution if one.eligible else None) for one in outcomes]
    return {
        "facts_corrected_after_refusal": order.facts_corrected_after_refusal or refused or None,
        "told_until": max((at for at in (order.told_until, *told) if at is not None), default=None),
    }
