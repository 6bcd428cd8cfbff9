"""Every page of the console that shows a time, or takes one, names the time zone once."""

import re

import pytest

from tests.browser.screens import SCREENS
from tests.browser.story import scene
from tests.console.test_hostile import DOCUMENTS
from tests.console.test_languages import looked_at

TIME = re.compile(r"(?<!:)\d\d:\d\d(?![:\d])")
ZONE = re.compile(r"\bBerlin time\b|\bUTC\b")
TYPED = {"received_at", "sent_at", "given_at", "since", "until"}
SHOWN = [screen for screen in SCREENS if screen.name not in DOCUMENTS | {"check-failed", "draft-shown", "draft-failed"}]
"""Documents name it with each time: any of these may count. A draft is shown as it was typed."""


@pytest.fixture(scope="module")
def shown():
    """The data for the screens."""
    with scene() as data:
        yield data


@pytest.mark.parametrize("screen", SHOWN, ids=lambda screen: screen.name)
def test_a_page_with_times_names_their_zone_once(shown, screen):
    page = looked_at(shown, screen, "en")
    own = page.text
    quoted = [one.text for one in page.root.every("section", class_="words")]
    quoted += [one.text for one in page.root.every("p", class_="spoken")]
    fact = "Time zone Berlin time"
    for text in [*quoted, fact, fact.replace(" B", "B")]:
        own = own.replace(text, "", 1)
    takes = TYPED & {one["name"] for one in page.root.every("input") if "name" in one}
    own = own.replace("\xa0", " ")
    assert len(ZONE.findall(own)) == bool(takes or TIME.search(own)), ZONE.findall(own)
