"""The forms of the console. Fields that are the same as in the API are read by the API's fields."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Self
from unicodedata import category
from zoneinfo import ZoneInfo

from marshmallow import EXCLUDE, ValidationError
from marshmallow.fields import Field

from refunds.domain.contact_points import Channel
from refunds.domain.instants import end_of_day, first_instant, local_date, parse_instant, shown_instants, zone
from refunds.domain.journal import EventType
from refunds.domain.privacy import DataRequestKind, ErasureReason
from refunds.domain.records import Basis, Intent, OverrideKind, State
from refunds.domain.resolutions import ResolutionReason
from refunds.domain.terms import TimelyBy
from refunds.errors import FieldError, InvalidInput, Message, Unfit
from refunds.presentation.texts.dates import offset_text
from refunds.schemas.fields import Choice, FreeText, Line, Month, ReadText, Text, WholeText, is_line
from refunds.schemas.strict import StrictSchema
from refunds.service.queue import Tab
from refunds.web.console.dates import typed_instant, typed_time
from refunds.web.schemas.contacts import AcknowledgementRequestSchema, InlineContactSchema
from refunds.web.schemas.documents import Language
from refunds.web.schemas.policies import MOST_BYTES
from refunds.web.schemas.privacy import DataRequestRequestSchema
from refunds.web.schemas.request_fields import AFTER, MOST, RecordId
from refunds.web.schemas.unmatched import UnmatchedContactRequestSchema

_NONE = timedelta()


@dataclass(frozen=True, slots=True)
class Typed:
    """A date and time as typed. Its meaning depends on the time zone and the current date there."""

    text: str

    def instant(
        self, field: str, now: datetime, time_zone: str, *, days: int | None = None, ahead: timedelta = _NONE
    ) -> datetime:
        """Return the typed instant, in UTC; `now` says which day the text is relative to, as in "today".

        A date without a year is the last such date up to `ahead` after today. A date without a time stands for the
        start of the day that is so many `days` later: 0 as a beginning, 1 as an end. A time that the clocks show twice
        is the first as a beginning, the last as an end; otherwise, the first if the last is in the future. Raises
        `InvalidInput` at `field` if the text cannot be read, if it has no time and `days` is None, or if the clocks
        skip the typed time, or show it twice, so that it can be either.
        """
        try:
            return self._instant(now, zone(time_zone), days, ahead)
        except Unfit as error:
            raise InvalidInput.at(f"/{field}", error.detail, error.code) from None
        except (ValueError, OverflowError):
            raise InvalidInput.at(f"/{field}", Message("not a date: write it as 2026-12-24")) from None

    def _instant(self, now: datetime, tz: ZoneInfo, days: int | None, ahead: timedelta) -> datetime:
        """Return the typed instant as `instant` does; raise `Unfit`, `ValueError` or `OverflowError`."""
        for read in (parse_instant, typed_instant):
            with suppress(ValueError):
                return read(self.text)
        day, clock = typed_time(self.text, local_date(now, tz), ahead)
        if clock is None and days is not None:
            return first_instant(day + timedelta(days), tz)
        if clock is None:
            raise Unfit(Message("needs its time"), "time_missing")
        if clock.tzinfo:
            return datetime.combine(day, clock).astimezone(UTC)
        first, last = shown_instants(day, clock, tz)
        if first != last and days is None and last <= now:
            offsets = {name: f"({offset_text(one.astimezone(tz))})" for name, one in (("first", first), ("last", last))}
            raise Unfit(
                Message("the clocks showed this time twice: add %(first)s or %(last)s", **offsets), "time_twice"
            )
        return last if days else first

    def day(self, field: str, now: datetime, time_zone: str, *, ahead: timedelta = _NONE) -> date:
        """Return the local date that was typed in a field, without a year the last such date up to `ahead` after today.

        Raises `InvalidInput` if it cannot be read or has a time.
        """
        begin, end = (self.instant(field, now, time_zone, days=days, ahead=ahead) for days in (0, 1))
        day = local_date(begin, tz := zone(time_zone))
        if (begin, end) != (first_instant(day, tz), end_of_day(day, tz)):
            raise InvalidInput.at(f"/{field}", Message("must be a date without a time"), "time_given")
        return day


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed into a form or is in an address, with the errors and the notice to show with it.

    `data` has what was typed, by field name. `idempotency_key` is the form's one-time id, by which it is acted on only
    once. `notice` is `stale` (sent by no page of this session), `unavailable`, `too_large`, or `resumed` after sign-in.
    `address` is that of the page the form belongs to, if another page shows it.
    """

    data: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    errors: tuple[FieldError, ...] = ()
    notice: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, sent: Mapping[str, str]) -> Self:
        """Make the form that was sent, without blank fields, and without spaces around the others; CR LF becomes LF.

        The field `idempotency_key` becomes the attribute of that name, and is not in `data`.
        """
        trimmed = {name: trim(value) for name, value in sent.items()}
        data = {name: value for name, value in trimmed.items() if value}
        return cls(data, data.pop("idempotency_key", None))

    def read(self, schema: type[StrictSchema]) -> dict[str, Any]:
        """Return the typed values as the schema reads them. Raises `InvalidInput` if one is missing or does not fit."""
        made = schema()
        return made.read(self._as_seen(made))

    def read_leniently(self, schema: type[StrictSchema]) -> dict[str, Any]:
        """Return the values that fit the schema; those that do not, and fields that it does not have, are left out."""
        made = schema()
        try:
            found: Any = made.load(self._as_seen(made), unknown=EXCLUDE)
        except ValidationError as error:
            found = error.valid_data
        return found if isinstance(found, dict) else {}

    def _as_seen(self, schema: StrictSchema) -> dict[str, str]:
        """Return what was typed, by field name: as `seen` where the schema takes one line, unless nothing is seen."""
        lines = {name for name, one in schema.fields.items() if is_line(one) and name not in _FILES}
        return {name: (name in lines and seen(text)) or text for name, text in self.data.items()}


_FILES = ("file", "draft")


def seen(text: str) -> str:
    """Return a line as a reader sees it: without characters that have no width, and each tab or space as a blank.

    Mail programs and web pages put marks of direction and such spaces into the numbers that people copy from them.
    """
    return "".join(" " if one.isspace() and one != "\n" else one for one in text if category(one) != "Cf").strip()


def trim(text: str) -> str:
    """Return a text as `Form.of` reads it: without spaces around it, and with LF in place of CR LF."""
    return text.replace("\r\n", "\n").strip()


Moment = partial(ReadText, Typed, 100)
"""A field for a date and time in the reader's spelling, or an RFC 3339 instant. Its value is a `Typed`."""


class AskedSchema(StrictSchema):
    """How and when a customer asks; `opened` is the time of receipt if that is when a page was opened."""

    channel = Choice(Channel)
    received_at = Moment()
    sent_at = Moment()
    opened = Text(100)


class ByDateSchema(AskedSchema):
    """A service of which only the day and the region are known, and how and when the customer asks."""

    provided_on = Moment()
    region = Text(80)


class FindSchema(ByDateSchema):
    """A search of an agent: a number, or a day and a region."""

    q = Text(200)
    by_date = Text(1)


class CustomerSchema(AskedSchema):
    """The page of a customer's orders to show, what narrows them down, and how and when they ask."""

    after = before = AFTER
    narrow = Text(200)


class EntrySchema(AskedSchema, InlineContactSchema):  # type: ignore[misc] # times as people write them
    """A contact as entered, new or already stored, and the override of a refusal, if any."""

    contact_id = RecordId("con", "")
    intent = Choice(Intent)
    override = Choice(OverrideKind)
    reason = FreeText(500)


class AnsweredSchema(AcknowledgementRequestSchema):
    """How and when the customer was answered."""

    given_at = Moment()  # type: ignore[assignment] # also accepts how people write times


class UnmatchedEntrySchema(AskedSchema, UnmatchedContactRequestSchema):  # type: ignore[misc] # as above
    """A contact whose order is not known, as entered."""


class BegunSchema(AskedSchema):
    """What was typed at Check before a contact is recorded without its order."""

    order_hint = Line(200)


class QueueSchema(StrictSchema):
    """What is shown of the queue, and what is left for the next: an order, or a contact without one.

    It is a tab, its page from 1 on, and the rows of a page, which can be `ticked`; `mine`: only what the user has
    taken. `result` is what became of several.
    """

    tab = Choice(Tab)
    page = WholeText(1, 10_000)
    rows = WholeText(1, MOST)
    ticked = Text(3, pattern="all")
    mine = Text(3, pattern="yes")
    result = Text(8000)
    done = Text(200)


class Doing(StrEnum):
    """What is done about who deals with a request, or about several requests."""

    TAKE = "take"
    GIVE_BACK = "give_back"
    ASSIGN = "assign"
    RESOLVE = "resolve"


class SeveralSchema(QueueSchema):
    """What is done with several entries of the queue."""

    doing = Choice((Doing.TAKE, Doing.ASSIGN, Doing.RESOLVE), required=True)
    taken_by = Text(64)
    reason_code = Choice([one for one in ResolutionReason if one is not ResolutionReason.DUPLICATE])
    reason = FreeText(500)


class NewDataRequestSchema(DataRequestRequestSchema):
    """What a person asks for about their data, as entered."""

    received_at = Moment()  # type: ignore[assignment] # also accepts how people write times


def _form(**fields: Field[Any]) -> type[StrictSchema]:
    """Return the schema of a form or an address with these fields, by name."""
    return StrictSchema.from_dict(fields)  # type: ignore[return-value] # it returns a class like its own


SearchSchema = _form(search=Text(200, required=True))
MatchSchema = _form(order_id=Text(200, required=True), ticket_ref=Line(100))
AssignedSchema = _form(doing=Choice((Doing.TAKE, Doing.GIVE_BACK, Doing.ASSIGN), required=True), taken_by=Text(64))
CancellationsSchema = _form(
    state=Choice(State),
    basis=Choice(Basis),
    issued_by=Text(64),
    overdue=Text(4, pattern="true"),
    **{name: Moment() for name in ("issued_from", "issued_to", "due_from", "due_to")},
    after=AFTER,
    before=AFTER,
)
PrintedSchema = _form(language=Language())  # of a page for the customer, independent of the reader's own
ExportedSchema = _form(language=Language(), data=Text(1))  # with `data`, it is data instead of a page
MonthSchema = _form(month=Month())

JournalPageSchema = _form(before=WholeText(1, 2**53 - 1), after=WholeText(1, 2**53 - 1))  # positions in the journal
JournalSchema = _form(type=Choice(EventType), order_id=Text(200), actor=Text(64), since=Moment(), until=Moment())

OwnPasswordSchema = _form(
    old_password=Text(200, required=True), new_password=Text(64, required=True), mark=Text(64, required=True)
)
OwnSessionSchema = _form(session=Text(64))  # the one to end; without it, all others

_SHOWN = Text(64)  # the fingerprint of what the reader was shown
WithdrawingSchema = _form(shown=_SHOWN)
DraftFormSchema = _form(shown=_SHOWN, file=Text(MOST_BYTES), draft=Text(MOST_BYTES), now=Text(3, pattern="yes"))
ClosingSchema = _form(shown=_SHOWN, date=Moment(required=True), reason_de=FreeText(200), reason_en=FreeText(200))
WhatIfSchema = _form(
    window_business_days=WholeText(1, 366),
    business_week=Text(7, pattern="mon-fri|mon-sat|country"),
    timely_by=Choice(TimelyBy),
)

DataRequestsSchema = _form(after=AFTER, show=Text(10, pattern="open|overdue|closed"), kind=Choice(DataRequestKind))
ExtensionSchema = _form(extension_reason=FreeText(500, required=True))
FeeSchema = _form(fee=Text(20, pattern="none|further_copy|excessive", required=True), fee_reason=FreeText(500))
FulfilmentSchema = _form(outcome_reason=FreeText(500), erasure_reason=Choice(ErasureReason), anyway=Line(200))
RefusalSchema = _form(refusal_reason=FreeText(500, required=True))


def require(found: Mapping[str, Any], name: str, needed: object = True) -> None:
    """Raise `InvalidInput` at the field `name` if it is needed and the values of the form lack it."""
    if needed and name not in found:
        raise InvalidInput.at(f"/{name}", Message("is required"), "required")


def all_of(*reads: Callable[[], Any]) -> list[Any]:
    """Return the result of each read, in order.

    If some raise `InvalidInput`, the others are still called; then one `InvalidInput` with the errors of all is raised.
    """
    found: list[Any] = []
    errors: list[FieldError] = []
    for read_one in reads:
        try:
            found.append(read_one())
        except InvalidInput as error:
            errors += error.errors
    if errors:
        raise InvalidInput(errors)
    return found
