"""How a decision is stored with its record: the facts and the outcome as plain data, field by field.

Fields that were added after a decision was made are not needed to load it: they have a default. `stored_as` gives the
stored names of fields that were renamed.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import orjson

from refunds.domain.business_days import Window
from refunds.domain.instants import format_instant, parse_date
from refunds.domain.outcomes import Facts, Names, Outcome, RecordedDecision, ToldWindow

V = TypeVar("V")
Convert = Callable[[Any], Any] | None
_AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})


class Plain(Generic[V]):
    """How values of a type become plain data and back, with all their fields or `only` some; None stays None.

    `stored_as` has the stored names of renamed fields, by their present names.
    """

    def __init__(
        self, kind: type[V], *, stored_as: Mapping[str, str] = _AS_THEY_ARE, only: Collection[str] | None = None
    ) -> None:
        hints = get_type_hints(kind)
        names = [name for name in hints if only is None or name in only]
        self._kind = kind
        self._fields = [(name, stored_as.get(name, name), *_converters(hints[name])) for name in names]

    def dump(self, value: V) -> dict[str, Any]:
        """Return a value as plain data, under the stored names of its fields, without those that are empty mappings."""
        data: dict[str, Any] = {}
        for name, stored, write, _ in self._fields:
            plain = getattr(value, name)
            if not plain and isinstance(plain, Mapping):
                continue
            data[stored] = plain if plain is None or write is None else write(plain)
        return data

    def load(self, data: Mapping[str, Any]) -> V:
        """Return the value in plain data; missing fields have their defaults, or else raise `TypeError`."""
        return self._kind(**self.values(data))

    def values(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of those fields that the plain data has, by name of the field; ignore all other data."""
        values: dict[str, Any] = {}
        for name, stored, _, read in self._fields:
            if stored in data:
                plain = data[stored]
                values[name] = plain if plain is None or read is None else read(plain)
        return values


def without_none(hint: Any) -> Any:
    """Return a type without the None that it may allow."""
    if isinstance(hint, UnionType):
        (hint,) = (part for part in get_args(hint) if part is not NoneType)
    return hint


def _converters(hint: Any) -> tuple[Convert, Convert]:
    """Return the functions that write and that read a value of a type; None for one that would change nothing."""
    hint = without_none(hint)
    if hint in _CONVERTERS:
        return _CONVERTERS[hint]
    if get_origin(hint) is tuple:
        write, read = _converters(get_args(hint)[0])
        return write and (lambda values: list(map(write, values))), lambda plain: tuple(
            map(read, plain) if read else plain
        )
    if issubclass(hint, StrEnum):
        return None, {str(member): member for member in hint}.__getitem__
    return None, None


_CONVERTERS: dict[Any, tuple[Convert, Convert]] = {
    datetime: (format_instant, datetime.fromisoformat),  # what was written here needs no check
    date: (date.isoformat, parse_date),
    bytes: (bytes.decode, str.encode),
    Window: (
        lambda window: [window.service_day.isoformat(), window.length, window.last_day.isoformat()],
        lambda plain: Window(parse_date(plain[0]), plain[1], parse_date(plain[2])),
    ),
    Names: (
        lambda names: {day.isoformat(): named for day, named in names.items()},
        # `dict.items` raises a TypeError if what is stored is no mapping.
        lambda plain: {
            parse_date(day): {language: (name, name_in) for language, (name, name_in) in dict.items(named)}
            for day, named in dict.items(plain)
        },
    ),
}

_CODES = {"day_codes": "letters"}
FACTS, OUTCOME, _TOLD = Plain(Facts), Plain(Outcome, stored_as=_CODES), Plain(ToldWindow, stored_as=_CODES)
_CONVERTERS[ToldWindow] = (_TOLD.dump, _TOLD.load)


_FACTS_BESIDE = ("contact_version", "closures", "closures_too_late", "promise", "counted_region", "edition")
"""Stored among the facts, because they belong to the policy and the calendar that judged."""

_ONLY_IF_SET = ("withdrawal", "without_ticket", "named_region", "entered_in_time", "counted_region")
"""Left out if they do not apply, as in decisions from before there were any."""

_BESIDE = Plain(RecordedDecision, only=_FACTS_BESIDE)


def dump_decision(decision: RecordedDecision) -> str:
    """Return a decision as it is stored, as JSON."""
    facts = FACTS.dump(decision.facts) | _BESIDE.dump(decision)
    if decision.promise is None:
        del facts["promise"]  # as in decisions from before promises
    for name in _ONLY_IF_SET:
        if facts[name] in (False, None):
            del facts[name]
    if decision.edition == 1:
        del facts["edition"]
    return orjson.dumps({"facts": facts, "outcome": OUTCOME.dump(decision.outcome)}).decode()


def dump_told(told: ToldWindow) -> str:
    """Return a told window as it is stored, as JSON."""
    return orjson.dumps(_TOLD.dump(told)).decode()


def load_told(stored: str) -> ToldWindow:
    """Return the told window in JSON; raises `ValueError`, `LookupError` or `TypeError` if it has another form."""
    return _TOLD.load(orjson.loads(stored))


def load_outcome(stored: str) -> Outcome:
    """Return the outcome in a decision's JSON; raises `ValueError`, `LookupError` or `TypeError` for another form."""
    return OUTCOME.load(orjson.loads(stored)["outcome"])


def load_decision(stored: str) -> RecordedDecision:
    """Read a decision from its stored JSON; raises `ValueError`, `LookupError` or `TypeError` for another form."""
    data = orjson.loads(stored)
    facts, outcome = FACTS.load(data["facts"]), OUTCOME.load(data["outcome"])
    return RecordedDecision(facts=facts, outcome=outcome, **_BESIDE.values(data["facts"]))
