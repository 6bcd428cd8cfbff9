"""All screens. Importing this module declares them."""

from refunds.web.console import (
    PREFIX,
    blueprint,
    cancellations,
    contacts,
    eligibility,
    events,
    language,
    orders,
    policies,
    sign_in,
)

__all__ = [
    "PREFIX",
    "blueprint",
    "cancellations",
    "contacts",
    "eligibility",
    "events",
    "language",
    "orders",
    "policies",
    "sign_in",
]
