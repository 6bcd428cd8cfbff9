"""Every text that a caller may read is one template with named values, so that a catalogue can have it."""

import ast
import re

from refunds.domain.journal import EventType
from refunds.domain.records import PromiseCause
from refunds.presentation.texts.events import cause_text, event_text
from refunds.web.problem_types import PROBLEMS
from tests.conftest import ROOT

PACKAGE = ROOT / "refunds"


def calls(name, *rooms):
    """Each call of a name in the package, or in some of its rooms, and its place."""
    for path in (path for room in rooms or [""] for path in sorted((PACKAGE / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and name in (getattr(node.func, part, None) for part in ("id", "attr")):
                yield f"{path}:{node.lineno}", node


def test_every_message_is_a_template_as_it_stands_with_exactly_its_values():
    for place, call in calls("Message"):
        (template,) = call.args
        if "/errors.py:" in place and not isinstance(template, ast.Constant):
            continue  # the summary of other messages
        assert isinstance(template, ast.Constant), place
        wanted = set(re.findall(r"%\((\w+)\)s", template.value))
        named = {keyword.arg for keyword in call.keywords}
        filled_later = not named or (None in named and named - {None} < wanted)
        assert named == wanted or filled_later, place
        assert not named or template.value.count("%") == len(re.findall(r"%\(\w+\)s", template.value)), place


def test_every_text_of_a_problem_is_as_it_stands_without_values():
    found = list(calls("explained", "web"))
    assert len(found) == len(PROBLEMS)
    for place, call in found:
        assert all(isinstance(text, ast.Constant) and "%(" not in text.value for text in call.args), place


def test_two_texts_that_belong_together_are_as_they_stand():
    for place, call in calls("message_pair"):
        assert [type(text) for text in call.args] == [ast.Constant, ast.Constant], place


def test_what_does_not_fit_carries_a_message():
    assert not [place for place, _ in calls("ValueError", "domain", "schemas", "security")]
    assert {place.rpartition("/")[2].partition(":")[0] for place, _ in calls("ValidationError", "schemas", "web")} == {
        "strict.py"
    }


def test_every_event_has_words():
    assert [event for event in EventType if event_text(event) == event] == []


def test_each_cause_of_a_promise_has_its_words():
    assert len({cause_text(cause) for cause in PromiseCause}) == len(PromiseCause)
