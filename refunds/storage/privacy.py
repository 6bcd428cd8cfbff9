"""Data requests, disclosures and limits: records about customers, each encrypted under its customer's key."""

from collections.abc import Mapping
from typing import Any, ClassVar

from refunds.domain.permissions import Scope
from refunds.domain.privacy import DataRequest, DataRequestState, Disclosure, LegalHold, Limit, LimitKind
from refunds.errors import Message
from refunds.security.encryption import NO_ACCESS, CustomerCipher
from refunds.storage import Row, keys
from refunds.storage.mapper import RecordMapper
from refunds.storage.repository import Listed, R, Repository

DATA_REQUESTS = RecordMapper(DataRequest, "data_requests")
DISCLOSURES = RecordMapper(Disclosure, "disclosures")
LIMITS = RecordMapper(Limit, "limits")


_OF_NOBODY = CustomerCipher(b"")
"""For a record about nobody: it can hold nothing personal."""


class OfCustomers(Repository[R]):
    """Records about customers; one can be written only if its customer is locked, or a record about them was read."""

    def __init_subclass__(cls) -> None:
        """Make the class also read the wrapped keys of the customers; they are NULL for a record about nobody."""
        if table := getattr(cls, "mapper", None):
            joined = f"{table.name} LEFT JOIN customers USING (customer_id)"
            cls.with_key = f"SELECT {table.columns}, wrapped_key FROM {joined}"  # noqa: S608
        super().__init_subclass__()

    def _cipher(self, record: R) -> CustomerCipher:
        """Return the cipher of a record's customer; for a record without a customer, one that can encrypt nothing.

        Raises `KeyError` if the customer was neither locked nor read in this unit of work.
        """
        customer_id = record.customer_id  # type: ignore[attr-defined] # each names its customer
        return self._context.customers[customer_id] if customer_id else _OF_NOBODY

    def _load(self, row: Row) -> R:
        """Return the record in a row; its personal fields are decrypted only if the principal may read them."""
        readable = self._context.principal.may(Scope.PERSONAL_READ) and row["customer_id"] is not None
        cipher = keys.cipher(self._context.keys, row) if readable else NO_ACCESS
        self._context.customers[row["customer_id"]] = cipher
        record: R = self.mapper.load(row, cipher)
        return record

    def of_customer(self, customer_id: str) -> list[R]:
        """Return every record about a customer, in the order in which they were entered."""
        about = f"{self.mapper.name}.customer_id = :customer_id ORDER BY {self.in_order}"
        return self._all(about, customer_id=customer_id)


class Limits(OfCustomers[Limit]):
    """The limits on customers' data; there is at most one of a kind that is not lifted."""

    mapper: ClassVar[RecordMapper[Limit]] = LIMITS

    def active(self, customer_id: str, kind: LimitKind) -> Limit | None:
        """Return the limit of this kind that a customer has; None if there is none, or it was lifted."""
        is_active = "limits.customer_id = :customer_id AND kind = :kind AND lifted_at IS NULL"
        return self._one(is_active, customer_id=customer_id, kind=kind)

    def require_no_hold(self, customer_id: str) -> None:
        """Raise `LegalHold` if a hold keeps the customer's data."""
        if self.active(customer_id, LimitKind.HOLD):
            raise LegalHold(customer_id)

    def kinds(self, customer_id: str) -> set[LimitKind]:
        """Return the kinds of limits that a customer has, without lifted ones."""
        sql = "SELECT kind FROM limits WHERE customer_id = :customer_id AND lifted_at IS NULL ORDER BY kind"
        return {LimitKind(row["kind"]) for row in self._tx.all(sql, customer_id=customer_id)}


class DataRequests(Listed[DataRequest], OfCustomers[DataRequest]):
    """What persons asked for about their data."""

    mapper: ClassVar[RecordMapper[DataRequest]] = DATA_REQUESTS
    missing: ClassVar[Message] = Message("there is no data request of this id")
    place: ClassVar[tuple[str, ...]] = ("due_at", "request_id")
    filters: ClassVar[Mapping[str, str | Mapping[Any, str]]] = {
        "state": {DataRequestState.OPEN: "closed_at IS NULL", DataRequestState.CLOSED: "closed_at IS NOT NULL"},
        "overdue": {True: "closed_at IS NULL AND due_at <= :now", False: "TRUE"},
    }

    def _sorted_by(self, filters: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the columns to sort by: when requests are due if only open or overdue ones are wanted, else the id."""
        is_open = filters.get("overdue") or filters.get("state") is DataRequestState.OPEN
        return self.place if is_open else self.place[-1:]


class Disclosures(OfCustomers[Disclosure]):
    """What was handed to others."""

    mapper: ClassVar[RecordMapper[Disclosure]] = DISCLOSURES
