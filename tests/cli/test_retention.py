"""`flask retention run`: what it prints, and what it refuses."""

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from refunds.service import clock
from refunds.service.store import Store
from refunds.storage.ticket import held_alone
from tests.cli.test_users import Commands
from tests.service.test_privacy import registered
from tests.service.test_retention import counted

NOW = datetime(2026, 4, 8, 9, tzinfo=UTC)


@pytest.fixture
def commands(engine, tmp_path):
    """The commands of an installation with an order that is over from 2030 on."""
    with time_machine.travel(NOW, tick=False) as now:
        made = Commands(tmp_path, engine).installed()
        with closing(Store(made.app.extensions["refunds.settings"])) as store:
            registered(store, "A-1", provided=NOW - timedelta(hours=1))
            now.move_to(datetime(2030, 1, 1, tzinfo=UTC))
            made.store = store
            yield made


def test_it_prints_what_went_and_a_dry_run_what_would(commands):
    clock.confirm(commands.store)
    for words, is_dry in ((["--dry-run"], True), ([], False)):
        assert counted(commands.store)["orders"] == 1
        out, err, code = commands.run("retention", "run", *words)
        assert (err, code) == ("", 0)
        printed = json.loads(out)
        assert (printed["dry_run"], printed["gone"]["other_orders"]) == (is_dry, {"2026-04": 1})
        assert [kind for kind, months in printed["gone"].items() if months] == ["other_orders"]
    assert counted(commands.store) == {}


def running(store):
    """A run of another process, which holds its lock."""
    lock = store.checkpoints.file.with_name("retention.lock")
    return held_alone(os.open(lock, os.O_RDWR | os.O_CREAT), "")


def test_it_is_refused_while_the_clock_is_in_doubt_and_while_it_runs(commands):
    out, err, code = commands.run("retention", "run")
    assert (out, code) == ("", 24)
    assert "flask clock --confirm" in err
    clock.confirm(commands.store)
    with running(commands.store):
        assert commands.run("retention", "run") == ("", "flask retention run is running already: let it end\n", 4)
        assert commands.run("retention", "run", "--dry-run")[2] == 0, "that changes nothing"
    assert counted(commands.store)["orders"] == 1
