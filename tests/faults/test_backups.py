"""Backups of a service under load, backups and restores that are killed, and the readers of the feed after a restore."""

import shutil
import signal
import tempfile
import time
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from refunds.domain.permissions import COMMAND_LINE
from refunds.service.backups import beside as checkpoints_beside
from refunds.storage.sqlite import sqlite3
from tests import scaled
from tests.cli.test_backups import Site, beside
from tests.conftest import client_of
from tests.faults.harness import PATIENCE, Client, Installation, cancellation_of, is_alive, run_and_die, until
from tests.faults.load import Balancer, Load
from tests.faults.processes import PROCESSES
from tests.postgres import newest_binaries, run

pytestmark = pytest.mark.proof


# Under load.

SECONDS = scaled(1, 60)


def rows(database, position):
    """The journal of a database up to a position, and its cancelled orders."""
    with closing(sqlite3.connect(database)) as raw:
        journal = raw.execute("SELECT * FROM events WHERE position <= ? ORDER BY position", [position]).fetchall()
        return journal, {order for (order,) in raw.execute("SELECT order_id FROM cancellations")}


def test_a_backup_under_load_has_every_acknowledged_write_and_can_be_restored(tmp_path, record_property):
    """Two servers write to the file meanwhile."""
    installation = Installation(tmp_path)
    backups = []
    with installation.instances(2) as servers, Balancer([server.port for server in servers]) as balancer:
        with Load(balancer, installation.tokens()["admin"]) as load:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end or len(backups) < 2:
                before = list(load.acknowledged)
                file = tmp_path / f"backup-{len(backups)}.db"
                made = installation.flask("backup", str(file))
                assert made.returncode == 0, made.stderr
                backups.append((file, before, int(made.stdout.split()[1])))
        during = len(load.acknowledged) - len(backups[0][1])
        assert during > 0
        load.require_whole(installation, servers[0].port)
        assert all(is_alive(server.port) for server in servers)
        for file, before, position in backups:
            journal, cancelled = rows(file, position)
            assert journal == rows(tmp_path / "data/refunds.db", position)[0]
            assert len(journal) == position
            assert set(before) <= cancelled
        refused = installation.flask("restore", str(file))
        assert (refused.returncode, "is in use" in refused.stderr) == (4, True)
    restored = installation.flask("restore", str(file))
    assert restored.returncode == 0, restored.stderr
    assert rows(tmp_path / "data/refunds.db", position) == rows(file, position)
    assert installation.require_sound().events == position + 1
    installation.require_calm()
    record_property("measured", f"{load}, and {len(backups)} backups of the file of two servers in {SECONDS} s")


# Killed.


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """An installation with a backup: two cancellations are in it, two came later."""
    site = Site(tmp_path_factory.mktemp("prepared"))
    site.cancel("A-1", "A-2")
    site.done("backup", site.file)
    site.cancel("A-3", "A-4")
    return site


def copied(prepared, directory):
    """A copy of that installation."""
    shutil.copytree(prepared.directory, directory)
    site = Site(directory)
    site.tokens |= prepared.tokens
    return site


def ended(site, words, nth):
    """Whether a command ended before its nth step; else it was killed there."""
    process = PROCESSES.Process(target=run_and_die, args=(site.settings, [str(word) for word in words], nth))
    process.start()
    process.join(PATIENCE)
    code = process.exitcode
    process.close()
    assert code in {0, -signal.SIGKILL}
    return code == 0


def deaths(site, *words, apart=1):
    """Run a command again and again, each time killed some steps later, until it ends; yields after each death."""
    for nth in count(1, apart):
        if ended(site, words, nth):
            return
        yield nth


def test_a_backup_that_is_killed_leaves_nothing_under_its_name(prepared, tmp_path, record_property):
    site, file = copied(prepared, tmp_path / "site"), tmp_path / "tuesday.db"
    steps = 0
    for steps in deaths(site, "backup", file):
        assert file.exists() or not beside(file).exists()
        if file.exists():  # only its name was still to be brought to disk
            assert steps > 8
            shutil.move(file, tmp_path / "whole.db")
            shutil.move(checkpoints_beside(file)[0].file, beside(tmp_path / "whole.db"))
    assert steps > 8
    assert {path.name for path in tmp_path.glob("tuesday*")} == {
        "tuesday.db",
        "tuesday.db.anchors.jsonl",
        "tuesday.db.erasures.jsonl",
    }
    for whole in (file, tmp_path / "whole.db"):
        site.done("restore", whole)
        assert site.orders() == {"A-1", "A-2", "A-3", "A-4"}
    record_property("measured", f"a backup killed at each of {steps} steps")


@pytest.fixture(scope="module")
def crashed(prepared, tmp_path_factory):
    """A copy of that installation whose last cancellation is only in the log, because the service was killed."""
    site = copied(prepared, tmp_path_factory.mktemp("crashed") / "site")
    names, aside = ("refunds.db", "refunds.db-wal"), tmp_path_factory.mktemp("aside")
    with site.store.read(COMMAND_LINE):  # the log stays while it is read
        body, key = cancellation_of("A-5"), {"Idempotency-Key": "key-of-A-5"}
        assert client_of(site.app).post("/v1/cancellations", json=body, headers=key).status_code == 201
        for name in names:
            shutil.copyfile(site.directory / name, aside / name)
    site.store.close()
    for name in names:
        shutil.copyfile(aside / name, site.directory / name)
    with closing(sqlite3.connect(f"{site.database.as_uri()}?immutable=1", uri=True)) as raw:
        assert raw.execute("SELECT count(*) FROM cancellations").fetchone()[0] < 5
    return site


@pytest.mark.parametrize("left", ["prepared", "crashed"])
def test_a_restore_that_is_killed_leaves_a_database_and_can_be_repeated(left, request, tmp_path, record_property):
    origin = request.getfixturevalue(left)
    old = {"A-1", "A-2", "A-3", "A-4"} | ({"A-5"} if left == "crashed" else set())
    site = copied(origin, tmp_path / "first")
    steps = 0
    for steps in deaths(site, "restore", site.file, apart=scaled(4, 1)):
        if steps % scaled(5, 1) == 0:
            went_on = copied_as_is(site, tmp_path / f"after-{steps}")
            out = went_on.done("restore", went_on.file)
            assert went_on.orders() == {"A-1", "A-2"}
            assert "Lost" in out
            assert went_on.done("audit", "verify").startswith("Sound")
            assert not went_on.database.with_name("refunds.db.restoring").exists()
        assert site.orders() in (old, {"A-1", "A-2"})
        assert not site.database.with_name("refunds.db-journal").exists()
        shutil.rmtree(site.directory)
        site = copied(origin, site.directory)
    assert site.orders() == {"A-1", "A-2"}
    (kept,) = site.directory.glob("refunds.db.replaced-*Z")
    with closing(sqlite3.connect(kept)) as raw:
        assert {order for (order,) in raw.execute("SELECT order_id FROM cancellations")} == old
    record_property("measured", f"a restore killed at each of {steps} steps")


def copied_as_is(site, directory):
    """A copy of an installation as it is."""
    shutil.copytree(site.directory, directory)
    return Site(directory)


# The feed.


class Reader:
    """A reader of the feed who does as docs/billing.md says, without refunding anything."""

    def __init__(self):
        self.query, self.seen, self.rewound = {"types": "cancellation.issued", "limit": 50}, set(), 0

    def read(self, client):
        """Read to the end; after `feed-rewound`, list everything unsettled too."""
        while True:
            answer = client.get("/v1/events", query_string=self.query)
            page = answer.json
            if answer.status_code == 409:
                assert page["type"] == "/problems/feed-rewound"
                self.rewound += 1
                self.list_unsettled(client)
            self.query["after"] = page["next"]
            self.seen |= {event["subject"] for event in page.get("items", [])}
            if answer.status_code == 200 and not page["items"]:
                return

    def list_unsettled(self, client):
        """See every cancellation that is to be refunded."""
        after = {}
        while after is not None:
            page = client.get("/v1/cancellations", query_string={"state": "issued", "limit": 50} | after).json
            self.seen |= {one["cancellation_id"] for one in page["items"]}
            after = page["next"] and {"after": page["next"]}


def test_after_a_restore_no_reader_of_the_feed_misses_a_cancellation(tmp_path, record_property):
    third = scaled(12, 60)
    site = Site(tmp_path / "site")
    site.cancel(*(f"A-{number}" for number in range(third)))
    site.done("backup", site.file)
    site.cancel(*(f"B-{number}" for number in range(third)))
    early, late = Reader(), Reader()
    for reader in (early, late):
        reader.read(client_of(site.app))
        assert len(reader.seen) == 2 * third
    site.store.close()
    site.done("restore", site.file)
    site.begin()
    early.read(client_of(site.app))
    site.cancel(*(f"B-{number}" for number in range(third)))  # what billing sends again
    site.cancel(*(f"C-{number}" for number in range(2 * third)))  # past the place of the late reader
    there = {one["cancellation_id"] for one in every_cancellation(client_of(site.app))}
    assert len(there) == 4 * third
    for reader in (early, late):
        reader.read(client_of(site.app))
        assert reader.rewound == 1
        assert there - reader.seen == set()
    site.store.close()
    record_property("measured", f"0 of {len(there)} cancellations missed by two readers after a restore")


def every_cancellation(client):
    """Every cancellation, page by page."""
    after = {}
    while after is not None:
        page = client.get("/v1/cancellations", query_string={"limit": 200} | after).json
        yield from page["items"]
        after = page["next"] and {"after": page["next"]}


# On PostgreSQL: as docs/operating.md shows, with its own programs.


def program(name, *words):
    """Run one of the server's programs; it must succeed."""
    done = run(newest_binaries() / name, *words)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def directory():
    """A directory that the server's programs can write to, as another user too."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def test_instances_on_postgresql_refuse_an_older_dump_until_it_is_accepted(directory):
    installation = Installation(directory, "postgresql")
    database, dump = installation.records["REFUNDS_DATABASE"], directory / "refunds.dump"
    with installation.instances(2) as servers:
        token = installation.tokens()["admin"]
        first, second = (Client(server.port, token) for server in servers)
        with first, second:
            for number in range(3):
                assert first.cancel(cancellation_of(f"A-{number}"), f"a-{number}").status == 201
            program("pg_dump", "--format=custom", f"--file={dump}", database)
            for number in range(3):
                assert second.cancel(cancellation_of(f"B-{number}"), f"b-{number}").status == 201
            seen = feed_of(first)
            program("pg_restore", "--clean", "--if-exists", "--single-transaction", f"--dbname={database}", dump)
            for client in (first, second):
                until(lambda client=client: client.cancel(cancellation_of("C-1"), "c-1").status == 503)
                assert client.send("GET", "/v1/orders/A-0").status == 503
            code, out, err = accepted(installation)
            assert (code, err) == (0, "")
            assert "billing must send the orders of that time again" in out
            assert first.send("GET", f"/v1/events?after={seen}").json["type"].endswith("/feed-rewound")
            for number, client in enumerate((first, second)):
                reply = client.cancel(cancellation_of(f"D-{number}"), f"d-{number}")
                assert reply.status == 201, reply.body
            assert {one["order_id"] for one in first.every("/v1/cancellations")} == {"A-0", "A-1", "A-2", "D-0", "D-1"}
    installation.require_sound()


def feed_of(client):
    """The place after the last event of the feed."""
    page = client.send("GET", "/v1/events").json
    while page["items"]:
        page = client.send("GET", f"/v1/events?after={page['next']}").json
    return page["next"]


def accepted(installation):
    """The result of accepting the journal at the command line."""
    done = installation.flask("audit", "accept", "--reason", "the server's disk failed")
    return done.returncode, done.stdout, done.stderr
