"""The evidence on an order, as a page to print."""

from refunds.presentation.documents.confirmation import clause_in, source_of
from refunds.presentation.documents.templating import render_document
from refunds.presentation.language import language, translate
from refunds.service.evidence import Evidence
from refunds.storage.policies import version_of


def render_html(evidence: Evidence) -> str:
    """Return the evidence as a page to print, in the reader's language; times are in its last version's zone or UTC."""
    versions = [version_of(record) for record in evidence.versions]
    return render_document(
        "evidence.html",
        evidence=evidence,
        broken="; ".join(map(translate, evidence.broken)),
        order=evidence.standing and evidence.standing.order,
        zone=versions[-1].terms.time_zone if versions else "Etc/UTC",
        clauses=[(version, *clause_in(version.terms, language()), source_of(version)) for version in versions],
    )
