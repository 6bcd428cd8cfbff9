"""Data requests: opened with their due dates, answered once, and what an answer does to the customer."""

from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.domain.privacy import (
    DataRequestChannel,
    DataRequestKind,
    DataRequestState,
    due_at,
)
from refunds.errors import InvalidInput, NotFound
from refunds.service import data_requests
from refunds.service.data_requests import NewDataRequest
from refunds.service.store import Store
from tests.conftest import settings
from tests.service.test_privacy import registered, sound

HOW = "called back at the number on record"


@pytest.fixture
def store(engine, tmp_path):
    """The store of an installation on each engine."""
    opened = Store(settings(tmp_path, engine=engine))
    yield opened
    opened.close()


def opened(store, kind=DataRequestKind.ACCESS, ref="K-1", **more):
    """A new data request."""
    given = {"channel": DataRequestChannel.EMAIL, "identity_check": HOW} | more
    with store.write(COMMAND_LINE) as uow:
        return data_requests.open_request(uow, NewDataRequest(kind, ref, **given))


@pytest.mark.parametrize(
    ("received", "last_day"),
    [
        ("2026-01-31T10:00:00+01:00", "2026-02-28"),
        ("2028-01-30T10:00:00+01:00", "2028-02-29"),
        ("2026-03-10T10:00:00+01:00", "2026-04-09"),
        ("2026-04-10T10:00:00+02:00", "2026-05-10"),
        ("2026-12-31T23:30:00+01:00", "2027-01-30"),
        ("2026-01-31T23:30:00Z", "2026-03-01"),
    ],
)
def test_an_answer_is_due_after_30_days_or_a_month_if_that_is_earlier(received, last_day):
    due = due_at(datetime.fromisoformat(received), "Europe/Berlin")
    shown = (due - timedelta(microseconds=1)).astimezone(datetime.fromisoformat(received).tzinfo)
    assert shown.date().isoformat() == last_day


def test_a_data_request_is_kept_with_its_due_date(store):
    customer_id = registered(store, "A-1")
    request = opened(store, recipient="the other shop")
    assert (request.customer_id, request.identity_check, request.outcome) == (customer_id, HOW, None)
    assert timedelta(27) < request.due_at - request.received_at <= timedelta(31)
    other = opened(store, DataRequestKind.ERASURE)
    with store.read(COMMAND_LINE) as uow:
        assert uow.data_requests.get(request.request_id) == request
        assert uow.data_requests.paginate(limit=9) == [request, other]
        assert uow.data_requests.paginate(limit=9, kind="erasure", state=DataRequestState.OPEN) == [other]
        assert not uow.data_requests.paginate(limit=9, state=DataRequestState.CLOSED)
        with pytest.raises(NotFound):
            uow.data_requests.get("dsr_nobody")
    sound(store)


def test_of_an_unknown_person_nothing_personal_is_kept(store):
    request = opened(store, ref="K-nobody", recipient="the other shop")
    assert request.customer_id is request.identity_check is request.recipient is None
    with store.write(COMMAND_LINE) as uow:
        assert data_requests.check_identity(uow, request.request_id, HOW).identity_check is None
        assert uow.data_requests.get(request.request_id) == request
        assert not uow.tx.all("SELECT customer_id FROM customers")
    sound(store)


def test_an_identity_can_be_checked_later(store):
    registered(store, "A-1")
    request = opened(store, identity_check=None)
    for _ in "ab":
        with store.write(COMMAND_LINE) as uow:
            assert data_requests.check_identity(uow, request.request_id, HOW).identity_check == HOW
    with store.read(COMMAND_LINE) as uow:
        assert len(uow.events.after(0, 99, ["data_request.identity_checked"], audit=True)) == 1
    sound(store)


@pytest.mark.parametrize("received_at", [timedelta(hours=1), -timedelta(days=400)])
def test_a_data_request_was_received_within_the_last_year(store, received_at):
    with pytest.raises(InvalidInput, match="received_at"):
        opened(store, received_at=datetime.now(UTC) + received_at)
