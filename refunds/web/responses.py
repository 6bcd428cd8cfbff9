"""Responses: data and documents, and the choice of their form and language."""

from typing import Any

import orjson
from flask import Response, g, request

from refunds.errors import Message, any_of
from refunds.presentation.documents.templating import STYLE_SOURCE
from refunds.presentation.language import LANGUAGES
from refunds.storage.policies import Policies
from refunds.web.problems import Rejected


def reply(
    data: Any, *, etag: bool | str = False, public: bool = False, status: int = 200, location: str | None = None
) -> Response:
    """The data as JSON; with `etag` (given, or made from the data), 304 if the client already has it.

    Only a `public` response with an `etag` can be cached, and a cache must revalidate it before each use.
    """
    response = Response(orjson.dumps(data), status, mimetype="application/json")
    response.headers["Vary"] = "Accept-Language, Authorization"
    if location:
        response.headers["Location"] = location
    if etag:
        if public:
            response.headers["Cache-Control"] = "no-cache"
        if isinstance(etag, str):
            response.set_etag(etag)
        else:
            response.add_etag()
        if request.method == "GET":
            response.make_conditional(request)
    return response


def accepted(*forms: str) -> str:
    """The form that the client prefers; the first if it does not say. Raises `Rejected` if it accepts none."""
    found = request.accept_mimetypes.best_match(forms) if request.headers.get("Accept") else forms[0]
    if found is None:
        raise Rejected("not-acceptable", Message("This can be answered as %(forms)s.", forms=any_of(forms)))
    return found


def document(text: str, form: str) -> Response:
    """A self-contained page or text, which loads nothing."""
    policy = (
        f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    response = Response(text, mimetype=form)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Vary"] = "Accept, Accept-Language, Authorization"
    return response


def reader_language() -> str:
    """The reader's preferred language among those that the service has."""
    if "Accept-Language" not in request.headers:
        return LANGUAGES[0]
    # In the reader's order of preference, with de-AT as German: werkzeug's own choice prefers an exact match with a
    # second language to a first language with a region.
    wished = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality)
    return next((language for language in wished if language in LANGUAGES), LANGUAGES[0])


def present_policies() -> Policies:
    """The policies as they were when the caller of this request was admitted."""
    found: Policies = g.policies
    return found
