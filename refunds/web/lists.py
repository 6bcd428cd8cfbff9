"""Lists of records over HTTP: a page as JSON or, if the client prefers it, as CSV."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from refunds.presentation import tables
from refunds.storage.repository import Listed
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.cursors import paginate
from refunds.web.endpoint import CSV, JSON
from refunds.web.responses import accepted, reply
from refunds.web.schemas.request_fields import PAGE, ListOrder

FORMS = {CSV: {"type": "string"}}
"""The other form of a list, for the API document."""


def page(
    uow: UnitOfWork, name: str, query: dict[str, Any], repository: Listed[Any], data: Callable[[Any], dict[str, Any]]
) -> Response:
    """A page of the list `name` from its repository, with the filters of `query`; `data` gives a record's JSON.

    In CSV, the header `Link` has the address of the next page. Raises `InvalidCursor`, and `Rejected` if the client
    accepts neither form.
    """
    form = accepted(JSON, CSV)
    given, limit = query.pop("after", None), query.pop("limit", PAGE)
    filters = {name: value for name, value in query.items() if name != "order"}
    newest = query.get("order") is ListOrder.NEWEST

    def fetch(*after: Any, limit: int) -> list[Any]:
        return repository.paginate(*after, limit=limit, newest=newest, **filters)

    items, following = paginate(uow, name, query, given, limit=limit, fetch=fetch, place_of=repository.place_of)
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
