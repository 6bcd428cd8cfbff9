"""Policies over time: versions are published, imported or withdrawn, and closures are added; terms never change.

Every event about a policy has its position in the journal, so each decision is made either before it or after it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from hashlib import sha256

import orjson

from refunds.domain import judging
from refunds.domain.business_days import SkipReason
from refunds.domain.instants import format_instant, format_known, local_date, zone
from refunds.domain.journal import ABOUT_POLICIES, EventType
from refunds.domain.policy import Difference, PolicyVersion, differences, policy_of
from refunds.domain.records import Closure, RegisteredVersion, id_within
from refunds.domain.regions import require_region
from refunds.domain.terms import LATER_TERMS, Terms
from refunds.errors import EffectiveTooEarly, InvalidInput, Message, PolicyVersionConflict
from refunds.schemas.policy import packaged, read_terms, terms_data, version_data
from refunds.service import checks
from refunds.storage.unit_of_work import UnitOfWork

VersionCheck = Callable[[UnitOfWork, PolicyVersion], PolicyVersion]
"""The check that a version must pass to be registered; it returns the version with its effective time."""


class ClosureNotice(StrEnum):
    """What the person who enters a closure must also know."""

    IN_THE_PAST = "in_the_past"
    NO_BUSINESS_DAY = "no_business_day"


@dataclass(frozen=True, slots=True)
class EnteredClosure:
    """A closure, what else the person who enters it must know, and whether it is new."""

    closure: Closure
    notices: list[ClosureNotice]
    created: bool


@dataclass(frozen=True, slots=True)
class PublishResult:
    """A version as it is registered, or in a dry run would be, and its differences from the version before it.

    `follows` is the version in force before it; if that is None, every term differs. `created`: it was registered now,
    never in a dry run. `known`: it was registered before.
    """

    record: RegisteredVersion
    version: PolicyVersion
    follows: PolicyVersion | None
    differences: list[Difference]
    created: bool
    known: bool = False


def publish(uow: UnitOfWork, draft: PolicyVersion, *, dry_run: bool = False) -> PublishResult:
    """Register a version with effect from its `effective_from`.

    If that is None, it takes effect now or, if later, at `page_published_at`. The same version again changes nothing;
    with `dry_run`, nothing is stored. Raises `EffectiveTooEarly` if `effective_from` is before now or before
    `page_published_at`; `PolicyVersionConflict` if the number belongs to other content or was withdrawn;
    `UnknownRegion` if there is no such region; and `InvalidInput` if the number leaves a gap, if no term changes, or if
    the version would not take effect after all earlier ones.
    """
    if not dry_run:
        uow.lock_journal()
    return _register(uow, draft, _publishable, EventType.POLICY_PUBLISHED, dry_run=dry_run)


def import_version(uow: UnitOfWork, version: PolicyVersion) -> PublishResult:
    """Register a version with its true dates, if its policy has judged nothing yet; `effective_from` may be long ago.

    Without `effective_from`, version 1 is in force from the beginning. The same version again changes nothing. One unit
    of work can import several. Raises `EffectiveTooEarly` if `effective_from` is before `page_published_at`;
    `PolicyVersionConflict` if the policy has judged, or if the number belongs to other content or was withdrawn;
    `UnknownRegion`; and `InvalidInput` if a later version has no `effective_from`, if the number leaves a gap, if no
    term changes, or if the version would not take effect after all earlier ones.
    """
    uow.lock_journal()
    return _register(uow, version, _importable, EventType.POLICY_IMPORTED)


def first_policy(uow: UnitOfWork, policy_id: str) -> None:
    """Import the version that comes with the service, if it is of this policy and was never registered.

    The journal decides that: if the record was removed since, the audit must find it, so it is not fixed here.
    """
    version = packaged(policy_id)
    if version is not None and not uow.events.has_any(ABOUT_POLICIES, id_within(policy_id, version.version)):
        _register(uow, version, lambda _, first: first, EventType.POLICY_IMPORTED)


def withdraw(uow: UnitOfWork, policy_id: str, number: int, *, dry_run: bool = False) -> RegisteredVersion:
    """Withdraw a version that has not taken effect, so that it never does; withdrawing it again changes nothing.

    Its number stays taken. With `dry_run`, nothing is stored, and the version is returned as it is. Raises `NotFound`
    if there is no such policy or version, and `PolicyVersionConflict` if it has taken effect.
    """
    if not dry_run:
        uow.lock_journal()
    record, version = uow.policies.record(policy_id, number), uow.policies[policy_id].version(number)
    if record.withdrawn_at is not None:
        return record
    if version.effective_at <= uow.now:
        raise PolicyVersionConflict(_in_force_text(version))
    if dry_run:
        return record
    data = {"policy": policy_id, "version": number}
    changes = {"withdrawn_at": uow.now, "withdrawn_by": uow.principal.actor}
    return uow.versions.update(record, EventType.POLICY_WITHDRAWN, data, **changes)


def close(
    uow: UnitOfWork,
    policy_id: str,
    day: date,
    reason_de: str | None = None,
    reason_en: str | None = None,
    *,
    dry_run: bool = False,
) -> EnteredClosure:
    """Enter a date on which the vendor is closed; the same date again changes nothing, nor its reasons.

    Windows that have not ended skip the date, and so may end later. With `dry_run`, nothing is stored.
    Raises `NotFound` if there is no such policy, `InvalidInput` if the date is more than five years away, and
    `CalendarNotCovered` if the holiday data does not cover it.
    """
    if not dry_run:
        uow.lock_journal()
    version = uow.policies[policy_id].current(uow.now)
    today = local_date(uow.now, zone(version.terms.time_zone))
    checks.require_near(day, today, "/date")
    notices = []
    if day < today:
        notices.append(ClosureNotice.IN_THE_PAST)
    if judging.calendar_of(version).why_not(day) in {SkipReason.WEEKEND, SkipReason.PUBLIC_HOLIDAY}:
        notices.append(ClosureNotice.NO_BUSINESS_DAY)
    for closure in uow.closures.of_policy(policy_id):
        if closure.date == day:
            return EnteredClosure(closure, notices, created=False)
    closure = Closure(
        closure_id=id_within(policy_id, day),
        policy=policy_id,
        date=day,
        reason_de=reason_de,
        reason_en=reason_en,
        entered_at=uow.now,
        entered_by=uow.principal.actor,
    )
    if not dry_run:
        uow.closures.add(closure, EventType.CLOSURE_ADDED, policy=policy_id, date=day.isoformat())
    return EnteredClosure(closure, notices, created=True)


def closures(uow: UnitOfWork, policy_id: str) -> list[Closure]:
    """Return a policy's entered closures, not those of its terms, by date; or raise `NotFound` for the policy."""
    uow.policies[policy_id]
    return uow.closures.of_policy(policy_id)


def _register(
    uow: UnitOfWork, draft: PolicyVersion, check: VersionCheck, event: EventType, *, dry_run: bool = False
) -> PublishResult:
    """Register a draft as `check` returns it, with its event; store nothing if it is known or for a `dry_run`.

    Raises `UnknownRegion`, `PolicyVersionConflict` if its number has other content or was withdrawn, `InvalidInput` if
    no term changes or the number or time does not follow on, and what `check` raises.
    """
    taken = _same_version(uow, draft)
    if taken is None:
        require_region(draft.terms.region, "/terms/region")
    version = check(uow, draft) if taken is None else replace(draft, effective_from=taken.effective_from)
    follows = _version_before(uow, version)
    differing = differences(follows.terms if follows else None, version.terms)
    if taken is not None:
        return PublishResult(taken, version, follows, differing, created=False, known=True)
    if follows and not differing:
        detail = Message("changes nothing: every term is as in version %(version)s", version=follows.version)
        raise InvalidInput.at("", detail, "unchanged")
    record = _record(uow, version, imported=event is EventType.POLICY_IMPORTED)
    if dry_run:
        return PublishResult(record, version, follows, differing, created=False)
    uow.versions.add(
        record,
        event,
        policy=record.policy,
        version=record.version,
        effective_from=format_known(record.effective_from),
        content_hash=record.content_hash,
    )
    uow.see_own_policies()
    return PublishResult(record, version, follows, differing, created=True)


def _same_version(uow: UnitOfWork, draft: PolicyVersion) -> RegisteredVersion | None:
    """Return the registered version with the number of a draft, if the content is the same; None if the number is free.

    A draft without `effective_from` only has to have the same terms. Raises `PolicyVersionConflict` if the content is
    another, or the registered version was withdrawn.
    """
    records = uow.policies.records(draft.policy_id) if draft.policy_id in uow.policies else ()
    if draft.version > len(records):
        return None
    taken = records[draft.version - 1]
    at = taken.effective_from if draft.effective_from is None else draft.effective_from
    if taken.withdrawn_at is None and at == taken.effective_from and draft.terms == read_terms(taken.terms):
        return taken
    values = {"version": draft.version, "policy": draft.policy_id, "following": len(records) + 1}
    raise PolicyVersionConflict(
        Message(
            "Version %(version)s of %(policy)s is registered with different content: the next is version "
            "%(following)s.",
            **values,
        )
        if taken.withdrawn_at is None
        else Message(
            "Version %(version)s of %(policy)s has been withdrawn: the next is version %(following)s.", **values
        )
    )


def _in_force_text(version: PolicyVersion) -> Message:
    """Return the text of the error that a version has taken effect and cannot be withdrawn."""
    values = {"version": version.version, "policy": version.policy_id}
    if version.effective_from is None:
        return Message(
            "Version %(version)s of %(policy)s has been in force since the beginning, and orders may have been judged "
            "by it: publish the next version instead.",
            **values,
        )
    return Message(
        "Version %(version)s of %(policy)s has been in force since %(since)s, and orders may have been judged by it: "
        "publish the next version instead.",
        since=format_instant(version.effective_from),
        **values,
    )


def _publishable(uow: UnitOfWork, draft: PolicyVersion) -> PolicyVersion:
    """Return a draft with the instant at which it takes effect, by default the earliest; raises `EffectiveTooEarly`."""
    earliest = max(uow.now, draft.terms.page_published_at or uow.now)
    if draft.effective_from is not None and draft.effective_from < earliest:
        detail = Message(
            "must be %(earliest)s or later: neither before now nor before page_published_at",
            earliest=format_instant(earliest),
        )
        raise EffectiveTooEarly.at("/effective_from", detail, "too_early")
    return replace(draft, effective_from=draft.effective_from or earliest)


def _importable(uow: UnitOfWork, version: PolicyVersion) -> PolicyVersion:
    """Return a version unchanged if it may be imported.

    Raises `InvalidInput` if it is not version 1 and has no `effective_from`, `EffectiveTooEarly` if that is before
    `page_published_at`, and `PolicyVersionConflict` if its policy has made decisions.
    """
    shown = version.terms.page_published_at
    if version.version > 1 and version.effective_from is None:
        detail = Message("is required: only version 1 may be in force from the beginning")
        raise InvalidInput.at("/effective_from", detail)
    if shown and version.effective_from and version.effective_from < shown:
        detail = Message("must not be earlier than page_published_at")
        raise EffectiveTooEarly.at("/effective_from", detail, "too_early")
    if uow.versions.has_judged(version.policy_id):
        raise PolicyVersionConflict(
            Message(
                "The policy %(policy)s has made decisions, so its past cannot change: publish the version, with effect "
                "from now or later.",
                policy=version.policy_id,
            )
        )
    return version


def _version_before(uow: UnitOfWork, version: PolicyVersion) -> PolicyVersion | None:
    """Return the version in force before this one, or None; `InvalidInput` if its number or time does not follow on."""
    if version.policy_id not in uow.policies:
        policy_of([version])
        return None
    policy, records = uow.policies[version.policy_id], uow.policies.records(version.policy_id)
    withdrawn = {record.version for record in records if record.withdrawn_at is not None}
    others = [other for other in policy.versions if other.version != version.version]
    holding = policy_of([*others, version], withdrawn).effective_versions
    at = [other.version for other in holding].index(version.version)
    return holding[at - 1] if at else None


def _record(uow: UnitOfWork, version: PolicyVersion, *, imported: bool) -> RegisteredVersion:
    """Return a new record of a version, as registered now by the principal; it is not stored yet."""
    return RegisteredVersion(
        version_id=id_within(version.policy_id, version.version),
        policy=version.policy_id,
        version=version.version,
        registered_at=uow.now,
        registered_by=uow.principal.actor,
        imported=imported,
        effective_from=version.effective_from,
        terms=terms_data(version.terms),
        content_hash=_hash(version),
    )


def _hash(version: PolicyVersion) -> str:
    """Return a digest of a version's content, in hexadecimal.

    A term that came into the service later is left out where it has its default, so that older digests stay valid.
    """
    data, defaults = version_data(version), terms_data(Terms())
    for name in LATER_TERMS:
        if data["terms"][name] == defaults[name]:
            del data["terms"][name]
    return sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()
