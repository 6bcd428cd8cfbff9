"""Problems (RFC 9457): the one place where an error becomes an HTTP response.

`PROBLEMS` maps the code of every error class to its status, and says what happened and how to fix it.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from refunds.errors import FieldError, RefundsError, StorageUnavailable, summary


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem: its status, its title, what happened, and the fix."""

    status: int
    title: str
    happened: str
    fix: str


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
    "idempotency-key-missing": Problem(
        400,
        "The request needs a key of its own",
        "This operation leaves a record, and the network may lose its answer. With a key, sending the same request "
        "again gives the first answer and leaves no second record.",
        "Send Idempotency-Key: and a value of your own making, a UUID for example: the same for every attempt at one "
        "request, another for every other request.",
    ),
    "idempotency-key-invalid": Problem(
        400,
        "The key of the request is malformed",
        "The Idempotency-Key is not 1 to 128 letters, digits and simple signs, with or without quotes around them.",
        "Use a UUID, for example.",
    ),
    "invalid-cursor": Problem(
        400,
        "The cursor is not one of this list's",
        "The value of after was not given by this list with these filters, or it was changed.",
        "Leave it out to begin again, and then pass on each page's next as it is, with the same filters.",
    ),
    "unauthenticated": Problem(
        401,
        "The caller is not known",
        "The request has no token, or one that is misspelt, revoked or expired.",
        "Send Authorization: Bearer and the token. An operator makes one with: flask tokens create",
    ),
    "forbidden": Problem(
        403,
        "The caller may not do this",
        "The token is sound, but its role does not have the scope that this takes.",
        "Ask someone whose role does. The API document names the scope of every operation; GET /v1/me tells yours.",
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
    "not-acceptable": Problem(
        406,
        "It does not come in that form",
        "The Accept header names no form in which this can be answered.",
        "Ask for a form that the API document names for the operation, or send no Accept header.",
    ),
    "order-facts-conflict": Problem(
        409,
        "The order is registered with other facts",
        "An order of this id is registered, and what was sent differs from it. The list of errors names what differs.",
        "Check the order's id. If the facts were wrong, correct them: with If-Match and a correction_reason.",
    ),
    "order-frozen": Problem(
        409,
        "The order's facts cannot change while it is cancelled",
        "A cancellation rests on the facts of this order.",
        "If the cancellation should not be, revoke it; then correct the order.",
    ),
    "not-refundable": Problem(
        409,
        "The order cannot be cancelled as of right",
        "The contact was recorded with its decision, which the problem shows: the contractual window has ended, or the "
        "contact does not count. Statutory rights were not assessed.",
        "Tell the customer the reason. A supervisor may override: pass the contact_id and an override.",
    ),
    "order-already-cancelled": Problem(
        409,
        "The order is already cancelled",
        "The order has a cancellation, which the problem names with its reference. The contact was recorded.",
        "Tell the customer that reference. Nothing more is needed.",
    ),
    "policy-version-conflict": Problem(
        409,
        "What is registered of the policy stands in the way",
        "The number of the version is taken by another content, the version has taken effect already, or the policy "
        "has judged and its past cannot change any more.",
        "Read the policy again. The detail says what the next version's number is, or what can be done instead.",
    ),
    "contact-state-conflict": Problem(
        409,
        "The contact is not in the state that this needs",
        "The contact has been superseded or resolved, asks for nothing, or a cancellation rests on it.",
        "Read the contact again. The detail says what stands in the way.",
    ),
    "cancellation-state-conflict": Problem(
        409,
        "The cancellation is not in the state that this needs",
        "A revoked cancellation cannot be settled, a settled one cannot be revoked or settled otherwise.",
        "Read the cancellation again. The detail names its state.",
    ),
    "feed-rewound": Problem(
        409,
        "The feed does not reach that far",
        "The journal ends before the place that the request names: its records were restored from an older state. "
        "Nothing was changed by this request.",
        "Read on from the problem's next. What later events said is no longer on record: ask the operator which orders "
        "and cancellations have to be sent again.",
    ),
    "length-required": Problem(
        411,
        "The body has no known length",
        "The request has a body but no Content-Length, or it uses a Transfer-Encoding. Bodies of unknown length are "
        "not accepted, so that none can be cut short unnoticed.",
        "Send Content-Length and no Transfer-Encoding. With curl: --data-binary @file, and not -T - from a pipe.",
    ),
    "precondition-failed": Problem(
        412,
        "The record is not what you have seen",
        "The If-Match does not name the present state of the record: someone has changed it.",
        "Read the record again, compare, and send the change with the new ETag.",
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
    "payment-data-refused": Problem(
        422,
        "A text holds payment data",
        "A text holds what looks like a payment card's number or an IBAN. The service stores none, anywhere, and "
        "nothing of this request was stored.",
        "Leave the number out: it is not needed to cancel. Write telephone numbers with + and their country code.",
    ),
    "effective-too-early": Problem(
        422,
        "The version would take effect too early",
        "A policy does not change before it is published: a version takes effect neither before it is registered nor "
        "before the vendor's page shows it.",
        "Choose a later effective_from, or null: the version then holds as soon as may be.",
    ),
    "evidence-required": Problem(
        422,
        "A late entry needs evidence",
        "The contact was received before the deadline but is entered after it, and the policy then asks for a ticket.",
        "Add the ticket_ref of the call or e-mail.",
    ),
    "idempotency-key-reused": Problem(
        422,
        "The key has come with another request",
        "This Idempotency-Key was used for a request with another content. Nothing was done.",
        "Use a new key for a new request; repeat a request exactly as it was.",
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
    "precondition-required": Problem(
        428,
        "A correction needs the state that it corrects",
        "The correction does not say which state of the order it was made on, so it might undo someone else's.",
        "Read the order and send its ETag as If-Match.",
    ),
    "rate-limited": Problem(
        429,
        "Too many requests",
        "The client has made more requests than it may in a second.",
        "Wait as many seconds as Retry-After says. Many checks fit into one batch.",
    ),
    "internal-error": Problem(
        500,
        "The service failed",
        "Something went wrong that is not the request's fault. It was logged under the request id.",
        "Try again later. If it persists, tell the operator the request id, which is the problem's instance.",
    ),
    "storage-unavailable": Problem(
        503,
        "The records cannot be reached",
        "The storage is busy, full or away. What was asked was not done, or it is not known whether it was.",
        "Send the same request again after as many seconds as Retry-After says, with the same Idempotency-Key.",
    ),
}

_BY_STATUS = {problem.status: slug for slug, problem in reversed(PROBLEMS.items())}


class Rejected(Exception):
    """A request that is rejected before its content is used, with the slug of the problem."""

    def __init__(self, slug: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.slug, self.headers = slug, headers
        super().__init__(detail)


def slug_of(error: Exception) -> str | None:
    """The slug of an error of the app; None if it is no problem, such as a redirect."""
    if isinstance(error, RefundsError):
        return error.code
    if isinstance(error, Rejected):
        return error.slug
    if not isinstance(error, HTTPException) or error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return None
    return _BY_STATUS.get(error.code, "bad-request")


def problem_data(slug: str, detail: str, errors: Iterable[FieldError] = (), request_id: str = "") -> dict[str, Any]:
    """A problem as the API shows it, for the current request."""
    problem = PROBLEMS[slug]
    data: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": request_id or g.request_id,
    }
    places = [{"pointer": one.pointer, "detail": one.detail, "code": one.code} for one in errors]
    return data | {"errors": places} if places else data


def error_data(error: RefundsError, within: str = "") -> dict[str, Any]:
    """The problem of an error. `within` is put before the pointers of its field errors."""
    errors = [field_error.under(within) for field_error in error.errors]
    problem = PROBLEMS[error.code]
    # Internal details go only to the log.
    detail = problem.happened if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR else str(error)
    return problem_data(error.code, summary(errors) or detail, errors)


def problem_answer(data: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The response with a problem."""
    return Response(orjson.dumps(data), data["status"], headers, mimetype="application/problem+json")


HEADERS = {
    "unauthenticated": {"WWW-Authenticate": "Bearer"},
    "storage-unavailable": {"Retry-After": str(StorageUnavailable.retry_after)},
}
"""The headers of a problem's response, by its slug."""


def register(app: Flask) -> None:
    """Answer every error of the app with its problem."""

    @app.errorhandler(RefundsError)
    def refunds_error(error: RefundsError) -> Response:
        if PROBLEMS[error.code].status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            app.log_exception(sys.exc_info())
        return problem_answer(error_data(error), HEADERS.get(error.code))

    @app.errorhandler(Rejected)
    def rejected(error: Rejected) -> Response:
        return problem_answer(problem_data(error.slug, str(error)), error.headers)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        slug = slug_of(error)
        if slug is None:
            return error
        response = problem_answer(problem_data(slug, PROBLEMS[slug].happened))
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response
