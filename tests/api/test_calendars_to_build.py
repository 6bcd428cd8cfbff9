"""Calendars that are not built yet: how many one request builds, how many build at once, and that no write waits."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event
from time import sleep

import pytest

from refunds.domain import holidays_data
from refunds.domain.holidays_data import CalendarNotReady, business_calendar, only_ready
from refunds.domain.instants import parse_instant
from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.region_days import WEEKDAYS
from refunds.domain.regions import subdivisions
from refunds.errors import Crowded
from refunds.service import orders
from refunds.service.calendars import MOST_BUILT, Builder
from refunds.service.orders import OrderFacts, Registration
from refunds.service.store import Store
from tests.api.conftest import PROVIDED
from tests.changed_data import few_years
from tests.conftest import client_of

REGIONS = [f"{country}-{part}" for country in ("PT", "AU", "ES", "DE", "BR") for part in subdivisions(country)][:60]


@pytest.fixture
def built(monkeypatch):
    """The regions that are built from now on, and whether a write was under way then; none is built before."""
    found, writes = [], []
    build, write = holidays_data._built, Store.write

    def noted(country, subdivision, language, *few_years, **others):
        if not few_years and not others:
            found.append((f"{country}-{subdivision}", bool(writes)))
        return build(country, subdivision, language, *few_years, **others)

    @contextmanager
    def writing(*args, **how):
        with write(*args, **how) as uow:
            writes.append(uow)
            try:
                yield uow
            finally:
                writes.remove(uow)

    monkeypatch.setattr(holidays_data, "_built", noted)
    monkeypatch.setattr(Store, "write", writing)
    with few_years(range(2025, 2029)):
        yield found


def forget():
    """Let no calendar be built, as in a new process."""
    holidays_data.business_calendar.cache_clear()
    for kept in (holidays_data._calendar, holidays_data._region_days, holidays_data._parts):
        kept.cache.clear()


def test_a_batch_builds_50_calendars_and_the_other_items_are_decided_when_they_are_sent_again(billing, built):
    items = [{"service_provided_at": PROVIDED, "region": region} for region in REGIONS * 2]
    found = billing.client.post("/v1/eligibility-checks/batch", json={"items": items}).json["items"]
    left = [item["region"] for item, answer in zip(items, found, strict=True) if "reason" not in answer]
    assert (len(built), len(left)) == (MOST_BUILT, 2 * (len(REGIONS) - MOST_BUILT))
    problems = [answer for answer in found if "reason" not in answer]
    assert {(problem["status"], problem["type"]) for problem in problems} == {(429, "/problems/rate-limited")}
    found = billing.client.post("/v1/eligibility-checks/batch", json={"items": items}).json["items"]
    assert all("reason" in answer for answer in found)
    assert len(built) == len({region for region, _ in built}) == len(REGIONS)


def test_no_calendar_is_built_while_a_write_is_under_way(billing, built):
    facts = {"customer_ref": "K-20391", "service_provided_at": PROVIDED}
    items = [{"order_id": f"B-{region}", "region": region} | facts for region in REGIONS]
    found = billing.client.post("/v1/orders/batch", json={"items": items}).json["items"]
    assert [answer["status"] for answer in found].count(201) == MOST_BUILT
    assert [answer["status"] for answer in found].count(429) == len(REGIONS) - MOST_BUILT
    found = billing.client.post("/v1/orders/batch", json={"items": items}).json["items"]
    assert [answer["status"] for answer in found].count(200) == MOST_BUILT
    order = billing.register(region="DE-BY")
    forget()
    assert billing.record(order).status_code == 201
    forget()
    assert billing.cancelled(order)
    assert built
    assert not any(while_writing for _, while_writing in built)


def test_an_import_by_the_command_line_builds_all_its_calendars_before_it_writes(app, built):
    provided = parse_instant(PROVIDED)
    facts = [
        OrderFacts(order_id=f"F-{region}", customer_ref="K-1", service_provided_at=provided, region=region)
        for region in REGIONS
    ]
    outcomes = orders.import_all(app.extensions["refunds.store"], COMMAND_LINE, enumerate(facts))
    assert {outcome for _, outcome in outcomes} == {Registration.REGISTERED}
    assert sorted(built) == sorted((region, False) for region in REGIONS)


def test_a_correction_is_made_with_its_reason_though_its_calendar_had_to_be_built(billing, built):
    order = billing.register(region="DE-BY")
    etag = billing.get(f"/v1/orders/{order}").headers["ETag"]
    facts = {
        "customer_ref": "K-20391",
        "service_provided_at": PROVIDED,
        "region": "PT-11",
        "correction_reason": "moved",
    }
    answer = billing.put(f"/v1/orders/{order}", json=facts, headers={"If-Match": etag})
    assert (answer.status_code, answer.json["region"]) == (200, "PT-11")


def test_a_third_request_that_needs_a_calendar_is_refused_while_two_are_being_built(app):
    forget()
    both, over = Barrier(3), Event()

    def build():
        both.wait()
        over.wait()

    with ThreadPoolExecutor(2) as pool:
        building = [pool.submit(Builder().build, CalendarNotReady(build, lambda: False)) for _ in range(2)]
        both.wait()
        try:
            client = client_of(app, "billing")
            check = {"service_provided_at": PROVIDED, "region": "DE-HH"}
            refused = client.post("/v1/eligibility-checks", json=check)
            registered = client.put("/v1/orders/C-1", json=check | {"customer_ref": "K-1"})
        finally:
            over.set()
    assert [refused.status_code, registered.status_code] == [429, 429]
    assert refused.headers["Retry-After"] == registered.headers["Retry-After"] == "1"
    assert [one.result() for one in building] == [None, None]
    assert client.post("/v1/eligibility-checks", json=check).status_code == 200


def test_what_is_ready_is_not_built_and_costs_nothing():
    forget()
    builder = Builder()

    def work():
        return business_calendar("DE-HH", WEEKDAYS[:5]).region.region

    with only_ready(), pytest.raises(CalendarNotReady) as missing:
        work()
    begun = []
    assert builder.run(lambda: begun.append(1) or work(), in_place=False) == "DE-HH"
    assert len(begun) == 2
    forget()
    assert builder.run(lambda: begun.append(1) or work()) == "DE-HH"
    assert len(begun) == 3
    cost = builder.seconds
    assert cost > 0
    for _ in range(2 * MOST_BUILT):
        builder.build(missing.value)
    assert builder.seconds == cost


def test_a_client_is_not_charged_for_the_time_in_which_its_batch_lets_others_go_first():
    forget()
    pauses = iter([0.5])
    builder = Builder(lambda *_: sleep(next(pauses, 0)))
    builder.run(lambda: business_calendar("DE-HH", WEEKDAYS[:5]))
    assert next(pauses, None) is None
    assert 0 < builder.seconds < 0.5


def test_a_batch_gives_way_many_times_while_it_builds_a_calendar_and_once_for_an_item(app):
    forget()
    client, times, found = client_of(app, "billing"), [], []
    batch = {"items": [{"service_provided_at": PROVIDED, "region": "DE-HH"}] * 2}
    for _ in range(2):
        sent = client.post(
            "/v1/eligibility-checks/batch",
            json=batch,
            environ_overrides={"refunds.give_way": lambda *longest: times.append(longest)},
        )
        assert sent.status_code == 200
        found.append(Counter(times))
        times.clear()
    building, ready = found
    assert building.pop((0.001,)) > 8, "the data covers more than 100 years, and ten of them are one piece"
    assert building == ready == {(): 2}, "between items, no calendar is kept from others: a batch may wait for longer"


def test_a_builder_that_has_built_its_50_refuses_more():
    builder = Builder()
    builder.left = MOST_BUILT
    for _ in range(MOST_BUILT):
        builder.build(CalendarNotReady(lambda: None, lambda: False))
    with pytest.raises(Crowded):
        builder.build(CalendarNotReady(lambda: None, lambda: False))
