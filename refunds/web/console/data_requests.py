"""Data requests: what is due first, one request with what can be done about it, a new one, and the export."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from flask import Response

from refunds.domain import privacy
from refunds.domain.instants import local_date, zone
from refunds.domain.permissions import Scope
from refunds.errors import FieldError, InvalidInput, Message
from refunds.presentation.documents.export import export_data, render_html
from refunds.presentation.language import each_language, language, speaking
from refunds.presentation.texts.answers import Said
from refunds.presentation.texts.privacy import answer_text, certificate_lines, last_day
from refunds.schemas.strict import StrictSchema
from refunds.service import data_requests, exports, rectification, search
from refunds.service.data_requests import Given
from refunds.service.findings import AContact
from refunds.service.privacy import stays_without
from refunds.service.rectification import Correction
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth
from refunds.web.console import action, at, forms, page, screen, to
from refunds.web.console.contacts import Doing, act
from refunds.web.console.eligibility import PAGE
from refunds.web.console.forms import Form
from refunds.web.endpoint import Transaction
from refunds.web.lists import both_ways
from refunds.web.responses import document, reply
from refunds.web.schemas.documents import HTML
from refunds.web.schemas.privacy import IdentityCheckRequestSchema

SHOWN: Mapping[str, dict[str, Any]] = {
    "open": {"state": privacy.DataRequestState.OPEN, "newest": False},
    "overdue": {"overdue": True, "newest": False},
    "closed": {"state": privacy.DataRequestState.CLOSED, "newest": True},
}
"""What the list can show: open ones by what is due first, closed ones from the newest."""

MOST_BYTES = 2**18
"""The most bytes of a form that corrects everything of a customer: of some 300 contacts."""


@screen("/data-requests", Scope.PRIVACY_READ)
def data_requests_due(uow: UnitOfWork, form: Form) -> Response:
    """Show up to 25 data requests, the open ones unless others are chosen, each with its last day and next step."""
    asked = form.read(forms.DataRequestsSchema)
    chosen = {"show": asked.get("show", "open"), "kind": asked.get("kind")}
    query = SHOWN[chosen["show"]] | {"kind": chosen["kind"]}
    items, pages = both_ways(uow, "console data requests", uow.data_requests, asked, limit=PAGE, **query)
    time_zone = uow.default_terms.time_zone
    return page(
        "data_requests.html",
        form,
        requests=[(one, *_until(uow, one), _next(uow, one)) for one in items],
        following=pages["following"],
        chosen=chosen,
        shown=list(SHOWN),
        kinds=list(privacy.DataRequestKind),
        overdue=uow.data_requests.count_of(overdue=True),
        time_zone=time_zone,
    )


def _until(uow: UnitOfWork, request: privacy.DataRequest) -> tuple[Any, int]:
    """Return the last day for the answer in the vendor's zone, and how many days are left; below 0 after that day."""
    time_zone = uow.default_terms.time_zone
    until = last_day(request, time_zone)
    return until, (until - local_date(uow.now, zone(time_zone))).days


def _next(uow: UnitOfWork, request: privacy.DataRequest) -> str | None:
    """Return the code of what is to be done next about a request, which `NAMES` has in words; None if it is closed."""
    if request.state is privacy.DataRequestState.CLOSED:
        return None
    if not data_requests.is_held(uow, request):
        is_done = request.customer_id and request.identity_check and request.kind is privacy.DataRequestKind.ERASURE
        return "next.erased" if is_done else "next.nothing_held"
    if request.kind in privacy.IDENTIFIED and request.identity_check is None:
        return "next.identity"
    return f"next.{request.kind}"


@screen("/data-requests/new", Scope.PRIVACY_WRITE)
def new_data_request(uow: UnitOfWork, form: Form) -> Response:
    """Show the form to open a data request. Nothing is recorded yet."""
    return page(
        "data_request_new.html",
        replace(form, address=at("new_data_request")),
        kinds=list(privacy.DataRequestKind),
        ways=list(privacy.DataRequestChannel),
        time_zone=uow.default_terms.time_zone,
    )


@action("/data-requests/new", new_data_request, Scope.PRIVACY_WRITE, transaction=Transaction.IDEMPOTENT)
def open_data_request(uow: UnitOfWork, form: Form) -> Response:
    """Open a data request, received now or when typed, and redirect to it; a date alone means the start of that day."""
    found = form.read(forms.NewDataRequestSchema)
    if typed := found.pop("received_at", None):
        found["received_at"] = typed.instant("received_at", uow.now, uow.default_terms.time_zone, days=0)
    found["customer_ref"] = search.customer_ref_meant(uow, found["customer_ref"])
    request = data_requests.open_request(uow, **found)
    return to("data_request", request_id=request.request_id)


@screen("/data-requests/<request_id>", Scope.PRIVACY_READ)
def data_request(uow: UnitOfWork, form: Form, request_id: str) -> Response:
    """Show a data request: its facts, the words for the person, its certificate, and what can be done about it."""
    request, certificate, recipients = data_requests.with_certificate(uow, uow.data_requests.get(request_id))
    time_zone, held = uow.default_terms.time_zone, data_requests.is_held(uow, request)
    until, left = _until(uow, request)
    texts = {name: answer_text(request, time_zone) for name in each_language()}
    is_open, limits = request.state is privacy.DataRequestState.OPEN, {request.kind} & {"restriction", "objection"}
    fields = _fields(uow, request) if is_open and held and request.kind is privacy.DataRequestKind.RECTIFICATION else []
    return page(
        "data_request.html",
        replace(form, address=at("data_request", request_id=request_id)),
        asked=request,
        until=until,
        left=left,
        next=_next(uow, request),
        held=held,
        limits=uow.limits.kinds(request.customer_id) if request.customer_id else set(),
        words={name: [Said("write", text)] for name, text in texts.items() if text},
        recipients=recipients,
        certificate=certificate and list(certificate_lines(certificate, is_scrubbed=auth.store().has_scrubbed_all)),
        extendable=is_open and request.kind in privacy.EXTENDABLE and not request.extended_at and left >= 0,
        liftable=bool(limits) and request.outcome is privacy.DataRequestOutcome.FULFILLED,
        stays=stays_without(uow, request),
        most=rectification.MOST if fields and _has_more(uow, request) else 0,
        fields=fields,
        numbers=_numbers(uow, {one.record_id for _, one in fields}),
        fees=["none", *(privacy.Fee if request.kind is privacy.DataRequestKind.ACCESS else [privacy.Fee.EXCESSIVE])],
        erasure_reasons=list(privacy.ErasureReason),
        names=uow.users.names((request.recorded_by, request.extended_by, request.closed_by)),
        time_zone=time_zone,
    )


def _has_more(uow: UnitOfWork, request: privacy.DataRequest) -> bool:
    """Tell whether the customer of a data request has more orders than the form to correct them has."""
    assert request.customer_id
    return len(uow.orders.of_customer(request.customer_id, limit=rectification.MOST + 1)) > rectification.MOST


def _fields(uow: UnitOfWork, request: privacy.DataRequest) -> list[tuple[str, Correction]]:
    """Return, for each personal field of a data request's customer, its name in the form and its present value.

    The request must have a customer.
    """
    assert request.customer_id
    found = rectification.on_record(uow, request.customer_id)
    return [(f"{one.table}:{quote(one.record_id, safe='')}:{one.field}", one) for one in found]


def _numbers(uow: UnitOfWork, ids: set[str]) -> dict[str, str | None]:
    """Return, as read aloud and by id, the number of each of these contacts and the reference of each cancellation."""
    contacts: dict[str, AContact] = {**uow.contacts.with_ids(ids), **uow.unmatched.with_ids(ids)}
    done = uow.cancellations.with_ids(ids)
    return {name: one.number_aloud for name, one in contacts.items()} | {
        name: one.reference_aloud for name, one in done.items()
    }


def _note_fee(uow: UnitOfWork, request_id: str, found: dict[str, Any]) -> None:
    """Store the fee note of a data request from the form's values; `none` as the fee records that there is none.

    Raises `InvalidInput` if there is a fee and no reason.
    """
    fee = None if found["fee"] == "none" else privacy.Fee(found["fee"])
    forms.require(found, "fee_reason", fee)
    data_requests.note_fee(uow, request_id, fee, found.get("fee_reason") if fee else None)


def _close(outcome: privacy.DataRequestOutcome) -> Callable[[UnitOfWork, str, dict[str, Any]], None]:
    """Return a function that closes a data request with this outcome and the fields of a read form."""

    def close(uow: UnitOfWork, request_id: str, found: dict[str, Any]) -> None:
        reason = found.pop("outcome_reason", None) or found.pop("refusal_reason", None)
        data_requests.close(uow, request_id, Given(outcome, reason, **found))

    return close


_DOING: Doing = {
    "identity": (
        IdentityCheckRequestSchema,
        lambda uow, request_id, found: data_requests.check_identity(uow, request_id, found["identity_check"]),
    ),
    "extend": (
        forms.ExtensionSchema,
        lambda uow, request_id, found: data_requests.extend(uow, request_id, found["extension_reason"]),
    ),
    "fee": (forms.FeeSchema, _note_fee),
    "fulfil": (forms.FulfilmentSchema, _close(privacy.DataRequestOutcome.FULFILLED)),
    "refuse": (forms.RefusalSchema, _close(privacy.DataRequestOutcome.REFUSED)),
    "nothing_held": (StrictSchema, _close(privacy.DataRequestOutcome.NOTHING_HELD)),
    "take_back": (StrictSchema, _close(privacy.DataRequestOutcome.TAKEN_BACK)),
}
"""What the forms of the page of a data request do, and their fields, by the value of `doing`; `correct` is apart."""


@action("/data-requests/<request_id>", data_request, Scope.PRIVACY_WRITE, most_bytes=MOST_BYTES)
def answer_data_request(uow: UnitOfWork, form: Form, request_id: str) -> Response:
    """Do what `doing` says to a data request: check the identity, extend, note a fee, correct or close; then redirect.

    The redirect is to its page. Raises `InvalidInput` if `doing` is something else.
    """
    if form.data.get("doing") == "correct":
        _correct(uow, request_id, form.data)
    else:
        act(uow, form, request_id, _DOING)
    return to("data_request", request_id=request_id)


def _correct(uow: UnitOfWork, request_id: str, data: Mapping[str, str]) -> None:
    """Correct each personal field of the customer that `data` has another value for; close the request as fulfilled.

    Raises `InvalidInput`, naming fields of the form, if a field is blank, none differs or one does not fit. If no
    personal field is on record, only closes the request.
    """
    request = data_requests.lock(uow, request_id)
    held = _fields(uow, request) if request.customer_id else []
    emptied = [FieldError(f"/{name}", Message("is required"), "required") for name, _ in held if name not in data]
    if emptied:  # a form leaves out what is blank; nothing would be corrected there, and the request would be closed
        raise InvalidInput(emptied)
    typed = {name: forms.seen(data[name]) if rectification.takes_line(one.field) else data[name] for name, one in held}
    changed = [
        (name, one._replace(value=typed[name]))
        for name, one in held
        if forms.trim(one.value) not in {data[name], typed[name]}
    ]
    if held and not changed:
        raise InvalidInput.at(f"/{held[0][0]}", Message("change at least one field"), "unchanged_fields")
    try:
        given = Given(privacy.DataRequestOutcome.FULFILLED, corrections=[one for _, one in changed])
        data_requests.close(uow, request_id, given)
    except InvalidInput as error:
        places = {f"/corrections/{at}": f"/{name}" for at, (name, _) in enumerate(changed)}
        raise type(error)(
            [replace(one, pointer=places.get(one.pointer.rpartition("/")[0], one.pointer)) for one in error.errors]
        ) from None


@screen("/data-requests/<request_id>/export", Scope.PRIVACY_EXPORT, transaction=Transaction.WRITE)
def exported(uow: UnitOfWork, form: Form, request_id: str) -> Response:
    """Export everything about the customer of a data request, as a page or, if the address has `data`, as a JSON file.

    It is in the `language` of the address, else in the reader's. Records the event of the export. Raises `NotFound` if
    there is no such request or nothing is held, `IdentityNotChecked`, and `Forbidden`.
    """
    asked = form.read(forms.ExportedSchema)
    found = exports.for_request(uow, request_id)
    with speaking(asked.get("language") or language()):
        if "data" not in asked:
            return document(render_html(found), HTML)
        response = reply(export_data(found))
    response.headers["Content-Disposition"] = f"attachment; filename={request_id}.json"
    return response
