"""`flask policy`: the life of policies, from a draft in a file to what holds."""

from collections.abc import Mapping
from pathlib import Path

import click
import orjson
from flask.cli import with_appcontext
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from refunds.access import COMMAND_LINE
from refunds.cli import LANG, POLICY, Command, loaded_books, progress, wide_console
from refunds.contact_points import Channel
from refunds.documents import simulation as documents
from refunds.fields import FreeText, LocalDate, StrictSchema
from refunds.instants import format_known
from refunds.policy import differences, policy_file
from refunds.records import RegisteredVersion
from refunds.service import publication, simulation
from refunds.service.policies import read_policy_file
from refunds.service.publication import Registration
from refunds.service.simulation import Flip, Simulation, Tally
from refunds.service.work import Work
from refunds.wording import channel_text, reason_text
from refunds.wording.policies import closure_text, difference_text

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("policy")
def command() -> None:
    """Draft, compare, simulate, publish and withdraw versions of policies, and enter closures."""


@command.command("show", cls=Command)
@click.argument("policy", required=False)
@click.argument("version", required=False, type=click.IntRange(1))
@with_appcontext
def show(policy: str | None, version: int | None) -> None:
    """List the versions of POLICY, or of all; with VERSION, write that one as a file, to draft the next from."""
    with loaded_books().read(COMMAND_LINE) as work:
        if policy is not None and version is not None:
            click.echo(policy_file(work.policies[policy].version(version)), nl=False)
            return
        table = Table("policy", "version", "effective from", "registered", "state", box=None, pad_edge=False)
        for policy_id in work.policies if policy is None else [policy]:
            for record in work.policies.records(policy_id):
                since = format_known(record.effective_from) or "the beginning"
                registered = format_known(record.registered_at)
                table.add_row(policy_id, str(record.version), since, registered, _state(work, record))
    wide_console().print(table)


def _state(work: Work, record: RegisteredVersion) -> str:
    if record.withdrawn_at is not None:
        return "withdrawn"
    if record.effective_from is not None and record.effective_from > work.now:
        return "to come"
    return "in force" if work.policies[record.policy].in_force(work.now).version == record.version else "past"


@command.command("diff", cls=Command)
@click.argument("file", type=FILE)
@LANG
@with_appcontext
def diff(file: Path, lang: str) -> None:
    """Say how the version in FILE differs from the one in force."""
    draft = read_policy_file(file)
    with loaded_books().read(COMMAND_LINE) as work:
        before = work.policies[draft.policy_id].present(work.now)
    found = differences(before.terms, draft.terms)
    for difference in found:
        click.echo(difference_text(difference, draft.terms.time_zone, lang))
    if not found:
        click.echo(f"No difference from version {before.version}.")


@command.command("publish", cls=Command)
@click.argument("file", type=FILE)
@click.option("--dry-run", is_flag=True, help="Say what would be published, and publish nothing.")
@LANG
@with_appcontext
def publish(file: Path, lang: str, *, dry_run: bool) -> None:
    """Publish the version in FILE, to hold from its effective_from, or else from now."""
    draft = read_policy_file(file)
    books = loaded_books()
    with books.read(COMMAND_LINE) if dry_run else books.write(COMMAND_LINE) as work:
        registration = publication.publish(work, draft, dry_run=dry_run)
    _tell(registration, "would be published" if dry_run else "is published", lang)


@command.command("import", cls=Command)
@click.argument("files", type=FILE, nargs=-1, required=True)
@LANG
@with_appcontext
def import_(files: tuple[Path, ...], lang: str) -> None:
    """Import the versions in FILES, one by one, with their true dates; while their policy has judged nothing."""
    drafts = sorted(map(read_policy_file, files), key=lambda draft: (draft.policy_id, draft.version))
    books = loaded_books()
    for draft in drafts:
        with books.write(COMMAND_LINE) as work:
            registration = publication.import_version(work, draft)
        _tell(registration, "is imported", lang)


def _tell(registration: Registration, done: str, lang: str) -> None:
    record, follows = registration.record, registration.follows
    for difference in registration.differences if follows else ():
        click.echo(difference_text(difference, record.terms["time_zone"], lang))
    since = format_known(record.effective_from) or "the beginning"
    after = f" after version {follows.version}" if follows else ""
    click.echo(f"Version {record.version} of {record.policy} {done}{after}, effective from {since}.")


@command.command("withdraw", cls=Command)
@click.argument("policy")
@click.argument("version", type=click.IntRange(1))
@with_appcontext
def withdraw(policy: str, version: int) -> None:
    """Withdraw VERSION of POLICY before it takes effect."""
    with loaded_books().write(COMMAND_LINE) as work:
        publication.withdraw(work, policy, version)
    click.echo(f"Version {version} of {policy} is withdrawn.")


class _ClosureSchema(StrictSchema):
    """The options whose form is more than click checks."""

    date = LocalDate(required=True)
    reason_de = FreeText(200)
    reason_en = FreeText(200)


@command.command("close", cls=Command)
@click.argument("date")
@POLICY
@click.option("--reason-de", help="Why, in German.")
@click.option("--reason-en", help="Why, in English.")
@LANG
@with_appcontext
def close(date: str, policy: str | None, lang: str, **reasons: str | None) -> None:
    """Enter DATE, as in 2026-12-24, as closed. It cannot be taken back."""
    given = {"date": date} | {name: reason for name, reason in reasons.items() if reason is not None}
    read = _ClosureSchema().read(given)
    with loaded_books().write(COMMAND_LINE) as work:
        entered = publication.close(work, policy or work.policies.default, read.pop("date"), **read)
    if not entered.created:
        click.echo(f"{entered.closure.date} was entered before, at {format_known(entered.closure.entered_at)}.")
    click.echo(closure_text(entered.closure.date, entered.notices, lang))


@command.command("simulate", cls=Command)
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="The simulation as the API answers it.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to this file.")
@LANG
@with_appcontext
def simulate(file: Path, html: Path | None, lang: str, *, as_json: bool) -> None:
    """Judge every stored order and contact by the version in FILE, beside what was decided."""
    draft = read_policy_file(file)
    with loaded_books().read(COMMAND_LINE) as work, progress("judging") as tell:
        found = simulation.simulate(work, draft, tell)
    if html is not None:
        html.write_text(documents.page(found, lang), encoding="utf-8")
        click.echo(f"The report is in {html}.")
    if as_json:
        click.echo(orjson.dumps(documents.data(found, lang), option=orjson.OPT_INDENT_2))
    elif html is None:
        _show(found, lang)


BAR = 20
"""Characters of the longest bar."""


def _show(found: Simulation, lang: str) -> None:
    console = wide_console()
    total = found.total
    draft, present = found.draft, found.compared_with
    console.print(f"{draft.policy_id}: the draft of version {draft.version} beside version {present.version}")
    for difference in documents.differences_data(found, lang):
        console.print(f"  {difference['text']}")
    console.print(
        f"{total.orders} orders: {total.longer} with a longer window, {total.shorter} with a shorter one;"
        f" {found.not_provided} not yet provided."
    )
    flipped = found.orders_flipped
    console.print(
        f"{total.contacts} contacts: {total.to_eligible} newly refundable ({flipped[Flip.TO_ELIGIBLE]} orders),"
        f" {total.to_refused} no longer refundable ({flipped[Flip.TO_REFUSED]} orders)."
    )
    for code, count in found.undecided.items():
        console.print(f"{count} cannot be judged by the draft: {code}.")
    channels = {channel_text(Channel(channel), lang): tally for channel, tally in found.by_channel.items()}
    for heading, tallies in (("month", found.by_month), ("channel", channels), ("region", found.by_region)):
        console.print()
        console.print(_tallies(heading, dict(sorted(tallies.items()))))
    _show_examples(console, found, lang)


def _tallies(heading: str, tallies: Mapping[str, Tally]) -> Table:
    table = Table(heading, box=None, pad_edge=False)
    for name in ("contacts", "newly refundable", "", "no longer", ""):
        table.add_column(name, justify="left" if not name else "right")
    most = max((max(tally.to_eligible, tally.to_refused) for tally in tallies.values()), default=0) or 1
    for name, tally in tallies.items():
        gains, losses = (Bar(most, 0, count, width=BAR) for count in (tally.to_eligible, tally.to_refused))
        table.add_row(name, str(tally.contacts), str(tally.to_eligible), gains, str(tally.to_refused), losses)
    return table


def _show_examples(console: Console, found: Simulation, lang: str) -> None:
    for flip, heading in ((Flip.TO_ELIGIBLE, "newly refundable"), (Flip.TO_REFUSED, "no longer refundable")):
        if found.examples[flip]:
            console.print(f"\nExamples of orders {heading}:")
        for example in found.examples[flip]:
            console.print(f"  {example.order_id}: {reason_text(example.after, lang)}")
