"""Answers about an order by what is on record about it: how they look, and what to say and to write to customers."""

from typing import NamedTuple
from unicodedata import category
from urllib.parse import quote, urlencode

from refunds.domain.instants import local_date, zone
from refunds.domain.outcomes import Notice, Outcome, Reason, Verdict
from refunds.domain.records import Cancellation, Contact, Intent, RevocationReason, State
from refunds.domain.references import REQUEST_NUMBER
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, message_pair
from refunds.presentation.language import translate
from refunds.presentation.texts import customer
from refunds.presentation.texts.dates import date_text, moment_text
from refunds.presentation.texts.decisions import headline, outcome_words, request_on_record_text, verdict_text


class Look(NamedTuple):
    """How an answer looks: its `tone` (good, wait, neutral) and icon, its state in a word or two, and its heading."""

    tone: str
    icon: str
    word: str
    heading: str


_LOOKS = {
    Verdict.CANCELLABLE: ("good", "yes"),
    Verdict.NEEDS_SUPERVISOR: ("wait", "supervisor"),
    Verdict.REFUSED: ("neutral", "no"),
}

_CANCELLED = {
    State.ISSUED: message_pair("Cancelled", "Cancelled on %(day)s"),
    State.REFUNDING: message_pair("Being refunded", "Cancelled: the refund is under way"),
    State.SETTLED: message_pair("Refunded", "Cancelled and refunded"),
}


def answer_look(
    outcome: Outcome, *, ended: bool = False, active: Cancellation | None = None, on_record: Outcome | None = None
) -> Look:
    """Return how the answer looks: by the `active` cancellation, else the request `on_record`, else `outcome`.

    `ended`, for `outcome` alone: the window has ended since the request, so the heading is in the past tense.
    """
    if active is not None:
        word, title = _CANCELLED[active.state]
        at = active.settled_at or active.issued_at
        day = date_text(local_date(at, zone(active.outcome.time_zone)))
        return Look(*_LOOKS[Verdict.CANCELLABLE], translate(word), translate(title, day=day))
    judged = on_record or outcome
    in_time = on_record is not None and on_record.eligible
    heading = request_on_record_text(judged) if in_time else headline(judged, ended=ended and on_record is None)
    return Look(*_LOOKS[judged.verdict], verdict_text(judged), heading)


class Said(NamedTuple):
    """What to say or, with a link that opens the `mail`, to write; `kind`: `say`, `write`, `asks`, `cancels`."""

    kind: str
    text: str
    mail: str = ""


def texts_to_give(spoken: str, written: dict[str, str], subject: str, to: str | None = None) -> list[Said]:
    """Return what to say, unless it is empty, and a mail for each text of `written` that is not empty.

    `written` has the texts by kind; the mails have this `subject`, and go to nobody unless `to` is an e-mail address.
    """
    mails = [Said(kind, text, mail_link(subject, text, to)) for kind, text in written.items() if text]
    return [Said("say", spoken), *mails] if spoken else mails


def is_address(detail: str | None) -> bool:
    """Tell whether a customer's detail is an e-mail address that the reader may see, neither erased nor hidden."""
    return type(detail) is str and "@" in detail


def mail_link(subject: str, text: str, to: str | None = None) -> str:
    """Return the link (RFC 6068) that opens a mail with this subject and text; to nobody unless `to` is an address."""
    address = quote(to, safe="@") if to and is_address(to) else ""
    title, seen = ("".join(letter for letter in one if category(letter) != "Cf") for one in (subject, text))
    fields = {"subject": " ".join(title.split()), "body": "\r\n".join(seen.splitlines())}
    return f"mailto:{address}?{urlencode(fields, quote_via=quote)}"


def answer_said(
    outcome: Outcome,
    order_id: str | None,
    *,
    ended: bool = False,
    active: Cancellation | None = None,
    revoked: Cancellation | None = None,
    on_record: Outcome | None = None,
) -> list[Said]:
    """Return what to say and to write about an order, or about a day if `order_id` is None, in the reader's language.

    `active` and `revoked` are the order's last cancellation, if it is active or revoked; `on_record` is the decision on
    an open request, which replaces `outcome` if it was in time. `ended`: the window has ended since the request.
    """
    if active is not None:
        reference, refund = active.reference_aloud, customer.refund_words(active)
        answer = _joined(customer.written_words(outcome, order_id, reference), refund)
        spoken = _joined(customer.spoken_words(outcome, reference), refund)
        return texts_to_give(spoken, {"write": answer}, _subject(order_id))
    before = _joined(_revoked_text(revoked), "" if ended or on_record else _date_text(outcome, order_id))
    if on_record is not None and on_record.eligible:
        at = {"at": moment_text(on_record.requested_at, on_record.time_zone), "number": f" {order_id}"}
        spoken, answer = (_joined(before, translate(text, **at)) for text in _ON_RECORD)
        return texts_to_give(spoken, {"write": answer}, _subject(order_id))
    spoken = customer.spoken_words(outcome, ended=ended) if order_id else _without_order(outcome, ended=ended)
    asks, cancels = (
        _joined(customer.written_words(outcome, order_id, ended=ended), "" if order_id else translate(_BY_HEARSAY)),
        customer.written_cancelling(outcome, order_id),
    )
    written = {"asks": asks, "cancels": cancels} if cancels and order_id else {"write": asks}
    whole = {kind: text if kind == "cancels" else _joined(before, text) for kind, text in written.items()}
    return texts_to_give(_joined(before, spoken), whole, _subject(order_id))


def contact_said(contact: Contact, outcome: Outcome, active: Cancellation | None, *, ended: bool) -> list[Said]:
    """Return what to say and to write about a contact on record, in the reader's language, with its request number.

    The list is empty if the contact was superseded or resolved. It is empty for a question if `ended` (the window has
    ended since). If the order has an `active` cancellation, the list is empty, unless this contact is a withdrawal and
    the cancellation was made for another contact.
    """
    asks, withdrawn = contact.intent.asks, contact.intent is Intent.WITHDRAWAL
    if contact.superseded_by or contact.resolved_at or (ended and not asks):
        return []
    if active is not None and (active.contact_id == contact.contact_id or not withdrawn):
        return []
    if withdrawn:
        spoken, written = customer.receipt_words(contact)
    else:
        spoken = customer.spoken_words(outcome, ended=ended)
        written = (asks and customer.written_cancelling(outcome, contact.order_id)) or customer.written_words(
            outcome, contact.order_id, ended=ended
        )
    number = _number_text(contact.request_number)
    mail = {"write": _joined(written, number)}
    return texts_to_give(_joined(spoken, number), mail, _subject(contact.order_id), contact.from_detail)


def cancelled_said(cancellation: Cancellation, contact: Contact, confirmation: str) -> list[Said]:
    """Return what to say when an order is cancelled, and the confirmation to write, in the reader's language."""
    reference, order_id = cancellation.reference_aloud, cancellation.order_id
    spoken = customer.cancelled_words(order_id, reference, customer.withdrawal_of(cancellation, contact))
    return texts_to_give(spoken, {"write": confirmation}, _subject(order_id), contact.from_detail)


def unmatched_said(contact: UnmatchedContact, time_zone: str) -> list[Said]:
    """Return what to say and to write about an open unmatched contact, in the reader's language."""
    at, number = moment_text(contact.received_at, time_zone), contact.number_aloud
    spoken, written = (translate(text, at=at, number=number) for text in _UNMATCHED[contact.intent])
    subject = translate("Your request %(number)s", number=number)
    return texts_to_give(
        _joined(spoken, _number_text(contact.request_number)), {"write": written}, subject, contact.from_detail
    )


def _subject(order_id: str | None) -> str:
    """Return the subject of an e-mail about an order, in the reader's language; without the number if that is None."""
    return translate("Your order %(order)s", order=order_id) if order_id else translate("Your order")


def _joined(*sentences: str) -> str:
    """Return the sentences that are not empty, with spaces between them."""
    return " ".join(filter(None, sentences))


def _number_text(number: str | None) -> str:
    """Return the sentence that tells a customer their request number; empty without one."""
    return translate("Your request number is %(number)s.", number=REQUEST_NUMBER.spoken(number)) if number else ""


def _revoked_text(revoked: Cancellation | None) -> str:
    """Return the sentence that says when and why a cancellation was revoked; "" if it was not, or there is none."""
    if revoked is None or revoked.revoked_at is None:
        return ""
    text = _REVOKED if revoked.revocation_code is RevocationReason.ENTERED_IN_ERROR else _KEPT
    return translate(text, day=date_text(local_date(revoked.revoked_at, zone(revoked.outcome.time_zone))))


def _date_text(outcome: Outcome, order_id: str | None) -> str:
    """Return what to say about the end of a running window: that a promise is kept, that it is provisional, or both.

    It is empty if neither is so or no window runs. Without an order, a provisional end may also move closer.
    """
    if outcome.reason is not Reason.WITHIN_WINDOW:
        return ""
    found = ((Notice.PROMISE_KEPT, _PROMISED), (Notice.CALENDAR_PROVISIONAL, _PROVISIONAL if order_id else _MAY_MOVE))
    return _joined(*(translate(text) for notice, text in found if notice in outcome.notices))


def _without_order(outcome: Outcome, *, ended: bool) -> str:
    """Return what an agent says about a decision on a day, without an order; `ended`: the deadline is over by now."""
    if not outcome.eligible:
        return _joined(customer.spoken_words(outcome, ended=ended), translate(_BY_HEARSAY))
    text = _UNTIL if outcome.reason is Reason.WITHIN_WINDOW and not ended else _IN_TIME
    return translate(text, **outcome_words(outcome))


_ON_RECORD = message_pair(
    "Your request of %(at)s was made in time. Shall I cancel the order for you now?",
    "Your request of %(at)s about your order%(number)s was made in time. We are cancelling the order, and you will "
    "receive the confirmation with its reference.",
)
_KEPT = Message("The cancellation of your order was revoked on %(day)s, because you wanted to keep the order.")
_REVOKED = Message("A cancellation of your order was entered by mistake and revoked on %(day)s.")
_PROMISED = Message("The end of the window that you were promised stands.")
_PROVISIONAL = Message(
    "The public holidays of these days are not all fixed yet: the window may still become longer, but not shorter."
)
_MAY_MOVE = Message("The public holidays of these days are not all fixed yet: the end of the window may still move.")
_BY_HEARSAY = Message("This goes by what you told us: please give us the number of your order.")
_UNTIL = Message(
    "Going by what you tell me, your order can be cancelled until the end of %(last_day)s. I am recording your "
    "request, and its time counts."
)
_IN_TIME = Message(
    "Going by what you tell me, your order can be cancelled. I am recording your request, and its time counts."
)
_UNMATCHED = {
    Intent.CANCEL: message_pair(
        "I have recorded your request. Its time counts, also if we find your order only later.",
        "We have recorded your request of %(at)s; its time counts. We have not found your order yet: please send us "
        "its number, and name the request number %(number)s.",
    ),
    Intent.QUESTION: message_pair(
        "I have recorded your question. You will hear from us once we have found your order.",
        "We have recorded your question of %(at)s. We have not found your order yet: please send us its number, and "
        "name the request number %(number)s.",
    ),
    Intent.WITHDRAWAL: message_pair(
        "We received your withdrawal, and its time counts, also if we find your order only later.",
        "Confirmation of receipt: we received your withdrawal on %(at)s; its time counts. We have not found your order "
        "yet: please send us its number, and name the request number %(number)s.",
    ),
}
