"""A time that was taken from when a page was opened is asked for once that is long ago."""

from datetime import timedelta

import pytest

from tests.console.conftest import NOW
from tests.console.test_requests import answer

LONG = timedelta(minutes=15, seconds=1)


@pytest.mark.parametrize("waited", [timedelta(minutes=15), LONG])
@pytest.mark.parametrize(
    ("button", "then"),
    [("Cancel this order", "Cancel the order now"), ("Record, cancel later", "Record"), ("Only a question", "Record")],
)
def test_the_time_is_asked_for_after_fifteen_minutes(site, agent, now, waited, button, then):
    order = site.register()
    page = answer(agent, order)
    now.shift(waited)
    page = agent.press(page, button)
    if waited < LONG:
        assert not page.errors
        return
    assert page.errors["received_at"].startswith("This page has been open for more than 15 minutes")
    assert page.form(then).fields["received_at"] == "8\xa0Apr\xa02026, 10:20"
    page = agent.press(page, then)
    assert (page.errors, site.contact(order).received_at) == ({}, NOW)


def test_a_confirmation_that_lay_open_asks_for_the_time_and_takes_another(site, agent, now):
    order = site.register()
    page = agent.press(answer(agent, order), "Cancel this order")
    now.shift(LONG)
    page = agent.press(page, "Cancel the order now", note="Long call.")
    assert (page.status, page.errors.keys()) == (422, {"received_at"})
    page = agent.press(page, "Cancel the order now", received_at="10:31")
    assert page.h1 == "The order is cancelled"
    assert (site.contact(order).received_at, site.contact(order).note) == (NOW + timedelta(minutes=11), "Long call.")


def test_a_time_that_was_typed_is_not_asked_for(site, agent, now):
    order = site.register()
    page = answer(agent, order, "?received_at=8.4.2026+10:00")
    now.shift(LONG)
    page = agent.press(agent.press(page, "Cancel this order"), "Cancel the order now")
    assert page.h1 == "The order is cancelled"


def test_without_an_order_the_time_is_asked_for_too(site, agent, now):
    page = agent.get("/console/unmatched/new")
    now.shift(LONG)
    refused = agent.press(page, "Record", order_hint="77")
    assert refused.errors.keys() == {"received_at"}
    assert agent.press(refused, "Record").h1 == "Not matched to an order yet"
    page = agent.get("/console/unmatched/new")
    now.shift(LONG)
    assert agent.press(page, "Record", order_hint="78", received_at="10:00").h1 == "Not matched to an order yet"
