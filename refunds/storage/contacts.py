"""Contacts, each with the key of its order's customer."""

from collections.abc import Iterator

from refunds.domain.records import Contact
from refunds.storage import Row, Transaction
from refunds.storage.keys import with_key
from refunds.storage.table import Table

CONTACTS = Table(Contact, "contacts")

_WITH_KEY = with_key(CONTACTS)


def by_id(tx: Transaction, contact_id: str) -> Row | None:
    """The row of a contact."""
    return tx.one(f"{_WITH_KEY} WHERE contact_id = :contact_id", contact_id=contact_id)


def listed(
    tx: Transaction, *, after: str, limit: int, order_id: str | None, is_open: bool | None, backdated: bool | None
) -> list[Row]:
    """Up to `limit` contacts after one, in the order in which they were recorded."""
    conditions = {
        "contacts.order_id = :order_id": order_id is not None,
        f"is_open = {is_open or 0:d}": is_open is not None,  # literally, as a partial index wants it
        f"backdated = {backdated or 0:d}": backdated is not None,
    }
    asked = "".join(f" AND {condition}" for condition, holds in conditions.items() if holds)
    return tx.all(
        f"{_WITH_KEY} WHERE contact_id > :after{asked} ORDER BY contact_id LIMIT :limit",
        after=after,
        limit=limit,
        order_id=order_id,
    )


def of_order(tx: Transaction, order_id: str) -> list[Row]:
    """Every contact about an order."""
    return tx.all(f"{_WITH_KEY} WHERE contacts.order_id = :order_id ORDER BY contact_id", order_id=order_id)


def close_all(tx: Transaction, order_id: str) -> None:
    """Take the contacts of a cancelled order off the open list."""
    tx.run("UPDATE contacts SET is_open = 0 WHERE order_id = :order_id AND is_open = 1", order_id=order_id)


def reopen_all(tx: Transaction, order_id: str) -> None:
    """Put the requests of an order that is no longer cancelled back on the open list."""
    tx.run(
        "UPDATE contacts SET is_open = 1 WHERE order_id = :order_id AND intent = 'cancel'"
        " AND resolved_at IS NULL AND superseded_by IS NULL",
        order_id=order_id,
    )


def judged_by(tx: Transaction, policy: str) -> Iterator[Row]:
    """What was decided on every contact about a policy's orders, one order after the other; superseded ones aside."""
    return tx.each(
        "SELECT contacts.order_id, contact_id, decision, region FROM contacts JOIN orders USING (order_id)"
        " WHERE policy = :policy AND superseded_by IS NULL ORDER BY contacts.order_id, contact_id",
        policy=policy,
    )


def decisions(tx: Transaction) -> Iterator[Row]:
    """What was decided on every contact."""
    return tx.each("SELECT order_id, contact_id AS record_id, decision FROM contacts ORDER BY contact_id")


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every contact, and whether it ought to be on the open list and which one supersedes it."""
    more = (
        ", (SELECT s.contact_id FROM contacts AS s WHERE s.supersedes = contacts.contact_id) AS successor,"
        " EXISTS (SELECT 1 FROM cancellations AS c WHERE c.order_id = contacts.order_id"
        " AND c.state IN ('issued', 'settled')) AS order_cancelled"
    )
    return tx.each(f"{with_key(CONTACTS, more, dangling=True)} ORDER BY contacts.contact_id")
