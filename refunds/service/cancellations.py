"""Cancellations: issued on a contact, settled by billing, revoked where they should not have been."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ulid import ULID

from refunds.domain.eligibility import Decision, Facts, Reason
from refunds.domain.instants import end_of_day, local_date, zone
from refunds.domain.journal import EventType
from refunds.domain.permissions import Scope
from refunds.domain.policy import PolicyVersion
from refunds.domain.records import (
    Basis,
    Cancellation,
    Contact,
    Intent,
    OverrideKind,
    RevocationReason,
    State,
    UnsettleReason,
)
from refunds.domain.references import new_reference
from refunds.errors import (
    CancellationStateConflict,
    ContactStateConflict,
    Flaw,
    Forbidden,
    InvalidInput,
    NotFound,
    OrderFactsConflict,
)
from refunds.service import contacts, orders
from refunds.service.contacts import NewContact
from refunds.service.orders import AHEAD, Filed, OrderFacts
from refunds.service.work import Work
from refunds.storage import cancellations
from refunds.storage import contacts as stored_contacts
from refunds.storage.cancellations import CANCELLATIONS
from refunds.storage.contacts import CONTACTS
from refunds.storage.table import micros

OWN_REVOCATION = timedelta(minutes=15)
"""For how long whoever issued a cancellation may take it back."""


@dataclass(frozen=True, slots=True)
class Override:
    """What a supervisor puts in the place of a refusal, and why."""

    kind: OverrideKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A cancellation that is asked for: on an order and a contact, each stored (its id) or told now."""

    order: str | OrderFacts
    contact: str | NewContact
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """The order is cancelled."""

    cancellation: Cancellation


@dataclass(frozen=True, slots=True)
class Refused:
    """The order is not cancelled: by this decision, on this contact; `active` is the cancellation it already has."""

    decision: Decision
    contact: Contact
    active: Cancellation | None


def issue(work: Work, request: Request) -> Issued | Refused:
    """Cancel an order if it may be; a contact that is told now is kept either way.

    It is decided anew, on the present facts and the contact's own times. Raises `NotFound`, `InvalidInput`,
    `Forbidden` for an override without its scope, `ContactStateConflict`, and as `orders.register`.
    """
    if request.override is not None:
        work.principal.require(Scope.CANCELLATIONS_OVERRIDE)
    filed = _filed(work, request.order)
    if isinstance(request.contact, NewContact):
        try:
            contact, decision = contacts.add(work, filed, request.contact)
        except InvalidInput as error:
            raise error.under("/contact") from None
    else:
        contact, decision = _stored_contact(work, filed, request.contact)
    override = None
    if request.override is not None and filed.active is None and not decision.eligible:
        decision, override = _overridden(work, filed, decision, request.override)
    if override is None and not decision.eligible:
        return Refused(decision, contact, filed.active)
    return Issued(_issue(work, filed, contact, decision, override))


def foreseen(work: Work, contact_id: str) -> tuple[Contact, Filed, Decision]:
    """What would be decided if a cancellation were asked for on a stored contact now; nothing is recorded.

    Raises `NotFound`, and `ContactStateConflict` where none can be asked for on it.
    """
    filed = orders.find(work, contacts.get(work, contact_id).order_id)
    contact, decision = _stored_contact(work, filed, contact_id)
    return contact, filed, decision


def get(work: Work, cancellation_id: str) -> Cancellation:
    """The cancellation of this id; raises `NotFound`."""
    row = cancellations.by_id(work.tx, cancellation_id)
    if row is None:
        raise NotFound("there is no cancellation of this id")
    return CANCELLATIONS.read(row, work.vault(row))


def confirmation(work: Work, cancellation_id: str) -> tuple[Cancellation, Contact, PolicyVersion]:
    """A cancellation with its contact and the version that it rests on, to be confirmed.

    Raises `NotFound`, and `CancellationStateConflict` for one that was revoked: there is nothing to confirm.
    """
    cancellation = get(work, cancellation_id)
    if cancellation.state is State.REVOKED:
        raise CancellationStateConflict(f"The cancellation {cancellation_id} was revoked: there is none to confirm.")
    outcome = cancellation.decision["outcome"]
    version = work.policies[outcome["policy"]].version(outcome["version"])
    return cancellation, contacts.get(work, cancellation.contact_id), version


def listed(
    work: Work,
    *,
    after: tuple[int, str],
    limit: int,
    order_id: str | None,
    reference: str | None,
    state: State | None,
    overdue: bool,
) -> list[Cancellation]:
    """Up to `limit` cancellations after one, in the order in which they were issued, or are overdue."""
    rows = cancellations.listed(
        work.tx,
        after=after,
        limit=limit,
        order_id=order_id,
        reference=reference,
        state=state,
        overdue_at=micros(work.now) if overdue else None,
    )
    return [CANCELLATIONS.read(row, work.vault(row)) for row in rows]


def recent(work: Work, limit: int) -> list[Cancellation]:
    """Up to `limit` cancellations that whoever acts has issued, the newest first."""
    rows = cancellations.issued_by(work.tx, work.principal.actor, limit)
    return [CANCELLATIONS.read(row, work.vault(row)) for row in rows]


def place_of(cancellation: Cancellation) -> tuple[int, str]:
    """Where a cancellation stands in a list: the next page begins after it."""
    return micros(cancellation.overdue_at), cancellation.cancellation_id


def settle(work: Work, cancellation_id: str, settled_at: datetime | None, billing_ref: str) -> Cancellation:
    """Note that billing has refunded; the same settlement again changes nothing.

    Raises `NotFound`, `InvalidInput` for a time that cannot be, `CancellationStateConflict`.
    """
    cancellation, filed = _held(work, cancellation_id)
    if cancellation.state is State.SETTLED:
        if cancellation.billing_ref == billing_ref and settled_at in (None, cancellation.settled_at):
            return cancellation
        raise CancellationStateConflict(f"The cancellation {cancellation_id} is settled otherwise: undo that first.")
    _require_state(cancellation, State.ISSUED)
    at = settled_at or work.now
    if not cancellation.issued_at - AHEAD <= at <= work.now + AHEAD:
        detail = "must lie between the issue of the cancellation and now"
        raise InvalidInput([Flaw("/settled_at", detail, "impossible_time")])
    settled, digest = CANCELLATIONS.change(
        work.tx,
        cancellation,
        filed.vault,
        state=State.SETTLED,
        settled_at=at,
        settled_by=work.principal.actor,
        billing_ref=billing_ref,
    )
    work.enter(EventType.CANCELLATION_SETTLED, cancellation_id, filed.order.order_id, digest)
    return settled


def unsettle(work: Work, cancellation_id: str, reason: UnsettleReason) -> Cancellation:
    """Undo a settlement; where there is none, nothing changes. Raises `NotFound`, `CancellationStateConflict`."""
    cancellation, filed = _held(work, cancellation_id)
    if cancellation.state is State.ISSUED:
        return cancellation
    _require_state(cancellation, State.SETTLED)
    issued, digest = CANCELLATIONS.change(
        work.tx, cancellation, filed.vault, state=State.ISSUED, settled_at=None, settled_by=None, billing_ref=None
    )
    work.enter(EventType.CANCELLATION_UNSETTLED, cancellation_id, filed.order.order_id, digest, reason_code=reason)
    return issued


def revoke(work: Work, cancellation_id: str, code: RevocationReason, reason: str | None) -> Cancellation:
    """Take a cancellation back, so that the order may be cancelled anew; the same again changes nothing.

    Whoever issued it may for a quarter of an hour, others with their scope until it is settled. Where the customer
    withdrew, his requests are resolved; otherwise they are open again. Raises `NotFound`, `Forbidden`,
    `CancellationStateConflict`.
    """
    cancellation, filed = _held(work, cancellation_id)
    if not may_revoke(work, cancellation) and cancellation.revoked_by != work.principal.actor:
        raise Forbidden("Your own cancellations you may revoke for 15 minutes; ask a supervisor to revoke this one.")
    told_before = cancellation.revocation_code, cancellation.revocation_reason
    if cancellation.state is State.REVOKED and (code, reason) == told_before:
        return cancellation
    _require_state(cancellation, State.ISSUED)
    revoked, digest = CANCELLATIONS.change(
        work.tx,
        cancellation,
        filed.vault,
        state=State.REVOKED,
        revocation_code=code,
        revocation_reason=reason,
        revoked_at=work.now,
        revoked_by=work.principal.actor,
    )
    work.enter(EventType.CANCELLATION_REVOKED, cancellation_id, filed.order.order_id, digest, reason_code=code)
    stored_contacts.reopen_all(work.tx, filed.order.order_id)
    if code is RevocationReason.CUSTOMER_WITHDREW:
        for row in stored_contacts.of_order(work.tx, filed.order.order_id):
            contact = CONTACTS.read(row, filed.vault)
            if contact.is_open:
                contacts.settle(work, filed, contact, code)
    return revoked


def may_revoke(work: Work, cancellation: Cancellation) -> bool:
    """Whether whoever acts may revoke a cancellation that is not settled: with the scope, or his own, soon after."""
    own = cancellation.issued_by == work.principal.actor and work.now - cancellation.issued_at <= OWN_REVOCATION
    return own or work.principal.may(Scope.CANCELLATIONS_REVOKE)


def _filed(work: Work, order: str | OrderFacts) -> Filed:
    """The order that is to be cancelled, registered if its facts are told, and held."""
    if isinstance(order, str):
        return orders.file(work, order)
    try:
        return orders.register(work, order)[0]
    except (InvalidInput, OrderFactsConflict) as error:
        raise error.under("/order") from None


def _stored_contact(work: Work, filed: Filed, contact_id: str) -> tuple[Contact, Decision]:
    """A contact that asks for a cancellation of this order, and what is decided on it now."""
    contact = contacts.get(work, contact_id)
    if contact.order_id != filed.order.order_id:
        raise InvalidInput([Flaw("/contact_id", "must be the id of a contact about this order", "unknown_contact")])
    if contact.superseded_by is not None:
        raise ContactStateConflict(f"The contact {contact_id} has been superseded by {contact.superseded_by}.")
    if contact.intent is not Intent.CANCEL:
        raise ContactStateConflict("The contact does not ask for a cancellation: record one that supersedes it.")
    if contact.resolved_at is not None:
        raise ContactStateConflict("The contact has been resolved: record the customer's new one.")
    told = contact.decision["facts"]
    facts = Facts(
        service_provided_at=filed.order.service_provided_at,
        received_at=contact.received_at,
        sent_at=contact.sent_at,
        recorded_at=contact.recorded_at,
        channel=contact.channel,
        contact_point=contact.contact_point,
        cancelled=filed.active is not None,
        entered_by_supervisor=told["entered_by_supervisor"],
    )
    return contact, orders.decided(work, filed.order, facts)


def _overridden(work: Work, filed: Filed, decision: Decision, override: Override) -> tuple[Decision, Override | None]:
    """The decision that counts with an override, and the override if it was of use."""
    if override.kind is OverrideKind.GOODWILL:
        return decision, override
    if decision.reason is not Reason.UNOFFICIAL_CONTACT_POINT:
        return decision, None
    accepted = orders.decided(work, filed.order, replace(decision.facts, contact_point_accepted=True))
    return accepted, override if accepted.eligible else None


def _issue(work: Work, filed: Filed, contact: Contact, decision: Decision, override: Override | None) -> Cancellation:
    goodwill = override is not None and override.kind is OverrideKind.GOODWILL
    terms, record = decision.version.terms, decision.record()
    tz = zone(terms.time_zone)
    due_by = local_date(work.now, tz) + timedelta(days=terms.refund_due_days)
    cancellation = Cancellation(
        cancellation_id=f"can_{ULID()}",
        reference=_free_reference(work),
        order_id=filed.order.order_id,
        contact_id=contact.contact_id,
        decision=record,
        basis=Basis.GOODWILL if goodwill else Basis.POLICY,
        state=State.ISSUED,
        issued_at=work.now,
        issued_by=work.principal.actor,
        refund_due_by=due_by,
        overdue_at=end_of_day(due_by, tz),
        override_kind=override.kind if override else None,
        override_reason=override.reason if override else None,
        override_by=work.principal.actor if override else None,
    )
    digest = CANCELLATIONS.insert(work.tx, cancellation, filed.vault)
    stored_contacts.close_all(work.tx, filed.order.order_id)
    work.enter(
        EventType.CANCELLATION_ISSUED,
        cancellation.cancellation_id,
        filed.order.order_id,
        digest,
        reference=cancellation.reference,
        contact_id=contact.contact_id,
        basis=cancellation.basis,
        reason=record["outcome"]["reason"],
        override_kind=cancellation.override_kind,
        refund_due_by=due_by.isoformat(),
    )
    return cancellation


def _free_reference(work: Work) -> str:
    """A reference that nobody has yet; the unique index is what holds it to that."""
    while cancellations.is_taken(work.tx, reference := new_reference()):
        pass
    return reference


def _held(work: Work, cancellation_id: str) -> tuple[Cancellation, Filed]:
    """A cancellation, and its order, held; raises `NotFound`."""
    filed = orders.file(work, get(work, cancellation_id).order_id)
    return get(work, cancellation_id), filed  # read again, now that nobody else can change it


_MEND = {
    State.ISSUED: "it is not settled",
    State.SETTLED: "undo the settlement first",
    State.REVOKED: "nothing more can be done with it; the order may be cancelled anew",
}


def _require_state(cancellation: Cancellation, needed: State) -> None:
    name, state = cancellation.cancellation_id, cancellation.state
    if state is not needed:
        raise CancellationStateConflict(
            f"The cancellation {name} is {state}, and would have to be {needed}: {_MEND[state]}."
        )
