"""Data requests, disclosures and limits: records about customers, each encrypted under its customer's key."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from refunds.domain.privacy import DataRequest, Disclosure, Limit
from refunds.storage import Row, Transaction
from refunds.storage.mapper import RecordMapper

DATA_REQUESTS = RecordMapper(DataRequest, "data_requests")
DISCLOSURES = RecordMapper(Disclosure, "disclosures")
LIMITS = RecordMapper(Limit, "limits")


def with_key(table: RecordMapper[Any]) -> str:
    """A query for all records about customers, each with its customer's wrapped key, which may be NULL."""
    return f"SELECT {table.columns}, wrapped_key FROM {table.name} LEFT JOIN customers USING (customer_id)"  # noqa: S608


def _iter_all(table: RecordMapper[Any], tx: Transaction) -> Iterator[Row]:
    return tx.each(f"{with_key(table)} ORDER BY {table.key}")


iter_requests, iter_disclosures, iter_limits = (
    partial(_iter_all, table) for table in (DATA_REQUESTS, DISCLOSURES, LIMITS)
)
