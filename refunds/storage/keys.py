"""The keys that the master key wraps: the service's own, one for each customer and for each unmatched contact."""

from collections.abc import Sequence
from typing import Any, NamedTuple

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
    """Tell whether the database has any key of the service, and so belongs to a master key."""
    return tx.one("SELECT 1 FROM keys LIMIT 1") is not None


def open_keyring(tx: Transaction, masters: tuple[bytes, ...]) -> Keyring:
    """Return the service's keys; make and store missing ones. Raises `ConfigurationError` if one cannot be opened."""
    stored = {row["name"]: row["wrapped"] for row in tx.all("SELECT name, wrapped FROM keys")}
    keys: dict[str, bytes] = {}
    for name in SERVICE_KEYS:
        where = associated_data("keys", "wrapped", name)
        if name in stored:
            try:
                keys[name] = _opened(masters, stored[name], where)[0]
            except Tampered:
                raise _lost_keys_error(tx, masters) from None
        else:
            keys[name] = new_key()
            tx.run(
                "INSERT INTO keys (name, wrapped) VALUES (:name, :wrapped)",
                name=name,
                wrapped=encrypt(masters[0], keys[name], where),
            )
    return Keyring(masters, **keys)


def _lost_keys_error(tx: Transaction, masters: tuple[bytes, ...]) -> ConfigurationError:
    """Return the error that these master keys are not the database's, with the number of lost keys by table."""
    found = opened_by(tx, masters)
    detail = Message(
        "REFUNDS_MASTER_KEY_FILE: this master key is not the one of the database: use that one. If you are rotating, "
        "bring back the older key as a line after the first, and finish with flask keys rotate: without it, these are "
        "lost: %(lost)s",
        lost=", ".join(f"{table} {counts[-1]} of {sum(counts)}" for table, counts in found.items()),
    )
    return ConfigurationError(detail)


def _opened(masters: tuple[bytes, ...], value: bytes, where: bytes) -> tuple[bytes, int]:
    """Unwrap a key; returns it with the index of the master key that opens it. Raises `Tampered` if none does."""
    for number, master in enumerate(masters[:-1]):
        try:
            return decrypt(master, value, where), number
        except Tampered:
            continue
    return decrypt(masters[-1], value, where), len(masters) - 1


class WrappedKeys(NamedTuple):
    """A table of wrapped keys: the columns that name its rows, that hold the keys, and by whose order it is locked."""

    table: str
    name: str
    column: str
    place: str


WRAPPED = (
    WrappedKeys("customers", "customer_id", "wrapped_key", "digest"),
    WrappedKeys("unmatched_contacts", "unmatched_id", "wrapped_key", "unmatched_id"),
    WrappedKeys("keys", "name", "wrapped", "name"),
)
"""Everything that the master key wraps; the service's own keys last, without which no instance starts."""


def rewrap(
    tx: Transaction, masters: tuple[bytes, ...], of: WrappedKeys, after: Any, limit: int
) -> tuple[int, int, Any]:
    """Wrap the keys of up to `limit` rows by the first master key if only another one opens them.

    The rows come after the place `after`, or from the beginning for None. Returns how many keys were wrapped again, how
    many rows were read, and the place of the last row; None if there were fewer than `limit`. A key that no master key
    opens, or that was changed or destroyed meanwhile, stays as it is.
    """
    sql = (
        f"SELECT {of.name} AS name, {of.place} AS place, {of.column} AS wrapped FROM {of.table}"  # noqa: S608
        f" WHERE length({of.column}) > 0 {f'AND {of.place} > :after' if after is not None else ''}"
        f" ORDER BY {of.place} LIMIT :limit"
    )
    rows = tx.all(sql, limit=limit, **({} if after is None else {"after": after}))
    changing = f"UPDATE {of.table} SET {of.column} = :new WHERE {of.name} = :name AND {of.column} = :old"  # noqa: S608
    changed = 0
    for row in rows:
        where = associated_data(of.table, of.column, row["name"])
        try:
            key, by = _opened(masters, row["wrapped"], where)
        except Tampered:
            continue
        if by:
            changed += tx.run(changing, name=row["name"], old=row["wrapped"], new=encrypt(masters[0], key, where))
    return changed, len(rows), rows[-1]["place"] if len(rows) == limit else None


def opened_by(
    tx: Transaction, masters: tuple[bytes, ...], tables: Sequence[WrappedKeys] = WRAPPED
) -> dict[str, list[int]]:
    """Return by table how many keys each master key opens, in their order, and last how many none opens."""
    found = {}
    for of in tables:
        counts = found[of.table] = [0] * (len(masters) + 1)
        sql = f"SELECT {of.name} AS name, {of.column} AS wrapped FROM {of.table} WHERE length({of.column}) > 0"  # noqa: S608
        for row in tx.each(f"{sql} ORDER BY {of.name}"):
            try:
                counts[_opened(masters, row["wrapped"], associated_data(of.table, of.column, row["name"]))[1]] += 1
            except Tampered:
                counts[-1] += 1
    return found


def new_wrapped_key(keys: Keyring, table: str, row_id: str) -> bytes:
    """Make a key for a customer or an unmatched contact, and return it wrapped by the first master key for its row."""
    return encrypt(keys.masters[0], new_key(), associated_data(table, "wrapped_key", row_id))


def unwrapped(keys: Keyring, table: str, row_id: str, wrapped_key: bytes) -> CustomerCipher:
    """Return the cipher with the key that is stored wrapped in a row; an erased cipher if the wrapped key is empty.

    Raises `Tampered` if no master key opens it.
    """
    if wrapped_key == b"":
        return CustomerCipher(b"")
    return CustomerCipher(_opened(keys.masters, wrapped_key, associated_data(table, "wrapped_key", row_id))[0])


def cipher(keys: Keyring, row: Row) -> CustomerCipher:
    """Return the cipher of the customer in a row with `customer_id` and `wrapped_key`; an erased one if that is empty.

    Raises `Tampered` if the key is damaged.
    """
    return unwrapped(keys, "customers", row["customer_id"], row["wrapped_key"])


def limited_sql(*kinds: LimitKind) -> str:
    """Return the SQL condition that the customer of an order has a limit of one of these kinds that is not lifted."""
    named = ", ".join(f"'{kind}'" for kind in kinds)
    limits = f"limits.customer_id = orders.customer_id AND limits.kind IN ({named}) AND limits.lifted_at IS NULL"
    return f"EXISTS (SELECT 1 FROM limits WHERE {limits})"  # noqa: S608


RESTRICTED = f"{limited_sql(LimitKind.RESTRICTION)} AS restricted"
"""Whether the data of an order's customer are restricted, as a column."""

COUNTED = f"NOT {limited_sql(LimitKind.RESTRICTION, LimitKind.OBJECTION)}"
"""The condition that an order may be in statistics and simulations."""


def with_key(table: RecordMapper[Any], more: str = "", *, by: str = "", dangling: bool = False) -> str:
    """Return the SQL of a query for the records in a table about orders, each with its customer's id and wrapped key.

    Each also has `restricted`. The table is not `orders` itself. A condition and an `ORDER BY` can follow. `more` is
    SQL for further columns, which begins with a comma; `by` is SQL that names the index. `dangling` includes records
    whose order or customer is missing.
    """
    join = "LEFT JOIN" if dangling else "JOIN"
    return (
        f"SELECT {table.columns}, customers.customer_id, wrapped_key, {RESTRICTED}{more} FROM {table.name}{by}"  # noqa: S608
        f" {join} orders USING (order_id) {join} customers USING (customer_id)"
    )
