"""The journal: what happened to the records, in one gap-free chain; pure.

Each entry's hash covers the entry and the hash before it, under a key. So nobody can edit, swap, insert or remove
entries in the middle unnoticed. Nothing personal, and nothing derived from it, ever enters, so erasing a customer
leaves the journal whole. An entry carries a digest of the plain columns of its record.
"""

import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson

from refunds.domain.instants import format_instant
from refunds.domain.records import id_within
from refunds.security.encryption import keyed_digest


class EventType(StrEnum):
    """The types of events."""

    ORDER_REGISTERED = "order.registered"
    ORDER_CORRECTED = "order.corrected"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_PROMISED = "order.promised"
    ORDER_FORGOTTEN = "order.forgotten"
    CONTACT_RECORDED = "contact.recorded"
    CONTACT_SUPERSEDED = "contact.superseded"
    CONTACT_RESOLVED = "contact.resolved"
    CONTACT_REOPENED = "contact.reopened"
    CONTACT_ASSIGNED = "contact.assigned"
    CONTACT_ACKNOWLEDGED = "contact.acknowledged"
    CONTACT_COMPLETED = "contact.completed"
    CONTACT_EMPTIED = "contact.emptied"
    CONTACT_DETAILS_FORGOTTEN = "contact.details_forgotten"
    CONTACT_UNMATCHED_RECORDED = "contact.unmatched_recorded"
    CONTACT_UNMATCHED_COMPLETED = "contact.unmatched_completed"
    CONTACT_UNMATCHED_SUPERSEDED = "contact.unmatched_superseded"
    CONTACT_UNMATCHED_ACKNOWLEDGED = "contact.unmatched_acknowledged"
    CONTACT_UNMATCHED_RESOLVED = "contact.unmatched_resolved"
    CONTACT_UNMATCHED_REOPENED = "contact.unmatched_reopened"
    CONTACT_UNMATCHED_ASSIGNED = "contact.unmatched_assigned"
    CONTACT_UNMATCHED_EMPTIED = "contact.unmatched_emptied"
    CONTACT_UNMATCHED_FORGOTTEN = "contact.unmatched_forgotten"
    CONTACT_MATCHED = "contact.matched"
    CANCELLATION_ISSUED = "cancellation.issued"
    CANCELLATION_REFUND_BEGUN = "cancellation.refund_begun"
    CANCELLATION_REFUND_FAILED = "cancellation.refund_failed"
    CANCELLATION_SETTLED = "cancellation.settled"
    CANCELLATION_UNSETTLED = "cancellation.unsettled"
    CANCELLATION_REVOKED = "cancellation.revoked"
    CUSTOMER_ERASED = "customer.erased"
    CUSTOMER_HELD = "customer.held"
    CUSTOMER_HOLD_LIFTED = "customer.hold_lifted"
    CUSTOMER_RECTIFIED = "customer.rectified"
    CUSTOMER_RESTRICTED = "customer.restricted"
    CUSTOMER_RESTRICTION_LIFTED = "customer.restriction_lifted"
    CUSTOMER_OBJECTED = "customer.objected"
    CUSTOMER_OBJECTION_LIFTED = "customer.objection_lifted"
    DATA_REQUEST_OPENED = "data_request.opened"
    DATA_REQUEST_IDENTITY_CHECKED = "data_request.identity_checked"
    DATA_REQUEST_EXTENDED = "data_request.extended"
    DATA_REQUEST_FEE_NOTED = "data_request.fee_noted"
    DATA_REQUEST_CLOSED = "data_request.closed"
    PRIVACY_DISCLOSED = "privacy.disclosed"
    PRIVACY_EXPORTED = "privacy.exported"
    PRIVACY_EVIDENCE_SHOWN = "privacy.evidence_shown"
    PRIVACY_TABLE_EXPORTED = "privacy.table_exported"
    STATISTICS_CLOSED = "statistics.closed"
    PRIVACY_FORGOTTEN = "privacy.forgotten"
    POLICY_IMPORTED = "policy.imported"
    POLICY_PUBLISHED = "policy.published"
    POLICY_WITHDRAWN = "policy.withdrawn"
    CLOSURE_ADDED = "closure.added"
    CALENDAR_CHANGED = "calendar.changed"
    CLIENT_CREATED = "access.client_created"
    CLIENT_FORGOTTEN = "access.client_forgotten"
    TOKEN_CREATED = "access.token_created"  # noqa: S105 - no secret
    TOKEN_REVOKED = "access.token_revoked"  # noqa: S105 - no secret
    USER_CREATED = "access.user_created"
    USER_RESET = "access.user_reset"
    USER_DISABLED = "access.user_disabled"
    USER_FORGOTTEN = "access.user_forgotten"
    USER_SIGNED_OUT = "access.user_signed_out"
    USER_PASSWORD_CHANGED = "access.user_password_changed"  # noqa: S105 - no secret
    SESSION_ENDED = "access.session_ended"
    AUDIT_ACCEPTED = "audit.accepted"
    AUDIT_CLOCK_CONFIRMED = "audit.clock_confirmed"
    AUDIT_KEYS_ROTATED = "audit.keys_rotated"


FOR_AUDITORS = tuple(
    event for event in EventType if event.startswith(("access.", "audit.", "data_request.", "privacy."))
)
"""Events that only auditors may read in the feed."""

ABOUT_POLICIES = tuple(event for event in EventType if event.startswith(("policy.", "closure.")))
"""Events after which decisions may differ."""

ENDING_SESSIONS = (
    EventType.USER_RESET,
    EventType.USER_DISABLED,
    EventType.USER_FORGOTTEN,
    EventType.USER_SIGNED_OUT,
    EventType.SESSION_ENDED,
)
"""Events after which no earlier session of the user is valid, or not the one that is their subject."""

EMPTYING = (EventType.CONTACT_EMPTIED, EventType.CONTACT_UNMATCHED_EMPTIED)
"""Events after which the personal fields of a contact that they name are empty, whatever is restored."""

FORGETTING = (EventType.ORDER_FORGOTTEN, EventType.CONTACT_UNMATCHED_FORGOTTEN, EventType.PRIVACY_FORGOTTEN)
"""Events after which the records that they name are gone, because their time was over."""

WITHOUT_RECORD = {
    *FORGETTING,
    EventType.CUSTOMER_ERASED,
    EventType.PRIVACY_EXPORTED,
    EventType.PRIVACY_EVIDENCE_SHOWN,
    EventType.PRIVACY_TABLE_EXPORTED,
    EventType.CUSTOMER_RECTIFIED,
    EventType.CALENDAR_CHANGED,
    EventType.SESSION_ENDED,
    EventType.AUDIT_ACCEPTED,
    EventType.AUDIT_CLOCK_CONFIRMED,
    EventType.AUDIT_KEYS_ROTATED,
}
"""Events about no record: what they say is in their data alone."""

GENESIS = bytes(32)
"""The hash before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that happened to the record `subject` (the id of an order, contact, policy version, client, …)."""

    type: EventType
    subject: str
    order_id: str | None
    digest: bytes
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry at its place in the journal. `data` is stored as the text that was hashed."""

    position: int
    type: str
    at: datetime
    actor: str
    subject: str
    order_id: str | None
    data: str
    digest: bytes
    previous: bytes
    hash: bytes


def chained(entry: Entry, key: bytes, at: datetime, actor: str, *, position: int, previous: bytes) -> Event:
    """The event of an entry at a position, after the event with the hash `previous`; its hash is made with `key`."""
    event = Event(
        position=position,
        type=entry.type,
        at=at,
        actor=actor,
        subject=entry.subject,
        order_id=entry.order_id,
        data=orjson.dumps(entry.data).decode(),
        digest=entry.digest,
        previous=previous,
        hash=b"",
    )
    return _with_hash(event, key)


def is_sound(event: Event, key: bytes, position: int, previous: bytes) -> bool:
    """Whether an event is the one that was chained with `key` at this position, after this hash."""
    if event.position != position or event.previous != previous:
        return False
    return hmac.compare_digest(_with_hash(event, key).hash, event.hash)


def emptied_by(event: Event) -> set[str]:
    """The customer whom an event erased, or the fields that it emptied, each as `record/field`; else nothing."""
    if event.type in (*EMPTYING, EventType.CONTACT_DETAILS_FORGOTTEN):
        with suppress(ValueError, TypeError, LookupError):  # it need not be sound
            return {id_within(event.subject, name) for name in orjson.loads(event.data)["fields"]}
    return {event.subject} if event.type == EventType.CUSTOMER_ERASED else set()


def forgotten_by(event: Event) -> set[tuple[str, str]]:
    """The table and the id of each record that is gone since an event; nothing if none is."""
    if event.type in FORGETTING:
        with suppress(ValueError, TypeError, LookupError, AttributeError):  # it need not be sound
            records = orjson.loads(event.data)["records"]
            return {(table, one) for table, ids in records.items() for one in ids}
    return set()


def record_digest(table: str, columns: Mapping[str, Any]) -> bytes:
    """A digest of a record's plain columns as they are stored, bytes as hexadecimal digits."""
    payload = orjson.dumps([table, columns], default=bytes.hex, option=orjson.OPT_SORT_KEYS)
    return sha256(payload).digest()


def _with_hash(event: Event, key: bytes) -> Event:
    """The event with its hash, which covers all the rest of it."""
    order = () if event.order_id is None else (event.order_id.encode(),)
    payload = (
        event.previous,
        str(event.position).encode(),
        event.type.encode(),
        format_instant(event.at).encode(),
        event.actor.encode(),
        event.subject.encode(),
        event.data.encode(),
        event.digest,
        *order,
    )
    return replace(event, hash=keyed_digest(key, *payload))
