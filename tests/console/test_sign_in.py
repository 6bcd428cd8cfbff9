"""Signing in and out: what a session is, how it begins, and how it ends."""

from datetime import timedelta
from http.cookies import SimpleCookie
from time import time
from urllib.parse import quote, urljoin, urlsplit

import pytest
from itsdangerous import URLSafeTimedSerializer

from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.service import users
from refunds.service.users import ATTEMPTS
from tests.conftest import client_of
from tests.console.conftest import opened
from tests.console.pages import HOST, Page

NAME = "__Host-refunds"


def cookie(browser):
    """The session cookie of a browser."""
    found = browser.client.get_cookie(NAME, domain="localhost")
    return found and found.value


def with_cookie(site, value):
    """A browser that sends this cookie."""
    browser = site.browser()
    browser.client.set_cookie(NAME, value, secure=True, path="/", domain="localhost")
    return browser


def signing_in(site, browser, name="agent-1", password=None, page=None):
    """The page that follows the sign-in."""
    page = page or browser.get("/console/")
    return browser.submit(page.forms[0], name=name, password=password or site.passwords[Role(name.rpartition("-")[0])])


@pytest.fixture
def newcomer(site):
    """The name and password of a user whom no other test uses."""
    with site.store.write(COMMAND_LINE) as uow:
        made = users.add(uow, f"newcomer-{uow.now:%f}-{site.position[0]}", Role.AGENT)
    return made.user.name, made.password


def test_a_user_signs_in_with_name_and_password(site, stranger):
    page = signing_in(site, stranger)
    assert (page.status, page.h1, page.path) == (200, "Can this order be cancelled?", "/console/")
    assert "agent-1 · Agent" in page.root.one("header").text


@pytest.mark.parametrize("spelling", ["{}", " {} ", "{upper}"])
def test_case_and_blanks_around_a_name_do_not_matter(site, stranger, newcomer, spelling):
    name, password = newcomer
    page = stranger.submit(
        stranger.get("/console/").forms[0], name=spelling.format(name, upper=name.upper()), password=password
    )
    assert page.status == 200


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("agent-1", "wrong"),
        ("nobody", "wrong"),
        ("", ""),
        ("agent-1", ""),
        ("x" * 5000, "y" * 5000),
        ("\0", "\0"),
        ("\u202e", "'; DROP TABLE users; --"),
    ],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_message(site, language, name, password):
    browser, before = site.browser(language=language), site.position
    page = browser.submit(browser.get("/console/").forms[0], name=name, password=password)
    assert (page.status, page.lang) == (401, language)
    assert {"en": "User name and password do not fit", "de": "Benutzername oder Passwort ist falsch"}[
        language
    ] in page.text
    assert page.forms[0].fields.keys() == {"csrf_token", "name", "password"}
    assert page.forms[0].fields["password"] == "", "it is not sent back"
    assert site.position == before


def test_the_sign_in_starts_a_new_session(site, stranger):
    """A cookie or token that an attacker planted before the sign-in is useless after it."""
    page = stranger.get("/console/?lang=de")
    planted, token = cookie(stranger), page.forms[0].fields["csrf_token"]
    page = signing_in(site, stranger, page=page)
    assert cookie(stranger) != planted
    assert page.forms[0].fields["csrf_token"] != token
    assert with_cookie(site, planted).get("/console/").status == 401
    order = site.register()
    stale = stranger.post("/console/", {"csrf_token": token, "q": order})
    assert stale.status == 200
    assert stale.path == "/console/"
    assert (stale.lang, page.lang) == ("de", "de"), "only the language stays"


def test_language_and_channel_are_kept_when_another_user_signs_in(site, agent):
    agent.get("/console/?lang=de")
    agent.get(f"/console/orders/{site.register()}?channel=email")
    other = with_cookie(site, cookie(agent))
    other.post("/console/sign-out", {"csrf_token": other.token})
    page = agent.get("/console/")
    assert page.status == 401
    page = signing_in(site, agent, "supervisor-1", page=page)
    assert page.lang == "de"
    assert agent.get("/console/").form("Prüfen").fields["channel"] == "email"


def test_after_ten_failed_attempts_a_name_must_wait(site, now, newcomer):
    """With any password and in any browser; other users need not wait."""
    name, password = newcomer
    browser = site.browser()
    for _ in range(ATTEMPTS):
        assert signing_in(site, browser, name, "wrong").status == 401
    page = signing_in(site, site.browser(), name, password)
    assert (page.status, "Too many attempts" in page.text) == (429, True)
    assert signing_in(site, site.browser(), f" {name.upper()}", password).status == 429
    assert signing_in(site, site.browser(), "agent-1").status == 200
    now.shift(timedelta(minutes=15))
    assert signing_in(site, browser, name, password).status == 200


def test_strangers_do_not_lock_a_user_out_of_their_own_browser(site, newcomer):
    name, password = newcomer
    own = site.browser()
    assert signing_in(site, own, name, password).status == 200
    own.post("/console/sign-out", {"csrf_token": own.token})
    for _ in range(ATTEMPTS):
        signing_in(site, site.browser(), name, "wrong")
    assert signing_in(site, site.browser(), name, password).status == 429
    assert signing_in(site, own, name, password).status == 200


def test_a_successful_sign_in_resets_the_attempts(site, newcomer):
    name, password = newcomer
    for _ in range(3):
        for _ in range(ATTEMPTS - 1):
            assert signing_in(site, site.browser(), name, "wrong").status == 401
        assert signing_in(site, site.browser(), name, password).status == 200


def test_a_sign_in_form_without_its_cookie_is_refused(site, stranger):
    """It does not count as an attempt."""
    form = stranger.get("/console/").forms[0]
    page = site.browser().submit(form, name="agent-1", password=site.passwords[Role.AGENT])
    assert page.status == 400
    assert "let the browser keep cookies" in page.text
    other = site.browser()
    other.get("/console/")
    assert other.submit(form, name="agent-1", password=site.passwords[Role.AGENT]).status == 400, "another's token"


def test_signing_out_ends_every_session_of_the_user_in_every_browser(site, newcomer):
    name, password = newcomer
    first, second, other = site.browser(), site.browser(), site.browser(Role.SUPERVISOR)
    for browser in (first, second):
        assert signing_in(site, browser, name, password).status == 200
    kept = cookie(first)
    page = first.post("/console/sign-out", {"csrf_token": first.token})
    assert (page.status, page.h1) == (401, "Sign in")
    assert second.get("/console/").status == 401
    assert with_cookie(site, kept).get("/console/").status == 401, "an old cookie is refused"
    assert other.get("/console/").status == 200, "other users are not signed out"
    assert signing_in(site, second, name, password).status == 200


@pytest.mark.parametrize("end", ["reset", "sign-out"])
def test_no_session_is_revived_by_setting_the_epoch_of_its_user_back(site, newcomer, end):
    name, password = newcomer
    browser = site.browser()
    assert signing_in(site, browser, name, password).status == 200
    kept, before = cookie(browser), site.user(name)
    if end == "reset":
        with site.store.write(COMMAND_LINE) as uow:
            users.reset(uow, name)
    else:
        browser.post("/console/sign-out", {"csrf_token": browser.token})
    with site.store.write(COMMAND_LINE) as uow:
        set_back = "UPDATE users SET epoch = :epoch WHERE user_id = :user_id"
        assert uow.tx.run(set_back, epoch=before.epoch, user_id=before.user_id) == 1
    assert with_cookie(site, kept).get("/console/").status == 401
    site.verify()


@pytest.mark.parametrize("end", [users.disable, users.reset])
def test_a_user_who_is_disabled_or_reset_is_signed_out_at_the_next_request(site, newcomer, end):
    name, password = newcomer
    browser = site.browser()
    page = signing_in(site, browser, name, password)
    with site.store.write(COMMAND_LINE) as uow:
        made = end(uow, name)
    assert browser.get("/console/").status == 401
    assert browser.press(page, "Check", q="A-1").status == 401
    assert signing_in(site, browser, name, password).status == 401
    if end is users.reset:
        assert signing_in(site, browser, name, made.password).status == 200


def test_a_session_ends_after_twelve_hours_even_if_it_is_in_use(site, now):
    browser = site.browser(Role.AGENT)
    for _ in range(12):
        now.shift(timedelta(hours=1))
        assert browser.get("/console/?lang=de").status == 200
        browser.get("/console/?lang=en")
    now.shift(timedelta(seconds=1))
    assert browser.get("/console/").status == 401


def flipped(text, place):
    """A text with another character at a place."""
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def test_a_modified_cookie_is_refused(site, agent):
    agent.get("/console/")
    given = cookie(agent)
    payload, _, signature = given.rpartition(".")
    for place in range(0, len(given) - 1, 7):  # of the last one, two bits mean nothing
        assert with_cookie(site, flipped(given, place)).get("/console/").status == 401, place
    for tampered in (
        given[:-1],
        given[1:],
        payload,
        signature,
        f"{given}.",
        f".{given}",
        given * 2,
        "x",
        "....",
        "%00",
        "\xff",
        "a" * 4000,
    ):
        assert with_cookie(site, tampered).get("/console/").status == 401, tampered


def test_a_cookie_of_another_installation_is_refused(site, agent):
    """Even for a user who exists here."""
    other = opened()
    with other.app.test_request_context("/console/"):
        signer = other.app.session_interface.get_signing_serializer(other.app)
    user = site.user("agent-1")
    session = users.session_for(site.store, user)._asdict() | {"since": int(time())}
    assert with_cookie(site, signer.dumps(session)).get("/console/").status == 401
    own = site.app.session_interface.get_signing_serializer(site.app)
    assert with_cookie(site, own.dumps(session)).get("/console/").status == 200
    for key in ("", "secret", "dev", "refunds"):
        forged = URLSafeTimedSerializer(key or "x", salt=own.salt).dumps(session)
        assert with_cookie(site, forged).get("/console/").status == 401
    other.store.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"user_id": "usr_nobody"},
        {"epoch": 0},
        {"epoch": 10**30},
        {"user_id": "\0"},
        {"user_id": ""},
        {"journal_id": "jrn_other"},
        {"position": 2**62},
    ],
)
def test_a_signed_session_with_wrong_contents_is_refused(site, changed):
    """Even though its signature is valid."""
    user = site.user("agent-1")
    session = users.session_for(site.store, user)._asdict() | {"since": int(time())} | changed
    signer = site.app.session_interface.get_signing_serializer(site.app)
    assert with_cookie(site, signer.dumps(session)).get("/console/").status == 401


def test_a_cookie_of_an_earlier_version_asks_for_a_sign_in(site):
    user = site.user("agent-1")
    session = {"user": user.user_id, "epoch": user.epoch, "since": int(time())}
    signer = site.app.session_interface.get_signing_serializer(site.app)
    assert with_cookie(site, signer.dumps(session)).get("/console/").status == 401


def test_the_cookie_is_hidden_from_scripts_and_other_hosts(site, stranger):
    """It lasts until the browser is closed, and contains no personal data."""
    stranger.get("/console/")
    form = stranger.get("/console/").forms[0]
    sent = form.filled({"name": "agent-1", "password": site.passwords[Role.AGENT]})
    response = stranger.send("POST", "/console/sign-in/", data=sent)
    (given,) = SimpleCookie(response.headers["Set-Cookie"]).values()
    assert given.key == NAME
    assert (given["secure"], given["httponly"], given["samesite"], given["path"]) == (True, True, "Lax", "/")
    assert (given["domain"], given["max-age"], given["expires"]) == ("", "", "")
    assert "agent-1" not in site.app.session_interface.get_signing_serializer(site.app).loads(given.value)
    assert response.headers["Cache-Control"] == "no-store"


def test_only_the_console_sets_or_accepts_the_cookie(site, agent):
    """The API ignores it."""
    agent.get("/console/")
    for path in (
        "/",
        "/docs",
        "/problems/",
        "/livez",
        "/openapi.json",
        "/static/page.css",
        "/v1/me",
        "/v1/orders/x",
        "/nowhere",
    ):
        with agent.send("GET", path) as response:
            assert "Set-Cookie" not in response.headers, path
            assert response.status_code in ({401} if path.startswith("/v1") else {200, 404}), path
    response = client_of(site.app, "agent").get("/v1/me")
    assert (response.status_code, "Set-Cookie" in response.headers) == (200, False)


RESTS = [
    "",
    "open",
    "orders/A-1?channel=phone",
    "/evil.example",
    "//evil.example",
    "\\evil.example",
    "/\\evil.example",
    "..//evil.example",
    "../..//evil.example/%2e%2e",
    "http://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "@evil.example",
    "\r\nLocation: https://evil.example",
    "\r\n\r\n<script>alert(1)</script>",
    "\tevil",
    "%0d%0aSet-Cookie: a=b",
    "[",
    "]:[",
    "#evil",
    "?lang=de",
    "ä/\u202e",
    "x" * 3000,
]


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("query", ["", "?channel=email&lang=de", "?next=https://evil.example", "?%0d%0aX: y"])
def test_the_sign_in_redirects_only_within_the_console(site, rest, query):
    browser = site.browser()
    token = browser.get("/console/").forms[0].fields["csrf_token"]
    sent = {"csrf_token": token, "name": "agent-1", "password": site.passwords[Role.AGENT]}
    response = browser.send("POST", f"/console/sign-in/{quote(rest)}{query}", data=sent)
    assert response.status_code in {303, 404, 405}
    location = response.headers.get("Location", "/console/")
    assert location.startswith("/console/")
    assert location.isascii()
    assert not {"\r", "\n", "\t", "\\"} & set(location)
    assert urlsplit(urljoin(f"{HOST}/console/sign-in/", location)).netloc == "localhost"
    assert {name.lower() for name, _ in response.headers} & {"x", "a"} == set()


@pytest.mark.parametrize(
    "path",
    [
        "/console/open",
        "/console/orders/A-1?channel=email&received_at=2026-04-08T08:20:00Z",
        "/console/nowhere/at/all?a=b",
        "/console/orders/%C3%A4%20x",
    ],
)
def test_the_sign_in_leads_to_the_requested_page(site, stranger, path):
    page = stranger.get(path)
    assert page.status == 401
    response = stranger.send(
        "POST",
        page.forms[0].action.removeprefix(HOST),
        data=page.forms[0].filled({"name": "agent-1", "password": site.passwords[Role.AGENT]}),
    )
    wanted, found = urlsplit(path), urlsplit(response.headers["Location"])
    assert (found.path.replace(":", "%3A"), found.query) == (wanted.path.replace(":", "%3A"), wanted.query)


@pytest.mark.parametrize("role", [None, Role.AGENT])
def test_changing_the_language_keeps_the_page_and_its_parameters(site, role):
    browser = site.browser(role)
    page = browser.get("/console/days?provided_on=2.4.2026&region=DE-BY&received_at=2026-04-08T10:20:00%2B02:00")
    german = browser.follow(page, "Deutsch")
    assert (page.lang, german.lang, german.path) == ("en", "de", page.path)
    assert german.query == page.query | {"lang": "de"}
    assert german.status == page.status
    english = browser.follow(german, "English")
    assert (english.lang, english.query) == ("en", page.query | {"lang": "en"})
    assert browser.get("/console/").lang == "en"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,en;q=0.9", "de"),
        ("fr,de;q=0.5", "de"),
        ("fr", "en"),
        ("", "en"),
        ("en-GB", "en"),
        ("\xff;;;q=x", "en"),
        ("*", "en"),
    ],
)
def test_the_browser_sets_the_language_until_the_user_chooses_one(site, accepted, language):
    browser = site.browser(Role.AGENT, accepted)
    assert browser.get("/console/").lang == language
    for chosen in ("de", "en"):
        assert browser.get(f"/console/?lang={chosen}").lang == chosen
        assert browser.get("/console/").lang == chosen
    for unknown in ("fr", "", "../de", "<script>"):
        assert browser.get(f"/console/?lang={quote(unknown)}").lang == "en"


@pytest.mark.parametrize("path", ["/console/nowhere", "/console/orders/A-1/nothing", "/console/journal"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_is_sent_to_an_address_that_does_not_take_it_is_answered_with_a_page(site, agent, path, method):
    page = Page(agent.send(method, path), f"{HOST}{path}")
    assert (page.status, page.h1) == (404, "There is nothing here")
    assert site.browser().send(method, "/v1/nowhere").mimetype == "application/problem+json"


@pytest.mark.parametrize("path", ["/console//open", "/console/%2Fopen"])
def test_an_address_with_a_slash_too_many_is_answered_with_a_page(site, agent, path):
    for browser in (agent, site.browser()):
        page = browser.get(path)
        assert (page.status, page.h1) == (404, "There is nothing here")
    assert agent.send("GET", "/v1//orders").mimetype == "application/problem+json"
