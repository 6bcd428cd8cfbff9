"""Policies: their versions, which of them is in force, and closures besides the terms."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from refunds.domain.terms import TERM_NAMES, JudgedBy, Terms
from refunds.errors import InvalidInput, Message, NoPolicyInForce, NotFound


@dataclass(frozen=True, slots=True, eq=False)
class Closures:
    """Closures besides the terms, each with when it was entered; equal only to itself, so that caches find it fast."""

    entered: tuple[tuple[date, datetime], ...] = ()


NO_CLOSURES = Closures()


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy.

    `effective_from` None: from the beginning or, in a draft to be published, as soon as possible. `overridden` names
    the terms that a what-if has replaced. `closures` are the policy's, besides those of the terms.
    """

    policy_id: str
    version: int
    effective_from: datetime | None
    terms: Terms
    overridden: tuple[str, ...] = ()
    closures: Closures = NO_CLOSURES

    def what_if(self, terms: Mapping[str, Any]) -> "PolicyVersion":
        """Return a copy with these valid `terms`, and with their names in `overridden`; the version itself if none."""
        if not terms:
            return self
        overridden = tuple(name for name in TERM_NAMES if name in terms)
        return replace(self, terms=replace(self.terms, **terms), overridden=overridden)

    @property
    def effective_at(self) -> datetime:
        """The first instant at which the version is in force; without `effective_from`, the first of all instants."""
        return self.effective_from or _BEGINNING


_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """All versions of one policy by number, and those not withdrawn, in the order in which they take effect."""

    policy_id: str
    versions: tuple[PolicyVersion, ...]
    effective_versions: tuple[PolicyVersion, ...]
    beginnings: tuple[datetime, ...]
    """From when each of the effective ones is in force."""

    def in_force(self, at: datetime) -> PolicyVersion:
        """Return the version in force at an instant; at the exact instant of a change, the newer one.

        Raises `NoPolicyInForce` if there is none, with the instant at which the first takes effect, if any does.
        """
        i = bisect_right(self.beginnings, at)
        if not i:
            first = self.effective_versions[0].effective_at if self.effective_versions else None
            raise NoPolicyInForce(self.policy_id, at, first)
        return self.effective_versions[i - 1]

    def applicable(
        self,
        requested_at: datetime,
        provided_at: datetime | None,
        ordered_at: datetime | None = None,
        judged_by: JudgedBy | None = None,
    ) -> PolicyVersion:
        """Return the version that judges an order.

        If the service is not provided by `requested_at` (`provided_at` is None or later), it is the version in force at
        `requested_at`; `ordered_at` and `judged_by` do not count then. Otherwise it is the version in force at
        `provided_at` or, if its term `judged_by` says that the order decides, at `ordered_at`, if that is known.
        `judged_by` replaces that term, for a what-if. Raises `NoPolicyInForce` if no version was in force at a time
        that is looked up: `provided_at` is, even if the order decides.
        """
        if provided_at is None or provided_at > requested_at:
            return self.in_force(requested_at)
        version = self.in_force(provided_at)
        if (judged_by or version.terms.judged_by) is JudgedBy.ORDERED and ordered_at is not None:
            return self.in_force(ordered_at)
        return version

    def current(self, at: datetime) -> PolicyVersion:
        """Return the version in force, or else the first to be; if all are withdrawn, that with the lowest number."""
        first = (*self.effective_versions, *self.versions)[0]
        return next((version for version in reversed(self.effective_versions) if version.effective_at <= at), first)

    def version(self, number: int) -> PolicyVersion:
        """Return the version with this number, even a withdrawn one. Raises `NotFound` if there is none."""
        if not 1 <= number <= len(self.versions):
            newest = {"policy": self.policy_id, "version": len(self.versions)}
            raise NotFound(Message("The newest version of %(policy)s is version %(version)s.", **newest))
        return self.versions[number - 1]


def policy_of(versions: Iterable[PolicyVersion], withdrawn: Collection[int] = ()) -> Policy:
    """Return the policy with these versions, at least one; those with a number in `withdrawn` never take effect.

    Raises `InvalidInput` if the numbers do not count from 1 without gap or repeat, or if a version would not take
    effect later than the one before it; withdrawn ones are left out of this comparison.
    """
    ordered = tuple(sorted(versions, key=lambda version: version.version))
    for due, version in enumerate(ordered, 1):
        if version.version != due:
            text = Message("is %(version)s, but must be %(due)s: versions count from 1 without gap or repeat")
            raise InvalidInput.at("/version", text.filled(version=version.version, due=due))
    effective = tuple(version for version in ordered if version.version not in withdrawn)
    for earlier, later in pairwise(effective):
        if later.effective_at <= earlier.effective_at:
            text = Message("version %(later)s must take effect later than version %(earlier)s")
            detail = text.filled(later=later.version, earlier=earlier.version)
            raise InvalidInput.at("/effective_from", detail)
    return Policy(ordered[0].policy_id, ordered, effective, tuple(version.effective_at for version in effective))


class Difference(NamedTuple):
    """A term that a version sets to another value; if nothing was before it, `before` is None, and `replaces` false."""

    term: str
    before: Any
    after: Any
    replaces: bool = True


def differences(before: Terms | None, after: Terms) -> list[Difference]:
    """Return the terms that differ in `after` from `before`, in the order of the terms; all if `before` is None."""
    return [
        Difference(name, before and getattr(before, name), getattr(after, name), before is not None)
        for name in TERM_NAMES
        if before is None or getattr(before, name) != getattr(after, name)
    ]
