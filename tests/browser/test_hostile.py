"""Texts that would be more than texts, wherever one may be written: no screen takes them for anything else."""

import pytest

from tests.browser.people import Watch
from tests.browser.screens import SCREENS, Looker
from tests.browser.story import scene

TOLD = [screen for screen in SCREENS if not screen.name.endswith("-failed")]
SHOWING = {"customer", "request", "revoked", "history", "confirmation", "done", "policy", "evidence"}
"""Where there is such a text to be seen."""


@pytest.fixture(scope="module")
def looker(running):
    """Someone who looks at the hostile story, and what he notices."""
    with scene(hostile=True) as shown:
        looker = Looker(running, shown)
        watch = Watch(looker.page.context, shown.url)
        yield looker, watch
        looker.page.context.close()
        watch.require_calm()


@pytest.mark.parametrize("screen", TOLD, ids=[screen.name for screen in TOLD])
def test_a_hostile_text_is_only_a_text(looker, screen):
    looker, watch = looker
    page = looker.at(screen, "en")
    assert page.locator("body :is(script, img, [onerror]), body b:has-text('bold')").count() == 0
    text = page.locator("body").inner_text()
    assert "</script>49" not in text
    assert "<img src=x onerror=alert(2)>" in text or screen.name not in SHOWING
    watch.require_calm()
