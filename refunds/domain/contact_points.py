"""Channels, and the one spelling of each telephone number and e-mail address."""

import re
from contextlib import suppress
from enum import StrEnum

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from refunds.errors import Message, Unfit

_DIALLED = re.compile(r"\+?[0-9][0-9 ()./-]{0,30}|\([0-9 ()./-]{1,31}")

_SIGNIFICANT = 6  # digits: fewer would be in many texts that name no such number
_POSSIBLE = phonenumbers.ValidationResult.IS_POSSIBLE
LONGEST_NUMBER = len("+") + 15  # source: ITU-T E.164, section 6


class Channel(StrEnum):
    """How a customer may make contact."""

    PHONE = "phone"
    EMAIL = "email"
    WEB = "web"  # a form or button on the vendor's website
    POST = "post"


def canonical(channel: Channel, text: str, country: str | None = None) -> str:
    """Return a telephone number (for `PHONE`) or an e-mail address (for `EMAIL`) in its one spelling.

    A number is spelt in E.164; an address in lower case, its domain in Unicode. A number without a country code is read
    as one of `country` (two letters), if given. A number that cannot exist passes, too. Raises `Unfit`, with what is
    expected, if the whole text is neither, or for another channel.
    """
    match channel:
        case Channel.PHONE:
            return _number(text, country)[0]
        case Channel.EMAIL:
            return _canonical_address(text)
        case Channel.WEB | Channel.POST:
            raise Unfit(Message("must be left out: this channel has no official numbers or addresses"))


def _canonical_address(text: str) -> str:
    """Return an e-mail address in lower case, its domain in Unicode; raise `Unfit` if the text is no e-mail address."""
    try:
        return validate_email(text, check_deliverability=False, globally_deliverable=False).normalized.lower()
    except EmailNotValidError:
        raise Unfit(Message("must be an e-mail address")) from None


def _number(text: str, country: str | None) -> tuple[str, phonenumbers.PhoneNumber]:
    """Return a telephone number in E.164, and as parsed; raise `Unfit` if the text is no telephone number.

    A text without a country code is read as a number of `country`; if that is None, it is no telephone number.
    """
    if _DIALLED.fullmatch(text):
        with suppress(phonenumbers.NumberParseException):
            number = phonenumbers.parse(text, country)
            spelt = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if len(spelt) <= LONGEST_NUMBER:
                return spelt, number
    raise Unfit(Message("must be a telephone number with its country code, such as +493012345678"))


def customers_detail(text: str, country: str | None = None) -> str:
    """Return a customer's telephone number or e-mail address in its one spelling; `country` as in `canonical`.

    Raises `Unfit` if the text is neither, or if no such number can exist. A number without a country code is also
    refused if it lacks its area code, or without a `country`; otherwise the error names that country.
    """
    is_national = "@" not in text and not text.startswith("+")
    with suppress(Unfit):
        if "@" in text:
            return _canonical_address(text)
        spelt, number = _number(text, country)
        found = phonenumbers.is_possible_number_with_reason(number)
        # Without a country code, one that can only be dialled nearby lacks its area code.
        if found is _POSSIBLE or (not is_national and phonenumbers.is_possible_number(number)):
            return spelt
    if country and is_national and _DIALLED.fullmatch(text):
        detail = Message(
            "must be a telephone number that can exist in %(country)s, or be written with its country code, as in "
            "+43 664 1234567",
            country=country,
        )
        raise Unfit(detail, "impossible_number")
    raise Unfit(
        Message("must be a telephone number with its country code, as in +43 664 1234567, or an e-mail address")
    )


def significant(text: str, country: str) -> str | None:
    """Return a telephone number's digits without its country code, to compare spellings.

    A number without a country code is read as one of `country` (two letters). Returns None if the text is not a
    telephone number, or if fewer than six digits are left.
    """
    if not _DIALLED.fullmatch(text):
        return None
    try:
        found = phonenumbers.national_significant_number(phonenumbers.parse(text, country))
    except phonenumbers.NumberParseException:
        return None
    return found if len(found) >= _SIGNIFICANT else None
