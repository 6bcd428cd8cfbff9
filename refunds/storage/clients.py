"""Clients and their tokens."""

from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any, ClassVar

from refunds.domain.records import Client, ClientToken
from refunds.security.encryption import NO_ACCESS
from refunds.storage import Engine, Row, Transaction
from refunds.storage.events import HEAD, Head, head_in
from refunds.storage.mapper import RecordMapper, micros, number
from refunds.storage.repository import Repository

CLIENTS = RecordMapper(Client, "clients")
TOKENS = RecordMapper(ClientToken, "tokens")


class Clients(Repository[Client]):
    """The systems and people that call the service."""

    mapper: ClassVar[RecordMapper[Client]] = CLIENTS

    def by_name(self, name: str) -> Client | None:
        """Return the client with this name, or None; in a write, lock their row until the write ends."""
        return self._one("name = :name {for_update}", name=name)


class Tokens(Repository[ClientToken]):
    """The tokens of clients."""

    mapper: ClassVar[RecordMapper[ClientToken]] = TOKENS

    def count_active(self, client_id: str) -> int:
        """Count the tokens of a client that are valid now: neither revoked nor expired."""
        sql = "SELECT count(*) FROM tokens WHERE client_id = :client_id AND revoked_at IS NULL AND expires_at > :now"
        return number(self._tx, sql, client_id=client_id, now=micros(self._context.now))

    def with_clients(self) -> Iterator[tuple[Client, ClientToken]]:
        """Yield client and token for every token, also a revoked or expired one, sorted by the clients' names."""
        rows = self._tx.all(
            f"SELECT {CLIENTS.columns}, {TOKENS.columns} FROM tokens JOIN clients USING (client_id)"  # noqa: S608
            " ORDER BY name, tokens.created_at, token_id"
        )
        return map(_pair, rows)


def holder(by: Transaction | Engine, token_id: str) -> tuple[Client, ClientToken, Head] | None:
    """Read the client of the token with this id, the token, and the head of the journal; None without such a token.

    It does not check whether the token is valid. An HTTP request with a token needs no other read.
    """
    row = by.one(_HOLDER, token_id=token_id)
    return None if row is None else (*_pair(row), head_in(row))


_HOLDER = (
    f"SELECT {CLIENTS.columns}, {TOKENS.columns}, {HEAD}"  # noqa: S608
    " FROM tokens JOIN clients USING (client_id) CROSS JOIN journal_head WHERE token_id = :token_id"
)


_COLUMNS = tuple(dict.fromkeys((*CLIENTS.names, *TOKENS.names)))
_values = itemgetter(*_COLUMNS)


def _pair(row: Row) -> tuple[Client, ClientToken]:
    """Return the client and the token in a row with the columns of both."""
    return _loaded(_values(row))


@lru_cache(maxsize=1024)  # nearly every request has the row of one before it
def _loaded(values: tuple[Any, ...]) -> tuple[Client, ClientToken]:
    """Return the client and the token with these values of `_COLUMNS`; the 1024 pairs used last are kept."""
    row = dict(zip(_COLUMNS, values, strict=True))
    return CLIENTS.load(row, NO_ACCESS), TOKENS.load(row, NO_ACCESS)
