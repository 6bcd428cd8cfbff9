"""The file of the database is removed, moved or replaced under the running service: it notices, and ends with why."""

import http.client
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from refunds.errors import ConfigurationError
from refunds.web import create_app
from tests import scaled
from tests.conftest import client_of, settings
from tests.faults.harness import PATIENCE, Client, Installation, cancellation_of, until

THREADS = 6
ENOUGH = scaled(30, 300)


def path_of(installation):
    """The file of the database of an installation."""
    return Path(installation.environment["REFUNDS_DATABASE"].removeprefix("sqlite:///"))


def remove(path):
    """Remove the file alone, as by mistake."""
    path.unlink()


def move(path):
    """Move the file alone."""
    path.rename(path.with_name("moved.db"))


def replace(path):
    """Put a copy of an earlier state in the place of the file, as a hasty restore does."""
    path.with_name("earlier.db").rename(path)


def cancel_until_it_ends(server, token, numbers, acknowledged, refused):
    """Cancel one order after another until the service is gone; collects when each was sent, and its reply."""
    with Client(server.port, token) as client:
        for number in numbers:
            sent = time.monotonic()
            try:
                reply = client.cancel(cancellation_of(f"order-{number}"), f"order-{number}")
            except (OSError, http.client.HTTPException):
                return
            (acknowledged if reply.status == 201 else refused)[f"order-{number}"] = sent, reply


def under_load(installation, server, how):
    """Do something to the file while threads write; returns the acknowledged, the refused and when it was done."""
    numbers, acknowledged, refused, token = count(), {}, {}, installation.tokens()["billing"]
    with ThreadPoolExecutor(THREADS) as pool:
        ends = [
            pool.submit(cancel_until_it_ends, server, token, numbers, acknowledged, refused) for _ in range(THREADS)
        ]
        until(lambda: len(acknowledged) >= ENOUGH)
        how(path_of(installation))
        done = time.monotonic()
        for end in ends:
            end.result(timeout=PATIENCE)
    return acknowledged, refused, done


@pytest.mark.proof
@pytest.mark.parametrize("how", [remove, move, replace])
def test_a_database_that_is_gone_under_load_ends_the_service_with_the_reason(tmp_path, how):
    installation = Installation(tmp_path)
    path = path_of(installation)
    with installation.serving() as server:
        if how is replace:
            with closing(sqlite3.connect(path)) as raw, closing(sqlite3.connect(path.with_name("earlier.db"))) as copy:
                raw.backup(copy)
        path.with_name("kept.db").hardlink_to(path)  # the same file, also after its name is gone
        acknowledged, refused, done = under_load(installation, server, how)
        assert server.process.wait(timeout=PATIENCE) == 23
    assert not [order for order, (sent, _) in acknowledged.items() if sent > done]
    assert {reply.status for _, reply in refused.values()} <= {503}
    reasons = {reply.json["detail"] for _, reply in refused.values()}
    # In the moment of the move, SQLite may have refused a statement before the service looked.
    assert reasons <= {GONE, "The database cannot serve at the moment."}
    assert GONE in reasons
    with closing(sqlite3.connect(path.with_name("kept.db"))) as kept:
        held = {order for (order,) in kept.execute("SELECT order_id FROM cancellations")}
    assert acknowledged.keys() <= held
    text = installation.log.read_text()
    assert f"The database file {path}, or its -wal or -shm, was removed or replaced" in text
    assert [line["detail"] for line in installation.lines() if line["event"] == "database"]
    assert path.exists() == (how is replace), "no new file was made"


GONE = "The file of the database was removed or replaced while the service ran."


@pytest.mark.proof
def test_an_idle_service_notices_too_and_a_moved_database_can_be_used_on(tmp_path):
    installation = Installation(tmp_path)
    path = path_of(installation)
    with installation.serving() as server:
        first = cancellation_of("first")
        with Client(server.port, installation.tokens()["billing"]) as client:
            assert client.cancel(first, "first").status == 201
        move(path)
        assert server.process.wait(timeout=PATIENCE) == 23
    path.with_name("moved.db").rename(path)
    with installation.serving() as server, Client(server.port, installation.tokens()["billing"]) as client:
        assert client.cancel(first, "first").replayed
        assert client.cancel(cancellation_of("second"), "second").status == 201
    installation.require_sound()


def test_a_file_that_is_moved_and_back_in_a_moment_disturbs_nothing(tmp_path):
    app = create_app(settings(tmp_path))
    client, path = client_of(app), path_in(app)
    move(path)
    gone = client.get("/readyz")
    assert (gone.status_code, gone.json["type"]) == (503, "/problems/storage-unavailable")
    assert gone.json["detail"] == "The file of the database was removed or replaced while the service ran."
    for answer in (
        client.post("/v1/cancellations", json=cancellation_of("a"), headers={"Idempotency-Key": "a-key-of-a"}),
        client.get("/v1/policies"),
        client.get("/readyz", headers={"Accept-Language": "de"}),
    ):
        assert answer.status_code == 503
    assert "Datenbank" in answer.json["detail"]
    assert client.get("/livez").status_code == 200
    path.with_name("moved.db").rename(path)
    assert client.get("/readyz").status_code == 200
    done = client.post("/v1/cancellations", json=cancellation_of("a"), headers={"Idempotency-Key": "a-key-of-a"})
    assert done.status_code == 201
    app.extensions["refunds.store"].close()


def path_in(app):
    """The file of the database of an app."""
    return Path(app.extensions["refunds.store"].name)


def test_an_earlier_state_that_is_copied_over_the_file_is_refused_at_the_next_start(tmp_path):
    """Now, too: it is the same file with other content, and the service may still have a page of the one before."""
    app = create_app(settings(tmp_path))
    store, client, path = app.extensions["refunds.store"], client_of(app), path_in(app)

    def cancel(order):
        sent = client.post(
            "/v1/cancellations", json=cancellation_of(order), headers={"Idempotency-Key": f"key-{order}"}
        )
        return sent.status_code

    with closing(store):
        assert cancel("before") == 201
        store.close()
        shutil.copyfile(path, tmp_path / "earlier.db")
        assert {cancel(f"later-{number}") for number in range(20)} == {201}
        store.checkpoint()
        store.close()
        assert client.get("/readyz").status_code == 200
        shutil.copyfile(tmp_path / "earlier.db", path)
        assert 503 in {cancel(f"after-{number}") for number in range(5)}
        assert client.get("/readyz").status_code == 503
        store.close()
        with pytest.raises(ConfigurationError, match="is not the one of the checkpoints"):
            store.open()
