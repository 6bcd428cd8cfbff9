"""Moving an installation from one database to another: copied as it is, and proven to be the same.

The rows stay encrypted as they are, so the master key and the checkpoints go on to be those of the installation.
"""

from collections.abc import Mapping, Sequence

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import ProgressCallback
from refunds.service.store import Store
from refunds.storage import Engine
from refunds.storage.audit import Broken, Report
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.copies import Copy
from refunds.storage.events import Head
from refunds.storage.mapper import count_rows
from refunds.storage.tables import TABLES
from refunds.storage.unit_of_work import UnitOfWork

HERE, THERE = "audit of what there is", "audit of the copy"


def copy(store: Store, to: Engine, setting: str, progress: ProgressCallback) -> Report:
    """Copy everything to a database in which nothing is, or the rest of what a copy that was broken off has left.

    Nobody serves from the copy before it is finished, and it is finished when it is complete and sound. Where it is
    finished already, it is audited again. Raises `Broken` where either is not sound, and `ConfigurationError` where
    there is nothing to copy, for a database with records of its own, and for records that changed meanwhile.
    """
    checkpoints = list(store.checkpoints)  # before the journal is read: it only grows
    with store.read(COMMAND_LINE) as uow:
        head = uow.events.head()
    if head.position <= 1 and head.position == head.policies_at:  # at most the policy that comes with the service
        raise ConfigurationError(f"REFUNDS_DATABASE: {store.name} has no records: name the database to copy from")
    begun = Copy.begun(to, head, setting)
    counts = {} if begun is None else _copied(store, begun, head, checkpoints, progress)
    try:
        progress(THERE, 0, 1)
        report = _verified(store, to, counts, checkpoints)
        progress(THERE, 1, 1)
    except Broken as error:
        if begun is not None:
            begun.give_up()
        raise Broken(f"the copy is not what it should be, and is begun anew by the next attempt: {error}") from None
    if begun is not None:
        with store.read(COMMAND_LINE) as uow:
            _require_head(uow, store, head)
        begun.finish()
    return report


def _copied(
    store: Store, begun: Copy, head: Head, checkpoints: Sequence[Checkpoint], progress: ProgressCallback
) -> Mapping[str, int]:
    """Copy, from one state of sound records, whatever is not there yet; how many rows each table has."""
    with store.read(COMMAND_LINE) as uow:
        _require_head(uow, store, head)
        progress(HERE, 0, 1)
        uow.verify(checkpoints)
        progress(HERE, 1, 1)
        counts = {table.name: count_rows(uow.tx, table.name) for table in TABLES}
        for table in TABLES:
            for done in begun.rest(uow.tx, table):
                progress(table.name, done, counts[table.name])
    begun.end_journal(head)
    return counts


def _require_head(uow: UnitOfWork, store: Store, head: Head) -> None:
    if uow.events.head() != head:
        raise ConfigurationError(
            f"{store.name} has changed while it was copied: stop every instance, and run the command again"
        )


def _verified(store: Store, to: Engine, counts: Mapping[str, int], checkpoints: Sequence[Checkpoint]) -> Report:
    """How much was found sound in a copy, whose tables have to have so many rows."""
    with store.read(COMMAND_LINE) as uow, to.read() as tx:
        for table, there in counts.items():
            if count_rows(tx, table) != there:
                raise Broken(f"it has {count_rows(tx, table)} rows of {table} instead of {there}")
        return uow.of_copy(tx).verify(checkpoints)
