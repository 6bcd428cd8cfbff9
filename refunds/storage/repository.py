"""What repositories share: their transaction, who works in it, and what has happened in it so far.

A repository takes and returns records; rows, digests and keys stay inside. One call writes a record and enters it in
the journal, so that neither can be forgotten.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from refunds.domain.journal import Entry, EventType
from refunds.domain.permissions import Principal, Scope
from refunds.errors import Message, NotFound
from refunds.security.encryption import NO_ACCESS, CustomerCipher, Keyring
from refunds.storage import Row, Transaction, keys
from refunds.storage.mapper import RecordMapper, count_rows, micros, number

if TYPE_CHECKING:
    from refunds.storage.erasures import ErasureLedger

R = TypeVar("R")
T = TypeVar("T")


@dataclass(slots=True)
class Context:
    """A transaction, who works in it and when, and what they may decrypt."""

    tx: Transaction
    keys: Keyring
    principal: Principal
    now: datetime
    ledger: "ErasureLedger"
    """The customers who were erased, outside the database."""
    entries: list[Entry] = field(default_factory=list)
    """The events so far, which are written to the journal at the end."""
    customers: dict[str, CustomerCipher] = field(default_factory=dict)
    """The ciphers of the locked customers, by id."""
    orders: dict[str, CustomerCipher] = field(default_factory=dict)
    """The ciphers for the orders that were read, by order id."""
    unmatched: dict[str, CustomerCipher] = field(default_factory=dict)
    """The ciphers of the unmatched contacts that were added, by id."""
    reference: str | None = None
    """A reference that no cancellation has, if one was looked for."""

    def note(
        self, event: EventType, subject: str, data: Mapping[str, Any], order_id: str | None = None, digest: bytes = b""
    ) -> None:
        """Keep an event about the record `subject`, which the unit of work writes to the journal at its end.

        `order_id` is the order that the record is about, if any, and `digest` the digest of the changed record.
        """
        self.entries.append(Entry(type=event, subject=subject, order_id=order_id, digest=digest, data=data))

    def cipher(self, row: Row) -> CustomerCipher:
        """Return the cipher of the customer in a row about an order, and keep it in `orders`.

        Records about the order can then be written. The cipher is `NO_ACCESS` if the principal may not see personal
        fields. Raises `Tampered` if the customer's key cannot be decrypted.
        """
        cipher = self.for_reader(row)
        self.orders[row["order_id"]] = cipher
        return cipher

    def for_reader(self, row: Row) -> CustomerCipher:
        """Return the cipher of the customer in a row, for the reader; `NO_ACCESS` if they may not see personal fields.

        Unlike `cipher`, this keeps nothing for writes. If the customer's data are restricted, the cipher hides them
        from all roles but the privacy role. Raises `Tampered` if the customer's key cannot be decrypted.
        """
        if not self.principal.may(Scope.PERSONAL_READ):
            return NO_ACCESS
        cipher = keys.cipher(self.keys, row)
        return (
            replace(cipher, hides=True) if row["restricted"] and not self.principal.may(Scope.PRIVACY_READ) else cipher
        )

    @property
    def notes(self) -> CustomerCipher:
        """The cipher of free texts about no customer; `NO_ACCESS` if the principal may not read them."""
        readable = self.principal.may(Scope.PERSONAL_READ, Scope.POLICIES_WRITE)
        return CustomerCipher(self.keys.notes) if readable else NO_ACCESS


class InTransaction:
    """What is read and written in the transaction of a unit of work, as its principal may."""

    def __init__(self, context: Context) -> None:
        self._context, self._tx = context, context.tx


class Repository(InTransaction, Generic[R]):
    """The records of one kind, as the transaction and its principal see them."""

    mapper: ClassVar[RecordMapper[Any]]
    with_key: ClassVar[str]
    """The query for records with the keys of their personal fields, without its conditions."""
    audited: ClassVar[str]
    """The same with what the audit compares, and with records that refer to something missing."""
    in_order: ClassVar[str]
    about_order: ClassVar[str]
    """The condition for the records about an order."""
    missing: ClassVar[Message]
    """The text of the error that there is no such record."""

    def __init_subclass__(cls) -> None:
        """Set the queries that the class does not declare: they read the plain columns, in the order of the key."""
        if mapper := getattr(cls, "mapper", None):
            cls.with_key = getattr(cls, "with_key", mapper.selection)
            cls.audited = getattr(cls, "audited", cls.with_key)
            cls.in_order = getattr(cls, "in_order", f"{mapper.name}.{mapper.key}")
            cls.about_order = getattr(cls, "about_order", f"{mapper.name}.order_id = :order_id")

    @classmethod
    def iter_rows(cls, tx: Transaction) -> Iterator[Row]:
        """Yield the row of every record, as the audit reads it, sorted by `in_order`."""
        return tx.each(f"{cls.audited} ORDER BY {cls.in_order}")

    @classmethod
    def rows_of_order(cls, tx: Transaction, order_id: str) -> list[Row]:
        """Return the rows of the records about an order as the audit reads them, sorted by `in_order`."""
        return tx.all(f"{cls.audited} WHERE {cls.about_order} ORDER BY {cls.in_order}", order_id=order_id)

    def add(self, record: R, event: EventType, **data: Any) -> None:
        """Store a new record, with an event that the unit of work writes to the journal at its end.

        The event has `data`, nothing personal. If the key is taken, this or a later statement raises `Conflict`.
        """
        self._record_event(event, record, self.mapper.insert(self._tx, record, self._cipher(record)), data)

    def update(self, record: R, event: EventType, data: Mapping[str, Any] | None = None, **changes: Any) -> R:
        """Store the changes of a record, with an event as for `add`, and return the changed record.

        The event has `data`, which must not be personal. Raises `Conflict` if the record is gone, or if another
        transaction has changed one of the same fields; personal fields are not compared.
        """
        after: R
        after, digest = self.mapper.change(self._tx, record, self._cipher(record), **changes)
        self._record_event(event, after, digest, data or {})
        return after

    def count(self) -> int:
        """Return how many records of this kind are stored."""
        return count_rows(self._tx, self.mapper.name)

    def find(self, record_id: str) -> R | None:
        """Return the record with this id, or None."""
        return self._one(f"{self.mapper.name}.{self.mapper.key} = :record_id", record_id=record_id)

    def get(self, record_id: str) -> R:
        """Return the record with this id; raises `NotFound` if there is none."""
        found = self.find(record_id)
        if found is None:
            raise NotFound(self.missing)
        return found

    def lock(self, record_id: str) -> None:
        """Lock the record with this id, if there is one, until this write ends.

        Call it before you rely on anything about the record: records about it are written only under this lock. The
        query has no join: after a wait, PostgreSQL would return the new row joined to old rows.
        """
        sql = f"SELECT 1 FROM {self.mapper.name} WHERE {self.mapper.key} = :record_id {{for_update}}"  # noqa: S608
        self._tx.one(sql, record_id=record_id)

    def iter_all(self) -> Iterator[R]:
        """Yield every record, sorted by `in_order`: by id and so as they were added, unless declared otherwise."""
        return map(self._load, self.iter_rows(self._tx))

    def of_order(self, order_id: str) -> list[R]:
        """Return every record about an order, whatever its state, in the order in which they were entered."""
        return self._load_all(self.rows_of_order(self._tx, order_id))

    def _one(self, condition: str, **parameters: Any) -> R | None:
        """Return the record that fits `condition`, the SQL after `WHERE`; None if there is none."""
        row = self._tx.one(f"{self.with_key} WHERE {condition}", **parameters)
        return None if row is None else self._load(row)

    def _all(self, condition: str, **parameters: Any) -> list[R]:
        """Return the records that fit `condition`: the SQL after `WHERE`, which may end with `ORDER BY` and `LIMIT`."""
        return self._load_all(self._tx.all(f"{self.with_key} WHERE {condition}", **parameters))

    def _record_event(self, event: EventType, record: R, digest: bytes, data: Mapping[str, Any]) -> None:
        """Note an event about a record; it is entered in the journal at the end of the unit of work."""
        self._context.note(event, self.mapper.id_of(record), data, getattr(record, "order_id", None), digest)

    def _cipher(self, _: R) -> CustomerCipher:
        """Return the cipher for the personal fields of a record; `NO_ACCESS` if it has none."""
        return NO_ACCESS

    def _load(self, row: Row) -> R:
        """Return the record in a row; classes whose records have personal fields decrypt them in their own `_load`."""
        record: R = self.mapper.load(row, NO_ACCESS)
        return record

    def _load_all(self, rows: Iterable[Row]) -> list[R]:
        """Return the records in these rows, in the same order, each as `_load` reads it."""
        return [self._load(row) for row in rows]


class Listed(Repository[R]):
    """Records that are read page by page."""

    place: ClassVar[tuple[str, ...]]
    """The columns that say where a record is in a list: those that lists are sorted by."""
    filters: ClassVar[Mapping[str, str | Mapping[Any, str]]]
    """The conditions of lists by the names of their values, or one for each value, where `_condition` has no other."""

    def paginate(self, *after: Any, limit: int, newest: bool = False, **filters: Any) -> list[Any]:
        """Return up to `limit` records in the order of `_sorted_by` or, if `newest`, in the opposite order.

        They come after the record with the place `after`, from `place_of`; without a place, from the beginning.
        `filters` are the values of filters of the class, of columns, and of bounds such as `received_from` (included)
        and `received_to` (not included); None does not limit the records.
        """
        asked = {name: value for name, value in filters.items() if value is not None}
        columns = self._sorted_by(asked)
        places = {f"after_{column}": value for column, value in zip(self.place, after, strict=False)}
        bound = f"{columns[0].removesuffix('_at')}_{'to' if newest else 'from'}"
        if after and bound in asked:  # SQLite would begin each page there, and not at the place
            asked[bound] = places[f"after_{columns[0]}"] + newest
        conditions = [self._condition(name, value) for name, value in asked.items()]
        if after:
            named = ", ".join(f":after_{column}" for column in columns)
            conditions.append(f"({', '.join(columns)}) {'<' if newest else '>'} ({named})")
        order = ", ".join(f"{column} DESC" if newest else column for column in columns)
        rows = self._tx.all(
            f"{self._list_query(asked)} WHERE {' AND '.join(conditions) or 'TRUE'} ORDER BY {order} LIMIT :limit",
            limit=limit,
            now=micros(self._context.now),
            **{name: _stored(value) for name, value in asked.items()},
            **places,
        )
        return self._load_all(rows)

    def with_ids(self, ids: Collection[str]) -> dict[str, R]:
        """Return the records that have one of these ids, in a mapping by id; unknown ids are left out."""
        listed, named = named_list(ids)
        found = self._all(f"{self.mapper.key} IN ({listed})", **named) if named else []
        return {self.mapper.id_of(record): record for record in found}

    def count_of(self, **filters: Any) -> int:
        """Count the records that fit these filters (at least one), whose values are given as they are stored."""
        conditions = " AND ".join(self._condition(name, value) for name, value in filters.items())
        sql = f"SELECT count(*) FROM {self.mapper.name}{self._index_sql(filters)} WHERE {conditions}"  # noqa: S608
        return number(self._tx, sql, now=micros(self._context.now), **filters)

    def place_of(self, record: Any) -> tuple[Any, ...]:
        """Return the place of a record in the list: its sort values, which `paginate` takes to go on after it."""
        return tuple(_stored(getattr(record, column)) for column in self.place)

    def _condition(self, name: str, value: Any) -> str:
        """Return a filter's SQL condition: from `filters`, a bound of `X_at` (`X_from`, `X_to`), or equality."""
        if found := self.filters.get(name):
            return found if isinstance(found, str) else found[value]
        column, _, end = name.rpartition("_")
        bound = {"from": ">=", "to": "<"}.get(end)
        return f"{self.mapper.name}.{column}_at {bound} :{name}" if bound else f"{self.mapper.name}.{name} = :{name}"

    def _list_query(self, _: Mapping[str, Any]) -> str:
        """Return the SQL that selects the records for a list with these filters, without its conditions."""
        return self.with_key

    def _index_sql(self, _: Mapping[str, Any]) -> str:
        """Return the SQL text that makes a list with these filters use one index; here empty: the database chooses."""
        return ""

    def _sorted_by(self, _: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the columns that a list with these filters is sorted by."""
        return self.place


class OfOrders(Listed[R]):
    """Orders and records about them, whose personal fields are encrypted under the key of the order's customer.

    One can be written only if the order, or a record about it, has been read or added in the same unit of work.
    """

    dated: ClassVar[str]
    """What the filters of the time of entry begin with: `registered` for `registered_from` and `registered_to`."""

    def get(self, record_id: str, *, lock: bool = False) -> R:
        """Return the record with this id; raises `NotFound` if there is none.

        With `lock`, its order is locked: nobody else can change the order, or a record about it, until this write ends.
        """
        found = super().get(record_id)
        if lock:
            sql = "SELECT 1 FROM orders WHERE order_id = :order_id {for_update}"
            self._tx.one(sql, order_id=found.order_id)  # type: ignore[attr-defined] # as in `_cipher`
            return super().get(record_id)  # read again, now that nobody else can change it
        return found

    def decisions(self, order_ids: Collection[str] | None = None) -> Iterator[Row]:
        """Yield the `order_id`, `record_id` and stored `decision` of each record, sorted by `record_id`.

        With `order_ids`, only records of these orders are read; none if there are none.
        """
        listed, named = named_list(order_ids or ())
        only = "" if order_ids is None else f" WHERE order_id IN ({listed})"
        key, table = self.mapper.key, self.mapper.name
        sql = f"SELECT order_id, {key} AS record_id, decision FROM {table}{only} ORDER BY {key}"  # noqa: S608
        return self._tx.each(sql, **named)

    def _cipher(self, record: R) -> CustomerCipher:
        """Return the cipher of a record's order; `KeyError` if nothing has read that order in this unit of work."""
        return self._context.orders[record.order_id]  # type: ignore[attr-defined] # records of orders name theirs

    def _load(self, row: Row) -> R:
        """Return the record in a row, readable if the principal may, and keep the cipher of its order."""
        record: R = self.mapper.load(row, self._context.cipher(row))
        return record


def named_list(values: Iterable[T]) -> tuple[str, dict[str, T]]:
    """Return the list for an `IN` with these values, and its parameters; an empty list fits nothing."""
    named = {f"id_{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in named) or "NULL", named


def _stored(value: Any) -> Any:
    """Return a value as it is stored: an instant in microseconds, a date as text, and others as they are."""
    if isinstance(value, datetime):
        return micros(value)
    return value.isoformat() if isinstance(value, date) else value
