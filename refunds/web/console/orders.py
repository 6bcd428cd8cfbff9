"""The history of an order, and the evidence on it."""

import orjson
from flask import Response

from refunds.domain.permissions import Scope
from refunds.presentation.documents import evidence as documents
from refunds.presentation.language import language, speaking
from refunds.service import evidence
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import page, screen
from refunds.web.console.eligibility import time_zone_of
from refunds.web.console.forms import Form, PrintedSchema
from refunds.web.endpoint import Transaction
from refunds.web.responses import document
from refunds.web.schemas.documents import HTML


@screen("/orders/<order:order_id>/history", Scope.ORDERS_READ)
def history(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """The page with all events of an order from the first on, with its contacts, cancellations and promises."""
    order = uow.orders.get(order_id)
    events = uow.events.of_order(order_id)
    said = {event.position: orjson.loads(event.data) for event in events}
    return page(
        "history.html",
        form,
        order=order,
        events=events,
        contacts={one.contact_id: one for one in uow.contacts.of_order(order_id)},
        cancellations={one.cancellation_id: one for one in uow.cancellations.of_order(order_id)},
        promised={one.promise_id: one.told for one in uow.promises.of_order(order_id)},
        said=said,
        names=uow.users.names(event.actor for event in events),
        time_zone=time_zone_of(uow, order.policy),
    )


@screen("/orders/<order:order_id>/evidence", Scope.EVIDENCE_READ, transaction=Transaction.WRITE)
def evidence_page(uow: UnitOfWork, form: Form, order_id: str) -> Response:
    """Everything stored about an order, and proof of whether all is as it was written, as a page to print.

    The journal says who saw it, if they may see personal fields.
    """
    found = evidence.show(uow, order_id, auth.store().checkpoints)
    with speaking(form.read(PrintedSchema).get("language") or language()):
        return document(documents.render_html(found), HTML)
