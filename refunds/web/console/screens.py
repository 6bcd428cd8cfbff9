"""All screens: whoever imports this has them declared."""

from refunds.web.console import (
    PREFIX,
    blueprint,
    cancellations,
    checks,
    history,
    journal,
    language,
    policies,
    requests,
    sign_in,
)

__all__ = [
    "PREFIX",
    "blueprint",
    "cancellations",
    "checks",
    "history",
    "journal",
    "language",
    "policies",
    "requests",
    "sign_in",
]
