"""Clients: who may call the service, and with which tokens."""

import hmac
from datetime import UTC, datetime, timedelta

from refunds.domain.journal import EventType
from refunds.domain.permissions import Principal, Role
from refunds.domain.records import Client, ClientToken
from refunds.errors import InvalidInput, Message, NotFound, Unauthenticated
from refunds.security.tokens import new_token, read_token
from refunds.service.store import Store
from refunds.storage.clients import holder
from refunds.storage.policies import Policies
from refunds.storage.unit_of_work import UnitOfWork

LONGEST_NAME = 100

MOST_TOKENS = 2
"""Active tokens per client, so that it can change from one to the next."""


def authenticate(store: Store, text: str) -> tuple[Principal, Policies]:
    """Return the principal of a valid token, and the policies as they were when the token was read.

    Raises `Unauthenticated` if the text is no token, or if the token is unknown, revoked or expired.
    """
    token = read_token(text)
    if token is None:
        raise Unauthenticated(
            Message("This is not a token of the service: compare it with the one that you were given.")
        )
    engine, _ = store.open()
    found = holder(engine, token.token_id)
    if found is None or not hmac.compare_digest(found[1].secret_digest, token.secret_digest):
        raise Unauthenticated(Message("The token is unknown."))
    client, stored, head = found
    policies = store.policies_at(head)
    if stored.revoked_at is not None:
        raise Unauthenticated(Message("The token has been revoked: use the client's other one, or ask for a new one."))
    if stored.expires_at <= datetime.now(UTC):
        raise Unauthenticated(Message("The token has expired: ask for a new one."))
    return Principal(client.client_id, client.name, client.role, stored.token_id, stored.expires_at), policies


def create_token(uow: UnitOfWork, role: Role, name: str, days: int) -> str:
    """Create a token that expires after so many days, and return its text, which is not shown again.

    The client with this name is added, with this role, if it is new. Raises `InvalidInput` if the name is not 1 to 100
    visible characters, or if the client has another role or two active tokens.
    """
    if not (name.isprintable() and 1 <= len(name) <= LONGEST_NAME):
        raise InvalidInput.at("/client", Message("must be 1 to %(most)s visible characters", most=LONGEST_NAME))
    client = uow.clients.by_name(name)
    if client is None:
        client = Client(client_id=uow.new_id("cli"), name=name, role=role, registered_at=uow.now)
        uow.clients.add(client, EventType.CLIENT_CREATED, role=role)
    if client.role != role:
        detail = Message(
            "the client %(name)s has the role %(role)s: choose another client name", name=name, role=client.role
        )
        raise InvalidInput.at("/role", detail)
    if uow.tokens.count_active(client.client_id) >= MOST_TOKENS:
        detail = Message(
            "the client %(name)s has %(most)s tokens already: revoke one first", name=name, most=MOST_TOKENS
        )
        raise InvalidInput.at("/client", detail)
    token = new_token()
    stored = ClientToken(
        token_id=token.token_id,
        client_id=client.client_id,
        secret_digest=token.secret_digest,
        created_at=uow.now,
        expires_at=uow.now + timedelta(days=days),
    )
    uow.tokens.add(stored, EventType.TOKEN_CREATED, client_id=client.client_id)
    return token.text


def revoke_token(uow: UnitOfWork, token_id: str) -> None:
    """Revoke a token; revoking it again changes nothing. Raises `NotFound` if there is no such token."""
    found = None
    if token_id.isascii():  # the database may not even accept other text
        uow.tokens.lock(token_id)
        found = holder(uow.tx, token_id)
    if found is None:
        raise NotFound(Message("there is no token of this id: see `flask tokens list`"))
    client, token, _ = found
    if token.revoked_at is None:
        data = {"client_id": client.client_id}
        uow.tokens.update(token, EventType.TOKEN_REVOKED, data, revoked_at=uow.now)


def forget(uow: UnitOfWork, name: str) -> Client:
    """Replace a client's name by its id, and revoke its tokens; return the client as it was. Raises `NotFound`."""
    client = uow.clients.by_name(name)
    if client is None:
        raise NotFound(Message("there is no client of this name: see `flask tokens list`"))
    for owner, token in uow.tokens.with_clients():
        if owner.client_id == client.client_id:
            revoke_token(uow, token.token_id)
    uow.clients.update(client, EventType.CLIENT_FORGOTTEN, name=client.client_id)
    return client


def first_tokens(uow: UnitOfWork, days: int) -> dict[Role, str]:
    """Create a token for each role, with a client named like the role, and return the texts of the tokens by role.

    Does nothing and returns {} if there is any token, even an expired one. A token expires after `days`.
    """
    if any(True for _ in uow.tokens.with_clients()):
        return {}
    return {role: create_token(uow, role, role, days) for role in Role}
