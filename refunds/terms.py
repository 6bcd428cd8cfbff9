"""The terms of a policy: everything that a version of it says.

A term is one field of `Terms`, with its default, its help and the marshmallow field that reads it. The policy
files, the API with its document, and the differences between two versions all derive from it.
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from typing import Any

from marshmallow import fields as ma_fields
from marshmallow import post_load

from refunds.business_days import WEEKDAYS, Week
from refunds.contact_points import Channel, canonical
from refunds.fields import (
    Choice,
    Flag,
    FreeText,
    ListOf,
    LocalDate,
    NearInstant,
    Nested,
    StrictSchema,
    Text,
    TimeZone,
    Weekdays,
    Whole,
    checked,
)


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

    de = FreeText(10_000, allow_none=True, metadata={"description": "In German."})
    en = FreeText(10_000, allow_none=True, metadata={"description": "In English."})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Texts:
        return Texts(**data)


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
    vendor_name: str | None = term(None, FreeText(200, allow_none=True), "Whose policy it is.")
    page_url: str | None = term(
        None,
        FreeText(2000, r"https?://[!-~]+", "must be an http or https address", allow_none=True),
        "Where the vendor's page shows the policy.",
    )
    page_published_at: datetime | None = term(
        None, NearInstant(allow_none=True), "When the vendor's page showed this version."
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
