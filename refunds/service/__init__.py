"""The use cases, one file a subject."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Told of each step of something long: of what, how much is done, and how much there is."""


def silently(_: str, __: int, ___: int) -> None:
    """Tell nobody how far something is."""
