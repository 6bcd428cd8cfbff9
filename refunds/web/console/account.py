"""What is a user's own: their password, and their sessions."""

from flask import Response, g, session

from refunds.errors import InvalidInput, Message, TooManyAttempts, Unauthenticated
from refunds.service import users
from refunds.service.users import Offer
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, sessions
from refunds.web.console import action, page, screen, to
from refunds.web.console.forms import Form, OwnPasswordSchema, OwnSessionSchema


@screen("/account")
def account(uow: UnitOfWork, form: Form) -> Response:
    """Show the user's sessions, what was just done, and the form with an offered password, which is not stored."""
    offered = Offer(form.data.get("new_password", ""), form.data.get("mark", ""))
    if not users.is_offered(uow, offered):
        offered = users.new_offer(uow)
    return page(
        "account.html",
        form,
        offered=offered,
        sessions=uow.users.sessions(uow.principal.actor),
        current=session["session_id"],
        said="".join(sessions.read_message("account", form.data.get("said"))),
        time_zone=uow.default_terms.time_zone,
    )


@action("/account/password", account, transaction=None)
def change_password(_: UnitOfWork | None, form: Form) -> Response:
    """Give the user the password that was offered to them, and end their other sessions. Then redirect to the account.

    The use case opens units of work of its own. Attempts are counted like those to sign in. Raises `InvalidInput` if
    the old password does not fit or was tried too often, or if the new one was not offered to this user.
    """
    found = form.read(OwnPasswordSchema)
    offered = Offer(found["new_password"], found["mark"])
    try:
        users.change_password(auth.store(), g.principal, session["session_id"], found["old_password"], offered)
    except (Unauthenticated, TooManyAttempts) as error:
        raise InvalidInput.at("/old_password", Message("does not fit"), f"password_{error.code}") from None
    return _said("password")


@action("/account/sessions", account)
def end_sessions(uow: UnitOfWork, form: Form) -> Response:
    """End the named session of the user or, if none is named, all but this one; then redirect to the account.

    Each session that ends gets an event; the account says if there was none to end. Raises `InvalidInput`.
    """
    found = form.read(OwnSessionSchema)
    if "session" in found:
        ended = uow.users.end_session(uow.principal.actor, found["session"])
    else:
        ended = users.end_other_sessions(uow, session["session_id"])
    return _said("sessions" if ended else "no_session")


def _said(done: str) -> Response:
    """Return the redirect to the account, which says what was done: `password`, `sessions` or `no_session`."""
    return to("account", said=sessions.signed_message("account", done))
