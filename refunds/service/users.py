"""Users: the people who sign in to the console, and their sessions."""

import re
from contextlib import suppress
from datetime import timedelta
from hmac import compare_digest
from typing import Any, NamedTuple

from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE, Principal, Role
from refunds.domain.records import User
from refunds.errors import (
    Conflict,
    InvalidInput,
    Message,
    NotFound,
    StorageUnavailable,
    TooManyAttempts,
    Unauthenticated,
)
from refunds.security.limiter import Limiter
from refunds.security.passwords import new_password, password_fits, password_hash
from refunds.service.store import Store
from refunds.storage.events import Head
from refunds.storage.policies import Policies
from refunds.storage.unit_of_work import UnitOfWork
from refunds.storage.users import WITHIN

ATTEMPTS = 10
"""Sign-in attempts with one name before further ones have to wait."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")

FIRST = (Role.AGENT, Role.SUPERVISOR, Role.PRODUCT, Role.PRIVACY, Role.AUDITOR)
"""The roles that the console has screens for."""


class Credentials(NamedTuple):
    """A user, and the password, which is shown only once."""

    user: User
    password: str


SEEN = timedelta(minutes=10)
"""How exactly it is known when a session was last seen: a request only reads, unless that was longer ago."""


class Offer(NamedTuple):
    """A password that the service has made for a user, and a keyed digest by which the service recognizes it."""

    password: str
    mark: str


class Session(NamedTuple):
    """A session of a user, with the user's epoch, the journal and its last position as they were when it began.

    The journal has an event of each end of sessions: an ended one stays ended even if its row or the epoch is restored.
    """

    session_id: str
    user_id: str
    epoch: int
    journal_id: str | None
    position: int

    def fits(self, user: User, journal: Head) -> bool:
        """Tell whether the session still counts: it began in this journal, and the user is enabled and has its epoch.

        `journal` is the present head; a session that began after it does not count.
        """
        began_here = self.journal_id == journal.journal_id and self.position <= journal.position
        return began_here and self.epoch == user.epoch and user.disabled_at is None


def add(uow: UnitOfWork, name: str, role: Role) -> Credentials:
    """Add a user with a new password; the name is stored in lower case, without spaces around it.

    Raises `InvalidInput` if it is not 1 to 64 of a-z, 0-9 and `._@-` then, the first a-z or 0-9, or if it is taken.
    """
    spelt = _spelt(name)
    if spelt is None:
        detail = Message("must be 1 to 64 letters from a to z, digits and . _ @ -, and begin with a letter or a digit")
        raise InvalidInput.at("/name", detail)
    if uow.users.by_name(spelt) is not None:
        detail = Message("there is a user %(name)s already: choose another name", name=spelt)
        raise InvalidInput.at("/name", detail, "taken")
    password = new_password()
    user = User(
        user_id=uow.new_id("usr"),
        name=spelt,
        role=role,
        password_hash=password_hash(password),
        epoch=1,
        registered_at=uow.now,
    )
    uow.users.add(user, EventType.USER_CREATED, role=role)
    return Credentials(user, password)


def reset(uow: UnitOfWork, name: str) -> Credentials:
    """Give a user a new password, and forget the attempts to sign in with their name.

    A disabled user may sign in again; all their sessions end. Raises `NotFound` if there is no such user.
    """
    uow.users.forget_attempts(name)  # before the user is locked: `sign_in` locks in the same order
    user, password = _lock_by_name(uow, name), new_password()
    changes = {"password_hash": password_hash(password), "disabled_at": None}
    return Credentials(_update_and_end_sessions(uow, user, EventType.USER_RESET, **changes), password)


def disable(uow: UnitOfWork, name: str) -> User:
    """Disable a user and end their sessions, with an event; change nothing if they are disabled. Raises `NotFound`."""
    user = _lock_by_name(uow, name)
    if user.disabled_at is not None:
        return user
    return _update_and_end_sessions(uow, user, EventType.USER_DISABLED, disabled_at=uow.now)


def forget(uow: UnitOfWork, name: str) -> User:
    """Delete a user's name and password, end all their sessions and disable them for ever; records keep their id.

    Returns the user as they were. Raises `NotFound` if there is no such user.
    """
    uow.users.forget_attempts(name)  # before the user is locked: `sign_in` locks in the same order
    user = _lock_by_name(uow, name)
    changes = {"name": None, "password_hash": "", "disabled_at": user.disabled_at or uow.now}
    _update_and_end_sessions(uow, user, EventType.USER_FORGOTTEN, **changes)
    return user


def first_users(uow: UnitOfWork) -> list[Credentials]:
    """Add a user for each role of `FIRST`, named like their role, and return the credentials of all that were added.

    If there is any user already, even a disabled one, add none.
    """
    return [] if any(True for _ in uow.users.iter_all()) else [add(uow, role, role) for role in FIRST]


NOBODYS = Limiter(5)
"""Attempts per second with names that do not exist; those with a user's name are counted by name instead."""


def sign_in(store: Store, name: str, password: str, known: str | None = None) -> User:
    """Check a name and a password, and return the user; the caller begins the session.

    `known` is the id of the user who last signed in with the same browser: the attempts of others do not lock them out.

    Each attempt is counted before it is checked; success resets the count. Raises `TooManyAttempts` after ten attempts
    with the name within 15 minutes, even if the password is right, or if there are too many with names that do not
    exist, `Unauthenticated` if the name or the password is wrong or the user is disabled, and `Crowded` if eight are
    being tried already, which counts as an attempt.
    """
    with store.read(COMMAND_LINE) as uow:
        user_id = uow.users.id_of(_spelt(name) or "")
    if user_id is None and NOBODYS.take("") < 0:
        raise TooManyAttempts(Message("Too many are signing in: try again in a moment."))
    with store.write(COMMAND_LINE) as uow:
        if uow.users.count_attempt(name, known=user_id is not None and user_id == known) > ATTEMPTS:
            minutes = int(WITHIN.total_seconds() // 60)
            raise TooManyAttempts(
                Message(
                    "There were %(attempts)s failed attempts: wait %(minutes)s minutes, or have the password reset.",
                    attempts=ATTEMPTS,
                    minutes=minutes,
                )
            )
        user = uow.users.by_name(_spelt(name) or "")
    fits = password_fits(password, user.password_hash if user else None)
    if user is None or not fits or user.disabled_at is not None:
        raise Unauthenticated(Message("The user name or the password is wrong."))
    with store.write(COMMAND_LINE) as uow:
        uow.users.forget_attempts(name)
    return user


def session_for(store: Store, user: User) -> Session:
    """Begin a session for a user who has just signed in, and return it.

    It is not stored, and so not valid, if the user's password was changed or their sessions were ended meanwhile.
    """
    with store.write(COMMAND_LINE) as uow:
        session_id = uow.new_id("ses")
        uow.users.begin_session(session_id, user)
        head = uow.events.head()
    return Session(session_id, user.user_id, user.epoch, head.journal_id, head.position)


def signed_in(store: Store, session: Session) -> tuple[Principal, Policies]:
    """Return the principal of a session, and the current policies; store when it was seen, at most every ten minutes.

    Raises `Unauthenticated` if the session was ended, if its user is disabled or unknown, or if an older database was
    restored since; its age is not checked.
    """
    with store.read(COMMAND_LINE) as uow:
        found = uow.users.for_request(session.user_id, session.session_id, session.position)
        user, head, seen_at = found or (None, None, None)
        if user is None or head is None or seen_at is None or not session.fits(user, head):
            raise Unauthenticated(Message("The session has ended: sign in again."))
        policies, unseen = uow.policies_at(head), uow.now - seen_at
    if unseen >= SEEN:
        with suppress(StorageUnavailable), store.write(COMMAND_LINE) as uow:  # a request that reads does not need it
            uow.users.see_session(session.session_id)
    return Principal(user.user_id, user.name or user.user_id, user.role), policies


def new_offer(uow: UnitOfWork) -> Offer:
    """Return a new random password for the principal, with its mark, by which `change_password` recognizes it.

    Nothing is stored: it is their password only after `change_password`.
    """
    password = new_password()
    return Offer(password, _mark(uow, password))


def is_offered(uow: UnitOfWork, offered: Offer) -> bool:
    """Tell whether the service made the offered password, and for this principal."""
    return compare_digest(_mark(uow, offered.password).encode(), offered.mark.encode())


def change_password(store: Store, principal: Principal, kept: str, old: str, offered: Offer) -> None:
    """Give a user the offered password, if `old` is their present one, and end their sessions except `kept`.

    The journal has the events. The same again, even at the same moment, changes nothing. Raises `InvalidInput` if the
    service has not made the password for this user, `Unauthenticated` if `old` is wrong, `TooManyAttempts` or `Crowded`
    as `sign_in` does, and `Conflict` if they get another password at the same moment.
    """
    with store.read(principal) as uow:
        if not is_offered(uow, offered):
            raise InvalidInput.at("/new_password", Message("take the one that is shown"), "not_offered")
    try:
        user = sign_in(store, principal.name, old, principal.actor)
        hashed = password_hash(offered.password)
        with store.write(principal) as uow:
            uow.users.update(user, EventType.USER_PASSWORD_CHANGED, password_hash=hashed)
            end_other_sessions(uow, kept)
    except (Unauthenticated, Conflict):  # perhaps the same request was sent before, or at the same moment
        with store.read(principal) as uow:
            stored = uow.users.find(principal.actor)
        if stored is None or not password_fits(offered.password, stored.password_hash):
            raise


def end_other_sessions(uow: UnitOfWork, kept: str) -> bool:
    """End every session of the principal except `kept`, with events, and return whether there was any other."""
    own = uow.principal.actor
    others = [one.session_id for one in uow.users.sessions(own) if one.session_id != kept]
    for name in others:
        uow.users.end_session(own, name)
    return bool(others)


def _mark(uow: UnitOfWork, password: str) -> str:
    """Return the mark, as hexadecimal digits, that shows that the service made this password for the principal."""
    return uow.mark(b"password", uow.principal.actor.encode(), password.encode()).hex()


def _spelt(name: str) -> str | None:
    """Return a name as it is stored; None if it is not valid."""
    spelt = name.strip().lower()
    return spelt if _NAME.fullmatch(spelt) else None


def _lock_by_name(uow: UnitOfWork, name: str) -> User:
    """Lock and return the user of this name, in whatever case and spaces, even if disabled; or raise `NotFound`."""
    user = uow.users.by_name(_spelt(name) or "")
    if user is None:
        raise NotFound(Message("there is no user of this name: see `flask users list`"))
    return user


def _update_and_end_sessions(uow: UnitOfWork, user: User, event: EventType, **changes: Any) -> User:
    """Store the changes of a user, with an event, and end all their sessions; return the changed user."""
    uow.users.forget_sessions(user.user_id)
    return uow.users.update(user, event, epoch=user.epoch + 1, **changes)
