"""Problems (RFC 9457): the one place where an error becomes an HTTP answer, and the page that explains each.

`PROBLEMS` maps the code of every error in the tree to its status, and says what happened and how to mend it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from refunds.errors import Flaw, RefundsError, told


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its status, its title, what happened, and the mend."""

    status: int
    title: str
    happened: str
    mend: str


PROBLEMS = {
    "bad-request": Problem(
        400,
        "The request is not one the service can take",
        "The request is broken below the level of its content: for example, it names a host that is not served here.",
        "Check the address and the headers. An operator adds host names with REFUNDS_TRUSTED_HOSTS.",
    ),
    "malformed-json": Problem(
        400,
        "The body is not JSON",
        "The body is no JSON text in UTF-8: it is cut short, nested too deeply, or holds something JSON does not "
        "have, such as NaN or half a surrogate pair.",
        "Let a JSON library write the body, and send it whole.",
    ),
    "duplicate-key": Problem(
        400,
        "A key stands twice in one object",
        "An object in the body has the same key twice. Readers of JSON disagree on which one counts, so none does.",
        "Send every key once.",
    ),
    "not-found": Problem(
        404,
        "Nothing is here",
        "No resource has this address: the path is misspelt, or what it names does not exist.",
        "Compare the path with the API document at /docs. A code with special characters must be percent-encoded.",
    ),
    "method-not-allowed": Problem(
        405,
        "This address does not take this method",
        "The path exists, but not for this method. The Allow header lists those it takes.",
        "Use a method from the Allow header.",
    ),
    "length-required": Problem(
        411,
        "The body has no known length",
        "The request has a body but no Content-Length, or it uses a Transfer-Encoding. Bodies of unknown length are "
        "not accepted, so that none can be cut short unnoticed.",
        "Send Content-Length and no Transfer-Encoding. With curl: --data-binary @file, and not -T - from a pipe.",
    ),
    "body-too-large": Problem(
        413,
        "The body is too large",
        "The body is longer than this operation takes.",
        "Send less at once: split a batch into several.",
    ),
    "unsupported-media-type": Problem(
        415,
        "The body is not declared as JSON",
        "The Content-Type is not application/json, or the body is compressed.",
        "Send Content-Type: application/json and an uncompressed body in UTF-8.",
    ),
    "validation-error": Problem(
        422,
        "The request does not keep to its contract",
        "The request was understood, but some values do not fit. The list of errors names each place by a JSON "
        "pointer into the body (or by the name of the parameter), says what is expected, and has a stable code.",
        "Mend each place that is named, and send the request again.",
    ),
    "unknown-region": Problem(
        422,
        "The region is unknown",
        "The region is not exactly one of the codes that the holiday data knows. It is never taken for a place "
        "without holidays.",
        "Use a country code (DE), or a country and a subdivision (DE-BY). The detail may suggest what was meant.",
    ),
    "calendar-not-covered": Problem(
        422,
        "The holiday data does not reach that far",
        "The days to be counted lie in years for which the region's holidays are not known. They are never counted "
        "as if there were none.",
        "Check the year. The detail says which years the region's data covers.",
    ),
    "no-policy-in-force": Problem(
        422,
        "No version of the policy was in force",
        "The instant that decides which version judges lies before the first version took effect.",
        "Check the dates. The detail says when the first version takes effect.",
    ),
    "internal-error": Problem(
        500,
        "The service failed",
        "Something went wrong that is not the request's fault. It was logged under the request id.",
        "Try again later. If it persists, tell the operator the request id, which is the problem's instance.",
    ),
}

_BY_STATUS = {problem.status: slug for slug, problem in reversed(PROBLEMS.items())}


class Rejected(Exception):
    """A request that is turned away before its content is looked at, with the slug of the problem."""

    def __init__(self, slug: str, detail: str) -> None:
        self.slug = slug
        super().__init__(detail)


def problem_data(slug: str, detail: str, flaws: Iterable[Flaw] = (), request_id: str = "") -> dict[str, Any]:
    """The problem as the API shows it, for the request under way."""
    problem = PROBLEMS[slug]
    data: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": request_id or g.request_id,
    }
    errors = [{"pointer": flaw.pointer, "detail": flaw.detail, "code": flaw.code} for flaw in flaws]
    return data | {"errors": errors} if errors else data


def error_data(error: RefundsError, within: str = "") -> dict[str, Any]:
    """The problem that an error of the tree is; its places seen from the document that holds it at `within`."""
    flaws = [flaw.under(within) for flaw in error.flaws]
    return problem_data(error.code, told(flaws) or str(error), flaws)


def _answer(data: dict[str, Any]) -> Response:
    return Response(orjson.dumps(data), data["status"], mimetype="application/problem+json")


def register(app: Flask) -> None:
    """Answer every error of the app with its problem."""

    @app.errorhandler(RefundsError)
    def refunds_error(error: RefundsError) -> Response:
        return _answer(error_data(error))

    @app.errorhandler(Rejected)
    def rejected(error: Rejected) -> Response:
        return _answer(problem_data(error.slug, str(error)))

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
            return error
        slug = _BY_STATUS.get(error.code, "bad-request")
        response = _answer(problem_data(slug, PROBLEMS[slug].happened))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response
