"""The instant of a local time, which the clocks of a zone may show once, twice or never."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refunds.domain.instants import shown_instants, zone
from refunds.errors import Unfit

BERLIN = zone("Europe/Berlin")


@pytest.mark.parametrize(
    ("day", "clock", "name", "instant"),
    [
        (date(2026, 4, 8), time(23, 5), "Europe/Berlin", datetime(2026, 4, 8, 21, 5, tzinfo=UTC)),
        (date(2026, 1, 8), time(23, 5), "Europe/Berlin", datetime(2026, 1, 8, 22, 5, tzinfo=UTC)),
        (date(2026, 3, 29), time(1, 59), "Europe/Berlin", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
        (date(2026, 3, 29), time(3, 0), "Europe/Berlin", datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (date(2026, 10, 25), time(1, 59), "Europe/Berlin", datetime(2026, 10, 24, 23, 59, tzinfo=UTC)),
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (date(2026, 10, 25), time(3, 0), "Europe/Berlin", datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        (date(2026, 4, 8), time(0, 0), "Etc/UTC", datetime(2026, 4, 8, tzinfo=UTC)),
        (date(2026, 4, 8), time(0, 0), "Pacific/Kiritimati", datetime(2026, 4, 7, 10, tzinfo=UTC)),
        (date(2026, 4, 5), time(1, 45), "Australia/Lord_Howe", datetime(2026, 4, 4, 14, 45, tzinfo=UTC)),
        (date(9999, 12, 31), time(23, 59), "Europe/Berlin", datetime(9999, 12, 31, 22, 59, tzinfo=UTC)),
    ],
)
def test_a_local_time_is_the_instants_at_which_clocks_show_it(day, clock, name, instant):
    first, last = shown_instants(day, clock, zone(name))
    assert (first, first.tzinfo, last.tzinfo) == (instant, UTC, UTC)
    assert last - first == (
        timedelta(hours=1)
        if (day, clock) == (date(2026, 10, 25), time(2, 30))
        else timedelta(minutes=30 * (name == "Australia/Lord_Howe"))
    )


@pytest.mark.parametrize(
    ("day", "clock", "name", "instead"),
    [
        (date(2026, 3, 29), time(2, 0), "Europe/Berlin", "29.3.2026 03:00"),
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", "29.3.2026 03:30"),
        (date(2026, 3, 29), time(2, 59), "Europe/Berlin", "29.3.2026 03:59"),
        (date(2018, 11, 4), time(0, 0), "America/Sao_Paulo", "4.11.2018 01:00"),
        (date(2011, 12, 30), time(12, 0), "Pacific/Apia", "31.12.2011 12:00"),
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", "4.10.2026 02:45"),
    ],
)
def test_a_time_that_the_clocks_skip_is_refused(day, clock, name, instead):
    with pytest.raises(Unfit, match="put forward") as refused:
        shown_instants(day, clock, zone(name))
    assert refused.value.detail.values == {"instead": instead}


@pytest.mark.parametrize(
    ("day", "clock", "name"),
    [(date(1, 1, 1), time(0, 0), "Europe/Berlin"), (date(9999, 12, 31), time(23, 59), "America/New_York")],
)
def test_an_instant_before_the_first_or_after_the_last_is_refused(day, clock, name):
    with pytest.raises(ValueError, match="check the year"):
        shown_instants(day, clock, zone(name))


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(
        ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Asia/Kathmandu"]
    ),
)
def test_a_local_time_leads_back_to_its_instant(instant, name):
    tz = zone(name)
    local = instant.astimezone(tz)
    first, last = shown_instants(local.date(), local.time(), tz)
    assert instant == (last if local.fold else first)
    for again in (first, last):
        assert again.astimezone(tz).replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0)
    assert timedelta() <= last - first <= timedelta(hours=2)
