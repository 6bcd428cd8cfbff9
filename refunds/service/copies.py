"""Move an installation to another database: copy it as it is, and verify the copy.

The rows stay encrypted as they are, so the installation keeps its master key and its checkpoints.
"""

from collections.abc import Mapping, Sequence
from os.path import realpath

from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError
from refunds.service import ProgressCallback
from refunds.service.store import Opening, Store
from refunds.storage import Engine
from refunds.storage.audit import Broken, Report
from refunds.storage.checkpoints import Checkpoint
from refunds.storage.copies import Copy
from refunds.storage.events import Head
from refunds.storage.mapper import count_rows
from refunds.storage.tables import TABLES
from refunds.storage.unit_of_work import UnitOfWork

HERE, THERE = "audit of the original", "audit of the copy"


def copy(store: Store, to: Engine, setting: str, progress: ProgressCallback) -> Report:
    """Copy everything to an empty database, or finish an interrupted copy, and return the audit of the copy.

    No instance serves from the copy until it is complete and sound; a finished copy is only audited again. Raises
    `Broken` if either database is not sound; the next attempt then starts an unsound copy again. Raises
    `ConfigurationError`, naming the other database by `setting`, if there is nothing to copy, if the other database has
    records of its own or is this one, if an instance uses this one, or if records changed meanwhile.
    """
    engine, _ = store.open(Opening.READ)
    if realpath(to.name) == realpath(engine.name):
        raise ConfigurationError(f"{setting}: {to.name} is the database to copy from: name another")
    with engine.unused():
        checkpoints = list(store.checkpoints)  # before the journal is read: it only grows
        with store.read(COMMAND_LINE) as uow:
            head = uow.events.head()
        if head.position <= 1 and head.position == head.policies_at:  # at most the policy that comes with the service
            raise ConfigurationError(f"REFUNDS_DATABASE: {store.name} has no records: name the database to copy from")
        begun = Copy.begun(to, head, setting)
        counts = {} if begun is None else _copy_rows(store, begun, head, checkpoints, progress)
        try:
            progress(THERE, 0, 1)
            report = _verify(store, to, counts, checkpoints)
            progress(THERE, 1, 1)
        except Broken as error:
            if begun is not None:
                begun.give_up()
            raise Broken(f"the copy is not sound; the next attempt starts it again: {error}") from None
        if begun is not None:
            with store.read(COMMAND_LINE) as uow:
                _require_head(uow, store, head)
            begun.finish()
        return report


def _copy_rows(
    store: Store, begun: Copy, head: Head, checkpoints: Sequence[Checkpoint], progress: ProgressCallback
) -> Mapping[str, int]:
    """Audit the original, copy the rows that the copy lacks, and return the number of rows of each table by its name.

    Raises `Broken`, before anything is copied, if the original is not sound, and `ConfigurationError` if it has changed
    or another copy has taken over.
    """
    with store.read(COMMAND_LINE) as uow:
        _require_head(uow, store, head)
        progress(HERE, 0, 1)
        uow.verify(checkpoints)
        progress(HERE, 1, 1)
        counts = {table.name: count_rows(uow.tx, table.name) for table in TABLES}
        for table in TABLES:
            for done in begun.rest(uow.tx, table):
                progress(table.name, done, counts[table.name])
    return counts


def _require_head(uow: UnitOfWork, store: Store, head: Head) -> None:
    """Raise `ConfigurationError` if the journal does not end with `head` any more: something was written meanwhile."""
    if uow.events.head() != head:
        raise ConfigurationError(
            f"{store.name} changed while it was copied: stop every instance, and run the command again"
        )


def _verify(store: Store, to: Engine, counts: Mapping[str, int], checkpoints: Sequence[Checkpoint]) -> Report:
    """Audit the copy in `to`; return the report, or raise `Broken` if it is not sound or has other `counts` of rows."""
    with store.read(COMMAND_LINE) as uow, to.read() as tx:
        for table, there in counts.items():
            if count_rows(tx, table) != there:
                raise Broken(f"it has {count_rows(tx, table)} rows of {table} instead of {there}")
        return uow.of_copy(tx).verify(checkpoints)
