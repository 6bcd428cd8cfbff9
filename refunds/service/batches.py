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
    """What a batch returns; it is tried again if another write, such as an import or a publication, is in its way."""
    for _ in range(TRIES - 1):
        with suppress(StorageUnavailable), store.write(principal, exclusive=True) as uow:
            return work(uow)
    with store.write(principal, exclusive=True) as uow:
        return work(uow)
