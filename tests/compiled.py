"""What every app compiles for itself, the templates and the builders of its addresses, is compiled once for a process.

Tests make hundreds of apps, and would spend most of their time on it.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


class Templates(BytecodeCache):
    """The templates that an app of this process has compiled, for those after it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take a template if it was compiled from the same text."""
        bucket.code = self._kept.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template that was compiled."""
        self._kept[bucket.key, bucket.checksum] = bucket.code


def _once(compile_builder: Callable[..., Any]) -> Callable[..., Any]:
    """The method of a rule that compiles a function, which depends on the path of the rule alone if it has no defaults."""
    kept: dict[tuple[object, ...], Any] = {}

    def compiled(rule: Rule, append_unknown: bool = True) -> Any:
        key = (rule.rule, *rule._trace, append_unknown)
        if rule.defaults or key not in kept:
            kept[key] = compile_builder(rule, append_unknown)
        return kept[key]

    return compiled


def compile_once() -> None:
    """Let the apps of this process share what they compile."""
    Flask.jinja_options = {"bytecode_cache": Templates()}
    Rule._compile_builder = _once(Rule._compile_builder)
