"""Cancellations, each with the key of its order's customer."""

from collections.abc import Iterator
from typing import Any

from refunds.domain.records import Cancellation, State
from refunds.storage import Row, Transaction
from refunds.storage.keys import with_key
from refunds.storage.table import Table

CANCELLATIONS = Table(Cancellation, "cancellations")

_WITH_KEY = with_key(CANCELLATIONS)


def by_id(tx: Transaction, cancellation_id: str) -> Row | None:
    """The row of a cancellation."""
    return tx.one(f"{_WITH_KEY} WHERE cancellation_id = :cancellation_id", cancellation_id=cancellation_id)


def active(tx: Transaction, order_id: str) -> Row | None:
    """The row of the cancellation that an order has, if any."""
    return tx.one(
        f"{_WITH_KEY} WHERE cancellations.order_id = :order_id AND state IN ('issued', 'settled')", order_id=order_id
    )


def of_order(tx: Transaction, order_id: str) -> list[Row]:
    """Every cancellation that an order has or had."""
    return tx.all(f"{_WITH_KEY} WHERE cancellations.order_id = :order_id ORDER BY cancellation_id", order_id=order_id)


def is_taken(tx: Transaction, reference: str) -> bool:
    """Whether a reference is in use."""
    return tx.one("SELECT 1 FROM cancellations WHERE reference = :reference", reference=reference) is not None


def listed(
    tx: Transaction,
    *,
    after: tuple[int, str],
    limit: int,
    order_id: str | None,
    reference: str | None,
    state: State | None,
    overdue_at: int | None,
) -> list[Row]:
    """Up to `limit` cancellations after one, in the order in which they were issued.

    With `overdue_at`, those that are to be settled and were due before that instant, the longest due first.
    """
    conditions: dict[str, Any] = {
        "cancellations.order_id = :order_id": order_id,
        "reference = :reference": reference,
        "state = :state": state,
        "state = 'issued' AND overdue_at <= :overdue_at": overdue_at,
    }
    asked = "".join(f" AND {condition}" for condition, value in conditions.items() if value is not None)
    due, cancellation_id = after
    if overdue_at is None:
        page = f"cancellation_id > :cancellation_id{asked} ORDER BY cancellation_id"
    else:
        page = f"(overdue_at, cancellation_id) > (:due, :cancellation_id){asked} ORDER BY overdue_at, cancellation_id"
    return tx.all(
        f"{_WITH_KEY} WHERE {page} LIMIT :limit",
        limit=limit,
        order_id=order_id,
        reference=reference,
        state=state,
        overdue_at=overdue_at,
        due=due,
        cancellation_id=cancellation_id,
    )


def issued_by(tx: Transaction, actor: str, limit: int) -> list[Row]:
    """Up to `limit` cancellations that someone has issued, the newest first."""
    return tx.all(
        f"{_WITH_KEY} WHERE issued_by = :actor ORDER BY cancellation_id DESC LIMIT :limit", actor=actor, limit=limit
    )


def decisions(tx: Transaction) -> Iterator[Row]:
    """What was decided on every cancellation."""
    return tx.each(
        "SELECT order_id, cancellation_id AS record_id, decision FROM cancellations ORDER BY cancellation_id"
    )


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every cancellation."""
    return tx.each(f"{with_key(CANCELLATIONS, dangling=True)} ORDER BY cancellations.cancellation_id")
