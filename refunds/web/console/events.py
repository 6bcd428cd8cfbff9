"""The journal for auditors: its events, filtered and page by page, and the page of each."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from flask import Response

from refunds.domain.instants import format_instant
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.errors import Message, NotFound
from refunds.presentation.texts.events import event_text
from refunds.service import search
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.console import page, screen, to
from refunds.web.console.forms import Form, JournalPageSchema, JournalSchema, all_of

PAGE = 50
ZONE = "Etc/UTC"
"""The time zone of the journal: it has the orders of all policies."""


@screen("/journal", Scope.AUDIT_READ, shows_errors=True)
def journal(uow: UnitOfWork, form: Form) -> Response:
    """Show a page of the events that fit the filters, newest first, each with whether it is sound and chained.

    If a filter in the address is not exact, such as a date or a user's name, redirect to this page with the exact one,
    so that a link shows the same to everybody. If a filter is not valid, show the errors and no events.
    """
    if form.errors:
        return _journal_page(uow, form, [])
    place, filters = form.read_leniently(JournalPageSchema), _filters(uow, form)
    shown = {name: format_instant(one) if isinstance(one, datetime) else one for name, one in filters.items()}
    if shown != {name: form.data[name] for name in filters}:
        return to("journal", **shown | place)
    before, after = place.get("before"), place.get("after")
    events = uow.events.newest(before, PAGE + 1, after=after, **filters)
    has_more = len(events) > PAGE
    events = events[-PAGE:] if after else events[:PAGE]
    earlier = events[-1][0].position if events and (has_more or after) else None
    later = events[0][0].position if events and (has_more if after else before) else None
    return _journal_page(uow, form, events, filters=shown, earlier=earlier, later=later)


def _filters(uow: UnitOfWork, form: Form) -> dict[str, Any]:
    """Return the filters in the form, times as instants, and an order's number as the order has it.

    A known user's name becomes their id if the reader may see it. Raises `InvalidInput`, with all errors.
    """
    found = replace(form, data={name: one for name, one in form.data.items() if name not in _PLACES}).read(
        JournalSchema
    )

    def meant(name: str, days: int) -> tuple[str, datetime]:
        return name, found[name].instant(name, uow.now, ZONE, days=days)

    found |= all_of(*(partial(meant, name, days) for name, days in _DAYS.items() if name in found))
    if "actor" in found and uow.principal.may(Scope.PERSONAL_READ):
        found["actor"] = uow.users.id_of(found["actor"].lower()) or found["actor"]
    if "order_id" in found:
        _, named = search.find_orders(uow, found["order_id"])
        found["order_id"] = named[0].order_id if len(named) == 1 else found["order_id"]
    return found


_DAYS = {"since": 0, "until": 1}  # after a typed day without a time: where the filter begins or ends
_PLACES = frozenset(JournalPageSchema().fields)


def _journal_page(uow: UnitOfWork, form: Form, events: Any, **shown: Any) -> Response:
    """Return the page of the journal with `events`, pairs of an event and whether it is sound.

    `shown` has the filters and the neighbouring pages.
    """
    return page(
        "journal.html",
        form,
        events=events,
        names=uow.users.names(event.actor for event, _ in events),
        types=sorted(EventType, key=event_text),
        **{"filters": {}, "earlier": None, "later": None} | shown,
    )


@screen("/journal/<number:position>", Scope.AUDIT_READ)
def event(uow: UnitOfWork, form: Form, position: int) -> Response:
    """Show the event at a position, with whether it is sound and chained. Raises `NotFound` if there is none."""
    near = {one.position: (one, sound) for one, sound in uow.events.newest(position + 2, 3)}
    if position not in near:
        raise NotFound(Message("there is no such event"))
    shown, sound = near[position]
    data, last = shown.data, uow.events.head().position
    with suppress(ValueError):  # data that are not JSON stay as they are
        data = orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2).decode()
    beside = {"later": position + 1 if position < last else 0, "earlier": position - 1}
    return page(
        "event.html",
        form,
        event=shown,
        sound=sound,
        at=format_instant(shown.at),
        data=data,
        beside={name: (at, at in near) for name, at in beside.items() if at},
        names=uow.users.names([shown.actor]),
    )
