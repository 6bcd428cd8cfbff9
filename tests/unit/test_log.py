"""The log: a line that cannot be written is dropped and counted, and changes no answer."""

import errno
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from types import SimpleNamespace

import pytest
from prometheus_client import Counter

from refunds.web import create_app
from refunds.web.log import opened
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
        log = opened(raw, Counter("dropped", "Dropped.", registry=None))()
        with ThreadPoolExecutor(4) as pool:
            for thread in range(4):
                pool.submit(lambda of: [log.info("long", of=of, text=str(of) * 200_000) for _ in range(20)], thread)
        raw.close()
        lines = [json.loads(line)["of"] for line in read.result(timeout=60).splitlines()]
    assert sorted(lines) == sorted([*range(4)] * 20)


def test_a_text_that_is_no_unicode_is_logged_all_the_same():
    output = BytesIO()
    opened(output, Counter("dropped", "Dropped.", registry=None))().warning("half \udcff", told=object)
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
