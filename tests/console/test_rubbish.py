"""Whatever arrives at the console: it is answered by a page that says what is wrong, and nothing is changed."""

import pytest

from refunds.access import Role
from tests.console.conftest import forms
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
