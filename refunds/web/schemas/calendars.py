"""Schemas of calendars."""

from refunds.domain.business_days import SkipReason
from refunds.domain.outcomes import Notice
from refunds.errors import Message
from refunds.schemas.fields import LocalDate, Text
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema
from refunds.service import calendars
from refunds.web.schemas import shown
from refunds.web.schemas.decisions import HOLIDAY


class DaysQuerySchema(QuerySchema):
    """The dates to list, and the policy to count them by."""

    first = LocalDate("The first date.", required=True, data_key="from")
    last = LocalDate(
        f"The last date, at most {calendars.MOST_DAYS - 1} days after the first.", required=True, data_key="to"
    )
    policy = PolicyId("The policy whose business week and closures count. Default: the configured default policy.")


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
        shown.Code(
            [
                Notice.REGION_AS_COUNTRY,
                Notice.NATIONWIDE_HOLIDAYS_ONLY,
                Notice.CALENDAR_PROVISIONAL,
                Notice.ESTIMATED_HOLIDAY,
            ],
            "A code for something else that you must know about the calendar on these dates.",
        )
    )
    items = shown.ListOf(CalendarDaySchema)
    next = shown.NEXT


class RegionQuerySchema(QuerySchema):
    """The regions to list."""

    country = Text(
        100,
        "Only this country and its parts. Default: all countries.",
        pattern="[A-Z]{2}",
        shape=Message("must be the two capital letters of a country, such as DE"),
    )


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
