"""Statistics over HTTP: the table of a closed month."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.statistics import statistics_data
from refunds.service import statistics
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Tag, answer, problems
from refunds.web.responses import reply
from refunds.web.schemas.statistics import MONTHLY, StatisticsQuerySchema, StatisticsSchema

tag = Tag("Statistics", "How many customers made contact in a month, in cells that identify nobody.")


@tag.operation("GET /v1/statistics", Scope.STATISTICS_READ, query=StatisticsQuerySchema)
@answer("The statistics of a month.", StatisticsSchema, MONTHLY)
@problems("not-found")
def get_statistics(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """Read the statistics of a month

    Returns how many customers made contact, by country, channel and outcome, as counted when `flask statistics close`
    closed the month. Use it for reports about how customers make contact. A cell with fewer than ten customers (or, at
    random, a few more) has no number. There are no totals and no filters. Records nothing.
    """
    found, months = statistics.read(uow, query.get("month"))
    return reply(statistics_data(found, months))
