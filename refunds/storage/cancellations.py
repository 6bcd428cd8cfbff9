"""Cancellations, each with the key of its order's customer."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from refunds.domain.records import Cancellation, State
from refunds.domain.references import REFERENCE
from refunds.errors import Message
from refunds.storage import keys
from refunds.storage.mapper import RecordMapper, instant, micros
from refunds.storage.repository import OfOrders

CANCELLATIONS = RecordMapper(
    Cancellation, "cancellations", added={"refund_begun_at": "0005_refunds", "refund_begun_by": "0005_refunds"}
)

# As in the indexes, so that these are used.
_PLACE = "CASE WHEN state = 'revoked' THEN cancellation_id ELSE '' END"
IS_ACTIVE = f"{_PLACE} = ''"
_IS_UNSETTLED = "state IN ('issued', 'refunding')"

OF_REFERENCE = "SELECT 1 FROM cancellations WHERE reference = :reference"
"""Finds a row if a reference is taken."""
_OF_FEW = {"order_id", "reference"}
"""The filters that leave so few that they are found first."""


class Cancellations(OfOrders[Cancellation]):
    """The cancellations of orders."""

    mapper: ClassVar[RecordMapper[Cancellation]] = CANCELLATIONS
    with_key: ClassVar[str] = keys.with_key(CANCELLATIONS)
    audited: ClassVar[str] = keys.with_key(CANCELLATIONS, dangling=True)
    missing: ClassVar[Message] = Message("there is no cancellation of this id")
    place: ClassVar[tuple[str, ...]] = ("overdue_at", "cancellation_id")
    dated: ClassVar[str] = "issued"
    filters: ClassVar[Mapping[str, str | Mapping[bool, str]]] = {
        # Else SQLite would read all of a state or an issuer.
        "order_id": f"cancellations.order_id = :order_id AND {_PLACE} >= ''",
        "policy": "judging_policy = :policy",
        "due_from": "refund_due_by >= :due_from",
        "due_to": "refund_due_by <= :due_to",
        "overdue": {True: f"{_IS_UNSETTLED} AND overdue_at <= :now", False: "TRUE"},
    }

    def active(self, order_id: str) -> Cancellation | None:
        """Return the active cancellation of an order, the one that is not revoked; None if there is none."""
        return self._one(f"{self.about_order} AND {IS_ACTIVE}", order_id=order_id)

    def new_reference(self) -> str:
        """Return a reference that no cancellation has: the one drawn by the last `new_number`, or a new one.

        A unique index makes sure that no cancellation gets the reference of another.
        """
        found, self._context.reference = self._context.reference, None
        while not found:
            drawn = REFERENCE.new()
            found = None if self._tx.one(OF_REFERENCE, reference=drawn) else drawn
        return found

    def _list_query(self, filters: Mapping[str, Any]) -> str:
        """Return the SQL that selects cancellations for a list with these filters, without its conditions."""
        return keys.with_key(CANCELLATIONS, by=self._index_sql(filters))

    def _index_sql(self, filters: Mapping[str, Any]) -> str:
        """Return the SQL text that makes a list of overdue cancellations use the index by due date.

        It is empty for any other list, and if another filter leaves few cancellations.
        """
        few = filters.keys() & _OF_FEW or filters.get("state") is State.REFUNDING
        # Else SQLite would read every unsettled cancellation, and sort them for each page.
        return "{by_due_date}" if filters.get("overdue") and not few else ""

    def _sorted_by(self, filters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the columns to sort by: `overdue_at` and the id with the filter `overdue`; else the id, by issue."""
        return self.place if filters.get("overdue") else self.place[-1:]

    def goodwill_since(self, since: datetime) -> Iterator[tuple[datetime, str]]:
        """Yield, unsorted, when and by whom each goodwill cancellation from `since` on was issued; no revoked ones."""
        rows = self._tx.each(
            "SELECT issued_at, issued_by FROM cancellations WHERE basis = 'goodwill' AND state <> 'revoked'"
            " AND issued_at >= :since",
            since=micros(since),
        )
        for row in rows:
            yield instant(row["issued_at"]), row["issued_by"]

    def issued_by(self, actor: str, limit: int) -> list[Cancellation]:
        """Return up to `limit` cancellations that this actor has issued, the newest first; also revoked ones."""
        return self._all("issued_by = :actor ORDER BY cancellation_id DESC LIMIT :limit", actor=actor, limit=limit)
