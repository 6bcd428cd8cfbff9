"""Erasures of customers and of contacts: in the records, and in a file of the ledger that no backup takes back.

A line in the file comes before any change of the records. So what is restored, or was interrupted, can be erased again.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from refunds.domain.instants import format_instant, parse_instant
from refunds.domain.journal import EMPTYING, EventType
from refunds.domain.privacy import ErasureReason
from refunds.domain.records import Contact
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import Message, NotFound, StorageUnavailable
from refunds.security.encryption import ERASED, Erased, new_key
from refunds.storage import Transaction, events, idempotency
from refunds.storage.checkpoints import LedgerFile
from refunds.storage.contacts import CONTACTS
from refunds.storage.customers import Customers
from refunds.storage.mapper import RecordMapper, instant, number
from refunds.storage.repository import InTransaction
from refunds.storage.tables import RECORDS
from refunds.storage.unmatched import UNMATCHED, AnyContacts


class Erasure(NamedTuple):
    """The erasure of a customer: why, when, and the ids of their orders; or of a contact: its id is `customer_id`."""

    customer_id: str
    reason: ErasureReason
    at: datetime
    order_ids: tuple[str, ...] = ()


class ErasureLedger(LedgerFile[Erasure]):
    """The file of the ledger, `name` in `directory`, with the erasures of customers and contacts; no ids of orders."""

    def __init__(self, directory: Path, name: str = "erasures.jsonl") -> None:
        super().__init__(directory, name, _loaded, _dumped)

    @property
    def size(self) -> int:
        """The size of the file in bytes, which grows with each erasure; 0 if it cannot be seen."""
        try:
            return self.file.stat().st_size
        except OSError:
            return 0


def _loaded(data: Any) -> Erasure:
    """Return the erasure in the data of a line; raises `KeyError`, `TypeError` or `ValueError` if there is none."""
    return Erasure(data["customer_id"], ErasureReason(data["reason"]), parse_instant(data["at"]))


def _dumped(erasure: Erasure) -> Any:
    """Return an erasure as the data of a line of the ledger: the id of the erased, the reason and the time."""
    return {"customer_id": erasure.customer_id, "reason": erasure.reason, "at": format_instant(erasure.at)}


class Erasures(InTransaction):
    """Erases customers and contacts in the records of this transaction, and in the ledger."""

    def find(self, customer_id: str) -> Erasure | None:
        """Return the erasure of the customer with this id; None if they were not erased, or are not known."""
        sql = "SELECT 1 FROM customers WHERE customer_id = :customer_id AND length(wrapped_key) = 0"
        if self._tx.one(sql, customer_id=customer_id) is None:
            return None
        return next((one for one in journalled(self._tx) if one.customer_id == customer_id), None)

    def erase(self, customer_id: str, reason: ErasureReason, anyway: str | None = None) -> Erasure:
        """Empty a customer's key and all their personal fields, and delete the stored responses about them.

        The customer and their orders must be locked. A line in the ledger comes first, and stays even if this unit of
        work fails; then the next start erases the customer. So nothing may follow that can fail.

        `anyway` says why open matters do not prevent the erasure, and is stored in its event. Returns the erasure with
        the ids of the orders. Raises `StorageUnavailable` if the line cannot be written.
        """
        erasure = Erasure(customer_id, reason, self._context.now)
        self._note(erasure)
        return self._erase(erasure, anyway)

    def empty(self, contact: Contact | UnmatchedContact, reason: ErasureReason) -> list[str]:
        """Empty the personal fields of a locked contact, with an event; return the names of the fields that had values.

        Stored responses about the contact's order, or about a contact that is unmatched, are deleted. A line in the
        ledger comes first, and one for each unmatched contact that was matched to this contact. If no field has a
        value, nothing is done. Raises `StorageUnavailable` if a line cannot be written.
        """
        fields = _fields_to_empty(contact)
        if fields:
            now, name = self._context.now, _table(contact).id_of(contact)
            was = "SELECT unmatched_id FROM unmatched_contacts WHERE contact_id = :name ORDER BY unmatched_id"
            before = [row["unmatched_id"] for row in self._tx.all(was, name=name)]
            self._note(*(Erasure(one, reason, now) for one in (name, *before)))
            self._empty(contact, reason)
        return fields

    def _note(self, *erasures: Erasure) -> None:
        """Append erasures to the ledger; raise `StorageUnavailable` if they cannot be written."""
        ledger = self._context.ledger
        try:
            ledger.append(*erasures)
        except OSError as error:
            text = Message("The ledger of erasures cannot be written: nobody was erased.")
            raise StorageUnavailable(text, f"{ledger.file} cannot be written: {error.strerror}") from error

    def make_whole(self) -> None:
        """Erase in the records what only the ledger has, and append to the ledger what only the journal has.

        Contacts are emptied, too. Raises `OSError` or `ConfigurationError` if the ledger cannot be written or read.
        """
        undone, lacking = self.differences()
        # Another instance may be at the same erasure: it has written its line, and holds the locks.
        for one in undone:
            Customers(self._context).lock_with_orders(one.customer_id)
            if not self._context.customers[one.customer_id].is_erased:
                self._erase(one)
        done = {one.customer_id for one in journalled(self._tx)}
        for one in sorted(one for one in self._context.ledger if one.customer_id not in done):
            with suppress(NotFound):  # as that of a customer
                contact = AnyContacts(self._context).get(one.customer_id, lock=True)
                if _fields_to_empty(contact):
                    self._empty(contact, one.reason)
        if lacking:
            self._context.ledger.append(*lacking)

    def differences(self) -> tuple[list[Erasure], list[Erasure]]:
        """Return the erasures that only the ledger has, and those that only the journal has; change nothing.

        The first list has only customers, those who are on record and not erased there, in the order in which writes
        lock them. The second has customers and contacts, in the order of the journal.
        """
        noted = {one.customer_id: one for one in self._context.ledger}
        sql = "SELECT customer_id FROM customers WHERE length(wrapped_key) = 0 ORDER BY customer_id"
        erased = {row["customer_id"] for row in self._tx.all(sql)}
        found = (self._tx.one(_DIGEST, customer_id=one) for one in noted.keys() - erased)
        undone = sorted(filter(None, found), key=lambda row: bytes(row["digest"]))
        lacking = [one for one in journalled(self._tx) if one.customer_id not in noted]
        return [noted[row["customer_id"]] for row in undone], lacking

    def records_emptied(self, customer_id: str) -> dict[str, int]:
        """Return how many records of a customer, erased or not, have an emptied personal field, by table."""
        counted = {}
        for table, owned in _owned():
            empty = " OR ".join(f"length({name}) = 0" for name in table.personal)
            sql = f"SELECT count(*) FROM {table.name} WHERE {owned} AND ({empty})"  # noqa: S608
            counted[table.name] = number(self._tx, sql, customer_id=customer_id)
        return counted

    def _empty(self, contact: Contact | UnmatchedContact, reason: ErasureReason) -> None:
        """Empty the personal fields that a contact has, with an event; delete stored responses on it or its order."""
        fields = _fields_to_empty(contact)
        data, emptied = {"fields": fields, "reason": reason}, dict.fromkeys(fields, ERASED)
        AnyContacts(self._context).update(contact, EventType.CONTACT_EMPTIED, data, **emptied)
        if isinstance(contact, Contact):
            idempotency.forget_about(self._tx, [contact.order_id], ())
        else:
            idempotency.forget_about(self._tx, (), [contact.unmatched_id])

    def _erase(self, erasure: Erasure, anyway: str | None = None) -> Erasure:
        """Do in the records what `erase` does, with an event: empty the key and personal fields, delete stored replies.

        The digest of their reference is replaced: nobody finds them by it. Returns the erasure with the order ids.
        """
        customer_id = erasure.customer_id
        for table, owned in _owned():
            emptied = ", ".join(f"{name} = CASE WHEN {name} IS NOT NULL THEN :empty END" for name in table.personal)
            self._tx.run(f"UPDATE {table.name} SET {emptied} WHERE {owned}", customer_id=customer_id, empty=b"")  # noqa: S608
        idempotency.forget_of_customer(self._tx, customer_id)
        self._tx.run(
            "UPDATE customers SET wrapped_key = :empty, digest = :digest WHERE customer_id = :customer_id",
            customer_id=customer_id,
            empty=b"",
            digest=new_key(),  # any: nobody is found by it
        )
        sql = "SELECT order_id FROM orders WHERE customer_id = :customer_id ORDER BY order_id"
        order_ids = [row["order_id"] for row in self._tx.all(sql, customer_id=customer_id)]
        data = {"order_ids": order_ids, "reason": erasure.reason, "anyway": anyway}
        self._context.note(EventType.CUSTOMER_ERASED, customer_id, data)
        return erasure._replace(order_ids=tuple(order_ids))


def journalled(tx: Transaction) -> Iterator[Erasure]:
    """Yield the erasures of customers and contacts that the journal has, oldest first."""
    for row in events.rare_of_types(tx, [EventType.CUSTOMER_ERASED, *EMPTYING]):
        data = orjson.loads(row["data"])
        order_ids = tuple(data.get("order_ids", ()))
        yield Erasure(row["subject"], ErasureReason(data["reason"]), instant(row["at"]), order_ids)


def _table(contact: Contact | UnmatchedContact) -> RecordMapper[Any]:
    """Return the table of a contact or of an unmatched contact."""
    return CONTACTS if isinstance(contact, Contact) else UNMATCHED


def _fields_to_empty(contact: Contact | UnmatchedContact) -> list[str]:
    """Return the names of a contact's personal fields that have a value and were not emptied yet."""
    texts = ((name, getattr(contact, name)) for name in _table(contact).personal)
    return [name for name, text in texts if text is not None and not isinstance(text, Erased)]


_DIGEST = "SELECT customer_id, digest FROM customers WHERE customer_id = :customer_id"

_OF_ORDERS = "order_id IN (SELECT order_id FROM orders WHERE customer_id = :customer_id)"


def _owned() -> Iterator[tuple[RecordMapper[Any], str]]:
    """Yield the tables with personal fields of customers, each with the SQL condition for one customer's records."""
    for table in (kind.mapper for kind in RECORDS):
        if table.personal and "customer_id" in table.names:
            yield table, "customer_id = :customer_id"
        elif table.personal and "order_id" in table.names:
            yield table, _OF_ORDERS
