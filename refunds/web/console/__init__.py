"""The console: pages for people, by the same use cases as the API.

A screen is declared with `@screen(...)`, as an operation is: with its scopes and in its transaction. A form that does
not fit, or that comes when its session has ended, is shown again by another screen with all that was typed.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, render_template, request, session, url_for
from werkzeug.urls import iri_to_uri

from refunds.domain.instants import local_date, zone
from refunds.domain.permissions import Scope
from refunds.errors import InvalidInput, StorageUnavailable
from refunds.presentation.documents.templating import telling
from refunds.presentation.texts.dates import LANGUAGES
from refunds.web import auth, idempotency, intake, sessions
from refunds.web.console.forms import Form
from refunds.web.console.messages import NAMES, field_error_text
from refunds.web.endpoint import Transaction, View, call
from refunds.web.problems import PROBLEMS, Rejected
from refunds.web.responses import reader_language

PREFIX = "/console"

blueprint = Blueprint("console", __name__, url_prefix=PREFIX)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",  # without it, browsers say that a form came from nowhere
    "Vary": "Accept-Language, Cookie",
}

_NAVIGATION = (
    ("console.check", (Scope.ORDERS_READ, Scope.CHECKS_RUN)),
    ("console.open_requests", (Scope.CONTACTS_READ,)),
    ("console.recent", (Scope.CANCELLATIONS_ISSUE,)),
    ("console.policies", (Scope.POLICIES_READ,)),
    ("console.journal", (Scope.AUDIT_READ,)),
)


def language() -> str:
    """The reader's language: chosen on a page, or else the browser's."""
    chosen = request.args.get("lang")
    if chosen in LANGUAGES and request.method == "GET":  # what another site sends must not touch the session
        session["lang"] = chosen
    return session.get("lang") or reader_language()


def screen(
    rule: str,
    *,
    scopes: auth.Scopes,
    transaction: Transaction = Transaction.READ,
    method: str = "GET",
    form_view: View | None = None,
) -> Callable[[View], View]:
    """Declare a screen, or what a form of one does; it is given its unit of work and its form.

    `form_view` shows the form once more, with what was typed and what does not fit.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def serve(form: Form | None = None, **arguments: Any) -> Response:
            sent = form or _sent()
            if sent.notice and method == "POST":
                return _shown_again(form_view, sent, arguments)
            key = idempotency.checked_key(sent.idempotency_key) if transaction is Transaction.IDEMPOTENT else None
            try:
                return call(lambda uow: view(uow, sent, **arguments), transaction, key, sent.data)
            except InvalidInput as error:
                if form_view is None:
                    raise
                again = replace(sent, errors=error.errors)
                return _shown_again(form_view, again, arguments, PROBLEMS[error.code].status)
            except StorageUnavailable as error:
                if form_view is None or method == "GET":
                    raise
                again = replace(sent, notice="unavailable")  # with the same one-time id, it is recorded once
                return _shown_again(form_view, again, arguments, PROBLEMS[error.code].status)

        serve.scopes = scopes  # type: ignore[attr-defined] # read where requests are admitted
        serve.form_view = form_view  # type: ignore[attr-defined] # read where a session begins anew
        blueprint.add_url_rule(rule, view.__name__, serve, methods=[method])
        return serve

    return declare


def _sent() -> Form:
    """What was typed, over what the address says; a form that no page of this session has sent is stale."""
    sent, own = intake.parameters(request), True
    sent.pop("lang", None)
    if request.method == "POST":
        form = sessions.form()
        own = sessions.is_own(auth.store(), form)
        sent |= form
    return replace(Form.of(sent), notice=None if own else "stale")


def _shown_again(
    form_view: View | None, form: Form, arguments: dict[str, Any], status: int = HTTPStatus.OK
) -> Response:
    if form_view is None:
        raise Rejected("bad-request", "No page of this session has sent this form.")
    shown = form_view(form=form, **arguments)
    shown.status_code = status
    return shown


class _Given(dict[str, str]):
    """What was typed into fields; nothing, into all others."""

    def __missing__(self, name: str) -> str:
        return ""


def page(template: str, form: Form, status: int = HTTPStatus.OK, **values: Any) -> Response:
    """A page of the console, with what was typed into its form."""
    principal, lang = g.get("principal"), language()
    common = {
        "language": lang,
        "principal": principal,
        "navigation": [name for name, scopes in _NAVIGATION if principal and principal.may(*scopes)],
        "given": _Given(form.data),
        "notice": form.notice,
        "errors": {
            field_error.pointer.rpartition("/")[2]: field_error_text(field_error)
            for field_error in reversed(form.errors)
        },
        "address": form.address or own_address(request.path),
        "csrf": lambda: sessions.token(auth.store()),
        "once": form.idempotency_key or secrets.token_urlsafe(16),
        "Scope": Scope,
        "local": lambda instant, name: local_date(instant, zone(name)),
        "named": lambda code: str(NAMES.get(code, code)),
    }
    text = render_template(f"console/{template}", **common | telling(lang) | values)
    return Response(text, status, _HEADERS)


def own_address(path: str) -> str:
    """An address of the console with what this request's says besides."""
    parameters = request.args.to_dict()
    parameters.pop("lang", None)
    return iri_to_uri(path) + (f"?{urlencode(parameters, safe=':')}" if parameters else "")


def to(endpoint: str, **values: Any) -> Response:
    """The way to another screen, after a form was sent."""
    return see(at(endpoint, **values))


def at(endpoint: str, **values: Any) -> str:
    """The address of a screen."""
    return url_for(f"console.{endpoint}", **values)


def see(address: str) -> Response:
    """The way to an address of the console, to be read and not to be sent to."""
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})
