"""The API document in OpenAPI 3.1, made from the operations declared beside their views.

`openapi.yaml` is generated from it and never edited by hand.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from http import HTTPStatus
from typing import Any

import marshmallow as ma
import orjson
import yaml
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from refunds.domain.region_days import WEEKDAYS
from refunds.presentation.language import LANGUAGES, speaking
from refunds.web import idempotency
from refunds.web.endpoint import CSV, JSON, Answer, Operation, Tag, Transaction
from refunds.web.problem_types import PROBLEMS
from refunds.web.problems import problem_data
from refunds.web.schemas.examples import SHARED
from refunds.web.schemas.shown import Either, ProblemSchema

VERSION = "1"
PROBLEM_JSON = "application/problem+json"

DESCRIPTION = """\
Decides whether an order of an online service can still be cancelled and refunded. The vendor's policy promises a number
of business days, counted by the public holidays of the customer's region, and each decision explains them day by day.
Records each call and e-mail with the decision on it, issues the cancellations that billing refunds, and reports what
happened in a feed of events.

* Send instants as RFC 3339 with an offset. Of up to nine digits after the second, the service keeps six. Responses give
  instants in UTC. Local dates are in the policy's time zone.
* In an HTTP request, unknown fields are refused, and null in an optional field means that it is left out. Fields may be
  added to responses: ignore those that you do not know. For a Go client that ignores them, and can read the feed, give
  openapi-generator `disallowAdditionalPropertiesIfNotPresent=false,useOneOfDiscriminatorLookup=true`.
* Each error is a problem (RFC 9457) that names what is wrong and links to the fix.
* Sets of codes marked `x-extensible-enum` may grow: accept codes that you do not know.
* HTTP requests need a client's token, unless the operation says otherwise: `Authorization: Bearer …`. Fields that the
  token's role may not see are null.
* Every HTTP request can be sent again safely. Some operations require an `Idempotency-Key` for this.
* `Accept-Language: de` or `en` chooses the language of `*_text`, of holiday names and of problems. Codes never change.
"""

ALWAYS = ("bad-request", "internal-error")
WITH_TOKEN = ("unauthenticated", "rate-limited", "storage-unavailable")
WITH_KEY = ("idempotency-key-missing", "idempotency-key-invalid", "idempotency-key-reused")
WITH_BODY = ("malformed-json", "duplicate-key", "length-required", "body-too-large", "unsupported-media-type")


class Contract:
    """The API document. It is made on first use, because that takes a tenth of a second."""

    def __init__(self, tags: Iterable[Tag]) -> None:
        self._tags = tuple(tags)

    @cached_property
    @speaking(LANGUAGES[0])
    def document(self) -> dict[str, Any]:
        """The document as plain data, with its texts in English."""
        marshmallow = MarshmallowPlugin(schema_name_resolver=_schema_name)
        spec = APISpec(
            title="Refund and cancellation policy",
            version=VERSION,
            openapi_version="3.1.1",
            plugins=[marshmallow],
            info={"description": DESCRIPTION, "summary": "Can this order still be cancelled, until when, and why?"},
            servers=[
                {
                    "url": "{address}",
                    "description": "The address of the service.",
                    "variables": {
                        "address": {
                            "default": "http://127.0.0.1:8000",
                            "description": "Where `make serve` listens; in production, the address of the TLS proxy.",
                        }
                    },
                }
            ],
            security=[],
        )
        assert marshmallow.converter
        marshmallow.converter.add_attribute_function(_own_schema)
        _write_components(spec)
        for tag in self._tags:
            for operation in tag.operations:
                path, parameters = _path(operation)
                written = {operation.method.lower(): _operation(operation, tag)}
                spec.path(path=path, operations=written, parameters=parameters)
            spec.tag({"name": tag.name, "description": tag.description})
        document: dict[str, Any] = spec.to_dict()
        return document

    @cached_property
    def json(self) -> bytes:
        """The document as JSON."""
        return orjson.dumps(self.document)

    @cached_property
    def text(self) -> str:
        """Return the document as YAML."""
        return yaml.dump(self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _write_components(spec: APISpec) -> None:
    """Add to a document what operations refer to: the problems, examples, headers, header parameters and the token."""
    components = spec.components
    components.schema("Problem", schema=ProblemSchema)
    components.schema("Weekday", {"type": "string", "enum": [*WEEKDAYS, "country"]})
    for name, text in _HEADERS.items():
        form = {"type": "integer", "format": "int32"} if name == "Retry-After" else {"type": "string"}
        components.header(name, {"description": text, "schema": form})
    components.security_scheme(
        "token",
        {
            "type": "http",
            "scheme": "bearer",
            "description": "A client's token, from `flask tokens create`. Each operation names its scope; "
            "`GET /v1/me` lists the scopes of the token's role.",
        },
    )
    for component, (name, required, text) in _HEADER_PARAMETERS.items():
        form = {"pattern": idempotency.KEY} if required else {}
        described = {"name": name, "required": required, "description": text, "schema": {"type": "string"} | form}
        components.parameter(component, "header", described)
    for name, example in SHARED.items():
        components.example(name, dict(example))
    by_status: dict[int, list[str]] = {}
    for slug, problem in PROBLEMS.items():
        if slug == "method-not-allowed":  # no operation can answer with it
            continue
        example = problem_data(slug, problem.happened, request_id="3f2b9c1d5e7a8064")
        components.example(slug, {"summary": problem.title, "value": example})
        by_status.setdefault(problem.status, []).append(slug)
    for status, slugs in sorted(by_status.items()):
        described = {"description": f"One of the problems with the status {status}."}
        components.response(_name_of(status), described | _problems(slugs, ProblemSchema))


def _path(operation: Operation) -> tuple[str, list[dict[str, Any]]]:
    """Return the path of an operation, with its parameters in braces, and the descriptions of these parameters."""
    parameters: list[dict[str, Any]] = []
    for kind, name in _PARAMETER.findall(operation.rule):
        number = {"type": "integer", "format": "int32", "minimum": 1}
        schema = number if kind == "number" else {"type": "string", "minLength": 1}
        described = {"in": "path", "name": name, "description": _PATH_PARAMETERS[name]}
        parameters.append(described | {"required": True, "schema": schema})
    return _PARAMETER.sub(r"{\2}", operation.rule), parameters


_PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
_PATH_PARAMETERS = {
    "cancellation_id": "The cancellation.",
    "contact_id": "The contact.",
    "customer_id": "The customer, by the service's own id.",
    "order_id": "The billing system's id of the order.",
    "policy_id": "The id of the policy, such as `virtual-numbers`.",
    "region": "A country or a country and a subdivision, percent-encoded, as in `DE` and `DE-BY`.",
    "request_id": "The data request.",
    "unmatched_id": "The unmatched contact.",
    "version": "The number of the version, from 1.",
}


def _operation(operation: Operation, tag: Tag) -> dict[str, Any]:
    """Return an operation as `APISpec.path` takes it: with schema classes, and without the parameters of its path."""
    view, scopes, transaction = operation.view, operation.scopes, operation.transaction
    first, *others = view.__name__.split("_")
    parameters: list[Any] = [{"in": "query", "schema": operation.query}] if operation.query else []
    responses = _responses(operation)
    if operation.method == "GET" and operation.answers[0].etag:
        parameters.append("IfNoneMatch")
        responses["304"] = {"description": "Nothing has changed since the ETag in If-None-Match."}
    if transaction is Transaction.IDEMPOTENT:
        parameters.append("IdempotencyKey")
    document: dict[str, Any] = {
        "summary": (inspect.getdoc(view) or "").partition("\n")[0],
        "description": _description(operation),
        "tags": [tag.name],
        "operationId": first + "".join(map(str.title, others)),
        "parameters": [*parameters, *operation.headers],
        "responses": responses,
        "security": [] if scopes is None else [{"token": []}],
        "x-scopes": list(map(str, scopes or ())),
    }
    if operation.deprecated:
        document["deprecated"] = True
    if operation.body:
        examples = {"examples": operation.body_examples} if operation.body_examples else {}
        document["requestBody"] = {"required": True, "content": {JSON: {"schema": operation.body} | examples}}
    return document


def _description(operation: Operation) -> str:
    """Return an operation's description: its docstring after the first line, its scopes, if it can be sent again."""
    text = (inspect.getdoc(operation.view) or "").partition("\n")[2].strip()
    scopes, transaction = operation.scopes, operation.transaction
    if transaction is None and any(scope.endswith(":write") for scope in scopes or ()):
        transaction = Transaction.WRITE  # of each item
    again = "" if operation.method == "GET" else _AGAIN[transaction]
    if scopes is None:
        return f"{text}\n\nNo token is needed."
    return f"{text}\n\nScope: {' or '.join(f'`{scope}`' for scope in scopes) or 'any'}.{again}"


_AGAIN = {
    None: " Read-only and idempotent.",
    Transaction.READ: " Read-only and idempotent.",
    Transaction.WRITE: " Idempotent.",
    Transaction.IDEMPOTENT: " Idempotent by its `Idempotency-Key`.",
}


def _responses(operation: Operation) -> dict[str, Any]:
    """Return the responses of an operation by status: the successful ones and its problems, but not a 304."""
    responses = {str(answer.status): _answer(operation, answer) for answer in operation.answers}
    having = (
        *ALWAYS,
        *(WITH_TOKEN if operation.scopes is not None else ()),
        *(("forbidden",) if operation.scopes else ()),
        *(WITH_BODY if operation.body else ()),
        *(WITH_KEY if operation.transaction is Transaction.IDEMPOTENT else ()),
        "validation-error",
        *operation.problems,
        *_implied(operation),
    )
    by_status: dict[int, list[str]] = {}
    for slug in dict.fromkeys(having):
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    for status, slugs in sorted(by_status.items()):
        refusal = operation.refusal if status == HTTPStatus.CONFLICT else None
        named = {"$ref": f"#/components/responses/{_name_of(status)}"}
        described = {"description": " ".join(f"{PROBLEMS[slug].title} (`{slug}`)." for slug in slugs)}
        responses[str(status)] = described | (_problems(slugs, refusal) if refusal else named)
    return responses


def _implied(operation: Operation) -> Iterator[str]:
    """Yield the slugs of the problems of an operation with an id in its path, a cursor, or several media types."""
    if "<order:" in operation.rule:
        yield "order-not-found"
    elif "_id>" in operation.rule and operation.method != "POST":  # a POST may create what its path names
        yield "not-found"
    if operation.query and "after" in operation.query().fields:
        yield "invalid-cursor"
    if any(answer.also for answer in operation.answers):
        yield "not-acceptable"


def _answer(operation: Operation, answer: Answer) -> dict[str, Any]:
    """Return a successful response in the form that `APISpec.path` takes: with schema classes, and headers by name."""
    content: dict[str, Any] = {"schema": answer.schema}
    if answer.examples:
        content["examples"] = answer.examples
    others = {answer.also: {"schema": {"type": "string"}}} if answer.also else {}
    headers = ["X-Request-ID", *([] if operation.scopes is None else ["Token-Expires"])]
    if answer.etag:
        headers.append("ETag")
    if answer.also == CSV:
        headers.append("Link")
    if answer.status == HTTPStatus.CREATED:
        headers.append("Location")
    if operation.transaction is Transaction.IDEMPOTENT:
        headers += ["Idempotent-Replayed", "Cancellation-State"]
    document = {
        "description": answer.description,
        "content": {answer.media_type: content, **others},
        "headers": {name: name for name in headers},
    }
    return document | ({"links": answer.links} if answer.links else {})


def _problems(slugs: Iterable[str], schema: type[ma.Schema]) -> dict[str, Any]:
    """Return the headers and content of the response for these problems: at least one, and all of one status."""
    examples = {slug: {"$ref": f"#/components/examples/{slug}"} for slug in slugs}
    status = PROBLEMS[next(iter(examples))].status
    return {
        "headers": {name: name for name in ("X-Request-ID", *_WITH_STATUS.get(status, ()))},
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
    }


def _name_of(status: int) -> str:
    """Return the name of the shared response with the problems of a status, such as `TooManyRequests`."""
    return HTTPStatus(status).name.title().replace("_", "")


_HEADER_PARAMETERS = {
    "IfNoneMatch": (
        "If-None-Match",
        False,
        "An ETag from an earlier response. If nothing has changed, the response is 304.",
    ),
    "IfMatch": ("If-Match", False, "For a correction: the ETag of the order as you read it."),
    "IdempotencyKey": (
        "Idempotency-Key",
        True,
        (
            "A value that you choose, such as a UUID: the same for every attempt at one HTTP request. Once an attempt "
            "has recorded something, later ones get its response for 30 days, with `Idempotent-Replayed: true`."
        ),
    ),
}
_HEADERS = {
    "X-Request-ID": "The request's id: the caller's if it looks random, such as a UUID, else a new one.",
    "ETag": "Identifies this state of the resource.",
    "Location": "Where the record is.",
    "Link": 'Of a page in CSV: the address of the next page, with `rel="next"`. Absent: there is none.',
    "Idempotent-Replayed": "`true`: this is the stored response to an earlier attempt.",
    "Cancellation-State": (
        "With `Idempotent-Replayed`: the state of the cancellation, if it has changed since the stored response."
    ),
    "WWW-Authenticate": "How to authenticate: `Bearer`.",
    "Retry-After": "How many seconds to wait before trying again.",
    "Token-Expires": "In the last 30 days of the token: when it expires.",
    "RateLimit": (
        "How many requests are left (`r`), and in how many seconds the limit is full again (`t`), as in "
        '`"requests";r=999;t=1`.'
    ),
    "RateLimit-Policy": "How many requests are allowed in how many seconds.",
}
_WITH_STATUS: dict[int, tuple[str, ...]] = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}


class _Dumper(yaml.SafeDumper):
    """A dumper that writes multi-line texts as blocks, and repeats values instead of using YAML anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: every value is written out."""
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
_Dumper.add_multi_representer(str, lambda dumper, text: dumper.represent_data(str(text)))


def _schema_name(schema: type[ma.Schema] | ma.Schema) -> str:
    """Return the name of a schema in the document: that of its class without `Schema`."""
    name = schema.__name__ if isinstance(schema, type) else type(schema).__name__
    return name.removesuffix("Schema")


def _own_schema(converter: Any, field: ma.fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Return what a field adds to its JSON schema: its `json_schema`, with null in an enumeration if allowed, or {}.

    For an `Either`, add a component with its schemas to the document, and return the reference to it.
    """
    if isinstance(field, Either):
        either: dict[str, Any] = {"oneOf": [converter.resolve_nested_schema(schema) for schema in field.schemas]}
        if field.discriminator:
            named = {value: converter.resolve_nested_schema(schema)["$ref"] for value, schema in field.by.items()}
            either["discriminator"] = {"propertyName": field.discriminator, "mapping": named}
        converter.spec.components.schema(field.component, either)
        return {"$ref": f"#/components/schemas/{field.component}"}
    schema: dict[str, Any] = dict(getattr(field, "json_schema", {}))
    if field.allow_none and "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema
