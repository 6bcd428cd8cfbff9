"""Processes of the service that begin with everything loaded, as to load it takes most of the time of a start."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from flask.cli import main

ROOT = Path(__file__).parents[2]

PROCESSES = multiprocessing.get_context("forkserver")
"""What is called in one of its processes must be a function of a module that opens nothing."""
PROCESSES.set_forkserver_preload(["refunds.cli.serve", "tests.faults.harness"])


class Command:
    """A running `flask` command, with what the tests use of `subprocess.Popen`.

    Its output is appended to files. `first` is called in its process before it begins.
    """

    def __init__(
        self,
        words: Iterable[str],
        environment: Mapping[str, str],
        out: Path,
        err: Path,
        first: Callable[[], object] = bool,
    ) -> None:
        given = list(words), dict(environment), out, err, first
        self._process = PROCESSES.Process(target=_run, args=given, daemon=True)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that has killed it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code; raises `TimeoutExpired` after so many seconds."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("flask", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has just ended, and its parent, the fork server, knows it first
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _run(words: list[str], environment: dict[str, str], out: Path, err: Path, first: Callable[[], object]) -> None:
    """Run a `flask` command, which ends the process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    for path, stream in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
        os.close(file)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)
    first()
    sys.argv = ["flask", *words]
    main()
