"""`make bench` stores the same records as the service would."""

import re
import socket

import pytest

from bench import server, stored
from bench.carried import TABLES, carried
from bench.installed import Installed, installed
from refunds.domain.permissions import COMMAND_LINE
from refunds.storage.migrations import MIGRATIONS
from tests.conftest import ROOT
from tests.postgres import shared

ORDERS = 60


def test_the_orders_of_the_growth_benchmark_pass_the_audit_on_each_engine():
    with installed() as home:
        with home.store() as store:
            stored.fill(store, home.principal(store), range(ORDERS))
        assert _audited(home) == _audited(carried(home, shared())) > ORDERS


def test_every_table_is_copied_to_the_other_engine():
    for _, statements in MIGRATIONS:
        made = [line.split()[2] for line in statements.splitlines() if line.startswith("CREATE TABLE ")]
        assert set(made) <= set(TABLES)


def _audited(home: Installed) -> int:
    with home.store() as store, store.read(COMMAND_LINE) as uow:
        return uow.verify(store.checkpoints).records


def test_each_row_names_the_function_that_measures_it():
    """The module is not imported, as its dependencies are only installed for the benchmarks."""
    (rows,) = re.findall(r"^ROWS: .*?^}", (ROOT / "bench/__main__.py").read_text(), re.MULTILINE | re.DOTALL)
    named = re.findall(r"(\w+)\.(\w+),$", rows, re.MULTILINE)
    assert len(named) == 10
    for module, name in named:
        assert f"\ndef {name}(" in (ROOT / f"bench/{module}.py").read_text(), (module, name)


def test_a_server_that_never_answers_ends_a_benchmark(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running = server.Running(process=None, port=silent.getsockname()[1], first_answer_after=0)
        with pytest.raises(TimeoutError, match="no server has answered"):
            running.load([b"GET / HTTP/1.1\r\n\r\n"], 1)
