"""What people see who have waited too long for their turn: the server marks their request, and its page costs little."""

from urllib.parse import urlencode

import pytest

from tests.console.conftest import routes
from tests.console.pages import HOST, Page

FORM = "application/x-www-form-urlencoded"
FIX = {
    "en": "Wait a moment, and try again: nothing was recorded.",
    "de": "Warten Sie einen Moment und versuchen Sie es noch einmal: Es wurde nichts erfasst.",
}


@pytest.mark.parametrize("language", FIX)
def test_every_page_and_form_says_what_to_do_in_the_chosen_language(site, agent, language):
    agent.get(f"/console/?lang={language}")
    agent.language = "de" if language == "en" else "en"  # what the browser asks for comes after what was chosen
    for _, method, path in routes(site.app):
        reply = agent.send(method, path, environ_overrides={"refunds.waits": True})
        page = Page(reply, HOST + path)
        assert (page.status, page.lang, reply.headers["Retry-After"]) == (429, language, "5")
        assert FIX[language] in page.main.text


def test_what_was_entered_is_shown_and_no_secret(site, agent):
    """Nothing of it is recorded, and no other field of a form is shown, such as a password."""
    before = site.position
    sent = {"order_id": "A-17", "note": "Wants another number", "password": "a-secret", "csrf_token": "a-token"}
    reply = agent.send(
        "POST",
        "/console/cancellations",
        data=urlencode(sent),
        content_type=FORM,
        headers={"Sec-Fetch-Site": "same-origin"},
        environ_overrides={"refunds.waits": True},
    )
    text = Page(reply, HOST).main.text
    assert "A-17" in text
    assert "Wants another number" in text
    assert "a-secret" not in reply.text
    assert site.position == before


@pytest.mark.parametrize("body", [b"\xff=\xff", b"note=1&note=2", b"x=1&" * 300])
def test_a_form_that_cannot_be_read_is_not_shown(agent, body):
    waits = {"environ_overrides": {"refunds.waits": True}}
    reply = agent.send("POST", "/console/cancellations", data=body, content_type=FORM, **waits)
    assert (reply.status_code, 'id="typed"' in reply.text) == (429, False)
