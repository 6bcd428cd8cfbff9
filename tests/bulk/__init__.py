"""The table of deadlines, and joins with it: what `docs/bulk.md` shows is executed, and compared with decisions."""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import NamedTuple

from refunds.domain.judging import judge
from refunds.domain.outcomes import Facts
from refunds.domain.policy import Closures, policy_of
from refunds.schemas.policy import read_policy
from refunds.service import deadline_table
from tests.conftest import ROOT

PAGE = (ROOT / "docs/bulk.md").read_text()
FIRST, LAST = "2026-03-01", "2026-06-30"
REGIONS = ("DE", "DE-BY", "DE-SN", "FR", "BR-São Paulo Capital")

VERSIONS = (
    "closures = [2026-04-07]",
    "effective_from = 2026-04-15T14:30:00+02:00\nwindow_business_days = 3",
    'effective_from = 2026-05-01T00:00:00+02:00\nwindow_business_days = 5\njudged_by = "ordered"',
    'effective_from = 2026-06-01T09:00:00+02:00\nwindow_business_days = 4\njudged_by = "ordered"',
)
"""The terms of a policy's versions: one begins during a day, and two are chosen by the time of the order."""


def sql(heading):
    """The statements in a section of the page."""
    text = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    return [part.strip() for block in re.findall(r"```sql\n(.*?)```", text, re.DOTALL) for part in split(block)]


def split(block):
    """The statements of a block; a command of psql ends with its line."""
    return [part for part in re.split(r";\n|(?<=HEADER\))\n", block) if part.strip()]


def policy(versions=VERSIONS, entered=()):
    """A policy with these versions, and closures that were entered later."""
    read = [read_policy(f'policy = "bulk"\nversion = {number}\n{terms}\n') for number, terms in enumerate(versions, 1)]
    closures = Closures(tuple(entered))
    return policy_of([replace(version, closures=closures) for version in read])


def table(of, first, last, regions=REGIONS, **more):
    """The table of a policy, region by region."""
    uow = SimpleNamespace(policies={of.policy_id: of}, now=datetime.now(UTC))
    return deadline_table.table(uow, of.policy_id, first, last, regions, **more)


class Order(NamedTuple):
    """An order, as a table of orders has it, and when its customer asks."""

    order_id: str
    region: str | None
    ordered_at: datetime | None
    provided_at: datetime | None
    requested_at: datetime


def random_order(chance: random.Random, order_id, region, first, seconds):
    """An order of a region whose service is provided in some seconds from an instant on."""

    def after(instant, most):
        return instant + timedelta(seconds=chance.randrange(most))

    provided = after(first, seconds)
    ordered = chance.choice([None, after(provided - timedelta(days=40), 45 * 86_400)])
    requested = after(provided - timedelta(days=1), 12 * 86_400)
    return Order(order_id, region, ordered, provided, requested)


def orders():
    """Some hundred orders; the last ones have no date, or are not in the table."""
    chance = random.Random(25)  # noqa: S311 - they guard nothing
    first = datetime.fromisoformat(FIRST).replace(tzinfo=UTC)
    made = [
        random_order(chance, f"A-{number:03}", chance.choice([None, *REGIONS]), first, 121 * 86_400)
        for number in range(400)
    ]
    ordinary = made[0]
    return [
        *made,
        ordinary._replace(order_id="B-0", provided_at=None),
        ordinary._replace(order_id="C-0", region="NL-NH"),
        *(
            ordinary._replace(order_id=f"C-{days}", provided_at=first - timedelta(days=days), requested_at=first)
            for days in (1, 120, 130, 9_000)
        ),
    ]


def expected(of, order):
    """What a join says of an order: the decision's, and nothing if the table does not have it."""
    unknown = order.order_id.startswith("C")
    facts = Facts(service_provided_at=order.provided_at, received_at=order.requested_at)
    found = None if unknown else judge(of, facts, order.ordered_at, order.region)
    if found is None:
        return (order.order_id, None, None, None, None)
    if found.window is None:
        return (order.order_id, found.reason.value)
    return (order.order_id, found.version.version, found.window.last_day, found.deadline, found.reason.value)


def require_as_decided(of, rows):
    """Fail if a row of the join differs from the decision; there must be one for each order."""
    all_orders = orders()
    assert len(rows) == len(all_orders)
    for order, row in zip(all_orders, map(tuple, rows), strict=True):
        due = expected(of, order)
        assert (row if len(due) == len(row) else (row[0], row[-1])) == due, order
    assert len({row[1] for row in rows}) == len(VERSIONS) + 1, "every version judges some, and none the unknown ones"
