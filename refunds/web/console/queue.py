"""Open: the queue of what has neither been cancelled nor resolved, by what it needs; who deals with it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from flask import Response, g, request, session

from refunds.domain.permissions import Scope
from refunds.domain.records import Contact, Intent
from refunds.domain.resolutions import ENDS_A_TIMELY_REQUEST, ResolutionReason
from refunds.errors import InvalidInput, Message
from refunds.service import assignments, overview, queue, resolutions, unmatched, watch
from refunds.service.assignments import TakenAlready
from refunds.service.findings import AContact
from refunds.service.queue import Tab
from refunds.service.resolutions import RESOLVABLE_FOR, Resolution
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import sessions
from refunds.web.console import action, page, screen, to, to_contact
from refunds.web.console.contacts import contact
from refunds.web.console.eligibility import PAGE
from refunds.web.console.forms import AssignedSchema, Form, QueueSchema, SeveralSchema, require
from refunds.web.console.unmatched import unmatched_contact
from refunds.web.endpoint import Transaction
from refunds.web.schemas.request_fields import MOST

_PICK = re.compile(r"pick-((?:con|unm)_[0-9A-HJKMNP-TV-Z]{26})")
_NAMED = 100
"""How many entries that were left alone an address names at most."""


class Result(NamedTuple):
    """What became of several entries: what was done with how many, and how many were left alone.

    `left` has which were, each with why, and with who deals with it if it is open.
    """

    doing: str
    done: int
    number: int
    left: list[tuple[AContact, str, str | None]]


@screen("/open", Scope.CONTACTS_READ)
def open_requests(uow: UnitOfWork, form: Form) -> Response:
    """Show a page of a tab of the queue: up to 25 entries, or as many as `rows` says.

    Without a tab, it is the first that has entries. With `mine`, only what the user has taken is shown; with `result`,
    also what became of several entries. Supervisors see the overview. The session keeps the tab, for `next_request`. A
    wrong filter is an error in a GET; after a form, it is ignored.
    """
    asked = (form.read if request.method == "GET" else form.read_leniently)(QueueSchema)
    own = queue.taken_entries(uow)
    every = g.get("open_numbers") or queue.count_entries(uow)
    tabs = {one: len(entries) for one, entries in own.items()} if "mine" in asked else every
    tab: Tab = asked.get("tab") or next((one for one, entries in tabs.items() if entries), Tab.IN_TIME)
    session["tab"] = str(tab)
    rows, result = asked.get("rows", PAGE), _result(uow, asked.get("result"))
    number = min(asked.get("page", 1), max(1, -(-tabs[tab] // rows)))
    before = (number - 1) * rows
    shown = own[tab][before : before + rows] if "mine" in asked else queue.entries(uow, tab, rows, before)
    kept = uow.unmatched if tab is Tab.UNMATCHED else uow.contacts
    found = kept.with_ids([entry.record_id for entry in shown])
    of_entries = uow.orders.with_ids({entry.order_id for entry in shown if entry.order_id})
    takers = (*(one.taken_by for one in shown), *(taker for *_, taker in (result.left if result else ())))
    time_zone = uow.default_terms.time_zone
    acts, may_assign = (uow.principal.may(one) for one in (Scope.CONTACTS_WRITE, Scope.CANCELLATIONS_OVERRIDE))
    seen = overview.read(uow, time_zone) if may_assign else None
    ids = (*takers, *(seen.week.goodwill if seen else ()))
    return page(
        "open.html",
        form,
        tabs=tabs,
        tab=tab,
        mine=asked.get("mine"),
        taken=sum(map(len, own.values())),
        entries=[(entry, found[entry.record_id]) for entry in shown],
        orders=of_entries,
        judged=queue.judged_now(uow, of_entries, found.values()),
        number=number,
        rows=rows,
        has_more=tabs[tab] > number * rows,
        now=uow.now,
        names=uow.users.names(ids),
        changed=watch.recent_change(uow),
        time_zone=time_zone,
        acts=acts,
        ticked="ticked" in asked,
        staff=assignments.staff(uow) if may_assign else [],
        reasons=_reasons(tab, is_supervisor=may_assign) if acts else [],
        result=result,
        overview=seen,
    )


def _reasons(tab: Tab, *, is_supervisor: bool) -> list[ResolutionReason]:
    """Return the reasons for which the user can resolve several entries of a tab at once, without `DUPLICATE`.

    Others than supervisors get none for withdrawals and, outside `TOO_LATE`, only those in `ENDS_A_TIMELY_REQUEST`.
    """
    intent = Intent.WITHDRAWAL if tab is Tab.WITHDRAWALS else Intent.CANCEL
    if not is_supervisor and intent is Intent.WITHDRAWAL:
        return []
    every = is_supervisor or tab is Tab.TOO_LATE
    possible = (one for one in RESOLVABLE_FOR[intent] if every or one in ENDS_A_TIMELY_REQUEST)
    return [one for one in possible if one is not ResolutionReason.DUPLICATE]


def _result(uow: UnitOfWork, given: str | None) -> Result | None:
    """Return what became of several entries, as the signed message `given` says.

    Returns None without a message, or if it is too old or of another session. Entries that are gone are left out.
    """
    said = sessions.read_message("open", given)
    if not said:
        return None
    doing, done, number, left = said
    ids = [name for name, _ in left]
    found: dict[str, AContact] = {**uow.contacts.with_ids(ids), **uow.unmatched.with_ids(ids)}
    opened = uow.contacts.open_about([one.order_id for one in found.values() if isinstance(one, Contact)])

    def taker(one: AContact) -> str | None:
        about = [other for other in opened if other.order_id == one.order_id] if isinstance(one, Contact) else [one]
        return assignments.taken_by(about) if one.is_open else None

    shown = [(found[name], why, taker(found[name])) for name, why in left if name in found]
    return Result(doing, done, number, shown)


@action("/open", open_requests, Scope.CONTACTS_WRITE, transaction=Transaction.IDEMPOTENT)
def act_on_several(uow: UnitOfWork, form: Form) -> Response:
    """Take, assign or resolve the entries that were ticked; redirect to the queue, which shows what became of them.

    Entries that changed since, that somebody else has taken or that need a supervisor are left alone, and named. Raises
    `InvalidInput` unless 1 to 200 are ticked.
    """
    picked = {match[1]: value for name, value in form.data.items() if (match := _PICK.fullmatch(name))}
    others = {name: value for name, value in form.data.items() if not name.startswith("pick-")}
    found = replace(form, data=others).read(SeveralSchema)
    if not 0 < len(picked) <= MOST:
        raise InvalidInput.at("/ticked", Message("tick 1 to %(most)s of them", most=MOST), "ticked")
    ends_late_ones = found["doing"] == "resolve" and found.get("reason_code") not in ENDS_A_TIMELY_REQUEST
    left = queue.for_each(uow, picked, _chosen_action(uow, found), only_late=ends_late_ones)
    alone = [(name, why) for name, why in left.items() if why]
    said = sessions.signed_message("open", found["doing"], len(left) - len(alone), len(alone), alone[:_NAMED])
    shown = {name: found.get(name) for name in ("tab", "page", "rows", "mine")}
    return to("open_requests", **shown, result=said)


def _chosen_action(uow: UnitOfWork, found: dict[str, Any]) -> Callable[[str], object]:
    """Return a function that takes, assigns or resolves, as the form says, the entry with the id that it is given.

    Raises `InvalidInput` at once if the form lacks a field that this needs.
    """
    if found["doing"] != "resolve":
        require(found, "taken_by", found["doing"] == "assign")
        return lambda name: assignments.assign(uow, name, _colleague(found))
    code, reason = found.get("reason_code"), found.get("reason")
    is_unmatched = found.get("tab") is Tab.UNMATCHED
    require(found, "reason_code", not is_unmatched)
    require(found, "reason", is_unmatched or code is ResolutionReason.OTHER)
    if code is None or is_unmatched:
        return lambda name: unmatched.resolve(uow, name, str(reason))
    return lambda name: resolutions.resolve(uow, name, Resolution(reason_code=code, reason=reason))


def _colleague(found: Mapping[str, Any]) -> str | None:
    """Return the id of the user to whom the form assigns an entry; None unless its `doing` is "assign"."""
    return found.get("taken_by") if found["doing"] == "assign" else None


def _page_of(*, form: Form, contact_id: str) -> Response:
    """Show the page of a contact or, if the id begins with `unm_`, of an unmatched contact, in a new transaction."""
    if contact_id.startswith("unm_"):
        return unmatched_contact(form=form, unmatched_id=contact_id)
    return contact(form=form, contact_id=contact_id)


@action("/open/<contact_id>", _page_of, Scope.CONTACTS_WRITE)
def taken(uow: UnitOfWork, form: Form, contact_id: str) -> Response:
    """Take an open contact, give it back or assign it, and show its page; `InvalidInput` if another has taken it."""
    found = form.read(AssignedSchema)
    require(found, "taken_by", found["doing"] == "assign")
    try:
        if found["doing"] == "give_back":
            return to_contact(assignments.give_back(uow, contact_id))
        return to_contact(assignments.assign(uow, contact_id, _colleague(found)))
    except TakenAlready as error:
        who = Message("%(name)s has taken it", name=uow.users.names([error.holder]).get(error.holder, error.holder))
        raise InvalidInput.at("/doing", who, "taken") from None


@screen("/open/next", Scope.CONTACTS_READ)
def next_request(uow: UnitOfWork, form: Form) -> Response:
    """Redirect to the next free entry of the Open list, other than `done`; if there is none, to the Open list.

    The entry is from the tab that is named or else was shown last; without either, from all tabs.
    """
    asked, kept = form.read(QueueSchema), {str(one): one for one in Tab}
    tab = asked.get("tab") or kept.get(session.get("tab", ""))
    entry = queue.following(uow, tab, asked.get("done"))
    if entry is None:
        return to("open_requests", tab=tab)
    if entry.order_id is None:
        return to("unmatched_contact", unmatched_id=entry.record_id)
    return to("contact", contact_id=entry.record_id)
