"""Privacy in words: data requests, what to write about them, and the certificate of an erasure."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta

from refunds.domain import privacy
from refunds.domain.instants import format_instant, local_date, zone
from refunds.errors import Message
from refunds.presentation.language import translate, translate_number
from refunds.presentation.texts.dates import date_text
from refunds.service.privacy import Certificate

KINDS: Mapping[str, Message] = {
    privacy.DataRequestKind.ACCESS: Message("Access"),
    privacy.DataRequestKind.RECTIFICATION: Message("Correction"),
    privacy.DataRequestKind.ERASURE: Message("Erasure"),
    privacy.DataRequestKind.PORTABILITY: Message("Portability"),
    privacy.DataRequestKind.OBJECTION: Message("Objection"),
    privacy.DataRequestKind.RESTRICTION: Message("Restriction"),
}
OUTCOMES: Mapping[str, Message] = {
    privacy.DataRequestOutcome.FULFILLED: Message("Fulfilled"),
    privacy.DataRequestOutcome.REFUSED: Message("Refused"),
    privacy.DataRequestOutcome.NOTHING_HELD: Message("Nothing is held"),
    privacy.DataRequestOutcome.TAKEN_BACK: Message("Taken back"),
}
BASES: Mapping[str, Message] = {
    privacy.DisclosureBasis.AUTHORITY_REQUEST: Message("Request of an authority"),
    privacy.DisclosureBasis.RIGHTS_PROTECTION: Message("Protection of rights"),
    privacy.DisclosureBasis.PROCESSOR: Message("Processor"),
}
FEES: Mapping[str, Message] = {
    privacy.Fee.FURTHER_COPY: Message("For a further copy"),
    privacy.Fee.EXCESSIVE: Message("Because it is excessive"),
}
"""The names of what data requests, disclosures and fees are."""

TABLES: Mapping[str, Message] = {
    "customers": Message("Customer"),
    "orders": Message("Order"),
    "contacts": Message("Request"),
    "unmatched_contacts": Message("Contact without an order"),
    "cancellations": Message("Cancellation"),
    "data_requests": Message("Data request"),
    "disclosures": Message("Disclosure"),
    "limits": Message("Limit of use"),
}
REASONS = (
    *("reason", "resolution_reason", "closed_reason", "override_reason", "revocation_reason"),
    *("extension_reason", "fee_reason", "outcome_reason", "refusal_reason"),
)
"""Fields that have a reason in words."""

PERSONAL_FIELDS: Mapping[str, Message] = {
    "customer_ref": Message("Customer number"),
    "correction_reason": Message("Reason of the correction"),
    "from_detail": Message("The customer's number or address"),
    "ticket_ref": Message("Ticket"),
    "note": Message("Note"),
    "acknowledged_to": Message("Answered at"),
    "order_hint": Message("Said of the order"),
    "billing_ref": Message("Billing's reference"),
    "identity_check": Message("Identity"),
    "recipient": Message("Recipient"),
    "reference": Message("File number"),
    **dict.fromkeys(REASONS, Message("Reason")),
}
"""The names of what has personal fields, and of these."""

_ERASURES = {
    privacy.ErasureReason.REQUEST: Message("the person asked for it"),
    privacy.ErasureReason.ACCOUNT_DELETED: Message("their account was deleted"),
    privacy.ErasureReason.CHILD: Message("the person is a child"),
}

_PROVEN = Message("%(what)s: %(how)s. Proof: %(proof)s")

_ERASED = (
    (
        Message("Their key and the digest that they are found by"),
        Message("overwritten in the database; without the key no copy of a field can be read"),
        "flask audit verify",
    ),
    (Message("Stored replies to requests"), Message("deleted"), "flask audit verify"),
    (
        Message("The ledger of erasures"),
        Message("has their opaque id, so that no restored backup brings them back"),
        "grep %(customer_id)s $REFUNDS_LEDGER_DIR/erasures.jsonl",
    ),
)
_REMAINS = (
    Message("What stays: order ids, times and decisions, for accounting and claims."),
    Message(
        "Backups and, on PostgreSQL, rows that VACUUM has not removed yet still have the encrypted fields and the "
        "wrapped key: they can be read until the master key is changed and destroyed."
    ),
    Message("Out of scope: the billing system, the helpdesk, e-mail, and files that were handed out."),
)


def certificate_lines(certificate: Certificate, *, is_scrubbed: bool) -> Iterator[str]:
    """Yield what was erased of a customer, line by line: where, how far, the command that proves it, and what is left.

    `is_scrubbed`: the log of the database was emptied after the last erasure.
    """
    erasure = certificate.erasure
    values = {"customer_id": erasure.customer_id, "at": format_instant(erasure.at), "reason": erasure.reason}
    erased = Message("Erased: customer %(customer_id)s, %(at)s. Reason: %(reason)s.")
    yield translate(erased, **values | {"reason": _ERASURES[erasure.reason]})
    for table, number in certificate.fields.items():
        if number:
            fields = Message("Personal fields, %(table)s", table=TABLES[table])
            empty = translate_number("empty in %(num)s record", "empty in %(num)s records", number)
            yield _line(fields, empty, "flask privacy erase --reason %(reason)s --id %(customer_id)s", values)
    for order_id in erasure.order_ids:
        yield translate(Message("Order: %(order_id)s"), order_id=order_id)
    for what, how, proof in _ERASED:
        yield _line(what, how, proof, values)
    log = Message("empty") if is_scrubbed else Message("pending: emptied after the next write, or at the next start")
    yield _line(Message("The log of the database"), log, "ls -l *-wal", values)
    yield from map(translate, _REMAINS)


def _line(what: Message, how: str, proof: str, values: dict[str, str]) -> str:
    """Return a line of a certificate, in the reader's language; `values` fill the gaps in the command `proof`."""
    return translate(_PROVEN, what=what, how=how, proof=proof % values)


_REASON = Message("The reason: %(reason)s")
_REFUSED = Message("We refuse what you asked for on %(received)s. Your request: %(kind)s.")
_REMEDIES = Message(
    "You can complain about this to a data protection authority, such as the one where you live, and you can go to "
    "court."
)
_EXTENDED = Message(
    "We need more time for what you asked for on %(received)s. Your request: %(kind)s. You will have our answer by the "
    "end of %(due)s."
)
_FEE = {
    privacy.Fee.FURTHER_COPY: Message("We may charge you for our costs, because you ask for a further copy."),
    privacy.Fee.EXCESSIVE: Message("We may charge you for our costs, because the request is excessive."),
}


def last_day(request: privacy.DataRequest, time_zone: str) -> date:
    """Return the last day, by the clocks of a time zone, on which a data request can still be answered in time."""
    return local_date(request.due_at - timedelta(microseconds=1), zone(time_zone))


def answer_text(request: privacy.DataRequest, time_zone: str) -> str | None:
    """Return what to write to the person about a refusal, an extension or a fee, in the reader's language; else None.

    A refusal names the rights to complain and to go to court. A reason that was erased is left out. Source: GDPR,
    Article 12(3) to (5).
    """
    received = date_text(local_date(request.received_at, zone(time_zone)))
    values = {"received": received, "kind": KINDS[request.kind], "due": date_text(last_day(request, time_zone))}
    parts: list[tuple[Message | None, str | None]] = []
    if request.outcome is privacy.DataRequestOutcome.REFUSED:
        parts = [(_REFUSED, request.outcome_reason), (_REMEDIES, None)]
    elif request.state is privacy.DataRequestState.OPEN:
        extended = _EXTENDED if request.extended_at else None
        parts = [(extended, request.extension_reason), (_FEE[request.fee] if request.fee else None, request.fee_reason)]
    said = [
        " ".join([translate(text, **values), *([translate(_REASON, reason=reason)] if type(reason) is str else [])])
        for text, reason in parts
        if text
    ]
    return "\n\n".join(said) or None
