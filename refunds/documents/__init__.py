"""Documents: what is kept or printed, as data, as text and as pages, in German and English.

A page is whole in one file: it asks for nothing from anywhere, reads well on paper and without colours. Both languages
stand side by side in the templates: `t("in English", "auf Deutsch")`.
"""

from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from refunds import wording

_STYLE = (files("refunds") / "documents/templates/sheet.css").read_text(encoding="utf-8")

STYLE_SOURCE = f"'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
"""What a content security policy calls the style of the pages."""

_templates = Environment(
    loader=PackageLoader("refunds", "documents/templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def written(template: str, language: str, **values: Any) -> str:
    """A document, from its template."""

    def t(english: str, german: str) -> str:
        return german if language == "de" else english

    return _templates.get_template(template).render(language=language, style=_STYLE, t=t, **telling(language), **values)


def telling(language: str) -> dict[str, Callable[..., str]]:
    """What templates say things by, in a language."""

    def in_language(tell: Callable[..., str]) -> Callable[..., str]:
        return lambda *values, **options: tell(*values, language, **options)

    return {tell.__name__: in_language(tell) for tell in _TELLING}


_TELLING = (
    wording.channel_text,
    wording.clock_text,
    wording.date_text,
    wording.day_and_month_text,
    wording.day_text,
    wording.headline,
    wording.instant_text,
    wording.left_text,
    wording.month_text,
    wording.notice_text,
    wording.number_text,
    wording.reason_text,
    wording.region_text,
    wording.short_date_text,
    wording.verdict,
    wording.weekday_text,
    wording.why_text,
    wording.zone_text,
)
