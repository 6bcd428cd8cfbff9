"""Simulation: judge every stored order and contact by a draft, and compare with the policy and the stored decisions.

It uses the same `decide()` as everything else. There are many orders but few cases, so each case is decided once, and
its orders are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import orjson

from refunds.domain import judging
from refunds.domain.eligibility import Decision, decide
from refunds.domain.instants import local_date, zone
from refunds.domain.outcomes import ELIGIBLE, Facts, Outcome, Reason
from refunds.domain.permissions import Scope
from refunds.domain.policy import Difference, Policy, PolicyVersion, differences
from refunds.domain.regions import known_region_or_country, require_region
from refunds.domain.statistics import FEWEST
from refunds.errors import RefundsError
from refunds.service import ProgressCallback, silently
from refunds.service.cases import Case, Cases
from refunds.storage import Row
from refunds.storage.decisions import FACTS, OUTCOME
from refunds.storage.mapper import instant
from refunds.storage.unit_of_work import UnitOfWork

EXAMPLES = 10
"""Examples of each `Flip` at most."""

STEP = 5_000
"""Rows between two reports of progress."""


class Flip(StrEnum):
    """How the decision on a contact would change."""

    TO_ELIGIBLE = "to_eligible"
    TO_REFUSED = "to_refused"


@dataclass(slots=True)
class Tally:
    """Counts of orders, of those whose window gets longer or shorter, of contacts, and of those that flip."""

    orders: int = 0
    longer: int = 0
    shorter: int = 0
    contacts: int = 0
    to_eligible: int = 0
    to_refused: int = 0


class Example(NamedTuple):
    """A contact that flips: the stored outcome, and the outcome under the draft."""

    order_id: str
    contact_id: str
    before: Outcome
    after: Outcome


@dataclass(slots=True)
class Simulation:
    """What a draft would change, compared with the version in force, `compared_with`.

    `by_month` goes by the service day or, if there is none, by the receipt of the contact.
    """

    draft: PolicyVersion
    compared_with: PolicyVersion
    differences: list[Difference]
    made_at: datetime
    total: Tally = field(default_factory=Tally)
    not_provided: int = 0
    """Orders that have no window yet."""
    by_month: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_channel: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    by_region: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    orders_flipped: Counter[Flip] = field(default_factory=Counter)
    examples: dict[Flip, list[Example]] = field(default_factory=lambda: {flip: [] for flip in Flip})
    undecided: Counter[str] = field(default_factory=Counter)
    """Orders and contacts that the draft cannot judge, by the code of the error."""
    is_coarse: bool = False
    """Whether it has been through `coarsened`."""

    def tallies(self, day: date, region: str | None, channel: str | None = None) -> Iterator[Tally]:
        """Yield the tallies in which an order or contact counts: the total, and those of its month, region and channel.

        Without a region, the policy's counts; without a channel, no tally of a channel is yielded.
        """
        yield self.total
        yield self.by_month[f"{day:%Y-%m}"]
        yield self.by_region[region or self.compared_with.terms.region]
        if channel is not None:
            yield self.by_channel[channel]


def simulate(uow: UnitOfWork, draft: PolicyVersion, progress: ProgressCallback = silently) -> Simulation:
    """Judge the stored orders and contacts of a policy by a draft, and return what would change; nothing is stored.

    The windows of orders are compared with those that the policy gives them now, the decisions on contacts with the
    stored ones; what is decided otherwise today without the draft, too, does not count. The draft gets the closures of
    its policy. The simulation skips superseded contacts, withdrawals, questions that were judged by a withdrawal, and
    the records of customers with a restriction or an objection. An order whose service is not provided yet counts as
    `not_provided`; what the draft cannot judge counts as undecided. A principal who may not read orders gets the result
    `coarsened`. Raises `NotFound` if there is no such policy, and `UnknownRegion` if the draft's region does not exist.
    """
    policy = uow.policies[draft.policy_id]
    require_region(draft.terms.region, "/terms/region")
    present = policy.current(uow.now)
    draft = replace(draft, closures=present.closures)
    found = Simulation(draft, present, differences(present.terms, draft.terms), uow.now)
    orders, contacts = uow.orders.count(), uow.contacts.count()  # other policies included: only for progress
    judging = _Judging(uow.policies, found)
    judging.judge_orders(
        uow.orders.facts_for_simulation(policy.policy_id), lambda done: progress("orders", done, orders)
    )
    judging.judge_contacts(uow.contacts.judged_by(policy.policy_id), lambda done: progress("contacts", done, contacts))
    return found if uow.principal.may(Scope.ORDERS_READ) else coarsened(found)


def coarsened(found: Simulation) -> Simulation:
    """Return a simulation with every number rounded down to tens, and without orders and regions.

    With regions, somebody who simulates repeatedly, and knows all customers of a region but one, could learn about that
    one from how the numbers change.
    """
    return replace(
        found,
        total=_in_tens(found.total),
        not_provided=_tens(found.not_provided),
        by_month={month: one for month, tally in found.by_month.items() if (one := _in_tens(tally)) != Tally()},
        by_channel={channel: one for channel, tally in found.by_channel.items() if (one := _in_tens(tally)) != Tally()},
        by_region={},
        orders_flipped=Counter({flip: _tens(count) for flip, count in found.orders_flipped.items()}),
        examples={flip: [] for flip in Flip},
        undecided=Counter({code: _tens(count) for code, count in found.undecided.items() if _tens(count)}),
        is_coarse=True,
    )


def _tens(count: int) -> int:
    """Return a count rounded down to tens."""
    return count - count % FEWEST


def _in_tens(tally: Tally) -> Tally:
    """Return a tally with each count rounded down to tens."""
    return Tally(*map(_tens, astuple(tally)))


class _Judging:
    """A simulation in progress, which judges by the draft of `found` and adds its counts to `found`."""

    def __init__(self, policies: Mapping[str, Policy], found: Simulation) -> None:
        self._policy = policies[found.draft.policy_id]
        self._found, self._draft = found, found.draft
        self._calendars = cache(lambda region: judging.calendar_of(found.draft, _known_region_or_country(region)))

    def judge_orders(self, rows: Iterator[Row], progress: Callable[[int], None]) -> None:
        """Count the orders in these rows, and those whose window the draft makes longer or shorter.

        An order without a service date counts as `not_provided`, one that cannot be judged as undecided. `progress`
        gets the number of rows read so far: 0 at the first row, and then every `STEP` rows.
        """
        sorted_into = Cases(self._policy, self._draft)
        cases: dict[Case, list[Any]] = {}
        for done, row in enumerate(rows):
            if not done % STEP:
                progress(done)
            if row["service_provided_at"] is None:
                self._found.not_provided += 1
                continue
            case = sorted_into.case(row)
            if counted := cases.get(case):
                counted[1] += 1
            else:
                cases[case] = [row, 1]
        for row, count in cases.values():
            self._compare(row, count)

    def _compare(self, row: Row, count: int) -> None:
        """Add `count` orders with the facts in a row to the tallies: with a longer, a shorter or the same window.

        If no decision on them can be made, add them to `undecided`, by the code of the error.
        """
        provided, ordered = row["service_provided_at"], row["ordered_at"]
        region = _known_region_or_country(row["region"])
        facts = Facts(service_provided_at=instant(provided), received_at=instant(provided))
        try:
            before = judging.judge(self._policy, facts, None if ordered is None else instant(ordered), region)
            after = self._decide(facts, region)
        except RefundsError as error:
            self._found.undecided[error.code] += count
            return
        assert before.window
        assert before.deadline
        assert after.deadline
        for tally in self._found.tallies(before.window.service_day, region):
            tally.orders += count
            tally.longer += count * (after.deadline > before.deadline)
            tally.shorter += count * (after.deadline < before.deadline)

    def judge_contacts(self, rows: Iterator[Row], progress: Callable[[int], None]) -> None:
        """Judge stored contacts under the draft, count them by month, region and channel, and keep ten of each `Flip`.

        An order counts once for each kind of flip, so the contacts of an order must follow one another. Decisions by a
        withdrawal are left out, and contacts that the draft cannot judge are counted as undecided. `progress` gets the
        number of rows done, now and then.
        """
        counts: Counter[tuple[int, int, str | None, str | None, Flip | None]] = Counter()
        flipped: dict[Flip, str] = {}
        tz = zone(self._draft.terms.time_zone)
        for done, row in enumerate(rows):
            if not done % STEP:
                progress(done)
            record = orjson.loads(row["decision"])
            facts = _own(FACTS.load(record["facts"]))
            if facts.withdrawal:  # by which a question was judged: no draft refuses it
                continue
            try:
                after = self._decide(facts, row["region"])
                reason = after.reason
            except RefundsError as error:
                self._found.undecided[error.code] += 1
                continue
            day = after.window.service_day if after.window else local_date(facts.received_at, tz)
            flip = _flip(record["outcome"]["reason"], reason)
            if flip is not None and not self._is_of_draft(facts, row, reason):
                flip = None
            counts[day.year, day.month, facts.channel, row["region"], flip] += 1
            if flip is not None:
                self._found.orders_flipped[flip] += flipped.get(flip) != row["order_id"]
                flipped[flip] = row["order_id"]
                if len(self._found.examples[flip]) < EXAMPLES:
                    before = OUTCOME.load(record["outcome"])
                    self._found.examples[flip].append(
                        Example(row["order_id"], row["contact_id"], before, after.outcome)
                    )
        for (year, month, channel, region, flip), count in counts.items():
            for tally in self._found.tallies(date(year, month, 1), region, channel):
                tally.contacts += count
                tally.to_eligible += count * (flip is Flip.TO_ELIGIBLE)
                tally.to_refused += count * (flip is Flip.TO_REFUSED)

    def _is_of_draft(self, facts: Facts, row: Row, reason: Reason) -> bool:
        """Tell whether the draft changes the decision on a row's facts to this reason, and not what came before it.

        Since it was stored, holidays, zones and closures may have changed, and the order's region or policy; and the
        draft keeps no promise.
        """
        ordered = row["ordered_at"]
        with suppress(RefundsError):
            at, region = None if ordered is None else instant(ordered), _known_region_or_country(row["region"])
            return _flip(judging.judge(self._policy, facts, at, region, of_order=True).reason, reason) is not None
        return True

    def _decide(self, facts: Facts, region: str | None) -> Decision:
        """Return the draft's decision on facts, in a region (None: its own); raise `RefundsError` without one."""
        return decide(facts, self._draft, self._calendars(region), self._draft)


def _own(facts: Facts) -> Facts:
    """Return facts without what an earlier decision found: each version decides for itself."""
    return facts._replace(entered_in_time=False)


def _known_region_or_country(region: str | None) -> str | None:
    """Return a region; its country if the holiday data has lost only the region; None for None."""
    return region and (known_region_or_country(region) or region)


def _flip(before: str, after: str) -> Flip | None:
    """Return whether a decision becomes refundable or refused as its reason changes; None if it stays what it was."""
    was, is_now = before in ELIGIBLE, after in ELIGIBLE
    if was == is_now:
        return None
    return Flip.TO_ELIGIBLE if is_now else Flip.TO_REFUSED
