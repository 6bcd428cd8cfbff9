"""Lists of records over HTTP: a page as JSON or, if the client prefers it, as CSV; pages of the console.

A cursor says where the next page of a list begins. It is authenticated for this list and these filters.
"""

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson
from flask import Response, request

from refunds.errors import InvalidCursor, Message
from refunds.presentation import tables
from refunds.storage.repository import Listed
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import CSV, JSON
from refunds.web.responses import accepted_media_type, reply
from refunds.web.schemas.request_fields import PAGE, ListOrder

R = TypeVar("R")


def read(uow: UnitOfWork, name: str, query: dict[str, Any], repository: Listed[Any]) -> tuple[list[Any], str | None]:
    """Return the records of a page of the list `name`, and the cursor of the next page, or None on the last one.

    `query` has the filters, the `order`, and the `after` and `limit` of the page, which are taken out of `query`.
    Raises `InvalidCursor` if `after` is not a cursor of this list with these filters.
    """
    given, limit = query.pop("after", None), query.pop("limit", PAGE)
    filters = {name: value for name, value in query.items() if name != "order"}
    fetch = partial(repository.paginate, newest=query.get("order") is ListOrder.NEWEST, **filters)
    return paginate(uow, name, query, given, limit=limit, fetch=fetch, place_of=repository.place_of)


def page(
    uow: UnitOfWork, name: str, query: dict[str, Any], repository: Listed[Any], data: Callable[[Any], dict[str, Any]]
) -> Response:
    """Return a page of a list as a response: JSON with `items`, each by `data`, and `next`; or CSV if preferred.

    `name`, `query` and `repository` are those of `read`. The CSV has the columns that `TABLES` in `presentation.tables`
    lists for such records. If there is a next page, JSON has its cursor in `next`, else null; in CSV, the header `Link`
    has its address. Raises `InvalidCursor`, and `Rejected` if the client accepts neither.
    """
    form = accepted_media_type(JSON, CSV)
    items, following = read(uow, name, query, repository)
    if form == JSON:
        response = reply({"items": [data(item) for item in items], "next": following})
    else:
        kind = repository.mapper.record
        response = Response([tables.header(kind), *tables.lines(uow, kind, items)], mimetype=CSV)
        response.headers["Vary"] = "Authorization"
        if following is not None:
            address = f"{request.path}?{urlencode(request.args.to_dict() | {'after': following})}"
            response.headers["Link"] = f'<{address}>; rel="next"'
    response.vary.add("Accept")
    return response


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
) -> tuple[list[R], str | None]:
    """Return up to `limit` items after the cursor `given` (None: the first ones), and the next page's cursor or None.

    `fetch` gets the sort values of an item (none: from the beginning) and a `limit`, and returns the items after it.
    `place_of` returns the sort values of an item. Raises `InvalidCursor` if `given` is not a cursor of the list
    `listing` with these filters.
    """
    after = () if given is None else _place(uow, listing, filters, given)
    found = fetch(*after, limit=limit + 1)  # one more shows if a page follows
    items = found[:limit]
    return items, cursor(uow, listing, filters, place_of(items[-1])) if len(found) > limit else None


def both_ways(
    uow: UnitOfWork,
    listing: str,
    repository: Listed[Any],
    given: Mapping[str, str],
    *,
    limit: int,
    newest: bool = True,
    **query: Any,
) -> tuple[list[Any], dict[str, str | None]]:
    """Return a page of records, and the cursors of its `previous` and its `following` page, each None if there is none.

    The page has up to `limit` records after the cursor `after` of `given`, or before its `before`; without both, the
    first ones. They are in the repository's order or, with `newest`, in the opposite one. `query` is what the
    repository filters by. Raises `InvalidCursor` as `paginate`.
    """
    after, before = given.get("after"), given.get("before")
    filters = {name: str(value) for name, value in query.items()}
    fetch = partial(repository.paginate, newest=newest is (before is None), **query)
    place_of = repository.place_of
    items, more = paginate(uow, listing, filters, before or after, limit=limit, fetch=fetch, place_of=place_of)
    ends = [cursor(uow, listing, filters, place_of(one)) for one in (items[:1] + items[-1:])]
    if before is None:
        return items, {"previous": ends[0] if after and ends else None, "following": more}
    return items[::-1], {"previous": more, "following": ends[0] if ends else None}


def cursor(uow: UnitOfWork, listing: str, filters: Any, last: Sequence[Any]) -> str:
    """Return the cursor of the page after the item with these sort values, only for this list and these filters."""
    payload = orjson.dumps(last)
    return base64.urlsafe_b64encode(_mark(uow, listing, filters, payload) + payload).rstrip(b"=").decode()


def _place(uow: UnitOfWork, listing: str, filters: Any, given: str) -> list[Any]:
    """Return the sort values in a cursor; raise `InvalidCursor` if it is not of this list with these filters."""
    try:
        decoded = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True)
    except ValueError:
        decoded = b""
    payload = decoded[_MARK:]
    if not hmac.compare_digest(decoded[:_MARK], _mark(uow, listing, filters, payload)):
        raise InvalidCursor(Message("after must be the next of this list's last page, with the same filters."))
    values: list[Any] = orjson.loads(payload)
    return values


def _mark(uow: UnitOfWork, listing: str, filters: Any, payload: bytes) -> bytes:
    """Return the first bytes of a cursor, which show that the service made it for this list and these filters."""
    parts = listing.encode(), orjson.dumps(filters, option=orjson.OPT_SORT_KEYS), payload
    return uow.mark(*parts)[:_MARK]
