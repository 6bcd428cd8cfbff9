"""Traces of deleted rows in a SQLite file: overwriting what is deleted does not reach every copy of it."""

import random
from contextlib import closing

from refunds.storage import sqlite
from refunds.storage.sqlite import SQLite
from tests.service.privacy_year import HEAD, heads_in


def filled(file):
    """An open database in which rows grew, moved and were deleted; and the values of those that were deleted."""
    rng, there, gone = random.Random(1), [], []  # noqa: S311 - it is to be repeatable
    database = SQLite(str(file))
    with database.write() as tx:
        tx.run("CREATE TABLE t (client TEXT, key BLOB, digest BLOB, reply BLOB, PRIMARY KEY (client, key))")
        tx.run("CREATE INDEX digests ON t (digest)")
    for _ in range(8):
        with database.write() as tx:
            for number in range(1000):
                row = {"key": rng.randbytes(32), "digest": rng.randbytes(32), "reply": rng.randbytes(200 + number)}
                tx.run("INSERT INTO t VALUES ('a', :key, :digest, NULL)", key=row["key"], digest=row["digest"])
                tx.run(
                    "UPDATE t SET reply = :reply WHERE client = 'a' AND key = :key", key=row["key"], reply=row["reply"]
                )
                there.append(row)
                if number % 3 == 0:
                    gone.append(there.pop(rng.randrange(len(there))))
                    tx.run("DELETE FROM t WHERE client = 'a' AND key = :key", key=gone[-1]["key"])
    return database, [value for row in gone for value in row.values()]


def traces(file, gone):
    """How many of these values have their first bytes in a file."""
    return len(heads_in({file: file.read_bytes()}, {value[:HEAD] for value in gone}))


def test_a_file_that_was_rewritten_has_no_trace_of_what_was_deleted(tmp_path, monkeypatch):
    file = tmp_path / "refunds.db"
    database, gone = filled(file)
    with closing(database):
        assert database.scrub()
        left = traces(file, gone)
        assert left, "SQLite leaves traces of rows that it moved"
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, "_COMPACTED", file.stat().st_size - 1)
            database.compact()
        assert database.scrub()
        assert traces(file, gone) == left, "a larger file is left as it is"
        database.compact()
        assert database.scrub()
        assert traces(file, gone) == 0
