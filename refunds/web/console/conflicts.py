"""What has happened meanwhile to the record of a form: what to do about it, and the record to go on with."""

from collections.abc import Mapping
from typing import Any

from flask import request, url_for

from refunds.errors import Message
from refunds.presentation.language import translate

_REOPEN = Message("The request has been resolved meanwhile. If that is wrong, reopen it and enter this again.")
_REPLACED = Message("Another entry has replaced this one meanwhile. Go on there.")
CONFLICTS: Mapping[str, Message] = {
    "The contact %(name)s has another %(field)s: to correct it, record a contact that supersedes it.": Message(
        "Somebody else has added a ticket or a note meanwhile, which stands. Add what is still missing; to change what "
        "is there, correct the request once it has its order: its note can be corrected there."
    ),
    "The contact %(name)s has another acknowledgement, which stands.": Message(
        "It has been recorded already that the customer was answered, and that stands: see below when and where. If "
        "yours was another answer, write it in the note."
    ),
    "Its order is cancelled by %(cancellation_id)s: revoke that first.": Message(
        "The order has been cancelled. To reopen the request, revoke that cancellation first."
    ),
    "The cancellation %(cancellation_id)s is based on this contact: revoke it first.": Message(
        "The order has been cancelled on this request. To replace the request, revoke that cancellation first."
    ),
    "The contact %(name)s is not open.": Message("The request has been dealt with meanwhile: nobody has to take it."),
    "The contact %(name)s is not open: it has been resolved for another reason.": _REOPEN,
    "The contact has been resolved: record the customer's new one.": _REOPEN,
    "The contact %(contact_id)s has been superseded by %(superseded_by)s.": _REPLACED,
    "The contact %(name)s is not open: its order is cancelled.": Message(
        "The order has been cancelled meanwhile: nothing is left to be done about the request."
    ),
    "The contact %(name)s was matched: it is %(contact)s now.": Message(
        "It has been matched to its order meanwhile. Go on there."
    ),
    "The contact %(name)s has been resolved.": Message(
        "It has been closed meanwhile. If that is wrong, reopen it and enter this again."
    ),
    "The data request %(name)s has another identity check, which stands: correct it by a rectification.": Message(
        "It has been recorded already how it was made sure who asks, and that stands: see below. If it is wrong, "
        "correct it with a data request to rectify."
    ),
}
"""The text for the user, by the detail of the error."""

_NAMED = ("superseded_by", "contact", "cancellation_id", "name")
"""What the details of errors call an id; the record to go on with comes first."""

_SCREENS: Mapping[str, tuple[str, str, Message]] = {
    "can": ("cancellation", "cancellation_id", Message("To the cancellation")),
    "con": ("contact", "contact_id", Message("To the request")),
    "unm": ("unmatched_contact", "unmatched_id", Message("To the request")),
}


def onward(values: Mapping[str, Any], *own: object) -> tuple[str, str] | None:
    """Return the address and label of a link to the record that an error names, or else to an order's history.

    `values` are those in the detail of the error. A record with one of the ids `own` is on the page already, and left
    out. The history is that of the order in the address of the request; without an order there, returns None.
    """
    for name in _NAMED:
        record_id = values.get(name)
        if record_id and record_id not in own and (found := _SCREENS.get(str(record_id)[:3])):
            screen, parameter, label = found
            label = Message("To the entry that replaces it") if name == _NAMED[0] else label
            return url_for(f"console.{screen}", **{parameter: record_id}), translate(label)
    if order_id := (request.view_args or {}).get("order_id"):
        return url_for("console.history", order_id=order_id), translate("History")
    return None
