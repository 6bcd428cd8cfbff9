"""The keys that the master key wraps: the service's own, and one for each customer."""

from collections.abc import Iterator
from typing import Any

from ulid import ULID

from refunds.errors import ConfigurationError, Conflict
from refunds.security.encryption import (
    SERVICE_KEYS,
    Keyring,
    Tampered,
    Vault,
    keyed_digest,
    new_key,
    place,
    seal,
    unseal,
)
from refunds.storage import Row, Transaction
from refunds.storage.table import Table


def any_stored(tx: Transaction) -> bool:
    """Whether the database already has keys, and so a master key that they belong to."""
    return tx.one("SELECT 1 FROM keys LIMIT 1") is not None


def open_keyring(tx: Transaction, master: bytes) -> Keyring:
    """The service's keys, those that are missing made; raises `ConfigurationError` for another master key."""
    stored = {row["name"]: row["wrapped"] for row in tx.all("SELECT name, wrapped FROM keys")}
    keys: dict[str, bytes] = {}
    for name in SERVICE_KEYS:
        where = place("keys", "wrapped", name)
        if name in stored:
            try:
                keys[name] = unseal(master, stored[name], where)
            except Tampered:
                raise ConfigurationError(
                    "REFUNDS_MASTER_KEY_FILE: this master key does not fit the database: use the one it was made with"
                ) from None
        else:
            keys[name] = new_key()
            tx.run(
                "INSERT INTO keys (name, wrapped) VALUES (:name, :wrapped)",
                name=name,
                wrapped=seal(master, keys[name], where),
            )
    return Keyring(master, **keys)


def find_customer(tx: Transaction, keys: Keyring, customer_ref: str) -> Row | None:
    """The row of the customer whom billing refers to by this text."""
    return tx.one(_BY_DIGEST, digest=customer_digest(keys, customer_ref))


_BY_DIGEST = "SELECT customer_id, wrapped_key FROM customers WHERE digest = :digest"


def customer_digest(keys: Keyring, customer_ref: str) -> bytes:
    """By what a customer is found, as the reference itself is not stored in clear."""
    return keyed_digest(keys.lookup, customer_ref.encode())


def customer(tx: Transaction, keys: Keyring, customer_ref: str, *, beside: str | None = None) -> tuple[str, Vault]:
    """The opaque id and the vault of a customer, both made where the customer is new; held until this write ends.

    So is the one of the id `beside`. Two are held in the order of their digests, which nobody can see otherwise.
    """
    digest = customer_digest(keys, customer_ref)
    other = tx.one("SELECT digest FROM customers WHERE customer_id = :beside", beside=beside) if beside else None
    if other and other["digest"] < digest:
        tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
    found = _found_or_made(tx, keys, digest)
    if other and other["digest"] > digest:
        tx.one(_BY_DIGEST + " {for_update}", digest=other["digest"])
    return found["customer_id"], vault(keys, found)


def _found_or_made(tx: Transaction, keys: Keyring, digest: bytes) -> Row:
    """The row of the customer of this digest, held."""
    for _ in range(_ATTEMPTS):
        found = tx.one(_BY_DIGEST + " {for_update}", digest=digest)
        if found is not None:
            return found
        customer_id = f"cus_{ULID()}"
        wrapped = seal(keys.master, new_key(), place("customers", "wrapped_key", customer_id))
        made = tx.run(
            "INSERT INTO customers (customer_id, digest, wrapped_key) VALUES (:customer_id, :digest, :wrapped_key)"
            " ON CONFLICT (digest) DO NOTHING",
            customer_id=customer_id,
            digest=digest,
            wrapped_key=wrapped,
        )
        if made:
            return {"customer_id": customer_id, "wrapped_key": wrapped}
    raise Conflict("customers.digest")


_ATTEMPTS = 5
"""At holding a customer: between finding that there is none and making one, others may make and forget one."""


def vault(keys: Keyring, row: Row) -> Vault:
    """The vault of the customer in a row that has `customer_id` and `wrapped_key`; raises `Tampered`."""
    return Vault(unseal(keys.master, row["wrapped_key"], place("customers", "wrapped_key", row["customer_id"])))


def with_key(table: Table[Any], more: str = "", *, dangling: bool = False) -> str:
    """The rows of what is about orders, each with the key of its order's customer; of `dangling` ones without."""
    join = "LEFT JOIN" if dangling else "JOIN"
    return (
        f"SELECT {table.columns}, customers.customer_id, wrapped_key{more} FROM {table.name}"  # noqa: S608
        f" {join} orders USING (order_id) {join} customers USING (customer_id)"
    )


def forget_without_orders(tx: Transaction, customer_id: str) -> None:
    """Forget a customer of whom no order is left."""
    tx.run(
        "DELETE FROM customers WHERE customer_id = :customer_id"
        " AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.customer_id = :customer_id)",
        customer_id=customer_id,
    )


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every customer."""
    return tx.each("SELECT customer_id, wrapped_key FROM customers ORDER BY customer_id")
