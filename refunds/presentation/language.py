"""The reader's language, bound once a request or command: every text, date and number is shown in it.

Texts are in English in the code; the catalogue in `translations/` has them in the other languages (gettext).
"""

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from jinja2 import Environment

from refunds.errors import Message

LANGUAGES = ("en", "de")
"""The languages of the service; the first is the default."""

_bound = ContextVar("language", default=LANGUAGES[0])


def language() -> str:
    """The reader's language."""
    return _bound.get()


def bind(name: str) -> None:
    """Show everything in a language from now on, in this thread."""
    _bound.set(name)


@contextmanager
def speaking(name: str) -> Iterator[None]:
    """Show everything in a language until the end of the block."""
    before = _bound.set(name)
    try:
        yield
    finally:
        _bound.reset(before)


def translate(text: str, /, **values: object) -> str:
    """A text in the reader's language with its values, of which those that are a `Message` are translated as well."""
    if isinstance(text, Message):
        text, values = text.template, text.values | values
    found = _catalogue(language()).gettext(text)
    if not values:
        return found
    return found % {name: translate(value) if isinstance(value, Message) else value for name, value in values.items()}


def translate_number(one: str, many: str, number: int) -> str:
    """The text for a number, which is `num` in both forms: `one` for 1, else `many`."""
    return _catalogue(language()).ngettext(one, many, number) % {"num": number}


def install(templates: Environment) -> None:
    """Let templates translate with `_()` and `ngettext()`, and know the reader's language."""
    templates.add_extension("jinja2.ext.i18n")
    templates.install_gettext_callables(  # type: ignore[attr-defined] # a method of the extension
        lambda text: _catalogue(language()).gettext(text),
        lambda one, many, number: _catalogue(language()).ngettext(one, many, number),
        newstyle=True,
    )


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    if name == LANGUAGES[0]:
        return gettext.NullTranslations()
    return gettext.translation("messages", str(files("refunds") / "presentation/translations"), [name])
