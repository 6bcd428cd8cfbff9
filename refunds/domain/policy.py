"""Policies: their versions, which of them is in force, and what is closed besides."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from refunds.domain.terms import TERM_NAMES, JudgedBy, Terms
from refunds.errors import FieldError, InvalidInput, NoPolicyInForce, NotFound


@dataclass(frozen=True, slots=True, eq=False)
class Closures:
    """What the vendor has closed besides its terms: each date, and when that was entered, in the order of entry.

    It is itself alone, so that what is kept for it is found at once, however many there are.
    """

    entered: tuple[tuple[date, datetime], ...] = ()


NO_CLOSURES = Closures()


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy; `effective_from` None: from the beginning. `overridden`: terms of a what-if.

    `closures` are the policy's, beside those of the terms.
    """

    policy_id: str
    version: int
    effective_from: datetime | None
    terms: Terms
    overridden: tuple[str, ...] = ()
    closures: Closures = NO_CLOSURES

    def what_if(self, terms: Mapping[str, Any]) -> "PolicyVersion":
        """This version with single terms (already read) replaced."""
        if not terms:
            return self
        overridden = tuple(name for name in TERM_NAMES if name in terms)
        return replace(self, terms=replace(self.terms, **terms), overridden=overridden)

    @property
    def effective_at(self) -> datetime:
        """The first instant at which the version holds."""
        return self.effective_from or _BEGINNING


_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """All versions of one policy by number, and those that hold, in the order in which they take effect."""

    policy_id: str
    versions: tuple[PolicyVersion, ...]
    effective_versions: tuple[PolicyVersion, ...]

    def in_force(self, at: datetime) -> PolicyVersion:
        """The version that holds at an instant; at the very instant of a change, the newer.

        Raises `NoPolicyInForce`, naming when the first takes effect.
        """
        i = bisect_right(self.effective_versions, at, key=lambda version: version.effective_at)
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
        """The version that judges an order: in force when its service was provided, or when it was ordered.

        Where the service is not yet provided at the request, the version in force at the request. Whether the
        time of the order decides is itself a term: of the version that held when the service was provided, or
        `judged_by` for a what-if.
        """
        if provided_at is None or provided_at > requested_at:
            return self.in_force(requested_at)
        version = self.in_force(provided_at)
        if (judged_by or version.terms.judged_by) is JudgedBy.ORDERED and ordered_at is not None:
            return self.in_force(ordered_at)
        return version

    def current(self, at: datetime) -> PolicyVersion:
        """The version in force, or where none is yet the one that will be first; if all are withdrawn, the first."""
        first = (*self.effective_versions, *self.versions)[0]
        return next((version for version in reversed(self.effective_versions) if version.effective_at <= at), first)

    def version(self, number: int) -> PolicyVersion:
        """The version of this number; raises `NotFound`."""
        if not 1 <= number <= len(self.versions):
            raise NotFound(f"The newest version of {self.policy_id} is version {len(self.versions)}.")
        return self.versions[number - 1]


def policy_of(versions: Iterable[PolicyVersion], withdrawn: Collection[int] = ()) -> Policy:
    """The policy that these versions, some `withdrawn`, make up; raises `InvalidInput` where they do not fit."""
    ordered = tuple(sorted(versions, key=lambda version: version.version))
    for due, version in enumerate(ordered, 1):
        if version.version != due:
            detail = f"is {version.version} where {due} is due: versions count from 1 without gap or repeat"
            raise InvalidInput([FieldError("/version", detail)])
    effective = tuple(version for version in ordered if version.version not in withdrawn)
    for earlier, later in pairwise(effective):
        if later.effective_at <= earlier.effective_at:
            detail = f"version {later.version} must take effect later than version {earlier.version}"
            raise InvalidInput([FieldError("/effective_from", detail)])
    return Policy(ordered[0].policy_id, ordered, effective)


class Difference(NamedTuple):
    """A term that two versions do not say alike, as they say it; of a first version, all that it says."""

    term: str
    before: Any
    after: Any
    replaces: bool = True


def differences(before: Terms | None, after: Terms) -> list[Difference]:
    """The terms in which a version differs from the one before it, if there is one."""
    return [
        Difference(name, before and getattr(before, name), getattr(after, name), before is not None)
        for name in TERM_NAMES
        if before is None or getattr(before, name) != getattr(after, name)
    ]
