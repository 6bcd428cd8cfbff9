"""`flask calendar`: the public holidays and closures of a year."""

from datetime import UTC, date, datetime

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.table import Table

from refunds.cli import LANG, Command, present_policies
from refunds.domain.business_days import SkipReason
from refunds.domain.holidays_data import holiday_name
from refunds.presentation.language import language
from refunds.presentation.texts.dates import business_days_text, date_text
from refunds.presentation.texts.decisions import why_text
from refunds.service.checks import calendar_days, named_policy


@click.command("calendar", cls=Command, short_help="List the holidays and closures of a year in a region.")
@click.argument("region")
@click.option("--year", type=click.IntRange(1, 9999), help="Default: the current year.")
@click.option("--policy", help="The policy whose week and closures count. Default: the configured one.")
@LANG
@with_appcontext
def command(region: str, year: int | None, policy: str | None) -> None:
    """List the public holidays and closures of a year in REGION, and count its business days.

    REGION is a country, or a country and a subdivision, as in DE and DE-BY. The week and the closures are those of the
    version in force now.
    """
    now = datetime.now(UTC)
    year = year or now.year
    version = named_policy(present_policies(), policy).in_force(now)
    _, days = calendar_days(version, region, date(year, 1, 1), date(year, 12, 31))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for day, why in days:
        named = holiday_name(region, day, language())
        if why is SkipReason.WEEKEND and named:
            table.add_row(date_text(day), f"{named[0]} ({why_text(day, why, region)})", style="dim")
        elif why and why is not SkipReason.WEEKEND:
            table.add_row(date_text(day), why_text(day, why, region))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{region} {year}: {business_days_text(sum(why is None for _, why in days))}")
