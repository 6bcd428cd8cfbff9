"""Standard output of a real process is JSON, line by line, whatever happens: a program reads it from its first line."""

import json
import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from refunds.errors import FileReplaced
from tests.faults.harness import (
    FLASK,
    PATIENCE,
    Client,
    Installation,
    cancellation_of,
    free_port,
    is_alive,
    until,
)
from tests.faults.processes import ROOT, Command

NOISY = """
import logging, os, signal, threading, time, warnings
def spoil():
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    while not os.path.exists(__file__ + ".now"):
        time.sleep(0.02)
    print("a library prints")
    warnings.warn("a library warns", RuntimeWarning)
    logging.getLogger("some.library").error("a library logs\\nin two lines, with half a character: \\udcff")
    logging.getLogger("_granian").error("the server logs")
    1 / 0
if os.environ.get("PORT"):
    threading.Thread(target=spoil, name="spoiler", daemon=True).start()
"""
"""What a library does that knows nothing of the log, once there is a file of a certain name."""


class Stream:
    """An installation whose server writes standard output and standard error to a file each."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.installation = Installation(directory)
        self.out, self.err = directory / "out", directory / "err"
        self.environment = self.installation.environment | environment

    @contextmanager
    def serving(self, pipe=None):
        """The server and its port, once it answers; terminated afterwards, if it still runs.

        It writes to the files, or both outputs to a pipe.
        """
        port = free_port()
        process = self.started(self.environment | {"PORT": str(port)}, pipe or self.out, pipe or self.err)
        try:
            until(lambda: process.poll() is not None or is_alive(port))
            yield process, port
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)

    def started(self, environment, out, err):
        """The process."""
        return Command(["serve"], environment, out, err)

    @property
    def lines(self):
        """Every line of standard output, which must be JSON with what each line has."""
        lines = [json.loads(line) for line in self.out.read_bytes().splitlines()]
        for line in lines:
            assert {"at", "level", "event", "release", "instance"} <= line.keys()
        return lines

    def token(self, role):
        """The token of a role, as it was shown to a person."""
        return next(
            line.split()[1]
            for line in self.err.read_text().splitlines()
            if line.startswith(f"    {role} ") and "rfd_" in line
        )


class Noisy(Stream):
    """The same with a library that spoils the output, as `make serve` starts it."""

    def started(self, environment, out, err):
        """The process."""
        (self.out.parent / "sitecustomize.py").write_text(NOISY)
        environment |= {"PYTHONPATH": str(self.out.parent)}
        with out.open("wb") as stdout, err.open("wb") as stderr:
            return subprocess.Popen([FLASK, "serve"], cwd=ROOT, env=environment, stdout=stdout, stderr=stderr)


def test_every_line_is_json_from_the_start_to_the_end(tmp_path):
    stream = Noisy(tmp_path, REFUNDS_LOG_LEVEL="debug")
    with stream.serving() as (process, port):
        assert f"http://127.0.0.1:{port}/console/" in stream.err.read_text(), "a person sees the address"
        with Client(port, stream.token("billing")) as client, Client(port, "rfd_wrong") as stranger:
            assert client.cancel(cancellation_of("A-1"), "key-1").status == 201
            assert client.send("GET", "/v1/orders/nobodys").status == 404
            assert client.send("GET", "/metrics").status == 403
            assert client.send("BREW", "/v1/orders/nobodys").status == 405
            assert client.send("POST", "/v1/cancellations", "\ud800").status == 400
            assert stranger.send("GET", "/v1/me").status == 401
        (tmp_path / "sitecustomize.py.now").touch()
        until(lambda: any(line["event"] == "failure" for line in stream.lines))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    lines = stream.lines
    assert lines[0]["event"] == lines[-1]["event"] == "anchor", "those of the start and of the stop"
    assert {line["instance"].rpartition(":")[2] for line in lines} == {str(process.pid)}
    by_status = {line["status"]: line["level"] for line in lines if line["event"] == "request"}
    levels = {200: "debug", 201: "info", 400: "info", 401: "warning", 403: "warning", 404: "info", 405: "info"}
    assert by_status == levels
    said = [line["detail"] for line in lines if line["event"] == "message"]
    assert len(said) == 3
    assert "a library warns" in said[0]
    assert said[1].startswith("a library logs\nin two lines")
    assert said[2] == "the server logs"
    (failure,) = [line for line in lines if line["event"] == "failure"]
    assert failure["thread"] == "spoiler"
    assert "ZeroDivisionError" in failure["exception"]
    assert "a library prints" in stream.err.read_text()
    assert "a library prints" not in stream.out.read_text()


def test_a_database_that_is_gone_is_one_line_for_each_request(tmp_path):
    stream = Stream(tmp_path)
    database = Path(stream.environment["REFUNDS_DATABASE"].removeprefix("sqlite:///"))
    with stream.serving() as (process, port):
        with Client(port, stream.token("billing")) as client:
            assert client.send("GET", "/v1/me").status == 200
            database.rename(database.with_name("moved.db"))
            assert client.send("GET", "/v1/me").status == 503
        assert process.wait(timeout=PATIENCE) == FileReplaced.exit_code
    failed = [line for line in stream.lines if line["event"] == "request" and line["status"] == 503]
    assert [line["level"] for line in failed] == ["error"]
    assert "was removed or replaced" in failed[0]["detail"]
    assert not [line for line in stream.lines if "exception" in line]
    assert "Traceback" not in stream.err.read_text()


@pytest.fixture
def pipe():
    """A pipe, as a file to write to."""
    reading, writing = os.pipe()
    yield Path(f"/proc/{os.getpid()}/fd/{writing}")
    os.close(reading)
    os.close(writing)


def fill(pipe):
    """Fill a pipe, which nobody will read any more."""
    filling = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(filling, b"x")
    os.close(filling)


def test_a_reader_that_stalls_stops_nothing(tmp_path, pipe):
    """Also not the stop, whose last lines are lost then."""
    stream = Stream(tmp_path)
    with stream.serving(pipe) as (process, port):
        fill(pipe)
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(port, "rfd_wrong")) for _ in range(6)]
            for number in range(50):
                assert {client.send("GET", f"/v1/orders/A-{number}").status for client in clients} == {401}
                assert is_alive(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    stream.installation.require_sound()


def test_a_database_that_is_gone_stops_it_also_if_the_reader_stalls(tmp_path, pipe):
    stream = Stream(tmp_path)
    database = Path(stream.environment["REFUNDS_DATABASE"].removeprefix("sqlite:///"))
    with stream.serving(pipe) as (process, _):
        fill(pipe)
        database.rename(database.with_name("moved.db"))
        assert process.wait(timeout=PATIENCE) == FileReplaced.exit_code


def test_the_lines_of_a_request_are_written_before_the_end(tmp_path):
    """The last of them wait for the thread that writes when the process ends."""
    stream = Stream(tmp_path)
    with stream.serving() as (process, port):
        with Client(port, "rfd_wrong") as stranger:
            for _ in range(50):
                assert stranger.send("GET", "/v1/me").status == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0
    lines = [line for line in stream.lines if line["event"] == "request"]
    assert len(lines) == 50
    assert all(line["waited_milliseconds"] > 0 for line in lines), "in its front, too"
