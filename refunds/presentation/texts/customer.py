"""Words for the customer: what agents say on the telephone, and what they write.

The texts cover only the contractual window. They promise no date and no amount of a refund, and never say that there
is no right to one.
"""

from refunds.domain.business_days import SkipReason
from refunds.domain.instants import local_date, zone
from refunds.domain.outcomes import Notice, Outcome, Reason
from refunds.domain.records import Basis, Cancellation, Contact, Intent, State
from refunds.errors import Message, message_pair
from refunds.presentation.language import translate
from refunds.presentation.texts.dates import date_text, moment_text, zone_text
from refunds.presentation.texts.decisions import Texts, channel_text, outcome_words, text_key, why_text

_WORDS: dict[Reason | Notice, tuple[Message, Message]] = {
    Reason.ORDER_ALREADY_CANCELLED: message_pair(
        "Your order has already been cancelled, under the reference %(reference)s. There is nothing more for you to "
        "do.",
        "Your order%(number)s has already been cancelled, under the reference %(reference)s. There is nothing more for "
        "you to do.",
    ),
    Reason.CHANNEL_NOT_ACCEPTED: message_pair(
        "I am sorry, an order like yours cannot be cancelled %(channel)s. I have noted that you asked. Our terms say "
        "whether there is another way.",
        "Under our terms your order%(number)s cannot be cancelled %(channel)s. We have recorded that you asked. The "
        "terms say whether there is another way.",
    ),
    Reason.UNOFFICIAL_CONTACT_POINT: message_pair(
        "Your request has not come by one of our official contact points, so a supervisor has to accept it first. I am "
        "passing it on.",
        "Your request about your order%(number)s has not reached us by one of our official contact points. We have "
        "recorded it, and a supervisor will decide whether it counts.",
    ),
    Reason.SERVICE_NOT_YET_PROVIDED: message_pair(
        "The service has not been provided yet, so your order can be cancelled. Shall I cancel it for you now?",
        "The service has not been provided yet, so your order%(number)s can be cancelled. If that is what you want, "
        "please tell us.",
    ),
    Notice.NO_SERVICE_DATE: message_pair(
        "We have no date of provision on record yet, so your order can be cancelled. Shall I cancel it for you now?",
        "We have no date of provision of your order%(number)s on record yet, so it can be cancelled. If that is what "
        "you want, please tell us.",
    ),
    Reason.WITHDRAWAL_NEEDS_SUPERVISOR: message_pair(
        "We have received your withdrawal. A colleague is dealing with it, and you will hear from us.",
        "We have received your withdrawal from your order%(number)s. A colleague is dealing with it, and you will hear "
        "from us.",
    ),
    Reason.WINDOW_ELAPSED: message_pair(
        "I am sorry, the contractual window for cancelling this order ended at the end of %(last_day)s. That concerns "
        "the contractual window alone; rights that you have by law are not affected.",
        "The contractual window for cancelling your order%(number)s ended at the end of %(last_day)s (%(zone)s). "
        "%(counted)s This concerns the contractual window alone; rights that you have by law are not affected.",
    ),
    Reason.CALENDAR_UNKNOWN: message_pair(
        "I am recording your request. A colleague will check whether it is in time, and you will hear from us.",
        "We have recorded your request about your order%(number)s. A colleague will check whether it is in time, and "
        "you will hear from us.",
    ),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: message_pair(
        "Your request was made in time. A supervisor has to enter it; I am passing it on.",
        "Your request about your order%(number)s was made in time. A supervisor has to enter it, and it has been "
        "passed on.",
    ),
    Reason.WITHIN_WINDOW: message_pair(
        "Your order can be cancelled until the end of %(last_day)s. Shall I cancel it for you now?",
        "Your order%(number)s can be cancelled until the end of %(last_day)s (%(zone)s). %(counted)s If that is what "
        "you want, please tell us by then.",
    ),
}
"""What to say and what to write, by what a decision is answered with."""

_WRITTEN_CANCELLING: Texts = {
    **dict.fromkeys(
        (Reason.SERVICE_NOT_YET_PROVIDED, Notice.NO_SERVICE_DATE, Reason.WITHIN_WINDOW),
        Message(
            "Your cancellation of %(at)s was made in time. We are cancelling your order%(number)s, and you will "
            "receive the confirmation with its reference."
        ),
    ),
    Reason.WINDOW_ELAPSED: Message(
        "We have received and recorded your cancellation of %(at)s. The contractual window for cancelling your "
        "order%(number)s, however, ended at the end of %(last_day)s (%(zone)s). %(counted)s This concerns the "
        "contractual window alone; rights that you have by law are not affected."
    ),
}
"""For a message that cancels; one that only asks gets another answer."""

_WORDS_THEN: dict[Reason | Notice, tuple[Message, Message]] = {
    Reason.SERVICE_NOT_YET_PROVIDED: message_pair(
        "You asked before the service was provided, so your request was in time. Shall I cancel the order for you now?",
        "You asked about your order%(number)s before the service was provided, so your request was in time. If you "
        "still want it cancelled, please tell us.",
    ),
    Reason.WITHIN_WINDOW: message_pair(
        "Your request was made in time, before the end of %(last_day)s. Shall I cancel the order for you now?",
        "Your request about your order%(number)s was made in time: it could be cancelled until the end of %(last_day)s "
        "(%(zone)s). %(counted)s If you still want it cancelled, please tell us.",
    ),
}
"""For a request that was made in time, if its window has ended, or the service was provided, since."""


def spoken_words(outcome: Outcome, reference: str = "", *, ended: bool = False) -> str:
    """Return what an agent says to the customer about a decision, in the reader's language.

    `reference` is the active cancellation's, needed if the order is cancelled already. With `ended`, the words take
    into account that the window has ended, or the service was provided, since the request.
    """
    spoken, _ = _words(outcome, ended=ended)
    return translate(spoken, **outcome_words(outcome), reference=reference)


def written_words(outcome: Outcome, order_id: str | None = None, reference: str = "", *, ended: bool = False) -> str:
    """Return what an agent writes to the customer about a decision; without an `order_id`, the text names no order.

    `reference` and `ended` are as in `spoken_words`.
    """
    _, text = _words(outcome, ended=ended)
    return _written(text, outcome, order_id, reference=reference)


def _words(outcome: Outcome, *, ended: bool) -> tuple[Message, Message]:
    """Return the unfilled texts to say and to write for a decision; `ended` as in `spoken_words`."""
    words = _WORDS | _WORDS_THEN if ended else _WORDS
    return words[text_key(outcome, ended=ended)]


def written_cancelling(outcome: Outcome, order_id: str | None) -> str:
    """Return what an agent writes if the message is itself the cancellation; empty if `written_words` fits it, too."""
    text = _WRITTEN_CANCELLING.get(text_key(outcome))
    at = moment_text(outcome.requested_at, outcome.time_zone)
    return _written(text, outcome, order_id, at=at) if text else ""


def _written(text: Message, outcome: Outcome, order_id: str | None, **values: str) -> str:
    """Translate a text that an agent writes to the customer, and fill in the values of the decision and `values`."""
    words, number = outcome_words(outcome), f" {order_id}" if order_id else ""
    return translate(text, **words, number=number, counted=_counted_text(outcome, words), **values)


def _counted_text(outcome: Outcome, words: dict[str, object]) -> str:
    """Return a sentence on how the window of a decision was counted: its length, and the holidays and closures skipped.

    `words` are those that `outcome_words` returns. The outcome must have a window.
    """
    names = [
        f"{why_text(day.date, day.why, outcome.region, outcome.names)} ({date_text(day.date)})"
        for day in outcome.days
        if day.why and day.why is not SkipReason.WEEKEND
    ]
    if not names:
        return translate(
            "The window is %(length)s after %(service_day)s, the day on which the service was provided.", **words
        )
    return translate(
        "The window is %(length)s after %(service_day)s, the day on which the service was provided; not counted: "
        "%(passed_over)s.",
        **words,
        passed_over=", ".join(names),
    )


def receipt_words(contact: Contact) -> tuple[str, str]:
    """Return two texts about a withdrawal that was received: what an agent says, and the confirmation to write."""
    zone = contact.outcome.time_zone
    words = {
        "order": contact.order_id,
        "at": moment_text(contact.received_at, zone),
        "zone": zone_text(zone),
        "channel": channel_text(contact.channel),
    }
    spoken = translate(
        "We received your withdrawal from the order %(order)s on %(at)s. I will send you a confirmation of receipt.",
        **words,
    )
    written = translate(
        "Confirmation of receipt: we received your withdrawal on %(at)s (%(zone)s), %(channel)s. You declare in it "
        "that you withdraw from the contract on the order %(order)s.",
        **words,
    )
    following = translate("We are dealing with your withdrawal, and you will hear from us.") if contact.is_open else ""
    return spoken, f"{written} {following}".rstrip()


_REFUND = {
    State.ISSUED: Message("The refund has been passed on to billing."),
    State.REFUNDING: Message("Billing has begun the refund."),
    State.SETTLED: Message("The refund was made on %(day)s."),
}


def refund_words(cancellation: Cancellation) -> str:
    """Return what to say of the money of a cancellation in force: passed to billing, begun, or refunded on a date."""
    settled_at = cancellation.settled_at or cancellation.issued_at
    return translate(
        _REFUND[cancellation.state], day=date_text(local_date(settled_at, zone(cancellation.outcome.time_zone)))
    )


def withdrawn_words(contact: Contact) -> str:
    """Return what a customer is told about a withdrawal: when it was received, and that it has ended the order."""
    return translate(
        "We received your withdrawal on %(at)s. The order %(order)s has ended as a result.",
        at=moment_text(contact.received_at, contact.outcome.time_zone),
        order=contact.order_id,
    )


def withdrawal_of(cancellation: Cancellation, contact: Contact) -> Contact | None:
    """Return the contact if the cancellation's basis is statutory, or if the contact is a withdrawal; else None."""
    return contact if cancellation.basis is Basis.STATUTORY or contact.intent is Intent.WITHDRAWAL else None


def cancelled_words(order_id: str, reference: str, withdrawal: Contact | None = None) -> str:
    """Return what an agent reads out: that the order is cancelled or ended by the `withdrawal`, and the reference."""
    if withdrawal is not None:
        noted = translate("Please note the reference: %(reference)s.", reference=reference)
        return f"{withdrawn_words(withdrawal)} {noted}"
    return translate(
        "Your order %(order)s is cancelled. Please note the reference: %(reference)s.",
        order=order_id,
        reference=reference,
    )
