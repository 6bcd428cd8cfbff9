"""No end that was told under an earlier release of the holiday data goes earlier under the installed one.

That holds for every window that the installed data moves: before the watch and after it, by records and by answers.
"""

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine

from refunds.domain import judging
from refunds.domain.business_days import DayStatus
from refunds.domain.instants import end_of_day, zone
from refunds.domain.outcomes import Facts, Reason
from refunds.domain.permissions import COMMAND_LINE
from refunds.service import orders, watch
from refunds.service.orders import OrderFacts, Registration
from refunds.service.store import Store
from tests import PROOFS, scaled
from tests.changed_data import RELEASES, few_years, holiday_data
from tests.conftest import settings
from tests.moved_windows import YEARS, data_of, moved

pytestmark = pytest.mark.proof

BERLIN = zone("Europe/Berlin")
NOON = time(12, tzinfo=BERLIN)
BEFORE = datetime(YEARS[0], 12, 1, tzinfo=UTC)
"""Before every service, so that all windows are open."""

MOMENT = timedelta(microseconds=1)
FEW = () if PROOFS else ("AE", "PK", "ZM")
"""The countries, all with windows that are longer, shorter and moved; none: every country."""

MANY = scaled(40, 20_000)
"""The windows of a release besides those that got shorter since."""


def chosen(number):
    """Windows that have moved since a release, by order id: all that got shorter, and some others from all over."""
    found = moved(number, FEW)
    others = [window for window in found if not window.is_shorter]
    some = others[:: max(1, -(-len(others) // MANY))]
    return {f"O-{n}": window for n, window in enumerate([*filter(lambda one: one.is_shorter, found), *some])}


def register(store, windows):
    """Register an order for each window, with the service at noon."""
    facts = (
        OrderFacts(
            order_id=order_id,
            customer_ref=f"customers in {window.region}",  # so that orders of one region come together
            service_provided_at=datetime.combine(window.service_day, NOON),
            region=window.region,
        )
        for order_id, window in windows.items()
    )
    assert {outcome for _, outcome in orders.import_all(store, COMMAND_LINE, enumerate(facts))} == {
        Registration.REGISTERED
    }


def answers(store, windows):
    """The decision on a request for each order as soon as its service is provided, by order id."""
    with store.read(COMMAND_LINE) as uow:
        return {
            order_id: orders.eligibility(uow, uow.orders.get(order_id), datetime.combine(window.service_day, NOON))
            for order_id, window in windows.items()
        }


def require_told(store, windows, last_days):
    """Assert that each window ends with its last day, and that requests are answered so up to the last moment."""
    for order_id, decision in answers(store, windows).items():
        assert decision.window.last_day == last_days[order_id], (order_id, windows[order_id])
        assert decision.deadline == end_of_day(last_days[order_id], BERLIN)
    with store.read(COMMAND_LINE) as uow:
        for order_id in windows:
            end = end_of_day(last_days[order_id], BERLIN)
            in_time, late = (orders.eligibility(uow, uow.orders.get(order_id), at) for at in (end - MOMENT, end))
            assert (in_time.eligible, in_time.reason) == (True, Reason.WITHIN_WINDOW)
            assert (late.eligible, late.reason) == (False, Reason.WINDOW_ELAPSED)


def idle(decision):
    """The service day and the dates that a decision tells do not count."""
    return {day.date for day in decision.told.days if day.status is not DayStatus.COUNTED}


def counted(decision):
    """The dates that a decision tells count."""
    return {day.date for day in decision.told.days if day.status is DayStatus.COUNTED}


def require_sound(store):
    """Assert that the audit finds everything sound."""
    with store.read(COMMAND_LINE) as uow:
        uow.verify(list(store.checkpoints))


@pytest.fixture
def clock():
    """The clock before every service."""
    with time_machine.travel(BEFORE, tick=False) as clock:
        yield clock


@pytest.mark.parametrize("number", RELEASES)
def test_no_window_that_was_told_under_an_earlier_release_gets_shorter(number, tmp_path, clock, record_property):
    windows = chosen(number)
    told, today, answer = (
        {order_id: getattr(window, day) for order_id, window in windows.items()} for day in ("told", "today", "answer")
    )
    with few_years(YEARS), closing(Store(settings(tmp_path))) as store:
        with holiday_data(number, data_of(number, FEW)):
            watch.watch(store)
            register(store, windows)
            require_told(store, windows, told)
            skipped = {order_id: idle(decision) for order_id, decision in answers(store, windows).items()}
        clock.shift(60)
        require_told(store, windows, answer)  # as if nobody had watched
        require_plain(store, windows, today)
        watched = watch.watch(store)
        assert watched.longer == sum(answer[order_id] > told[order_id] for order_id in windows)
        assert watched.kept == sum(answer[order_id] > today[order_id] for order_id in windows)
        require_told(store, windows, answer)
        for order_id, decision in answers(store, windows).items():
            assert not skipped[order_id] & counted(decision), windows[order_id]
        with holiday_data(number, data_of(number, FEW)):
            for order_id, decision in answers(store, windows).items():
                assert decision.window.last_day >= answer[order_id], "the lengthened were not promised"
        require_sound(store)
    assert all(answer[order_id] >= max(told[order_id], today[order_id]) for order_id in windows)
    kinds = Counter((window.today > window.told) - (window.today < window.told) for window in windows.values())
    record_property(
        "measured",
        f"{number}: of {len(moved(number, FEW))} moved windows {len(windows)}: {kinds[-1]} would be shorter,"
        f" {kinds[1]} longer, {kinds[0]} others; {watched.longer} lengthened, {watched.kept} kept",
    )


def require_plain(store, windows, last_days):
    """Assert that a check without an order counts by the installed data alone."""
    with store.read(COMMAND_LINE) as uow:
        policy = uow.policies[uow.policies.default]
    for order_id, window in windows.items():
        at = datetime.combine(window.service_day, NOON)
        decision = judging.judge(policy, Facts(service_provided_at=at, received_at=at), None, window.region)
        assert decision.window.last_day == last_days[order_id]
