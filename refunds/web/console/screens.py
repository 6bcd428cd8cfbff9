"""All screens. Importing this module declares them."""

from refunds.web.console import (
    PREFIX,
    bind_chosen_language,
    blueprint,
    cancellations,
    contacts,
    data_requests,
    eligibility,
    events,
    orders,
    policies,
    queue,
    search,
    sign_in,
    statistics,
    unmatched,
    verification,
)

__all__ = [
    "PREFIX",
    "bind_chosen_language",
    "blueprint",
    "cancellations",
    "contacts",
    "data_requests",
    "eligibility",
    "events",
    "orders",
    "policies",
    "queue",
    "search",
    "sign_in",
    "statistics",
    "unmatched",
    "verification",
]
