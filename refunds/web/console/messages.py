"""The texts of the console outside its templates: for errors of fields, problems and codes.

`refunds.presentation.texts` has the texts of decisions and records.
"""

from collections.abc import Mapping

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestChannel, ErasureReason
from refunds.domain.records import Intent, State
from refunds.domain.resolutions import ReopeningReason
from refunds.domain.terms import TimelyBy
from refunds.errors import (
    PAYMENT_DATA,
    CalendarNotCovered,
    ContactStateConflict,
    FieldError,
    Message,
    StateConflict,
    message_pair,
)
from refunds.presentation.language import translate
from refunds.presentation.texts.dates import region_text
from refunds.presentation.texts.decisions import BASIS, CLOSINGS
from refunds.presentation.texts.privacy import BASES, FEES, KINDS, OUTCOMES, PERSONAL_FIELDS, REASONS, TABLES
from refunds.service.demonstration import Shows
from refunds.service.queue import Tab
from refunds.web.console.conflicts import CONFLICTS

NAMES: Mapping[str, Message] = {
    "console.check": Message("Check"),
    "console.open_requests": Message("Open"),
    "console.all_cancellations": Message("Cancellations"),
    "console.recent": Message("Recent"),
    "console.data_requests_due": Message("Data requests"),
    "console.policies": Message("Policies"),
    "console.statistics": Message("Statistics"),
    "console.journal": Message("Journal"),
    Channel.PHONE: Message("Phone"),
    Channel.EMAIL: Message("E-mail"),
    Channel.WEB: Message("Website"),
    Channel.POST: Message("Post"),
    DataRequestChannel.ACCOUNT: Message("Account"),
    Intent.CANCEL: Message("Cancellation"),
    Intent.QUESTION: Message("Question"),
    Intent.WITHDRAWAL: Message("Withdrawal"),
    State.ISSUED: Message("issued"),
    State.REFUNDING: Message("refund begun"),
    State.SETTLED: Message("refunded"),
    State.REVOKED: Message("revoked"),
    **BASIS,
    **KINDS,
    **OUTCOMES,
    **BASES,
    **FEES,
    "none": Message("No fee"),
    ErasureReason.REQUEST: Message("The person asks for it"),
    ErasureReason.ACCOUNT_DELETED: Message("The account was deleted"),
    ErasureReason.CHILD: Message("It is a child: do not wait"),
    "next.identity": Message("Make sure who asks"),
    "next.erased": Message("Record that they were erased"),
    "next.nothing_held": Message("Answer that nothing is held"),
    **dict.fromkeys(("next.access", "next.portability"), Message("Hand over the export")),
    "next.rectification": Message("Correct what is wrong"),
    "next.erasure": Message("Erase"),
    "next.restriction": Message("Restrict the use of the data"),
    "next.objection": Message("Note the objection"),
    "order_id": Message("Order number"),
    "given_at": Message("Answered"),
    "said.say": Message("To say"),
    "said.write": Message("To write"),
    "said.asks": Message("To write: they ask"),
    "said.cancels": Message("To write: they cancel"),
    **TABLES,
    **PERSONAL_FIELDS,
    "to": PERSONAL_FIELDS["acknowledged_to"],
    "received_at": Message("Received"),
    "sent_at": Message("Sent, if it was in writing"),
    "contact_point": Message("Our number or address that was used"),
    **CLOSINGS,
    ReopeningReason.CUSTOMER_ASKED_AGAIN: Message("The customer asks for it after all"),
    TimelyBy.RECEIVED: Message("when it was received"),
    TimelyBy.SENT: Message("when it was sent"),
    Role.BILLING: Message("Billing"),
    Role.AGENT: Message("Agent"),
    Role.SUPERVISOR: Message("Supervisor"),
    Role.PRODUCT: Message("Product"),
    Role.PRIVACY: Message("Privacy"),
    Role.AUDITOR: Message("Auditor"),
    Role.OPERATOR: Message("Operator"),
    Role.ADMIN: Message("Administrator"),
    Tab.IN_TIME: Message("In time"),
    Tab.NEEDS_SUPERVISOR: Message("Needs a supervisor"),
    Tab.TOO_LATE: Message("Too late"),
    Tab.UNMATCHED: Message("Not matched to an order"),
    Tab.WITHDRAWALS: Message("Withdrawals"),
    Tab.WITHOUT_DATE: Message("Without a service date"),
    Shows.YESTERDAY: Message("provided yesterday"),
    Shows.ABOUT_TO_END: Message("the window is about to end"),
    Shows.JUST_ENDED: Message("the window has just ended"),
    Shows.ENDED_LONG_AGO: Message("the window ended long ago"),
    Shows.NOT_YET: Message("no service date on record"),
}
"""The names of codes."""

_MOMENT = Message(
    "Write a date that exists and the time, such as 8.4.2026 23:05, Friday 18:40, yesterday 17:40 or 14:05."
)
_POINT = Message("Write a telephone number with + and its country code, as in +43 664 1234567, or an e-mail address.")
_NOT_UTF_8 = Message("This is not text in UTF-8: save it so, as a text file, and choose it again.")
_WHY_CLOSED = Message("Write the reason in at most 200 characters, with a letter or a digit among them.")
_EXPECTED: Mapping[str, Message] = {
    "q": Message("Write an order number, a reference, a request number or a customer number: one line."),
    "search": Message("Write a number, a telephone number, an e-mail address or a ticket, in one line."),
    "received_at": _MOMENT,
    "sent_at": _MOMENT,
    "provided_on": Message("Write a date that exists, such as 8.4.2026, 8 April or yesterday."),
    "order_hint": Message("Write what the customer said of the order, in one line of at most 200 characters."),
    "order_id": Message("Write the number of the order, in one line."),
    "region": Message("There is no such region. Write its name or its code, such as Bavaria, DE-BY or Austria."),
    "channel": Message("Choose one of the ways."),
    **dict.fromkeys(("contact_point", "from_detail", "acknowledged_to"), _POINT),
    "to": Message(
        "Write where it went: a telephone number with + and its country code or an e-mail address, as was chosen."
    ),
    "given_at": _MOMENT,
    **dict.fromkeys(
        ("issued_from", "issued_to", "due_from", "due_to"), Message("Write a date that exists, such as 8.4.2026.")
    ),
    "duplicate_of": Message("Choose the other request: it must be about this order, and in time if this one was."),
    "ticket_ref": Message("Write the ticket in one line of at most 100 characters."),
    "note": Message("Write at most 2000 characters, with a letter or a digit among them."),
    **dict.fromkeys(
        (*REASONS, "correction_reason"),
        Message("Write the reason in at most 500 characters, with a letter or a digit among them."),
    ),
    "billing_ref": Message("Write billing's reference in one line of at most 100 characters."),
    "reference": Message("Write the file number in at most 500 characters."),
    "identity_check": Message("Write how it was checked, in at most 500 characters."),
    "customer_ref": Message("Write the customer number, in one line."),
    "recipient": Message("Write who gets the data, in one line."),
    "anyway": Message("Write why, in one line of at most 200 characters, without names."),
    "kind": Message("Choose what the person asks for."),
    "reason_code": Message("Choose one of the reasons."),
    "window_business_days": Message("Write a whole number from 1 to 366."),
    "business_week": Message("Choose one of the weeks."),
    "timely_by": Message("Choose one of the two."),
    "file": _NOT_UTF_8,
    "draft": Message("Write the text of a policy file."),
    "date": Message("Write a date that exists, such as 2026-12-24."),
    "reason_de": _WHY_CLOSED,
    "reason_en": _WHY_CLOSED,
    "type": Message("Choose one of the list."),
    "actor": Message("Write the id of a user or of a client, in one line."),
    "since": _MOMENT,
    "until": _MOMENT,
}
"""What a field expects, by its name."""

_WRONG: Mapping[str, Message] = {
    PAYMENT_DATA: Message(
        "This looks like the number of a card or of a bank account. Leave it out: it is not needed. If it is a "
        "telephone number, begin with + and the country code."
    ),
    "required": Message("Fill this in."),
    "repeated": Message("Send this once."),
    "impossible_time": Message(
        "This time cannot be: it lies in the future or too long ago, or the message was sent after it arrived."
    ),
    "impossible_answer": Message("This time cannot be: it lies in the future, or before the customer made contact."),
    "opened_long_ago": Message(
        "This page has been open for more than 15 minutes: look at the time of receipt, correct it if need be, and "
        "send it again."
    ),
    "ambiguous_time": Message(
        "That can mean more than one time: write the date with the name of its month, and the time with a colon, as in "
        "8 April 2026 23:05."
    ),
    "time_missing": Message("Add the time, such as 8.4.2026 23:05."),
    "time_given": Message("Write the date without a time, such as 8.4.2026: only whole days count."),
    "time_skipped": Message(
        "There was no such time on that day: the clocks were put forward over it. If the customer's clock had not been "
        "put forward yet, it was %(instead)s: write that, or ask for the time again."
    ),
    "time_twice": Message(
        "The clocks showed this time twice, as they were put back. Ask whether it was before or after that: add "
        "%(first)s for the first time, or %(last)s for the second."
    ),
    "not_found": Message(
        "Nothing has this number. Compare it digit by digit with what the customer says, search for a part of it at "
        "the top of the page, or try the cancellation reference or the customer number."
    ),
    "nothing_found": Message(
        "Nothing was found. Write at least four letters of a number. The beginning of an order number is found in all "
        "orders; any other part, only in the newest orders and requests."
    ),
    "fits_none": Message(
        "None of these orders fits. Write a part of the order number, the day of the service or the region."
    ),
    "two_meanings": Message("This can be a day or a region. Write it out: Friday, or the name of the region."),
    "unknown_order": Message(
        "Nothing has this number, or a customer who has several orders. If billing has not sent the order yet, match "
        "it when it has."
    ),
    "other_customer": Message(
        "Another customer has this number. Nothing was changed: an operator moves single orders to them with flask "
        "privacy rectify."
    ),
    "other_order": Message("This order was placed long after the customer made contact: it must be another one."),
    "date_out_of_range": Message("Choose a date that is at most five years away."),
    "ticket_ref_required": Message(
        "The customer made contact before the deadline and it is entered after it: name the ticket of the call or "
        "e-mail that shows it."
    ),
    "ambiguous_region": Message(
        "That can be more than one: write a part of a country by its code, as in DE-BY, and a country as in "
        "Belgium (BE)."
    ),
    "impossible_number": Message(
        "There is no such number. Without a country code it is read as one of this country: %(country)s. Write it with "
        "+ and its country code, as in +43 664 1234567."
    ),
    "misheard": Message(
        "Nothing has this number. If it is a reference or the number of a request, a digit was misheard or mistyped: "
        "its check digit does not fit."
    ),
    "calendar-not-covered": Message("The holidays of that year are not known, and none are made up. Check the year."),
    "no-policy-in-force": Message("No version of the policy was in force then. Check the date."),
    "taken": Message("%(name)s was quicker and deals with it. Nothing was changed; a supervisor can assign it to you."),
    "left": Message(
        "This colleague has left or does not deal with requests. Nothing was changed: choose somebody else."
    ),
    "ticked": Message("Tick at least one request, and at most 200."),
    "contradiction": Message("Nothing can fit this and the other fields: change one of them."),
    "unchanged_fields": Message("Nothing is changed: change what is wrong."),
    "password_unauthenticated": Message("This is not your password. Nothing was changed."),
    "password_rate-limited": Message("There were too many attempts: wait a quarter of an hour. Nothing was changed."),
    "not_offered": Message("The password was not made by the service. Take the one that is shown now."),
    "not_utf_8": _NOT_UTF_8,
    "too_large": Message("This is too large: at most 256 kB can be sent. Nothing of it was read."),
    "when": Message("When does it take effect? Write effective_from in the text, or tick this."),
    "now_or_then": Message("The text has an effective_from: untick this, or remove that line."),
    "not_as_shown": Message("Something has changed since this was shown. Look at it again: nothing was done."),
    "unchanged": Message("That is what the policy says already: choose something else."),
}
"""What is wrong, by the code of the field error. It takes precedence over what the field expects."""


def field_error_text(field_error: FieldError) -> str:
    """Return what to do about a field error, in the reader's language: by its code, or else by the field's name.

    If neither is known, the text is general advice; an error in a draft keeps its own detail. The field's name is the
    last step of the pointer, without the table and id of a record before it. The text is filled with the
    values of the detail.
    """
    name, code = field_error.pointer.rpartition("/")[2].rpartition(":")[2], field_error.code
    if code == "in_draft":
        return translate(field_error.detail)
    if name == "conflict":
        return _conflict_text(code, field_error.detail)
    text = _WRONG.get(f"{name}_{code}") or _WRONG.get(code) or _EXPECTED.get(name) or _WRONG_SOMEHOW
    values = dict(field_error.detail.values)
    if code == "impossible_number":
        values["country"] = region_text(str(values["country"]))
    return translate(text, **values)


_WRONG_SOMEHOW = Message("This does not fit: check it, and send it again.")

_PROBLEMS: Mapping[str, tuple[Message, Message]] = {
    "not-found": message_pair(
        "There is nothing here",
        "What you are looking for does not exist, or its address is misspelt. Search for the order.",
    ),
    "order-not-found": message_pair(
        "There is no such order",
        "No order is registered with this number. Compare it with the customer, or search again.",
    ),
    "forbidden": message_pair(
        "This is not for you to do",
        "Your role does not include it, or the time for it is over. Ask a supervisor.",
    ),
    "override-by-link": message_pair(
        "A link cannot choose that",
        "Whether to depart from a decision, and why, is chosen in the console itself. Search for the order.",
    ),
    "contact-state-conflict": message_pair(
        "The request is no longer what you saw", "Look at the history of the order."
    ),
    "cancellation-state-conflict": message_pair(
        "The cancellation is no longer what you saw",
        "Meanwhile it has been revoked, or billing has begun to refund it. Look at the history of the order.",
    ),
    "idempotency-key-reused": message_pair(
        "This form has been sent before, with other entries",
        "What was sent first is on record. Look at what is recorded; to enter something else, start over.",
    ),
    "data-request-state-conflict": message_pair(
        "The data request is answered already",
        "Somebody has dealt with it meanwhile. Look at it again; if the person asks for more, enter another.",
    ),
    "cannot-be-extended": message_pair(
        "The time to answer cannot be extended",
        "Only access, portability and objection can be, once, before the time is over, so that the person is told in "
        "time. Answer it as soon as you can.",
    ),
    "identity-not-checked": message_pair(
        "It is not on record who asks",
        "Make sure first who asks, and record how. Before, nothing is handed out or erased.",
    ),
    "customer-has-open-matters": message_pair(
        "The customer has open matters",
        "A request of theirs waits for an answer, a data request for its copy, or a refund for billing. Nothing was "
        "erased: deal with that first, or say below why it does not wait. The time to answer runs on.",
    ),
    "legal-hold": message_pair(
        "A legal hold keeps the customer's data",
        "Nothing was erased. Lift the hold once its reason is gone (flask privacy lift), or refuse the request.",
    ),
    "customer-erased": message_pair(
        "The customer was erased",
        "Nothing personal can be recorded about them any more. Leave out the ticket, the note, and the customer's "
        "number or address; answer a data request by saying that nothing is held.",
    ),
    "calendar-not-covered": message_pair(
        "The holidays of that year are not known",
        "A window there cannot be counted, and no holidays are made up. Check the date.",
    ),
    "no-policy-in-force": message_pair(
        "No policy was in force then",
        "The service was provided before the first version of the policy took effect. Check the date.",
    ),
    "rate-limited": message_pair("Too much at once", "Wait a moment, and try again: nothing was recorded."),
    "storage-unavailable": message_pair(
        "The database cannot be reached",
        "Try again in a moment. What you sent was not recorded, or it is not known whether it was: look before you "
        "send it again.",
    ),
    "internal-error": message_pair(
        "The service has failed",
        "It was not your fault. If it happens again, tell the operator the number below.",
    ),
}
_NOT_UNDERSTOOD = message_pair(
    "The service cannot make anything of this",
    "Go back, reload the page, and try again.",
)


def _conflict_text(code: str, detail: str) -> str:
    """Return what to do about a conflict: the text in `CONFLICTS` for its detail, or else the advice for its code.

    If neither exists, or if the conflict is that of a contact and its detail has no values, return the detail itself.
    """
    is_plain = code == ContactStateConflict.code and not getattr(detail, "values", None)
    general = detail if is_plain or code not in _PROBLEMS else _PROBLEMS[code][1]
    return translate(CONFLICTS.get(getattr(detail, "template", detail), general))


def problem_words(slug: str, error: Exception) -> tuple[str, str]:
    """Return the title of a problem and what to do about it, in the reader's language; general words for unknown slugs.

    For a `CalendarNotCovered`, the latter names the years covered; for a `StateConflict`, it depends on the conflict.
    """
    title, fix = _PROBLEMS.get(slug, _NOT_UNDERSTOOD)
    if isinstance(error, CalendarNotCovered):
        years = {"first": error.first.year, "last": error.last.year}
        covered = translate("The data of this region covers %(first)s to %(last)s.", **years)
        return translate(title), f"{translate(fix)} {covered}"
    return translate(title), _conflict_text(slug, error.detail) if isinstance(error, StateConflict) else translate(fix)
