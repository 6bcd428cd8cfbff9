"""Forms that no page of the session has sent: of other sites, of other sessions, of nobody. Nothing comes of them."""

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
    "once": "one-time-id-0001",
    "intent": "cancel",
}
"""Fields of all forms together."""


TOKENS = {
    "no token": "",
    "rubbish": "x" * 5000,
    "no text": "\0\u202e",
    "the token of another session": "{other}",
    "a token cut short": "{cut}",
    "a token with a tail": "{own}x",
}


@pytest.mark.parametrize("sends", TOKENS)
def test_a_form_that_no_page_of_the_session_sent_is_shown_again_and_does_nothing(house, records, sends):
    """Walks every form, tomorrow's too."""
    browser = house.browser(Role.ADMIN)
    own, other = browser.token, house.browser(Role.ADMIN).token
    token = TOKENS[sends].format(own=own, cut=own[:-1], other=other)
    before = house.position
    for endpoint, path in forms(house, records):
        page = browser.post(path, FILLED | ({"csrf_token": token} if token else {}))
        assert page.status == 200, endpoint
        assert any(STALE in notice for notice in page.notices), endpoint
    assert house.position == before
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
def test_a_form_of_another_site_is_refused_whatever_it_holds(house, records, headers):
    """Walks every form, tomorrow's too, and the one to sign in with."""
    browser = house.browser(Role.ADMIN)
    token, before = browser.token, house.position
    for _, path in [*forms(house, records), ("console.sign_in", "/console/sign-in/")]:
        sent = {"data": FILLED | {"csrf_token": token}}
        page = Page(browser.send("POST", path, headers=headers, **sent), path)
        assert (page.status, page.h1) == (403, "This is not for you to do"), path
    assert house.position == before


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
def test_a_form_of_the_console_itself_is_taken(house, agent, headers):
    """Old browsers say less of where it comes from; the token is wanted all the same."""
    order = house.register()
    sent = {"data": {"q": order, "csrf_token": agent.token}}
    answer = agent.send("POST", "/console/", headers=headers, **sent)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/console/orders/{order}?channel=phone")


def test_a_page_may_be_asked_for_from_anywhere(house, agent):
    """A helpdesk links to it; nothing comes of reading."""
    before = house.position
    assert agent.send("GET", "/console/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert house.position == before
