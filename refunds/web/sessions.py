"""Sessions of the console: a signed cookie that names the user, and forms that only the console's pages can send.

The cookie has no personal data. It becomes invalid when the user's epoch changes, or when the journal has an event that
ends their sessions; so signing out ends the sessions in all browsers. Only the console has sessions; the API has
tokens.
"""

from contextlib import suppress
from time import time
from typing import Any

from flask import Flask, Request, session
from flask import request as current_request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import BadData, URLSafeTimedSerializer
from wtforms import ValidationError

from refunds.domain.permissions import Principal
from refunds.errors import Message, RefundsError, Unauthenticated
from refunds.service import users
from refunds.service.store import Store
from refunds.service.users import Session
from refunds.storage.policies import Policies
from refunds.storage.users import LASTS
from refunds.web import auth, intake
from refunds.web.problems import Rejected

MOST_BYTES = 2**16
"""The most bytes of a form."""

MOST_KEPT = 2**19
"""The most bytes of a form that the sign-in page keeps: of the largest one, with as many quotation marks."""

TOKEN = "csrf_token"  # noqa: S105 - the name of a field
_MESSAGE_LASTS = 300
"""For how many seconds an address says what was done."""

_KEPT = ("lang", "channel", "known")
"""What the session keeps when the user changes: the language, the channel, and who signed in last."""


class _Sessions(SecureCookieSessionInterface):
    """Sessions signed with a key of the service; empty outside the console."""

    def __init__(self, prefix: str) -> None:
        """Keep the prefix of the paths whose requests have a session; all other requests get an empty one."""
        self._prefix = prefix

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request, empty outside the console, without a valid cookie, or if the store fails."""
        if not request.path.startswith(self._prefix):
            return self.session_class()
        try:
            return super().open_session(app, request)
        except RefundsError:  # the records cannot be opened, which admission reports
            return self.session_class()

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """Return the serializer that signs sessions and their time with the service's session key (not the app's)."""
        return URLSafeTimedSerializer(
            _key(app.extensions["refunds.store"]),
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )


def register(app: Flask, prefix: str) -> None:
    """Give the pages of an app under a prefix their sessions, in one cookie, which browsers send only over HTTPS."""
    app.config.update(
        SESSION_COOKIE_NAME="__Host-refunds",
        SESSION_COOKIE_PATH="/",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=LASTS,
    )
    app.session_interface = _Sessions(prefix)


def caller(store: Store) -> tuple[Principal, Policies]:
    """Return the signed-in user and the present policies; note that the session was seen, at most every ten minutes.

    Raises `Unauthenticated` if nobody is signed in, if the session was ended or is older than 12 hours, or if the user
    is disabled; and `Rejected` if the request is a form from another site.
    """
    require_same_site()
    if not session.keys() >= set(Session._fields) or time() - session["since"] > LASTS.total_seconds():
        raise Unauthenticated(Message("Sign in first."))
    return users.signed_in(store, Session(*(session[name] for name in Session._fields)))


def begin(begun: Session) -> None:
    """Begin a session in this browser's cookie; of the previous one, only the language and the channel stay."""
    end()
    session.update(begun._asdict(), since=int(time()), known=begun.user_id)


def end() -> None:
    """Clear this browser's cookie but for language, channel and last user; do not end the session in the journal."""
    kept = {name: session[name] for name in _KEPT if name in session}
    session.clear()
    session.update(kept)


def require_same_site() -> None:
    """Raise `Rejected` if a page of another site has sent the current request, unless this is a GET or HEAD.

    Sec-Fetch-Site or else Origin says which site it is from; a request with neither is accepted.
    """
    if current_request.method in {"GET", "HEAD"}:
        return
    headers = current_request.headers
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != current_request.host
    if (site not in {"same-origin", "none"}) if site else foreign:
        raise Rejected("forbidden", Message("This form came from another site."))


def token() -> str:
    """Return the CSRF token for the forms of this session. The session keeps the value that it is checked against."""
    made: str = generate_csrf(_key(), TOKEN)
    return made


def take_token(form: dict[str, str]) -> bool:
    """Take the CSRF token out of a form, and tell whether a page of this session got the token in the last 12 hours."""
    try:
        validate_csrf(form.pop(TOKEN, ""), _key(), int(LASTS.total_seconds()), TOKEN)
    except ValidationError:
        return False
    return True


def signed_message(screen: str, *said: Any) -> str:
    """Return what was just done (`said`, plain data) as a signed text, to add to the address of the next screen.

    Only this session can read it, for five minutes, with the same `screen`: any name, such as a policy's id.
    """
    signed: str = _message_signer(screen).dumps(said)
    return signed


def read_message(screen: str, given: str | None) -> list[Any]:
    """Verify `given`, a message from `signed_message`, and return the values in it.

    Return [] if it is None or forged, is older than five minutes, or was signed for another session or screen.
    """
    said: list[Any] = []
    with suppress(BadData):
        said = _message_signer(screen).loads(given or "", max_age=_MESSAGE_LASTS)
    return said


def _message_signer(screen: str) -> URLSafeTimedSerializer:
    """Return the signer of messages for a screen in the current session."""
    return URLSafeTimedSerializer(_key(), salt=f"said on {screen} in {session['session_id']}")


def form(most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """Return the values of the form in the body of the current request, by field name.

    Raises `InvalidInput` if a field is repeated, and `Rejected` if the body is no form, is too large or is cut off.
    """
    return intake.form_body(current_request, most_bytes)


def _key(store: Store | None = None) -> bytes:
    """Return the key that signs sessions, of the running application's store unless one is given."""
    return (store or auth.store()).open()[1].session
