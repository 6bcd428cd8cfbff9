"""The confirmation of a cancellation for the customer: what was received, and what happens next.

It promises nothing beyond the clause: no time and no amount of a refund.
"""

from typing import Any

from refunds.domain.instants import local_date, zone
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import Basis, Cancellation, Contact
from refunds.domain.terms import Terms
from refunds.errors import Message
from refunds.presentation.documents.templating import render_document
from refunds.presentation.language import language, translate
from refunds.presentation.texts.customer import withdrawal_of, withdrawn_words
from refunds.presentation.texts.dates import date_text, instant_text
from refunds.presentation.texts.decisions import basis_text, channel_text


def render_html(cancellation: Cancellation, contact: Contact, version: PolicyVersion) -> str:
    """Return the confirmation as a page to print, in the reader's language; times are in the version's time zone."""
    return render_document("confirmation.html", **_values(cancellation, contact, version))


def render_text(cancellation: Cancellation, contact: Contact, version: PolicyVersion) -> str:
    """Return the confirmation as a text to send, in the reader's language; times are in the version's time zone."""
    return render_document("confirmation.txt", **_values(cancellation, contact, version))


def _values(cancellation: Cancellation, contact: Contact, version: PolicyVersion) -> dict[str, Any]:
    """Return by name the values for the templates of the confirmation, whose words tell a withdrawal from others."""
    terms, withdrawn = version.terms, withdrawal_of(cancellation, contact) is not None
    clause, clause_language = clause_in(terms, language())
    order, way = cancellation.order_id, channel_text(contact.channel)
    words = {name: translate(text, order=order) for name, text in _WORDS[withdrawn].items()}
    if contact.contact_point:
        way = translate("%(channel)s, at %(point)s", channel=way, point=contact.contact_point)
    facts = (
        (translate("Your request"), words["request"]),
        (translate("Sent"), contact.sent_at and instant_text(contact.sent_at, terms.time_zone)),
        (translate("Received"), instant_text(contact.received_at, terms.time_zone)),
        (translate("Channel"), way),
        (words["ended"], instant_text(cancellation.issued_at, terms.time_zone)),
        (translate("Basis"), basis_text(cancellation.basis)),
    )
    return {
        "vendor": terms.vendor_name,
        "reference": cancellation.reference_aloud,
        "words": words,
        "outcome": withdrawn_words(contact) if withdrawn else translate(_OUTCOME[cancellation.basis], order=order),
        "facts": [(label, value) for label, value in facts if value],
        # What the law asks for does not rest on the clause.
        "clause": None if cancellation.basis is Basis.STATUTORY else clause,
        "clause_language": clause_language,
        "clause_source": source_of(version),
    }


_OUTCOME = {
    Basis.POLICY: Message("The order %(order)s is cancelled."),
    Basis.GOODWILL: Message("The order %(order)s is cancelled as a gesture of goodwill."),
}

_WORDS = {
    False: {
        "request": Message("cancellation of the order %(order)s"),
        "ended": Message("Cancelled"),
        "title": Message("Confirmation of your cancellation"),
        "heading": Message("Your cancellation has been received"),
        "next": Message("The cancellation has been passed on to the vendor's billing, which deals with the refund."),
        "footer": Message("This confirms that your cancellation was received. Your statutory rights are not affected."),
    },
    True: {
        "request": Message("withdrawal from the contract on the order %(order)s"),
        "ended": Message("Ended"),
        "title": Message("Confirmation of your withdrawal"),
        "heading": Message("Your withdrawal has been received"),
        "next": Message("The withdrawal has been passed on to the vendor's billing, which deals with the refund."),
        "footer": Message("This confirms that your withdrawal was received. Your statutory rights are not affected."),
    },
}
"""What is said of a cancellation, or else of a withdrawal."""


def clause_in(terms: Terms, name: str) -> tuple[str | None, str]:
    """Return the clause in the language `name`, or else the other one (None if there is none), and its language."""
    other = "en" if name == "de" else "de"
    mine = getattr(terms.texts, name)
    return (mine, name) if mine else (getattr(terms.texts, other), other)


def source_of(version: PolicyVersion) -> str:
    """Return where a clause is from, in sentences: its version, since when that is in force, and the vendor's page."""
    terms = version.terms
    sentence = Message("Version %(version)s.", version=version.version)
    if version.effective_from is not None:
        since = date_text(local_date(version.effective_from, zone(terms.time_zone)))
        sentence = Message("Version %(version)s, in force since %(since)s.", version=version.version, since=since)
    shown = [translate("Published at %(url)s.", url=terms.page_url)] if terms.page_url else []
    return " ".join([translate(sentence), *shown])
