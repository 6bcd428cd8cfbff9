"""The store: the records, their journal, and the units of work on them.

`write()` and `read()` give a unit of work. Only the policies are kept in memory, with the position of the last event
about them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from refunds.config import Settings
from refunds.domain import judging
from refunds.domain.permissions import COMMAND_LINE, Principal
from refunds.errors import ConfigurationError, StorageUnavailable
from refunds.security.encryption import Keyring
from refunds.security.master_key import create_master_key, read_master_key
from refunds.service import publication
from refunds.storage import Engine, Transaction, idempotency, keys, open_engine
from refunds.storage.checkpoints import Checkpoint, Checkpoints
from refunds.storage.migrations import up_to_date
from refunds.storage.policies import Policies, load
from refunds.storage.unit_of_work import UnitOfWork


class Store:
    """The records of one installation; opened at first use."""

    def __init__(self, settings: Settings) -> None:
        self.checkpoints = Checkpoints(settings.ledger_dir or Path())  # without a directory, `open` fails
        self.on_checkpoint: Callable[[Checkpoint, OSError | None], None] = lambda _, __: None
        """Called with each checkpoint, and with the error if it could not be written."""
        self.created_key = False
        """Whether opening the store created a master key for development."""
        self._settings = settings
        self._opening = Lock()
        self._opened: tuple[Engine, Keyring] | None = None
        self._policies: Policies | None = None

    def open(self) -> tuple[Engine, Keyring]:
        """The database and the keys, opened at the first call.

        That makes the file of checkpoints, brings the schema up to date and, if missing, makes the service's keys and
        registers the packaged policy; in development it also makes a master key. Raises `ConfigurationError` with
        everything that is wrong.
        """
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    self._opened = self._open()
        return self._opened

    def prepare(self) -> None:
        """Build the calendars of the default policy, by its present and its coming versions, before the first request.

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
            judging.calendar_of(policy.version(version))

    @property
    def name(self) -> str:
        """Where the records are, without secrets; opens the store."""
        return self.open()[0].name

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    @contextmanager
    def read(self, principal: Principal) -> Iterator[UnitOfWork]:
        """A unit of work that changes nothing, and sees one state of the records; opens the store."""
        engine, keyring = self.open()
        with engine.read() as tx:
            yield self._unit(tx, keyring, principal)

    @contextmanager
    def write(self, principal: Principal, *, exclusive: bool = False) -> Iterator[UnitOfWork]:
        """A unit of work that is stored and journalled as a whole at the end of the block, or not at all.

        If a checkpoint is due, it is written afterwards, and some expired replies are deleted; if that fails, the unit
        of work stays stored, and only `on_checkpoint` is told of the checkpoint. Only one `exclusive` unit of work runs
        at a time, across all instances. Raises `Conflict` if another transaction was first, also if it changed the
        policies that were used.
        """
        engine, keyring = self.open()
        checkpoint = None
        with engine.write(exclusive=exclusive) as tx:
            uow = self._unit(tx, keyring, principal)
            yield uow
            checkpoint = uow.write_journal()
        if checkpoint is not None:
            self._write_checkpoint(checkpoint)
            with suppress(StorageUnavailable), engine.write() as tx:  # the use case is committed, even if this fails
                idempotency.forget_expired(tx, uow.now)

    def one_at_a_time(self, waits: Callable[[], None]) -> AbstractContextManager[None]:
        """A block that one instance at a time is in, as `Engine.one_at_a_time` has it; opens the store."""
        return self.open()[0].one_at_a_time(waits)

    def checkpoint(self) -> None:
        """Write a checkpoint of the journal as it is now, unless the journal is empty.

        It calls `on_checkpoint` with the checkpoint, and with the error if the file cannot be written; that error is
        not raised. Raises what `open` raises, `StorageUnavailable`, and `Unreadable` if the journal cannot be read.
        """
        with self.read(COMMAND_LINE) as uow:
            head = uow.events.head()
        if head.position:
            self._write_checkpoint(Checkpoint(head.position, head.hash, datetime.now(UTC)))

    def policies_as_of(self, tx: Transaction, position: int) -> Policies:
        """The policies after the event at `position`, which must be the last about policies that the transaction sees.

        They are kept, and read again only for another position.
        """
        kept = self._policies
        if kept is None or kept.position != position:
            kept = self._policies = load(tx, self._settings.policy, position)
        return kept

    def _unit(self, tx: Transaction, keyring: Keyring, principal: Principal) -> UnitOfWork:
        return UnitOfWork(tx, keyring, principal, self.policies_as_of)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and tell `on_checkpoint`, with the error if that fails.

        Its events stay committed then, and the next checkpoint covers them.
        """
        failure = None
        try:
            self.checkpoints.append(checkpoint)
        except OSError as error:
            failure = error
        self.on_checkpoint(checkpoint, failure)

    def _open(self) -> tuple[Engine, Keyring]:
        """Open the database and the keys.

        Raises one `ConfigurationError` for all that is wrong with the key file, the ledger directory and the database's
        URL; only if they are in order, for what is wrong in the database.
        """
        wrong: list[str] = []
        with _collected_in(wrong):
            path = self._key_file()
        with _collected_in(wrong):
            if self._settings.ledger_dir is None:
                raise ConfigurationError("REFUNDS_LEDGER_DIR: is required in production, and with PostgreSQL")
            self.checkpoints.require_writable()
        with _collected_in(wrong):
            engine = open_engine(self._settings.database)
        if wrong:
            raise ConfigurationError("\n".join(wrong))
        try:
            return engine, self._keyring(engine, path)
        except BaseException:
            engine.close()
            raise

    def _key_file(self) -> Path:
        """The path of the master key file; the key is checked if it must exist or does exist.

        Raises `ConfigurationError` if there is no path or the key does not fit.
        """
        path = self._settings.master_key_file
        if path is None:
            raise ConfigurationError("REFUNDS_MASTER_KEY_FILE: is required in production")
        if self._settings.production or path.exists():
            read_master_key(path)  # fail before anything is created
        return path

    def _keyring(self, engine: Engine, path: Path) -> Keyring:
        """The keys of a database, after its schema is brought up to date; missing service keys are made.

        A new database in development gets a master key file, and every one the packaged policy if it never had it.
        Raises `ConfigurationError` if the database is an unfinished copy, or if the master key is missing, cannot be
        made or is not that of the database.
        """
        production = self._settings.production
        with up_to_date(engine, "REFUNDS_DATABASE") as (tx, copy_under_way):
            if copy_under_way:
                message = f"REFUNDS_DATABASE: {engine.name} is an unfinished copy"
                raise ConfigurationError(f"{message}: finish it with the command that began it")
            if not (production or path.exists() or keys.any_stored(tx)):
                try:
                    create_master_key(path)
                except OSError as error:
                    message = f"REFUNDS_MASTER_KEY_FILE: {path} cannot be made: {error.strerror}"
                    raise ConfigurationError(message) from None
                self.created_key = True
            keyring = keys.open_keyring(tx, read_master_key(path))
            uow = self._unit(tx, keyring, COMMAND_LINE)
            publication.first_policy(uow, self._settings.policy)
            uow.write_journal()
            return keyring


@contextmanager
def _collected_in(wrong: list[str]) -> Iterator[None]:
    """Add the text of a `ConfigurationError` in the block to `wrong` and go on after the block; others pass."""
    try:
        yield
    except ConfigurationError as error:
        wrong.append(str(error))
