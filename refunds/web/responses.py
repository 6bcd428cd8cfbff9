"""Responses: data and documents, and the choice of their form and language."""

from typing import Any

import orjson
from flask import Response, g, request
from werkzeug.datastructures import MIMEAccept

from refunds.errors import Message, one_of_text
from refunds.presentation.documents.templating import STYLE_SOURCE
from refunds.presentation.language import LANGUAGES
from refunds.storage.policies import Policies
from refunds.web.problems import Rejected


def reply(
    data: Any, *, etag: bool | str = False, cacheable: bool = False, status: int = 200, location: str | None = None
) -> Response:
    """Return the data as a JSON response; with `etag`, a 304 for a GET whose client already has this state.

    `etag` is the ETag, or True to make it from the data. With `cacheable` too, a cache may keep the response but must
    revalidate it before each use (`no-cache`); otherwise the default `no-store` stays. `location` is that header.
    """
    response = Response(orjson.dumps(data), status, mimetype="application/json")
    response.headers["Vary"] = "Accept-Language, Authorization"
    if location:
        response.headers["Location"] = location
    if etag:
        if cacheable:
            response.headers["Cache-Control"] = "no-cache"
        if isinstance(etag, str):
            response.set_etag(etag)
        else:
            response.add_etag()
        if request.method == "GET":
            response.make_conditional(request)
    return response


def accepted_media_type(*media_types: str) -> str:
    """Return the one of these media types that the client prefers, the first if it does not say.

    Parameters such as `charset=utf-8` do not count. Raises `Rejected` if the client accepts none of them.
    """
    if not request.headers.get("Accept"):
        return media_types[0]
    accepted = MIMEAccept((wished.partition(";")[0], quality) for wished, quality in request.accept_mimetypes)
    found = accepted.best_match(media_types)
    if found is None:
        raise Rejected("not-acceptable", Message("This can be answered as %(forms)s.", forms=one_of_text(media_types)))
    return found


def document(text: str, media_type: str) -> Response:
    """Return the response with a self-contained page or text. A browser may load nothing for it but its own style."""
    policy = (
        f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    response = Response(text, mimetype=media_type)
    response.headers["Content-Security-Policy"] = policy
    response.headers["Vary"] = "Accept, Accept-Language, Authorization"
    return response


def reader_language() -> str:
    """Return the language of the service that `Accept-Language` prefers; English if it is missing or names none."""
    if "Accept-Language" not in request.headers:
        return LANGUAGES[0]
    # In the reader's order of preference, with de-AT as German: werkzeug's own choice prefers an exact match with a
    # second language to a first language with a region.
    wished = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality)
    return next((language for language in wished if language in LANGUAGES), LANGUAGES[0])


def present_policies() -> Policies:
    """Return the policies as they were when the current request was admitted."""
    found: Policies = g.policies
    return found
