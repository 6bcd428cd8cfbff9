"""Customers: an opaque id, the key of their personal fields, and a digest of billing's reference to find them by."""

from collections.abc import Iterable, Iterator

from ulid import ULID

from refunds.domain.permissions import Scope
from refunds.errors import Message, NotFound
from refunds.security.encryption import Keyring, keyed_digest
from refunds.storage import Row, Transaction, keys
from refunds.storage.repository import InTransaction, named_list

_BY_DIGEST = "SELECT customer_id, wrapped_key FROM customers WHERE digest = :digest"

ABOUT_CUSTOMERS = ("orders", "data_requests", "disclosures", "limits")
"""The tables whose records name their customer, who stays as long as there is one."""

_LOCK = (
    "INSERT INTO customers (customer_id, digest, wrapped_key) VALUES (:new_id, :digest, :new_key)"
    # It changes nothing, and locks the row that is there.
    " ON CONFLICT (digest) DO UPDATE SET wrapped_key = customers.wrapped_key RETURNING customer_id, wrapped_key"
)


class Customers(InTransaction):
    """The customers of the orders."""

    def find(self, customer_ref: str) -> str | None:
        """Return a customer's id by reference, or None; `Forbidden` if the principal may not read personal data."""
        self._context.principal.require(Scope.PERSONAL_READ)
        row = self._tx.one(_BY_DIGEST, digest=digest_of(self._context.keys, customer_ref))
        return None if row is None else row["customer_id"]

    def lock_order(self, customer_ref: str) -> bytes:
        """Return the key of a reference, by which a write sorts customers before it locks several of them."""
        return digest_of(self._context.keys, customer_ref)

    def lock(self, customer_ref: str, *, beside: str | None = None) -> str:
        """Lock the customer with this reference until this write ends, and return their id; add a missing customer.

        The customer with the id `beside`, if there is one, is locked too; both in the order of their digests.
        """
        digest = digest_of(self._context.keys, customer_ref)
        of_other = "SELECT digest FROM customers WHERE customer_id = :beside"
        other = self._tx.one(of_other, beside=beside) if beside else None
        if other and other["digest"] < digest:
            self._tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
        new_id = f"cus_{ULID()}"
        new_key = keys.new_wrapped_key(self._context.keys, "customers", new_id)
        found = self._tx.one(_LOCK, new_id=new_id, digest=digest, new_key=new_key)
        assert found is not None
        if other and other["digest"] > digest:
            self._tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
        customer_id: str = found["customer_id"]
        self._context.customers[customer_id] = keys.cipher(self._context.keys, found)
        return customer_id

    def lock_with_orders(self, customer_id: str) -> list[str]:
        """Lock a customer and their orders until this write ends; returns the order ids, or raises `NotFound`."""
        of_customer = "WHERE customer_id = :customer_id"
        sql = f"SELECT customer_id, wrapped_key FROM customers {of_customer} {{for_update}}"  # noqa: S608
        row = self._tx.one(sql, customer_id=customer_id)
        if row is None:
            raise NotFound(Message("there is no customer of this id"))
        self._context.customers[customer_id] = keys.cipher(self._context.keys, row)
        of_orders = f"SELECT order_id FROM orders {of_customer} ORDER BY order_id {{for_update}}"  # noqa: S608
        return [row["order_id"] for row in self._tx.all(of_orders, customer_id=customer_id)]

    def replace_digest(self, customer_id: str, customer_ref: str) -> list[str]:
        """Give a customer another reference, by which they are found from now on; return the ids of their orders.

        Locks the customer and their orders, but does not change the reference that is stored in the orders. Raises
        `NotFound`, `CustomerErased`, and `Conflict` if the reference is another customer's.
        """
        order_ids = self.lock_with_orders(customer_id)
        self.require_not_erased(customer_id)
        sql = "UPDATE customers SET digest = :digest WHERE customer_id = :customer_id"
        self._tx.run(sql, customer_id=customer_id, digest=digest_of(self._context.keys, customer_ref))
        return order_ids

    def require_not_erased(self, customer_id: str) -> None:
        """Raise `CustomerErased` if a locked customer was erased."""
        self._context.customers[customer_id].require_key()

    def forget_without_records(self, customer_ids: Iterable[str]) -> None:
        """Delete each of these locked customers about whom no record is left, with their key and stored replies."""
        listed, named = named_list(customer_ids)
        nothing = " AND ".join(
            f"NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.customer_id = customers.customer_id)"  # noqa: S608
            for table in ABOUT_CUSTOMERS
        )
        going = f"customer_id IN ({listed}) AND {nothing}"
        replies = f"of_customer IN (SELECT customer_id FROM customers WHERE {going})"  # noqa: S608
        self._tx.run(f"DELETE FROM idempotency WHERE {replies}", **named)  # noqa: S608
        self._tx.run(f"DELETE FROM customers WHERE {going}", **named)  # noqa: S608


def digest_of(keyring: Keyring, customer_ref: str) -> bytes:
    """Return the keyed digest of a reference, by which its customer is found; the reference is stored encrypted."""
    return keyed_digest(keyring.lookup, customer_ref.encode())


def owners(tx: Transaction) -> set[str]:
    """Return the ids of the customers about whom there is any record."""
    found = " UNION ".join(f"SELECT customer_id FROM {table}" for table in ABOUT_CUSTOMERS)  # noqa: S608
    return {row["customer_id"] for row in tx.each(f"{found} ORDER BY customer_id")} - {None}


def iter_wrapped_keys(tx: Transaction) -> Iterator[Row]:
    """Yield the `customer_id` and `wrapped_key` of every customer, by id; the key of an erased one is empty."""
    return tx.each("SELECT customer_id, wrapped_key FROM customers ORDER BY customer_id")
