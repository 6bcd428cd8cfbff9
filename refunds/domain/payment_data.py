"""Payment data in texts: card numbers and IBANs, which the service does not store."""

import re
import unicodedata
from collections.abc import Iterator

import phonenumbers
from stdnum import iban, luhn

from refunds.domain.contact_points import LONGEST_NUMBER

_ISSUED = tuple(
    (re.compile(prefix), lengths)
    for prefix, lengths in (
        (r"4", {13, 16, 19}),  # Visa
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", {16}),  # Mastercard
        (r"3[47]", {15}),  # American Express
        (r"3(?:0[0-5]|095|[689])", {14, 15, 16, 17, 18, 19}),  # Diners Club
        (r"6011|64[4-9]|65", {16, 17, 18, 19}),  # Discover
        (r"35(?:2[89]|[3-8])", {16, 17, 18, 19}),  # JCB
        (r"62|81", {16, 17, 18, 19}),  # UnionPay
        (r"50(?:18|20|38)|5893|6304|6759|676[1-3]", {13, 14, 15, 16, 17, 18, 19}),  # Maestro
        (r"220[0-4]", {16, 17, 18, 19}),  # Mir
    )
)

_SEPARATORS = r"[\s./_,\-\u2010-\u2015\u2212]{0,3}"

_DIGITS = re.compile(rf"[0-9](?:{_SEPARATORS}[0-9])*")

_GROUP = re.compile(r"[0-9]+")

_SHORTEST_CARD, _LONGEST_CARD = 13, 19

_DIALLING = re.compile(r"(?:\+|(?<![0-9])00)[ .-]?\Z")

_IBAN = re.compile(
    rf"(?=([A-Z]{_SEPARATORS}[A-Z]{_SEPARATORS}[0-9]{_SEPARATORS}[0-9](?:{_SEPARATORS}[A-Z0-9]){{11,30}}))"
)

_SHORTEST_IBAN = 15


def holds_payment_data(text: str) -> bool:
    """Whether a text contains the number of a payment card or an IBAN, however it is spaced.

    A card number has a known issuer's prefix and length, passes its check, and is not a telephone number: one after
    `+` or `00`, or a valid one of 13 digits. Without the prefixes, one in ten German mobile numbers would match.
    """
    plain = _plain(text)
    return any(
        _is_card(digits) and not _is_dialled(plain[:start], digits) for start, digits in _card_candidates(plain)
    ) or any(map(_is_iban, _iban_candidates(plain.upper())))


def is_payment_data(reference: str) -> bool:
    """Whether a reference contains a card number or an IBAN, as in `holds_payment_data`.

    Unlike there, digits directly after a letter are no card number.
    """
    plain = _plain(reference)
    return holds_payment_data(_AFTER_LETTER.sub(" ", plain)) or any(map(_is_iban, _iban_candidates(plain.upper())))


_AFTER_LETTER = re.compile(r"(?<=[^\W\d_])[0-9]+")


def _plain(text: str) -> str:
    """The text without marks and invisible characters, its digits and letters in their plain forms."""
    visible = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in _UNSEEN)
    return "".join(str(unicodedata.decimal(c, c)) for c in visible)


_UNSEEN = {"Cf", "Mn", "Me"}


def _card_candidates(text: str) -> Iterator[tuple[int, str]]:
    """Every run of whole groups of digits that has 13 to 19 of them: its start and its digits."""
    for run in _DIGITS.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
        for i, (start, _) in enumerate(groups):
            for _, end in groups[i:]:
                digits = "".join(_GROUP.findall(text[start:end]))
                if len(digits) > _LONGEST_CARD:
                    break
                if len(digits) >= _SHORTEST_CARD:
                    yield start, digits


def _is_card(digits: str) -> bool:
    issued = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _ISSUED)
    return issued and bool(luhn.is_valid(digits))


def _is_dialled(before: str, digits: str) -> bool:
    """Whether digits are a telephone number: a possible one after `+` or `00`, or any valid one of 13 digits."""
    if len(digits) > LONGEST_NUMBER - len("+"):
        return False
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return False
    if _DIALLING.search(before):
        return phonenumbers.is_possible_number(number)
    return len(digits) == _SHORTEST_CARD and phonenumbers.is_valid_number(number)


def _is_iban(candidate: str) -> bool:
    return bool(iban.is_valid(candidate, check_country=False))  # banks' own checks have exceptions


def _iban_candidates(text: str) -> Iterator[str]:
    """Everything that begins like an IBAN, at any place, in every length from 15 on; without separators."""
    for found in _IBAN.finditer(text):
        compact = re.sub(r"[^A-Z0-9]", "", found[1])
        yield from (compact[:length] for length in range(_SHORTEST_IBAN, len(compact) + 1))
