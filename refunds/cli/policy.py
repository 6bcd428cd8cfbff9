from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from refunds.cli import (
    LANG,
    POLICY,
    Group,
    loaded_store,
    local_text,
    new_file,
    print_json,
    print_table,
    progress,
    reading,
    wide_console,
)
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.policy import Difference, PolicyVersion, differences
from refunds.errors import InvalidInput, Message
from refunds.presentation import serializers
from refunds.presentation.documents import simulation as documents
from refunds.presentation.language import translate
from refunds.presentation.texts import policies
from refunds.presentation.texts.decisions import reason_text
from refunds.schemas.fields import FreeText, LocalDate
from refunds.schemas.policy import policy_file, read_policy_file
from refunds.schemas.strict import schema_of
from refunds.service import publication, simulation, watch
from refunds.service.publication import PublishResult
from refunds.service.simulation import Flip, Simulation
from refunds.storage.unit_of_work import UnitOfWork

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("policy", cls=Group, short_help="Draft, simulate, publish and withdraw versions of policies.")
def command() -> None:
    """Draft, compare, simulate, publish and withdraw versions of policies, and enter closures."""


@command.command("show")
@click.argument("policy", required=False)
@click.argument("version", required=False, type=click.IntRange(1))
def show(policy: str | None, version: int | None) -> None:
    """List the versions and closures of POLICY, or of all policies.

    With VERSION, print that version as a policy file, as the basis of a draft.
    """
    with reading() as uow:
        if policy is not None and version is not None:
            click.echo(policy_file(uow.policies[policy].version(version)), nl=False)
            return
        versions, closed = [], []
        for policy_id in uow.policies if policy is None else [policy]:
            for one, record in zip(uow.policies[policy_id].versions, uow.policies.records(policy_id), strict=True):
                local = partial(local_text, time_zone=one.terms.time_zone)
                since = local(record.effective_from) if record.effective_from else "the beginning"
                versions.append((policy_id, str(one.version), since, local(record.registered_at), _state(uow, one)))
            for closure in publication.closures(uow, policy_id):
                reason = closure.reason_en or closure.reason_de or ""
                closed.append((policy_id, closure.date.isoformat(), local(closure.entered_at), reason))
    if versions:
        print_table(("policy", "version", "effective from", "registered", "state"), versions)
    if closed:
        print_table(("policy", "closed", "entered", "reason"), closed)


def _state(uow: UnitOfWork, version: PolicyVersion) -> str:
    """Return the state of a version now: withdrawn, to come, in force or past."""
    policy = uow.policies[version.policy_id]
    if version not in policy.effective_versions:
        return "withdrawn"
    if version.effective_at > uow.now:
        return "to come"
    return "in force" if policy.in_force(uow.now) is version else "past"


def _draft(file: Path) -> PolicyVersion:
    """Return the version in a policy file; raise `InvalidInput` if it is wrong, at pointers that begin with its name.

    Raises `OSError` if the file cannot be read.
    """
    try:
        return read_policy_file(file)
    except InvalidInput as error:
        raise error.under(f"/{file.name}") from None


@command.command("diff")
@click.argument("file", type=FILE)
@LANG
def diff(file: Path) -> None:
    """Show how the version in FILE differs from the one in force, or everything it says if it begins a new policy.

    If no version is in force yet, it is compared with the first that will be. Warns where the clause differs from the
    terms. Nothing is stored.
    """
    draft = _draft(file)
    with reading() as uow:
        known = draft.policy_id in uow.policies
        before = uow.policies[draft.policy_id].current(uow.now) if known else None
    found = differences(before.terms if before else None, draft.terms)
    click.echo(policies.compared_text(draft, before.version if before else None, same=not found))
    _print_differences(found, draft)
    _print_warnings(draft)


def _print_differences(found: Sequence[Difference], version: PolicyVersion) -> None:
    """Print each difference in words; instants are in the time zone of the version."""
    for difference in found:
        click.echo(f"  {policies.difference_text(difference, version.terms.time_zone)}")


def _print_warnings(version: PolicyVersion) -> None:
    """Print where the clauses of a version contradict its terms; nothing if they do not."""
    for warning in policies.warnings_data(version.terms):
        click.echo("  " + translate("Warning: %(text)s", text=warning["text"]))


@command.command("publish")
@click.argument("file", type=FILE)
@click.option("--now", is_flag=True, help="Take effect as soon as possible, if the file has no effective_from.")
@click.option("--dry-run", is_flag=True, help="Say what would be published, and publish nothing.")
@LANG
def publish(file: Path, *, now: bool, dry_run: bool) -> None:
    """Publish the version in FILE. It takes effect at its effective_from, which must not be in the past.

    Give --now if, and only if, the file has no effective_from. The same version again changes nothing. Until it takes
    effect, it can be withdrawn. Warns where the clause differs from the terms, and publishes it all the same.
    """
    draft = _draft(file)
    if (draft.effective_from is None) is not now:
        required = Message("is required, or --now: the version then takes effect as soon as possible")
        detail = Message("remove it, or leave out --now") if now else required
        raise InvalidInput.at(f"/{file.name}/effective_from", detail)
    with reading() if dry_run else _changing() as uow:
        result = publication.publish(uow, draft, dry_run=dry_run)
    _print_result(result, "dry_run" if dry_run else "published")


@contextmanager
def _changing() -> Iterator[UnitOfWork]:
    """Give the block a unit of work to change policies; store it at the end, then promise later ends of windows."""
    store = loaded_store()
    with store.write(COMMAND_LINE) as uow:
        yield uow
    with progress() as shown:
        watch.extend(store, progress=shown)


@command.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True)
@LANG
def import_(files: tuple[Path, ...]) -> None:
    """Import the versions in FILES, with the dates from which they were really in force: all of them or none.

    This is possible only while no stored decision was made under their policy. The same version again changes nothing.
    """
    drafts = sorted(map(_draft, files), key=lambda draft: (draft.policy_id, draft.version))
    with _changing() as uow:
        imported = [publication.import_version(uow, draft) for draft in drafts]
    for result in imported:
        _print_result(result, "imported")


def _print_result(result: PublishResult, done: str) -> None:
    """Print what was `done` to a version, or that it was known, its differences from the one before, and warnings."""
    version, follows = result.version, result.follows
    if result.known:
        done = "known"
    click.echo(policies.registration_text(version, follows.version if follows else None, done))
    _print_differences(result.differences, version)
    _print_warnings(version)


@command.command("withdraw")
@click.argument("policy")
@click.argument("version", type=click.IntRange(1))
def withdraw(policy: str, version: int) -> None:
    """Withdraw VERSION of POLICY, which must not have taken effect yet. Its number cannot be used again."""
    with _changing() as uow:
        publication.withdraw(uow, policy, version)
    click.echo(f"Version {version} of {policy} is withdrawn.")


_CLOSURE = schema_of(date=LocalDate(required=True), reason_de=FreeText(200), reason_en=FreeText(200))


@command.command("close")
@click.argument("date")
@POLICY
@click.option("--reason-de", help="Why, in German.")
@click.option("--reason-en", help="Why, in English.")
@LANG
def close(date: str, policy: str | None, **reasons: str | None) -> None:
    """Enter DATE, such as 2026-12-24, as a closure. It cannot be undone.

    Every window that has not ended yet skips it. The same date again changes nothing, not even the reasons.
    """
    read = _CLOSURE.read({"date": date} | reasons)
    with _changing() as uow:
        entered = publication.close(uow, policy or uow.policies.default, read.pop("date"), **read)
    click.echo(policies.closure_text(entered.closure.date, entered.notices, new=entered.created))


@command.command("simulate")
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the simulation as the API returns it.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a report to this file.")
@LANG
def simulate(file: Path, html: Path | None, *, as_json: bool) -> None:
    """Judge every stored order and contact of its policy by the version in FILE, and compare with what was decided.

    Nothing is stored. With --html, no summary is printed, and an existing file is replaced.
    """
    draft = _draft(file)
    with reading() as uow, progress() as shown:
        found = simulation.simulate(uow, draft, shown)
    if html is not None:
        with new_file(html) as report:
            report.write(documents.render_html(found).encode())
        click.echo(f"The report is in {html}.", err=as_json)
    if as_json:
        print_json(serializers.simulation_data(found))
    elif html is None:
        _show(found)


def _show(found: Simulation) -> None:
    """Print the simulation in words; its tables are in the report."""
    console = wide_console()
    total, flipped = found.total, found.orders_flipped
    console.print(policies.compared_text(found.draft, found.compared_with.version, same=not found.differences))
    _print_differences(found.differences, found.draft)
    console.print(
        translate(
            "Orders with a window: %(orders)s; it would be longer for %(longer)s, shorter for %(shorter)s. Orders "
            "without a window yet: %(not_provided)s.",
            orders=total.orders,
            longer=total.longer,
            shorter=total.shorter,
            not_provided=found.not_provided,
        )
    )
    console.print(
        translate(
            "Contacts: %(contacts)s; %(gained)s would become refundable (orders: %(gained_orders)s), %(lost)s would "
            "stop being refundable (orders: %(lost_orders)s).",
            contacts=total.contacts,
            gained=total.to_eligible,
            gained_orders=flipped[Flip.TO_ELIGIBLE],
            lost=total.to_refused,
            lost_orders=flipped[Flip.TO_REFUSED],
        )
    )
    for code, count in found.undecided.items():
        console.print(translate("%(count)s cannot be judged by the draft: %(code)s.", count=count, code=code))
    for flip, heading in (
        (Flip.TO_ELIGIBLE, translate("newly refundable")),
        (Flip.TO_REFUSED, translate("no longer refundable")),
    ):
        if found.examples[flip]:
            console.print(f"\n{heading}:")
        for example in found.examples[flip]:
            console.print(f"  {example.order_id}: {reason_text(example.after)}")
