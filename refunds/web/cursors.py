"""Cursors: where the next page of a list begins, authenticated by the service for this list and these filters."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from refunds.errors import InvalidCursor, Message
from refunds.storage.unit_of_work import UnitOfWork

R = TypeVar("R")

_MARK = 16


def paginate(
    uow: UnitOfWork,
    listing: str,
    filters: Any,
    given: str | None,
    *,
    limit: int,
    fetch: Callable[..., list[R]],
    place_of: Callable[[R], Sequence[Any]],
    beginning: Sequence[Any] = ("",),
) -> tuple[list[R], str | None]:
    """Up to `limit` items after the cursor `given`, and the cursor of the next page; None if this is the last.

    `fetch` is called with the sort values of an item as its arguments and a `limit`, and returns items after that one;
    `place_of` gives the sort values of an item. `beginning` sorts before all items: it is where a list without a cursor
    begins. `filters` are plain data. Raises `InvalidCursor` if `given` is no cursor of this list with these filters.
    """
    found = fetch(*place(uow, listing, filters, given, beginning), limit=limit + 1)  # one more shows if a page follows
    items = found[:limit]
    return items, cursor(uow, listing, filters, place_of(items[-1])) if len(found) > limit else None


def cursor(uow: UnitOfWork, listing: str, filters: Any, last: Sequence[Any]) -> str:
    """The cursor of the page after the item with these sort values, valid only for this list and these filters."""
    payload = orjson.dumps(last)
    return base64.urlsafe_b64encode(_mark(uow, listing, filters, payload) + payload).rstrip(b"=").decode()


def place(uow: UnitOfWork, listing: str, filters: Any, given: str | None, beginning: Sequence[Any]) -> list[Any]:
    """The sort values in the cursor `given`, or `beginning` if it is None.

    Raises `InvalidCursor` if it is no cursor of this list with these filters.
    """
    if given is None:
        return list(beginning)
    try:
        decoded = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    payload = decoded[_MARK:]
    if not hmac.compare_digest(decoded[:_MARK], _mark(uow, listing, filters, payload)):
        raise InvalidCursor(Message("after must be the next of this list's last page, with the same filters."))
    values: list[Any] = orjson.loads(payload)
    return values


def _mark(uow: UnitOfWork, listing: str, filters: Any, payload: bytes) -> bytes:
    """The first bytes of a cursor, by which the service recognizes its own for this list and these filters."""
    parts = listing.encode(), orjson.dumps(filters, option=orjson.OPT_SORT_KEYS), payload
    return uow.mark(*parts)[:_MARK]
