"""The fields of answers. They only describe: answers are written by hand. They are required by default."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import marshmallow as ma


class Schema(ma.Schema):
    """A schema of an answer, to which fields may be added."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Leave a field as it is declared."""

    @classmethod
    def example(cls, *first: str, **other: Any) -> dict[str, Any]:
        """An example of the answer: the examples of its fields, those in `first` before the others, except `other`.

        A required field without an example has null if it may, else that of its schema, an empty list or object, or
        false.
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
    given = field.metadata["sample"]
    if given is not None or field.allow_none:
        return given
    if isinstance(field, ma.fields.Nested):
        return field.nested.example()  # type: ignore[union-attr] # it is a schema of an answer
    return {ma.fields.List: [], ma.fields.Dict: {}, ma.fields.Boolean: False}[type(field)]


_NONE: Mapping[str, type[ma.Schema]] = MappingProxyType({})
Field = ma.fields.Field[Any]


def _described(kind: type[Field], schema: dict[str, Any] | None = None) -> Any:
    """A function that makes fields of a kind, with description and example; `schema` is added to their JSON schema."""

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
    """A field for an object with a schema of its own."""
    made: Field = _described(ma.fields.Nested)(description, example, nested=schema, **options)
    return made


def ListOf(  # noqa: N802
    kind: type[ma.Schema] | Field, description: str = "", example: Any = None, **options: Any
) -> Field:
    """A field for a list of objects with a schema, or of values of one kind."""
    item = ma.fields.Nested(kind) if isinstance(kind, type) else kind
    made: Field = _described(ma.fields.List)(description, example, cls_or_instance=item, **options)
    return made


def Code(members: Iterable[str], description: str, example: Any = None, **options: Any) -> Field:  # noqa: N802
    """A field for a stable code; `members` are those known now, and clients must expect more."""
    known = {"x-extensible-enum": [str(member) for member in members]}
    made: Field = _described(ma.fields.String, known)(description, example, **options)
    return made


def page_of(schema: type[ma.Schema]) -> type[ma.Schema]:
    """The schema of a page of a list, named for what it lists, as in `ContactListSchema`."""
    fields = {
        "items": ListOf(schema),
        "next": String("Where the next page begins; null: there is none.", allow_none=True),
    }
    return Schema.from_dict(fields, name=f"{schema.__name__.removesuffix('Schema')}ListSchema")


def links(parameter: str, **operations: str) -> dict[str, Any]:
    """Links from an answer to these operations, each with the answer's value of this name as a parameter."""
    given = {parameter: f"$response.body#/{parameter}"}
    return {name: {"operationId": operation_id, "parameters": given} for name, operation_id in operations.items()}


class Constant(ma.fields.String):
    """A field that always has the same value."""

    def __init__(self, value: str, description: str) -> None:
        self.json_schema = {"const": value}
        super().__init__(required=True, metadata={"description": description})


class Either(ma.fields.Field[Any]):
    """A field for one of several objects; with a discriminator, for each of its values the schema of that name.

    The document names it `component`, since generators make up a name for what has none.
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
