"""Words for the customer: what agents say on the telephone, and what they write, in German and English.

The texts cover only the contractual window. They promise no date and no amount of a refund, and never say that there
is no right to one.
"""

from collections.abc import Iterator

from refunds.domain.business_days import DayStatus, SkipReason
from refunds.domain.eligibility import Outcome, Reason
from refunds.presentation.texts.dates import date_text
from refunds.presentation.texts.decisions import outcome_words, why_text

_SPOKEN = {
    "en": {
        Reason.ORDER_ALREADY_CANCELLED: "Your order has already been cancelled, under the reference {reference}. There "
        "is nothing more for you to do.",
        Reason.CHANNEL_NOT_ACCEPTED: "I am sorry, an order like yours cannot be cancelled {channel}. I have noted that "
        "you asked.",
        Reason.UNOFFICIAL_CONTACT_POINT: "Your request has not come by one of our official contact points, so a "
        "supervisor has to accept it first. I am passing it on.",
        Reason.SERVICE_NOT_YET_PROVIDED: "The service has not been provided yet, so your order can be cancelled. Shall "
        "I cancel it for you now?",
        Reason.WINDOW_ELAPSED: "I am sorry, the contractual window for cancelling this order ended at the end of "
        "{last_day}. That concerns the contractual window alone; rights that you have by law are not affected.",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Your request was made in time. A supervisor has to enter it; I am passing "
        "it on.",
        Reason.WITHIN_WINDOW: "Your order can be cancelled until the end of {last_day}. Shall I cancel it for you now?",
    },
    "de": {
        Reason.ORDER_ALREADY_CANCELLED: "Ihre Bestellung ist bereits storniert, unter dem Aktenzeichen {reference}. "
        "Sie brauchen nichts weiter zu tun.",
        Reason.CHANNEL_NOT_ACCEPTED: "Es tut mir leid, eine solche Bestellung kann nicht {channel} storniert werden. "
        "Ich habe notiert, dass Sie gefragt haben.",
        Reason.UNOFFICIAL_CONTACT_POINT: "Ihre Anfrage kam nicht über einen unserer offiziellen Kontaktwege, deshalb "
        "muss die Teamleitung sie erst anerkennen. Ich gebe sie weiter.",
        Reason.SERVICE_NOT_YET_PROVIDED: "Die Leistung ist noch nicht erbracht, Ihre Bestellung kann also storniert "
        "werden. Soll ich sie jetzt für Sie stornieren?",
        Reason.WINDOW_ELAPSED: "Es tut mir leid, die vertragliche Frist für eine Stornierung endete am {last_day}, um "
        "24 Uhr. Das betrifft nur die vertragliche Frist; gesetzliche Rechte bleiben unberührt.",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Ihre Anfrage war rechtzeitig. Die Teamleitung muss sie eintragen; ich "
        "gebe sie weiter.",
        Reason.WITHIN_WINDOW: "Ihre Bestellung kann bis {last_day}, 24 Uhr storniert werden. Soll ich sie jetzt für "
        "Sie stornieren?",
    },
}

_WRITTEN = {
    "en": {
        Reason.ORDER_ALREADY_CANCELLED: "{order} has already been cancelled, under the reference {reference}. There is "
        "nothing more for you to do.",
        Reason.CHANNEL_NOT_ACCEPTED: "Under our terms {order} cannot be cancelled {channel}. We have recorded that you "
        "asked.",
        Reason.UNOFFICIAL_CONTACT_POINT: "Your request about {order} has not reached us by one of our official contact "
        "points. We have recorded it, and a supervisor will decide whether it counts.",
        Reason.SERVICE_NOT_YET_PROVIDED: "The service has not been provided yet, so {order} can be cancelled. If that "
        "is what you want, please tell us.",
        Reason.WINDOW_ELAPSED: "The contractual window for cancelling {order} ended at the end of {last_day} ({zone}). "
        "{counted} This concerns the contractual window alone; rights that you have by law are not affected.",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Your request about {order} was made in time. A supervisor has to enter "
        "it, and it has been passed on.",
        Reason.WITHIN_WINDOW: "{order} can be cancelled until the end of {last_day} ({zone}). {counted} If that is "
        "what you want, please tell us by then.",
    },
    "de": {
        Reason.ORDER_ALREADY_CANCELLED: "{order} ist bereits storniert, unter dem Aktenzeichen {reference}. Sie "
        "brauchen nichts weiter zu tun.",
        Reason.CHANNEL_NOT_ACCEPTED: "Nach unseren Bedingungen kann {order} nicht {channel} storniert werden. Wir "
        "haben notiert, dass Sie gefragt haben.",
        Reason.UNOFFICIAL_CONTACT_POINT: "Ihre Anfrage zu {to_order} hat uns nicht über einen unserer offiziellen "
        "Kontaktwege erreicht. Wir haben sie notiert, und die Teamleitung entscheidet, ob sie zählt.",
        Reason.SERVICE_NOT_YET_PROVIDED: "Die Leistung ist noch nicht erbracht, {order} kann also storniert werden. "
        "Falls Sie das wünschen, sagen Sie uns bitte Bescheid.",
        Reason.WINDOW_ELAPSED: "Die vertragliche Frist, in der {order} storniert werden konnte, endete am {last_day}, "
        "24 Uhr ({zone}). {counted} Das betrifft nur die vertragliche Frist; gesetzliche Rechte bleiben unberührt.",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Ihre Anfrage zu {to_order} war rechtzeitig. Die Teamleitung muss sie "
        "eintragen, wir haben sie weitergegeben.",
        Reason.WITHIN_WINDOW: "{order} kann bis {last_day}, 24 Uhr ({zone}) storniert werden. {counted} Falls Sie das "
        "wünschen, sagen Sie uns bitte bis dahin Bescheid.",
    },
}

_SPOKEN_THEN = {
    "en": "Your request was made in time, before the end of {last_day}. Shall I cancel the order for you now?",
    "de": "Ihre Anfrage war rechtzeitig, vor dem Ende der Frist am {last_day}. Soll ich die Bestellung jetzt für Sie "
    "stornieren?",
}
_WRITTEN_THEN = {
    "en": "Your request about {order} was made in time: it could be cancelled until the end of {last_day} ({zone}). "
    "{counted} If you still want it cancelled, please tell us.",
    "de": "Ihre Anfrage zu {to_order} war rechtzeitig: Storniert werden konnte bis {last_day}, 24 Uhr ({zone}). "
    "{counted} Falls Sie die Stornierung noch wünschen, sagen Sie uns bitte Bescheid.",
}
"""For a request that was made in time, if its window has ended since."""

_SAID = {
    "en": {
        "order": ("your order", "your order {}"),
        "to_order": ("your order", "your order {}"),
        "counted": "The window is {length} after {service_day}, the day on which the service was "
        "provided{passed_over}.",
        "passed_over": "; not counted: {}",
        "on": "{name} ({date})",
        "cancelled": "Your order {order} is cancelled. Please note the reference: {reference}.",
    },
    "de": {
        "order": ("Ihre Bestellung", "Ihre Bestellung {}"),
        "to_order": ("Ihrer Bestellung", "Ihrer Bestellung {}"),
        "counted": "Die Frist beträgt {length} nach {service_day}, dem Tag der Leistung{passed_over}.",
        "passed_over": "; nicht mitgezählt: {}",
        "on": "{name} ({date})",
        "cancelled": "Ihre Bestellung {order} ist storniert. Bitte notieren Sie das Aktenzeichen: {reference}.",
    },
}


def spoken_words(outcome: Outcome, language: str, reference: str = "", *, ended: bool = False) -> str:
    """What an agent says about a decision.

    `reference` is that of the cancellation that the order already has; `ended` is whether the window has ended since.
    """
    text = _SPOKEN_THEN[language] if _was_in_time(outcome, ended) else _SPOKEN[language][outcome.reason]
    return text.format(**outcome_words(outcome, language), reference=reference)


def written_words(
    outcome: Outcome, language: str, order_id: str | None = None, reference: str = "", *, ended: bool = False
) -> str:
    """What an agent writes about a decision, in a paragraph; parameters as in `spoken_words`."""
    said = _SAID[language]
    named = {name: said[name][order_id is not None].format(order_id) for name in ("order", "to_order")}
    words = outcome_words(outcome, language)
    passed_over = ", ".join(_passed_over(outcome, language))
    counted = str(said["counted"]).format(
        **words, passed_over=str(said["passed_over"]).format(passed_over) if passed_over else ""
    )
    form = _WRITTEN_THEN[language] if _was_in_time(outcome, ended) else _WRITTEN[language][outcome.reason]
    text = form.format(**words, **named, counted=counted, reference=reference)
    return text[0].upper() + text[1:]


def _was_in_time(outcome: Outcome, ended: bool) -> bool:
    return ended and outcome.reason is Reason.WITHIN_WINDOW


def cancelled_words(order_id: str, reference: str, language: str) -> str:
    """What an agent says when an order is cancelled; they read the reference digit by digit."""
    return str(_SAID[language]["cancelled"]).format(order=order_id, reference=reference)


def _passed_over(outcome: Outcome, language: str) -> Iterator[str]:
    """The public holidays and closures in a window, each with its date."""
    for day in outcome.days:
        if day.status is DayStatus.SKIPPED and day.why in {SkipReason.PUBLIC_HOLIDAY, SkipReason.CLOSURE}:
            name = why_text(day.date, day.why, outcome.region, language)
            yield str(_SAID[language]["on"]).format(name=name, date=date_text(day.date, language))
