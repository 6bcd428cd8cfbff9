"""Strict marshmallow schemas, and how their errors become field errors."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import marshmallow as ma
from marshmallow import ValidationError, fields

from refunds.errors import PAYMENT_DATA, FieldError, InvalidInput, Message, PaymentDataRefused

_NAME = re.compile(r"[A-Za-z_][A-Za-z_-]{0,63}|[0-9]{1,9}")
"""A pointer repeats the keys that were sent if they are names or indexes; others could contain anything."""


def unfit_error(detail: Message, code: str = "invalid") -> ValidationError:
    """Return the error for a value that does not fit, to be raised by its field."""
    return ValidationError([FieldError("", detail, code)])


class StrictSchema(ma.Schema):
    """A schema that refuses unknown fields. In an optional field, null means absent unless the field allows null."""

    class Meta:
        """Marshmallow's own options."""

        unknown = ma.RAISE

    error_messages: dict[str, Any] = {  # noqa: RUF012 - marshmallow's own declaration
        "unknown": FieldError("", Message("unknown field: remove it, or check its spelling"), "unknown_field"),
        "type": FieldError("", Message("must be an object"), "wrong_type"),
    }

    def __init__(self, **kwargs: Any) -> None:
        """Create the schema with the options of marshmallow, and note its required and its optional fields."""
        self._optional: set[str] = set()
        super().__init__(**kwargs)
        self._readers = {f.data_key or name: (name, f.deserialize) for name, f in self.load_fields.items()}
        self._required = {name for name, f in self.load_fields.items() if f.required}
        self._null_is_absent = {key for key, (name, _) in self._readers.items() if name in self._optional}

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Let null stand for absence in an optional field that does not allow null itself."""
        if not field_obj.required and not field_obj.allow_none:
            field_obj.allow_none = True
            self._optional.add(field_name)

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Return `data` as marshmallow loads it; raise `ValidationError`.

        Null counts as absent in an optional field that does not allow null.
        """
        if isinstance(data, Mapping):
            data = {key: value for key, value in data.items() if value is not None or key not in self._null_is_absent}
        return super().load(data, **kwargs)

    def read(self, data: Any) -> dict[str, Any]:
        """Return the values in `data`, by the names of the fields; only for schemas without hooks of their own.

        A key that is left out of `data`, or is null where null means absent, is left out of the result, too. Raise
        `InvalidInput` if `data` is not an object, or if fields are unknown, missing or do not fit: `PaymentDataRefused`
        if a text has payment data. The error has a `FieldError` for each place, up to `MOST_ERRORS`.
        """
        try:
            return self._read_plainly(data)
        except (KeyError, AttributeError, ValidationError):
            pass
        try:
            loaded: dict[str, Any] = self.load(data)
        except ValidationError as error:
            raise refusal_error(errors(error)) from None
        return loaded

    def _read_plainly(self, data: Any) -> dict[str, Any]:
        """Return the values as `read` does; raise an error of any class if a value, a key or `data` does not fit."""
        read: dict[str, Any] = {}
        for key, value in data.items():
            name, reader = self._readers[key]
            if value is not None or key not in self._null_is_absent:
                read[name] = reader(value)
        if not read.keys() >= self._required:
            raise KeyError
        return read


def schema_of(**fields_of_it: fields.Field[Any]) -> StrictSchema:
    """Return a schema of these fields, for input that is read in one place."""
    made: StrictSchema = StrictSchema.from_dict(dict(fields_of_it))()  # type: ignore[assignment] # it returns its own class
    return made


class QuerySchema(StrictSchema):
    """The parameters of a query, where everything is text, and nothing is null."""

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Do nothing: in a query, null does not stand for absence as it does in other schemas."""


def refusal_error(found: Iterable[FieldError]) -> InvalidInput:
    """Return one error with all of `found`, to be raised: `PaymentDataRefused` if one of them is about payment data."""
    listed = tuple(found)
    return (PaymentDataRefused if any(field_error.code == PAYMENT_DATA for field_error in listed) else InvalidInput)(
        listed
    )


def errors(error: ValidationError) -> Iterator[FieldError]:
    """Yield the field errors in a validation error, each at its JSON pointer (RFC 6901), in document order."""
    yield from _walk(error.normalized_messages(), "")  # type: ignore[no-untyped-call]


def _walk(messages: Any, pointer: str) -> Iterator[FieldError]:
    """Yield the field errors that are the leaves of marshmallow's nested messages.

    Each gets `pointer` and the keys that lead to it before its own pointer; the key of the whole schema adds nothing.
    """
    if isinstance(messages, Mapping):
        for key, nested in messages.items():
            yield from _walk(nested, pointer if key == ma.exceptions.SCHEMA else pointer + pointer_step(key))
    elif isinstance(messages, list):
        for nested in messages:
            yield from _walk(nested, pointer)
    else:
        yield messages.under(pointer)


def pointer_step(key: str | int) -> str:
    """Return the step of a JSON pointer to a key, such as `/terms`; `/…` if the key is no name and no index."""
    return f"/{key}" if _NAME.fullmatch(str(key)) else "/…"
