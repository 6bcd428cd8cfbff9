"""Health over HTTP, for operators: whether the service runs, and its measurements."""

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from refunds.domain.permissions import Scope
from refunds.errors import Message
from refunds.service import clock
from refunds.web import auth, telemetry
from refunds.web.endpoint import Answer, Tag
from refunds.web.problems import Rejected
from refunds.web.responses import reply
from refunds.web.schemas import shown
from refunds.web.schemas.examples import example

tag = Tag("Service", "For operators: whether the service runs, and its measurements.")


class HealthSchema(shown.Schema):
    """The health of the service."""

    status = shown.Code(["ok"], "`ok`.")


OK = Answer("The service works.", HealthSchema, example("ok", "It works", {"status": "ok"}))


@tag.operation("GET /livez", OK, scopes=None)
def is_alive() -> Response:
    """Check whether the process runs

    Use it for a process manager that restarts the service when it does not answer. It reads no records, so it also
    answers while the database does not.
    """
    return reply({"status": "ok"})


@tag.operation("GET /readyz", OK, scopes=None, problems=("storage-unavailable", "clock-in-doubt", "stopping"))
def is_ready() -> Response:
    """Check whether the service can handle requests

    Use it for a load balancer that sends HTTP requests only to ready instances. An instance is ready if it can read
    the database, and if its clock fits the journal: no more than a minute behind the last event, and no more than 40
    days ahead of the last sign of life. It is no longer ready when it is about to stop. It loads the policies and the
    calendars of the default policy before it accepts the first request.
    """
    if current_app.extensions["refunds.stopping"].is_set():
        raise Rejected("stopping", Message("This instance is about to stop: send requests to another one."))
    clock.look(auth.store())
    return reply({"status": "ok"})


@tag.operation(
    "GET /metrics",
    Answer("The measurements.", {"type": "string"}, media_type="text/plain"),
    scopes=(Scope.METRICS_READ,),
)
def get_metrics() -> Response:
    """Get the measurements

    What this instance has done since it started, and what is open, overdue or about to end in the records, in the text
    format of Prometheus. Use it to watch how the service does.
    """
    return Response(generate_latest(telemetry.metrics().registry), content_type=CONTENT_TYPE_LATEST)
