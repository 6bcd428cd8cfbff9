"""`flask deadlines`: one sheet with the deadlines of a week, for any number of regions."""

from collections.abc import Mapping
from typing import Any

import click
from flask.cli import with_appcontext
from rich.table import Table

from refunds.cli import LANG, POLICY, Command, loaded_store, wide_console
from refunds.domain.permissions import COMMAND_LINE
from refunds.presentation.documents import deadlines as documents
from refunds.presentation.texts.dates import short_date_text
from refunds.schemas.fields import LocalDate
from refunds.schemas.strict import StrictSchema
from refunds.service import deadlines
from refunds.service.store import Opening


class _WeekSchema(StrictSchema):
    """The options whose format click cannot check."""

    week = LocalDate()


@click.command("deadlines", cls=Command, short_help="List until when orders can be cancelled, by service day.")
@click.option("--week", metavar="DATE", help="A date of the week. Default: this week.")
@click.option("--region", "regions", multiple=True, help="A region; may be repeated. Default: the policy's country.")
@click.option("--print", "as_page", is_flag=True, help="A page to print, instead of a table.")
@POLICY
@LANG
@with_appcontext
def command(week: str | None, regions: tuple[str, ...], policy: str | None, *, as_page: bool) -> None:
    """List until when orders can be cancelled, by service day, for agents to use when everything is down.

    It has the service days up to the end of the week if their window ends in the week or later: at most the latest 24.
    """
    read: Mapping[str, Any] = _WeekSchema().read({} if week is None else {"week": week})
    with loaded_store(Opening.READ).read(COMMAND_LINE) as uow:
        sheet = deadlines.sheet(uow, policy or uow.policies.default, read.get("week"), regions)
    if as_page:
        click.echo(documents.render_html(sheet))
        return
    console = wide_console()
    console.print(documents.title(sheet))
    table = Table(documents.heading(), *documents.group_names(sheet), box=None, pad_edge=False)
    for row in sheet.provided:
        table.add_row(documents.service_day(row), *(short_date_text(day) for day in row.last_days))
    console.print(table)
    for note in documents.notes(sheet):
        console.print(note)
