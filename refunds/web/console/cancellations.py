"""Cancellations: one with the text to read aloud, its revocation, the agent's most recent ones, and all of them."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from flask import Response, g

from refunds.domain.instants import end_of_day, first_instant, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import SCOPES, Scope
from refunds.domain.records import REVOCABLE_FOR, UNSETTLED, Basis, Cancellation, State
from refunds.errors import InvalidInput, Message
from refunds.presentation import tables
from refunds.presentation.documents import confirmation as documents
from refunds.presentation.language import each_language, language, speaking
from refunds.presentation.texts.answers import cancelled_said
from refunds.presentation.texts.customer import refund_words
from refunds.service import cancellations, settlements
from refunds.service.findings import AContact
from refunds.service.settlements import OWN_REVOCATION
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import action, page, screen, to
from refunds.web.console.eligibility import PAGE
from refunds.web.console.forms import CancellationsSchema, Form, PrintedSchema, all_of
from refunds.web.endpoint import CSV
from refunds.web.lists import both_ways
from refunds.web.responses import document
from refunds.web.schemas.cancellations import CancellationQuerySchema, RevocationRequestSchema
from refunds.web.schemas.documents import HTML

RECENT = 50


@screen("/cancellations/<cancellation_id>", Scope.CANCELLATIONS_READ)
def cancellation(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """Show a cancellation: its reference, what happens next and, in each language, what to tell the customer.

    A revoked one has nothing to tell the customer. The page has the form to revoke the cancellation if the user may do
    so now; agents may revoke their own for 15 minutes.
    """
    found = uow.cancellations.get(cancellation_id)
    words = {}
    if found.state is not State.REVOKED:
        confirmed = cancellations.confirmation(uow, cancellation_id)
        words = {name: cancelled_said(*confirmed[:2], documents.render_text(*confirmed)) for name in each_language()}
    actors = (found.issued_by, found.override_by, found.refund_begun_by, found.settled_by, found.revoked_by)
    return page(
        "cancellation.html",
        form,
        cancellation=found,
        outcome=found.outcome,
        reference=found.reference_aloud,
        words=words,
        refund_words=refund_words,
        may_revoke=found.state is State.ISSUED and settlements.may_revoke(uow, found),
        own_until=found.issued_at + OWN_REVOCATION,
        reasons=list(REVOCABLE_FOR),
        names=uow.users.names(actors),
    )


@action("/cancellations/<cancellation_id>", cancellation, Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE)
def revoke(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """Revoke a cancellation for the reason in the form, and redirect to the page of the cancellation.

    Raises `InvalidInput`, `NotFound`, `Forbidden` and `CancellationStateConflict`.
    """
    found = form.read(RevocationRequestSchema)
    settlements.revoke(uow, cancellation_id, found["reason_code"], found.get("reason"))
    return to("cancellation", cancellation_id=cancellation_id)


@screen("/cancellations/<cancellation_id>/confirmation", Scope.CANCELLATIONS_READ)
def confirmation(uow: UnitOfWork, form: Form, cancellation_id: str) -> Response:
    """Show the confirmation of a cancellation, to print, in the `language` of the address or else the reader's.

    Raises `NotFound` if there is no such cancellation, and `CancellationStateConflict` if it was revoked.
    """
    confirmed = cancellations.confirmation(uow, cancellation_id)
    with speaking(form.read(PrintedSchema).get("language") or language()):
        return document(documents.render_html(*confirmed), HTML)


@screen("/recent", Scope.CANCELLATIONS_ISSUE)
def recent(uow: UnitOfWork, form: Form) -> Response:
    """Show the user's last 50 cancellations, how long they can revoke each, and the last 50 contacts they resolved.

    The contacts include unmatched ones.
    """
    own = uow.principal.actor
    found = uow.cancellations.issued_by(own, RECENT)
    resolved: list[tuple[datetime | None, AContact]] = [
        *((one.resolved_at, one) for one in uow.contacts.resolved_by(own, RECENT)),
        *((one.closed_at, one) for one in uow.unmatched.resolved_by(own, RECENT)),
    ]
    always = g.principal.may(Scope.CANCELLATIONS_REVOKE)
    left = {one.cancellation_id: timedelta() if always else one.issued_at + OWN_REVOCATION - uow.now for one in found}
    return page(
        "recent.html",
        form,
        cancellations=found,
        resolved=sorted(resolved, key=lambda one: one[0] or uow.now, reverse=True)[:RECENT],
        time_zone=uow.default_terms.time_zone,
        minutes={key: -(-time // timedelta(minutes=1)) for key, time in left.items()},
        revocable={
            one.cancellation_id for one in found if one.state is State.ISSUED and settlements.may_revoke(uow, one)
        },
    )


_ALL = "console cancellations"
_READERS = (Scope.CANCELLATIONS_REVOKE, Scope.AUDIT_READ)
_HALF_A_YEAR = timedelta(days=183)
_DATES: dict[str, tuple[timedelta, Callable[[date, Any], date]]] = {
    "issued_from": (timedelta(), first_instant),
    "issued_to": (timedelta(), end_of_day),
    "due_from": (_HALF_A_YEAR, lambda day, _: day),
    "due_to": (_HALF_A_YEAR, lambda day, _: day),
}
"""How far ahead a typed date without a year may be, and what the list of the API gets for it; the last date counts."""


@screen("/cancellations", *_READERS, shows_errors=True)
def all_cancellations(uow: UnitOfWork, form: Form) -> Response:
    """Show a page of up to 25 cancellations, the newest first or, if only overdue ones are chosen, the longest overdue.

    The filters are those of the API's list. If one is not valid, the page shows their errors, and no cancellations.
    """
    items, pages = list[Cancellation](), dict[str, str | None]()
    if not form.errors:
        query = _query(uow, form)
        newest = "overdue" not in query
        items, pages = both_ways(uow, _ALL, uow.cancellations, form.data, limit=PAGE, newest=newest, **query)
    time_zone = uow.default_terms.time_zone
    return page(
        "cancellations.html",
        form,
        cancellations=items,
        orders=uow.orders.with_ids({one.order_id for one in items}),
        filters={name: value for name, value in form.data.items() if name not in {"after", "before", "csrf_token"}},
        **pages,
        overdue=[one.cancellation_id for one in items if one.state in UNSETTLED and one.overdue_at <= uow.now],
        states=list(State),
        bases=list(Basis),
        issuers=_issuers(uow, form.data.get("issued_by")),
        names=uow.users.names(one.issued_by for one in items),
        time_zone=time_zone,
    )


def _issuers(uow: UnitOfWork, chosen: str | None) -> list[tuple[str, str]]:
    """Return the users and clients whose role may issue cancellations, and `chosen`: the id and the name of each.

    The id stands for a missing name, and for every name if the user may not read personal data.
    """
    roles = {one.user_id: one.role for one in uow.users.iter_all()}
    roles |= {one.client_id: one.role for one in uow.clients.iter_all()}
    able = (name for name, role in roles.items() if Scope.CANCELLATIONS_ISSUE in SCOPES[role])
    ids = dict.fromkeys([*able, *filter(None, [chosen])])
    names = uow.users.names(ids) if uow.principal.may(Scope.PERSONAL_READ) else {}
    return [(name, names.get(name, name)) for name in ids]


def _query(uow: UnitOfWork, form: Form) -> dict[str, Any]:
    """Return the filters in the form as the API's list takes them, with the dates of issue as instants.

    Raises `InvalidInput` if a filter is wrong, with the errors of both dates if these cannot be read.
    """
    found = form.read(CancellationsSchema)
    tz = zone(uow.default_terms.time_zone)

    def typed(name: str) -> tuple[str, date]:
        ahead, given = _DATES[name]
        try:
            return name, given(found[name].day(name, uow.now, tz.key, ahead=ahead), tz)
        except OverflowError:
            raise InvalidInput.at(f"/{name}", Message("no such date: check the year")) from None

    days = all_of(*(partial(typed, name) for name in _DATES if name in found))
    plain = {name: str(found[name]) for name in ("state", "basis", "issued_by", "overdue") if name in found}
    return CancellationQuerySchema().read(plain | dict(days))


@action("/cancellations", all_cancellations, *_READERS)
def cancellations_table(uow: UnitOfWork, form: Form) -> Response:
    """Return all cancellations that fit the filters, as CSV. The journal says who made the table, and for which dates.

    The rows are read while they are sent, in units of work of their own.
    """
    query = _query(uow, form)
    tz = zone(uow.default_terms.time_zone)
    dates = {}
    for name, inside in (("from", timedelta()), ("to", timedelta(microseconds=1))):
        at = query.get(f"issued_{name}")
        dates[name] = at and local_date(at - inside, tz).isoformat()
    uow.events.note(EventType.PRIVACY_TABLE_EXPORTED, "cancellations", dates)
    newest = "overdue" not in query
    lines = tables.lines_by_page(auth.store(), uow.principal, "cancellations", newest=newest, **query)
    named = {"Content-Disposition": "attachment; filename=cancellations.csv"}
    return Response(lines, mimetype=CSV, headers=named)
