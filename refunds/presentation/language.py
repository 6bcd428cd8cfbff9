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
    """Return the reader's language, as its two-letter code; the first of `LANGUAGES` if none is bound."""
    return _bound.get()


def bind(name: str) -> None:
    """Show everything in a language from now on, in this thread; `name` is one of `LANGUAGES`."""
    _bound.set(name)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Show everything in a language, one of `LANGUAGES`, within the block; after it, in the language bound before."""
    before = _bound.set(name)
    try:
        yield
    finally:
        _bound.reset(before)


def each_language() -> Iterator[str]:
    """Yield each language of `LANGUAGES`, sorted by code; until the loop goes on, it is the reader's language."""
    for name in sorted(LANGUAGES):
        with speaking(name):
            yield name


def translate(text: str, /, **values: object) -> str:
    """Return a text in the reader's language, filled with its values; values that are a `Message` are translated, too.

    If the text is a `Message`, its own values are used as well; `values` take precedence. A text that the catalogue
    lacks stays in English. Raise `KeyError` if a value is missing, unless there are no values at all.
    """
    if isinstance(text, Message):
        values = text.values | values
        text = text.template
    found = catalogue().gettext(text)
    if not values:
        return found
    return found % {name: translate(value) if isinstance(value, Message) else value for name, value in values.items()}


def translate_number(one: str, many: str, number: int) -> str:
    """Return `one` if the number is 1, else `many`, in the reader's language, with the number in place of `%(num)s`."""
    return catalogue().ngettext(one, many, number) % {"num": number}


def catalogue() -> gettext.NullTranslations:
    """Return the gettext catalogue of the reader's language, which finds texts by the text in English."""
    return _catalogue(language())


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    """Return the catalogue of a language; for English, texts stay as they are."""
    if name == LANGUAGES[0]:
        return gettext.NullTranslations()
    return gettext.translation("messages", str(files("refunds") / "presentation/translations"), [name])
