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
        """Fill the template with its values; without values the template stays as it is, percent signs included."""
        message = super().__new__(cls, template % values if values else template)
        message.template, message.values = template, values
        return message

    def filled(self, **values: object) -> "Message":
        """Return a copy with these values added; a value replaces one of the same name."""
        return Message(self.template, **self.values | values)


def message_pair(first: str, second: str) -> tuple[Message, Message]:
    """Return two texts that belong together, such as what to say and what to write, each as a `Message`."""
    return Message(first), Message(second)


LANGUAGES = ("en", "de")  # in which a `Message` can be shown, the one it is written in first


def lines_of(texts: Iterable[str]) -> str:
    """Return texts, at least one, joined by line ends; several become a `Message` in which each is translated."""
    return reduce(lambda one, other: Message("%(one)s\n%(other)s", one=one, other=other), texts)


def one_of_text(names: Iterable[str]) -> str:
    """Return one or more names with "or" between them, as a `Message` to be translated; a single name, as it is."""
    return reduce(lambda one, other: Message("%(one)s or %(other)s", one=one, other=other), names)


class Unfit(ValueError):
    """A text is not what is expected; `detail` says what is expected, and `code` is the code of its field error."""

    def __init__(self, detail: Message, code: str = "invalid") -> None:
        self.detail, self.code = detail, code
        super().__init__(detail)


MOST_ERRORS = 50  # nobody fixes more at once, and an answer must not grow with its input


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of the input: a JSON pointer, what to do, and a stable code."""

    pointer: str
    detail: Message
    code: str = "invalid"

    def under(self, prefix: str) -> "FieldError":
        """Return a copy with `prefix`, a JSON pointer such as `/order`, put before its pointer."""
        return FieldError(prefix + self.pointer, self.detail, self.code)


class RefundsError(Exception):
    """An error that the service can answer with instead of a result."""

    code: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1
    errors: tuple[FieldError, ...] = ()

    def __init_subclass__(cls, *, code: str | None = None, exit_code: int | None = None) -> None:
        """Give a kind of error codes of its own, or else those of its base."""
        cls.code, cls.exit_code = code or cls.code, exit_code or cls.exit_code

    @property
    def detail(self) -> str:
        """The text that the error was raised with: a `Message` if it may be shown."""
        detail: str = self.args[0]
        return detail

    def under(self, prefix: str) -> Self:
        """Return a copy with `prefix`, a JSON pointer, put before the pointer of each field error.

        The summary of these field errors replaces the copy's text; without field errors, the text stays.
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


class InvalidInput(CallersError, code="validation-error"):
    """The input breaks its contract; `errors` has the places (the first `MOST_ERRORS`) and the fix of each."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(islice(errors, MOST_ERRORS))
        super().__init__(summary(self.errors))

    @classmethod
    def at(cls, pointer: str, detail: Message, code: str = "invalid") -> Self:
        """Return an error of this class with one field error, which these values make."""
        return cls([FieldError(pointer, detail, code)])


PAYMENT_DATA = "payment_data"  # the code of the field error that makes the error a `PaymentDataRefused`


class PaymentDataRefused(InvalidInput, code="payment-data-refused"):
    """A text contains the number of a payment card or a bank account, a CVV or a PIN, which is never stored."""


class EvidenceRequired(InvalidInput, code="evidence-required"):
    """A contact from before the deadline is entered after it, without the ticket reference that is then needed."""


def summary(errors: Iterable[FieldError], read: Callable[[Message], str] = str) -> Message:
    """Return the first three field errors in one line, each with its pointer; `read` turns a detail into text."""
    text = "; ".join(f"{one.pointer}: {read(one.detail)}".removeprefix(": ") for one in islice(errors, 3))
    return Message(text)


class UnknownRegion(InvalidInput, code="unknown-region"):
    """A region that the holiday data does not know by exactly this code."""

    def __init__(self, detail: Message) -> None:
        super().__init__([FieldError("", detail, "unknown_region")])


class CalendarNotCovered(CallersError, code="calendar-not-covered"):
    """A date outside `first` to `last`, the dates of a region's holiday data; this never counts as "no holidays"."""

    def __init__(self, region: str, first: date, last: date) -> None:
        self.region, self.first, self.last = region, first, last
        text = Message("The holiday data of %(region)s covers %(first)s to %(last)s; this calculation goes beyond it.")
        super().__init__(text.filled(region=region, first=first, last=last))


class NoPolicyInForce(CallersError, code="no-policy-in-force"):
    """No version of the policy was in force at `at`; the first takes effect at `first`, None if all are withdrawn."""

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


class NotFound(CallersError, code="not-found"):
    """Nothing has this id, name or number."""


class OrderNotFound(NotFound, code="order-not-found"):
    """No order is registered with this id."""

    def __init__(self) -> None:
        super().__init__(Message("there is no order of this id: register it first"))


class EffectiveTooEarly(InvalidInput, code="effective-too-early"):
    """A policy version would take effect before it is registered, or before its page was published."""


class PolicyVersionConflict(CallersError, code="policy-version-conflict"):
    """A registered version of a policy, or a decision by it, does not allow this."""


class OrderFactsConflict(CallersError, code="order-facts-conflict"):
    """The facts of an order differ from those registered before; `errors` has the differences."""

    def __init__(self, order_id: str, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        text = Message("The order %(order_id)s is registered with other facts: %(differences)s")
        super().__init__(text.filled(order_id=order_id, differences=summary(self.errors)))


class OrderFrozen(CallersError, code="order-frozen"):
    """The facts of an order cannot change while a cancellation is based on them."""

    def __init__(self, order_id: str, cancellation_id: str) -> None:
        text = Message("The order %(order_id)s is cancelled by %(cancellation_id)s, which is based on its facts.")
        super().__init__(text.filled(order_id=order_id, cancellation_id=cancellation_id))


class StateConflict(CallersError):
    """A record is in `state`, which is not the state that the use case needs."""

    def __init__(self, detail: Message, state: str) -> None:
        self.state = state
        super().__init__(detail)


class ContactStateConflict(StateConflict, code="contact-state-conflict"):
    """A contact is not in the state that this needs."""


class CancellationStateConflict(StateConflict, code="cancellation-state-conflict"):
    """A cancellation is not in the state that this needs."""


class PreconditionFailed(CallersError, code="precondition-failed"):
    """The record has changed since the caller read it."""


class PreconditionRequired(CallersError, code="precondition-required"):
    """The request must say which state of the record the caller has seen."""


class InvalidCursor(CallersError, code="invalid-cursor"):
    """A cursor that does not come from this list."""


class FeedRewound(CallersError, code="feed-rewound"):
    """A place in the feed that this journal has not given; `place` is where to read on."""

    def __init__(self, place: str) -> None:
        self.place = place
        detail = Message("this journal has not given this place: read on from the problem's next")
        self.errors = (FieldError("/after", detail, "feed_rewound"),)
        super().__init__(summary(self.errors))


class IdempotencyKeyReused(CallersError, code="idempotency-key-reused"):
    """A key that was already used with another request."""


class Unauthenticated(CallersError, code="unauthenticated"):
    """The caller is not known: there is no token, or it is not valid (any more)."""


class Crowded(CallersError, code="rate-limited"):
    """Too many requests do this at the same time for one more."""


class TooManyAttempts(CallersError, code="rate-limited"):
    """Too many failed attempts to sign in with one name; the user has to wait."""


class Forbidden(CallersError, code="forbidden"):
    """The caller is known and may not do this."""


class StorageUnavailable(RefundsError, code="storage-unavailable"):
    """The storage is not available: try again.

    `detail` is for all, and names no files; `operator_detail` is for the operator.
    """

    retry_after: ClassVar[int] = 1  # seconds

    def __init__(self, detail: Message, operator_detail: str = "") -> None:
        self.operator_detail = operator_detail
        super().__init__(detail)

    def __str__(self) -> str:
        return self.operator_detail or str(self.detail)


class AnotherJournal(StorageUnavailable, exit_code=23):
    """The database is not the one that was seen or checkpointed before, or has lost events; an operator must act."""


class FileReplaced(StorageUnavailable, exit_code=23):
    """The file of the database was removed or replaced while it was in use; an operator must act."""


class DamagedDatabase(StorageUnavailable, exit_code=23):
    """The file of the database is damaged, or no database; an operator must act."""


class ClockInDoubt(RefundsError, code="clock-in-doubt", exit_code=24):
    """The clock does not fit the journal, so what depends on the time must wait for an operator."""


class Unreadable(RefundsError):
    """Stored data is not in the form that the service writes."""


class Conflict(StorageUnavailable):
    """Another transaction has just written something that excludes this write; a retry finds what was written.

    `constraint` names the rule that the two writes cannot both keep.
    """

    def __init__(self, constraint: str) -> None:
        self.constraint = constraint
        super().__init__(Message("Another request changed the same record at the same moment."))


class ConfigurationError(RefundsError, exit_code=4):
    """The service or a command cannot run with this configuration; every reason is listed, one a line."""


class ServerAway(ConfigurationError, exit_code=26):
    """The server of the database cannot be reached now, as while it starts: a later start may find it."""
