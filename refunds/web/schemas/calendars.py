"""Schemas of calendars."""

from refunds.domain.business_days import SkipReason
from refunds.domain.outcomes import Notice
from refunds.errors import Message
from refunds.schemas.fields import LocalDate, Text
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema
from refunds.service import calendars
from refunds.web.schemas import shown


class DaysQuerySchema(QuerySchema):
    """The dates to list."""

    first = LocalDate("The first date.", required=True, data_key="from")
    last = LocalDate(
        f"The last date, at most {calendars.MOST_DAYS - 1} days after the first.", required=True, data_key="to"
    )
    policy = PolicyId("The policy whose business week and closures count. Default: the configured one.")


class CalendarDaySchema(shown.Schema):
    """One date, and whether it counts."""

    date = shown.Date("The date.")
    business_day = shown.Boolean("Whether it is a business day.")
    why = shown.Code(SkipReason, "Why it is not a business day; the first reason if several apply.", required=False)
    name = shown.String("The name of the public holiday.", required=False)
    name_language = shown.String(
        "The language of the name: the reader's, else English, else the country's.", required=False
    )


class CalendarDaysSchema(shown.Schema):
    """The dates of a region."""

    region = shown.String("The region whose holidays count.")
    named_region = shown.String(
        "The region that was asked for. It is counted by another if it has no calendar of its own."
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
            "What else to know of the calendar in these dates.",
        )
    )
    items = shown.ListOf(CalendarDaySchema)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


class RegionQuerySchema(QuerySchema):
    """Which regions to list."""

    country = Text(
        100,
        "Only this country and its parts. Default: all.",
        pattern="[A-Z]{2}",
        shape=Message("must be the two capital letters of a country, such as DE"),
    )


class RegionNamesSchema(shown.Schema):
    """The name of a region in each language; in the country's own, or the code, if there is none in a language."""

    de = shown.String("In German.", "China")
    en = shown.String("In English.", "China")


class RegionSchema(shown.Schema):
    """A region that has a calendar of its own."""

    region = shown.String("Its code: a country, as in `DE`, or a part of one, as in `DE-BY`.", "CN")
    country = shown.String("The code of its country.", "CN")
    names = shown.Nested(RegionNamesSchema)
    covered_from = shown.Date("The first date that the holiday data covers.", "1950-01-01")
    covered_until = shown.Date("The last date that the holiday data covers.", "2100-12-31")
    provisional_from = shown.Date(
        "The first date whose working weekends and moved holidays are not decreed yet, so that it may still change; "
        "null: the country has no such decrees.",
        "2026-12-29",
        allow_none=True,
    )
    parts_that_differ = shown.ListOf(
        shown.String("The code of a part."),
        "The parts of a country with other public holidays, this year or next, than are counted if only the country is "
        "named. Empty: none, or the region is itself a part.",
    )


class RegionListSchema(shown.Schema):
    """Regions, each country before its parts."""

    holidays_version = shown.String("The version of the holiday data.", "0.109")
    items = shown.ListOf(RegionSchema)
    next = shown.String("Where the next page begins; null: there is none.", allow_none=True)


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
