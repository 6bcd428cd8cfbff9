"""Orders, each with its customer's key."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.records import Cancellation, Order, State
from refunds.domain.standings import OrderState, Standing
from refunds.errors import OrderNotFound
from refunds.security.encryption import ERASED, NO_ACCESS
from refunds.storage import Row, idempotency
from refunds.storage.cancellations import IS_ACTIVE, Cancellations
from refunds.storage.contacts import Contacts
from refunds.storage.keys import COUNTED, RESTRICTED
from refunds.storage.mapper import RecordMapper, micros
from refunds.storage.promises import PROMISES
from refunds.storage.repository import OfOrders, named_list

ORDERS = RecordMapper(
    Order,
    "orders",
    added={
        "facts_entered_by_agent": "0005_refunds",
        "facts_corrected_after_refusal": "0005_refunds",
        "told_until": "0006_promises",
    },
)

_WITH_KEY = f"SELECT {ORDERS.columns}, wrapped_key, {RESTRICTED} FROM orders JOIN customers USING (customer_id)"  # noqa: S608
_LISTED = (
    f"{_WITH_KEY} LEFT JOIN (SELECT order_id AS promised, deadline FROM promises WHERE is_current = 1) AS p"  # noqa: S608
    " ON promised = order_id"
)

_NEWEST = 10_000
_BARE = "replace(replace(lower(order_id), '-', ''), ' ', '')"
HAS_NUMBER, BEGINS = f"{_BARE} = :bare", f"{_BARE} >= :bare AND {_BARE} < :beyond"
"""Conditions of an order by its number, in any case and without its hyphens and spaces; an index of these has them."""

_HAS_ACTIVE = f"EXISTS (SELECT 1 FROM cancellations AS c WHERE c.order_id = orders.order_id AND {IS_ACTIVE}{{}})"  # noqa: S608
_CANCELLED = _HAS_ACTIVE.format("")
_REQUESTED = "EXISTS (SELECT 1 FROM contacts AS c WHERE c.order_id = orders.order_id AND c.is_open = 1)"
_RUNNING = "(deadline IS NULL OR deadline > :now)"

_BY_CANCELLATION = {
    OrderState.CANCELLED: State.ISSUED,
    OrderState.REFUNDING: State.REFUNDING,
    OrderState.SETTLED: State.SETTLED,
}
"""The states of orders that follow from the state of their active cancellation."""

_INDEXED = {
    OrderState.REQUESTED: "SELECT order_id FROM contacts WHERE is_open = 1",
    **{
        one: f"SELECT order_id FROM cancellations WHERE state = '{state}'"  # noqa: S608
        for one, state in _BY_CANCELLATION.items()
    },
}
"""The orders in the states that an index finds them by."""

_FEW = 500
"""Fewer orders in such a state are all found and sorted for each page; more are sought in the order of the page."""

_UNPROMISED = (
    "service_provided_at IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM promises WHERE promises.order_id = orders.order_id AND is_current = 1)"
)

_STANDING = (
    f"SELECT orders.order_id AS asked, {PROMISES.columns}, {_REQUESTED} AS requested,"  # noqa: S608
    f" (SELECT state FROM cancellations AS c WHERE c.order_id = orders.order_id AND {IS_ACTIVE}) AS cancelled"
    " FROM orders LEFT JOIN promises ON promises.order_id = orders.order_id AND is_current = 1"
)


class LockedOrder(NamedTuple):
    """A locked order, and its active cancellation, if any; `is_new` if this write added it."""

    order: Order
    active: Cancellation | None
    is_new: bool = False


def _bare(number: str) -> str:
    """Return an order's number as `_BARE` makes it."""
    return re.sub("[- ]", "", lower_ascii(number))


def lower_ascii(text: str) -> str:
    """Return a text with the letters A to Z in lower case, and all others as they are, like `lower` in both engines."""
    return re.sub("[A-Z]+", lambda letters: letters[0].lower(), text)


class Orders(OfOrders[Order]):
    """The orders."""

    mapper: ClassVar[RecordMapper[Order]] = ORDERS
    with_key: ClassVar[str] = _WITH_KEY
    audited: ClassVar[str] = (
        f"SELECT {ORDERS.columns}, wrapped_key, {RESTRICTED}, customers.digest AS customer_digest"  # noqa: S608
        " FROM orders LEFT JOIN customers USING (customer_id)"
    )
    """With `customer_digest`, by which its customer is found."""
    place: ClassVar[tuple[str, ...]] = ("registered_at", "order_id", "deadline", "promised")
    dated: ClassVar[str] = "registered"
    filters: ClassVar[Mapping[str, str | Mapping[Any, str]]] = {
        "part": "replace(lower(order_id), :part, '') <> lower(order_id)",
        "provided_from": "service_provided_at >= :provided_from",
        "provided_to": "service_provided_at < :provided_to",
        "without_service_date": {True: "service_provided_at IS NULL", False: "service_provided_at IS NOT NULL"},
        "facts_entered_by_agent": {True: "facts_entered_by_agent = 1", False: "facts_entered_by_agent IS NULL"},
        "deadline_from": "deadline >= :deadline_from",
        "deadline_to": "deadline < :deadline_to",
        "state": {
            OrderState.OPEN: f"NOT {_CANCELLED} AND NOT {_REQUESTED} AND {_RUNNING}",
            # Negated, or SQLite would sort all elapsed orders for each page.
            OrderState.ELAPSED: f"NOT {_CANCELLED} AND NOT {_REQUESTED} AND NOT {_RUNNING}",
            OrderState.REQUESTED: f"{_REQUESTED} AND NOT {_CANCELLED}",
            **{one: _HAS_ACTIVE.format(f" AND c.state = '{state}'") for one, state in _BY_CANCELLATION.items()},
        },
    }

    def get(self, order_id: str, *, lock: bool = False) -> Order:
        """Return the order with this id; raises `NotFound`. With `lock`, it stays locked until this write ends."""
        if lock:
            self.lock(order_id)
        if (found := self.find(order_id)) is None:
            raise OrderNotFound
        return found

    def get_for_update(self, order_id: str) -> LockedOrder:
        """Lock an order until this write ends; return it with its active cancellation, if any; raises `NotFound`."""
        return LockedOrder(self.get(order_id, lock=True), Cancellations(self._context).active(order_id))

    def add_new(self, order: Order, data: Callable[[], Mapping[str, Any]] = dict) -> bool:
        """Store an order of a locked customer with its event; returns False, and stores nothing, if its id exists.

        `data` is called only for a new order, and returns further fields of the event.
        """
        cipher = self._context.customers[order.customer_id]
        digest = ORDERS.insert_new(self._tx, order, cipher)
        if digest is None:
            return False
        self._context.orders[order.order_id] = cipher
        self._record_event(EventType.ORDER_REGISTERED, order, digest, {"customer_id": order.customer_id, **data()})
        return True

    def require_not_erased(self, order_id: str) -> None:
        """Raise `CustomerErased` if the customer of the order was erased; the order must have been read before."""
        self._context.orders[order_id].require_key()

    def storable(self, order_id: str, text: str | None) -> str | None:
        """Return the text, or `ERASED` if the order, read before, is of an erased customer; None stays None."""
        return ERASED if text is not None and self._context.orders[order_id].is_erased else text

    def move(self, order: Order, customer_id: str) -> None:
        """Encrypt the personal fields of an order's records and stored replies for another, locked customer instead.

        The order itself stays: store its new customer before reading anything about it. Expired replies also stay.
        """
        order_id, now = order.order_id, self._context.now
        cipher, to = self._context.orders[order_id], self._context.customers[customer_id]
        for kind in (Contacts, Cancellations):
            for row in kind.rows_of_order(self._tx, order_id):
                kind.mapper.reencrypt(self._tx, row, cipher, to)
        idempotency.move(self._tx, order_id, cipher, to, now)
        self._context.orders[order_id] = to

    def of_customer(self, customer_id: str | None, after: str = "", *, limit: int) -> list[Order]:
        """Return up to `limit` orders of a customer, by id, after the id `after`; none if `customer_id` is None."""
        if customer_id is None:
            return []
        page = "orders.customer_id = :customer_id AND order_id > :after ORDER BY order_id LIMIT :limit"
        return self._all(page, customer_id=customer_id, after=after, limit=limit)

    def with_number(self, number: str) -> list[Order]:
        """Return the orders with this id, ignoring case, hyphens and spaces; at most two."""
        return self._all(f"{HAS_NUMBER} LIMIT 2", bare=_bare(number))

    def with_part(self, part: str, limit: int) -> list[Order]:
        """Return up to `limit` orders, newest first, whose id contains a part or begins with it, in any case.

        An id may begin with the part without its hyphens and spaces. Elsewhere, the part is searched for in the 10,000
        newest orders only, so that no search is slow.
        """
        like = re.sub(r"([!%_])", r"!\1", lower_ascii(part))
        newest = f"SELECT order_id FROM orders ORDER BY registered_at DESC, order_id DESC LIMIT {_NEWEST}"  # noqa: S608
        found = (
            f"order_id IN (SELECT order_id FROM ({newest}) AS newest WHERE lower(order_id) LIKE :like ESCAPE '!' UNION"  # noqa: S608
            f" SELECT order_id FROM (SELECT order_id FROM orders WHERE {BEGINS} ORDER BY {_BARE} DESC"
            " LIMIT :limit) AS beginning) ORDER BY registered_at DESC, order_id DESC LIMIT :limit"
        )
        bare = _bare(part)
        beyond = bare and f"{bare}\U0010ffff"  # nothing begins with hyphens alone
        return self._all(found, bare=bare, beyond=beyond, like=f"%{like}%", limit=limit)

    def standings(self, orders: Sequence[Order]) -> list[Standing]:
        """Return a standing per order, in their sequence: its promise, cancellation and whether a request is open."""
        listed, named = named_list(order.order_id for order in orders)
        found = self._tx.all(f"{_STANDING} WHERE orders.order_id IN ({listed})", **named) if named else []
        rows, standings = {row["asked"]: row for row in found}, []
        for order in orders:
            row = rows[order.order_id]
            promise = PROMISES.load(row, NO_ACCESS) if row["promise_id"] else None
            cancelled = State(row["cancelled"]) if row["cancelled"] else None
            standings.append(Standing(order, promise, self._context.now, cancelled, bool(row["requested"])))
        return standings

    def paginate(self, *after: Any, **query: Any) -> list[Standing]:
        """Return a page of orders with standings, sorted by registration or, if filtered by deadline, by deadline."""
        folded = {name: lower_ascii(value) for name, value in query.items() if name == "part"}
        return self.standings(super().paginate(*after, **query | folded | self._bound_by_now(query)))

    def _bound_by_now(self, query: Mapping[str, Any]) -> dict[str, datetime]:
        """Return the filter that bounds the deadlines by now, if the query filters by deadline and by open or elapsed.

        It replaces `deadline_from` (open orders) or `deadline_to` (elapsed ones), never wider. Else returns {}.
        """
        since, until, state = (query.get(name) for name in ("deadline_from", "deadline_to", "state"))
        next_instant = self._context.now + timedelta(microseconds=1)
        if (since or until) and state is OrderState.OPEN:
            return {"deadline_from": max(since or next_instant, next_instant)}
        if (since or until) and state is OrderState.ELAPSED:
            return {"deadline_to": min(until or next_instant, next_instant)}
        return {}

    def _condition(self, name: str, value: Any) -> str:
        """Return the SQL condition of a filter; one for a rare state also says how to find its orders by an index.

        Whether a state is rare is read first.
        """
        condition, found = super()._condition(name, value), _INDEXED.get(value) if name == "state" else None
        if found and len(self._tx.all(f"{found} LIMIT {_FEW}")) < _FEW:
            return f"order_id IN ({found}) AND {condition}"
        return condition

    def place_of(self, record: Standing) -> tuple[Any, ...]:
        """Return the place of an order in a list, by registration and by deadline, as `paginate` takes it."""
        order, deadline = record.order, record.deadline
        return micros(order.registered_at), order.order_id, deadline and micros(deadline), order.order_id

    def _list_query(self, _: Mapping[str, Any]) -> str:
        """Return the SQL that selects all orders, each with the deadline of its current promise."""
        return _LISTED

    def _sorted_by(self, filters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the two columns to sort by: the promised deadline if filtered by, or the registration; then the id."""
        return self.place[2:] if filters.keys() & {"deadline_from", "deadline_to"} else self.place[:2]

    def is_any_without_promise(self) -> bool:
        """Tell whether any order has a service date and no current promise; this needs no write, and locks nothing."""
        return bool(self._tx.one(f"SELECT 1 AS found FROM orders WHERE {_UNPROMISED} LIMIT 1"))  # noqa: S608

    def without_promise(self, after: str, limit: int) -> list[Order]:
        """Lock and return up to `limit` orders after the id `after`, by id, with a service date and no current promise.

        Their personal fields are None.
        """
        sql = f"{ORDERS.selection} WHERE order_id > :after AND {_UNPROMISED}"
        sql += " ORDER BY order_id LIMIT :limit {for_update}"
        return [ORDERS.load(row, NO_ACCESS) for row in self._tx.all(sql, after=after, limit=limit)]

    def facts_for_simulation(self, policy: str) -> Iterator[Row]:
        """Yield the region and times of a policy's orders (columns `region`, `ordered_at`, `service_provided_at`).

        Orders of customers with a restriction or an objection are left out.
        """
        sql = f"SELECT region, ordered_at, service_provided_at FROM orders WHERE policy = :policy AND {COUNTED}"  # noqa: S608
        return self._tx.each(sql, policy=policy)
