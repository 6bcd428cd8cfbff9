"""References of cancellations and numbers of requests, as customers read them out."""

import secrets
from typing import NamedTuple

from stdnum import damm

from refunds.errors import Message, Unfit

_RANDOM_DIGITS = 9
_RANDOM_DIGITS_OF_REQUESTS = 7


def new_request_number() -> str:
    """Return a random request number of seven digits and a check digit; the caller must check that it is not in use."""
    return _with_check_digit(_RANDOM_DIGITS_OF_REQUESTS)


def format_request_number(number: str) -> str:
    """Return a request number of eight digits as people read it aloud, in two groups: 1234-5678."""
    return f"{number[:4]}-{number[4:]}"


def new_reference() -> str:
    """Return a random reference of nine digits and a check digit (Damm, 2004); the caller checks that it is unused."""
    return _with_check_digit(_RANDOM_DIGITS)


def _with_check_digit(random_digits: int) -> str:
    """Return a text of `random_digits` random digits, which may begin with zeros, and then their check digit."""
    digits = f"{secrets.randbelow(10**random_digits):0{random_digits}}"
    return digits + str(damm.calc_check_digit(digits))


def format_reference(reference: str) -> str:
    """Return a reference of ten digits as people read it aloud, in three groups: 123-456-7890."""
    return f"{reference[:3]}-{reference[3:6]}-{reference[6:]}"


def parse_reference(text: str) -> str:
    """Return the ten digits of a reference, without its dashes and spaces.

    Raises `Unfit` if the text has another form or its check digit is wrong.
    """
    return _parse(text, _REFERENCE, _REQUEST_NUMBER)


def parse_request_number(text: str) -> str:
    """Return the eight digits of a request number, typed with dashes and spaces or without.

    Raises `Unfit` for another text; it names the reference if the text is one, or the check digit if that is wrong.
    """
    return _parse(text, _REQUEST_NUMBER, _REFERENCE)


class _Form(NamedTuple):
    """How many digits a kind of number has, what it must look like, and what to say where another kind is expected."""

    digits: int
    shape: Message
    instead: Message


_REFERENCE = _Form(
    _RANDOM_DIGITS + 1,
    Message("must be a reference of ten digits, such as 123-456-7894"),
    Message("is the reference of a cancellation: the number of a request has eight digits, as in 1234-5671"),
)
_REQUEST_NUMBER = _Form(
    _RANDOM_DIGITS_OF_REQUESTS + 1,
    Message("must be the number of a request, of eight digits, such as 1234-5671"),
    Message("is the number of a request: a cancellation's reference has ten digits, such as 123-456-7894"),
)


def _parse(text: str, form: _Form, other: _Form) -> str:
    """Return the digits of a number of this form, in which hyphens and blanks do not count.

    Raises `Unfit`, which says if the text is of the form `other` instead, or if only the check digit is wrong.
    """
    digits = text.replace("-", "").replace(" ", "")
    is_number = digits.isascii() and digits.isdigit()
    if is_number and len(digits) == other.digits and damm.is_valid(digits):
        raise Unfit(other.instead)
    if not is_number or len(digits) != form.digits:
        raise Unfit(form.shape)
    if not damm.is_valid(digits):
        raise Unfit(Message("the check digit is wrong: compare the digits one by one"))
    return digits
