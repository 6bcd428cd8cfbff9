"""What people do all day: how many actions each job takes, which is bounded, and how long, which is only measured.

An action is a key that is pressed, a text that is pasted or a click.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from statistics import median
from time import perf_counter
from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from tests import scaled
from tests.browser.test_roles import draft, versions

pytestmark = pytest.mark.proof

TIMES = scaled(1, 5)
DONE = "The order is cancelled"


class Case(NamedTuple):
    """What a job is done with: somebody at their page, new orders, and the service."""

    visit: Callable
    order: Callable[..., str]
    service: object


Job = Callable[[Case], Iterator[object]]
"""Prepares, yields who does the job, does it, yields when its end is seen; what then follows is checked, not counted."""

JOBS: dict[str, tuple[int, Job]] = {}


def job(what: str, most: int) -> Callable[[Job], Job]:
    """A job, with the actions that it takes at most."""

    def known(do: Job) -> Job:
        JOBS[what] = (most, do)
        return do

    return known


def checks(agent, number: str) -> None:
    """Paste a number on the start page, and look at the answer."""
    agent.pastes(number)
    agent.presses("Enter")
    agent.page.locator(".verdict h1").wait_for()


def prepared(agent, number: str) -> None:
    """Look at the answer of an order; not counted, as another job ends there."""
    agent.opens()
    checks(agent, number)


def cancels(agent, button: str = "Cancel this order") -> None:
    """Cancel from an answer or a request."""
    agent.clicks(agent.button(button))
    agent.clicks(agent.button("Cancel the order now"))
    expect(agent.page.get_by_role("heading", level=1)).to_have_text(DONE)


@job("number to answer", 2)
def _(case):
    agent, number = case.visit("agent"), case.order()
    agent.opens()
    yield agent
    checks(agent, number)


@job("answer to cancelled", 2)
def _(case):
    agent, number = case.visit("agent"), case.order()
    prepared(agent, number)
    yield agent
    cancels(agent)
    yield
    assert len(case.service.cancellations(number)) == 1


@job("unknown number to the field again", 0)
def _(case):
    agent = case.visit("agent")
    agent.opens()
    agent.pastes("A-0000")
    agent.presses("Enter")
    yield agent
    expect(agent.page.locator("main [role=alert]")).to_be_visible()
    expect(agent.page.locator("#q")).to_be_focused()
    agent.page.wait_for_function("getSelection().toString() === 'A-0000'")


@job("Friday's mail to cancelled", 8)
def _(case):
    agent, number = case.visit("agent"), case.order()
    agent.opens()
    yield agent
    agent.pastes(number)
    agent.clicks(agent.page.locator("[name=channel][value=email]"))
    agent.clicks(agent.page.get_by_text("At another time?"))
    agent.clicks(agent.field("Received"))
    agent.pastes(f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000")
    agent.presses("Enter")
    agent.page.locator(".verdict h1").wait_for()
    cancels(agent)


@job("an order with an open request to cancelled", 3)
def _(case):
    agent, number = case.visit("agent"), case.order()
    prepared(agent, number)
    agent.button("Record, cancel later").click()
    agent.reads("An open request")
    prepared(agent, number)
    yield agent
    cancels(agent, "Cancel as requested")


@job("where is my money?", 2)
def _(case):
    agent, number = case.visit("agent"), case.order()
    prepared(agent, number)
    cancels(agent)
    agent.opens()
    yield agent
    checks(agent, number)
    expect(agent.page.locator("main")).to_contain_text("refund")


def searches(person, text: str) -> None:
    """Search from the header of any page, by the keyboard."""
    person.presses("/")
    person.pastes(text)
    person.presses("Enter")


@job("goodwill", 6)
def _(case):
    supervisor, number = case.visit("supervisor"), case.order(days_ago=40)
    supervisor.opens_at("open")
    yield supervisor
    searches(supervisor, number)
    supervisor.clicks(supervisor.button("Cancel as goodwill"))
    supervisor.page.locator("main textarea[name=reason]").focus()
    supervisor.pastes("Our line was down.")
    supervisor.clicks(supervisor.button("Cancel as goodwill"))
    supervisor.reads(DONE)
    yield
    assert [one["basis"] for one in case.service.cancellations(number)] == ["goodwill"]


@job("revoke what was cancelled in error", 4)
def _(case):
    agent, number = case.visit("agent"), case.order()
    prepared(agent, number)
    cancels(agent)
    yield agent
    agent.clicks(agent.page.get_by_text("Revoke the cancellation"))
    agent.clicks(agent.page.get_by_role("radio", name="Entered in error"))
    agent.clicks(agent.button("Revoke"))
    agent.reads("The cancellation was revoked")


@job("resolve a request, and reopen it", 6)
def _(case):
    agent, number = case.visit("agent"), case.order()
    prepared(agent, number)
    agent.page.get_by_role("button", name="Record, cancel later").click()
    agent.reads("An open request")
    yield agent
    agent.clicks(agent.page.get_by_text("Take the order off the Open list without cancelling"))
    agent.clicks(agent.page.locator("input[name=reason_code]").first)
    agent.clicks(agent.button("Resolve the request"))
    agent.reads("A resolved request")
    agent.clicks(agent.page.get_by_text("Put it back on the Open list"))
    agent.clicks(agent.page.locator("input[name=reason_code]").first)
    agent.clicks(agent.button("Reopen the request"))
    agent.reads("An open request")


@job("a number that billing has not sent: recorded, and matched later", 8)
def _(case):
    agent, number = case.visit("agent"), case.order()
    agent.opens()
    yield agent
    agent.pastes("A-0000")
    agent.presses("Enter")
    agent.clicks(agent.button("Record it without its order"))
    agent.clicks(agent.button("Record"))
    agent.clicks(agent.page.locator("#order_id"))
    agent.pastes(number)
    agent.presses("Enter")
    expect(agent.page.locator("main h1")).to_contain_text("request")


@job("a caller without a number", 8)
def _(case):
    agent = case.visit("agent")
    agent.opens()
    yield agent
    agent.clicks(agent.page.get_by_text("No order number? Check by date and region"))
    agent.clicks(agent.field("Service provided on"))
    agent.pastes("yesterday")
    agent.presses("Enter")
    agent.page.locator(".verdict h1").wait_for()
    agent.clicks(agent.button("Record it without its order"))
    agent.clicks(agent.page.locator("#order_hint"))
    agent.pastes("No number, ordered yesterday")
    agent.clicks(agent.button("Record"))
    agent.reads("Not matched to an order yet")


@job("the law's withdrawal, by a supervisor", 4)
def _(case):
    supervisor, number = case.visit("supervisor"), case.order(days_ago=9)
    supervisor.opens()
    checks(supervisor, number)
    supervisor.button("Record as a withdrawal").click()
    supervisor.button("Record").click()
    supervisor.reads("An open withdrawal")
    yield supervisor
    supervisor.clicks(supervisor.button("Cancel because of the withdrawal"))
    supervisor.reads(f"Cancel {number} because of the withdrawal?")
    supervisor.page.locator("main textarea[name=reason]").focus()
    supervisor.pastes("A consumer, after nine days.")
    supervisor.clicks(supervisor.button("Cancel because of the withdrawal"))
    supervisor.reads(DONE)
    yield
    assert [one["basis"] for one in case.service.cancellations(number)] == ["statutory"]


@job("the next request of the queue", 1)
def _(case):
    agent = case.visit("agent")
    for _ in range(2):
        prepared(agent, case.order())
        agent.page.get_by_role("button", name="Record, cancel later").click()
        agent.reads("An open request")
    yield agent
    agent.clicks(agent.link("Next open request"))
    agent.reads("An open request")


@job("verify all records", 1)
def _(case):
    auditor = case.visit("auditor")
    auditor.opens_at("journal")
    yield auditor
    auditor.clicks(auditor.button("Verify all of it"))
    expect(auditor.page.get_by_role("status")).to_contain_text("Nothing has been changed")


@job("simulate another window", 5)
def _(case):
    product = case.visit("product")
    product.opens_at("policies")
    yield product
    product.clicks(product.page.locator("main").get_by_role("link", name="virtual-numbers"))
    product.clicks(product.page.locator("[name=window_business_days]"))
    product.presses("Control+a")
    product.pastes("5")
    product.presses("Enter")
    expect(product.page.locator("main")).to_contain_text("orders judged")


@job("publish a version", 4)
def _(case):
    product, number = case.visit("product"), len(versions(case.service)) + 1
    product.opens_at("policies")
    yield product
    publishes(product, draft(case.service, number, 300 + number))
    yield
    assert versions(case.service)[number] is False


@job("withdraw a version", 3)
def _(case):
    product, number = case.visit("product"), len(versions(case.service)) + 1
    product.opens_at("policies")
    publishes(product, draft(case.service, number, 300 + number))
    product.opens_at("policies")
    yield product
    product.clicks(product.page.locator("main").get_by_role("link", name="virtual-numbers"))
    product.clicks(product.page.locator(f"#version-{number}").get_by_role("link", name="Withdraw it"))
    product.clicks(product.button("Withdraw it"))
    expect(product.page.get_by_role("status")).to_contain_text("is withdrawn")
    yield
    assert versions(case.service)[number] is True


def publishes(product, file: dict) -> None:
    """Publish a version from a file, from the policies on."""
    product.clicks(product.link("Publish a version"))
    product.picks(product.page.locator("#file"), file)
    product.clicks(product.button("See what it changes"))
    product.clicks(product.button("Publish it as shown"))
    expect(product.page.get_by_role("status")).to_contain_text("is published")


@pytest.mark.parametrize("what", JOBS)
def test_no_job_takes_more_actions_than_it_must(what, visit, order, service, record_property):
    most, do = JOBS[what]
    actions, took = measured(do, Case(visit, order, service))
    record_property("measured", f"{what}: {actions} actions, {took}")
    assert actions <= most


def measured(do: Job, case: Case) -> tuple[int, str]:
    """The actions that a job took, and in words how long."""
    waited = []
    for _ in range(TIMES):
        steps = do(case)
        person = next(steps)
        before, began = person.actions, perf_counter()
        next(steps, None)
        waited.append((perf_counter() - began) * 1000)
        actions = person.actions - before
        next(steps, None)
        person.page.close()
    return actions, f"{median(waited):.0f} ms (median of {TIMES})"
