"""Parts of long tasks, each in a write of its own."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from refunds.domain.permissions import Principal
from refunds.errors import StorageUnavailable
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork

T = TypeVar("T")

TRIES = 5
"""How often a batch is tried."""


def write_batch(store: Store, principal: Principal, work: Callable[[UnitOfWork], T]) -> T:
    """Run `work` in an exclusive write, up to five times if others are in its way, and return what it returns."""
    for _ in range(TRIES - 1):
        with suppress(StorageUnavailable), store.write(principal, exclusive=True) as uow:
            return work(uow)
    with store.write(principal, exclusive=True) as uow:
        return work(uow)
