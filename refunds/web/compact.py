"""The compact form of a batch of checks: one short line for each item, sent while the others are still decided."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson
from flask import Response, current_app, g, stream_with_context

from refunds.domain.instants import format_known
from refunds.errors import RefundsError
from refunds.service import checks
from refunds.service.calendars import MOST_BUILT
from refunds.service.checks import Check
from refunds.storage.policies import Policies
from refunds.web import telemetry
from refunds.web.responses import present_policies
from refunds.web.schemas.decisions import CheckItemSchema

NDJSON = "application/x-ndjson"

FORM = {NDJSON: {"type": "string"}}
"""For the API document."""

_PIECE = 500
"""Items that are decided before their lines are sent, region by region, so that calendars are built only once."""


def reply_compact(items: Sequence[Any], given: Mapping[str, Any]) -> Response:
    """A line for each item, in order: its verdict, deadline and reason, or the problem of an item without a decision.

    `given` has what an item need not name. A reader who leaves ends the work after the piece that is being decided.
    """
    g.builder.left = MOST_BUILT
    response = Response(stream_with_context(_pieces(present_policies(), items, given)), mimetype=NDJSON)
    response.headers["Vary"] = "Accept, Authorization"
    return response


def _pieces(policies: Policies, items: Sequence[Any], given: Mapping[str, Any]) -> Iterator[bytes]:
    for start in range(0, len(items), _PIECE):
        lines, reasons = {}, []
        for i, item in sorted(enumerate(items[start : start + _PIECE]), key=region_of):
            data = _line(policies, given, item)
            lines[i] = orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)
            if "reason" in data:
                reasons.append(data["reason"])
        telemetry.count_decisions(reasons)
        yield b"".join(lines[i] for i in range(len(lines)))


def _line(policies: Policies, given: Mapping[str, Any], item: Any) -> dict[str, Any]:
    try:
        check = Check(**{**given, **_read_item(item)})
        found = g.builder.ready(partial(checks.check_eligibility, policies, check)).outcome
    except RefundsError as error:
        return {"problem": error.code}
    except Exception:  # noqa: BLE001 - the answer has begun, and a reader counts its lines
        current_app.log_exception(sys.exc_info())
        return {"problem": RefundsError.code}
    return {"verdict": found.verdict, "deadline": format_known(found.deadline), "reason": found.reason}


_read_item = CheckItemSchema().read


def region_of(numbered: tuple[int, Any]) -> str:
    """The region of a numbered item, to sort by; the item has not been checked yet."""
    return str(numbered[1].get("region")) if isinstance(numbered[1], dict) else ""
