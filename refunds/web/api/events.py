"""The event feed over HTTP."""

from typing import Any

from flask import Response

from refunds.domain.permissions import Scope
from refunds.errors import FeedRewound
from refunds.presentation.serializers import event_data
from refunds.schemas.fields import Text
from refunds.service import events
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web.endpoint import Tag, answer, parameters, problems
from refunds.web.problems import error_data, problem_answer
from refunds.web.responses import reply
from refunds.web.schemas import shown
from refunds.web.schemas.events import EXAMPLES, FeedSchema
from refunds.web.schemas.request_fields import EVENT_TYPES, LIMIT, PAGE

tag = Tag("Events", "The events of the journal, in order.")


class RewoundSchema(shown.ProblemSchema):
    """A problem; if the feed was rewound, with the place from which to read on."""

    next = shown.String("The place in the feed from which to read on; send it as `after`.", required=False)


@tag.operation("GET /v1/events", (Scope.EVENTS_READ, Scope.AUDIT_READ), refusal=RewoundSchema)
@parameters(
    after=Text(
        500,
        "The `next` of the previous page, as it is: its format may change. Default: the feed begins with the "
        "first event.",
    ),
    limit=LIMIT,
    types=EVENT_TYPES,
)
@answer("A page of the feed.", FeedSchema, EXAMPLES)
@problems("feed-rewound")
def list_events(uow: UnitOfWork, query: dict[str, Any]) -> Response:
    """Read the feed

    Returns the events after a place, in the order of commit: an event never appears before a place that you have
    already read. Use it to keep another system up to date. Leave `after` out in the first HTTP request; then send the
    `next` of the last page, as it is. So you miss no event and get none twice.

    Only callers with the scope `audit:read` get events about access (clients, tokens, users and their sessions),
    audits, data requests and privacy: the types that begin with `access.`, `audit.`, `data_request.` or `privacy.`. For
    all others, the feed skips these positions. New types of events may be added: skip the types that you do not know,
    or name in `types` those that you want. If an older backup of the database was restored, the journal may not have
    the place in `after`. The response is then 409, and its `next` is the place from which to read on.
    """
    try:
        page = events.read(uow, query.get("after"), query.get("limit", PAGE), query.get("types"))
    except FeedRewound as error:
        return problem_answer(error_data(error) | {"next": error.place})
    return reply({"journal_id": page.journal_id, "items": list(map(event_data, page.events)), "next": page.following})
