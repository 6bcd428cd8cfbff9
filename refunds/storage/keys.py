"""The keys that the master key wraps: the service's own, and one for each customer."""

from typing import Any

from refunds.domain.privacy import LimitKind
from refunds.errors import ConfigurationError, Message
from refunds.security.encryption import (
    SERVICE_KEYS,
    CustomerCipher,
    Keyring,
    Tampered,
    associated_data,
    decrypt,
    encrypt,
    new_key,
)
from refunds.storage import Row, Transaction
from refunds.storage.mapper import RecordMapper


def any_stored(tx: Transaction) -> bool:
    """Whether the database already has keys, and so belongs to a master key."""
    return tx.one("SELECT 1 FROM keys LIMIT 1") is not None


def open_keyring(tx: Transaction, master: bytes) -> Keyring:
    """The service's keys; missing ones are made and stored.

    Raises `ConfigurationError` if the master key is not that of the database.
    """
    stored = {row["name"]: row["wrapped"] for row in tx.all("SELECT name, wrapped FROM keys")}
    keys: dict[str, bytes] = {}
    for name in SERVICE_KEYS:
        where = associated_data("keys", "wrapped", name)
        if name in stored:
            try:
                keys[name] = decrypt(master, stored[name], where)
            except Tampered:
                detail = Message(
                    "REFUNDS_MASTER_KEY_FILE: this master key is not the one of the database: use that one"
                )
                raise ConfigurationError(detail) from None
        else:
            keys[name] = new_key()
            tx.run(
                "INSERT INTO keys (name, wrapped) VALUES (:name, :wrapped)",
                name=name,
                wrapped=encrypt(master, keys[name], where),
            )
    return Keyring(master, **keys)


def wrapped(keys: Keyring, table: str, row_id: str) -> bytes:
    """A new key of a customer or of an unmatched contact, wrapped for its row in the table."""
    return encrypt(keys.master, new_key(), associated_data(table, "wrapped_key", row_id))


def unwrapped(keys: Keyring, table: str, row_id: str, wrapped_key: bytes) -> CustomerCipher:
    """The cipher with the key that `wrapped` made for this row, or with an empty one if that was erased.

    Raises `Tampered` if the key cannot be decrypted.
    """
    if wrapped_key == b"":
        return CustomerCipher(b"")
    return CustomerCipher(decrypt(keys.master, wrapped_key, associated_data(table, "wrapped_key", row_id)))


def cipher(keys: Keyring, row: Row) -> CustomerCipher:
    """The cipher of the customer in a row that has `customer_id` and `wrapped_key`.

    Raises `Tampered` if the customer's key cannot be decrypted.
    """
    return unwrapped(keys, "customers", row["customer_id"], row["wrapped_key"])


def limited(*kinds: LimitKind) -> str:
    """The condition that the customer of an order has a limit of one of these kinds."""
    named = ", ".join(f"'{kind}'" for kind in kinds)
    limits = f"limits.customer_id = orders.customer_id AND limits.kind IN ({named}) AND limits.lifted_at IS NULL"
    return f"EXISTS (SELECT 1 FROM limits WHERE {limits})"  # noqa: S608


RESTRICTED = f"{limited(LimitKind.RESTRICTION)} AS restricted"
"""Whether the data of an order's customer are restricted, as a column."""

COUNTED = f"NOT {limited(LimitKind.RESTRICTION, LimitKind.OBJECTION)}"
"""The condition that an order may be in statistics and simulations."""


def with_key(table: RecordMapper[Any], more: str = "", *, by: str = "", dangling: bool = False) -> str:
    """A query for all records about orders (not orders themselves), each with its customer's id and wrapped key.

    Each also has `restricted`. It ends after its joins, so a condition and an order can follow. `more` is SQL for
    further columns, which begins with a comma, `by` which index to read them by. `dangling` includes records whose
    order or customer is missing.
    """
    join = "LEFT JOIN" if dangling else "JOIN"
    return (
        f"SELECT {table.columns}, customers.customer_id, wrapped_key, {RESTRICTED}{more} FROM {table.name}{by}"  # noqa: S608
        f" {join} orders USING (order_id) {join} customers USING (customer_id)"
    )
