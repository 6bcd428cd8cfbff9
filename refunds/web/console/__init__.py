"""The console: pages for people, with the same use cases as the API.

`@screen(...)` declares a screen with its scopes, and `@action(...)` what a form does. If a form has errors, or its
session has ended, its screen shows it again with everything that was typed.
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import wraps
from html import unescape
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlencode

from flask import Blueprint, Response, g, render_template, request, session, url_for
from werkzeug.urls import iri_to_uri

from refunds.domain.contact_points import Channel
from refunds.domain.instants import local_date, zone
from refunds.domain.permissions import Principal, Role, Scope
from refunds.domain.records import Contact
from refunds.domain.unmatched import UnmatchedContact
from refunds.errors import CallersError, Crowded, FieldError, InvalidInput, Message, StorageUnavailable
from refunds.presentation.documents.templating import unbroken
from refunds.presentation.language import LANGUAGES, bind, language, translate
from refunds.presentation.texts.answers import answer_look
from refunds.presentation.texts.dates import instant_text, zone_text
from refunds.service.queue import count_entries
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, idempotency, intake, sessions
from refunds.web.console.conflicts import onward
from refunds.web.console.forms import Form
from refunds.web.console.messages import NAMES, field_error_text
from refunds.web.endpoint import Transaction, View, call
from refunds.web.problem_types import PROBLEMS
from refunds.web.problems import Rejected

PREFIX = "/console"

blueprint = Blueprint("console", __name__, url_prefix=PREFIX)

_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_POLICY,
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with the origin "null"
    "Vary": "Accept-Language, Cookie",
}

_STARTS = {
    Role.SUPERVISOR: "open_requests",
    Role.PRODUCT: "policies",
    Role.PRIVACY: "data_requests_due",
    Role.AUDITOR: "journal",
    Role.OPERATOR: "account",
}
"""Where a role begins, if that is not Check."""

_NAVIGATION = (
    ("console.check", (Scope.ORDERS_READ, Scope.CHECKS_RUN)),
    ("console.open_requests", (Scope.CONTACTS_READ,)),
    ("console.all_cancellations", (Scope.CANCELLATIONS_REVOKE, Scope.AUDIT_READ)),
    ("console.recent", (Scope.CANCELLATIONS_ISSUE,)),
    ("console.policies", (Scope.POLICIES_READ,)),
    ("console.data_requests_due", (Scope.PRIVACY_READ,)),
    ("console.statistics", (Scope.STATISTICS_READ,)),
    ("console.journal", (Scope.AUDIT_READ,)),
)


def bind_chosen_language() -> None:
    """Bind the language that the reader of a page of the console has chosen; without a choice, nothing changes.

    It is chosen by `lang` in the address of a GET, and kept in the session; unknown languages are ignored.
    """
    if not request.path.startswith(PREFIX):
        return
    chosen = request.args.get("lang")
    if chosen in LANGUAGES and request.method == "GET":  # a form from another site must not change the session
        session["lang"] = chosen
    bind(session.get("lang") or language())


def screen(
    rule: str,
    *scopes: Scope,
    method: str = "GET",
    transaction: Transaction | None = Transaction.READ,
    form_view: View | None = None,
    shows_errors: bool = False,
    then: Callable[[Store, Principal], object] | None = None,
    most_bytes: int = sessions.MOST_BYTES,
) -> Callable[[View], View]:
    """Return a decorator that declares a view as a screen and adds its route, with the view's name.

    The view gets its unit of work (None without a `transaction`), its form and the arguments of the rule; the decorated
    function takes only these arguments, and `form` to show another form than the request's. One of `scopes` is needed;
    if none is named, any user may. If the view redirects, `then` is called after the view's changes are stored. An
    idempotent view acts on a form only once; `Rejected` is raised if the form has no `idempotency_key`.

    `form_view`, or the view itself if it `shows_errors`, shows the form again, with what was typed, if the view raises
    `InvalidInput` or a conflict. After a POST, it also does so if the records or the calendar are not available. It
    does so without a call of the view if no page of this session has sent the form, or if a form that may have a file
    has more than `most_bytes`, which is an error of its field `file`. Without a `form_view`, these are problems.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def serve(form: Form | None = None, **arguments: Any) -> Response:
            sent = form or _sent(most_bytes)
            shown_by = serve if shows_errors and not sent.errors else form_view
            if sent.notice and method == "POST":
                status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if sent.errors else HTTPStatus.OK
                return _shown_again(shown_by, sent, arguments, status)
            key = idempotency.checked_key(sent.idempotency_key) if transaction is Transaction.IDEMPOTENT else None
            try:
                answer = call(lambda uow=None: _viewed(view, uow, sent, arguments), transaction, key, sent.data)
            except CallersError as error:
                status = HTTPStatus(PROBLEMS[error.code].status)
                if shown_by is None or not (isinstance(error, InvalidInput) or status is HTTPStatus.CONFLICT):
                    raise
                errors = error.errors or (FieldError("/conflict", error.detail, error.code),)
                return _shown_again(shown_by, replace(sent, errors=errors), arguments, status)
            except (StorageUnavailable, Crowded) as error:
                if shown_by is None or method == "GET":
                    raise
                again = replace(sent, notice="unavailable")  # the same one-time id, so that it is recorded only once
                return _shown_again(shown_by, again, arguments, PROBLEMS[error.code].status)
            if then and answer.status_code == HTTPStatus.SEE_OTHER:
                then(auth.store(), g.principal)
            return answer

        serve.scopes = scopes  # type: ignore[attr-defined] # read where requests are admitted
        serve.most_bytes = most_bytes  # type: ignore[attr-defined] # read where a form is kept for after a sign-in
        serve.form_view = form_view  # type: ignore[attr-defined] # read after a new sign-in
        blueprint.add_url_rule(rule, view.__name__, serve, methods=[method])
        return serve

    return declare


def action(
    rule: str, form_view: View, *scopes: Scope, transaction: Transaction | None = Transaction.WRITE, **declared: Any
) -> Callable[[View], View]:
    """Return a decorator that makes a view do what a form of the screen `form_view` asks for, by a POST that may write.

    The arguments are those of `screen`.
    """
    return screen(rule, *scopes, method="POST", transaction=transaction, form_view=form_view, **declared)


def _viewed(view: View, uow: UnitOfWork | None, form: Form, arguments: dict[str, Any]) -> Response:
    """Return the response of a view; before a GET, count the open contacts for `page` if the user may read them."""
    if uow and request.method == "GET" and "principal" in g and g.principal.may(Scope.CONTACTS_READ):
        g.open_numbers = count_entries(uow)
    return view(uow, form, **arguments)


class ChosenByLink(Rejected):
    """A link chooses what only a form of the console may: an override, or why something is done."""


def linked() -> dict[str, str]:
    """Return the parameters of the address without `lang`; raises `ChosenByLink` for one that no link may choose."""
    found = intake.parameters(request)
    if not _NOT_BY_LINK.isdisjoint(found):
        raise ChosenByLink("bad-request", Message("A link cannot choose an override, or its reason."))
    return {name: value for name, value in found.items() if name != "lang"}


_NOT_BY_LINK = {"override", "reason", "outcome_reason", "erasure_reason", "anyway", "fee"}


def _sent(most_bytes: int) -> Form:
    """Return the form: the parameters of the address, and the fields that a POST has sent, which take precedence.

    Its `notice` is `stale` if no page of this session sent the form. It is `too_large`, and no field is read, if the
    form may have a file and has more than `most_bytes`. The fields stay in `g.typed`. Raises `InvalidInput` if a name
    is repeated, and `Rejected`, as `linked` and `sessions.form` do.
    """
    sent, own = linked(), True
    if request.method == "POST":
        try:
            form = sessions.form(most_bytes)
        except Rejected as error:
            if error.slug != "body-too-large" or most_bytes == sessions.MOST_BYTES:
                raise
            return Form(sent, errors=(FieldError("/file", error.detail, "too_large"),), notice="too_large")
        own = sessions.take_token(form)
        sent |= form
        g.typed = form  # an error's page shows it
    return replace(Form.of(sent), notice=None if own else "stale")


def _shown_again(
    form_view: View | None, form: Form, arguments: dict[str, Any], status: int = HTTPStatus.OK
) -> Response:
    """Return the page on which `form_view` shows a form again, with this status; it has a transaction of its own.

    Raises `Rejected` without a `form_view`.
    """
    if form_view is None:
        raise Rejected("bad-request", Message("No page of this session has sent this form."))
    shown = form_view(form=form, **arguments)
    shown.status_code = status
    return shown


class _FormData(dict[str, str]):
    """The typed value of each field; "" for a field without one. Reading such a field does not add it."""

    def __missing__(self, name: str) -> str:
        return ""


def page(template: str, form: Form, status: int = HTTPStatus.OK, /, **values: Any) -> Response:
    """Return a page of the console, with the form as it was typed, its errors (the first of each field) and its notice.

    `template` is a file in `console/`; `values` take precedence over the values that all pages have. If nobody is
    signed in, the page has no navigation.
    """
    principal, zones = g.get("principal"), _Zones()
    begins = f"console.{start_screen(principal)}"
    navigation = [name for name, scopes in _NAVIGATION if principal and principal.may(*scopes)]
    common = {
        "principal": principal,
        "open_number": sum(g.get("open_numbers", {}).values()),
        "start": begins,
        "navigation": sorted(navigation, key=lambda name: name != begins),
        "form_data": _FormData(form.data),
        "notice": form.notice,
        "errors": {
            field_error.pointer.rpartition("/")[2]: field_error_text(field_error)
            for field_error in reversed(form.errors)
        },
        "onward": onward(form.errors[0].detail.values, *(request.view_args or {}).values()) if form.errors else None,
        "address": form.address or own_address(request.path),
        "csrf": sessions.token,
        "idempotency_key": form.idempotency_key or secrets.token_urlsafe(16),
        "Scope": Scope,
        "lead": "",
        "zone_text": zones.zone_text,
        "instant_text": zones.instant_text,
        "headed": zones.headed,
        "zoned": zones.zoned,
        "labels_in": labels_in,
        "local": lambda instant, name: local_date(instant, zone(name)),
        "channels": [*Channel],
        "answer_look": answer_look,
        "named": lambda code: translate(NAMES.get(code, code)),
    }
    text = render_template(f"console/{template}", **common | values)
    return Response(text, status, _HEADERS)


_LABEL = re.compile(
    r'<label for="([^"]+)"[^>]*>\s*([^<]+?)\s*<'
    r'|<legend>([^<]+)</legend>(?:(?!<fieldset).)*?<input type="radio" id="([^"]+)"',
    re.DOTALL,
)


def labels_in(body: str) -> dict[str, str]:
    """Return the labels in a page's HTML by the ids of their fields; a legend by the id of its first radio button."""
    found = _LABEL.findall(body)
    return {name or other: unescape(label or legend) for name, label, legend, other in found}


class _Zones:
    """The texts of instants on one page: only the first one in a time zone names the zone."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def zone_text(self, name: str) -> str:
        """Return the name of the time zone `name` in words, and note that the page has now named it."""
        self._said.add(name)
        return cast("str", unbroken(zone_text(name)))

    def headed(self, text: str, name: str) -> str:
        """Return a text; leave out the zone `name` in brackets if the page has named the zone before.

        If the page has not, and the text names it, the zone counts as named from then on.
        """
        text, named = text.replace("\u00a0", " "), f" ({zone_text(name)})"
        if name in self._said:
            text = text.replace(named, "")
        elif named in text:
            self._said.add(name)
        return cast("str", unbroken(text))

    def zoned(self, name: str) -> str:
        """Return a time zone in brackets to follow an instant, or "" if the page has named the zone before."""
        if name in self._said:
            return ""
        self._said.add(name)
        return cast("str", unbroken(f" ({zone_text(name)})"))

    def instant_text(self, instant: datetime, name: str) -> str:
        """Return an instant in words in the time zone `name`, which is named only the first time on the page."""
        return cast("str", unbroken(instant_text(instant, name, zoned=False))) + self.zoned(name)


def start_screen(principal: Principal | None) -> str:
    """Return the name of the screen at which a role starts; `check` if it has none, or if nobody is signed in."""
    return _STARTS.get(principal.role, "check") if principal else "check"


def own_address(path: str) -> str:
    """Return the address of a path with this request's query, without `lang` and parameters that no link may choose."""
    parameters = {name: value for name, value in request.args.items() if name not in {"lang", *_NOT_BY_LINK}}
    return iri_to_uri(path) + (f"?{urlencode(parameters, safe=':')}" if parameters else "")


def to(endpoint: str, **values: Any) -> Response:
    """Return the redirect to a screen, which the browser then reads with GET; `values` as in `at`."""
    return see(at(endpoint, **values))


def to_contact(contact: Contact | UnmatchedContact) -> Response:
    """Return the redirect to the page of a contact, whether its order is known or not."""
    if isinstance(contact, Contact):
        return to("contact", contact_id=contact.contact_id)
    return to("unmatched_contact", unmatched_id=contact.unmatched_id)


def at(endpoint: str, **values: Any) -> str:
    """Return the address of a screen; `values` are the parameters of its path and its query, left out if None."""
    return url_for(f"console.{endpoint}", **values)


def see(address: str) -> Response:
    """Return the redirect to an address of the console, which the browser then reads with GET."""
    return Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})
