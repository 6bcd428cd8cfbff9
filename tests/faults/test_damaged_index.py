"""An index that no longer fits its table: every page of the file is whole, and a search by it misses a record."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from refunds.cli import Commands
from refunds.domain.permissions import Role
from tests.conftest import client_of
from tests.console.conftest import opened
from tests.console.test_verification import BUTTON, ended
from tests.faults.harness import cancellation_of

INDEX = "cancellations_of_contact"

AMCHECK = """
CREATE FUNCTION bt_index_check(index regclass, heapallindexed boolean) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  IF index = 'cancellations_of_contact'::regclass AND heapallindexed THEN
    RAISE 'heap tuple lacks matching index tuple within index "cancellations_of_contact"' USING ERRCODE = 'XX002';
  END IF;
END $$
"""
"""What a server does that has no amcheck to install, in its place."""


def forget_in_sqlite(path):
    """Store cancellations anew while its index is not known."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA writable_schema = ON")
        found = raw.execute("SELECT * FROM sqlite_master WHERE name = ?", [INDEX]).fetchone()
        raw.execute("DELETE FROM sqlite_master WHERE name = ?", [INDEX])
        raw.execute("PRAGMA writable_schema = RESET")
        raw.execute("UPDATE cancellations SET rowid = rowid + 1000")
        raw.execute("PRAGMA writable_schema = ON")
        raw.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", found)
        raw.execute("PRAGMA writable_schema = RESET")


def forget_in_postgresql(url):
    """Store cancellations anew while its index is not kept; where amcheck is not installed, as it says so."""
    with psycopg.connect(url, autocommit=True) as raw:
        if not raw.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'").fetchone():
            raw.execute(AMCHECK)
            return
        raw.execute("CREATE EXTENSION amcheck")
        ready = "UPDATE pg_index SET indisready = %s WHERE indexrelid = %s::regclass"
        raw.execute(ready, [False, INDEX])
        for by in (1, -1):  # a column that is indexed changes, so each row is a new one
            raw.execute("UPDATE cancellations SET overdue_at = overdue_at + %s", [by])
        raw.execute("VACUUM cancellations")
        raw.execute(ready, [True, INDEX])


@pytest.fixture
def site(tmp_path, engine):
    """An installation with a few cancellations, of which an index has lost the rows."""
    site = opened(directory=tmp_path, engine=engine)
    with closing(site.store):
        for order in range(5):
            headers = {"Idempotency-Key": f"the-key-of-{order}"}
            client_of(site.app).post("/v1/cancellations", json=cancellation_of(f"o-{order}"), headers=headers)
        url = site.app.extensions["refunds.settings"].database
        if engine == "sqlite":
            site.store.close()
            forget_in_sqlite(url.removeprefix("sqlite:///"))
            site.store.open()
        else:
            forget_in_postgresql(url)
        yield site


def flask(site, *words):
    """Run a command on the records, in this process."""
    site.app.cli = Commands(site.app.name)
    return site.app.test_cli_runner().invoke(args=words)


def test_the_audit_and_the_doctor_find_it(site):
    ended = flask(site, "audit", "verify")
    assert ended.exit_code == 23, ended.output
    assert INDEX in ended.stderr
    assert "Sound" not in ended.stdout
    found = flask(site, "doctor")
    assert found.exit_code == 25
    assert INDEX in found.stdout


def test_no_backup_is_made_until_the_index_is_rebuilt_as_the_command_advises(site, engine, tmp_path):
    advice = flask(site, "audit", "verify").stderr
    assert "REINDEX" in advice
    if engine == "postgresql":
        return
    path = site.app.extensions["refunds.settings"].database.removeprefix("sqlite:///")
    assert f"sqlite-utils query {path} REINDEX" in advice
    assert flask(site, "backup", str(tmp_path / "made.db")).exit_code == 23
    assert not list(tmp_path.glob("made.db*"))
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("REINDEX")
    assert flask(site, "audit", "verify").exit_code == 0
    assert flask(site, "backup", str(tmp_path / "made.db")).exit_code == 0


def test_a_verification_at_the_console_finds_it(site):
    auditor = site.browser(Role.AUDITOR)
    auditor.press(auditor.get("/console/journal"), BUTTON)
    ended()
    page = auditor.get("/console/journal/verification")
    assert "damaged" in page.main.text
