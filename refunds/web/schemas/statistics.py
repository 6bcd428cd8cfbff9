"""Schemas of statistics."""

from refunds.domain.contact_points import Channel
from refunds.domain.statistics import FEWEST, ContactOutcome
from refunds.schemas.fields import Month
from refunds.schemas.strict import QuerySchema
from refunds.web.schemas import shown
from refunds.web.schemas.examples import example


class StatisticsQuerySchema(QuerySchema):
    """The month to read."""

    month = Month("The month, such as `2026-04`. Default: the latest closed month.")


class StatisticsCellSchema(shown.Schema):
    """A cell of the table: how many customers have this country, channel and outcome."""

    country = shown.String("The country of the order's region.")
    channel = shown.Code(Channel, "How the customers made contact.")
    outcome = shown.Code(ContactOutcome, "The outcome at the time when the month was closed.")
    count = shown.IntegerOrNull(
        f"How many customers, each counted once in a cell; null: fewer than {FEWEST} or, at random, a few more."
    )


class StatisticsSchema(shown.Schema):
    """The statistics of a closed month, which never change."""

    month = shown.String("The month, in the time zone of the default policy.")
    closed_at = shown.Instant("When the month was closed. Later records are not counted.")
    months = shown.ListOf(shown.String("A month."), "The closed months, the latest first.")
    cells = shown.ListOf(
        StatisticsCellSchema,
        "All cells of each country that has at least one number to show. Other countries are left out.",
    )


MONTHLY = example(
    "april",
    "A month",
    {
        "month": "2026-04",
        "closed_at": "2026-05-05T04:00:00Z",
        "months": ["2026-04", "2026-03"],
        "cells": [
            {"country": "DE", "channel": "phone", "outcome": "cancelled", "count": 214},
            {"country": "DE", "channel": "phone", "outcome": "withdrawal", "count": None},
        ],
    },
)
