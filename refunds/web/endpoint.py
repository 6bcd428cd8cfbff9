"""The endpoint: how every request is served, of the API and of the console.

It opens one unit of work and calls one view; a request with a key is answered as it was when it first came. An
operation of the API is declared beside its view: the endpoint reads what it takes, and the document says so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

import marshmallow as ma
from flask import Flask, Response, g, request

from refunds.schemas.fields import StrictSchema
from refunds.web import auth, idempotency, intake
from refunds.web.auth import Scopes

JSON = "application/json"

View = Callable[..., Response]


class Transaction(StrEnum):
    """In what kind of transaction a view works; it is then given its unit of work first."""

    READ = "read"
    WRITE = "write"
    IDEMPOTENT = "idempotent"
    """A write whose request comes with a key, so that it happens once however often it is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers with when all is well."""

    description: str
    schema: type[ma.Schema] | Mapping[str, Any]
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    media_type: str = JSON
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other forms of the same, by media type."""
    etag: bool = False
    links: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the API: how it is reached, what it takes, what it answers, and the view that does it.

    The view's name gives the operationId (`list_policies`: `listPolicies`), its docstring the summary and the
    description. It is called with its unit of work and what was read: `body`, `query`, the parameters of the rule,
    which `path` describes. `scopes`: one of them is needed; none at all of whoever has a token; None of anybody. A body
    has at most `most_bytes`. `refusal` is what a conflict looks like, if not like any problem. `problems` are the slugs
    that it can answer with besides those that its intake brings.
    """

    view: View
    rule: str
    answers: tuple[Answer, ...]
    scopes: Scopes
    transaction: Transaction | None = None
    method: str = "GET"
    body: type[StrictSchema] | None = None
    body_examples: Mapping[str, Any] | None = None
    query: type[StrictSchema] | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    most_bytes: int = 2**16
    refusal: type[ma.Schema] | None = None
    problems: tuple[str, ...] = ()


class Tag:
    """A group of operations."""

    def __init__(self, name: str, description: str) -> None:
        self.name, self.description = name, description
        self.operations: list[Operation] = []

    def operation(self, rule: str, *answers: Answer, **declared: Any) -> Callable[[View], View]:
        """Declare a view as an operation, see `Operation`."""

        def declare(view: View) -> View:
            self.operations.append(Operation(view=view, rule=rule, answers=answers, **declared))
            return view

        return declare


def register(app: Flask, tags: Iterable[Tag]) -> None:
    """Serve the operations of these groups."""
    for tag in tags:
        for operation in tag.operations:
            app.add_url_rule(operation.rule, operation.view.__name__, _serving(operation), methods=[operation.method])


def _serving(operation: Operation) -> View:
    """What reads a request strictly, and calls the view of an operation with it."""
    read_query = (operation.query or _NoParameters)().read
    read_body = operation.body().read if operation.body else None

    def serve(**arguments: Any) -> Response:
        key = idempotency.key_of(request) if operation.transaction is Transaction.IDEMPOTENT else None
        parameters = intake.parameters(request)
        if operation.query or parameters:
            arguments["query"] = read_query(parameters)
        sent = None
        if read_body:
            sent = intake.json_body(request, operation.most_bytes)
            arguments["body"] = read_body(sent)
        return call(partial(operation.view, **arguments), operation.transaction, key, sent)

    serve.scopes = operation.scopes  # type: ignore[attr-defined] # read where requests are admitted
    return serve


class _NoParameters(StrictSchema):
    """The query of an operation that takes none."""


def call(view: View, transaction: Transaction | None, key: str | None = None, sent: Any = None) -> Response:
    """What a view answers in its unit of work; with a key, what it answered when this was first sent with it."""
    if transaction is None:
        return view()
    store = auth.store()
    with (store.read if transaction is Transaction.READ else store.write)(g.principal) as uow:
        return view(uow) if key is None else idempotency.once(uow, request, key, sent, partial(view, uow))
