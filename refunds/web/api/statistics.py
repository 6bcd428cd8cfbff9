"""Statistics over HTTP: the table of a closed month."""

from typing import Any

from flask import Response

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Scope
from refunds.domain.statistics import FEWEST, ContactOutcome
from refunds.presentation.statistics import statistics_data
from refunds.schemas.fields import Month
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Tag, answer, parameters, problems
from refunds.web.responses import reply
from refunds.web.schemas import shown
from refunds.web.schemas.examples import example

tag = Tag("Statistics", "How many customers made contact in a month, in cells that identify nobody.")


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


MONTHLY = {
    "month": "2026-04",
    "closed_at": "2026-05-05T04:00:00Z",
    "months": ["2026-04", "2026-03"],
    "cells": [
        {"country": "DE", "channel": "phone", "outcome": "cancelled", "count": 214},
        {"country": "DE", "channel": "phone", "outcome": "withdrawal", "count": None},
    ],
}


@tag.operation("GET /v1/statistics", Scope.STATISTICS_READ)
@parameters(month=Month("The month, such as `2026-04`. Default: the latest closed month."))
@answer("The statistics of a month.", StatisticsSchema, example("april", "A month", MONTHLY))
@problems("not-found")
def get_statistics(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """Read the statistics of a month

    Returns how many customers made contact, by country, channel and outcome, as counted when `flask statistics close`
    closed the month. Use it for reports about how customers make contact. A cell with fewer than ten customers (or, at
    random, a few more) has no number. There are no totals and no filters. Records nothing.
    """
    months = uow.statistics.months()
    found = uow.statistics.get(query.get("month") or next(iter(months), ""))
    return reply(statistics_data(found, months))
