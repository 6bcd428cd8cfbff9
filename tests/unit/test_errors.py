"""An error that is caught and raised again keeps its details."""

from datetime import UTC, date, datetime

import pytest

from refunds import errors
from refunds.errors import FieldError, Message, RefundsError, summary

EVERY = [
    errors.CalendarNotCovered("DE", date(1991, 1, 1), date(2100, 12, 31)),
    errors.NoPolicyInForce("brand", datetime(2026, 4, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)),
    errors.UnknownRegion(Message("unknown country")),
    errors.OrderFactsConflict("A-1", [FieldError("/region", Message("was DE"))]),
    errors.FeedRewound(7),
    errors.Conflict("policies"),
    errors.NotFound(Message("there is no such order")),
    errors.StorageUnavailable(Message("there is no room")),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_keeps_its_details_when_its_pointers_are_moved(error):
    moved = error.under("/order")
    details = {name: value for name, value in vars(error).items() if name != "errors"}
    assert type(moved) is type(error)
    assert {name: getattr(moved, name) for name in details} == details
    assert [field_error.pointer for field_error in moved.errors] == [
        f"/order{field_error.pointer}" for field_error in error.errors
    ]
    assert str(moved) == (str(summary(moved.errors)) if error.errors else str(error))


def test_every_error_with_its_own_details_is_tested_here():
    def kinds(error):
        return {error}.union(*map(kinds, error.__subclasses__()))

    own = {kind for kind in kinds(RefundsError) if "__init__" in vars(kind) and kind.__module__ == errors.__name__}
    tried = {type(error) for error in EVERY}
    assert {kind.__name__ for kind in own - tried} <= {
        "CallersError",
        "InvalidInput",
        "OrderFrozen",
        "OrderNotFound",
        "StateConflict",
    }, "their details are in their text"
