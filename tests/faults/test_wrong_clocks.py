"""Instances on one database of which one has a wrong clock: the balancer passes it over, and the others serve."""

from functools import partial

import pytest

from tests.conftest import mostly_on
from tests.faults.harness import Client, Installation, cancellation_of, move_clock

HOUR, TEN_YEARS = 3600, 3653 * 24 * 3600


@pytest.mark.proof
@mostly_on("postgresql")
@pytest.mark.parametrize(
    ("moved", "text"),
    [(-HOUR, "but something was recorded at"), (TEN_YEARS, "which is 3653 days after the last sign of life, of")],
    ids=["an hour behind", "ten years ahead"],
)
def test_an_instance_with_a_wrong_clock_is_not_ready_and_the_others_are(tmp_path, engine, moved, text):
    installation = Installation(tmp_path, engine)
    with installation.serving() as right:
        with Client(right.port, installation.tokens()["billing"]) as billing:
            assert billing.cancel(cancellation_of("first"), "the-first").status == 201
        installation.first = partial(move_clock, moved)
        for _ in range(2):  # a restart does not heal it
            with installation.serving() as wrong, Client(wrong.port, "") as balancer:
                answer = balancer.send("GET", "/readyz")
                assert (answer.status, answer.json["type"]) == (503, "/problems/clock-in-doubt")
                assert text in answer.json["detail"]
            assert wrong.process.returncode == 0
        with Client(right.port, "") as balancer:
            assert balancer.send("GET", "/readyz").status == 200
        assert "Warning: The clock says" in installation.log.read_text()
        installation.first = bool
        with installation.serving() as corrected, Client(corrected.port, "") as balancer:
            assert balancer.send("GET", "/readyz").status == 200
    installation.require_sound()


def asked(client):
    """The answer whether an instance is ready, on a new connection: an old one may have been idle for too long."""
    client.wire.close()
    return client.send("GET", "/readyz")


@pytest.mark.proof
@mostly_on("postgresql")
def test_what_an_instance_ten_years_ahead_records_does_not_vouch_for_its_clock(tmp_path, engine):
    """It and its restart stay unready; the others say what to do, and are ready again once a person has done it."""
    installation = Installation(tmp_path, engine)
    with installation.serving() as right, Client(right.port, "") as balancer:
        installation.first = partial(move_clock, TEN_YEARS)
        for number in range(2):
            with installation.serving() as wrong, Client(wrong.port, "") as other:
                assert installation.flask("users", "add", f"user{number}", "--role", "agent").returncode == 0
                assert installation.flask("clock").returncode == 24
                assert asked(other).json["type"] == "/problems/clock-in-doubt"
        installation.first = bool
        answer = asked(balancer)
        assert (answer.status, "flask clock --confirm" in answer.json["detail"]) == (503, True)
        assert installation.flask("clock", "--confirm").returncode == 0
        assert asked(balancer).status == 200
        installation.first = partial(move_clock, TEN_YEARS)
        with installation.serving() as wrong, Client(wrong.port, "") as other:
            assert asked(other).status == 503
        assert asked(balancer).status == 200
    installation.require_sound()
