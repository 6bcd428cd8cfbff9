"""What customers may ask for about their data, as frozen values: data requests, disclosures, limits."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from refunds.domain.records import personal
from refunds.errors import CallersError


class CustomerHasOpenMatters(CallersError):
    """A customer cannot be erased yet: requests of theirs wait for an answer, or refunds for billing."""

    code = "customer-has-open-matters"


class LegalHold(CallersError):
    """A customer cannot be erased, because a legal hold keeps their data."""

    code = "legal-hold"


class DataRequestKind(StrEnum):
    """What a data request asks for."""

    ACCESS = "access"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    PORTABILITY = "portability"
    OBJECTION = "objection"
    RESTRICTION = "restriction"


class DataRequestChannel(StrEnum):
    """How a data request arrived."""

    ACCOUNT = "account"
    EMAIL = "email"
    PHONE = "phone"
    POST = "post"


class DataRequestOutcome(StrEnum):
    """How a data request ended."""

    FULFILLED = "fulfilled"
    REFUSED = "refused"
    NOTHING_HELD = "nothing_held"
    TAKEN_BACK = "taken_back"


class Fee(StrEnum):
    """Why a data request costs something."""

    FURTHER_COPY = "further_copy"
    EXCESSIVE = "excessive"


class DisclosureBasis(StrEnum):
    """What a disclosure is based on."""

    AUTHORITY_REQUEST = "authority_request"
    RIGHTS_PROTECTION = "rights_protection"
    PROCESSOR = "processor"


class LimitKind(StrEnum):
    """What a limit does."""

    HOLD = "hold"
    """The data must not be erased or forgotten."""
    RESTRICTION = "restriction"
    """The data are only kept; the privacy role alone reads them."""
    OBJECTION = "objection"
    """The data are in no statistics and no simulation."""


class ErasureReason(StrEnum):
    """Why a customer was erased."""

    REQUEST = "request"
    ACCOUNT_DELETED = "account_deleted"
    CHILD = "child"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """A request of a person about their data.

    `customer_id` is None if nothing is held about them; then no field is personal. `due_at` is the first instant that
    is too late, after the extension if there is one.
    """

    request_id: str
    kind: DataRequestKind
    customer_id: str | None
    channel: DataRequestChannel
    identity_check: str | None = personal()
    recipient: str | None = personal()
    received_at: datetime
    recorded_at: datetime
    recorded_by: str
    due_at: datetime
    extended_at: datetime | None = None
    extended_by: str | None = None
    extension_reason: str | None = personal()
    fee: Fee | None = None
    fee_reason: str | None = personal()
    closed_at: datetime | None = None
    closed_by: str | None = None
    outcome: DataRequestOutcome | None = None
    outcome_reason: str | None = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A customer's data that were handed to somebody else."""

    disclosure_id: str
    customer_id: str
    basis: DisclosureBasis
    recipient: str | None = personal()
    reference: str | None = personal()
    disclosed_at: datetime
    disclosed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What must not be done with a customer's data until it is lifted."""

    limit_id: str
    customer_id: str
    kind: LimitKind
    reason: str | None = personal()
    set_at: datetime
    set_by: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
