"""A unit of work: one use case, and its transaction, in which all of it happens or nothing."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TypeVar

from ulid import ULID

from refunds.domain.holidays_data import CalendarNotReady
from refunds.domain.journal import Event, chained
from refunds.domain.permissions import Principal
from refunds.domain.terms import Terms
from refunds.errors import CallersError, Conflict
from refunds.security.encryption import Keyring, keyed_digest
from refunds.storage import Transaction, audit, events, keys
from refunds.storage.audit import Broken, Report
from refunds.storage.cancellations import Cancellations
from refunds.storage.checkpoints import EVERY, Checkpoint
from refunds.storage.clients import Clients, Tokens
from refunds.storage.contacts import Contacts
from refunds.storage.customers import Customers
from refunds.storage.erasures import ErasureLedger, Erasures
from refunds.storage.events import Events, Head
from refunds.storage.idempotency import Replies
from refunds.storage.inspection import Inspection
from refunds.storage.orders import Orders
from refunds.storage.policies import ClosureRepository, Policies, Versions, load
from refunds.storage.privacy import DataRequests, Disclosures, Limits
from refunds.storage.promises import Promises
from refunds.storage.rectifications import Rectifications
from refunds.storage.repository import Context
from refunds.storage.retention import Retention
from refunds.storage.statistics import Statistics
from refunds.storage.unmatched import AnyContacts, Unmatched
from refunds.storage.users import Users

R = TypeVar("R")


def _repository(kind: Callable[[Context], R]) -> cached_property[R]:
    """Declare a repository of a unit of work, made when it is first used: most requests need one or two of them."""
    return cached_property(lambda uow: kind(uow._context))


class UnitOfWork:
    """One use case: who works, when, and the records as this transaction sees them."""

    orders, contacts, cancellations = _repository(Orders), _repository(Contacts), _repository(Cancellations)
    customers, versions, closures = _repository(Customers), _repository(Versions), _repository(ClosureRepository)
    clients, tokens, users = _repository(Clients), _repository(Tokens), _repository(Users)
    events, replies, promises = _repository(Events), _repository(Replies), _repository(Promises)
    unmatched, any_contacts = _repository(Unmatched), _repository(AnyContacts)
    erasures, limits = _repository(Erasures), _repository(Limits)
    data_requests, disclosures = _repository(DataRequests), _repository(Disclosures)
    rectifications, statistics = _repository(Rectifications), _repository(Statistics)
    retention = _repository(Retention)

    def __init__(
        self,
        tx: Transaction,
        keyring: Keyring,
        principal: Principal,
        policies_as_of: Callable[[Transaction, Head], Policies],
        ledger: ErasureLedger,
    ) -> None:
        self._context = Context(tx, keyring, principal, datetime.now(UTC), ledger)
        self.principal, self._policies_as_of = principal, policies_as_of
        self.policies_seen: Policies | None = None
        """The policies that this use case has relied on, or None."""
        self._locks_journal = False
        self._head: Head | None = None
        """The head of the journal, as soon as nobody else can move it."""

    @property
    def tx(self) -> Transaction:
        """The transaction of this use case."""
        return self._context.tx

    @property
    def now(self) -> datetime:
        """The instant of everything in this use case: when it began, or when it locked the journal."""
        return self._context.now

    @staticmethod
    def new_id(prefix: str, at: datetime | None = None) -> str:
        """Return an id for a new record: the prefix of its kind and a ULID, so that ids sort by when they were made.

        The ULID begins with the time `at`, if given, instead of the present time.
        """
        return f"{prefix}_{ULID.from_datetime(at) if at else ULID()}"

    @property
    def policies(self) -> Policies:
        """The policies as this transaction sees them.

        Who reads this relies on them: if they change before the use case ends, `write_journal` raises `Conflict`.
        """
        if self.policies_seen is None:
            head = self._head or self.events.head()
            self.policies_seen = self.policies_at(head)
            if self.tx.alone:
                self._head = head
        return self.policies_seen

    @property
    def default_terms(self) -> Terms:
        """The terms of the default policy that are in force now; what is about no order goes by them."""
        return self.policies[self.policies.default].current(self.now).terms

    def policies_at(self, head: Head) -> Policies:
        """Return the policies as of `head`, which must be the head of the journal that this transaction sees.

        Unlike `policies`, this does not record that the use case relies on the policies. Raises `AnotherJournal` if the
        journal lacks the last head that the store has seen.
        """
        return self._policies_as_of(self.tx, head)

    def lock_journal(self) -> None:
        """Lock the journal until this use case ends, so that a change of policies has one place in time.

        From here on, the use case has the instant of the lock as its present, and its policies are read afresh; a
        second call changes nothing. Another use case that decided by the policies before the change gets `Conflict` in
        `write_journal` and must be sent again.
        """
        if not self._locks_journal:
            self._head = events.lock_head(self.tx)
            self._context.now, self.policies_seen, self._locks_journal = datetime.now(UTC), None, True

    def see_own_policies(self) -> None:
        """Read the policies again, and use these from here on; call it after this use case has changed them itself."""
        seen = self.policies
        self.policies_seen = load(self.tx, seen.default, seen.as_of)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what the block has written if it raises `CallersError` or `CalendarNotReady`, and raise that again.

        What the block has locked may stay locked.
        """
        entries = self._context.entries
        before = len(entries)
        self.tx.run("SAVEPOINT attempt")
        try:
            yield
        except (CallersError, CalendarNotReady):
            self.tx.run("ROLLBACK TO SAVEPOINT attempt")
            self.tx.run("RELEASE SAVEPOINT attempt")
            del entries[before:]
            self.__dict__.pop("promises", None)  # it keeps what it has read
            raise
        self.tx.run("RELEASE SAVEPOINT attempt")

    def mark(self, *parts: bytes) -> bytes:
        """Return a keyed digest of these parts, by which the service recognizes what it has made, such as a cursor."""
        return keyed_digest(self._context.keys.cursor, *parts)

    def inspect(self, order_id: str) -> Inspection:
        """Return the readable records of an order, and their faults; raises `OrderNotFound` if there never was one."""
        return Inspection(self._context, order_id)

    def verify(self, checkpoints: Iterable[Checkpoint]) -> Report:
        """Check the journal and the records, and raise the first of the `faults`; returns how much was checked."""
        report = Report()
        for fault in self.faults(checkpoints, report):
            raise fault
        return report

    def faults(self, checkpoints: Iterable[Checkpoint], report: Report) -> Iterator[Broken]:
        """Yield a fault for each event, record or checkpoint that an audit finds not sound; fill `report` meanwhile."""
        return audit.faults(self._context, checkpoints, report)

    def of_copy(self, tx: Transaction) -> "UnitOfWork":
        """Make a unit of work of the same principal in a copy of the database.

        Stores service keys that the copy lacks, so `tx` must be a write if any is missing. Raises `ConfigurationError`
        if the master key is not that of the copy.
        """
        keyring = keys.open_keyring(tx, self._context.keys.masters)
        return UnitOfWork(tx, keyring, self.principal, self._policies_as_of, self._context.ledger)

    def write_journal(self) -> Checkpoint | None:
        """Append the events of this use case to the journal; without events, it does nothing.

        To be called once, at the end: a second call would append them again. Returns a checkpoint, which the caller
        must write after the commit, if one is due, else None. Raises `Conflict` if the policies relied on have changed.
        """
        context = self._context
        if not context.entries:
            return None
        before = self._head or events.lock_head(self.tx)
        if self.policies_seen is not None and self.policies_seen.as_of != before.policies_hash:
            raise Conflict("policies")
        entered: list[Event] = []
        previous = before.hash
        for position, entry in enumerate(context.entries, before.position + 1):
            event = chained(
                entry, context.keys.audit, context.now, self.principal.actor, position=position, previous=previous
            )
            entered.append(event)
            previous = event.hash
        events.append(self.tx, entered, before)
        last = entered[-1]
        is_due = last.position // EVERY > before.position // EVERY
        return Checkpoint(last.position, last.hash, context.now, before.journal_id) if is_due else None
