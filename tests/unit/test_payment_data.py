"""Payment data in free text: cards and IBANs are found regardless of spacing, and little else is."""

import random

import pytest

from refunds.domain.contact_points import customers_detail
from refunds.domain.payment_data import holds_payment_data

CARDS = [
    "4111111111111111",
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "3530111333300000",
    "6200000000000005",
    "6759649826438453",
]
IBANS = [
    "DE89370400440532013000",
    "GB82WEST12345698765432",
    "FR1420041010050500013M02606",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
]


def spaced(number, separator, size=4):
    """A number in groups."""
    return separator.join(number[i : i + size] for i in range(0, len(number), size))


@pytest.mark.parametrize("number", CARDS + IBANS)
@pytest.mark.parametrize("separator", ["", " ", "-", ".", " - ", "\u2013", "\u00a0"])
@pytest.mark.parametrize("text", ["{}", "the number is {}, he says", "order 123 {} please", "({})"])
def test_a_card_number_or_iban_is_found(number, separator, text):
    assert holds_payment_data(text.format(spaced(number, separator)))


@pytest.mark.parametrize(
    "disguised",
    [
        "\uff14\uff11\uff11\uff11 1111 1111 1111",
        "4111\u200b1111\u200b1111\u200b1111",
        "\u0664\u0661\u0661\u0661 1111 1111 1111",
        "+4111111111111111",
        "card4111111111111111!",
        "de89 3704 0044 0532 0130 00",
        "IBAN:DE89 3704 0044 0532 0130 00BIC",
        "Gutschrift bitte auf Nr 12 DE89 3704 0044 0532 0130 00",
        "am 12 DE89370400440532013000",
        "IBANDE89370400440532013000",
        "BE68 5390 0754 7034",
        "4111 1111\n1111 1111",
        "4111/1111/1111/1111",
        "4111_1111,1111\t1111",
        "4\u03001\u030011111111111111",
        "+4929 0000 0000 0000",
    ],
)
def test_a_disguised_number_is_found(disguised):
    assert holds_payment_data(disguised)


@pytest.mark.parametrize(
    "harmless",
    [
        "",
        "call back on +49 151 23456789 or 0049 30 123456",
        "+49 4222 2222222",
        "order 1234567890123456",
        "4111 1111 1111 1112",
        "12.04.2026 13:45, 3 calls",
        "DE89 3704 0044 0532 0130 01",
        "ticket AB12-2026-000123",
        "0000000000000000",
        "tel:491701234566",
        "011 49 170 1234566",
        "4915112345677",
        "can_01KAN3Y7P1V5Q4T8Z2B6C9D1EF",
    ],
)
def test_text_that_only_resembles_payment_data_is_accepted(harmless):
    assert not holds_payment_data(harmless)


@pytest.mark.parametrize("prefix", ["+49", "0049", "+49 ", "0049 ", "+49-", "0", "49", "tel:49", "011 49 "])
def test_german_mobile_numbers_are_accepted(prefix):
    """The Luhn check alone would take one in ten of them for a card."""
    chance = random.Random(1)  # noqa: S311 - it guards nothing
    numbers = [f"{prefix}{chance.choice((151, 160, 170, 176))}{chance.randrange(10**7, 10**8)}" for _ in range(2000)]
    assert not any(map(holds_payment_data, numbers))


def test_few_ids_of_sixteen_digits_are_taken_for_a_card():
    """One in ten passes the Luhn check alone."""
    chance = random.Random(1)  # noqa: S311 - it guards nothing
    taken = sum(holds_payment_data(str(chance.randrange(10**15, 10**16))) for _ in range(5000))
    assert 0 < taken < 5000 * 0.04


@pytest.mark.parametrize(
    ("text", "normalised"),
    [("089 123456", "+4989123456"), ("+1 (415) 555-0132", "+14155550132"), ("Me@Example.COM", "me@example.com")],
)
def test_a_customers_contact_detail_is_normalised(text, normalised):
    assert customers_detail(text, "DE") == normalised


@pytest.mark.parametrize("text", ["", "somebody", "me@", "1", "4111 1111 1111 1111", "+", "call me", "1" * 40])
def test_a_customers_contact_detail_must_be_a_number_or_an_address(text):
    with pytest.raises(ValueError, match="must be a telephone number"):
        customers_detail(text, "DE")
