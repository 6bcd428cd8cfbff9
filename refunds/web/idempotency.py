"""Requests that come with a key: the same one sent again gets the same answer, and leaves no second record."""

import re
from collections.abc import Callable
from typing import Any

import orjson
from flask import Request, Response

from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.problems import Rejected

_CHARACTERS = "[A-Za-z0-9._~:/+=@!#$%&*^|-]{1,128}"
KEY = f'^("{_CHARACTERS}"|{_CHARACTERS})$'
"""A key as it is sent: bare, or in quotes."""

_KEY = re.compile(KEY)


def key_of(request: Request) -> str:
    """The key of a request, its quotes taken off; raises `Rejected`."""
    return checked_key(request.headers.get("Idempotency-Key"))


def checked_key(given: str | None) -> str:
    """A key as it was given, its quotes taken off; raises `Rejected`."""
    if given is None:
        raise Rejected("idempotency-key-missing", "Send an Idempotency-Key, a UUID for example.")
    key = given.strip()
    if not _KEY.fullmatch(key):
        raise Rejected("idempotency-key-invalid", "The Idempotency-Key must be 1 to 128 letters, digits and signs.")
    return key.strip('"')


def once(uow: UnitOfWork, request: Request, key: str, sent: Any, perform: Callable[[], Response]) -> Response:
    """What `perform` answers, or what it answered when this request first came with this key.

    The request is told by what was sent, and not by how: spaces and the order of keys do not matter, nor the language.
    Raises `IdempotencyKeyReused`.
    """
    payload = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    earlier = uow.replies.claim(key, request.method.encode(), request.path.encode(), payload)
    if earlier is not None:
        status, headers, body = orjson.loads(earlier)
        return Response(body, status, [*headers, ("Idempotent-Replayed", "true")])
    response = perform()
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    stored = [response.status_code, headers, response.get_data(as_text=True)]
    uow.replies.keep(key, orjson.dumps(stored).decode())
    return response
