"""The confirmation of a cancellation for the customer: what was received, and what happens next.

It promises nothing beyond the clause: no time and no amount of a refund.
"""

from typing import Any

from refunds.domain.instants import local_date, zone
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import Basis, Cancellation, Contact
from refunds.domain.references import format_reference
from refunds.domain.terms import Terms
from refunds.presentation.documents.templating import written
from refunds.presentation.texts.dates import date_text, instant_text
from refunds.presentation.texts.decisions import channel_text


def render_html(cancellation: Cancellation, contact: Contact, version: PolicyVersion, language: str) -> str:
    """The confirmation as a page to print."""
    return written("confirmation.html", language, **_values(cancellation, contact, version, language))


def render_text(cancellation: Cancellation, contact: Contact, version: PolicyVersion, language: str) -> str:
    """The confirmation as a text to send."""
    return written("confirmation.txt", language, **_values(cancellation, contact, version, language))


_SAID = {
    "en": {
        "outcome": "The order {order} is cancelled.",
        "goodwill": "The order {order} is cancelled as a gesture of goodwill.",
        "request": "Your request",
        "cancel": "cancellation of the order {order}",
        "received": "Received",
        "sent": "Sent",
        "by": "Channel",
        "point": "{channel}, at {point}",
        "cancelled": "Cancelled",
        "next": (
            "The cancellation has been passed on to the vendor's billing, which deals with the refund.",
            "You need not do anything more. If you have a question, please give the reference.",
        ),
        "since": "Version {version}, in force since {since}.",
        "always": "Version {version}.",
        "shown": "Published at {url}.",
        "footer": "This confirms that your cancellation was received. Your statutory rights are not affected.",
    },
    "de": {
        "outcome": "Die Bestellung {order} ist storniert.",
        "goodwill": "Die Bestellung {order} ist aus Kulanz storniert.",
        "request": "Ihr Anliegen",
        "cancel": "Stornierung der Bestellung {order}",
        "received": "Eingegangen",
        "sent": "Abgesendet",
        "by": "Kontaktweg",
        "point": "{channel}, über {point}",
        "cancelled": "Storniert",
        "next": (
            "Die Stornierung ist an die Abrechnung des Anbieters weitergegeben, die sich um die Erstattung kümmert.",
            "Sie brauchen nichts weiter zu tun. Bei Rückfragen nennen Sie bitte das Aktenzeichen.",
        ),
        "since": "Fassung {version}, in Kraft seit {since}.",
        "always": "Fassung {version}.",
        "shown": "Veröffentlicht unter {url}.",
        "footer": "Dies bestätigt den Eingang Ihrer Stornierung. Ihre gesetzlichen Rechte bleiben unberührt.",
    },
}


def _values(cancellation: Cancellation, contact: Contact, version: PolicyVersion, language: str) -> dict[str, Any]:
    said: dict[str, Any] = _SAID[language]
    terms = version.terms
    clause, clause_language = clause_in(terms, language)
    order, channel = cancellation.order_id, channel_text(contact.channel, language)
    way = said["point"].format(channel=channel, point=contact.contact_point) if contact.contact_point else channel
    facts = {
        said["request"]: said["cancel"].format(order=order),
        said["sent"]: contact.sent_at and instant_text(contact.sent_at, terms.time_zone, language),
        said["received"]: instant_text(contact.received_at, terms.time_zone, language),
        said["by"]: way,
        said["cancelled"]: instant_text(cancellation.issued_at, terms.time_zone, language),
    }
    return {
        "vendor": terms.vendor_name,
        "reference": format_reference(cancellation.reference),
        "outcome": said["goodwill" if cancellation.basis is Basis.GOODWILL else "outcome"].format(order=order),
        "facts": [(label, value) for label, value in facts.items() if value],
        "next": said["next"],
        "clause": clause,
        "clause_language": clause_language,
        "clause_source": source_of(version, language),
        "footer": said["footer"],
    }


def clause_in(terms: Terms, language: str) -> tuple[str | None, str]:
    """The clause in `language` or, if missing, in the other one (None if both are); and the language it is in."""
    other = "en" if language == "de" else "de"
    mine = getattr(terms.texts, language)
    return (mine, language) if mine else (getattr(terms.texts, other), other)


def source_of(version: PolicyVersion, language: str) -> str:
    """The number of a version, since when it is in force, and the vendor's page that shows it."""
    said, terms = _SAID[language], version.terms
    lines = [str(said["always"]).format(version=version.version)]
    if version.effective_from is not None:
        since = date_text(local_date(version.effective_from, zone(terms.time_zone)), language)
        lines = [str(said["since"]).format(version=version.version, since=since)]
    if terms.page_url:
        lines.append(str(said["shown"]).format(url=terms.page_url))
    return " ".join(lines)
