"""Policy versions as registered, closures, and the policies made from them."""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, NoReturn

import orjson

from refunds.domain.policy import NO_CLOSURES, Closures, Policy, PolicyVersion, policy_of
from refunds.domain.records import Closure, RegisteredVersion
from refunds.domain.terms import Terms
from refunds.errors import InvalidInput, Message, NotFound, Unreadable
from refunds.schemas.policy import read_terms
from refunds.security.encryption import NO_ACCESS, CustomerCipher
from refunds.storage import Row, Transaction
from refunds.storage.mapper import RecordMapper
from refunds.storage.repository import Repository

POLICY_VERSIONS = RecordMapper(RegisteredVersion, "policy_versions")
CLOSURES = RecordMapper(Closure, "closures")


History = tuple[Policy, tuple[RegisteredVersion, ...]]
"""A policy, and the records of its versions by number."""


class Policies(dict[str, Policy]):
    """Policies by id, which nobody changes; `default` is the id that is used if none is named.

    They are as of the event with the hash `as_of`, the last about policies; None if there is none. A write that relies
    on them fails at its end with `Conflict` if there is a later one by then.
    """

    def __init__(self, known: Iterable[History], default: str, as_of: bytes | None) -> None:
        super().__init__()
        self.default, self.as_of = default, as_of
        self._records: dict[str, tuple[RegisteredVersion, ...]] = {}
        for policy, records in known:
            self[policy.policy_id], self._records[policy.policy_id] = policy, records

    def __missing__(self, policy_id: str) -> NoReturn:
        """Raise `NotFound`, naming the known policies."""
        known = ", ".join(self) or Message("none")
        raise NotFound(Message("there is no such policy; known: %(known)s", known=known))

    def records(self, policy_id: str) -> tuple[RegisteredVersion, ...]:
        """Return the records of a policy's versions, by number; raises `NotFound` if there is no such policy."""
        return self._records[self[policy_id].policy_id]

    def record(self, policy_id: str, number: int) -> RegisteredVersion:
        """Return the record of a policy's version; raises `NotFound` if there is no such policy or version."""
        self[policy_id].version(number)
        return self.records(policy_id)[number - 1]


def load(tx: Transaction, default: str, as_of: bytes | None) -> Policies:
    """Return all policies with their versions and entered closures, as a transaction sees them.

    `default` is the id of the policy that is used if none is named, and `as_of` the hash of the last event about
    policies; neither is checked. Raises `Unreadable`, naming the policy, if one is not what the service has written.
    """
    records: dict[str, list[Row]] = defaultdict(list)
    for row in Versions.iter_rows(tx):
        records[row["policy"]].append(row)
    entered: dict[str, list[Row]] = defaultdict(list)
    for row in ClosureRepository.iter_rows(tx):
        entered[row["policy"]].append(row)
    return Policies((_history(policy_id, of, entered[policy_id]) for policy_id, of in records.items()), default, as_of)


def _history(policy_id: str, versions: list[Row], entered: list[Row]) -> History:
    """Make a policy from the rows of its versions and closures; raises `Unreadable` if they are not as registered."""
    try:
        records = tuple(POLICY_VERSIONS.load(row, NO_ACCESS) for row in versions)
        closed = (CLOSURES.load(row, NO_ACCESS) for row in entered)
        closures = Closures(tuple((closure.date, closure.entered_at) for closure in closed))
        withdrawn = {record.version for record in records if record.withdrawn_at is not None}
        return policy_of((version_of(record, closures) for record in records), withdrawn), records
    except (ValueError, TypeError, OverflowError, KeyError, InvalidInput) as error:
        message = f"the policy {policy_id} is not what was registered ({error}): see flask audit verify"
        raise Unreadable(message) from None


def version_of(record: RegisteredVersion, closures: Closures = NO_CLOSURES) -> PolicyVersion:
    """Return the version in a record; pass `closures` if it is to decide. Raises `InvalidInput` if terms do not fit."""
    terms = _terms(orjson.dumps(record.terms))
    return PolicyVersion(record.policy, record.version, record.effective_from, terms, closures=closures)


@lru_cache(maxsize=10_000)
def _terms(stored: bytes) -> Terms:
    """Return the terms in a JSON text, and keep them, because each publication reads the versions of all policies.

    Raises `InvalidInput` if they do not fit.
    """
    return read_terms(orjson.loads(stored))


class Versions(Repository[RegisteredVersion]):
    """The versions of policies, as registered."""

    mapper: ClassVar[RecordMapper[RegisteredVersion]] = POLICY_VERSIONS
    in_order: ClassVar[str] = "policy, version"

    def has_judged(self, policy: str) -> bool:
        """Tell whether a policy has made any stored decision; it may read all of them, so ask it rarely."""
        asked = " UNION ALL ".join(
            f"SELECT * FROM (SELECT 1 FROM {table} WHERE judging_policy = :policy LIMIT 1) AS {table}"  # noqa: S608
            for table in ("contacts", "cancellations")
        )
        return bool(self._tx.all(asked, policy=policy))


class ClosureRepository(Repository[Closure]):
    """The closures that were entered; their reasons are None except for those who may read what staff wrote."""

    mapper: ClassVar[RecordMapper[Closure]] = CLOSURES
    in_order: ClassVar[str] = "policy, entered_at, date"

    def of_policy(self, policy: str) -> list[Closure]:
        """Return the closures of a policy, by date."""
        return self._all("policy = :policy ORDER BY date", policy=policy)

    def _cipher(self, _: Closure) -> CustomerCipher:
        """Return the cipher for the reasons of closures, whatever the principal may read."""
        return CustomerCipher(self._context.keys.notes)

    def _load(self, row: Row) -> Closure:
        """Return the closure in a row; its reason is None unless the principal may read it."""
        return CLOSURES.load(row, self._context.notes)
