"""Roles and what each may do."""

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

# What the table's row says; `personal:read` is for whoever works with customers, and for privacy.
TABLE = {
    "billing": AGENT | {"cancellations:settle", "events:read"},
    "agent": AGENT,
    "supervisor": AGENT | {"cancellations:override", "contacts:late-entry", "cancellations:revoke"},
    "product": {"checks:run", "policies:read", "policies:write", "policies:simulate"},
    "privacy": {"orders:read", "personal:read"},
    "auditor": {
        "orders:read",
        "contacts:read",
        "cancellations:read",
        "events:read",
        "audit:read",
        "policies:read",
        "metrics:read",
    },
    "operator": {"metrics:read"},
    "admin": AGENT
    | {"contacts:late-entry", "cancellations:override", "cancellations:settle", "cancellations:revoke"}
    | {"policies:write", "policies:simulate", "events:read", "audit:read", "metrics:read"},
}


def principal(role):
    """Someone who has a role."""
    return Principal("cli_1", "someone", Role(role))


def test_the_table_has_every_role_and_every_scope():
    assert set(TABLE) == set(Role) == set(SCOPES)
    assert set.union(*TABLE.values()) == set(Scope)


@pytest.mark.parametrize("role", TABLE)
def test_a_role_has_the_scopes_of_its_row_and_no_others(role):
    assert SCOPES[Role(role)] == TABLE[role]


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("role", TABLE)
def test_a_principal_may_what_its_role_may(role, scope):
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
def test_no_scope_at_all_is_nobodys(role):
    assert not principal(role).may()


def test_the_command_line_may_everything():
    assert all(COMMAND_LINE.may(scope) for scope in Scope)


@pytest.mark.parametrize("role", ["", "root", "Admin", "ADMIN", "admin "])
def test_there_are_no_other_roles(role):
    with pytest.raises(ValueError, match="is not a valid Role"):
        Role(role)


@pytest.mark.parametrize("role", list(Role))
def test_whoever_writes_records_may_see_what_is_personal(role):
    """What is sealed anew must be opened first."""
    writes = {scope for scope in SCOPES[role] if scope.startswith(("orders:", "contacts:", "cancellations:"))}
    reads = {scope for scope in writes if scope.endswith(":read")}
    assert writes == reads or Scope.PERSONAL_READ in SCOPES[role]
