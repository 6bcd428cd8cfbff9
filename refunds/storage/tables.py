"""The tables, each after those it refers to, for copies, the audit and the benchmarks.

The head of the journal is left out, because a copy sets it at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from refunds.storage.cancellations import Cancellations
from refunds.storage.clients import Clients, Tokens
from refunds.storage.contacts import Contacts
from refunds.storage.orders import Orders
from refunds.storage.policies import ClosureRepository, Versions
from refunds.storage.privacy import DataRequests, Disclosures, Limits
from refunds.storage.promises import Promises
from refunds.storage.repository import Repository
from refunds.storage.statistics import Statistics
from refunds.storage.unmatched import Unmatched
from refunds.storage.users import Users


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """A table, and its key.

    A table of records also has their repository, and the prefixes of the types of the events about them. `journalled`:
    its rows change only with an event, not without a trace as when replies expire.
    """

    name: str
    key: tuple[str, ...]
    kind: type[Repository[Any]] | None = None
    events: tuple[str, ...] = ()
    journalled: bool = True


def _of(kind: type[Repository[Any]], *events: str) -> StoredTable:
    """Describe the table of a kind of repository; `events` are the prefixes of the types of its records' events."""
    return StoredTable(name=kind.mapper.name, key=(kind.mapper.key,), kind=kind, events=events)


TABLES = (
    StoredTable(name="keys", key=("name",)),
    _of(Clients, "access.client"),
    _of(Tokens, "access.token"),
    _of(Users, "access.user"),
    StoredTable(name="sign_in_attempts", key=("name_digest",), journalled=False),
    StoredTable(name="sessions", key=("session_id",), journalled=False),
    _of(Versions, "policy."),
    _of(ClosureRepository, "closure."),
    StoredTable(name="customers", key=("customer_id",)),
    _of(Orders, "order."),
    _of(Promises, "order.promised"),
    _of(Contacts, "contact."),
    _of(Unmatched, "contact.unmatched", "contact.matched"),
    _of(Cancellations, "cancellation."),
    _of(DataRequests, "data_request."),
    _of(Disclosures, "privacy.disclosed"),
    _of(Limits, "customer."),
    _of(Statistics, "statistics."),
    StoredTable(name="events", key=("position",)),
    StoredTable(name="idempotency", key=("client_id", "key_hash"), journalled=False),
)

NAMES = tuple(table.name for table in TABLES)


RECORDS = tuple(table.kind for table in TABLES if table.kind)
"""The repository of each kind of record in the journal."""


def table_of(event: str) -> str | None:
    """Return the name of the table with the record that an event of this type is about, or None if it has no record."""
    fitting = [(len(one), table.name) for table in TABLES for one in table.events if event.startswith(one)]
    return max(fitting)[1] if fitting else None


def sealed() -> Iterator[tuple[str, str]]:
    """Yield the table and the column of every encrypted value and keyed digest in the database.

    PostgreSQL must keep no samples of these columns in its planner statistics.
    """
    yield from _BESIDE_RECORDS
    for kind in RECORDS:
        yield from ((kind.mapper.name, column) for column in kind.mapper.sealed)


_BESIDE_RECORDS = (
    ("keys", "wrapped"),
    ("sign_in_attempts", "name_digest"),
    ("customers", "digest"),
    ("customers", "wrapped_key"),
    *(("idempotency", name) for name in ("key_hash", "fingerprint", "reply")),
)
