"""Replies to requests with a key: the same request, sent again, gets the same reply.

A reply may contain personal data: it is encrypted under the key of its customer, or of its unmatched contact, and lost
with that key. One about nobody, or about an erased customer, has none, and is encrypted under a key of the service.
A key is stored if and only if the transaction leaves a record, so no key is ever stuck.
"""

import re
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import orjson

from refunds.errors import IdempotencyKeyReused, Message
from refunds.security.encryption import CustomerCipher, keyed_digest
from refunds.storage import Row, Transaction, keys
from refunds.storage.mapper import micros
from refunds.storage.repository import InTransaction, named_list

KEPT = timedelta(days=30)

_PLACE = ("idempotency", "reply")
_UNMATCHED = "unmatched_contacts"


class Replies(InTransaction):
    """The stored replies, with the keys of their requests."""

    def claim(self, key: str, *request: bytes) -> str | None:
        """Return the reply that is stored for this key and request; if the key is free, claim it and return None.

        After None, the caller must call `keep`. A second request with the key waits until the first is done. Each
        client has its own keys, free again after 30 days. Raises `IdempotencyKeyReused` if it came with another
        request.
        """
        context, keyring = self._context, self._context.keys
        fingerprint = keyed_digest(keyring.idempotency, b"request", *request)
        taken = context.tx.run(
            "INSERT INTO idempotency (client_id, key_hash, fingerprint, expires_at)"
            " VALUES (:client_id, :key_hash, :fingerprint, :expires_at) ON CONFLICT (client_id, key_hash) DO UPDATE"
            " SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, order_id = NULL,"
            " unmatched_id = NULL, of_customer = NULL, reply = NULL WHERE idempotency.expires_at <= :now",
            **self._named(key),
            fingerprint=fingerprint,
            expires_at=micros(context.now + KEPT),
            now=micros(context.now),
        )
        if taken:
            return None
        row = context.tx.one(
            "SELECT key_hash, fingerprint, reply, unmatched_id, customers.customer_id,"
            " coalesce(customers.wrapped_key, u.wrapped_key) AS wrapped_key FROM idempotency"
            " LEFT JOIN orders USING (order_id)"
            " LEFT JOIN customers ON customers.customer_id = coalesce(orders.customer_id, of_customer)"
            " LEFT JOIN unmatched_contacts AS u USING (unmatched_id)"
            " WHERE client_id = :client_id AND key_hash = :key_hash",
            **self._named(key),
        )
        assert row is not None
        if row["fingerprint"] != fingerprint:  # before anything of the reply is decrypted
            raise IdempotencyKeyReused(
                Message("The Idempotency-Key was used with another request: use a new one for a new request.")
            )
        of, owner = ("customers", row["customer_id"]) if row["customer_id"] else (_UNMATCHED, row["unmatched_id"])
        own = keys.unwrapped(keyring, of, owner, row["wrapped_key"]) if owner else CustomerCipher(keyring.notes)
        reply = _opened(row, own)
        assert reply is not None
        return reply

    def keep(self, key: str, reply: str) -> None:
        """Store the reply with its claimed key, or free the key if this unit of work has noted no event.

        The reply is encrypted for the owner of the last record with an event: an order, an unmatched contact or a
        customer; or with a key of the service if that record has no owner, or an erased one.
        """
        context, named = self._context, self._named(key)
        if not context.entries:
            context.tx.run("DELETE FROM idempotency WHERE client_id = :client_id AND key_hash = :key_hash", **named)
            return
        last = context.entries[-1]
        customer_id = last.data.get("customer_id")
        if last.order_id:
            owner, cipher = {"order_id": last.order_id}, context.orders[last.order_id]
        elif last.subject in context.unmatched:
            owner, cipher = {"unmatched_id": last.subject}, context.unmatched[last.subject]
        elif customer_id:
            owner, cipher = {"of_customer": customer_id}, context.customers[customer_id]
        else:
            owner, cipher = {}, CustomerCipher(context.keys.notes)
        if cipher.is_erased:
            owner, cipher = {}, CustomerCipher(context.keys.notes)
        _keep(context.tx, named, owner, cipher, reply)

    def _named(self, key: str) -> dict[str, str | bytes]:
        """Return the columns by which the row of a key is found: the client, and a digest of the key."""
        key_hash = keyed_digest(self._context.keys.idempotency, b"key", key.encode())
        return {"client_id": self._context.principal.actor, "key_hash": key_hash}


_OWNED_BY = {"order_id": "order_id", "unmatched_id": "unmatched_id", "of_customer": "customer_id"}
"""The columns of a reply that name its owner, each with the column of a record's row that has the same id."""

_OWNERS: dict[str, str | None] = dict.fromkeys(_OWNED_BY)


def _keep(tx: Transaction, named: Row, owner: dict[str, str], cipher: CustomerCipher, reply: str) -> None:
    """Store the response to an HTTP request, encrypted by a cipher, in the row of its idempotency key.

    `owner` is the column and the id of the record whose cipher it is; it is empty if the cipher is no record's.
    """
    found = {"client_id": named["client_id"], "key_hash": named["key_hash"]}
    tx.later(
        "UPDATE idempotency SET order_id = :order_id, unmatched_id = :unmatched_id, of_customer = :of_customer,"
        " reply = :reply WHERE client_id = :client_id AND key_hash = :key_hash",
        found | _OWNERS | owner | {"reply": cipher.encrypt(reply, *_PLACE, named["key_hash"].hex())},
    )


def _opened(row: Row, cipher: CustomerCipher) -> str | None:
    """Return the decrypted reply of a row; None if it has none, or if the cipher has no access."""
    return cipher.decrypt(row["reply"], *_PLACE, row["key_hash"].hex())


def forget_expired(tx: Transaction, key_hashes: Iterable[bytes], now: datetime) -> None:
    """Delete the expired replies with these key hashes, except rows that others have locked, so that nobody waits."""
    listed, named = named_list(key_hashes)
    _forget(tx, f"key_hash IN ({listed}) AND expires_at <= :now", **named, now=micros(now))


def forget_of_customer(tx: Transaction, customer_id: str) -> None:
    """Delete the replies about a customer or one of their orders, except rows that others have locked.

    Only rows of expired replies can be locked then, by requests that use their keys again.
    """
    orders = "order_id IN (SELECT order_id FROM orders WHERE customer_id = :customer_id)"
    _forget(tx, f"of_customer = :customer_id OR {orders}", customer_id=customer_id)


def forget_about(tx: Transaction, order_ids: Collection[str], unmatched_ids: Collection[str]) -> None:
    """Delete the replies about these orders and unmatched contacts, except rows that others have locked."""
    for column, ids in (("order_id", order_ids), ("unmatched_id", unmatched_ids)):
        if ids:
            listed, named = named_list(ids)
            _forget(tx, f"{column} IN ({listed})", **named)


def _forget(tx: Transaction, condition: str, **named: Any) -> None:
    """Delete the replies that fit an SQL condition with these parameters, except rows that others have locked."""
    found = f"SELECT client_id, key_hash FROM idempotency WHERE {condition} {{unless_held}}"  # noqa: S608 - ours
    tx.run(f"DELETE FROM idempotency WHERE (client_id, key_hash) IN ({found})", **named)  # noqa: S608


def correct(
    tx: Transaction, row: Row, cipher: CustomerCipher, field: str, texts: tuple[str, str], *, now: datetime
) -> None:
    """Replace one text by another where it is the value of a field, in all stored responses about a record's owner.

    The owner is the order, the unmatched contact or the customer that the record's `row` names; `cipher` is the
    owner's. Expired responses are left as they are.
    """
    # The API's name of a field is its column's, or the last word of it: `to` of `acknowledged_to`.
    held, text = (orjson.dumps(one).decode() for one in texts)
    shown = re.compile(rf'("(?:{field}|{field.rpartition("_")[2]})":){re.escape(held)}')
    owners = {name: row.get(column) for name, column in _OWNED_BY.items()}
    rows = tx.all(
        f"SELECT client_id, key_hash, reply, {', '.join(_OWNERS)} FROM idempotency WHERE expires_at > :now AND"  # noqa: S608
        " (order_id = :order_id OR unmatched_id = :unmatched_id OR of_customer = :of_customer)",
        now=micros(now),
        **owners,
    )
    for kept in rows:
        if reply := _opened(kept, cipher):
            *head, body = orjson.loads(reply)
            corrected = orjson.dumps([*head, shown.sub(lambda match: match[1] + text, body)]).decode()
            _keep(tx, kept, {name: kept[name] for name in _OWNERS}, cipher, corrected)


def move(
    tx: Transaction,
    order_id: str,
    cipher: CustomerCipher,
    to: CustomerCipher,
    now: datetime,
    *,
    unmatched_id: str | None = None,
) -> None:
    """Decrypt the replies about an order by `cipher` and store them again, as the order's, encrypted by `to`.

    With `unmatched_id`, the replies are those about that unmatched contact. Expired replies are left as they are: a
    request that uses such a key again locks it, and may wait for the order.
    """
    column, owner = ("order_id", order_id) if unmatched_id is None else ("unmatched_id", unmatched_id)
    rows = tx.all(
        f"SELECT client_id, key_hash, reply FROM idempotency WHERE {column} = :owner AND expires_at > :now",  # noqa: S608
        owner=owner,
        now=micros(now),
    )
    for row in rows:
        reply = _opened(row, cipher)
        if reply is not None:
            _keep(tx, row, {"order_id": order_id}, to, reply)
