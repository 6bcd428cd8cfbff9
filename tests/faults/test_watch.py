"""A watch that is killed harms nothing, and of instances that start at once with other data one notes the change.

On PostgreSQL, one watches and the others wait.
"""

import os
import signal
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from refunds.cli.serve import WAITS
from refunds.domain.journal import EventType
from refunds.domain.permissions import COMMAND_LINE
from refunds.service import orders, silently, watch
from refunds.service.orders import OrderFacts
from refunds.service.store import Store
from refunds.storage import sqlite
from refunds.storage.promises import Promises
from tests import scaled
from tests.changed_data import other_holidays
from tests.conftest import settings
from tests.faults.harness import PATIENCE, Installation, free_port, is_alive, until
from tests.faults.processes import PROCESSES

pytestmark = pytest.mark.proof

NOW = datetime.now(UTC)
GAINED = [("DE-BY", (NOW + timedelta(days=ahead)).date()) for ahead in range(1, 5)]
"""So many days in a row that two business days are not among them, in any week."""

MANY = scaled(60, 600)
MOMENTS = [
    ("after", "INSERT INTO promises"),
    ("after", "UPDATE promises"),
    ("after", "INSERT INTO events"),
    ("before", "COMMIT"),
    ("after", "COMMIT"),
]


def filled(home):
    """Watch in an installation, and register orders; the end of each."""
    with closing(Store(home)) as store:
        watch.watch(store)
        facts = (
            OrderFacts(order_id=f"A-{number}", customer_ref=f"K-{number}", service_provided_at=NOW, region="DE-BY")
            for number in range(MANY)
        )
        for _ in orders.import_all(store, COMMAND_LINE, enumerate(facts)):
            pass
        return told(store)


def told(store):
    """The end that each order is told now."""
    with store.read(COMMAND_LINE) as uow:
        found = [uow.orders.get(f"A-{number}") for number in range(MANY)]
        return {order.order_id: orders.judged_when_provided(uow, order).deadline for order in found}


def changed(store):
    """The number of open windows that ended later at each change of data."""
    with store.read(COMMAND_LINE) as uow:
        found = uow.events.after(0, 1000, [EventType.CALENDAR_CHANGED], audit=True)
        return [orjson.loads(event.data)["longer"] for event in found]


def require_sound(store):
    """Assert that the audit finds everything sound."""
    with store.read(COMMAND_LINE) as uow:
        uow.verify(list(store.checkpoints))


def watch_and_die(home, when, statement, times):
    """Watch with other data in small steps, and be killed before or after some statement has been run some times."""
    execute, left = sqlite.Connection.execute, [times]

    def deadly(connection, sql, parameters=None):
        left[0] -= sql.startswith(statement)
        dying = left[0] == 0 and sql.startswith(statement)
        if dying and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = execute(connection, sql, parameters)
        if dying:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    sqlite.Connection.execute = deadly
    watch.STEP, watch.BATCH = MANY // 4, MANY // 10
    with other_holidays("9.1", added=GAINED), closing(Store(home)) as store:
        watch.watch(store)


@pytest.mark.parametrize("moment", MOMENTS, ids=" ".join)
def test_a_watch_that_is_killed_is_done_again_at_the_next_start(tmp_path, moment):
    home = settings(tmp_path)
    before = filled(home)
    for times in (3, 4):
        process = PROCESSES.Process(target=watch_and_die, args=(home, *moment, times))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    with closing(Store(home)) as store:
        require_sound(store)
        between = told(store)
        assert all(between[order] >= end for order, end in before.items())
        assert changed(store) == [0]
        with other_holidays("9.1", added=GAINED):
            watched = watch.watch(store)
            after = told(store)
        assert (watched.longer, changed(store)) == (MANY, [0, MANY])
        assert all(after[order] > end for order, end in before.items())
        assert told(store) == after
        require_sound(store)


def watch_together(home, ready, number):
    """Watch with other data when the other processes are ready, too."""
    with other_holidays("9.1", added=GAINED), closing(Store(home)) as store:
        store.open()
        ready.wait(60)
        watch.watch(store)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_of_instances_that_start_at_once_with_other_data_one_notes_the_change(tmp_path, engine):
    home, instances = settings(tmp_path, engine=engine), 3
    before = filled(home)
    ready = PROCESSES.Barrier(instances)
    processes = [PROCESSES.Process(target=watch_together, args=(home, ready, number)) for number in range(instances)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * instances
    with closing(Store(home)) as store:
        assert changed(store) == [0, MANY]
        assert all(end > before[order] for order, end in told(store).items())
        with store.read(COMMAND_LINE) as uow:
            assert uow.promises.count() == 2 * MANY
        require_sound(store)


def watch_half(home, halfway, waits, dies):
    """Watch with other data in small steps, and stay half way until another instance waits; perhaps be killed then."""

    def progress(step, *_):
        if step == "open windows" and not halfway.is_set():
            halfway.set()
            assert waits.wait(PATIENCE)
            if dies:
                os.kill(os.getpid(), signal.SIGKILL)

    watch.STEP = MANY // 4
    with other_holidays("9.1", added=GAINED), closing(Store(home)) as store:
        watch.watch(store, progress)


def watch_late(home, halfway, waits, compared):
    """Watch with the same data once another instance is half way, and count the windows that are compared here."""
    read = Promises.open_after

    def counted(*arguments, **named):
        rows = read(*arguments, **named)
        compared.value += len(rows)
        return rows

    Promises.open_after = counted
    with other_holidays("9.1", added=GAINED), closing(Store(home)) as store:
        assert halfway.wait(PATIENCE)
        watch.watch(store, silently, waits.set)


@pytest.mark.parametrize("dies", [False, True], ids=["ends", "is killed"])
def test_one_instance_watches_and_the_next_compares_only_if_that_one_is_killed(tmp_path, dies):
    home = settings(tmp_path, engine="postgresql")
    before = filled(home)
    halfway, waits, compared = PROCESSES.Event(), PROCESSES.Event(), PROCESSES.Value("i")
    first = PROCESSES.Process(target=watch_half, args=(home, halfway, waits, dies))
    next_one = PROCESSES.Process(target=watch_late, args=(home, halfway, waits, compared))
    for process in (first, next_one):
        process.start()
    for process in (first, next_one):
        process.join(2 * PATIENCE)
    assert (first.exitcode, next_one.exitcode) == (-signal.SIGKILL if dies else 0, 0)
    assert compared.value == (MANY if dies else 0)
    with closing(Store(home)) as store:
        assert changed(store) == [0, MANY]
        assert all(end > before[order] for order, end in told(store).items())
        require_sound(store)


def test_a_service_that_waits_says_so_once_and_does_not_listen_before_its_turn(tmp_path):
    installation = Installation(tmp_path, "postgresql")
    port = free_port()
    with installation.store() as store, ExitStack() as started:
        with store.open()[0].one_at_a_time(lambda: pytest.fail("nobody watches")):
            started.enter_context(installation._started(port))
            until(lambda: WAITS in installation.log.read_text())
            with pytest.raises(ConnectionRefusedError):
                is_alive(port)
        until(lambda: is_alive(port))
    assert installation.log.read_text().count(WAITS) == 1
