"""Sessions of the console: a signed cookie that says whose it is, and forms that only its own pages can send.

The cookie holds nothing personal. It is good for nothing once its user's epoch has moved on, so that sign-out ends a
session in every browser. Only the console has sessions: the API knows tokens alone.
"""

from datetime import timedelta
from threading import BoundedSemaphore
from time import time

from flask import Flask, Request, session
from flask import request as current_request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import URLSafeTimedSerializer
from wtforms import ValidationError

from refunds.domain.permissions import Principal
from refunds.domain.records import User
from refunds.errors import RefundsError, Unauthenticated
from refunds.security.encryption import Keyring
from refunds.service import users
from refunds.service.store import Store
from refunds.storage.policies import Policies
from refunds.web import intake
from refunds.web.problems import Rejected

WORKDAY = timedelta(hours=12)
"""How long a session holds at most."""

MOST_BYTES = 2**16
"""Of a form."""

TOKEN = "csrf_token"  # noqa: S105 - the name of a field
_KEPT = ("lang", "channel")
"""The language and the channel, whoever signs in."""

_strangers = BoundedSemaphore(12)
"""Forms of those who are not signed in: however slow they are, most of the server's threads are for all others."""


class _Sessions(SecureCookieSessionInterface):
    """Sessions signed by a key of the service; none outside the console."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store, self._prefix = store, prefix

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a request to the console."""
        if not request.path.startswith(self._prefix):
            return self.session_class()
        try:
            return super().open_session(app, request)
        except RefundsError:  # the records cannot be opened, as whoever is admitted next will be told
            return self.session_class()

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """What signs, and knows by itself how old a session is."""
        return URLSafeTimedSerializer(
            _keys(self._store).session,
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )


def register(app: Flask, prefix: str) -> None:
    """Give the pages under a prefix their sessions."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-refunds",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=WORKDAY,
    )
    app.session_interface = _Sessions(app.extensions["refunds.store"], prefix)


def caller(store: Store) -> tuple[Principal, Policies]:
    """Whose session it is, and the policies as of now.

    Raises `Unauthenticated`, and `Rejected` for a form of another site.
    """
    require_same_site()
    if "user" not in session or time() - session["since"] > WORKDAY.total_seconds():
        raise Unauthenticated("Sign in first.")
    return users.signed_in(store, session["user"], session["epoch"])


def begin(user: User) -> None:
    """A new session, with nothing of the one before it but what a browser is asked only once."""
    end()
    session.update(user=user.user_id, epoch=user.epoch, since=int(time()))


def end() -> None:
    """Let this browser know nothing of its session any more but what it is asked only once."""
    kept = {name: session[name] for name in _KEPT if name in session}
    session.clear()
    session.update(kept)


def require_same_site() -> None:
    """Refuse a form that another site's page sends, before anything else is made of it."""
    if current_request.method in {"GET", "HEAD"}:
        return
    headers = current_request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != current_request.host
    if (site not in {"same-origin", "none"}) if site else foreign:
        raise Rejected("forbidden", "This form came from another site.")


def token(store: Store) -> str:
    """What a form of this session's pages carries."""
    made: str = generate_csrf(_keys(store).session, TOKEN)
    return made


def is_own(store: Store, form: dict[str, str]) -> bool:
    """Whether a form was sent by a page of this session, whose token it then loses."""
    try:
        validate_csrf(form.pop(TOKEN, ""), _keys(store).session, int(WORKDAY.total_seconds()), TOKEN)
    except ValidationError:
        return False
    return True


def form() -> dict[str, str]:
    """The form of someone who is signed in."""
    return intake.form_body(current_request, MOST_BYTES)


def strangers_form() -> dict[str, str]:
    """The form of someone who is not; raises `Rejected` where too many are on their way."""
    if not _strangers.acquire(timeout=0.5):
        raise Rejected("rate-limited", "Too many are signing in: try again in a moment.", {"Retry-After": "1"})
    try:
        return form()
    finally:
        _strangers.release()


def _keys(store: Store) -> Keyring:
    return store.open()[1]
