"""A year of the service compared with an oracle: a second, slow implementation of the rules, one day and order at a time.

The oracle shares only the `holidays` package with the service. It counts by loops over dates, takes zones from the
standard library and versions from the text of the policy files, and remembers the order in which everything was entered.
"""

import random
import tomllib
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import holidays
import orjson
import pytest
import time_machine

from refunds.domain import holidays_data, judging
from refunds.domain.contact_points import Channel
from refunds.domain.outcomes import Facts
from refunds.domain.permissions import Principal, Role
from refunds.domain.records import Cancellation, Intent, RevocationReason
from refunds.errors import EvidenceRequired, Forbidden
from refunds.schemas.policy import read_policy
from refunds.service import cancellations, contacts, evidence, orders, publication, settlements
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts, Registration
from refunds.service.replay import Replayed, replay
from refunds.service.simulation import Flip, simulate
from refunds.service.store import Store
from refunds.storage.decisions import OUTCOME
from tests import scaled
from tests.conftest import settings

pytestmark = pytest.mark.proof

ORDERS = scaled(6_000, 20_000)
SEED = 2026

AGENT = Principal("cli_agent", "agent of the test", Role.AGENT)
SUPERVISOR = Principal("cli_supervisor", "supervisor of the test", Role.SUPERVISOR)
ADMIN = Principal("cli_admin", "admin of the test", Role.ADMIN)

BERLIN, LISBON, CAIRO = map(ZoneInfo, ("Europe/Berlin", "Europe/Lisbon", "Africa/Cairo"))
TICK, DAY = timedelta(microseconds=1), timedelta(days=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAIN, BRAND = "virtual-numbers", "nile-numbers"
REGIONS = {MAIN: ("DE-BY", "DE-SN", "AT-9", "FR", None), BRAND: ("AT-9", "FR", "CN", "EG", None)}

MAIN_1 = (files("refunds") / f"policies/{MAIN}.1.toml").read_text()
MAIN_2 = f"""
policy = "{MAIN}"
version = 2
effective_from = 2026-05-01T00:00:00+02:00
window_business_days = 3
closures = [2026-05-15, 2026-12-28]
late_entry_days = 3
[phone]
points = ["+493012345678"]
[email]
points = ["help@example.com"]
"""
MAIN_3 = f"""
policy = "{MAIN}"
version = 3
effective_from = 2026-09-01T00:00:00+02:00
window_business_days = 3
business_week = ["mon", "tue", "wed", "thu", "fri", "sat"]
end_week = ["mon", "tue", "wed", "thu", "fri"]
region = "DE-BE"
time_zone = "Europe/Lisbon"
timely_by = "sent"
judged_by = "ordered"
closures = [2026-12-28]
late_entry_days = 4
[phone]
points = ["+493087654321"]
[email]
points = ["help@example.com", "service@example.com"]
"""
BRAND_1 = f"""
policy = "{BRAND}"
version = 1
region = "EG"
time_zone = "Africa/Cairo"
timely_by = "sent"
[phone]
accepted = false
"""
BRAND_2 = f"""
policy = "{BRAND}"
version = 2
effective_from = 2026-07-01T00:00:00+03:00
window_business_days = 3
business_week = "country"
region = "EG"
time_zone = "Africa/Cairo"
closures = [2026-07-23, 2026-08-24]
late_entry_days = 1
evidence_after_deadline = false
[phone]
points = ["+20225551234"]
"""
BRAND_3 = f"""
policy = "{BRAND}"
version = 3
effective_from = 2026-11-01T00:00:00+02:00
window_business_days = 1
region = "EG"
time_zone = "Africa/Cairo"
"""
MAIN_DRAFT = MAIN_3.replace("version = 3", "version = 4").replace("effective_from = 2026-09-01T00:00:00+02:00", "")
DRAFTS = {
    "longer": MAIN_DRAFT.replace("window_business_days = 3", "window_business_days = 5"),
    "shorter": MAIN_DRAFT.replace("window_business_days = 3", "window_business_days = 1"),
    "of another place": f"""
policy = "{BRAND}"
version = 4
region = "DE-SN"
follow_order_region = false
closures = [2026-08-25, 2026-08-26]
""",
}


def berlin(day: str, at: str = "00:00") -> datetime:
    return datetime.fromisoformat(f"{day}T{at}").replace(tzinfo=BERLIN).astimezone(UTC)


BEGINNING, END = berlin("2025-12-30"), berlin("2027-01-20")
CAIRO_SKIPS_MIDNIGHT = datetime(2026, 4, 23, 22, tzinfo=UTC)
CHANGES = {
    MAIN: (berlin("2026-05-01"), berlin("2026-09-01")),
    BRAND: (datetime(2026, 6, 30, 21, tzinfo=UTC), datetime(2026, 10, 31, 22, tzinfo=UTC)),
}

# The oracle -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OracleVersion:
    """A policy version as in its file, with the times of its registration and withdrawal."""

    policy: str
    number: int
    effective_at: datetime
    registered_at: datetime
    terms: dict[str, Any]
    withdrawn_at: datetime | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which days end."""
        return ZoneInfo(self.terms["time_zone"])


DEFAULTS: dict[str, Any] = {
    "window_business_days": 2,
    "business_week": list(WEEKDAYS[:5]),
    "end_week": None,
    "region": "DE",
    "follow_order_region": True,
    "time_zone": "Europe/Berlin",
    "closures": [],
    "timely_by": "received",
    "judged_by": "provided",
    "phone": {},
    "email": {},
    "late_entry_days": 5,
    "evidence_after_deadline": True,
}


def oracle_version(text: str, registered_at: datetime = BEGINNING, **changed: Any) -> OracleVersion:
    data = tomllib.loads(text)
    starts = data.get("effective_from", datetime.min.replace(tzinfo=UTC))
    return OracleVersion(data["policy"], data["version"], starts, registered_at, DEFAULTS | data | changed)


@cache
def public_holidays(country: str, subdivision: str | None) -> holidays.HolidayBase:
    return holidays.country_holidays(
        country,
        subdiv=subdivision,
        years=range(2025, 2029),
        expand=False,
        language="en_US",
        categories=("public",),
    )


@cache
def begins(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local date."""
    at = datetime.combine(day, time(), UTC) - DAY
    while at.astimezone(zone).date() < day:
        at += timedelta(minutes=15)
    return at


class Window(NamedTuple):
    """Each date with its status, and the first instant that is too late."""

    days: tuple[tuple[date, str, int | None, str | None], ...]
    deadline: datetime

    @property
    def last_day(self) -> date:
        """The last day of the window."""
        return self.days[-1][0]


@dataclass(frozen=True)
class Question:
    """Everything that a decision depends on: the order, the contact, and who entered it when."""

    order: OrderFacts
    received_at: datetime
    recorded_at: datetime
    as_of: datetime
    channel: str
    sent_at: datetime | None = None
    point: str | None = None
    cancelled: bool = False
    by_supervisor: bool = False
    asks: bool = True


class Verdict(NamedTuple):
    """The decision of the oracle, and the versions that it used."""

    version: int
    contact_version: int
    reason: str
    window: Window | None
    backdated: bool
    evidence_needed: bool

    @property
    def eligible(self) -> bool:
        """Whether the order may be cancelled."""
        return self.reason in {"within_window", "service_not_yet_provided"}


class Oracle:
    """The rules, implemented slowly."""

    def __init__(self, lost: frozenset = frozenset(), gained: frozenset = frozenset()) -> None:
        self.versions: dict[str, list[OracleVersion]] = defaultdict(list)
        self.closures: list[tuple[datetime, str, date]] = []
        self._lost, self._gained = lost, gained
        self._windows: dict[tuple, Window] = {}

    def with_holidays(self, *, lost: set[tuple[str, date]], gained: set[tuple[str, date]]) -> "Oracle":
        """An oracle with the same versions and closures, but other public holidays."""
        other = Oracle(frozenset(lost), frozenset(gained))
        other.versions, other.closures = self.versions, self.closures
        return other

    def in_force(self, policy: str, at: datetime, as_of: datetime) -> OracleVersion:
        """The version in force at an instant, as known at another."""
        standing = [
            version
            for version in self.versions[policy]
            if version.registered_at <= as_of and not (version.withdrawn_at and version.withdrawn_at <= as_of)
        ]
        return max(
            (version for version in standing if version.effective_at <= at), key=lambda version: version.effective_at
        )

    def judging(self, order: OrderFacts, requested_at: datetime, as_of: datetime) -> OracleVersion:
        """The version that judges a request."""
        provided = order.service_provided_at
        if provided is None or provided > requested_at:
            return self.in_force(order.policy, requested_at, as_of)
        version = self.in_force(order.policy, provided, as_of)
        if version.terms["judged_by"] == "ordered" and order.ordered_at is not None:
            return self.in_force(order.policy, order.ordered_at, as_of)
        return version

    def region(self, version: OracleVersion, order: OrderFacts) -> str:
        """The region whose public holidays count."""
        return (version.terms["follow_order_region"] and order.region) or version.terms["region"]

    def why_not(self, day: date, region: str, week: list[str] | str, closed: Iterable[date]) -> str | None:
        """Why a date is not a business day."""
        country, _, subdivision = region.partition("-")
        known = public_holidays(country, subdivision or None)
        off = known.is_weekend(day) if week == "country" else WEEKDAYS[day.weekday()] not in week
        if off and day not in known.weekend_workdays:
            return "weekend"
        if ((region, day) in self._gained) or (day in known and (region, day) not in self._lost):
            return "public_holiday"
        return "closure" if day in closed else None

    def counted(self, version: OracleVersion, region: str, service_day: date, closed: Iterable[date]) -> Window:
        """The window with these closures."""
        terms = version.terms
        days, ordinal, day = [(service_day, "service_day", None, None)], 0, service_day
        while ordinal < terms["window_business_days"]:
            day += DAY
            why = self.why_not(day, region, terms["business_week"], closed)
            ordinal += why is None
            days.append((day, "skipped", None, why) if why else (day, "counted", ordinal, None))
        if terms["end_week"] and self.why_not(day, region, terms["end_week"], closed):
            day += DAY
            while why := self.why_not(day, region, terms["end_week"], closed):
                days.append((day, "skipped", None, why))
                day += DAY
            days.append((day, "last_day", None, None))
        return Window(tuple(days), begins(day + DAY, version.zone))

    def window(self, version: OracleVersion, region: str, service_day: date, as_of: datetime) -> Window:
        """The window with every closure that was entered before it had ended, in order of entry."""
        entered = [(at, day) for at, policy, day in self.closures if policy == version.policy and at <= as_of]
        case = version, region, service_day, len(entered)
        if case not in self._windows:
            closed = set(version.terms["closures"])
            found = self.counted(version, region, service_day, closed)
            for at, day in entered:
                if at < found.deadline:
                    closed.add(day)
                    found = self.counted(version, region, service_day, closed)
            self._windows[case] = found
        return self._windows[case]

    def window_of(self, order: OrderFacts, as_of: datetime, at: datetime | None = None) -> Window | None:
        """The window of an order as known at a time; None if no window runs at an instant."""
        at = at or order.service_provided_at
        if order.service_provided_at is None or order.service_provided_at > at:
            return None
        version = self.judging(order, at, as_of)
        service_day = order.service_provided_at.astimezone(version.zone).date()
        return self.window(version, self.region(version, order), service_day, as_of)

    def is_late_entry(self, version: OracleVersion, region: str, question: Question) -> bool:
        """Whether a contact was entered too many business days after it was received."""
        closed = set(version.terms["closures"])
        closed |= {day for at, policy, day in self.closures if policy == version.policy and at <= question.as_of}
        day, ordinal = question.received_at.astimezone(version.zone).date(), 0
        while ordinal < version.terms["late_entry_days"]:
            day += DAY
            ordinal += self.why_not(day, region, version.terms["business_week"], closed) is None
        return question.recorded_at >= begins(day + DAY, version.zone)

    def decide(self, question: Question, draft: OracleVersion | None = None) -> Verdict:
        """The decision on a contact, by a draft alone if one is given."""
        order, as_of = question.order, question.as_of
        contact_version = draft or self.in_force(order.policy, question.received_at, as_of)
        version = draft or self.judging(order, question.received_at, as_of)
        region, provided = self.region(version, order), order.service_provided_at
        by_sent = version.terms["timely_by"] == "sent" and question.sent_at is not None
        requested_at = question.sent_at if by_sent else question.received_at

        window = ran = None
        if provided is not None and provided <= max(requested_at, question.recorded_at):
            ran = self.window(version, region, provided.astimezone(version.zone).date(), as_of)
        if provided is not None and provided <= requested_at:
            window = ran

        channel = {"accepted": True, "points": []} | version.terms[question.channel]
        at_contact = contact_version.terms[question.channel].get("points", [])
        both_name = channel["points"] and at_contact
        official = not both_name or question.point in {None, *channel["points"], *at_contact}
        late = ran is not None and not question.by_supervisor and self.is_late_entry(version, region, question)
        if question.cancelled:
            reason = "order_already_cancelled"
        elif not channel["accepted"]:
            reason = "channel_not_accepted"
        elif not official:
            reason = "unofficial_contact_point"
        elif window is None and not late:
            reason = "service_not_yet_provided"
        elif window is not None and requested_at >= window.deadline:
            reason = "window_elapsed"
        else:
            reason = "late_entry_needs_supervisor" if late else "within_window"
        backdated = question.asks and ran is not None and requested_at < ran.deadline <= question.recorded_at
        needed = backdated and version.terms["evidence_after_deadline"]
        return Verdict(version.number, contact_version.number, reason, window, backdated, needed)


# The year -------------------------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """A change of a policy: when, which kind, and what it changes."""

    at: datetime
    name: str
    policy: str
    text: str | None = None
    day: date | None = None


CLOSURES = [
    (MAIN, berlin("2026-01-20", "10:00"), "2026-02-16"),
    (MAIN, berlin("2026-02-24", "16:00"), "2026-02-25"),
    (MAIN, berlin("2026-02-26", "09:00"), "2026-02-26"),
    (MAIN, berlin("2026-03-11", "09:00"), "2026-03-11"),
    (MAIN, berlin("2026-03-26", "12:00"), "2026-03-25"),
    (MAIN, berlin("2026-04-22"), "2026-04-21"),
    (MAIN, berlin("2026-05-07") - TICK, "2026-05-05"),
    (MAIN, berlin("2026-06-08", "11:00"), "2026-06-05"),
    (MAIN, berlin("2026-07-01", "08:00"), "2026-07-04"),
    (MAIN, berlin("2026-07-01", "08:00") + TICK, "2026-07-06"),
    (MAIN, berlin("2026-09-11", "09:30"), "2026-09-12"),
    (MAIN, berlin("2026-10-02", "10:00"), "2026-10-03"),
    (MAIN, berlin("2026-10-22", "15:00"), "2026-10-20"),
    (MAIN, berlin("2026-10-23", "15:00"), "2026-10-19"),
    (MAIN, berlin("2026-11-02", "14:00"), "2026-11-02"),
    (MAIN, berlin("2026-11-13", "10:00"), "2026-11-04"),
    (MAIN, berlin("2026-12-01", "10:00"), "2026-12-24"),
    (MAIN, berlin("2026-12-02", "10:00"), "2026-12-24"),
    (BRAND, CAIRO_SKIPS_MIDNIGHT - TICK, "2026-04-22"),
    (BRAND, berlin("2026-07-19", "13:00"), "2026-07-20"),
    (BRAND, berlin("2026-09-30", "10:00"), "2026-09-29"),
]
PUBLISHED = [
    Change(berlin("2026-04-15", "10:00"), "publish", MAIN, MAIN_2),
    Change(berlin("2026-06-20", "10:00"), "publish", BRAND, BRAND_2),
    Change(berlin("2026-08-17", "10:00"), "publish", MAIN, MAIN_3),
    Change(berlin("2026-10-05", "10:00"), "publish", BRAND, BRAND_3),
    Change(berlin("2026-10-20", "10:00"), "withdraw", BRAND),
]
CHANGES_OF_POLICY = sorted(
    [*PUBLISHED, *(Change(at, "close", policy, day=date.fromisoformat(day)) for policy, at, day in CLOSURES)],
    key=lambda change: change.at,
)

BURSTS = sorted(
    begins((BEGINNING + i * DAY).astimezone(BERLIN).date(), BERLIN) + offset
    for i in range(1, (END - BEGINNING).days)
    for offset in (timedelta(), timedelta(hours=14, minutes=30), DAY - TICK)
)
"""When clients act: at midnight, in the afternoon, and at the last microsecond of a day."""

POINTS = {
    "phone": [("+493012345678",) * 2, ("+49 (30) 876-543-21", "+493087654321"), ("+20 2 2555 1234", "+20225551234")],
    "email": [("Help@Example.com", "help@example.com"), ("service@example.com",) * 2],
}
UNOFFICIAL = {"phone": ("+49 30 99999999", "+493099999999"), "email": ("boss@example.com",) * 2}


@dataclass(kw_only=True)
class Action:
    """An action of a client in a burst."""

    at: datetime
    order_id: str
    do: str
    received_at: datetime | None = None
    sent_at: datetime | None = None
    channel: str = "phone"
    point: tuple[str, str] | None = None
    by_supervisor: bool = False
    asks: bool = True
    supersedes: bool = False
    issue: str = "after"
    careless: bool = False
    """Whether the first attempt has no ticket."""


@dataclass
class Deadlines:
    """The deadlines of orders just before and just after a change of a policy."""

    change: Change
    moved: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    orders: dict[str, OrderFacts] = field(default_factory=dict)


@dataclass
class Year:
    """Everything that happened, for the service and for the oracle."""

    store: Store
    oracle: Oracle
    orders: dict[str, OrderFacts] = field(default_factory=dict)
    decisions: dict[str, tuple[str, Question]] = field(default_factory=dict)
    """The order and the question of each decision, by the id of its contact or cancellation.

    It is another contact's if that was in time, and this one is not.
    """
    own: dict[str, Question] = field(default_factory=dict)
    """The question of each contact itself."""
    contacts_of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    superseded: set[str] = field(default_factory=set)
    active: dict[str, str] = field(default_factory=dict)
    """The cancellation of each cancelled order."""
    refused: list[tuple[str, Question, str]] = field(default_factory=list)
    """Refusals to cancel on a stored contact: the order, the question and the reason."""
    evidence: list[tuple[Question, bool]] = field(default_factory=list)
    """Contacts sent without a ticket, and whether one was required."""
    deadlines: list[Deadlines] = field(default_factory=list)

    def open_requests(self, order_id: str, as_of: datetime, besides: str | None) -> list[Question]:
        """The requests about an order that is not cancelled, on its present facts, the earliest received first."""
        known = [one for one in self.contacts_of[order_id] if one not in self.superseded and one != besides]
        asking = [self.own[one] for one in known if self.own[one].asks]
        present = {"order": self.orders[order_id], "as_of": as_of, "cancelled": False}
        return [replace(one, **present) for one in sorted(asking, key=lambda one: one.received_at)]

    def answered(self, question: Question, besides: str | None = None) -> Question:
        """The question that is judged: itself, or the first open request that was in time, if it is not.

        If neither was, the first open request that waits for a supervisor, unless it waits itself.
        """
        own = self.oracle.decide(question)
        if question.cancelled or own.eligible:
            return question
        found = {WAITS: question} if own.reason in WAITS else {}
        for request in self.open_requests(question.order.order_id, question.as_of, besides):
            verdict = self.oracle.decide(request)
            if request.received_at > question.received_at:
                continue
            if verdict.eligible:
                return request
            if verdict.reason in WAITS:
                found.setdefault(WAITS, request)
        return found.get(WAITS, question)


WAITS = ("unofficial_contact_point", "late_entry_needs_supervisor")
"""The reasons for which a supervisor decides."""


def near(rng: random.Random, at: datetime) -> datetime:
    """The instant itself, or one a microsecond or some minutes away."""
    minutes = timedelta(seconds=rng.randint(-600, 600), microseconds=rng.randrange(1_000_000))
    return at + rng.choice((timedelta(), -TICK, TICK, minutes, minutes))


def any_instant(rng: random.Random, day: date) -> datetime:
    return datetime.combine(day, time(), BERLIN).astimezone(UTC) + timedelta(seconds=rng.randrange(86_400))


def provided_at(rng: random.Random, policy: str) -> datetime:
    day, kind = date(2026, 1, 2) + DAY * rng.randrange(362), rng.random()
    if kind < 0.3:
        zone = rng.choice((BERLIN, BERLIN, LISBON) if policy == MAIN else (CAIRO,))
        return near(rng, begins(day, zone))
    if kind < 0.35:
        return near(rng, rng.choice(CHANGES[policy]))
    if kind < 0.37 and policy == BRAND:
        return near(rng, CAIRO_SKIPS_MIDNIGHT - rng.randrange(4) * DAY)
    if kind < 0.55:
        closed = date.fromisoformat(rng.choice([day for of, _, day in CLOSURES if of == policy]))
        return any_instant(rng, closed - DAY * rng.randrange(6))
    return any_instant(rng, day)


def ordered_at(rng: random.Random, policy: str, provided: datetime) -> datetime | None:
    if rng.random() < 0.08:
        return None
    if policy == MAIN and timedelta() < provided - CHANGES[MAIN][1] < 20 * DAY and rng.random() < 0.4:
        return min(near(rng, CHANGES[MAIN][1]), provided)
    return provided - rng.choice(
        (timedelta(minutes=rng.randint(1, 60)), timedelta(hours=rng.randint(1, 40)), DAY * rng.randint(2, 20))
    )


def burst_from(at: datetime, *, later: int = 0) -> datetime:
    """The first burst that is not before an instant, or one of the next."""
    return BURSTS[min(bisect_left(BURSTS, at) + later, len(BURSTS) - 1)]


class Script:
    """All actions of the year, the same in every run."""

    def __init__(self, oracle: Oracle) -> None:
        self._rng = random.Random(SEED)  # noqa: S311
        self._oracle = oracle
        self.facts: dict[str, tuple[OrderFacts, bool]] = {}
        self.actions: dict[datetime, list[Action]] = defaultdict(list)
        for number in range(ORDERS):
            self._order(f"order-{number:05}")
        for month in range(1, 13):
            self._request_at_the_start_of(month)

    def _order(self, order_id: str) -> None:
        rng = self._rng
        policy = BRAND if rng.random() < 0.2 else MAIN
        provided = provided_at(rng, policy)
        ordered, kind = ordered_at(rng, policy, provided), rng.random()
        facts = OrderFacts(
            order_id=order_id,
            customer_ref=f"customer-{rng.randrange(6_000)}",
            service_provided_at=provided,
            ordered_at=ordered,
            policy=policy,
            region=rng.choice(REGIONS[policy]),
        )
        known_at = provided
        if kind < 0.08:  # not yet provided: the instant is registered later, or known in advance
            known_at = (ordered or provided - DAY) + timedelta(seconds=rng.randrange(3600))
        registered = burst_from(max(known_at, BEGINNING))
        provided_later = kind < 0.05 and registered < provided
        self.facts[order_id] = facts, provided_later
        self._add(Action(at=registered, order_id=order_id, do="register"))
        if provided_later:
            self._add(Action(at=burst_from(provided), order_id=order_id, do="provide"))
        if rng.random() < (0.6 if registered < provided else 0.35):
            self._contacts(facts, registered)

    def _request_at_the_start_of(self, month: int) -> None:
        """Add a request in the first hour of a month, for a service that is not yet provided."""
        order_id, received = f"turn-{month:02}", begins(date(2026, month, 1), LISBON) + timedelta(minutes=15)
        facts = OrderFacts(
            order_id=order_id,
            customer_ref="customer-0",
            service_provided_at=received + 5 * DAY,
            ordered_at=received - timedelta(minutes=5),
            policy=MAIN,
        )
        self.facts[order_id] = facts, True
        registered = burst_from(received)
        self._add(Action(at=registered, order_id=order_id, do="register"))
        self._add(Action(at=registered, order_id=order_id, do="contact", received_at=received, issue="never"))
        self._add(Action(at=burst_from(received + 5 * DAY), order_id=order_id, do="provide"))

    def _add(self, action: Action) -> None:
        self.actions[action.at].append(action)

    def _contacts(self, facts: OrderFacts, registered: datetime) -> None:
        rng, provided = self._rng, facts.service_provided_at
        if registered < provided and rng.random() < 0.7:
            since = max(facts.ordered_at or registered, BEGINNING)
            received = since + rng.random() * (provided + timedelta(hours=1) - since)
        else:
            received = self._received(facts)
        first = self._contact(facts.order_id, received, registered)
        if rng.random() < 0.2:
            again = received + rng.choice((timedelta(minutes=5), timedelta(hours=20), 2 * DAY))
            second = self._contact(facts.order_id, again, first.at)
            second.supersedes = rng.random() < 0.5

    def _received(self, facts: OrderFacts) -> datetime:
        """Up to eight days after the service, and often near the end of the window."""
        rng, kind = self._rng, self._rng.random()
        if kind < 0.55:
            return near(rng, self._oracle.window_of(facts, END if kind < 0.4 else BEGINNING).deadline)
        if kind < 0.6:
            return near(rng, facts.service_provided_at)
        return facts.service_provided_at + rng.random() * 8 * DAY

    def _contact(self, order_id: str, received: datetime, earliest: datetime) -> Action:
        rng, channel = self._rng, self._rng.choice(("phone", "email"))
        late = rng.random() < 0.25
        since = received + rng.random() * 12 * DAY if late else received
        at = burst_from(max(since, earliest), later=rng.randrange(3) if late else 0)
        sent_at = None
        if rng.random() < 0.3:
            sent_at = received - rng.choice((timedelta(), TICK, timedelta(seconds=rng.randrange(20_000))))
        action = Action(
            at=at,
            order_id=order_id,
            do="contact",
            received_at=received,
            sent_at=sent_at,
            channel=channel,
            point=rng.choice((None, UNOFFICIAL[channel], *POINTS[channel], *POINTS[channel])),
            by_supervisor=rng.random() < (0.4 if late else 0.1),
            asks=rng.random() < 0.9,
            issue=rng.choice(("after",) * 4 + ("at once", "later", "never")),
            careless=rng.random() < 0.3,
        )
        self._add(action)
        if action.issue == "later":
            self._add(Action(at=burst_from(at + rng.random() * 5 * DAY), order_id=order_id, do="issue"))
        if rng.random() < 0.05:
            self._add(Action(at=burst_from(at + timedelta(minutes=1)), order_id=order_id, do="revoke"))
        return action


class Actor:
    """Performs the script, and remembers what was sent to the service."""

    def __init__(self, year: Year, script: Script) -> None:
        self._year, self._script = year, script

    def act(self, uow: Any, action: Action) -> None:
        """Perform an action."""
        getattr(self, f"_{action.do}")(uow, action)

    def _register(self, uow: Any, action: Action) -> None:
        facts, provided_later = self._script.facts[action.order_id]
        if provided_later:
            facts = replace(facts, service_provided_at=None)
        assert orders.register(uow, facts)[1] is Registration.REGISTERED
        self._year.orders[action.order_id] = facts

    def _provide(self, uow: Any, action: Action) -> None:
        facts, _ = self._script.facts[action.order_id]
        if action.order_id not in self._year.active:
            orders.register(uow, facts)
            self._year.orders[action.order_id] = facts

    def _contact(self, uow: Any, action: Action) -> None:
        new = self._new_contact(action)
        try:
            self._record(uow, action, new)
        except Forbidden:  # only a supervisor replaces a timely request by one that is refused
            self._record(uow, action, replace(new, supersedes=None))

    def _record(self, uow: Any, action: Action, new: NewContact) -> None:
        year = self._year
        # Nobody becomes late because of a correction: it counts as entered when the first one was.
        first = year.own[new.supersedes] if new.supersedes else None
        is_correction = first is not None and first.asks and (new.received_at or uow.now) <= first.recorded_at
        question = Question(
            order=year.orders[action.order_id],
            received_at=new.received_at,
            recorded_at=first.recorded_at if is_correction else uow.now,
            as_of=uow.now,
            channel=action.channel,
            sent_at=new.sent_at,
            point=action.point and action.point[1],
            cancelled=action.order_id in year.active,
            by_supervisor=action.by_supervisor,
            asks=action.asks,
        )
        answered = year.answered(question, new.supersedes)
        if action.careless:
            try:
                result = self._send(uow, action, new)
            except EvidenceRequired:
                result = None
            year.evidence.append((question, result is None))
        if not action.careless or result is None:
            result = self._send(uow, action, replace(new, ticket_ref="T-1"))
        contact_id = self._remember(uow, action.order_id, new, answered, result)
        # Of a contact that is judged by another one, nothing tells that a supervisor has entered it.
        year.own[contact_id] = replace(question, by_supervisor=question.by_supervisor and answered is question)
        if action.issue == "after" and action.asks:
            self._issue(uow, action)

    def _new_contact(self, action: Action) -> NewContact:
        earlier = [known for known in self._year.contacts_of[action.order_id] if known not in self._year.superseded]
        supersedes = earlier[-1] if action.supersedes and earlier and action.asks else None
        if action.order_id in self._year.active:
            supersedes = None
        return NewContact(
            channel=Channel(action.channel),
            intent=Intent.CANCEL if action.asks else Intent.QUESTION,
            sent_at=action.sent_at,
            received_at=action.received_at,
            contact_point=action.point and action.point[0],
            supersedes=supersedes,
        )

    def _send(self, uow: Any, action: Action, new: NewContact) -> Any:
        if action.issue == "at once" and action.asks:
            return cancellations.issue(uow, order=action.order_id, contact=new)
        return contacts.record(uow, action.order_id, new)

    def _remember(self, uow: Any, order_id: str, new: NewContact, question: Question, result: Any) -> str:
        year = self._year
        recorded = (contact.contact_id for contact in uow.contacts.of_order(order_id))
        (contact_id,) = set(recorded).difference(year.contacts_of[order_id])
        if new.supersedes:
            year.superseded.add(new.supersedes)
        if isinstance(result, Cancellation):
            self._cancelled(order_id, question, result)
        year.contacts_of[order_id].append(contact_id)
        year.decisions[contact_id] = order_id, question
        return contact_id

    def _cancelled(self, order_id: str, question: Question, issued: Cancellation) -> None:
        cancellation_id = issued.cancellation_id
        self._year.active[order_id] = cancellation_id
        self._year.decisions[cancellation_id] = order_id, question

    def _issue(self, uow: Any, action: Action) -> None:
        """Cancel an order on the last contact that requested it."""
        year, order_id = self._year, action.order_id
        asking = [known for known in year.contacts_of[order_id] if known not in year.superseded]
        asking = [known for known in asking if year.own[known].asks]
        if not asking:
            return
        question = replace(
            year.own[asking[-1]],
            order=year.orders[order_id],
            as_of=uow.now,
            cancelled=order_id in year.active,
        )
        answered = year.answered(question)
        result = cancellations.issue(uow, order=order_id, contact=asking[-1])
        if isinstance(result, Cancellation):
            self._cancelled(order_id, answered, result)
        else:
            year.refused.append((order_id, answered, result.decision.reason))

    def _revoke(self, uow: Any, action: Action) -> None:
        cancellation_id = self._year.active.pop(action.order_id, None)
        if cancellation_id is not None:
            settlements.revoke(uow, cancellation_id, RevocationReason.ENTERED_IN_ERROR, None)

    def change(self, change: Change) -> None:
        """Change a policy, and remember the deadlines before and after."""
        year, store = self._year, self._year.store
        noted = Deadlines(change)
        provided = {
            order_id: order.service_provided_at
            for order_id, order in year.orders.items()
            if order.service_provided_at is not None and order.policy == change.policy
        }
        recent = [order_id for order_id, at in provided.items() if timedelta(0) <= change.at - at < 16 * DAY]
        older = [order_id for order_id, at in provided.items() if change.at - at >= 16 * DAY]
        chosen = recent + random.Random(change.at.isoformat()).sample(older, min(len(older), 150))  # noqa: S311
        before = self._deadlines(chosen)
        with store.write(ADMIN) as uow:
            self._apply(uow, change)
        after = self._deadlines(chosen)
        noted.moved = {order_id: (before[order_id], after[order_id]) for order_id in chosen}
        noted.orders = {order_id: year.orders[order_id] for order_id in chosen}
        year.deadlines.append(noted)

    def _deadlines(self, chosen: list[str]) -> dict[str, datetime]:
        with self._year.store.read(AGENT) as uow:
            return {order_id: deadline(uow, order_id) for order_id in chosen}

    def _apply(self, uow: Any, change: Change) -> None:
        if change.name == "publish":
            assert publication.publish(uow, read_policy(change.text)).created
        elif change.name == "withdraw":
            publication.withdraw(uow, change.policy, 3)
        else:
            publication.close(uow, change.policy, change.day)


def oracle_of_the_year() -> Oracle:
    """The oracle with every version and closure of the year."""
    oracle = Oracle()
    for text in (MAIN_1, BRAND_1):
        version = oracle_version(text)
        oracle.versions[version.policy].append(version)
    withdrawn = {change.policy: change.at for change in PUBLISHED if change.name == "withdraw"}
    for change in PUBLISHED:
        if change.name == "publish":
            version = oracle_version(change.text, change.at)
            if version.number == 3 and change.policy in withdrawn:
                version = replace(version, withdrawn_at=withdrawn[change.policy])
            oracle.versions[change.policy].append(version)
    entered = set()
    for change in CHANGES_OF_POLICY:
        if change.name == "close" and (change.policy, change.day) not in entered:
            entered.add((change.policy, change.day))
            oracle.closures.append((change.at, change.policy, change.day))
    return oracle


@pytest.fixture(scope="module")
def year(tmp_path_factory) -> Iterator[Year]:
    """The year after its end, with the clock at its end."""
    year = Year(Store(settings(tmp_path_factory.mktemp("year"), engine="sqlite")), oracle_of_the_year())
    script = Script(year.oracle)
    actor = Actor(year, script)
    changes = list(CHANGES_OF_POLICY)
    with time_machine.travel(BEGINNING, tick=False) as clock:
        with year.store.write(ADMIN) as uow:
            publication.import_version(uow, read_policy(BRAND_1))
        for burst in BURSTS:
            while changes and changes[0].at <= burst:
                clock.move_to(changes[0].at)
                actor.change(changes.pop(0))
            clock.move_to(burst)
            for principal, supervises in ((AGENT, False), (SUPERVISOR, True)):
                due = [action for action in script.actions[burst] if is_a_supervisors(action) == supervises]
                if due:
                    with year.store.write(principal) as uow:
                        for action in due:
                            actor.act(uow, action)
        clock.move_to(END)
        yield year
    year.store.close()


def is_a_supervisors(action: Action) -> bool:
    return action.by_supervisor or action.do == "revoke"


# The tests ----------------------------------------------------------------------------------------------------------


def deadline(uow: Any, order_id: str) -> datetime | None:
    """The deadline of an order by its facts, whatever was requested before."""
    order = uow.orders.get(order_id)
    return orders.decided(
        uow, order, Facts(service_provided_at=order.service_provided_at, received_at=uow.now)
    ).deadline


def stored(year: Year) -> dict[str, dict[str, Any]]:
    """Every stored decision, by the id of its record."""
    with year.store.read(ADMIN) as uow:
        rows = uow.tx.all(
            "SELECT contact_id AS record_id, decision FROM contacts"
            " UNION ALL SELECT cancellation_id, decision FROM cancellations"
        )
    return {row["record_id"]: orjson.loads(row["decision"]) for row in rows}


def in_terms_of_the_oracle(record: dict[str, Any]) -> dict[str, Any]:
    """A stored decision, in the terms of the oracle."""
    outcome = OUTCOME.load(record["outcome"])
    return {
        "version": outcome.version,
        "contact_version": record["facts"]["contact_version"],
        "eligible": outcome.eligible,
        "reason": outcome.reason.value,
        "last_day": outcome.window and outcome.window.last_day,
        "deadline": outcome.deadline,
        "days": tuple((day.date, day.status.value, day.ordinal, day.why and day.why.value) for day in outcome.days),
    }


def expected(verdict: Verdict) -> dict[str, Any]:
    window = verdict.window
    return {
        "version": verdict.version,
        "contact_version": verdict.contact_version,
        "eligible": verdict.eligible,
        "reason": verdict.reason,
        "last_day": window and window.last_day,
        "deadline": window and window.deadline,
        "days": window.days if window else (),
    }


def test_every_decision_agrees_with_the_oracle(year):
    found = stored(year)
    assert found.keys() == year.decisions.keys()
    wrong = {}
    for record_id, (order_id, question) in year.decisions.items():
        actual, correct = in_terms_of_the_oracle(found[record_id]), expected(year.oracle.decide(question))
        if actual != correct:
            wrong[order_id, record_id] = {
                name: (actual[name], correct[name]) for name in correct if actual[name] != correct[name]
            }
    assert not wrong


def test_the_year_covers_every_reason_kind_of_day_and_version(year):
    verdicts = [(question, year.oracle.decide(question)) for _, question in year.decisions.values()]
    reasons = Counter(verdict.reason for _, verdict in verdicts)
    days = Counter(day[1:2] + day[3:] for _, verdict in verdicts if verdict.window for day in verdict.window.days)
    versions = Counter(
        (question.order.policy, verdict.version, verdict.contact_version) for question, verdict in verdicts
    )
    assert min(reasons.values()) >= 20, reasons
    assert len(reasons) == 7, reasons
    assert len(days) == 6, days
    assert min(days.values()) >= 20, days
    assert {(MAIN, 1, 2), (MAIN, 2, 3), (MAIN, 3, 3), (BRAND, 1, 2), (BRAND, 2, 2)} <= versions.keys(), versions
    assert (BRAND, 3, 3) not in versions


def test_refusals_on_stored_contacts_agree_with_the_oracle(year):
    assert year.refused
    for order_id, question, reason in year.refused:
        assert (order_id, reason) == (order_id, year.oracle.decide(question).reason)


def test_a_ticket_is_required_if_a_timely_contact_is_entered_after_the_deadline(year):
    for question, was_refused in year.evidence:
        assert (question, was_refused) == (question, year.oracle.decide(question).evidence_needed)


def test_backdated_contacts_agree_with_the_oracle(year):
    with year.store.read(ADMIN) as uow:
        listed = {row["contact_id"] for row in uow.tx.all("SELECT contact_id FROM contacts WHERE backdated = 1")}
    correct = {record_id for record_id, question in year.own.items() if year.oracle.decide(question).backdated}
    assert listed == correct


def test_no_change_of_a_policy_shortens_a_running_window_or_changes_an_ended_one(year):
    ran = ended = 0
    for noted in year.deadlines:
        for order_id, (before, after) in noted.moved.items():
            if noted.change.at < before:
                ran += 1
                assert after >= before, (noted.change, order_id)
            else:
                ended += 1
                assert after == before, (noted.change, order_id)
    assert len(year.deadlines) == len(CHANGES_OF_POLICY)
    assert ran > 500
    assert ended > 5_000


def test_changed_deadlines_agree_with_the_oracle(year):
    extended = Counter()
    for noted in year.deadlines:
        at = noted.change.at
        for order_id, (before, after) in noted.moved.items():
            window = year.oracle.window_of(noted.orders[order_id], at)
            assert after == window.deadline, (noted.change, order_id)
            extended[noted.change.day] += after != before
    never = {date(2026, 7, 4), None}  # a Saturday, and versions that are not yet in force
    assert {day for day, count in extended.items() if not count} >= never
    assert extended[date(2026, 6, 5)]  # a day of the previous week
    assert extended[date(2026, 9, 12)]  # a Saturday that is a business day
    assert sum(map(bool, extended.values())) >= 9, extended


def test_the_final_windows_agree_with_the_oracle(year):
    with year.store.read(AGENT) as uow:
        for order_id, order in year.orders.items():
            window = year.oracle.window_of(order, END)
            assert (order_id, deadline(uow, order_id)) == (order_id, window and window.deadline)


def replayed(year: Year) -> tuple[Replayed, set[str]]:
    found = Replayed()
    with year.store.read(ADMIN) as uow:
        differing = list(replay(uow, found))
    assert not [difference for difference in differing if difference.failure]
    return found, {difference.record_id for difference in differing}


def test_a_replay_finds_no_difference(year):
    found, differing = replayed(year)
    assert (found.decisions, found.differences, differing) == (len(year.decisions), 0, set())
    assert not found.other_data


def forget_calendars():
    for module in (holidays_data, judging):
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()
            elif hasattr(made, "cache"):
                made.cache.clear()


LOST, GAINED = ("DE-BY", date(2026, 6, 4)), ("FR", date(2026, 9, 16))


@pytest.fixture
def other_holidays(monkeypatch):
    """Holiday data in which Bavaria has lost a holiday and France has gained one."""
    genuine = holidays_data._built

    def changed(country: str, subdivision: str | None, *how: Any, **others: Any) -> Any:
        known = genuine(country, subdivision, *how, **others)
        names, region = dict(known.names), f"{country}-{subdivision}" if subdivision else country
        if region == LOST[0]:
            names.pop(LOST[1], None)  # of another year, there is none
        if region == GAINED[0]:
            names[GAINED[1]] = "Nouveau jour"
        return replace(known, names=MappingProxyType(names))

    monkeypatch.setattr(holidays_data, "_built", changed)
    forget_calendars()
    yield
    monkeypatch.undo()
    forget_calendars()


def test_a_replay_with_other_holidays_finds_exactly_the_different_decisions(year, other_holidays):
    other = year.oracle.with_holidays(lost={LOST}, gained={GAINED})
    correct = {
        record_id
        for record_id, (_, question) in year.decisions.items()
        if expected(year.oracle.decide(question)) != expected(other.decide(question))
    }
    by_region = Counter(year.decisions[record_id][1].order.region for record_id in correct)
    assert by_region.keys() == {LOST[0], GAINED[0]}
    assert min(by_region.values()) >= scaled(2, 5)
    found, differing = replayed(year)
    assert differing == correct
    assert found.differences == len(correct)


def test_a_replay_with_the_genuine_holidays_finds_no_difference_again(year):
    assert not replayed(year)[1]


class Counted:
    """The correct counts of a simulation, one order and one contact at a time."""

    def __init__(self, year: Year, draft: OracleVersion) -> None:
        self.not_provided, self.counts, self.flipped = 0, defaultdict(Counter), defaultdict(set)
        self._oracle, self._draft = year.oracle, draft
        self._elsewhere = year.oracle.in_force(draft.policy, END, END).terms["region"]
        for order in year.orders.values():
            if order.policy == draft.policy:
                self._order(order)
        for record_id, (order_id, question) in year.decisions.items():
            is_contact = record_id.startswith("con_") and record_id not in year.superseded
            if is_contact and question.order.policy == draft.policy:
                self._contact(order_id, question)

    def _order(self, order: OrderFacts) -> None:
        if order.service_provided_at is None:
            self.not_provided += 1
            return
        before = self._oracle.window_of(order, END)
        service_day = order.service_provided_at.astimezone(self._draft.zone).date()
        after = self._oracle.window(self._draft, self._oracle.region(self._draft, order), service_day, END)
        longer, shorter = after.deadline > before.deadline, after.deadline < before.deadline
        self._count(before.days[0][0], order.region, orders=1, longer=longer, shorter=shorter)

    def _contact(self, order_id: str, question: Question) -> None:
        before, at_end = self._oracle.decide(question), replace(question, as_of=END)
        today, after = self._oracle.decide(at_end), self._oracle.decide(at_end, self._draft)
        day = after.window.days[0][0] if after.window else question.received_at.astimezone(self._draft.zone).date()
        flips = {
            Flip.TO_ELIGIBLE: after.eligible and not before.eligible and not today.eligible,
            Flip.TO_REFUSED: before.eligible and today.eligible and not after.eligible,
        }
        self._count(day, question.order.region, question.channel, contacts=1, **flips)
        for flip, happens in flips.items():
            if happens:
                self.flipped[flip].add(order_id)

    def _count(self, day: date, region: str | None, channel: str | None = None, **names: int) -> None:
        for key in ("total", f"{day:%Y-%m}", region or self._elsewhere, channel):
            if key is not None:
                self.counts[key].update(names)


def without_zeros(counts: dict[Any, dict[str, int]]) -> dict[str, dict[str, int]]:
    return {str(key): {name: int(count) for name, count in of.items() if count} for key, of in counts.items()}


@pytest.mark.parametrize("draft", DRAFTS)
def test_simulations_agree_with_the_oracle(year, draft):
    with year.store.read(ADMIN) as uow:
        found = simulate(uow, read_policy(DRAFTS[draft]))
    correct = Counted(year, oracle_version(DRAFTS[draft], END))
    tallies = {"total": found.total, **found.by_month, **found.by_region, **found.by_channel}
    assert without_zeros({key: asdict(tally) for key, tally in tallies.items()}) == without_zeros(correct.counts)
    assert found.orders_flipped == {flip: len(flipped) for flip, flipped in correct.flipped.items()}
    assert found.not_provided == correct.not_provided
    assert not found.undecided
    total = correct.counts["total"]
    assert min(total["to_eligible"], total["to_refused"], total["longer"] + total["shorter"]) >= 5, total


def test_the_evidence_is_sound_and_names_the_versions_that_judged(year):
    of_order = defaultdict(set)
    for order_id, question in year.decisions.values():
        verdict = year.oracle.decide(question)
        of_order[order_id] |= {verdict.version, verdict.contact_version}
    chosen = random.Random(SEED).sample(sorted(of_order), 12)  # noqa: S311
    chosen += [order_id for order_id, numbers in of_order.items() if len(numbers) > 1][:3]
    checkpoints = list(year.store.checkpoints)
    with year.store.read(ADMIN) as uow:
        for order_id in chosen:
            found, order = evidence.gather(uow, order_id, checkpoints), year.orders[order_id]
            provided = order.service_provided_at
            now = year.oracle.judging(order, END, END) if provided else year.oracle.in_force(order.policy, END, END)
            assert found.broken == []
            assert {version.policy for version in found.versions} == {order.policy}
            assert {version.version for version in found.versions} == of_order[order_id] | {now.number}
            assert [contact.contact_id for contact in found.contacts] == sorted(year.contacts_of[order_id])


class RolledBack(Exception):
    """Rolls back what was written."""


def test_the_evidence_reports_a_changed_decision(year):
    late = (
        known
        for known, (_, question) in year.decisions.items()
        if year.oracle.decide(question).reason == "window_elapsed"
    )
    contact_id = next(late)
    order_id, checkpoints = year.decisions[contact_id][0], list(year.store.checkpoints)
    with suppress(RolledBack), year.store.write(ADMIN) as uow:
        uow.tx.run(
            "UPDATE contacts SET decision = replace(decision, 'window_elapsed', 'within_window')"
            " WHERE contact_id = :contact_id",
            contact_id=contact_id,
        )
        found = evidence.gather(uow, order_id, checkpoints).broken
        raise RolledBack
    assert found == [f"contacts {contact_id}: differs from the journal"]
    with year.store.read(ADMIN) as uow:
        assert evidence.gather(uow, order_id, checkpoints).broken == []
