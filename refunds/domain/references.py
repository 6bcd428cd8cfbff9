"""References of cancellations and numbers of requests, as customers read them out."""

import secrets
from collections.abc import Callable
from typing import NamedTuple

from stdnum import damm

from refunds.errors import Message, Unfit


class NumberForm(NamedTuple):
    """A kind of number: random digits, then their check digit (Damm, 2004).

    `spoken` writes a number as people read it aloud, in groups. `shape` says what a number must look like, and
    `instead` what to say where a number of this kind stands for one of the other.
    """

    digits: int
    spoken: Callable[[str], str]
    shape: Message
    instead: Message

    def new(self) -> str:
        """Return a random number, which may begin with zeros; the caller checks that it is not in use."""
        random_digits = self.digits - 1
        digits = f"{secrets.randbelow(10**random_digits):0{random_digits}}"
        return digits + str(damm.calc_check_digit(digits))

    def parse(self, text: str) -> str:
        """Return the digits of a number, typed with hyphens and blanks or without.

        Raises `Unfit`, which says if the text is a number of the other kind, or if only the check digit is wrong.
        """
        digits = text.replace("-", "").replace(" ", "")
        is_number = digits.isascii() and digits.isdigit()
        other = REQUEST_NUMBER if self is REFERENCE else REFERENCE
        if is_number and len(digits) == other.digits and damm.is_valid(digits):
            raise Unfit(other.instead)
        if not is_number or len(digits) != self.digits:
            raise Unfit(self.shape)
        if not damm.is_valid(digits):
            raise Unfit(Message("the check digit is wrong: compare the digits one by one"))
        return digits


REFERENCE = NumberForm(
    10,
    lambda number: f"{number[:3]}-{number[3:6]}-{number[6:]}",
    Message("must be a reference of ten digits, such as 123-456-7894"),
    Message("is the reference of a cancellation: the number of a request has eight digits, as in 1234-5671"),
)
REQUEST_NUMBER = NumberForm(
    8,
    lambda number: f"{number[:4]}-{number[4:]}",
    Message("must be the number of a request, of eight digits, such as 1234-5671"),
    Message("is the number of a request: a cancellation's reference has ten digits, such as 123-456-7894"),
)
