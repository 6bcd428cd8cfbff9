"""Users of the console, and attempts at signing in as one."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from refunds.domain.records import User
from refunds.security.encryption import CLOSED
from refunds.storage import Row, Transaction
from refunds.storage.table import Table, micros

USERS = Table(User, "users")

WITHIN = timedelta(minutes=15)
"""For how long attempts are counted, from the first of them."""


class SignedIn(NamedTuple):
    """A user; and the position of the last event about policies, which every request asks for as well."""

    user: User
    policies_at: int


def by_id(tx: Transaction, user_id: str) -> SignedIn | None:
    """The user of this id: the one indexed read of every request of a session."""
    row = tx.one(
        f"SELECT {USERS.columns}, policies_at FROM users CROSS JOIN journal_head WHERE user_id = :user_id",  # noqa: S608
        user_id=user_id,
    )
    return None if row is None else SignedIn(USERS.read(row, CLOSED), row["policies_at"])


def by_name(tx: Transaction, name: str) -> User | None:
    """The user of this name; held, in a write, until it ends."""
    row = tx.one(f"SELECT {USERS.columns} FROM users WHERE name = :name {{for_update}}", name=name)  # noqa: S608
    return None if row is None else USERS.read(row, CLOSED)


def end_sessions(tx: Transaction, user_id: str) -> None:
    """Let no session of a user hold any more."""
    tx.run("UPDATE users SET epoch = epoch + 1 WHERE user_id = :user_id", user_id=user_id)


def names(tx: Transaction, ids: Iterable[str]) -> Mapping[str, str]:
    """What those users and clients are called whose ids these are, where they still have a name."""
    found = {}
    for one in set(ids):
        row = tx.one(
            "SELECT name FROM users WHERE user_id = :one UNION ALL SELECT name FROM clients WHERE client_id = :one",
            one=one,
        )
        if row and row["name"]:
            found[one] = row["name"]
    return found


def every(tx: Transaction) -> Iterator[Row]:
    """The row of every user, by id: in the order in which they were added."""
    return tx.each(f"SELECT {USERS.columns} FROM users ORDER BY user_id")  # noqa: S608


def count_attempt(tx: Transaction, name_digest: bytes, now: datetime) -> int:
    """How many attempts have been made for a name, with this one; those for it wait for each other.

    What has been counted for long enough is forgotten, but for what others are at, so that nobody waits for it.
    """
    tx.run(
        "INSERT INTO sign_in_attempts (name_digest, made, since) VALUES (:name_digest, 1, :now)"
        " ON CONFLICT (name_digest) DO UPDATE SET"
        " made = CASE WHEN sign_in_attempts.since <= :expired THEN 1 ELSE sign_in_attempts.made + 1 END,"
        " since = CASE WHEN sign_in_attempts.since <= :expired THEN excluded.since ELSE sign_in_attempts.since END",
        name_digest=name_digest,
        now=micros(now),
        expired=micros(now - WITHIN),
    )
    tx.run(
        "DELETE FROM sign_in_attempts WHERE name_digest IN"
        " (SELECT name_digest FROM sign_in_attempts WHERE since <= :expired ORDER BY since LIMIT 200 {unless_held})",
        expired=micros(now - WITHIN),
    )
    row = tx.one("SELECT made FROM sign_in_attempts WHERE name_digest = :name_digest", name_digest=name_digest)
    assert row is not None
    made: int = row["made"]
    return made


def forget_attempts(tx: Transaction, name_digest: bytes) -> None:
    """Count anew for a name."""
    tx.run("DELETE FROM sign_in_attempts WHERE name_digest = :name_digest", name_digest=name_digest)
