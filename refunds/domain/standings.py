"""What has become of an order."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from refunds.domain.records import Order, Promise, State


class OrderState(StrEnum):
    """The state of an order."""

    OPEN = "open"
    ELAPSED = "elapsed"
    REQUESTED = "requested"
    CANCELLED = "cancelled"
    REFUNDING = "refunding"
    SETTLED = "settled"


class Standing(NamedTuple):
    """An order at an instant: its current promise, the state of its active cancellation, if a contact is open."""

    order: Order
    promise: Promise | None
    at: datetime
    cancelled: State | None = None
    requested: bool = False

    @property
    def state(self) -> OrderState:
        """Return the state of the active cancellation, cancelled if it is issued, or of an order without one.

        Without one, that is requested if a contact is open, else elapsed if the deadline is over, else open.
        """
        if self.cancelled is not None:
            return OrderState.CANCELLED if self.cancelled is State.ISSUED else OrderState(self.cancelled)
        if self.requested:
            return OrderState.REQUESTED
        return OrderState.ELAPSED if self.deadline and self.deadline <= self.at else OrderState.OPEN

    @property
    def deadline(self) -> datetime | None:
        """The promised deadline; None if no window was promised."""
        return self.promise.deadline if self.promise else None

    @property
    def last_day(self) -> date | None:
        """The last day of the promised window; None if none was promised."""
        return self.promise.told.window.last_day if self.promise else None

    @property
    def facts_entered_by_agent(self) -> bool:
        """Whether an agent has stated the facts and billing has not stated the same since."""
        return bool(self.order.facts_entered_by_agent)
