"""Templates for documents, as text and as pages, in German and English.

A page is complete in one file: it loads nothing, and is readable on paper and without colours. Templates have both
languages side by side: `t("in English", "auf Deutsch")`.
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

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

_STYLE = (files("refunds") / "presentation/documents/templates/sheet.css").read_text(encoding="utf-8")

STYLE_SOURCE = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
"""The source expression for the style of the pages in a content security policy."""

_templates = Environment(
    loader=PackageLoader("refunds", "presentation/documents/templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def written(template: str, language: str, **values: Any) -> str:
    """A document, rendered from its template."""

    def t(english: str, german: str) -> str:
        return german if language == "de" else english

    return _templates.get_template(template).render(language=language, style=_STYLE, t=t, **telling(language), **values)


def telling(language: str) -> dict[str, Callable[..., str]]:
    """The text functions for templates, by name, bound to a language."""

    def in_language(tell: Callable[..., str]) -> Callable[..., str]:
        return lambda *values, **options: tell(*values, language, **options)

    return {tell.__name__: in_language(tell) for tell in _TELLING}


_TELLING = (
    channel_text,
    dates.clock_text,
    dates.date_text,
    dates.day_and_month_text,
    day_text,
    headline,
    dates.instant_text,
    left_text,
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
