"""The store: opens the records and their journal, and begins the units of work on them.

`write()` and `read()` give a unit of work. Only the policies are kept in memory, with the hash of the last event about
them, and the head of the journal that was seen last: a database that does not have it is another one, or an older one.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeVar

from refunds.config import Settings, require_key_file, require_ledger
from refunds.domain import judging
from refunds.domain.instants import format_instant
from refunds.domain.journal import GENESIS, Event
from refunds.domain.permissions import COMMAND_LINE, Principal
from refunds.errors import AnotherJournal, ConfigurationError, Message, StorageUnavailable, lines_of
from refunds.security.encryption import Keyring
from refunds.security.master_key import create_master_key, read_master_keys
from refunds.service import publication, upkeep
from refunds.storage import PATIENCE, Engine, Transaction, events, keys, lineage, open_engine
from refunds.storage.checkpoints import Checkpoint, Checkpoints, LedgerFile
from refunds.storage.erasures import ErasureLedger
from refunds.storage.events import Head
from refunds.storage.migrations import read_as_it_is, up_to_date
from refunds.storage.policies import Policies, load
from refunds.storage.unit_of_work import UnitOfWork

T = TypeVar("T")

TRIES = 5  # of a batch
_NAP = 0.1
"""Seconds between two attempts to take what was deleted out of the database's files."""


class Opening(Enum):
    """What a database is opened for."""

    USE = auto()
    """To work with its records; its schema is brought up to date. In development, a new installation may begin."""
    RECORD = auto()
    """The same, in a database that must have records already."""
    READ = auto()
    """To read its records only: nothing is changed, not even its schema, and its journal is not compared."""
    INIT = auto()
    """To make a new installation, also in production."""
    ACCEPT = auto()
    """To accept a journal that is not the one that was checkpointed last."""


class Store:
    """The records of one installation; opened at first use."""

    def __init__(self, settings: Settings) -> None:
        self.checkpoints = Checkpoints(settings.ledger_dir or Path())  # without a directory, `open` fails
        self.erasures = ErasureLedger(settings.ledger_dir or Path())
        self._scrubbed = 0
        """The size of the ledger of erasures when nothing erased was left in the database's files."""
        self.on_checkpoint: Callable[[Checkpoint, OSError | None], None] = lambda _, __: None
        """Called with each checkpoint, and with the error if it could not be written."""
        self.waiting: Callable[[], AbstractContextManager[None]] = nullcontext
        """Makes the block in which each write waits for its turn."""
        self.created_key = False
        """Whether opening the store created a master key for development."""
        self.times_fit_to = 0
        """Up to this position, no time of an event puts the clock in doubt."""
        self.looked: tuple[Head, list[tuple[Event, bool]], list[tuple[Event, bool]], int] | None = None
        """What the last check of the clock read: the head, two lists of events, and the position it began at."""
        self.latest: tuple[int, int, datetime] | None = None
        """From which to which position the check of the clock has read the times, and the latest of them."""
        self._settings = settings
        self._opening = Lock()
        self._opened: tuple[Engine, Keyring] | None = None
        self._policies: Policies | None = None
        self._seen: tuple[Head, int] | None = None
        self._refused = False

    def open(self, to: Opening = Opening.USE) -> tuple[Engine, Keyring]:
        """Return the database and the keys, opened at the first call; later calls ignore `to`.

        Unless it is opened to read, the schema is brought up to date, customers whom the ledger names are erased, and
        missing things are made: the file of checkpoints, the first version of the policy, the service's keys in a new
        installation, and in development a master key. Raises `ConfigurationError` with everything that is wrong, also
        if the journal is not the one that was checkpointed.
        """
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    self._opened = self._open(to)
        return self._opened

    def prepare(self) -> None:
        """Build, before requests need them, the calendars of the default policy's current and coming versions.

        Raises `ConfigurationError` if there is no such policy.
        """
        with self.read(COMMAND_LINE) as uow:
            found = uow.policies
        if found.default not in found:
            message = f"REFUNDS_POLICY: there is no policy {found.default}; known: {', '.join(found) or 'none'}"
            raise ConfigurationError(f"{message}. Import it first: flask policy import FILE")
        policy = found[found.default]
        for version in {
            policy.current(uow.now).version,
            *(v.version for v in policy.effective_versions if v.effective_at > uow.now),
        }:
            counted = policy.version(version)
            judging.calendar_in(counted, counted.terms.region)

    @property
    def name(self) -> str:
        """Return the path or URL of the database, without secrets; opens the store if it is not open."""
        return self.open()[0].name

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = self._seen = None
            self.latest, self.looked, self.times_fit_to, self._scrubbed = None, None, 0, 0

    @contextmanager
    def read(self, principal: Principal) -> Iterator[UnitOfWork]:
        """Open a unit of work for the block; it changes nothing and sees one state of the records. Opens the store."""
        engine, keyring = self.open()
        with engine.read() as tx:
            yield self._unit(tx, keyring, principal)

    @contextmanager
    def write(self, principal: Principal, *, exclusive: bool = False) -> Iterator[UnitOfWork]:
        """Open a unit of work for the block, at whose end it is stored and journalled as a whole, or not at all.

        Afterwards a checkpoint is written if one is due, and what was erased is removed from the files. If that fails,
        the unit of work stays stored; the error of a checkpoint goes to `on_checkpoint`. Only one `exclusive` unit of
        work runs at a time, across all instances; others wait. Raises `Conflict` if another transaction changed
        the same data in the meantime, or any policy if the block has used one.
        """
        engine, keyring = self.open()
        checkpoint, waiting = None, ExitStack()
        waiting.enter_context(self.waiting())
        with waiting, engine.write(exclusive=exclusive) as tx:
            waiting.close()
            uow = self._unit(tx, keyring, principal)
            yield uow
            checkpoint = uow.write_journal()
        if checkpoint is not None:
            self._write_checkpoint(checkpoint)
        self._scrub(engine)

    def write_batch(self, principal: Principal, work: Callable[[UnitOfWork], T]) -> T:
        """Return what `work` returns in an exclusive write, tried up to `TRIES` times after `StorageUnavailable`."""
        for _ in range(TRIES - 1):
            with suppress(StorageUnavailable), self.write(principal, exclusive=True) as uow:
                return work(uow)
        with self.write(principal, exclusive=True) as uow:
            return work(uow)

    @property
    def has_scrubbed_all(self) -> bool:
        """Whether this store has itself removed from the database's files everything that was erased so far."""
        return self._scrubbed == self.erasures.size

    def _scrub(self, engine: Engine) -> None:
        """Remove from the database files what was erased since the last time, by any process, and note that.

        Without a new erasure, or if a reader or an error prevents it, nothing happens; the next call tries again.
        """
        size = self.erasures.size
        with suppress(StorageUnavailable, OSError):
            if size != self._scrubbed and engine.scrub():
                self._scrubbed = size
                upkeep.write_note(self.erasures.file.parent, "scrub", size)

    def scrub(self) -> None:
        """Remove deleted data from the files; raise `StorageUnavailable` if a reader prevents it for some seconds."""
        self.open()[0].compact()
        until = monotonic() + PATIENCE
        while not self.open()[0].scrub():
            if monotonic() > until:
                text = Message("What was deleted is still in the log of the database, because it is read: try again.")
                raise StorageUnavailable(text)
            sleep(_NAP)

    def require_there(self) -> None:
        """Raise `FileReplaced` if the database is a file that was removed or replaced since the store opened it."""
        if self._opened is not None:
            self._opened[0].require_there()

    def checkpoint(self) -> None:
        """Write a checkpoint of the journal as it is now, unless the journal is empty.

        It calls `on_checkpoint` with the checkpoint, and with the error if the file cannot be written; that error is
        not raised. Raises `ConfigurationError` if the store cannot open, `StorageUnavailable`, and `Unreadable`.
        """
        with self.read(COMMAND_LINE) as uow:
            head = uow.events.head()
        if head.position:
            self._write_checkpoint(Checkpoint(head.position, head.hash, datetime.now(UTC), head.journal_id))

    def policies_at(self, head: Head) -> Policies:
        """Return the policies as of a head that was just read, or newer ones; opens the store if it is not open yet.

        Raises `AnotherJournal` as `policies_as_of` does, and `ConfigurationError` if the store cannot be opened.
        """
        self._require_same_journal(self.open()[0], head)
        kept = self._policies
        if kept is None or kept.as_of != head.policies_hash:
            with self.read(COMMAND_LINE) as uow:
                kept = uow.policies
        return kept

    def policies_as_of(self, tx: Transaction, head: Head) -> Policies:
        """Return the policies as of the head of the journal, which must be the one that the transaction sees.

        They are kept, and read again only after another event about policies. Raises `AnotherJournal` if the journal
        does not have the last head that this store has seen, and no operator has accepted that.
        """
        self._require_same_journal(tx, head)
        kept = self._policies
        if kept is None or kept.as_of != head.policies_hash:
            kept = self._policies = load(tx, self._settings.policy, head.policies_hash)
        return kept

    def _require_same_journal(self, tx: Transaction | Engine, head: Head) -> None:
        """Remember a head as the last one seen; raise `AnotherJournal` if the journal lacks the head seen before.

        The journal lacks that head if it is another journal or has lost events, unless an operator has accepted this. A
        checkpoint of the head seen before is then written, so that the next start refuses the database, too. Its hash
        is looked up only after a new connection, because only through one can another database be there. Does nothing
        while the store is not open: `open` itself compares the journal with the checkpoints.
        """
        if self._opened is None:
            return
        engine, now = self._opened[0], self._opened[0].connections
        seen, then = self._seen or (head, now)
        grown = head.journal_id == seen.journal_id and head.position >= seen.position
        known = seen.hash if then == now or not grown else events.hash_at(tx, seen.position)
        if grown and known == seen.hash and (head.position > seen.position or head.hash == seen.hash):
            self._seen = head, now
            return
        last = Checkpoint(seen.position, seen.hash, datetime.now(UTC), seen.journal_id)
        with engine.read() as fresh:  # the transaction with that head may only be older than the last one
            present = events.head(fresh)
            differs = lineage.difference(fresh, present, [last])
        if differs is not None:
            # The next start refuses it as well.
            self._refused = self._refused or self._write_checkpoint(last)
            raise AnotherJournal(Message("The database is not the one that was used before: %(how)s.", how=differs))
        if present.journal_id != seen.journal_id:
            self._seen, self._refused = (present, now), False

    def _unit(self, tx: Transaction, keyring: Keyring, principal: Principal) -> UnitOfWork:
        return UnitOfWork(tx, keyring, principal, self.policies_as_of, self.erasures)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint, call `on_checkpoint` with it and the error, if any, and return whether it was written."""
        failure = None
        try:
            self.checkpoints.append(checkpoint)
        except OSError as error:
            failure = error
        self.on_checkpoint(checkpoint, failure)
        return failure is None

    def _open(self, to: Opening) -> tuple[Engine, Keyring]:
        """Open the database and the keys; return both. Raises one `ConfigurationError` for all wrong settings."""
        wrong: list[ConfigurationError] = []
        reads, exists = to is Opening.READ, to in {Opening.READ, Opening.RECORD, Opening.ACCEPT}
        with _collected_in(wrong):
            path = require_key_file(self._settings)
            if self._settings.production or path.exists():
                read_master_keys(path)  # fail before anything is created
        with _collected_in(wrong):
            require_ledger(self._settings)
            if not exists:
                self.checkpoints.require_writable()
        with _collected_in(wrong):
            engine = open_engine(self._settings.database, readonly=reads)
        if wrong:
            raise wrong[0] if len(wrong) == 1 else ConfigurationError(lines_of(error.detail for error in wrong))
        try:
            if exists or (self._settings.production and to is not Opening.INIT):
                engine.require_there()
            if to is Opening.RECORD:  # not before, as that makes its directory
                self.checkpoints.require_writable()
            keyring = self._keyring_to_read(engine, path) if reads else self._keyring(engine, path, to)
            if to is Opening.ACCEPT:  # not before it is certain that there is a journal
                self.checkpoints.require_writable()
            if to not in (Opening.READ, Opening.ACCEPT):
                self._scrub(engine)
        except BaseException:
            engine.close()
            raise
        return engine, keyring

    def _keyring_to_read(self, engine: Engine, key_file: Path) -> Keyring:
        """Return the keys of a read-only database; `ConfigurationError` if none are stored or `key_file` opens none."""
        with read_as_it_is(engine, "REFUNDS_DATABASE") as tx:
            if not keys.any_stored(tx):
                raise _no_records_error(f"REFUNDS_DATABASE: {engine.name}")
            return keys.open_keyring(tx, read_master_keys(key_file))

    def _keyring(self, engine: Engine, path: Path, to: Opening) -> Keyring:
        """Bring the schema of a database up to date, compare its journal with the checkpoints, and return its keys.

        A new database gets the service's keys and, in development, a master key file; each gets the packaged policy, if
        it never had it, and the ledger's erasures. Raises `ConfigurationError` if the database is not what `to` needs.
        """
        database = f"REFUNDS_DATABASE: {engine.name}"
        with up_to_date(engine, "REFUNDS_DATABASE") as (tx, copy_under_way):
            if copy_under_way:
                raise ConfigurationError(f"{database} is an unfinished copy: finish it with the command that began it")
            head, written = events.head(tx), list(self.checkpoints)
            # Without a checkpoint of its beginning, which was interrupted then, it has no records yet.
            is_new = not keys.any_stored(tx)
            begins = head.position <= 1 and not any(one.journal == head.journal_id for one in written)
            if is_new and to in (Opening.RECORD, Opening.ACCEPT):
                raise _no_records_error(database)
            if is_new or (begins and (to is Opening.INIT or not self._settings.production)):
                self._require_beginning(path, written, database, to, is_new=is_new)
            elif to is Opening.INIT:
                raise ConfigurationError(f"{database} is an installation already: it needs no flask init")
            elif (
                to is not Opening.ACCEPT
                and (written or self._settings.production)  # in development there need be none
                and (differs := lineage.difference(tx, head, written))
            ):
                engine.require_whole(tx)  # a damaged file may look like another journal, which must not be accepted
                raise ConfigurationError(
                    f"{database} is not the one of the checkpoints in {self.checkpoints.file}: {differs}.\n"
                    "Name the right database and the right REFUNDS_LEDGER_DIR. If an older state was restored on "
                    "purpose, accept it: flask audit accept --reason TEXT"
                )
            keyring = keys.open_keyring(tx, read_master_keys(path))
            uow = self._unit(tx, keyring, COMMAND_LINE)
            publication.first_policy(uow, self._settings.policy)
            if to is not Opening.ACCEPT:  # that comes with what is accepted
                try:
                    self.erasures.require_writable()
                    uow.erasures.make_whole()
                except OSError as error:
                    raise self._not_written_error(self.erasures, error) from None
            uow.write_journal()
        if begins:
            try:
                self.checkpoints.append(Checkpoint(0, GENESIS, datetime.now(UTC), head.journal_id))
            except OSError as error:
                raise self._not_written_error(self.checkpoints, error) from None
        return keyring

    def _not_written_error(self, file: LedgerFile[Any], error: OSError) -> ConfigurationError:
        """Return the `ConfigurationError` that says why a file of the ledger cannot be written, to be raised."""
        return ConfigurationError(f"REFUNDS_LEDGER_DIR: {file.file} cannot be written: {error.strerror}")

    def _require_beginning(
        self, path: Path, written: list[Checkpoint], database: str, to: Opening, *, is_new: bool
    ) -> None:
        """Raise `ConfigurationError` unless a new journal may begin in this database, which has no records.

        In production, a journal may begin only if the store opens to `Opening.INIT` and no checkpoint is `written` yet.
        In development, it always may; if the database is new and `path` has no master key, that is made there, and
        `ConfigurationError` raised if it cannot be.
        """
        if self._settings.production:
            if to is not Opening.INIT:
                raise ConfigurationError(
                    f"{database} has no records. Set REFUNDS_DATABASE to the right one, or restore its backup; "
                    "make a new installation with flask init"
                )
            if written:
                raise ConfigurationError(
                    f"REFUNDS_LEDGER_DIR: {self.checkpoints.file} is of another journal, with a checkpoint of "
                    f"{format_instant(written[-1].at)}: name a directory of its own, or the database of that journal"
                )
        elif is_new and not path.exists():
            try:
                create_master_key(path)
            except OSError as error:
                message = f"REFUNDS_MASTER_KEY_FILE: {path} cannot be made: {error.strerror}"
                raise ConfigurationError(message) from None
            self.created_key = True


def _no_records_error(database: str) -> ConfigurationError:
    """Return the error that a database has no records, to be raised; `database` is the name that it shows."""
    return ConfigurationError(Message("%(database)s has no records: name the right database", database=database))


@contextmanager
def _collected_in(wrong: list[ConfigurationError]) -> Iterator[None]:
    """Add a `ConfigurationError` of the block to `wrong`, instead of raising it."""
    try:
        yield
    except ConfigurationError as error:
        wrong.append(error)
