"""The table of deadlines of a small policy, as files."""

from datetime import date

import pytest

from refunds.presentation.deadline_files import WRITERS
from tests import PROOFS, bulk

collect_ignore = [] if PROOFS else ["test_spark.py"]
"""What it needs comes with `make proofs` alone."""


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The directory in which `deadlines.csv` and `deadlines.parquet` are."""
    directory = tmp_path_factory.mktemp("bulk")
    for form, write in WRITERS.items():
        with (directory / f"deadlines.{form}").open("wb") as file:
            write(file, bulk.table(bulk.policy(), date.fromisoformat(bulk.FIRST), date.fromisoformat(bulk.LAST)))
    return directory
