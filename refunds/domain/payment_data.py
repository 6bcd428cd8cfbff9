"""Payment data in texts, which the service does not store: card numbers, IBANs, and what is labelled as an account's.

Every check takes time in proportion to the text: it may come from anyone and be long.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import phonenumbers
from stdnum import iban, luhn, numdb

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

_RUN = re.compile(r"[0-9](?:[\W_]*[0-9])*")  # groups of digits without a letter between them

_GROUP = re.compile(r"[0-9]+")

_SHORTEST_CARD = 13

_PLUS = re.compile(r"(?<![0-9])\+[ (]?\Z")

_DIALLING = re.compile(r"(?:\+|(?<![0-9])00)[ .(-]{0,2}\Z")

_MOMENT = re.compile(
    r"(?<![0-9.:/+-])(?:(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:[0-2][0-9]|3[01])"
    r"|(?:[0-2]?[0-9]|3[01])([./-])(?:0?[1-9]|1[0-2])\1(?:(?:19|20)[0-9]{2}|[0-9]{2}))"
    r"(?:[T, ]{1,2}[0-2]?[0-9][:.][0-5][0-9](?:[:.][0-5][0-9](?:\.[0-9]{1,9})?)?)?(?![0-9]|[.:/-][0-9])"
)
"""A date, with its time if it has one."""

_GAP = r"[\s:#=.,()\"'/-]{0,9}"
_LINK = r"nummer|number|num|nr|no|code|ist|is|was|war|lautet|der|die|das|of|the|my|mein|meine|karte|card|bank|kunde"
_OF_NO_BANK = r"(?<!user.)(?<!customer.)(?<!online.)(?<!kunden.)"
_ENDED = r"(?![^\W\d_])"

_LABELLED = re.compile(
    "|".join(
        rf"\b(?:{label}){_ENDED}(?:{_GAP}(?<![^\W\d_])(?:{_LINK}){_ENDED}){{0,4}}{_GAP}{number}(?![0-9])"
        for label, number in (
            (
                rf"{_OF_NO_BANK}(?:(?:bank|giro|spar)?k(?:on)?to(?:nummer|nr)?|account|acct|a/c)",
                r"[0-9](?:[ ./-]{0,2}[0-9]){4,17}",
            ),
            (r"blz|bankleitzahl|bank code|sort ?code|routing number|aba", r"[0-9](?:[ ./-]{0,2}[0-9]){5,8}"),
            (r"cv[vcn]2?|kartenprüfnummer|(?:karten)?prüfziffer|sicherheitscode|security code", r"[0-9]{3,4}"),
            (r"pin|geheimzahl", r"[0-9](?:[ -]?[0-9]){3,7}"),
        )
    ),
    re.IGNORECASE,
)
"""Numbers that are labelled as those of an account, as a sort code, a card's CVV, or a PIN."""

_IBAN = re.compile(r"(?=([A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}))")


def holds_payment_data(text: str) -> bool:
    """Tell whether a text has the number of a payment card, an IBAN, or a number that is labelled as payment data.

    A card number has a known issuer's prefix and length and a valid check digit, in groups of any size. It is neither a
    telephone number (one after `+` or `00`, or a valid one of 13 digits) nor a date. Without the prefixes, one in ten
    German mobile numbers would match. The labels are those of accounts, sort codes, CVVs and PINs.
    """
    plain = _MOMENT.sub("x", _plain(text))
    return (
        bool(_LABELLED.search(plain))
        or any(_holds_card(plain, run) for run in _RUN.finditer(plain))
        or any(_begins_with_iban(found[1]) for found in _IBAN.finditer(_compact(plain)))
    )


def is_payment_data(reference: str) -> bool:
    """Tell whether a reference contains payment data by `holds_payment_data`, but ignore what random ids contain.

    That is UUIDs and digits directly beside a letter. An IBAN at the beginning of a word is always found.
    """
    plain = _plain(reference)
    ibans = (_compact(plain[word.start() :]) for word in _IBAN_WORD.finditer(plain))
    return holds_payment_data(_NO_CARD.sub(" ", plain)) or any(map(_begins_with_iban, ibans))


_IBAN_WORD = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]")
_NO_CARD = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=[^\W\d_])[0-9]+|[0-9]+(?=[^\W\d_])", re.IGNORECASE
)


def _plain(text: str) -> str:
    """Return a text in plain digits and letters, without combining marks and invisible characters; capitals stay."""
    visible = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) not in _UNSEEN)
    return "".join(str(unicodedata.decimal(c, c)) for c in visible)


_UNSEEN = {"Cf", "Mn", "Me"}


Groups = list[tuple[int, int]]  # where groups of digits begin and end in a text


def _holds_card(text: str, run: re.Match[str]) -> bool:
    """Tell whether neighbouring groups of a run of digits, outside its telephone numbers, are a card number."""
    groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
    return _is_card_among(text, groups) and any(_is_card_among(text, part) for part in _without_telephone(text, groups))


def _is_card_among(text: str, groups: Groups) -> bool:
    """Tell whether some whole neighbouring groups of digits are a card number, and not a dialled telephone number."""
    digits, ends = "".join(text[start:end] for start, end in groups), [0]
    for start, end in groups:
        ends.append(ends[-1] + end - start)
    if len(digits) < _SHORTEST_CARD:
        return False
    whole = set(ends)
    for (start, _), begin in zip(groups, ends, strict=False):
        for length in _lengths(digits[begin : begin + 4]):
            card = digits[begin : begin + length]
            if begin + length in whole and not luhn.checksum(card) and not _is_dialled(_before(text, start), card):
                return True
    return False


@cache
def _lengths(beginning: str) -> tuple[int, ...]:
    """Return the lengths of the card numbers that issuers begin with these digits, in no order; empty if none does."""
    return tuple({one for prefix, lengths in _ISSUED if prefix.match(beginning) for one in lengths})


def _without_telephone(text: str, groups: Groups) -> Iterator[Groups]:
    """Yield the groups of digits before, between and after the telephone numbers in a text, as lists that may be empty.

    A telephone number begins after a `+` or, as the first group or right after another number, with a 0.
    """
    part: Groups = []
    left = 0
    for i, (start, _) in enumerate(groups):
        left -= 1
        if left > 0:
            continue
        after_plus = bool(_PLUS.search(_before(text, start)))
        if after_plus or (not part and text[start] == "0"):
            left = _telephone(text, groups[i : i + LONGEST_NUMBER], "+" * after_plus)
        if left > 0:
            yield part
            part = []
        else:
            part.append(groups[i])
    yield part


def _telephone(text: str, groups: Groups, sign: str) -> int:
    """Return the smallest number of leading groups that are a valid telephone number; 0 if none are.

    The number has its country code if `sign` is `+`, and is else read as a German one. The result is 0, too, if the
    first four groups have four digits each and contain a card number.
    """
    if [end - start for start, end in groups[:4]] == [4] * 4 and _is_card_among(text, groups[:4]):
        return 0
    digits = ""
    for count, (start, end) in enumerate(groups, 1):
        digits += text[start:end]
        if len(digits) > LONGEST_NUMBER:
            break
        with suppress(phonenumbers.NumberParseException):
            if phonenumbers.is_valid_number(phonenumbers.parse(sign + digits, "DE")):
                return count
    return 0


def _before(text: str, start: int) -> str:
    """Return the six characters before a position in a text, or as many as there are."""
    return text[max(start - 6, 0) : start]


def _is_dialled(before: str, digits: str) -> bool:
    """Tell whether digits are a telephone number with its country code, of at most 15 digits.

    After `+` or `00` at the end of `before`, any possible number counts; else only a valid one of 13 digits.
    """
    if len(digits) > LONGEST_NUMBER - len("+"):
        return False
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return False
    if _DIALLING.search(before):
        return phonenumbers.is_possible_number(number)
    return len(digits) == _SHORTEST_CARD and phonenumbers.is_valid_number(number)


def _compact(text: str) -> str:
    """Return the letters and digits of a text, of any script, in capitals and without what is between them."""
    return re.sub(r"[\W_]+", "", text.upper())


def _begins_with_iban(text: str) -> bool:
    """Tell whether a compact text begins with an IBAN: long enough for its country, and with valid check digits."""
    length = _iban_length(text[:2])
    return length is not None and bool(iban.is_valid(text[:length], check_country=False))  # banks' own have exceptions


@cache
def _iban_length(country: str) -> int | None:
    """Return how many characters an IBAN of a country has; None if the country has none."""
    ((_, known), *_) = numdb.get("iban").info(country)
    return 4 + sum(map(int, re.findall("[0-9]+", known["bban"]))) if "bban" in known else None
