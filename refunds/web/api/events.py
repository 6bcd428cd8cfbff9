"""The feed over HTTP."""

from typing import Any

import marshmallow as ma
from flask import Response
from flask_smorest import Blueprint

from refunds.access import Scope
from refunds.errors import FeedRewound
from refunds.fields import StrictSchema, Text, WholeText, flawed
from refunds.journal import ABOUT_POLICIES, EventType
from refunds.service import feed
from refunds.service.work import Work
from refunds.web import shown
from refunds.web.api import reply
from refunds.web.api.cancellations import CANCELLATION
from refunds.web.api.contacts import CONTACT
from refunds.web.api.orders import ORDER
from refunds.web.api.policies import CLOSURE, SUMMARY
from refunds.web.asked import PAGE, Limit
from refunds.web.openapi import Answer, ProblemSchema, Transacted, operation
from refunds.web.problems import error_data, problem_answer
from refunds.wording.records import event_data

blueprint = Blueprint("Events", __name__, description="What happened, in the order in which it did.")


class EventTypes(Text):
    """Some event types, with commas between them."""

    def __init__(self) -> None:
        shape = "must be event types with commas between them, such as cancellation.issued,cancellation.revoked"
        super().__init__(
            500,
            r"[a-z_]+\.[a-z_]+(?:,[a-z_]+\.[a-z_]+){0,19}",
            shape,
            metadata={"description": "Only these types, with commas between them."},
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[str]:  # type: ignore[override]
        types = list(dict.fromkeys(super()._deserialize(value, *args, **kwargs).split(",")))
        if not set(types) <= set(EventType):
            raise flawed(f"must be out of {', '.join(EventType)}", "unknown_value")
        return types


class EventQuerySchema(StrictSchema):
    """From where the feed is read."""

    after = WholeText(
        0,
        2**53 - 1,
        metadata={"description": "The position of the last event that was read. Default 0: from the first."},
    )
    limit = Limit()
    types = EventTypes()


class EventSchema(ma.Schema):
    """Something that happened. It holds nothing personal: read the record for that."""

    position = shown.Integer("Its place in the journal: 1, 2, 3, …")
    type = shown.Code(EventType, "What happened.")
    at = shown.Instant("When, by the service's own clock.")
    actor = shown.String("Who did it: a client's id.")
    subject = shown.String("The id of the record that it happened to.")
    order_id = shown.String("The order that it is about, if any.", allow_none=True)
    data = ma.fields.Dict(
        keys=ma.fields.String(),
        required=True,
        metadata={"description": "What else is known, by type; more may be added."},
    )


class FeedSchema(ma.Schema):
    """A page of the feed."""

    items = ma.fields.List(ma.fields.Nested(EventSchema), required=True)
    next = shown.Integer("The position to read on from; the same as `after` while nothing new has happened.")


class RewoundSchema(ProblemSchema):
    """A problem, with the place to read on from."""

    next = shown.Integer("The position of the last event there is: read on from here.", required=False)


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
        reference="3140926534",
        contact_id=_CORRECTED,
        basis="policy",
        reason="within_window",
        override_kind=None,
        refund_due_by="2026-04-22",
    ),
    _example(6, EventType.CANCELLATION_SETTLED, _CANCELLATION),
    _example(7, EventType.CANCELLATION_UNSETTLED, _CANCELLATION, reason_code="refund_failed"),
    _example(8, EventType.CANCELLATION_REVOKED, _CANCELLATION, reason_code="customer_withdrew"),
    _example(9, EventType.CONTACT_RESOLVED, _CORRECTED),
    *(
        _example(position, event, "virtual-numbers/2", policy="virtual-numbers", version=2, **_REGISTERED)
        for position, event in ((10, EventType.POLICY_IMPORTED), (11, EventType.POLICY_PUBLISHED))
    ),
    _example(12, EventType.POLICY_WITHDRAWN, "virtual-numbers/2", policy="virtual-numbers", version=2),
    _example(13, EventType.CLOSURE_ADDED, CLOSURE["closure_id"], policy=CLOSURE["policy"], date=CLOSURE["date"]),
]
EXAMPLES = {
    str(event["type"]): {"summary": str(event["type"]), "value": {"items": [event], "next": event["position"]}}
    for event in HAPPENED
}


@operation(
    blueprint,
    "/v1/events",
    Answer("A page of the feed.", FeedSchema, EXAMPLES),
    scopes=(Scope.EVENTS_READ, Scope.AUDIT_READ),
    work=Transacted.READ,
    query=EventQuerySchema,
    refusal=RewoundSchema,
    problems=("feed-rewound",),
)
def list_events(work: Work, query: dict[str, Any]) -> Response:
    """Read the feed

    Everything that happened after a position, in the order in which it was committed: no event becomes visible after a
    later one. A reader who goes on from `next` misses nothing and sees nothing twice. Events about access are for
    auditors alone; others find their positions passed over. A place beyond the end is a conflict: an older state of the
    records was restored.
    """
    try:
        found, position = feed.read(work, query.get("after", 0), query.get("limit", PAGE), query.get("types"))
    except FeedRewound as error:
        return problem_answer(error_data(error) | {"next": error.position})
    return reply({"items": list(map(event_data, found)), "next": position})
