"""Statistics: the months that are closed, and what they are counted from."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from refunds.domain.statistics import ClosedMonth
from refunds.errors import Message
from refunds.storage import Row
from refunds.storage.cancellations import IS_ACTIVE
from refunds.storage.keys import COUNTED
from refunds.storage.mapper import RecordMapper, instant, micros
from refunds.storage.repository import Repository

STATISTICS = RecordMapper(ClosedMonth, "statistics")


class Statistics(Repository[ClosedMonth]):
    """The months that are closed."""

    mapper: ClassVar[RecordMapper[ClosedMonth]] = STATISTICS
    missing: ClassVar[Message] = Message("this month is not closed, so there are no statistics of it")

    def months(self) -> list[str]:
        """Return the closed months, whose statistics are stored, such as `2026-03`; the latest first."""
        return [row["month"] for row in self._tx.all("SELECT month FROM statistics ORDER BY month DESC")]

    def begun_at(self) -> datetime | None:
        """Return when the journal began; None if it is empty."""
        row = self._tx.one("SELECT at FROM events WHERE position = 1")
        return instant(row["at"]) if row else None

    def to_count(self, since: datetime, until: datetime) -> Iterator[Row]:
        """Yield the row of every contact that was received from `since` until before `until` and may be counted.

        Left out are superseded contacts, and those of customers who objected, are restricted or were erased. A row has
        `channel`, `intent`, `decision`, `region`, `customer_id`, and `is_cancelled`: whether an active cancellation
        rests on the contact.
        """
        cancelled = f"SELECT 1 FROM cancellations AS c WHERE c.contact_id = contacts.contact_id AND {IS_ACTIVE}"  # noqa: S608
        return self._tx.each(
            f"SELECT channel, intent, decision, region, customer_id, EXISTS ({cancelled}) AS is_cancelled"  # noqa: S608
            " FROM contacts JOIN orders USING (order_id) JOIN customers USING (customer_id)"
            " WHERE received_at >= :since AND received_at < :until AND superseded_by IS NULL"
            f" AND length(wrapped_key) > 0 AND {COUNTED} ORDER BY contact_id",
            since=micros(since),
            until=micros(until),
        )
