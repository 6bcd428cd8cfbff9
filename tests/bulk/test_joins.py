"""The statements of `docs/bulk.md` in DuckDB and in PostgreSQL give the decision of each order."""

import duckdb
import psycopg
import pytest

from refunds.service.deadline_table import Row, region_number
from tests import bulk, database_of


@pytest.fixture
def duck(exported, monkeypatch):
    """A DuckDB with the orders, in the directory of the table."""
    monkeypatch.chdir(exported)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE orders (order_id text, region text, ordered_at timestamptz, provided_at timestamptz, "
            "requested_at timestamptz)"
        )
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", bulk.orders())
        yield connection


def test_duckdb_joins_orders_as_the_page_shows(duck):
    for statement in (*bulk.sql("DuckDB"), *bulk.sql("In each of them")):
        duck.execute(statement)
    bulk.require_as_decided(bulk.policy(), duck.fetchall())


def test_duckdb_reads_the_columns_of_the_page_in_both_forms(duck):
    listed = bulk.PAGE.partition("## The columns")[2].partition("\n## ")[0]
    for form in ("parquet", "csv"):
        columns = [row[0] for row in duck.execute(f"DESCRIBE FROM 'deadlines.{form}'").fetchall()]
        assert columns == list(Row._fields)
    assert [name for name in Row._fields if f"`{name}`" not in listed] in ([], ["ordered_until"])


def test_places_close_together_give_the_same_deadlines(duck):
    """Of the orders whose key is there once."""
    for statement in (*bulk.sql("DuckDB"), *bulk.sql("Faster")):
        duck.execute(statement)
    assert (
        duck.execute("SELECT count(*), count(DISTINCT place) FROM dense").fetchone()
        == duck.execute("SELECT count(*), count(DISTINCT key) FROM deadlines").fetchone()
    )
    differ = duck.execute(
        "SELECT count(*) FROM orders JOIN numbered ON numbered.region = coalesce(orders.region, '') "
        "JOIN dense ON place = number * 5000 + (provided_at::DATE - DATE '2026-03-01') "
        "JOIN deadlines ON key = deadline_key(orders.region, provided_at::DATE) "
        "WHERE NOT list_contains((SELECT list(d.deadline) FROM dense AS d WHERE d.place = dense.place), deadlines.deadline)"
    ).fetchone()
    assert differ == (0,)


def test_postgresql_joins_orders_as_the_page_shows(exported):
    columns = "order_id text, region text, ordered_at timestamptz, provided_at timestamptz, requested_at timestamptz"
    with psycopg.connect(database_of(exported / "joins", "postgresql"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLE orders ({columns})")
        connection.cursor().executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", bulk.orders())
        for statement in (*bulk.sql("PostgreSQL"), *bulk.sql("In each of them")):
            if statement.startswith("\\copy"):
                copied = statement.replace("\\copy", "COPY").replace("'deadlines.csv'", "STDIN")
                with connection.cursor().copy(copied) as copy:
                    copy.write((exported / "deadlines.csv").read_bytes())
            else:
                found = connection.execute(statement)
        bulk.require_as_decided(bulk.policy(), found.fetchall())
        key = connection.execute("SELECT deadline_key('BR-São Paulo Capital', DATE '1970-01-02')").fetchone()
    assert key == (region_number("BR-São Paulo Capital") * 100_000 + 1,)
