from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refunds.cli import LANG, OneOf, print_json, reading, standalone
from refunds.domain.business_days import DayStatus
from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Outcome, Verdict
from refunds.presentation.decisions import decision_data
from refunds.presentation.texts.dates import date_text
from refunds.presentation.texts.decisions import day_text, left_text, notice_text, reason_text, verdict_text
from refunds.schemas import fields
from refunds.schemas.strict import schema_of
from refunds.service.checks import check_eligibility

_TIMES = schema_of(
    service_provided_at=fields.Instant(required=True, data_key="provided"),
    requested_at=fields.Instant(data_key="requested"),
)
_MARK = {DayStatus.SERVICE_DAY: "○", DayStatus.COUNTED: "●", DayStatus.SKIPPED: "·", DayStatus.LAST_DAY: "◆"}
_STYLE = {Verdict.CANCELLABLE: "bold green", Verdict.NEEDS_SUPERVISOR: "bold yellow", Verdict.REFUSED: "bold"}


@standalone("check")
@click.option("--provided", required=True, metavar="INSTANT", help="When the service was provided, with its offset.")
@click.option("--requested", metavar="INSTANT", help="When the customer asked. Default: now.")
@click.option("--channel", type=OneOf(Channel), help="How the customer asked.")
@click.option("--region", help="As in DE-BY: see flask calendar regions. Default: the policy's.")
@click.option("--policy", help="The policy that judges. Default: the configured one.")
@LANG
@click.option("--json", "as_json", is_flag=True, help="Print the decision as the API returns it.")
def command(
    provided: str,
    requested: str | None,
    channel: Channel | None,
    region: str | None,
    policy: str | None,
    *,
    as_json: bool,
) -> None:
    """Say whether an order is refundable, until when, and why. Nothing is recorded.

    Instants are RFC 3339, as in 2026-04-02T16:20:00+02:00. Exits with 0 whether it is refundable or not.
    """
    given = {"requested_at": datetime.now(UTC)} | _TIMES.read({"provided": provided, "requested": requested})
    with reading() as uow:
        outcome = check_eligibility(uow.policies, **given, channel=channel, region=region, policy=policy).outcome
    if as_json:
        print_json(decision_data(outcome))
    else:
        _show(outcome)


def _show(outcome: Outcome) -> None:
    """Print a decision in words: its verdict, reason, days left, window and notices."""
    console = Console(highlight=False)
    console.print(Text(verdict_text(outcome), style=_STYLE[outcome.verdict]))
    console.print(reason_text(outcome), soft_wrap=True)
    left = left_text(outcome)
    if left:
        console.print(left, soft_wrap=True)
    if outcome.window:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        for day in outcome.days:
            style = "" if day.status in (DayStatus.COUNTED, DayStatus.LAST_DAY) else "dim"
            table.add_row(_MARK[day.status], date_text(day.date), day_text(day, outcome), style=style)
        console.print(table)
    for notice in outcome.notices:
        console.print(Text(notice_text(notice), style="dim"), soft_wrap=True)
