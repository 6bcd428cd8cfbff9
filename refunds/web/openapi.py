"""The contract: operations declared beside their views, gathered into one OpenAPI 3.1 document.

A view is declared with `@operation(...)`: its body or query schema does the intake, and everything said of it is
what `openapi.yaml` says. The document is emitted from here and never edited by hand.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial, wraps
from http import HTTPStatus
from threading import Lock
from typing import Any

import flask_smorest
import marshmallow as ma
import yaml
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, g, request
from flask_smorest import Blueprint

from refunds.schemas.fields import StrictSchema
from refunds.web import auth, idempotency, intake
from refunds.web.auth import Scopes
from refunds.web.problems import PROBLEMS, problem_data
from refunds.web.schemas.problems import ProblemSchema
from refunds.web.schemas.response_fields import Either

VERSION = "1"
JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

DESCRIPTION = """\
Decides whether an order of an online service can still be cancelled and refunded: within the business days that the
vendor's policy promises, counted by the public holidays of the customer's region, explained day by day. Records each
call and e-mail with what was decided on it, issues the cancellations that billing refunds, and tells what happened.

* Instants are RFC 3339 with an offset and are answered in UTC; local dates are the policy's.
* Unknown fields are refused. What does not fit is a problem (RFC 9457) that names each place and the mend.
* Sets of codes marked `x-extensible-enum` may grow: be ready for a code that you do not know.
* Every call needs a client's token: `Authorization: Bearer …`. What its role may not see is null.
* What leaves a record can be sent again safely: facts by `PUT`, the rest with an `Idempotency-Key`.
* `Accept-Language: de` or `en` chooses the language of `*_text` and of holiday names; codes never change.
"""

ALWAYS = ("bad-request", "internal-error")
WITH_TOKEN = ("unauthenticated", "rate-limited", "storage-unavailable")
WITH_KEY = ("idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused")
WITH_BODY = ("malformed-json", "duplicate-key", "length-required", "body-too-large", "unsupported-media-type")


View = Callable[..., Response]


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


class Transacted(StrEnum):
    """In what kind of transaction a view works; it is then given its `work`."""

    READ = "read"
    WRITE = "write"
    ONCE = "once"
    """A write whose request comes with a key, so that it happens once however often it is sent."""


def operation(
    blueprint: Blueprint,
    rule: str,
    *answers: Answer,
    scopes: Scopes,
    transaction: Transacted | None = None,
    method: str = "GET",
    body: type[StrictSchema] | None = None,
    body_examples: Mapping[str, Any] | None = None,
    query: type[StrictSchema] | None = None,
    path: Mapping[str, str] | None = None,
    headers: Iterable[str] = (),
    most_bytes: int = 2**16,
    refusal: type[ma.Schema] | None = None,
    problems: Iterable[str] = (),
) -> Callable[[View], View]:
    """Declare a view: its route, its strict intake and its entry in the document.

    The view's name gives the operationId (`list_policies`: `listPolicies`), its docstring the summary and the
    description. It is called with what was read: `body`, `query`, the parameters of the rule, which `path`
    describes, and its `work`. `scopes`: one of them is needed; none at all of whoever has a token; None of anybody.
    A body has at most `most_bytes`. `refusal` is what a conflict looks like, if not like any problem. `problems` are
    the slugs that it can answer with besides those that its intake brings.
    """
    slugs = [*_brought_problems(scopes, transaction, with_body=body is not None), *problems]

    def declare(view: View) -> View:
        first, *others = view.__name__.split("_")
        document: dict[str, Any] = {
            "operationId": first + "".join(map(str.title, others)),
            "parameters": [{"in": "query", "schema": query}] if query else [],
            "responses": _responses(answers, slugs, refusal or ProblemSchema, once=transaction is Transacted.ONCE),
            "description": _description(view, scopes),
            "security": [] if scopes is None else [{"token": []}],
            "x-scopes": list(map(str, scopes or ())),
        }
        if method == "GET" and answers[0].etag:
            document["parameters"].append("IfNoneMatch")
            document["responses"]["304"] = {"description": "Not changed since the ETag of If-None-Match."}
        if transaction is Transacted.ONCE:
            document["parameters"].append("IdempotencyKey")
        document["parameters"] += headers
        if body:
            content = {"schema": body} | ({"examples": body_examples} if body_examples else {})
            document["requestBody"] = {"required": True, "content": {JSON: content}}
        described = [{"in": "path", "name": name, "description": text} for name, text in (path or {}).items()]
        taking = _with_intake(view, body, query, most_bytes, transaction)
        taking.scopes = scopes  # type: ignore[attr-defined] # read where requests are admitted
        blueprint.route(rule, methods=[method], parameters=described)(blueprint.doc(**document)(taking))
        return view

    return declare


def _brought_problems(scopes: Scopes, transaction: Transacted | None, *, with_body: bool) -> list[str]:
    """The slugs of what can go wrong with any operation of this kind."""
    return [
        *ALWAYS,
        *(WITH_TOKEN if scopes is not None else ()),
        *(["forbidden"] if scopes else ()),
        *(WITH_BODY if with_body else ()),
        *(WITH_KEY if transaction is Transacted.ONCE else ()),
        "validation-error",
    ]


def _description(view: View, scopes: Scopes) -> str:
    """What the docstring says after its first line, and what the operation takes."""
    text = (inspect.getdoc(view) or "").partition("\n")[2].strip()
    if scopes is None:
        return f"{text}\n\nNo token is needed."
    return f"{text}\n\nScope: {' or '.join(f'`{scope}`' for scope in scopes) or 'any'}."


def _with_intake(
    view: View,
    body: type[StrictSchema] | None,
    query: type[StrictSchema] | None,
    most_bytes: int,
    transaction: Transacted | None,
) -> View:
    """The view, called with the body and the query that were read strictly, in its transaction."""
    read_query = (query or _NoParameters)().read
    read_body = body().read if body else None

    @wraps(view)
    def taking(**arguments: Any) -> Response:
        key = idempotency.key_of(request) if transaction is Transacted.ONCE else ""
        parameters = intake.parameters(request)
        if query or parameters:
            arguments["query"] = read_query(parameters)
        sent = None
        if read_body:
            sent = intake.json_body(request, most_bytes)
            arguments["body"] = read_body(sent)
        if transaction is None:
            return view(**arguments)
        store = auth.store()
        with (store.read if transaction is Transacted.READ else store.write)(g.principal) as under_way:
            perform = partial(view, uow=under_way, **arguments)
            return idempotency.once(under_way, request, key, sent, perform) if key else perform()

    return taking


class _NoParameters(StrictSchema):
    """The query of an operation that takes none."""


def _responses(
    answers: Iterable[Answer], slugs: Iterable[str], refusal: type[ma.Schema], *, once: bool
) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for answer in answers:
        content: dict[str, Any] = {"schema": answer.schema}
        if answer.examples:
            content["examples"] = answer.examples
        ok: dict[str, Any] = {
            "description": answer.description,
            "content": {
                answer.media_type: content,
                **{form: {"schema": schema} for form, schema in answer.also.items()},
            },
        }
        ok["headers"] = {"X-Request-ID": "X-Request-ID"} | ({"ETag": "ETag"} if answer.etag else {})
        if answer.status == HTTPStatus.CREATED:
            ok["headers"]["Location"] = "Location"
        if once:
            ok["headers"]["Idempotent-Replayed"] = "Idempotent-Replayed"
        if answer.links:
            ok["links"] = answer.links
        responses[str(answer.status)] = ok
    by_status: dict[int, list[str]] = {}
    for slug in dict.fromkeys(slugs):
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    for status, named in sorted(by_status.items()):
        examples = {slug: {"$ref": f"#/components/examples/{slug}"} for slug in named}
        responses[str(status)] = {
            "description": " ".join(f"{PROBLEMS[slug].title} (`{slug}`)." for slug in named),
            "headers": {"X-Request-ID": "X-Request-ID"},
            "content": {
                PROBLEM_JSON: {
                    "schema": refusal if status == HTTPStatus.CONFLICT else ProblemSchema,
                    "examples": examples,
                }
            },
        }
        for name in _WITH_STATUS.get(status, ()):
            responses[str(status)]["headers"][name] = name
    return responses


_HEADER_PARAMETERS = {
    "IfNoneMatch": ("If-None-Match", False, "An ETag received before: answers 304 where nothing has changed."),
    "IfMatch": ("If-Match", False, "The ETag of the state that a correction was made on."),
    "IdempotencyKey": (
        "Idempotency-Key",
        True,
        (
            "A value of your own making, a UUID for example, that is the same for every attempt at one request. Sent "
            "again, the request gets its first answer, with `Idempotent-Replayed: true`. Kept for 30 days."
        ),
    ),
}
_HEADERS = {
    "X-Request-ID": ("The request's id.", "string"),
    "ETag": ("Names this state of the resource.", "string"),
    "Location": ("Where the record is.", "string"),
    "Idempotent-Replayed": ("`true`: this is the answer that the request got when it first came.", "string"),
    "WWW-Authenticate": ("How to sign in: `Bearer`.", "string"),
    "Retry-After": ("After how many seconds to try again.", "integer"),
    "RateLimit": ('How many requests are left, as in `"requests";r=999;t=1`.', "string"),
    "RateLimit-Policy": ("How many requests there may be in how many seconds.", "string"),
}
_WITH_STATUS: dict[int, tuple[str, ...]] = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


class Contract(flask_smorest.Api):
    """The operations of an app, and the document that is emitted from them."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask) -> None:
        app.config.update(API_TITLE="Refund and cancellation policy", API_VERSION=VERSION, OPENAPI_VERSION="3.1.1")
        super().__init__(
            app,
            spec_kwargs={
                "info": {
                    "description": DESCRIPTION,
                    "summary": "Is this order still cancellable, until when, and why?",
                },
                "servers": [{"url": "/", "description": "The service that serves this document."}],
                "security": [],
                "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=_schema_name),
            },
        )
        converter = self.ma_plugin.converter
        assert converter
        converter.add_attribute_function(_own_schema)
        components = self.spec.components
        for name, (text, kind) in _HEADERS.items():
            components.header(name, {"description": text, "schema": {"type": kind}})
        components.security_scheme(
            "token",
            {
                "type": "http",
                "scheme": "bearer",
                "description": "A client's token, from `flask tokens create`. Each operation names its scope; "
                "`GET /v1/me` tells which ones a token's role has.",
            },
        )
        for component, (name, required, text) in _HEADER_PARAMETERS.items():
            form = {"pattern": idempotency.KEY} if required else {}
            described = {"name": name, "required": required, "description": text, "schema": {"type": "string"} | form}
            components.parameter(component, "header", described)
        del components.schemas["PaginationMetadata"]  # flask-smorest's own way of paging, not ours
        for slug, problem in PROBLEMS.items():
            if slug == "method-not-allowed":  # no operation can answer with it
                continue
            example = problem_data(slug, problem.happened, request_id="3f2b9c1d5e7a8064")
            components.example(slug, {"summary": problem.title, "value": example})

        self._unwritten: list[Blueprint] = []
        self._writing = Lock()

    def register_blueprint(self, blueprint: Blueprint) -> None:
        """Serve the operations of a blueprint; they are written into the document when somebody reads it."""
        self._app.register_blueprint(blueprint)
        self._unwritten.append(blueprint)

    @property
    def document(self) -> dict[str, Any]:
        """The document; it takes a tenth of a second to write, which no start and no command should pay for."""
        with self._writing:
            while self._unwritten:
                blueprint = self._unwritten.pop(0)
                blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
                self.spec.tag({"name": blueprint.name, "description": blueprint.description})
            document: dict[str, Any] = self.spec.to_dict()
            return document

    @cached_property
    def text(self) -> str:
        """The document as YAML."""
        return yaml.dump(self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeats instead of anchoring."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
_Dumper.add_multi_representer(StrEnum, lambda dumper, code: dumper.represent_str(str(code)))


def _schema_name(schema: type[ma.Schema] | ma.Schema) -> str:
    name = schema.__name__ if isinstance(schema, type) else type(schema).__name__
    return name.removesuffix("Schema")


def _own_schema(converter: Any, field: ma.fields.Field[Any], **_: Any) -> dict[str, Any]:
    """What a field of ours says of itself."""
    if isinstance(field, Either):
        return {"oneOf": [converter.resolve_nested_schema(schema) for schema in field.schemas]}
    return getattr(field, "json_schema", {})
