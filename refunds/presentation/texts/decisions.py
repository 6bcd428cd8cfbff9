"""Decisions in words, in the reader's language.

Codes do not depend on the language; texts are made when someone reads them. Only the names of holidays are stored.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from refunds.domain.business_days import Day, DayStatus, SkipReason
from refunds.domain.contact_points import Channel
from refunds.domain.holidays_data import holiday_name
from refunds.domain.outcomes import NO_NAMES, Names, Notice, Outcome, Reason, ToldWindow, Verdict
from refunds.domain.records import Basis, RevocationReason
from refunds.domain.resolutions import ResolutionReason
from refunds.domain.withdrawals import InformationPeriod
from refunds.errors import Message
from refunds.presentation.language import language, translate, translate_number
from refunds.presentation.texts.dates import business_days_text, date_text, moment_text, zone_text

Texts = dict[Reason | Notice, Message]

_CHANNEL = {
    Channel.PHONE: Message("by telephone"),
    Channel.EMAIL: Message("by e-mail"),
    Channel.WEB: Message("through the website"),
    Channel.POST: Message("by post"),
}

BASIS: Mapping[str, Message] = {
    Basis.POLICY: Message("the policy"),
    Basis.GOODWILL: Message("goodwill"),
    Basis.STATUTORY: Message("statutory withdrawal"),
}

CLOSINGS: Mapping[str, Message] = {
    RevocationReason.ENTERED_IN_ERROR: Message("Entered in error"),
    **dict.fromkeys(
        (RevocationReason.CUSTOMER_KEPT_ORDER, RevocationReason.CUSTOMER_WITHDREW),
        Message("The customer keeps the order"),
    ),
    ResolutionReason.DUPLICATE: Message("A duplicate of another request"),
    ResolutionReason.ANSWERED_IN_WRITING: Message("Answered in writing"),
    ResolutionReason.OTHER: Message("Another reason"),
}
"""Why a cancellation was revoked, or a request resolved."""

_REASON: Texts = {
    Reason.ORDER_ALREADY_CANCELLED: Message("The order has already been cancelled."),
    Reason.CHANNEL_NOT_ACCEPTED: Message("Under this policy an order cannot be cancelled %(channel)s."),
    Reason.UNOFFICIAL_CONTACT_POINT: Message(
        "The customer did not use one of the vendor's official contact points. The contact counts once a supervisor "
        "accepts it."
    ),
    Reason.SERVICE_NOT_YET_PROVIDED: Message(
        "The service had not been provided when the customer asked, so the order can be cancelled."
    ),
    Notice.NO_SERVICE_DATE: Message("No date of provision is on record, so the order can be cancelled."),
    Reason.WITHDRAWAL_NEEDS_SUPERVISOR: Message(
        "The customer declares a statutory withdrawal, which does not depend on the contractual window: a supervisor "
        "decides."
    ),
    Reason.WINDOW_ELAPSED: Message("The contractual window ended at the end of %(last_day)s (%(zone)s)."),
    Reason.CALENDAR_UNKNOWN: Message("The holidays of the days in question are not known."),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: Message(
        "The contact was made in time but entered more than %(late_entry_days)s later: a supervisor must enter it."
    ),
    Reason.WITHIN_WINDOW: Message("The order can be cancelled until the end of %(last_day)s (%(zone)s)."),
}

_HEADLINE: Texts = {
    Reason.ORDER_ALREADY_CANCELLED: Message("Already cancelled"),
    Reason.CHANNEL_NOT_ACCEPTED: Message("A cancellation is not accepted %(channel)s"),
    Reason.UNOFFICIAL_CONTACT_POINT: Message("A supervisor must accept the contact point first"),
    Reason.SERVICE_NOT_YET_PROVIDED: Message("Can be cancelled: the service has not been provided yet"),
    Notice.NO_SERVICE_DATE: Message("Can be cancelled: no date of provision is on record"),
    Reason.WITHDRAWAL_NEEDS_SUPERVISOR: Message("A withdrawal: a supervisor must decide"),
    Reason.WINDOW_ELAPSED: Message("The contractual window ended at the end of %(last_day)s (%(zone)s)"),
    Reason.CALENDAR_UNKNOWN: Message("A supervisor must decide whether the request is in time"),
    Reason.LATE_ENTRY_NEEDS_SUPERVISOR: Message("Made in time, but a supervisor must enter it"),
    Reason.WITHIN_WINDOW: Message("Can be cancelled until the end of %(last_day)s (%(zone)s)"),
}
_HEADLINE_THEN: Texts = {
    Reason.SERVICE_NOT_YET_PROVIDED: Message("Can be cancelled: the customer asked before the service was provided"),
    Reason.WITHIN_WINDOW: Message(
        "Can be cancelled: the request was in time, before the end of %(last_day)s (%(zone)s)"
    ),
}
"""For a request that was made in time, if its window has ended, or the service was provided, since."""

_VERDICT = {
    Verdict.CANCELLABLE: Message("Can be cancelled"),
    Verdict.NEEDS_SUPERVISOR: Message("Needs a supervisor"),
    Verdict.REFUSED: Message("Refused"),
}

_NOTICE = {
    Notice.CONTACT_POINT_UNCHECKED: Message("No official contact point is known to compare with: it was not checked."),
    Notice.REGION_AS_COUNTRY: Message(
        "The holiday data has nothing on the named region itself: its country was counted."
    ),
    Notice.NATIONWIDE_HOLIDAYS_ONLY: Message(
        "Only nationwide holidays were counted: parts of the country have others, too."
    ),
    Notice.CALENDAR_PROVISIONAL: Message(
        "Part of this window is in a year whose holidays and working weekends are not decreed yet: its end may move."
    ),
    Notice.ESTIMATED_HOLIDAY: Message("The date of a holiday in or next to this window is an estimate."),
    Notice.NO_SERVICE_DATE: Message("No date of provision is on record."),
    Notice.FACTS_CORRECTED_AFTER_REFUSAL: Message("The facts of the order were corrected after a request was refused."),
    Notice.PROMISE_KEPT: Message(
        "The promised window stands: today's calendar would be worse for the customer, or does not cover it."
    ),
    Notice.TOLD_BEFORE_CORRECTION: Message(
        "The customer was told a later end before the facts of the order were corrected."
    ),
    Notice.DEADLINE_ACCEPTED: Message("A supervisor accepted that the request was in time."),
    Notice.STATUTORY_RIGHTS_NOT_ASSESSED: Message("Statutory rights were not assessed."),
}

_OF_A_CALENDAR: Texts = {
    Notice.CALENDAR_PROVISIONAL: Message(
        "The holidays and working weekends of these dates are not all decreed yet: they may change."
    ),
    Notice.ESTIMATED_HOLIDAY: Message("The date of a holiday in or next to these dates is an estimate."),
}
"""Notices in other words if they are about dates, and not about a window."""

_DAY = {
    DayStatus.SERVICE_DAY: Message("service provided, does not count"),
    DayStatus.LAST_DAY: Message("the window ends"),
    SkipReason.WEEKEND: Message("weekend"),
    SkipReason.PUBLIC_HOLIDAY: Message("public holiday"),
    SkipReason.CLOSURE: Message("the vendor is closed"),
}


def why_data(day: date, why: SkipReason, region: str, names: Names = NO_NAMES) -> dict[str, str]:
    """Return why a date does not count, for the API: a code and, for a public holiday, its name with its language.

    The name is that recorded in `names`, in the reader's or another language, else that of today's data, if it has one.
    """
    named = None
    if why is SkipReason.PUBLIC_HOLIDAY:
        kept = names.get(day, {})
        named = kept.get(language()) or next(iter(kept.values()), None) or holiday_name(region, day, language())
    return {"why": why} | ({"name": named[0], "name_language": named[1]} if named else {})


def reason_text(outcome: Outcome) -> str:
    """Return the reason of a decision as a sentence, or the sentence of a notice that replaces it.

    Such a notice says that a deadline was accepted, that the service has no date, or that the customer was told a later
    end before the calendar was corrected.
    """
    if outcome.eligible and Notice.DEADLINE_ACCEPTED in outcome.notices:
        return notice_text(Notice.DEADLINE_ACCEPTED)
    answer = text_key(outcome)
    if answer is Reason.CALENDAR_UNKNOWN is not outcome.reason:
        return notice_text(Notice.TOLD_BEFORE_CORRECTION)
    return translate(_REASON[answer], **outcome_words(outcome))


_ANSWERS: dict[tuple[Reason, Notice], Reason | Notice] = {
    (Reason.WINDOW_ELAPSED, Notice.TOLD_BEFORE_CORRECTION): Reason.CALENDAR_UNKNOWN,
    (Reason.SERVICE_NOT_YET_PROVIDED, Notice.NO_SERVICE_DATE): Notice.NO_SERVICE_DATE,
}


def text_key(outcome: Outcome, *, ended: bool = False) -> Reason | Notice:
    """Return the reason or notice whose texts are shown for a decision: its reason, unless a notice replaces it.

    If `ended` (the window has ended since the request), the notice `NO_SERVICE_DATE` replaces nothing.
    """
    for notice in outcome.notices:
        if (outcome.reason, notice) in _ANSWERS and not (ended and notice is Notice.NO_SERVICE_DATE):
            return _ANSWERS[outcome.reason, notice]
    return outcome.reason


def headline(outcome: Outcome, *, ended: bool = False) -> str:
    """Return the decision as a heading: whether the order is refundable, and until when.

    `ended`: the window has ended, or the service was provided, since the request; then the past tense is used.
    """
    texts = _HEADLINE | _HEADLINE_THEN if ended else _HEADLINE
    text = translate(texts[text_key(outcome, ended=ended)], **outcome_words(outcome))
    return text[0].upper() + text[1:]


def request_on_record_text(outcome: Outcome) -> str:
    """Return a heading that says that an open request was made in time, when and by which channel.

    The outcome is that of the request, which has a channel.
    """
    assert outcome.channel
    at = moment_text(outcome.requested_at, outcome.time_zone)
    return translate("A request was made in time: %(at)s, %(channel)s", at=at, channel=channel_text(outcome.channel))


def outcome_words(outcome: Outcome) -> dict[str, Any]:
    """Return the values that fill the sentences about a decision, by name; without a window, its values are empty."""
    window = outcome.window
    return {
        "service_day": date_text(window.service_day) if window else "",
        "last_day": date_text(window.last_day) if window else "",
        "length": business_days_text(window.length) if window else "",
        "zone": zone_text(outcome.time_zone),
        "channel": channel_text(outcome.channel) if outcome.channel else translate("by telephone or by e-mail"),
        "late_entry_days": business_days_text(outcome.late_entry_days),
    }


def channel_text(channel: Channel) -> str:
    """Return the channel of a contact in words, as in "by telephone"."""
    return translate(_CHANNEL[channel])


def basis_text(basis: Basis) -> str:
    """Return the basis of a cancellation in words, such as "the policy" or "goodwill"."""
    return translate(BASIS[basis])


def closing_text(code: str) -> str:
    """Return why a cancellation was revoked, or a request resolved, in words."""
    return translate(CLOSINGS[code])


def information_text(period: InformationPeriod) -> str:
    """Return the sentence that says, for information only, when the 14 calendar days after the order end."""
    return translate(
        "For information only: 14 calendar days after the order end at the end of %(last_day)s (%(zone)s). Whether "
        "there is a statutory right of withdrawal was not assessed.",
        last_day=date_text(period.last_day),
        zone=zone_text(period.time_zone),
    )


def verdict_text(outcome: Outcome) -> str:
    """Return the verdict of a decision in a word or two, as in "Needs a supervisor"."""
    return translate(_VERDICT[outcome.verdict])


def left_text(outcome: Outcome, *, then: bool = False) -> str:
    """Return a sentence on how many business days were left at the request; empty if the window had ended or none ran.

    `then` says that the request was on an earlier date, and chooses the past tense.
    """
    left = outcome.business_days_left
    if left is None:
        return ""
    if left == 0:
        return translate("It was the last day.") if then else translate("Today is the last day.")
    if then:
        return translate_number("%(num)s more business day was left.", "%(num)s more business days were left.", left)
    return translate_number("Today and %(num)s more business day.", "Today and %(num)s more business days.", left)


def notice_text(notice: Notice) -> str:
    """Return a notice as a sentence."""
    return translate(_NOTICE[notice])


def calendar_notice_text(notice: Notice) -> str:
    """Return a notice as a sentence that also suits dates of a calendar, without a window."""
    return translate((_NOTICE | _OF_A_CALENDAR)[notice])


def day_text(day: Day, outcome: Outcome | ToldWindow) -> str:
    """Return the role of a date in the window of a decision or promise, in a few words; for a holiday, its name."""
    if day.status is DayStatus.COUNTED:
        assert outcome.window
        return translate("business day %(ordinal)s of %(length)s", ordinal=day.ordinal, length=outcome.window.length)
    return why_text(day.date, day.why, outcome.region, outcome.names) if day.why else translate(_DAY[day.status])


def why_text(day: date, why: SkipReason, region: str, names: Names = NO_NAMES) -> str:
    """Return why a date is not a business day, in a few words; for a public holiday, its name as in `why_data`."""
    return why_data(day, why, region, names).get("name") or translate(_DAY[why])
