"""A kept database of an earlier step of the schema, restored."""

import lzma
import re
import shutil
from functools import cache

import psycopg

from tests import database_of
from tests.conftest import settings
from tests.postgres import shared
from tests.storage.keep import KEPT


def kept_records(step, engine):
    """What is kept of the database of a step: a file of SQLite, or a dump."""
    return lzma.decompress((KEPT / step / engine / "records.xz").read_bytes())


@cache
def on_server(step):
    """The URL of the kept database of a step on the shared server, to be copied."""
    url = shared().create()
    with psycopg.connect(url, autocommit=True) as connection:
        # Only psql understands lines with a backslash.
        connection.execute(re.sub(r"(?m)^\\.*$", "", kept_records(step, "postgresql").decode()).encode())
    return url


def restored(step, engine, directory):
    """The settings of the kept database of a step on an engine, restored; opening it applies the later steps."""
    kept = KEPT / step / engine
    if engine == "sqlite":
        database = database_of(directory, engine)
        (directory / "refunds.db").write_bytes(kept_records(step, engine))
    else:
        database = shared().create(of=on_server(step))
    configured = settings(directory, database=database, env="production", ledger_dir=directory)
    for file in (kept / name for name in ("master.key", "anchors.jsonl", "erasures.jsonl")):
        if file.exists():
            shutil.copyfile(file, directory / file.name)
    (directory / "master.key").chmod(0o600)
    return configured
