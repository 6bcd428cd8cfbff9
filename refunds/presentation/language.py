"""The reader's language, bound once a request or command: every text, date and number is shown in it.

Texts are in English in the code; the catalogue in `translations/` has them in the other languages (gettext).
"""

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from refunds import errors
from refunds.errors import Message

LANGUAGES = errors.LANGUAGES  # the languages of the service; the first is the default

_bound = ContextVar("language", default=LANGUAGES[0])


def language() -> str:
    """The reader's language, as its two-letter code."""
    return _bound.get()


def bind(name: str) -> None:
    """Show everything in a language from now on, in this thread; `name` is one of `LANGUAGES`."""
    _bound.set(name)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Show everything in a language, one of `LANGUAGES`, until the end of the block; then in the one before."""
    before = _bound.set(name)
    try:
        yield
    finally:
        _bound.reset(before)


def each_language() -> Iterator[str]:
    """The languages, sorted by code, each bound while it is the current one of the loop."""
    for name in sorted(LANGUAGES):
        with speaking(name):
            yield name


def translate(text: str, /, **values: object) -> str:
    """A text in the reader's language, filled with its values; those that are a `Message` are translated as well.

    A `Message` brings values of its own; those given here take precedence. A text that the catalogue does not have
    stays in English. Raises `KeyError` if a value is missing, unless there are no values at all.
    """
    if isinstance(text, Message):
        values = text.values | values
        text = text.template
    found = catalogue().gettext(text)
    if not values:
        return found
    return found % {name: translate(value) if isinstance(value, Message) else value for name, value in values.items()}


def translate_number(one: str, many: str, number: int) -> str:
    """The text for a number in the reader's language: `one` for 1, else `many`, each with the number as `%(num)s`."""
    return catalogue().ngettext(one, many, number) % {"num": number}


def catalogue() -> gettext.NullTranslations:
    """The texts in the reader's language, by the text in English."""
    return _catalogue(language())


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == LANGUAGES[0]:
        return gettext.NullTranslations()
    return gettext.translation("messages", str(files("refunds") / "presentation/translations"), [name])
