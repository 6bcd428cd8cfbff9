"""Clients: who may call the service, and by which tokens."""

import hmac
from collections.abc import Iterator
from datetime import timedelta

from ulid import ULID

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.records import Client, ClientToken
from refunds.errors import Flaw, InvalidInput, NotFound, Unauthenticated
from refunds.security.encryption import CLOSED
from refunds.security.tokens import new_token, read_token
from refunds.service.books import Books
from refunds.service.policies import Policies
from refunds.service.work import Work
from refunds.storage import clients
from refunds.storage.clients import CLIENTS, TOKENS

LONGEST_NAME = 100

MOST_TOKENS = 2
"""At once, so that a client can change from one to the next."""


def authenticate(books: Books, text: str) -> tuple[Principal, Policies]:
    """Whom a token stands for, and the policies as of now; at the next request after it is revoked, nobody.

    Raises `Unauthenticated`.
    """
    token = read_token(text)
    if token is None:
        raise Unauthenticated("This is not a token of the service: compare it with what was handed out.")
    with books.read(COMMAND_LINE) as work:
        found = clients.by_token(work.tx, token.token_id)
        if found is None or not hmac.compare_digest(found.token.secret_digest, token.secret_digest):
            raise Unauthenticated("The token is unknown.")
        policies = work.policies_as_of(work.tx, found.policies_at)
    client, stored = found.client, found.token
    if stored.revoked_at is not None:
        raise Unauthenticated("The token has been revoked: use the client's other one, or ask for a new one.")
    if stored.expires_at <= work.now:
        raise Unauthenticated("The token has expired: ask for a new one.")
    return Principal(client.client_id, client.name, client.role, stored.token_id, stored.expires_at), policies


def create_token(work: Work, role: Role, name: str, days: int) -> str:
    """A new token of the client of this name, which is made where there is none; the only time it is seen."""
    if not (name.isprintable() and 1 <= len(name) <= LONGEST_NAME):
        detail = f"must be 1 to {LONGEST_NAME} visible characters"
        raise InvalidInput([Flaw("/client", detail)])
    client = clients.by_name(work.tx, name)
    if client is None:
        client = Client(client_id=f"cli_{ULID()}", name=name, role=role, registered_at=work.now)
        digest = CLIENTS.insert(work.tx, client, CLOSED)
        work.enter(EventType.CLIENT_CREATED, client.client_id, None, digest, role=role)
    if client.role != role:
        raise InvalidInput([Flaw("/role", f"the client {name} has the role {client.role}: choose another client name")])
    if clients.active_tokens(work.tx, client.client_id, work.now) >= MOST_TOKENS:
        detail = f"the client {name} has {MOST_TOKENS} tokens already: revoke one first"
        raise InvalidInput([Flaw("/client", detail)])
    token = new_token()
    stored = ClientToken(
        token_id=token.token_id,
        client_id=client.client_id,
        secret_digest=token.secret_digest,
        created_at=work.now,
        expires_at=work.now + timedelta(days=days),
    )
    digest = TOKENS.insert(work.tx, stored, CLOSED)
    work.enter(EventType.TOKEN_CREATED, stored.token_id, None, digest, client_id=client.client_id)
    return token.text


def revoke_token(work: Work, token_id: str) -> None:
    """End a token; ending it again changes nothing. Raises `NotFound`."""
    found = None
    if token_id.isascii():  # or it cannot even be asked for
        clients.hold_token(work.tx, token_id)
        found = clients.by_token(work.tx, token_id)
    if found is None:
        raise NotFound("there is no token of this id: see `flask tokens list`")
    client, token, _ = found
    if token.revoked_at is None:
        digest = TOKENS.change(work.tx, token, CLOSED, revoked_at=work.now)[1]
        work.enter(EventType.TOKEN_REVOKED, token_id, None, digest, client_id=client.client_id)


def tokens(work: Work) -> Iterator[tuple[Client, ClientToken]]:
    """Every token with its client."""
    return clients.every(work.tx)


def first_tokens(work: Work, days: int) -> dict[Role, str]:
    """A token for each role, where nobody has one yet: for a new installation on a developer's machine."""
    if any(True for _ in clients.every(work.tx)):
        return {}
    return {role: create_token(work, role, role, days) for role in Role}
