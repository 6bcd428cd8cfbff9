"""Checks over HTTP: one, or many at once."""

from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response, g

from refunds.domain.permissions import Scope
from refunds.domain.regions import require_region
from refunds.errors import InvalidInput, Message, RefundsError
from refunds.presentation.decisions import decision_json
from refunds.service import checks
from refunds.service.calendars import MOST_BUILT
from refunds.web import telemetry
from refunds.web.compact import NDJSON, decided, region_of, reply_compact
from refunds.web.endpoint import JSON, Tag, answer, problems, takes
from refunds.web.problems import error_data
from refunds.web.responses import accepted_media_type, present_policies, reply
from refunds.web.schemas import decisions as schemas
from refunds.web.schemas.examples import example

tag = Tag("Eligibility", "Whether an order can be cancelled, until when, and why.")


@tag.operation("POST /v1/eligibility-checks", Scope.CHECKS_RUN)
@answer("The decision.", schemas.DecisionSchema, example("in_time", "In time, over Easter", schemas.DECISION))
@takes(
    schemas.CheckSchema,
    example("in_time", "A call after Easter", schemas.CHECK)
    | example("what_if", "What if the window had three days?", schemas.CHECK | {"terms": {"window_business_days": 3}}),
)
@problems("unknown-region", "calendar-not-covered", "no-policy-in-force")
def check_eligibility(body: dict[str, Any]) -> Response:
    """Decide whether an order can be cancelled

    Returns a decision on the facts in the body. The decision counts the business days after the service day, with the
    public holidays of the region, and explains each day. Use it for an order that is not registered, or to try other
    terms. Records nothing.
    """
    given: dict[str, Any] = {"requested_at": datetime.now(UTC)}
    outcome = checks.check_eligibility(present_policies(), **given | body).outcome
    telemetry.count_decisions([outcome.reason])
    return reply(orjson.Fragment(decision_json(outcome)))


@tag.operation("POST /v1/eligibility-checks/batch", Scope.CHECKS_RUN, most_bytes=8 * 2**20)
@answer(
    "A decision or a problem for each item, in order.",
    schemas.BatchResultSchema,
    example("one", "One item", {"items": [{k: v for k, v in schemas.DECISION.items() if k != "days"}]}),
    also=NDJSON,
)
@takes(schemas.BatchSchema, example("one", "One item", {"items": [schemas.CHECK]}))
@problems("unknown-region")
def check_eligibility_batch(body: dict[str, Any]) -> Response:
    """Decide many orders at once

    Returns a decision for each of up to 10,000 items. An item that cannot be decided gets a problem in its place and
    does not affect the others. If the `terms` of the batch are invalid, the whole batch is refused. Use it for lists,
    such as all orders of a day. Records nothing.

    The service builds the calendar of a region when it is first needed. One batch builds at most 50 calendars, and none
    while two other HTTP requests build theirs. An item whose calendar is missing gets the problem `rate-limited`: send
    it again.

    With `Accept: application/x-ndjson`, the response is compact: one line of at most 100 bytes for each item, in order.
    The service sends lines while it decides further items. A line is an object with `verdict`, `deadline` (in UTC, or
    null) and `reason`, or with `problem`: the last part of the problem's `type`. If there are fewer lines than items,
    the response was cut short.
    """
    form = accepted_media_type(JSON, NDJSON)
    terms: dict[str, Any] = body.get("terms", {})
    if "region" in terms:
        require_region(terms["region"], "/terms/region")
    given: dict[str, Any] = {"requested_at": datetime.now(UTC), "terms": terms}
    if form == NDJSON:
        if body.get("include_days"):
            raise InvalidInput.at("/include_days", Message("the compact form lists no days: leave it out"))
        return reply_compact(body["items"], given)
    policies, with_days = present_policies(), body.get("include_days", False)

    answers, reasons, listed, g.builder.left = {}, [], 0, MOST_BUILT
    # Region by region, so that each calendar is built only once even if the regions are mixed.
    for i, item in sorted(enumerate(body["items"]), key=region_of):
        try:
            outcome = decided(policies, given, item).outcome
        except RefundsError as error:
            answers[i] = orjson.Fragment(orjson.dumps(error_data(error, f"/items/{i}")))
            continue
        if with_days and outcome.window:
            listed += 1 + len(outcome.day_codes)
        if listed > schemas.MOST_DAYS:
            detail = Message("would list more than %(most)s days: send fewer items", most=schemas.MOST_DAYS)
            raise InvalidInput.at("/include_days", detail)
        reasons.append(outcome.reason)
        answers[i] = orjson.Fragment(decision_json(outcome, with_days=with_days))
    telemetry.count_decisions(reasons)
    response = reply({"items": [answers[i] for i in range(len(answers))]})
    response.vary.add("Accept")
    return response
