"""The statements of `docs/bulk.md` in Spark give the decision of each order; `make proofs` brings Spark, and a Java."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession, types

from tests import bulk
from tests.clients.compilers import compiler

pytestmark = pytest.mark.proof


@pytest.fixture
def spark(exported, tmp_path, monkeypatch):
    """A Spark in this process's one Java, with the orders, in the directory of the table."""
    java = compiler("java", "default-jre-headless")
    assert java, "Spark needs a Java: install one, such as Debian's default-jre-headless"
    monkeypatch.setenv("JAVA_HOME", str(Path(os.path.realpath(java)).parents[1]))
    monkeypatch.chdir(exported)
    builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.warehouse.dir", str(tmp_path)).getOrCreate()
    moment = types.TimestampType()
    kinds = {"ordered_at": moment, "provided_at": moment, "requested_at": moment}
    fields = [types.StructField(name, kinds.get(name, types.StringType())) for name in bulk.Order._fields]
    session.createDataFrame(bulk.orders(), types.StructType(fields)).createOrReplaceTempView("orders")
    yield session
    session.stop()


@pytest.mark.filterwarnings("default")
def test_spark_joins_orders_as_the_page_shows(spark):
    for statement in (*bulk.sql("Spark"), *bulk.sql("In each of them")):
        found = spark.sql(statement)
    rows = [
        tuple(value.astimezone(bulk.UTC) if isinstance(value, bulk.datetime) else value for value in row)
        for row in found.collect()
    ]
    bulk.require_as_decided(bulk.policy(), rows)
