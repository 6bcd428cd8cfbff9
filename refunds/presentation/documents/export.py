"""Everything stored about a customer, with what they must be told with it: as plain data, and as a page for them."""

from datetime import datetime
from typing import Any

from refunds.domain.instants import format_instant, format_known
from refunds.domain.privacy import DataRequestOutcome, LimitKind
from refunds.domain.records import Contact
from refunds.domain.retention import BESIDE, details_until
from refunds.domain.terms import Terms
from refunds.errors import Message
from refunds.presentation import serializers
from refunds.presentation.documents.templating import render_document
from refunds.presentation.language import translate
from refunds.presentation.texts.information import information, retention
from refunds.presentation.texts.privacy import BASES, FEES, KINDS, OUTCOMES, last_day
from refunds.service.exports import Export, ExportedOrder
from refunds.service.findings import AContact


def export_data(export: Export) -> dict[str, Any]:
    """Return an export as the API shows it, in the reader's language; without the versions of the holiday data."""
    terms, erased = export.terms, export.erased
    # A fulfilled request is kept as long as the limit that it asks for: they have the same name.
    standing = {(str(one.kind), DataRequestOutcome.FULFILLED) for one in export.limits if one.lifted_at is None}
    return {
        "customer_id": export.customer_id,
        "vendor": export.terms.vendor_name,
        "made_at": format_instant(export.made_at),
        "erased": erased and serializers.attributes(erased, "at", "reason"),
        "information": {one.name: one.paragraphs for one in information()},
        "retention": [kept._asdict() for kept in retention(terms)],
        "orders": [_order_data(one, terms) for one in export.orders],
        "contact": export.contact and caller_data(export.contact),
        "limits": [serializers.attributes(one, *_LIMIT) | _until(one.lifted_at, terms) for one in export.limits],
        "data_requests": [
            _without(serializers.data_request_data(one), OF_ANSWERS)
            | _until(None if (str(one.kind), one.outcome) in standing else one.closed_at, terms)
            for one in export.requests
        ],
        "disclosures": [
            serializers.disclosure_data(one) | _until(one.disclosed_at, terms) for one in export.disclosures
        ],
    }


def caller_data(contact: AContact) -> dict[str, Any]:
    """Return a contact as a person who is no customer gets it: without its order, decision and resolution."""
    if isinstance(contact, Contact):
        name, hint = contact.contact_id, None
    else:
        name, hint = contact.unmatched_id, contact.order_hint
    return {
        "contact_id": name,
        "request_number": contact.number_aloud,
        "order_hint": hint,
        **serializers.details_data(contact),
        "answered_at": format_known(contact.acknowledged_at),
    }


def _order_data(one: ExportedOrder, terms: Terms) -> dict[str, Any]:
    """Return an order of an export with all records about it, and the last days on which it and details are kept."""
    return {
        "order": serializers.order_data(one.standing),
        "kept_until": one.until.isoformat(),
        "promises": [_without(serializers.promise_on_record_data(each), _VERSIONS) for each in one.promises],
        "contacts": [
            _without_versions(serializers.contact_data(each))
            | {"details_until": details_until(each, one.until, terms).isoformat()}
            for each in one.contacts
        ],
        "unmatched_contacts": [serializers.unmatched_data(each) for each in one.unmatched],
        "cancellations": [_without_versions(serializers.cancellation_data(each)) for each in one.cancellations],
    }


OF_ANSWERS = ("answer_text", "earlier_recipients", "certificate")
"""What is shown with a data request and is stored elsewhere, or not at all."""

_LIMIT = ("limit_id", "kind", "reason", "set_at", "lifted_at")
_VERSIONS = ("holidays_version", "tzdata_version", "fingerprint")  # only for operators


def _without(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy of the data without the keys in `names`."""
    return {name: value for name, value in data.items() if name not in names}


def _without_versions(data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a record's data whose decision lacks the versions and the fingerprint of the holiday data."""
    decision = data["decision"]
    return data | {"decision": decision | {"calendar": _without(decision["calendar"], _VERSIONS)}}


def _until(ended: datetime | None, terms: Terms) -> dict[str, str | None]:
    """Return, as `kept_until`, the last day that a limit, data request or disclosure is kept; None until it ends."""
    return {"kept_until": None if ended is None else BESIDE.last_day(ended, terms).isoformat()}


_LIMITS = {
    LimitKind.HOLD: Message("legal hold"),
    LimitKind.RESTRICTION: Message("restriction"),
    LimitKind.OBJECTION: Message("objection"),
}
_NAMES = {**KINDS, **OUTCOMES, **BASES, **FEES}


def render_html(export: Export) -> str:
    """Return the export as a page, in the reader's language; times are in the time zone of the default policy."""
    return render_document(
        "export.html",
        export=export,
        caller=export.contact and caller_data(export.contact),
        information=list(information()),
        retention=list(retention(export.terms)),
        zone=export.terms.time_zone,
        limits=_LIMITS,
        held=any(one.kind is LimitKind.HOLD and one.lifted_at is None for one in export.limits),
        last_day=last_day,
        named=lambda code: code and translate(_NAMES[code]),
    )
