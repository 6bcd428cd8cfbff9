"""Statistics over HTTP: the table of a month that is closed."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.statistics import statistics_data
from refunds.service import statistics
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Answer, Tag
from refunds.web.responses import reply
from refunds.web.schemas.statistics import MONTHLY, StatisticsQuerySchema, StatisticsSchema

tag = Tag("Statistics", "How many customers made contact in a month, in cells that give nobody away.")


@tag.operation(
    "GET /v1/statistics",
    Answer("The statistics of a month.", StatisticsSchema, MONTHLY),
    scopes=(Scope.STATISTICS_READ,),
    query=StatisticsQuerySchema,
    problems=("not-found",),
)
def get_statistics(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """Read the statistics of a month

    Customers by country, channel and outcome, as they were when `flask statistics close` closed the month. Cells with
    fewer than ten customers are not shown, and there are no totals and no filters. Use it for reports about how
    customers make contact. Records nothing.
    """
    found, months = statistics.read(uow, query.get("month"))
    return reply(statistics_data(found, months))
