"""Records as plain data, as the API returns them; their decisions with texts in the reader's language."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from refunds.domain.holidays_data import is_provisional
from refunds.domain.instants import format_instant, format_known, format_local, zone
from refunds.domain.journal import Event
from refunds.domain.records import Cancellation, Closure, Contact, Promise, RegisteredVersion
from refunds.domain.references import format_reference
from refunds.domain.standings import Standing
from refunds.domain.unmatched import UnmatchedContact
from refunds.domain.withdrawals import InformationPeriod
from refunds.presentation.decisions import day_data, decision_data
from refunds.presentation.language import translate
from refunds.presentation.texts.decisions import information_text
from refunds.presentation.texts.policies import differences_data
from refunds.service.evidence import Evidence
from refunds.service.simulation import Example, Flip, Simulation, Tally
from refunds.storage.inspection import Link


def order_data(standing: Standing) -> dict[str, Any]:
    """An order as the API returns it, with its instants as text in UTC."""
    order, promise = standing.order, standing.promise
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "customer_ref": order.customer_ref,
        "policy": order.policy,
        "region": order.region,
        "ordered_at": format_known(order.ordered_at),
        "service_provided_at": format_known(order.service_provided_at),
        "state": standing.state,
        "promise": None if promise is None else _promise_data(promise),
        "registered_at": format_known(order.registered_at),
        "asserted_by": order.asserted_by,
        "revision": order.revision,
        "correction_reason": order.correction_reason,
        "facts_entered_by_agent": bool(order.facts_entered_by_agent),
        "facts_corrected_after_refusal": bool(order.facts_corrected_after_refusal),
    }


def _promise_data(promise: Promise) -> dict[str, Any]:
    told, window = promise.told, promise.told.window
    return {
        "service_day": window.service_day.isoformat(),
        "length": window.length,
        "last_day": window.last_day.isoformat(),
        "deadline": format_instant(told.deadline),
        "deadline_local": format_local(told.deadline, zone(told.time_zone)),
        "time_zone": told.time_zone,
        "provisional": is_provisional(told.region, window.last_day),
        "promised_at": format_instant(promise.promised_at),
    }


def details_data(contact: Contact | UnmatchedContact) -> dict[str, Any]:
    """How and when a customer made contact, and what was noted."""
    return {
        "intent": contact.intent,
        "channel": contact.channel,
        "sent_at": format_known(contact.sent_at),
        "received_at": format_known(contact.received_at),
        "recorded_at": format_known(contact.recorded_at),
        "recorded_by": contact.recorded_by,
        **{name: getattr(contact, name) for name in ("contact_point", "from_detail", "ticket_ref", "note", "taken_by")},
    }


def unmatched_data(contact: UnmatchedContact) -> dict[str, Any]:
    """An unmatched contact as the API returns it."""
    return {
        "unmatched_id": contact.unmatched_id,
        "request_number": contact.number,
        "order_hint": contact.order_hint,
        **details_data(contact),
        "open": contact.is_open,
        "contact_id": contact.contact_id,
        "supersedes": contact.supersedes,
        "superseded_by": contact.superseded_by,
        "acknowledgement": _acknowledgement_data(contact),
        "resolution": None
        if contact.closed_at is None
        else {
            "reason": contact.closed_reason,
            "resolved_at": format_known(contact.closed_at),
            "resolved_by": contact.closed_by,
        },
    }


def _acknowledgement_data(contact: Contact | UnmatchedContact) -> dict[str, Any] | None:
    if contact.acknowledged_at is None:
        return None
    return {
        "given_at": format_known(contact.acknowledged_at),
        "given_by": contact.acknowledged_by,
        "channel": contact.acknowledged_through,
        "to": contact.acknowledged_to,
    }


def contact_data(contact: Contact) -> dict[str, Any]:
    """A contact as the API returns it, with the recorded decision, whose texts are in the reader's language.

    Without an acknowledgement or a resolution, each of these is None.
    """
    resolution = None
    if contact.resolved_at is not None:
        resolution = {
            "reason_code": contact.resolution_code,
            "reason": contact.resolution_reason,
            "duplicate_of": contact.duplicate_of,
            "resolved_at": format_known(contact.resolved_at),
            "resolved_by": contact.resolved_by,
        }
    return {
        "contact_id": contact.contact_id,
        "order_id": contact.order_id,
        **details_data(contact),
        "supersedes": contact.supersedes,
        "superseded_by": contact.superseded_by,
        "open": contact.is_open,
        "backdated": contact.backdated,
        "request_number": contact.number,
        "acknowledgement": _acknowledgement_data(contact),
        "resolution": resolution,
        "decision": decision_data(contact.outcome, contact.decision.facts.request),
    }


def cancellation_data(cancellation: Cancellation) -> dict[str, Any]:
    """A cancellation as the API returns it, with the recorded decision, whose texts are in the reader's language.

    Without an override, refund, settlement or revocation, each of these is None.
    """
    override = refund = settlement = revocation = None
    if cancellation.override_kind is not None:
        override = {
            "kind": cancellation.override_kind,
            "reason": cancellation.override_reason,
            "approved_by": cancellation.override_by,
        }
    if cancellation.refund_begun_at is not None:
        refund = {
            "begun_at": format_known(cancellation.refund_begun_at),
            "begun_by": cancellation.refund_begun_by,
            "billing_ref": cancellation.billing_ref,
        }
    if cancellation.settled_at is not None:
        settlement = {
            "settled_at": format_known(cancellation.settled_at),
            "settled_by": cancellation.settled_by,
            "billing_ref": cancellation.billing_ref,
        }
    if cancellation.revoked_at is not None:
        revocation = {
            "reason_code": cancellation.revocation_code,
            "reason": cancellation.revocation_reason,
            "revoked_at": format_known(cancellation.revoked_at),
            "revoked_by": cancellation.revoked_by,
        }
    return {
        "cancellation_id": cancellation.cancellation_id,
        "reference": format_reference(cancellation.reference),
        "order_id": cancellation.order_id,
        "contact_id": cancellation.contact_id,
        "state": cancellation.state,
        "basis": cancellation.basis,
        "issued_at": format_known(cancellation.issued_at),
        "issued_by": cancellation.issued_by,
        "refund_due_by": cancellation.refund_due_by.isoformat(),
        "override": override,
        "refund": refund,
        "settlement": settlement,
        "revocation": revocation,
        "decision": decision_data(cancellation.outcome, cancellation.decision.facts.request),
    }


def registered_data(record: RegisteredVersion) -> dict[str, Any]:
    """A registered version of a policy as the API returns it, with its terms."""
    return {
        "policy": record.policy,
        "version": record.version,
        "effective_from": format_known(record.effective_from),
        "registered_at": format_instant(record.registered_at),
        "registered_by": record.registered_by,
        "imported": record.imported,
        "withdrawn_at": format_known(record.withdrawn_at),
        "withdrawn_by": record.withdrawn_by,
        "content_hash": record.content_hash,
        "terms": {name: _term_data(value) for name, value in record.terms.items()},
    }


def _term_data(value: Any) -> Any:
    """A term as the API returns it: the statutory week is a list too, so that a week has one type."""
    return ["country"] if value == "country" else value


def closure_data(closure: Closure) -> dict[str, Any]:
    """A closure that was entered, as the API returns it."""
    return {
        "closure_id": closure.closure_id,
        "policy": closure.policy,
        "date": closure.date.isoformat(),
        "reason": {"de": closure.reason_de, "en": closure.reason_en},
        "entered_at": format_instant(closure.entered_at),
        "entered_by": closure.entered_by,
    }


def event_data(event: Event) -> dict[str, Any]:
    """An event as the API returns it; its `data` is a fragment of JSON that only orjson can write."""
    return {
        "position": event.position,
        "type": event.type,
        "at": format_instant(event.at),
        "actor": event.actor,
        "subject": event.subject,
        "order_id": event.order_id,
        "data": orjson.Fragment(event.data),
    }


def information_data(period: InformationPeriod | None, at: datetime) -> dict[str, Any] | None:
    """The information period as the API returns it at an instant; None if it is not known."""
    if period is None:
        return None
    last_day = period.last_day.isoformat()
    return {"last_day": last_day, "has_ended": period.has_ended(at), "text": information_text(period)}


def promise_on_record_data(promise: Promise) -> dict[str, Any]:
    """A promise as the evidence has it: whole, and why it was made."""
    told = promise.told
    return {
        "promise_id": promise.promise_id,
        "cause": promise.cause,
        "promised_by": promise.promised_by,
        "current": promise.is_current,
        **_promise_data(promise),
        "days": [day_data(day, told) for day in told.days],
        "region": told.region,
        "holidays_version": promise.holidays_version,
        "tzdata_version": promise.tzdata_version,
    }


def evidence_data(evidence: Evidence) -> dict[str, Any]:
    """The evidence as the API returns it: all records about an order, its events, and whether all is as written.

    Its texts are in the reader's language. Only orjson can write it, because of its events.
    """
    return {
        "order": None if evidence.standing is None else order_data(evidence.standing),
        "promises": [promise_on_record_data(promise) for promise in evidence.promises],
        "contacts": [contact_data(contact) for contact in evidence.contacts],
        "unmatched_contacts": [unmatched_data(contact) for contact in evidence.unmatched],
        "cancellations": [cancellation_data(cancellation) for cancellation in evidence.cancellations],
        "policy_versions": [registered_data(version) for version in evidence.versions],
        "closures": [closure_data(closure) for closure in evidence.closures],
        "journal": [_link_data(link) for link in evidence.journal],
        "proof": {
            "sound": not evidence.broken,
            "broken": list(map(translate, evidence.broken)),
            "checked_at": format_instant(evidence.checked_at),
        },
    }


def _link_data(link: Link) -> dict[str, Any]:
    """An event as the API returns it, with its links in the journal in hexadecimal.

    `anchor` is the checkpoint up to which the journal was followed from here; None if up to its end. Only orjson can
    write it.
    """
    event, checkpoint = link
    return event_data(event) | {
        "digest": event.digest.hex(),
        "previous": event.previous.hex(),
        "hash": event.hash.hex(),
        "anchor": checkpoint
        and {"position": checkpoint.position, "hash": checkpoint.hash.hex(), "at": format_instant(checkpoint.at)},
    }


def simulation_data(found: Simulation) -> dict[str, Any]:
    """A simulation as the API returns it, with its differences in words in the reader's language."""
    total = found.total
    return {
        "policy": found.draft.policy_id,
        "version": found.draft.version,
        "compared_with": found.compared_with.version,
        "differences": _differences(found),
        "orders": {
            "judged": total.orders,
            "longer": total.longer,
            "shorter": total.shorter,
            "not_provided": found.not_provided,
            **{str(flip): found.orders_flipped[flip] for flip in Flip},
        },
        "contacts": {"judged": total.contacts, "to_eligible": total.to_eligible, "to_refused": total.to_refused},
        "by_month": _listed("month", found.by_month),
        "by_channel": [
            {name: row[name] for name in ("channel", "contacts", "to_eligible", "to_refused")}
            for row in _listed("channel", found.by_channel)
        ],
        "by_region": _listed("region", found.by_region),
        "examples": {
            str(flip): [_example_data(example) for example in examples] for flip, examples in found.examples.items()
        },
        "coarse": found.is_coarse,
        "undecided": dict(found.undecided),
    }


def _differences(found: Simulation) -> list[dict[str, str]]:
    """The differences between the draft and the version that it is compared with, by term and in words."""
    return differences_data(found.differences, found.draft.terms.time_zone)


def _listed(key: str, tallies: Mapping[str, Tally]) -> list[dict[str, Any]]:
    """Tallies as a list, sorted by name; each has its name at `key`."""
    return [{key: name} | asdict(tally) for name, tally in sorted(tallies.items())]


def _example_data(example: Example) -> dict[str, Any]:
    before, after = example.before, example.after
    return {
        "order_id": example.order_id,
        "contact_id": example.contact_id,
        "channel": after.channel,
        "region": after.region,
        "requested_at": format_known(before.requested_at),
        "reason_before": before.reason,
        "reason_after": after.reason,
        "deadline_before": format_known(before.deadline),
        "deadline_after": format_known(after.deadline),
    }
