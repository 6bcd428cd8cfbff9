"""The records as frozen values: orders, contacts, cancellations, versions, closures, clients, users.

A field marked `personal` is stored encrypted, under its customer's key if there is a customer; it is None for readers
who may not see it.
Every other field is plain. The journal's digest of the record covers it unless it is marked `not_digested`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Outcome, RecordedDecision, ToldWindow
from refunds.domain.permissions import Role
from refunds.domain.references import REFERENCE, REQUEST_NUMBER
from refunds.domain.resolutions import ResolutionReason


def personal() -> Any:
    """Return a record's field for personal data, None by default: it is stored encrypted, and emptied by an erasure."""
    return field(default=None, metadata={"personal": True})


def not_digested(**default: Any) -> Any:
    """Declare a field that the journal does not vouch for: other records imply it, or it changes without an event."""
    return field(metadata={"not_digested": True}, **default)


class Intent(StrEnum):
    """What the customer wanted with a contact."""

    CANCEL = "cancel"
    QUESTION = "question"
    WITHDRAWAL = "withdrawal"  # to withdraw from the contract by law, whatever the policy says

    @property
    def asks(self) -> bool:
        """Whether a contact with this intent asks for the end of the order, and so is open until that is dealt with."""
        return self in ASKING


ASKING = (Intent.CANCEL, Intent.WITHDRAWAL)  # the intents that ask for a cancellation


class ContactState(StrEnum):
    """The state of a contact; a closed one asks for nothing, or its order is cancelled."""

    OPEN = "open"
    CLOSED = "closed"
    RESOLVED = "resolved"
    SUPERSEDED = "superseded"


class State(StrEnum):
    """The state of a cancellation."""

    ISSUED = "issued"
    REFUNDING = "refunding"
    SETTLED = "settled"
    REVOKED = "revoked"


UNSETTLED = (State.ISSUED, State.REFUNDING)  # the states in which billing still has to refund
ACTIVE = (*UNSETTLED, State.SETTLED)  # the states in which the order is cancelled


class Basis(StrEnum):
    """What a cancellation is based on."""

    POLICY = "policy"
    GOODWILL = "goodwill"
    STATUTORY = "statutory"


class OverrideKind(StrEnum):
    """How a supervisor overrides a refusal."""

    GOODWILL = "goodwill"
    CONTACT_POINT_ACCEPTED = "contact_point_accepted"
    DEADLINE_ACCEPTED = "deadline_accepted"
    STATUTORY = "statutory"


class RevocationReason(StrEnum):
    """Why a cancellation was revoked."""

    ENTERED_IN_ERROR = "entered_in_error"
    CUSTOMER_KEPT_ORDER = "customer_kept_order"
    CUSTOMER_WITHDREW = "customer_withdrew"  # so earlier versions said it; stored ones are read, new ones refused


REVOCABLE_FOR = (RevocationReason.ENTERED_IN_ERROR, RevocationReason.CUSTOMER_KEPT_ORDER)
"""The reasons that a new revocation can have."""


class RefundEndReason(StrEnum):
    """Why a refund that was begun ended without a settlement."""

    REFUND_FAILED = "refund_failed"


class UnsettleReason(StrEnum):
    """Why a settlement was undone."""

    ENTERED_IN_ERROR = "entered_in_error"
    REFUND_FAILED = "refund_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What billing says of an order; facts only, no amounts.

    `revision` counts its states from 1; `asserted_by` is who stated the present one.

    `facts_entered_by_agent`: somebody who may not correct facts has stated them, and billing has not stated the same
    since. `facts_corrected_after_refusal`: they were corrected after a request was refused. None stands for no.
    `told_until`: the latest deadline that a contact or cancellation on record was told before a correction.
    """

    order_id: str
    customer_id: str
    customer_ref: str | None = personal()
    policy: str
    region: str | None
    ordered_at: datetime | None
    service_provided_at: datetime | None
    registered_at: datetime
    asserted_by: str
    revision: int
    correction_reason: str | None = personal()
    facts_entered_by_agent: bool | None = None
    facts_corrected_after_refusal: bool | None = None
    told_until: datetime | None = None


class PromiseCause(StrEnum):
    """Why a promise was made: what the order was told then."""

    REGISTERED = "registered"
    CORRECTED = "corrected"
    RECORDED = "recorded"  # a contact or a cancellation was recorded, and its window ended later than promised
    POLICY_CHANGED = "policy_changed"  # a version was published, imported or withdrawn, or a closure entered
    CALENDAR_CHANGED = "calendar_changed"
    BEFORE_PROMISES = "before_promises"  # the order was registered by a version of the service that kept no promises


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The window that an order was told, and for which facts; `is_current`: no other for its facts ends later."""

    promise_id: str
    order_id: str
    policy: str
    region: str | None
    ordered_at: datetime | None
    service_provided_at: datetime
    deadline: datetime
    told: ToldWindow
    holidays_version: str
    tzdata_version: str
    cause: PromiseCause
    promised_at: datetime
    promised_by: str
    is_current: bool = not_digested()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A customer's call, e-mail, letter or form about an order, and the decision on it.

    `recorded_at` is by the service's clock. `contact_point` is the vendor's number or address, `from_detail` the
    customer's. `backdated`: it asks for a cancellation, was made before the deadline and entered after it. `is_open`:
    it asks for a cancellation, the order is not cancelled, and the contact is not resolved or superseded.
    `request_number` is what the customer is told; None only until contacts of an older version have theirs. It is
    resolved for `resolution_code` (None if an older version of the service did it), which `resolution_reason` explains.
    It is acknowledged once the customer was answered: by telephone or e-mail, at `acknowledged_to` unless that is
    `from_detail`. `taken_by` is the user or client who deals with it, or did.
    """

    contact_id: str
    order_id: str
    intent: Intent
    channel: Channel
    sent_at: datetime | None
    received_at: datetime
    recorded_at: datetime
    recorded_by: str
    contact_point: str | None
    from_detail: str | None = personal()
    ticket_ref: str | None = personal()
    note: str | None = personal()
    supersedes: str | None
    decision: RecordedDecision
    backdated: bool
    is_open: bool = not_digested()
    superseded_by: str | None = not_digested()
    resolution_reason: str | None = personal()
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    request_number: str | None = not_digested(default=None)
    resolution_code: ResolutionReason | None = None
    duplicate_of: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_through: Channel | None = None
    acknowledged_to: str | None = personal()
    taken_by: str | None = None

    @property
    def state(self) -> ContactState:
        """Superseded if another contact supersedes it, else resolved if it was, else open or closed, by `is_open`."""
        if self.superseded_by is not None:
            return ContactState.SUPERSEDED
        if self.resolved_at is not None:
            return ContactState.RESOLVED
        return ContactState.OPEN if self.is_open else ContactState.CLOSED

    @property
    def entered_at(self) -> datetime:
        """When the contact was entered; if it supersedes one with the same intent, when that one was entered."""
        then = self.decision.facts
        return self.recorded_at if then.request or then.recorded_at is None else then.recorded_at

    @property
    def entered_in_time(self) -> bool:
        """Whether the contact's own decision allowed a cancellation, and so found that no agent entered it too late.

        If the service was not provided by then, or a supervisor entered the contact, the decision did not ask that.
        """
        then = self.decision.facts
        if then.request or then.entered_by_supervisor or then.service_provided_at is None or then.recorded_at is None:
            return False
        return self.outcome.eligible and then.service_provided_at <= then.recorded_at

    @property
    def number_aloud(self) -> str | None:
        """The request number in two groups, to be read aloud; None only until an older contact has got its number."""
        return self.request_number and REQUEST_NUMBER.spoken(self.request_number)

    @property
    def outcome(self) -> Outcome:
        """Return what the decision on the contact said when the contact was recorded."""
        return self.decision.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """The cancellation of an order, for billing to refund.

    `refund_due_by` is the date by which billing means to refund, or has to by law, `overdue_at` the end of that date.
    `revocation_code` is the reason for its revocation, `revocation_reason` the explanation in free text.
    """

    cancellation_id: str
    reference: str
    order_id: str
    contact_id: str
    decision: RecordedDecision
    basis: Basis
    state: State
    issued_at: datetime
    issued_by: str
    refund_due_by: date
    overdue_at: datetime
    override_kind: OverrideKind | None = None
    override_reason: str | None = personal()
    override_by: str | None = None
    settled_at: datetime | None = None
    settled_by: str | None = None
    billing_ref: str | None = personal()
    revocation_code: RevocationReason | None = None
    revocation_reason: str | None = personal()
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    refund_begun_at: datetime | None = None
    refund_begun_by: str | None = None

    @property
    def reference_aloud(self) -> str:
        """The reference in three groups, to be read aloud."""
        return REFERENCE.spoken(self.reference)

    @property
    def outcome(self) -> Outcome:
        """What the decision behind the cancellation said when it was issued."""
        return self.decision.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """A version as it was registered, or imported with its true date; `effective_from` None: from the beginning."""

    version_id: str
    policy: str
    version: int
    registered_at: datetime
    registered_by: str
    imported: bool
    effective_from: datetime | None
    terms: Mapping[str, Any]
    content_hash: str
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A date on which the vendor is closed, entered into a policy besides its terms; it is never removed."""

    closure_id: str
    policy: str
    date: date
    reason_de: str | None = personal()
    reason_en: str | None = personal()
    entered_at: datetime
    entered_by: str


def id_within(policy: str, name: object) -> str:
    """Return `policy/name`: the id of a version (number) or closure (date) of a policy, or of a field of a record."""
    return f"{policy}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A system or person that calls the service, and its role."""

    client_id: str
    name: str
    role: Role
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientToken:
    """A token of a client; the secret itself is not stored."""

    token_id: str
    client_id: str
    secret_digest: bytes
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who signs in; only this has their name. Raising `epoch` by one, with an event, ends their sessions."""

    user_id: str
    name: str | None = not_digested()
    role: Role
    password_hash: str
    epoch: int = not_digested()
    registered_at: datetime
    disabled_at: datetime | None = None
