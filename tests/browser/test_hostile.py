"""Hostile text in every field that takes text: every screen shows it as plain text."""

import pytest

from tests import scaled
from tests.browser.people import Watch
from tests.browser.screens import SCREENS, Looker
from tests.browser.story import scene

WITH_HOSTILE_TEXT = {"customer", "request", "revoked", "history", "confirmation", "done", "policy", "evidence"}
"""Screens on which such a text is visible."""
SHOWN = [
    screen
    for number, screen in enumerate(screen for screen in SCREENS if not screen.name.endswith("-failed"))
    if screen.name in WITH_HOSTILE_TEXT or number % scaled(3, 1) == 0
]

pytestmark = pytest.mark.proof


@pytest.fixture(scope="module")
def looker(running):
    """The screens with hostile text, and the watch on their browser."""
    with scene(hostile=True) as shown:
        looker = Looker(running, shown)
        watch = Watch(looker.page.context, shown.url)
        yield looker, watch
        looker.page.context.close()
        watch.require_calm()


@pytest.mark.parametrize("screen", SHOWN, ids=[screen.name for screen in SHOWN])
def test_hostile_text_is_shown_as_plain_text(looker, screen):
    looker, watch = looker
    page = looker.at(screen, "en")
    assert page.locator("body :is(script, img, [onerror]), body b:has-text('bold')").count() == 0
    text = page.locator("body").inner_text()
    assert "</script>49" not in text
    assert "<img src=x onerror=alert(2)>" in text or screen.name not in WITH_HOSTILE_TEXT
    watch.require_calm()
