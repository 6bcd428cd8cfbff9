"""Schemas of the events of the journal."""

import re
from collections.abc import Iterable
from typing import Any

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.domain.journal import ABOUT_POLICIES, WITHOUT_RECORD, EventType
from refunds.domain.outcomes import Reason
from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind, DataRequestOutcome, DisclosureBasis, ErasureReason, Fee
from refunds.domain.records import Basis, Intent, PromiseCause, RefundEndReason, RevocationReason, UnsettleReason
from refunds.domain.resolutions import ReopeningReason, ResolutionReason
from refunds.web.schemas import shown
from refunds.web.schemas.cancellations import CANCELLATION
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, A_CUSTOMER, A_USER, AN_ORDER, shared
from refunds.web.schemas.policies import CLOSURE, SUMMARY
from refunds.web.schemas.unmatched import UNMATCHED


class EventSchema(shown.Schema):
    """An event. It has no personal data: these are only in the record that the event is about."""

    position = shown.Position("The event's position in the journal: 1, 2, 3, …")
    type = shown.Code(EventType, "The type of the event: what happened.")
    at = shown.Instant("When the event was recorded, by the service's clock.", CANCELLATION["issued_at"])
    actor = shown.String("Who caused the event: the id of a client or user, or `command-line`.", A_CLIENT)
    subject = shown.String("The id of the record that the event is about.")
    order_id = shown.StringOrNull("The id of the order that the event is about; null: it is about no order.")
    data = shown.Dict("Further data, which depend on the type; fields may be added.")


_CORRECTED = "con_01KAN4B0N2V5Q4T8Z2B6C9D1EF"

_POLICY = {
    "policy": shown.String("The id of the policy.", "virtual-numbers"),
    "version": shown.Integer("The number of the version.", 2),
}
_VERSION = _POLICY | {
    "effective_from": shown.InstantOrNull(
        "From when the version is in force; null: from the beginning.", "2026-12-31T23:00:00Z"
    ),
    "content_hash": shown.String("A hash of the version's content.", SUMMARY["content_hash"]),
}
_TOLD = {
    "service_day": shown.Date("The local date on which the service was provided.", "2026-04-02"),
    "last_day": shown.Date("The last day of the window.", "2026-04-08"),
    "deadline": shown.Instant("The first instant that is too late.", "2026-04-08T22:00:00Z"),
}
ToldWindowSchema: Any = shown.Schema.from_dict(_TOLD, name="ToldWindowSchema")
_ROLE = {"role": shown.Code(Role, "The role of the client or user.")}
_CLIENT = {"client_id": shown.String("The id of the client.")}
_CUSTOMER = {"customer_id": shown.String("The id of the customer.", A_CUSTOMER)}
_REQUEST = {
    "kind": shown.Code(DataRequestKind, "What the person asks for."),
    "customer_id": shown.StringOrNull("The id of the customer; null: the service holds nothing about the person."),
}


def _why(codes: Iterable[str], text: str, example: str) -> dict[str, shown.Field]:
    """Return the field `reason_code` for the data of an event, by its name; `codes` are those known now."""
    return {"reason_code": shown.Code(codes, text, example)}


def _fields(text: str, example: list[str]) -> dict[str, shown.Field]:
    """Return the field `fields` for the data of an event, by its name: a list of names of fields."""
    return {"fields": shown.ListOf(shown.String("The name of a field."), text, example)}


LIMITED = [event for event in EventType if event.startswith("customer.") and event not in WITHOUT_RECORD]
"""The types of the events about limits."""

_COMPLETED = _fields("The names of the fields that were added.", ["ticket_ref"])
_FORGOTTEN_DETAILS = _fields("The names of the fields that were emptied.", ["from_detail", "note"])
_EMPTIED = _FORGOTTEN_DETAILS | {"reason": shown.Code(ErasureReason, "Why the fields were emptied.", "request")}

_SUPERSEDED = {"superseded_by": shown.String("The id of the contact that supersedes this one.", _CORRECTED)}
_ACKNOWLEDGED = {"channel": shown.Code(Channel, "How the customer was answered.", "email")}
_ASSIGNED = {
    "taken_by": shown.StringOrNull("Who deals with the contact from now on; null: the contact was given back.", A_USER)
}

_FORGOTTEN = {"records": shown.Dict("The ids of the deleted records, by table.")}

_DATA: dict[EventType, dict[str, shown.Field]] = {
    EventType.ORDER_REGISTERED: {
        "customer_id": shown.String("The id that the service gave the customer.", A_CUSTOMER),
        "promise": shown.NestedOrNull(
            ToldWindowSchema,
            "The window that the order was promised; null: no time of service is on record.",
            ToldWindowSchema.example(),
            required=False,
        ),
    },
    EventType.ORDER_PROMISED: {"cause": shown.Code(PromiseCause, "Why the promise was made.", "registered")} | _TOLD,
    EventType.ORDER_CORRECTED: {
        "revision": shown.Integer("The number of the new state of the order.", 2),
        "changed": shown.Dict(
            "The old and the new value of each changed fact, by its name. Personal facts are left out.",
            {"region": ["DE", "DE-BY"]},
        ),
    },
    EventType.ORDER_CONFIRMED: {},
    EventType.ORDER_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_RECORDED: {
        "intent": shown.Code(Intent, "What the customer wanted.", "cancel"),
        "channel": shown.Code(Channel, "How the customer made contact.", "phone"),
        "eligible": shown.Boolean("Whether the order could be cancelled on this contact.", True),
        "reason": shown.Code(Reason, "The reason of the decision.", "within_window"),
        "supersedes": shown.StringOrNull(
            "The id of the contact that this contact supersedes; null: it supersedes none."
        ),
    },
    EventType.CONTACT_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_RESOLVED: {
        "reason_code": shown.Code(
            ResolutionReason,
            "Why the contact was resolved. Events of earlier versions of the service do not have this field.",
            "customer_kept_order",
            required=False,
        ),
        "duplicate_of": shown.StringOrNull(
            "The id of the other contact that asks for the same; null: the contact is not a duplicate.", required=False
        ),
    },
    EventType.CONTACT_REOPENED: _why(ReopeningReason, "Why the contact is open again.", "customer_asked_again"),
    EventType.CONTACT_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_COMPLETED: _COMPLETED,
    EventType.CONTACT_EMPTIED: _EMPTIED,
    EventType.CONTACT_DETAILS_FORGOTTEN: _FORGOTTEN_DETAILS,
    EventType.CONTACT_UNMATCHED_RECORDED: {
        "intent": shown.Code(Intent, "What the customer wanted.", "cancel"),
        "channel": shown.Code(Channel, "How the customer made contact.", "phone"),
    },
    EventType.CONTACT_UNMATCHED_COMPLETED: _COMPLETED,
    EventType.CONTACT_UNMATCHED_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_UNMATCHED_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_UNMATCHED_RESOLVED: {},
    EventType.CONTACT_UNMATCHED_REOPENED: _why(ReopeningReason, "Why the contact is open again.", "entered_in_error"),
    EventType.CONTACT_UNMATCHED_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_UNMATCHED_EMPTIED: _EMPTIED,
    EventType.CONTACT_UNMATCHED_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_MATCHED: {
        "contact_id": shown.String(
            "The id of the contact about the order that the unmatched contact became.", A_CONTACT
        )
    },
    EventType.CANCELLATION_ISSUED: {
        "reference": shown.String("The reference that the customer was told.", CANCELLATION["reference"]),
        "contact_id": shown.String("The id of the contact on which the cancellation was issued.", _CORRECTED),
        "basis": shown.Code(Basis, "What the cancellation rests on.", "policy"),
        "reason": shown.Code(Reason, "The reason of the decision.", "within_window"),
        "override_kind": shown.StringOrNull("The kind of override; null: no override was needed."),
        "refund_due_by": shown.Date("The day by which billing intends to refund.", "2026-04-22"),
    },
    EventType.CANCELLATION_REFUND_BEGUN: {},
    EventType.CANCELLATION_REFUND_FAILED: _why(RefundEndReason, "Why the refund ended.", "refund_failed"),
    EventType.CANCELLATION_SETTLED: {},
    EventType.CANCELLATION_UNSETTLED: _why(UnsettleReason, "Why the settlement was undone.", "refund_failed"),
    EventType.CANCELLATION_REVOKED: _why(RevocationReason, "Why the cancellation was revoked.", "customer_kept_order"),
    EventType.CUSTOMER_ERASED: {
        "order_ids": shown.ListOf(shown.String("The id of an order."), "The ids of the customer's orders.", [AN_ORDER]),
        "reason": shown.Code(ErasureReason, "Why the customer was erased.", "request"),
        "anyway": shown.StringOrNull("Why the erasure did not wait for open matters; null: no reason was given."),
    },
    EventType.CUSTOMER_RECTIFIED: {
        "fields": shown.Dict(
            "The names of the corrected fields, by the table and the id of their record.",
            {f"contacts/{A_CONTACT}": ["note"]},
        ),
    },
    **dict.fromkeys(LIMITED, _CUSTOMER),
    EventType.DATA_REQUEST_OPENED: _REQUEST,
    EventType.DATA_REQUEST_IDENTITY_CHECKED: _REQUEST,
    EventType.DATA_REQUEST_EXTENDED: _REQUEST
    | {"due_at": shown.Instant("The new time limit: the first instant that is too late for an answer.")},
    EventType.DATA_REQUEST_FEE_NOTED: _REQUEST
    | {"fee": shown.CodeOrNull(Fee, "Why a fee may apply; null: the fee note was removed.")},
    EventType.DATA_REQUEST_CLOSED: _REQUEST
    | {"outcome": shown.Code(DataRequestOutcome, "How the data request ended.")},
    EventType.PRIVACY_DISCLOSED: _CUSTOMER | {"basis": shown.Code(DisclosureBasis, "What the disclosure is based on.")},
    EventType.PRIVACY_EXPORTED: {
        "request_id": shown.StringOrNull(
            "The id of the data request that the export was made for; null: it was made for none."
        )
    },
    EventType.PRIVACY_EVIDENCE_SHOWN: {},
    EventType.PRIVACY_TABLE_EXPORTED: {
        "from": shown.DateOrNull(
            "The first date in the exported table; null: the export has no first date. `subject` names the kind of "
            "records."
        ),
        "to": shown.DateOrNull("The last date in the exported table; null: the export has no last date."),
    },
    EventType.PRIVACY_FORGOTTEN: _FORGOTTEN,
    EventType.POLICY_IMPORTED: _VERSION,
    EventType.POLICY_PUBLISHED: _VERSION,
    EventType.POLICY_WITHDRAWN: _POLICY,
    EventType.CLOSURE_ADDED: {
        "policy": shown.String("The id of the policy.", CLOSURE["policy"]),
        "date": shown.Date("The date on which the vendor is closed.", CLOSURE["date"]),
    },
    EventType.CALENDAR_CHANGED: {
        "from": shown.StringOrNull(
            "The data by which windows were counted before; null: the service had counted none before.",
            "holidays 0.108, tzdata 2026e, rules 1",
        ),
        "to": shown.String(
            "The data by which windows are counted from now on.", "holidays 0.109, tzdata 2026f, rules 1"
        ),
        "longer": shown.Integer("The number of open windows that now end later.", 3),
        "kept": shown.Integer("The number of open windows that would now end earlier, but keep the promised end.", 2),
    },
    EventType.STATISTICS_CLOSED: {},
    EventType.CLIENT_CREATED: _ROLE,
    EventType.CLIENT_FORGOTTEN: {},
    EventType.TOKEN_CREATED: _CLIENT,
    EventType.TOKEN_REVOKED: _CLIENT,
    EventType.USER_CREATED: _ROLE,
    EventType.USER_RESET: {},
    EventType.USER_DISABLED: {},
    EventType.USER_FORGOTTEN: {},
    EventType.AUDIT_ACCEPTED: {
        "from": shown.String("The id that the journal had before."),
        "reason": shown.String("Why the restored database was accepted, in the operator's words."),
        "checkpoint": shown.Integer(
            "The position of the last checkpoint, which the restored journal does not contain."
        ),
        "at": shown.Instant("When the last checkpoint was written."),
        "ledger_lost": shown.String("Why there was no ledger of erasures. Left out if there was one.", required=False),
        "erased_since": shown.InstantOrNull(
            "From when erasures may have been undone because the ledger was missing; null: from the beginning.",
            required=False,
        ),
    },
    EventType.USER_SIGNED_OUT: {},
    EventType.USER_PASSWORD_CHANGED: {},
    EventType.SESSION_ENDED: {"user_id": shown.String("The id of the user whose session ended.")},
    EventType.AUDIT_CLOCK_CONFIRMED: {
        "last": shown.Instant("When the event before this one was recorded; the clock did not fit that time.")
    },
    EventType.AUDIT_KEYS_ROTATED: {
        "customers": shown.Integer("How many keys of customers this run rotated to the new master key."),
        "unmatched_contacts": shown.Integer(
            "How many keys of unmatched contacts this run rotated to the new master key."
        ),
        "keys": shown.Integer("How many keys of the service this run rotated to the new master key."),
    },
}
"""The further data of each type of event."""


def _typed(event: EventType, data: dict[str, shown.Field]) -> type[ma.Schema]:
    """Return the schema of the events of a type, whose `data` has these fields; its name is made from the type."""
    name = re.sub(r"[._]?([a-z]+)", lambda word: word[1].title(), event)
    of_type = shown.Schema.from_dict(data, name=f"{name}DataSchema")
    return EventSchema.from_dict(
        {
            "type": shown.Constant(str(event), "The type of the event: what happened."),
            "data": shown.Nested(of_type, "Further data about the event."),
        },
        name=f"{name}EventSchema",
    )


EVENTS = {str(event): _typed(event, data) for event, data in _DATA.items()}
"""The schema of each type of event."""


class FeedSchema(shown.Schema):
    """A page of the feed."""

    journal_id = shown.String("The id of the journal. If it changes, an older backup of the database was restored.")
    items = shown.ListOf(shown.Either("FeedItem", discriminator="type", by=EVENTS))
    next = shown.String(
        "The place to send as `after` in the next HTTP request. Keep it as it is. It stays the same while "
        "nothing new happens."
    )


_WITHOUT_ORDER = {
    *ABOUT_POLICIES,
    *WITHOUT_RECORD,
    *(event for event in EventType if event.startswith("contact.unmatched_")),
    *LIMITED,
} - {EventType.ORDER_FORGOTTEN}


def _example(position: int, event: EventType, subject: Any, **data: Any) -> dict[str, Any]:
    """Return an example of an event about `subject`; `data` has values that replace the examples of its fields."""
    of_type = shown.Schema.from_dict(_DATA[event]).example(**data)  # type: ignore[attr-defined] # it returns its class
    order_id = None if event in _WITHOUT_ORDER else AN_ORDER
    return EventSchema.example(position=position, type=event, subject=subject, order_id=order_id, data=of_type)


_CANCELLATION, _UNMATCHED = CANCELLATION["cancellation_id"], UNMATCHED["unmatched_id"]

HAPPENED = [
    _example(1, EventType.ORDER_REGISTERED, AN_ORDER),
    _example(2, EventType.ORDER_PROMISED, "prm_01KAN3Y7K3V5Q4T8Z2B6C9D1EF"),
    _example(2, EventType.ORDER_CORRECTED, AN_ORDER),
    _example(2, EventType.ORDER_CONFIRMED, AN_ORDER),
    _example(3, EventType.CONTACT_RECORDED, A_CONTACT),
    _example(4, EventType.CONTACT_SUPERSEDED, A_CONTACT),
    _example(5, EventType.CANCELLATION_ISSUED, _CANCELLATION),
    _example(6, EventType.CANCELLATION_REFUND_BEGUN, _CANCELLATION),
    _example(7, EventType.CANCELLATION_REFUND_FAILED, _CANCELLATION),
    _example(8, EventType.CANCELLATION_SETTLED, _CANCELLATION),
    _example(9, EventType.CANCELLATION_UNSETTLED, _CANCELLATION),
    _example(10, EventType.CANCELLATION_REVOKED, _CANCELLATION),
    _example(11, EventType.CONTACT_RESOLVED, _CORRECTED, duplicate_of=None),
    _example(12, EventType.CONTACT_REOPENED, _CORRECTED),
    _example(12, EventType.CONTACT_ASSIGNED, _CORRECTED),
    _example(12, EventType.CONTACT_ACKNOWLEDGED, _CORRECTED),
    _example(12, EventType.CONTACT_COMPLETED, _CORRECTED),
    _example(12, EventType.CONTACT_EMPTIED, _CORRECTED),
    _example(12, EventType.CONTACT_DETAILS_FORGOTTEN, _CORRECTED, fields=["note"]),
    _example(12, EventType.ORDER_FORGOTTEN, AN_ORDER, records={"contacts": [A_CONTACT], "orders": [AN_ORDER]}),
    _example(11, EventType.CONTACT_UNMATCHED_EMPTIED, _UNMATCHED, fields=["order_hint"]),
    _example(11, EventType.CONTACT_UNMATCHED_RECORDED, _UNMATCHED),
    _example(11, EventType.CONTACT_UNMATCHED_COMPLETED, _UNMATCHED, fields=["note"]),
    _example(11, EventType.CONTACT_UNMATCHED_SUPERSEDED, _UNMATCHED, superseded_by="unm_01KAN4B0N2V5Q4T8Z2B6C9D1EF"),
    _example(11, EventType.CONTACT_UNMATCHED_ACKNOWLEDGED, _UNMATCHED, channel="phone"),
    _example(11, EventType.CONTACT_UNMATCHED_RESOLVED, _UNMATCHED),
    _example(12, EventType.CONTACT_UNMATCHED_REOPENED, _UNMATCHED),
    _example(12, EventType.CONTACT_UNMATCHED_ASSIGNED, _UNMATCHED, taken_by=None),
    _example(11, EventType.CONTACT_UNMATCHED_FORGOTTEN, _UNMATCHED, records={"unmatched_contacts": [_UNMATCHED]}),
    _example(11, EventType.CONTACT_MATCHED, _UNMATCHED),
    _example(11, EventType.CUSTOMER_ERASED, A_CUSTOMER),
    *(_example(11, event, "lim_01KAN4B0N2V5Q4T8Z2B6C9D1EF") for event in LIMITED),
    _example(11, EventType.CUSTOMER_RECTIFIED, A_CUSTOMER),
    _example(12, EventType.POLICY_IMPORTED, "virtual-numbers/2"),
    _example(13, EventType.POLICY_PUBLISHED, "virtual-numbers/2"),
    _example(14, EventType.CALENDAR_CHANGED, "calendar"),
    _example(14, EventType.POLICY_WITHDRAWN, "virtual-numbers/2"),
    _example(15, EventType.STATISTICS_CLOSED, "2026-03"),
    _example(15, EventType.CLOSURE_ADDED, CLOSURE["closure_id"]),
]
EXAMPLES = shared(
    {
        str(event["type"]): {
            "summary": str(event["type"]),
            "value": {"journal_id": "jrn_01KAN3Y7M0V5Q4T8Z2B6C9D1EF", "items": [event], "next": "MTIzLjFmMmUzZDRj"},
        }
        for event in HAPPENED
    }
)
