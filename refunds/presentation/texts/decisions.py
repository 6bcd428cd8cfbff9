"""Decisions in words, in German and English.

Codes do not depend on the language; texts are made when someone reads them, never stored.
"""

from datetime import date
from typing import Any

from refunds.domain.business_days import Day, DayStatus, SkipReason
from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Notice, Outcome, Reason
from refunds.domain.holidays_data import holiday_name
from refunds.presentation.texts.dates import date_text, total_text, zone_text

_CHANNEL = {
    "en": {Channel.PHONE: "by telephone", Channel.EMAIL: "by e-mail"},
    "de": {Channel.PHONE: "per Telefon", Channel.EMAIL: "per E-Mail"},
}

_REASON = {
    "en": {
        Reason.ORDER_ALREADY_CANCELLED: "The order has already been cancelled.",
        Reason.CHANNEL_NOT_ACCEPTED: "Under this policy an order cannot be cancelled {channel}.",
        Reason.UNOFFICIAL_CONTACT_POINT: "The customer did not use one of the vendor's official contact points. "
        "The contact counts once a supervisor accepts it.",
        Reason.SERVICE_NOT_YET_PROVIDED: "The service had not been provided when the customer asked, so the order "
        "can be cancelled.",
        Reason.WINDOW_ELAPSED: "The contractual window ended at the end of {last_day} ({zone}).",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "The contact was made in time but entered more than "
        "{late_entry_days} business days later: a supervisor must enter it.",
        Reason.WITHIN_WINDOW: "The order can be cancelled until the end of {last_day} ({zone}).",
    },
    "de": {
        Reason.ORDER_ALREADY_CANCELLED: "Die Bestellung ist bereits storniert.",
        Reason.CHANNEL_NOT_ACCEPTED: "Nach diesen Bedingungen kann eine Bestellung nicht {channel} storniert werden.",
        Reason.UNOFFICIAL_CONTACT_POINT: "Der Kunde hat keinen der offiziellen Kontaktwege des Anbieters benutzt. "
        "Der Kontakt zählt, sobald die Teamleitung ihn anerkennt.",
        Reason.SERVICE_NOT_YET_PROVIDED: "Die Leistung war bei der Anfrage noch nicht erbracht, die Bestellung kann "
        "also storniert werden.",
        Reason.WINDOW_ELAPSED: "Die vertragliche Frist endete am {last_day}, um 24 Uhr ({zone}).",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Der Kontakt war rechtzeitig, wurde aber mehr als {late_entry_days} "
        "Werktage später eingetragen: Das muss die Teamleitung tun.",
        Reason.WITHIN_WINDOW: "Die Bestellung kann bis {last_day}, 24 Uhr ({zone}) storniert werden.",
    },
}

_HEADLINE = {
    "en": {
        Reason.ORDER_ALREADY_CANCELLED: "Already cancelled",
        Reason.CHANNEL_NOT_ACCEPTED: "Not refundable {channel}",
        Reason.UNOFFICIAL_CONTACT_POINT: "Not refundable before a supervisor accepts the contact point",
        Reason.SERVICE_NOT_YET_PROVIDED: "Refundable: the service has not been provided yet",
        Reason.WINDOW_ELAPSED: "Not refundable: the contractual window ended at the end of {last_day} ({zone})",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Received in time, but a supervisor must enter it",
        Reason.WITHIN_WINDOW: "Refundable until the end of {last_day} ({zone})",
    },
    "de": {
        Reason.ORDER_ALREADY_CANCELLED: "Bereits storniert",
        Reason.CHANNEL_NOT_ACCEPTED: "{channel} nicht erstattbar",
        Reason.UNOFFICIAL_CONTACT_POINT: "Erst erstattbar, wenn die Teamleitung den Kontaktweg anerkennt",
        Reason.SERVICE_NOT_YET_PROVIDED: "Erstattbar: Die Leistung ist noch nicht erbracht",
        Reason.WINDOW_ELAPSED: "Nicht erstattbar: Die vertragliche Frist endete am {last_day}, 24 Uhr ({zone})",
        Reason.LATE_ENTRY_NEEDS_SUPERVISOR: "Rechtzeitig eingegangen, aber die Teamleitung muss es eintragen",
        Reason.WITHIN_WINDOW: "Erstattbar bis {last_day}, 24 Uhr ({zone})",
    },
}

_HEADLINE_THEN = {
    "en": "Refundable: the request was in time, before the end of {last_day} ({zone})",
    "de": "Erstattbar: Die Anfrage war rechtzeitig, vor dem Ende der Frist am {last_day} ({zone})",
}
"""For a request that was made in time, if its window has ended since."""

_VERDICT = {
    "en": {True: "Refundable", False: "Not refundable"},
    "de": {True: "Erstattbar", False: "Nicht erstattbar"},
}
_LEFT = {
    "en": ("Today is the last day.", "Today and 1 more business day.", "Today and {left} more business days."),
    "de": ("Heute ist der letzte Tag.", "Heute und noch 1 Werktag.", "Heute und noch {left} Werktage."),
}

_LEFT_THEN = {
    "en": ("It was the last day.", "1 more business day was left.", "{left} more business days were left."),
    "de": ("Es war der letzte Tag.", "Danach blieb noch 1 Werktag.", "Danach blieben noch {left} Werktage."),
}

_NOTICE = {
    "en": {
        Notice.CONTACT_POINT_UNCHECKED: "No official contact point is known to compare with: it was not checked.",
        Notice.NATIONWIDE_HOLIDAYS_ONLY: "Only nationwide holidays were counted, as no subdivision was given.",
        Notice.ESTIMATED_HOLIDAY: "The date of a holiday in or next to this window is an estimate.",
        Notice.STATUTORY_RIGHTS_NOT_ASSESSED: "Statutory rights were not assessed.",
    },
    "de": {
        Notice.CONTACT_POINT_UNCHECKED: "Es ist kein offizieller Kontaktweg zum Vergleich bekannt: nicht geprüft.",
        Notice.NATIONWIDE_HOLIDAYS_ONLY: "Nur landesweite Feiertage wurden gezählt, da kein Landesteil angegeben war.",
        Notice.ESTIMATED_HOLIDAY: "Das Datum eines Feiertags in oder neben dieser Frist ist geschätzt.",
        Notice.STATUTORY_RIGHTS_NOT_ASSESSED: "Gesetzliche Rechte wurden nicht geprüft.",
    },
}

_DAY = {
    "en": {
        DayStatus.SERVICE_DAY: "service provided, does not count",
        DayStatus.LAST_DAY: "the window ends",
        SkipReason.WEEKEND: "weekend",
        SkipReason.PUBLIC_HOLIDAY: "public holiday",
        SkipReason.CLOSURE: "the vendor is closed",
    },
    "de": {
        DayStatus.SERVICE_DAY: "Leistung erbracht, zählt nicht mit",
        DayStatus.LAST_DAY: "die Frist endet",
        SkipReason.WEEKEND: "Wochenende",
        SkipReason.PUBLIC_HOLIDAY: "Feiertag",
        SkipReason.CLOSURE: "Anbieter geschlossen",
    },
}
_COUNTED = {"en": "business day {ordinal} of {length}", "de": "Werktag {ordinal} von {length}"}


def why_data(day: date, why: SkipReason, region: str, language: str) -> dict[str, str]:
    """Why a date does not count; with the name of a public holiday, if the data still has one."""
    named = holiday_name(region, day, language) if why is SkipReason.PUBLIC_HOLIDAY else None
    return {"why": why} | ({"name": named[0], "name_language": named[1]} if named else {})


def reason_text(outcome: Outcome, language: str) -> str:
    """The reason of a decision as a sentence."""
    return _REASON[language][outcome.reason].format(**outcome_words(outcome, language))


def headline(outcome: Outcome, language: str, *, ended: bool = False) -> str:
    """The decision as a heading: whether the order is refundable, and until when; in the past if that has `ended`."""
    then = ended and outcome.reason is Reason.WITHIN_WINDOW
    said = (_HEADLINE_THEN[language] if then else _HEADLINE[language][outcome.reason]).format(
        **outcome_words(outcome, language)
    )
    return said[0].upper() + said[1:]


def outcome_words(outcome: Outcome, language: str) -> dict[str, Any]:
    """The values that sentences about a decision are filled with."""
    window = outcome.window
    return {
        "service_day": date_text(window.service_day, language) if window else "",
        "last_day": date_text(window.last_day, language) if window else "",
        "length": total_text(window.length, language) if window else "",
        "zone": zone_text(outcome.time_zone, language),
        "channel": _CHANNEL[language][outcome.channel] if outcome.channel else "",
        "late_entry_days": outcome.late_entry_days,
    }


def channel_text(channel: Channel, language: str) -> str:
    """The channel of a contact, as in "by telephone"."""
    return _CHANNEL[language][channel]


def verdict(outcome: Outcome, language: str) -> str:
    """The decision in a word or two."""
    return _VERDICT[language][outcome.eligible]


def left_text(outcome: Outcome, language: str, *, then: bool = False) -> str:
    """How much of the window is left, or was left `then`; empty if no window runs yet or any more."""
    left = outcome.business_days_left
    if left is None:
        return ""
    return (_LEFT_THEN if then else _LEFT)[language][min(left, 2)].format(left=left)


def notice_text(notice: Notice, language: str) -> str:
    """A notice as a sentence."""
    return _NOTICE[language][notice]


def day_text(day: Day, length: int, region: str, language: str) -> str:
    """The role of a date in a window of `length` business days, in a few words."""
    if day.status is DayStatus.COUNTED:
        return _COUNTED[language].format(ordinal=day.ordinal, length=length)
    return why_text(day.date, day.why, region, language) if day.why else _DAY[language][day.status]


def why_text(day: date, why: SkipReason, region: str, language: str) -> str:
    """Why a date is not a business day; a holiday by its name."""
    return why_data(day, why, region, language).get("name") or _DAY[language][why]
