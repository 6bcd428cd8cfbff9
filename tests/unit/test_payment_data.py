"""Payment data in free text: cards and IBANs are found regardless of spacing, and little else is."""

import random
import re
from datetime import date, datetime
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refunds.domain.contact_points import customers_detail
from refunds.domain.payment_data import holds_payment_data, is_payment_data

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


REFUSED = [
    "4111     1111     1111     1111",
    "4111 -- 1111 -- 1111 -- 1111",
    "4111 | 1111 | 1111 | 1111",
    "4111*1111*1111*1111",
    "4111; 1111; 1111; 1111",
    "4111 (1111) 1111 [1111]",
    "4111+1111+1111+1111",
    "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "4:1:1:1:1:1:1:1:1:1:1:1:1:1:1:1",
    "41.11:11.11:11.11:11.11",
    "3782   822463   10005",
    "4111\n\n\n\n1111\n\n\n\n1111\n\n\n\n1111",
    "4111 \u2022 1111 \u2022 1111 \u2022 1111",
    "am 12.04.2026 mit 4111 1111 1111 1111",
    "12.04.2026 4111 1111 1111 1111",
    "2026-04-12 18:40: 4111 1111 1111 1111, 0151 23456789",
    "0151 23456789, 4111 1111 1111 1111",
    "+49 151 23456789 / 4111 1111 1111 1111",
    "DE89     3704     0044     0532     0130     00",
    "DE89/3704/0044/0532/0130/00",
    "DE89 | 3704 | 0044 | 0532 | 0130 | 00",
    "D E 8 9 3 7 0 4 0 0 4 4 0 5 3 2 0 1 3 0 0 0",
    "Konto 532013000 BLZ 37040044",
    "Konto 532013000",
    "Konto: 532 013 000",
    "Konto Nr. 532013000",
    "Konto-Nr.: 532013000",
    "Kontonummer lautet 532013000",
    "seine Kontonummer ist die 532013000",
    "Kto. 532013000",
    "Kto.-Nr. 532013000",
    "KtoNr. 532013000",
    "Ktonr 532013000",
    "Bankkonto 532013000",
    "Girokonto 0532013000",
    "KONTO532013000",
    "BLZ 37040044",
    "BLZ 370 400 44",
    "Bankleitzahl: 370-400-44",
    "account 532013000",
    "account number 532013000",
    "account no. 5320 1300",
    "my bank account is 12345678",
    "Acct# 12345678",
    "a/c 12345678",
    "sort code 20-00-00",
    "Sortcode: 200000",
    "sort code is 20 00 00",
    "routing number 021000021",
    "ABA: 021000021",
    "CVV 123",
    "cvv: 1234",
    "CVC2 123",
    "CVV2=123",
    "CVC-Code lautet 123",
    "Kartenprüfnummer 123",
    "Prüfziffer der Karte 123",
    "security code is 123",
    "Sicherheitscode 123",
    "PIN 1234",
    "PIN: 12345",
    "PIN-Nummer 1234",
    "PIN ist 1 2 3 4",
    "the PIN of the card is 1234",
    "Geheimzahl 1234",
]
ACCEPTED = [
    "0151 23456789",
    "0151 23456789, 0160 1234567",
    "0151-2345-6789 0160-1234-5678",
    "0151 2345 6789; 0170 2345 6789; 0176 2345 6789",
    "01512345678901601234567",
    "+49 151 23456789, +49 160 1234567",
    "+49 (0) 151 23456789",
    "+4915123456789 123",
    "0049 151 23456789",
    "0049 151 23456789 / 0049 30 123456",
    "+43 664 1234567 und +41 44 668 18 00",
    "+1 415 555 0132, +44 20 7946 0958",
    "4111 1111 1111 1112",
    "1234567890123456",
    "9876543210123456",
    "0000 0000 0000 0000",
    "1000 2000 3000 4000",
    "A-1001, A-1002, A-1003",
    "10001, 10002, 10003, 10004",
    "4500/10, 4500/11, 4500/12",
    "#1001 #1002 #1003 #1004",
    "gid://shop/Order/4711081547110815",
    "314-092-6534",
    "5210-3361",
    "26.11.2026 18:40",
    "26.11.2026 18:40:00, 27.11.2026 09:15:30",
    "2026-11-26T18:40:00Z 2026-11-27T09:15:30Z",
    "2026-04-02 2026-04-07 2026-04-08",
    "2.4.26, 7.4.26, 8.4.26",
    "am 26/11/2026 um 18:40",
    "12:30, 13:45, 14:10",
    "Konto gelöscht am 12.04.2026",
    "Konto am 26.11.2026 18:40 gesperrt",
    "Kundenkonto 4711081",
    "customer account 4711081",
    "user account 12345678",
    "sein Konto hat 3 Nummern",
    "account: 3 orders, 2 calls",
    "account +49 151 23456789",
    "order 12345678 on his account",
    "account manager of 4711081",
    "Discounter 532013000",
    "BLZ unbekannt, 3 Anrufe",
    "pinned 2026",
    "spinning 1234",
    "opinion 1234",
    "PIN vergessen, rief 3 Mal an",
    "PIN 12",
    "PLZ 80331 München",
    "Ticket 123456789",
    "Rechnung 2026-004711",
    "code 123456",
    "Vorgang 12345678",
    "DE123456789",
    "DE-BY 2026 0001 0002 0003 0004",
    "3 x 4 = 12; 5 x 6 = 30",
    "1.000,00 + 2.000,00 + 3.000,00",
]


@pytest.mark.parametrize("text", REFUSED)
def test_payment_data_is_refused_however_it_is_written_or_labelled(text):
    assert holds_payment_data(text)
    assert holds_payment_data(f"Der Kunde sagt: {text} (er wartet)")


@pytest.mark.parametrize("text", ACCEPTED)
def test_other_numbers_are_accepted(text):
    assert not holds_payment_data(text)
    assert not holds_payment_data(f"Der Kunde sagt: {text} (er wartet)")


def luhn_completed(digits):
    """Digits with the check digit that makes them pass."""
    doubled = sum(sum(divmod(2 * int(one), 10)) for one in digits[::-2])
    return digits + str(-(doubled + sum(map(int, digits[-2::-2]))) % 10)


@settings(deadline=None)
@given(
    st.from_regex(r"4[0-9]{14}|5[1-5][0-9]{13}|3[47][0-9]{12}", fullmatch=True).map(luhn_completed),
    st.data(),
    st.text(alphabet=" \t\n.,;:/_*|()-\u2013\u00a0\u2022#", max_size=12),
)
def test_a_card_is_found_whatever_is_between_its_groups(number, data, between):
    """Groups of four, or four and six and five, or any: only where the beginning reads as a date is it not certain."""
    size = data.draw(st.sampled_from([1, 2, 4, 5, 8, 16]))
    assert holds_payment_data(f"Karte: {spaced(number, between, size)}!") or re.search(r"[./-]", between)


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["0{} {}", "+49 {} {}", "+49{}{}", "0049 {} {}", "0{}/{}", "+49 (0) {} {}"]),
                st.sampled_from([(151, 8), (160, 7), (170, 7), (171, 7), (176, 8)]),
                st.integers(2 * 10**7, 10**8 - 1),
            ).map(lambda of: of[0].format(of[1][0], str(of[2])[: of[1][1]])),
            st.dates(date(1999, 1, 1), date(2099, 12, 31)).map(lambda day: f"{day:%d.%m.%Y}"),
            st.datetimes(datetime(1999, 1, 1), datetime(2099, 12, 31)).map(lambda at: f"{at:%Y-%m-%d %H:%M:%S}"),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([", ", "; ", " / ", "\n", " und "]),
)
def test_no_list_of_telephone_numbers_and_dates_is_refused(parts, between):
    assert not holds_payment_data(between.join(parts))


@settings(deadline=None)
@given(st.uuids(), st.sampled_from(["{}", "O-{}", "ord_{}", "order/{}"]), st.booleans())
@example(UUID("4670577418714de8ab7fc6892441f81a"), "O-{}", True)
@example(UUID("40123456-7890-4123-8123-123456789015"), "{}", False)
@example(UUID("91d3b645ad2641038213392dae8e37d4"), "O-{}", True)
def test_a_random_id_is_an_acceptable_reference(number, written, plain):
    """Ten thousands of orders have such ids, and one of them would pass for a card or an IBAN."""
    assert not is_payment_data(written.format(number.hex if plain else number))


@pytest.mark.parametrize(
    "text", ["4111111111111111", "R-4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "no DE89370400440532013000"]
)
def test_payment_data_is_no_reference(text):
    assert is_payment_data(text)
