"""What customers ask for: confirmed and recorded, cancelled, kept on the Open list, resolved."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from flask import Response, g, request, session

from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision, Reason
from refunds.domain.instants import format_instant
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent, OverrideKind
from refunds.domain.references import spoken
from refunds.errors import CallersError, ContactStateConflict, Flaw, InvalidInput
from refunds.service import cancellations, contacts, orders, users
from refunds.service.cancellations import Issued, Override, Request
from refunds.service.contacts import NewContact
from refunds.service.orders import Filed
from refunds.service.work import Work
from refunds.web import telemetry
from refunds.web.console import at, forms, page, screen, to
from refunds.web.console.eligibility import PAGE, Asked, asked, time_zone_of
from refunds.web.console.forms import EntrySchema, ListSchema, ResolutionSchema
from refunds.web.cursors import page as page_of
from refunds.web.cursors import place
from refunds.web.openapi import Transacted

ABOUT_THE_CONTACT = ("contact_point", "from_detail", "ticket_ref", "note")


@screen("/orders/<order_id>/cancel", scopes=(Scope.CANCELLATIONS_ISSUE,))
def confirm(work: Work, order_id: str) -> Response:
    """What is about to happen, and what may be noted beside it."""
    return _confirm(work, order_id, "cancel")


@screen("/orders/<order_id>/record", scopes=(Scope.CONTACTS_WRITE,))
def confirm_record(work: Work, order_id: str) -> Response:
    """What is about to be recorded, and what may be noted beside it."""
    return _confirm(work, order_id, "record")


def _confirm(work: Work, order_id: str, doing: str) -> Response:
    _take_over(work)
    found = forms.read_leniently(EntrySchema)
    override, intent = found.get("override"), found.get("intent", Intent.CANCEL)
    if override is not None:
        g.principal.require(Scope.CANCELLATIONS_OVERRIDE)
    filed, contact, decision = _foreseen(work, order_id, found)
    time_zone, how = time_zone_of(work, filed.order.policy), _how(work, filed, found)
    return page(
        "confirm.html",
        doing=doing,
        intent=intent,
        order=filed.order,
        contact=contact,
        channel=session.get("channel", Channel.PHONE),
        # What is shown is what is recorded, however long it is looked at.
        entry=how and replace(how, received_at=how.received_at or work.now),
        outcome=decision.outcome if decision else None,
        override=override,
        needs_evidence=bool(decision and contact is None and contacts.needs_evidence(decision, intent)),
        points=decision.official_points if decision else (),
        time_zone=time_zone,
        back=at("contact", contact_id=contact.contact_id)
        if contact
        else at("answer", order_id=order_id, **(how.parameters if how else {})),
    )


def _take_over(work: Work) -> None:
    """Fill in what was recorded of the contact that is entered anew."""
    earlier = forms.read_leniently(EntrySchema).get("supersedes")
    if earlier is None or request.method == "POST":
        return
    contact = contacts.get(work, earlier)
    told = {name: getattr(contact, name) for name in ABOUT_THE_CONTACT}
    times = {"received_at": contact.received_at, "sent_at": contact.sent_at}
    told |= {name: format_instant(at) for name, at in times.items() if at}
    g.given |= {name: value for name, value in told.items() if value} | {"channel": str(contact.channel)}


def _how(work: Work, filed: Filed, found: dict[str, Any]) -> Asked | None:
    """How and when the customer asked, where that was typed as it can be read."""
    try:
        return asked(found, work.now, time_zone_of(work, filed.order.policy))
    except InvalidInput:
        return None


def _foreseen(work: Work, order_id: str, found: dict[str, Any]) -> tuple[Filed, Contact | None, Decision | None]:
    """The order, the stored contact if it is about one, and what would be decided, where that can be said."""
    if "contact_id" in found:
        contact, filed, decision = cancellations.foreseen(work, found["contact_id"])
        if filed.order.order_id != order_id:
            raise ContactStateConflict("The contact is about another order.")
        return filed, contact, decision
    filed = orders.find(work, order_id)
    try:
        return filed, None, contacts.foreseen(work, order_id, _told(work, filed, found))[1]
    except InvalidInput as error:
        g.flaws = g.get("flaws", error.flaws)
        return filed, None, None


def _told(work: Work, filed: Filed, found: dict[str, Any]) -> NewContact:
    """The contact as it was entered; raises `InvalidInput` for times that are none."""
    how = asked(found, work.now, time_zone_of(work, filed.order.policy))
    return NewContact(
        channel=how.channel,
        intent=found.get("intent", Intent.CANCEL),
        received_at=how.received_at,
        sent_at=how.sent_at,
        **{name: found[name] for name in (*ABOUT_THE_CONTACT, "supersedes") if name in found},
    )


@screen(
    "/orders/<order_id>/cancel",
    scopes=(Scope.CANCELLATIONS_ISSUE,),
    work=Transacted.ONCE,
    method="POST",
    again=confirm,
)
def cancel(work: Work, order_id: str) -> Response:
    """Cancel an order, on a contact that is stored or entered now; what is refused is on record, too."""
    found = forms.read(EntrySchema)
    override = None
    if "override" in found:
        if "reason" not in found:
            raise InvalidInput([Flaw("/reason", "is required", "required")])
        override = Override(found["override"], found["reason"])
    contact = found.get("contact_id") or _told(work, orders.find(work, order_id), found)
    outcome = cancellations.issue(work, Request(order=order_id, contact=contact, override=override))
    if isinstance(outcome, Issued):
        telemetry.count_decisions([outcome.cancellation.outcome.reason])
        return to("cancellation", cancellation_id=outcome.cancellation.cancellation_id)
    telemetry.count_decisions([outcome.decision.reason])
    return to("contact", contact_id=outcome.contact.contact_id)


@screen(
    "/orders/<order_id>/record",
    scopes=(Scope.CONTACTS_WRITE,),
    work=Transacted.ONCE,
    method="POST",
    again=confirm_record,
)
def record(work: Work, order_id: str) -> Response:
    """Record a question, or a request that is to be cancelled later."""
    told = _told(work, orders.find(work, order_id), forms.read(EntrySchema))
    contact = contacts.record(work, order_id, told)
    telemetry.count_decisions([contact.outcome.reason])
    return to("contact", contact_id=contact.contact_id)


@screen("/open", scopes=(Scope.CONTACTS_READ,))
def open_requests(work: Work) -> Response:
    """Every request that is neither cancelled nor resolved."""
    (after,) = place(work, "open", None, forms.read(ListSchema).get("after"), [""])
    found = contacts.listed(work, after=after, limit=PAGE + 1, order_id=None, is_open=True, backdated=None)
    items, following = page_of(work, "open", None, found, limit=PAGE, place_of=lambda contact: [contact.contact_id])
    names = users.names(work, (contact.recorded_by for contact in items))
    return page("open.html", contacts=items, following=following, names=names)


@screen("/contacts/<contact_id>", scopes=(Scope.CONTACTS_READ,))
def contact(work: Work, contact_id: str) -> Response:
    """A call or an e-mail, what was decided on it, and what can be done about it now."""
    found = contacts.get(work, contact_id)
    outcome = foreseen = found.outcome
    if found.is_open:
        with suppress(CallersError):  # its facts may be such that nothing can be decided any more
            foreseen = cancellations.foreseen(work, contact_id)[2].outcome
    active = orders.find(work, found.order_id).active
    acceptable = foreseen.reason is Reason.UNOFFICIAL_CONTACT_POINT
    return page(
        "contact.html",
        contact=found,
        outcome=outcome,
        foreseen=foreseen,
        active=active,
        override=OverrideKind.CONTACT_POINT_ACCEPTED if acceptable else OverrideKind.GOODWILL,
        names=users.names(work, [found.recorded_by, found.resolved_by or ""]),
        spoken=spoken,
    )


@screen("/contacts/<contact_id>", scopes=(Scope.CONTACTS_WRITE,), work=Transacted.WRITE, method="POST", again=contact)
def resolve(work: Work, contact_id: str) -> Response:
    """Take a request off the Open list, for a reason."""
    contacts.resolve(work, contact_id, forms.read(ResolutionSchema)["reason"])
    return to("contact", contact_id=contact_id)
