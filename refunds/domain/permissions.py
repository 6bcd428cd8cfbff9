"""Who may do what: scopes, the roles that bundle them, and the principal that acts."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from refunds.errors import Forbidden, Message, one_of_text


class Scope(StrEnum):
    """One thing that a client or user may do."""

    CHECKS_RUN = "checks:run"
    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    ORDERS_CORRECT = "orders:correct"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    CONTACTS_LATE_ENTRY = "contacts:late-entry"
    CANCELLATIONS_READ = "cancellations:read"
    CANCELLATIONS_ISSUE = "cancellations:issue"
    CANCELLATIONS_OVERRIDE = "cancellations:override"
    CANCELLATIONS_SETTLE = "cancellations:settle"
    CANCELLATIONS_REVOKE = "cancellations:revoke"
    EVENTS_READ = "events:read"
    AUDIT_READ = "audit:read"
    PERSONAL_READ = "personal:read"  # to see personal fields of records that it may read, and find a person by one
    POLICIES_READ = "policies:read"
    POLICIES_WRITE = "policies:write"
    POLICIES_SIMULATE = "policies:simulate"
    EVIDENCE_READ = "evidence:read"
    PRIVACY_READ = "privacy:read"
    PRIVACY_WRITE = "privacy:write"
    PRIVACY_EXPORT = "privacy:export"
    STATISTICS_READ = "statistics:read"
    METRICS_READ = "metrics:read"


class Role(StrEnum):
    """The role of a client or user at the vendor, which gives them their scopes."""

    BILLING = "billing"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    PRODUCT = "product"
    PRIVACY = "privacy"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    ADMIN = "admin"


_AGENT = {
    Scope.CHECKS_RUN,
    Scope.ORDERS_READ,
    Scope.ORDERS_WRITE,
    Scope.CONTACTS_READ,
    Scope.CONTACTS_WRITE,
    Scope.CANCELLATIONS_READ,
    Scope.CANCELLATIONS_ISSUE,
    Scope.PERSONAL_READ,
    Scope.POLICIES_READ,
}

SCOPES: Mapping[Role, AbstractSet[Scope]] = {
    Role.BILLING: _AGENT | {Scope.ORDERS_CORRECT, Scope.CANCELLATIONS_SETTLE, Scope.EVENTS_READ},
    Role.AGENT: _AGENT,
    Role.SUPERVISOR: _AGENT
    | {
        Scope.ORDERS_CORRECT,
        Scope.CANCELLATIONS_OVERRIDE,
        Scope.CONTACTS_LATE_ENTRY,
        Scope.CANCELLATIONS_REVOKE,
        Scope.EVIDENCE_READ,
    },
    Role.PRODUCT: {
        Scope.CHECKS_RUN,
        Scope.POLICIES_READ,
        Scope.POLICIES_WRITE,
        Scope.POLICIES_SIMULATE,
        Scope.STATISTICS_READ,
    },
    Role.PRIVACY: {
        Scope.ORDERS_READ,
        Scope.CONTACTS_READ,
        Scope.EVIDENCE_READ,
        Scope.PERSONAL_READ,
        Scope.PRIVACY_READ,
        Scope.PRIVACY_WRITE,
        Scope.PRIVACY_EXPORT,
        Scope.STATISTICS_READ,
    },
    Role.AUDITOR: {scope for scope in Scope if scope.endswith(":read")} - {Scope.PERSONAL_READ, Scope.STATISTICS_READ},
    Role.OPERATOR: {Scope.METRICS_READ},
    Role.ADMIN: set(Scope),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: an opaque id that is stored with every record, and the role that says what they may do."""

    actor: str
    name: str
    role: Role
    token_id: str | None = None
    expires_at: datetime | None = None

    def may(self, *scopes: Scope) -> bool:
        """Tell whether the role has at least one of the scopes; without any scope, false."""
        return not SCOPES[self.role].isdisjoint(scopes)

    def require(self, *scopes: Scope) -> None:
        """Raise `Forbidden` unless the principal's role has at least one of the scopes."""
        if not self.may(*scopes):
            needed = {"role": self.role, "scopes": one_of_text(scopes)}
            raise Forbidden(Message("The role %(role)s does not have the scope %(scopes)s.", **needed))


COMMAND_LINE = Principal("command-line", "the command line", Role.ADMIN)
"""Anyone who can run the service's commands on the machine with its files."""

COMMAND_LINE_READER = replace(COMMAND_LINE, role=Role.AUDITOR)
"""The same in a command that writes no journal, and so shows nothing personal."""
