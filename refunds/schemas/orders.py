"""Orders as the billing system states them, in request bodies and in files."""

from typing import Any

from refunds.domain.contact_points import customers_detail
from refunds.errors import Message, Unfit
from refunds.schemas.fields import Instant, Reference, Text
from refunds.schemas.policy import PolicyId
from refunds.schemas.strict import StrictSchema, unfit_error


class OrderId(Reference):
    """The billing system's id of an order, which fits into a path and is no e-mail address or telephone number."""

    def __init__(self, **kwargs: Any) -> None:
        description = (
            "The billing system's id of the order, such as `A-1001`, `#1001` or `gid://shop/Order/1`. In a path it is "
            "percent-encoded. It must not be an e-mail address or a telephone number, because the journal keeps it."
        )
        super().__init__(128, description, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        """Return the id in NFC; raise `ValidationError` if it fits no path, or is an e-mail address or phone number."""
        text = super()._deserialize(value, *args, **kwargs)
        parts = text.split("/")
        if text.startswith("/") or {".", ".."} & set(parts):
            raise unfit_error(Message("must not begin with / or have . or .. between slashes: write it otherwise"))
        if len(parts) > 1 and parts[-1] in TAKEN:
            raise unfit_error(Message("must not end in /%(part)s: write it otherwise", part=parts[-1]))
        if _is_a_persons(text):
            raise unfit_error(
                Message("must not be an e-mail address or a telephone number: the journal keeps it for ever")
            )
        return text


TAKEN = {"eligibility", "contacts", "evidence", "cancel", "record", "history", "batch"}
"""What the paths of operations and pages add to the id of an order."""


def _is_a_persons(text: str) -> bool:
    """Tell whether a text is an e-mail address, or a possible telephone number that begins with `+`."""
    if not text.startswith("+") and "@" not in text:
        return False
    try:
        customers_detail(text)
    except Unfit:
        return False
    return True


class OrderFactsSchema(StrictSchema):
    """The facts of an order, as billing states them."""

    customer_ref = Reference(200, "Billing's reference for the customer. Personal: stored encrypted.", required=True)
    service_provided_at = Instant(
        "When the service was provided; null if no date is on record.", required=True, allow_none=True
    )
    ordered_at = Instant("When the order was placed.")
    policy = PolicyId("The policy to apply. Default: the registered one or, for a new order, the configured one.")
    region = Text(40, "The customer's place, as in `DE` or `DE-BY`.")


class InlineOrderSchema(OrderFactsSchema):
    """An order that is registered with others, or with its cancellation."""

    order_id = OrderId(required=True)
