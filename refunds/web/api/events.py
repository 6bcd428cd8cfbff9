"""The event feed over HTTP."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound
from refunds.presentation.serializers import event_data
from refunds.service import events
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Answer, Tag, Transaction
from refunds.web.problems import error_data, problem_answer
from refunds.web.responses import reply
from refunds.web.schemas import response_fields
from refunds.web.schemas.events import EXAMPLES, EventQuerySchema, FeedSchema
from refunds.web.schemas.problems import ProblemSchema
from refunds.web.schemas.request_fields import PAGE

tag = Tag("Events", "What happened, in the order of the journal.")


class RewoundSchema(ProblemSchema):
    """A problem; if the feed was rewound, with the position to continue from."""

    next = response_fields.Integer("The position of the last event in the journal: continue from here.", required=False)


@tag.operation(
    "/v1/events",
    Answer("A page of the feed.", FeedSchema, EXAMPLES),
    scopes=(Scope.EVENTS_READ, Scope.AUDIT_READ),
    transaction=Transaction.READ,
    query=EventQuerySchema,
    refusal=RewoundSchema,
    problems=("feed-rewound",),
)
def list_events(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """Read the feed

    Every event after a position, in the order of commit: no event becomes visible after a later one. A reader who
    continues from `next` misses nothing and sees nothing twice. Only callers with the scope `audit:read` see events
    about clients, tokens and users; for others, their positions are skipped. A position beyond the end of the journal
    gets 409: it means that an older backup was restored.
    """
    try:
        found, position = events.read(uow, query.get("after", 0), query.get("limit", PAGE), query.get("types"))
    except FeedRewound as error:
        return problem_answer(error_data(error) | {"next": error.position})
    return reply({"items": list(map(event_data, found)), "next": position})
