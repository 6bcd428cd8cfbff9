"""Fields of requests that several operations share."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from refunds.domain.journal import EventType
from refunds.errors import FieldError, InvalidInput, Message, Unfit
from refunds.schemas.fields import Choice, ReadText, Text, WholeText
from refunds.schemas.strict import QuerySchema

PAGE, MOST = 50, 200
"""The number of items on a page of a list: the default and the maximum."""


class RecordId(Text):
    """A field for the id that the service gave a record; `prefix` names the kind of record, such as `con`."""

    def __init__(self, prefix: str, description: str, **kwargs: Any) -> None:
        example = f"{prefix}_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"
        shape = Message("must be an id such as %(example)s", example=example)
        pattern = rf"{prefix}_[0-9A-HJKMNP-TV-Z]{{26}}"
        super().__init__(30, description, pattern=pattern, shape=shape, **kwargs)


def spoken(name: str, read: Callable[[str], str]) -> ReadText:
    """Return a field for a number that a customer reads out; `read` makes it digits, or raises `Unfit`."""
    return ReadText(read, 20, f"The {name} as the customer reads it out, with or without dashes.")


LIMIT = WholeText(1, MOST, f"The most items on a page. Default: {PAGE}.")
AFTER = Text(500, "The `next` of the previous page, as it is: its format may change.")
"""The size of a page, and the cursor after which it begins."""


class ListOrder(StrEnum):
    """Which records of a list come first."""

    OLDEST = "oldest"
    NEWEST = "newest"


ORDER = Choice(ListOrder, "Which records come first, by time of entry. Default: `oldest`.")


class Contradiction(NamedTuple):
    """Parameters that contradict each other: when they do, which parameter to change, and how."""

    holds: Callable[[Mapping[str, Any]], object]
    name: str
    detail: Message


def backwards(name: str) -> Contradiction:
    """Return the contradiction of a range whose end, the parameter `…_to`, is before its beginning, `…_from`."""
    since, until = f"{name}_from", f"{name}_to"
    detail = Message("must not be before %(since)s", since=since)
    return Contradiction(lambda query: since in query and until in query and query[until] < query[since], until, detail)


class ListQuerySchema(QuerySchema):
    """The filters of a list. They must not contradict each other, because then the list would always be empty."""

    contradictions: ClassVar[tuple[Contradiction, ...]] = ()

    def read(self, data: Any) -> dict[str, Any]:
        """Return the values by field name; raise `InvalidInput` if one is invalid, or if some contradict each other."""
        query = super().read(data)
        found = [one for one in self.contradictions if one.holds(query)]
        if found:
            raise InvalidInput(FieldError(f"/{one.name}", one.detail, "contradiction") for one in found)
        return query


def _event_types(text: str) -> list[str]:
    """Return the event types in a text, with commas between, each once; raise `Unfit` if one is unknown."""
    types = list(dict.fromkeys(text.split(",")))
    if not set(types) <= set(EventType):
        raise Unfit(Message("must be out of %(names)s", names=", ".join(EventType)), "unknown_value")
    return types


EVENT_TYPES = ReadText(
    _event_types,
    500,
    "Only events of these types, separated by commas.",
    pattern=r"[a-z_]+\.[a-z_]+(?:,[a-z_]+\.[a-z_]+){0,19}",
    shape=Message("must be event types with commas between them, such as cancellation.issued,cancellation.revoked"),
)
"""Up to 20 event types, separated by commas."""
