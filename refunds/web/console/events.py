"""The journal for auditors, and its verification."""

from collections.abc import Sequence
from itertools import islice

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.language import translate
from refunds.storage.audit import Report
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import page, screen
from refunds.web.console.forms import BeforeSchema, Form

PAGE = 50
MOST = 100
"""The most faults that are shown; the others are counted."""


@screen("/journal", scopes=(Scope.AUDIT_READ,))
def journal(uow: UnitOfWork, form: Form) -> Response:
    """A page of the events, newest first, each with whether it is sound and chained to the one before it."""
    before = form.read_leniently(BeforeSchema).get("before")
    return _journal(uow, form, before)


@screen("/journal", scopes=(Scope.AUDIT_READ,), method="POST", form_view=journal)
def verify(uow: UnitOfWork, form: Form) -> Response:
    """Compare the journal with itself, the records with the journal, and the journal's length with the checkpoints.

    Then show the newest events with the result: that all is sound, or what is not, the first `MOST` of it.
    """
    checkpoints, report = list(auth.store().checkpoints), Report()
    faults = uow.faults(checkpoints, report)
    shown = [translate(fault.detail) for fault in islice(faults, MOST)]
    return _journal(uow, form, None, report=report, faults=shown, further=sum(1 for _ in faults))


def _journal(
    uow: UnitOfWork,
    form: Form,
    before: int | None,
    *,
    report: Report | None = None,
    faults: Sequence[str] = (),
    further: int = 0,
) -> Response:
    events = uow.events.newest(before, PAGE)
    return page(
        "journal.html",
        form,
        events=events,
        following=events[-1][0].position if events and events[-1][0].position > 1 else None,
        names=uow.users.names((event.actor for event, _ in events)),
        report=report,
        faults=faults,
        further=further,
    )
