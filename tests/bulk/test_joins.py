"""The statements of `docs/bulk.md` in DuckDB and in PostgreSQL give the decision of each order."""

from collections import Counter

import duckdb
import psycopg
import pytest

from refunds.domain.judging import judge
from refunds.domain.outcomes import Facts
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


def test_places_close_together_give_the_same_answers(duck):
    """Of the orders whose key is there once: those of the versions that are chosen by the service alone."""
    for statement in (*bulk.sql("DuckDB"), *bulk.sql("Faster")):
        duck.execute(statement)
    found = duck.fetchall()
    times = Counter(order_id for order_id, _ in found)
    orders, policy, compared = {order.order_id: order for order in bulk.orders()}, bulk.policy(), 0
    for order_id, in_time in found:
        order = orders[order_id]
        if times[order_id] == 1 and order.provided_at <= order.requested_at:
            facts = Facts(service_provided_at=order.provided_at, received_at=order.requested_at)
            assert judge(policy, facts, order.ordered_at, order.region).eligible is in_time, order
            compared += 1
    assert compared > 100
    assert not [order_id for order_id in times if order_id.startswith("C")], "they are not in the table"


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
