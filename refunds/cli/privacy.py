from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import orjson

from refunds.cli import LANG, Group, OneOf, loaded_store, print_table, progress, reading, write_private, writing
from refunds.domain.instants import format_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import (
    DataRequestChannel,
    DataRequestKind,
    DataRequestOutcome,
    DataRequestState,
    Disclosure,
    DisclosureBasis,
    ErasureReason,
    Fee,
    LimitKind,
)
from refunds.errors import Message
from refunds.presentation.documents.export import export_data, render_html
from refunds.presentation.language import translate
from refunds.presentation.texts.privacy import PERSONAL_FIELDS, answer_text, certificate_lines
from refunds.schemas import fields
from refunds.schemas.strict import schema_of
from refunds.security.encryption import Erased
from refunds.service import data_requests, exports, findings, privacy, rectification
from refunds.service.data_requests import Given
from refunds.service.exports import Export
from refunds.service.privacy import Certificate
from refunds.service.rectification import Correction
from refunds.service.store import Opening
from refunds.storage.unit_of_work import UnitOfWork


@click.group("privacy", cls=Group)
def command() -> None:
    """Answer what persons ask about their data."""


REFERENCE = click.argument("reference")
BY_ID = click.option("--id", "by_id", is_flag=True, help="REFERENCE is the service's own id of the customer.")
REQUEST = click.argument("request_id")
REASON = click.option("--reason", help="Why; it is kept encrypted.")
SET = click.option(
    "--set",
    "corrections",
    nargs=4,
    multiple=True,
    metavar="TABLE ID FIELD VALUE",
    help="Correct a field of a record, as in: contacts con_… note 'her sister called'. May be repeated.",
    callback=lambda _, __, given: tuple(Correction(*one) for one in given),
)


def of_customer(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a customer, and its language."""
    return REFERENCE(BY_ID(LANG(function)))


_TEXTS = schema_of(
    received_at=fields.Instant(),
    identity_check=fields.FreeText(500),
    recipient=fields.Line(254),
    reference=fields.Line(200),
    reason=fields.FreeText(500),
    anyway=fields.Line(200),
)


def _read(**given: str | None) -> dict[str, Any]:
    """Return by name the texts of the options that are not None; raise `InvalidInput` if a text does not fit."""
    return _TEXTS.read(given)


def _of_customer(reference: str, *, by_id: bool, act: Callable[[UnitOfWork, str], Any], informs: bool = False) -> Any:
    """Call `act` with a customer's id in a write and return its result; print a message if the reference is unknown.

    The result is then None. With `by_id`, `reference` is the customer's id, and is not looked up. With `informs`, also
    print who got the data before, unless `act` returns that nothing has changed.
    """
    with writing() as uow:
        customer_id = reference if by_id else uow.customers.find(reference)
        recipients = uow.disclosures.of_customer(customer_id) if informs and customer_id else ()  # before an erasure
        done = None if customer_id is None else act(uow, customer_id)
    if customer_id is None:
        click.echo(translate("Nothing is held about this customer."))
    _tell(recipients if done else ())
    return done


@command.command("erase")
@click.option("--reason", required=True, type=OneOf(ErasureReason), help="Why.")
@click.option("--anyway", metavar="REASON", help="Why not to wait for open matters; without personal data.")
@of_customer
def erase(reference: str, reason: ErasureReason, anyway: str | None, *, by_id: bool) -> None:
    """Erase the customer with this reference in billing, and print the certificate.

    Their orders stay, with their times and decisions. It waits until their requests and refunds are dealt with, unless
    --anyway says why not, or it is a child. Erased again by their --id, they get the same certificate.
    """
    anyway = _read(anyway=anyway).get("anyway")
    act = partial(privacy.erase, reason=reason, anyway=anyway)
    _show(_of_customer(reference, by_id=by_id, act=act, informs=True))


def _tell(recipients: Sequence[Disclosure]) -> None:
    """Print who got a customer's data before, and must be told of what was done; nobody whose name was erased."""
    for one in recipients:
        if not isinstance(one.recipient, Erased):
            told = Message("Tell %(recipient)s, too: %(reference)s.", recipient=one.recipient, reference=one.reference)
            click.echo(translate(told))


def _show(certificate: Certificate | None) -> None:
    """Print the certificate of an erasure; nothing for None."""
    if certificate is not None:
        for line in certificate_lines(certificate, is_scrubbed=loaded_store().has_scrubbed_all):
            click.echo(line)


@command.command("hold")
@click.option("--reason", required=True, help="Why; it is kept encrypted.")
@of_customer
def hold(reference: str, reason: str, *, by_id: bool) -> None:
    """Keep a customer from erasure and retention until the hold is lifted.

    A customer has one hold: another reason is added to its reason. Lift it when none of them is left.
    """
    _limit(LimitKind.HOLD, reference, reason, by_id=by_id)


def _limit(kind: LimitKind, reference: str, reason: str | None, *, by_id: bool, lift: bool = False) -> None:
    """Set a limit of a customer or, with `lift`, lift it; print what was done, or that nothing is held about them.

    `reference` is the customer's reference or, with `by_id`, their id. If the limit is as wanted, nothing changes.
    """
    reason = _read(reason=reason).get("reason")

    def act(uow: UnitOfWork, customer_id: str) -> str:
        if lift:
            privacy.lift(uow, customer_id, kind)
        else:
            privacy.limit(uow, customer_id, kind, reason)
        return customer_id

    informs = kind is LimitKind.RESTRICTION and not lift
    if customer_id := _of_customer(reference, by_id=by_id, act=act, informs=informs):
        click.echo(translate(_DONE[kind, lift], customer_id=customer_id))


_DONE = {
    (LimitKind.HOLD, False): Message("Held: %(customer_id)s."),
    (LimitKind.HOLD, True): Message("No longer held: %(customer_id)s."),
    (LimitKind.RESTRICTION, False): Message("Restricted: %(customer_id)s."),
    (LimitKind.RESTRICTION, True): Message("No longer restricted: %(customer_id)s."),
    (LimitKind.OBJECTION, False): Message("Objection noted: %(customer_id)s."),
    (LimitKind.OBJECTION, True): Message("Objection lifted: %(customer_id)s."),
}

LIFT = click.option("--lift", is_flag=True, help="Lift it again; tell the person before.")


@command.command("restrict")
@REASON
@LIFT
@of_customer
def restrict(reference: str, reason: str | None, *, lift: bool, by_id: bool) -> None:
    """Let the privacy role alone read a customer's data.

    They are left out of statistics and simulations, and show as [restricted] to all others, until it is lifted. What
    they asked for in a data request is lifted by taking that request back.
    """
    _limit(LimitKind.RESTRICTION, reference, reason, by_id=by_id, lift=lift)


@command.command("object")
@REASON
@LIFT
@of_customer
def note_objection(reference: str, reason: str | None, *, lift: bool, by_id: bool) -> None:
    """Leave a customer out of statistics and simulations until it is lifted.

    What they asked for in a data request is lifted by taking that request back.
    """
    _limit(LimitKind.OBJECTION, reference, reason, by_id=by_id, lift=lift)


@command.command("lift")
@of_customer
def lift(reference: str, *, by_id: bool) -> None:
    """Lift the hold on a customer."""
    _limit(LimitKind.HOLD, reference, None, by_id=by_id, lift=True)


@command.command("rectify")
@SET
@of_customer
def rectify(reference: str, corrections: tuple[Correction, ...], *, by_id: bool) -> None:
    """Correct personal fields of a customer where they stand.

    `--set` takes the tables and fields of the API. No decision is made again, and no value enters the journal.
    """
    is_other = _of_customer(
        reference, by_id=by_id, act=lambda uow, who: rectification.rectify(uow, corrections, who), informs=True
    )
    if is_other is not None:
        click.echo(translate("Corrected.") if is_other else translate("Nothing to correct: it stands as given."))


@command.command("disclose")
@REFERENCE
@click.option("--basis", required=True, type=OneOf(DisclosureBasis), help="What it is based on.")
@click.option("--recipient", required=True, help="Who gets the data; it is kept encrypted.")
@click.option("--file", "file", required=True, metavar="REFERENCE", help="The recipient's own reference.")
@LANG
def disclose(reference: str, basis: DisclosureBasis, recipient: str, file: str) -> None:
    """Note that a customer's data were handed to somebody else.

    `--file` is the recipient's own reference, not a path. The id of the disclosure is printed.
    """
    read = _read(recipient=recipient, reference=file)
    with writing() as uow:
        click.echo(privacy.disclose(uow, reference, basis, **read).disclosure_id)


@command.command("open")
@click.argument("kind", type=OneOf(DataRequestKind))
@REFERENCE
@click.option("--channel", required=True, type=OneOf(DataRequestChannel), help="How it arrived.")
@click.option("--received-at", help="When it arrived, as in 2026-04-02T16:20:00+02:00. Default: now.")
@click.option("--identity-check", help="How the person's identity was checked; it is kept encrypted.")
@click.option("--recipient", help="Who else gets the data; it is kept encrypted.")
@LANG
def open_request(kind: DataRequestKind, reference: str, channel: DataRequestChannel, **given: str | None) -> None:
    """Open a data request, and print its id and by when to answer."""
    read = _read(**given)
    with writing() as uow:
        request = data_requests.open_request(uow, kind, reference, channel, **read)
    if request.customer_id is None:
        click.echo(translate("Nothing is held about this customer."))
    values = {"request_id": request.request_id, "due": format_instant(request.due_at)}
    click.echo(translate("%(request_id)s, to be answered before %(due)s", **values))


@command.command("requests")
@click.option("--kind", type=OneOf(DataRequestKind), help="Only those of this kind.")
@click.option("--state", type=OneOf(DataRequestState), help="Only open or only closed ones.")
@click.option("--overdue", is_flag=True, help="Only those that are open and too late.")
def requests(kind: DataRequestKind | None, state: DataRequestState | None, *, overdue: bool) -> None:
    """List the data requests, without personal data; those due first come first with --overdue or --state open."""
    rows = []
    with reading() as uow:
        asked: dict[str, Any] = {"kind": kind, "state": state, "overdue": overdue or None}
        after: tuple[Any, ...] = ()
        while found := uow.data_requests.paginate(*after, limit=200, **asked):
            for one in found:
                times = map(format_instant, (one.received_at, one.due_at))
                rows.append((one.request_id, one.kind, one.customer_id or "", *times, one.outcome or ""))
            after = uow.data_requests.place_of(found[-1])
    print_table(("request", "kind", "customer", "received", "due", "outcome"), rows)


@command.command("identity")
@REQUEST
@click.argument("how")
@LANG
def identity(request_id: str, how: str) -> None:
    """Note how the identity of a data request's person was checked."""
    read = _read(identity_check=how)["identity_check"]
    with writing() as uow:
        data_requests.check_identity(uow, request_id, read)


@command.command("extend", short_help="Extend the time to answer a data request.")
@REQUEST
@click.option("--reason", required=True, help="Why; it is kept encrypted.")
@LANG
def extend(request_id: str, reason: str) -> None:
    """Extend the time to answer a data request to three months from receipt, and print what to write to the person."""
    read = _read(reason=reason)
    with writing() as uow:
        said = answer_text(data_requests.extend(uow, request_id, **read), uow.default_terms.time_zone)
    click.echo(said)


@command.command("fee", short_help="Note that a data request may cost something.")
@REQUEST
@click.argument("fee", type=OneOf([*Fee, "none"]))
@REASON
@LANG
def fee(request_id: str, fee: Fee | str, reason: str | None) -> None:
    """Note why a data request may cost something, or by `none` that it does not; print what to write to the person."""
    why, read = fee if isinstance(fee, Fee) else None, _read(reason=reason).get("reason")
    with writing() as uow:
        said = answer_text(data_requests.note_fee(uow, request_id, why, read), uow.default_terms.time_zone)
    if said:
        click.echo(said)


@command.command("close")
@REQUEST
@click.option("--outcome", required=True, type=OneOf(DataRequestOutcome), help="fulfilled does what was asked for.")
@REASON
@SET
@click.option("--erasure-reason", type=OneOf(ErasureReason), help="Of an erasure: why. Default: request.")
@click.option("--anyway", metavar="REASON", help="Of an erasure: why not to wait; without personal data.")
@LANG
def close(
    request_id: str,
    outcome: DataRequestOutcome,
    corrections: tuple[Correction, ...],
    erasure_reason: ErasureReason | None,
    **given: str | None,
) -> None:
    """Close a data request; if it is fulfilled, do what it asks for.

    Prints what to write to the person, who got the data before and must be told, too, and the certificate of an
    erasure.
    """
    read = _read(**given)
    with writing() as uow:
        end = Given(outcome, corrections=corrections, erasure_reason=erasure_reason, **read)
        done = data_requests.close(uow, request_id, end)
        said = answer_text(done.request, uow.default_terms.time_zone)
    if said:
        click.echo(said)
    _tell(done.recipients)
    _show(done.certificate)


_FILE = click.Path(path_type=Path, dir_okay=False)


@command.command("export", short_help="Write everything about a person to a file.")
@click.argument("request_id", required=False)
@click.option("--customer-ref", metavar="REFERENCE", help="Of the customer with this reference in billing instead.")
@click.option("--customer-id", metavar="ID", help="Of the customer with this id instead, also if they were erased.")
@click.option("--contact", metavar="ID", help="A contact of somebody who is no customer instead.")
@click.option("--output", required=True, type=_FILE, help="The file; only its owner may read it.")
@click.option("--html", "as_page", is_flag=True, help="A page to read, instead of JSON.")
@LANG
def export(output: Path, *, as_page: bool, **given: str | None) -> None:
    """Write everything that is stored about a person to a file, with what the law says that they are told.

    It is for the data request REQUEST_ID, for which their identity was checked. Who names a customer or a contact
    instead has to check that. The journal says who took it out.
    """
    if sum(one is not None for one in given.values()) != 1:
        raise click.UsageError(translate("Name one of REQUEST_ID, --customer-ref, --customer-id and --contact."))
    with writing() as uow:
        found: Export | None = None
        if given["request_id"] is not None:
            found = exports.for_request(uow, given["request_id"])
        elif given["contact"] is not None:
            found = exports.of_contact(uow, given["contact"])
        elif customer_id := given["customer_id"] or uow.customers.find(given["customer_ref"] or ""):
            found = exports.of_customer(uow, customer_id)
    if found is None:
        click.echo(translate("Nothing is held about this customer."))
        return
    text = render_html(found).encode() if as_page else orjson.dumps(export_data(found), option=orjson.OPT_INDENT_2)
    write_private(output, [text])


@command.command("find", short_help="Find a person who need not be a customer.")
@click.argument("detail")
@LANG
def find(detail: str) -> None:
    """Open every contact, and list those that hold DETAIL of a person, such as a number that a customer's friend used.

    DETAIL is a telephone number in any spelling, an e-mail address, a ticket, or a name or other words of a note. What
    a contact holds is not shown: export, correct or empty it by its id.
    """
    store, is_held = loaded_store(Opening.READ), False
    with progress() as shown:
        for name, fields in findings.find(store, COMMAND_LINE, detail, shown):
            is_held = True
            click.echo(f"{name} {', '.join(fields)}")
    if not is_held:
        click.echo(translate("Nothing is held: every contact was opened."))


@command.command("empty", short_help="Empty the personal fields of a contact.")
@click.option("--contact", metavar="ID", required=True, help="The contact, or the unmatched contact.")
@click.option("--reason", required=True, type=OneOf(ErasureReason), help="Why.")
@LANG
def empty(contact: str, reason: ErasureReason) -> None:
    """Empty the personal fields of a contact of somebody who is no customer; its order and its decision stay."""
    with writing() as uow:
        fields = findings.empty(uow, contact, reason)
    for name in fields:
        click.echo(translate("Emptied: %(name)s.", name=PERSONAL_FIELDS[name]))
    if not fields:
        click.echo(translate("Nothing is left to empty."))
