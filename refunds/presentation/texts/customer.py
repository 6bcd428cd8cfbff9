"""Words for the customer: what agents say on the telephone, and what they write.

The texts cover only the contractual window. They promise no date and no amount of a refund, and never say that there
is no right to one.
"""

from collections.abc import Iterator

from refunds.domain.business_days import DayStatus, SkipReason
from refunds.domain.outcomes import Outcome, Reason
from refunds.errors import Message
from refunds.presentation.language import translate
from refunds.presentation.texts.dates import date_text
from refunds.presentation.texts.decisions import answered_by, outcome_words, why_text

_SPOKEN = {
    Reason.ORDER_ALREADY_CANCELLED: Message(
        "Your order has already been cancelled, under the reference %(reference)s. There is nothing more for you to do."
    ),
    Reason.CHANNEL_NOT_ACCEPTED: Message(
        "I am sorry, an order like yours cannot be cancelled %(channel)s. I have noted that you asked."
    ),
    Reason.UNOFFICIAL_CONTACT_POINT: Message(
        "Your request has not come by one of our official contact points, so a supervisor has to accept it first. I am "
        "passing it on."
    ),
    Reason.SERVICE_NOT_YET_PROVIDED: Message(
        "The service has not been provided yet, so your order can be cancelled. Shall I cancel it for you now?"
    ),
    Reason.WINDOW_ELAPSED: Message(
        "I am sorry, the contractual window for cancelling this order ended at the end of %(last_day)s. That concerns "
        "the contractual window alone; rights that you have by law are not affected."
    ),
    Reason.CALENDAR_UNKNOWN: Message(
        "I am recording your request. A colleague will check whether it is in time, and you will hear from us."
    ),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: Message(
        "Your request was made in time. A supervisor has to enter it; I am passing it on."
    ),
    Reason.WITHIN_WINDOW: Message(
        "Your order can be cancelled until the end of %(last_day)s. Shall I cancel it for you now?"
    ),
}

_WRITTEN = {
    Reason.ORDER_ALREADY_CANCELLED: Message(
        "Your order%(number)s has already been cancelled, under the reference %(reference)s. There is nothing more for "
        "you to do."
    ),
    Reason.CHANNEL_NOT_ACCEPTED: Message(
        "Under our terms your order%(number)s cannot be cancelled %(channel)s. We have recorded that you asked."
    ),
    Reason.UNOFFICIAL_CONTACT_POINT: Message(
        "Your request about your order%(number)s has not reached us by one of our official contact points. We have "
        "recorded it, "
        "and a supervisor will decide whether it counts."
    ),
    Reason.SERVICE_NOT_YET_PROVIDED: Message(
        "The service has not been provided yet, so your order%(number)s can be cancelled. If that is what you want, "
        "please tell "
        "us."
    ),
    Reason.WINDOW_ELAPSED: Message(
        "The contractual window for cancelling your order%(number)s ended at the end of %(last_day)s (%(zone)s). "
        "%(counted)s This "
        "concerns the contractual window alone; rights that you have by law are not affected."
    ),
    Reason.CALENDAR_UNKNOWN: Message(
        "We have recorded your request about your order%(number)s. A colleague will check whether it is in time, and "
        "you will hear from us."
    ),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: Message(
        "Your request about your order%(number)s was made in time. A supervisor has to enter it, and it has been "
        "passed on."
    ),
    Reason.WITHIN_WINDOW: Message(
        "Your order%(number)s can be cancelled until the end of %(last_day)s (%(zone)s). %(counted)s If that is what "
        "you want, "
        "please tell us by then."
    ),
}

_SPOKEN_THEN = {
    Reason.SERVICE_NOT_YET_PROVIDED: Message(
        "You asked before the service was provided, so your request was in time. Shall I cancel the order for you now?"
    ),
    Reason.WITHIN_WINDOW: Message(
        "Your request was made in time, before the end of %(last_day)s. Shall I cancel the order for you now?"
    ),
}
_WRITTEN_THEN = {
    Reason.SERVICE_NOT_YET_PROVIDED: Message(
        "You asked about your order%(number)s before the service was provided, so your request was in time. If you "
        "still want it cancelled, please tell us."
    ),
    Reason.WITHIN_WINDOW: Message(
        "Your request about your order%(number)s was made in time: it could be cancelled until the end of %(last_day)s "
        "(%(zone)s). "
        "%(counted)s If you still want it cancelled, please tell us."
    ),
}
"""For a request that was made in time, if its window has ended, or the service was provided, since."""


def spoken_words(outcome: Outcome, reference: str = "", *, ended: bool = False) -> str:
    """What an agent says to the customer about a decision.

    `reference` is that of the cancellation that the order already has; `ended` is as in `decisions.headline`.
    """
    texts = _SPOKEN | _SPOKEN_THEN if ended else _SPOKEN
    return translate(texts[answered_by(outcome)], **outcome_words(outcome), reference=reference)


def written_words(outcome: Outcome, order_id: str | None = None, reference: str = "", *, ended: bool = False) -> str:
    """What an agent writes to the customer about a decision, in a paragraph; other parameters as in `spoken_words`.

    Without an `order_id`, the text names no order.
    """
    words, number = outcome_words(outcome), f" {order_id}" if order_id else ""
    texts = _WRITTEN | _WRITTEN_THEN if ended else _WRITTEN
    return translate(
        texts[answered_by(outcome)],
        **words,
        number=number,
        counted=_counted(outcome, words),
        reference=reference,
    )


def _counted(outcome: Outcome, words: dict[str, object]) -> str:
    """How the window of a decision was counted, in a sentence that names the holidays and closures it passes over.

    Without a window, the sentence makes no sense.
    """
    passed_over = ", ".join(_passed_over(outcome))
    if not passed_over:
        return translate(
            "The window is %(length)s after %(service_day)s, the day on which the service was provided.", **words
        )
    return translate(
        "The window is %(length)s after %(service_day)s, the day on which the service was provided; not counted: "
        "%(passed_over)s.",
        **words,
        passed_over=passed_over,
    )


def _passed_over(outcome: Outcome) -> Iterator[str]:
    """The public holidays and closures on which a window was not counted, each with its date; no weekends."""
    for day in outcome.days:
        if day.status is DayStatus.SKIPPED and day.why in {SkipReason.PUBLIC_HOLIDAY, SkipReason.CLOSURE}:
            yield f"{why_text(day.date, day.why, outcome.region, outcome.names)} ({date_text(day.date)})"


def cancelled_words(order_id: str, reference: str) -> str:
    """What an agent says when an order is cancelled; they read the reference digit by digit."""
    return translate(
        "Your order %(order)s is cancelled. Please note the reference: %(reference)s.",
        order=order_id,
        reference=reference,
    )
