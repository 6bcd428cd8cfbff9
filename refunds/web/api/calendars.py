"""Calendars over HTTP: which dates count in a region, and why others do not."""

from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.business_days import Why
from refunds.fields import LocalDate, StrictSchema
from refunds.policy import PolicyId
from refunds.service import checks
from refunds.web import shown
from refunds.web.api import present_policies, reader_language, reply
from refunds.web.openapi import Answer, operation
from refunds.wording import why_data

blueprint = Blueprint("Calendars", __name__, description="Which dates count as business days, and why others do not.")


class DaysQuerySchema(StrictSchema):
    """Which dates are asked for."""

    first = LocalDate(required=True, data_key="from", metadata={"description": "The first date."})
    last = LocalDate(
        required=True,
        data_key="to",
        metadata={"description": f"The last date, at most {checks.MOST_CALENDAR_DAYS - 1} days after the first."},
    )
    policy = PolicyId("The policy whose business week and closures count. Default: the configured one.")


class CalendarDaySchema(ma.Schema):
    """One date, and whether it counts."""

    date = shown.Date("The date.")
    business_day = shown.Boolean("Whether it is a business day.")
    why = shown.Code(Why, "Why it is none: of several reasons the first.", required=False)
    name = shown.String("The name of the public holiday.", required=False)
    name_language = shown.String(
        "The language of the name: the reader's, else English, else the country's.", required=False
    )


class CalendarDaysSchema(ma.Schema):
    """The dates of a region."""

    region = shown.String("The region whose holidays count.")
    holidays_version = shown.String("The version of the holiday data.")
    items = ma.fields.List(ma.fields.Nested(CalendarDaySchema), required=True)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


EASTER = {
    "region": "DE-BY",
    "holidays_version": "0.109",
    "items": [
        {"date": "2026-04-02", "business_day": True},
        {
            "date": "2026-04-03",
            "business_day": False,
            "why": "public_holiday",
            "name": "Good Friday",
            "name_language": "en",
        },
        {"date": "2026-04-04", "business_day": False, "why": "weekend"},
    ],
    "next": None,
}


@operation(
    blueprint,
    "/v1/calendars/<string:region>/days",
    Answer(
        "Each date from the first to the last.",
        CalendarDaysSchema,
        {"easter": {"summary": "Easter in Bavaria", "value": EASTER}},
    ),
    scopes=(Scope.POLICIES_READ,),
    query=DaysQuerySchema,
    path={"region": "A country or a country and a subdivision, percent-encoded, as in `DE` and `DE-BY`."},
    problems=("unknown-region", "calendar-not-covered", "no-policy-in-force"),
)
def list_calendar_days(region: str, query: dict[str, Any]) -> Response:
    """List the days of a calendar

    Each date of a region, whether it is a business day under the policy in force now, and why not.
    """
    version = checks.named_policy(present_policies(), query.get("policy")).in_force(datetime.now(UTC))
    calendar, days = checks.calendar_days(version, region, query["first"], query["last"])
    language = reader_language()
    items = [
        {"date": day.isoformat(), "business_day": why is None} | (why_data(day, why, region, language) if why else {})
        for day, why in days
    ]
    return reply({"region": region, "holidays_version": calendar.region.data_version, "items": items, "next": None})
