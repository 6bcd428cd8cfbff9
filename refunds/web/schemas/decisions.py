"""Schemas of checks and decisions."""

from refunds.domain.business_days import DayStatus, SkipReason
from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Notice, Reason, Verdict
from refunds.schemas.fields import Choice, Flag, Instant, ListOf, Nested, Text, Unread
from refunds.schemas.policy import PolicyId, TermsSchema
from refunds.schemas.strict import StrictSchema
from refunds.web.schemas import shown

MOST_ITEMS = 10_000
MOST_DAYS = 250_000
"""The most days that one batch lists: a limit on memory, as many orders can have long windows."""


class CheckItemSchema(StrictSchema):
    """The facts of one order to decide about."""

    service_provided_at = Instant(
        "When the service was provided; null if no date is on record.", required=True, allow_none=True
    )
    requested_at = Instant("When the customer asked for the cancellation. Default: now.")
    channel = Choice(Channel, "How the customer asked. If it is left out, the channel is not checked.")
    contact_point = Text(
        254, "The vendor's number or address that the customer used. It is checked only together with `channel`."
    )
    ordered_at = Instant(
        "When the order was placed. If the policy's `judged_by` is `ordered`, this time selects the version."
    )
    region = Text(40, "The customer's place, such as `DE` or `DE-BY`. Default: the policy's region.")
    policy = PolicyId("The policy to apply. Default: the configured default policy.")


class CheckSchema(CheckItemSchema):
    """The facts of one order to decide about, with an optional what-if."""

    terms = Nested(TermsSchema, "For a what-if: the terms that replace those of the policy. Nothing is stored.")


class BatchSchema(StrictSchema):
    """The facts of many orders to decide about, with one optional what-if."""

    items = ListOf(Unread(CheckItemSchema), MOST_ITEMS, "The checks, in order.", required=True)
    terms = Nested(TermsSchema, "For a what-if: the terms that replace those of the policy, for all items.")
    include_days = Flag(f"Whether each decision lists its days, at most {MOST_DAYS} in all. Default: `false`.")


class WindowSchema(shown.Schema):
    """The business days within which the order can be cancelled."""

    length = shown.Integer("The number of business days in the window.", 2)
    unit = shown.Code(["business_day"], "The unit of `length`.", "business_day")
    service_day = shown.Date("The local date on which the service was provided. It never counts.", "2026-04-02")
    first_counted_day = shown.Date("The first business day after the service day.", "2026-04-07")
    last_day = shown.Date("The last day on which a request is in time.", "2026-04-08")
    deadline = shown.Instant("The first instant that is too late, in UTC.", "2026-04-08T22:00:00Z")
    deadline_local = shown.Instant("The deadline in the policy's time zone.", "2026-04-09T00:00:00+02:00")
    time_zone = shown.String("The policy's time zone.", "Europe/Berlin")
    business_days_left = shown.IntegerOrNull(
        "How many days of the window come after the local date of the request. 0: the request is on the last day. "
        "Null: the window has ended.",
        0,
    )


HOLIDAY = (
    shown.String("The name of the public holiday.", required=False),
    shown.String("The language of `name`: the reader's, else English, else the country's.", required=False),
)
"""The name of a holiday and its language."""


class DaySchema(shown.Schema):
    """A date from the service day to the last day, and how the window treats it."""

    date = shown.Date("The local date.")
    status = shown.Code(
        DayStatus,
        "How the window treats the date: `service_day`, `counted` or `skipped`; `last_day` if the window ends on "
        "this date only because of the term `end_week`.",
    )
    ordinal = shown.Integer("The number of the counted day, from 1.", required=False)
    why = shown.Code(
        SkipReason, "Why a skipped date is not a business day; the first reason if several apply.", required=False
    )
    name, name_language = HOLIDAY
    extension = shown.Boolean(
        "True for a date after the last counted day that is skipped because of the term `end_week`.", required=False
    )


class CalendarSchema(shown.Schema):
    """The region and the data by which the days were counted."""

    region = shown.String("The region whose holidays counted.", "DE-BY")
    holidays_version = shown.String("The version of the holiday data.", "0.109")
    tzdata_version = shown.String("The version of the time zone data.", "2026f")
    fingerprint = shown.StringOrNull(
        "A digest of the days as they were counted: different days have different digests. Null if there is no window.",
        "7924896711d4ab13",
    )


class JudgingPolicySchema(shown.Schema):
    """The policy version by which the decision was made."""

    id = shown.String("The id of the policy.", "virtual-numbers")
    version = shown.Integer("The number of the version.", 1)
    overridden = shown.ListOf(shown.String(), "The names of the terms that a what-if replaced.")


_DAYS = [
    {"date": "2026-04-02", "status": "service_day"},
    {"date": "2026-04-03", "status": "skipped", "why": "public_holiday", "name": "Good Friday", "name_language": "en"},
    {"date": "2026-04-04", "status": "skipped", "why": "weekend"},
    {"date": "2026-04-05", "status": "skipped", "why": "weekend"},
    {
        "date": "2026-04-06",
        "status": "skipped",
        "why": "public_holiday",
        "name": "Easter Monday",
        "name_language": "en",
    },
    {"date": "2026-04-07", "status": "counted", "ordinal": 1},
    {"date": "2026-04-08", "status": "counted", "ordinal": 2},
]


class DecisionSchema(shown.Schema):
    """Whether the order can be cancelled, until when, and why."""

    eligible = shown.Boolean("Whether the order can be cancelled.", True)
    verdict = shown.Code(
        Verdict,
        "The result. `cancellable`: the order can be cancelled. `needs_supervisor`: a supervisor has to decide. "
        "`refused`: the order cannot be cancelled.",
        "cancellable",
    )
    reason = shown.Code(Reason, "Why the order can or cannot be cancelled: a stable code.", "within_window")
    reason_text = shown.String(
        "Why the order can or cannot be cancelled, in the reader's language.",
        "The order can be cancelled until the end of Wednesday, 8 April 2026 (Berlin time).",
    )
    requested_at = shown.Instant("The instant that is compared with the deadline.", "2026-04-08T21:05:00Z")
    window = shown.NestedOrNull(
        WindowSchema,
        "The window; null: the service was not provided by `requested_at`, or the window is beyond the holiday data.",
        WindowSchema.example(),
    )
    days = shown.ListOf(
        DaySchema,
        "Each date from the service day to the last day of the window. A batch leaves the dates out by default.",
        _DAYS,
        required=False,
    )
    calendar = shown.Nested(CalendarSchema)
    policy = shown.Nested(JudgingPolicySchema)
    notices = shown.ListOf(
        shown.Code(Notice, "A stable code for something else that you must know about the decision."),
        example=["statutory_rights_not_assessed"],
    )
    judged_by_contact = shown.StringOrNull(
        "The id of the open request on record whose decision this is: one that was in time or, if there is none, one "
        "that waits for a supervisor, such as a withdrawal. Null: this decision is on the given facts."
    )


class BatchResultSchema(shown.Schema):
    """The results of a batch in the order of its items, each a decision or a problem."""

    items = shown.ListOf(
        shown.Either("BatchResultItem", DecisionSchema, shown.ProblemSchema),
        "The result for each item, in order. A decision has `eligible`; a problem has `type` and `status`.",
    )


CHECK = {
    "service_provided_at": "2026-04-02T16:20:00+02:00",
    "requested_at": "2026-04-08T21:05:00Z",
    "channel": "phone",
    "region": "DE-BY",
}

DECISION = DecisionSchema.example()
