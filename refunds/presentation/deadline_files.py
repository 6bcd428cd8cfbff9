"""The table of deadlines in a file: CSV, or Parquet for programs that read columns."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, get_type_hints

from refunds.errors import ConfigurationError
from refunds.presentation import tables
from refunds.service.deadline_table import Row

Blocks = Iterable[Sequence[Row]]

_ROWS = 2**16  # rows in a group of a Parquet file, which is held in memory; a reader skips groups that it does not need


def write_csv(file: BinaryIO, blocks: Blocks) -> None:
    """Write the rows of all blocks to a file as CSV in UTF-8, after a first line with the names of the columns."""
    file.write(tables.line(Row._fields).encode())
    for rows in blocks:
        file.writelines(tables.line(map(tables.cell, row)).encode() for row in rows)


def write_parquet(file: BinaryIO, blocks: Blocks) -> None:
    """Write the rows to `file` as Parquet, equal rows as equal bytes; raise `ConfigurationError` without pyarrow."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - it is large, and nothing else needs it
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        detail = "Parquet needs pyarrow: python3 tools/install.py requirements-parquet.txt (or use --format csv)"
        raise ConfigurationError(detail) from None
    instant = pa.timestamp("us", tz="UTC")
    types = {int: pa.int64(), str: pa.string(), date: pa.date32(), datetime: instant, datetime | None: instant}
    schema = pa.schema([pa.field(name, types[hint]) for name, hint in get_type_hints(Row).items()])
    coded = [name for name in Row._fields if name != "key"]  # each key is there once
    form: dict[str, Any] = {"compression": "zstd", "use_dictionary": coded, "store_schema": False}
    with parquet.ParquetWriter(file, schema, column_encoding={"key": "DELTA_BINARY_PACKED"}, **form) as writer:
        for rows in _groups(blocks):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


WRITERS: Mapping[str, Callable[[BinaryIO, Blocks], None]] = {"parquet": write_parquet, "csv": write_csv}
"""How the table is written, by the name of the format."""


def _groups(blocks: Blocks) -> Iterator[list[Row]]:
    """Yield the rows of the blocks in lists of at least `_ROWS` rows; the last may be shorter, and none is empty."""
    held: list[Row] = []
    for rows in blocks:
        held += rows
        if len(held) >= _ROWS:
            yield held
            held = []
    if held:
        yield held
