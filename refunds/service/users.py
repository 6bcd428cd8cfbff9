"""Users: the people who sign in to the console, and how long they stay so."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ulid import ULID

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.records import User
from refunds.errors import Flaw, InvalidInput, NotFound, TooManyAttempts, Unauthenticated
from refunds.security.encryption import CLOSED, keyed_digest
from refunds.security.passwords import new_password, password_fits, password_hash
from refunds.service.books import Books
from refunds.service.policies import Policies
from refunds.service.work import Work
from refunds.storage import users
from refunds.storage.users import USERS, WITHIN

ATTEMPTS = 10
"""At signing in by one name, before whoever makes them has to wait."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

FIRST = (Role.AGENT, Role.SUPERVISOR, Role.PRODUCT, Role.AUDITOR)
"""Whom the console has screens for."""


class Credentials(NamedTuple):
    """A user, and the password that is seen this once."""

    user: User
    password: str


def add(work: Work, name: str, role: Role) -> Credentials:
    """A new user; raises `InvalidInput` for a name that does not fit or is taken."""
    spelt = _spelt(name)
    if spelt is None:
        detail = "must be 1 to 64 letters from a to z, digits and . _ @ -, and not begin with a sign"
        raise InvalidInput([Flaw("/name", detail)])
    if users.by_name(work.tx, spelt) is not None:
        raise InvalidInput([Flaw("/name", f"there is a user {spelt} already: choose another name", "taken")])
    password = new_password()
    user = User(
        user_id=f"usr_{ULID()}",
        name=spelt,
        role=role,
        password_hash=password_hash(password),
        epoch=1,
        registered_at=work.now,
    )
    digest = USERS.insert(work.tx, user, CLOSED)
    work.enter(EventType.USER_CREATED, user.user_id, None, digest, role=role)
    return Credentials(user, password)


def reset(work: Work, name: str) -> Credentials:
    """A user with a new password, who may sign in again if he was disabled; every session ends.

    Raises `NotFound`.
    """
    users.forget_attempts(work.tx, _attempts_by(work, name))  # before the user is held, as whoever signs in does
    user, password = _named(work, name), new_password()
    user, digest = _without_sessions(work, user, password_hash=password_hash(password), disabled_at=None)
    work.enter(EventType.USER_RESET, user.user_id, None, digest)
    return Credentials(user, password)


def disable(work: Work, name: str) -> User:
    """Let a user sign in no more, and end every session; again changes nothing. Raises `NotFound`."""
    user = _named(work, name)
    if user.disabled_at is None:
        user, digest = _without_sessions(work, user, disabled_at=work.now)
        work.enter(EventType.USER_DISABLED, user.user_id, None, digest)
    return user


def every(work: Work) -> Iterator[User]:
    """Every user."""
    return (USERS.read(row, CLOSED) for row in users.every(work.tx))


def first_users(work: Work) -> list[Credentials]:
    """A user for each role of `FIRST`, where there is none yet: for a new installation on a developer's machine."""
    return [] if any(True for _ in users.every(work.tx)) else [add(work, role, role) for role in FIRST]


def sign_in(books: Books, name: str, password: str) -> User:
    """The user whose password this is; raises `Unauthenticated`, and `TooManyAttempts` however right it is then.

    Each attempt is counted before it is looked at, so that many at once are no way around the limit.
    """
    with books.write(COMMAND_LINE) as work:
        attempts_by = _attempts_by(work, name)
        if users.count_attempt(work.tx, attempts_by, work.now) > ATTEMPTS:
            minutes = int(WITHIN.total_seconds() // 60)
            raise TooManyAttempts(f"There were {ATTEMPTS} attempts in vain: wait {minutes} minutes, or have it reset.")
        user = users.by_name(work.tx, _spelt(name) or "")
    fits = password_fits(password, user.password_hash if user else None)
    if user is None or not fits or user.disabled_at is not None:
        raise Unauthenticated("User name and password do not fit.")
    with books.write(COMMAND_LINE) as work:
        users.forget_attempts(work.tx, attempts_by)
    return user


def signed_in(books: Books, user_id: str, epoch: int) -> tuple[Principal, Policies]:
    """Whom a session is of, and the policies as of now; raises `Unauthenticated` once it has ended."""
    with books.read(COMMAND_LINE) as work:
        found = users.by_id(work.tx, user_id)
        if found is None or found.user.epoch != epoch or found.user.disabled_at is not None:
            raise Unauthenticated("The session has ended: sign in again.")
        policies = work.policies_as_of(work.tx, found.policies_at)
    return Principal(user_id, found.user.name or user_id, found.user.role), policies


def sign_out(work: Work) -> None:
    """End every session of whoever acts, in whatever browser."""
    users.end_sessions(work.tx, work.principal.actor)


def names(work: Work, ids: Iterable[str]) -> Mapping[str, str]:
    """What users and clients are called, by their ids, where they have a name."""
    return users.names(work.tx, ids)


def _spelt(name: str) -> str | None:
    """A name as it is stored; None for what is none."""
    spelt = name.strip().lower()
    return spelt if _NAME.fullmatch(spelt) else None


def _named(work: Work, name: str) -> User:
    user = users.by_name(work.tx, _spelt(name) or "")
    if user is None:
        raise NotFound("there is no user of this name: see `flask users list`")
    return user


def _without_sessions(work: Work, user: User, **changes: Any) -> tuple[User, bytes]:
    """A user who is held, changed, and none of whose sessions goes on; and the digest."""
    return USERS.change(work.tx, user, CLOSED, epoch=user.epoch + 1, **changes)


def _attempts_by(work: Work, name: str) -> bytes:
    """By what attempts are counted: what is typed for a name may be anything, and is not stored in clear."""
    return keyed_digest(work.keys.session, b"attempts", name.strip().lower().encode(errors="surrogatepass"))
