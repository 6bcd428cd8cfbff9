"""Calendars over HTTP: the regions that have a calendar, and the dates that count in a region."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.permissions import Scope
from refunds.presentation.language import each_language
from refunds.presentation.serializers import attributes
from refunds.presentation.texts.dates import region_text
from refunds.presentation.texts.decisions import why_data
from refunds.service import calendars, checks
from refunds.service.calendars import Region
from refunds.web.endpoint import Tag, answer, problems
from refunds.web.responses import present_policies, reply
from refunds.web.schemas import calendars as schemas
from refunds.web.schemas.examples import example

tag = Tag("Calendars", "The dates that count as business days, and why the others do not.")


@tag.operation("GET /v1/calendars", Scope.POLICIES_READ, query=schemas.RegionQuerySchema)
@answer(
    "The regions, each country before its parts.",
    schemas.RegionListSchema,
    example("china", "China, where next year's decree is still missing", schemas.CHINA),
    etag=True,
)
@problems("unknown-region")
def list_calendars(query: dict[str, Any]) -> Response:
    """List the regions

    Returns the regions that have a calendar of their own, all on one page: for each, its name, the years that the data
    covers, the date from which its calendar is provisional and, for a country, its parts that differ from it. You can
    filter by country. Use it to let people choose a region, and to see which regions are provisional. The service also
    accepts every other code of ISO 3166-2: it uses the calendar of the larger part, or of the country, to which the
    place belongs.
    """
    items = [_region_data(one) for one in calendars.regions(datetime.now(UTC).year, query.get("country"))]
    return reply({"holidays_version": HOLIDAYS_VERSION, "items": items, "next": None}, etag=True, cacheable=True)


def _region_data(region: Region) -> dict[str, Any]:
    """Return a region for the API: its codes, its names by language, the dates covered, and its parts that differ."""
    return {
        **attributes(region, region="code", country="country"),
        "names": {language: region_text(region.code) for language in each_language()},
        **attributes(region, "covered_from", "covered_until", "provisional_from", "parts_that_differ"),
    }


@tag.operation("GET /v1/calendars/<string:region>/days", Scope.POLICIES_READ, query=schemas.DaysQuerySchema)
@answer(
    "Each date from the first to the last.",
    schemas.CalendarDaysSchema,
    example("easter", "Easter in Bavaria", schemas.EASTER),
)
@problems("unknown-region", "calendar-not-covered", "no-policy-in-force")
def list_calendar_days(region: str, query: dict[str, Any]) -> Response:
    """List the days of a calendar

    Returns each date of a region, whether it is a business day under the policy in force now, and if it is not, the
    reason. Use it to show a calendar. To decide about an order, use a check.
    """
    version = checks.named_policy(present_policies(), query.get("policy")).in_force(datetime.now(UTC))
    calendar, days, notices = calendars.calendar_days(version, region, query["first"], query["last"])
    items = [
        {"date": day.isoformat(), "business_day": why is None} | (why_data(day, why, region) if why else {})
        for day, why in days
    ]
    return reply(
        {
            "region": calendar.region.region,
            "named_region": region,
            "holidays_version": calendar.region.data_version,
            "notices": notices,
            "items": items,
            "next": None,
        }
    )
