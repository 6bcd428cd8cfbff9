"""What is formatted can be parsed, and the other way round."""

from contextlib import suppress
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from refunds.domain.instants import (
    first_instant,
    format_instant,
    local_date,
    parse_date,
    parse_instant,
    zone,
    zone_names,
)

instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
zones = st.sampled_from(sorted(zone_names())).map(zone)


@given(instants)
def test_a_formatted_instant_can_be_parsed(instant):
    assert parse_instant(format_instant(instant)) == instant


@given(instants, zones)
def test_an_instant_is_the_same_in_every_offset(instant, tz):
    local = instant.astimezone(tz)
    if local.utcoffset().total_seconds() % 60 == 0:  # RFC 3339 cannot write local mean time
        assert parse_instant(local.isoformat()) == instant


@given(st.dates())
def test_a_formatted_date_can_be_parsed(day):
    assert parse_date(day.isoformat()) == day


@given(st.dates(date(1970, 1, 1), date(2100, 12, 31)), zones)
def test_a_date_begins_before_its_noon(day, tz):
    begins = first_instant(day, tz)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=tz)
    assert begins <= noon.astimezone(UTC)
    assert local_date(begins, tz) >= day


@given(st.text(max_size=40))
def test_parsing_any_text_raises_at_most_a_value_error(text):
    for read in (parse_instant, parse_date, zone):
        with suppress(ValueError):
            read(text)
