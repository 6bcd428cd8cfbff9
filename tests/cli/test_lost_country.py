"""The commands, after the holiday data has lost the country of stored orders."""

from contextlib import closing

import pytest

from refunds.service.watch import watch
from tests.api.conftest import PROVIDED, now  # noqa: F401 - a fixture
from tests.changed_data import lost_country
from tests.cli.test_proof import Place


@pytest.fixture
def place(engine, tmp_path, now):  # noqa: F811
    """An installation with orders in Denmark: one that was told its end, and one that has no date."""
    place = Place(tmp_path, engine)
    with closing(place.store):
        watch(place.store)
        place.desk().register("told", region="DK")
        place.desk().record("told")
        place.desk().register("untold", region="DK-81", service_provided_at=None)
        with lost_country("99.0", "DK"):
            yield place


def test_a_replay_counts_apart_what_the_data_cannot_decide(place):
    facts = {"customer_ref": "K-20391", "region": "DK-81", "service_provided_at": PROVIDED}
    place.desk().put("/v1/orders/untold", json=facts)
    place.desk().record("untold")
    assert place.succeed("audit", "replay").splitlines() == [
        "Replayed: 2 decisions, 0 differences.",
        "Not made again, because the holiday data has lost the country: 2 decisions.",
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("audit verify", ""),
        ("evidence told", '"sound": true'),
        ("evidence told --page", "DK"),
        ("calendar changes", "told"),
        ("export orders --from 2026-04-01 --to 2026-04-30", "told"),
    ],
)
def test_what_was_recorded_is_shown_and_sound(place, command, said):
    assert said in place.succeed(*command.split())
