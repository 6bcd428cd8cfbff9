"""Responses: how data and documents are answered, and in which form and language."""

from typing import Any

import orjson
from flask import Response, g, request

from refunds.presentation.documents.templating import STYLE_SOURCE
from refunds.presentation.texts.dates import LANGUAGES
from refunds.storage.policies import Policies
from refunds.web.problems import Rejected


def reply(
    data: Any, *, etag: bool | str = False, public: bool = False, status: int = 200, location: str | None = None
) -> Response:
    """The data as JSON; with `etag` (of its own, or made of the data), 304 where the client has it already.

    Only what is `public` may be kept by caches on the way, if they ask before they use it.
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
    """The form that the reader prefers of those there are, the first where he does not say; raises `Rejected`."""
    found = request.accept_mimetypes.best_match(forms) if request.headers.get("Accept") else forms[0]
    if found is None:
        raise Rejected("not-acceptable", f"This can be answered as {' or '.join(forms)}.")
    return found


def document(text: str, form: str) -> Response:
    """A page or a text to keep, which asks for nothing from anywhere."""
    policy = (
        f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    response = Response(text, mimetype=form)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Vary"] = "Accept, Accept-Language, Authorization"
    return response


def reader_language() -> str:
    """The language of the reader among those that the service speaks."""
    if "Accept-Language" not in request.headers:
        return LANGUAGES[0]
    # In the reader's order of preference, de-AT being German: werkzeug's own choice would rather take an exact
    # second language than a first one of a region.
    wished = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality)
    return next((language for language in wished if language in LANGUAGES), LANGUAGES[0])


def present_policies() -> Policies:
    """The policies as they were when the caller of this request was admitted."""
    found: Policies = g.policies
    return found
