"""No page offers what its reader may not do: each link and form on it is of a screen that their role may use."""

from urllib.parse import urljoin, urlsplit

import pytest

from refunds.domain.permissions import SCOPES, Role
from tests.browser.screens import SCREENS
from tests.browser.story import NAMES, scene
from tests.console.conftest import signed_in, user_of
from tests.console.pages import Form


@pytest.fixture(scope="module")
def shown():
    """The data for the screens."""
    with scene() as data:
        yield data


def forbidden(shown, role, address, method):
    """Whether the screen or action at an address is one that a role may not use."""
    path = urlsplit(address).path
    if not path.startswith("/console/"):
        return False
    endpoint, _ = shown.app.url_map.bind("localhost").match(path, method=method)
    scopes = getattr(shown.app.view_functions[endpoint], "scopes", None)
    return bool(scopes) and SCOPES[role].isdisjoint(scopes)


@pytest.mark.parametrize("role", NAMES)
def test_no_page_offers_what_its_reader_may_not_do(shown, role):
    browser = signed_in(shown.app, user_of(shown.app, NAMES[role]))
    pages = [browser.get(path) for path in sorted({screen.path(shown) for screen in SCREENS})]
    read, wrong = [page for page in pages if page.status == 200], set()
    for page in read:
        offered = [(urljoin(page.address, one["href"] or ""), "GET") for one in page.root.every("a")]
        forms = [Form(one, page.address) for one in page.root.every("form")]
        offered += [(form.action, form.method) for form in forms]
        wrong |= {(page.path, address) for address, method in offered if forbidden(shown, role, address, method)}
    assert wrong == set()
    assert len(read) >= 10


@pytest.mark.parametrize("role", [Role.PRIVACY, Role.AUDITOR])
def test_who_may_not_count_days_is_offered_no_check_by_date(shown, role):
    browser = signed_in(shown.app, user_of(shown.app, NAMES[role]))
    for page in (browser.get("/console/"), browser.press(browser.get("/console/"), "Check", q="nothing")):
        assert "Check by date" not in page.form("Check").buttons
        assert "date of the service" not in page.text
