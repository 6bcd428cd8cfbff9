"""Requests that come with a key: the same one sent again gets the same answer, and leaves no second record."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from flask import Request, Response

from refunds.errors import IdempotencyKeyReused
from refunds.secrecy import keyed_digest
from refunds.service.books import Work
from refunds.storage import Row, keys, orders, replies
from refunds.web.problems import Rejected

_CHARACTERS = "[A-Za-z0-9._~:/+=@!#$%&*^|-]{1,128}"
KEY = f'^("{_CHARACTERS}"|{_CHARACTERS})$'
"""A key as it is sent: bare, or in quotes."""

_KEY = re.compile(KEY)


def key_of(request: Request) -> str:
    """The key of a request, its quotes taken off; raises `Rejected`."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        raise Rejected("idempotency-key-missing", "Send an Idempotency-Key, a UUID for example.")
    key = given.strip()
    if not _KEY.fullmatch(key):
        raise Rejected("idempotency-key-invalid", "The Idempotency-Key must be 1 to 128 letters, digits and signs.")
    return key.strip('"')


def once(work: Work, request: Request, key: str, sent: Any, perform: Callable[[], Response]) -> Response:
    """What `perform` answers, or what it answered when this request first came with this key.

    A key is kept if and only if the transaction leaves a record. Raises `IdempotencyKeyReused` for a key that came
    with something else.
    """
    secret, client = work.keys.idempotency, work.principal.actor
    key_hash = keyed_digest(secret, b"key", key.encode())
    told = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    fingerprint = keyed_digest(secret, b"request", request.method.encode(), request.path.encode(), told)
    earlier = replies.claim(work.tx, client, key_hash, fingerprint, work.now)
    if earlier is not None:
        return _replayed(work, earlier, fingerprint)
    response = perform()
    if not work.entries:
        replies.drop(work.tx, client, key_hash)
        return response
    order_id = work.entries[-1].order_id
    assert order_id
    row = orders.by_id(work.tx, order_id)
    assert row
    replies.keep(work.tx, client, key_hash, order_id=order_id, vault=work.vault(row), reply=_stored(response))
    return response


def _stored(response: Response) -> str:
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    return orjson.dumps([response.status_code, headers, response.get_data(as_text=True)]).decode()


def _replayed(work: Work, earlier: Row, fingerprint: bytes) -> Response:
    if bytes(earlier["fingerprint"]) != fingerprint:
        raise IdempotencyKeyReused(
            "The Idempotency-Key has come with another request: use a new one for a new request."
        )
    stored = replies.opened(earlier, keys.vault(work.keys, earlier))
    assert stored is not None
    status, headers, body = orjson.loads(stored)
    return Response(body, status, [*headers, ("Idempotent-Replayed", "true")])
