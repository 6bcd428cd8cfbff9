"""Orders, each with its customer's key."""

from collections.abc import Iterator

from refunds.domain.records import Order
from refunds.storage import Row, Transaction
from refunds.storage.table import Table

ORDERS = Table(Order, "orders")

_WITH_KEY = f"SELECT {ORDERS.columns}, wrapped_key FROM orders JOIN customers USING (customer_id)"  # noqa: S608


def hold(tx: Transaction, order_id: str) -> None:
    """Let nobody else change an order, or what rests on it, until this write ends.

    Before anything about it is read, and by itself: a joined row would be judged by what it was joined to before.
    """
    tx.one("SELECT order_id FROM orders WHERE order_id = :order_id {for_update}", order_id=order_id)


def by_id(tx: Transaction, order_id: str) -> Row | None:
    """The row of an order."""
    return tx.one(f"{_WITH_KEY} WHERE order_id = :order_id", order_id=order_id)


def of_customer(tx: Transaction, customer_id: str, after: str, limit: int) -> list[Row]:
    """Up to `limit` orders of a customer, by id."""
    return tx.all(
        f"{_WITH_KEY} WHERE orders.customer_id = :customer_id AND order_id > :after ORDER BY order_id LIMIT :limit",
        customer_id=customer_id,
        after=after,
        limit=limit,
    )


def facts_judged_by(tx: Transaction, policy: str) -> Iterator[Row]:
    """The region and the instants of every order that a policy judges."""
    return tx.each("SELECT region, ordered_at, service_provided_at FROM orders WHERE policy = :policy", policy=policy)


def owners(tx: Transaction) -> set[str]:
    """The customers who have orders."""
    return {row["customer_id"] for row in tx.each("SELECT DISTINCT customer_id FROM orders")}


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every order, and the digest by which its customer is found."""
    return tx.each(
        f"SELECT {ORDERS.columns}, wrapped_key, customers.digest AS customer_digest"  # noqa: S608
        " FROM orders LEFT JOIN customers USING (customer_id) ORDER BY order_id"
    )
