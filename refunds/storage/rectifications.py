"""Corrections of personal fields where they stand: the digest of a record says only which of them are set."""

from types import MappingProxyType
from typing import Any

from refunds.errors import Message, Unfit
from refunds.storage import Row, idempotency, keys, unmatched
from refunds.storage.repository import InTransaction, Repository
from refunds.storage.tables import RECORDS
from refunds.storage.unmatched import UNMATCHED

_KINDS: dict[str, type[Repository[Any]]] = {
    kind.mapper.name: kind
    for kind in RECORDS
    if kind.mapper.personal and (kind.mapper is UNMATCHED or {"customer_id", "order_id"} & set(kind.mapper.names))
}

PERSONAL = MappingProxyType({name: tuple(kind.mapper.personal) for name, kind in _KINDS.items()})
"""The personal fields of records about customers, and of contacts whose order is not known, by table."""


_NOTHING = Message("is not on record there: nothing can be corrected")


class Rectifications(InTransaction):
    """The personal fields of any record, as this transaction sees them."""

    def owner(self, table: str, record_id: str) -> str | None:
        """Return the id of the customer a record is about; None if no customer is known, or there is no such record."""
        row = self._row(table, record_id)
        return row.get("customer_id") if row else None

    def correct(self, table: str, record_id: str, field: str, text: str) -> bool:
        """Replace a text in a locked record and in stored replies, without an event; returns whether it changed.

        Raises `Unfit` if there is no such record or its field is not set, `CustomerErased` if the customer was erased.
        """
        row, context = self._row(table, record_id), self._context
        if row is None:
            raise Unfit(_NOTHING, "not_on_record")
        if table == UNMATCHED.name:
            cipher = unmatched.cipher(context, record_id, row["wrapped_key"])
        else:
            cipher = keys.cipher(context.keys, row)
            cipher.require_key()
        held = cipher.decrypt(row[field], table, field, record_id)
        if not row[field] or held is None:
            raise Unfit(_NOTHING, "not_on_record")
        if held == text:
            return False
        changing = f"UPDATE {table} SET {field} = :text WHERE {_KINDS[table].mapper.key} = :record_id"  # noqa: S608
        context.tx.run(changing, text=cipher.encrypt(text, table, field, record_id), record_id=record_id)
        idempotency.correct(context.tx, row, cipher, field, (held, text), now=context.now)
        return True

    def _row(self, table: str, record_id: str) -> Row | None:
        """Return the row of a record in a table, with the wrapped key of its owner; None if there is no such record."""
        kind = _KINDS[table]
        condition = f"{table}.{kind.mapper.key} = :record_id"
        return self._context.tx.one(f"{kind.with_key} WHERE {condition}", record_id=record_id)
