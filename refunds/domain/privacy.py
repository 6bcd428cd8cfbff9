"""What customers may ask for about their data, as frozen values: data requests, disclosures, limits."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from refunds.domain.instants import end_of_day, local_date, months_on, zone
from refunds.domain.records import personal
from refunds.errors import CallersError, Message, StateConflict


class CustomerHasOpenMatters(CallersError, code="customer-has-open-matters"):
    """A customer cannot be erased yet: requests of theirs wait for an answer or a copy, or refunds for billing."""


class LegalHold(CallersError, code="legal-hold"):
    """A customer cannot be erased, nor their orders moved to another one, because a legal hold keeps their data."""

    def __init__(self, customer_id: str) -> None:
        super().__init__(Message("A legal hold keeps the customer %(name)s: lift it first.", name=customer_id))


class IdentityNotChecked(CallersError, code="identity-not-checked"):
    """Personal data would be handed out or erased for somebody whose identity was not checked."""

    def __init__(self, request_id: str) -> None:
        super().__init__(Message("The data request %(name)s has no identity check: add it first.", name=request_id))


class DataRequestConflict(StateConflict, code="data-request-state-conflict"):
    """A data request is closed, with another outcome."""


class CannotBeExtended(CallersError, code="cannot-be-extended"):
    """The time to answer a data request cannot be extended."""


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


class DataRequestState(StrEnum):
    """Whether a data request has its outcome."""

    OPEN = "open"
    CLOSED = "closed"


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

    HOLD = "hold"  # the data must not be erased or forgotten
    RESTRICTION = "restriction"  # the data are only kept; the privacy role alone reads them
    OBJECTION = "objection"  # the data are in no statistics and no simulation


class ErasureReason(StrEnum):
    """Why a customer was erased."""

    REQUEST = "request"
    ACCOUNT_DELETED = "account_deleted"
    CHILD = "child"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """A request of a person about their data, too late from `due_at`; without a `customer_id`, nothing is personal."""

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

    @property
    def state(self) -> DataRequestState:
        """Closed once the request has its outcome, until then open."""
        return DataRequestState.OPEN if self.closed_at is None else DataRequestState.CLOSED


_ANSWERED_WITHIN = timedelta(days=30)
_EXTENDED_TO_MONTHS = 3

EXTENDABLE = (DataRequestKind.ACCESS, DataRequestKind.PORTABILITY, DataRequestKind.OBJECTION)
"""What may take longer to answer if there are reasons; the others wait for nothing but the act."""

COPIED = (DataRequestKind.ACCESS, DataRequestKind.PORTABILITY)
"""What is answered by a copy of the data, which an erasure would make impossible."""

IDENTIFIED = (*COPIED, DataRequestKind.ERASURE)
"""What is only done for somebody whose identity was checked."""

LIMITING = {
    DataRequestKind.RESTRICTION: LimitKind.RESTRICTION,
    DataRequestKind.OBJECTION: LimitKind.OBJECTION,
}
"""Which limit is set when a data request of a kind is fulfilled."""

TOLD_TO_RECIPIENTS = (DataRequestKind.RECTIFICATION, DataRequestKind.ERASURE, DataRequestKind.RESTRICTION)
"""What those must be told to whom the data were disclosed before. Source: GDPR, Article 19."""


def due_at(received_at: datetime, time_zone: str, *, extended: bool = False) -> datetime:
    """Return the first instant, in UTC, at which it is too late to answer a data request.

    It is the end of the 30th date after receipt or of the date a calendar month after it, whichever is earlier; if
    `extended`, of the date three calendar months after it. A month from 31 January ends on the last day of February.
    Source: GDPR, Article 12(3).
    """
    tz = zone(time_zone)
    received = local_date(received_at, tz)
    if extended:
        return end_of_day(months_on(received, _EXTENDED_TO_MONTHS), tz)
    return end_of_day(min(received + _ANSWERED_WITHIN, months_on(received, 1)), tz)


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
