"""Requests that name regions whose calendars are not built yet: whoever needs none of them is answered all along."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from refunds.domain.regions import countries, subdivisions
from tests import scaled
from tests.faults.harness import Client, Installation, is_alive

pytestmark = pytest.mark.proof

BATCHES = 34
"""More than the server has threads."""

EACH = scaled(5, 26)
"""Regions in one of them: all that there are, in the end."""

PAUSE = 0.5
"""Seconds until a client sends again what was not decided."""


def regions():
    """As many regions as are needed, so that each batch has some of the countries with many parts."""
    every = [f"{country}-{part}" if part else country for country in sorted(countries()) for part in (None, *subdivisions(country))]  # fmt: skip
    return [every[i::BATCHES][:EACH] for i in range(BATCHES)]


def decided(port, token, named):
    """The reasons for these regions, and how many items were sent again."""
    reasons, repeated = {}, 0
    with Client(port, token) as client:
        while waiting := [region for region in named if region not in reasons]:
            repeated += len(waiting) if reasons else 0
            items = [{"service_provided_at": "2026-04-02T16:20:00+02:00", "region": region} for region in waiting]
            sent = {"items": items, "terms": {"business_week": "country", "end_week": ["mon"]}}
            reply = client.send("POST", "/v1/eligibility-checks/batch", sent)
            if reply.status == 429:  # it has waited for too long for its client's turn
                time.sleep(PAUSE)
                continue
            assert reply.status == 200, reply.body
            for region, item in zip(waiting, reply.json["items"], strict=True):
                if "reason" in item:
                    reasons[region] = item["reason"]
                else:
                    assert item["type"].endswith("/rate-limited"), item
            if len(reasons) < len(named):
                time.sleep(PAUSE)
    return reasons, repeated


def test_batches_that_name_every_region_keep_nobody_else_waiting(tmp_path, record_property):
    there, waits = Installation(tmp_path), []
    with there.serving() as server, ThreadPoolExecutor(BATCHES) as pool:
        token, began = there.tokens()["agent"], time.monotonic()
        batches = [pool.submit(decided, server.port, token, named) for named in regions()]
        while not all(batch.done() for batch in batches):
            asked = time.monotonic()
            assert is_alive(server.port)
            waits.append(time.monotonic() - asked)
            time.sleep(0.01)  # else the questions take most of the processor
        took = time.monotonic() - began
    found = [batch.result() for batch in batches]
    assert sum(len(reasons) for reasons, _ in found) == sum(map(len, regions()))
    measured = (
        f"{BATCHES} batches took {took:.1f} s; /livez was answered {len(waits)} times, in {max(waits):.3f} s at most"
    )
    record_property("measured", f"{measured}; {sum(again for _, again in found)} items were sent again")
    # Where every thread waits for a calendar, it is answered when most of them have theirs.
    assert max(waits) < took / 4, measured
    there.require_calm()
