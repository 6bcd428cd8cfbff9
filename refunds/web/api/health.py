"""Health over HTTP, for operators: whether an instance runs and is ready, and its measurements."""

from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from refunds.domain.permissions import Scope
from refunds.errors import Message
from refunds.service import clock
from refunds.web import auth, telemetry
from refunds.web.endpoint import Tag, answer, problems
from refunds.web.problems import Rejected
from refunds.web.responses import reply
from refunds.web.schemas import shown
from refunds.web.schemas.examples import example

tag = Tag("Service", "For operators: whether an instance runs and is ready, and its measurements.")


class HealthSchema(shown.Schema):
    """The health of the service."""

    status = shown.Code(["ok"], "Always `ok`; a problem says what is wrong.")


OK = answer("The service works.", HealthSchema, example("ok", "It works", {"status": "ok"}))


@tag.operation("GET /livez", scopes=None)
@OK
def is_alive() -> Response:
    """Check whether the process runs

    Returns `ok` while the instance runs. Use it for a process manager that restarts an instance when it does not
    respond. It reads no records, so it also responds while the database does not.
    """
    return reply({"status": "ok"})


@tag.operation("GET /readyz", scopes=None)
@OK
@problems("storage-unavailable", "clock-in-doubt", "stopping")
def is_ready() -> Response:
    """Check whether the instance can handle requests

    Returns `ok` while the instance is ready. Use it for a load balancer that sends HTTP requests only to ready
    instances. An instance is ready if it can read the database, and if its clock fits the journal: at most a minute
    behind the last event, and at most 40 days ahead of the last sign of life. An instance that is about to stop is not
    ready. Before an instance accepts its first request, it loads the policies and the calendars of the default policy.
    """
    if current_app.extensions["refunds.stopping"].is_set():
        raise Rejected("stopping", Message("This instance is about to stop: send requests to another one."))
    clock.check_clock(auth.store())
    return reply({"status": "ok"})


@tag.operation("GET /metrics", Scope.METRICS_READ)
@answer("The measurements.", {"type": "string"}, media_type="text/plain")
def get_metrics() -> Response:
    """Get the measurements

    Returns measurements in the text format of Prometheus: what this instance has done since it started, and what is
    open, overdue or about to end in the records. Use it to watch the service.
    """
    return Response(generate_latest(telemetry.metrics().registry), content_type=CONTENT_TYPE_LATEST)
