"""All screens. Importing this module declares them."""

from refunds.web.console import (  # noqa: F401
    account,
    cancellations,
    contacts,
    data_requests,
    eligibility,
    events,
    orders,
    policies,
    publishing,
    queue,
    search,
    sign_in,
    statistics,
    unmatched,
    verification,
)
