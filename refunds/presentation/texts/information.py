"""What a person is told with their data, by Article 15 of the GDPR."""

from collections.abc import Iterator
from typing import NamedTuple

from refunds.domain.retention import PERIODS, Period
from refunds.domain.terms import Terms
from refunds.errors import Message
from refunds.presentation.language import translate, translate_number


class Information(NamedTuple):
    """A heading of the information, and its paragraphs; `name` is what the API calls it."""

    name: str
    title: str
    paragraphs: list[str]


_INFORMATION = {
    "purposes": (
        Message("What your data is used for"),
        Message("To decide whether an order can be cancelled and refunded, to answer you, and to refund."),
        Message("To prove later what was decided and told, and to keep what the law requires."),
    ),
    "categories": (
        Message("Which data this is"),
        Message("Your customer reference and your orders: when they were placed and the service was provided."),
        Message(
            "Your calls, e-mails, letters and forms about them: when they came, your number or address, notes and "
            "tickets; the decisions made on them, cancellations and refunds, without amounts or payment data."
        ),
        Message("Your requests about your data, what was handed to others, and what limits its use."),
    ),
    "recipients": (
        Message("Who receives it"),
        Message("The vendor's support and billing. Whom else your data was handed to is listed under disclosures."),
    ),
    "source": (
        Message("Where it comes from"),
        Message("From you, when you made contact, and from the vendor's billing, which registered your orders."),
    ),
    "automated_decision": (
        Message("How decisions are made"),
        Message(
            "The service counts the business days after the day on which the service was provided. A request that "
            "is made before the end of the last day of the window is in time. Weekends, public holidays of your region "
            "and days on which the vendor is closed do not count. Each decision below lists its days and says why "
            "each counts or does not."
        ),
        Message("It decides whether the vendor's promise to cancel applies. Your statutory rights are not assessed."),
    ),
    "human_review": (
        Message("A person can look at it"),
        Message(
            "You can ask for a person to review a decision, give your view, and contest it. A supervisor can decide "
            "otherwise."
        ),
    ),
    "rights": (
        Message("Your rights"),
        Message(
            "You can ask the vendor to correct or erase your data, to restrict its use, or to hand it over in a form "
            "that machines read, and you can object to its use."
        ),
    ),
    "complaint": (
        Message("Complaints"),
        Message("You can complain to a data protection authority, such as the one where you live."),
    ),
    "transfers": (
        Message("Transfers to other countries"),
        Message("The service itself passes no data to countries outside the EU or to international organisations."),
    ),
}


def information() -> Iterator[Information]:
    """Yield what a person is told with their data (GDPR, Article 15), heading by heading, in the reader's language."""
    for name, (title, *paragraphs) in _INFORMATION.items():
        yield Information(name, translate(title), list(map(translate, paragraphs)))


class Kept(NamedTuple):
    """What is kept, for how long, from when on, and by which law."""

    records: str
    period: str
    since: str
    law: str


def retention(terms: Terms) -> Iterator[Kept]:
    """Yield how long each kind of record is kept, from when and by which law, in the reader's language.

    `terms` are those of the default policy.
    """
    for one in PERIODS:
        yield Kept(translate(one.what), _length(one, one.length(terms)), translate(one.since), translate(one.law))


def _length(period: Period, number: int) -> str:
    """Return the length of a period in words; `number` is in the period's unit: years, months or days.

    A length in years says that it runs to the end of the year.
    """
    if period.in_years:
        return translate_number("%(num)s year, to the end of the year", "%(num)s years, to the end of the year", number)
    if period.term:
        return translate_number("%(num)s month", "%(num)s months", number)
    return translate_number("%(num)s day", "%(num)s days", number)
