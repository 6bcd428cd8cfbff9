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
from typing import Any, Self

import orjson

from refunds.domain.instants import format_instant
from refunds.domain.records import id_within
from refunds.errors import Message
from refunds.security.encryption import keyed_digest


class EventType(StrEnum):
    """The types of events, each with what happened in a few words."""

    words: Message

    def __new__(cls, value: str, words: Message) -> Self:
        """Return the type that is stored as `value`, with its words."""
        event = str.__new__(cls, value)
        event._value_, event.words = value, words
        return event

    ORDER_REGISTERED = "order.registered", Message("order registered")
    ORDER_CORRECTED = "order.corrected", Message("order corrected")
    ORDER_CONFIRMED = "order.confirmed", Message("order confirmed by billing")
    ORDER_PROMISED = "order.promised", Message("window promised")
    ORDER_FORGOTTEN = "order.forgotten", Message("order forgotten")
    CONTACT_RECORDED = "contact.recorded", Message("contact recorded")
    CONTACT_SUPERSEDED = "contact.superseded", Message("contact superseded")
    CONTACT_RESOLVED = "contact.resolved", Message("contact resolved")
    CONTACT_REOPENED = "contact.reopened", Message("contact reopened")
    CONTACT_ASSIGNED = "contact.assigned", Message("contact taken or given back")
    CONTACT_ACKNOWLEDGED = "contact.acknowledged", Message("customer answered")
    CONTACT_COMPLETED = "contact.completed", Message("contact completed")
    CONTACT_EMPTIED = "contact.emptied", Message("contact emptied")
    CONTACT_DETAILS_FORGOTTEN = "contact.details_forgotten", Message("note and ticket forgotten")
    CONTACT_UNMATCHED_RECORDED = "contact.unmatched_recorded", Message("contact recorded without its order")
    CONTACT_UNMATCHED_COMPLETED = "contact.unmatched_completed", Message("contact without an order completed")
    CONTACT_UNMATCHED_SUPERSEDED = "contact.unmatched_superseded", Message("contact without an order superseded")
    CONTACT_UNMATCHED_ACKNOWLEDGED = "contact.unmatched_acknowledged", Message("customer answered, without an order")
    CONTACT_UNMATCHED_RESOLVED = "contact.unmatched_resolved", Message("contact without an order resolved")
    CONTACT_UNMATCHED_REOPENED = "contact.unmatched_reopened", Message("contact without an order reopened")
    CONTACT_UNMATCHED_ASSIGNED = "contact.unmatched_assigned", Message("contact without an order taken or given back")
    CONTACT_UNMATCHED_EMPTIED = "contact.unmatched_emptied", Message("contact without an order emptied")
    CONTACT_UNMATCHED_FORGOTTEN = "contact.unmatched_forgotten", Message("contact without an order forgotten")
    CONTACT_MATCHED = "contact.matched", Message("contact matched to its order")
    CANCELLATION_ISSUED = "cancellation.issued", Message("cancellation issued")
    CANCELLATION_REFUND_BEGUN = "cancellation.refund_begun", Message("refund begun")
    CANCELLATION_REFUND_FAILED = "cancellation.refund_failed", Message("refund failed")
    CANCELLATION_SETTLED = "cancellation.settled", Message("refund settled")
    CANCELLATION_UNSETTLED = "cancellation.unsettled", Message("settlement undone")
    CANCELLATION_REVOKED = "cancellation.revoked", Message("cancellation revoked")
    CUSTOMER_ERASED = "customer.erased", Message("customer erased")
    CUSTOMER_HELD = "customer.held", Message("legal hold on a customer")
    CUSTOMER_HOLD_LIFTED = "customer.hold_lifted", Message("legal hold lifted")
    CUSTOMER_RECTIFIED = "customer.rectified", Message("customer's data corrected")
    CUSTOMER_RESTRICTED = "customer.restricted", Message("customer's data restricted")
    CUSTOMER_RESTRICTION_LIFTED = "customer.restriction_lifted", Message("restriction lifted")
    CUSTOMER_OBJECTED = "customer.objected", Message("customer's objection noted")
    CUSTOMER_OBJECTION_LIFTED = "customer.objection_lifted", Message("objection lifted")
    DATA_REQUEST_OPENED = "data_request.opened", Message("data request received")
    DATA_REQUEST_IDENTITY_CHECKED = "data_request.identity_checked", Message("identity checked")
    DATA_REQUEST_EXTENDED = "data_request.extended", Message("data request extended")
    DATA_REQUEST_FEE_NOTED = "data_request.fee_noted", Message("fee for a data request noted")
    DATA_REQUEST_CLOSED = "data_request.closed", Message("data request answered")
    PRIVACY_DISCLOSED = "privacy.disclosed", Message("data disclosed")
    PRIVACY_EXPORTED = "privacy.exported", Message("data handed out")
    PRIVACY_EVIDENCE_SHOWN = "privacy.evidence_shown", Message("evidence shown")
    PRIVACY_TABLE_EXPORTED = "privacy.table_exported", Message("table exported")
    STATISTICS_CLOSED = "statistics.closed", Message("statistics of a month closed")
    PRIVACY_FORGOTTEN = "privacy.forgotten", Message("record beside the orders forgotten")
    POLICY_IMPORTED = "policy.imported", Message("version imported")
    POLICY_PUBLISHED = "policy.published", Message("version published")
    POLICY_WITHDRAWN = "policy.withdrawn", Message("version withdrawn")
    CLOSURE_ADDED = "closure.added", Message("closure entered")
    CALENDAR_CHANGED = "calendar.changed", Message("calendar data changed")
    CLIENT_CREATED = "access.client_created", Message("client added")
    CLIENT_FORGOTTEN = "access.client_forgotten", Message("client forgotten")
    TOKEN_CREATED = "access.token_created", Message("token made")
    TOKEN_REVOKED = "access.token_revoked", Message("token revoked")
    USER_CREATED = "access.user_created", Message("user added")
    USER_RESET = "access.user_reset", Message("password reset")
    USER_DISABLED = "access.user_disabled", Message("user disabled")
    USER_FORGOTTEN = "access.user_forgotten", Message("user forgotten")
    USER_SIGNED_OUT = "access.user_signed_out", Message("user signed out")
    USER_PASSWORD_CHANGED = "access.user_password_changed", Message("password changed")
    SESSION_ENDED = "access.session_ended", Message("session ended by its user")
    AUDIT_ACCEPTED = "audit.accepted", Message("another state of the records accepted")
    AUDIT_CLOCK_CONFIRMED = "audit.clock_confirmed", Message("clock confirmed")
    AUDIT_KEYS_ROTATED = "audit.keys_rotated", Message("master key rotated")


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

GENESIS = bytes(32)  # the hash before the first entry


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
    """Return an entry as the event at a position, chained to the hash `previous` and hashed by `key`; not stored."""
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
    """Tell whether an event is as `chained` made it with `key`, at this position and after the hash `previous`."""
    if event.position != position or event.previous != previous:
        return False
    return hmac.compare_digest(_with_hash(event, key).hash, event.hash)


def update_emptied(emptied: set[str], event: Event) -> None:
    """Add to `emptied` what an event empties: the id of the customer that it erases, or fields, as `record/field`.

    An event that undoes a resolution takes the field of its reason out of `emptied`, because a new reason may be
    entered there. Other events, and data that cannot be read, change nothing.
    """
    if event.type in (*EMPTYING, EventType.CONTACT_DETAILS_FORGOTTEN):
        with suppress(ValueError, TypeError, LookupError):  # it need not be sound
            emptied |= {id_within(event.subject, name) for name in orjson.loads(event.data)["fields"]}
    elif event.type == EventType.CUSTOMER_ERASED:
        emptied.add(event.subject)
    elif event.type in _REASONS:
        emptied.discard(id_within(event.subject, _REASONS[event.type]))


_REASONS: dict[str, str] = {
    EventType.CONTACT_REOPENED: "resolution_reason",
    EventType.CONTACT_UNMATCHED_REOPENED: "closed_reason",
}
"""By the events that undo a resolution, the field with its reason."""


def records_deleted_by(event: Event) -> set[tuple[str, str]]:
    """Return the table and the id of each record that an event says is deleted; empty if none, or unreadable."""
    if event.type in FORGETTING:
        with suppress(ValueError, TypeError, LookupError, AttributeError):  # it need not be sound
            records = orjson.loads(event.data)["records"]
            return {(table, one) for table, ids in records.items() for one in ids}
    return set()


def record_digest(table: str, columns: Mapping[str, Any]) -> bytes:
    """Return a digest of a record's plain columns as stored, for `Entry.digest`; the order of columns is ignored."""
    payload = orjson.dumps([table, columns], default=bytes.hex, option=orjson.OPT_SORT_KEYS)
    return sha256(payload).digest()


def _with_hash(event: Event, key: bytes) -> Event:
    """Return the event with its hash: a digest, under a key, of all its other fields."""
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
