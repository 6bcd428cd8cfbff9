"""What declarations of the API bring with them: a field its example, an operation its transaction."""

import re
from contextlib import nullcontext
from datetime import UTC, date, datetime

import pytest
from marshmallow import ValidationError

from refunds.domain.permissions import Scope
from refunds.domain.records import Closure
from refunds.errors import InvalidInput
from refunds.presentation.serializers import attributes
from refunds.schemas.fields import Text
from refunds.web.endpoint import Answer, Tag, Transaction, answer, created, parameters, problems, takes
from refunds.web.schemas import shown
from refunds.web.schemas.contacts import CompletionRequestSchema


class PartSchema(shown.Schema):
    """A part."""

    why = shown.StringOrNull("Why.", "wrong number")
    at = shown.InstantOrNull("When; null: never.")


class WholeSchema(shown.Schema):
    """A whole."""

    done = shown.Boolean("Whether it is done.")
    name = shown.String("Its name.", "first")
    part = shown.Nested(PartSchema)
    parts = shown.ListOf(PartSchema)
    hint = shown.String("More.", required=False)


class LackingSchema(shown.Schema):
    """It has a field of which nobody knows an example."""

    name = shown.String("Its name.")


def test_an_example_is_made_of_those_of_its_fields():
    whole = {"done": False, "name": "first", "part": {"why": "wrong number", "at": None}, "parts": []}
    assert WholeSchema.example() == whole
    assert list(WholeSchema.example("part", "name")) == ["part", "name", "done", "parts"]
    assert WholeSchema.example(hint=None, done=True) == whole | {"done": True, "hint": None}


def test_a_required_field_must_have_an_example_before_the_answer_has_one():
    with pytest.raises(KeyError):
        LackingSchema.example()
    assert LackingSchema.example(name="second") == {"name": "second"}


def test_the_description_of_a_field_is_a_sentence():
    assert Text(3, "Yes or no.", pattern="yes|no").metadata == {"description": "Yes or no."}


@pytest.mark.parametrize(("text", "fits"), [("yes", True), ("no", True), ("yesterday", False), ("piano", False)])
def test_the_pattern_in_the_document_is_that_of_the_whole_text(text, fits):
    field = Text(9, pattern="yes|no")
    assert bool(re.search(field.json_schema["pattern"], text)) is fits
    with nullcontext() if fits else pytest.raises(ValidationError):
        field.deserialize(text)
    with pytest.raises(AssertionError):
        Text(3, "yes|no")


@pytest.mark.parametrize(
    ("method", "transaction"),
    [
        ("GET", Transaction.READ),
        ("POST", Transaction.IDEMPOTENT),
        *((method, Transaction.WRITE) for method in ("PUT", "PATCH", "DELETE")),
    ],
)
def test_an_operation_works_in_the_usual_transaction_of_its_method(method, transaction):
    tag = Tag("Things", "What there is.")

    @tag.operation(f"{method} /v1/things", scopes=())
    @answer("It is done.", PartSchema)
    def change(uow):
        """Change a thing"""

    @tag.operation(f"{method} /v1/others", scopes=(), transaction=Transaction.READ)
    @answer("It is done.", PartSchema)
    def look(uow):
        """Look at a thing"""

    @tag.operation(f"{method} /v1/none", scopes=())
    @answer("It is done.", PartSchema)
    def count(body):
        """Count things"""

    assert [(one.method, one.rule, one.transaction) for one in tag.operations] == [
        (method, "/v1/things", transaction),
        (method, "/v1/others", Transaction.READ),
        (method, "/v1/none", None),
    ]


def test_an_operation_is_what_the_decorators_of_its_view_declare():
    tag = Tag("Things", "What there is.")

    @tag.operation("PUT /v1/things", Scope.ORDERS_WRITE)
    @answer("It was done before.", PartSchema)
    @created("It is done.", WholeSchema)
    @takes(CompletionRequestSchema, {"one": {"value": {}}})
    @problems("not-found")
    @problems("customer-erased")
    def do(body):
        """Do a thing"""

    (one,) = tag.operations
    assert one.answers == (Answer("It was done before.", PartSchema), Answer("It is done.", WholeSchema, status=201))
    assert (one.scopes, one.body, one.body_examples, one.problems) == (
        (Scope.ORDERS_WRITE,),
        CompletionRequestSchema,
        {"one": {"value": {}}},
        ("not-found", "customer-erased"),
    )


def test_what_only_one_operation_takes_is_declared_beside_its_view():
    tag = Tag("Things", "What there is.")

    @tag.operation("POST /v1/things", Scope.ORDERS_WRITE)
    @answer("It is done.", PartSchema)
    @parameters(hint=Text(3))
    @takes("ThingRequest", {"one": {"value": {}}}, name=Text(3, required=True), note=Text(9))
    def do(uow, body, query):
        """Do a thing"""

    (one,) = tag.operations
    assert one.query().read({"hint": "yes"}) == {"hint": "yes"}
    assert one.body.__name__ == "ThingRequestSchema"
    assert one.body().read({"name": "one", "note": None}) == {"name": "one"}
    with pytest.raises(InvalidInput):
        one.body().read({"note": "more"})
    with pytest.raises(InvalidInput):
        one.query().read({"hint": "yes", "name": "one"})


def test_an_operation_without_scopes_or_responses_is_not_declared():
    tag = Tag("Things", "What there is.")
    with pytest.raises(TypeError):
        tag.operation("GET /v1/things")
    with pytest.raises(TypeError):
        tag.operation("GET /v1/things", scopes=())(lambda: None)
    assert tag.operations == []


def test_attributes_are_named_as_they_are_or_otherwise_with_dates_and_instants_as_texts():
    entered_at = datetime(2026, 7, 1, 7, 12, tzinfo=UTC)
    closure = Closure(closure_id="p/1", policy="p", date=date(2026, 7, 10), entered_at=entered_at, entered_by="usr_1")
    shown_of_it = attributes(closure, "date", "reason_de", since="entered_at", by="entered_by")
    assert list(shown_of_it.items()) == [
        ("date", "2026-07-10"),
        ("reason_de", None),
        ("since", "2026-07-01T07:12:00Z"),
        ("by", "usr_1"),
    ]
