"""Fields of responses, and problems. They only describe, because responses are written by hand.

By default, a field is required.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import marshmallow as ma


class Schema(ma.Schema):
    """A schema of a response. Fields may be added to a response later."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Do nothing, so that a field stays as it is declared."""

    @classmethod
    def example(cls, *first: str, **other: Any) -> dict[str, Any]:
        """Return an example of the response, made from the examples of its fields, by their names in JSON.

        The fields in `first` come first; `other` has values that replace examples or supply missing ones. An optional
        field is left out if `other` lacks it and its example is missing or falsy. A required field without an example
        has null if it may be null, else the example of its schema, an empty list or object, or false; `KeyError` if it
        is of another kind, or if a name in `first` is not in the result.
        """
        declared = [(name, field) for name, field in cls._declared_fields.items() if name not in cls.opts.exclude]
        fields = {field.data_key or name: field for name, field in declared}
        shown = {
            name: other[name] if name in other else _example_of(field)
            for name, field in fields.items()
            if name in other or field.required or field.metadata["sample"]
        }
        return {name: shown[name] for name in dict.fromkeys((*first, *shown))}


def _example_of(field: ma.fields.Field[Any]) -> Any:
    """Return the example of a field; without one, null if that is allowed, else a value of its kind.

    That is the example of its schema, an empty list or object, or false; `KeyError` for any other kind.
    """
    given = field.metadata["sample"]
    if given is not None or field.allow_none:
        return given
    if isinstance(field, ma.fields.Nested):
        return field.nested.example()  # type: ignore[union-attr] # it is a schema of an answer
    return {ma.fields.List: [], ma.fields.Dict: {}, ma.fields.Boolean: False}[type(field)]


_NONE: Mapping[str, type[ma.Schema]] = MappingProxyType({})
Field = ma.fields.Field[Any]


def _described(kind: type[Field], schema: dict[str, Any] | None = None) -> Callable[..., Field]:
    """Return a function that makes fields of a kind, required by default, from a description and an example.

    `schema` is added to the JSON Schema of each such field.
    """

    def make(description: str = "", example: Any = None, *, required: bool = True, **options: Any) -> Field:
        metadata = ({"description": description} if description else {}) | (schema or {})
        return kind(required=required, metadata=metadata | {"sample": example}, **options)

    return make


String = _described(ma.fields.String)
Integer = _described(ma.fields.Integer, {"format": "int32"})
Position = _described(ma.fields.Integer, {"format": "int64"})
Boolean = _described(ma.fields.Boolean)
Date = _described(ma.fields.Date)
Instant = _described(ma.fields.DateTime)
Dict = _described(ma.fields.Dict)


def Nested(schema: type[ma.Schema], description: str = "", example: Any = None, **options: Any) -> Field:  # noqa: N802
    """Return a field for an object with a schema of its own."""
    return _described(ma.fields.Nested)(description, example, nested=schema, **options)


def ListOf(  # noqa: N802
    kind: type[ma.Schema] | Field, description: str = "", example: Any = None, **options: Any
) -> Field:
    """Return a field for a list of objects with a schema, or of values of one kind."""
    item = ma.fields.Nested(kind) if isinstance(kind, type) else kind
    return _described(ma.fields.List)(description, example, cls_or_instance=item, **options)


def Code(members: Iterable[str], description: str, example: Any = None, **options: Any) -> Field:  # noqa: N802
    """Return a field for a stable code; `members` are the codes known now, and clients must expect more."""
    known = {"x-extensible-enum": [str(member) for member in members]}
    return _described(ma.fields.String, known)(description, example, **options)


_KINDS: tuple[Any, ...] = String, Integer, Date, Instant, Nested, Code
StringOrNull, IntegerOrNull, DateOrNull, InstantOrNull, NestedOrNull, CodeOrNull = (
    partial(kind, allow_none=True) for kind in _KINDS
)
"""The same, for fields that may be null."""

NEXT = StringOrNull("The cursor of the next page; null on the last page.")


def page_of(schema: type[ma.Schema]) -> type[ma.Schema]:
    """Return the schema of a page of a list of these objects, with a name such as `ContactListSchema`."""
    name = f"{schema.__name__.removesuffix('Schema')}ListSchema"
    return Schema.from_dict({"items": ListOf(schema), "next": NEXT}, name=name)


def links(given: str | Mapping[str, str], **operations: str) -> dict[str, Any]:
    """Return OpenAPI's links from a response to operations, by name; `operations` has the operation id of each link.

    An operation gets the response's field `given` as the parameter of that name. If it gets several parameters, `given`
    maps the name of each to the path of its value in the response.
    """
    paths = {given: given} if isinstance(given, str) else given
    values = {name: f"$response.body#/{path}" for name, path in paths.items()}
    return {name: {"operationId": operation_id, "parameters": values} for name, operation_id in operations.items()}


class Constant(ma.fields.String):
    """A field of responses that always has the same value."""

    def __init__(self, value: str, description: str) -> None:
        self.json_schema = {"const": value}
        super().__init__(required=True, metadata={"description": description})


class Either(ma.fields.Field[Any]):
    """A field for one of several objects.

    If there is a discriminator, `by` has the schema for each of its values. The document names the field's schema
    `component`, because generators of clients invent a name for a schema without one.
    """

    def __init__(
        self,
        component: str,
        *schemas: type[ma.Schema],
        discriminator: str = "",
        by: Mapping[str, type[ma.Schema]] = _NONE,
    ) -> None:
        self.component, self.discriminator, self.by = component, discriminator, by
        self.schemas = schemas or tuple(by.values())
        super().__init__()


class FieldErrorSchema(Schema):
    """An error at one place of the HTTP request."""

    pointer = String("A JSON pointer into the body, or `/` and the name of a parameter.")
    detail = String("What the service expects at this place.")
    code = String("A stable code for the kind of error; codes may be added.")


class ProblemSchema(Schema):
    """A problem as defined by RFC 9457."""

    type = ma.fields.String(
        required=True,
        metadata={
            "format": "uri-reference",
            "description": "The page that explains the problem and how to fix it. Compare only what is after the last "
            "`/`: before that may be the address of the service.",
        },
    )
    title = String("The kind of problem, in the reader's language.")
    status = ma.fields.Integer(required=True, metadata={"format": "int32", "description": "The HTTP status."})
    detail = String("What happened this time.")
    instance = String("The request id, which is also in the log.")
    state = String("The state of the record, if the request conflicts with it.", required=False)
    errors = ListOf(FieldErrorSchema, "Each error and its place in the request.", required=False)
