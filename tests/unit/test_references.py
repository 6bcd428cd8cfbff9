"""References of cancellations and numbers of requests: neither is taken for the other, and no slip goes unnoticed."""

import pytest

from refunds.domain.references import (
    format_reference,
    format_request_number,
    new_reference,
    new_request_number,
    parse_reference,
    parse_request_number,
)
from refunds.errors import Unfit

FORMS = {
    "reference": (new_reference, format_reference, parse_reference),
    "request number": (new_request_number, format_request_number, parse_request_number),
}


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request):
    """How numbers of a kind are made, shown and read."""
    return request.param


def test_a_number_is_read_as_people_write_it(form):
    new, shown, read = form
    number = new()
    for spelt in (number, shown(number), f" {shown(number)} ".replace("-", " "), "-".join(number)):
        assert read(spelt) == number


def test_a_mistyped_digit_is_noticed(form):
    new, _, read = form
    number = new()
    for place, digit in enumerate(number):
        mistyped = f"{number[:place]}{(int(digit) + 1) % 10}{number[place + 1 :]}"
        with pytest.raises(Unfit, match="check digit"):
            read(mistyped)


@pytest.mark.parametrize("text", ["", "1234", "12345671x", "K-1234567", "１２３４５６７１", "123456789012"])
def test_anything_else_is_no_number(form, text):
    _, _, read = form
    with pytest.raises(Unfit, match="must be"):
        read(text)


def test_a_request_number_is_told_from_a_reference():
    assert format_request_number("12345671") == "1234-5671"
    with pytest.raises(Unfit, match="is the number of a request"):
        parse_reference("1234-5671")
    with pytest.raises(Unfit, match="is the reference of a cancellation"):
        parse_request_number("123-456-7894")
