"""Open: the queue of what has neither been cancelled nor resolved, by what it needs."""

from flask import Response, session

from refunds.domain.permissions import Scope
from refunds.domain.references import format_request_number
from refunds.service import queue, watch
from refunds.service.queue import Tab
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.console import page, screen, to
from refunds.web.console.eligibility import PAGE, time_zone_of
from refunds.web.console.forms import Form, QueueSchema


@screen("/open", scopes=(Scope.CONTACTS_READ,))
def open_requests(uow: UnitOfWork, form: Form) -> Response:
    """A page of up to 25 entries of a tab of the queue; without a tab, of the first that has any.

    The session keeps the tab, for `next_request`.
    """
    asked, tabs = form.read(QueueSchema), queue.queue(uow)
    tab: Tab = asked.get("tab") or next((one for one, entries in tabs.items() if entries), Tab.IN_TIME)
    session["tab"] = str(tab)
    number = asked.get("page", 1)
    shown = tabs[tab][(number - 1) * PAGE : number * PAGE]
    kept = uow.unmatched if tab is Tab.UNMATCHED else uow.contacts
    found = kept.with_ids([entry.record_id for entry in shown])
    return page(
        "open.html",
        form,
        tabs={one: len(entries) for one, entries in tabs.items()},
        tab=tab,
        entries=[(entry, found[entry.record_id]) for entry in shown],
        orders=uow.orders.with_ids({entry.order_id for entry in shown if entry.order_id}),
        number=number,
        has_more=len(tabs[tab]) > number * PAGE,
        now=uow.now,
        format_request_number=format_request_number,
        names=uow.users.names(one.recorded_by for one in found.values()),
        changed=watch.recent_change(uow),
        time_zone=time_zone_of(uow, uow.policies.default),
    )


@screen("/open/next", scopes=(Scope.CONTACTS_READ,))
def next_request(uow: UnitOfWork, form: Form) -> Response:
    """Redirect to the next request of the tab that was shown last, after the one that is `done`; if none, to Open."""
    asked, kept = form.read(QueueSchema), {str(one): one for one in Tab}
    tab = asked.get("tab") or kept.get(session.get("tab", ""))
    entry = queue.following(uow, tab, asked.get("done"))
    if entry is None:
        return to("open_requests", tab=tab)
    if entry.order_id is None:
        return to("unmatched_contact", unmatched_id=entry.record_id)
    return to("contact", contact_id=entry.record_id)
