"""Cursors: where the next page of a list begins, marked as the service's own for this list and these filters."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from refunds.errors import InvalidCursor
from refunds.security.encryption import keyed_digest
from refunds.service.work import Work

R = TypeVar("R")

_MARK = 16


def cursor(work: Work, listing: str, filters: Any, last: Sequence[Any]) -> str:
    """The cursor after the item with these sort values."""
    told = orjson.dumps(last)
    return base64.urlsafe_b64encode(_mark(work, listing, filters, told) + told).rstrip(b"=").decode()


def page(
    work: Work, listing: str, filters: Any, found: list[R], *, limit: int, place_of: Callable[[R], Sequence[Any]]
) -> tuple[list[R], str | None]:
    """The items of a page and its `next`, of which one item more than `limit` was fetched to know if there is one."""
    items = found[:limit]
    return items, cursor(work, listing, filters, place_of(items[-1])) if len(found) > limit else None


def place(work: Work, listing: str, filters: Any, given: str | None, beginning: Sequence[Any]) -> list[Any]:
    """The sort values that a cursor names, or those before the first item; raises `InvalidCursor`."""
    if given is None:
        return list(beginning)
    try:
        decoded = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    told = decoded[_MARK:]
    if not hmac.compare_digest(decoded[:_MARK], _mark(work, listing, filters, told)):
        raise InvalidCursor("after must be the next of this list's last page, with the same filters.")
    values: list[Any] = orjson.loads(told)
    return values


def _mark(work: Work, listing: str, filters: Any, told: bytes) -> bytes:
    parts = listing.encode(), orjson.dumps(filters, option=orjson.OPT_SORT_KEYS), told
    return keyed_digest(work.keys.cursor, *parts)[:_MARK]
