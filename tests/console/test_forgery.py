"""Forms that did not come from a page of the session: from other sites or other sessions. They have no effect."""

import pytest

from refunds.domain.permissions import Role
from tests.console.conftest import forms
from tests.console.pages import Page

STALE = "This page had grown too old to be sent"
NOT_UNDERSTOOD = "The service cannot make anything of this"

FILLED = {
    "q": "A-1",
    "channel": "phone",
    "note": "A note that was typed.",
    "reason": "A reason that was typed.",
    "reason_code": "entered_in_error",
    "doing": "resolve",
    "idempotency_key": "one-time-id-0001",
    "intent": "cancel",
}
"""The fields of all forms together."""


TOKENS = {
    "no token": "",
    "rubbish": "x" * 5000,
    "no text": "\0\u202e",
    "the token of another session": "{other}",
    "a token cut short": "{cut}",
    "a token with a tail": "{own}x",
}


@pytest.mark.parametrize("sends", TOKENS)
def test_a_form_with_a_wrong_token_is_shown_again_and_changes_nothing(site, records, sends):
    """Walks every form, future ones included."""
    browser = site.browser(Role.ADMIN)
    own, other = browser.token, site.browser(Role.ADMIN).token
    token = TOKENS[sends].format(own=own, cut=own[:-1], other=other)
    before = site.position
    for endpoint, path in forms(site, records):
        page = browser.post(path, FILLED | ({"csrf_token": token} if token else {}))
        assert page.status == 200, endpoint
        assert any(STALE in notice for notice in page.notices), endpoint
    assert site.position == before
    assert browser.get("/console/").status == 200


CROSS_SITE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "rubbish"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://localhost"},
    {"Origin": "https://evil.example"},
    {"Origin": "https://localhost.evil.example"},
    {"Origin": "https://evil.example/localhost"},
    {"Origin": "https://localhost@evil.example"},
    {"Origin": "https://localhost:8443"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "localhost"},
    {"Origin": "http://[evil"},
    {"Origin": "\xff"},
)


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_a_form_from_another_site_is_refused(site, records, headers):
    """Walks every form, future ones included, and the sign-in form."""
    browser = site.browser(Role.ADMIN)
    token, before = browser.token, site.position
    for _, path in [*forms(site, records), ("console.sign_in", "/console/sign-in/")]:
        sent = {"data": FILLED | {"csrf_token": token}}
        page = Page(browser.send("POST", path, headers=headers, **sent), path)
        assert (page.status, page.h1) == (403, "This is not for you to do"), path
    assert site.position == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    ],
)
def test_a_form_from_the_console_itself_is_accepted(site, agent, headers):
    """Old browsers say less about its origin; the token is required in any case."""
    order = site.register()
    sent = {"data": {"q": order, "csrf_token": agent.token}}
    response = agent.send("POST", "/console/", headers=headers, **sent)
    assert (response.status_code, response.headers["Location"]) == (303, f"/console/orders/{order}?channel=phone")


def test_any_site_may_link_to_a_page(site, agent):
    """The helpdesk links to it, and reading changes nothing."""
    before = site.position
    assert agent.send("GET", "/console/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert site.position == before
