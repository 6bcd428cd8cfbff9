"""A watch needs no more memory for more windows: it reads them in steps."""

import gc
import tracemalloc
from contextlib import closing
from datetime import date, timedelta

import pytest
import time_machine

from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.service import orders, watch
from refunds.service.orders import OrderFacts
from refunds.service.store import Store
from tests import scaled
from tests.changed_data import few_years, other_holidays
from tests.conftest import settings

pytestmark = pytest.mark.proof

PROVIDED = parse_instant("2026-04-01T10:00:00+02:00")
MANY = scaled(300, 5_000)
MORE = 3
"""How many times as many windows the second watch compares."""

SOME = 200_000
"""Bytes for what the later of two watches has kept besides, whatever the number of windows."""

GAINED, LOST = ("DE-BY", date(2026, 4, 2)), ("DE-BE", date(2026, 4, 6))
"""One region has another holiday by the other data, and one has one less."""


def register(store, many):
    """Register orders in two regions, in turn."""
    facts = (
        OrderFacts(
            order_id=f"A-{number}",
            customer_ref=f"K-{number % 100}",
            service_provided_at=PROVIDED + timedelta(seconds=number),
            region=("DE-BY", "DE-BE")[number % 2],
        )
        for number in range(many)
    )
    for _ in orders.import_all(store, COMMAND_LINE, enumerate(facts)):
        pass


def peak(directory, many):
    """The most memory in bytes that a watch over this many windows uses beyond what was used before it.

    Half of the windows end later by the other data, the others keep what was told.
    """
    with (
        time_machine.travel(PROVIDED + timedelta(hours=3), tick=False) as clock,
        closing(Store(settings(directory))) as store,
    ):
        watch.watch(store)
        register(store, many)
        clock.shift(60)
        with other_holidays("9.1", added=[GAINED], lost=[LOST]):
            with store.read(COMMAND_LINE) as uow:  # build the calendars
                assert all(orders.judged_when_provided(uow, uow.orders.get(f"A-{number}")) for number in range(2))
            gc.collect()
            tracemalloc.start()
            watched = watch.watch(store)
            used = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert (watched.longer, watched.kept) == (many // 2, many // 2)
        return used


def test_a_watch_needs_no_more_memory_for_more_windows(tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(watch, "STEP", MANY // 10)
    monkeypatch.setattr(watch, "BATCH", MANY // 20)
    with few_years(range(2025, 2028)):
        few, more = (peak(tmp_path / str(many), many) for many in (MANY, MORE * MANY))
    record_property("measured", f"a watch over {MANY} windows needs {few:,} bytes, over {MORE * MANY} {more:,}")
    assert more < few + SOME
