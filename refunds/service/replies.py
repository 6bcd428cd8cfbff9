"""Requests that come with a key: what the same request is answered when it is sent again.

A key is kept if and only if the transaction leaves a record; so no key is ever stuck.
"""

from refunds.errors import IdempotencyKeyReused
from refunds.security.encryption import keyed_digest
from refunds.service.work import Work
from refunds.storage import keys, orders, replies


def earlier(work: Work, key: str, *request: bytes) -> str | None:
    """The reply to this request when it first came with this key; None if that is now.

    Raises `IdempotencyKeyReused` where the key came with another request.
    """
    fingerprint = keyed_digest(work.keys.idempotency, b"request", *request)
    row = replies.claim(work.tx, work.principal.actor, _hash(work, key), fingerprint, work.now)
    if row is None:
        return None
    if row["fingerprint"] != fingerprint:  # before anything of the reply is told
        raise IdempotencyKeyReused(
            "The Idempotency-Key has come with another request: use a new one for a new request."
        )
    reply = replies.opened(row, keys.vault(work.keys, row))
    assert reply is not None
    return reply


def keep(work: Work, key: str, reply: str) -> None:
    """Keep the reply with its key, or give the key back where no record was left."""
    client, key_hash = work.principal.actor, _hash(work, key)
    if not work.entries:
        replies.drop(work.tx, client, key_hash)
        return
    order_id = work.entries[-1].order_id
    assert order_id is not None
    row = orders.by_id(work.tx, order_id)
    assert row is not None
    replies.keep(work.tx, client, key_hash, order_id=order_id, vault=work.vault(row), reply=reply)


def _hash(work: Work, key: str) -> bytes:
    return keyed_digest(work.keys.idempotency, b"key", key.encode())
