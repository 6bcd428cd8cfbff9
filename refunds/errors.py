"""The error tree: everything that can go wrong, with its details and a stable code; no HTTP here.

A refusal is a value (a `Decision`), not an error. Each class names its `code`, which the web turns
into the page `/problems/<code>`, and its `exit_code`, with which the command line exits.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from itertools import islice
from typing import ClassVar, Self


class Message(str):
    """A text in English with its values, kept apart so that the text can be shown in another language.

    `Message("at most %(most)s", most=3)` reads "at most 3". Without values it is the text as it stands.
    """

    __slots__ = ("template", "values")
    template: str
    values: dict[str, object]

    def __new__(cls, template: str, /, **values: object) -> Self:
        """The template with its values filled in; without values it stays as it is, percent signs included."""
        message = super().__new__(cls, template % values if values else template)
        message.template, message.values = template, values
        return message

    def filled(self, **values: object) -> "Message":
        """The text with these values."""
        return Message(self.template, **self.values | values)


LANGUAGES = ("en", "de")
"""The languages in which a `Message` can be shown, by their two-letter codes; the first is the one it is written in."""


def lines_of(texts: Iterable[str]) -> str:
    """Texts, at least one, each on a line of its own."""
    return reduce(lambda one, other: Message("%(one)s\n%(other)s", one=one, other=other), texts)


def any_of(names: Iterable[str]) -> str:
    """Names with "or" between them; there must be at least one."""
    return reduce(lambda one, other: Message("%(one)s or %(other)s", one=one, other=other), names)


class Unfit(ValueError):
    """A text is not what is expected; `detail` says what that is, and `code` is that of its field error."""

    def __init__(self, detail: Message, code: str = "invalid") -> None:
        self.detail, self.code = detail, code
        super().__init__(detail)


MOST_FLAWS = 50
"""Nobody fixes more at once, and an answer must not grow with its input."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of the input: a JSON pointer, what to do, and a stable code."""

    pointer: str
    detail: Message
    code: str = "invalid"

    def under(self, prefix: str) -> "FieldError":
        """A copy with `prefix`, a JSON pointer such as `/order`, put before its pointer."""
        return FieldError(prefix + self.pointer, self.detail, self.code)


class RefundsError(Exception):
    """An error that the service can answer with instead of a result."""

    code: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1
    errors: tuple[FieldError, ...] = ()

    @property
    def detail(self) -> str:
        """The text that it was raised with: a `Message` if it may be shown."""
        detail: str = self.args[0]
        return detail

    def under(self, prefix: str) -> Self:
        """A copy of this error for the document that contains the input at `prefix`, a JSON pointer.

        Its field errors get the prefix, and their summary replaces its text; without field errors, the text stays.
        """
        moved = type(self).__new__(type(self))  # each class's constructor takes other arguments
        moved.__dict__.update(self.__dict__)
        moved.errors = tuple(field_error.under(prefix) for field_error in self.errors)
        moved.args = (summary(moved.errors),) if moved.errors else self.args
        return moved


class CallersError(RefundsError):
    """An error that the caller can fix or has to accept."""

    exit_code = 3
    detail: Message

    def __init__(self, detail: Message) -> None:
        super().__init__(detail)


class InvalidInput(CallersError):
    """The input breaks its contract; `errors` has the places (the first `MOST_FLAWS`) and the fix of each."""

    code = "validation-error"

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(islice(errors, MOST_FLAWS))
        super().__init__(summary(self.errors))


PAYMENT_DATA = "payment_data"
"""The code of the field error that makes the error a `PaymentDataRefused`."""


class PaymentDataRefused(InvalidInput):
    """A text contains the number of a payment card or a bank account, a CVV or a PIN, which is never stored."""

    code = "payment-data-refused"


class EvidenceRequired(InvalidInput):
    """A contact from before the deadline is entered after it, without the ticket reference that is then needed."""

    code = "evidence-required"


def summary(errors: Iterable[FieldError], read: Callable[[Message], str] = str) -> Message:
    """The first three field errors in one line, each with its pointer; `read` turns a detail into text."""
    text = "; ".join(f"{one.pointer}: {read(one.detail)}".removeprefix(": ") for one in islice(errors, 3))
    return Message(text)


class UnknownRegion(InvalidInput):
    """A region that the holiday data does not know by exactly this code."""

    code = "unknown-region"

    def __init__(self, detail: Message) -> None:
        super().__init__([FieldError("", detail, "unknown_region")])


class CalendarNotCovered(CallersError):
    """A date that is not in the holiday data of a region, `first` to `last`; this never counts as "no holidays"."""

    code = "calendar-not-covered"

    def __init__(self, region: str, first: date, last: date) -> None:
        self.region, self.first, self.last = region, first, last
        super().__init__(
            Message(
                "The holiday data of %(region)s covers %(first)s to %(last)s; this calculation goes beyond it.",
                region=region,
                first=first,
                last=last,
            )
        )


class NoPolicyInForce(CallersError):
    """No version of the policy was in force at an instant; the `first` takes effect then, None if all are withdrawn."""

    code = "no-policy-in-force"

    def __init__(self, policy_id: str, at: datetime, first: datetime | None) -> None:
        self.policy_id, self.at, self.first = policy_id, at, first
        values = {"policy": policy_id, "at": f"{at.isoformat()[:19]}Z"}
        if first is None:
            detail = Message(
                "No version of the policy %(policy)s was in force at %(at)s; every one has been withdrawn.", **values
            )
        else:
            values["first"] = f"{first.isoformat()[:19]}Z"
            detail = Message(
                "No version of the policy %(policy)s was in force at %(at)s; the first takes effect at %(first)s.",
                **values,
            )
        super().__init__(detail)


class NotFound(CallersError):
    """Nothing has this id, name or number."""

    code = "not-found"


class OrderNotFound(NotFound):
    """No order is registered with this id."""

    code = "order-not-found"

    def __init__(self) -> None:
        super().__init__(Message("there is no order of this id: register it first"))


class EffectiveTooEarly(InvalidInput):
    """A policy version would take effect before it is registered, or before its page was published."""

    code = "effective-too-early"


class PolicyVersionConflict(CallersError):
    """A registered version of a policy, or a decision by it, does not allow this."""

    code = "policy-version-conflict"


class OrderFactsConflict(CallersError):
    """The facts of an order differ from those registered before; `errors` has the differences."""

    code = "order-facts-conflict"

    def __init__(self, order_id: str, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__(
            Message(
                "The order %(order_id)s is registered with other facts: %(differences)s",
                order_id=order_id,
                differences=summary(self.errors),
            )
        )


class OrderFrozen(CallersError):
    """The facts of an order cannot change while a cancellation is based on them."""

    code = "order-frozen"

    def __init__(self, order_id: str, cancellation_id: str) -> None:
        super().__init__(
            Message(
                "The order %(order_id)s is cancelled by %(cancellation_id)s, which is based on its facts.",
                order_id=order_id,
                cancellation_id=cancellation_id,
            )
        )


class StateConflict(CallersError):
    """A record is not in the state that this needs but in `state`."""

    def __init__(self, detail: Message, state: str) -> None:
        self.state = state
        super().__init__(detail)


class ContactStateConflict(StateConflict):
    """A contact is not in the state that this needs."""

    code = "contact-state-conflict"


class CancellationStateConflict(StateConflict):
    """A cancellation is not in the state that this needs."""

    code = "cancellation-state-conflict"


class PreconditionFailed(CallersError):
    """The record has changed since the caller read it."""

    code = "precondition-failed"


class PreconditionRequired(CallersError):
    """The request must say which state of the record the caller has seen."""

    code = "precondition-required"


class InvalidCursor(CallersError):
    """A cursor that does not come from this list."""

    code = "invalid-cursor"


class FeedRewound(CallersError):
    """A place in the feed that this journal has not given; `place` is where to read on."""

    code = "feed-rewound"

    def __init__(self, place: str) -> None:
        self.place = place
        detail = Message("this journal has not given this place: read on from the problem's next")
        self.errors = (FieldError("/after", detail, "feed_rewound"),)
        super().__init__(summary(self.errors))


class IdempotencyKeyReused(CallersError):
    """A key that was already used with another request."""

    code = "idempotency-key-reused"


class Unauthenticated(CallersError):
    """The caller is not known: there is no token, or it is not valid (any more)."""

    code = "unauthenticated"


class Crowded(CallersError):
    """Too many requests do this at the same time for one more."""

    code = "rate-limited"


class TooManyAttempts(CallersError):
    """Too many failed attempts to sign in with one name; the user has to wait."""

    code = "rate-limited"


class Forbidden(CallersError):
    """The caller is known and may not do this."""

    code = "forbidden"


class StorageUnavailable(RefundsError):
    """The storage is not available now; nothing was changed, or it is not known whether; try again.

    Its text is `told`, for the operator, if there is one; the `detail` is for everyone, and names no files.
    """

    code = "storage-unavailable"
    retry_after: ClassVar[int] = 1
    """Seconds."""

    def __init__(self, detail: Message, told: str = "") -> None:
        self.told = told
        super().__init__(detail)

    def __str__(self) -> str:
        return self.told or str(self.detail)


class AnotherJournal(StorageUnavailable):
    """The database is not the one that was seen or checkpointed before, or has lost events; an operator must act."""

    exit_code = 23


class FileReplaced(StorageUnavailable):
    """The file of the database was removed or replaced while it was in use; an operator must act."""

    exit_code = 23


class DamagedDatabase(StorageUnavailable):
    """The file of the database is damaged, or no database; an operator must act."""

    exit_code = 23


class ClockInDoubt(RefundsError):
    """The clock does not fit the journal, so what depends on the time must wait for an operator."""

    code = "clock-in-doubt"
    exit_code = 24


class Unreadable(RefundsError):
    """Stored data is not in the form that the service writes."""


class Conflict(StorageUnavailable):
    """Another transaction was first, and a retry finds its result; `constraint` names what the two cannot both have."""

    def __init__(self, constraint: str) -> None:
        self.constraint = constraint
        super().__init__(Message("Another request changed the same record at the same moment."))


class ConfigurationError(RefundsError):
    """The service or a command cannot run with this configuration; every reason is listed, one a line."""

    exit_code = 4


class ServerAway(ConfigurationError):
    """The server of the database cannot be reached now, as while it starts: a later start may find it."""

    exit_code = 26
