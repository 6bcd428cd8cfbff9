import os
from pathlib import Path

import click

from refunds.cli import LANG, POLICY, CommandsAndOne, new_file, print_table, progress, reading, wide_console
from refunds.cli.export import read_range
from refunds.errors import InvalidInput, Message
from refunds.presentation.deadline_files import WRITERS
from refunds.presentation.documents import deadlines as documents
from refunds.presentation.language import translate
from refunds.presentation.texts.dates import short_date_text
from refunds.schemas.fields import LocalDate
from refunds.schemas.strict import schema_of
from refunds.service import deadline_table, deadlines

_WEEK = schema_of(week=LocalDate())


@click.group(
    "deadlines",
    cls=CommandsAndOne,
    unnamed="sheet",
    no_args_is_help=False,
    short_help="List until when orders can be cancelled, by service day.",
)
def command() -> None:
    """List until when orders can be cancelled, by service day: for a week, or for years, as a file."""


@command.command("sheet", short_help="List the deadlines of a week, as a table or a page.")
@click.option("--week", metavar="DATE", help="A date of the week. Default: this week.")
@click.option("--region", "regions", multiple=True, help="A region; may be repeated. Default: the policy's country.")
@click.option("--print", "as_page", is_flag=True, help="A page to print, instead of a table.")
@POLICY
@LANG
def sheet(week: str | None, regions: tuple[str, ...], policy: str | None, *, as_page: bool) -> None:
    """List the deadlines of a week, for agents to use when everything is down.

    It has the service days up to the end of the week whose window ends in the week or later, at most the latest 24.
    The name of this command may be left out: flask deadlines --week 2026-12-24.
    """
    read = _WEEK.read({"week": week})
    with reading() as uow:
        found = deadlines.sheet(uow, policy or uow.policies.default, read.get("week"), regions)
    if as_page:
        click.echo(documents.render_html(found))
        return
    console = wide_console()
    console.print(documents.title(found))
    rows = [(documents.service_day(row), *map(short_date_text, row.last_days)) for row in found.provided]
    print_table((translate("Service provided"), *documents.group_names(found)), rows)
    for note in documents.notes(found):
        console.print(note)


@command.command("export", short_help="Write all deadlines to a file, for any number of orders.")
@click.option("--from", "first", required=True, metavar="DATE", help="The first service date.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last service date.")
@click.option("--regions", metavar="CODE,CODE", help="Default: all that have a calendar for the whole time.")
@click.option("--format", "form", type=click.Choice(list(WRITERS)), required=True, help="The form of the file.")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The file, which must not exist.")
@POLICY
@LANG
def export(first: str, last: str, regions: str | None, policy: str | None, *, form: str, output: Path) -> None:
    """Write the deadline of every service date in every region to a new file, for any number of orders at once.

    docs/bulk.md has its columns, and how to join orders to it. Without --regions, those that the holiday data does not
    cover are left out, and named. The file is complete if it is there: it gets its name at the end. The same records
    and data give the same bytes.
    """
    read = read_range(first, last)
    if os.path.lexists(output):
        raise InvalidInput.at("/output", Message("exists already: name a new file"))
    left_out: list[str] = []
    with progress(passing=False) as shown:
        with reading() as uow:
            asked = policy or uow.policies.default, read["first"], read["last"], regions.split(",") if regions else ()
            rows = deadline_table.table(uow, *asked, report=shown, leave_out=left_out.append)
        with new_file(output) as file:
            WRITERS[form](file, rows)
    if left_out:
        detail = Message("Left out, as the holiday data does not cover all of it: %(them)s", them=", ".join(left_out))
        click.echo(translate(detail), err=True)
