"""Policies as they are read and written: terms, derived from their declarations, and policy files."""

import dataclasses
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, get_type_hints

import marshmallow as ma
import tomli_w
from marshmallow import post_load

from refunds.domain.contact_points import Channel, canonical
from refunds.domain.instants import format_known, zone
from refunds.domain.policy import PolicyVersion
from refunds.domain.region_days import Week
from refunds.domain.regions import require_region
from refunds.domain.terms import TERM_NAMES, Bounds, ContactChannel, Terms, Texts
from refunds.errors import FieldError, InvalidInput, Message
from refunds.schemas import fields
from refunds.schemas.strict import StrictSchema

POLICY_ID = r"[a-z0-9]+(-[a-z0-9]+)*"


class PolicyId(fields.Text):
    """The id by which a request names a policy."""

    def __init__(self, description: str) -> None:
        """Accept an id of up to 64 characters; `description` is the field's in the API document."""
        shape = Message("must be the id of a policy, such as virtual-numbers")
        super().__init__(64, description, pattern=POLICY_ID, shape=shape)


class TextsSchema(StrictSchema):
    """The texts of a policy, by language."""

    de = fields.FreeText(10_000, "In German.", allow_none=True)
    en = fields.FreeText(10_000, "In English.", allow_none=True)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Texts:
        """Make the `Texts` from the values read."""
        return Texts(**data)


def _points(channel: Channel, description: str) -> fields.ListOf:
    """Return the field for the official contact points of a channel, at most 50, each in its one spelling."""
    point = fields.ReadText(partial(canonical, channel), 254)
    return fields.ListOf(point, 50, f"{description} Empty: not checked.")


class ContactChannelSchema(StrictSchema):
    """One channel of a policy."""

    accepted = fields.Flag("Whether a contact by this channel counts. Default true.")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ContactChannel:
        """Make the `ContactChannel` that was read, by default accepted without points; these are sorted, each once."""
        return ContactChannel(data.get("accepted", True), tuple(sorted(set(data.get("points", ())))))


class PhoneSchema(ContactChannelSchema):
    """The telephone as a channel, with the vendor's official numbers."""

    points = _points(Channel.PHONE, "The official numbers, with their country codes.")


class EmailSchema(ContactChannelSchema):
    """E-mail as a channel, with the vendor's official addresses."""

    points = _points(Channel.EMAIL, "The official addresses; upper and lower case are the same.")


_READERS: dict[Any, Callable[[Bounds], ma.fields.Field[Any]]] = {
    "time_zone": lambda _: fields.TimeZone(),
    "phone": lambda _: fields.Nested(PhoneSchema),
    "email": lambda _: fields.Nested(EmailSchema),
    int: lambda bounds: fields.Whole(bounds.least, bounds.most),
    bool: lambda _: fields.Flag(),
    str: lambda bounds: fields.Text(bounds.most),
    str | None: lambda bounds: fields.FreeText(
        bounds.most, pattern=bounds.pattern, shape=bounds.shape, allow_none=True
    ),
    Week: lambda _: fields.Weekdays(),
    Week | None: lambda _: fields.Weekdays(allow_none=True),
    tuple[date, ...]: lambda bounds: fields.ListOf(fields.LocalDate(), most=bounds.most),
    datetime | None: lambda _: fields.Instant(validate=fields.require_near, allow_none=True),
    Texts: lambda _: fields.Nested(TextsSchema),
}
"""How to read the terms, by type; some have their own way, by name."""


def _reader(name: str, hint: Any, metadata: Mapping[str, Any]) -> ma.fields.Field[Any]:
    """Return the field that reads a term within its bounds: by its name if `_READERS` has that name, else by type."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        reader: ma.fields.Field[Any] = fields.Choice(hint)
    else:
        reader = _READERS[name if name in _READERS else hint](metadata["bounds"])
    reader.metadata = {"description": metadata["help"]}
    return reader


_HINTS = get_type_hints(Terms)

TermsSchema = StrictSchema.from_dict(
    {f.name: _reader(f.name, _HINTS[f.name], f.metadata) for f in dataclasses.fields(Terms)}, name="Terms"
)
"""Reads any selection of the terms, as a dictionary by name."""


class _PolicyFileSchema(TermsSchema):  # type: ignore[valid-type, misc]
    policy = fields.Text(
        64,
        pattern=POLICY_ID,
        shape=Message("must be lower-case words joined by dashes, such as virtual-numbers"),
        required=True,
    )
    version = fields.Whole(1, 100_000, required=True)
    effective_from = fields.Instant(validate=fields.require_near)


_policy_file = _PolicyFileSchema()
_terms = TermsSchema()


def read_policy(text: str) -> PolicyVersion:
    """Return the policy version in the text of a TOML file.

    If left out, `effective_from` is None, and terms have their defaults. Raise `InvalidInput` if the text is not TOML,
    or with the fix for each field that is unknown or does not fit, and for a missing policy or version. Whether there
    is such a region is not checked.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise InvalidInput.at("", Message("not a policy: nested too deeply"), "too_deep") from None
    except ValueError as error:
        raise InvalidInput.at("", _not_toml(str(error)), "not_toml") from None
    try:
        read = _policy_file.read(data)
    except InvalidInput as error:
        raise InvalidInput(map(_with_hint, error.errors)) from None
    policy_id, number, effective_from = read.pop("policy"), read.pop("version"), read.pop("effective_from", None)
    return PolicyVersion(policy_id, number, effective_from, Terms(**read))


_AT = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)$")


def _not_toml(reason: str) -> Message:
    """Return the text of the error that a text is not TOML, with the place that the parser's `reason` ends with."""
    detail = Message(
        "not TOML: each line is like window_business_days = 2, no name comes twice, and a text is in quotation marks"
    )
    if at := _AT.search(reason):
        return Message("line %(line)s, column %(column)s: %(detail)s", line=at[1], column=at[2], detail=detail)
    ends = reason.endswith("(at end of document)")
    return Message("at the end of the text: %(detail)s", detail=detail) if ends else detail


def policy_file(version: PolicyVersion) -> str:
    """Return a version as the text of a TOML file, as `read_policy` reads it; instants are in the policy's time zone.

    The file lacks what is None, and the closures that were entered besides the terms.
    """
    head = {"policy": version.policy_id, "version": version.version, "effective_from": version.effective_from}
    said = head | {name: getattr(version.terms, name) for name in TERM_NAMES}
    plain = terms_data(version.terms)
    tz = zone(version.terms.time_zone)
    written = {
        name: value.astimezone(tz) if isinstance(value, datetime) else plain.get(name, value)
        for name, value in said.items()
    }
    written["closures"] = list(version.terms.closures)
    one_line = "\r" in f"{version.terms.texts}"  # a multi-line string would lose it
    return tomli_w.dumps(_without_none(written), multiline_strings=not one_line)


def _without_none(data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the data, and of the dictionaries in it, without the keys whose value is None."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in data.items()
        if value is not None
    }


def terms_data(terms: Terms) -> dict[str, Any]:
    """Return terms as plain data, each by its name; `read_terms` reads it."""
    data: dict[str, Any] = _terms.dump(terms)
    return data


def read_terms(data: Mapping[str, Any]) -> Terms:
    """Return the terms in plain data, else their defaults; raise `InvalidInput` if one is unknown or does not fit."""
    return Terms(
        **_terms.read(data)  # type: ignore[attr-defined] # StrictSchema.from_dict makes a StrictSchema
    )


def version_data(version: PolicyVersion) -> dict[str, Any]:
    """Return a version as plain data: policy, number, from when in force, every term; no closures entered since."""
    return {
        "policy": version.policy_id,
        "version": version.version,
        "effective_from": format_known(version.effective_from),
        "terms": terms_data(version.terms),
    }


def _with_hint(field_error: FieldError) -> FieldError:
    """Return the error, which names all terms instead if it is about an unknown field at the top of a policy file."""
    if field_error.code != "unknown_field" or field_error.pointer.count("/") > 1:
        return field_error
    detail = Message("unknown term: the terms are %(terms)s", terms=", ".join(TERM_NAMES))
    return FieldError(field_error.pointer, detail, field_error.code)


def read_policy_file(file: Traversable) -> PolicyVersion:
    """Return the version in a file; raise `InvalidInput` if its text or region is wrong, `OSError` if unreadable."""
    try:
        version = read_policy(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidInput.at("", Message("is not UTF-8 text")) from None
    require_region(version.terms.region, "/region")
    return version


def packaged(policy_id: str) -> PolicyVersion | None:
    """Return version 1 of this policy as it comes with the service; None if the service has no such policy."""
    file = files("refunds") / "policies" / f"{policy_id}.1.toml"
    return read_policy_file(file) if file.is_file() else None
