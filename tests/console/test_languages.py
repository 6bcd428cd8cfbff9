"""German and English: every screen is entirely in one of them, and the catalogue is complete."""

import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from tests.browser.screens import SCREENS
from tests.browser.story import scene
from tests.conftest import ROOT
from tests.console.conftest import signed_in, user_of
from tests.console.pages import Browser

CATALOGUES = ROOT / "refunds/presentation/translations"
GERMAN = CATALOGUES / "de/LC_MESSAGES"
AN_ID = re.compile(r"\b[a-z]{3}_[0-9A-HJKMNP-TV-Z]{26}\b")
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[sd]|\{\w*\}")


@pytest.fixture(scope="module")
def shown():
    """The data for the screens."""
    with scene() as data:
        yield data


@pytest.fixture(scope="module")
def catalogue():
    """The German catalogue."""
    with (GERMAN / "messages.po").open("rb") as file:
        return read_po(file, locale="de")


def looked_at(shown, screen, language):
    """A screen as its user sees it in this language."""
    if screen.user is None:
        return Browser(shown.app, language).get(screen.path(shown))
    return signed_in(shown.app, user_of(shown.app, screen.user), language).get(screen.path(shown))


def texts_in(element, language):
    """Every piece of text on a page that is in its language, including attributes that screen readers read."""
    yield from (element[name] for name in ("aria-label", "title", "placeholder", "alt") if name in element)
    for child in element.children:
        if isinstance(child, str):
            yield " ".join(child.split())
        elif (
            child.tag not in {"script", "style", "code", "textarea"}
            and child.attributes.get("lang", language) == language
        ):
            yield from texts_in(child, language)


def forms_of(message):
    """A message, and its plural, as they appear on a page: a text, or a pattern if values are put into it."""
    for text in message if isinstance(message, tuple | list) else [message]:
        parts = PLACEHOLDER.split(text)[:: PLACEHOLDER.groups + 1]
        if sum(map(len, parts)) > 3:
            yield re.compile(r".+".join(map(re.escape, parts))) if len(parts) > 1 else text


@pytest.fixture(scope="module")
def translated(catalogue):
    """The forms of each message that its translation changes, in English and in German."""
    changed = [message for message in catalogue if message.id and message.id != message.string]
    return [(list(forms_of(message.id)), list(forms_of(message.string))) for message in changed]


def among(texts, form):
    """Those of some texts that have this form."""
    return texts & {form} if isinstance(form, str) else set(filter(form.fullmatch, texts))


OF_THE_OTHER = {
    "de": re.compile(r"\b(?:the|and|of|is|with|for|received|entered|business|refundable)\b", re.IGNORECASE),
    "en": re.compile(r"\b(?:der|die|das|und|nicht|ist|wurde|mit|für|noch|Werktage?|stornierbar)\b", re.IGNORECASE),
}
"""Words that only occur in the other language."""

DATA = {
    "Wants to keep the old number after all?",
    "The number that ends in 77, ordered on Tuesday",
    "Asked until when.",
    "Another order was meant.",
    "Our line was down all afternoon.",
    "Entered in error, Another order was meant.",
    "Isle of Man",
}
"""Texts that users wrote, in any language, and a name that is the same in each."""


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
@pytest.mark.parametrize("language", ["de", "en"])
def test_a_screen_is_entirely_in_one_language(shown, translated, screen, language):
    page = looked_at(shown, screen, language)
    wrong = {"not-there": 404, "journal-failed": 422, "customer-narrowed-failed": 422, "cancellations-wrong": 422}
    assert page.status == (401 if screen.user is None else wrong.get(screen.name, 200))
    assert page.lang == language
    texts = set(texts_in(page.html, language)) - {""}
    for english, german in translated:
        foreign, own = (english, german) if language == "de" else (german, english)
        for form in foreign:
            assert not among(texts, form).difference(*(among(texts, one) for one in own)), form
    data = sorted(DATA, key=len, reverse=True)
    for text in texts:
        rest = text
        for written in data:
            rest = rest.replace(written, "")
        assert not OF_THE_OTHER[language].search(rest), text


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """All texts, extracted as `make translations` does."""
    found = tmp_path_factory.mktemp("translations") / "messages.pot"
    marks = re.search(r"^MARKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    options = ["-q", "extract", "-F", "presentation/translations/babel.cfg", *marks, "--no-location", "-o", str(found)]
    command = [Path(sys.executable).with_name("pybabel"), *options, "."]
    done = subprocess.run(command, cwd=ROOT / "refunds", check=True, capture_output=True, text=True)
    assert not done.stderr
    with found.open("rb") as file:
        return read_po(file)


def test_the_catalogue_has_exactly_the_texts_of_the_product(extracted, catalogue):
    """After a change of a message: run `make translations` and translate the new ones."""
    wanted, there = ({message.id for message in one if message.id} for one in (extracted, catalogue))
    assert wanted - there == set(), "not in the catalogue"
    assert there - wanted == set(), "no longer in the code"
    assert not catalogue.obsolete
    assert len(wanted) > 500


def test_every_message_is_translated_and_none_is_fuzzy(catalogue):
    for message in catalogue:
        if not message.id:
            continue
        strings = message.string if message.pluralizable else [message.string]
        assert all(strings), f"not translated: {message.id}"
        assert not message.fuzzy, f"fuzzy: {message.id}"
        assert len(strings) == (2 if message.pluralizable else 1)


def test_a_translation_has_the_same_placeholders(catalogue):
    for message in catalogue:
        ids, strings = ([one] if isinstance(one, str) else one for one in (message.id, message.string))
        for source, translated in zip(ids, strings, strict=True):
            assert sorted(PLACEHOLDER.findall(source)) == sorted(PLACEHOLDER.findall(translated)), source
            assert source.count("%") == translated.count("%"), source


def test_the_compiled_catalogue_is_up_to_date(catalogue):
    """After a change of the catalogue: run `make translations`."""
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    with (GERMAN / "messages.mo").open("rb") as file:
        stored, fresh = ({str(one.id): one.string for one in read_mo(each) if one.id} for each in (file, compiled))
    assert stored == fresh


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_agents_page_names_only_what_is_on_screen(catalogue, language):
    english, german = (ROOT / "docs/agents.md").read_text().split("\n## ", 1)
    named = re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", german if language == "de" else english)
    texts = [message.string if language == "de" else message.id for message in catalogue if message.id]
    known = {form for text in texts for form in ([text] if isinstance(text, str) else text)}
    shown = {" ".join(one.split()).replace("…", "%(address)s") for one in named}
    assert len(shown) > 15
    assert {one for one in shown if not any(form == one or form.endswith(f"? {one}") for form in known)} == set()


def test_no_screen_of_an_agent_or_a_supervisor_shows_an_id(shown):
    """The evidence names users by their ids, for which alone the journal vouches."""
    screens = [one for one in SCREENS if one.user in {"anna", "samuel"} and not one.name.startswith("evidence")]
    assert len(screens) > 50
    found = {one.name: set(AN_ID.findall(looked_at(shown, one, "en").text)) for one in screens}
    assert {name: ids for name, ids in found.items() if ids} == {}
