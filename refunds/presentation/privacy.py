"""Data requests, disclosures and limits as plain data, as the API returns them."""

from collections.abc import Sequence
from typing import Any

from refunds.domain.instants import format_instant, format_known
from refunds.domain.privacy import DataRequest, Disclosure, Limit
from refunds.presentation.texts.privacy import answer_text, certificate_lines
from refunds.service.privacy import Certificate


def data_request_data(
    request: DataRequest,
    certificate: Certificate | None = None,
    recipients: Sequence[Disclosure] = (),
    *,
    time_zone: str | None = None,
    is_scrubbed: bool = False,
) -> dict[str, Any]:
    """A data request, with the certificate if a customer was erased for it; texts are in the reader's language.

    What to write to the person is left out without a `time_zone`.
    """
    return {
        "request_id": request.request_id,
        "kind": request.kind,
        "state": request.state,
        "customer_id": request.customer_id,
        "channel": request.channel,
        "identity_check": request.identity_check,
        "recipient": request.recipient,
        "received_at": format_instant(request.received_at),
        "recorded_at": format_instant(request.recorded_at),
        "recorded_by": request.recorded_by,
        "due_at": format_instant(request.due_at),
        "extended_at": format_known(request.extended_at),
        "extended_by": request.extended_by,
        "extension_reason": request.extension_reason,
        "fee_may_apply": request.fee is not None,
        "fee": request.fee,
        "fee_reason": request.fee_reason,
        "closed_at": format_known(request.closed_at),
        "closed_by": request.closed_by,
        "outcome": request.outcome,
        "outcome_reason": request.outcome_reason,
        "answer_text": time_zone and answer_text(request, time_zone),
        "earlier_recipients": list(map(disclosure_data, recipients)),
        "certificate": None if certificate is None else _certificate_data(certificate, is_scrubbed=is_scrubbed),
    }


def _certificate_data(certificate: Certificate, *, is_scrubbed: bool) -> dict[str, Any]:
    erasure = certificate.erasure
    return {
        "customer_id": erasure.customer_id,
        "reason": erasure.reason,
        "erased_at": format_instant(erasure.at),
        "order_ids": erasure.order_ids,
        "fields": certificate.fields,
        "lines": list(certificate_lines(certificate, is_scrubbed=is_scrubbed)),
    }


def disclosure_data(disclosure: Disclosure) -> dict[str, Any]:
    """A disclosure."""
    return {
        "disclosure_id": disclosure.disclosure_id,
        "customer_id": disclosure.customer_id,
        "basis": disclosure.basis,
        "recipient": disclosure.recipient,
        "reference": disclosure.reference,
        "disclosed_at": format_instant(disclosure.disclosed_at),
        "disclosed_by": disclosure.disclosed_by,
    }


def hold_data(customer_id: str, held: Limit | None) -> dict[str, Any]:
    """Whether a customer is held."""
    return {
        "customer_id": customer_id,
        "held": held is not None,
        "reason": held and held.reason,
        "held_at": held and format_instant(held.set_at),
        "held_by": held and held.set_by,
    }
