"""A contact that is superseded while somebody acknowledges it: the answer is on one of the two, and never on both."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from refunds.domain.contact_points import Channel
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ContactStateConflict
from refunds.service import contacts, orders, resolutions
from refunds.service.contacts import NewContact
from refunds.service.orders import OrderFacts
from tests.faults.harness import Installation

ENOUGH = 0.5
"""Seconds in which a write that does not wait would be done many times over."""


@pytest.fixture(params=["sqlite", "postgresql"])
def raced(request, tmp_path):
    """The stores of two instances, and the id of a contact."""
    installation = Installation(tmp_path, request.param)
    with installation.store() as one, installation.store() as other:
        with one.write(COMMAND_LINE) as uow:
            provided = datetime.now(UTC) - timedelta(hours=1)
            orders.register(uow, OrderFacts(order_id="A-1", customer_ref="K-1", service_provided_at=provided))
            contact = contacts.record(uow, "A-1", NewContact(channel=Channel.PHONE))
        yield one, other, contact.contact_id


def acknowledge(store, contact_id):
    """Acknowledge the contact; whether that was possible."""
    try:
        with store.write(COMMAND_LINE) as uow:
            resolutions.acknowledge(uow, contact_id, channel=Channel.PHONE)
    except ContactStateConflict:
        return False
    return True


def supersede(store, contact_id):
    """Record a contact that supersedes it."""
    with store.write(COMMAND_LINE) as uow:
        contacts.record(uow, "A-1", NewContact(channel=Channel.EMAIL, supersedes=contact_id))
    return True


@pytest.mark.parametrize(
    ("first", "second", "module", "write", "both"),
    [
        (supersede, acknowledge, contacts, "_require_none_worse", False),
        (acknowledge, supersede, contacts, "require_present", True),
    ],
    ids=["superseded first", "acknowledged first"],
)
def test_a_contact_is_not_acknowledged_once_it_is_being_superseded(
    raced, monkeypatch, first, second, module, write, both
):
    """The second begins when the first is about to write, and waits until it is done."""
    one, other, contact_id = raced
    original, seconds = getattr(module, write), []
    with ThreadPoolExecutor(1) as pool:

        def overtaken(*given):
            if not seconds:
                seconds.append(pool.submit(second, other, contact_id))
                time.sleep(ENOUGH)
                assert not seconds[0].done()
            return original(*given)

        monkeypatch.setattr(module, write, overtaken)
        assert first(one, contact_id)
        assert seconds[0].result(timeout=60) is both
    with one.read(COMMAND_LINE) as uow:
        contact = uow.contacts.get(contact_id)
        assert contact.superseded_by is not None
        assert (contact.acknowledged_at is not None) is both
        uow.verify(list(one.checkpoints))
