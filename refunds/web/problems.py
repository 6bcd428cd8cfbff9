"""Problems (RFC 9457): the one place where an error becomes an HTTP response."""

import sys
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, current_app, g
from werkzeug.exceptions import HTTPException

from refunds.errors import FieldError, Message, RefundsError, StateConflict, StorageUnavailable, summary
from refunds.presentation.language import translate
from refunds.web.problem_types import PROBLEMS

_BY_STATUS = {problem.status: slug for slug, problem in reversed(PROBLEMS.items())}


class Rejected(Exception):
    """The rejection of a request before its content is used, with a problem's slug and headers for the response."""

    def __init__(self, slug: str, detail: Message, headers: Mapping[str, str] | None = None) -> None:
        self.slug, self.detail, self.headers = slug, detail, headers
        super().__init__(detail)


def slug_of(error: Exception) -> str | None:
    """Return the slug of the problem for an error of the service or an HTTP error; None for redirects and other errors.

    An HTTP error whose status has no slug of its own has `bad-request`.
    """
    if isinstance(error, RefundsError):
        return error.code
    if isinstance(error, Rejected):
        return error.slug
    if not isinstance(error, HTTPException) or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return None
    return _BY_STATUS.get(error.code, "bad-request")


def problem_data(slug: str, detail: str, errors: Iterable[FieldError] = (), request_id: str = "") -> dict[str, Any]:
    """Return a problem as the API shows it, in the reader's language; `detail` says what happened this time."""
    problem = PROBLEMS[slug]
    data: dict[str, Any] = {
        "type": f"{current_app.config['PUBLIC_URL']}/problems/{slug}",
        "title": translate(problem.title),
        "status": problem.status,
        "detail": translate(detail),
        "instance": request_id or g.request_id,
    }
    places = [{"pointer": one.pointer, "detail": translate(one.detail), "code": one.code} for one in errors]
    return data | {"errors": places} if places else data


def error_data(error: RefundsError, within: str = "") -> dict[str, Any]:
    """Return the problem for an error as the API shows it, with its texts in the reader's language.

    `within`, a JSON pointer, is put before the pointers of the field errors. The problem for a `StateConflict` also has
    its `state`. The details of an internal error are not shown.
    """
    errors = [field_error.under(within) for field_error in error.errors]
    problem = PROBLEMS[error.code]
    # Internal details go only to the log.
    detail = problem.happened if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR else error.detail
    data = problem_data(error.code, summary(errors, translate) or detail, errors)
    return data | {"state": error.state} if isinstance(error, StateConflict) else data


def problem_answer(data: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return the response with a problem that `problem_data` or `error_data` has made."""
    response = Response(orjson.dumps(data), data["status"], headers, mimetype="application/problem+json")
    response.vary.add("Accept-Language")
    return response


HEADERS = {
    "unauthenticated": {"WWW-Authenticate": "Bearer"},
    "rate-limited": {"Retry-After": "1"},
    "storage-unavailable": {"Retry-After": str(StorageUnavailable.retry_after)},
}
"""The headers of a problem's response, by its slug."""


def register(app: Flask) -> None:
    """Respond to every error of the app with its problem from now on, and log the failures of the service."""

    @app.errorhandler(RefundsError)
    def refunds_error(error: RefundsError) -> Response:
        if PROBLEMS[error.code].status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            app.log_exception(sys.exc_info())
        return problem_answer(error_data(error), HEADERS.get(error.code))

    @app.errorhandler(Rejected)
    def rejected(error: Rejected) -> Response:
        return problem_answer(problem_data(error.slug, error.detail), error.headers)

    app.errorhandler(HTTPException)(http_error)


def http_error(error: HTTPException) -> Response | HTTPException:
    """Return the response with the problem of an HTTP error, with `Allow` if it has that; a redirect as it is."""
    slug = slug_of(error)
    if slug is None:
        return error
    response = problem_answer(problem_data(slug, PROBLEMS[slug].happened))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response
