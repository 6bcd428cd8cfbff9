"""Privacy over HTTP: data requests, disclosures and legal holds."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.domain.privacy import DataRequest, DataRequestOutcome, DisclosureBasis, ErasureReason, Fee, LimitKind
from refunds.presentation.documents import export as documents
from refunds.presentation.language import bind, language
from refunds.presentation.serializers import data_request_data, disclosure_data, hold_data
from refunds.schemas.fields import Choice, FreeText, Line, ListOf, Nested
from refunds.service import data_requests, exports, privacy
from refunds.service.data_requests import Answered, Given
from refunds.service.rectification import Correction
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, lists
from refunds.web.endpoint import Tag, Transaction, answer, created, parameters, problems, takes
from refunds.web.responses import accepted_media_type, document, reply
from refunds.web.schemas import privacy as schemas
from refunds.web.schemas.documents import HTML, JSON, Language
from refunds.web.schemas.examples import example
from refunds.web.schemas.exports import EXPORT, CustomerExportSchema

tag = Tag("Privacy", "What people ask for about their data, what is done about it, and who else got the data.")


@tag.operation("POST /v1/data-requests", Scope.PRIVACY_WRITE)
@created("The data request is open.", schemas.DataRequestSchema, schemas.REQUEST_EXAMPLE, links=schemas.REQUEST_LINKS)
@takes(schemas.DataRequestRequestSchema, example("erasure", "By e-mail", schemas.OPENED))
@problems("payment-data-refused")
def open_data_request(uow: UnitOfWork, body: dict[str, Any]) -> Response:
    """Open a data request

    Records what a person asks for about their data. Use it as soon as somebody asks, because the time to answer runs
    from receipt. It does not yet do what the person asks for. If the service does not know the person, `customer_id` is
    null, and it stores only the kind, the channel and the dates. Records the data request and the event
    `data_request.opened`.
    """
    request = data_requests.open_request(uow, **body)
    return reply(_shown(uow, request), status=201, location=f"/v1/data-requests/{request.request_id}")


def _shown(uow: UnitOfWork, request: DataRequest | Answered, *, is_scrubbed: bool = False) -> dict[str, Any]:
    """Return a data request as the API shows it, with its certificate and the recipients who must be told of it.

    An `Answered` has certificate and recipients; for a `DataRequest`, they are read. With `is_scrubbed`, the
    certificate says that the log of the database was emptied after the last erasure.
    """
    answered = request if isinstance(request, Answered) else data_requests.with_certificate(uow, request)
    return data_request_data(*answered, time_zone=uow.default_terms.time_zone, is_scrubbed=is_scrubbed)


@tag.operation("GET /v1/data-requests", Scope.PRIVACY_READ, query=schemas.DataRequestQuerySchema)
@answer(
    "A page of data requests, in the order in which they were entered. With `state=open` or `overdue=true`, the "
    "first due comes first.",
    schemas.DataRequestListSchema,
    example("open", "An open data request", {"items": [schemas.REQUEST], "next": None}),
)
def list_data_requests(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """List data requests

    Returns the data requests page by page. You can filter by kind, by state, and by whether they are overdue. Use it to
    see which data requests have to be answered, and by when.
    """
    items, following = lists.read(uow, "data requests", query, uow.data_requests)
    return reply({"items": list(map(data_request_data, items)), "next": following})


@tag.operation("GET /v1/data-requests/<string:request_id>", Scope.PRIVACY_READ)
@answer("The data request.", schemas.DataRequestSchema, schemas.REQUEST_EXAMPLE, etag=True)
def get_data_request(uow: UnitOfWork, request_id: str) -> Response:
    """Get a data request

    Returns a data request: by when it must be answered, whether a fee may apply, what to write to the person, and its
    outcome with the certificate of an erasure. Use it to answer the person.
    """
    request = uow.data_requests.get(request_id)
    return reply(_shown(uow, request, is_scrubbed=auth.store().has_scrubbed_all), etag=True)


@tag.operation("PUT /v1/data-requests/<string:request_id>/identity-check", Scope.PRIVACY_WRITE)
@answer("The data request with the check.", schemas.DataRequestSchema, schemas.REQUEST_EXAMPLE)
@takes(
    schemas.IdentityCheckRequestSchema,
    example("called", "Called back", {"identity_check": schemas.OPENED["identity_check"]}),
)
@problems("data-request-state-conflict", "customer-erased", "payment-data-refused")
def check_identity(uow: UnitOfWork, request_id: str, body: dict[str, Any]) -> Response:
    """Note the identity check of a data request

    Records how it was checked that the person is the customer. Use it before you export or erase anything: without the
    check, the service refuses both. Sending the same again changes nothing; another check is a conflict. To correct the
    one on record, open a data request to rectify. Records the check and the event `data_request.identity_checked`; for
    an unknown person, records nothing.
    """
    return reply(_shown(uow, data_requests.check_identity(uow, request_id, body["identity_check"])))


@tag.operation("PUT /v1/data-requests/<string:request_id>/extension", Scope.PRIVACY_WRITE)
@answer("The extended data request.", schemas.DataRequestSchema, schemas.EXTENDED_EXAMPLE)
@takes(
    "ExtensionRequest",
    example("many", "Many records", {"reason": schemas.EXTENDED["extension_reason"]}),
    reason=FreeText(500, "Why the answer takes longer; the person is told. Personal: stored encrypted.", required=True),
)
@problems("data-request-state-conflict", "cannot-be-extended", "customer-erased", "payment-data-refused")
def extend_request(uow: UnitOfWork, request_id: str, body: dict[str, Any]) -> Response:
    """Extend the time to answer a data request

    Extends the time to three calendar months from receipt. This is possible once, and only for access, portability and
    objection. Use it before the data request is due, and send the person the `answer_text`. Sending the same again
    changes nothing. Records the extension and the event `data_request.extended`.
    """
    return reply(_shown(uow, data_requests.extend(uow, request_id, body["reason"])))


@tag.operation("PUT /v1/data-requests/<string:request_id>/fee", Scope.PRIVACY_WRITE)
@answer("The data request with the fee note.", schemas.DataRequestSchema, schemas.EXTENDED_EXAMPLE)
@takes(
    "FeeRequest",
    example("copy", "A further copy", {"fee": "further_copy", "reason": schemas.EXTENDED["fee_reason"]})
    | example("none", "No fee after all", {}),
    fee=Choice(
        Fee,
        "Why a fee may apply; `further_copy` only for a request for access. Left out: no fee applies, and an earlier "
        "fee note is removed.",
    ),
    reason=FreeText(500, "Why a fee may apply, in words; required with `fee`. Personal: stored encrypted."),
)
@problems("data-request-state-conflict", "customer-erased", "payment-data-refused")
def note_fee(uow: UnitOfWork, request_id: str, body: dict[str, Any]) -> Response:
    """Note that a data request may cost something

    Records that a fee may apply, and why; no amount is stored. Use it if the person asks for a further copy, or for too
    much, and tell them before you go on. Without `fee`, it takes the note back. Sending the same again changes nothing.
    Records the fee note and the event `data_request.fee_noted`.
    """
    return reply(_shown(uow, data_requests.note_fee(uow, request_id, body.get("fee"), body.get("reason"))))


@tag.operation("PUT /v1/data-requests/<string:request_id>/outcome", Scope.PRIVACY_WRITE)
@answer("The closed data request.", schemas.DataRequestSchema, schemas.ERASED_EXAMPLE)
@takes(
    "OutcomeRequest",
    schemas.OUTCOMES,
    outcome=Choice(
        DataRequestOutcome,
        "How the data request ends. `fulfilled` does what the person asked for. `taken_back` lifts a restriction or "
        "an objection that was fulfilled, unless there is another reason for it; tell the person before you do it.",
        required=True,
    ),
    reason=FreeText(500, "Why the data request ends this way; required with `refused`. Personal: stored encrypted."),
    corrections=ListOf(
        Nested(schemas.CorrectionRequestSchema),
        100,
        "The values to correct. Required to fulfil a rectification; leave it out in all other cases.",
    ),
    erasure_reason=Choice(
        ErasureReason,
        "For an erasure: why the customer is erased. Default: `request`. With `child`, the erasure does not wait for "
        "open matters.",
    ),
    anyway=Line(
        200,
        "For an erasure: why it does not wait for open matters. The journal keeps this text for ever, so it must not "
        "be personal.",
    ),
)
@problems("data-request-state-conflict", "identity-not-checked", "customer-has-open-matters", "legal-hold")
@problems("customer-erased", "payment-data-refused")
def fulfil_request(uow: UnitOfWork, request_id: str, body: dict[str, Any]) -> Response:
    """Close a data request

    Closes a data request with an outcome. `fulfilled` does what the person asked for: it erases them, corrects fields,
    restricts their data, or notes their objection. `taken_back` lifts a restriction or an objection that was fulfilled.
    It stays as long as another fulfilled data request of the person asks for it, or if it was set without a request.
    In all other cases, such as `fulfilled` after an export, the outcome only closes the data request. Sending the same
    again changes nothing. Records the outcome and the event `data_request.closed`. With `fulfilled`, it also records
    `customer.erased`, `customer.rectified` (which names fields, never values), `customer.restricted` or
    `customer.objected`. If the service refuses the outcome, the data request stays open, and its time still runs.
    """
    corrections = tuple(Correction(**one) for one in body.pop("corrections", ()))
    return reply(_shown(uow, data_requests.close(uow, request_id, Given(**body, corrections=corrections))))


@tag.operation("PUT /v1/customers/<string:customer_id>/hold", Scope.PRIVACY_WRITE)
@answer("The customer is held.", schemas.HoldSchema, example("held", "A claim", schemas.HOLD))
@takes(
    "HoldRequest",
    example("claim", "A claim", {"reason": schemas.HOLD["reason"]}),
    reason=FreeText(500, "Why the customer is held. Personal: stored encrypted.", required=True),
)
@problems("customer-erased", "payment-data-refused")
def hold_customer(uow: UnitOfWork, customer_id: str, body: dict[str, Any]) -> Response:
    """Hold a customer

    Keeps a customer from erasure until the hold is lifted. Use it when their data is needed for a legal claim. If there
    is already a hold, it stays, and another reason is added to its reason. Records the hold, or the added reason, and
    the event `customer.held`.
    """
    return reply(hold_data(customer_id, privacy.limit(uow, customer_id, LimitKind.HOLD, body["reason"])))


@tag.operation("DELETE /v1/customers/<string:customer_id>/hold", Scope.PRIVACY_WRITE)
@answer("The customer is not held.", schemas.HoldSchema, example("lifted", "No hold", schemas.LIFTED))
def lift_hold(uow: UnitOfWork, customer_id: str) -> Response:
    """Lift the hold on a customer

    Ends the hold, so that the customer can be erased again; the response shows that there is none. Use it once the
    claim is settled. Without a hold, nothing changes. Records when and by whom the hold was lifted, and the event
    `customer.hold_lifted`.
    """
    privacy.lift(uow, customer_id, LimitKind.HOLD)
    return reply(hold_data(customer_id, None))


@tag.operation("POST /v1/disclosures", Scope.PRIVACY_EXPORT)
@created("The disclosure is noted.", schemas.DisclosureSchema, example("police", "An authority", schemas.DISCLOSURE))
@takes(
    "DisclosureRequest",
    example("police", "An authority", schemas.DISCLOSED),
    customer_ref=schemas.CUSTOMER_REF,
    basis=Choice(DisclosureBasis, "What the disclosure is based on.", required=True),
    recipient=Line(254, "Who gets the data. Personal: stored encrypted.", required=True),
    reference=Line(
        200, "The recipient's own reference, such as a file number. Personal: stored encrypted.", required=True
    ),
)
@problems("not-found", "payment-data-refused")
def record_disclosure(uow: UnitOfWork, body: dict[str, Any]) -> Response:
    """Record a disclosure

    Records that a customer's data was handed to somebody else: on which basis, to whom, and under which reference. Use
    it whenever you hand data out. The customer's export names the disclosure. Records the disclosure and the event
    `privacy.disclosed`, which names only the basis.
    """
    return reply(disclosure_data(privacy.disclose(uow, **body)), status=201)


@tag.operation(
    "GET /v1/data-requests/<string:request_id>/export",
    Scope.PRIVACY_EXPORT,
    transaction=Transaction.WRITE,
)
@parameters(language=Language())
@answer("The export.", CustomerExportSchema, EXPORT, also=HTML)
@problems("identity-not-checked")
def export_data(uow: UnitOfWork, request_id: str, query: dict[str, Any]) -> Response:
    """Export everything about a customer

    Returns everything stored about the customer: their orders with promises, contacts, decisions and cancellations,
    their data requests, limits and disclosures, how long each is kept, and what they must be told by law. It has
    nothing about other customers. Use it to fulfil a data request for access or portability. With `Accept: text/html`,
    it is a page to hand to the customer. Records the event `privacy.exported`.
    """
    media_type = accepted_media_type(JSON, HTML)
    bind(query.get("language") or language())
    found = exports.for_request(uow, request_id)
    if media_type == HTML:
        return document(documents.render_html(found), media_type)
    response = reply(documents.export_data(found))
    response.vary.add("Accept")
    return response
