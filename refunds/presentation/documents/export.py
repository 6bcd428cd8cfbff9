"""Everything stored about a customer, as a page to hand to them."""

from refunds.domain.privacy import LimitKind
from refunds.errors import Message
from refunds.presentation.documents.templating import render_document
from refunds.presentation.exports import caller_data
from refunds.presentation.language import translate
from refunds.presentation.texts.information import information, retention
from refunds.presentation.texts.privacy import BASES, FEES, KINDS, OUTCOMES
from refunds.service.exports import Export

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
        named=lambda code: code and translate(_NAMES[code]),
    )
