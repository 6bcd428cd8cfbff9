"""The error tree: everything that can go wrong, with its evidence and a stable code; no HTTP here.

A refusal is a value (a `Decision`), not an error. Each class names its `code`, which the web turns
into the page `/problems/<code>`, and its `exit_code`, with which the command line ends.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import ClassVar, Self

MOST_FLAWS = 50
"""Nobody mends more at once, and an answer must not grow with what was sent."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of the input: a JSON pointer, what to do, and a stable code."""

    pointer: str
    detail: str
    code: str = "invalid"

    def under(self, prefix: str) -> "FieldError":
        """The same field_error, seen from the document that holds this one at `prefix`."""
        return FieldError(prefix + self.pointer, self.detail, self.code)


class RefundsError(Exception):
    """Whatever the service can answer with instead of a result."""

    code: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1
    errors: tuple[FieldError, ...] = ()

    def under(self, prefix: str) -> Self:
        """The same error with all its evidence, its places seen from the document that holds them at `prefix`."""
        # Not by its class: each takes other arguments.
        moved = type(self).__new__(type(self))
        moved.__dict__.update(self.__dict__)
        moved.errors = tuple(field_error.under(prefix) for field_error in self.errors)
        moved.args = (summary(moved.errors),) if moved.errors else self.args
        return moved


class CallersError(RefundsError):
    """What the caller can fix, or has to live with."""

    exit_code = 3


class InvalidInput(CallersError):
    """The input breaks its contract; `errors` names the places (the first of very many) and the fix."""

    code = "validation-error"

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(islice(errors, MOST_FLAWS))
        super().__init__(summary(self.errors))


PAYMENT_DATA = "payment_data"
"""The code of the field_error that makes an input a `PaymentDataRefused`."""


class PaymentDataRefused(InvalidInput):
    """A text holds a payment card's number or an IBAN, which are stored nowhere; it is never repeated."""

    code = "payment-data-refused"


class EvidenceRequired(InvalidInput):
    """A contact from before the deadline is entered after it, and nothing shows that it was made."""

    code = "evidence-required"


def summary(errors: Iterable[FieldError]) -> str:
    """The first errors in one line."""
    return "; ".join(
        f"{field_error.pointer}: {field_error.detail}".removeprefix(": ") for field_error in islice(errors, 3)
    )


class UnknownRegion(InvalidInput):
    """A region that the holiday data does not know by exactly this code."""

    code = "unknown-region"

    def __init__(self, detail: str) -> None:
        super().__init__([FieldError("", detail, "unknown_region")])


class CalendarNotCovered(CallersError):
    """A date that the holiday data of a region does not reach: never taken for "no holidays"."""

    code = "calendar-not-covered"

    def __init__(self, region: str, first: date, last: date) -> None:
        self.region, self.first, self.last = region, first, last
        super().__init__(f"The holiday data of {region} covers {first} to {last}; this calculation would leave it.")


class NoPolicyInForce(CallersError):
    """No version of the policy held at the instant that decides; `first` is when one will."""

    code = "no-policy-in-force"

    def __init__(self, policy_id: str, at: datetime, first: datetime | None) -> None:
        self.policy_id, self.at, self.first = policy_id, at, first
        when = f"the first takes effect at {first.isoformat()[:19]}Z" if first else "every one has been withdrawn"
        super().__init__(f"No version of the policy {policy_id} was in force at {at.isoformat()[:19]}Z; {when}.")


class NotFound(CallersError):
    """Nothing is known under this name."""

    code = "not-found"


class EffectiveTooEarly(InvalidInput):
    """A policy version would take effect before it is registered, or before its page was published."""

    code = "effective-too-early"


class PolicyVersionConflict(CallersError):
    """What is registered of a policy, or has been judged by it, stands in the way."""

    code = "policy-version-conflict"


class OrderFactsConflict(CallersError):
    """What is said of an order differs from what was said before; `errors` name what differs."""

    code = "order-facts-conflict"

    def __init__(self, order_id: str, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(f"The order {order_id} is registered with other facts: {summary(self.errors)}")


class OrderFrozen(CallersError):
    """The facts of an order cannot change while a cancellation rests on them."""

    code = "order-frozen"

    def __init__(self, order_id: str, cancellation_id: str) -> None:
        super().__init__(f"The order {order_id} is cancelled by {cancellation_id}, which rests on its facts.")


class ContactStateConflict(CallersError):
    """A contact is not in the state that this would need."""

    code = "contact-state-conflict"


class CancellationStateConflict(CallersError):
    """A cancellation is not in the state that this would need."""

    code = "cancellation-state-conflict"


class PreconditionFailed(CallersError):
    """The record is no longer what the caller has seen."""

    code = "precondition-failed"


class PreconditionRequired(CallersError):
    """The caller has to say which state of the record it has seen."""

    code = "precondition-required"


class InvalidCursor(CallersError):
    """A cursor that this list has not given."""

    code = "invalid-cursor"


class FeedRewound(CallersError):
    """A place in the feed that the journal does not reach (any more); `position` is where it ends."""

    code = "feed-rewound"

    def __init__(self, position: int) -> None:
        self.position = position
        self.errors = (FieldError("/after", f"the journal ends at {position}: read on from there", "feed_rewound"),)
        super().__init__(summary(self.errors))


class IdempotencyKeyReused(CallersError):
    """A key that has come with another request before."""

    code = "idempotency-key-reused"


class Unauthenticated(CallersError):
    """The caller is not known: no token, or one that does not hold (any more)."""

    code = "unauthenticated"


class Crowded(CallersError):
    """So many are at it that one more would be in everybody's way."""

    code = "rate-limited"


class TooManyAttempts(CallersError):
    """Somebody has tried so often in vain that he, or who he says he is, has to wait."""

    code = "rate-limited"


class Forbidden(CallersError):
    """The caller is known and may not do this."""

    code = "forbidden"


class StorageUnavailable(RefundsError):
    """The storage cannot serve just now; nothing was changed, or it is not known whether; try again."""

    code = "storage-unavailable"
    retry_after: ClassVar[int] = 1
    """Seconds."""


class Unreadable(RefundsError):
    """What is stored is not what the service writes."""


class Conflict(StorageUnavailable):
    """Another transaction was first: `constraint` is what the two cannot both keep. Trying again finds its result."""

    def __init__(self, constraint: str) -> None:
        self.constraint = constraint
        super().__init__("Another request changed the same record at the same moment.")


class ConfigurationError(RefundsError):
    """The service cannot start as it is configured; every reason is listed, one a line."""

    exit_code = 4
