"""Policies: the terms of one, its versions, and which of them is in force.

A term is one field of `Terms`, with its default, its help and the marshmallow field that reads it. The policy
files, the what-if of the API and its document all derive from it.
"""

import json
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from hashlib import sha256
from typing import Any

from marshmallow import fields as ma_fields
from marshmallow import post_load

from refunds.business_days import WEEKDAYS, Week
from refunds.contact_points import Channel, canonical
from refunds.errors import Flaw, InvalidInput, NoPolicyInForce, NotFound
from refunds.fields import (
    Choice,
    Flag,
    Instant,
    ListOf,
    LocalDate,
    Nested,
    StrictSchema,
    Text,
    TimeZone,
    Weekdays,
    Whole,
    checked,
)
from refunds.instants import format_known

POLICY_ID = r"[a-z0-9]+(-[a-z0-9]+)*"


class TimelyBy(StrEnum):
    """Which time of a contact is judged."""

    RECEIVED = "received"
    SENT = "sent"


class JudgedBy(StrEnum):
    """At which instant the judging version was in force."""

    PROVIDED = "provided"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class ContactChannel:
    """Whether a channel counts, and the vendor's official numbers or addresses; none: not checked."""

    accepted: bool = True
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Texts:
    """The clause as customers read it, and what an agent may say."""

    de: str | None = None
    en: str | None = None


class TextsSchema(StrictSchema):
    """The texts of a policy, by language."""

    de = Text(10_000, allow_none=True, metadata={"description": "In German."})
    en = Text(10_000, allow_none=True, metadata={"description": "In English."})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Texts:
        return Texts(**data)


class PolicyId(Text):
    """The id by which a request names a policy."""

    def __init__(self, description: str) -> None:
        shape = "must be the id of a policy, such as virtual-numbers"
        super().__init__(64, POLICY_ID, shape, metadata={"description": description})


class ContactPoint(Text):
    """An official telephone number or e-mail address of the vendor, in its one spelling."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        super().__init__(254)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(checked(partial(canonical, self.channel), super()._deserialize(value, *args, **kwargs)))


def _points(channel: Channel, description: str) -> ListOf:
    return ListOf(ContactPoint(channel), most=50, metadata={"description": f"{description} Empty: not checked."})


class ContactChannelSchema(StrictSchema):
    """One channel of a policy."""

    accepted = Flag(metadata={"description": "Whether a contact by this channel counts. Default true."})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ContactChannel:
        return ContactChannel(data.get("accepted", True), tuple(sorted(set(data.get("points", ())))))


class PhoneSchema(ContactChannelSchema):
    """The telephone as a channel, with the vendor's official numbers."""

    points = _points(Channel.PHONE, "The official numbers, with their country codes.")


class EmailSchema(ContactChannelSchema):
    """E-mail as a channel, with the vendor's official addresses."""

    points = _points(Channel.EMAIL, "The official addresses, compared without case.")


def term(default: Any, reader: ma_fields.Field[Any], text: str) -> Any:
    """A term of a policy: its default, the field that reads it, and what it means."""
    reader.metadata = {"description": text}
    return field(default=default, metadata={"reader": reader})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything that a policy version says."""

    window_business_days: int = term(
        2, Whole(1, 366), "How many business days after the service day the order stays cancellable."
    )
    business_week: Week = term(
        WEEKDAYS[:5],
        Weekdays(),
        'The weekdays that can be business days; `"country"` is the statutory week valid on each date.',
    )
    end_week: Week | None = term(
        None,
        Weekdays(allow_none=True),
        "The weekdays on which the window may end; if it would end on another, it runs on to the next of them. "
        "For Monday-to-Saturday weeks, as in section 193 of the German Civil Code. Null: wherever the count ends.",
    )
    region: str = term(
        "DE",
        Text(40),
        "Whose public holidays count: a country, or a country and a subdivision, as in `DE` and `DE-BY`.",
    )
    follow_order_region: bool = term(
        True, Flag(), "Use the region that an order names (the customer's place), else the policy's."
    )
    time_zone: str = term("Europe/Berlin", TimeZone(), "The IANA time zone whose midnight ends a day.")
    closures: tuple[date, ...] = term(
        (), ListOf(LocalDate(), most=1000), "The vendor's own closed dates, known when the version was made."
    )
    timely_by: TimelyBy = term(
        TimelyBy.RECEIVED, Choice(TimelyBy), "Which time of a contact is judged: when it was received, or sent."
    )
    judged_by: JudgedBy = term(
        JudgedBy.PROVIDED,
        Choice(JudgedBy),
        "The version that judges an order: the one in force when its service was provided, or when it was ordered.",
    )
    phone: ContactChannel = term(ContactChannel(), Nested(PhoneSchema), "Cancellation by telephone.")
    email: ContactChannel = term(ContactChannel(), Nested(EmailSchema), "Cancellation by e-mail.")
    late_entry_days: int = term(
        5,
        Whole(1, 366),
        "A contact entered more than this many business days after it was received needs a supervisor.",
    )
    evidence_after_deadline: bool = term(
        True, Flag(), "A contact received before but entered after the deadline needs a ticket reference."
    )
    refund_due_days: int = term(
        14, Whole(1, 366), "Within how many calendar days billing means to settle; told to customers only if promised."
    )
    vendor_name: str | None = term(None, Text(200, allow_none=True), "Whose policy it is.")
    page_url: str | None = term(
        None,
        Text(2000, r"https?://[!-~]+", "must be an http or https address", allow_none=True),
        "Where the vendor's page shows the policy.",
    )
    page_published_at: datetime | None = term(
        None, Instant(allow_none=True), "When the vendor's page showed this version."
    )
    texts: Texts = term(Texts(), Nested(TextsSchema), "The clause as customers read it.")

    @property
    def country(self) -> str:
        """Whose telephone numbers need no country code."""
        return self.region[:2]

    def channel(self, channel: Channel) -> ContactChannel:
        """What the policy says of a channel."""
        match channel:
            case Channel.PHONE:
                return self.phone
            case Channel.EMAIL:
                return self.email


TERM_NAMES = tuple(f.name for f in fields(Terms))

TermsSchema = StrictSchema.from_dict({f.name: f.metadata["reader"] for f in fields(Terms)}, name="Terms")
"""Reads any selection of the terms, as a dictionary by name."""


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy; `effective_from` None: from the beginning. `overridden`: terms of a what-if."""

    policy_id: str
    version: int
    effective_from: datetime | None
    terms: Terms
    overridden: tuple[str, ...] = ()

    def what_if(self, terms: Mapping[str, Any]) -> "PolicyVersion":
        """This version with single terms (already read) replaced."""
        if not terms:
            return self
        overridden = tuple(name for name in TERM_NAMES if name in terms)
        return replace(self, terms=replace(self.terms, **terms), overridden=overridden)

    @property
    def starts(self) -> datetime:
        """The first instant at which the version holds."""
        return self.effective_from or _BEGINNING

    @property
    def content_hash(self) -> str:
        """A digest of everything that the version says: equal content, equal hash."""
        return sha256(json.dumps(version_data(self), sort_keys=True).encode()).hexdigest()


_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Policy:
    """All versions of one policy, in the order in which they take effect."""

    policy_id: str
    versions: tuple[PolicyVersion, ...]

    def in_force(self, at: datetime) -> PolicyVersion:
        """The version that holds at an instant; at the very instant of a change, the newer.

        Raises `NoPolicyInForce`, naming when the first takes effect.
        """
        i = bisect_right(self.versions, at, key=lambda version: version.starts)
        if not i:
            raise NoPolicyInForce(self.policy_id, at, self.versions[0].starts)
        return self.versions[i - 1]

    def judging(
        self,
        requested_at: datetime,
        provided_at: datetime | None,
        ordered_at: datetime | None = None,
        judged_by: JudgedBy | None = None,
    ) -> PolicyVersion:
        """The version that judges an order: in force when its service was provided, or when it was ordered.

        Where the service is not yet provided at the request, the version in force at the request. Whether the
        time of the order decides is itself a term: of the version that held when the service was provided, or
        `judged_by` for a what-if.
        """
        if provided_at is None or provided_at > requested_at:
            return self.in_force(requested_at)
        version = self.in_force(provided_at)
        if (judged_by or version.terms.judged_by) is JudgedBy.ORDERED and ordered_at is not None:
            return self.in_force(ordered_at)
        return version

    def version(self, number: int) -> PolicyVersion:
        """The version of this number; raises `NotFound`."""
        if not 1 <= number <= len(self.versions):
            raise NotFound(f"The policy {self.policy_id} has the versions 1 to {len(self.versions)}.")
        return self.versions[number - 1]


def policy_of(versions: Iterable[PolicyVersion]) -> Policy:
    """The policy that these versions of it make up; raises `InvalidInput` where they do not fit together."""
    ordered = tuple(sorted(versions, key=lambda version: version.version))
    for number, version in enumerate(ordered, 1):
        if version.version != number:
            detail = f"is {version.version} where {number} is due: versions count from 1 without gap or repeat"
            raise InvalidInput([Flaw("/version", detail)])
        if number > 1 and version.starts <= ordered[number - 2].starts:
            detail = f"version {number} must take effect later than version {number - 1}"
            raise InvalidInput([Flaw("/effective_from", detail)])
    return Policy(ordered[0].policy_id, ordered)


class _PolicyFileSchema(TermsSchema):  # type: ignore[valid-type, misc]
    """A policy file: which version of which policy it is, since when it holds, and its terms."""

    policy = Text(64, POLICY_ID, "must be lower-case words joined by dashes, such as virtual-numbers", required=True)
    version = Whole(1, 100_000, required=True)
    effective_from = Instant()


_policy_file = _PolicyFileSchema()
_terms = TermsSchema()


def read_policy(text: str) -> PolicyVersion:
    """The policy version that a TOML file holds.

    Raises `InvalidInput`, naming each term that does not fit and the mend.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput([Flaw("", f"not a TOML file: {error}")]) from None
    try:
        read = _policy_file.read(data)
    except InvalidInput as error:
        raise InvalidInput(map(_with_hint, error.flaws)) from None
    policy_id, number, effective_from = read.pop("policy"), read.pop("version"), read.pop("effective_from", None)
    version = PolicyVersion(policy_id, number, effective_from, Terms(**read))
    if number > 1 and effective_from is None:
        raise InvalidInput([Flaw("/effective_from", "is required: only version 1 may hold from the beginning")])
    shown = version.terms.page_published_at
    if shown and effective_from and effective_from < shown:
        raise InvalidInput([Flaw("/effective_from", "must not be earlier than page_published_at")])
    return version


def version_data(version: PolicyVersion) -> dict[str, Any]:
    """A version as plain data, every term by its name."""
    return {
        "policy": version.policy_id,
        "version": version.version,
        "effective_from": format_known(version.effective_from),
        "terms": _terms.dump(version.terms),
    }


def _with_hint(flaw: Flaw) -> Flaw:
    """The flaw, a misspelt term answered with the one that was meant."""
    if flaw.code != "unknown_field" or flaw.pointer.count("/") > 1:
        return flaw
    close = get_close_matches(flaw.pointer[1:], _policy_file.fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the terms are {', '.join(TERM_NAMES)}"
    return Flaw(flaw.pointer, f"unknown term: {hint}", flaw.code)
