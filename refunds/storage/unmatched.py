"""Contacts whose order is not known yet, each encrypted under a key of its own until it is matched."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from refunds.domain.journal import Entry, EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, NotFound
from refunds.security.encryption import NO_ACCESS, CustomerCipher
from refunds.storage import Row, Transaction, idempotency, keys
from refunds.storage.contacts import ACKNOWLEDGED
from refunds.storage.mapper import RecordMapper, instant, made_since
from refunds.storage.repository import Context, Listed

UNMATCHED = RecordMapper(
    UnmatchedContact,
    "unmatched_contacts",
    added=dict.fromkeys(("supersedes", "superseded_by", *ACKNOWLEDGED), "0013_corrections")
    | {"taken_by": "0011_queue"},
)

_ALL = f"SELECT {UNMATCHED.columns} FROM unmatched_contacts"  # noqa: S608

_EMPTIED = dict.fromkeys(("wrapped_key", "order_hint", "from_detail", "ticket_ref", "note", "acknowledged_to"))
"""What a contact loses when it is matched."""


class Unmatched(Listed[UnmatchedContact]):
    """The contacts whose order is not known, or was not when they were recorded."""

    mapper: ClassVar[RecordMapper[UnmatchedContact]] = UNMATCHED
    with_key: ClassVar[str] = _ALL
    place: ClassVar[tuple[str, ...]] = ("unmatched_id",)
    filters: ClassVar[Mapping[str, str | Mapping[bool, str]]] = {
        "open": {True: "is_open = 1", False: "is_open = 0"},
        "request_number": "request_number = :request_number",
        "taken_by": "taken_by = :taken_by",
    }

    def get(self, unmatched_id: str, *, lock: bool = False) -> UnmatchedContact:
        """The contact with this id; raises `NotFound` if there is none.

        With `lock`, nobody else can change it until this write ends; its order, if any, is locked before it.
        """
        sql = f"{_ALL} WHERE unmatched_id = :unmatched_id{' {for_update}' if lock else ''}"
        row = self._tx.one(sql, unmatched_id=unmatched_id)
        if row is None:
            raise NotFound(Message("there is no unmatched contact of this id"))
        return self._load(row)

    def iter_open(self) -> Iterator[tuple[str, datetime, str | None]]:
        """The id, the receipt and the taker of every open contact; nothing is decrypted."""
        sql = "SELECT unmatched_id, received_at, taken_by FROM unmatched_contacts WHERE is_open = 1"
        for row in self._tx.each(sql):
            yield row["unmatched_id"], instant(row["received_at"]), row["taken_by"]

    def requests_since(self, since: datetime) -> Iterator[datetime]:
        """When each request was recorded from an instant on that is not matched or superseded; nothing is decrypted."""
        rows = self._tx.each(
            "SELECT recorded_at FROM unmatched_contacts WHERE unmatched_id >= :first AND recorded_at >= :since"
            " AND intent IN ('cancel', 'withdrawal') AND contact_id IS NULL AND superseded_by IS NULL",
            **made_since("unm", since),
        )
        return (instant(row["recorded_at"]) for row in rows)

    def resolved_by(self, actor: str, limit: int) -> list[UnmatchedContact]:
        """Up to `limit` contacts that this actor has closed, the last first."""
        sql = f"{_ALL} WHERE closed_by = :actor AND closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT :limit"
        return self._load_all(self._tx.all(sql, actor=actor, limit=limit))

    def of_order(self, order_id: str) -> list[UnmatchedContact]:
        """Every contact that was matched to an order, emptied."""
        return self._load_all(of_order(self._tx, order_id))

    def add(self, record: UnmatchedContact, event: EventType, **data: Any) -> None:
        """Store a new contact under a new key, and note its event, as for any record."""
        wrapped = keys.new_wrapped_key(self._context.keys, UNMATCHED.name, record.unmatched_id)
        kept = replace(record, wrapped_key=wrapped)
        self._context.unmatched[record.unmatched_id] = self._cipher(kept)
        super().add(kept, event, **data)

    def match(self, found: UnmatchedContact, contact: Contact) -> None:
        """Record that a locked unmatched contact has become `contact`, which was added in this unit of work.

        The unmatched contact is closed, its personal fields are emptied and its key is destroyed; the stored responses
        to its HTTP requests are encrypted for the order. The same is done for those that it supersedes.
        """
        cipher, order_id = self._cipher(found), contact.order_id
        changes = {**_EMPTIED, "contact_id": contact.contact_id, "is_open": False}
        _, digest = UNMATCHED.change(self._tx, found, cipher, **changes)
        matched, data = EventType.CONTACT_MATCHED, {"contact_id": contact.contact_id}
        entry = Entry(type=matched, subject=found.unmatched_id, order_id=order_id, digest=digest, data=data)
        self._context.entries.append(entry)
        to = self._context.orders[order_id]
        idempotency.move(self._tx, order_id, cipher, to, self._context.now, unmatched_id=found.unmatched_id)
        if found.supersedes is not None:
            for row in self._tx.all(f"{_ALL} WHERE unmatched_id = :earlier", earlier=found.supersedes):
                self.match(self._load(row), contact)

    def _cipher(self, record: UnmatchedContact) -> CustomerCipher:
        return cipher(self._context, record.unmatched_id, record.wrapped_key)

    def _load(self, row: Row) -> UnmatchedContact:
        readable = self._context.principal.may(Scope.PERSONAL_READ)
        own = cipher(self._context, row["unmatched_id"], row["wrapped_key"]) if readable else NO_ACCESS
        return UNMATCHED.load(row, own)


def cipher(context: Context, unmatched_id: str, wrapped_key: bytes | None) -> CustomerCipher:
    """The cipher of an unmatched contact; `NO_ACCESS` if its key was destroyed.

    Raises `Tampered` if the key cannot be decrypted.
    """
    if wrapped_key is None:
        return NO_ACCESS
    return keys.unwrapped(context.keys, UNMATCHED.name, unmatched_id, wrapped_key)


def of_order(tx: Transaction, order_id: str) -> list[Row]:
    """The row of every contact that was matched to an order."""
    matched = "contact_id IN (SELECT contact_id FROM contacts WHERE order_id = :order_id)"
    return tx.all(f"{_ALL} WHERE {matched} ORDER BY unmatched_id", order_id=order_id)


def iter_all(tx: Transaction) -> Iterator[Row]:
    """The row of every unmatched contact."""
    return tx.each(f"{_ALL} ORDER BY unmatched_id")
