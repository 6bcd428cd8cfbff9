"""Privacy in words: the certificate of an erasure."""

from collections.abc import Iterator

from refunds.domain.instants import format_instant
from refunds.errors import Message
from refunds.presentation.language import translate
from refunds.service.privacy import Certificate

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
    """What was erased of a customer, line by line: where, how far, the command that proves it, and what is left."""
    erasure = certificate.erasure
    values = {"customer_id": erasure.customer_id, "at": format_instant(erasure.at), "reason": erasure.reason}
    yield translate(Message("Erased: customer %(customer_id)s, %(at)s, reason %(reason)s."), **values)
    for table, number in certificate.fields.items():
        if number:
            fields = Message("Personal fields of %(number)s records in %(table)s", number=number, table=table)
            yield _line(fields, Message("empty"), "flask privacy erase --id %(customer_id)s", values)
    for order_id in erasure.order_ids:
        yield translate(Message("Order: %(order_id)s"), order_id=order_id)
    for what, how, proof in _ERASED:
        yield _line(what, how, proof, values)
    log = Message("empty") if is_scrubbed else Message("pending: emptied after the next write, or at the next start")
    yield _line(Message("The log of the database"), log, "ls -l *-wal", values)
    yield from map(translate, _REMAINS)


def _line(what: Message, how: Message, proof: str, values: dict[str, str]) -> str:
    return translate(_PROVEN, what=translate(what), how=translate(how), proof=proof % values)
