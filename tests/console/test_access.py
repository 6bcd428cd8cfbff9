"""Access to the console: strangers see the sign-in page, and users what their role allows."""

import pytest

from refunds.domain.permissions import SCOPES, Role
from refunds.service.users import FIRST
from refunds.web.console import _STARTS
from tests.console.conftest import PUBLIC, SECRETS, routes


def test_every_route_asks_a_stranger_to_sign_in(site, stranger, records):
    """Walks every route, future ones included."""
    walked = 0
    for rule, method, path in routes(site.app, records):
        if rule.endpoint in PUBLIC:
            continue
        page = stranger.get(path) if method == "GET" else stranger.post(path, {"q": "x"})
        assert (page.status, page.h1) == (401, "Sign in"), rule
        assert not any(secret in page.source for secret in SECRETS), rule
        assert not page.navigation, rule
        walked += 1
    assert walked >= 25


def test_every_screen_declares_its_scopes(site):
    for rule, _, _ in routes(site.app):
        view = site.app.view_functions[rule.endpoint]
        assert hasattr(view, "scopes"), rule
        assert (view.scopes is None) is (rule.endpoint in PUBLIC), rule


@pytest.mark.parametrize("role", list(Role))
def test_a_role_sees_only_what_its_scopes_allow(site, records, role):
    """Walks every route, future ones included."""
    browser = site.browser(role)
    for rule, method, path in routes(site.app, records):
        if rule.endpoint in PUBLIC:
            continue
        scopes = site.app.view_functions[rule.endpoint].scopes
        allowed = not scopes or not SCOPES[role].isdisjoint(scopes)
        page = browser.get(path) if method == "GET" else browser.post(path, {})
        assert (page.status != 403) is allowed, (rule, method, page.status)
        assert page.status in {200, 400, 403, 404, 422}, (rule, method, page.status)
        if not allowed:
            assert page.h1 == "This is not for you to do", rule
            assert not any(secret in page.source for secret in SECRETS), rule


@pytest.mark.parametrize(
    ("role", "screens"),
    [
        (Role.AGENT, ["Check", "Open", "Recent", "Policies"]),
        (Role.SUPERVISOR, ["Open", "Check", "Cancellations", "Recent", "Policies"]),
        (Role.PRODUCT, ["Policies", "Check", "Statistics"]),
        (Role.AUDITOR, ["Journal", "Check", "Open", "Cancellations", "Policies", "Data requests"]),
        (Role.BILLING, ["Check", "Open", "Recent", "Policies"]),
        (Role.PRIVACY, ["Data requests", "Check", "Open", "Statistics"]),
        (Role.OPERATOR, []),
        (
            Role.ADMIN,
            ["Check", "Open", "Cancellations", "Recent", "Policies", "Data requests", "Statistics", "Journal"],
        ),
    ],
)
def test_the_navigation_offers_only_the_screens_of_the_role(site, role, screens):
    browser = site.browser(role)
    page = browser.get("/console/")
    assert page.navigation == screens
    for screen in screens:
        assert browser.follow(page, screen).status == 200


@pytest.mark.parametrize("role", Role)
def test_no_role_begins_at_what_it_may_not_see(site, role):
    browser = site.browser()
    page = browser.press(browser.get("/console/"), "Sign in", name=f"{role}-1", password=site.passwords[role])
    assert page.status == 200
    assert browser.follow(page, "Refunds").status == 200


def test_the_first_start_makes_a_user_of_every_role_that_has_work_here():
    assert {*FIRST} == {Role.AGENT, *_STARTS} - {Role.OPERATOR}


def test_an_auditor_sees_no_personal_data_on_any_screen(site, auditor, agent, records):
    """Neither of customers nor of staff; an agent does see some of it on the same screens."""
    seen = 0
    for rule, method, path in routes(site.app, records):
        if method == "GET":
            page, of_agent = auditor.get(path), agent.get(path)
            assert not any(secret in page.source for secret in SECRETS), rule
            assert "agent-1" not in page.source, rule
            seen += any(secret in of_agent.source for secret in SECRETS)
    assert seen >= 4


def test_an_auditor_finds_orders_but_looks_nobody_up(site):
    """As if nobody had the reference: the answer does not even tell whether they are a customer."""
    order = site.register(customer_ref="K-looked-up")
    for role, finds in ((Role.AUDITOR, False), (Role.AGENT, True), (Role.PRIVACY, True)):
        browser = site.browser(role)
        assert browser.press(browser.get("/console/"), "Check", q=order).path == f"/console/orders/{order}"
        page = browser.press(browser.get("/console/"), "Check", q="K-looked-up")
        assert (page.path == f"/console/orders/{order}") is finds, role
        if not finds:
            unknown = browser.press(browser.get("/console/"), "Check", q="K-nobody")
            assert (page.status, page.errors) == (unknown.status, unknown.errors)
