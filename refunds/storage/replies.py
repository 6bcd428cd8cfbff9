"""Replies to requests that came with a key, so that the same request sent again gets the same reply.

A reply may hold what is personal: it is sealed in the vault of its order's customer, and goes with it.
"""

from datetime import datetime, timedelta

from refunds.security.encryption import Vault
from refunds.storage import Row, Transaction
from refunds.storage.table import micros

KEPT = timedelta(days=30)


def claim(tx: Transaction, client_id: str, key_hash: bytes, fingerprint: bytes, now: datetime) -> Row | None:
    """Take a key for the request under way; None, or the row of the request that has taken it before.

    Whoever is second waits until the first is done. A key that has expired is free again.
    """
    taken = tx.run(
        "INSERT INTO idempotency (client_id, key_hash, fingerprint, expires_at)"
        " VALUES (:client_id, :key_hash, :fingerprint, :expires_at) ON CONFLICT (client_id, key_hash) DO UPDATE"
        " SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, order_id = NULL, reply = NULL"
        " WHERE idempotency.expires_at <= :now",
        client_id=client_id,
        key_hash=key_hash,
        fingerprint=fingerprint,
        expires_at=micros(now + KEPT),
        now=micros(now),
    )
    if taken:
        return None
    return tx.one(
        "SELECT key_hash, fingerprint, reply, customer_id, wrapped_key FROM idempotency"
        " LEFT JOIN orders USING (order_id) LEFT JOIN customers USING (customer_id)"
        " WHERE client_id = :client_id AND key_hash = :key_hash",
        client_id=client_id,
        key_hash=key_hash,
    )


def keep(tx: Transaction, client_id: str, key_hash: bytes, *, order_id: str, vault: Vault, reply: str) -> None:
    """Keep the reply with its key."""
    tx.run(
        "UPDATE idempotency SET order_id = :order_id, reply = :reply"
        " WHERE client_id = :client_id AND key_hash = :key_hash",
        client_id=client_id,
        key_hash=key_hash,
        order_id=order_id,
        reply=vault.seal(reply, *_PLACE, key_hash.hex()),
    )


def opened(row: Row, vault: Vault) -> str | None:
    """The reply that a row keeps; None where it went with its customer."""
    return vault.unseal(row["reply"], *_PLACE, row["key_hash"].hex())


_PLACE = ("idempotency", "reply")


def drop(tx: Transaction, client_id: str, key_hash: bytes) -> None:
    """Give a key back, as its request left no record."""
    tx.run(
        "DELETE FROM idempotency WHERE client_id = :client_id AND key_hash = :key_hash",
        client_id=client_id,
        key_hash=key_hash,
    )


def forget_expired(tx: Transaction, now: datetime) -> None:
    """Forget what has expired: not all at once, and nothing that others are at, so that nobody waits for it."""
    tx.run(
        "DELETE FROM idempotency WHERE (client_id, key_hash) IN"
        " (SELECT client_id, key_hash FROM idempotency WHERE expires_at <= :now"
        " ORDER BY expires_at LIMIT :limit {unless_held})",
        now=micros(now),
        limit=_FORGOTTEN_AT_ONCE,
    )


_FORGOTTEN_AT_ONCE = 200


def move(tx: Transaction, order_id: str, vault: Vault, to: Vault, now: datetime) -> None:
    """Seal the replies about an order anew, in another customer's vault.

    Not those that have expired: whoever uses such a key again holds it, and may be waiting for the order.
    """
    rows = tx.all(
        "SELECT client_id, key_hash, reply FROM idempotency WHERE order_id = :order_id AND expires_at > :now",
        order_id=order_id,
        now=micros(now),
    )
    for row in rows:
        reply = opened(row, vault)
        if reply is not None:
            keep(tx, row["client_id"], row["key_hash"], order_id=order_id, vault=to, reply=reply)
