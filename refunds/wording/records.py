"""Records as they are read: plain data, as the API answers them, their decisions with texts in a language."""

from typing import Any

import orjson

from refunds.instants import format_instant, format_known
from refunds.journal import Event
from refunds.records import Cancellation, Closure, Contact, Order, RegisteredVersion, spoken
from refunds.wording import decision_data


def order_data(order: Order) -> dict[str, Any]:
    """An order as it is answered."""
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "customer_ref": order.customer_ref,
        "policy": order.policy,
        "region": order.region,
        "ordered_at": format_known(order.ordered_at),
        "service_provided_at": format_known(order.service_provided_at),
        "registered_at": format_known(order.registered_at),
        "asserted_by": order.asserted_by,
        "revision": order.revision,
        "correction_reason": order.correction_reason,
    }


def contact_data(contact: Contact, language: str) -> dict[str, Any]:
    """A contact as it is answered."""
    return {
        "contact_id": contact.contact_id,
        "order_id": contact.order_id,
        "intent": contact.intent,
        "channel": contact.channel,
        "sent_at": format_known(contact.sent_at),
        "received_at": format_known(contact.received_at),
        "recorded_at": format_known(contact.recorded_at),
        "recorded_by": contact.recorded_by,
        "contact_point": contact.contact_point,
        "from_detail": contact.from_detail,
        "ticket_ref": contact.ticket_ref,
        "note": contact.note,
        "supersedes": contact.supersedes,
        "superseded_by": contact.superseded_by,
        "open": contact.is_open,
        "backdated": contact.backdated,
        "resolution": None
        if contact.resolved_at is None
        else {
            "reason": contact.resolution_reason,
            "resolved_at": format_known(contact.resolved_at),
            "resolved_by": contact.resolved_by,
        },
        "decision": decision_data(contact.outcome, language),
    }


def cancellation_data(cancellation: Cancellation, language: str) -> dict[str, Any]:
    """A cancellation as it is answered."""
    override = settlement = revocation = None
    if cancellation.override_kind is not None:
        override = {
            "kind": cancellation.override_kind,
            "reason": cancellation.override_reason,
            "by": cancellation.override_by,
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
        "reference": spoken(cancellation.reference),
        "order_id": cancellation.order_id,
        "contact_id": cancellation.contact_id,
        "state": cancellation.state,
        "basis": cancellation.basis,
        "issued_at": format_known(cancellation.issued_at),
        "issued_by": cancellation.issued_by,
        "refund_due_by": cancellation.refund_due_by.isoformat(),
        "override": override,
        "settlement": settlement,
        "revocation": revocation,
        "decision": decision_data(cancellation.outcome, language),
    }


def registered_data(record: RegisteredVersion) -> dict[str, Any]:
    """A version as it is answered."""
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
        "terms": record.terms,
    }


def closure_data(closure: Closure) -> dict[str, Any]:
    """A closure as it is answered."""
    return {
        "closure_id": closure.closure_id,
        "policy": closure.policy,
        "date": closure.date.isoformat(),
        "reason": {"de": closure.reason_de, "en": closure.reason_en},
        "entered_at": format_instant(closure.entered_at),
        "entered_by": closure.entered_by,
    }


def event_data(event: Event) -> dict[str, Any]:
    """An event as it is answered."""
    return {
        "position": event.position,
        "type": event.type,
        "at": format_instant(event.at),
        "actor": event.actor,
        "subject": event.subject,
        "order_id": event.order_id,
        "data": orjson.Fragment(event.data),
    }
