"""Calendars over HTTP: the regions that have a calendar, and the dates that count in a region."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from refunds.domain.business_days import SkipReason
from refunds.domain.holidays_data import HOLIDAYS_VERSION
from refunds.domain.outcomes import ABOUT_CALENDARS
from refunds.domain.permissions import Scope
from refunds.errors import Message
from refunds.presentation.language import each_language
from refunds.presentation.serializers import attributes
from refunds.presentation.texts.dates import region_text
from refunds.presentation.texts.decisions import why_data
from refunds.schemas.fields import LocalDate, Text
from refunds.schemas.policy import PolicyId
from refunds.service import calendars, checks
from refunds.web.endpoint import Tag, answer, parameters, problems
from refunds.web.responses import present_policies, reply
from refunds.web.schemas import shown
from refunds.web.schemas.decisions import HOLIDAY
from refunds.web.schemas.examples import example

tag = Tag("Calendars", "The dates that count as business days, and why the others do not.")


class CalendarDaySchema(shown.Schema):
    """A date, and whether it is a business day."""

    date = shown.Date("The date.")
    business_day = shown.Boolean("Whether the date is a business day.")
    why = shown.Code(
        SkipReason, "Why the date is not a business day; the first reason if several apply.", required=False
    )
    name, name_language = HOLIDAY


class CalendarDaysSchema(shown.Schema):
    """The dates of a region, from the first to the last."""

    region = shown.String("The region whose holidays count.")
    named_region = shown.String(
        "The region in the HTTP request. If it has no calendar of its own, another region's calendar counts: the one "
        "in `region`."
    )
    holidays_version = shown.String("The version of the holiday data.")
    notices = shown.ListOf(
        shown.Code(ABOUT_CALENDARS, "A code for something else that you must know about the calendar on these dates.")
    )
    items = shown.ListOf(CalendarDaySchema)
    next = shown.NEXT


class RegionNamesSchema(shown.Schema):
    """The names of a region by language; its name in the country's language, or its code, where there is none."""

    de = shown.String("The name in German.", "China")
    en = shown.String("The name in English.", "China")


class RegionSchema(shown.Schema):
    """A region that has a calendar of its own."""

    region = shown.String("The code of a country, such as `DE`, or of a part of a country, such as `DE-BY`.", "CN")
    country = shown.String("The code of the region's country.", "CN")
    names = shown.Nested(RegionNamesSchema)
    covered_from = shown.Date("The first date that the holiday data covers.", "1950-01-01")
    covered_until = shown.Date("The last date that the holiday data covers.", "2100-12-31")
    provisional_from = shown.DateOrNull(
        "The first date for which the country has not yet decreed its working weekends and moved holidays, so the "
        "date may still change; null: the country has no such decrees.",
        "2026-12-29",
    )
    parts_that_differ = shown.ListOf(
        shown.String("The code of a part of the country."),
        "The parts of this country whose public holidays, this year or next, differ from those that count if only "
        "the country is named. Empty if no part differs, or if the region is itself a part.",
    )


class RegionListSchema(shown.Schema):
    """Regions, each country before its parts."""

    holidays_version = shown.String("The version of the holiday data.", "0.109")
    items = shown.ListOf(RegionSchema)
    next = shown.NEXT


CHINA = RegionListSchema.example(items=[RegionSchema.example()])

EASTER = {
    "region": "DE-BY",
    "named_region": "DE-BY",
    "holidays_version": "0.109",
    "notices": [],
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


@tag.operation("GET /v1/calendars", Scope.POLICIES_READ)
@parameters(
    country=Text(
        100,
        "Only this country and its parts. Default: all countries.",
        pattern="[A-Z]{2}",
        shape=Message("must be the two capital letters of a country, such as DE"),
    )
)
@answer(
    "The regions, each country before its parts.",
    RegionListSchema,
    example("china", "China, where next year's decree is still missing", CHINA),
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
    items = [
        {
            **attributes(region, region="code", country="country"),
            "names": {language: region_text(region.code) for language in each_language()},
            **attributes(region, "covered_from", "covered_until", "provisional_from", "parts_that_differ"),
        }
        for region in calendars.regions(datetime.now(UTC).year, query.get("country"))
    ]
    return reply({"holidays_version": HOLIDAYS_VERSION, "items": items, "next": None}, etag=True, cacheable=True)


@tag.operation("GET /v1/calendars/<string:region>/days", Scope.POLICIES_READ)
@parameters(
    first=LocalDate("The first date.", required=True, data_key="from"),
    last=LocalDate(
        f"The last date, at most {calendars.MOST_DAYS - 1} days after the first.", required=True, data_key="to"
    ),
    policy=PolicyId("The policy whose business week and closures count. Default: the configured default policy."),
)
@answer(
    "Each date from the first to the last.",
    CalendarDaysSchema,
    example("easter", "Easter in Bavaria", EASTER),
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
