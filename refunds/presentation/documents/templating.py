"""Templates for documents, as text and as pages, in the reader's language.

A page is complete in one file: it loads nothing, and is readable on paper and without colours.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_eval_context, select_autoescape
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from refunds.domain.holidays_data import is_provisional
from refunds.errors import Message
from refunds.presentation.language import catalogue, translate
from refunds.presentation.texts import dates, decisions, events
from refunds.security.encryption import Erased, Hidden

_STYLE = (files("refunds") / "presentation/documents/templates/sheet.css").read_text(encoding="utf-8")

STYLE_SOURCE = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
"""The source expression for the style of the pages in a content security policy."""


def install(templates: Environment) -> None:
    """Let templates translate into the reader's language with `_()` and `ngettext()`, and use the text functions.

    Templates then write a value that the reader cannot see as `[erased]` or `[restricted]`, translated.
    """
    templates.add_extension("jinja2.ext.i18n")
    templates.install_gettext_callables(  # type: ignore[attr-defined] # a method of the extension
        _whole(lambda text: catalogue().gettext(text), _BEFORE_UNIT),
        _plural,
        newstyle=True,
    )
    templates.finalize = lambda value: translate(_UNREAD[type(value)]) if type(value) in _UNREAD else value
    templates.globals |= {name: _whole(text) for name, text in _TEXTS.items()}
    templates.globals |= {"unbroken": unbroken, "is_provisional": is_provisional}


_UNREAD: dict[type, Message] = {Erased: Message("[erased]"), Hidden: Message("[restricted]")}

_BEFORE_UNIT = re.compile(
    r"(?<=\d) (?=(?:business |calendar )?(?:day|hour|minute|week|month|year)s?\b|Uhr\b)"
    r"|(?<=\d) (?=(?:Werkt|Kalendert|T)age?n?\b|Stunden?\b|Minuten?\b|Wochen?\b|(?:Monat|Jahr)e?n?\b)"
)
"""The spaces between a number and its unit."""

_INSIDE = re.compile(
    r"(?<=[\d.]) (?=[^\W\d_]+\.? \d{4}\b)|(?<=[^\W\d_]) (?=\d{4}\b)|(?<=[^\W\d_]\.) (?=\d{4}\b)"
    rf"|{_BEFORE_UNIT.pattern}|(?<=Ortszeit) | (?=time\b)|(?<=\d) (?=[A-Z][a-z]{2}$)|(?<=\d\.) (?=[A-Z][^\W\d_]+\.?$)"
)
"""The spaces inside dates, times and names of zones, and between a number and its unit."""


@pass_eval_context
def _plural(context: EvalContext, one: str, many: str, number: int) -> str:
    """Return the form for a number in the reader's language, with `%(num)s` not filled in.

    On a page, a space after `%(num)s` becomes a no-break space.
    """
    text = catalogue().ngettext(one, many, number)
    return text.replace("%(num)s ", "%(num)s\u00a0") if context.autoescape else text


def _whole(text_of: Callable[..., str], spaces: re.Pattern[str] = _INSIDE) -> Callable[..., str]:
    """Return `text_of` for templates: in HTML, not in plain text, the `spaces` in its text become no-break spaces."""

    @pass_eval_context
    def shown(context: EvalContext, *values: Any, **named: Any) -> str:
        text = text_of(*values, **named)
        return spaces.sub("\u00a0", text) if context.autoescape else text

    return shown


def unbroken(value: Any) -> Any:
    """Return a text as HTML in which no line ends inside a date or a number such as A-1001.

    Nor does a line end inside a length of time with which the text begins, such as "2 days". A value that is no text,
    or of a type in `_UNREAD`, which stands for a hidden text, is returned as it is.
    """
    if not isinstance(value, str) or type(value) in _UNREAD:
        return value
    return Markup(_NUMBER.sub(r'<span class="whole">\g<0></span>', _INSIDE.sub("\u00a0", escape(value))))  # noqa: S704


_NUMBER = re.compile(r"\b[A-Z]{1,4}-\d{2,12}\b|\b\d{3,4}(?:-\d{3,4})+\b|^\d+\u00a0(?:Tag|Monat|Jahr|day|month|year)\w*")


_TEXTS: dict[str, Callable[..., str]] = {
    name: text
    for module in (dates, decisions, events)
    for name, text in vars(module).items()
    if name.endswith("_text") or name in {"headline", "language"}
}

_templates = Environment(
    loader=PackageLoader("refunds", "presentation/documents/templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
install(_templates)


def render_document(template: str, **values: Any) -> str:
    """Return a document in the reader's language, made from a template with these values."""
    return _templates.get_template(template).render(style=_STYLE, **values)
