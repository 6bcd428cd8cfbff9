"""Data requests, disclosures and limits: records about customers, each encrypted under its customer's key."""

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from refunds.domain.permissions import Scope
from refunds.domain.privacy import DataRequest, Disclosure, Limit, LimitKind
from refunds.security.encryption import NO_ACCESS, CustomerCipher
from refunds.storage import Row, Transaction, keys
from refunds.storage.mapper import RecordMapper
from refunds.storage.repository import R, Repository

DATA_REQUESTS = RecordMapper(DataRequest, "data_requests")
DISCLOSURES = RecordMapper(Disclosure, "disclosures")
LIMITS = RecordMapper(Limit, "limits")


class OfCustomers(Repository[R]):
    """Records about customers; one can be written only if its customer is locked, or a record about them was read."""

    def _cipher(self, record: R) -> CustomerCipher:
        return self._context.customers[record.customer_id]  # type: ignore[attr-defined] # each names its customer

    def _load(self, row: Row) -> R:
        readable = self._context.principal.may(Scope.PERSONAL_READ) and row["customer_id"] is not None
        cipher = keys.cipher(self._context.keys, row) if readable else NO_ACCESS
        self._context.customers[row["customer_id"]] = cipher
        record: R = self.mapper.load(row, cipher)
        return record


class Limits(OfCustomers[Limit]):
    """The limits on customers' data; there is at most one of a kind that is not lifted."""

    mapper: ClassVar[RecordMapper[Limit]] = LIMITS

    def active(self, customer_id: str, kind: LimitKind) -> Limit | None:
        """The limit of this kind that a customer has; None if there is none, or it was lifted."""
        sql = f"{with_key(LIMITS)} WHERE limits.customer_id = :customer_id AND kind = :kind AND lifted_at IS NULL"
        row = self._tx.one(sql, customer_id=customer_id, kind=kind)
        return None if row is None else self._load(row)


def with_key(table: RecordMapper[Any]) -> str:
    """A query for all records about customers, each with its customer's wrapped key, which may be NULL."""
    return f"SELECT {table.columns}, wrapped_key FROM {table.name} LEFT JOIN customers USING (customer_id)"  # noqa: S608


def _iter_all(table: RecordMapper[Any], tx: Transaction) -> Iterator[Row]:
    return tx.each(f"{with_key(table)} ORDER BY {table.key}")


iter_requests, iter_disclosures, iter_limits = (
    partial(_iter_all, table) for table in (DATA_REQUESTS, DISCLOSURES, LIMITS)
)
