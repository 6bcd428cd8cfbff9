"""The journal for auditors, and its verification."""

from flask import Response

from refunds.domain.permissions import Scope
from refunds.storage.audit import Broken, Report
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import page, screen
from refunds.web.console.forms import BeforeSchema, Form

PAGE = 50


@screen("/journal", scopes=(Scope.AUDIT_READ,))
def journal(uow: UnitOfWork, form: Form) -> Response:
    """A page of the events, newest first, each with whether it is sound and chained to the one before it."""
    before = form.read_leniently(BeforeSchema).get("before")
    return _journal(uow, form, before)


@screen("/journal", scopes=(Scope.AUDIT_READ,), method="POST", form_view=journal)
def verify(uow: UnitOfWork, form: Form) -> Response:
    """Compare the journal with itself, the records with the journal, and the journal's length with the checkpoints.

    Then show the newest events with the result: that all is sound, or the first place that is not, which is not raised.
    """
    checkpoints = list(auth.store().checkpoints)
    try:
        return _journal(uow, form, None, report=uow.verify(checkpoints))
    except Broken as error:
        return _journal(uow, form, None, broken=str(error))


def _journal(
    uow: UnitOfWork, form: Form, before: int | None, *, report: Report | None = None, broken: str | None = None
) -> Response:
    events = uow.events.newest(before, PAGE)
    return page(
        "journal.html",
        form,
        events=events,
        following=events[-1][0].position if events and events[-1][0].position > 1 else None,
        names=uow.users.names((event.actor for event, _ in events)),
        report=report,
        broken=broken,
    )
