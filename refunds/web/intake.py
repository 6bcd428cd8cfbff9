"""Strict intake: a request that is not exactly as declared is a problem.

The framing is checked before anything is read, because servers differ in how they cut bodies short.
"""

import json
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import orjson
from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import NotFound, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from refunds.errors import FieldError, InvalidInput, Message
from refunds.schemas.strict import pointer_step
from refunds.web.problems import Rejected


def check_framing(request: Request) -> None:
    """Raise `Rejected` if a request has a Transfer-Encoding or a query that is not UTF-8; its body is not read.

    Raises `NotFound` if the path begins with two slashes. Removes Range, If-Range and If-Match from a GET or HEAD,
    because they are not supported there.
    """
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        request.query_string = b""  # so that later code does not fail on it
        raise Rejected("bad-request", Message("The query is not UTF-8.")) from None
    if request.environ["PATH_INFO"].startswith("//"):  # which would be taken for a single one
        request.url_rule = None
        raise NotFound
    if "Transfer-Encoding" in request.headers:
        raise Rejected(
            "length-required", Message("Send the body with a Content-Length and without a Transfer-Encoding.")
        )
    if request.method in {"GET", "HEAD"}:
        for ignored in ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH"):  # no partial responses, no conditions on reads
            request.environ.pop(ignored, None)


def parameters(request: Request) -> dict[str, str]:
    """Return the query parameters by name. Raises `InvalidInput` if one is repeated."""
    return _values_by_name(request.args) if request.query_string else {}


def _values_by_name(given: MultiDict[str, str]) -> dict[str, str]:
    """Return the value of each parameter or field by its name; raise `InvalidInput` if a name has several values."""
    if len(given) < sum(1 for _ in given.items(multi=True)):
        raise InvalidInput(
            FieldError(pointer_step(name), Message("must be given once"), "repeated")
            for name, values in given.lists()
            if len(values) > 1
        )
    return given.to_dict()


def json_body(request: Request, most_bytes: int) -> Any:
    """Read the body of a request, and return its JSON value.

    Raises `Rejected` if the body is not sent as `application/json` or is compressed, has no Content-Length, is shorter
    than that or longer than `most_bytes` bytes, is not JSON, is nested too deeply or repeats a key, or if the server is
    receiving too many large bodies.
    """
    body = _body(request, most_bytes, ("application/json",), "malformed-json")
    try:
        text = body.decode()
        data = orjson.loads(body)
    except UnicodeDecodeError:
        raise Rejected("malformed-json", Message("The body is not UTF-8.")) from None
    except orjson.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno}
        detail = Message("The body is not JSON at line %(line)s, column %(column)s.", **place)
        raise Rejected("malformed-json", detail) from None
    # orjson checks everything except duplicate keys, of which it keeps the last.
    try:
        _FINDS_DUPLICATES.decode(text)
    except RecursionError:
        raise Rejected("malformed-json", Message("The body is nested too deeply.")) from None
    return data


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Raise `Rejected` if a key is twice in the pairs of keys and values of a JSON object."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise Rejected("duplicate-key", Message("An object in the body has the same key twice."))


_FINDS_DUPLICATES = json.JSONDecoder(object_pairs_hook=_refuse_duplicates)


def form_body(request: Request, most_bytes: int) -> dict[str, str]:
    """Read the form in the body of a request, and return its values by field name. The value of a file is its text.

    In a file, U+FFFD replaces what is not UTF-8. Raises `InvalidInput` if a field is repeated, and `Rejected` if the
    body is not sent as a form, cannot be read as one, has more than one field for each 256 of `most_bytes`, did not
    arrive whole or is too large, or if the server is receiving too many large bodies.
    """
    body = _body(request, most_bytes, ("application/x-www-form-urlencoded", "multipart/form-data"), "bad-request")
    most_fields = most_bytes // 256
    try:
        if request.mimetype == "multipart/form-data":
            # A file is kept in memory, so that it is never on a disk.
            parser = FormDataParser(lambda *_, **__: BytesIO(), most_bytes, silent=False, max_form_parts=most_fields)
            _, fields, sent = parser.parse(BytesIO(body), request.mimetype, len(body), request.mimetype_params)
            files = [(name, file.read().decode("utf-8-sig", "replace")) for name, file in sent.items(multi=True)]
            pairs = [*fields.items(multi=True), *files]
        else:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=most_fields)
    except (ValueError, RequestEntityTooLarge):
        raise Rejected("bad-request", Message("The form is not sent as forms are.")) from None
    return _values_by_name(MultiDict(pairs))


def _body(request: Request, most_bytes: int, media_types: tuple[str, ...], cut_short: str) -> bytes:
    """Read and return the whole body of a request.

    Raises `Rejected` if the body has none of the media types or is compressed, has no Content-Length, is longer than
    `most_bytes`, is shorter than its Content-Length, with the slug `cut_short`, or if the server has set
    `refunds.crowded`, as it is receiving too many large bodies.
    """
    if request.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() not in media_types:
        expected = Message("Send the body as Content-Type: %(media_type)s.", media_type=media_types[0])
        raise Rejected("unsupported-media-type", expected)
    if request.environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise Rejected("unsupported-media-type", Message("Send the body uncompressed."))
    length = request.content_length
    if length is None:
        raise Rejected("length-required", Message("Send the body with its Content-Length."))
    if length > most_bytes:
        raise Rejected("body-too-large", Message("Send at most %(most)s bytes at once.", most=most_bytes))
    if "refunds.crowded" in request.environ:
        crowded = Message("Too many large bodies are on their way: send yours again in a moment.")
        raise Rejected("rate-limited", crowded, {"Retry-After": "1"})
    body: bytes = request.environ["wsgi.input"].read(length)
    if len(body) != length:
        raise Rejected(cut_short, Message("The body is shorter than its Content-Length."))
    return body
