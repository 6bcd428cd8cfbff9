"""Checks over HTTP: one, or many at once."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
import orjson
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.business_days import DayStatus, Why
from refunds.contact_points import Channel
from refunds.eligibility import Notice, Reason
from refunds.errors import Flaw, InvalidInput, RefundsError
from refunds.fields import Choice, Flag, Instant, ListOf, Nested, StrictSchema, Text, Unread
from refunds.policy import PolicyId
from refunds.service import checks
from refunds.service.checks import Check
from refunds.service.policies import require_region
from refunds.terms import TermsSchema
from refunds.web import shown, telemetry
from refunds.web.api import present_policies, reader_language, reply
from refunds.web.openapi import Answer, ProblemSchema, operation
from refunds.web.problems import error_data
from refunds.wording import decision_data

MOST_ITEMS = 10_000
MOST_DAYS = 250_000
"""In one batch, so that long windows of many orders do not fill the memory."""

blueprint = Blueprint("Eligibility", __name__, description="Whether an order can be cancelled, until when, and why.")


class CheckItemSchema(StrictSchema):
    """What is asked about one order."""

    service_provided_at = Instant(
        required=True,
        allow_none=True,
        metadata={"description": "When the service was provided; null where it has not been yet."},
    )
    requested_at = Instant(metadata={"description": "When the customer asked. Default: now."})
    channel = Choice(Channel, metadata={"description": "How the customer asked. Left out: not judged."})
    contact_point = Text(
        254,
        metadata={
            "description": "The vendor's number or address that the customer used. Not judged without `channel`."
        },
    )
    ordered_at = Instant(
        metadata={"description": "When the order was placed: decides where the policy's `judged_by` is `ordered`."}
    )
    region = Text(
        40, metadata={"description": "The customer's place, as in `DE` or `DE-BY`. Default: the policy's region."}
    )
    policy = PolicyId("The policy that judges. Default: the configured one.")


class CheckSchema(CheckItemSchema):
    """A question: is this order cancellable?"""

    terms = Nested(
        TermsSchema, metadata={"description": "Terms of the policy to replace, for a what-if. Nothing is stored."}
    )


class BatchSchema(StrictSchema):
    """Many questions under the same what-if."""

    items = ListOf(
        Unread(CheckItemSchema), most=MOST_ITEMS, required=True, metadata={"description": "The questions, in order."}
    )
    terms = Nested(TermsSchema, metadata={"description": "Terms to replace for all items, for a what-if."})
    include_days = Flag(
        metadata={"description": f"Whether each decision lists its days, at most {MOST_DAYS} in all. Default false."}
    )


class WindowSchema(ma.Schema):
    """The days within which the order can be cancelled."""

    length = shown.Integer("How many business days it has.")
    unit = shown.Code(["business_day"], "What is counted.")
    service_day = shown.Date("The local date on which the service was provided. It never counts.")
    first_counted_day = shown.Date("The first business day after it.")
    last_day = shown.Date("The last day on which a request is in time.")
    deadline = shown.Instant("The first instant that is too late, in UTC.")
    deadline_local = shown.Instant("The same instant in the policy's time zone.")
    time_zone = shown.String("The policy's time zone.")
    business_days_left = shown.Integer(
        "Window days after the local date of the request; 0: today is the last; null: it has ended.", allow_none=True
    )


class DaySchema(ma.Schema):
    """One date from the service day to the last day, and what it is to the window."""

    date = shown.Date("The local date.")
    status = shown.Code(
        DayStatus,
        "`service_day`, `counted`, `skipped`; or `last_day`, where only `end_week` makes the window end here.",
    )
    ordinal = shown.Integer("Which of the counted days it is, from 1.", required=False)
    why = shown.Code(Why, "Why a skipped date is no business day: of several reasons the first.", required=False)
    name = shown.String("The name of the public holiday.", required=False)
    name_language = shown.String(
        "The language of the name: the reader's, else English, else the country's.", required=False
    )
    extension = shown.Boolean("True for dates that only `end_week` passes over.", required=False)


class CalendarSchema(ma.Schema):
    """The holiday data by which was counted."""

    region = shown.String("The region whose holidays counted.")
    holidays_version = shown.String("The version of the holiday data.")
    tzdata_version = shown.String("The version of the time zone data.")
    fingerprint = shown.String(
        "Names the days as they were counted: another one, another calendar. Null while no window runs.",
        allow_none=True,
    )


class JudgingPolicySchema(ma.Schema):
    """The policy version that judged."""

    id = shown.String("The policy.")
    version = shown.Integer("Its version.")
    overridden = ma.fields.List(
        ma.fields.String(), required=True, metadata={"description": "The terms that a what-if replaced."}
    )


class DecisionSchema(ma.Schema):
    """Whether the order can be cancelled, until when, and why."""

    eligible = shown.Boolean("Whether the order can be cancelled.")
    reason = shown.Code(Reason, "Why; a stable code.")
    reason_text = shown.String("Why, as a sentence in the reader's language.")
    requested_at = shown.Instant("The instant that was judged.")
    window = ma.fields.Nested(
        WindowSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Null while none runs, as the service is not yet provided."},
    )
    days = ma.fields.List(
        ma.fields.Nested(DaySchema),
        metadata={"description": "Each date from the service day to the last day. Left out of a batch by default."},
    )
    calendar = ma.fields.Nested(CalendarSchema, required=True)
    policy = ma.fields.Nested(JudgingPolicySchema, required=True)
    notices = ma.fields.List(shown.Code(Notice, "A stable code."), required=True)


class BatchResultSchema(ma.Schema):
    """An answer to each question, in order: a decision, or a problem."""

    items = ma.fields.List(
        shown.Either(DecisionSchema, ProblemSchema),
        required=True,
        metadata={"description": "A decision has `eligible`; a problem has `type` and `status`."},
    )


CHECK = {
    "service_provided_at": "2026-04-02T16:20:00+02:00",
    "requested_at": "2026-04-08T21:05:00Z",
    "channel": "phone",
    "region": "DE-BY",
}
DECISION = {
    "eligible": True,
    "reason": "within_window",
    "reason_text": "The order can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time).",
    "requested_at": "2026-04-08T21:05:00Z",
    "window": {
        "length": 2,
        "unit": "business_day",
        "service_day": "2026-04-02",
        "first_counted_day": "2026-04-07",
        "last_day": "2026-04-08",
        "deadline": "2026-04-08T22:00:00Z",
        "deadline_local": "2026-04-09T00:00:00+02:00",
        "time_zone": "Europe/Berlin",
        "business_days_left": 0,
    },
    "days": [
        {"date": "2026-04-02", "status": "service_day"},
        {
            "date": "2026-04-03",
            "status": "skipped",
            "why": "public_holiday",
            "name": "Good Friday",
            "name_language": "en",
        },
        {"date": "2026-04-04", "status": "skipped", "why": "weekend"},
        {"date": "2026-04-05", "status": "skipped", "why": "weekend"},
        {
            "date": "2026-04-06",
            "status": "skipped",
            "why": "public_holiday",
            "name": "Easter Monday",
            "name_language": "en",
        },
        {"date": "2026-04-07", "status": "counted", "ordinal": 1},
        {"date": "2026-04-08", "status": "counted", "ordinal": 2},
    ],
    "calendar": {
        "region": "DE-BY",
        "holidays_version": "0.109",
        "tzdata_version": "2026f",
        "fingerprint": "7924896711d4ab13",
    },
    "policy": {"id": "virtual-numbers", "version": 1, "overridden": []},
    "notices": ["statutory_rights_not_assessed"],
}


@operation(
    blueprint,
    "/v1/eligibility-checks",
    Answer("The decision.", DecisionSchema, {"in_time": {"summary": "In time, over Easter", "value": DECISION}}),
    scopes=(Scope.CHECKS_RUN,),
    method="POST",
    body=CheckSchema,
    body_examples={
        "in_time": {"summary": "A call after Easter", "value": CHECK},
        "what_if": {"summary": "What if it were three days?", "value": CHECK | {"terms": {"window_business_days": 3}}},
    },
    problems=("unknown-region", "calendar-not-covered", "no-policy-in-force"),
)
def check_eligibility(body: dict[str, Any]) -> Response:
    """Decide whether an order can be cancelled

    Counts the business days after the service was provided, by the public holidays of the region, and explains each
    day. Nothing is stored.
    """
    given: dict[str, Any] = {"requested_at": datetime.now(UTC)}
    check = Check(**given | body)
    data = decision_data(checks.check_eligibility(present_policies(), check).outcome, reader_language())
    telemetry.count_decisions([data["reason"]])
    return reply(data)


@operation(
    blueprint,
    "/v1/eligibility-checks/batch",
    Answer(
        "A decision or a problem for each item, in order.",
        BatchResultSchema,
        {"one": {"summary": "One item", "value": {"items": [{k: v for k, v in DECISION.items() if k != "days"}]}}},
    ),
    scopes=(Scope.CHECKS_RUN,),
    method="POST",
    body=BatchSchema,
    body_examples={"one": {"summary": "One item", "value": {"items": [CHECK]}}},
    most_bytes=8 * 2**20,
    problems=("unknown-region",),
)
def check_eligibility_batch(body: dict[str, Any]) -> Response:
    """Decide many orders at once

    Up to 10,000 items. An item that cannot be decided has a problem in its place and does not hinder the others.
    """
    terms: dict[str, Any] = body.get("terms", {})
    if "region" in terms:
        require_region(terms["region"], "/terms/region")
    given: dict[str, Any] = {"requested_at": datetime.now(UTC), "terms": terms}
    policies, language, with_days = present_policies(), reader_language(), body.get("include_days", False)

    def answer(i: int, item: Any) -> dict[str, Any]:
        try:
            decision = checks.check_eligibility(policies, Check(**given | _read_item(item)))
        except RefundsError as error:
            return error_data(error, f"/items/{i}")
        return decision_data(decision.outcome, language, with_days=with_days)

    answers, reasons, listed = {}, [], 0
    # Region by region, so that each calendar is built once however they are mixed.
    for i, item in sorted(enumerate(body["items"]), key=_region):
        data = answer(i, item)
        listed += len(data.get("days", ()))
        if listed > MOST_DAYS:
            raise InvalidInput([Flaw("/include_days", f"would list more than {MOST_DAYS} days: send fewer items")])
        if "reason" in data:
            reasons.append(data["reason"])
        answers[i] = orjson.Fragment(orjson.dumps(data))
    telemetry.count_decisions(reasons)
    return reply({"items": [answers[i] for i in range(len(answers))]})


_read_item = CheckItemSchema().read


def _region(numbered: tuple[int, Any]) -> str:
    return str(numbered[1].get("region")) if isinstance(numbered[1], dict) else ""
