"""Telemetry: an id, a log line and a measurement for every request, and the headers of every response.

No client address, no body and nothing personal is logged or measured, only what was called and how it went.
"""

import collections
import logging
import re
import secrets
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

import orjson
from flask import Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from refunds.config import RELEASE
from refunds.domain.holidays_data import HOLIDAYS_VERSION, decreed_until
from refunds.domain.instants import TZDATA_VERSION, format_instant
from refunds.domain.national_law import DECREES
from refunds.domain.payment_data import holds_payment_data
from refunds.domain.permissions import Principal
from refunds.storage.checkpoints import Checkpoint

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

_ExcInfo = tuple[type, BaseException, TracebackType] | tuple[None, None, None]

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Server": "",  # else the server would name itself
}


def _is_sane(request_id: str) -> bool:
    """Whether a request id may be logged: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.

    A token of the service or payment data, such as a card number, may not.
    """
    return bool(_SANE_ID.fullmatch(request_id)) and not (
        request_id.startswith("rfd_") or holds_payment_data(request_id)
    )


class Metrics:
    """The measurements of one app, for Prometheus. Labels are never personal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "refunds_requests", "Requests answered.", ["operation", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "refunds_request_seconds",
            "Time from the first byte of a request to its answer.",
            ["operation"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
            registry=self.registry,
        )
        self.sign_ins = Counter("refunds_sign_ins", "Attempts at signing in.", ["outcome"], registry=self.registry)
        self.decisions = Counter("refunds_decisions", "Decisions made, by reason.", ["reason"], registry=self.registry)
        build = ["release", "holidays", "tzdata"]
        build_info = Gauge(
            "refunds_build_info", "The releases of the service and its data.", build, registry=self.registry
        )
        build_info.labels(RELEASE, HOLIDAYS_VERSION, TZDATA_VERSION).set(1)
        self.token_seconds_left = Gauge(
            "refunds_token_seconds_left",
            "How long a token that is in use is still valid, by client, in its last 30 days.",
            ["client", "token"],
            registry=self.registry,
        )
        self.windows = Gauge(
            "refunds_open_windows",
            "Open windows when the holiday, time zone data or rules last changed: longer, or kept against them.",
            ["end"],
            registry=self.registry,
        )
        decreed = Gauge(
            "refunds_calendar_decreed_until_year",
            "The last year whose decrees on working weekends and moved holidays the data has, in countries with such.",
            ["country"],
            registry=self.registry,
        )
        for country in DECREES:
            if (until := decreed_until(country)) is not None:
                decreed.labels(country).set(until)
        self.dropped_lines = Counter(
            "refunds_log_lines_dropped", "Log lines that could not be written.", registry=self.registry
        )


class Output:
    """The output of log lines. A line that cannot be written is dropped and counted, and the response is not affected.

    This happens if the disk is full or the reader of a pipe is gone.
    """

    def __init__(self, output: BinaryIO, dropped: Counter) -> None:
        # The raw file, because a buffer would keep what it failed to write and fail again with the next line.
        self._output: BinaryIO = getattr(output, "raw", output)
        self._dropped = dropped
        self._torn = False

    def write(self, line: bytes) -> None:
        """Write a line. If it cannot be written as a whole, it is counted as dropped; no error is raised.

        The line after one that was cut short begins on a line of its own.
        """
        begun = b"\n" + line if self._torn else line
        try:
            written = self._output.write(begun) or 0
        except (OSError, ValueError):  # a ValueError if it is closed
            written = 0
        if written < len(begun):
            self._dropped.inc()
        if written:
            self._torn = written < len(begun)

    def flush(self) -> None:
        """Do nothing: lines are not buffered."""


def logger(output: Output) -> "FilteringBoundLogger":
    """A logger that writes one JSON object per line, with the time and the level, from the level `info` on."""
    import structlog  # noqa: PLC0415 - slow to import, and few commands log

    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.BytesLogger(cast(BinaryIO, output)),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return made


def _log_to(output: BinaryIO, dropped: Counter) -> Callable[[], "FilteringBoundLogger"]:
    """A function that returns the log, which is created on the first call."""
    return cache(lambda: logger(Output(output, dropped)))


class _DriversLog(logging.Handler):
    """Writes the warnings of the database driver as log lines."""

    def __init__(self, log: Callable[[], "FilteringBoundLogger"]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message of a record."""
        self._log().warning("database", detail=record.getMessage())


def metrics() -> Metrics:
    """The measurements of the current app."""
    found: Metrics = current_app.extensions["refunds.metrics"]
    return found


def count_decisions(reasons: Iterable[str]) -> None:
    """Add decisions to the measurements of the current app, by their reasons."""
    for reason, times in collections.Counter(reasons).items():
        metrics().decisions.labels(reason).inc(times)


def count_sign_in(outcome: str) -> None:
    """Count and log an attempt at signing in, without the user's name; `outcome` is `done` or `refused`."""
    metrics().sign_ins.labels(outcome).inc()
    current_app.extensions["refunds.log"]().info("sign-in", request_id=g.request_id, outcome=outcome)


ENDING = timedelta(days=30)
"""How long before a token expires its client and the operator are told."""


def _announce_end(response: Response, measured: Metrics) -> str | None:
    """When the caller's token expires, if that is within 30 days, else None.

    Then it is also set as the header `Token-Expires` of the response, and in the measurements.
    """
    principal: Principal | None = g.get("principal")
    if principal is None or principal.expires_at is None:
        return None
    left = principal.expires_at - datetime.now(UTC)
    if left > ENDING:
        return None
    measured.token_seconds_left.labels(principal.actor, principal.token_id).set(left.total_seconds())
    expires = response.headers["Token-Expires"] = format_instant(principal.expires_at)
    return expires


def register(app: Flask) -> None:
    """Give every request of the app its id and log line, and every response its measurement and default headers.

    The id is the request's own `X-Request-ID` if it may be logged, else a new one. From now on, failures and
    checkpoints are logged on standard output, and warnings of the database driver on standard error, for the whole
    process. The app must have its store.
    """
    measured = app.extensions["refunds.metrics"] = Metrics()
    log = app.extensions["refunds.log"] = _log_to(sys.stdout.buffer, measured.dropped_lines)
    driver = logging.getLogger("psycopg")
    failures = _log_to(sys.stderr.buffer, measured.dropped_lines)  # commands print results on standard output
    driver.handlers, driver.propagate = [_DriversLog(failures)], False

    def log_anchor(checkpoint: Checkpoint, failure: OSError | None) -> None:
        tell = log().error if failure else log().info
        tell("anchor", position=checkpoint.position, hash=checkpoint.hash.hex(), failure=failure and failure.strerror)

    app.extensions["refunds.store"].on_checkpoint = log_anchor

    def log_failure(exc_info: _ExcInfo) -> None:
        log().error("failure", request_id=g.request_id, exc_info=exc_info)

    app.log_exception = log_failure  # type: ignore[method-assign] # failures go where everything else goes

    @app.before_request
    def begin() -> None:
        g.began = perf_counter()
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _is_sane(given) else secrets.token_hex(8)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        operation = (request.endpoint or "unknown").rpartition(".")[2]
        seconds = perf_counter() - g.began
        expires = _announce_end(response, measured)
        measured.requests.labels(operation, response.status_code).inc()
        measured.seconds.labels(operation).observe(seconds)
        log().info(
            "request",
            request_id=g.request_id,
            method=request.method,
            operation=operation,
            status=response.status_code,
            milliseconds=round(seconds * 1000, 3),
            actor=g.principal.actor if "principal" in g else None,
            **({"token_expires": expires} if expires else {}),
        )
        return response
