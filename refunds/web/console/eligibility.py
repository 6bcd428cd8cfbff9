"""Check and Answer: from an order's number, or a day and a region, to the answer for the customer."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from flask import Response, current_app, g, session

from refunds.domain.contact_points import Channel
from refunds.domain.eligibility import Decision
from refunds.domain.instants import format_instant, format_known, local_date, zone
from refunds.domain.outcomes import RecordedDecision, Verdict
from refunds.domain.permissions import Scope
from refunds.domain.records import ACTIVE, Intent, Order
from refunds.domain.withdrawals import information_period
from refunds.errors import CalendarNotCovered, InvalidInput, Message, NoPolicyInForce, NotFound
from refunds.presentation.language import each_language
from refunds.presentation.texts.answers import answer_look, answer_said
from refunds.presentation.texts.customer import refund_words
from refunds.security.encryption import Erased
from refunds.service import cancellations, checks, contacts, demonstration, orders, search
from refunds.service.contacts import NewContact
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import telemetry
from refunds.web.console import action, at, forms, page, regions, screen, to, to_contact
from refunds.web.console.forms import AskedSchema, ByDateSchema, FindSchema, Form, Typed
from refunds.web.responses import present_policies

PAGE = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """How and when a customer asks: now if `received_at` is None; `opened`: `received_at` is when a page was opened."""

    channel: Channel
    received_at: datetime | None
    sent_at: datetime | None
    opened: bool = False

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of an address that say how and when a customer asks; unknown times are left out.

        They are `channel`, `received_at`, `sent_at` and, if `opened`, `received_at` again as `opened`: exact instants.
        """
        at = {"received_at": self.received_at, "sent_at": self.sent_at, "opened": self.opened and self.received_at}
        return {"channel": self.channel} | {name: format_instant(one) for name, one in at.items() if one}

    def begun(self, now: datetime) -> "Asked":
        """Return a copy with `now`, when the page is opened, as `received_at`; if it has one already, return itself."""
        return self if self.received_at else replace(self, received_at=now, opened=True)


def asked(found: dict[str, Any], now: datetime, time_zone: str) -> Asked:
    """Return the typed channel and times of a customer; without a channel, that of the session, or the telephone.

    `found` is a read `AskedSchema` or a schema with its fields. The session keeps the channel, unless the form
    supersedes a contact. Raises `InvalidInput`, with the errors of both times, if one is not a date with its time.
    """
    if "channel" in found and "supersedes" not in found:
        session["channel"] = str(found["channel"])

    def typed(name: str) -> datetime | None:
        return found[name].instant(name, now, time_zone) if name in found else None

    received, sent = forms.all_of(partial(typed, "received_at"), partial(typed, "sent_at"))
    opened = "opened" in found and found.get("received_at") == Typed(found["opened"])
    return Asked(Channel(found.get("channel") or session.get("channel", Channel.PHONE)), received, sent, opened)


@screen("/", Scope.ORDERS_READ, Scope.CHECKS_RUN)
def check(uow: UnitOfWork, form: Form, order_id: str = "") -> Response:
    """Show the form to check an order by a number, or by a day and a region; other screens show their errors on it.

    `order_id` is filled in as the number if none was typed.
    """
    production, reads = _in_production(), g.principal.may(Scope.ORDERS_READ)
    return page(
        "check.html",
        form,
        q=form.data.get("q", order_id),
        channel=form.data.get("channel") or session.get("channel", Channel.PHONE),
        regions=regions.suggested(),
        time_zone=uow.default_terms.time_zone,
        demonstrations=demonstration.registered(uow) if reads and not production else [],
        offers_demonstration=not production and g.principal.may(Scope.ORDERS_WRITE),
    )


@screen("/", Scope.ORDERS_READ, Scope.CHECKS_RUN, method="POST", form_view=check)
def find(uow: UnitOfWork, form: Form) -> Response:
    """Redirect to what the typed number or day means: an order's or a day's answer, a customer's orders, or a request.

    A customer with one order counts as that order. The day is used if the form says so, if no number is typed or
    nothing has it, and always if the user may not read orders. Raises `InvalidInput` if a day is to be used and there
    is none, or if a field is wrong.
    """
    found = form.read(FindSchema)
    number = found.get("q") if g.principal.may(Scope.ORDERS_READ) else None
    if number is None or "by_date" in found:
        return _to_a_day(uow, found)
    customer_id, meant = search.find_orders(uow, number)
    if not meant and (requests := search.request_meant(uow, number)):
        return to_contact(requests[0])
    if not meant and "provided_on" in found:
        return _to_a_day(uow, found)
    if not meant:
        code = "misheard" if search.has_wrong_check_digit(number) else "not_found"
        raise InvalidInput.at("/q", Message("nothing has this number"), code)
    _, _, how = _on_an_order(uow, meant[0].order_id, found)
    if len(meant) == 1:
        return to("answer", order_id=meant[0].order_id, **how.parameters)
    return to("customer", customer_id=customer_id, **how.parameters)


def _to_a_day(uow: UnitOfWork, found: dict[str, Any]) -> Response:
    """Redirect to `by_date` with the typed day, region and times, the times as exact instants.

    Raises `InvalidInput` if there is no day, if it, a time or the region cannot be read, if the times are not possible,
    or if there is no holiday data or policy for the day.
    """
    if "provided_on" not in found:
        wanted = "q" if g.principal.may(Scope.ORDERS_READ) else "provided_on"
        raise InvalidInput.at(f"/{wanted}", Message("give a number, or a day"), "required")
    decision, how = _on_a_day(uow, found)
    provided = format_known(decision.facts.service_provided_at)
    return to("by_date", provided_on=provided, region=found.get("region"), **how.parameters)


@screen("/orders/<order:order_id>", Scope.ORDERS_READ, form_view=check)
def answer(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Show whether an order can be cancelled, until when, and why. The decision is counted, and nothing is recorded.

    If a time in the address is not an exact instant, redirect to this screen with exact instants, without counting.
    """
    order, (own, decision), how = _on_an_order(uow, order_id, form.read(AskedSchema))
    if not _is_exact(form, how):
        return to("answer", order_id=order_id, **how.parameters)
    return _answer(uow, form, decision, how, order, needs_evidence=contacts.needs_evidence(own, Intent.CANCEL))


def _is_exact(form: Form, how: Asked) -> bool:
    """Tell whether the times in the address are spelt as exact instants, as those of `how`, which was read from it."""
    exact = how.parameters
    return all(form.data.get(name) == exact.get(name) for name in ("received_at", "sent_at"))


def _on_an_order(
    uow: UnitOfWork, order_id: str, found: dict[str, Any]
) -> tuple[Order, tuple[Decision, Decision], Asked]:
    """Return an order, the two decisions of `contacts.preview` on a new contact, and how and when the customer asks.

    `found` is a read `AskedSchema`. Raises `NotFound` without such an order, and `InvalidInput` for unfit times.
    """
    order = uow.orders.get(order_id)
    how = asked(found, uow.now, time_zone_of(uow, order.policy))
    contact = NewContact(channel=how.channel, received_at=how.received_at, sent_at=how.sent_at)
    return order, contacts.preview(uow, order, contact), how


@screen("/days", Scope.CHECKS_RUN, form_view=check)
def by_date(uow: UnitOfWork, form: Form) -> Response:
    """Show the answer for a service of which only the day and the region are known; count the decision, record nothing.

    If a time in the address is not an exact instant, redirect to this screen with exact instants, without counting.
    Raises `InvalidInput` without a day.
    """
    found = form.read(ByDateSchema)
    forms.require(found, "provided_on")
    decision, how = _on_a_day(uow, found)
    if not _is_exact(form, how):
        return _to_a_day(uow, found)
    return _answer(uow, form, decision, how, None)


def _on_a_day(uow: UnitOfWork, found: dict[str, Any]) -> tuple[Decision, Asked]:
    """Return the decision for the typed day and region by the default policy, and how and when the customer asks.

    `found`, the typed values, must have the day; without a time, the service counts as provided when the day begins.
    Raises `InvalidInput` for impossible times or an unknown region, or if no holiday data or policy covers the day.
    """
    time_zone = uow.default_terms.time_zone
    provided, how, region = forms.all_of(
        lambda: found["provided_on"].instant("provided_on", uow.now, time_zone, days=0),
        lambda: asked(found, uow.now, time_zone),
        lambda: regions.meant(found.get("region")),
    )
    requested_at = how.received_at or uow.now
    if requested_at > uow.now + orders.AHEAD or (how.sent_at or requested_at) > requested_at:
        raise InvalidInput.at("/received_at", Message("lies in the future, or before it was sent"), "impossible_time")
    times = {"service_provided_at": provided, "requested_at": requested_at, "sent_at": how.sent_at}
    try:
        return checks.check_eligibility(present_policies(), **times, channel=how.channel, region=region), how
    except (CalendarNotCovered, NoPolicyInForce) as error:
        raise InvalidInput.at("/provided_on", error.detail, error.code) from None


def _answer(
    uow: UnitOfWork, form: Form, decision: Decision, how: Asked, order: Order | None, *, needs_evidence: bool = False
) -> Response:
    """Show the decision as the answer for an order, or for a day if `order` is None; count it, but record nothing.

    `needs_evidence`: a contact recorded now needs a ticket.
    """
    outcome = decision.outcome
    telemetry.count_decisions([outcome.reason])
    about = _about(uow, order, decision)
    active, on_record = about["active"], about["on_record"]
    tz = zone(outcome.time_zone)
    now_local, then_local = local_date(uow.now, tz), local_date(outcome.requested_at, tz)
    # A contact recorded next was received when this page was opened, even if the customer goes on talking.
    entry = how.begun(uow.now).parameters
    ended = has_ended(decision, uow.now)
    standing = {"ended": ended, "active": active, "on_record": on_record and on_record.outcome}
    order_id = order.order_id if order else None
    return page(
        "answer.html",
        form,
        order=order,
        **about,
        ended=ended,
        typed_zone=time_zone_of(uow, order.policy if order else uow.policies.default),
        refund_words=refund_words,
        look=answer_look(outcome, **standing),
        outcome=outcome,
        today=now_local,
        then=then_local != now_local,
        entry=entry,
        how=how,
        needs_evidence=needs_evidence,
        words={name: answer_said(outcome, order_id, revoked=about["revoked"], **standing) for name in each_language()},
        override=None if outcome.eligible or active else cancellations.fitting_override(outcome),
        now=uow.now,
        waiting=on_record if on_record and not on_record.eligible else None,
        check_address=at("answer", order_id=order.order_id) if order else at("by_date"),
    )


def has_ended(decision: Decision | RecordedDecision, now: datetime) -> bool:
    """Tell whether the window of a decision has ended or, if it had none, whether the service was provided since."""
    end = decision.outcome.deadline or decision.facts.service_provided_at
    return end is not None and end <= now


_LOOKED_AT = 20
"""The newest entries about an order among which the last contact is sought, as one can be entered after a later one."""

_NOTHING: dict[str, Any] = {
    **dict.fromkeys(("active", "revoked", "on_record", "late", "last_contact", "period")),
    "names": {},
    "limits": (),
    "erased": False,
    "others": 0,
    "is_demonstration": False,
}
"""What is on record about an order that is not known."""


def _about(uow: UnitOfWork, order: Order | None, decision: Decision) -> dict[str, Any]:
    """Return what the page shows of an order beside its decision, by name, such as its cancellation and limits.

    Without an order, each value is empty.
    """
    if order is None:
        return _NOTHING
    order_id, outcome = order.order_id, decision.outcome
    on_record = decision if decision.facts.request else None  # the open request that the page names beside the answer
    if on_record is None and decision.eligible:
        on_record = orders.decision_on_open_request(uow, order, decision.facts.received_at)
    every = uow.cancellations.paginate(limit=1, newest=True, order_id=order_id)
    active = every[0] if every and every[0].state in ACTIVE else None
    late = not active and not decision.facts.request and outcome.verdict is Verdict.REFUSED
    recorded = (
        uow.contacts.paginate(limit=_LOOKED_AT, newest=True, order_id=order_id)
        if g.principal.may(Scope.CONTACTS_READ)
        else []
    )
    made = [contact for contact in recorded if not contact.superseded_by]
    return {
        "active": active,
        "revoked": every[0] if every and not active else None,
        "on_record": on_record,
        "late": next(iter(uow.contacts.open_about([order_id])), None) if late else None,
        "last_contact": max(made, key=lambda contact: contact.received_at, default=None),
        "names": uow.users.names(one.revoked_by for one in every),
        "limits": uow.limits.kinds(order.customer_id),
        "erased": isinstance(order.customer_ref, Erased),
        "others": uow.orders.count_of(customer_id=order.customer_id) - 1,
        "is_demonstration": order_id.startswith(demonstration.PREFIX) and not _in_production(),
        "period": information_period(order.ordered_at, outcome, decision.version.terms),
    }


@action("/demonstration", check, Scope.ORDERS_WRITE)
def register_demonstration(uow: UnitOfWork, _: Form) -> Response:
    """Register today's demonstration orders that are missing, and redirect to Check; `NotFound` in production."""
    if _in_production():
        raise NotFound(Message("nothing is made up in production"))
    demonstration.register(uow, production=False)
    return to("check")


def time_zone_of(uow: UnitOfWork, policy: str) -> str:
    """Return the time zone for a policy's orders, by its current version. Raises `NotFound` if there is no policy."""
    return uow.policies[policy].current(uow.now).terms.time_zone


def _in_production() -> bool:
    """Tell whether this is production, where no demonstration orders are allowed."""
    return bool(current_app.extensions["refunds.settings"].production)
