"""What `make bench` stores is what the service would have stored."""

from bench import stored
from bench.__main__ import ROWS
from bench.carried import TABLES, carried
from bench.installed import Installed, installed
from refunds.domain.permissions import COMMAND_LINE
from refunds.storage.migrations import MIGRATIONS
from tests.postgres import shared

ORDERS = 60


def test_the_orders_that_growth_is_measured_with_pass_the_audit_on_each_engine():
    with installed() as home:
        with home.store() as store:
            stored.fill(store, home.principal(store), range(ORDERS))
        assert _audited(home) == _audited(carried(home, shared())) > ORDERS


def test_every_table_is_carried_over():
    for _, statements in MIGRATIONS:
        made = [line.split()[2] for line in statements.splitlines() if line.startswith("CREATE TABLE ")]
        assert set(made) <= set(TABLES)


def _audited(home: Installed) -> int:
    with home.store() as store, store.read(COMMAND_LINE) as uow:
        return uow.verify(store.checkpoints).records


def test_each_row_names_what_measures_it():
    assert all(map(callable, ROWS.values()))
