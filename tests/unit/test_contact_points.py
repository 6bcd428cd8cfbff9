"""Telephone numbers and e-mail addresses have one spelling, and no country is guessed."""

import pytest

from refunds.domain.contact_points import Channel, canonical, customers_detail
from refunds.domain.regions import country_of
from refunds.errors import Unfit


@pytest.mark.parametrize(
    ("region", "country"),
    [
        ("DE", "DE"),
        ("DE-BY", "DE"),
        ("AT-9", "AT"),
        ("US-CA", "US"),
        ("IT-AT", "IT"),
        ("HK", "HK"),
        ("CN-HK", "HK"),
        ("CN-MO", "MO"),
        ("CN-TW", "TW"),
        ("CN-BJ", "CN"),
        ("FR-MF", "MF"),
        ("FR-971", "GP"),
        ("FR-57", "FR"),
        ("US-PR", "PR"),
        ("NL-CW", "CW"),
        ("NL-BQ1", "BQ"),
        ("NL-NH", "NL"),
        ("FI-01", "AX"),
    ],
)
def test_the_country_of_a_region_is_that_of_its_telephone_numbers(region, country):
    assert country_of(region) == country


@pytest.mark.parametrize(
    ("text", "region", "spelt"),
    [
        ("089 123456", "DE", "+4989123456"),
        ("0664 1234567", "AT-9", "+436641234567"),
        ("0043 664 1234567", "DE", "+436641234567"),
        ("(415) 555-0132", "US-CA", "+14155550132"),
        ("011 49 89 123456", "US", "+4989123456"),
        ("787-555-0132", "US-PR", "+17875550132"),
        ("671 647 1234", "US-GU", "+16716471234"),
        ("647 1234", "US-GU", "+16716471234"),
        ("5123 4567", "CN-HK", "+85251234567"),
        ("0690 12 34 56", "FR-MF", "+590690123456"),
        ("0690 12 34 56", "FR-971", "+590690123456"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("040 12 34 56", "IT", "+39040123456"),
        ("+43 664 1234567", "DE", "+436641234567"),
    ],
)
def test_a_number_without_a_country_code_is_one_of_its_country(text, region, spelt):
    assert customers_detail(text, country_of(region)) == spelt


@pytest.mark.parametrize("text", ["0664 1234567", "0043 664 1234567", "(415) 555-0132", "43 664 1234567"])
def test_without_a_country_a_number_needs_its_country_code(text):
    with pytest.raises(Unfit, match=r"with its country code, as in \+43 664 1234567"):
        customers_detail(text)
    with pytest.raises(Unfit, match=r"with its country code, such as \+493012345678"):
        canonical(Channel.PHONE, text)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("1", "AT"),
        ("0664 123456789012", "AT"),
        ("555-0132", "US"),
        ("112", "DE"),
        ("0664 123 4567 8", "HK"),
        ("0690 12 34 56", "TF"),
    ],
)
def test_a_number_that_cannot_exist_is_refused_with_the_country_it_was_read_for(text, country):
    with pytest.raises(
        Unfit, match=rf"can exist in {country}, or be written with its country code, as in \+43 "
    ) as error:
        customers_detail(text, country)
    assert error.value.code == "impossible_number"


@pytest.mark.parametrize("text", ["+49 1", "somebody", "1" * 40])
def test_what_is_no_number_of_any_country_names_none(text):
    with pytest.raises(Unfit, match=r"must be a telephone number with its country code, .* or an e-mail address"):
        customers_detail(text, "DE")
