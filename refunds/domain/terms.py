"""The terms of a policy: everything that a version of it says.

A term is one field of `Terms`, with its default, its bounds and its help. The policy files, the API and its document,
and the differences between two versions all derive from it.
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from refunds.domain.contact_points import Channel
from refunds.domain.region_days import WEEKDAYS, Week
from refunds.errors import Message


class TimelyBy(StrEnum):
    """Which time of a contact is judged."""

    RECEIVED = "received"
    SENT = "sent"


class JudgedBy(StrEnum):
    """Which version judges an order: the one in force when its service was provided, or when it was ordered."""

    PROVIDED = "provided"
    ORDERED = "ordered"


class WithoutSubdivision(StrEnum):
    """Which holidays of its subdivisions count in a country: those that all of them have, or those that any has."""

    SHARED = "shared"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class ContactChannel:
    """Whether a channel counts, and the vendor's official numbers or addresses; if empty, they are not checked."""

    accepted: bool = True
    points: tuple[str, ...] = ()


_NEVER_ACCEPTED = ContactChannel(accepted=False)  # a channel that no policy accepts: only withdrawals count by it


@dataclass(frozen=True, slots=True)
class Texts:
    """The clause as customers read it, and what an agent may say."""

    de: str | None = None
    en: str | None = None


class Bounds(NamedTuple):
    """The values that a term may have within its type: bounds of a number, or of the length of a text or list."""

    least: int = 1
    most: int = 0  # 0: there is no bound to declare, as for an instant
    pattern: str | None = None
    shape: Message = Message("must be a text")  # what a text must be to match the pattern, in words


def term(default: Any, text: str, *bounds: Any) -> Any:
    """Declare a field of `Terms`: its default, its help, and the values of its `Bounds`."""
    return field(default=default, metadata={"help": text, "bounds": Bounds(*bounds)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Everything that a policy version says."""

    window_business_days: int = term(
        2, "How many business days after the service day the order can be cancelled.", 1, 366
    )
    business_week: Week = term(
        WEEKDAYS[:5],
        'The weekdays that can be business days. `["country"]`: the weekdays that are working days by the '
        "country's law on each date.",
    )
    end_week: Week | None = term(
        None,
        "The weekdays on which the window may end. If its last counted day is another weekday, the window runs on to "
        "the next of these weekdays that is no holiday and no closure. Useful with a Monday-to-Saturday week (German "
        "Civil Code, section 193). Without it, the window ends on its last counted day.",
    )
    region: str = term(
        "DE",
        "Whose public holidays count: a country, or a country and a subdivision, as in `DE` and `DE-BY`.",
        1,
        40,
    )
    follow_order_region: bool = term(
        True, "Use the region that an order names (the customer's place); the policy's if it names none."
    )
    time_zone: str = term("Europe/Berlin", "The IANA time zone whose midnight ends a day.")
    closures: tuple[date, ...] = term((), "The vendor's own closed dates, known when the version was made.", 0, 1000)
    timely_by: TimelyBy = term(TimelyBy.RECEIVED, "Which time of a contact is judged: when it was received, or sent.")
    judged_by: JudgedBy = term(
        JudgedBy.PROVIDED,
        "The version that judges an order: the one in force when its service was provided, or when it was ordered.",
    )
    phone: ContactChannel = term(ContactChannel(), "Cancellation by telephone.")
    email: ContactChannel = term(ContactChannel(), "Cancellation by e-mail.")
    late_entry_days: int = term(
        5,
        "Only a supervisor can enter a contact that was received more than this many business days before.",
        1,
        366,
    )
    evidence_after_deadline: bool = term(
        True, "A contact received before the deadline and entered after it needs a ticket."
    )
    refund_due_days: int = term(
        14,
        "Within how many calendar days billing intends to refund: an internal target that customers are not told.",
        1,
        366,
    )
    vendor_name: str | None = term(None, "Whose policy it is.", 1, 200)
    page_url: str | None = term(
        None,
        "Where the vendor's page shows the policy.",
        1,
        2000,
        r"https?://[!-~]+",
        Message("must be an http or https address"),
    )
    page_published_at: datetime | None = term(None, "From when the vendor's page shows this version.")
    texts: Texts = term(Texts(), "The clause as customers read it.")
    without_subdivision: WithoutSubdivision = term(
        WithoutSubdivision.SHARED,
        "Which holidays count if only the country is known: its own and those that all its subdivisions share, or also "
        "those of any of them. With `any`, the end is never too early for anybody.",
    )
    period_law_days: bool = term(
        True,
        "Days that the country's law on periods adds to the public holidays do not count either: in the Netherlands "
        "5 May and Good Friday, in Sweden and Finland the eves.",
    )
    keep_details_months: int = term(
        12, "For how many months notes and tickets of contacts are kept, unless they prove a request in time.", 1, 120
    )
    keep_cancelled_years: int = term(
        8, "For how many years, to the end of the last, orders with a cancellation are kept.", 1, 30
    )
    keep_contacted_years: int = term(
        3, "For how many years, to the end of the last, orders with contacts only are kept.", 1, 30
    )
    keep_ordered_years: int = term(3, "For how many years, to the end of the last, other orders are kept.", 1, 30)
    keep_others_years: int = term(
        3,
        "For how many years, to the end of the last, contacts without an order, data requests, disclosures and lifted "
        "limits are kept.",
        1,
        30,
    )

    @property
    def country(self) -> str:
        """The country of the policy's region, in two letters."""
        return self.region[:2]

    def channel(self, channel: Channel) -> ContactChannel:
        """Return whether a channel counts for requests (web and post never), and its official numbers or addresses."""
        match channel:
            case Channel.PHONE:
                return self.phone
            case Channel.EMAIL:
                return self.email
            case Channel.WEB | Channel.POST:
                return _NEVER_ACCEPTED


TERM_NAMES = tuple(f.name for f in fields(Terms))

LATER_TERMS = (
    "without_subdivision",
    "period_law_days",
    "keep_details_months",
    "keep_cancelled_years",
    "keep_contacted_years",
    "keep_ordered_years",
    "keep_others_years",
)
"""Terms that versions from before them have at their defaults: a version's hash leaves them out if it has those, too,
so that the same file is the same version for ever.
"""
