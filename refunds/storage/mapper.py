"""How a record becomes a row and back: each field of its dataclass is a column of the same name.

Instants are microseconds since 1970, dates and codes are texts, mappings are JSON; personal fields are encrypted under
the customer's key. All of this follows from the declaration of the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, get_origin, get_type_hints

import orjson

from refunds.domain.journal import record_digest
from refunds.domain.outcomes import RecordedDecision, ToldWindow
from refunds.errors import Conflict
from refunds.security.encryption import CustomerCipher
from refunds.storage import Row, Transaction
from refunds.storage.decisions import dump_decision, dump_told, load_decision, load_told, without_none

R = TypeVar("R")

_NOTHING: Mapping[str, str] = MappingProxyType({})

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """Return an instant as it is stored: whole microseconds since 1970, UTC."""
    return (instant - _EPOCH) // MICROSECOND


def instant(stored: int) -> datetime:
    """Return the instant, in UTC, that is stored as these microseconds since 1970."""
    return _EPOCH + stored * MICROSECOND


class _Kind(NamedTuple):
    """How values of a type are stored and loaded, and the type they are stored as."""

    stored: type
    store: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _as_is(value: Any) -> Any:
    """Return the value unchanged."""
    return value


_KINDS: dict[type, _Kind] = {
    str: _Kind(str, _as_is, _as_is),
    int: _Kind(int, _as_is, _as_is),
    bytes: _Kind(bytes, _as_is, bytes),
    bool: _Kind(int, int, bool),
    datetime: _Kind(int, micros, instant),
    date: _Kind(str, date.isoformat, date.fromisoformat),
    RecordedDecision: _Kind(str, dump_decision, load_decision),
    ToldWindow: _Kind(str, dump_told, load_told),
    dict: _Kind(str, lambda value: orjson.dumps(value).decode(), orjson.loads),
}


def _kind(hint: Any) -> _Kind:
    """Return how values of a field's type are stored and loaded, None as NULL; raise `KeyError` for other types."""
    hint = without_none(hint)
    if get_origin(hint) is Mapping:
        hint = dict
    return _Kind(str, str, hint) if issubclass(hint, StrEnum) else _KINDS[hint]


class _Column(NamedTuple):
    name: str
    field: str
    kind: _Kind
    personal: bool
    not_digested: bool
    later: bool


class RecordMapper(Generic[R]):
    """The table of a record, whose first field is its key.

    `stored_as`: the columns of fields that were renamed. Columns keep their names, because these are authenticated
    with encrypted values and are part of digests. `added`: the steps of the schema that added columns later. Such a
    column is left out of the digest while it is NULL, so that older rows keep their digests. `counted`: columns
    beside the fields of the record, each with the SQL of its value in a new row.
    """

    def __init__(
        self,
        record: type[R],
        name: str,
        *,
        stored_as: Mapping[str, str] = _NOTHING,
        added: Mapping[str, str] = _NOTHING,
        counted: Mapping[str, str] = _NOTHING,
    ) -> None:
        hints = get_type_hints(record)
        self.record, self.name, self.added, self.counted = record, name, added, counted
        self._columns = [
            _Column(
                stored_as.get(f.name, f.name),
                f.name,
                _kind(hints[f.name]),
                bool(f.metadata.get("personal")),
                bool(f.metadata.get("not_digested")),
                stored_as.get(f.name, f.name) in added,
            )
            for f in fields(record)  # type: ignore[arg-type] # records are dataclasses
        ]
        self._stored = {column.field: column for column in self._columns}
        self.key = self._columns[0].name
        self.names = [column.name for column in self._columns]
        self.columns = ", ".join(f"{name}.{column}" for column in self.names)
        self.selection = f"SELECT {self.columns} FROM {name}"  # noqa: S608
        """The query for all records, without personal fields' keys."""
        self.sealed = [column.name for column in self._columns if column.personal or column.kind.stored is bytes]
        """The columns with encrypted values, keys and digests."""
        self.personal = [column.name for column in self._columns if column.personal]
        values = {column: f":{column}" for column in self.names} | dict(counted)
        self.insertion = f"INSERT INTO {name} ({', '.join(values)}) VALUES ({', '.join(values.values())})"  # noqa: S608

    def id_of(self, record: R) -> str:
        """Return the key of a record: the value of the field that is stored in the first column."""
        key: str = getattr(record, self._columns[0].field)
        return key

    def insert(self, tx: Transaction, record: R, cipher: CustomerCipher) -> bytes:
        """Store a new record, and return its digest; no event is noted.

        If its key is taken, the transaction raises `Conflict`, perhaps only at a later statement.
        """
        row = self.row(record, cipher)
        tx.later(self.insertion, row)
        return self.digest(row)

    def insert_new(self, tx: Transaction, record: R, cipher: CustomerCipher) -> bytes | None:
        """Store a record and return its digest; if its key exists, store nothing and return None.

        Waits for a write that is storing that key. If another unique value is taken, the transaction raises `Conflict`.
        """
        row = self.row(record, cipher)
        if not tx.run(f"{self.insertion} ON CONFLICT ({self.key}) DO NOTHING", **row):
            return None
        return self.digest(row)

    def change(self, tx: Transaction, before: R, cipher: CustomerCipher, **changes: Any) -> tuple[R, bytes]:
        """Store the changes of the record `before`; return the changed record, and its digest. No event is noted.

        The digest is of the row as stored, because an older version of the service may have written it differently.
        Raises `Conflict` if the record is gone, or if another transaction has changed one of the same fields; personal
        fields are not compared.
        """
        after: R = replace(before, **changes)  # type: ignore[type-var] # records are dataclasses
        old, new = self.row(before, cipher), self.row(after, cipher)
        changed = [self._stored[field] for field in changes]
        plain = [column.name for column in changed if not column.personal]
        guards = [f"{self.key} = :{self.key}", *(f"{name} IS NOT DISTINCT FROM :old_{name}" for name in plain)]
        settings = ", ".join(f"{column.name} = :{column.name}" for column in changed)
        given = {name: new[name] for name in (self.key, *(column.name for column in changed))}
        given |= {f"old_{name}": old[name] for name in plain}
        changing = f"UPDATE {self.name} SET {settings} WHERE {' AND '.join(guards)} RETURNING {self.columns}"  # noqa: S608
        stored = tx.one(changing, **given)
        if stored is None:
            raise Conflict(self.name)
        return after, self.digest(stored)

    def reencrypt(self, tx: Transaction, row: Row, cipher: CustomerCipher, to: CustomerCipher) -> None:
        """Decrypt the personal fields of a stored row with `cipher`, encrypt them with `to`, and store them.

        Raises `RuntimeError` if a field is set and one of the ciphers has no access, `CustomerErased` if a text would
        be encrypted for an erased customer, and `Tampered` if a field cannot be decrypted.
        """
        key = row[self.key]
        for name in self.personal:
            if row[name] is not None:
                text = cipher.decrypt(row[name], self.name, name, key)
                if text is None:
                    raise RuntimeError("a field must not be emptied for want of a key")
                encrypted = to.encrypt(text, self.name, name, key)
                changing = f"UPDATE {self.name} SET {name} = :encrypted WHERE {self.key} = :key"  # noqa: S608
                tx.run(changing, encrypted=encrypted, key=key)

    def load(self, row: Row, cipher: CustomerCipher) -> R:
        """Return the record in a row; its personal fields are None if the cipher has no access.

        Raises `Tampered` if a personal field cannot be decrypted; another value that the service has not written can
        raise `ValueError`, `TypeError`, `LookupError` or `OverflowError`.
        """
        key = row[self.key]
        values: dict[str, Any] = {}
        for name, field, kind, personal, *_ in self._columns:
            value = row[name]
            if personal:
                value = cipher.decrypt(value, self.name, name, key)
            elif value is not None:
                value = kind.load(value)
            values[field] = value
        return self.record(**values)

    def fits(self, row: Row) -> bool:
        """Tell whether every value is None or of its column's stored type: other types can load as the same value."""
        return all(
            row[column.name] is None or isinstance(row[column.name], bytes if column.personal else column.kind.stored)
            for column in self._columns
        )

    def digest(self, row: Row) -> bytes:
        """Return the digest of a row: its plain columns except `not_digested` ones, and which personal ones are set.

        Columns that a later step of the schema added are left out while they are NULL.
        """
        plain: dict[str, Any] = {}
        held = []
        for name, _, _, personal, not_digested, later in self._columns:
            value = row[name]
            if personal:
                if value is not None:
                    held.append(name)
            elif not (not_digested or (later and value is None)):
                plain[name] = value
        return record_digest(self.name, plain | {"personal": held})

    def row(self, record: R, cipher: CustomerCipher) -> dict[str, Any]:
        """Return the row of a record, its personal fields encrypted.

        Raises `CustomerErased` for a text of an erased customer, and `RuntimeError` if the cipher has no key.
        """
        key = getattr(record, self._columns[0].field)
        row: dict[str, Any] = {}
        for name, field, kind, personal, *_ in self._columns:
            value = getattr(record, field)
            if personal:
                value = cipher.encrypt(value, self.name, name, key)
            elif value is not None:
                value = kind.store(value)
            row[name] = value
        return row


def number(tx: Transaction, sql: str, **parameters: Any) -> int:
    """Return the number in the one column of the one row of a query."""
    row = tx.one(sql, **parameters)
    assert row is not None
    (found,) = row.values()
    return int(found)


def count_rows(tx: Transaction, table: str) -> int:
    """Return how many rows a table has."""
    return number(tx, f"SELECT count(*) FROM {table}")  # noqa: S608 - one of ours
