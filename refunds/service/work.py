"""A use case under way: the transaction in which all of it happens or nothing, and what else it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from refunds.domain.journal import Entry, EventType
from refunds.domain.permissions import Principal, Scope
from refunds.security.encryption import CLOSED, Keyring, Vault
from refunds.service.policies import Policies
from refunds.storage import Row, Transaction, events, keys


@dataclass(slots=True)
class Work:
    """A use case under way: who does it, when, and the transaction in which all of it happens or nothing."""

    tx: Transaction
    keys: Keyring
    principal: Principal
    now: datetime
    policies_as_of: Callable[[Transaction, int], Policies]
    """The policies as they are after the event at a position of the journal."""
    entries: list[Entry] = field(default_factory=list)
    relied_on: Policies | None = None
    """The policies that were relied upon, if any were."""
    holds_journal: bool = False

    @property
    def policies(self) -> Policies:
        """The policies as this transaction sees them."""
        if self.relied_on is None:
            self.relied_on = self.policies_as_of(self.tx, events.head(self.tx).policies_at)
        return self.relied_on

    def vault(self, row: Row) -> Vault:
        """What opens the personal fields of a row's customer; closed to those who may not see them."""
        return keys.vault(self.keys, row) if self.principal.may(Scope.PERSONAL_READ) else CLOSED

    @property
    def notes(self) -> Vault:
        """What opens the free texts that are no customer's: for those who write them, and who may see all."""
        readable = self.principal.may(Scope.PERSONAL_READ, Scope.POLICIES_WRITE)
        return Vault(self.keys.notes) if readable else CLOSED

    def hold_journal(self) -> None:
        """Be the only use case that is entered in the journal until this one ends, and happen after all that are.

        What is judged meanwhile is judged again (`Books.write`), so that a change of policies has one place in time.
        """
        if not self.holds_journal:
            events.hold_head(self.tx)
            self.now, self.relied_on, self.holds_journal = datetime.now(UTC), None, True

    def enter(self, event: EventType, subject: str, order_id: str | None, digest: bytes, **data: Any) -> None:
        """Enter in the journal what has happened to a record, now with this digest; nothing personal."""
        self.entries.append(Entry(type=event, subject=subject, order_id=order_id, digest=digest, data=data))
