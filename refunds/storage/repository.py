"""What repositories share: the transaction in which they work, who works in it, and what has happened in it so far.

A repository gives records and takes them; rows, digests and keys stay in here. What is written is entered in the
journal by the same call, so that neither can be forgotten.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from refunds.domain.journal import Entry, EventType
from refunds.domain.permissions import Principal, Scope
from refunds.security.encryption import CLOSED, Keyring, Vault
from refunds.storage import Row, Transaction, keys
from refunds.storage.mapper import RecordMapper, count_rows

R = TypeVar("R")


@dataclass(slots=True)
class Context:
    """A transaction, who works in it and when, and what they may open."""

    tx: Transaction
    keys: Keyring
    principal: Principal
    now: datetime
    entries: list[Entry] = field(default_factory=list)
    customers: dict[str, Vault] = field(default_factory=dict)
    """The vaults of the customers who are held, by their ids."""
    orders: dict[str, Vault] = field(default_factory=dict)
    """The vaults of the customers of the orders that were read, by the ids of the orders."""

    def vault(self, row: Row) -> Vault:
        """What opens the personal fields of a row's customer; closed to those who may not see them."""
        vault = keys.vault(self.keys, row) if self.principal.may(Scope.PERSONAL_READ) else CLOSED
        self.orders[row["order_id"]] = vault
        return vault

    @property
    def notes(self) -> Vault:
        """What opens the free texts that are no customer's: for those who write them, and who may see all."""
        readable = self.principal.may(Scope.PERSONAL_READ, Scope.POLICIES_WRITE)
        return Vault(self.keys.notes) if readable else CLOSED


class Repository(Generic[R]):
    """The records of a kind, as a transaction and whoever works in it see them."""

    mapper: ClassVar[RecordMapper[Any]]

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def _tx(self) -> Transaction:
        return self._context.tx

    def add(self, record: R, event: EventType, **data: Any) -> None:
        """Store a new record, and enter in the journal that it is; `data` has nothing personal."""
        self._enter(event, record, self.mapper.insert(self._tx, record, self._vault(record)), data)

    def update(self, record: R, event: EventType, data: Mapping[str, Any] | None = None, **changes: Any) -> R:
        """Store what changes of a record, and enter it in the journal; the record as it is now.

        Raises `Conflict` where the record is no longer what it was.
        """
        after: R
        after, digest = self.mapper.change(self._tx, record, self._vault(record), **changes)
        self._enter(event, after, digest, data or {})
        return after

    def count(self) -> int:
        """How many there are."""
        return count_rows(self._tx, self.mapper.name)

    def _enter(self, event: EventType, record: R, digest: bytes, data: Mapping[str, Any]) -> None:
        subject, order_id = self.mapper.id_of(record), getattr(record, "order_id", None)
        self._context.entries.append(Entry(type=event, subject=subject, order_id=order_id, digest=digest, data=data))

    def _vault(self, _: R) -> Vault:
        """What the personal fields of a record are sealed in, if it has any."""
        return CLOSED

    def _read(self, row: Row) -> R:
        record: R = self.mapper.read(row, CLOSED)
        return record

    def _read_all(self, rows: Iterable[Row]) -> list[R]:
        return [self._read(row) for row in rows]


class OfOrders(Repository[R]):
    """Records of orders, whose personal fields are sealed in the vault of the order's customer."""

    def _vault(self, record: R) -> Vault:
        return self._context.orders[record.order_id]  # type: ignore[attr-defined] # records of orders name theirs

    def _read(self, row: Row) -> R:
        record: R = self.mapper.read(row, self._context.vault(row))
        return record
