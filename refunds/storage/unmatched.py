"""Contacts whose order is not known yet, each encrypted under a key of its own until it is matched."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.records import Contact
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, NotFound
from refunds.security.encryption import NO_ACCESS, CustomerCipher
from refunds.storage import Row, idempotency, keys
from refunds.storage.contacts import ACKNOWLEDGED, ALL, Contacts
from refunds.storage.mapper import RecordMapper, instant
from refunds.storage.repository import Context, InTransaction, Listed

UNMATCHED = RecordMapper(
    UnmatchedContact,
    "unmatched_contacts",
    added=dict.fromkeys(("supersedes", "superseded_by", *ACKNOWLEDGED), "0013_corrections")
    | {"taken_by": "0011_queue"},
)

_EMPTIED = dict.fromkeys(("wrapped_key", "order_hint", "from_detail", "ticket_ref", "note", "acknowledged_to"))
"""What a contact loses when it is matched."""


class Unmatched(Listed[UnmatchedContact]):
    """The contacts whose order is not known, or was not when they were recorded."""

    mapper: ClassVar[RecordMapper[UnmatchedContact]] = UNMATCHED
    about_order: ClassVar[str] = "contact_id IN (SELECT contact_id FROM contacts WHERE order_id = :order_id)"
    missing: ClassVar[Message] = Message("there is no unmatched contact of this id")
    place: ClassVar[tuple[str, ...]] = ("unmatched_id",)
    filters: ClassVar[Mapping[str, str | Mapping[bool, str]]] = {"open": {True: "is_open = 1", False: "is_open = 0"}}

    def get(self, unmatched_id: str, *, lock: bool = False) -> UnmatchedContact:
        """Return the unmatched contact with this id; raises `NotFound` if there is none.

        With `lock`, nobody else can change the contact until this write ends; to lock an order as well, lock it first.
        """
        found = self._one(f"unmatched_id = :unmatched_id{' {for_update}' if lock else ''}", unmatched_id=unmatched_id)
        if found is None:
            raise NotFound(self.missing)
        return found

    def queued(self, limit: int = ALL, offset: int = 0, **only: str) -> list[tuple[str, datetime, str | None]]:
        """Return the id, receipt and taker (or None) of up to `limit` open unmatched contacts, by receipt.

        The first `offset` are left out. `only` limits them to those that `taken_by` has taken. Nothing is decrypted.
        """
        only_these = "".join(f" AND {self._condition(*one)}" for one in only.items())
        sql = f"SELECT unmatched_id, received_at, taken_by FROM unmatched_contacts WHERE is_open = 1{only_these}"  # noqa: S608
        sql += " ORDER BY received_at, unmatched_id LIMIT :limit OFFSET :offset"
        rows = self._tx.all(sql, limit=limit, offset=offset, **only)
        return [(row["unmatched_id"], instant(row["received_at"]), row["taken_by"]) for row in rows]

    def resolved_by(self, actor: str, limit: int) -> list[UnmatchedContact]:
        """Return up to `limit` unmatched contacts that this actor has resolved, the last first, but no reopened ones.

        A contact that was superseded after it was resolved is in the list.
        """
        closed = "closed_by = :actor AND closed_at IS NOT NULL ORDER BY closed_at DESC LIMIT :limit"
        return self._all(closed, actor=actor, limit=limit)

    def add(self, record: UnmatchedContact, event: EventType, **data: Any) -> None:
        """Store a new contact under a new key, and note its event, as for any record."""
        wrapped = keys.new_wrapped_key(self._context.keys, UNMATCHED.name, record.unmatched_id)
        kept = replace(record, wrapped_key=wrapped)
        self._context.unmatched[record.unmatched_id] = self._cipher(kept)
        super().add(kept, event, **data)

    def match(self, found: UnmatchedContact, contact: Contact) -> None:
        """Close a locked unmatched contact, with an event, because `contact` was added for it in this unit of work.

        Its personal fields are emptied and its key is destroyed; the stored responses to its HTTP requests are
        encrypted for the order. The unmatched contacts that it superseded are matched to `contact` in the same way.
        """
        cipher, order_id = self._cipher(found), contact.order_id
        changes = {**_EMPTIED, "contact_id": contact.contact_id, "is_open": False}
        _, digest = UNMATCHED.change(self._tx, found, cipher, **changes)
        data = {"contact_id": contact.contact_id}
        self._context.note(EventType.CONTACT_MATCHED, found.unmatched_id, data, order_id, digest)
        to = self._context.orders[order_id]
        idempotency.move(self._tx, order_id, cipher, to, self._context.now, unmatched_id=found.unmatched_id)
        if found.supersedes is not None and (earlier := self.find(found.supersedes)) is not None:
            self.match(earlier, contact)

    def _cipher(self, record: UnmatchedContact) -> CustomerCipher:
        """Return the cipher of a contact, even if the principal may not read personal data."""
        return cipher(self._context, record.unmatched_id, record.wrapped_key)

    def _load(self, row: Row) -> UnmatchedContact:
        """Return the unmatched contact in a row; its personal fields are None unless the principal may read them."""
        readable = self._context.principal.may(Scope.PERSONAL_READ)
        own = cipher(self._context, row["unmatched_id"], row["wrapped_key"]) if readable else NO_ACCESS
        return UNMATCHED.load(row, own)


class AnyContacts(InTransaction):
    """Contacts about orders and unmatched contacts alike: the id of a contact says which of the two it is."""

    def get(self, name: str, *, lock: bool = False) -> Contact | UnmatchedContact:
        """Return the contact or unmatched contact with this id; `lock` locks it. Raises `NotFound` if there is none."""
        kind = Unmatched if name.startswith("unm_") else Contacts
        return kind(self._context).get(name, lock=lock)

    def update(
        self, found: Contact | UnmatchedContact, event: EventType, data: Mapping[str, Any], **changes: Any
    ) -> Contact | UnmatchedContact:
        """Store changes of a contact with an event, and return the changed contact.

        `event` is that of a matched contact; for an unmatched one, the event with `UNMATCHED` in its name is recorded.
        """
        if isinstance(found, Contact):
            return Contacts(self._context).update(found, event, data, **changes)
        event = EventType[event.name.replace("_", "_UNMATCHED_", 1)]
        return Unmatched(self._context).update(found, event, data, **changes)


def cipher(context: Context, unmatched_id: str, wrapped_key: bytes | None) -> CustomerCipher:
    """Return the cipher of an unmatched contact, `NO_ACCESS` if its key was destroyed (None).

    Raises `Tampered` if the key is damaged.
    """
    if wrapped_key is None:
        return NO_ACCESS
    return keys.unwrapped(context.keys, UNMATCHED.name, unmatched_id, wrapped_key)
