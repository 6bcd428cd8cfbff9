"""Customers: an opaque id, the key of their personal fields, and a digest of billing's reference to find them by."""

from collections.abc import Iterator

from ulid import ULID

from refunds.domain.permissions import Scope
from refunds.errors import Conflict
from refunds.security.encryption import Keyring, keyed_digest
from refunds.storage import Row, Transaction, keys
from refunds.storage.repository import Context

_BY_DIGEST = "SELECT customer_id, wrapped_key FROM customers WHERE digest = :digest"

_ATTEMPTS = 5
"""At locking a customer: between finding none and adding one, others may add one and forget it again."""


class Customers:
    """The customers of the orders."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def _tx(self) -> Transaction:
        return self._context.tx

    def find(self, customer_ref: str) -> str | None:
        """The opaque id of the customer with this reference in billing, or None.

        Raises `Forbidden` for a principal who may not see personal fields.
        """
        self._context.principal.require(Scope.PERSONAL_READ)
        row = self._tx.one(_BY_DIGEST, digest=digest_of(self._context.keys, customer_ref))
        return None if row is None else row["customer_id"]

    def lock_order(self, customer_ref: str) -> bytes:
        """Where a customer comes in the order in which a write locks several of them."""
        return digest_of(self._context.keys, customer_ref)

    def lock(self, customer_ref: str, *, beside: str | None = None) -> str:
        """The opaque id of a customer, who is added if new and locked until this write ends.

        Also locks the customer with the id `beside`, if there is one; the two in the order of their digests, which
        callers do not know. Raises `Conflict` if others keep adding and forgetting the customer meanwhile.
        """
        digest = digest_of(self._context.keys, customer_ref)
        of_other = "SELECT digest FROM customers WHERE customer_id = :beside"
        other = self._tx.one(of_other, beside=beside) if beside else None
        if other and other["digest"] < digest:
            self._tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
        found = self._found_or_made(digest)
        if other and other["digest"] > digest:
            self._tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
        customer_id: str = found["customer_id"]
        self._context.customers[customer_id] = keys.cipher(self._context.keys, found)
        return customer_id

    def forget_without_orders(self, customer_id: str) -> None:
        """Delete a customer and so the key of their personal fields, unless they still have an order."""
        self._tx.run(
            "DELETE FROM customers WHERE customer_id = :customer_id"
            " AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.customer_id = :customer_id)",
            customer_id=customer_id,
        )

    def _found_or_made(self, digest: bytes) -> Row:
        """The locked row of the customer with this digest, who is added if new; raises `Conflict` as `lock` does."""
        for _ in range(_ATTEMPTS):
            found = self._tx.one(_BY_DIGEST + " {for_update}", digest=digest)
            if found is not None:
                return found
            customer_id = f"cus_{ULID()}"
            wrapped = keys.wrapped(self._context.keys, "customers", customer_id)
            made = self._tx.run(
                "INSERT INTO customers (customer_id, digest, wrapped_key) VALUES (:customer_id, :digest, :wrapped_key)"
                " ON CONFLICT (digest) DO NOTHING",
                customer_id=customer_id,
                digest=digest,
                wrapped_key=wrapped,
            )
            if made:
                return {"customer_id": customer_id, "wrapped_key": wrapped}
        raise Conflict("customers.digest")


def digest_of(keyring: Keyring, customer_ref: str) -> bytes:
    """The digest that a customer is found by, because the reference itself is not stored in clear."""
    return keyed_digest(keyring.lookup, customer_ref.encode())


def iter_all(tx: Transaction) -> Iterator[Row]:
    """The row of every customer."""
    return tx.each("SELECT customer_id, wrapped_key FROM customers ORDER BY customer_id")
