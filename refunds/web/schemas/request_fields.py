"""Request fields that several operations share."""

from typing import Any

from refunds.domain.contact_points import customers_detail
from refunds.errors import Message, Unfit
from refunds.schemas.fields import Reference, Text, WholeText
from refunds.schemas.strict import does_not_fit

PAGE, MOST = 50, 200
"""The number of items on a page of a list: the default and the maximum."""


class OrderId(Reference):
    """The id that the billing system gave an order: what shops use, as long as it fits into a path and the journal."""

    def __init__(self, **kwargs: Any) -> None:
        description = (
            "The billing system's id of the order, such as `A-1001`, `#1001` or `gid://shop/Order/1`. In a path it is "
            "percent-encoded. It must not be an e-mail address or a telephone number, because the journal keeps it."
        )
        super().__init__(128, metadata={"description": description}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        parts = text.split("/")
        if text.startswith("/") or {".", ".."} & set(parts):
            raise does_not_fit(Message("must not begin with / or have . or .. between slashes: write it otherwise"))
        if len(parts) > 1 and parts[-1] in _TAKEN:
            raise does_not_fit(Message("must not end in /%(part)s: write it otherwise", part=parts[-1]))
        if _is_a_persons(text):
            raise does_not_fit(
                Message("must not be an e-mail address or a telephone number: the journal keeps it for ever")
            )
        return text


_TAKEN = {"eligibility", "contacts", "evidence", "cancel", "record", "history", "batch"}
"""What the paths of operations and pages add to the id of an order."""


def _is_a_persons(text: str) -> bool:
    """Whether an order id is an e-mail address, or a telephone number with its +."""
    if not text.startswith("+") and "@" not in text:
        return False
    try:
        customers_detail(text)
    except Unfit:
        return False
    return True


class RecordId(Text):
    """The id that the service gave a record; `prefix` names the kind of record, such as `con`."""

    def __init__(self, prefix: str, description: str, **kwargs: Any) -> None:
        example = f"{prefix}_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"
        shape = Message("must be an id such as %(example)s", example=example)
        pattern = rf"{prefix}_[0-9A-HJKMNP-TV-Z]{{26}}"
        super().__init__(30, pattern, shape, metadata={"description": description}, **kwargs)


class Limit(WholeText):
    """The maximum number of items on a page."""

    def __init__(self) -> None:
        super().__init__(1, MOST, metadata={"description": f"How many items at most. Default {PAGE}."})


class After(Text):
    """The cursor after which a page begins."""

    def __init__(self, description: str = "The `next` of the previous page, as it is: its format may change.") -> None:
        super().__init__(500, metadata={"description": description})
