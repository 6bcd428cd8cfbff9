"""The use cases, one file per subject."""

from collections.abc import Callable

ProgressCallback = Callable[[str, int, int], None]
"""Called at each step of a long task: with its name, how much is done, and how much there is."""


def silently(_: str, __: int, ___: int) -> None:
    """Do nothing: the function to pass where progress is to be reported to nobody."""
