"""Evidence: everything stored about an order, with the clause of the time, and proof that nothing was changed."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from refunds.domain.journal import EventType
from refunds.domain.outcomes import RecordedDecision
from refunds.domain.permissions import Scope
from refunds.domain.records import ACTIVE, Cancellation, Closure, Contact, Order, Promise, RegisteredVersion, id_within
from refunds.domain.standings import Standing
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import CallersError, Message, Unreadable
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.inspection import Link
from refunds.storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything stored about an order; `broken` lists what is not as it was written.

    `standing` is None if the order cannot be read. `unmatched` are those of its contacts that were recorded before
    their order was known, emptied.
    """

    order_id: str
    standing: Standing | None
    promises: list[Promise]
    contacts: list[Contact]
    unmatched: list[UnmatchedContact]
    cancellations: list[Cancellation]
    versions: list[RegisteredVersion]
    closures: list[Closure]
    journal: list[Link]
    broken: list[Message]
    checked_at: datetime


def show(uow: UnitOfWork, order_id: str, checkpoints: Iterable[Checkpoint]) -> Evidence:
    """Return the evidence on an order; note an event that the principal saw it, if they may see personal fields.

    Raises `OrderNotFound` if there neither is nor was such an order.
    """
    found = gather(uow, order_id, checkpoints)
    if uow.principal.may(Scope.PERSONAL_READ):
        uow.events.note(EventType.PRIVACY_EVIDENCE_SHOWN, order_id, {})
    return found


def gather(uow: UnitOfWork, order_id: str, checkpoints: Iterable[Checkpoint]) -> Evidence:
    """Return the evidence on an order, checked against the journal and the checkpoints; nothing is stored.

    Personal fields that the principal may not see are None. Raises `OrderNotFound` if there never was such an order.
    """
    checkpointed = list(checkpoints)  # before the journal is read: it only grows
    found = uow.inspect(order_id)
    decisions = [*(one.decision for one in found.contacts), *(one.decision for one in found.cancellations)]
    ids = _judged_by(uow, found.order, decisions)
    versions, closures = found.versions_and_closures(ids)
    journal, broken = found.follow(checkpointed, ids)
    promise = next((one for one in found.promises if one.is_current), None)
    active = next((one.state for one in found.cancellations if one.state in ACTIVE), None)
    is_open = any(one.is_open for one in found.contacts)
    standing = Standing(found.order, promise, uow.now, active, is_open) if found.order else None
    records = found.promises, found.contacts, found.unmatched, found.cancellations, versions, closures
    return Evidence(order_id, standing, *records, journal, broken, uow.now)


def _judged_by(uow: UnitOfWork, order: Order | None, decisions: Iterable[RecordedDecision]) -> set[str]:
    """Return the ids of the versions and closures that decisions used, and of the version that judges the order now.

    The latter is left out without an order, if no version is in force for it, or if the policies cannot be read.
    """
    used = set()
    if order is not None:
        with suppress(CallersError, Unreadable):  # none is in force, or the policies cannot be read
            now = uow.policies[order.policy].applicable(uow.now, order.service_provided_at, order.ordered_at)
            used.add(id_within(now.policy_id, now.version))
    for decision in decisions:
        versions = decision.outcome.version, decision.contact_version
        names = *versions, *decision.closures, *decision.closures_too_late
        used |= {id_within(decision.outcome.policy, name) for name in names}
    return used
