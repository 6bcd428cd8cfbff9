"""Roles and their scopes."""

import pytest

from refunds.domain.permissions import COMMAND_LINE, SCOPES, Principal, Role, Scope
from refunds.errors import Forbidden

AGENT = {
    "checks:run",
    "orders:read",
    "orders:write",
    "contacts:read",
    "contacts:write",
    "cancellations:issue",
    "cancellations:read",
    "personal:read",
    "policies:read",
}

PRIVACY = {"privacy:read", "privacy:write", "privacy:export"}

# `personal:read` is for roles that work with customers, and for privacy.
TABLE = {
    "billing": AGENT | {"orders:correct", "cancellations:settle", "events:read"},
    "agent": AGENT,
    "supervisor": AGENT
    | {"orders:correct", "cancellations:override", "contacts:late-entry", "cancellations:revoke", "evidence:read"},
    "product": {"checks:run", "policies:read", "policies:write", "policies:simulate", "statistics:read"},
    "privacy": {"orders:read", "contacts:read", "evidence:read", "personal:read", "statistics:read"} | PRIVACY,
    "auditor": {
        "orders:read",
        "contacts:read",
        "cancellations:read",
        "events:read",
        "audit:read",
        "evidence:read",
        "privacy:read",
        "policies:read",
        "metrics:read",
    },
    "operator": {"metrics:read"},
    "admin": AGENT
    | {
        "orders:correct",
        "contacts:late-entry",
        "cancellations:override",
        "cancellations:settle",
        "cancellations:revoke",
        "evidence:read",
    }
    | PRIVACY
    | {"policies:write", "policies:simulate", "events:read", "audit:read", "metrics:read", "statistics:read"},
}


def principal(role):
    """A principal with this role."""
    return Principal("cli_1", "someone", Role(role))


def test_the_table_has_every_role_and_every_scope():
    assert set(TABLE) == set(Role) == set(SCOPES)
    assert set.union(*TABLE.values()) == set(Scope)


@pytest.mark.parametrize("role", TABLE)
def test_a_role_has_exactly_the_scopes_of_its_row(role):
    assert SCOPES[Role(role)] == TABLE[role]


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("role", TABLE)
def test_a_principal_has_the_scopes_of_its_role(role, scope):
    allowed = scope in TABLE[role]
    assert principal(role).may(scope) is allowed
    if allowed:
        principal(role).require(scope)
    else:
        with pytest.raises(Forbidden, match=f"^The role {role} does not have the scope {scope}.$"):
            principal(role).require(scope)


def test_one_of_several_scopes_is_enough():
    principal("agent").require(Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_ISSUE)
    with pytest.raises(Forbidden, match="cancellations:revoke or cancellations:settle"):
        principal("agent").require(Scope.CANCELLATIONS_REVOKE, Scope.CANCELLATIONS_SETTLE)


@pytest.mark.parametrize("role", TABLE)
def test_an_empty_list_of_scopes_allows_nobody(role):
    assert not principal(role).may()


def test_the_command_line_has_every_scope():
    assert all(COMMAND_LINE.may(scope) for scope in Scope)


@pytest.mark.parametrize("role", ["", "root", "Admin", "ADMIN", "admin "])
def test_there_are_no_other_roles(role):
    with pytest.raises(ValueError, match="is not a valid Role"):
        Role(role)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_that_writes_records_may_read_personal_data(role):
    """To encrypt a value again, the service must decrypt it first."""
    writes = {scope for scope in SCOPES[role] if scope.startswith(("orders:", "contacts:", "cancellations:"))}
    reads = {scope for scope in writes if scope.endswith(":read")}
    assert writes == reads or Scope.PERSONAL_READ in SCOPES[role]
