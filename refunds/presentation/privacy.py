"""Data requests, disclosures and limits as plain data, as the API returns them."""

from collections.abc import Sequence
from typing import Any

from refunds.domain.instants import format_instant
from refunds.domain.privacy import DataRequest, Disclosure, Limit
from refunds.presentation.serializers import attributes
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
    """A data request, with the certificate of an erasure; without a `time_zone`, what to write is left out."""
    return {
        **attributes(request, "request_id", "kind", "state", "customer_id", "channel", "identity_check", "recipient"),
        **attributes(request, "received_at", "recorded_at", "recorded_by", "due_at"),
        **attributes(request, "extended_at", "extended_by", "extension_reason"),
        "fee_may_apply": request.fee is not None,
        **attributes(request, "fee", "fee_reason", "closed_at", "closed_by", "outcome", "outcome_reason"),
        "answer_text": time_zone and answer_text(request, time_zone),
        "earlier_recipients": list(map(disclosure_data, recipients)),
        "certificate": None if certificate is None else _certificate_data(certificate, is_scrubbed=is_scrubbed),
    }


def _certificate_data(certificate: Certificate, *, is_scrubbed: bool) -> dict[str, Any]:
    erasure = certificate.erasure
    return {
        **attributes(erasure, "customer_id", "reason", erased_at="at", order_ids="order_ids"),
        "fields": certificate.fields,
        "lines": list(certificate_lines(certificate, is_scrubbed=is_scrubbed)),
    }


def disclosure_data(disclosure: Disclosure) -> dict[str, Any]:
    """A disclosure."""
    what = attributes(disclosure, "disclosure_id", "customer_id", "basis", "recipient", "reference")
    return what | attributes(disclosure, "disclosed_at", "disclosed_by")


def hold_data(customer_id: str, held: Limit | None) -> dict[str, Any]:
    """Whether a customer is held."""
    return {
        "customer_id": customer_id,
        "held": held is not None,
        "reason": held and held.reason,
        "held_at": held and format_instant(held.set_at),
        "held_by": held and held.set_by,
    }
