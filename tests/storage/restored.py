"""A kept database of an earlier step of the schema, restored."""

import lzma
import re
import shutil

import psycopg

from tests import database_of
from tests.conftest import settings
from tests.storage.keep import KEPT


def restored(step, engine, directory):
    """The settings of the kept database of a step on an engine, restored; opening it applies the later steps."""
    kept = KEPT / step / engine
    empty = database_of(directory, engine)
    configured = settings(directory, database=empty, env="production", ledger_dir=directory)
    records = lzma.decompress((kept / "records.xz").read_bytes())
    if engine == "sqlite":
        (directory / "refunds.db").write_bytes(records)
    else:
        with psycopg.connect(configured.database, autocommit=True) as connection:
            # Only psql understands lines with a backslash.
            connection.execute(re.sub(r"(?m)^\\.*$", "", records.decode()).encode())
    for file in (kept / name for name in ("master.key", "anchors.jsonl", "erasures.jsonl")):
        if file.exists():
            shutil.copyfile(file, directory / file.name)
    (directory / "master.key").chmod(0o600)
    return configured
