"""Telemetry: an id, a log line and a measurement for every request, and the headers of every response.

It logs and measures only what was called and how it went: no client address, no body and nothing personal.
"""

import collections
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from time import perf_counter, time
from types import TracebackType
from typing import Any, TypeVar

from flask import Flask, Request, Response, current_app, g, request
from werkzeug.exceptions import SecurityError

from refunds.domain.instants import format_instant
from refunds.domain.permissions import Principal
from refunds.errors import RefundsError
from refunds.storage.checkpoints import Checkpoint
from refunds.web import log as logs
from refunds.web.metrics import Metrics, Records
from refunds.web.problem_types import PROBLEMS

T = TypeVar("T")

_ExcInfo = tuple[type, BaseException, TracebackType] | tuple[None, None, None]

_RANDOM = re.compile(
    r"(?=(?:[a-f]*[0-9]){4})(?!.*[0-9]{8})[0-9a-f]{16,64}"  # not a word of the letters a to f, nor a telephone number
    r"|(?i:[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})"  # a UUID of version 4 or 7
)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_AS_BASE_32 = str.maketrans("JKMNPQRSTVWXYZ", "IJKLMNOPQRSTUV")  # of a ULID's digits, which leave out I, L, O and U
_DAY = 86400

_TRACE_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!.{,21}[0-9]{11})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""The part of `traceparent` that every version has. Source: W3C Trace Context, 3.2.

A trace id with 11 decimal digits in a row is left out, also zeros: it could be a telephone number.
"""

_HOST = re.compile(r"(?!.*[0-9]{8})[a-z0-9._-]{1,100}(:[0-9]{1,5})?")
"""A `Host` that may be logged: it is the caller's text, so at most a name with a port, and no telephone number."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_QUIET = {"/livez", "/readyz", "/metrics"}
"""Routes that are called very often, so only their failures are logged as such. Stopping is not a failure."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "",  # without it, granian names itself: `or_insert(http::HV_SERVER)` in its src/conversion.rs
}


def _is_random(text: str) -> bool:
    """Tell whether an id looks random and may be logged. Others, such as `anna.meier`, may name a person or an order.

    Random are a UUID of version 4 or 7, a ULID of a time less than a day ago or ahead, and 16 to 64 lower-case
    hexadecimal digits, at least four of them decimal and no eight decimal ones in a row.
    """
    if _ULID.fullmatch(text):
        return abs(int(text[:10].translate(_AS_BASE_32), 32) / 1000 - time()) < _DAY
    return bool(_RANDOM.fullmatch(text))


def _trace_id(header: str) -> str | None:
    """Return the trace id in a header `traceparent`; None if it is invalid, or could be a telephone number."""
    found = _TRACE_PARENT.match(header)
    rest = header[found.end() :] if found else ""
    if found is None or (rest and (header.startswith("00") or not rest.startswith("-"))):
        return None
    return found[1]


def unwrapped(proxy: T) -> T:
    """Return the object behind one of Flask's proxies. A proxy is slower, as it looks the object up at each use."""
    found: T = proxy._get_current_object()  # type: ignore[attr-defined] # they have it, and say that they are the object
    return found


def metrics() -> Metrics:
    """Return the measurements of the current app."""
    found: Metrics = current_app.extensions["refunds.metrics"]
    return found


def count_decisions(reasons: Iterable[str]) -> None:
    """Add decisions to the measurements of the current app, by their reasons."""
    for reason, times in collections.Counter(reasons).items():
        metrics().decisions.labels(reason).inc(times)


def count_sign_in(outcome: str) -> None:
    """Count and log an attempt to sign in, without the user's name. `outcome` is `done` or `refused`."""
    metrics().sign_ins.labels(outcome).inc()
    log = current_app.extensions["refunds.log"]()
    (log.info if outcome == "done" else log.warning)("sign-in", request_id=g.request_id, outcome=outcome)


ENDING = timedelta(days=30)
"""How long before a token expires its client and the operator are told."""


def _level(status: int, route: str) -> str:
    """Return the level of a request's log line, by its status; `debug` for probes and metrics that go as expected.

    That includes a 503 of `/readyz` while the service stops.
    """
    stopping = route == "/readyz" and current_app.extensions["refunds.stopping"].is_set()
    if route in _QUIET and (status < HTTPStatus.BAD_REQUEST or (stopping and status == HTTPStatus.SERVICE_UNAVAILABLE)):
        return "debug"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "error"
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "warning"
    return "info"


def register(app: Flask) -> None:
    """Give every request of the app an id, a log line and a measurement, and every response default headers.

    The id is the request's own `X-Request-ID` if that looks random, else a new one. From now on, the app's unexpected
    exceptions and its store's checkpoints are logged, so the app must already have its store.
    """
    store = app.extensions["refunds.store"]
    measured = app.extensions["refunds.metrics"] = Metrics()
    measured.registry.register(Records(store))
    logs.register(app, measured.dropped_lines)
    log = app.extensions["refunds.log"]
    store.waiting = measured.waiting

    def log_anchor(checkpoint: Checkpoint, failure: OSError | None) -> None:
        if failure:
            measured.checkpoint_failures.inc()
        tell = log().error if failure else log().info
        tell("anchor", position=checkpoint.position, hash=checkpoint.hash.hex(), failure=failure and failure.strerror)

    store.on_checkpoint = log_anchor

    def log_failure(exc_info: _ExcInfo) -> None:
        error = exc_info[1]
        if isinstance(error, RefundsError) and PROBLEMS[error.code].status == HTTPStatus.SERVICE_UNAVAILABLE:
            g.unavailable = {"detail": str(error)}
            if cause := error.__cause__:  # in one line: further ones of a database error may quote what is stored
                g.unavailable["cause"] = f"{type(cause).__name__}: {cause}".splitlines()[0]
        else:
            log().error("failure", request_id=g.request_id, exc_info=exc_info)

    app.log_exception = log_failure  # type: ignore[method-assign] # failures go where everything else goes

    @app.before_request
    def begin() -> None:
        environ, known = request.environ, unwrapped(g)
        known.began = perf_counter()
        known.waited = None
        if "refunds.began" in environ:  # only from the service's own server
            known.waited = known.began - environ["refunds.began"]
            measured.waits.observe(known.waited)
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known.request_id = given if _is_random(given) else secrets.token_hex(8)
        known.trace_id = _trace_id(environ.get("HTTP_TRACEPARENT", ""))

    app.after_request(_finish)


def _refused_host(request: Request) -> dict[str, str]:
    """Return the `detail` for the log, with the host, if a request is refused because of its `Host`; else nothing."""
    if not isinstance(request.routing_exception, SecurityError):
        return {}
    host = request.environ.get("HTTP_HOST", "").lower()
    return {"detail": f"the Host {host if _HOST.fullmatch(host) else 'that it names'} is not in REFUNDS_TRUSTED_HOSTS"}


def _finish(response: Response) -> Response:
    """Add the request's id, default headers and, if its token ends soon, `Token-Expires` to a response, and return it.

    The request is measured and logged: at once or, if the response is a stream, at its end.
    """
    asked, known = unwrapped(request), unwrapped(g)
    given = {name.lower() for name, _ in response.headers}
    missing = [(name, value) for name, value in _HEADERS.items() if name.lower() not in given]
    response.headers.extend([("X-Request-ID", known.request_id), *missing])
    principal: Principal | None = known.get("principal")
    expires = None
    if principal and principal.expires_at and principal.expires_at - datetime.now(UTC) <= ENDING:
        expires = response.headers["Token-Expires"] = format_instant(principal.expires_at)
    if response.is_streamed and not response.direct_passthrough:
        app = unwrapped(current_app)

        def ended() -> None:
            with app.app_context():
                _measure(asked, known, response.status_code, expires)

        response.call_on_close(ended)
    else:
        _measure(asked, known, response.status_code, expires)
    return response


def _measure(asked: Request, known: Any, status: int, expires: str | None) -> None:
    """Measure and log a request. `known` is its `g`; `expires` says when its token expires, if that is soon."""
    seconds = perf_counter() - known.began
    method = asked.method if asked.method in _METHODS else "other"
    route = _route(asked.url_rule.rule) if asked.url_rule else "unknown"
    metrics().count(method, route, status, seconds)
    principal: Principal | None = known.get("principal")
    more = {
        "waited_milliseconds": None if known.waited is None else round(known.waited * 1000, 3),
        "trace_id": known.trace_id,
        "token_expires": expires,
    } | known.get("unavailable", _refused_host(asked))
    getattr(current_app.extensions["refunds.log"](), _level(status, route))(
        "request",
        request_id=known.request_id,
        method=method,
        operation=(asked.endpoint or "unknown").rpartition(".")[2],
        status=status,
        milliseconds=round(seconds * 1000, 3),
        actor=principal and principal.actor,
        **{name: value for name, value in more.items() if value is not None},
    )


@cache
def _route(rule: str) -> str:
    """Return the rule of a route as a label, with its parameters in braces."""
    return _PARAMETER.sub(r"{\1}", rule)
