"""Hostile text in every field that takes text: every screen shows it as plain text."""

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
DOCUMENTS = {"evidence", "confirmation", "evidence-statutory", "confirmation-statutory", "data-request-export"}
"""Pages to print: self-contained, with one inline style that their security policy allows by its digest."""

TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "header", "main", "nav", "section", "div", "span", "p", "a", "form", "input",
    "button", "label", "fieldset", "legend", "select", "option", "datalist", "textarea", "details", "summary", "h1", "h2", "h3", "h4", "ol",
    "ul", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "svg", "path", "rect", "line", "text", "g",
    "desc", "defs", "pattern", "strong", "code", "br", "blockquote", "style", "footer", "figure", "figcaption", "small", "em", "time", "address", "hr", "b", "pre",
}  # fmt: skip
"""Every tag that the pages use."""


@pytest.fixture(scope="module")
def shown():
    """The data for the screens, with hostile text."""
    with scene(hostile=True) as attribute_values:
        yield attribute_values


@pytest.fixture(scope="module")
def peaceful():
    """The same data without hostile text."""
    with scene() as attribute_values:
        yield attribute_values


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_hostile_text_adds_no_elements_to_a_page(shown, peaceful, screen):
    """The page has the same elements as with harmless text."""
    page, plain = (looked_at(one, screen, "en") for one in (shown, peaceful))
    made, expected = (
        [(one.tag, sorted(one.attributes)) for one in each.root.every() if one.attributes.get("class") != "whole"]
        for each in (page, plain)
    )
    assert made == expected
    assert "<script>alert" not in page.source
    assert "onerror=" not in page.source.replace("onerror=alert(2)&gt;", "")


def test_the_screens_contain_the_hostile_text(shown):
    """Otherwise the test above would prove nothing."""
    found = {screen.name for screen in SCREENS if "alert(1)" in looked_at(shown, screen, "en").text}
    assert {"history", "request", "request-refused", "revoked", "policy", "evidence", "confirmation"} <= found
    assert "{{ 7 * 7 }}" in looked_at(shown, next(s for s in SCREENS if s.name == "history"), "en").text


_ENCODED = r"(?:[\w.~-]|%[0-9A-F]{2})"
MAIL = re.compile(rf"mailto:(?:{_ENCODED}+@{_ENCODED}+)?\?subject={_ENCODED}+&body={_ENCODED}+", re.ASCII)
"""The link to a mail: an address, a subject and a text, and no header that a text has brought along."""


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_page_loads_only_resources_of_the_console(shown, screen):
    page = looked_at(shown, screen, "en")
    for element in page.root.every():
        assert element.tag in TAGS, element.tag
        assert not [name for name in element.attributes if name.startswith("on")], element.attributes
        assert "style" not in element, element.attributes
        for name in ("src", "href", "action", "formaction", "data", "srcset", "poster", "ping"):
            if name in element:
                if element[name].startswith("mailto:") and element.tag == "a":
                    assert MAIL.fullmatch(element[name]), element[name]
                    continue
                where = urlsplit(urljoin(page.address, element[name]))
                assert (where.scheme, where.netloc) == ("https", "localhost"), element[name]
                assert where.path.startswith(("/console/", "/static/")), element[name]
    assert all(one["src"] and not one.raw.strip() for one in page.root.every("script"))
    assert not re.findall(r"(?:https?:)?//(?!localhost)[a-z0-9.-]+\.[a-z]+", "".join(attribute_values(page)))
    styles = list(page.root.every("style"))
    assert len(styles) == (screen.name in DOCUMENTS)


def attribute_values(page):
    """The values of the attributes that could contain an address."""
    for element in page.root.every():
        yield from (f"{value} " for name, value in element.attributes.items() if name not in {"value", "content"})


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_a_page_forbids_caching_framing_and_sniffing(shown, screen):
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
def test_text_with_bidi_controls_does_not_affect_the_text_around_it(shown, screen):
    """It is in an element that isolates its reading direction."""
    assert {"dd", "td", "li", "p"} <= ISOLATED
    page = looked_at(shown, screen, "en")
    for element in page.root.every():
        if BIDI.search("".join(child for child in element.children if isinstance(child, str))):
            assert any(element.tag == tag or element.above(tag) for tag in ISOLATED | {"textarea", "title"}), (
                element.tag
            )


@pytest.mark.parametrize("path", ["/console/", "/console/orders/A-1001", "/console/nowhere", "/console/open"])
def test_pages_for_strangers_have_the_same_headers(shown, path):
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
def test_hostile_text_in_an_address_is_only_shown_as_text(shown, path):
    browser = signed_in(shown.app, user_of(shown.app, "samuel"))
    for query in QUERIES:
        page = browser.get(f"{path}?{query.format(quote(HOSTILE))}")
        assert page.status < 500
        assert {one.tag for one in page.root.every()} <= TAGS
        assert "<img" not in page.source
        assert "<script>alert" not in page.source
        assert not [name for one in page.root.every() for name in one.attributes if name.startswith("on")]
