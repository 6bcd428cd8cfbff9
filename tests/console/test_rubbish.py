"""Whatever arrives at the console: it is answered by a page that says what is wrong, and nothing is changed."""

import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refunds.domain.permissions import Role
from tests import scaled
from tests.console.conftest import forms, opened, routes
from tests.console.pages import Page

FORM = "application/x-www-form-urlencoded"

UNREADABLE = {
    "no form": (415, {"content_type": "text/plain", "data": b"q=1"}),
    "JSON": (415, {"content_type": "application/json", "data": b"{}"}),
    "a form in parts": (415, {"content_type": "multipart/form-data; boundary=x", "data": b"--x--"}),
    "nothing that says what it is": (415, {"data": b"q=1"}),
    "compressed": (415, {"content_type": FORM, "data": b"q=1", "headers": {"Content-Encoding": "gzip"}}),
    "too large": (413, {"content_type": FORM, "data": b"q=" + b"1" * 2**16}),
    "not UTF-8": (400, {"content_type": FORM, "data": b"q=\xff"}),
    "not UTF-8, written otherwise": (400, {"content_type": FORM, "data": b"q=%ff"}),
    "a lone surrogate": (400, {"content_type": FORM, "data": b"q=%ed%a0%80"}),
    "too many fields": (400, {"content_type": FORM, "data": b"&".join(b"f%d=1" % i for i in range(101))}),
    "a field twice": (422, {"content_type": FORM, "data": b"q=1&q=2"}),
    "a token twice": (422, {"content_type": FORM, "data": b"csrf_token=1&csrf_token=2"}),
    "shorter than it says": (
        400,
        {"content_type": FORM, "data": b"q=1", "environ_overrides": {"CONTENT_LENGTH": "99"}},
    ),
    "in chunks": (411, {"content_type": FORM, "data": b"q=1", "headers": {"Transfer-Encoding": "chunked"}}),
}


@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_what_is_no_form_is_answered_by_a_page(house, records, role, body):
    """Walks every form, tomorrow's too, and the one to sign in with; whoever is signed in, or not."""
    browser, before = house.browser(role), house.position
    status, sent = UNREADABLE[body]
    for _, path in [*forms(house, records), ("console.sign_in", "/console/sign-in/")]:
        page = Page(browser.send("POST", path, **sent), path)
        assert page.status == status, (path, page.status, page.h1)
        assert page.title
    assert house.position == before


@pytest.fixture(scope="module")
def everywhere(engine):
    """A house on each engine: what a text may hold differs among them."""
    found = opened(engine=engine)
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def there(everywhere):
    """Something to be about there."""
    order = everywhere.register()
    return {
        "order_id": order,
        "contact_id": everywhere.record(order),
        "cancellation_id": everywhere.cancel(everywhere.register()).cancellation_id,
        "customer_id": everywhere.customer(order),
        "policy_id": "virtual-numbers",
        "rest": "x",
    }


NASTY = ("\x1b[31m\u202e\ud7ff\U0010ffff", "x" * 5000, "9999-12-31T23:59:59Z", "1.1.0001")
SOME = NASTY[: scaled(1, len(NASTY))]
A_CONTACT = "con_01KNP2THW0000000000000000Z"
ASKED = (
    "q",
    "channel",
    "received_at",
    "sent_at",
    "provided_on",
    "region",
    "contact_id",
    "supersedes",
    "override",
    "intent",
    "note",
    "after",
    "before",
    "lang",
    "language",
    "window_business_days",
    "business_week",
    "timely_by",
    "unknown",
)
TYPED = (
    "q",
    "channel",
    "received_at",
    "sent_at",
    "provided_on",
    "region",
    "contact_id",
    "supersedes",
    "override",
    "intent",
    "note",
    "ticket_ref",
    "reason",
    "reason_code",
    "contact_point",
    "from_detail",
    "once",
    "…",
)


@pytest.mark.proof
@pytest.mark.parametrize("text", SOME)
def test_any_text_in_any_place_of_an_address_is_answered_by_a_page(house, records, text):
    """Walks every screen, tomorrow's too, with every parameter that any of them has."""
    address_with(house, records, text)


@pytest.mark.proof
@pytest.mark.parametrize("text", SOME)
def test_any_text_in_any_field_is_answered_by_a_page(house, records, text):
    """Walks every form, tomorrow's too; one field at a time, the others being as they should."""
    form_with(house, records, text)


@pytest.mark.proof
@pytest.mark.parametrize("text", ["a\0b", A_CONTACT][: scaled(1, 2)])
def test_no_engine_minds_what_it_is_asked_for(everywhere, there, text):
    address_with(everywhere, there, text)
    form_with(everywhere, there, text)


def address_with(house, records, text):
    """Ask for every page with a text in each place in turn."""
    browser, before = house.browser(Role.ADMIN), house.position
    for rule, method, path in routes(house.app, records):
        if method != "GET":
            continue
        for name in ASKED:
            answer = browser.send("GET", f"{path}?{urlencode({name: text})}")
            assert answer.status_code in {200, 400, 404, 409, 422}, (rule, name, answer.status_code)
        for part in rule.arguments:
            filled = {each: records[each] for each in rule.arguments} | {part: text}
            answer = browser.send("GET", quote(with_parts(rule, filled)))
            assert answer.status_code in {200, 404, 422}, (rule, part, answer.status_code)
    assert house.position == before


def form_with(house, records, text):
    """Send every form with a text in each field in turn."""
    browser = house.browser(Role.ADMIN)
    token = browser.token
    right = {
        "csrf_token": token,
        "q": "A-0",
        "channel": "phone",
        "intent": "question",
        "reason_code": "entered_in_error",
    }
    for endpoint, path in forms(house, records):
        if endpoint == "console.sign_out":
            continue
        for name in TYPED:
            before = house.position
            sent = right | {"once": f"{name[0]}-{hash(text)}-{endpoint}"} | {name: text}
            answer = browser.send("POST", path, data=urlencode(sent), content_type=FORM)
            assert answer.status_code in {200, 303, 400, 404, 409, 422}, (path, name, answer.status_code)
            assert house.position == before or answer.status_code == 303, (path, name)
    house.verify()


def with_parts(rule, values):
    """The path of a rule with values in it, whatever they are."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda part: values[part[1]], rule.rule)


def test_unknown_fields_change_nothing_and_are_told_of(house, agent, records):
    before = house.position
    for endpoint, path in forms(house, records):
        if endpoint in {"console.sign_out", "console.register_demonstration", "console.verify"}:
            continue
        page = agent.post(path, {"csrf_token": agent.token, "once": "unknown-1", "amount": "5", "<script>": "1"})
        assert page.status == 422, path
    assert house.position == before


@pytest.mark.parametrize(
    "query", [b"q=\xff", b"\xff\xfe=1", b"lang=\x80&q=%ff%fe", b"&&&=&==&", b"q", b"%", b"q=%", b"a=1&a=2", b";"]
)
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_a_query_may_be_anything(house, records, role, query):
    browser = house.browser(role)
    for rule, method, path in routes(house.app, records):
        answer = browser.send(method, path, environ_overrides={"QUERY_STRING": query.decode("latin-1")}, data={})
        assert answer.status_code < 500, (rule, method, answer.status_code)
        assert answer.mimetype == "text/html" or answer.status_code == 303


@pytest.mark.parametrize(
    "header",
    [
        "Cookie",
        "Accept-Language",
        "Accept",
        "Origin",
        "Sec-Fetch-Site",
        "Referer",
        "X-Request-ID",
        "If-None-Match",
        "Range",
        "Authorization",
        "X-Forwarded-Host",
        "HX-Request",
        "Content-Type",
    ],
)
@pytest.mark.parametrize(
    "value",
    [
        "\xff\xfe",
        "x" * 8000,
        "[",
        "http://[",
        "::",
        "__Host-refunds=\xff",
        ";;;=;",
        "bytes=9-1",
        '"',
        "de;q=9;q=x,*;q=",
    ],
)
def test_a_header_may_be_anything(house, records, header, value):
    """Of whoever is signed in and whoever is not, for a page and for a form."""
    for role in (None, Role.ADMIN):
        browser = house.browser(role)
        for method, path in (
            ("GET", "/console/"),
            ("POST", "/console/"),
            ("POST", "/console/sign-in/"),
            ("GET", "/console/nowhere"),
        ):
            sent = {"data": "q=1", "content_type": FORM} if method == "POST" and header != "Content-Type" else {}
            answer = browser.send(method, path, headers={header: value}, **sent)
            assert answer.status_code < 500, (method, path, answer.status_code)
            assert "evil" not in answer.headers.get("Location", "")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/console/nowhere"),
        ("DELETE", "/console/"),
        ("PUT", "/console/orders/A-1"),
        ("GET", "/console//open"),
        ("PATCH", "/console/journal"),
        ("GET", "/console"),
        ("OPTIONS", "/console/"),
    ],
)
def test_another_method_or_a_crooked_path_is_no_failure(agent, method, path):
    assert agent.send(method, path).status_code in {200, 308, 404, 405}


TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40),
    st.from_regex(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{0,4} ?[0-9:]{0,5}", fullmatch=True),
)


@pytest.mark.proof
@settings(max_examples=scaled(30, 80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(TYPED), TEXTS, max_size=6), place=st.integers(0, 7))
def test_a_form_may_hold_anything(house, records, fields, place):
    """What is refused is shown again, and leaves nothing on record."""
    browser, before = house.browser(Role.ADMIN), house.position
    every = forms(house, records)
    endpoint, path = every[place % len(every)]
    encodable = {name: value.encode("utf-8", "ignore").decode() for name, value in fields.items()}
    sent = {"csrf_token": browser.token} | encodable
    page = Page(browser.send("POST", path, data=urlencode(sent), content_type=FORM, follow_redirects=True), path)
    assert page.status in {200, 400, 401, 404, 409, 422}, (path, page.status)
    if page.status != 200 and endpoint != "console.sign_out":
        assert house.position == before
