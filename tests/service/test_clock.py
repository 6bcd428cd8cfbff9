"""The clock of the machine, compared with the journal: what is not ready, and what heals it."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from refunds.cli import Commands, serve
from refunds.domain.permissions import COMMAND_LINE, Role
from refunds.errors import InvalidInput
from refunds.service import clients, clock
from refunds.web import create_app
from tests.conftest import client_of, mostly_on, settings, token

NOW = datetime(2026, 4, 7, 10, tzinfo=UTC)
YEARS = timedelta(days=3653)


@pytest.fixture
def now():
    """The time, which tests move."""
    with time_machine.travel(NOW, tick=False) as moved:
        yield moved


@pytest.fixture
def app(engine, now, tmp_path):
    """An installation whose last event is of now, without a checkpoint."""
    made = create_app(settings(tmp_path, engine=engine))
    made.cli = Commands(made.name)
    token(made, "billing")
    with closing(made.extensions["refunds.store"]):
        yield made


@pytest.fixture
def store(app):
    """Its store."""
    return app.extensions["refunds.store"]


def ready(app, **headers):
    """The status and the detail of /readyz."""
    answer = app.test_client().get("/readyz", headers=headers)
    if answer.status_code == 503:
        assert answer.json["type"] == "/problems/clock-in-doubt"
    return answer.status_code, answer.json.get("detail")


def record(store):
    """Record an event."""
    with store.write(COMMAND_LINE) as uow:
        clients.create_token(uow, Role.AGENT, f"client {uuid4()}", 365)


def test_a_clock_one_hour_behind_is_not_ready_and_says_so(app, now):
    now.shift(timedelta(hours=-1))
    status, detail = ready(app)
    assert status == 503
    assert detail.startswith("The clock says 2026-04-07T09:00:00Z, but something was recorded at 2026-04-07T10:00")


def test_a_clock_ten_years_ahead_is_not_ready_and_says_so(app, now):
    now.shift(YEARS)
    status, detail = ready(app)
    assert status == 503
    assert detail.startswith("The clock says 2036-04-07T10:00:00Z, which is 3653 days after the last sign of life, of")
    assert ready(app)[0] == 503, "that was no sign of life"
    assert ready(app, **{"Accept-Language": "de"})[1].startswith("Die Uhr zeigt")


@pytest.mark.parametrize(
    ("moved", "status"),
    [
        (timedelta(minutes=-1), 200),
        (timedelta(minutes=-1, microseconds=-1), 503),
        (timedelta(), 200),
        (timedelta(days=40), 200),
        (timedelta(days=40, microseconds=1), 503),
    ],
)
def test_the_limits_are_a_minute_and_40_days(app, now, moved, status):
    now.shift(moved)
    assert ready(app)[0] == status


@pytest.mark.parametrize("moved", [timedelta(hours=-1), YEARS])
def test_the_right_clock_is_ready_again_without_a_restart(app, now, moved):
    now.shift(moved)
    assert ready(app)[0] == 503
    now.shift(-moved)
    assert ready(app)[0] == 200


@pytest.mark.proof
@mostly_on("sqlite")
def test_an_idle_service_stays_ready_for_a_year(app, store, now):
    """Its load balancer asks, and each day a checkpoint is the sign of life."""
    before = len(list(store.checkpoints))
    for _ in range(365 * 4):
        now.shift(timedelta(hours=6))
        assert ready(app)[0] == 200
    assert 250 < len(list(store.checkpoints)) - before <= 365
    store.close()
    assert ready(app)[0] == 200, "also after a restart, however it ended"
    record(store)
    store.close()
    assert ready(app)[0] == 200, "also when something is recorded"


def test_a_service_that_was_stopped_for_50_days_needs_one_confirmation(app, store, now):
    now.shift(timedelta(days=50))
    record(store)
    assert ready(app)[0] == 503, "what it has recorded since does not vouch for its clock"
    clock.confirm(store)
    for _ in range(3):
        record(store)
        store.close()
        assert ready(app)[0] == 200
        now.shift(timedelta(days=39))


def test_the_right_clock_is_not_doubted_when_the_time_of_a_wrong_one_comes(app, store, now):
    """The right instances have recorded something since, without a confirmation."""
    now.shift(timedelta(days=60))
    record(store)
    now.move_to(NOW)
    for _ in range(4):
        record(store)
        now.shift(timedelta(days=30))
        store.close()
        assert ready(app)[0] == 200


def test_a_start_with_a_clock_in_doubt_vouches_for_nothing(app, store, now, capsys):
    now.shift(YEARS)
    before = len(list(store.checkpoints))
    clock.checkpoint(store)
    assert len(list(store.checkpoints)) == before
    assert ready(app)[0] == 503
    serve._warn_of_clock(store)
    assert capsys.readouterr().out.startswith("Warning: The clock says 2036-04-07T10:00:00Z, which is 3653 days after")


@pytest.mark.parametrize("moved", [timedelta(days=90), timedelta(hours=-3)])
def test_an_operator_confirms_a_clock_that_is_right(app, store, now, moved):
    """After a long rest, or after a wrong clock has recorded something."""
    now.shift(moved)
    assert ready(app)[0] == 503
    assert app.test_cli_runner().invoke(args=["clock"]).exit_code == 24
    ran = app.test_cli_runner().invoke(args=["clock", "--confirm"])
    assert (ran.exit_code, ran.stdout[:29]) == (0, "The clock is not in doubt: 20"), ran.output
    assert ready(app)[0] == 200
    with store.read(COMMAND_LINE) as uow:
        ((event, sound),) = uow.events.newest(None, 1)
    assert (event.type, event.data, sound) == ("audit.clock_confirmed", '{"last":"2026-04-07T10:00:00Z"}', True)
    again = app.test_cli_runner().invoke(args=["clock", "--confirm"])
    assert (again.exit_code, "not in doubt" in again.stderr) == (3, True)
    feed = client_of(app, "auditor").get("/v1/events?types=audit.clock_confirmed").json["items"]
    assert [one["data"]["last"] for one in feed] == ["2026-04-07T10:00:00Z"]


@pytest.mark.parametrize("written", [1, 250])
def test_what_a_clock_in_doubt_records_does_not_vouch_for_it(app, store, now, written):
    """Neither its events nor their checkpoints, also after a restart; the right clock is right again once confirmed."""
    now.shift(YEARS)
    for _ in range(written):
        record(store)
        clock.checkpoint(store)
    for _ in range(2):
        status, detail = ready(app)
        assert status == 503
        assert "is 3653 days after the last sign of life, of 2026-04-07T10:00:00Z" in detail
        store.close()
    now.shift(timedelta(days=50))
    assert ready(app)[0] == 503
    now.move_to(NOW + timedelta(hours=1))
    assert ready(app)[0] == 503
    assert "flask clock --confirm" in ready(app)[1]
    clock.confirm(store)
    assert ready(app)[0] == 200
    now.shift(timedelta(days=3000))
    assert ready(app)[0] == 503, "the checkpoints of the wrong clock are no signs of life"
    now.move_to(NOW + YEARS)
    record(store)
    assert ready(app)[0] == 503


def test_what_is_not_in_doubt_is_not_confirmed(store):
    with pytest.raises(InvalidInput):
        clock.confirm(store)


@pytest.mark.parametrize("written", [1, 250])
def test_a_slow_clock_stays_in_doubt_however_much_it_records(app, store, now, written):
    """Also after a restart; the right clock is right, and the slow one once it is confirmed."""
    now.shift(timedelta(hours=-2))
    for _ in range(written):
        record(store)
    before = len(list(store.checkpoints))
    for _ in range(2):
        assert ready(app)[0] == 503
        clock.checkpoint(store)
        store.close()
    assert len(list(store.checkpoints)) == before
    now.shift(timedelta(hours=2))
    assert ready(app)[0] == 200
    now.shift(timedelta(hours=-2))
    clock.confirm(store)
    assert ready(app)[0] == 200


def test_a_clock_behind_the_last_checkpoint_is_in_doubt(app, store, now):
    now.shift(timedelta(days=3))
    assert ready(app)[0] == 200, "which writes a checkpoint"
    now.shift(timedelta(hours=-2))
    for _ in range(2):
        assert ready(app)[0] == 503
        store.close()


def test_asking_writes_nothing(app, store, now, tmp_path):
    now.shift(timedelta(days=10))
    before = list(store.checkpoints)
    clock.require_sound(store)
    assert app.test_cli_runner().invoke(args=["clock"]).exit_code == 0
    assert list(store.checkpoints) == before
