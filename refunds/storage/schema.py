"""The schema of a database, compared with a new one's; and what a PostgreSQL lets an operator see of itself."""

import re
from collections.abc import Mapping
from functools import cache
from tempfile import TemporaryDirectory
from typing import NamedTuple

from refunds.storage import Transaction, open_engine
from refunds.storage.migrations import up_to_date
from refunds.storage.tables import sealed

_OFF = {
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
    "log_min_duration_sample": ("-1",),
    "log_transaction_sample_rate": ("0",),
    "auto_explain.log_min_duration": ("-1",),
}
"""Settings of PostgreSQL that have it log statements, each with the values at which it does not."""

PARAMETERS = (
    *_OFF,
    "log_parameter_max_length",
    "log_parameter_max_length_on_error",
    "auto_explain.log_parameter_max_length",
)
"""Settings of PostgreSQL that decide whether the values in statements get into its log."""


class Difference(NamedTuple):
    """A column, key, reference, index or trigger, as `TABLE.NAME`, that is not as in a new database.

    `wanted` None: the service makes none such. `found` None: it is missing.
    """

    kind: str
    name: str
    wanted: str | None
    found: str | None


def differences(tx: Transaction, *, on_server: bool) -> list[Difference]:
    """Return how a database differs from a new one, sorted; the expressions of computed columns are not compared.

    `on_server` says that it is PostgreSQL's, and not SQLite's.
    """
    wanted, found = _fresh(), _schema(tx, _POSTGRESQL if on_server else _SQLITE)
    every = sorted(wanted.keys() | found.keys())
    pairs = [Difference(*one, wanted.get(one), found.get(one)) for one in every]
    return [one for one in pairs if _tokens(one.wanted) != _tokens(one.found)]


_SPELLINGS = (
    (re.compile(r"::\w+"), ""),
    (re.compile(r"= ANY \(ARRAY\[(.*?)\]\)"), r"IN (\1)"),
    (re.compile(r"CASE WHEN json_valid\(decision\) THEN json_extract\(decision, '\$\.outcome\.(\w+)'\) END"), r"\1"),
    (
        re.compile(r"""NULLIF\((?:split_part\(){3}decision, '"outcome":', 2\), '"(\w+)":"', 2\), '"', 1\), ''\)"""),
        r"\1",
    ),
)
"""What only one engine writes, as patterns, and what counts of it: of a field of the outcome, its name."""

_TOKEN = re.compile(r"'[^']*'|\w+|[^\s\w()\"]")


def _tokens(text: str | None) -> list[str] | None:
    """Return what counts of a text on the schema, in order; None for None.

    Each engine writes spaces, brackets, quotes around names and capitals as it likes, so these do not count.
    """
    if text is None:
        return None
    for spelling, alike in _SPELLINGS:
        text = spelling.sub(alike, text)
    return [one if one[0] == "'" else one.lower() for one in _TOKEN.findall(text)]


def sampled_columns(tx: Transaction) -> list[str]:
    """Return the columns with encrypted fields or digests whose values are, or can get, in PostgreSQL's statistics.

    They are named `table.column` and sorted; for PostgreSQL only.
    """
    rows = tx.all(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace AND (coalesce(a.attstattarget, -1)"
        " <> 0 OR EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = current_schema() AND s.tablename = c.relname"
        " AND s.attname = a.attname AND coalesce(s.most_common_vals, s.histogram_bounds) IS NOT NULL))"
    )
    return sorted({row["name"] for row in rows} & set(map(".".join, sealed())))


def log_parameters(tx: Transaction) -> dict[str, str]:
    """Return by name the values of those settings in `PARAMETERS` that a PostgreSQL knows and that are not empty."""
    found = {name: tx.one("SELECT current_setting(:name, true) AS found", name=name) for name in PARAMETERS}
    return {name: row["found"] for name, row in found.items() if row and row["found"]}


def parameters_to_zero(parameters: Mapping[str, str]) -> list[str]:
    """Return those of `PARAMETERS` that must be set to 0, or else values of records get into the server's log."""
    is_on = {name for name, off in _OFF.items() if parameters.get(name, off[0]) not in off}
    writing = {
        "log_parameter_max_length": bool(is_on - {"auto_explain.log_min_duration"}),
        "log_parameter_max_length_on_error": True,
        "auto_explain.log_parameter_max_length": "auto_explain.log_min_duration" in is_on,
    }
    return [name for name, writes in writing.items() if writes and parameters.get(name, "-1") != "0"]


def connection_room(tx: Transaction) -> tuple[int, int]:
    """Return how many connections PostgreSQL allows all but administrators, and how many other programs use now."""
    row = tx.one(
        "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - coalesce(current_setting('reserved_connections', true), '0')::int AS allowed, (SELECT count(*)"
        " FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'refunds') AS used"
    )
    assert row is not None
    return row["allowed"], row["used"]


@cache
def _fresh() -> dict[tuple[str, str], str]:
    """Return the schema that a new database has, as texts by kind and name, from a temporary database made once."""
    with TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{directory}/new.db")
        try:
            with up_to_date(engine, "") as (tx, _):
                return _schema(tx, _SQLITE)
        finally:
            engine.close()


def _schema(tx: Transaction, query: str) -> dict[tuple[str, str], str]:
    """Return texts on the columns, keys, references, indexes and triggers that `query` finds, by kind and name."""
    return {(row["kind"], row["name"]): _OF_INDEX.sub(r"\1", " ".join(row["is_now"].split())) for row in tx.all(query)}


_OF_INDEX = re.compile(r"^CREATE (UNIQUE )?INDEX \S+ ON \S+ (?:USING btree )?")


_SQLITE = """
WITH ours AS (SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'),
indexes AS (SELECT t.name AS of, i.*, (SELECT group_concat(name, ', ') FROM pragma_index_info(i.name)) AS columns
  FROM ours t JOIN pragma_index_list(t.name) i WHERE i.origin <> 'pk')
SELECT 'column' AS kind, t.name || '.' || c.name AS name, CASE replace(lower(c.type), ' generated always', '')
  WHEN 'integer' THEN 'bigint' WHEN 'blob' THEN 'bytea' WHEN 'text' THEN 'text' ELSE c.type END
  || CASE WHEN c."notnull" OR c.pk THEN ' not null' ELSE '' END AS is_now
FROM ours t JOIN pragma_table_xinfo(t.name) c
UNION ALL SELECT 'key', t.name || '.' || c.name, CAST(c.pk AS TEXT) FROM ours t JOIN pragma_table_info(t.name) c
WHERE c.pk
UNION ALL SELECT 'reference', t.name || '.' || r."from", r."table" || '.' || r."to"
FROM ours t JOIN pragma_foreign_key_list(t.name) r
UNION ALL SELECT 'index', of || '.' || CASE origin WHEN 'c' THEN indexes.name ELSE '(' || columns || ')' END,
  coalesce(sql, 'UNIQUE (' || columns || ')')
FROM indexes JOIN sqlite_master m ON m.type = 'index' AND m.name = indexes.name
UNION ALL SELECT 'trigger', tbl_name || '.' || name, '' FROM sqlite_master WHERE type = 'trigger'"""

_POSTGRESQL = """
WITH ours AS (SELECT oid, relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace),
columns AS (SELECT t.oid, t.relname, a.* FROM ours t JOIN pg_attribute a ON a.attrelid = t.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped),
indexes AS (SELECT t.relname AS of, c.relname AS name, i.*,
  EXISTS (SELECT FROM pg_constraint r WHERE r.conindid = i.indexrelid AND r.contype = 'u') AS of_table,
  (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid) AS columns
  FROM ours t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid)
SELECT 'column' AS kind, relname || '.' || attname AS name,
  format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END AS is_now FROM columns
UNION ALL SELECT 'key', c.relname || '.' || c.attname, (array_position(i.indkey::int[], c.attnum::int) + 1)::text
FROM columns c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary AND c.attnum = ANY (i.indkey)
UNION ALL SELECT 'reference', c.relname || '.' || c.attname, f.confrelid::regclass || '.' || a.attname
FROM columns c JOIN pg_constraint f ON f.conrelid = c.oid AND f.contype = 'f' AND c.attnum = f.conkey[1]
JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = f.confkey[1]
UNION ALL SELECT 'index', of || '.' || CASE WHEN of_table THEN '(' || columns || ')' ELSE name END,
  pg_get_indexdef(indexrelid)
FROM indexes WHERE NOT indisprimary AND indisvalid
UNION ALL SELECT 'trigger', t.relname || '.' || g.tgname, ''
FROM ours t JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal"""
