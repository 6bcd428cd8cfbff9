"""The record of a contact whose order is not known."""

from dataclasses import dataclass
from datetime import datetime

from refunds.domain.contact_points import Channel
from refunds.domain.records import ContactState, Intent, not_digested, personal


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedContact:
    """A telephone call or e-mail about an order that is not known, kept until it is matched or closed.

    Its personal fields are encrypted under a key of its own, `wrapped_key`, which the master key encrypts; matching
    empties these fields and destroys the key. `order_hint` is what the customer said of the order. `contact_id` is the
    contact about the order that it became.
    """

    unmatched_id: str
    request_number: str
    wrapped_key: bytes | None = not_digested()
    intent: Intent
    channel: Channel
    sent_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    recorded_by: str
    contact_point: str | None
    order_hint: str | None = personal()
    from_detail: str | None = personal()
    ticket_ref: str | None = personal()
    note: str | None = personal()
    is_open: bool
    contact_id: str | None = None
    closed_at: datetime | None = None
    closed_by: str | None = None
    closed_reason: str | None = personal()
    taken_by: str | None = None

    @property
    def state(self) -> ContactState:
        """Open, resolved if it was closed for a reason, or else closed: it has become another contact."""
        if self.is_open:
            return ContactState.OPEN
        return ContactState.RESOLVED if self.closed_at is not None else ContactState.CLOSED
