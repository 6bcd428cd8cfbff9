"""The texts of the console outside its templates: for errors of fields, problems and codes.

They are in English here and in the other languages in the catalogues. `refunds.presentation.texts` has the texts of
decisions and records.
"""

from collections.abc import Mapping

from flask_babel import LazyString
from flask_babel import lazy_gettext as _

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Role
from refunds.domain.records import Basis, Intent, RevocationReason, State
from refunds.domain.terms import TimelyBy
from refunds.errors import PAYMENT_DATA, CalendarNotCovered, FieldError
from refunds.service.demonstration import Shows

NAMES: Mapping[str, LazyString] = {
    "console.check": _("Check"),
    "console.open_requests": _("Open"),
    "console.recent": _("Recent"),
    "console.policies": _("Policies"),
    "console.journal": _("Journal"),
    Channel.PHONE: _("Phone"),
    Channel.EMAIL: _("E-mail"),
    Intent.CANCEL: _("Cancellation"),
    Intent.QUESTION: _("Question"),
    State.ISSUED: _("issued"),
    State.SETTLED: _("refunded"),
    State.REVOKED: _("revoked"),
    Basis.POLICY: _("the policy"),
    Basis.GOODWILL: _("goodwill"),
    RevocationReason.ENTERED_IN_ERROR: _("Entered in error"),
    RevocationReason.CUSTOMER_WITHDREW: _("The customer has changed his mind"),
    TimelyBy.RECEIVED: _("when it was received"),
    TimelyBy.SENT: _("when it was sent"),
    Role.BILLING: _("Billing"),
    Role.AGENT: _("Agent"),
    Role.SUPERVISOR: _("Supervisor"),
    Role.PRODUCT: _("Product"),
    Role.PRIVACY: _("Privacy"),
    Role.AUDITOR: _("Auditor"),
    Role.OPERATOR: _("Operator"),
    Role.ADMIN: _("Administrator"),
    Shows.YESTERDAY: _("provided yesterday"),
    Shows.ABOUT_TO_END: _("the window is about to end"),
    Shows.JUST_ENDED: _("the window has just ended"),
    Shows.ENDED_LONG_AGO: _("the window ended long ago"),
    Shows.NOT_YET: _("not yet provided"),
}
"""The names of codes."""

_MOMENT = _("Write the date and the time, such as 8.4.2026 23:05, yesterday 17:40, or 14:05 for today.")
_POINT = _("Write a telephone number with + and its country code, or an e-mail address.")
_EXPECTED: Mapping[str, LazyString] = {
    "q": _("Write an order number, a cancellation reference or a customer number: one line."),
    "received_at": _MOMENT,
    "sent_at": _MOMENT,
    "provided_on": _("Write the date, such as 8.4.2026, 8 April or yesterday."),
    "region": _("There is no such region. Write DE for Germany, DE-BY for Bavaria, AT for Austria."),
    "channel": _("Choose phone or e-mail."),
    "contact_point": _POINT,
    "from_detail": _POINT,
    "ticket_ref": _("Write the ticket in one line of at most 100 characters."),
    "note": _("Write at most 2000 characters, with a letter or a digit among them."),
    "reason": _("Write the reason in at most 500 characters, with a letter or a digit among them."),
    "reason_code": _("Choose one of the reasons."),
    "window_business_days": _("Write a whole number from 1 to 366."),
    "business_week": _("Choose one of the weeks."),
    "timely_by": _("Choose one of the two."),
}
"""What a field expects, by its name."""

_WRONG: Mapping[str, LazyString] = {
    PAYMENT_DATA: _(
        "This looks like the number of a card or of a bank account. Leave it out: it is not needed to cancel. If it is "
        "a telephone number, begin with + and the country code."
    ),
    "required": _("Fill this in."),
    "repeated": _("Send this once."),
    "impossible_time": _(
        "This time cannot be: it lies in the future, long before the order, or the message was sent after it arrived."
    ),
    "time_missing": _("Add the time, such as 8.4.2026 23:05."),
    "time_skipped": _("There was no such time on that day: the clocks were put forward over it."),
    "not_found": _(
        "Nothing has this number. Compare it digit by digit with what the customer says; try the cancellation "
        "reference or the customer number; or check by the date of the service, below."
    ),
    "evidence": _(
        "The customer made contact before the deadline and it is entered after it: name the ticket of the call or "
        "e-mail that shows it."
    ),
    "ambiguous_region": _("That could be a country, or a part of this one: write a part as in DE-BY."),
    "misheard": _("The check digit of this reference does not fit: one of its digits was misheard or mistyped."),
    "calendar-not-covered": _("The holidays of that year are not known, and none are made up. Check the year."),
    "no-policy-in-force": _("No version of the policy was in force then. Check the date."),
    "unchanged": _("That is what the policy says already: choose something else."),
}
"""What is wrong, by the code of the field error. It takes precedence over what the field expects."""


def field_error_text(field_error: FieldError) -> str:
    """What to do about a field error, by its code or else by the last step of its pointer, the field's name."""
    name = field_error.pointer.rpartition("/")[2]
    code = "evidence" if (name, field_error.code) == ("ticket_ref", "required") else field_error.code
    return str(_WRONG.get(code) or _EXPECTED.get(name) or _WRONG_SOMEHOW)


_WRONG_SOMEHOW = _("This does not fit: check it, and send it again.")

_PROBLEMS: Mapping[str, tuple[LazyString, LazyString]] = {
    "not-found": (
        _("There is nothing here"),
        _("What you are looking for does not exist, or its address is misspelt. Search for the order."),
    ),
    "forbidden": (
        _("This is not for you to do"),
        _("Your role does not include it, or the time for it is over. Ask a supervisor."),
    ),
    "contact-state-conflict": (
        _("The request is no longer what you saw"),
        _("Somebody has dealt with it meanwhile, or it asks for nothing. Look at the history of the order."),
    ),
    "cancellation-state-conflict": (
        _("The cancellation is no longer what you saw"),
        _("It has been refunded or revoked meanwhile. Look at the history of the order."),
    ),
    "idempotency-key-reused": (
        _("This form has been sent before, with other entries"),
        _("What was sent first is on record. Look at the history of the order; to enter something else, begin anew."),
    ),
    "calendar-not-covered": (
        _("The holidays of that year are not known"),
        _("A window there cannot be counted, and no holidays are made up. Check the date."),
    ),
    "no-policy-in-force": (
        _("No policy was in force then"),
        _("The service was provided before the first version of the policy took effect. Check the date."),
    ),
    "rate-limited": (
        _("Too much at once"),
        _("Wait a moment, and try again."),
    ),
    "storage-unavailable": (
        _("The records cannot be reached"),
        _(
            "Try again in a moment. What you sent was not recorded, or it is not known whether it was: look before "
            "you send it again."
        ),
    ),
    "internal-error": (
        _("The service has failed"),
        _("It was not your fault. If it happens again, tell the operator the number below."),
    ),
}
_NOT_UNDERSTOOD = (
    _("The service cannot make anything of this"),
    _("Go back, reload the page, and try again."),
)


def problem_words(slug: str, error: Exception) -> tuple[str, str]:
    """The title of a problem, and what to do about it."""
    title, fix = _PROBLEMS.get(slug, _NOT_UNDERSTOOD)
    if isinstance(error, CalendarNotCovered):
        covered = _(
            "The data of this region covers %(first)s to %(last)s.", first=error.first.year, last=error.last.year
        )
        return str(title), f"{fix} {covered}"
    return str(title), str(fix)
