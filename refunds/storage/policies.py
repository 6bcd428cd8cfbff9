"""Policy versions as they were registered, and closures."""

from collections.abc import Iterator

from refunds.domain.records import Closure, RegisteredVersion
from refunds.storage import Row, Transaction
from refunds.storage.table import Table

POLICY_VERSIONS = Table(RegisteredVersion, "policy_versions")
CLOSURES = Table(Closure, "closures")


def every_version(tx: Transaction) -> Iterator[Row]:
    """The row of every version, by policy and number."""
    return tx.each(f"SELECT {POLICY_VERSIONS.columns} FROM policy_versions ORDER BY policy, version")  # noqa: S608


def every_closure(tx: Transaction) -> Iterator[Row]:
    """The row of every closure, in the order of entry."""
    return tx.each(f"SELECT {CLOSURES.columns} FROM closures ORDER BY policy, entered_at, date")  # noqa: S608


def closures_of(tx: Transaction, policy: str) -> list[Row]:
    """The rows of a policy's closures, by date."""
    return tx.all(f"SELECT {CLOSURES.columns} FROM closures WHERE policy = :policy ORDER BY date", policy=policy)  # noqa: S608


def has_judged(tx: Transaction, policy: str) -> bool:
    """Whether a decision that is stored was made by a policy: without an index, as it is asked so rarely."""
    asked = " UNION ALL ".join(
        f"SELECT * FROM (SELECT 1 FROM {table} WHERE judging_policy = :policy LIMIT 1) AS {table}"  # noqa: S608 - ours
        for table in ("contacts", "cancellations")
    )
    return bool(tx.all(asked, policy=policy))
