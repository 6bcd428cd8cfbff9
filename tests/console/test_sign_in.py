"""Signing in and out: what a session is, how it begins, and everything by which it ends."""

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
from tests.console.pages import HOST

NAME = "__Host-refunds"


def cookie(browser):
    """The cookie that a browser has of the console."""
    found = browser.client.get_cookie(NAME, domain="localhost")
    return found and found.value


def with_cookie(house, value):
    """A browser that brings this cookie."""
    browser = house.browser()
    browser.client.set_cookie(NAME, value, secure=True, path="/", domain="localhost")
    return browser


def signing_in(house, browser, name="agent-1", password=None, page=None):
    """The page that comes of signing in."""
    page = page or browser.get("/console/")
    return browser.submit(page.forms[0], name=name, password=password or house.passwords[Role(name.rpartition("-")[0])])


@pytest.fixture
def newcomer(house):
    """The name and the password of somebody whom no other test knows."""
    with house.store.write(COMMAND_LINE) as uow:
        made = users.add(uow, f"newcomer-{uow.now:%f}-{house.position[0]}", Role.AGENT)
    return made.user.name, made.password


def test_whoever_has_name_and_password_is_signed_in(house, stranger):
    page = signing_in(house, stranger)
    assert (page.status, page.h1, page.path) == (200, "Can this order be cancelled?", "/console/")
    assert "agent-1 · Agent" in page.root.one("header").text


@pytest.mark.parametrize("spelt", ["{}", " {} ", "{upper}"])
def test_a_name_is_the_same_however_it_is_spelt(house, stranger, newcomer, spelt):
    name, password = newcomer
    page = stranger.submit(
        stranger.get("/console/").forms[0], name=spelt.format(name, upper=name.upper()), password=password
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
def test_a_wrong_name_and_a_wrong_password_are_told_alike(house, language, name, password):
    browser, before = house.browser(language=language), house.position
    page = browser.submit(browser.get("/console/").forms[0], name=name, password=password)
    assert (page.status, page.lang) == (401, language)
    assert {"en": "User name and password do not fit", "de": "Benutzername und Passwort passen nicht"}[
        language
    ] in page.text
    assert page.forms[0].fields.keys() == {"csrf_token", "name", "password"}
    assert page.forms[0].fields["password"] == "", "it is not sent back"
    assert house.position == before


def test_a_session_begins_anew_at_the_sign_in(house, stranger):
    """What a stranger could have planted before is worth nothing after it: neither his cookie nor his token."""
    page = stranger.get("/console/?lang=de")
    planted, token = cookie(stranger), page.forms[0].fields["csrf_token"]
    page = signing_in(house, stranger, page=page)
    assert cookie(stranger) != planted
    assert page.forms[0].fields["csrf_token"] != token
    assert with_cookie(house, planted).get("/console/").status == 401
    order = house.register()
    stale = stranger.post("/console/", {"csrf_token": token, "q": order})
    assert stale.status == 200
    assert stale.path == "/console/"
    assert (stale.lang, page.lang) == ("de", "de"), "only the language stays"


def test_language_and_channel_stay_whoever_signs_in(house, agent):
    agent.get("/console/?lang=de")
    agent.get(f"/console/orders/{house.register()}?channel=email")
    other = with_cookie(house, cookie(agent))
    other.post("/console/sign-out", {"csrf_token": other.token})
    page = agent.get("/console/")
    assert page.status == 401
    page = signing_in(house, agent, "supervisor-1", page=page)
    assert page.lang == "de"
    assert page.form("Prüfen").fields["channel"] == "email"


def test_after_ten_attempts_in_vain_a_name_has_to_wait(house, now, newcomer):
    """Whatever password comes then, and in whatever browser; nobody else waits with it."""
    name, password = newcomer
    browser = house.browser()
    for _ in range(ATTEMPTS):
        assert signing_in(house, browser, name, "wrong").status == 401
    page = signing_in(house, house.browser(), name, password)
    assert (page.status, "Too many attempts" in page.text) == (429, True)
    assert signing_in(house, house.browser(), f" {name.upper()}", password).status == 429
    assert signing_in(house, house.browser(), "agent-1").status == 200
    now.shift(timedelta(minutes=15))
    assert signing_in(house, browser, name, password).status == 200


def test_a_success_forgets_the_attempts_before_it(house, newcomer):
    name, password = newcomer
    for _ in range(3):
        for _ in range(ATTEMPTS - 1):
            assert signing_in(house, house.browser(), name, "wrong").status == 401
        assert signing_in(house, house.browser(), name, password).status == 200


def test_a_form_without_its_cookie_is_asked_for_once_more(house, stranger):
    """And is no attempt."""
    form = stranger.get("/console/").forms[0]
    page = house.browser().submit(form, name="agent-1", password=house.passwords[Role.AGENT])
    assert page.status == 400
    assert "let the browser keep cookies" in page.text
    other = house.browser()
    other.get("/console/")
    assert other.submit(form, name="agent-1", password=house.passwords[Role.AGENT]).status == 400, "another's token"


def test_signing_out_ends_every_session_of_the_user_in_every_browser(house, newcomer):
    name, password = newcomer
    first, second, other = house.browser(), house.browser(), house.browser(Role.SUPERVISOR)
    for browser in (first, second):
        assert signing_in(house, browser, name, password).status == 200
    kept = cookie(first)
    page = first.post("/console/sign-out", {"csrf_token": first.token})
    assert (page.status, page.h1) == (401, "Sign in")
    assert second.get("/console/").status == 401
    assert with_cookie(house, kept).get("/console/").status == 401, "an old cookie is worth nothing"
    assert other.get("/console/").status == 200, "nobody else is signed out"
    assert signing_in(house, second, name, password).status == 200


@pytest.mark.parametrize("end", [users.disable, users.reset])
def test_a_user_who_is_disabled_or_reset_is_out_at_the_next_request(house, newcomer, end):
    name, password = newcomer
    browser = house.browser()
    page = signing_in(house, browser, name, password)
    with house.store.write(COMMAND_LINE) as uow:
        made = end(uow, name)
    assert browser.get("/console/").status == 401
    assert browser.press(page, "Check", q="A-1").status == 401
    assert signing_in(house, browser, name, password).status == 401
    if end is users.reset:
        assert signing_in(house, browser, name, made.password).status == 200


def test_a_session_ends_after_twelve_hours_however_busy_it_is(house, now):
    browser = house.browser(Role.AGENT)
    for _ in range(12):
        now.shift(timedelta(hours=1))
        assert browser.get("/console/?lang=de").status == 200
        browser.get("/console/?lang=en")
    now.shift(timedelta(seconds=1))
    assert browser.get("/console/").status == 401


def flipped(text, place):
    """A text with another letter at a place."""
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


def test_a_cookie_that_is_not_as_it_was_given_is_worth_nothing(house, agent):
    agent.get("/console/")
    given = cookie(agent)
    payload, _, signature = given.rpartition(".")
    for place in range(0, len(given), 7):
        assert with_cookie(house, flipped(given, place)).get("/console/").status == 401, place
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
        assert with_cookie(house, tampered).get("/console/").status == 401, tampered


def test_a_cookie_of_another_installation_is_worth_nothing(house, agent):
    """Though it has the same user."""
    other = opened()
    with other.app.test_request_context("/console/"):
        signer = other.app.session_interface.get_signing_serializer(other.app)
    user = house.user("agent-1")
    told = {"user": user.user_id, "epoch": user.epoch, "since": int(time())}
    assert with_cookie(house, signer.dumps(told)).get("/console/").status == 401
    own = house.app.session_interface.get_signing_serializer(house.app)
    assert with_cookie(house, own.dumps(told)).get("/console/").status == 200
    for key in ("", "secret", "dev", "refunds"):
        forged = URLSafeTimedSerializer(key or "x", salt=own.salt).dumps(told)
        assert with_cookie(house, forged).get("/console/").status == 401
    other.store.close()


@pytest.mark.parametrize(
    "changed", [{"user": "usr_nobody"}, {"epoch": 0}, {"epoch": 10**30}, {"user": "\0"}, {"user": ""}]
)
def test_a_session_of_nobody_is_worth_nothing(house, changed):
    """However it came to be signed."""
    user = house.user("agent-1")
    told = {"user": user.user_id, "epoch": user.epoch, "since": int(time())} | changed
    signer = house.app.session_interface.get_signing_serializer(house.app)
    assert with_cookie(house, signer.dumps(told)).get("/console/").status == 401


def test_the_cookie_is_kept_from_scripts_and_from_other_hosts(house, stranger):
    """For as long as the browser runs; nothing in it is personal."""
    stranger.get("/console/")
    form = stranger.get("/console/").forms[0]
    sent = form.filled({"name": "agent-1", "password": house.passwords[Role.AGENT]})
    answer = stranger.send("POST", "/console/sign-in/", data=sent)
    (given,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert given.key == NAME
    assert (given["secure"], given["httponly"], given["samesite"], given["path"]) == (True, True, "Lax", "/")
    assert (given["domain"], given["max-age"], given["expires"]) == ("", "", "")
    assert "agent-1" not in house.app.session_interface.get_signing_serializer(house.app).loads(given.value)
    assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_but_the_console_sets_or_heeds_the_cookie(house, agent):
    """It signs nobody in at the API."""
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
        with agent.send("GET", path) as answer:
            assert "Set-Cookie" not in answer.headers, path
            assert answer.status_code in ({401} if path.startswith("/v1") else {200, 404}), path
    answer = client_of(house.app, "agent").get("/v1/me")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (200, False)


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
def test_the_way_after_the_sign_in_leads_nowhere_but_to_the_console(house, rest, query):
    browser = house.browser()
    token = browser.get("/console/").forms[0].fields["csrf_token"]
    sent = {"csrf_token": token, "name": "agent-1", "password": house.passwords[Role.AGENT]}
    answer = browser.send("POST", f"/console/sign-in/{quote(rest)}{query}", data=sent)
    if answer.status_code in {404, 405}:
        return
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert location.startswith("/console/")
    assert location.isascii()
    assert not {"\r", "\n", "\t", "\\"} & set(location)
    assert urlsplit(urljoin(f"{HOST}/console/sign-in/", location)).netloc == "localhost"
    assert {name.lower() for name, _ in answer.headers} & {"x", "a"} == set()


@pytest.mark.parametrize(
    "path",
    [
        "/console/open",
        "/console/orders/A-1?channel=email&received_at=2026-04-08T08:20:00Z",
        "/console/nowhere/at/all?a=b",
        "/console/orders/%C3%A4%20x",
    ],
)
def test_whoever_signs_in_comes_to_the_page_that_was_asked_for(house, stranger, path):
    page = stranger.get(path)
    assert page.status == 401
    answer = stranger.send(
        "POST",
        page.forms[0].action.removeprefix(HOST),
        data=page.forms[0].filled({"name": "agent-1", "password": house.passwords[Role.AGENT]}),
    )
    wanted, found = urlsplit(path), urlsplit(answer.headers["Location"])
    assert (found.path.replace(":", "%3A"), found.query) == (wanted.path.replace(":", "%3A"), wanted.query)


@pytest.mark.parametrize("role", [None, Role.AGENT])
def test_the_language_is_changed_where_one_is_with_all_parameters(house, role):
    browser = house.browser(role)
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
def test_the_browser_says_in_which_language_a_page_comes_until_one_is_chosen(house, accepted, language):
    browser = house.browser(Role.AGENT, accepted)
    assert browser.get("/console/").lang == language
    for chosen in ("de", "en"):
        assert browser.get(f"/console/?lang={chosen}").lang == chosen
        assert browser.get("/console/").lang == chosen
    for unknown in ("fr", "", "../de", "<script>"):
        assert browser.get(f"/console/?lang={quote(unknown)}").lang == "en"
