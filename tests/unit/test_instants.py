"""How instants are parsed and formatted, and when a date begins."""

import re
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo, reset_tzpath

import pytest
import tzdata

from refunds.domain.instants import (
    end_of_day,
    first_instant,
    format_instant,
    local_date,
    parse_date,
    parse_instant,
    zone,
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-04-02T16:20:00+02:00", datetime(2026, 4, 2, 14, 20, tzinfo=UTC)),
        ("2026-04-02T14:20:00Z", datetime(2026, 4, 2, 14, 20, tzinfo=UTC)),
        ("2026-04-02t14:20:00z", datetime(2026, 4, 2, 14, 20, tzinfo=UTC)),
        ("2026-04-02T14:20:00-00:00", datetime(2026, 4, 2, 14, 20, tzinfo=UTC)),
        ("2026-04-02T14:20:00.5Z", datetime(2026, 4, 2, 14, 20, 0, 500_000, tzinfo=UTC)),
        ("2026-04-02T14:20:00.000001Z", datetime(2026, 4, 2, 14, 20, 0, 1, tzinfo=UTC)),
        ("2026-04-02T14:20:00.1234567Z", datetime(2026, 4, 2, 14, 20, 0, 123_456, tzinfo=UTC)),
        ("2026-04-02T14:20:00.123456999Z", datetime(2026, 4, 2, 14, 20, 0, 123_456, tzinfo=UTC)),
        ("2026-04-02T16:20:00.999999999+02:00", datetime(2026, 4, 2, 14, 20, 0, 999_999, tzinfo=UTC)),
        ("2028-02-29T00:00:00+14:00", datetime(2028, 2, 28, 10, tzinfo=UTC)),
    ],
)
def test_an_rfc_3339_date_time_is_parsed(text, instant):
    assert parse_instant(text) == instant
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-02T16:20:00",
        "2026-04-02 16:20:00Z",
        "2026-04-02T24:00:00Z",
        "2026-04-02T23:59:60Z",
        "2026-04-02T16:20Z",
        "2026-W14-4T16:20:00Z",
        "2026-092T16:20:00Z",
        "20260402T162000Z",
        "2026-04-02T16:20:00.1234567890Z",
        "2026-04-02T16:20:00,5Z",
        "2026-04-02T16:20:00.Z",
        "2026-02-29T00:00:00Z",
        "2026-04-02T16:20:00+24:00",
        "2026-04-02T16:20:00+0200",
        "2026-04-02T16:20:00Z\n",
        " 2026-04-02T16:20:00Z",
        "٢٠٢٦-04-02T16:20:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "0000-01-01T00:00:00Z",
        "",
    ],
)
def test_any_other_text_is_refused(text):
    with pytest.raises(ValueError, match=r"RFC 3339|no such (?:instant|time)|needs its offset|9 digits|space"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("2026-04-02T16:20:00", "needs its offset"),
        ("2026-04-02T16:20:00.123", "needs its offset"),
        ("2026-04-02T16:20:00.1234567890Z", "more than 9 digits"),
        ("2026-04-02T24:00:00Z", "hours go to 23"),
        ("2026-04-02T23:59:60+02:00", "seconds to 59"),
        ("2026-04-02T16:20:00 02:00", "%2B"),
        ("2026-02-29T00:00:00Z", "the day of the month"),
        ("yesterday", "RFC 3339"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_text(text, detail):
    with pytest.raises(ValueError, match=re.escape(detail)):
        parse_instant(text)


@pytest.mark.parametrize(
    "text", ["2026-4-2", "20260402", "2026-W14-4", "2026-02-30", "2026-04-02T00:00:00Z", "٢٠٢٦-٠٤-٠٢"]
)
def test_only_plain_dates_are_parsed(text):
    with pytest.raises(ValueError, match="date"):
        parse_date(text)


def test_instants_are_formatted_in_utc_with_their_microseconds():
    assert format_instant(parse_instant("2026-04-02T16:20:00+02:00")) == "2026-04-02T14:20:00Z"
    assert format_instant(parse_instant("2026-04-02T16:20:00.000010+02:00")) == "2026-04-02T14:20:00.000010Z"


@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
        ("America/Havana", "2026-03-08", "2026-03-08T05:00:00Z"),  # 00:00 to 01:00 is skipped
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),  # 00:00 comes twice
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"),
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30:00Z"),  # 23:30 jumps to 00:30
        ("America/St_Johns", "2006-10-29", "2006-10-29T02:30:00Z"),  # 00:01 falls back to 23:01
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),  # the date is skipped altogether
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
    ],
)
def test_a_date_begins_with_its_first_instant(name, day, begins):
    assert first_instant(parse_date(day), zone(name)) == parse_instant(begins)


@pytest.mark.parametrize("name", ["America/Asuncion", "Africa/Cairo", "Asia/Beirut", "Asia/Gaza", "Atlantic/Azores"])
def test_no_instant_of_a_date_comes_before_it_begins(name):
    tz = zone(name)
    for i in range(2 * 365):
        day = date(2025, 1, 1) + timedelta(days=i)
        begins = first_instant(day, tz)
        assert local_date(begins, tz) == day
        assert local_date(begins - timedelta(microseconds=1), tz) < day


def test_a_day_ends_when_the_next_begins():
    tz = zone("Europe/Berlin")
    assert end_of_day(date(2026, 4, 8), tz) == parse_instant("2026-04-08T22:00:00Z")


@pytest.mark.parametrize(
    "name",
    ["europe/berlin", "Berlin", "../etc/passwd", "/etc/localtime", "Factory", "posixrules", "localtime", "", "CEST"],
)
def test_only_iana_names_are_zones(name):
    with pytest.raises(ValueError, match="unknown time zone"):
        zone(name)


def test_a_zone_does_not_depend_on_the_machine(tmp_path):
    """Zones come from the pinned data, even if the system has another Berlin, which is in UTC."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe/Berlin").write_bytes((files(tzdata) / "zoneinfo/Etc/UTC").read_bytes())
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    try:
        reset_tzpath([tmp_path])
        assert summer.astimezone(ZoneInfo.no_cache("Europe/Berlin")).hour == 0
        assert summer.astimezone(zone.__wrapped__("Europe/Berlin")).hour == 2
    finally:
        reset_tzpath()


def test_the_first_and_last_instants_have_a_local_date():
    assert local_date(datetime.max.replace(tzinfo=UTC), zone("Pacific/Kiritimati")) == date.max
    assert local_date(datetime.min.replace(tzinfo=UTC), zone("America/Los_Angeles")) == date.min
