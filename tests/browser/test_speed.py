"""From the start page to the answer: how many keys it takes, and how long, which is measured but not checked."""

from statistics import median
from time import perf_counter

import pytest

from tests import scaled

pytestmark = pytest.mark.proof

TIMES = scaled(2, 9)


@pytest.mark.parametrize("scripts", [True, False], ids=["with htmx", "without scripts"])
def test_an_answer_takes_at_most_three_key_actions(visit, order, record_property, scripts):
    agent, number, waited = visit("agent", java_script_enabled=scripts), order(), []
    for _ in range(TIMES + 1):
        agent.opens()
        actions = agent.actions
        agent.pastes(number)
        began = perf_counter()
        agent.presses("Enter")
        agent.page.locator(".verdict h1").wait_for()
        waited.append((perf_counter() - began) * 1000)
    actions, warm = agent.actions - actions, waited[1:]
    how = "with htmx" if scripts else "without scripts"
    figures = f"{median(warm):.0f} ms after Enter (median of {TIMES}; worst {max(warm):.0f})"
    record_property("measured", f"answer visible {figures}, {actions} key actions, {how}")
    assert actions <= 3
