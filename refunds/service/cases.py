"""Cases: orders whose windows are the same under a policy, so that each needs to be counted only once.

Two instants have the same window if no date ends and no version begins between them.
"""

from bisect import bisect_right
from contextlib import suppress
from datetime import timedelta
from functools import cache

from refunds.domain.instants import end_of_day, local_date, zone
from refunds.domain.policy import Policy, PolicyVersion
from refunds.domain.terms import JudgedBy
from refunds.storage import Row
from refunds.storage.mapper import instant, micros

_DAY = 86_400_000_000
"""Microseconds."""

_NEARLY_A_DAY = timedelta(days=1) - timedelta.resolution

Case = tuple[str | None, int, int, int | None]
"""A region, and the edges between which the service was provided and the order placed."""


class Cases:
    """The cases of a policy: all orders of a case have the same window, by the policy and by each version in `more`."""

    def __init__(self, policy: Policy, *more: PolicyVersion) -> None:
        versions = policy.effective_versions
        self._starts = [micros(version.effective_at) for version in versions]
        self._zones = {zone(version.terms.time_zone) for version in (*versions, *more)}
        self._by_order = any(version.terms.judged_by is JudgedBy.ORDERED for version in versions)
        self._edges = cache(self._edges_of)

    def case(self, row: Row) -> Case:
        """Return an order's case: a key that only orders with the same window share. `row` must have a service time."""
        provided, ordered = row["service_provided_at"], row["ordered_at"]
        utc_day = provided // _DAY
        placed = bisect_right(self._starts, ordered) if self._by_order and ordered is not None else None
        return row["region"], utc_day, bisect_right(self._edges(utc_day), provided), placed

    def _edges_of(self, utc_day: int) -> list[int]:
        """Return the instants at which windows may change, sorted, in microseconds: starts of versions, ends of dates.

        The dates are those, in the versions' time zones, with a part in the UTC day, which is in days since 1970.
        """
        morning = instant(utc_day * _DAY)
        edges = set(self._starts)
        for tz in self._zones:
            for day in (local_date(morning, tz), local_date(morning + _NEARLY_A_DAY, tz)):
                with suppress(OverflowError):  # the last date that exists does not end
                    edges.add(micros(end_of_day(day, tz)))
        return sorted(edges)
