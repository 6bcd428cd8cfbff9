"""Malformed input: the console answers with a page that says what is wrong, and changes nothing."""

import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refunds.domain.permissions import Role
from refunds.domain.privacy import DataRequestKind
from tests import scaled
from tests.conftest import mostly_on
from tests.console.conftest import forms, opened, routes
from tests.console.pages import Page

FORM = "application/x-www-form-urlencoded"

UNREADABLE = {
    "no form": (415, {"content_type": "text/plain", "data": b"q=1"}),
    "JSON": (415, {"content_type": "application/json", "data": b"{}"}),
    "a form in parts that are not told apart": (400, {"content_type": "multipart/form-data", "data": b"--x--"}),
    "a form in parts that does not end": (
        400,
        {"content_type": "multipart/form-data; boundary=x", "data": b'--x\r\nContent-Disposition: form-data; name="q"'},
    ),
    "nothing that says what it is": (415, {"data": b"q=1"}),
    "compressed": (415, {"content_type": FORM, "data": b"q=1", "headers": {"Content-Encoding": "gzip"}}),
    "too large": (413, {"content_type": FORM, "data": b"q=" + b"1" * 2**20}),
    "not UTF-8": (400, {"content_type": FORM, "data": b"q=\xff"}),
    "not UTF-8, written otherwise": (400, {"content_type": FORM, "data": b"q=%ff"}),
    "a lone surrogate": (400, {"content_type": FORM, "data": b"q=%ed%a0%80"}),
    "too many fields": (400, {"content_type": FORM, "data": b"&".join(b"f%d=1" % i for i in range(1025))}),
    "a field twice": (422, {"content_type": FORM, "data": b"q=1&q=2"}),
    "a token twice": (422, {"content_type": FORM, "data": b"csrf_token=1&csrf_token=2"}),
    "shorter than it says": (
        400,
        {"content_type": FORM, "data": b"q=1", "environ_overrides": {"CONTENT_LENGTH": "99"}},
    ),
    "in chunks": (411, {"content_type": FORM, "data": b"q=1", "headers": {"Transfer-Encoding": "chunked"}}),
}


NASTY = ("\x1b[31m\u202e\ud7ff\U0010ffff", "x" * 5000, "9999-12-31T23:59:59Z", "1.1.0001")
SOME = NASTY[: scaled(1, len(NASTY))]
APART = scaled(6, 1)
"""Of the names that are tried on a page or form, every so many; on the next one others. Of pages for an address, too."""


@pytest.mark.proof
@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_a_body_that_is_not_a_form_is_answered_with_a_page(site, records, role, body):
    """Walks every form, future ones included, and always the sign-in form; signed in or not."""
    browser, before = site.browser(role), site.position
    status, sent = UNREADABLE[body]
    walked = forms(site, records)[[*UNREADABLE].index(body) % APART :: APART]
    for _, path in [*walked, ("console.sign_in", "/console/sign-in/")]:
        page = Page(browser.send("POST", path, **sent), path)
        asked = (body, role) == ("too large", None) and not path.endswith("/sign-in/")  # and told that it is not kept
        assert page.status == (401 if asked else status), (path, page.status, page.h1)
        assert page.title
    assert site.position == before


@pytest.fixture(scope="module")
def site_on_engine(engine):
    """An installation on each engine: engines differ in the characters that they store."""
    found = opened(engine=engine)
    yield found
    found.store.close()


@pytest.fixture(scope="module")
def records_on_engine(site_on_engine):
    """A value for every parameter of a route there."""
    order = site_on_engine.register()
    return {
        "order_id": order,
        "contact_id": site_on_engine.record(order),
        "unmatched_id": site_on_engine.keep("the blue one"),
        "cancellation_id": site_on_engine.cancel(site_on_engine.register()).cancellation_id,
        "customer_id": site_on_engine.customer(order),
        "policy_id": "virtual-numbers",
        "position": "1",
        "version": "1",
        "rest": "x",
        "request_id": site_on_engine.asks(DataRequestKind.RECTIFICATION, "K-20391").request_id,
    }


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
    "type",
    "order_id",
    "actor",
    "since",
    "until",
    "lang",
    "language",
    "window_business_days",
    "business_week",
    "timely_by",
    "show",
    "kind",
    "data",
    "unknown",
)
TYPED = (
    "q",
    "file",
    "draft",
    "now",
    "shown",
    "date",
    "reason_de",
    "old_password",
    "new_password",
    "mark",
    "session",
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
    "doing",
    "to",
    "given_at",
    "duplicate_of",
    "contact_point",
    "from_detail",
    "order_hint",
    "order_id",
    "idempotency_key",
    "…",
)


@pytest.mark.proof
@pytest.mark.parametrize("text", SOME)
def test_any_text_in_any_part_of_an_address_is_answered_with_a_page(site, records, text):
    """Walks every screen, future ones included, with every parameter that any of them has."""
    request_pages_with(site, records, text)


@pytest.mark.proof
@pytest.mark.parametrize("text", SOME)
def test_any_text_in_any_field_is_answered_with_a_page(site, records, text):
    """Walks every form, future ones included; one field at a time, the others valid."""
    send_forms_with(site, records, text)


@pytest.mark.proof
@mostly_on("postgresql")
@pytest.mark.parametrize("text", ["a\0b", A_CONTACT][: scaled(1, 2)])
def test_no_text_makes_an_engine_fail(site_on_engine, records_on_engine, text):
    request_pages_with(site_on_engine, records_on_engine, text)
    send_forms_with(site_on_engine, records_on_engine, text)


def request_pages_with(site, records, text):
    """Request every page with a text in each parameter in turn."""
    browser, before = site.browser(Role.ADMIN), site.position
    for turn, (rule, method, path) in enumerate(routes(site.app, records)):
        if method != "GET":
            continue
        for name in ASKED[turn % APART :: APART]:
            response = browser.send("GET", f"{path}?{urlencode({name: text})}")
            assert response.status_code in {200, 303, 400, 404, 409, 422}, (rule, name, response.status_code)
        for part in rule.arguments:
            filled = {each: records[each] for each in rule.arguments} | {part: text}
            response = browser.send("GET", quote(path_with(rule, filled)))
            assert response.status_code in {200, 404, 422}, (rule, part, response.status_code)
    assert site.position == before


def send_forms_with(site, records, text):
    """Send every form with a text in each field in turn."""
    browser = site.browser(Role.ADMIN)
    token = browser.token
    right = {
        "csrf_token": token,
        "q": "A-0",
        "channel": "phone",
        "intent": "question",
        "reason_code": "entered_in_error",
        "doing": "resolve",
    }
    for turn, (endpoint, path) in enumerate(forms(site, records)):
        if endpoint == "console.sign_out":
            continue
        for name in TYPED[turn % APART :: APART]:
            before = site.position
            sent = right | {"idempotency_key": f"{name[0]}-{hash(text)}-{endpoint}"} | {name: text}
            response = browser.send("POST", path, data=urlencode(sent), content_type=FORM)
            assert response.status_code in {200, 303, 400, 404, 409, 422}, (path, name, response.status_code)
            assert site.position == before or response.status_code == 303, (path, name)
    site.verify()


def path_with(rule, values):
    """The path of a rule with any values in it, without validation."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda part: values[part[1]], rule.rule)


def test_unknown_fields_are_refused_and_change_nothing(site, records):
    before, admin = site.position, site.browser(Role.ADMIN)
    for endpoint, path in forms(site, records):
        if endpoint in {"console.sign_out", "console.register_demonstration"}:
            continue
        page = admin.post(
            path, {"csrf_token": admin.token, "idempotency_key": "unknown-1", "amount": "5", "<script>": "1"}
        )
        assert page.status == 422, path
    assert site.position == before


QUERIES = [b"q=\xff", b"\xff\xfe=1", b"lang=\x80&q=%ff%fe", b"&&&=&==&", b"q", b"%", b"q=%", b"a=1&a=2", b";"]


@pytest.mark.proof
@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_no_query_string_causes_a_failure(site, records, role, query):
    browser = site.browser(role)
    for rule, method, path in [*routes(site.app, records)][QUERIES.index(query) % APART :: APART]:
        response = browser.send(method, path, environ_overrides={"QUERY_STRING": query.decode("latin-1")}, data={})
        assert response.status_code < 500, (rule, method, response.status_code)
        assert response.mimetype == "text/html" or response.status_code == 303


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
def test_no_header_causes_a_failure(site, records, header, value):
    """Signed in or not, for a page and for a form."""
    for role in (None, Role.ADMIN):
        browser = site.browser(role)
        for method, path in (
            ("GET", "/console/"),
            ("POST", "/console/"),
            ("POST", "/console/sign-in/"),
            ("GET", "/console/nowhere"),
        ):
            sent = {"data": "q=1", "content_type": FORM} if method == "POST" and header != "Content-Type" else {}
            response = browser.send(method, path, headers={header: value}, **sent)
            assert response.status_code < 500, (method, path, response.status_code)
            assert "evil" not in response.headers.get("Location", "")


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
def test_another_method_or_a_malformed_path_causes_no_failure(agent, method, path):
    assert agent.send(method, path).status_code in {200, 308, 404, 405}


TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=40),
    st.from_regex(r"[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{0,4} ?[0-9:]{0,5}", fullmatch=True),
)


@pytest.mark.proof
@settings(max_examples=scaled(30, 80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(st.sampled_from(TYPED), TEXTS, max_size=6), place=st.integers(0, 7))
def test_no_form_causes_a_failure(site, records, fields, place):
    """A refused form leaves nothing on record."""
    browser, before = site.browser(Role.ADMIN), site.position
    every = forms(site, records)
    endpoint, path = every[place % len(every)]
    encodable = {name: value.encode("utf-8", "ignore").decode() for name, value in fields.items()}
    sent = {"csrf_token": browser.token} | encodable
    page = Page(browser.send("POST", path, data=urlencode(sent), content_type=FORM, follow_redirects=True), path)
    assert page.status in {200, 400, 401, 404, 409, 422}, (path, page.status)
    if page.status != 200 and endpoint != "console.sign_out":
        assert site.position == before


ENDS = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Fri, 31 Dec 9999 23:59:59 -1400", "31.12.9999")
"""Times at both ends of the calendar, some of which it does not have in UTC."""


@pytest.mark.parametrize("typed", ENDS)
@pytest.mark.parametrize(
    "address",
    [
        "cancellations?issued_from=",
        "cancellations?issued_to=",
        "cancellations?due_to=",
        "journal?since=",
        "journal?until=",
        "orders/A-0000/record?received_at=",
        "orders/A-0000?received_at=",
        "days?provided_on=2026-04-02&received_at=",
    ],
)
def test_a_time_at_the_end_of_the_calendar_is_answered(site, address, typed):
    assert site.browser(Role.ADMIN).get(f"/console/{address}{quote(typed)}").status in {200, 404, 422}
