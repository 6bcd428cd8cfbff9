import click

from refunds.cli import LANG, Group, loaded_store
from refunds.domain.instants import format_instant
from refunds.errors import InvalidInput
from refunds.presentation.language import translate
from refunds.schemas.fields import Month
from refunds.schemas.strict import schema_of
from refunds.service import statistics


@click.group("statistics", cls=Group)
def command() -> None:
    """Close the statistics of months."""


_MONTH = schema_of(month=Month())


@command.command("close")
@click.option("--month", metavar="YYYY-MM", help="The month. Default: the last one that has ended.")
@LANG
def close(month: str | None) -> None:
    """Count the customers of a month that has ended, and store what may be shown.

    It is counted once: closed again, it stays as it is, whatever was recorded or erased since. Customers who objected,
    are restricted or were erased are left out.
    """
    given = _MONTH.read({"month": month})
    try:
        found, is_new = statistics.close(loaded_store(), given.get("month"))
    except InvalidInput as error:
        if month is None:  # it runs every night, also before the first month has ended
            click.echo(translate("Nothing to close: %(why)s", why=translate(error.errors[0].detail)))
            return
        raise
    values = {"month": found.month, "at": format_instant(found.closed_at)}
    if is_new:
        click.echo(translate("%(month)s is closed. GET /v1/statistics and the console show it.", **values))
    else:
        click.echo(translate("%(month)s was closed %(at)s, and stays as it is.", **values))
