"""Contacts, each with the key of its order's customer."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import ClassVar

from ulid import ULID

from refunds.domain.records import Contact
from refunds.domain.references import REFERENCE, REQUEST_NUMBER
from refunds.errors import Message
from refunds.storage import Row, keys
from refunds.storage.cancellations import IS_ACTIVE, OF_REFERENCE
from refunds.storage.mapper import RecordMapper, instant, micros
from refunds.storage.repository import OfOrders, named_list

ACKNOWLEDGED = ("acknowledged_at", "acknowledged_by", "acknowledged_through", "acknowledged_to")
"""The fields of an acknowledgement."""

CONTACTS = RecordMapper(
    Contact,
    "contacts",
    added=dict.fromkeys(("request_number", "resolution_code", "duplicate_of", *ACKNOWLEDGED), "0007_answers")
    | {"taken_by": "0011_queue"},
    counted={
        "requests_before": "(SELECT count(*) FROM contacts AS e"
        " WHERE e.order_id = :order_id AND e.intent <> 'question' AND :intent <> 'question')",
    },
)

_TAKEN = (
    "SELECT 1 FROM contacts WHERE request_number = :number UNION ALL"  # noqa: S608
    f" SELECT 1 FROM unmatched_contacts WHERE request_number = :number UNION ALL {OF_REFERENCE} LIMIT 1"
)

_REFUSED = (
    "({outcome[reason]} = 'channel_not_accepted' OR {outcome[reason]} = 'window_elapsed'"
    """ AND NOT replace(decision, '"told_before_correction"', '') <> decision)"""
)
"""The condition that the decision of a contact refuses, not counting that of a cancelled order, as an index has it."""

ALL = 2**62
"""The limit of a list that is not limited."""

_OPEN = "SELECT {} FROM contacts AS o WHERE o.order_id = q.order_id AND o.is_open = 1"
_BEHIND = (
    "q.order_id IN (SELECT order_id FROM contacts WHERE is_open = 1 AND requests_before > 0)"  # noqa: S608
    f" AND EXISTS ({_OPEN.format(1)} AND (o.queue_place, o.contact_id) < (q.queue_place, q.contact_id))"
)
"""Whether another open contact about the order is more urgent; the small index says about which there can be one."""

_QUEUED = f"FROM contacts AS q WHERE q.is_open = 1 AND NOT ({_BEHIND})"
_ENTRY = (
    "SELECT q.queue_place, q.contact_id, q.received_at,"
    f" ({_OPEN.format('o.taken_by')} AND o.taken_by IS NOT NULL ORDER BY o.received_at, o.contact_id LIMIT 1)"
    f" AS taken_by, q.order_id, ({_OPEN.format('count(*)')}) AS requests {_QUEUED}"
)
_ONLY = {
    "tab": "q.queue_place >= :tab AND q.queue_place < :tab || '~~'",
    "order_id": "q.order_id = :order_id",
    "taken_by": "q.order_id IN (SELECT order_id FROM contacts WHERE is_open = 1 AND taken_by = :taken_by)",
}
_OLDEST = (
    f"SELECT * FROM (SELECT q.received_at {_QUEUED} ORDER BY q.received_at LIMIT 1) AS contact UNION ALL SELECT * FROM"  # noqa: S608
    " (SELECT received_at FROM unmatched_contacts WHERE is_open = 1 ORDER BY received_at LIMIT 1) AS unmatched"
    " ORDER BY received_at LIMIT 1"
)


_COUNTED = (
    "requests_before = (SELECT count(*) FROM contacts AS e WHERE e.order_id = contacts.order_id"
    " AND e.intent <> 'question' AND contacts.intent <> 'question' AND e.contact_id <> contacts.contact_id"
    " AND e.requests_before {} contacts.requests_before)"
)


def _requests(since: str, until: str | None = None) -> str:
    """Return the SQL of three counts of requests for `glance`: those found by their ids, the others, and the refused.

    The second adds unmatched requests, and subtracts matched ones that were entered before the time in their ids. The
    refused requests are in the first two counts, too. `since` and `until` name parameters of the SQL: the time `:since`
    and the id `:since_id`. Only the first count ends at `until`.
    """
    entered = f"SELECT count(*) FROM contacts WHERE contact_id >= :{since}_id"  # noqa: S608
    before = f"{entered} AND contact_id < :{until}_id" if until else entered
    request = "intent IN ('cancel', 'withdrawal') AND superseded_by IS NULL"
    # Ids begin with the time of entry, except those of matched contacts, which were entered before that.
    return (
        f"({before}) - ({before} AND (intent = 'question' OR superseded_by IS NOT NULL)) AS {since}_by_id,"  # noqa: S608
        f" (SELECT count(*) FROM unmatched_contacts WHERE {request} AND contact_id IS NULL AND recorded_at >= :{since})"
        f" - ({entered} AND {request} AND recorded_at < :{since} AND contact_id IN"
        f" (SELECT contact_id FROM unmatched_contacts WHERE contact_id >= :{since}_id)) AS {since}_others,"
        f" (SELECT count(*) FROM contacts WHERE {request} AND {_REFUSED} AND recorded_at >= :{since})"
        f" AS {since}_refused"
    )


_GLANCE = f"SELECT ({_OLDEST}) AS oldest, {_requests('week', 'today')}, {_requests('today')}"
_NUMBERS = " UNION ALL ".join(
    (
        f"SELECT substr(q.queue_place, 1, 1) AS tab, -1 AS number FROM contacts AS q WHERE q.is_open = 1 AND {_BEHIND}",  # noqa: S608
        "SELECT '5', count(*) FROM unmatched_contacts WHERE is_open = 1",
        *(
            f"SELECT '{tab}', count(*) FROM contacts WHERE is_open = 1"  # noqa: S608
            f" AND queue_place >= '{tab}' AND queue_place < '{tab}~~'"
            for tab in range(5)
        ),
    )
)


class Contacts(OfOrders[Contact]):
    """The contacts about orders."""

    mapper: ClassVar[RecordMapper[Contact]] = CONTACTS
    with_key: ClassVar[str] = keys.with_key(CONTACTS)
    audited: ClassVar[str] = keys.with_key(
        CONTACTS,
        ", (SELECT s.contact_id FROM contacts AS s WHERE s.supersedes = contacts.contact_id) AS successor,"  # noqa: S608
        f" EXISTS (SELECT 1 FROM cancellations AS c WHERE c.order_id = contacts.order_id AND {IS_ACTIVE})"
        f" AS order_cancelled, {_COUNTED.format('<')} AND {_COUNTED.format('<=')} AS is_counted",  # no two are alike
        dangling=True,
    )
    missing: ClassVar[Message] = Message("there is no contact of this id")
    place: ClassVar[tuple[str, ...]] = ("contact_id",)
    dated: ClassVar[str] = "recorded"
    filters: ClassVar[Mapping[str, str | Mapping[bool, str]]] = {
        # Literals, so that the partial indexes are used.
        "open": {True: "is_open = 1", False: "is_open = 0"},
        "backdated": {True: "backdated = 1", False: "backdated = 0"},
    }

    def new_number(self) -> str:
        """Return a request number that no contact has, matched or not; also draw a reference for `new_reference`."""
        while True:
            number, self._context.reference = REQUEST_NUMBER.new(), REFERENCE.new()
            if not self._tx.one(_TAKEN, number=number, reference=self._context.reference):
                return number

    def number_some(self, most: int) -> int:
        """Give up to `most` contacts that have no request number one each; returns how many got one."""
        rows = self._tx.all(
            "SELECT contact_id FROM contacts WHERE request_number IS NULL ORDER BY contact_id LIMIT :most", most=most
        )
        for row in rows:
            sql = "UPDATE contacts SET request_number = :number WHERE contact_id = :contact_id"
            self._tx.run(sql, number=self.new_number(), contact_id=row["contact_id"])
        return len(rows)

    def queued(
        self, limit: int = ALL, offset: int = 0, **only: str
    ) -> list[tuple[int, str, datetime, str | None, str, int]]:
        """Return up to `limit` orders with open contacts, the most urgent first, after `offset` others.

        `only` limits the orders to a `tab` (its number), an `order_id`, or those of which `taken_by` has taken a
        contact. An entry has the number of the tab; the id and receipt of the most urgent contact; who has taken the
        earliest contact that is taken, or None; the order; and how many contacts are open. Nothing is decrypted.
        """
        only_these = "".join(f" AND {_ONLY[name]}" for name in only)
        sql = f"{_ENTRY}{only_these} ORDER BY q.queue_place, q.contact_id LIMIT :limit OFFSET :offset"
        rows = (tuple(row.values()) for row in self._tx.all(sql, limit=limit, offset=offset, **only))
        return [(int(place[0]), name, instant(at), *others) for place, name, at, *others in rows]

    def count_queued(self) -> dict[int, int]:
        """Return the number of orders in each tab of the queue, by tab number; for tab 5, of unmatched contacts."""
        rows = self._tx.all(f"SELECT tab, sum(number) AS number FROM ({_NUMBERS}) AS counted GROUP BY tab")  # noqa: S608
        return {int(row["tab"]): int(row["number"]) for row in rows}

    def glance(self, week: datetime, today: datetime) -> tuple[datetime | None, tuple[int, int], tuple[int, int]]:
        """Return the earliest receipt in the queue, or None, and counts of requests since `week` and since `today`.

        Each of the two counts is how many were recorded and how many of them were refused. Unmatched requests count as
        recorded; superseded ones do not count, and a refusal of a cancelled order is none.
        """
        begin = {"week": week, "today": today}
        ids = {f"{name}_id": f"con_{str(ULID.from_datetime(at))[:10]}" for name, at in begin.items()}
        row = self._tx.one(_GLANCE, **{name: micros(at) for name, at in begin.items()}, **ids)
        assert row is not None
        since_today = row["today_by_id"] + row["today_others"], row["today_refused"]
        since_week = row["week_by_id"] + row["today_by_id"] + row["week_others"], row["week_refused"]
        return None if row["oldest"] is None else instant(row["oldest"]), since_week, since_today

    def resolved_by(self, actor: str, limit: int) -> list[Contact]:
        """Return up to `limit` requests that this actor has resolved, the last resolved first.

        Those that were superseded, or reopened, since are left out.
        """
        resolved = "resolved_by = :actor AND resolved_at IS NOT NULL AND superseded_by IS NULL"
        return self._all(f"{resolved} ORDER BY resolved_at DESC LIMIT :limit", actor=actor, limit=limit)

    def open_about(self, order_ids: Collection[str]) -> list[Contact]:
        """Return the open contacts about any of these orders, the earliest received first."""
        listed, named = named_list(order_ids)
        about = f"is_open = 1 AND contacts.order_id IN ({listed}) ORDER BY received_at, contact_id"
        return self._all(about, **named) if named else []

    def close_all(self, order_id: str) -> None:
        """Take all contacts of a cancelled order off the Open list, without an event."""
        sql = "UPDATE contacts SET is_open = 0 WHERE order_id = :order_id AND is_open = 1"
        self._tx.later(sql, {"order_id": order_id})

    def reopen_all(self, order_id: str) -> None:
        """Put an order's requests back on the Open list, unless resolved or superseded, without an event.

        The caller makes sure that the order is not cancelled.
        """
        self._tx.run(
            "UPDATE contacts SET is_open = 1 WHERE order_id = :order_id AND intent IN ('cancel', 'withdrawal')"
            " AND resolved_at IS NULL AND superseded_by IS NULL",
            order_id=order_id,
        )

    def judged_by(self, policy: str) -> Iterator[Row]:
        """Yield, for a simulation, the contacts about the orders under a policy, sorted by order, as rows.

        Questions and resolved contacts are included; superseded ones, withdrawals and those of customers with a
        restriction or an objection are not. A row has `order_id`, `contact_id`, `decision` as it is stored, and the
        order's `region` and `ordered_at`.
        """
        return self._tx.each(
            "SELECT contacts.order_id, contact_id, decision, region, ordered_at"  # noqa: S608
            " FROM contacts JOIN orders USING (order_id)"
            f" WHERE policy = :policy AND superseded_by IS NULL AND intent <> 'withdrawal' AND {keys.COUNTED}"
            " ORDER BY contacts.order_id, contact_id",
            policy=policy,
        )
