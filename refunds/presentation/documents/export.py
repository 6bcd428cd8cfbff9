"""Everything stored about a customer, as a page to hand to them."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from refunds.domain.privacy import LimitKind
from refunds.errors import Message
from refunds.presentation.documents.templating import render_document
from refunds.presentation.exports import caller_data
from refunds.presentation.language import translate as _
from refunds.presentation.texts.dates import date_text, instant_text
from refunds.presentation.texts.information import information, retention
from refunds.presentation.texts.privacy import BASES, FEES, KINDS, OUTCOMES, last_day
from refunds.service.exports import Export

_LIMITS = {
    LimitKind.HOLD: Message("legal hold"),
    LimitKind.RESTRICTION: Message("restriction"),
    LimitKind.OBJECTION: Message("objection"),
}


def render_html(export: Export) -> str:
    """Return the export as a page, in the reader's language; times are in the time zone of the default policy."""
    return render_document(
        "export.html",
        export=export,
        caller=export.contact and caller_data(export.contact),
        beside=list(_beside(export)),
        information=list(information()),
        retention=list(retention(export.terms)),
        zone=export.terms.time_zone,
    )


def _beside(export: Export) -> Iterator[tuple[str, Sequence[Sequence[tuple[str, Any]]]]]:
    """Yield the limits, data requests and disclosures of an export: a heading, and each record as labels and values."""

    def at(instant: datetime | None) -> str | None:
        return None if instant is None else instant_text(instant, export.terms.time_zone)

    limits = [
        (
            (_("Kind"), _(_LIMITS[one.kind])),
            (_("Reason"), one.reason),
            (_("Since"), at(one.set_at)),
            (_("Lifted"), at(one.lifted_at)),
        )
        for one in export.limits
    ]
    requests = [
        (
            (_("Kind"), _(KINDS[one.kind])),
            (_("Received"), at(one.received_at)),
            (_("Identity"), one.identity_check),
            (_("Recipient"), one.recipient),
            (_("To be answered by"), date_text(last_day(one, export.terms.time_zone))),
            (_("Extended"), at(one.extended_at)),
            (_("Reason"), one.extension_reason),
            (_("Fee"), one.fee and _(FEES[one.fee])),
            (_("Reason"), one.fee_reason),
            (_("Answered"), at(one.closed_at)),
            (_("Outcome"), one.outcome and _(OUTCOMES[one.outcome])),
            (_("Reason"), one.outcome_reason),
        )
        for one in export.requests
    ]
    disclosures = [
        (
            (_("Recipient"), one.recipient),
            (_("Basis"), _(BASES[one.basis])),
            (_("File number"), one.reference),
            (_("Date"), at(one.disclosed_at)),
        )
        for one in export.disclosures
    ]
    yield _("Limits of use"), limits
    yield _("Your requests about your data"), requests
    yield _("Disclosures"), disclosures
