"""Figures about the records for an operator to watch, read in a few statements from indexes of what is open."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from refunds.domain.holidays_data import provisional_from
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import calendars, upkeep, watch
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork

SOON = timedelta(days=30)
"""A region counts as provisional so long before its dates are; a token is shown so long after its end."""

Figure = tuple[str, tuple[str, ...], int | datetime | None]
"""A figure: its name, what its labels say, and its value; None if it is not known."""


def read(store: Store) -> Iterator[Figure]:
    """Yield the present figures of records, checkpoints (if readable), upkeep and connections; opens the store."""
    with store.read(COMMAND_LINE) as uow:
        yield from _of_records(uow)
    with suppress(OSError, ConfigurationError):  # the rest can be read
        last = store.checkpoints.last()
        yield "checkpoint_position", (), last and last.position
        yield "checkpoint_timestamp_seconds", (), last and last.at
    for done in ("backup", "verify", "retention"):
        yield f"{done}_last_success_timestamp_seconds", (), upkeep.last_done(store.checkpoints.file.parent, done)
    pool = store.open()[0].pool()  # after the transaction, which has a connection of it
    for state in ("idle", "in_use"):
        yield "pool_connections", (state,), pool.get(state)
    yield "pool_connections_max", (), pool.get("max")
    yield "pool_requests_waiting", (), pool.get("waiting")


def _of_records(uow: UnitOfWork) -> Iterator[Figure]:
    """Yield the figures that come from the records; no `open_windows` before a watch has recorded a change of data."""
    yield "journal_position", (), uow.events.head().position
    yield "open_requests", (), uow.contacts.count_of(open=True)
    yield "open_unmatched_contacts", (), uow.unmatched.count_of(open=True)
    yield "overdue_refunds", (), uow.cancellations.count_of(overdue=True)
    yield "overdue_data_requests", (), uow.data_requests.count_of(overdue=True)
    soon = (uow.now + SOON).date()
    since = map(provisional_from, calendars.regions_in_use(uow))
    yield "provisional_regions", (), sum(date is not None and date <= soon for date in since)
    for _, token in uow.tokens.with_clients():
        if token.revoked_at is None and token.expires_at > uow.now - SOON:  # so that an alert still tells it
            yield "token_expiry_timestamp_seconds", (token.client_id, token.token_id), token.expires_at
    if last := watch.last_change(uow):
        yield "open_windows", ("longer",), last.longer
        yield "open_windows", ("kept",), last.kept
