"""The compact form of a batch of checks: one short line for each item, sent while others are still decided."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from flask import Response, current_app, g
from flask.ctx import AppContext
from flask.globals import app_ctx

from refunds.domain.eligibility import Decision
from refunds.domain.holidays_data import CalendarNotReady, only_ready
from refunds.domain.instants import format_known
from refunds.domain.outcomes import verdict_of
from refunds.errors import RefundsError
from refunds.service import checks
from refunds.service.calendars import MOST_BUILT
from refunds.storage.policies import Policies
from refunds.web import telemetry
from refunds.web.responses import present_policies
from refunds.web.schemas.decisions import CheckItemSchema
from refunds.web.telemetry import unwrapped

NDJSON = "application/x-ndjson"

_PIECE = 500
"""Items that are decided before their lines are sent, region by region, so that calendars are built only once."""


def reply_compact(items: Sequence[Any], given: Mapping[str, Any]) -> Response:
    """Return a streamed response, a JSON line for each item, in order: verdict, deadline and reason, or a problem.

    `given` has the defaults of fields that an item leaves out. At most `MOST_BUILT` calendars are built for the batch;
    an item that needs a further one has a problem. If the client closes the connection, the piece that is being decided
    is finished, and the rest is not decided.
    """
    g.builder.left = MOST_BUILT
    response = Response(_pieces(unwrapped(app_ctx), items, given), mimetype=NDJSON)
    response.headers["Vary"] = "Accept, Authorization"
    return response


def _pieces(context: AppContext, items: Sequence[Any], given: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the lines of all items, 500 at a time and in order; each 500 are decided when they are asked for.

    They are decided in the HTTP request's context, and counted as measurements.
    """
    for start in range(0, len(items), _PIECE):
        with context, only_ready():
            piece = sorted(enumerate(items[start : start + _PIECE]), key=region_of)
            found = {i: _line(present_policies(), given, item) for i, item in piece}
            telemetry.count_decisions(line["reason"] for line in found.values() if "reason" in line)
        yield b"".join(orjson.dumps(found[i], option=orjson.OPT_APPEND_NEWLINE) for i in range(len(found)))


def decided(policies: Policies, given: Mapping[str, Any], item: Any) -> Decision:
    """Return the decision on an item of a batch; the item's own fields replace those in `given`.

    Builds the calendar that the decision needs, if it is not built. Raises `Crowded` if the calendar cannot be built
    now; `InvalidInput` if the item cannot be read or names an unknown policy or region or a wrong contact point;
    `NoPolicyInForce`; and `CalendarNotCovered`.
    """
    g.builder.give_way()
    check = partial(checks.check_eligibility, policies, **{**given, **_read_item(item)})
    try:
        return check()
    except CalendarNotReady:  # seldom: to enter the builder's block for each item would take longer than to decide
        found: Decision = g.builder.run(check)
        return found


def _line(policies: Policies, given: Mapping[str, Any], item: Any) -> dict[str, Any]:
    """Return the data of an item's line: verdict, deadline and reason of its decision, or the code of its problem.

    `given` has the defaults of fields that the item leaves out. An unexpected exception is a problem, too, and logged.
    """
    try:
        found = decided(policies, given, item)
        reason = found.reason
        verdict = verdict_of(reason, lambda: found.notices)
    except RefundsError as error:
        return {"problem": error.code}
    except Exception:  # noqa: BLE001 - the answer has begun, and a reader counts its lines
        current_app.log_exception(sys.exc_info())
        return {"problem": RefundsError.code}
    return {"verdict": verdict, "deadline": format_known(found.deadline), "reason": reason}


_read_item = CheckItemSchema().read


def region_of(numbered: tuple[int, Any]) -> str:
    """Return the region of a numbered item as a text to sort by; the item need not be valid or have a region."""
    return str(numbered[1].get("region")) if isinstance(numbered[1], dict) else ""
