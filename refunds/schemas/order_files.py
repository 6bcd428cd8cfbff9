"""Files of orders, read line by line: CSV whose first line names the columns, or JSON lines."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from refunds.errors import InvalidInput, Message
from refunds.schemas.orders import InlineOrderSchema

_SCHEMA = InlineOrderSchema()
_REQUIRED = sorted(name for name, field in _SCHEMA.load_fields.items() if field.required)
_OPTIONAL = sorted(_SCHEMA.load_fields.keys() - {*_REQUIRED})


def read_orders(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | InvalidInput]]:
    """Yield the number of each line that is not empty, with the facts of its order or the error that it has.

    Empty lines are numbered, too. The first line that is not empty must begin with `{`, which means JSON lines, or name
    the columns of CSV; a line of names is not yielded. The first `next()` raises `InvalidInput` if that line does
    neither, or if all lines are empty. In CSV, an empty cell means that nothing is known.
    """
    numbered: Iterator[tuple[int, str]] = ((number, line) for number, line in enumerate(lines, 1) if line.strip(_EMPTY))
    number, first = next(numbered, (1, ""))
    read: Callable[[str], Any] = _json_value
    if first.lstrip().startswith("{"):
        numbered = chain([(number, first)], numbered)
    else:
        read = _reader(first)
    for number, line in numbered:
        try:
            yield number, _SCHEMA.read(read(line))
        except InvalidInput as error:
            yield number, error


_EMPTY = " \t\r\n,;"
"""What an empty line may consist of: spreadsheets write the delimiters of empty rows."""


def _reader(header: str) -> Callable[[str], dict[str, str | None]]:
    """Return a function that reads a line of CSV below `header`; raise `InvalidInput` for wrong columns.

    Columns must not be repeated, missing or unknown. The function leaves out empty cells, but always has a service date
    or None; it raises `InvalidInput` for a line with another number of cells.
    """
    delimiter = max(",;", key=header.count)
    names: list[str] = []
    with suppress(InvalidInput):
        names = [name.strip() for name in _cells(header, delimiter)]
    if len(set(names)) < len(names) or not {*_REQUIRED} <= {*names} <= {*_REQUIRED, *_OPTIONAL}:
        detail = Message(
            "the first line must name the columns %(required)s and, if there are any, %(optional)s: each once, with "
            "commas or semicolons between them",
            required=", ".join(_REQUIRED),
            optional=", ".join(_OPTIONAL),
        )
        raise InvalidInput.at("", detail, "columns")

    def read(line: str) -> dict[str, str | None]:
        cells = _cells(line, delimiter)
        if len(cells) != len(names):
            detail = Message("must have %(most)s cells, and has %(found)s", most=len(names), found=len(cells))
            raise InvalidInput.at("", detail, "cells")
        given = {name: cell for name, cell in zip(names, cells, strict=True) if cell}
        return {"service_provided_at": None, **given}

    return read


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; raise `InvalidInput` if it is not CSV.

    No fact has a line break, so a quotation mark that is not closed harms only its own line and, if it is closed on the
    next one, that line: what is left of the cell there would be taken for another fact.
    """
    with suppress(csv.Error):
        if line.count('"') % 2 == 0:
            return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    raise InvalidInput.at("", Message("is not CSV: check the quotation marks"), "malformed")


def _json_value(line: str) -> Any:
    """Return the value, of any kind, in a line of JSON; raise `InvalidInput` if it is not JSON or has a key twice."""
    try:
        return json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        detail = Message("is not JSON: write each order as an object on one line")
        raise InvalidInput.at("", detail, "malformed") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary; raise `InvalidInput` if two have the same key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidInput.at("", Message("has the same key twice"), "malformed")
    return found
