"""Schemas of statistics."""

from refunds.domain.contact_points import Channel
from refunds.domain.statistics import FEWEST, ContactOutcome
from refunds.schemas.fields import Month
from refunds.schemas.strict import QuerySchema
from refunds.web.schemas import shown
from refunds.web.schemas.examples import example


class StatisticsQuerySchema(QuerySchema):
    """Which month."""

    month = Month("The month, as in `2026-04`. Default: the last one that is closed.")


class StatisticsCellSchema(shown.Schema):
    """A cell of the table."""

    country = shown.String("The country of the order's region.")
    channel = shown.Code(Channel, "How the customers made contact.")
    outcome = shown.Code(ContactOutcome, "What it had come to when the month was closed.")
    count = shown.Integer(
        f"How many customers, each once in a cell; null: fewer than {FEWEST} or, at random, a few more.",
        allow_none=True,
    )


class StatisticsSchema(shown.Schema):
    """The statistics of a month, which never change."""

    month = shown.String("The month, by the clocks of the default policy.")
    closed_at = shown.Instant("When it was closed: what was recorded later is not counted.")
    months = shown.ListOf(shown.String("A month."), "The months that are closed, the latest first.")
    cells = shown.ListOf(
        StatisticsCellSchema, "Those of countries with a count that is shown; of other countries none is."
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
