"""The endpoint: how requests to the API and the console are served.

It opens one unit of work and calls one view. A repeated request with a key gets its first answer again. An operation
of the API is declared beside its view; the endpoint and the API document are both made from the declaration.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from inspect import signature
from typing import Any

import marshmallow as ma
from flask import Flask, Response, after_this_request, g, request
from werkzeug.http import http_date

from refunds.domain.permissions import Principal, Scope
from refunds.schemas.strict import QuerySchema, StrictSchema
from refunds.service.calendars import Builder
from refunds.service.store import Store
from refunds.storage.unit_of_work import UnitOfWork
from refunds.web import auth, idempotency, intake
from refunds.web.auth import Scopes
from refunds.web.telemetry import unwrapped

JSON, CSV = "application/json", "text/csv"

View = Callable[..., Response]


class Transaction(StrEnum):
    """The kind of transaction a view works in. The view gets its unit of work as the first argument."""

    READ = "read"
    WRITE = "write"
    IDEMPOTENT = "idempotent"
    """A write whose request has a key, so that it happens only once even if it is sent several times."""


_USUAL = {"GET": Transaction.READ, "POST": Transaction.IDEMPOTENT}
"""The usual kind of transaction of a method; of all others it is a write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful response of an operation, as the API document describes it."""

    description: str
    schema: type[ma.Schema] | Mapping[str, Any]
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    media_type: str = JSON
    also: str = ""
    """The media type of another form of the same response, which is a text."""
    etag: bool = False
    links: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API: its route, what it takes, how it responds, and its view.

    The view's name gives the operationId (`list_policies`: `listPolicies`), and its docstring gives the summary and the
    description. The view gets its unit of work if there is a `transaction`, the values of `body` and `query` if they
    are declared, and the parameters of the rule. A caller needs one of the `scopes`; if empty, any token is enough; if
    None, no token is needed. A body has at most `most_bytes` bytes. `headers` are the request headers that the view
    reads, by their names in the document's components. `refusal` is the schema of a conflict if it is more than a plain
    problem. `problems` are the slugs of its problems, except those that follow from the rest of the declaration.
    Responses say from when the operation is `deprecated`, and at which `sunset` it ends. `then` is called after the
    view's changes are stored and before the response, except for a dry run.
    """

    view: View
    method: str
    rule: str
    answers: tuple[Answer, ...]
    scopes: Scopes
    transaction: Transaction | None
    body: type[StrictSchema] | None = None
    body_examples: Mapping[str, Any] | None = None
    query: type[StrictSchema] | None = None
    headers: tuple[str, ...] = ()
    most_bytes: int = 2**16
    refusal: type[ma.Schema] | None = None
    problems: tuple[str, ...] = ()
    deprecated: datetime | None = None
    sunset: datetime | None = None
    then: Callable[[Store, Principal], object] | None = None


class Tag:
    """A group of operations, in the order in which they are declared."""

    def __init__(self, name: str, description: str) -> None:
        """Store the name and the description of the group for the API document; it has no operations yet."""
        self.name, self.description = name, description
        self.operations: list[Operation] = []

    def operation(self, route: str, scopes: Scope | Scopes, **declared: Any) -> Callable[[View], View]:
        """Return a decorator that adds a view to the group as an operation, with what the decorators below it declare.

        `route` is the method and the rule, as in `GET /v1/orders`, `scopes` a scope or the scopes of an `Operation`,
        and `declared` are further fields of the `Operation`. A view that takes a `uow` works in the usual kind of
        transaction of its method, if no other is declared.
        """
        method, _, rule = route.partition(" ")
        needed = (scopes,) if isinstance(scopes, Scope) else scopes

        def declare(view: View) -> View:
            usual = _USUAL.get(method, Transaction.WRITE) if "uow" in signature(view).parameters else None
            fields = {"transaction": usual} | vars(view) | declared
            self.operations.append(Operation(view=view, method=method, rule=rule, scopes=needed, **fields))
            return view

        return declare


def answer(*fields: Any, **others: Any) -> Callable[[View], View]:
    """Declare a successful response of an operation, by the fields of an `Answer`; several uses add up, in order."""
    return _declaring(lambda view: {"answers": (Answer(*fields, **others), *vars(view).get("answers", ()))})


created = partial(answer, status=201)
"""Declare the response of an operation that has created a record: an `answer` with the status 201."""


def parameters(**fields: ma.fields.Field[Any]) -> Callable[[View], View]:
    """Return a decorator that declares the query parameters of an operation, by name."""
    return _declaring(lambda _: {"query": QuerySchema.from_dict(fields)})


def takes(
    body: type[StrictSchema] | str, examples: Mapping[str, Any] | None = None, **fields: ma.fields.Field[Any]
) -> Callable[[View], View]:
    """Return a decorator that declares the schema of an operation's body, and examples of the body.

    `body` is the schema or, if only this operation has such a body, its name in the API document; it has these fields.
    """
    schema = StrictSchema.from_dict(fields, name=f"{body}Schema") if isinstance(body, str) else body
    return _declaring(lambda _: {"body": schema, "body_examples": examples})


def problems(*slugs: str) -> Callable[[View], View]:
    """Declare problems of an operation, by slug, besides those that its other fields imply; several uses add up."""
    return _declaring(lambda view: {"problems": (*slugs, *vars(view).get("problems", ()))})


def _declaring(fields: Callable[[View], Mapping[str, Any]]) -> Callable[[View], View]:
    """Return a decorator that sets, as attributes of a view, the `Operation` fields that `fields` returns for it."""

    def declare(view: View) -> View:
        vars(view).update(fields(view))
        return view

    return declare


def register(app: Flask, tags: Iterable[Tag]) -> None:
    """Add a route to the app for each operation of these groups. Flask knows the route by the name of the view."""
    for tag in tags:
        for operation in tag.operations:
            app.add_url_rule(operation.rule, operation.view.__name__, _serving(operation), methods=[operation.method])


def _serving(operation: Operation) -> View:
    """Return the function that Flask calls: it reads an operation's input, calls its view and returns the response.

    It then also calls the operation's `then`, if any, but not after a dry run, nor if the view raises.
    """
    read_query = (operation.query or QuerySchema)().read
    read_body = operation.body().read if operation.body else None

    def serve(**arguments: Any) -> Response:
        if operation.deprecated or operation.sunset:
            after_this_request(partial(_announce, operation))
        asked = unwrapped(request)
        keyed = operation.transaction is Transaction.IDEMPOTENT
        key = idempotency.checked_key(asked.headers.get("Idempotency-Key")) if keyed else None
        parameters = intake.parameters(asked)
        if operation.query or parameters:
            arguments["query"] = read_query(parameters)
        sent = None
        if read_body:
            sent = intake.json_body(asked, operation.most_bytes)
            arguments["body"] = read_body(sent)

        # A view that is called again must not get what it has changed itself.
        def view(*uow: UnitOfWork) -> Response:
            return operation.view(*uow, **{name: copy(given) for name, given in arguments.items()})

        answer = call(view, operation.transaction, key, sent)
        if operation.then and not arguments.get("query", {}).get("dry_run"):
            operation.then(auth.store(), g.principal)
        return answer

    serve.scopes = operation.scopes  # type: ignore[attr-defined] # read where requests are admitted
    return serve


def _announce(operation: Operation, response: Response) -> Response:
    """Add `Deprecation` (RFC 9745) and `Sunset` (RFC 8594) to a response's headers if its operation has these times."""
    if operation.deprecated:
        response.headers["Deprecation"] = f"@{int(operation.deprecated.timestamp())}"
    if operation.sunset:
        response.headers["Sunset"] = http_date(operation.sunset)
    return response


def call(view: View, transaction: Transaction | None, key: str | None = None, sent: Any = None) -> Response:
    """Call a view and return its response.

    `transaction` says whether the view gets a unit of work that reads or one that writes; with None it gets none, and
    `key` does not count. What the view writes is stored when it returns; if it raises, nothing is stored. With an
    idempotency `key`, the same request takes effect once, and later gets its stored response: see `idempotency.once`;
    `sent` is the content of the request. If a write needs a calendar that is not built, it ends without effect, and the
    view is called again with it. Raises what the view raises, and `Crowded` if a calendar cannot be built now.
    """

    def called() -> Response:
        if transaction is None:
            return view()
        store = auth.store()
        with (store.read if transaction is Transaction.READ else store.write)(g.principal) as uow:
            return view(uow) if key is None else idempotency.once(uow, request, key, sent, partial(view, uow))

    builder: Builder = g.builder
    return builder.run(called, in_place=transaction in {None, Transaction.READ})
