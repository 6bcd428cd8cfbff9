"""Schemas of calendars."""

import marshmallow as ma

from refunds.domain.business_days import SkipReason
from refunds.schemas.fields import LocalDate
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import QuerySchema
from refunds.service import checks
from refunds.web.schemas import response_fields


class DaysQuerySchema(QuerySchema):
    """The dates to list."""

    first = LocalDate(required=True, data_key="from", metadata={"description": "The first date."})
    last = LocalDate(
        required=True,
        data_key="to",
        metadata={"description": f"The last date, at most {checks.MOST_CALENDAR_DAYS - 1} days after the first."},
    )
    policy = PolicyId("The policy whose business week and closures count. Default: the configured one.")


class CalendarDaySchema(response_fields.ResponseSchema):
    """One date, and whether it counts."""

    date = response_fields.Date("The date.")
    business_day = response_fields.Boolean("Whether it is a business day.")
    why = response_fields.Code(
        SkipReason, "Why it is not a business day; the first reason if several apply.", required=False
    )
    name = response_fields.String("The name of the public holiday.", required=False)
    name_language = response_fields.String(
        "The language of the name: the reader's, else English, else the country's.", required=False
    )


class CalendarDaysSchema(response_fields.ResponseSchema):
    """The dates of a region."""

    region = response_fields.String("The region whose holidays count.")
    holidays_version = response_fields.String("The version of the holiday data.")
    items = ma.fields.List(ma.fields.Nested(CalendarDaySchema), required=True)
    next = response_fields.String("Where the next page begins; null: there is none.", allow_none=True)


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
