"""Schemas of the events of the journal."""

from typing import Any

import marshmallow as ma

from refunds.domain.journal import ABOUT_POLICIES, EventType
from refunds.errors import Message
from refunds.schemas.fields import Text, WholeText
from refunds.schemas.strict import QuerySchema, does_not_fit
from refunds.web.schemas import response_fields
from refunds.web.schemas.cancellations import CANCELLATION
from refunds.web.schemas.contacts import CONTACT
from refunds.web.schemas.orders import ORDER
from refunds.web.schemas.policies import CLOSURE, SUMMARY
from refunds.web.schemas.request_fields import Limit


class EventTypes(Text):
    """Event types, separated by commas; read as a list without repetitions."""

    def __init__(self) -> None:
        shape = Message(
            "must be event types with commas between them, such as cancellation.issued,cancellation.revoked"
        )
        super().__init__(
            500,
            r"[a-z_]+\.[a-z_]+(?:,[a-z_]+\.[a-z_]+){0,19}",
            shape,
            metadata={"description": "Only events of these types, separated by commas."},
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:  # type: ignore[override]
        types = list(dict.fromkeys(super()._deserialize(value, *args, **kwargs).split(",")))
        if not set(types) <= set(EventType):
            raise does_not_fit(Message("must be out of %(names)s", names=", ".join(EventType)), "unknown_value")
        return types


class EventQuerySchema(QuerySchema):
    """The position in the feed to read from, the page size and the event types."""

    after = WholeText(
        0,
        2**53 - 1,
        metadata={"description": "The position of the last event that you have read. Default 0: from the first event."},
    )
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


class FeedSchema(response_fields.ResponseSchema):
    """A page of the feed."""

    items = ma.fields.List(ma.fields.Nested(EventSchema), required=True)
    next = response_fields.Integer("The `after` of the next request; it stays the same while nothing new happens.")


def _example(position: int, event: EventType, subject: Any, **data: Any) -> dict[str, Any]:
    return {
        "position": position,
        "type": event,
        "at": CANCELLATION["issued_at"],
        "actor": CANCELLATION["issued_by"],
        "subject": subject,
        "order_id": None if event in ABOUT_POLICIES else ORDER["order_id"],
        "data": data,
    }


_ORDER, _CONTACT, _CANCELLATION = ORDER["order_id"], CONTACT["contact_id"], CANCELLATION["cancellation_id"]


_CORRECTED = "con_01KAN4B0N2V5Q4T8Z2B6C9D1EF"


_REGISTERED = {"effective_from": "2026-12-31T23:00:00Z", "content_hash": SUMMARY["content_hash"]}


HAPPENED = [
    _example(1, EventType.ORDER_REGISTERED, _ORDER, customer_id=ORDER["customer_id"]),
    _example(
        2,
        EventType.ORDER_CORRECTED,
        _ORDER,
        revision=2,
        changed={"region": ["DE", "DE-BY"]},
    ),
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
    _example(11, EventType.CONTACT_RESOLVED, _CORRECTED),
    *(
        _example(position, event, "virtual-numbers/2", policy="virtual-numbers", version=2, **_REGISTERED)
        for position, event in ((12, EventType.POLICY_IMPORTED), (13, EventType.POLICY_PUBLISHED))
    ),
    _example(14, EventType.POLICY_WITHDRAWN, "virtual-numbers/2", policy="virtual-numbers", version=2),
    _example(15, EventType.CLOSURE_ADDED, CLOSURE["closure_id"], policy=CLOSURE["policy"], date=CLOSURE["date"]),
]


EXAMPLES = {
    str(event["type"]): {"summary": str(event["type"]), "value": {"items": [event], "next": event["position"]}}
    for event in HAPPENED
}
