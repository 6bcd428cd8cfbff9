"""Templates for documents, as text and as pages, in the reader's language.

A page is complete in one file: it loads nothing, and is readable on paper and without colours.
"""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from refunds.presentation.language import catalogue, language
from refunds.presentation.texts import dates
from refunds.presentation.texts.decisions import (
    channel_text,
    day_text,
    headline,
    left_text,
    notice_text,
    reason_text,
    verdict,
    why_text,
)
from refunds.presentation.texts.events import cause_text, event_text

_STYLE = (files("refunds") / "presentation/documents/templates/sheet.css").read_text(encoding="utf-8")

STYLE_SOURCE = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
"""The source expression for the style of the pages in a content security policy."""


def install(templates: Environment) -> None:
    """Let templates translate into the reader's language with `_()` and `ngettext()`, and use the text functions."""
    templates.add_extension("jinja2.ext.i18n")
    templates.install_gettext_callables(  # type: ignore[attr-defined] # a method of the extension
        lambda text: catalogue().gettext(text),
        lambda one, many, number: catalogue().ngettext(one, many, number),
        newstyle=True,
    )
    templates.globals |= {text.__name__: text for text in _TEXTS}


_TEXTS = (
    cause_text,
    channel_text,
    dates.clock_text,
    dates.data_changed_text,
    dates.date_text,
    dates.day_and_month_text,
    day_text,
    event_text,
    headline,
    dates.instant_text,
    language,
    left_text,
    dates.moment_text,
    dates.month_text,
    notice_text,
    dates.number_text,
    reason_text,
    dates.region_text,
    dates.short_date_text,
    verdict,
    dates.weekday_text,
    why_text,
    dates.zone_text,
)

_templates = Environment(
    loader=PackageLoader("refunds", "presentation/documents/templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
install(_templates)


def written(template: str, **values: Any) -> str:
    """A document, made from its template and values."""
    return _templates.get_template(template).render(style=_STYLE, **values)
