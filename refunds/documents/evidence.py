"""The evidence on an order: as data, and as a page to print."""

from collections.abc import Mapping
from typing import Any

from refunds.documents import written
from refunds.documents.confirmation import clause_in, source_of
from refunds.instants import format_instant
from refunds.records import spoken
from refunds.service.evidence import Evidence, Link
from refunds.service.policies import version_of
from refunds.wording.records import (
    cancellation_data,
    closure_data,
    contact_data,
    event_data,
    order_data,
    registered_data,
)


def data(evidence: Evidence, language: str) -> dict[str, Any]:
    """The evidence as plain data."""
    return {
        "order": order_data(evidence.order),
        "contacts": [contact_data(contact, language) for contact in evidence.contacts],
        "cancellations": [cancellation_data(cancellation, language) for cancellation in evidence.cancellations],
        "policy_versions": [registered_data(version) for version in evidence.versions],
        "closures": [closure_data(closure) for closure in evidence.closures],
        "journal": [_link_data(link) for link in evidence.journal],
        "proof": {
            "sound": not evidence.broken,
            "broken": evidence.broken,
            "checked_at": format_instant(evidence.checked_at),
        },
    }


def page(evidence: Evidence, language: str) -> str:
    """The evidence as a page to print."""
    versions = [version_of(record) for record in evidence.versions]
    return written(
        "evidence.html",
        language,
        evidence=evidence,
        order=evidence.order,
        spoken=spoken,
        zone=versions[-1].terms.time_zone if versions else "Etc/UTC",
        clauses=[(version, *clause_in(version.terms, language), source_of(version, language)) for version in versions],
        happened=happened(language),
    )


def happened(language: str) -> Mapping[str, str]:
    """What events are called, by their types."""
    return _HAPPENED[language]


def _link_data(link: Link) -> dict[str, Any]:
    event, anchor = link
    return event_data(event) | {
        "digest": event.digest.hex(),
        "previous": event.previous.hex(),
        "hash": event.hash.hex(),
        "anchor": anchor and {"position": anchor.position, "hash": anchor.hash.hex(), "at": format_instant(anchor.at)},
    }


_HAPPENED = {
    "en": {
        "order.registered": "order registered",
        "order.corrected": "order corrected",
        "contact.recorded": "contact recorded",
        "contact.superseded": "contact superseded",
        "contact.resolved": "contact resolved",
        "cancellation.issued": "cancellation issued",
        "cancellation.settled": "refund settled",
        "cancellation.unsettled": "settlement undone",
        "cancellation.revoked": "cancellation revoked",
        "policy.imported": "version imported",
        "policy.published": "version published",
        "policy.withdrawn": "version withdrawn",
        "closure.added": "closure entered",
        "access.client_created": "client added",
        "access.token_created": "token made",
        "access.token_revoked": "token revoked",
        "access.user_created": "user added",
        "access.user_reset": "password reset",
        "access.user_disabled": "user disabled",
    },
    "de": {
        "order.registered": "Bestellung erfasst",
        "order.corrected": "Bestellung berichtigt",
        "contact.recorded": "Kontakt erfasst",
        "contact.superseded": "Kontakt ersetzt",
        "contact.resolved": "Kontakt erledigt",
        "cancellation.issued": "Stornierung ausgestellt",
        "cancellation.settled": "Erstattung verbucht",
        "cancellation.unsettled": "Verbuchung zurückgenommen",
        "cancellation.revoked": "Stornierung zurückgenommen",
        "policy.imported": "Fassung übernommen",
        "policy.published": "Fassung veröffentlicht",
        "policy.withdrawn": "Fassung zurückgezogen",
        "closure.added": "Schließtag eingetragen",
        "access.client_created": "Client angelegt",
        "access.token_created": "Token ausgestellt",
        "access.token_revoked": "Token widerrufen",
        "access.user_created": "Benutzer angelegt",
        "access.user_reset": "Kennwort zurückgesetzt",
        "access.user_disabled": "Benutzer gesperrt",
    },
}
