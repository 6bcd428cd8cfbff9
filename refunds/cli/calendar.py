import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from refunds.cli import LANG, CommandsAndOne, loaded_store, local_text, print_table, progress, reading
from refunds.domain.business_days import SkipReason
from refunds.domain.holidays_data import holiday_name
from refunds.domain.instants import local_date, zone
from refunds.domain.permissions import COMMAND_LINE
from refunds.presentation.language import language, translate
from refunds.presentation.texts.dates import business_days_text, date_text, region_text
from refunds.presentation.texts.decisions import calendar_notice_text, why_text
from refunds.service import calendars, watch
from refunds.service.calendars import calendar_days
from refunds.service.checks import named_policy
from refunds.service.store import Opening
from refunds.service.watch import Change
from refunds.storage.unit_of_work import UnitOfWork


@click.group(
    "calendar",
    cls=CommandsAndOne,
    unnamed="days",
    short_help="List business days, regions, and what other data changes.",
)
def command() -> None:
    """List the business days of a year, the regions, and the open windows that other holiday data moves."""


@command.command("days")
@click.argument("region")
@click.option("--year", type=click.IntRange(1, 9999), help="Default: the current year.")
@click.option("--policy", help="The policy whose week and closures count. Default: the configured one.")
@LANG
def days(region: str, year: int | None, policy: str | None) -> None:
    """List the public holidays and closures of a year in REGION, and count its business days.

    REGION is a country, or a country and a subdivision, as in DE and DE-BY. The week and the closures are those of the
    version in force now. The name of this command may be left out: flask calendar DE-BY.
    """
    now = datetime.now(UTC)
    with reading() as uow:
        version = named_policy(uow.policies, policy).in_force(now)
    year = year or local_date(now, zone(version.terms.time_zone)).year
    calendar, found, notices = calendar_days(version, region, date(year, 1, 1), date(year, 12, 31))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for day, why in found:
        named = holiday_name(region, day, language()) if calendar.region.is_holiday(day) else None
        if why is SkipReason.WEEKEND and named:
            table.add_row(date_text(day), f"{named[0]} ({why_text(day, why, region)})", style="dim")
        elif why and why is not SkipReason.WEEKEND:
            table.add_row(date_text(day), why_text(day, why, region))
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{region} {year}: {business_days_text(sum(why is None for _, why in found))}")
    counted = calendar.region.region
    if counted != region:
        shown = f"{region_text(counted)} ({counted})"
        console.print(translate("Counted by: %(region)s", region=shown), soft_wrap=True)
    for notice in notices:
        console.print(calendar_notice_text(notice), style="dim", soft_wrap=True)


@command.command("regions")
@click.argument("country", required=False)
@LANG
def regions(country: str | None) -> None:
    """List the regions that have a calendar of their own, by default of all countries.

    With each: its name; the years that the holiday data covers; the first date whose working weekends and moved
    holidays are not decreed yet, in countries that have such decrees; and the parts of a country with other public
    holidays, this year or next, than are counted if only the country is named.

    Every other code of ISO 3166-2 is understood, too: flask calendar NL-NH says what it is counted by.
    """
    rows = []
    for one in calendars.regions(datetime.now(UTC).year, country):
        covered = f"{one.covered_from.year}-{one.covered_until.year}"
        provisional = one.provisional_from.isoformat() if one.provisional_from else ""
        rows.append((one.code, region_text(one.code), covered, provisional, ", ".join(one.parts_that_differ)))
    headings = [translate("Region"), translate("Name"), translate("Covered"), translate("Provisional from")]
    print_table([*headings, translate("Parts that differ")], rows)


@command.command("changes")
def changes() -> None:
    """List the open windows that keep another end than today's data says, and those that the last watch lengthened.

    With each: until when it was told to end and until when it does by today's data, and who was told the former: when
    it was promised, and each contact that was told it, by its id, its channel and when it was received.
    The service watches its data when it starts. Nothing is stored.
    """
    with reading() as uow, progress() as shown:
        last = watch.last_change(uow)
        _show("Lengthened by the last watch", list(watch.lengthened_windows(uow)), uow)
        longer, kept = _longer_and_kept(watch.changes(uow, shown))
        _show("Not watched yet, and longer", longer, uow)
        _show("Kept", kept, uow)
    watched = f"{last.at:%Y-%m-%dT%H:%M:%SZ}, {last.now}" if last else "never"
    click.echo(f"Last watched: {watched}; today's data: {watch.data_now()}.")


def _longer_and_kept(found: Iterable[Change]) -> tuple[list[Change], list[Change]]:
    """Return two lists of changes, in the order found: those that make a window longer, and the others."""
    changes = list(found)
    return [one for one in changes if one.is_longer], [one for one in changes if not one.is_longer]


def _show(title: str, found: list[Change], uow: UnitOfWork | None = None) -> None:
    """Print changes of windows and how many there are; with a unit of work, also the contacts told the earlier end."""
    rows = []
    for one in found:
        now, local = one.stands if one.is_longer else one.today, partial(local_text, time_zone=one.time_zone)
        row = [one.order_id, local(one.promised), local(now) if now else "not covered"]
        if uow is not None:
            told = (f"{its.contact_id} {its.channel} {local(its.received_at)}" for its in watch.contacts_told(uow, one))
            row += [local(one.promised_at), "\n".join(told)]
        rows.append(row)
    click.echo(f"{title}: {len(found)}")
    if found:
        print_table(("order", "told", "now", *(("promised", "contacts") if uow else ())), rows)


@command.command("compare")
@click.argument("folder", type=click.Path(path_type=Path, resolve_path=True))
def compare(folder: Path) -> None:
    """List the open windows that would end at another time by the release of the holiday data that is in FOLDER.

    Nothing is stored, there or in the records. Exits with 2 if FOLDER has no release, or one that cannot be used.

    Bring the release there, without installing it, by: python3 -m pip install --no-deps --target FOLDER holidays
    """
    installed = find_spec("holidays")
    if installed and installed.origin and Path(installed.origin).resolve().parents[1] == folder:
        return _compare(folder)
    if not (folder / "holidays/__init__.py").is_file() or not any(folder.glob("holidays-*.dist-info")):
        raise click.BadParameter(
            f"there is no release of holidays in {folder}; bring one there by: "
            f"python3 -m pip install --no-deps --target {folder} holidays",
            param_hint="FOLDER",
        )
    # A process of its own, because the data is loaded with the service. It leaves no compiled files in the folder.
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    entry = Path(__file__).parents[2] / "app.py"
    asked = [sys.executable, str(entry), "calendar", "compare", str(folder)]
    sys.exit(subprocess.run(asked, env=environment, check=False).returncode)  # noqa: S603 - the service itself


def _compare(folder: Path) -> None:
    """Print the open windows that would end later by the loaded holiday data, and those that would keep a later end.

    The data is the release in `folder`. Raises `UsageError` if this service cannot count by it.
    """
    store = loaded_store(Opening.READ)
    try:
        store.prepare()
    except AttributeError as error:
        raise click.UsageError(f"this service cannot count by {watch.data_now()}, from {folder}: {error}") from None
    with store.read(COMMAND_LINE) as uow, progress() as shown:
        longer, kept = _longer_and_kept(watch.changes(uow, shown))
    _show("Would end later", longer)
    _show("Would keep the later end that was told", kept)
    click.echo(f"Counted by {watch.data_now()}.")
