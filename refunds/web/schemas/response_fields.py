"""Response fields. They only describe: responses are written by hand. They are required by default."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import marshmallow as ma


class ResponseSchema(ma.Schema):
    """A schema of an answer, to which fields may be added."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: ma.fields.Field[Any]) -> None:
        """Leave a field as it is declared."""


_NONE: Mapping[str, type[ma.Schema]] = MappingProxyType({})


def _described(kind: type[ma.fields.Field[Any]], schema: dict[str, Any] | None = None) -> Any:
    """A function that makes fields of a kind, each with its description; `schema` is added to their JSON schema."""

    def make(description: str, *, required: bool = True, allow_none: bool = False) -> ma.fields.Field[Any]:
        metadata = {"description": description} | (schema or {})
        return kind(required=required, allow_none=allow_none, metadata=metadata)

    return make


String = _described(ma.fields.String)
Integer = _described(ma.fields.Integer, {"format": "int32"})
Position = _described(ma.fields.Integer, {"format": "int64"})
Boolean = _described(ma.fields.Boolean)
Date = _described(ma.fields.Date)
Instant = _described(ma.fields.DateTime)


def Code(  # noqa: N802
    members: Iterable[str], description: str, *, required: bool = True, allow_none: bool = False
) -> ma.fields.String:
    """A field for a stable code; `members` are those known now, and clients must expect more."""
    metadata = {"description": description, "x-extensible-enum": [str(member) for member in members]}
    return ma.fields.String(required=required, allow_none=allow_none, metadata=metadata)


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
