"""Request fields that several operations share."""

from typing import Any

from refunds.errors import Message
from refunds.schemas.fields import Text, WholeText

PAGE, MOST = 50, 200
"""The number of items on a page of a list: the default and the maximum."""


class OrderId(Text):
    """The id that the billing system gave an order."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = {"description": "The billing system's id of the order."}
        shape = Message("must be 1 to 64 letters, digits and . _ : -, and not of signs alone")
        super().__init__(64, r"[._:\-]*[A-Za-z0-9][A-Za-z0-9._:\-]*", shape, metadata=metadata, **kwargs)


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

    def __init__(self, description: str = "The `next` of the previous page.") -> None:
        super().__init__(500, metadata={"description": description})
