"""Lists of records over HTTP: a page as JSON or, if the client prefers it, as CSV."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from refunds.presentation import tables
from refunds.storage.repository import Listed
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.cursors import paginate
from refunds.web.endpoint import CSV, JSON
from refunds.web.responses import accepted_media_type, reply
from refunds.web.schemas.request_fields import PAGE, ListOrder

FORMS = {CSV: {"type": "string"}}
"""The other form of a list, for the API document."""


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
