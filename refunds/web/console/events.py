"""The journal for auditors, and whether it is what was written."""

from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.documents import evidence as documents
from refunds.service import audit, feed, users
from refunds.service.audit import Broken
from refunds.service.work import Work
from refunds.web import auth
from refunds.web.console import forms, language, page, screen
from refunds.web.console.forms import BeforeSchema

PAGE = 50


@screen("/journal", scopes=(Scope.AUDIT_READ,))
def journal(work: Work) -> Response:
    """The events, the newest first, each with whether it is chained to the one before it."""
    before = forms.read_leniently(BeforeSchema).get("before")
    return _journal(work, before)


@screen("/journal", scopes=(Scope.AUDIT_READ,), method="POST", again=journal)
def verify(work: Work) -> Response:
    """Compare the whole journal with itself, the records with it, and its length with the anchors."""
    anchors = list(auth.books().anchors)
    try:
        return _journal(work, None, report=audit.verify(work, anchors))
    except Broken as error:
        return _journal(work, None, broken=str(error))


def _journal(
    work: Work, before: int | None, *, report: audit.Report | None = None, broken: str | None = None
) -> Response:
    events = feed.newest(work, before, PAGE)
    return page(
        "journal.html",
        events=events,
        happened=documents.happened(language()),
        following=events[-1][0].position if events and events[-1][0].position > 1 else None,
        names=users.names(work, (event.actor for event, _ in events)),
        report=report,
        broken=broken,
    )
