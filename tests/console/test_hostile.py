"""Hostile texts, wherever one may be written: every screen shows them as texts, and takes them for nothing else."""

import re
from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.browser.screens import SCREENS
from tests.browser.story import HOSTILE, scene
from tests.conftest import ROOT
from tests.console.conftest import signed_in, user_of
from tests.console.pages import Browser
from tests.console.test_languages import looked_at

STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
DOCUMENTS = {"evidence", "confirmation"}
"""Pages to print: whole in one file, with one style in it that their policy knows by its digest."""

TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "header", "main", "nav", "section", "div", "span", "p", "a", "form", "input",
    "button", "label", "fieldset", "legend", "select", "option", "datalist", "textarea", "details", "summary", "h1", "h2", "h3", "h4", "ol",
    "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "svg", "path", "rect", "line", "text", "g",
    "desc", "defs", "pattern", "strong", "code", "br", "blockquote", "style", "footer", "figure", "figcaption", "small", "em", "time", "address", "hr", "b",
}  # fmt: skip
"""Whatever the pages are made of."""


@pytest.fixture(scope="module")
def shown():
    """What the screens are looked at with, hostile texts in it."""
    with scene(hostile=True) as told:
        yield told


@pytest.fixture(scope="module")
def peaceful():
    """The same without."""
    with scene() as told:
        yield told


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_hostile_text_is_a_text(shown, peaceful, screen):
    """The page has the same elements as with any other text."""
    page, plain = (looked_at(one, screen, "en") for one in (shown, peaceful))
    made, expected = ([(one.tag, sorted(one.attributes)) for one in each.root.every()] for each in (page, plain))
    assert made == expected
    assert "<script>alert" not in page.source
    assert "onerror=" not in page.source.replace("onerror=alert(2)&gt;", "")


def test_the_hostile_texts_stand_where_they_are_looked_for(shown):
    """So that the test above has something to look at."""
    found = {screen.name for screen in SCREENS if "alert(1)" in looked_at(shown, screen, "en").text}
    assert {"history", "request", "request-refused", "revoked", "policy", "evidence", "confirmation"} <= found
    assert "{{ 7 * 7 }}" in looked_at(shown, next(s for s in SCREENS if s.name == "history"), "en").text


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_page_runs_and_loads_nothing_but_the_consoles_own(shown, screen):
    page = looked_at(shown, screen, "en")
    for element in page.root.every():
        assert element.tag in TAGS, element.tag
        assert not [name for name in element.attributes if name.startswith("on")], element.attributes
        assert "style" not in element, element.attributes
        for name in ("src", "href", "action", "formaction", "data", "srcset", "poster", "ping"):
            if name in element:
                where = urlsplit(urljoin(page.address, element[name]))
                assert (where.scheme, where.netloc) == ("https", "localhost"), element[name]
                assert where.path.startswith(("/console/", "/static/")), element[name]
    assert all(one["src"] and not one.raw.strip() for one in page.root.every("script"))
    assert not re.findall(r"(?:https?:)?//(?!localhost)[a-z0-9.-]+\.[a-z]+", "".join(told(page)))
    styles = list(page.root.every("style"))
    assert len(styles) == (screen.name in DOCUMENTS)


def told(page):
    """Attributes in which an address could stand."""
    for element in page.root.every():
        yield from (f"{value} " for name, value in element.attributes.items() if name not in {"value", "content"})


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_page_says_that_it_is_not_to_be_kept_framed_or_guessed_at(shown, screen):
    headers = looked_at(shown, screen, "en").headers
    policy = headers["Content-Security-Policy"]
    if screen.name in DOCUMENTS:
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "script-src" not in policy
    else:
        assert policy == STRICT
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'none'" in policy or "form-action 'self'" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Referrer-Policy"] in {"same-origin", "no-referrer"}
    assert "Cookie" in headers["Vary"]


BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


STYLES = (ROOT / "refunds/web/static/console.css").read_text()
ISOLATED = set(re.search(r"^([a-z0-9, ]+) \{[^}]*unicode-bidi: isolate", STYLES, re.MULTILINE)[1].split(", "))


@pytest.mark.parametrize(
    "screen", [one for one in SCREENS if one.name not in DOCUMENTS], ids=lambda screen: screen.name
)
def test_a_text_that_turns_the_reading_direction_turns_nothing_else(shown, screen):
    """It stands in an element whose direction reaches nothing around it: what is beside it is read as it is."""
    assert {"dd", "td", "li", "p"} <= ISOLATED
    page = looked_at(shown, screen, "en")
    for element in page.root.every():
        if BIDI.search("".join(child for child in element.children if isinstance(child, str))):
            assert any(element.tag == tag or element.above(tag) for tag in ISOLATED | {"textarea", "title"}), (
                element.tag
            )


@pytest.mark.parametrize("path", ["/console/", "/console/orders/A-1001", "/console/nowhere", "/console/open"])
def test_what_is_shown_to_strangers_has_the_same_headers(shown, path):
    headers = Browser(shown.app).get(path).headers
    assert (headers["Content-Security-Policy"], headers["Cache-Control"]) == (STRICT, "no-store")


QUERIES = [
    "q={}",
    "channel={}",
    "received_at={}",
    "{}=1",
    "lang={}",
    "contact_id={}",
    "supersedes={}",
    "note={}",
    "override={}",
    "after={}",
    "before={}",
    "region={}",
    "provided_on={}",
]
PATHS = [
    "/console/",
    "/console/orders/A-1001",
    "/console/orders/A-1001/cancel",
    "/console/days",
    "/console/open",
    "/console/journal",
    "/console/customers/x",
    "/console/policies/virtual-numbers/simulation",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_hostile_address_is_shown_as_a_text_if_at_all(shown, path):
    browser = signed_in(shown.app, user_of(shown.app, "samuel"))
    for query in QUERIES:
        page = browser.get(f"{path}?{query.format(quote(HOSTILE))}")
        assert page.status < 500
        assert {one.tag for one in page.root.every()} <= TAGS
        assert "<img" not in page.source
        assert "<script>alert" not in page.source
        assert not [name for one in page.root.every() for name in one.attributes if name.startswith("on")]
