"""Signing in and out, and the pages for errors."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, current_app, g, request, session
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from refunds.errors import CallersError, InvalidInput, RefundsError, TooManyAttempts, Unauthenticated
from refunds.service import users
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, console, sessions, telemetry
from refunds.web.console.conflicts import onward
from refunds.web.console.eligibility import check
from refunds.web.console.forms import Form
from refunds.web.console.messages import problem_words
from refunds.web.problem_types import PROBLEMS
from refunds.web.problems import HEADERS, Rejected, http_error, slug_of


@console.blueprint.post("/sign-in/", defaults={"rest": ""})
@console.blueprint.post("/sign-in/<path:rest>")
def sign_in(rest: str) -> Response:
    """Begin a session. Then redirect to the page at `rest`, or show again the form that the user was sending there.

    Shows the sign-in page again if name or password is wrong, if the user is disabled, if there were too many attempts,
    or if no page of this session has sent the form; the last is not an attempt. Attempts are counted and logged.
    """
    sessions.require_same_site()
    store, form = auth.store(), sessions.form(sessions.MOST_KEPT + sessions.MOST_BYTES)
    name, kept = form.get("name", ""), form.get("kept", "")
    if not sessions.take_token(form):
        return _page(rest, kept, "no_cookie", HTTPStatus.BAD_REQUEST, name)
    try:
        user = users.sign_in(store, name, form.get("password", ""), session.get("known"))
        begun = users.session_for(store, user)
        principal, policies = users.signed_in(store, begun)
    except (Unauthenticated, TooManyAttempts) as error:
        telemetry.count_sign_in("refused")
        return _page(rest, kept, error.code, PROBLEMS[error.code].status, name)
    telemetry.count_sign_in("done")
    sessions.begin(begun)
    g.principal, g.policies = principal, policies
    return _resumed(rest, kept) if kept else _onward(rest)


sign_in.scopes = None  # type: ignore[attr-defined] # nobody is signed in yet


@console.action("/sign-out", check)
def sign_out(uow: UnitOfWork, _: Form) -> Response:
    """End every session of the user, in all browsers, with an event. Then redirect to Check."""
    uow.users.end_sessions(uow.principal.actor)
    sessions.end()
    return console.to("check")


@console.screen("/<path:rest>")
def nowhere(_: UnitOfWork, __: Form, rest: str) -> Response:
    """Redirect from a sign-in address to the page that it names. Raises `NotFound` for any other address."""
    if rest.startswith("sign-in/"):
        return _onward(rest.removeprefix("sign-in/"))
    raise NotFound


def _onward(rest: str) -> Response:
    """Return the redirect to the page at `rest`, or to the user's first screen if `rest` is empty or names no page."""
    begins = console.start_screen(g.principal)
    if not _is_page(rest) or (begins != "check" and not rest):
        return console.to(begins)
    return console.see(console.own_address(f"{console.PREFIX}/{rest}"))


def _is_page(rest: str) -> bool:
    """Tell whether an address of the console can be opened: yes even if nothing is there, no if it only takes forms."""
    if _endpoint_and_arguments(rest, "GET")[0] != "console.nowhere":
        return True
    try:
        _endpoint_and_arguments(rest, "POST")
    except (NotFound, MethodNotAllowed):
        return True
    return False


def _endpoint_and_arguments(rest: str, method: str) -> tuple[str, Mapping[str, Any]]:
    """Return the endpoint and the arguments of an address below the console, for a method.

    Raises werkzeug's `NotFound`, `MethodNotAllowed` or `RequestRedirect` if no endpoint has the address.
    """
    adapter = current_app.create_url_adapter(request)
    assert adapter
    return adapter.match(f"{console.PREFIX}/{rest}", method=method)


@console.blueprint.errorhandler(RefundsError)
@console.blueprint.errorhandler(Rejected)
@console.blueprint.errorhandler(HTTPException)
def problem(error: RefundsError | Rejected | HTTPException) -> Response | HTTPException:
    """Show what is wrong and what to do about it, or the sign-in page to a user who is not signed in.

    The sign-in page keeps a form that was sent; a user who sends too many requests sees their form again. A failure of
    the service is logged. A redirect is returned as it is.
    """
    if isinstance(error, Unauthenticated):
        try:
            return _asked_to_sign_in()
        except (InvalidInput, Rejected, HTTPException) as unreadable:  # its form cannot be kept
            error = unreadable
    slug = slug_of(error)
    if slug is None:
        assert isinstance(error, HTTPException)
        return error
    status = PROBLEMS[slug].status
    if isinstance(error, RefundsError) and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        current_app.log_exception(sys.exc_info())
    if slug == "rate-limited" and request.method == "POST" and "typed" not in g:
        with suppress(InvalidInput, Rejected, HTTPException):
            sessions.require_same_site()
            g.typed = sessions.form()
    title, fix = problem_words("override-by-link" if isinstance(error, console.ChosenByLink) else slug, error)
    form, link = Form.of(g.get("typed", {})), None
    if isinstance(error, CallersError) and status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
        link = onward({"name": form.data.get("contact_id")} | error.detail.values)
    shown = console.page("problem.html", form, status, title=title, fix=fix, onward=link, request_id=g.request_id)
    shown.headers.update((error.headers if isinstance(error, Rejected) else HEADERS.get(slug)) or {})
    return shown


@console.blueprint.app_errorhandler(MethodNotAllowed)
@console.blueprint.app_errorhandler(NotFound)
def misdirected(error: MethodNotAllowed | NotFound) -> Response | HTTPException:
    """Show, in the console, that nothing is at an address for this method; return the usual problem elsewhere."""
    return problem(NotFound()) if request.path.startswith(f"{console.PREFIX}/") else http_error(error)


def _asked_to_sign_in() -> Response:
    """Return the sign-in page, in place of the requested page, with the status 401; a form that was sent is kept on it.

    Passwords are not kept. The page says so if the form is too large to be kept. Raises `InvalidInput` or `Rejected` if
    the form cannot be read.
    """
    rest, kept, said = request.path.removeprefix(f"{console.PREFIX}/"), "", None
    if request.method == "POST":
        view = current_app.view_functions.get(request.endpoint or "")
        try:
            form = sessions.form(getattr(view, "most_bytes", sessions.MOST_BYTES))
        except Rejected as error:
            if error.slug != "body-too-large":
                raise
            return _page(rest, "", "too_large", HTTPStatus.UNAUTHORIZED)
        for secret in (sessions.TOKEN, "old_password", "new_password"):
            form.pop(secret, None)
        kept = orjson.dumps(form).decode() if form else ""
        said = "session_ended" if kept else None
        if len(kept.encode()) > sessions.MOST_KEPT:
            kept, said = "", "too_large"
    return _page(rest, kept, said, HTTPStatus.UNAUTHORIZED)


def _page(rest: str, kept: str, said: str | None, status: int, name: str = "") -> Response:
    """Return the sign-in page, which leads on to the page at `rest`, the address without the console's prefix.

    `kept` is the form that was being sent there, as JSON without secrets, or ""; `said` is what the user is told, and
    `name` the user name that is filled in.
    """
    form = Form(address=console.own_address(f"{console.PREFIX}/{rest}"))
    to_here = console.own_address(f"{console.PREFIX}/sign-in/{rest}")
    return console.page("sign_in.html", form, status, to=to_here, kept=kept, said=said, name=name)


def _resumed(rest: str, kept: str) -> Response:
    """Show the page of the kept form, with what was typed. The user checks it and sends it again; nothing is done yet.

    `rest` is the address to which the form was sent, without the console's prefix; `kept` has the form's values as
    JSON. Redirects to Check if no form is sent to that address, or none that can be shown again, or if `kept` is not a
    JSON object. Raises `Forbidden` if the user may not send the form.
    """
    try:
        endpoint, arguments = _endpoint_and_arguments(rest, "POST")
        typed = orjson.loads(kept)
    except (NotFound, MethodNotAllowed, orjson.JSONDecodeError):
        return console.to("check")
    view: Any = current_app.view_functions[endpoint]
    form_view = getattr(view, "form_view", None)
    if form_view is None or not isinstance(typed, dict):
        return console.to("check")
    if view.scopes:
        g.principal.require(*view.scopes)
    form = Form.of(console.linked() | {str(name): str(value) for name, value in typed.items()})
    form = replace(form, notice="resumed", address=console.own_address(f"{console.PREFIX}/{rest}"))
    shown: Response = form_view(form=form, **arguments)
    return shown
