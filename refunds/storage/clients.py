"""Clients and their tokens."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from refunds.domain.records import Client, ClientToken
from refunds.security.encryption import CLOSED
from refunds.storage import Row, Transaction
from refunds.storage.table import Table, micros

CLIENTS = Table(Client, "clients")
TOKENS = Table(ClientToken, "tokens")


class Holder(NamedTuple):
    """Who holds a token; and the position of the last event about policies, which every request asks for as well."""

    client: Client
    token: ClientToken
    policies_at: int


def by_token(tx: Transaction, token_id: str) -> Holder | None:
    """The holder of the token of this id: the one indexed read of every request."""
    row = tx.one(
        f"SELECT {CLIENTS.columns}, {TOKENS.columns}, policies_at"  # noqa: S608
        " FROM tokens JOIN clients USING (client_id) CROSS JOIN journal_head WHERE token_id = :token_id",
        token_id=token_id,
    )
    return None if row is None else Holder(*_pair(row), row["policies_at"])


def hold_token(tx: Transaction, token_id: str) -> None:
    """Let nobody else change a token until this write ends."""
    tx.one("SELECT token_id FROM tokens WHERE token_id = :token_id {for_update}", token_id=token_id)


def by_name(tx: Transaction, name: str) -> Client | None:
    """The client of this name."""
    row = tx.one(f"SELECT {CLIENTS.columns} FROM clients WHERE name = :name {{for_update}}", name=name)  # noqa: S608
    return None if row is None else CLIENTS.read(row, CLOSED)


def active_tokens(tx: Transaction, client_id: str, now: datetime) -> int:
    """How many tokens of a client hold."""
    row = tx.one(
        "SELECT count(*) AS active FROM tokens"
        " WHERE client_id = :client_id AND revoked_at IS NULL AND expires_at > :now",
        client_id=client_id,
        now=micros(now),
    )
    assert row is not None
    active: int = row["active"]
    return active


def every(tx: Transaction) -> Iterator[tuple[Client, ClientToken]]:
    """Every token with its client, by client."""
    rows = tx.all(
        f"SELECT {CLIENTS.columns}, {TOKENS.columns} FROM tokens JOIN clients USING (client_id)"  # noqa: S608
        " ORDER BY name, tokens.created_at, token_id"
    )
    return map(_pair, rows)


def every_client(tx: Transaction) -> Iterator[Row]:
    """The row of every client."""
    return tx.each(f"SELECT {CLIENTS.columns} FROM clients ORDER BY client_id")  # noqa: S608


def every_token(tx: Transaction) -> Iterator[Row]:
    """The row of every token."""
    return tx.each(f"SELECT {TOKENS.columns} FROM tokens ORDER BY token_id")  # noqa: S608


def _pair(row: Row) -> tuple[Client, ClientToken]:
    return CLIENTS.read(row, CLOSED), TOKENS.read(row, CLOSED)
