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
from refunds.web.schemas import response_fields
from refunds.web.schemas.cancellations import CANCELLATION
from refunds.web.schemas.contacts import CONTACT
from refunds.web.schemas.examples import shared
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.policies import CLOSURE, SUMMARY
from refunds.web.schemas.request_fields import After, EventTypes, Limit
from refunds.web.schemas.unmatched import UNMATCHED


class EventQuerySchema(QuerySchema):
    """The place in the feed to read from, the page size and the event types."""

    after = After("The `next` of the page before, as it is: its format may change. Left out: from the first event.")
    limit = Limit()
    types = EventTypes()


class EventSchema(response_fields.ResponseSchema):
    """An event. It has no personal data: that is only in the record which it is about."""

    position = response_fields.Position("Its place in the journal: 1, 2, 3, …")
    type = response_fields.Code(EventType, "What happened.")
    at = response_fields.Instant("When it happened, by the service's own clock.")
    actor = response_fields.String("Who did it: the id of a client or user, or `command-line`.")
    subject = response_fields.String("The id of the record that it happened to.")
    order_id = response_fields.String("The order that it is about, if any.", allow_none=True)
    data = ma.fields.Dict(
        keys=ma.fields.String(),
        required=True,
        metadata={"description": "Further data, depending on the type; more may be added."},
    )


_Data = dict[str, ma.fields.Field[Any]]

_POLICY = {
    "policy": response_fields.String("The policy."),
    "version": response_fields.Integer("The version."),
}
_VERSION = _POLICY | {
    "effective_from": response_fields.Instant("From when it is in force; null: from the beginning.", allow_none=True),
    "content_hash": response_fields.String("A hash of the content."),
}
_TOLD: _Data = {
    "service_day": response_fields.Date("The local date on which the service was provided."),
    "last_day": response_fields.Date("The last day of the window."),
    "deadline": response_fields.Instant("The first instant that is too late."),
}
_ROLE: _Data = {"role": response_fields.Code(Role, "The role.")}
_CLIENT: _Data = {"client_id": response_fields.String("The client.")}

_CUSTOMER: _Data = {"customer_id": response_fields.String("The customer.")}
_REQUEST: _Data = {
    "kind": response_fields.Code(DataRequestKind, "What it asks for."),
    "customer_id": response_fields.String("The customer; null: nothing is held about them.", allow_none=True),
}

LIMITED = [event for event in EventType if event.startswith("customer.") and event not in WITHOUT_RECORD]
"""The events about limits."""

_COMPLETED: _Data = {
    "fields": ma.fields.List(
        response_fields.String("A field."), required=True, metadata={"description": "What was added."}
    )
}
_EMPTIED: _Data = {
    "fields": ma.fields.List(
        response_fields.String("A field."), required=True, metadata={"description": "What was emptied."}
    ),
    "reason": response_fields.Code(ErasureReason, "Why."),
}

_SUPERSEDED: _Data = {"superseded_by": response_fields.String("The contact that corrects it.")}
_ACKNOWLEDGED: _Data = {"channel": response_fields.Code(Channel, "How the customer was answered.")}
_ASSIGNED: _Data = {
    "taken_by": response_fields.String("Who deals with it from now on; null: it was given back.", allow_none=True)
}

_FORGOTTEN: _Data = {
    "records": ma.fields.Dict(
        required=True, metadata={"description": "The ids of the records that are gone, by their tables."}
    )
}

_DATA: dict[EventType, _Data] = {
    EventType.ORDER_REGISTERED: {
        "customer_id": response_fields.String("The customer, by the service's own id."),
        "promise": ma.fields.Nested(
            response_fields.ResponseSchema.from_dict(_TOLD, name="ToldWindowSchema"),
            allow_none=True,
            metadata={"description": "The window that the order was told; null: no date of the service is known."},
        ),
    },
    EventType.ORDER_PROMISED: {"cause": response_fields.Code(PromiseCause, "Why it was promised.")} | _TOLD,
    EventType.ORDER_CORRECTED: {
        "revision": response_fields.Integer("The number of the new state of the order."),
        "changed": ma.fields.Dict(
            required=True,
            metadata={"description": "The old and the new value of each changed fact that is not personal, by name."},
        ),
    },
    EventType.ORDER_CONFIRMED: {},
    EventType.ORDER_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_RECORDED: {
        "intent": response_fields.Code(Intent, "What the customer wanted."),
        "channel": response_fields.Code(Channel, "The channel."),
        "eligible": response_fields.Boolean("Whether the order could be cancelled on it."),
        "reason": response_fields.Code(Reason, "The reason of the decision."),
        "supersedes": response_fields.String("The contact that it corrects; null: none.", allow_none=True),
    },
    EventType.CONTACT_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_RESOLVED: {
        "reason_code": response_fields.Code(
            ResolutionReason, "Why. Events of earlier versions of the service have no reason.", required=False
        ),
        "duplicate_of": response_fields.String(
            "The contact that asks for the same; null: it is no duplicate.", required=False, allow_none=True
        ),
    },
    EventType.CONTACT_REOPENED: {"reason_code": response_fields.Code(ReopeningReason, "Why.")},
    EventType.CONTACT_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_COMPLETED: _COMPLETED,
    EventType.CONTACT_EMPTIED: _EMPTIED,
    EventType.CONTACT_DETAILS_FORGOTTEN: {"fields": _EMPTIED["fields"]},
    EventType.CONTACT_UNMATCHED_RECORDED: {
        "intent": response_fields.Code(Intent, "What the customer wanted."),
        "channel": response_fields.Code(Channel, "The channel."),
    },
    EventType.CONTACT_UNMATCHED_COMPLETED: _COMPLETED,
    EventType.CONTACT_UNMATCHED_SUPERSEDED: _SUPERSEDED,
    EventType.CONTACT_UNMATCHED_ACKNOWLEDGED: _ACKNOWLEDGED,
    EventType.CONTACT_UNMATCHED_RESOLVED: {},
    EventType.CONTACT_UNMATCHED_REOPENED: {"reason_code": response_fields.Code(ReopeningReason, "Why.")},
    EventType.CONTACT_UNMATCHED_ASSIGNED: _ASSIGNED,
    EventType.CONTACT_UNMATCHED_EMPTIED: _EMPTIED,
    EventType.CONTACT_UNMATCHED_FORGOTTEN: _FORGOTTEN,
    EventType.CONTACT_MATCHED: {"contact_id": response_fields.String("The contact that it became.")},
    EventType.CANCELLATION_ISSUED: {
        "reference": response_fields.String("The reference that the customer was told."),
        "contact_id": response_fields.String("The contact that it was issued on."),
        "basis": response_fields.Code(Basis, "What it is based on."),
        "reason": response_fields.Code(Reason, "The reason of the decision."),
        "override_kind": response_fields.String("The override; null: none was needed.", allow_none=True),
        "refund_due_by": response_fields.Date("The day by which billing intends to refund."),
    },
    EventType.CANCELLATION_REFUND_BEGUN: {},
    EventType.CANCELLATION_REFUND_FAILED: {"reason_code": response_fields.Code(RefundEndReason, "Why.")},
    EventType.CANCELLATION_SETTLED: {},
    EventType.CANCELLATION_UNSETTLED: {"reason_code": response_fields.Code(UnsettleReason, "Why.")},
    EventType.CANCELLATION_REVOKED: {"reason_code": response_fields.Code(RevocationReason, "Why.")},
    EventType.CUSTOMER_ERASED: {
        "order_ids": ma.fields.List(
            response_fields.String("One."), required=True, metadata={"description": "Their orders."}
        ),
        "reason": response_fields.Code(ErasureReason, "Why."),
        "anyway": response_fields.String("Why it did not wait for open matters; null: it need not.", allow_none=True),
    },
    EventType.CUSTOMER_RECTIFIED: {
        "fields": ma.fields.Dict(
            required=True,
            metadata={"description": "The names of the corrected fields of each record, by its table and its id."},
        ),
    },
    **dict.fromkeys(LIMITED, _CUSTOMER),
    EventType.DATA_REQUEST_OPENED: _REQUEST,
    EventType.DATA_REQUEST_IDENTITY_CHECKED: _REQUEST,
    EventType.DATA_REQUEST_EXTENDED: _REQUEST | {"due_at": response_fields.Instant("The first instant too late now.")},
    EventType.DATA_REQUEST_FEE_NOTED: _REQUEST
    | {"fee": response_fields.Code(Fee, "Why; null: none.", allow_none=True)},
    EventType.DATA_REQUEST_CLOSED: _REQUEST | {"outcome": response_fields.Code(DataRequestOutcome, "How it ended.")},
    EventType.PRIVACY_DISCLOSED: _CUSTOMER | {"basis": response_fields.Code(DisclosureBasis, "What it is based on.")},
    EventType.PRIVACY_EXPORTED: {
        "request_id": response_fields.String("The data request that it was for; null: none.", allow_none=True)
    },
    EventType.PRIVACY_EVIDENCE_SHOWN: {},
    EventType.PRIVACY_TABLE_EXPORTED: {
        "from": response_fields.Date(
            "The first date of the table of the records that `subject` names; null: it has no beginning.",
            allow_none=True,
        ),
        "to": response_fields.Date("Its last date; null: it has no end.", allow_none=True),
    },
    EventType.PRIVACY_FORGOTTEN: _FORGOTTEN,
    EventType.POLICY_IMPORTED: _VERSION,
    EventType.POLICY_PUBLISHED: _VERSION,
    EventType.POLICY_WITHDRAWN: _POLICY,
    EventType.CLOSURE_ADDED: {
        "policy": response_fields.String("The policy."),
        "date": response_fields.Date("The date on which the vendor is closed."),
    },
    EventType.CALENDAR_CHANGED: {
        "from": response_fields.String("The data that windows were counted by before; null: none.", allow_none=True),
        "to": response_fields.String("The data that windows are counted by from now on."),
        "longer": response_fields.Integer("The open windows that end later now."),
        "kept": response_fields.Integer("Those that would end earlier now, and end as they were told."),
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
        "from": response_fields.String("The id of the journal before."),
        "reason": response_fields.String("Why it was accepted, in the operator's words."),
        "checkpoint": response_fields.Integer("The position of the last checkpoint, which the journal does not have."),
        "at": response_fields.Instant("When that was written."),
        "ledger_lost": response_fields.String("Why there was no ledger of erasures, if so.", required=False),
        "erased_since": response_fields.Instant(
            "From when on erasures may have been undone then; null: the beginning.", required=False, allow_none=True
        ),
    },
    EventType.USER_SIGNED_OUT: {},
    EventType.USER_PASSWORD_CHANGED: {},
    EventType.SESSION_ENDED: {"user_id": response_fields.String("Whose session it was.")},
    EventType.AUDIT_CLOCK_CONFIRMED: {
        "last": response_fields.Instant("When the event before was recorded, to which the clock did not fit.")
    },
    EventType.AUDIT_KEYS_ROTATED: {
        "customers": response_fields.Integer("The keys of customers that were wrapped anew by this run."),
        "unmatched_contacts": response_fields.Integer("The keys of unmatched contacts that were."),
        "keys": response_fields.Integer("The keys of the service that were."),
    },
}
"""The further data of each type of event."""


def _typed(event: EventType, data: _Data) -> type[ma.Schema]:
    """The schema of the events of a type, whose `data` has these fields; its name is made from the type."""
    name = re.sub(r"[._]?([a-z]+)", lambda word: word[1].title(), event)
    of_type = response_fields.ResponseSchema.from_dict(data, name=f"{name}DataSchema")
    return EventSchema.from_dict(
        {
            "type": response_fields.Constant(str(event), "What happened."),
            "data": ma.fields.Nested(of_type, required=True, metadata={"description": "Further data."}),
        },
        name=f"{name}EventSchema",
    )


EVENTS = {str(event): _typed(event, data) for event, data in _DATA.items()}
"""The schema of each type of event."""


class FeedSchema(response_fields.ResponseSchema):
    """A page of the feed."""

    journal_id = response_fields.String("The journal. If it changes, an older backup of the database was restored.")
    items = ma.fields.List(response_fields.Either("FeedItem", discriminator="type", by=EVENTS), required=True)
    next = response_fields.String(
        "The `after` of the next request: keep it as it is. It stays the same while nothing new happens."
    )


_WITHOUT_ORDER = {
    *ABOUT_POLICIES,
    *WITHOUT_RECORD,
    *(event for event in EventType if event.startswith("contact.unmatched_")),
    *LIMITED,
} - {EventType.ORDER_FORGOTTEN}


def _example(position: int, event: EventType, subject: Any, **data: Any) -> dict[str, Any]:
    return {
        "position": position,
        "type": event,
        "at": CANCELLATION["issued_at"],
        "actor": CANCELLATION["issued_by"],
        "subject": subject,
        "order_id": None if event in _WITHOUT_ORDER else ORDER["order_id"],
        "data": data,
    }


_ORDER, _CONTACT, _CANCELLATION = ORDER["order_id"], CONTACT["contact_id"], CANCELLATION["cancellation_id"]


_CORRECTED, _UNMATCHED = "con_01KAN4B0N2V5Q4T8Z2B6C9D1EF", UNMATCHED["unmatched_id"]


_REGISTERED = {"effective_from": "2026-12-31T23:00:00Z", "content_hash": SUMMARY["content_hash"]}


_WINDOW = {"service_day": "2026-04-02", "last_day": "2026-04-08", "deadline": "2026-04-08T22:00:00Z"}


HAPPENED = [
    _example(1, EventType.ORDER_REGISTERED, _ORDER, customer_id=ORDER["customer_id"], promise=_WINDOW),
    _example(2, EventType.ORDER_PROMISED, "prm_01KAN3Y7K3V5Q4T8Z2B6C9D1EF", cause="registered", **_WINDOW),
    _example(2, EventType.ORDER_CORRECTED, _ORDER, revision=2, changed={"region": ["DE", "DE-BY"]}),
    _example(2, EventType.ORDER_CONFIRMED, _ORDER),
    _example(
        3,
        EventType.CONTACT_RECORDED,
        _CONTACT,
        intent="cancel",
        channel="phone",
        eligible=True,
        reason="within_window",
        supersedes=None,
    ),
    _example(4, EventType.CONTACT_SUPERSEDED, _CONTACT, superseded_by=_CORRECTED),
    _example(
        5,
        EventType.CANCELLATION_ISSUED,
        _CANCELLATION,
        reference="314-092-6534",
        contact_id=_CORRECTED,
        basis="policy",
        reason="within_window",
        override_kind=None,
        refund_due_by="2026-04-22",
    ),
    _example(6, EventType.CANCELLATION_REFUND_BEGUN, _CANCELLATION),
    _example(7, EventType.CANCELLATION_REFUND_FAILED, _CANCELLATION, reason_code="refund_failed"),
    _example(8, EventType.CANCELLATION_SETTLED, _CANCELLATION),
    _example(9, EventType.CANCELLATION_UNSETTLED, _CANCELLATION, reason_code="refund_failed"),
    _example(10, EventType.CANCELLATION_REVOKED, _CANCELLATION, reason_code="customer_kept_order"),
    _example(11, EventType.CONTACT_RESOLVED, _CORRECTED, reason_code="customer_kept_order", duplicate_of=None),
    _example(12, EventType.CONTACT_REOPENED, _CORRECTED, reason_code="customer_asked_again"),
    _example(12, EventType.CONTACT_ASSIGNED, _CORRECTED, taken_by="usr_01KAN3Y7M0V5Q4T8Z2B6C9D1EF"),
    _example(12, EventType.CONTACT_ACKNOWLEDGED, _CORRECTED, channel="email"),
    _example(12, EventType.CONTACT_COMPLETED, _CORRECTED, fields=["ticket_ref"]),
    _example(12, EventType.CONTACT_EMPTIED, _CORRECTED, fields=["from_detail", "note"], reason="request"),
    _example(12, EventType.CONTACT_DETAILS_FORGOTTEN, _CORRECTED, fields=["note"]),
    _example(12, EventType.ORDER_FORGOTTEN, _ORDER, records={"contacts": [_CONTACT], "orders": [_ORDER]}),
    _example(11, EventType.CONTACT_UNMATCHED_EMPTIED, _UNMATCHED, fields=["order_hint"], reason="request"),
    _example(11, EventType.CONTACT_UNMATCHED_RECORDED, _UNMATCHED, intent="cancel", channel="phone"),
    _example(11, EventType.CONTACT_UNMATCHED_COMPLETED, _UNMATCHED, fields=["note"]),
    _example(11, EventType.CONTACT_UNMATCHED_SUPERSEDED, _UNMATCHED, superseded_by="unm_01KAN4B0N2V5Q4T8Z2B6C9D1EF"),
    _example(11, EventType.CONTACT_UNMATCHED_ACKNOWLEDGED, _UNMATCHED, channel="phone"),
    _example(11, EventType.CONTACT_UNMATCHED_RESOLVED, _UNMATCHED),
    _example(12, EventType.CONTACT_UNMATCHED_REOPENED, _UNMATCHED, reason_code="entered_in_error"),
    _example(12, EventType.CONTACT_UNMATCHED_ASSIGNED, _UNMATCHED, taken_by=None),
    _example(11, EventType.CONTACT_UNMATCHED_FORGOTTEN, _UNMATCHED, records={"unmatched_contacts": [_UNMATCHED]}),
    _example(11, EventType.CONTACT_MATCHED, _UNMATCHED, contact_id=_CONTACT),
    _example(
        11,
        EventType.CUSTOMER_ERASED,
        ORDER["customer_id"],
        order_ids=[ORDER["order_id"]],
        reason="request",
        anyway=None,
    ),
    *(_example(11, event, "lim_01KAN4B0N2V5Q4T8Z2B6C9D1EF", customer_id=ORDER["customer_id"]) for event in LIMITED),
    _example(11, EventType.CUSTOMER_RECTIFIED, ORDER["customer_id"], fields={f"contacts/{_CONTACT}": ["note"]}),
    *(
        _example(position, event, "virtual-numbers/2", policy="virtual-numbers", version=2, **_REGISTERED)
        for position, event in ((12, EventType.POLICY_IMPORTED), (13, EventType.POLICY_PUBLISHED))
    ),
    _example(
        14,
        EventType.CALENDAR_CHANGED,
        "calendar",
        **{
            "from": "holidays 0.108, tzdata 2026e, rules 1",
            "to": "holidays 0.109, tzdata 2026f, rules 1",
            "longer": 3,
            "kept": 2,
        },
    ),
    _example(14, EventType.POLICY_WITHDRAWN, "virtual-numbers/2", policy="virtual-numbers", version=2),
    _example(15, EventType.STATISTICS_CLOSED, "2026-03"),
    _example(15, EventType.CLOSURE_ADDED, CLOSURE["closure_id"], policy=CLOSURE["policy"], date=CLOSURE["date"]),
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
