"""Schemas of the events of the journal."""

import re
from typing import Any

import marshmallow as ma

from refunds.domain.contact_points import Channel
from refunds.domain.journal import ABOUT_POLICIES, WITHOUT_RECORD, EventType
from refunds.domain.outcomes import Reason
from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind, DataRequestOutcome, DisclosureBasis, ErasureReason, Fee
from refunds.domain.records import Basis, Intent, PromiseCause, RefundEndReason, RevocationReason, UnsettleReason
from refunds.domain.resolutions import ReopeningReason, ResolutionReason
from refunds.schemas.strict import QuerySchema
from refunds.web.schemas import shown
from refunds.web.schemas.cancellations import CANCELLATION
from refunds.web.schemas.examples import A_CLIENT, A_CONTACT, A_CUSTOMER, A_USER, AN_ORDER, shared
from refunds.web.schemas.policies import CLOSURE, SUMMARY
from refunds.web.schemas.request_fields import After, EventTypes, Limit
from refunds.web.schemas.unmatched import UNMATCHED


class EventQuerySchema(QuerySchema):
    """The place in the feed to read from, the page size and the event types."""

    after = After("The `next` of the page before, as it is: its format may change. Left out: from the first event.")
    limit = Limit()
    types = EventTypes()


class EventSchema(shown.Schema):
    """An event. It has no personal data: that is only in the record which it is about."""

    position = shown.Position("Its place in the journal: 1, 2, 3, …")
    type = shown.Code(EventType, "What happened.")
    at = shown.Instant("When it happened, by the service's own clock.", CANCELLATION["issued_at"])
    actor = shown.String("Who did it: the id of a client or user, or `command-line`.", A_CLIENT)
    subject = shown.String("The id of the record that it happened to.")
    order_id = shown.String("The order that it is about, if any.", allow_none=True)
    data = shown.Dict("Further data, depending on the type; more may be added.")


_CORRECTED = "con_01KAN4B0N2V5Q4T8Z2B6C9D1EF"

_POLICY = {
    "policy": shown.String("The policy.", "virtual-numbers"),
    "version": shown.Integer("The version.", 2),
}
_VERSION = _POLICY | {
    "effective_from": shown.Instant(
        "From when it is in force; null: from the beginning.", "2026-12-31T23:00:00Z", allow_none=True
    ),
    "content_hash": shown.String("A hash of the content.", SUMMARY["content_hash"]),
}
_TOLD: dict[str, shown.Field] = {
    "service_day": shown.Date("The local date on which the service was provided.", "2026-04-02"),
    "last_day": shown.Date("The last day of the window.", "2026-04-08"),
    "deadline": shown.Instant("The first instant that is too late.", "2026-04-08T22:00:00Z"),
}
ToldWindowSchema: Any = shown.Schema.from_dict(_TOLD, name="ToldWindowSchema")
_ROLE: dict[str, shown.Field] = {"role": shown.Code(Role, "The role.")}
_CLIENT: dict[str, shown.Field] = {"client_id": shown.String("The client.")}
_CUSTOMER: dict[str, shown.Field] = {"customer_id": shown.String("The customer.", A_CUSTOMER)}
_REQUEST: dict[str, shown.Field] = {
    "kind": shown.Code(DataRequestKind, "What it asks for."),
    "customer_id": shown.String("The customer; null: nothing is held about them.", allow_none=True),
}

LIMITED = [event for event in EventType if event.startswith("customer.") and event not in WITHOUT_RECORD]
"""The events about limits."""

_COMPLETED: dict[str, shown.Field] = {
    "fields": shown.ListOf(shown.String("A field."), "What was added.", ["ticket_ref"])
}
_EMPTIED: dict[str, shown.Field] = {
    "fields": shown.ListOf(shown.String("A field."), "What was emptied.", ["from_detail", "note"]),
    "reason": shown.Code(ErasureReason, "Why.", "request"),
}

_SUPERSEDED: dict[str, shown.Field] = {"superseded_by": shown.String("The contact that corrects it.", _CORRECTED)}
_ACKNOWLEDGED: dict[str, shown.Field] = {"channel": shown.Code(Channel, "How the customer was answered.", "email")}
_ASSIGNED: dict[str, shown.Field] = {
    "taken_by": shown.String("Who deals with it from now on; null: it was given back.", A_USER, allow_none=True)
}

_FORGOTTEN: dict[str, shown.Field] = {"records": shown.Dict("The ids of the records that are gone, by their tables.")}

_DATA: dict[EventType, dict[str, shown.Field]] = {
    EventType.ORDER_REGISTERED: {
        "customer_id": shown.String("The customer, by the service's own id.", A_CUSTOMER),
        "promise": shown.Nested(
            ToldWindowSchema,
            "The window that the order was told; null: no date of the service is known.",
            ToldWindowSchema.example(),
            required=False,
            allow_none=True,
        ),
    },
    EventType.ORDER_PROMISED: {"cause": shown.Code(PromiseCause, "Why it was promised.", "registered")} | _TOLD,
    EventType.ORDER_CORRECTED: {
        "revision": shown.Integer("The number of the new state of the order.", 2),
        "changed": shown.Dict(
            "The old and the new value of each changed fact that is not personal, by name.", {"region": ["DE", "DE-BY"]}
        ),
    },
    EventType.ORDER_CONFIRMED: {},
    EventType.ORDER_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_RECORDED: {
        "intent": shown.Code(Intent, "What the customer wanted.", "cancel"),
        "channel": shown.Code(Channel, "The channel.", "phone"),
        "eligible": shown.Boolean("Whether the order could be cancelled on it.", True),
        "reason": shown.Code(Reason, "The reason of the decision.", "within_window"),
        "supersedes": shown.String("The contact that it corrects; null: none.", allow_none=True),
    },
    EventType.CONTACT_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_RESOLVED: {
        "reason_code": shown.Code(
            ResolutionReason,
            "Why. Events of earlier versions of the service have no reason.",
            "customer_kept_order",
            required=False,
        ),
        "duplicate_of": shown.String(
            "The contact that asks for the same; null: it is no duplicate.", required=False, allow_none=True
        ),
    },
    EventType.CONTACT_REOPENED: {"reason_code": shown.Code(ReopeningReason, "Why.", "customer_asked_again")},
    EventType.CONTACT_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_COMPLETED: _COMPLETED,
    EventType.CONTACT_EMPTIED: _EMPTIED,
    EventType.CONTACT_DETAILS_FORGOTTEN: {"fields": _EMPTIED["fields"]},
    EventType.CONTACT_UNMATCHED_RECORDED: {
        "intent": shown.Code(Intent, "What the customer wanted.", "cancel"),
        "channel": shown.Code(Channel, "The channel.", "phone"),
    },
    EventType.CONTACT_UNMATCHED_COMPLETED: _COMPLETED,
    EventType.CONTACT_UNMATCHED_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_UNMATCHED_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_UNMATCHED_RESOLVED: {},
    EventType.CONTACT_UNMATCHED_REOPENED: {"reason_code": shown.Code(ReopeningReason, "Why.", "entered_in_error")},
    EventType.CONTACT_UNMATCHED_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_UNMATCHED_EMPTIED: _EMPTIED,
    EventType.CONTACT_UNMATCHED_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_MATCHED: {"contact_id": shown.String("The contact that it became.", A_CONTACT)},
    EventType.CANCELLATION_ISSUED: {
        "reference": shown.String("The reference that the customer was told.", CANCELLATION["reference"]),
        "contact_id": shown.String("The contact that it was issued on.", _CORRECTED),
        "basis": shown.Code(Basis, "What it is based on.", "policy"),
        "reason": shown.Code(Reason, "The reason of the decision.", "within_window"),
        "override_kind": shown.String("The override; null: none was needed.", allow_none=True),
        "refund_due_by": shown.Date("The day by which billing intends to refund.", "2026-04-22"),
    },
    EventType.CANCELLATION_REFUND_BEGUN: {},
    EventType.CANCELLATION_REFUND_FAILED: {"reason_code": shown.Code(RefundEndReason, "Why.", "refund_failed")},
    EventType.CANCELLATION_SETTLED: {},
    EventType.CANCELLATION_UNSETTLED: {"reason_code": shown.Code(UnsettleReason, "Why.", "refund_failed")},
    EventType.CANCELLATION_REVOKED: {"reason_code": shown.Code(RevocationReason, "Why.", "customer_kept_order")},
    EventType.CUSTOMER_ERASED: {
        "order_ids": shown.ListOf(shown.String("One."), "Their orders.", [AN_ORDER]),
        "reason": shown.Code(ErasureReason, "Why.", "request"),
        "anyway": shown.String("Why it did not wait for open matters; null: it need not.", allow_none=True),
    },
    EventType.CUSTOMER_RECTIFIED: {
        "fields": shown.Dict(
            "The names of the corrected fields of each record, by its table and its id.",
            {f"contacts/{A_CONTACT}": ["note"]},
        ),
    },
    **dict.fromkeys(LIMITED, _CUSTOMER),
    EventType.DATA_REQUEST_OPENED: _REQUEST,
    EventType.DATA_REQUEST_IDENTITY_CHECKED: _REQUEST,
    EventType.DATA_REQUEST_EXTENDED: _REQUEST | {"due_at": shown.Instant("The first instant too late now.")},
    EventType.DATA_REQUEST_FEE_NOTED: _REQUEST | {"fee": shown.Code(Fee, "Why; null: none.", allow_none=True)},
    EventType.DATA_REQUEST_CLOSED: _REQUEST | {"outcome": shown.Code(DataRequestOutcome, "How it ended.")},
    EventType.PRIVACY_DISCLOSED: _CUSTOMER | {"basis": shown.Code(DisclosureBasis, "What it is based on.")},
    EventType.PRIVACY_EXPORTED: {
        "request_id": shown.String("The data request that it was for; null: none.", allow_none=True)
    },
    EventType.PRIVACY_EVIDENCE_SHOWN: {},
    EventType.PRIVACY_TABLE_EXPORTED: {
        "from": shown.Date(
            "The first date of the table of the records that `subject` names; null: it has no beginning.",
            allow_none=True,
        ),
        "to": shown.Date("Its last date; null: it has no end.", allow_none=True),
    },
    EventType.PRIVACY_FORGOTTEN: _FORGOTTEN,
    EventType.POLICY_IMPORTED: _VERSION,
    EventType.POLICY_PUBLISHED: _VERSION,
    EventType.POLICY_WITHDRAWN: _POLICY,
    EventType.CLOSURE_ADDED: {
        "policy": shown.String("The policy.", CLOSURE["policy"]),
        "date": shown.Date("The date on which the vendor is closed.", CLOSURE["date"]),
    },
    EventType.CALENDAR_CHANGED: {
        "from": shown.String(
            "The data that windows were counted by before; null: none.",
            "holidays 0.108, tzdata 2026e, rules 1",
            allow_none=True,
        ),
        "to": shown.String(
            "The data that windows are counted by from now on.", "holidays 0.109, tzdata 2026f, rules 1"
        ),
        "longer": shown.Integer("The open windows that end later now.", 3),
        "kept": shown.Integer("Those that would end earlier now, and end as they were told.", 2),
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
        "from": shown.String("The id of the journal before."),
        "reason": shown.String("Why it was accepted, in the operator's words."),
        "checkpoint": shown.Integer("The position of the last checkpoint, which the journal does not have."),
        "at": shown.Instant("When that was written."),
        "ledger_lost": shown.String("Why there was no ledger of erasures, if so.", required=False),
        "erased_since": shown.Instant(
            "From when on erasures may have been undone then; null: the beginning.", required=False, allow_none=True
        ),
    },
    EventType.USER_SIGNED_OUT: {},
    EventType.USER_PASSWORD_CHANGED: {},
    EventType.SESSION_ENDED: {"user_id": shown.String("Whose session it was.")},
    EventType.AUDIT_CLOCK_CONFIRMED: {
        "last": shown.Instant("When the event before was recorded, to which the clock did not fit.")
    },
    EventType.AUDIT_KEYS_ROTATED: {
        "customers": shown.Integer("The keys of customers that were wrapped anew by this run."),
        "unmatched_contacts": shown.Integer("The keys of unmatched contacts that were."),
        "keys": shown.Integer("The keys of the service that were."),
    },
}
"""The further data of each type of event."""


def _typed(event: EventType, data: dict[str, shown.Field]) -> type[ma.Schema]:
    """The schema of the events of a type, whose `data` has these fields; its name is made from the type."""
    name = re.sub(r"[._]?([a-z]+)", lambda word: word[1].title(), event)
    of_type = shown.Schema.from_dict(data, name=f"{name}DataSchema")
    return EventSchema.from_dict(
        {
            "type": shown.Constant(str(event), "What happened."),
            "data": shown.Nested(of_type, "Further data."),
        },
        name=f"{name}EventSchema",
    )


EVENTS = {str(event): _typed(event, data) for event, data in _DATA.items()}
"""The schema of each type of event."""


class FeedSchema(shown.Schema):
    """A page of the feed."""

    journal_id = shown.String("The journal. If it changes, an older backup of the database was restored.")
    items = shown.ListOf(shown.Either("FeedItem", discriminator="type", by=EVENTS))
    next = shown.String(
        "The `after` of the next request: keep it as it is. It stays the same while nothing new happens."
    )


_WITHOUT_ORDER = {
    *ABOUT_POLICIES,
    *WITHOUT_RECORD,
    *(event for event in EventType if event.startswith("contact.unmatched_")),
    *LIMITED,
} - {EventType.ORDER_FORGOTTEN}


def _example(position: int, event: EventType, subject: Any, **data: Any) -> dict[str, Any]:
    """The example of an event about a record; `data` is what differs from the examples of its fields."""
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
