"""The evidence on an order, as a page to print."""

from collections.abc import Mapping

from refunds.domain.references import format_reference
from refunds.presentation.documents.confirmation import clause_in, source_of
from refunds.presentation.documents.templating import written
from refunds.service.evidence import Evidence
from refunds.storage.policies import version_of


def render_html(evidence: Evidence, language: str) -> str:
    """The evidence as a page to print."""
    versions = [version_of(record) for record in evidence.versions]
    return written(
        "evidence.html",
        language,
        evidence=evidence,
        order=evidence.order,
        format_reference=format_reference,
        zone=versions[-1].terms.time_zone if versions else "Etc/UTC",
        clauses=[(version, *clause_in(version.terms, language), source_of(version, language)) for version in versions],
        happened=happened(language),
    )


def happened(language: str) -> Mapping[str, str]:
    """The names of events, by type."""
    return _HAPPENED[language]


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
