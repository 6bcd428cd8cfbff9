"""The record of a contact whose order is not known."""

from dataclasses import dataclass
from datetime import datetime

from refunds.domain.contact_points import Channel
from refunds.domain.records import ContactState, Intent, not_digested, personal
from refunds.domain.references import REQUEST_NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedContact:
    """A telephone call or e-mail about an order that is not known, kept until it is matched or closed.

    Its personal fields are encrypted under a key of its own, `wrapped_key`, which the master key encrypts; matching
    empties these fields and destroys the key. `order_hint` is what the customer said of the order. `contact_id` is the
    contact about the order that it became. It is superseded and acknowledged like a contact about an order; if it
    corrects one that asked for the same, it has the `recorded_at` and `recorded_by` of that.
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
    supersedes: str | None = None
    superseded_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_through: Channel | None = None
    acknowledged_to: str | None = personal()

    @property
    def number_aloud(self) -> str:
        """The request number in two groups, to be read aloud."""
        return REQUEST_NUMBER.spoken(self.request_number)

    @property
    def state(self) -> ContactState:
        """The state of the contact: open, or how it came to an end: closed (matched), superseded or resolved."""
        if self.is_open:
            return ContactState.OPEN
        if self.contact_id is None and self.superseded_by is not None:
            return ContactState.SUPERSEDED
        return ContactState.RESOLVED if self.closed_at is not None else ContactState.CLOSED
