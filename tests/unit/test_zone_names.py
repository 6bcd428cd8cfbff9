"""How time zones are named in texts: by a city or, without one, by their difference from UTC."""

from datetime import UTC, datetime

import pytest

from refunds.domain.instants import zone
from refunds.presentation.texts.dates import zone_text


@pytest.mark.parametrize("name", ["Etc/GMT-14", "Etc/GMT-4", "Etc/GMT+1", "Etc/GMT+12"])
def test_a_zone_without_a_city_is_named_by_its_difference(name):
    """The name itself has the sign of POSIX, where places ahead of UTC have a minus."""
    ahead = datetime(2026, 4, 8, tzinfo=UTC).astimezone(zone(name)).strftime("%z")
    assert zone_text(name) == f"GMT{int(ahead[:3]):+d} time"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Europe/Berlin", "Berlin time"),
        ("Etc/GMT", "GMT time"),
        ("Etc/GMT+0", "GMT time"),
        ("UTC", "UTC time"),
        ("America/Port-au-Prince", "Port-au-Prince time"),
    ],
)
def test_other_zones_have_the_name_that_readers_know(name, text):
    assert zone_text(name) == text
