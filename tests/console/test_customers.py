"""The orders of a customer: page by page, and narrowed down by what a caller knows of the order."""

from urllib.parse import quote

import pytest

from refunds.domain.permissions import Role
from refunds.web.console.eligibility import PAGE
from tests.console.conftest import PROVIDED, opened

MANY = 2 * PAGE + 3


@pytest.fixture(scope="module")
def many(site):
    """The orders of a customer who has many, in the order in which they were registered, and the customer's id."""
    orders = [
        site.register(
            f"Z-{number:03}-LC",
            customer_ref="K-with-many",
            service_provided_at=f"2026-03-{1 + number % 28:02}T12:00:00+01:00",
            region="AT" if number == 7 else "DE-BY",
        )
        for number in range(MANY)
    ]
    return orders, site.customer(orders[0])


def listed(page):
    """The orders on a page."""
    return [one.text for one in page.main.one("ul", class_="list").every("a")]


def test_the_newest_come_first_and_lead_on_and_back(agent, many):
    orders, customer = many
    first = agent.press(agent.get("/console/"), "Check", q="K-with-many", channel="email")
    assert first.path == f"/console/customers/{customer}"
    second = agent.follow(first, "Next page")
    third = agent.follow(second, "Next page")
    newest = orders[::-1]
    assert [listed(page) for page in (first, second, third)] == [
        newest[:PAGE],
        newest[PAGE : 2 * PAGE],
        newest[2 * PAGE :],
    ]
    assert listed(agent.follow(third, "Previous page")) == newest[PAGE : 2 * PAGE]
    assert ("Previous page" in first.links, "Next page" in third.links) == (False, False)
    assert "channel=email" in third.links[newest[-1]]


@pytest.mark.parametrize(
    ("typed", "number"), [("042", 42), ("z-042", 42), ("42-lc", 42), ("Österreich", 7), ("at", 7), ("Austria", 7)]
)
def test_the_only_order_that_fits_is_shown_at_once_with_how_they_ask(agent, many, typed, number):
    orders, customer = many
    page = agent.press(agent.get(f"/console/customers/{customer}?channel=email"), "Show", narrow=typed)
    assert (page.path, page.query["channel"]) == (f"/console/orders/{orders[number]}", "email")


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("-01", range(10, 20)),
        ("2.3.", (1, 29)),
        ("2 March 2026", (1, 29)),
        ("28.2.", ()),
        ("Bayern", [one for one in range(MANY) if one != 7]),
        ("NRW", ()),
        ("%", ()),
        ("_", ()),
        ("soon", ()),
        ("8.4.0000", ()),
        ("31.12.9999", ()),
        ("x" * 200, ()),
    ],
)
def test_what_fits_several_narrows_every_page_and_what_fits_none_is_said(agent, many, typed, left):
    orders, customer = many
    page = agent.press(agent.get(f"/console/customers/{customer}"), "Show", narrow=typed)
    assert page.form("Show").fields["narrow"] == typed
    if not left:
        assert (page.status, set(page.errors), listed(page)) == (422, {"narrow"}, orders[::-1][:PAGE])
        return
    found = [one for each in agent.pages(page.address.removeprefix("https://localhost")) for one in listed(each)]
    assert found == [orders[number] for number in left][::-1]


@pytest.mark.parametrize("spelt", ["{bare}", "#{order}", "{spaced}", "{reference}"])
def test_an_order_is_found_among_theirs_by_any_spelling_that_check_finds(site, agent, spelt):
    """Otherwise, a caller would be told that they have no such order."""
    order, _ = (site.register(customer_ref="K-spelt") for _ in range(2))
    reference = site.cancel(order).reference_aloud
    typed = spelt.format(bare=order.replace("-", ""), order=order, spaced=order.replace("-", " "), reference=reference)
    page = agent.get(f"/console/customers/{site.customer(order)}?narrow={quote(typed)}")
    assert page.path == f"/console/orders/{order}"


def test_an_order_of_somebody_else_is_not_among_theirs(site, agent):
    (order, _), others = ([site.register(customer_ref=ref) for _ in range(2)] for ref in ("K-one", "K-two"))
    page = agent.get(f"/console/customers/{site.customer(order)}?narrow={others[0].replace('-', '')}")
    assert (page.status, set(page.errors)) == (422, {"narrow"})
    page = agent.get(f"/console/customers/{site.customer(order)}?narrow=K-one")
    assert (page.status, set(page.errors)) == (422, {"narrow"}), "the number of the customer chooses no order"


def test_a_text_that_fits_as_a_day_and_as_a_region_is_asked_back(site, agent):
    """FR is France, and a Friday: that was read as a Friday, and led to an order of another region."""
    friday, *french = (
        site.register(customer_ref="K-in-France", service_provided_at=f"2026-04-{day:02}T12:00:00+02:00", region=region)
        for day, region in ((3, "DE-BY"), (7, "FR"), (8, "FR"))
    )
    path = f"/console/customers/{site.customer(friday)}?narrow="
    asked = agent.get(f"{path}FR")
    assert (asked.status, set(asked.errors), len(listed(asked))) == (422, {"narrow"}, 3)
    assert "Write it out" in asked.errors["narrow"]
    assert listed(agent.get(f"{path}Frankreich")) == french[::-1]
    assert agent.get(f"{path}Freitag").path == f"/console/orders/{friday}"


def test_who_has_few_orders_has_nothing_to_narrow_down(site, agent):
    orders = [site.register(customer_ref="K-with-few") for _ in range(2)]
    page = agent.get(f"/console/customers/{site.customer(orders[0])}")
    assert (listed(page), page.forms) == (orders[::-1], [])


@pytest.mark.parametrize("cursor", ["after=x", "before=x"])
def test_a_forged_cursor_is_a_problem(agent, many, cursor):
    assert agent.get(f"/console/customers/{many[1]}?{cursor}").status == 400


def test_the_search_leads_to_the_same_page(site, many):
    agent = site.browser(Role.SUPERVISOR)
    page = agent.submit(agent.get("/console/open").search, search="K-with-many")
    assert page.path == f"/console/customers/{many[1]}"


@pytest.mark.parametrize("path", ["", "?narrow=1"])
def test_a_customer_of_no_orders_is_not_there(agent, path):
    assert agent.get(f"/console/customers/cus_nobody{path}").status == 404


def test_it_is_narrowed_down_on_every_engine(engine):
    own = opened(engine=engine)
    orders = [
        own.register(f"{name}-77", service_provided_at=at)
        for name, at in (("A", "2026-04-07T12:00:00+02:00"), ("B", PROVIDED))
    ]
    agent, path = own.browser(Role.AGENT), f"/console/customers/{own.customer(orders[0])}?narrow="
    assert listed(agent.get(f"{path}-77")) == orders[::-1]
    assert listed(agent.get(f"{path}Bayern")) == orders[::-1]
    assert agent.press(agent.get("/console/"), "Check", q="#b77").path == "/console/orders/B-77"
    own.register("Bestell-\u00c41", service_provided_at="2026-04-01T12:00:00+02:00")
    for typed, order in (
        ("a-7", "A-77"),
        ("2.4.", "B-77"),
        ("%C3%841", "Bestell-%C3%841"),
        ("bestell", "Bestell-%C3%841"),
    ):
        assert agent.get(path + typed).path == f"/console/orders/{order}"
    own.store.close()
