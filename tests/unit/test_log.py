"""The log: a line that cannot be written is dropped and counted, and changes no answer."""

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from types import SimpleNamespace

import pytest
from prometheus_client import Counter

from refunds.web import create_app
from refunds.web.log import MOST, Output, opened
from tests.conftest import client_of, settings


class Full:
    """A standard output whose disk is full, or which is closed."""

    def __init__(self, error):
        self.error = error
        self.tried = 0

    def write(self, _):
        """Fail."""
        self.tried += 1
        raise self.error

    def flush(self):
        """Fail."""
        raise self.error


def test_long_lines_of_several_threads_are_not_mixed():
    """A pipe takes a long line in parts, so another thread's could come between them."""
    reading, writing = os.pipe()
    raw = open(writing, "wb", buffering=0)  # noqa: PTH123, SIM115 - it is a number, and closed for the reader's end
    with open(reading, "rb") as pipe, ThreadPoolExecutor(1) as reader:  # noqa: PTH123
        read = reader.submit(pipe.read)
        log = opened(Output(raw, Counter("dropped", "Dropped.", registry=None)))()
        with ThreadPoolExecutor(4) as pool:
            for thread in range(4):
                pool.submit(lambda of: [log.info("long", of=of, text=str(of) * 200_000) for _ in range(20)], thread)
        raw.close()
        lines = [json.loads(line)["of"] for line in read.result(timeout=60).splitlines()]
    assert sorted(lines) == sorted([*range(4)] * 20)


def test_a_reader_that_stalls_keeps_nobody_waiting_and_gets_the_first_lines_in_order():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x")
    os.set_blocking(writing, True)
    raw = open(writing, "wb", buffering=0)  # noqa: PTH123, SIM115 - it is a number, and closed for the reader's end
    dropped = Counter("dropped", "Dropped.", registry=None)
    output = Output(raw, dropped)
    output.detach()
    log = opened(output)()
    with ThreadPoolExecutor(4) as pool:
        for thread in range(4):
            pool.submit(lambda of: [log.info("one", of=of, nth=nth) for nth in range(MOST // 4 + 100)], thread)
    lost = dropped._value.get()
    assert 399 <= lost <= 400, "the writing thread has taken one out"
    output.finish()  # it does not wait for ever, either
    with open(reading, "rb") as pipe, ThreadPoolExecutor(1) as reader:  # noqa: PTH123
        read = reader.submit(pipe.read)
        while not output._waiting.empty():
            output.finish()
        log.info("last")
        output.finish()
        raw.close()
        lines = [json.loads(line) for line in read.result(timeout=60).lstrip(b"x").splitlines()]
    assert len(lines) == MOST + 400 - lost + 1
    assert [line["event"] for line in lines[-2:]] == ["one", "last"]
    assert dropped._value.get() == lost
    for thread in range(4):
        nth = [line["nth"] for line in lines[:-1] if line["of"] == thread]
        assert nth == sorted(nth)


def test_a_text_that_is_no_unicode_is_logged_all_the_same():
    output = BytesIO()
    opened(Output(output, Counter("dropped", "Dropped.", registry=None)))().warning("half \udcff", told=object)
    line = json.loads(output.getvalue())
    assert (line["event"], line["told"]) == ("half \udcff", repr(object))


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), BrokenPipeError(), BlockingIOError(), ValueError("closed")],
    ids=repr,
)
def test_a_full_disk_of_the_log_changes_no_answer_and_is_counted(tmp_path, monkeypatch, error):
    """Neither of requests nor of checkpoints, which are logged after their event is committed."""
    full = Full(error)
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=full, write=full.write, flush=full.flush))
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(buffer=full, write=full.write, flush=full.flush))
    app = create_app(settings(tmp_path))
    client = client_of(app)
    for number in range(110):  # past a checkpoint
        order = {"customer_ref": "K-1", "service_provided_at": "2026-04-02T16:20:00+02:00"}
        assert client.put(f"/v1/orders/UNLOGGED-{number}", json=order).status_code == 201
    assert client.get("/v1/orders/UNLOGGED-109").status_code == 200
    assert client.get("/v1/orders/NOBODYS").status_code == 404
    assert len(list(app.extensions["refunds.store"].checkpoints)) >= 2
    dropped = app.extensions["refunds.metrics"].dropped_lines._value.get()
    assert dropped == full.tried >= 113
    app.extensions["refunds.store"].close()
