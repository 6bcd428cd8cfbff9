"""The table agrees with `decide()`: random orders, one by one, in random regions, by policies of every kind."""

import os
import random
import tracemalloc
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from refunds.domain.instants import zone
from refunds.domain.judging import judge
from refunds.domain.outcomes import Facts
from refunds.errors import CalendarNotCovered
from refunds.presentation import deadline_files
from refunds.presentation.deadline_files import WRITERS
from refunds.service import deadline_table
from refunds.service.deadline_table import region_number
from tests import bulk, scaled

pytestmark = pytest.mark.proof

FIRST, LAST = date(2023, 2, 1), date(2026, 11, 15)
ORDERS = scaled(8_000, 1_000_000)

SIX = 'business_week = ["mon", "tue", "wed", "thu", "fri", "sat"]\nend_week = ["mon", "tue", "wed", "thu", "fri"]'
POLICIES = {
    "versions": bulk.policy(),
    "six days, and closures that were entered late": bulk.policy(
        (f"{SIX}\nclosures = [2024-12-27, 2024-12-30]", "effective_from = 2025-03-03T11:00:00Z\nwindow_business_days = 9"),
        [(date(2025, 1, 2), datetime(2025, 1, 3, tzinfo=UTC)), (date(2026, 5, 4), datetime(2026, 4, 1, tzinfo=UTC))],
    ),
    "another time zone, the country's week": bulk.policy(
        ('time_zone = "America/New_York"\nbusiness_week = "country"\nregion = "US-CA"', 'effective_from = 2025-01-01T00:00:00Z\ntime_zone = "Asia/Tokyo"\nfollow_order_region = false')
    ),
}  # fmt: skip


def regions():
    """All that have a calendar; on a small scale, some of them."""
    known = [*deadline_table._all_regions()]
    chance = random.Random(1)  # noqa: S311 - no secret
    return ["", *chance.sample(known, scaled(12, len(known)))]


@pytest.mark.parametrize("name", POLICIES)
def test_the_table_agrees_with_decisions_on_random_orders(name, record_property, monkeypatch):
    policy, chance, asked = POLICIES[name], random.Random(name), regions()  # noqa: S311
    each = -(-ORDERS // len(POLICIES) // len(asked))
    begin, seconds = datetime.combine(FIRST + timedelta(days=1), datetime.min.time(), UTC), (LAST - FIRST).days * 86_400
    compared = 0
    left_out = []
    monkeypatch.setattr(deadline_table, "_all_regions", lambda: asked[1:])
    for rows in bulk.table(policy, FIRST, LAST, [], leave_out=left_out.append):
        by_key = defaultdict(list)
        for row in rows:
            by_key[row.key].append(row)
        for _ in range(each):
            order = bulk.random_order(chance, "A", rows[0].region or None, begin, seconds - 2 * 86_400)
            require_same(policy, order, by_key)
            compared += 1
    record_property(
        "measured",
        f"{name}: {compared} orders in {len(asked) - len(left_out)} regions compared with decisions, 0 differ",
    )


def require_same(policy, order, by_key):
    """Fail if what the table says of an order, by each version's time zone, is not what is decided."""
    facts = Facts(service_provided_at=order.provided_at, received_at=order.provided_at)
    decision = judge(policy, facts, order.ordered_at, order.region)
    ordered = order.ordered_at or order.provided_at
    days = {order.provided_at.astimezone(zone(version.terms.time_zone)).date() for version in policy.versions}
    found = [
        row
        for day in days
        for row in by_key[region_number(order.region or "") * 100_000 + (day - date(1970, 1, 1)).days]
        if row.provided_from <= order.provided_at < row.provided_until
        and (row.ordered_from is None or row.ordered_from <= ordered)
        and (row.ordered_until is None or ordered < row.ordered_until)
    ]
    (row,) = found
    window = decision.window
    assert (row.version, row.service_day, row.last_day, row.deadline) == (
        decision.version.version,
        window.service_day,
        window.last_day,
        decision.deadline,
    ), order
    late = judge(
        policy,
        Facts(service_provided_at=order.provided_at, received_at=max(order.requested_at, order.provided_at)),
        order.ordered_at,
        order.region,
    )
    assert (max(order.requested_at, order.provided_at) < row.deadline) == late.eligible, order
    closed = [
        day for day in map(str, decision.calendar.closures) if str(window.service_day) < day <= str(window.last_day)
    ]
    assert set(row.closures.split()) <= set(closed), order
    assert set(row.notices.split()) == {*map(str, decision.notices)} - {"statutory_rights_not_assessed"}, order


def test_a_window_that_leaves_the_data_is_never_a_row():
    """The region is refused if it was asked for."""
    with pytest.raises(CalendarNotCovered):
        list(bulk.table(bulk.policy(), date(2026, 12, 1), date(2026, 12, 31), ["LK"]))


@pytest.mark.parametrize("form", WRITERS)
def test_the_memory_does_not_grow_with_the_table(form, monkeypatch):
    """Twelve provinces with one calendar are six times the rows of two."""
    monkeypatch.setattr(deadline_files, "_ROWS", scaled(1_800, 3_000))
    provinces = [f"NL-{code}" for code in ("DR", "FL", "FR", "GE", "GR", "LI", "NB", "NH", "OV", "UT", "ZE", "ZH")]

    def peak(regions):
        tracemalloc.start()
        with Path(os.devnull).open("wb") as file:
            WRITERS[form](file, bulk.table(bulk.policy(), date(scaled(2022, 2020), 1, 1), date(2024, 12, 31), regions))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(provinces[:1])
    assert peak(provinces) < 2 * peak(provinces[:2])
