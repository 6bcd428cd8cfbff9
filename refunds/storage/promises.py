"""Promises: the windows that orders were told, which no later data shortens."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from refunds.domain.journal import EventType
from refunds.domain.records import Promise, PromiseCause
from refunds.storage import Row
from refunds.storage.mapper import RecordMapper, micros, number
from refunds.storage.repository import Context, Repository, named_list

PROMISES = RecordMapper(Promise, "promises")

_SUPERSEDE = "UPDATE promises SET is_current = 0 WHERE order_id = :order_id AND is_current = 1"

_SAME_FACTS = (
    "promises.policy = orders.policy AND promises.region IS NOT DISTINCT FROM orders.region"
    " AND promises.ordered_at IS NOT DISTINCT FROM orders.ordered_at"
    " AND promises.service_provided_at = orders.service_provided_at"
)
"""The condition that a promise is about the facts that its order has now."""

_COMPARED = (
    "promises.order_id, promises.policy, promises.region, promises.ordered_at, promises.service_provided_at,"
    " promises.deadline, promises.told, promises.promised_at, promises.cause"
)
"""The columns by which windows are compared."""

_BEST = "ORDER BY deadline DESC, promise_id DESC LIMIT 1"


class Promises(Repository[Promise]):
    """The promises of the orders; an order has at most one current promise."""

    mapper: ClassVar[RecordMapper[Promise]] = PROMISES
    audited: ClassVar[str] = (
        f"SELECT {PROMISES.columns}, (SELECT promise_id FROM promises WHERE order_id = orders.order_id"  # noqa: S608
        f" AND {_SAME_FACTS} {_BEST}) AS best FROM promises LEFT JOIN orders USING (order_id)"
    )
    """With `best`, the id of the promise that should be the current one of the order."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._known: dict[str, Promise | None] = {}

    def current(self, order_id: str) -> Promise | None:
        """Return the current promise of an order, or None; later calls in a unit of work return the first result."""
        if order_id not in self._known:
            self._known[order_id] = self._one(f"{self.about_order} AND is_current = 1", order_id=order_id)
        return self._known[order_id]

    def read_current(self, order_ids: Collection[str]) -> None:
        """Read the current promises of several orders at once, so that `current` need not ask for each."""
        listed, named = named_list(order_ids)
        found = self._all(f"order_id IN ({listed}) AND is_current = 1", **named) if named else []
        self._known |= dict.fromkeys(order_ids) | {promise.order_id: promise for promise in found}

    def follow(self, order_id: str) -> Promise | None:
        """Choose, of an order's promises for its present facts, the one that ends last as the current one; return it.

        If there is none, the order has no current promise, and None is returned. No event is recorded.
        """
        self._tx.run(_SUPERSEDE, order_id=order_id)
        best = f"{PROMISES.selection} JOIN orders USING (order_id) WHERE order_id = :order_id"
        row = self._tx.one(f"{best} AND {_SAME_FACTS} {_BEST}", order_id=order_id)
        if row is not None:
            self._tx.run("UPDATE promises SET is_current = 1 WHERE promise_id = :best", best=row["promise_id"])
        self._known[order_id] = None if row is None else replace(self._load(row), is_current=True)
        return self._known[order_id]

    def put(self, promise: Promise, told: Mapping[str, Any], *, first: bool) -> None:
        """Store a promise as a locked order's current one, in place of the present one, with `told` in its event.

        `first` says that the order has no promise yet, so that none has to be replaced.
        """
        if not first:
            self._tx.run(_SUPERSEDE, order_id=promise.order_id)
        self.add(promise, EventType.ORDER_PROMISED, cause=promise.cause, **told)
        self._known[promise.order_id] = promise

    def open_after(self, now: datetime, *after: Any, limit: int) -> list[Row]:
        """Return up to `limit` rows of current promises with a deadline after `now`, by deadline and order id.

        They come after the deadline (as stored) and order id `after`; without them, from the first.
        """
        beyond = "(deadline, order_id) > (:deadline, :order_id)" if after else "deadline > :now"
        found = dict(zip(("deadline", "order_id"), after, strict=False))
        sql = f"SELECT {_COMPARED} FROM promises WHERE is_current = 1 AND {beyond}"  # noqa: S608
        sql += " ORDER BY deadline, order_id LIMIT :limit"
        return self._tx.all(sql, now=micros(now), limit=limit, **found)

    def open_regions(self, now: datetime) -> set[str]:
        """Return the regions of current promises whose deadline is after `now`; those without a region are left out."""
        sql = "SELECT DISTINCT region FROM promises WHERE is_current = 1 AND deadline > :now AND region IS NOT NULL"
        return {row["region"] for row in self._tx.each(sql, now=micros(now))}

    def count_made(self, cause: PromiseCause, since: datetime | None) -> int:
        """Count the orders that have got a promise for a cause since an instant, or ever for None."""
        sql = "SELECT count(DISTINCT order_id) FROM promises WHERE cause = :cause AND promised_at >= :since"
        return number(self._tx, sql, cause=cause, since=micros(since) if since else 0)

    def is_any_by_other_data(self, since: datetime, holidays_version: str, tzdata_version: str) -> bool:
        """Tell whether a current promise, made after an instant, used other holiday or time zone data than these."""
        others = "(holidays_version <> :holidays OR tzdata_version <> :tzdata)"
        sql = f"SELECT 1 AS found FROM promises WHERE is_current = 1 AND promised_at > :since AND {others} LIMIT 1"  # noqa: S608
        return bool(self._tx.one(sql, since=micros(since), holidays=holidays_version, tzdata=tzdata_version))

    def earlier_promises(self, cause: PromiseCause, since: datetime | None) -> Iterator[Row]:
        """Yield, for each promise that was made for a cause since an instant (None: ever), the promise before it.

        That is the promise to the order for the same facts that ends earlier; of several, the one that ends last. Its
        row also has the deadline of the later promise, as `today`. A promise without an earlier one is left out.
        """
        # Not by the ids, which begin with the time: the clock may have been set back.
        before = (
            f"SELECT promise_id FROM promises WHERE promises.order_id = later.order_id"  # noqa: S608
            f" AND promises.deadline < later.deadline AND {_SAME_FACTS.replace('orders.', 'later.')} {_BEST}"
        )
        sql = (
            f"SELECT {_COMPARED}, later.deadline AS today"  # noqa: S608
            f" FROM promises AS later JOIN promises ON promises.promise_id = ({before})"
            " WHERE later.cause = :cause AND later.promised_at >= :since ORDER BY later.promise_id"
        )
        return self._tx.each(sql, cause=cause, since=micros(since) if since else 0)
