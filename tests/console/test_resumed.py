"""A form that is sent after its session has ended is not lost: it is shown again after the sign-in, and sent once."""

import html
from datetime import timedelta

import orjson
import pytest

from refunds.domain.permissions import Role
from tests.console.conftest import TOO_LONG_AGO


def check(house):
    return "/console/", "Check", {"q": house.register(), "received_at": "9:00"}


def by_date(house):
    return "/console/", "Check by date", {"provided_on": "2.4.2026", "region": "DE-BY"}


def cancel(house):
    order = house.register()
    return (
        f"/console/orders/{order}/cancel?channel=email",
        "Cancel the order now",
        {"note": 'Said "no" & <b>.\nTwice.', "ticket_ref": "T-1", "from_detail": "+4989123456"},
    )


def goodwill(house):
    order = house.register(service_provided_at=TOO_LONG_AGO)
    return f"/console/orders/{order}/cancel?override=goodwill", "Cancel as goodwill", {"reason": "Our line was down."}


def cancel_a_stored_request(house):
    order = house.register()
    return f"/console/orders/{order}/cancel?contact_id={house.record(order)}", "Cancel the order now", {}


def record(house):
    return f"/console/orders/{house.register()}/record?intent=question", "Record", {"note": "Asked until when."}


def resolve(house):
    return f"/console/contacts/{house.record(house.register())}", "Resolve the request", {"reason": "Keeps the number."}


def revoke(house):
    done = house.cancel(house.register()).cancellation_id
    return (
        f"/console/cancellations/{done}",
        "Revoke",
        {"reason_code": "entered_in_error", "reason": "Another was meant."},
    )


EVERY = (check, by_date, cancel, goodwill, cancel_a_stored_request, record, resolve, revoke)
RECORDS = {cancel, goodwill, cancel_a_stored_request, record, resolve, revoke}
"""The forms that leave something on record."""


def signed_in(browser, page, house, role):
    """The page that is shown after signing in."""
    return browser.submit(page.form("Sign in"), name=f"{role}-1", password=house.passwords[role])


WORDS = {
    "en": ("Sign in", "Your session has ended. Nothing was sent", "You are signed in again, and nothing was sent"),
    "de": ("Anmelden", "Ihre Sitzung ist ", "Sie sind wieder angemeldet"),
}


@pytest.mark.parametrize("made", EVERY)
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_form_of_an_ended_session_is_shown_again_after_the_sign_in(house, now, made, language):
    """Nothing is recorded until the form is sent again, and everything that was typed is still there."""
    path, button, typed = made(house)
    form, browser = house.browser(Role.ADMIN).get(path).form(button), house.browser(Role.ADMIN, language)
    now.shift(timedelta(hours=12, seconds=1))
    before = house.position
    sign_in, ended, resumed = WORDS[language]
    kept = browser.submit(form, **typed)
    assert (kept.status, kept.lang, kept.h1) == (401, language, sign_in)
    assert kept.notices[0].startswith(ended)
    shown = browser.submit(kept.form(sign_in), name="admin-1", password=house.passwords[Role.ADMIN])
    assert (shown.status, shown.lang, house.position) == (200, language, before)
    assert shown.notices[0].startswith(resumed)
    again = next(one for one in shown.forms if one.method == "POST" and one.names >= form.names)
    values = {name: value for name, value in form.filled(typed).items() if name != "csrf_token"}
    assert again.filled({}).items() >= values.items()
    ticket = {"ticket_ref": "T-1"} if "ticket_ref" in again.names else {}  # the deadline has passed
    assert browser.submit(again, **ticket).status == 200
    assert (house.position != before) is (made in RECORDS)


def test_a_resumed_form_that_is_sent_twice_cancels_once(house, now):
    path, button, typed = cancel(house)
    order = path.split("/")[3]
    browser = house.browser(Role.ADMIN)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=12, seconds=1))
    shown = signed_in(browser, browser.submit(form, **typed), house, Role.ADMIN)
    again = shown.form(button)
    assert again.fields["once"] == form.fields["once"]
    first, second = (browser.submit(again, ticket_ref="T-1") for _ in range(2))
    assert first.path == second.path == f"/console/cancellations/{house.active(order).cancellation_id}"
    assert len(house.contacts(order)) == 1


def test_a_form_that_is_sent_repeatedly_leaves_one_record(house, agent):
    """As when a button is pressed twice or a page reloaded."""
    path, button, typed = record(house)
    form = agent.get(path).form(button)
    pages = [agent.submit(form, **typed) for _ in range(3)]
    assert len({page.path for page in pages}) == 1
    assert len(house.contacts(path.split("/")[3])) == 1


@pytest.mark.parametrize(
    "pressed", [("Only a question", "Record, cancel later"), ("Record, cancel later", "Only a question")]
)
def test_two_buttons_on_one_page_record_two_contacts(house, agent, pressed):
    order = house.register()
    page = agent.get(f"/console/orders/{order}")
    for button in pressed:
        assert agent.press(page, button).status == 200
    assert len(house.contacts(order)) == 2


def test_a_changed_form_with_the_same_one_time_id_is_refused(house, agent):
    path, button, typed = record(house)
    form = agent.get(path).form(button)
    agent.submit(form, **typed)
    before = house.position
    page = agent.submit(form, note="Something else.")
    assert (page.status, page.h1) == (422, "This form has been sent before, with other entries")
    assert house.position == before


@pytest.mark.parametrize("once", [None, "", "x" * 200, "with blanks in it", "<script>"])
def test_a_form_without_a_valid_one_time_id_is_refused(house, agent, once):
    path, button, typed = record(house)
    form = agent.get(path).form(button)
    before = house.position
    page = agent.submit(form, **typed, once=once)
    assert page.status == 400
    assert house.position == before


@pytest.mark.parametrize(("role", "status"), [(Role.SUPERVISOR, 200), (Role.PRODUCT, 403)])
def test_another_user_who_signs_in_sees_the_form_only_if_they_may_send_it(house, now, role, status):
    """Without the scope, nothing of the form is shown."""
    path, button, typed = cancel(house)
    browser = house.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    kept = browser.submit(form, **typed)
    before = house.position
    shown = signed_in(browser, kept, house, role)
    assert (shown.status, house.position) == (status, before)
    assert (typed["ticket_ref"] in shown.source) is (status == 200)


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        "null",
        "5",
        '"x"',
        "[" * 5000,
        '{"note": {"a": [1]}}',
        '{"q": 5, "channel": null, "received_at": true}',
        '{"": "", "csrf_token": "x", "once": []}',
        '{"q": "\\u0000", "supersedes": "\\u0000", "contact_id": "x"}',
        '{"q": "\\u202e<script>alert(1)</script>"}',
        '{"once": "<script>alert(1)</script>"}',
        '{"provided_on": "' + "9" * 5000 + '"}',
    ],
)
@pytest.mark.parametrize(
    "rest", ["", "orders/{order}/cancel", "orders/nothing/record", "sign-out", "sign-in/", "..", "/"]
)
def test_any_kept_form_is_handled_without_failure(house, records, kept, rest):
    """It comes from the page, so it can be forged."""
    browser, before = house.browser(), house.position
    path = f"/console/sign-in/{rest.format(order=records['order_id'])}"
    token = browser.get("/console/").form("Sign in").fields["csrf_token"]
    signing_in = {"name": "admin-1", "password": house.passwords[Role.ADMIN]}
    response = browser.send("POST", path, data={"csrf_token": token, "kept": kept} | signing_in)
    assert response.status_code < 500
    assert "<script>alert" not in response.text
    assert house.position == before


def test_a_kept_form_contains_only_what_was_typed(house, now):
    """It contains no token, no password and nothing from the records."""
    path, button, typed = cancel(house)
    browser = house.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    page = browser.submit(form, **typed)
    kept = orjson.loads(html.unescape(page.form("Sign in").fields["kept"]))
    assert kept == {name: value for name, value in form.filled(typed).items() if name != "csrf_token"}


WRONG = {"name": "agent-1", "password": "wrong"}


def test_a_wrong_password_keeps_the_form(house, now):
    path, button, typed = cancel(house)
    browser = house.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    page = browser.submit(form, **typed)
    wrong = browser.submit(page.form("Sign in"), **WRONG)
    assert (wrong.status, wrong.form("Sign in").fields["kept"]) == (401, page.form("Sign in").fields["kept"])
    shown = signed_in(browser, wrong, house, Role.AGENT)
    assert shown.form(button).fields["note"] == typed["note"]


def test_a_requested_page_is_shown_after_the_sign_in_with_its_parameters(house, now):
    browser, order = house.browser(Role.AGENT), house.register()
    now.shift(timedelta(hours=13))
    page = browser.get(f"/console/orders/{order}/cancel?channel=email&received_at=2026-04-08T08%3A20%3A00Z")
    shown = signed_in(browser, page, house, Role.AGENT)
    assert shown.h1 == f"Cancel {order}?"
    assert shown.query == {"channel": "email", "received_at": "2026-04-08T08:20:00Z"}


def test_a_sign_out_of_an_ended_session_is_not_kept(house, stranger):
    """It contains nothing worth keeping."""
    page = stranger.post("/console/sign-out", {})
    shown = signed_in(stranger, page, house, Role.AGENT)
    assert (shown.status, shown.path) == (200, "/console/")
