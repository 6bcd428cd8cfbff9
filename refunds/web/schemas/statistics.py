"""Schemas of statistics."""

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.domain.statistics import FEWEST, ContactOutcome
from refunds.schemas.fields import Month
from refunds.schemas.strict import QuerySchema
from refunds.web.schemas import response_fields
from refunds.web.schemas.examples import example


class StatisticsQuerySchema(QuerySchema):
    """Which month."""

    month = Month("The month, as in `2026-04`. Default: the last one that is closed.")


class StatisticsCellSchema(response_fields.ResponseSchema):
    """A cell of the table."""

    country = response_fields.String("The country of the order's region.")
    channel = response_fields.Code(Channel, "How the customers made contact.")
    outcome = response_fields.Code(ContactOutcome, "What it had come to when the month was closed.")
    count = response_fields.Integer(
        f"How many customers, each once in a cell; null: fewer than {FEWEST} or, at random, a few more.",
        allow_none=True,
    )


class StatisticsSchema(response_fields.ResponseSchema):
    """The statistics of a month, which never change."""

    month = response_fields.String("The month, by the clocks of the default policy.")
    closed_at = response_fields.Instant("When it was closed: what was recorded later is not counted.")
    months = ma.fields.List(
        response_fields.String("A month."),
        required=True,
        metadata={"description": "The months that are closed, the latest first."},
    )
    cells = ma.fields.List(
        ma.fields.Nested(StatisticsCellSchema),
        required=True,
        metadata={"description": "Those of countries with a count that is shown; of other countries none is."},
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
