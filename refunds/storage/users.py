"""Users of the console, and attempts at signing in as one."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from refunds.domain.journal import ENDING_SESSIONS, EventType
from refunds.domain.records import User
from refunds.security.encryption import keyed_digest
from refunds.storage.events import HEAD, Head, head_in
from refunds.storage.mapper import RecordMapper, instant, micros, number
from refunds.storage.repository import Repository, named_list

USERS = RecordMapper(User, "users")

_ENDING = ", ".join(map(repr, map(str, ENDING_SESSIONS)))

WITHIN = timedelta(minutes=15)
"""How long attempts are counted, from the first one."""

LASTS = timedelta(hours=12)
"""The longest time that a session is valid."""


class UserSession(NamedTuple):
    """A session of a user: its id, when it began, and when it was last seen."""

    session_id: str
    began_at: datetime
    seen_at: datetime


class Users(Repository[User]):
    """The people who sign in to the console."""

    mapper: ClassVar[RecordMapper[User]] = USERS

    def for_request(self, user_id: str, session_id: str, since: int) -> tuple[User, Head, datetime | None] | None:
        """Return a user, the journal's head, and when the session was last seen; None if there is no such user.

        The time is None if the user has no such stored session, or if an event after position `since` ended it. The
        age, epoch and journal of the session are not checked. An HTTP request with a session needs no other read.
        """
        row = self._tx.one(
            f"SELECT {USERS.columns}, {HEAD},"  # noqa: S608
            f" EXISTS (SELECT 1 FROM events WHERE type IN ({_ENDING}) AND events.position > :since"
            " AND subject IN (:user_id, :session_id)) AS ended, (SELECT seen_at FROM sessions"
            " WHERE session_id = :session_id AND sessions.user_id = users.user_id) AS seen_at"
            " FROM users CROSS JOIN journal_head WHERE user_id = :user_id",
            user_id=user_id,
            session_id=session_id,
            since=since,
        )
        if row is None:
            return None
        is_there = row["seen_at"] is not None and not row["ended"]
        return self._load(row), head_in(row), instant(row["seen_at"]) if is_there else None

    def by_name(self, name: str) -> User | None:
        """Return the user with exactly this name, or None; a transaction that writes locks the user's row."""
        return self._one("name = :name {for_update}", name=name)

    def id_of(self, name: str) -> str | None:
        """Return the id of the user with exactly this stored name; None if there is none."""
        row = self._tx.one("SELECT user_id FROM users WHERE name = :name", name=name)
        return None if row is None else row["user_id"]

    def names(self, ids: Iterable[str | None]) -> Mapping[str, str]:
        """Return the names of users and clients by their ids; a client's says so, because a user may have the same.

        None is left out, and so are ids that are not known, or whose user no longer has a name.
        """
        listed, named = named_list(set(ids) - {None})
        sql = " UNION ALL ".join(
            f"SELECT {key} AS id, {name} AS name FROM {table} WHERE {key} IN ({listed}) AND name IS NOT NULL"  # noqa: S608
            for table, key, name in (("users", "user_id", "name"), ("clients", "client_id", "name || ' (API)'"))
        )
        return {row["id"]: row["name"] for row in self._tx.all(sql, **named)} if named else {}

    def begin_session(self, session_id: str, user: User) -> None:
        """Store a new session, and delete everybody's expired sessions.

        If the sessions of `user` ended or their password changed since it was read, nothing is stored or raised.
        """
        now = self._context.now
        self._tx.run("DELETE FROM sessions WHERE began_at <= :expired", expired=micros(now - LASTS))
        self._tx.run(
            "INSERT INTO sessions (session_id, user_id, began_at, seen_at)"
            # Locked: a change of the password, which ends the sessions that it sees, comes before or after it.
            " SELECT :session_id, user_id, :now, :now FROM users"
            " WHERE user_id = :user_id AND epoch = :epoch AND password_hash = :checked {for_update}",
            session_id=session_id,
            user_id=user.user_id,
            epoch=user.epoch,
            checked=user.password_hash,
            now=micros(now),
        )

    def see_session(self, session_id: str) -> None:
        """Store now as the instant at which a session was last used; do nothing if there is no such session."""
        seen = "UPDATE sessions SET seen_at = :now WHERE session_id = :session_id"
        self._tx.run(seen, session_id=session_id, now=micros(self._context.now))

    def sessions(self, user_id: str) -> list[UserSession]:
        """Return the sessions of a user that are neither ended nor too old, the newest first."""
        rows = self._tx.all(
            "SELECT session_id, began_at, seen_at FROM sessions WHERE user_id = :user_id AND began_at > :expired"
            " ORDER BY began_at DESC, session_id",
            user_id=user_id,
            expired=micros(self._context.now - LASTS),
        )
        return [UserSession(row["session_id"], instant(row["began_at"]), instant(row["seen_at"])) for row in rows]

    def end_session(self, user_id: str, session_id: str) -> bool:
        """End one session of a user, with an event, if it is theirs; returns whether it was."""
        ending = "DELETE FROM sessions WHERE user_id = :user_id AND session_id = :session_id"
        if found := self._tx.run(ending, user_id=user_id, session_id=session_id):
            self._context.note(EventType.SESSION_ENDED, session_id, {"user_id": user_id})
        return bool(found)

    def forget_sessions(self, user_id: str) -> None:
        """Delete the stored sessions of a user, without an event in the journal."""
        self._tx.run("DELETE FROM sessions WHERE user_id = :user_id", user_id=user_id)

    def end_sessions(self, user_id: str) -> None:
        """End every session of a user, with an event; if there is no such user, do nothing."""
        self.forget_sessions(user_id)
        sql = f"UPDATE users SET epoch = epoch + 1 WHERE user_id = :user_id RETURNING {USERS.columns}"  # noqa: S608
        if (row := self._tx.one(sql, user_id=user_id)) is not None:
            self._record_event(EventType.USER_SIGNED_OUT, self._load(row), USERS.digest(row), {})

    def count_attempt(self, name: str, *, known: bool = False) -> int:
        """Count an attempt to sign in with a name, which need not be a user's, and return the count.

        Attempts from a browser `known` to have signed in with the name before are counted apart from all others. A
        count starts again `WITHIN` after its first attempt. Another attempt with the name waits until this write ends.
        Up to 200 expired counts are deleted, without waiting for rows that others have locked.
        """
        now, name_digest = self._context.now, self._attempts_by(name, known=known)
        self._tx.run(
            "INSERT INTO sign_in_attempts (name_digest, made, since) VALUES (:name_digest, 1, :now)"
            " ON CONFLICT (name_digest) DO UPDATE SET"
            " made = CASE WHEN sign_in_attempts.since <= :expired THEN 1 ELSE sign_in_attempts.made + 1 END,"
            " since = CASE WHEN sign_in_attempts.since <= :expired THEN excluded.since ELSE sign_in_attempts.since END",
            name_digest=name_digest,
            now=micros(now),
            expired=micros(now - WITHIN),
        )
        self._tx.run(
            "DELETE FROM sign_in_attempts WHERE name_digest IN"
            " (SELECT name_digest FROM sign_in_attempts WHERE since <= :expired ORDER BY since LIMIT 200"
            " {unless_held})",
            expired=micros(now - WITHIN),
        )
        counting = "SELECT made FROM sign_in_attempts WHERE name_digest = :name_digest"
        return number(self._tx, counting, name_digest=name_digest)

    def forget_attempts(self, name: str) -> None:
        """Delete both counts of attempts to sign in with a name: those from known browsers and all others."""
        sql = "DELETE FROM sign_in_attempts WHERE name_digest = :name_digest"
        for known in (False, True):
            self._tx.run(sql, name_digest=self._attempts_by(name, known=known))

    def _attempts_by(self, name: str, *, known: bool) -> bytes:
        """Return the digest of a typed name under which attempts are counted; case and outer spaces do not matter.

        It differs for attempts from a browser `known` to have signed in with the name before.
        """
        typed = name.strip().lower().encode(errors="surrogatepass")
        return keyed_digest(self._context.keys.session, b"known attempts" if known else b"attempts", typed)
