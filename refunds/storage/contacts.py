"""Contacts, each with the key of its order's customer."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import ClassVar

from refunds.domain.outcomes import Outcome
from refunds.domain.records import Contact, Intent
from refunds.domain.references import new_reference, new_request_number
from refunds.errors import Message
from refunds.storage import Row, keys
from refunds.storage.cancellations import IS_ACTIVE, OF_REFERENCE
from refunds.storage.decisions import load_outcome
from refunds.storage.mapper import RecordMapper, instant, made_since, number
from refunds.storage.repository import OfOrders, named_list

ACKNOWLEDGED = ("acknowledged_at", "acknowledged_by", "acknowledged_through", "acknowledged_to")
"""The fields of an acknowledgement."""

CONTACTS = RecordMapper(
    Contact,
    "contacts",
    added=dict.fromkeys(("request_number", "resolution_code", "duplicate_of", *ACKNOWLEDGED), "0007_answers")
    | {"taken_by": "0011_queue"},
)

_TAKEN = (
    "SELECT 1 FROM contacts WHERE request_number = :number UNION ALL"  # noqa: S608
    f" SELECT 1 FROM unmatched_contacts WHERE request_number = :number UNION ALL {OF_REFERENCE} LIMIT 1"
)


class Contacts(OfOrders[Contact]):
    """The contacts about orders."""

    mapper: ClassVar[RecordMapper[Contact]] = CONTACTS
    with_key: ClassVar[str] = keys.with_key(CONTACTS)
    audited: ClassVar[str] = keys.with_key(
        CONTACTS,
        ", (SELECT s.contact_id FROM contacts AS s WHERE s.supersedes = contacts.contact_id) AS successor,"  # noqa: S608
        f" EXISTS (SELECT 1 FROM cancellations AS c WHERE c.order_id = contacts.order_id AND {IS_ACTIVE})"
        " AS order_cancelled",
        dangling=True,
    )
    missing: ClassVar[Message] = Message("there is no contact of this id")
    place: ClassVar[tuple[str, ...]] = ("contact_id",)
    dated: ClassVar[str] = "recorded"
    filters: ClassVar[Mapping[str, str | Mapping[bool, str]]] = {
        # Literals, so that the partial indexes are used.
        "open": {True: "is_open = 1", False: "is_open = 0"},
        "earliest_of_order": {
            True: "NOT EXISTS (SELECT 1 FROM contacts AS e WHERE e.order_id = contacts.order_id AND e.is_open = 1"
            " AND (e.received_at, e.contact_id) < (contacts.received_at, contacts.contact_id))"
        },
        "backdated": {True: "backdated = 1", False: "backdated = 0"},
    }

    def new_number(self) -> str:
        """Return a request number that no contact has, matched or not; also draw a reference for `new_reference`."""
        while True:
            number, self._context.reference = new_request_number(), new_reference()
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

    def iter_open(self) -> Iterator[tuple[str, str, Intent, datetime, Outcome, str | None]]:
        """The id, order id, intent, receipt, recorded outcome and taker of every open contact; nothing is decrypted."""
        sql = "SELECT contact_id, order_id, intent, received_at, decision, taken_by FROM contacts WHERE is_open = 1"
        for row in self._tx.each(sql):
            found = row["contact_id"], row["order_id"], Intent(row["intent"]), instant(row["received_at"])
            yield *found, load_outcome(row["decision"]), row["taken_by"]

    def requests_since(self, since: datetime) -> Iterator[tuple[datetime, Outcome]]:
        """The time of entry and the recorded outcome of each request since an instant, without superseded ones."""
        rows = self._tx.each(
            "SELECT recorded_at, decision FROM contacts WHERE contact_id >= :first AND recorded_at >= :since"
            " AND intent IN ('cancel', 'withdrawal') AND superseded_by IS NULL",
            **made_since("con", since),
        )
        for row in rows:
            yield instant(row["recorded_at"]), load_outcome(row["decision"])

    def resolved_by(self, actor: str, limit: int) -> list[Contact]:
        """Return up to `limit` requests that this actor has resolved, the last first; superseded ones are left out."""
        resolved = "resolved_by = :actor AND resolved_at IS NOT NULL AND superseded_by IS NULL"
        return self._all(f"{resolved} ORDER BY resolved_at DESC LIMIT :limit", actor=actor, limit=limit)

    def count_open(self) -> int:
        """How many orders with an open contact and open unmatched contacts there are, added up."""
        return number(
            self._tx,
            "SELECT (SELECT count(DISTINCT order_id) FROM contacts WHERE is_open = 1)"
            " + (SELECT count(*) FROM unmatched_contacts WHERE is_open = 1)",
        )

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
        """Put an order's requests back on the Open list, unless resolved or superseded; it must not be cancelled."""
        self._tx.run(
            "UPDATE contacts SET is_open = 1 WHERE order_id = :order_id AND intent IN ('cancel', 'withdrawal')"
            " AND resolved_at IS NULL AND superseded_by IS NULL",
            order_id=order_id,
        )

    def judged_by(self, policy: str) -> Iterator[Row]:
        """Yield, for a simulation, the contacts about the orders under a policy, sorted by order, as rows.

        Questions and resolved contacts are included; superseded ones, withdrawals and those of customers with a
        restriction or an objection are not. A row has `order_id`, `contact_id`, `decision` as it is stored, and the
        `region` of the order.
        """
        return self._tx.each(
            "SELECT contacts.order_id, contact_id, decision, region FROM contacts JOIN orders USING (order_id)"  # noqa: S608
            f" WHERE policy = :policy AND superseded_by IS NULL AND intent <> 'withdrawal' AND {keys.COUNTED}"
            " ORDER BY contacts.order_id, contact_id",
            policy=policy,
        )
