"""Telephone numbers and e-mail addresses, in the one spelling in which they are compared."""

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from refunds.policy import Channel


def canonical(channel: Channel, text: str, country: str) -> str:
    """The contact point in the spelling of a policy: a number in E.164, an address in lower case.

    A number without a country code is taken as one of `country` (two letters). Raises `ValueError`, saying
    what is expected, for what is neither.
    """
    if channel is Channel.EMAIL:
        try:
            return validate_email(text, check_deliverability=False).normalized.casefold()
        except EmailNotValidError:
            raise ValueError("must be an e-mail address, as the channel is email") from None
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_possible_number(number):
        raise ValueError("must be a telephone number such as +493012345678, as the channel is phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
