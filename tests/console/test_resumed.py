"""A form that is sent after its session has ended is not lost: it is shown again after the sign-in, and sent once."""

import html
from datetime import timedelta

import orjson
import pytest

from refunds.domain.permissions import Role
from tests.console.conftest import TOO_LONG_AGO
from tests.console.pages import HOST, Page


def check(site):
    return "/console/", "Check", {"q": site.register(), "received_at": "9:00"}


def by_date(site):
    return "/console/", "Check by date", {"provided_on": "2.4.2026", "region": "DE-BY"}


def cancel(site):
    order = site.register()
    return (
        f"/console/orders/{order}/cancel?channel=email",
        "Cancel the order now",
        {"note": 'Said "no" & <b>.\nTwice.', "ticket_ref": "T-1", "from_detail": "+4989123456"},
    )


def goodwill(site):
    order = site.register(service_provided_at=TOO_LONG_AGO)
    return f"/console/orders/{order}", "Cancel as goodwill", {"reason": "Our line was down."}


def cancel_a_stored_request(site):
    order = site.register()
    return f"/console/orders/{order}/cancel?contact_id={site.record(order)}", "Cancel the order now", {}


def record(site):
    return f"/console/orders/{site.register()}/record?intent=question", "Record", {"note": "Asked until when."}


def resolve(site):
    keeps = {"reason_code": "customer_kept_order", "reason": "Keeps the number."}
    return f"/console/contacts/{site.record(site.register())}", "Resolve the request", keeps


def answer(site):
    answered = {"channel": "email", "to": "kim@example.org"}
    return f"/console/contacts/{site.record(site.register())}", "Record the answer", answered


def complete(site):
    return f"/console/contacts/{site.record(site.register())}", "Add", {"ticket_ref": "T-1", "note": "Asked twice."}


def revoke(site):
    done = site.cancel(site.register()).cancellation_id
    return (
        f"/console/cancellations/{done}",
        "Revoke",
        {"reason_code": "entered_in_error", "reason": "Another was meant."},
    )


FORMS = (check, by_date, cancel, goodwill, cancel_a_stored_request, record, resolve, answer, complete, revoke)
RECORDING = {cancel, goodwill, cancel_a_stored_request, record, resolve, answer, complete, revoke}
"""The forms that leave something on record."""


def opened_form(browser, path, button, typed):
    """The form with a button at an address or, if what is typed has no field there, on the page that it leads to."""
    form = browser.get(path).form(button)
    return form if typed.keys() <= form.names else browser.submit(form).form(button)


def signed_in(browser, page, site, role):
    """The page that is shown after signing in."""
    return browser.submit(page.form("Sign in"), name=f"{role}-1", password=site.passwords[role])


WORDS = {
    "en": ("Sign in", "Your session has ended. Nothing was sent", "You are signed in again, and nothing was sent"),
    "de": ("Anmelden", "Ihre Sitzung ist ", "Sie sind wieder angemeldet"),
}


@pytest.mark.parametrize("make_form", FORMS)
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_form_of_an_ended_session_is_shown_again_after_the_sign_in(site, now, make_form, language):
    """Nothing is recorded until the form is sent again, and everything that was typed is still there."""
    path, button, typed = make_form(site)
    form, browser = opened_form(site.browser(Role.ADMIN), path, button, typed), site.browser(Role.ADMIN, language)
    now.shift(timedelta(hours=12, seconds=1))
    before = site.position
    sign_in, ended, resumed = WORDS[language]
    kept = browser.submit(form, **typed)
    assert (kept.status, kept.lang, kept.h1) == (401, language, sign_in)
    assert kept.notices[0].startswith(ended)
    shown = browser.submit(kept.form(sign_in), name="admin-1", password=site.passwords[Role.ADMIN])
    assert (shown.status, shown.lang, site.position) == (200, language, before)
    assert shown.notices[0].startswith(resumed)
    again = next(one for one in shown.forms if one.method == "POST" and one.names >= form.names)
    asked_back = {"csrf_token", "received_at", "opened"}  # the page was opened too long ago to have the time
    values = {name: value for name, value in form.filled(typed).items() if name not in asked_back}
    assert again.filled({}).items() >= values.items()
    ticket = {"ticket_ref": "T-1"} if "ticket_ref" in again.names else {}  # the deadline has passed
    assert browser.submit(again, **ticket).status == 200
    assert (site.position != before) is (make_form in RECORDING)


def test_a_resumed_form_that_is_sent_twice_cancels_once(site, now):
    path, button, typed = cancel(site)
    order = path.split("/")[3]
    browser = site.browser(Role.ADMIN)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=12, seconds=1))
    shown = signed_in(browser, browser.submit(form, **typed), site, Role.ADMIN)
    again = shown.form(button)
    assert again.fields["idempotency_key"] == form.fields["idempotency_key"]
    first, second = (browser.submit(again, ticket_ref="T-1") for _ in range(2))
    assert first.path == second.path == f"/console/cancellations/{site.active(order).cancellation_id}"
    assert len(site.contacts(order)) == 1


def test_a_form_that_is_sent_repeatedly_leaves_one_record(site, agent):
    """As when a button is pressed twice or a page reloaded."""
    path, button, typed = record(site)
    form = agent.get(path).form(button)
    pages = [agent.submit(form, **typed) for _ in range(3)]
    assert len({page.path for page in pages}) == 1
    assert len(site.contacts(path.split("/")[3])) == 1


@pytest.mark.parametrize(
    "pressed", [("Only a question", "Record, cancel later"), ("Record, cancel later", "Only a question")]
)
def test_two_buttons_on_one_page_record_two_contacts(site, agent, pressed):
    order = site.register()
    page = agent.get(f"/console/orders/{order}")
    for button in pressed:
        assert agent.press(page, button).status == 200
    assert len(site.contacts(order)) == 2


def test_a_changed_form_with_the_same_one_time_id_is_refused(site, agent):
    path, button, typed = record(site)
    form = agent.get(path).form(button)
    agent.submit(form, **typed)
    before = site.position
    page = agent.submit(form, note="Something else.")
    assert (page.status, page.h1) == (422, "This form has been sent before, with other entries")
    assert site.position == before


@pytest.mark.parametrize("once", [None, "", "x" * 200, "with blanks in it", "<script>"])
def test_a_form_without_a_valid_one_time_id_is_refused(site, agent, once):
    path, button, typed = record(site)
    form = agent.get(path).form(button)
    before = site.position
    page = agent.submit(form, **typed, idempotency_key=once)
    assert page.status == 400
    assert site.position == before


@pytest.mark.parametrize(("role", "status"), [(Role.SUPERVISOR, 200), (Role.PRODUCT, 403)])
def test_another_user_who_signs_in_sees_the_form_only_if_they_may_send_it(site, now, role, status):
    """Without the scope, nothing of the form is shown."""
    path, button, typed = cancel(site)
    browser = site.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    kept = browser.submit(form, **typed)
    before = site.position
    shown = signed_in(browser, kept, site, role)
    assert (shown.status, site.position) == (status, before)
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
        '{"": "", "csrf_token": "x", "idempotency_key": []}',
        '{"q": "\\u0000", "supersedes": "\\u0000", "contact_id": "x"}',
        '{"q": "\\u202e<script>alert(1)</script>"}',
        '{"idempotency_key": "<script>alert(1)</script>"}',
        '{"provided_on": "' + "9" * 5000 + '"}',
    ],
)
@pytest.mark.parametrize(
    "rest", ["", "orders/{order}/cancel", "orders/nothing/record", "sign-out", "sign-in/", "..", "/"]
)
def test_any_kept_form_is_handled_without_failure(site, records, kept, rest):
    """It comes from the page, so it can be forged."""
    browser, before = site.browser(), site.position
    path = f"/console/sign-in/{rest.format(order=records['order_id'])}"
    token = browser.get("/console/").form("Sign in").fields["csrf_token"]
    signing_in = {"name": "admin-1", "password": site.passwords[Role.ADMIN]}
    response = browser.send("POST", path, data={"csrf_token": token, "kept": kept} | signing_in)
    assert response.status_code < 500
    assert "<script>alert" not in response.text
    assert site.position == before


def test_a_kept_form_contains_only_what_was_typed(site, now):
    """It contains no token, no password and nothing from the records."""
    path, button, typed = cancel(site)
    browser = site.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    page = browser.submit(form, **typed)
    kept = orjson.loads(html.unescape(page.form("Sign in").fields["kept"]))
    assert kept == {name: value for name, value in form.filled(typed).items() if name != "csrf_token"}


WRONG = {"name": "agent-1", "password": "wrong"}


def test_a_wrong_password_keeps_the_form(site, now):
    path, button, typed = cancel(site)
    browser = site.browser(Role.AGENT)
    form = browser.get(path).form(button)
    now.shift(timedelta(hours=13))
    page = browser.submit(form, **typed)
    wrong = browser.submit(page.form("Sign in"), **WRONG)
    assert (wrong.status, wrong.form("Sign in").fields["kept"]) == (401, page.form("Sign in").fields["kept"])
    shown = signed_in(browser, wrong, site, Role.AGENT)
    assert shown.form(button).fields["note"] == typed["note"]


def test_a_requested_page_is_shown_after_the_sign_in_with_its_parameters(site, now):
    browser, order = site.browser(Role.AGENT), site.register()
    now.shift(timedelta(hours=13))
    page = browser.get(f"/console/orders/{order}/cancel?channel=email&received_at=2026-04-08T08%3A20%3A00Z")
    shown = signed_in(browser, page, site, Role.AGENT)
    assert shown.h1 == f"Cancel {order}?"
    assert shown.query == {"channel": "email", "received_at": "2026-04-08T08:20:00Z"}


def test_a_sign_out_of_an_ended_session_is_not_kept(site, stranger):
    """It contains nothing worth keeping."""
    page = stranger.post("/console/sign-out", {})
    shown = signed_in(stranger, page, site, Role.AGENT)
    assert (shown.status, shown.path) == (200, "/console/")


@pytest.mark.parametrize("size", [54_000, 200_000])
def test_a_large_draft_of_an_ended_session_is_shown_again_after_the_sign_in(site, now, size):
    browser = site.browser(Role.ADMIN)
    text = '# "quoted"\n' * (size // 11) + "version = 2"
    form = browser.get("/console/draft").form("See what it changes")
    now.shift(timedelta(hours=12, seconds=1))
    kept = Page(sent_as_parts(browser, "/console/draft", form.filled({"draft": text})), HOST)
    assert (kept.status, kept.notices[0][:22]) == (401, "Your session has ended")
    form = kept.form("Sign in")
    assert form.element["enctype"] == "multipart/form-data", "the text would grow more in another encoding"
    typed = form.filled({"name": "admin-1", "password": site.passwords[Role.ADMIN]})
    shown = Page(sent_as_parts(browser, form.action.removeprefix(HOST), typed), HOST)
    assert shown.notices[0].startswith("You are signed in again")
    assert shown.form("See what it changes").fields["draft"] == text


@pytest.mark.parametrize("text", ["#" * 300_000, "\x01" * 200_000])
def test_what_is_too_large_to_be_kept_is_said_to_be_so_before_the_sign_in(site, now, text):
    browser = site.browser(Role.ADMIN)
    form = browser.get("/console/draft").form("See what it changes")
    now.shift(timedelta(hours=12, seconds=1))
    page = Page(sent_as_parts(browser, "/console/draft", form.filled({"draft": text})), HOST)
    assert (page.status, page.h1) == (401, "Sign in")
    assert "too large to be kept: sign in, and choose the file" in page.notices[0]
    assert "kept" not in page.form("Sign in").names


def sent_as_parts(browser, path, fields):
    """The response to a form that is sent as one with a file is."""
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = "".join(part.format(name, value) for name, value in fields.items()) + "--x--\r\n"
    headers = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}
    sent = {"data": body.encode(), "content_type": "multipart/form-data; boundary=x"}
    return browser.send("POST", path, headers=headers, **sent)
