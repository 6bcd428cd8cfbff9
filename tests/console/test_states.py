"""Every state that an order can be in: the colour, icon, word and heading of its answer, in both languages."""

import pytest

from tests.browser.screens import SCREENS
from tests.browser.states import STATES
from tests.browser.story import scene
from tests.console.test_languages import looked_at


@pytest.fixture(scope="module")
def shown():
    """The data for the screens."""
    with scene() as data:
        yield data


@pytest.mark.parametrize("number", [0, 1], ids=["en", "de"])
@pytest.mark.parametrize("state", STATES)
def test_the_answer_of_a_state_looks_as_it_should(shown, state, number):
    expected = STATES[state]
    page = looked_at(shown, next(one for one in SCREENS if one.name == expected.screen), ("en", "de")[number])
    verdict = next(page.main.every("div", class_="verdict"))
    assert set(verdict["class"].split()) - {"verdict", "slim"} == {expected.colour}
    assert next(verdict.every("path"))["d"].startswith(expected.icon)
    assert page.h1.startswith(expected.headings[number])
    assert page.title.startswith(expected.words[number])
    assert expected.order is None or expected.order in page.title
    words = page.main.one("section", class_="words", lang=("en", "de")[number]).text.replace("\xa0", " ")
    assert expected.says[number] in words
    assert ("To say", "Am Telefon")[number] in page.headings
    assert any(one["href"].startswith("mailto:") for one in page.main.every("a"))
