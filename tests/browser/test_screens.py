"""Every screen is accessible: in both languages and colour schemes, at every width, on paper, without scripts, by keys."""

import re

import pytest

from tests import PROOFS
from tests.browser.people import LOOK
from tests.browser.screens import SCREENS, Looker
from tests.browser.story import scene
from tests.conftest import ROOT

AXE = (ROOT / "tools/node_modules/axe-core/axe.min.js").read_text()
LAYOUT = (ROOT / "tests/browser/layout.js").read_text()
JUDGE = """async options => (await axe.run({...options, resultTypes: ["violations"]})).violations.flatMap(
    ({id, nodes}) => nodes.map(node => `${id}: ${node.target} ${node.failureSummary}`))"""
ALL = {"rules": {"target-size": {"enabled": True}}}
WIDE, HALF, NARROW = 1180, 590, 320
"""The second is the first at 200 %; the last one at 400 %."""

LOOKS = [(width, scheme, ALL) for width in (WIDE, HALF, NARROW) for scheme in ("dark", "light")]
SHORTENED = {"en": [(WIDE, "dark", ALL)], "de": [(NARROW, "light", ALL)]}
"""With `make test`, each language has one of the looks; more screens are in German, whose words are longer."""

MOST = 500
"""More targets than any screen has."""

PAPER = 718
"""The pixels between the margins of A4."""

pytestmark = pytest.mark.proof
IN_GERMAN, SOME = (SCREENS, SCREENS) if PROOFS else (SCREENS[::3], SCREENS[::20])
SHOWN = [(screen, language) for screen in SCREENS for language in ("en", "de")]
every_screen, some_screens = (
    pytest.mark.parametrize(
        ("screen", "language"), shown, ids=[f"{screen.name}-{language}" for screen, language in shown]
    )
    for shown in (
        [(screen, language) for screen, language in SHOWN if screen in (IN_GERMAN if language == "de" else SOME)],
        [(screen, language) for screen, language in SHOWN if screen in SOME],
    )
)

REACHED = """() => {
    const now = document.activeElement, isAgain = now.dataset.reached && now !== window.reachedLast;
    now.dataset.reached = "yes";
    window.reachedLast = now;
    return isAgain; }"""
"""Whether Tab has led to the focused element before; it leads to each part of a date."""

TO_BE_REACHED = """() => {
    const all = document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary");
    return [...all].filter(one => one.checkVisibility({visibilityProperty: true}) && !one.disabled)
        .filter(one => one.type !== "radio" || !document.querySelector(`[name="${one.name}"][data-reached]`))
        .filter(one => !one.dataset.reached).map(one => one.outerHTML.slice(0, 200)); }"""
"""The targets to which Tab has not led; it leads to one button of a group of radio buttons."""


@pytest.fixture(scope="module")
def shown():
    """The data for the screens."""
    with scene() as data:
        yield data


@pytest.fixture(scope="module", params=[True], ids=["with scripts"])
def looker(running, shown, request):
    """The screens, with axe loaded on their page, and the page's own scripts only with the parameter True."""
    looker = Looker(running, shown)
    looker.page.add_init_script(AXE)
    if not request.param:
        looker.page.route("**/*.js", lambda script: script.abort())
    yield looker
    looker.page.context.close()


def judged(page, looks):
    """What is wrong with a page, by its look."""
    found = {}
    for width, scheme, rules in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found[width, scheme, "axe"] = page.evaluate(JUDGE, rules)
        found[width, scheme, "layout"] = page.evaluate(LAYOUT)
    return {look: errors for look, errors in found.items() if errors}


@every_screen
def test_a_screen_is_accessible(looker, screen, language):
    assert judged(looker.at(screen, language), LOOKS if PROOFS else SHORTENED[language]) == {}


@some_screens
@pytest.mark.parametrize("looker", [False], ids=["without scripts"], indirect=True)
def test_a_screen_is_accessible_without_scripts(looker, screen, language):
    page = looker.at(screen, language)
    assert judged(page, [(WIDE, "light", ALL), (NARROW, "light", ALL)]) == {}
    assert page.locator("[data-copy]:visible, [data-print]:visible").count() == 0, "a button that does nothing"


@some_screens
def test_a_screen_is_whole_on_paper(looker, screen, language):
    page = looker.at(screen, language)
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.emulate_media(media="print", color_scheme="light")
    found = [one for one in page.evaluate(LAYOUT) if not re.match(r"\d+ by \d+: |.* is under ", one)]
    filled_in = [
        one.get_attribute("name") for one in page.locator(":is(input, select, textarea, button):visible").all()
    ]
    page.emulate_media(media="screen")
    assert (found, filled_in) == ([], []), "nobody fills in paper"


@some_screens
def test_tab_leads_to_everything_on_a_screen_and_its_focus_is_seen(looker, screen, language):
    page = looker.at(screen, language)
    page.set_viewport_size({"width": WIDE, "height": 800})
    first, unseen = page.locator(".skip"), []
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
    if first.count():
        first.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")  # after a click, the focus is seen only once a key was pressed
    else:
        page.keyboard.press("Tab")
    for _ in range(MOST):
        place = page.evaluate(LOOK)
        if not place or page.evaluate(REACHED):
            break
        unseen += [] if place["seen"] else [place["place"]]
        page.keyboard.press("Tab")
    assert (unseen, page.evaluate(TO_BE_REACHED)) == ([], [])
