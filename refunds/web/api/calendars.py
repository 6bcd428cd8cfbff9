"""Calendars over HTTP: which dates count in a region, and why the others do not."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.texts.decisions import why_data
from refunds.service import checks
from refunds.web.endpoint import Answer, Tag
from refunds.web.responses import present_policies, reply
from refunds.web.schemas.calendars import EASTER, CalendarDaysSchema, DaysQuerySchema

tag = Tag("Calendars", "Which dates count as business days, and why others do not.")


@tag.operation(
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

    Each date of a region, whether it is a business day under the policy in force now, and if not, why. Use it to show a
    calendar; to decide about an order, use a check.
    """
    version = checks.named_policy(present_policies(), query.get("policy")).in_force(datetime.now(UTC))
    calendar, days = checks.calendar_days(version, region, query["first"], query["last"])
    items = [
        {"date": day.isoformat(), "business_day": why is None} | (why_data(day, why, region) if why else {})
        for day, why in days
    ]
    return reply({"region": region, "holidays_version": calendar.region.data_version, "items": items, "next": None})
