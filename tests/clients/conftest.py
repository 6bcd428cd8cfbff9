"""A running service for the generated clients."""

import pytest

from tests import PROOFS, records_in
from tests.clients import run
from tests.conftest import ROOT
from tests.faults.test_server import FLASK, serving

collect_ignore = [] if PROOFS else ["test_generators.py"]
"""They take a minute or two: only `make proofs` collects them."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """The address of a running service with separate records, and a token of billing."""
    directory = tmp_path_factory.mktemp("records")
    own = records_in(directory) | {"REFUNDS_RATE_LIMIT": "0"}
    run(FLASK, "init", cwd=ROOT, **own)
    token, _ = run(FLASK, "tokens", "create", "--role", "billing", cwd=ROOT, **own)
    with serving(**own) as (_, port):
        yield f"http://127.0.0.1:{port}", token.strip()
