"""Every screen is accessible, in both languages, both colour schemes and on a narrow page."""

import pytest

from tests import PROOFS
from tests.browser.screens import SCREENS, Looker
from tests.browser.story import scene
from tests.conftest import ROOT

AXE = (ROOT / "tools/node_modules/axe-core/axe.min.js").read_text()
LAYOUT = (ROOT / "tests/browser/layout.js").read_text()
JUDGE = """async options => (await axe.run({...options, resultTypes: ["violations"]})).violations.flatMap(
    ({id, nodes}) => nodes.map(node => `${id}: ${node.target} ${node.failureSummary}`))"""
ALL, SIZES = {"rules": {"target-size": {"enabled": True}}}, {"runOnly": ["target-size"]}

WIDE, HALF, NARROW = 1180, 590, 320
"""The second is the first at 200 %; the last one at 400 %."""

LOOKS = ((WIDE, "dark", ALL), (HALF, "dark", SIZES), (NARROW, "light", ALL))
SHORTENED = {"en": LOOKS[:1], "de": LOOKS[1:]}
"""With `make test`, each language has some of the looks; the narrow ones are in German, whose words are longer."""


@pytest.fixture(scope="module")
def looker(running):
    """The screens, with axe loaded on their page."""
    with scene() as shown:
        looker = Looker(running, shown)
        looker.page.add_init_script(AXE)
        yield looker
        looker.page.context.close()


@pytest.mark.proof
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("screen", SCREENS, ids=[screen.name for screen in SCREENS])
def test_a_screen_is_accessible(looker, screen, language):
    page = looker.at(screen, language)
    found = {}
    for width, scheme, rules in LOOKS if PROOFS else SHORTENED[language]:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found[width, scheme, "axe"] = page.evaluate(JUDGE, rules)
        found[width, scheme, "layout"] = page.evaluate(LAYOUT)
    assert {look: errors for look, errors in found.items() if errors} == {}
