"""The log: one JSON object a line on standard output. While the service runs, it prints nothing else there."""

import atexit
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson
from flask import Flask
from prometheus_client import Counter

from refunds.config import RELEASE

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


MOST = 10_000
"""Lines that wait to be written; further ones are dropped."""

_LAST = 1
"""Seconds for the lines that wait when the process ends."""


class Output:
    """The output of log lines. If a disk is full, or a reader stalls, it drops and counts lines, and raises nothing."""

    def __init__(self, output: BinaryIO, dropped: Counter) -> None:
        # The raw file, because a buffer would keep what it failed to write and fail again with the next line.
        self._output: BinaryIO = getattr(output, "raw", output)
        self._dropped = dropped
        self._torn = False
        self._waiting: SimpleQueue[Callable[[], None]] | None = None

    def detach(self) -> None:
        """Start a thread that writes the lines from now on, so that nobody else waits for the reader of the output."""
        waiting = self._waiting = SimpleQueue()

        def write_all() -> None:
            while True:
                waiting.get()()

        threading.Thread(target=write_all, name="log", daemon=True).start()

    def write(self, line: bytes) -> None:
        """Write a line or, after `detach`, queue it for the thread; a line too many or cut short counts as dropped."""
        if self._waiting is None:
            self._write(line)
        elif self._waiting.qsize() < MOST:
            self._waiting.put(partial(self._write, line))
        else:
            self._dropped.inc()

    def _write(self, line: bytes) -> None:
        """Write a line now, on a new line if the last was cut short; count a line that is not written whole."""
        begun = b"\n" + line if self._torn else line
        try:
            written = self._output.write(begun) or 0
        except (OSError, ValueError):  # a ValueError if it is closed
            written = 0
        if written < len(begun):
            self._dropped.inc()
        if written:
            self._torn = written < len(begun)

    def flush(self) -> None:
        """Do nothing: lines are not buffered."""

    def finish(self) -> None:
        """Wait for at most a second until the thread of `detach` has written every line; nothing without a thread."""
        if self._waiting is not None:
            written = threading.Event()
            self._waiting.put(written.set)
            written.wait(_LAST)


def opened(output: Output, level: str = "info") -> Callable[[], "FilteringBoundLogger"]:
    """Return a function that returns the log of an output, from `level` up; its first call makes the log.

    A line of the log is JSON with the time in UTC, the level, the release and the instance.
    """

    @cache
    def log() -> "FilteringBoundLogger":
        import structlog  # noqa: PLC0415 - slow to import, and few commands log

        machine = socket.gethostname()
        made: FilteringBoundLogger = structlog.wrap_logger(
            structlog.BytesLogger(cast(BinaryIO, output)),  # it lets one thread write at a time
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
                structlog.processors.add_log_level,
                lambda _, __, line: {**line, "release": RELEASE, "instance": f"{machine}:{os.getpid()}"},
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=_dumped),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(level),
        ).bind()  # once: what is wrapped would bind itself for each line
        return made

    return log


def _dumped(line: Any, **options: Any) -> bytes:
    """Return a line of the log as JSON in UTF-8, or in ASCII with escapes if a text in it has half a character."""
    try:
        return orjson.dumps(line, **options)
    except orjson.JSONEncodeError:  # a text with half a character
        return json.dumps(line, **options).encode()


class _Messages(logging.Handler):
    """Logs the warnings of libraries: those of the database driver as `database`, all others as `message`."""

    def __init__(self, log: Callable[[], "FilteringBoundLogger"]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log the message of a record of the standard library, with its exception if it has one."""
        self._log().log(
            min(record.levelno // 10 * 10, logging.CRITICAL),  # the levels that have a name
            "database" if record.name.startswith("psycopg") else "message",
            logger=record.name,
            detail=record.getMessage(),
            **({"exc_info": record.exc_info} if record.exc_info else {}),
        )


def register(app: Flask, dropped: Counter) -> None:
    """Give an app its log on standard output: the extension `refunds.log` is a function that returns the log.

    A process that only serves the app calls the extension `refunds.take_over`, which returns a function to call as the
    last act of the process. From now on, the whole process logs warnings of the database driver on standard error,
    because commands print their results on standard output.
    """
    level = app.extensions["refunds.settings"].log_level
    output = Output(sys.stdout.buffer, dropped)
    log = app.extensions["refunds.log"] = opened(output, level)
    app.extensions["refunds.take_over"] = partial(_take_over, log, output)
    driver = logging.getLogger("psycopg")
    driver.handlers, driver.propagate = [_Messages(opened(Output(sys.stderr.buffer, dropped), level))], False


def _take_over(log: Callable[[], "FilteringBoundLogger"], output: Output) -> Callable[[], None]:
    """Log, from now on, what this process would otherwise print; call it only in one that does nothing but serve.

    That is: warnings, messages of libraries, and exceptions that end a thread. A thread writes the lines. Whatever is
    printed all the same goes to standard error. Returns a function that waits up to a second for the last lines.
    """
    output.detach()
    atexit.register(output.finish)  # for a start that fails
    logging.captureWarnings(capture=True)
    driver = logging.getLogger("psycopg")
    driver.handlers, driver.propagate = [], True
    logging.getLogger().handlers = [_Messages(log)]
    sys.stdout = sys.stderr

    def log_end(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is not SystemExit:
            exc_info = ended.exc_type, ended.exc_value, ended.exc_traceback
            log().error("failure", thread=ended.thread and ended.thread.name, exc_info=exc_info)

    threading.excepthook = log_end
    return output.finish
