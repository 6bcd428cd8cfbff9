"""Strict marshmallow fields: the one way to turn input from outside into values.

Policy files, request bodies, queries and the instants of the command line all pass through these. Nothing is
converted silently: no text becomes a number, no number a boolean, no local time an instant. If a value does not
fit, a `FieldError` says where it is and what to do, and never repeats the value.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, ClassVar

import marshmallow as ma
from marshmallow import ValidationError, fields

from refunds.domain import instants, payment_data
from refunds.domain.region_days import WEEKDAYS, Week
from refunds.domain.statistics import MONTH
from refunds.errors import PAYMENT_DATA, FieldError, Message, Unfit
from refunds.schemas.strict import unfit_error
from refunds.security.encryption import ERASED, Hidden

_DIGITS = re.compile(r"0|[1-9][0-9]{0,17}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_LOST = re.compile(r"[\ufffd\udc80-\udcff]")  # what readers put in the place of bytes that are not UTF-8
_TEXT = Message("must be a text")
_INSTANT = Message("must be a date-time such as 2026-04-02T16:20:00+02:00")


class _Strict(fields.Field[Any]):
    """The base of all fields: their errors are field errors, and their values are read without marshmallow's detours.

    `description` is a sentence for the API document; `json_schema` is what else the document says of a field.
    """

    default_error_messages: dict[str, Any] = {  # noqa: RUF012 - marshmallow's own declaration
        "required": FieldError("", Message("is required"), "required"),
        "null": FieldError("", Message("must not be null"), "wrong_type"),
    }

    def __init__(self, description: str = "", **kwargs: Any) -> None:
        assert not description or description.endswith("."), description
        super().__init__(metadata={"description": description} if description else {}, **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Read a value. Raise `ValidationError` if it does not fit, or is missing or null and must not be."""
        if value is None or value is ma.missing or self.validators or self.pre_load or self.post_load:
            return super().deserialize(value, *args, **kwargs)
        return self._deserialize(value, *(args or (None, None)), **kwargs)


def checked(read: Callable[[str], Any], value: Any, shape: Message = _TEXT) -> Any:
    """Return the result of `read` for a text; raise `ValidationError` with `shape` if the value is no text.

    If `read` raises `Unfit`, the `ValidationError` has its detail and code.
    """
    if type(value) is not str:
        raise unfit_error(shape, "wrong_type")
    try:
        return read(value)
    except Unfit as error:
        raise unfit_error(error.detail, error.code) from None


class Instant(_Strict, fields.DateTime):
    """An RFC 3339 date-time with its offset, as an aware `datetime` in UTC; TOML's own type is accepted too."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        """Return an RFC 3339 text or aware `datetime` as an instant in UTC; raise `ValidationError` for others."""
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise unfit_error(Message("needs its offset, as in 2026-04-02T16:20:00+02:00"))
            try:
                return value.astimezone(UTC)
            except OverflowError:
                raise unfit_error(Message("no such instant: check the year")) from None
        instant: datetime = checked(instants.parse_instant, value, _INSTANT)
        return instant

    def _serialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        """Return an instant as RFC 3339 text in UTC; None for None."""
        return None if value is None else instants.format_instant(value)


_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def require_near(value: date) -> None:
    """Raise `ValidationError` if a date or an instant is not in the years 1970 to 2199, as those of policies are."""
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        within = Message("must lie in the years %(first)s to %(last)s", first=_FIRST_YEAR, last=_LAST_YEAR)
        raise unfit_error(within, "out_of_range")


class LocalDate(_Strict, fields.Date):
    """A date, `YYYY-MM-DD`; TOML's own type is accepted too."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        """Return a text `YYYY-MM-DD` or a `date` as a date; raise `ValidationError` for others, even a `datetime`."""
        if type(value) is date:
            return value
        day: date = checked(instants.parse_date, value, Message("must be a date such as 2026-12-24"))
        return day


class Whole(_Strict, fields.Integer):
    """A whole number from `least` to `most`; 2.0 is one, as in JSON Schema, and `true` is not."""

    def __init__(self, least: int, most: int, description: str = "", **kwargs: Any) -> None:
        self.least, self.most = least, most
        self._shape = Message("must be a whole number from %(least)s to %(most)s", least=least, most=most)
        self.json_schema = {"format": "int32" if most < 2**31 else "int64", "minimum": least, "maximum": most}
        super().__init__(description, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        """Return a whole number, also 2.0, as an `int`; raise `ValidationError` for other values and out of bounds."""
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise unfit_error(self._shape, "wrong_type")
        if not self.least <= value <= self.most:
            within = Message("must be from %(least)s to %(most)s", least=self.least, most=self.most)
            raise unfit_error(within, "out_of_range")
        return value


class Flag(_Strict, fields.Boolean):
    """True or false, and nothing similar."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        """Return the value if it is true or false; raise `ValidationError` for others."""
        if type(value) is not bool:
            raise unfit_error(Message("must be true or false"), "wrong_type")
        return value


class WholeText(Whole):
    """A whole number from 0 in a query, in plain digits, because everything there is text."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> int:
        """Return the number in a text of plain digits; raise `ValidationError` for another text or out of bounds."""
        if not _DIGITS.fullmatch(value):
            raise unfit_error(self._shape, "wrong_type")
        return super()._deserialize(int(value), *args, **kwargs)


class FlagText(Flag):
    """True or false in a query, as text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        """Return whether the text is `true`; raise `ValidationError` unless it is `true` or `false`."""
        if value not in {"true", "false"}:
            raise unfit_error(Message("must be true or false"), "wrong_type")
        return bool(value == "true")


class Text(_Strict, fields.String):
    """A text of 1 to `most` characters, no control characters but tabs and line ends; all of it matches `pattern`."""

    def __init__(
        self, most: int, description: str = "", *, pattern: str | None = None, shape: Message = _TEXT, **kwargs: Any
    ) -> None:
        """Set what the field accepts; `shape` is the message for a text that does not match `pattern`."""
        self.most, self.pattern, self.shape = most, pattern, shape
        self._fits = re.compile(pattern).fullmatch if pattern else None
        whole = f"(?:{pattern})" if pattern and "|" in pattern else pattern
        form = {"pattern": f"^{whole}$"} if pattern else {}
        self.json_schema: dict[str, Any] = {"minLength": 1, "maxLength": most} | form
        super().__init__(description, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        """Return the text unchanged; raise `ValidationError` if its type, length, characters or pattern do not fit."""
        if type(value) is not str:
            raise unfit_error(_TEXT, "wrong_type")
        if not 1 <= len(value) <= self.most:
            raise unfit_error(Message("must have 1 to %(most)s characters", most=self.most), "out_of_range")
        if _CONTROL.search(value):
            raise unfit_error(Message("must not contain control characters"))
        if self._fits and not self._fits(value):
            raise unfit_error(self.shape)
        return value


class ReadText(Text):
    """A text of which `read` makes a value; for a text that does not fit, it raises `Unfit`."""

    def __init__(self, read: Callable[[str], Any], most: int, description: str = "", **kwargs: Any) -> None:
        self._read = read
        super().__init__(most, description, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what `read` makes of a text that `Text` accepts; raise `ValidationError` for other values."""
        return checked(self._read, super()._deserialize(value, *args, **kwargs))


class Month(Text):
    """A month, as `YYYY-MM`."""

    def __init__(self, description: str = "", **kwargs: Any) -> None:
        super().__init__(7, description, pattern=MONTH, shape=Message("not a month: write it as 2026-04"), **kwargs)


class FreeText(Text):
    """A text that a person wrote, with a letter or a digit, without payment data, and no mark of a text not shown."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        """Return a text that `Text` accepts; raise `ValidationError` if it is no text or has payment data."""
        text = super()._deserialize(value, *args, **kwargs)
        if not any(map(str.isalnum, text)):
            raise unfit_error(Message("must contain a letter or a digit"))
        if text in {ERASED, f"{Hidden(text)}"}:  # shown to a client, which sends it back
            raise unfit_error(Message("stands for a text that is not shown: leave it out, or send the text itself"))
        self._require_no_payment_data(text)
        return text

    def _require_no_payment_data(self, text: str) -> None:
        """Raise `ValidationError` if payment data is anywhere in a text."""
        if payment_data.holds_payment_data(text):
            raise unfit_error(
                Message(
                    "must not contain what looks like the number of a payment card or a bank account, a CVV or a PIN: "
                    "leave it out, it is not needed; write a telephone number with its +"
                ),
                PAYMENT_DATA,
            )


def is_line(field: "fields.Field[Any]") -> bool:
    """Tell whether a field takes one line: any but a free text, which may have several."""
    return type(field) is not FreeText


class Line(FreeText):
    """One line of visible characters without spaces at its ends, in one spelling (NFC)."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        """Return the text in NFC; raise `ValidationError` unless it is one visible line without spaces at its ends."""
        if type(value) is str:
            value = unicodedata.normalize("NFC", value)
        text = super()._deserialize(value, *args, **kwargs)
        if not text.isprintable() or text != text.strip():
            raise unfit_error(Message("must be one line of visible characters, without spaces at its ends"))
        return text


class Reference(Line):
    """Another system's reference, which must not look like payment data, and has lost no character on the way."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        """Return a line that has lost no character; raise `ValidationError` otherwise: two references could be one."""
        if type(value) is str and _LOST.search(value):
            raise unfit_error(Message("has a character that was lost on the way: send it in UTF-8"), "not_utf_8")
        return super()._deserialize(value, *args, **kwargs)

    def _require_no_payment_data(self, text: str) -> None:
        """Raise `ValidationError` if the whole text looks like the number of a card or an account."""
        if payment_data.is_payment_data(text):
            raise unfit_error(
                Message(
                    "must not be what looks like the number of a payment card or a bank account: if it is another "
                    "number, write it with a letter in front, such as K4111…"
                ),
                PAYMENT_DATA,
            )


class Choice(_Strict, fields.String):
    """A member of an enumeration, given as its value; only those in `members` are accepted."""

    def __init__(self, members: Iterable[StrEnum], description: str = "", **kwargs: Any) -> None:
        self.members = {str(member): member for member in members}
        self.json_schema = {"enum": list(self.members)}
        super().__init__(description, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> StrEnum:
        """Return the member of the enumeration that has this value; raise `ValidationError` if none has."""
        member = self.members.get(value) if type(value) is str else None
        if member is None:
            raise unfit_error(Message("must be one of %(names)s", names=", ".join(self.members)), "unknown_value")
        return member


class TimeZone(_Strict, fields.String):
    """The name of an IANA time zone."""

    json_schema: ClassVar[dict[str, Any]] = {"minLength": 1, "maxLength": 64}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        """Return the name of a time zone as it was sent; raise `ValidationError` if there is none of that name."""
        return str(checked(instants.zone, value, Message("must be an IANA time zone such as Europe/Berlin")))


class Weekdays(_Strict, fields.Field[Week]):
    """A list of weekdays, as a tuple from Monday on, or "country" for the statutory week, sent alone or as a list."""

    @property
    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the list, which may be null if that is allowed; its days refer to `Weekday`."""
        kind = ["array", "null"] if self.allow_none else "array"
        # By name: the list of an enumeration without one does not compile in Java.
        days = {"$ref": "#/components/schemas/Weekday"}
        return {"type": kind, "items": days, "minItems": 1, "maxItems": len(WEEKDAYS), "uniqueItems": True}

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Week:
        """Return the weekdays, Monday first, or "country"; raise `ValidationError` for no, unknown or repeated days."""
        if value in ("country", ["country"]):
            return "country"
        if not isinstance(value, list) or not value or any(day not in WEEKDAYS for day in value):
            week = Message('must be ["country"] or a list of weekdays from %(names)s', names=", ".join(WEEKDAYS))
            raise unfit_error(week)
        if len(set(value)) < len(value):
            raise unfit_error(Message("must name each weekday once"))
        return tuple(day for day in WEEKDAYS if day in value)


class ListOf(_Strict, fields.List[Any]):
    """A list of at most `most` values of one kind, as a tuple."""

    def __init__(self, kind: fields.Field[Any], most: int, description: str = "", **kwargs: Any) -> None:
        self.most, self.json_schema = most, {"maxItems": most}
        super().__init__(description, cls_or_instance=kind, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:  # type: ignore[override]
        """Return the values of a list, each read, in order; raise `ValidationError` if one or the list does not fit."""
        if not isinstance(value, list):
            raise unfit_error(Message("must be a list"), "wrong_type")
        if len(value) > self.most:
            raise unfit_error(Message("must have at most %(most)s entries", most=self.most), "out_of_range")
        return tuple(super()._deserialize(value, *args, **kwargs))


class Nested(_Strict, fields.Nested):
    """An object with a schema of its own."""

    def __init__(self, schema: type[ma.Schema], description: str = "", **kwargs: Any) -> None:
        super().__init__(description, nested=schema, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the values of an object, or what its schema makes of them; raise `ValidationError` if one is wrong."""
        if not any(self.schema._hooks.values()):
            try:
                return self.schema._read_plainly(value)  # type: ignore[attr-defined]
            except (KeyError, AttributeError, ValidationError):
                pass
        return super()._deserialize(value, *args, **kwargs)


class Unread(Nested):
    """Any value in the place of an object that a schema describes; objects are read later, one at a time."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Return the value, unchanged and unchecked."""
        return value
