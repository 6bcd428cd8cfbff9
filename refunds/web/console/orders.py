"""What has happened to an order, and the evidence on it."""

from flask import Response

from refunds.domain.permissions import Scope
from refunds.domain.references import spoken
from refunds.presentation.documents import evidence as documents
from refunds.service import cancellations, contacts, evidence, feed, orders, users
from refunds.service.work import Work
from refunds.web import auth
from refunds.web.api import document
from refunds.web.console import forms, language, page, screen
from refunds.web.console.eligibility import time_zone_of
from refunds.web.console.forms import PrintedSchema
from refunds.web.openapi import Transacted
from refunds.web.schemas.documents import HTML

MOST = 200
"""Contacts and cancellations of an order that are told of; nobody has had so many."""


@screen("/orders/<order_id>/history", scopes=(Scope.ORDERS_READ,))
def history(work: Work, order_id: str) -> Response:
    """The life of an order: its contacts, decisions and cancellations, one after the other."""
    filed = orders.find(work, order_id)
    events = feed.of_order(work, order_id)
    heard = contacts.listed(work, after="", limit=MOST, order_id=order_id, is_open=None, backdated=None)
    issued = cancellations.listed(
        work, after=(0, ""), limit=MOST, order_id=order_id, reference=None, state=None, overdue=False
    )
    return page(
        "history.html",
        order=filed.order,
        events=events,
        happened=documents.happened(language()),
        contacts={one.contact_id: one for one in heard},
        cancellations={one.cancellation_id: one for one in issued},
        names=users.names(work, (event.actor for event in events)),
        spoken=spoken,
        time_zone=time_zone_of(work, filed.order.policy),
    )


@screen("/orders/<order_id>/evidence", scopes=(Scope.ORDERS_READ,), work=Transacted.READ)
def evidence_page(work: Work, order_id: str) -> Response:
    """All that is held about an order and proof that nothing of it was changed, as a page to print."""
    lang = forms.read(PrintedSchema).get("language") or language()
    found = evidence.gather(work, order_id, auth.books().anchors)
    return document(documents.page(found, lang), HTML)
