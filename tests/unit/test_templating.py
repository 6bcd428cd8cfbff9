"""Texts on pages: what stays on one line, and what cannot be read."""

import pytest
from jinja2 import DictLoader, Environment

from refunds.presentation.documents.templating import install
from refunds.presentation.language import speaking
from refunds.security.encryption import ERASED, Hidden


def shown(value, language):
    """A value as a page shows it, with its lines unbroken."""
    templates = Environment(loader=DictLoader({"page.html": "{{ unbroken(value) }}"}), autoescape=True)
    install(templates)
    with speaking(language):
        return templates.get_template("page.html").render(value=value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Order A-1001 of 8 April 2026", 'Order <span class="whole">A-1001</span> of 8\u00a0April\u00a02026'),
        ("123-456-7890", '<span class="whole">123-456-7890</span>'),
        ("<b>A-1001</b>", '&lt;b&gt;<span class="whole">A-1001</span>&lt;/b&gt;'),
        (2026, "2026"),
    ],
)
def test_no_line_ends_inside_a_date_or_a_number(value, text):
    assert shown(value, "en") == text


def test_what_cannot_be_read_is_said_in_the_readers_language():
    assert [shown(ERASED, lang) for lang in ("en", "de")] == ["[erased]", "[gelöscht]"]
    assert shown(Hidden("[restricted]"), "de") == "[eingeschränkt]"
