import sys
from collections import Counter
from datetime import datetime

import click
import orjson

from refunds.cli import (
    LANG,
    LEDGER_LOST,
    LOST_OF_PRIVACY,
    Group,
    loaded_store,
    note_done,
    progress,
    reading,
    since_text,
    warn_of_erasures,
)
from refunds.domain.business_days import Window
from refunds.domain.instants import format_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import Message
from refunds.presentation.language import translate, translate_number
from refunds.service import acceptance
from refunds.service import replay as service
from refunds.service.replay import Difference, Replayed
from refunds.service.store import Opening
from refunds.storage.audit import Report


@click.group("audit", cls=Group)
def command() -> None:
    """Prove that the records are as they were written."""


@command.command("verify")
@click.option("--first", is_flag=True, help="Stop at the first fault, and print it on standard error.")
@LANG
def verify(*, first: bool) -> None:
    """Compare the journal with itself, the records with the journal, and the journal's length with the checkpoints.

    And the indexes with their tables, on PostgreSQL only where amcheck is there for the user. Lists every fault with
    its place. If there is none, it exits with 0, and notes beside the checkpoints when that was. Exits with 21 if the
    journal is shorter than its last checkpoint and nothing else is wrong, with 23 if the database is damaged, and with
    20 otherwise.
    """
    store = loaded_store(Opening.READ)
    checkpoints = list(store.checkpoints)  # read before the journal, which only grows
    report, codes = Report(), Counter[int]()
    with store.read(COMMAND_LINE) as uow:
        for fault in uow.faults(checkpoints, report):
            click.echo(translate(fault.detail), err=first)
            if first:
                sys.exit(fault.exit_code)
            codes[fault.exit_code] += 1
        store.open()[0].require_whole(uow.tx)
    found = Message("Sound: %(events)s events, %(records)s records in %(database)s.")
    if codes:
        click.echo(translate_number("%(num)s fault.", "%(num)s faults.", codes.total()))
        found = Message("Compared: %(events)s events, %(records)s records in %(database)s.")
    click.echo(translate(found, events=report.events, records=report.records, database=store.name))
    for event in report.accepted:
        accepted = Message("Accepted by %(actor)s, %(at)s: %(reason)s")
        reason = orjson.loads(event.data)["reason"]
        click.echo(translate(accepted, actor=event.actor, at=format_instant(event.at), reason=reason))
    if codes:
        sys.exit(min(codes))
    note_done(store, "verify", report.events)
    uncovered = report.events - report.checkpointed
    click.echo(translate("Not yet in a checkpoint: %(events)s events.", events=uncovered))


@command.command("accept")
@click.option("--reason", required=True, help="Why, in one line without personal data. It is entered in the journal.")
@LEDGER_LOST
def accept(reason: str, ledger_lost: str | None) -> None:
    """Accept that the database is not as it was at its last checkpoint, as after a restore of an older state.

    The service refuses such a database until then. Stop every instance first. What was recorded after the restored
    state is lost: the command prints the time that billing must send again. The journal gets a new id and an event with
    the reason, and from then on the audit says what was accepted, by whom and when.
    """
    store = loaded_store(Opening.ACCEPT)
    lost = acceptance.accept(store, reason, ledger_lost=ledger_lost)
    click.echo(f"Accepted: {translate(lost.how)}.")
    click.echo(
        f"What was recorded from {since_text(lost.since)} to {format_instant(lost.until)}, and after, may be lost: "
        "billing must send the orders of that time again, and read the feed from its beginning."
    )
    click.echo(LOST_OF_PRIVACY)
    if ledger_lost:
        warn_of_erasures(lost.since)


@command.command("replay")
def replay() -> None:
    """Repeat every stored decision from its own facts, with today's code and calendars, and list those that differ.

    Those that cannot be made again are listed too; those whose country the holiday data has lost are only counted.
    Nothing is stored. Exits with 0 if none are listed, with 22 otherwise.
    """
    found = Replayed()
    with reading() as uow, progress() as shown:
        for difference in service.replay(uow, found, shown):
            click.echo(f"{difference.order_id} {difference.record_id}: {_summary(difference)}")
    click.echo(f"Replayed: {found.decisions} decisions, {found.differences} differences.")
    for data, decisions in found.other_data.items():
        click.echo(f"Made with another {data} than today's: {decisions} decisions.")
    if found.without_calendar:
        click.echo(
            f"Not made again, because the holiday data has lost the country: {found.without_calendar} decisions."
        )
    if found.differences:
        sys.exit(DIFFERENT)


DIFFERENT = 22  # the exit code of a replay that found differences


def _summary(difference: Difference) -> str:
    """Return in one line what a stored decision says and would say now, part by part, or why it cannot be remade."""
    if difference.failure is not None:
        return f"cannot be made again: {difference.failure}"
    # The fingerprint stands for the codes of the days.
    shown = {name: values for name, values in difference.changed.items() if name != "day_codes"}
    return "; ".join(f"{name} {_plain(was)}, now {_plain(now)}" for name, (was, now) in shown.items())


def _plain(value: object) -> str:
    """Return a value of a decision as text; a window by its first and last date, an instant in UTC."""
    if isinstance(value, Window):
        return f"{value.service_day} to {value.last_day}"
    return format_instant(value) if isinstance(value, datetime) else str(value)
