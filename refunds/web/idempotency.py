"""Requests with an idempotency key: the same request again gets the same response and creates no second record."""

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import orjson
from flask import Request, Response

from refunds.errors import Message
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.problems import Rejected

_CHARACTERS = "[A-Za-z0-9._~:/+=@!#$%&*^|-]{1,128}"
KEY = f'^("{_CHARACTERS}"|{_CHARACTERS})$'
"""The pattern of a key as it is sent, with or without quotes."""

_KEY = re.compile(KEY)


def checked_key(given: str | None) -> str:
    """Return an idempotency key without its quotes and outer spaces. Raises `Rejected` if it is None or invalid."""
    if given is None:
        raise Rejected("idempotency-key-missing", Message("Send an Idempotency-Key, a UUID for example."))
    key = given.strip()
    if not _KEY.fullmatch(key):
        raise Rejected(
            "idempotency-key-invalid", Message("The Idempotency-Key must be 1 to 128 letters, digits and signs.")
        )
    return key.strip('"')


def once(uow: UnitOfWork, request: Request, key: str, sent: Any, perform: Callable[[], Response]) -> Response:
    """Return the response of `perform` or, if this request came with this key before, the stored response.

    A stored response is marked as replayed. A response is stored with its key for 30 days, unless `perform` raises or
    records nothing; then the key is free again. Each client has its own keys. Requests are compared by method, path and
    the content `sent`; spaces, the order of JSON keys and the language do not matter. Raises `IdempotencyKeyReused` if
    the key came with another request, and what `perform` raises.
    """
    payload = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    earlier = uow.replies.claim(key, request.method.encode(), request.path.encode(), payload)
    if earlier is not None:
        status, headers, body = orjson.loads(earlier)
        return Response(body, status, [*headers, ("Idempotent-Replayed", "true"), *_state_header(uow, status, body)])
    response = perform()
    headers = [(name, value) for name, value in response.headers if name != "Content-Length"]
    stored = [response.status_code, headers, response.get_data(as_text=True)]
    uow.replies.keep(key, orjson.dumps(stored).decode())
    return response


def _state_header(uow: UnitOfWork, status: int, body: str) -> Iterator[tuple[str, str]]:
    """Yield the header `Cancellation-State` if the cancellation in a stored 201 has another state by now."""
    shown = orjson.loads(body) if status == HTTPStatus.CREATED else {}  # not a page of the console
    if "cancellation_id" in shown:
        state = uow.cancellations.get(shown["cancellation_id"]).state
        if state != shown["state"]:
            yield "Cancellation-State", state
