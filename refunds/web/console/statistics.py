"""The statistics of a month, for those who decide on policies."""

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.language import translate
from refunds.presentation.statistics import LONGEST, OUTCOMES, chart, table
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.console import page, screen
from refunds.web.console.forms import Form, MonthSchema


@screen("/statistics", Scope.STATISTICS_READ)
def statistics(uow: UnitOfWork, form: Form) -> Response:
    """Show the table and the chart of a closed month, by default the latest, if any; `NotFound` for another month."""
    month = form.read_leniently(MonthSchema).get("month")
    months = uow.statistics.months()
    found = uow.statistics.get(month or months[0]) if months or month else None
    return page(
        "statistics.html",
        form,
        found=found,
        months=months,
        rows=table(found) if found else [],
        bars=chart(found) if found else [],
        longest=LONGEST,
        outcomes=list(OUTCOMES),
        outcome_text=lambda outcome: translate(OUTCOMES[outcome]),
    )
