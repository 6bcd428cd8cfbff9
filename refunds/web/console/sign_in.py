"""Signing in and out; and what is shown instead of a page that cannot be."""

import sys
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.urls import iri_to_uri

from refunds.errors import InvalidInput, RefundsError, TooManyAttempts, Unauthenticated
from refunds.service import users
from refunds.service.work import Work
from refunds.web import auth, sessions, telemetry
from refunds.web.console import PREFIX, blueprint, page, screen, see, to
from refunds.web.console.words import problem_words
from refunds.web.openapi import Transacted
from refunds.web.problems import PROBLEMS, Rejected, slug_of


@blueprint.post("/sign-in/", defaults={"rest": ""})
@blueprint.post("/sign-in/<path:rest>")
def sign_in(rest: str) -> Response:
    """Begin a session, and go on to the page that was asked for, with the form that was being sent to it."""
    sessions.require_same_site()
    books, form = auth.books(), sessions.strangers_form()
    kept = form.get("kept", "")
    if not sessions.is_own(books, form):
        return _page(rest, kept, "no_cookie", HTTPStatus.BAD_REQUEST)
    try:
        user = users.sign_in(books, form.get("name", ""), form.get("password", ""))
        principal, policies = users.signed_in(books, user.user_id, user.epoch)
    except (Unauthenticated, TooManyAttempts) as error:
        telemetry.count_sign_in("refused")
        return _page(rest, kept, error.code, PROBLEMS[error.code].status)
    telemetry.count_sign_in("done")
    sessions.begin(user)
    if not kept:
        asked = request.query_string.decode("ascii", "replace")
        return see(iri_to_uri(f"{PREFIX}/{rest}") + (f"?{asked}" if asked else ""))
    g.principal, g.policies = principal, policies
    return _resumed(rest, kept)


sign_in.scopes = None  # type: ignore[attr-defined] # whoever signs in is nobody yet


@screen("/sign-out", scopes=(), work=Transacted.READ, method="POST")
def sign_out(_: Work) -> Response:
    """End every session of the user, in whatever browser."""
    users.sign_out(auth.books(), g.principal.actor)
    sessions.end()
    return to("check")


@screen("/<path:rest>", scopes=())
def nowhere(_work: Work, **_: str) -> Response:
    """Say that there is no such page, to those who may see any."""
    raise NotFound


@blueprint.errorhandler(RefundsError)
@blueprint.errorhandler(Rejected)
@blueprint.errorhandler(HTTPException)
def problem(error: RefundsError | Rejected | HTTPException) -> Response | HTTPException:
    """Show what is wrong, and what to do about it; to those who are not signed in, how to."""
    if isinstance(error, Unauthenticated):
        try:
            return _asked_to_sign_in()
        except (InvalidInput, Rejected, HTTPException) as unreadable:  # the form that came with it cannot be kept
            error = unreadable
    slug = slug_of(error)
    if slug is None:
        assert isinstance(error, HTTPException)
        return error
    status = PROBLEMS[slug].status
    if isinstance(error, RefundsError) and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.log_exception(sys.exc_info())
    title, mend = problem_words(slug, error)
    return page("problem.html", status, title=title, mend=mend, request_id=g.request_id)


def _asked_to_sign_in() -> Response:
    """The page to sign in on, in the place of what was asked for; a form that was sent is kept in it."""
    rest, kept = request.path.removeprefix(f"{PREFIX}/"), ""
    if request.method == "POST":
        form = sessions.strangers_form()
        form.pop(sessions.TOKEN, None)
        kept = orjson.dumps(form).decode() if form else ""
    return _page(rest, kept, "session_ended" if kept else None, HTTPStatus.UNAUTHORIZED)


def _page(rest: str, kept: str, said: str | None, status: int) -> Response:
    query = request.query_string.decode("ascii", "replace")
    return page("sign_in.html", status, address=f"{PREFIX}/{rest}", rest=rest, query=query, kept=kept, said=said)


def _resumed(rest: str, kept: str) -> Response:
    """The page whose form was kept, with what was typed, to be looked at and sent again; nothing is done yet."""
    adapter = current_app.create_url_adapter(request)
    assert adapter
    try:
        endpoint, arguments = adapter.match(f"{PREFIX}/{rest}", method="POST")
        given = orjson.loads(kept)
    except (NotFound, MethodNotAllowed, orjson.JSONDecodeError):
        return to("check")
    view: Any = current_app.view_functions[endpoint]
    again = getattr(view, "again", None)
    if again is None or not isinstance(given, dict):
        return to("check")
    if view.scopes:
        g.principal.require(*view.scopes)
    g.given, g.notice = {str(name): str(value) for name, value in given.items()}, "resumed"
    shown: Response = again(**arguments)
    return shown
