"""Backups of an installation on SQLite, each with its checkpoints beside it, and how they are restored.

A file that has its final name is complete: it is written under another name, brought to disk and audited first.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from refunds.config import Settings, require_ledger
from refunds.domain.permissions import COMMAND_LINE
from refunds.errors import ConfigurationError, DamagedDatabase, Message, RefundsError, StorageUnavailable
from refunds.service import acceptance
from refunds.service.store import Opening, Store
from refunds.storage import Engine, Transaction, events, keys, open_engine
from refunds.storage.audit import Broken, Report
from refunds.storage.checkpoints import Checkpoint, Checkpoints
from refunds.storage.erasures import Erasure, ErasureLedger, journalled
from refunds.storage.events import Head
from refunds.storage.lineage import Lineage, difference, lineage
from refunds.storage.mapper import instant
from refunds.storage.migrations import read_as_it_is
from refunds.storage.sqlite import SQLite, sync
from refunds.storage.ticket import held_alone
from refunds.storage.unit_of_work import UnitOfWork

_BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database, and would take for a part of another


class Backup(NamedTuple):
    """A backup: what its audit found, the time of its last event, if any, and the file with its checkpoints."""

    report: Report
    at: datetime | None
    checkpoints: Path


class Restored(NamedTuple):
    """A restored database: what its audit found, and what is lost.

    `since` is the time of its last event, None if it has none. `until` is the last time at which the installation is
    known to have been further, and `events` how many more events it is known to have had; it may have had others if not
    `all_known`. `kept` is the database that was replaced, None if there was none.
    """

    report: Report
    since: datetime | None
    until: datetime
    events: int
    all_known: bool
    kept: Path | None


def beside(file: Path) -> tuple[Checkpoints, ErasureLedger]:
    """Return the checkpoints and erasures beside a backup, each from its unfinished file if it has no final one yet."""
    (checkpoints, erasures), unfinished = _beside(file), _beside(file, ".part")
    if unfinished[0].file.exists() and not checkpoints.file.exists():
        checkpoints = unfinished[0]
    if unfinished[1].file.exists() and not erasures.file.exists():
        erasures = unfinished[1]
    return checkpoints, erasures


def _beside(file: Path, ending: str = "") -> tuple[Checkpoints, ErasureLedger]:
    """Return the checkpoints and erasures beside a backup, in files whose names have this ending and need not exist."""
    names = (f"{file.name}.{name}.jsonl{ending}" for name in ("anchors", "erasures"))
    return Checkpoints(file.parent, next(names)), ErasureLedger(file.parent, next(names))


def back_up(store: Store, file: Path) -> Backup:
    """Write a backup to a new file, with its ledger beside it, and audit it; the service may run meanwhile.

    The backup has everything that was acknowledged before the call. Raises `ConfigurationError` if the database is not
    SQLite's or the file exists or is being written, `DamagedDatabase`, `Broken` if the records are not sound, and
    `OSError` if a file cannot be written.
    """
    engine, keyring = store.open(Opening.READ)
    database = _require_sqlite(engine)
    written = list(store.checkpoints)  # before the journal is read: it only grows
    with database.read() as tx:
        database.require_whole(tx)  # a copy would have the same damaged index
    with _making_part(file) as part:
        database.copy_to(part)
        with closing(SQLite(str(part), readonly=True)) as copy, copy.read() as tx:
            uow = UnitOfWork(tx, keyring, COMMAND_LINE, store.policies_as_of, store.erasures)
            report = _verify(uow, written, f"no backup was made, because {store.name} is not sound")
            head = events.head(tx)
            at = _time_of(tx, head)
        end = Checkpoint(head.position, head.hash, uow.now, head.journal_id)
        _give_name(part, file, [*written, end], list(store.erasures))
    return Backup(report, at, beside(file)[0].file)


def _give_name(part: Path, file: Path, checkpoints: list[Checkpoint], erasures: list[Erasure]) -> None:
    """Write the ledger of a backup to disk, and give the backup its final name; if that fails, delete all files."""
    final, unfinished = _beside(file), _beside(file, ".part")
    beside_it = [final[0].file, final[1].file, unfinished[0].file, unfinished[1].file]
    try:
        for left in beside_it:
            left.unlink(missing_ok=True)
        unfinished[0].append(*checkpoints)
        unfinished[1].append(*erasures)
        part.replace(file)
        unfinished[0].file.replace(final[0].file)
        unfinished[1].file.replace(final[1].file)
        sync(file.parent)
    except BaseException:
        for path in (file, *beside_it):
            path.unlink(missing_ok=True)
        raise


def restore(settings: Settings, file: Path, reason: str, ledger_lost: str | None = None) -> Restored:
    """Put a copy of a backup in the place of the database, which is kept under another name.

    The copy is made beside the database, brought up to date and audited; then its journal is accepted, and customers
    erased since are erased in it. Then the copy gets the database's name. Last, the ledger gets the checkpoint of the
    acceptance and the erasures that it lacks; an empty ledger gets the checkpoints beside the backup at the beginning.
    If the process is killed, the same call can be made again. Raises `ConfigurationError` without a ledger directory,
    if the database is no SQLite or in use, if the file is no backup of this installation that this version can use, or
    if neither the ledger nor the database says who was erased and `ledger_lost` does not say why; `Broken` if the
    backup is not sound; `InvalidInput` if a reason is too long or not a line; `OSError` if a file cannot be written.
    """
    live, erased = Checkpoints(require_ledger(settings)), ErasureLedger(require_ledger(settings))
    why = acceptance.read_reason(f"restored {file.name}: {reason}" if reason else f"restored {file.name}")
    with closing(_require_sqlite(open_engine(settings.database, readonly=True))) as database, database.unused():
        path = database.path
        with _directory_beside(path) as work:
            copied = work / "records.db"
            _copy(file, path, copied)
            with closing(Store(replace(settings, database=f"sqlite:///{copied}", ledger_dir=work))) as copy:
                report, known = _update_and_audit(copy, file, live)
                is_known = bool(ledger_lost) or erased.file.exists()
                if live.last() is None and is_known:
                    live.append(*beside(file)[0])
                at_end = live.last() is not None and _checkpoint_end(database, live)
                if not (at_end or is_known):
                    raise acceptance.ledger_missing_error(erased)
                copy.checkpoints.append(*live)
                copy.erasures.append(*erased, *beside(file)[1], *(_erased_in(database) if at_end else ()))
                lost = acceptance.accept(copy, why, Message("an older state was restored"), ledger_lost)
            database.close()
            # A log of another database is left as it is.
            if at_end or path.with_name(f"{path.name}-journal").exists():
                with suppress(DamagedDatabase):
                    database.settle()
            kept = _put_in_place(copied, path)
            *before, accepted = copy.checkpoints
            live.append(accepted)
            erased.append(*sorted(set(copy.erasures) - set(erased)))
    more = max((one.position for one in known.own(before)), default=0) - report.events
    return Restored(report, lost.since, lost.until, max(0, more), at_end and known.includes(before[-1]), kept)


def _require_sqlite(engine: Engine) -> SQLite:
    """Return the engine if it is SQLite's; otherwise close it and raise `ConfigurationError`."""
    if not isinstance(engine, SQLite):
        engine.close()
        message = (
            "flask backup and flask restore are for SQLite: use pg_dump and pg_restore, as docs/operating.md shows"
        )
        raise ConfigurationError(f"REFUNDS_DATABASE: {message}")
    return engine


@contextmanager
def _making_part(file: Path) -> Iterator[Path]:
    """Yield an empty, locked file beside `file`, for the block to fill and rename; delete it if the block fails.

    Raises `ConfigurationError` if `file` exists already, or if another backup is writing it.
    """
    part, journal = (file.with_name(f"{file.name}{ending}") for ending in (".part", ".part-journal"))
    lock = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with held_alone(lock, f"{file} is being written by another backup") as opened:
        try:
            _require_new(file)
            os.ftruncate(opened, 0)  # what a backup that was killed has left
            journal.unlink(missing_ok=True)
            yield part
        except BaseException:
            part.unlink(missing_ok=True)
            journal.unlink(missing_ok=True)
            raise


def _require_new(file: Path) -> None:
    """Raise `ConfigurationError` if there is a file of this name."""
    if file.exists():
        raise ConfigurationError(f"{file} exists: a backup replaces no file, so name another")


def _verify(uow: UnitOfWork, checkpoints: Iterable[Checkpoint], failed: str) -> Report:
    """Audit the records and return the report; raise `Broken`, with `failed` before its text, if they are not sound."""
    try:
        return uow.verify(checkpoints)
    except Broken as error:
        raise type(error)(f"{failed}: {error}") from None


def _time_of(tx: Transaction, head: Head) -> datetime | None:
    """Return the time of the event at the head of the journal; None if there is none."""
    return next((instant(row["at"]) for row in list(events.between(tx, head.position, head.position))), None)


@contextmanager
def _directory_beside(path: Path) -> Iterator[Path]:
    """Make the empty directory `<path>.restoring`, in place of any old one, for the block, and delete it afterwards."""
    work = path.with_name(f"{path.name}.restoring")
    shutil.rmtree(work, ignore_errors=True)  # that of a restore that was killed
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _copy(file: Path, path: Path, to: Path) -> None:
    """Copy the backup `file` to `to`, which must be new: otherwise raise `FileExistsError`.

    Raises `ConfigurationError` if `file` is no backup, or is the live database at `path`.
    """
    if path.exists() and file.samefile(path):
        raise ConfigurationError(f"{file} is the database itself: name a backup of it")
    with closing(SQLite(str(file), readonly=True)) as backup:
        try:
            with read_as_it_is(backup, "FILE", earlier=True) as tx:
                if not keys.any_stored(tx):
                    raise ConfigurationError(f"FILE: {file} has no records: name the right file")
            os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            backup.copy_to(to)
        except StorageUnavailable:
            raise ConfigurationError(f"FILE: {file} is not a database of SQLite, or is damaged") from None


def _update_and_audit(copy: Store, file: Path, live: Checkpoints) -> tuple[Report, Lineage]:
    """Migrate the copy of a backup to this version and audit it; return the report and the lineage of its journal.

    The audit uses the checkpoints beside the backup `file`, and those of the installation, `live`, up to the last event
    of the copy. Raises `ConfigurationError` if there is no checkpoint at all, or if the installation has some but none
    of this journal, and `Broken` if the copy is not sound.
    """
    of_installation, of_backup = list(live), list(beside(file)[0])
    if not of_installation and not of_backup:
        message = f"put its {beside(file)[0].file.name} beside it, or the installation's own checkpoints in {live.file}"
        raise ConfigurationError(f"{file} cannot be checked without checkpoints: {message}")
    copy.open(Opening.ACCEPT)
    with copy.read(COMMAND_LINE) as uow:
        head = uow.events.head()
        known = lineage(uow.tx, head)
        if of_installation and not known.own(of_installation):
            message = f"no checkpoint in {live.file} is of its journal {head.journal_id}"
            raise ConfigurationError(f"{file} is a backup of another installation: {message}")
        reached = [one for one in of_installation if one.position <= head.position]
        return _verify(uow, known.own([*reached, *of_backup]), f"{file} is not sound"), known


def _checkpoint_end(database: SQLite, live: Checkpoints) -> bool:
    """Add a checkpoint of the database's last event to `live`, unless it is the last one there; return whether it fits.

    Returns False, and adds nothing, if the database cannot be read or its journal differs from the checkpoints `live`.
    """
    last = live.last()
    assert last is not None
    with suppress(RefundsError, ValueError, TypeError), database.read() as tx:
        head = events.head(tx)
        if difference(tx, head, [*live]) is None:
            if (at := _time_of(tx, head)) and (head.position, head.journal_id) != (last.position, last.journal):
                live.append(Checkpoint(head.position, head.hash, at, head.journal_id))
            return True
    return False


def _erased_in(database: SQLite) -> list[Erasure]:
    """Return the erasures that the journal of a database names."""
    with database.read() as tx:
        return list(journalled(tx))


def _put_in_place(copied: Path, path: Path) -> Path | None:
    """Put the file `copied` in the place `path` of the database; return the old file's new name, or None without one.

    The files beside the old one are renamed with it. Raises `OSError` if `copied` is not whole on disk.
    """
    if Path(f"{copied}-wal").exists():  # SQLite does not say if it could not empty it
        raise OSError(0, "it could not be written to disk", str(copied))
    sync(copied)
    kept = path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    there = path.exists()
    if there:
        os.link(path, kept)  # not renamed: at no moment is there no database
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{kept}{suffix}")
    copied.replace(path)
    sync(path.parent)
    return kept if there else None
