"""References of cancellations and numbers of requests: neither is taken for the other, and no slip goes unnoticed."""

import pytest

from refunds.domain.references import REFERENCE, REQUEST_NUMBER
from refunds.errors import Unfit


@pytest.fixture(params=[REFERENCE, REQUEST_NUMBER], ids=["reference", "request number"])
def form(request):
    """A kind of number."""
    return request.param


def test_a_number_is_read_as_people_write_it(form):
    number = form.new()
    spoken = form.spoken(number)
    for spelt in (number, spoken, f" {spoken} ".replace("-", " "), "-".join(number)):
        assert form.parse(spelt) == number


def test_a_mistyped_digit_is_noticed(form):
    number = form.new()
    for place, digit in enumerate(number):
        mistyped = f"{number[:place]}{(int(digit) + 1) % 10}{number[place + 1 :]}"
        with pytest.raises(Unfit, match="check digit"):
            form.parse(mistyped)


@pytest.mark.parametrize("text", ["", "1234", "12345671x", "K-1234567", "１２３４５６７１", "123456789012"])
def test_anything_else_is_no_number(form, text):
    with pytest.raises(Unfit, match="must be"):
        form.parse(text)


def test_a_request_number_is_told_from_a_reference():
    assert REQUEST_NUMBER.spoken("12345671") == "1234-5671"
    with pytest.raises(Unfit, match="is the number of a request"):
        REFERENCE.parse("1234-5671")
    with pytest.raises(Unfit, match="is the reference of a cancellation"):
        REQUEST_NUMBER.parse("123-456-7894")
